// Package normalize turns an interaction as a source has it into evidence: it finds the realm, gives every identifier
// the one form in which it is compared, sets aside what means nobody, and computes the hashes by which duplicates are
// known. The rules are data (Rules); identity.md sections 2, 3.1 to 3.3, 7 and 9 say what they mean.
package normalize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"

	"kinfold/processor/interaction"
)

// Limits of an interaction; more is a reject invalid_field.
const (
	MaxEventIDBytes = 1024 // event_id
	MaxNameBytes    = 256  // source, channel, type, and the namespace of an identifier
	MaxIdentifiers  = 1000 // beside user_id
)

// MaxShownValue is the length in characters to which the value of an unusable identifier is cut in an event.
const MaxShownValue = 256

// Tallies counts what became of identifiers that do not take part.
type Tallies struct {
	Empty    int64             // nothing left after trimming: no row in the event
	Invalid  int64             // undeclared namespace, or the value fails its rule
	Conflict int64             // two different anchors of one namespace and domain
	Blocked  [BlockRules]int64 // by BlockRule
}

// Normalizer applies one set of rules. What it returns is a function of the rules and the interaction alone;
// its memory only saves time. Not for concurrent use.
type Normalizer struct {
	namespaces map[string]*namespace
	sources    map[string]*namespace // user_id by source; nil: auto
	user       *namespace
	email      *namespace

	realms, regions, countries patterns
	stores                     map[string]*store

	clockAhead int64 // ms
	erase      bool  // enabled
	block      *blockList
	domains    *idna.Profile
	lower      cases.Caser
	phones     phoneCache

	tallies Tallies

	// Scratch of one call.
	rows    []row
	usable  []*row
	content []*row
	layout  []byte
	entries []entry
}

// namespace is a namespace in force with the rule that holds for it.
type namespace struct {
	Namespace
	rule *builtin
}

// New compiles rules that have passed Validate. It keeps nothing of r.
func New(r *Rules) *Normalizer {
	n := &Normalizer{
		namespaces: map[string]*namespace{},
		sources:    map[string]*namespace{},
		realms:     newPatterns(r.Realms, DefaultRealm),
		regions:    newPatterns(r.Regions, ""),
		countries:  newPatterns(r.Countries, ""),
		stores:     map[string]*store{},
		clockAhead: r.ClockAhead.Milliseconds(),
		erase:      r.EraseEnabled,
		block:      newBlockList(r.Block),
		domains:    newDomains(),
		lower:      newLower(),
	}
	for _, ns := range r.Namespaces {
		rule, _ := builtinNamed(ns.Like)
		n.namespaces[ns.Name] = &namespace{ns, rule}
	}
	for source, name := range r.UserID {
		if name != auto {
			n.sources[source] = n.namespaces[name]
		}
	}
	n.user, n.email = n.namespaces["user"], n.namespaces["email"]
	return n
}

// TakeTallies returns what was counted since the last call, and begins anew.
func (n *Normalizer) TakeTallies() Tallies {
	t := n.tallies
	n.tallies = Tallies{}
	return t
}

// row is one identifier on its way.
type row struct {
	name     string
	ns       *namespace // nil: not declared
	text     string     // as sent, trimmed
	value    string     // normalised; empty where outcome is blocked or invalid
	domain   string
	verified bool
	outcome  interaction.Outcome // none, conflict, blocked or invalid
	rule     BlockRule
}

// compared is what tells one identifier of a namespace from another.
func (r *row) compared() string {
	if r.value != "" {
		return r.value
	}
	return r.text
}

