package normalize

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Rules are the identity rules: the `identity` section of the configuration. Maps whose key is a StoreCode take an
// exact code, else the longest pattern `PREFIX*`, else `*`.
//
// Decoding YAML into Rules starts from DefaultRules, whatever stood there before: a list or map that is given
// replaces its default, `namespaces` is laid over the built-in ones key by key, and null means not given.
type Rules struct {
	IDKey     string            `yaml:"id_key"`    // secret: key of the HMAC that makes customer ids
	Realms    map[string]string `yaml:"realms"`    // StoreCode → realm; none: DefaultRealm
	Regions   map[string]string `yaml:"regions"`   // StoreCode → region of national phone numbers; none: only + forms
	Countries map[string]string `yaml:"countries"` // StoreCode → country, ISO 3166 alpha-2; none: empty domain
	UserID    map[string]string `yaml:"user_id"`   // source → namespace of its user_id, or auto (the default)

	AnchorsInAll     int  `yaml:"anchors_in_all"`     // a contact or device with more anchors is shared
	StoreCodesTied   int  `yaml:"store_codes_tied"`   // codes of one store that edges between anchors may bring together
	DevicesJoinKnown bool `yaml:"devices_join_known"` // a device may join two groups that are both known
	CustomerLimit    int  `yaml:"customer_limit"`     // identifiers
	ComponentLimit   int  `yaml:"component_limit"`    // identifiers

	DuplicateWindow time.Duration `yaml:"duplicate_window"`
	ClockAhead      time.Duration `yaml:"clock_ahead"` // occurred_at later than received_at by more counts as received_at
	Earliest        time.Time     `yaml:"earliest"`    // and so does an earlier one
	EraseEnabled    bool          `yaml:"erase_enabled"`

	Block      Block      `yaml:"block"`
	Namespaces Namespaces `yaml:"namespaces"`
}

// Block is the part of the block list that is configuration (identity.md section 7). Case does not matter.
type Block struct {
	Values       []string `yaml:"values"`        // values of nobody, in any namespace
	EmailNames   []string `yaml:"email_names"`   // local parts of nobody, with any digits after
	EmailDomains []string `yaml:"email_domains"` // domains of addresses made for one order; last part *: any ending
}

// DefaultRealm is the realm of a StoreCode that no entry of realms names.
const DefaultRealm = "default"

// DevelopmentIDKey is the id_key that stands where none is configured. Whoever knows the key can tell which
// customer_id an identifier has, so a deployment sets its own.
const DevelopmentIDKey = "kinfold-development-key"

// rest is the pattern of everything else.
const rest = "*"

// DefaultRules returns the rules in force where the configuration says nothing.
func DefaultRules() *Rules {
	return &Rules{
		IDKey:           DevelopmentIDKey,
		Realms:          map[string]string{rest: DefaultRealm},
		Regions:         map[string]string{},
		Countries:       map[string]string{},
		UserID:          map[string]string{},
		AnchorsInAll:    8,
		StoreCodesTied:  5,
		CustomerLimit:   500,
		ComponentLimit:  2000,
		DuplicateWindow: 7 * 24 * time.Hour,
		ClockAhead:      10 * time.Minute,
		Earliest:        time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		Block: Block{
			Values: []string{"null", "none", "nil", "nan", "undefined", "unknown", "anonymous", "guest", "true", "false",
				"invalid", "not set", "(not set)", "[object object]", "n/a", "na", "-1", "xaxx010101000", "xexx010101000"},
			EmailNames: []string{"notiene", "sinmail", "sinemail", "sincorreo", "nomail", "noemail", "noreporta", "ntc",
				"test", "noreply", "no-reply"},
			EmailDomains: []string{"ct.vtex.com.br", "marketplace.amazon.*"},
		},
		Namespaces: defaultNamespaces(),
	}
}

// RealmNames lists the realms that a StoreCode can have, sorted.
func (r *Rules) RealmNames() []string {
	names := slices.Collect(maps.Values(r.Realms))
	if _, ok := r.Realms[rest]; !ok {
		names = append(names, DefaultRealm)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// The parts of rules_version that are not configuration.
const (
	// rulesFormat grows when the code of the rules decides something in another way than before.
	rulesFormat = 1
	// phoneMetadata is the version of the phone library, and with it of its metadata: which numbers are valid.
	phoneMetadata = "v1.8.1"
)

// Version is rules_version: 16 hex digits over everything that decides who is who, the phone metadata included.
// The order of a list and the way a default is written do not matter. The id_key takes part as a keyed digest.
// erase_enabled takes none: it is a permission, and an operator has to be able to give it over an existing state.
func (r *Rules) Version() string {
	h := sha256.New()
	key := hmac.New(sha256.New, []byte(r.IDKey))
	key.Write([]byte("kinfold rules version"))
	fmt.Fprintf(h, "format %d\nphone %s\nid_key %x\n", rulesFormat, phoneMetadata, key.Sum(nil))

	realms := map[string]string{rest: DefaultRealm}
	maps.Copy(realms, r.Realms)
	writeMap(h, "realms", realms)
	writeMap(h, "regions", r.Regions)
	writeMap(h, "countries", r.Countries)
	users := maps.Clone(r.UserID)
	maps.DeleteFunc(users, func(_, namespace string) bool { return namespace == auto })
	writeMap(h, "user_id", users)

	fmt.Fprintf(h, "limits %d %d %t %d %d\n", r.AnchorsInAll, r.StoreCodesTied, r.DevicesJoinKnown, r.CustomerLimit, r.ComponentLimit)
	fmt.Fprintf(h, "times %d %d %d\n", r.DuplicateWindow.Milliseconds(), r.ClockAhead.Milliseconds(), r.Earliest.UnixMilli())
	f := newFolder()
	writeList(h, "values", r.Block.Values, f)
	writeList(h, "email_names", r.Block.EmailNames, f)
	writeList(h, "email_domains", r.Block.EmailDomains, f)
	ns := slices.Clone(r.Namespaces)
	ns.sort()
	for _, n := range ns {
		fmt.Fprintf(h, "namespace %q %d %s %s %d %d %d %s\n", n.Name, n.Rank, n.Class, n.Domain, n.AtMost,
			n.SharedAnchors, n.SharedContacts, n.Like)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func writeMap(w io.Writer, name string, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(w, "%s %q %q\n", name, k, m[k])
	}
}

func writeList(w io.Writer, name string, list []string, f *folder) {
	folded := make([]string, len(list))
	for i, v := range list {
		folded[i] = f.fold(v)
	}
	slices.Sort(folded)
	for _, v := range slices.Compact(folded) {
		fmt.Fprintf(w, "%s %q\n", name, v)
	}
}
