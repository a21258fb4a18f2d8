package normalize

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxNamespaceName is the longest name of a namespace, in characters.
const maxNamespaceName = 50

// faults gathers what is wrong with a configuration.
type faults []error

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

// Validate returns every fault of the rules, in the order of the configuration. Each message begins with its key
// below `identity` and says what is allowed. None shows the id_key.
func (r *Rules) Validate() []error {
	var f faults
	switch {
	case r.IDKey == "":
		f.add("id_key", "is empty; it must be a secret of this deployment that never changes")
	case strings.Trim(r.IDKey, "*") == "":
		f.add("id_key", "is asterisks, as kinfold check-config prints in its place; it must be the secret of this deployment")
	}
	r.validateStores(&f)
	r.validateUserID(&f)
	r.validateLimits(&f)
	r.Block.validate(&f)
	r.Namespaces.validate(&f)
	return f
}

func (r *Rules) validateStores(f *faults) {
	eachPattern(f, "realms", r.Realms, func(realm string) string {
		switch {
		case realm == "" || trim(realm) != realm || nfc(realm) != realm:
			return "must be a name without space at either end, in Unicode normal form C"
		case hasControl(realm):
			return "has a control character"
		}
		return ""
	})
	eachPattern(f, "regions", r.Regions, func(region string) string {
		if !supportedRegion(region) {
			return "unknown region; allowed: the two capital letters of a country that has phone numbers, such as AR, BR, MX"
		}
		return ""
	})
	eachPattern(f, "countries", r.Countries, func(country string) string {
		if len(country) != 2 || strings.Trim(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return "unknown country; allowed: two capital letters (ISO 3166), such as AR, CL, UY"
		}
		return ""
	})
}

// eachPattern checks the keys of a map of StoreCodes, and its values with wrong, which says what is wrong or nothing.
func eachPattern(f *faults, key string, m map[string]string, wrong func(string) string) {
	for _, p := range slices.Sorted(maps.Keys(m)) {
		at := fmt.Sprintf("%s.%q", key, p)
		head := strings.TrimSuffix(p, rest)
		switch {
		case strings.Contains(head, rest):
			f.add(at, "bad pattern; * may stand only once, at the end")
		case trim(p) != p || nfc(p) != p || hasControl(p):
			f.add(at, "can match no StoreCode: those have no space at either end, no control characters, and Unicode normal form C")
		case longer(head, maxStoreCode):
			f.add(at, "can match no StoreCode: those have at most %d characters", maxStoreCode)
		}
		if w := wrong(m[p]); w != "" {
			f.add(at, "%q: %s", m[p], w)
		}
	}
}

func (r *Rules) validateUserID(f *faults) {
	for _, source := range slices.Sorted(maps.Keys(r.UserID)) {
		at := fmt.Sprintf("user_id.%q", source)
		if source == "" || len(source) > MaxNameBytes {
			f.add(at, "no source is called so; a name has 1 to %d bytes", MaxNameBytes)
		}
		name := r.UserID[source]
		if _, ok := r.Namespaces.Lookup(name); !ok && name != auto {
			f.add(at, "unknown namespace %q; allowed: auto, %s", name, r.Namespaces.names())
		}
	}
}

func (r *Rules) validateLimits(f *faults) {
	for _, l := range []struct {
		key   string
		value int
	}{
		{"anchors_in_all", r.AnchorsInAll}, {"store_codes_tied", r.StoreCodesTied},
		{"customer_limit", r.CustomerLimit}, {"component_limit", r.ComponentLimit},
	} {
		if l.value < 1 {
			f.add(l.key, "is %d; must be 1 or more", l.value)
		}
	}
	if r.DuplicateWindow < time.Millisecond {
		f.add("duplicate_window", "is %s; must be a duration above zero, such as 168h", r.DuplicateWindow)
	}
	if r.ClockAhead < time.Millisecond {
		f.add("clock_ahead", "is %s; must be a duration above zero, such as 10m", r.ClockAhead)
	}
	if r.Earliest.IsZero() {
		f.add("earliest", "must be a time in RFC 3339 form, such as \"2000-01-01T00:00:00Z\"")
	}
}