// Interaction normalises in into out, of which every field is set; Identifiers reuses its array, Payload is that of in.
// A reject leaves out undefined.
func (n *Normalizer) Interaction(in *interaction.Interaction, receivedAt int64, origin interaction.Origin, out *interaction.Keyed) *interaction.Reject {
	if r := check(in); r != nil {
		return r
	}
	st := n.store(in.StoreCode)
	if st.problem != "" {
		return &interaction.Reject{Reason: interaction.ReasonBadStoreCode, Detail: st.problem}
	}
	n.collect(in, st)
	n.sort()
	hash, ok := n.contentHash(in, st)
	if !ok {
		return &interaction.Reject{Reason: interaction.ReasonInvalidField, Detail: "order, traits and properties are no well-formed Avro"}
	}
	*out = interaction.Keyed{
		Realm:       st.realm,
		Content:     interaction.Hash(hash[:16]),
		Source:      in.Source,
		Channel:     in.Channel,
		Type:        in.Type,
		StoreCode:   st.code,
		UserID:      in.UserID,
		HasUserID:   in.HasUserID,
		OccurredAt:  in.OccurredAt,
		ReceivedAt:  receivedAt,
		Origin:      origin,
		Identifiers: n.identifiers(out.Identifiers[:0]),
		Payload:     in.Payload,
	}
	out.SourceEventID, out.ID = n.eventID(in, st, hash)
	return nil
}

// check finds what makes an interaction a reject whatever its identifiers are.
func check(in *interaction.Interaction) *interaction.Reject {
	for _, f := range [...]struct{ name, value string }{{"source", in.Source}, {"channel", in.Channel}, {"type", in.Type}} {
		if f.value == "" {
			return &interaction.Reject{Reason: interaction.ReasonMissingField, Detail: f.name + " is missing or empty"}
		}
		if len(f.value) > MaxNameBytes {
			return invalid("%s is %d bytes long, more than %d", f.name, len(f.value), MaxNameBytes)
		}
		if !utf8.ValidString(f.value) {
			return invalid("%s is not UTF-8", f.name)
		}
	}
	switch {
	case strings.IndexByte(in.Source, interaction.Sep) >= 0:
		return invalid("source has the control character 0x1F inside, which separates the parts of event ids")
	case len(in.EventID) > MaxEventIDBytes:
		return invalid("event_id is %d bytes long, more than %d", len(in.EventID), MaxEventIDBytes)
	case !utf8.ValidString(in.EventID):
		return invalid("event_id is not UTF-8")
	case !utf8.ValidString(in.StoreCode):
		return invalid("store_code is not UTF-8")
	case !utf8.ValidString(in.UserID):
		return invalid("user_id is not UTF-8")
	case len(in.Identifiers) > MaxIdentifiers:
		return invalid("identifiers has %d entries, more than %d", len(in.Identifiers), MaxIdentifiers)
	}
	for i := range in.Identifiers {
		id := &in.Identifiers[i]
		if len(id.Namespace) > MaxNameBytes {
			return invalid("identifiers[%d].namespace is %d bytes long, more than %d", i, len(id.Namespace), MaxNameBytes)
		}
		if !utf8.ValidString(id.Namespace) || !utf8.ValidString(id.Value) {
			return invalid("identifiers[%d] is not UTF-8", i)
		}
	}
	return nil
}

func invalid(format string, args ...any) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonInvalidField, Detail: fmt.Sprintf(format, args...)}
}

// collect fills n.rows: user_id first, then the others as they stand, each once.
func (n *Normalizer) collect(in *interaction.Interaction, st *store) {
	n.rows = n.rows[:0]
	if in.HasUserID {
		ns := n.placeUserID(in, st)
		n.add(ns.Name, ns, interaction.Raw{Value: in.UserID, Overlong: in.UserIDOverlong}, st)
	}
	for _, raw := range in.Identifiers {
		n.add(raw.Namespace, n.namespaces[raw.Namespace], raw, st)
	}
}

// placeUserID says which namespace the user_id of a source belongs to (identity.md 3.1).
func (n *Normalizer) placeUserID(in *interaction.Interaction, st *store) *namespace {
	if ns := n.sources[in.Source]; ns != nil {
		return ns
	}
	if strings.ContainsRune(in.UserID, '@') {
		// Any address goes here, a blocked one too: it must not become an anchor by being worthless.
		text := nfc(trim(in.UserID))
		if !hasControl(text) && n.email.rule.normalise(n, text, st.region).ok {
			return n.email
		}
	}
	return n.user
}

// add evaluates one identifier and keeps it unless it is there already.
func (n *Normalizer) add(name string, ns *namespace, raw interaction.Raw, st *store) {
	r := row{name: name, ns: ns, text: trim(raw.Value), verified: raw.Verified}
	if ns != nil && r.text == "" {
		n.tallies.Empty++
		return
	}
	if raw.Overlong {
		r.outcome = interaction.OutcomeInvalid
	} else {
		n.evaluate(&r, st)
	}
	for i := range n.rows {
		q := &n.rows[i]
		if q.name == r.name && q.outcome == r.outcome && q.compared() == r.compared() {
			q.verified = q.verified || r.verified
			return
		}
	}
	switch r.outcome {
	case interaction.OutcomeInvalid:
		n.tallies.Invalid++
	case interaction.OutcomeBlocked:
		n.tallies.Blocked[r.rule]++
	}
	n.rows = append(n.rows, r)
}

// evaluate sets the value, domain, outcome and rule of a row whose text is not empty, or whose namespace is not declared:
// the generic block list on the text, the rule of the namespace, both block lists on the result (identity.md section 7).
func (n *Normalizer) evaluate(r *row, st *store) {
	if r.ns == nil {
		r.outcome = interaction.OutcomeInvalid
		return
	}
	rule := r.ns.rule
	text, plain := r.text, isPlain(r.text)
	if !plain {
		text = nfc(text)
	}
	if r.rule = n.block.generic(text); r.rule != BlockNone {
		r.outcome = interaction.OutcomeBlocked
		return
	}
	var f form
	if plain || !hasControl(text) {
		f = rule.normalise(n, text, st.region)
	}
	if !f.ok {
		r.outcome = interaction.OutcomeInvalid
		return
	}
	if f.value != text {
		r.rule = n.block.generic(f.value)
	}
	if r.rule == BlockNone && rule.blocked != nil {
		r.rule = rule.blocked(n.block, f)
	}
	if r.rule != BlockNone {
		r.outcome = interaction.OutcomeBlocked
		return
	}
	r.value = f.value
	if rule.opaque {
		r.value = r.text
	}
	r.domain = domain(r.ns.Domain, st)
}

func domain(d Domain, st *store) string {
	switch d {
	case DomainStore:
		return st.code
	case DomainCountry:
		return st.country
	}
	return ""
}

// sort finds the conflicts and fills n.usable in the order of identity.md 3.3.
func (n *Normalizer) sort() {
	u := n.usable[:0]
	for i := range n.rows {
		if n.rows[i].outcome == interaction.OutcomeNone {
			u = append(u, &n.rows[i])
		}
	}
	slices.SortFunc(u, func(a, b *row) int {
		if a.ns != b.ns {
			return a.ns.Rank - b.ns.Rank
		}
		return strings.Compare(a.value, b.value) // one namespace has one domain in one interaction
	})
	kept := u[:0]
	for i := 0; i < len(u); {
		j := i + 1
		for j < len(u) && u[j].ns == u[i].ns {
			j++
		}
		if u[i].ns.Class == Anchor && j > i+1 {
			for _, r := range u[i:j] {
				r.outcome = interaction.OutcomeConflict
				n.tallies.Conflict++
			}
		} else {
			kept = append(kept, u[i:j]...)
		}
		i = j
	}
	n.usable = kept
}

// identifiers appends the usable rows, then the others in the order in which they came.
func (n *Normalizer) identifiers(to []interaction.Identifier) []interaction.Identifier {
	for _, r := range n.usable {
		to = append(to, interaction.Identifier{Namespace: r.name, Domain: r.domain, Value: r.value, Verified: r.verified})
	}
	for i := range n.rows {
		if r := &n.rows[i]; r.outcome != interaction.OutcomeNone {
			to = append(to, interaction.Identifier{Namespace: r.name, Domain: r.domain, Value: cut(r.text, MaxShownValue),
				Verified: r.verified, Outcome: r.outcome})
		}
	}
	return to
}