func (b *Block) validate(f *faults) {
	for i, v := range b.Values {
		if trim(v) == "" {
			f.add(fmt.Sprintf("block.values[%d]", i), "is empty; empty values are left out without a rule")
		}
	}
	for i, v := range b.EmailNames {
		if v == "" || !validLocal(v) || strings.Contains(v, "@") {
			f.add(fmt.Sprintf("block.email_names[%d]", i), "%q can be no local part: that is what stands before the @, without spaces", v)
		}
	}
	domains := newDomains()
	for i, v := range b.EmailDomains {
		name := strings.TrimSuffix(v, "."+rest)
		if mapped, err := domains.ToASCII(name); err != nil || name == "" || strings.HasSuffix(mapped, ".") {
			f.add(fmt.Sprintf("block.email_domains[%d]", i), "%q is no domain; allowed: a name such as ct.vtex.com.br, or one whose last part is *", v)
		}
	}
}

func (ns Namespaces) names() string {
	names := make([]string, len(ns))
	for i, n := range ns {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}

func (ns Namespaces) validate(f *faults) {
	rank := map[int]string{}
	for i := range ns {
		n := &ns[i]
		at := "namespaces." + n.Name
		n.validate(f, at)
		if n.Rank < 1 {
			continue
		}
		if other, ok := rank[n.Rank]; ok {
			f.add(at+".rank", "%d is the rank of %s, too; ranks are unique", n.Rank, other)
		}
		rank[n.Rank] = n.Name
	}
	ns.validateOrder(f)
}

func (n *Namespace) validate(f *faults, at string) {
	switch {
	case n.Name == reservedCustomer || n.Name == reservedEvent || n.Name == reservedDirective || n.Name == auto:
		f.add(at, "the name is taken; choose another")
	case n.Name == "" || len(n.Name) > maxNamespaceName || strings.IndexFunc(n.Name, notInName) >= 0:
		f.add(at, "bad name; allowed: 1 to %d of the characters a-z A-Z 0-9 _ - .", maxNamespaceName)
	}
	if n.Rank < 1 {
		f.add(at+".rank", "must be given, and be 1 or more; taken as %d", n.Rank)
	}
	if !slices.Contains(Classes, n.Class) {
		f.add(at+".class", "%q is no class; must be given; allowed: anchor, contact, device", n.Class)
	}
	if !slices.Contains(Domains, n.Domain) {
		f.add(at+".domain", "%q is no domain; allowed: none, store, country", n.Domain)
	}
	if n.AtMost < 1 {
		f.add(at+".at_most", "is %d; must be 1 or more", n.AtMost)
	}
	if n.SharedAnchors < 1 {
		f.add(at+".shared_anchors", "is %d; must be 1 or more", n.SharedAnchors)
	}
	if n.SharedContacts < 1 {
		f.add(at+".shared_contacts", "is %d; must be 1 or more, or null for no threshold", n.SharedContacts)
	}
	if _, ok := builtinNamed(n.Like); !ok {
		f.add(at+".like", "%q is no built-in namespace; allowed: %s", n.Like, defaultNamespaces().names())
	}
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
}

// validateOrder reports a rank that puts a weaker class before a stronger one, once for each namespace.
func (ns Namespaces) validateOrder(f *faults) {
	strongest := Namespace{}
	at := -1
	for _, n := range ns { // by rank
		class := slices.Index(Classes, n.Class)
		switch {
		case class < 0 || n.Rank < 1:
		case class < at:
			f.add("namespaces."+n.Name+".rank", "%d puts the %s behind the %s %s (%d); ranks go in the order of the classes: anchor, contact, device",
				n.Rank, n.Class, strongest.Class, strongest.Name, strongest.Rank)
		default:
			strongest, at = n, class
		}
	}
}