// eventID names the event (identity.md section 5). Where the source has no event id the content stands in: the event id
// is over all of its hash, the name that people see has the first half.
func (n *Normalizer) eventID(in *interaction.Interaction, st *store, content [sha256.Size]byte) (sourceEventID string, id interaction.Hash) {
	b := n.layout[:0]
	b = append(b, st.realm...)
	b = append(b, interaction.Sep)
	b = append(b, in.Source...)
	b = append(b, interaction.Sep)
	sourceEventID = in.EventID
	if sourceEventID != "" {
		b = append(b, sourceEventID...)
	} else {
		at := len(b)
		b = append(b, "content:"...)
		b = hex.AppendEncode(b, content[:])
		sourceEventID = string(b[at : len(b)-sha256.Size])
	}
	n.layout = b
	sum := sha256.Sum256(b)
	return sourceEventID, interaction.Hash(sum[:16])
}

// RecordKey is the key of a keyed record: StoreCode|UserId, the UserId trimmed and NFC like an identifier of namespace
// user; without one the identifier key of the root; with neither realm|event||event_id, and realm|directive||directive_id
// of a directive. The forms cannot meet: the first has one |, the others three, and no namespace is called event or
// directive (runtime.md section 1).
func (n *Normalizer) RecordKey(k *interaction.Keyed) []byte {
	if k.Directive != nil {
		return []byte(interaction.Key{Realm: k.Realm, Namespace: reservedDirective, Value: k.Directive.ID}.String())
	}
	if k.HasUserID {
		if user := nfc(trim(k.UserID)); user != "" {
			return interaction.RecordKey(k.StoreCode, user)
		}
	}
	key := interaction.Key{Realm: k.Realm, Namespace: reservedEvent, Value: hex.EncodeToString(k.ID[:])}
	if u := k.Usable(); len(u) > 0 {
		key = interaction.Key{Realm: k.Realm, Namespace: u[0].Namespace, Domain: u[0].Domain, Value: u[0].Value}
	}
	return []byte(key.String())
}

// UserNamespace is the namespace to which the user_id of an interaction belongs (identity.md 3.1).
func (n *Normalizer) UserNamespace(in *interaction.Interaction) string {
	return n.placeUserID(in, n.store(in.StoreCode)).Name
}

// RealmOf is the realm of a StoreCode as it was sent; false: it is none.
func (n *Normalizer) RealmOf(storeCode string) (string, bool) {
	st := n.store(storeCode)
	return st.realm, st.problem == ""
}

// Why Value calls a value invalid, where it is not its form.
const (
	RuleUndeclared   = "undeclared_namespace"
	RuleEmpty        = "empty"
	RuleBadStoreCode = "bad_store_code"
)

// Value normalises one value that stands alone, as in a directive or a question. The outcome is OutcomeNone, with the
// normalised value and its domain; OutcomeBlocked, with the rule; or OutcomeInvalid, with one of the Rule constants or
// with nothing where the value fails the rule of its namespace. Nothing is counted.
func (n *Normalizer) Value(namespace, storeCode, value string) (normalised, domain string, outcome interaction.Outcome, rule string) {
	ns, st := n.namespaces[namespace], n.store(storeCode)
	r := row{name: namespace, ns: ns, text: trim(value)}
	switch {
	case ns == nil:
		return "", "", interaction.OutcomeInvalid, RuleUndeclared
	case r.text == "":
		return "", "", interaction.OutcomeInvalid, RuleEmpty
	case st.problem != "":
		return "", "", interaction.OutcomeInvalid, RuleBadStoreCode
	case !utf8.ValidString(value):
		return "", "", interaction.OutcomeInvalid, ""
	}
	n.evaluate(&r, st)
	return r.value, r.domain, r.outcome, r.rule.String()
}
