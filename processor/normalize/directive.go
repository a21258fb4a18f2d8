package normalize

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"kinfold/processor/interaction"
)

// MaxNoteBytes bounds reason and author of a directive; more is a reject bad_directive.
const MaxNoteBytes = 4096

func badDirective(format string, args ...any) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonBadDirective, Detail: fmt.Sprintf(format, args...)}
}

// Directive checks and normalises a directive into out, of which every field is set. A reject, bad_directive or else
// erase_not_enabled, leaves out undefined. Whether its customer exists is for the state to say.
func (n *Normalizer) Directive(in *interaction.Directive, receivedAt int64, origin interaction.Origin, out *interaction.Keyed) *interaction.Reject {
	if r := n.checkDirective(in, receivedAt); r != nil {
		return r
	}
	d := &interaction.Ordered{
		ID: in.ID, Kind: in.Kind, IssuedAt: in.IssuedAt, Scope: in.Scope, CustomerID: interaction.CustomerID(in.CustomerID),
		Reason: in.Reason, Author: in.Author, DryRun: in.DryRun,
	}
	if d.Kind == interaction.DirectiveErase && d.Scope == "" && in.A != nil {
		d.Scope = interaction.ScopeIdentifier
	}
	for _, t := range []struct {
		name string
		from *interaction.Target
		to   *interaction.Named
	}{{"a", in.A, &d.A}, {"b", in.B, &d.B}} {
		if t.from == nil {
			continue
		}
		if r := n.target(t.name, in.Realm, t.from, t.to); r != nil {
			return r
		}
	}
	switch {
	case in.B != nil && d.A == d.B:
		return badDirective("a and b are the same identifier")
	case d.Kind == interaction.DirectiveReplace && (d.A.Namespace != d.B.Namespace || d.A.Domain != d.B.Domain):
		return badDirective("replace: a and b are not of one namespace and domain")
	}
	if d.Kind == interaction.DirectiveErase && !n.erase {
		return &interaction.Reject{Reason: interaction.ReasonEraseNotEnabled,
			Detail: "identity.erase_enabled is false: nothing was erased; set it and send the record again"}
	}
	*out = interaction.Keyed{
		Realm: in.Realm, ID: n.directiveID(in), Content: n.directiveContent(in.Realm, d), SourceEventID: in.ID,
		OccurredAt: in.IssuedAt, ReceivedAt: receivedAt, Origin: origin, Identifiers: out.Identifiers[:0],
		Directive: d, Payload: interaction.EmptyPayload,
	}
	return nil
}

// checkDirective finds what makes a directive a reject whatever its identifiers are.
func (n *Normalizer) checkDirective(in *interaction.Directive, receivedAt int64) *interaction.Reject {
	for _, f := range [...]struct {
		name, value string
		limit       int
	}{{"directive_id", in.ID, MaxEventIDBytes}, {"kind", string(in.Kind), MaxNameBytes}, {"realm", in.Realm, MaxNameBytes}} {
		switch {
		case f.value == "":
			return badDirective("%s is missing or empty", f.name)
		case len(f.value) > f.limit:
			return badDirective("%s is %d bytes long, more than %d", f.name, len(f.value), f.limit)
		case !utf8.ValidString(f.value):
			return badDirective("%s is not UTF-8", f.name)
		}
	}
	for _, f := range [...]struct{ name, value string }{{"reason", in.Reason}, {"author", in.Author}} {
		switch {
		case len(f.value) > MaxNoteBytes:
			return badDirective("%s is %d bytes long, more than %d", f.name, len(f.value), MaxNoteBytes)
		case !utf8.ValidString(f.value):
			return badDirective("%s is not UTF-8", f.name)
		}
	}
	switch {
	case !slices.Contains(interaction.DirectiveKinds, in.Kind):
		return badDirective("unknown kind %s; allowed: %v", strconv.Quote(string(in.Kind)), interaction.DirectiveKinds)
	case !in.HasIssuedAt:
		return badDirective("issued_at is missing")
	case !n.hasRealm(in.Realm):
		return badDirective("unknown realm %s", strconv.Quote(in.Realm))
	case in.IssuedAt > receivedAt+n.clockAhead:
		return badDirective("issued_at is more than %d ms later than the record (clock_ahead)", n.clockAhead)
	}
	return checkMembers(in)
}

// checkMembers finds members that a kind must have and does not, or must not have and does.
func checkMembers(in *interaction.Directive) *interaction.Reject {
	a, b, customer := in.A != nil, in.B != nil, in.CustomerID != ""
	erase := in.Kind == interaction.DirectiveErase
	switch {
	case !a && !(erase && customer):
		if erase {
			return badDirective("erase needs a, or a customer_id")
		}
		return badDirective("%s needs a", in.Kind)
	case a && customer && erase:
		return badDirective("erase takes a or a customer_id, not both")
	case !erase && (customer || in.Scope != ""):
		return badDirective("%s takes no customer_id and no scope", in.Kind)
	case customer && in.Scope != "":
		return badDirective("erase by customer_id takes no scope")
	case in.Scope != "" && in.Scope != interaction.ScopeIdentifier && in.Scope != interaction.ScopeCustomer:
		return badDirective("unknown scope %s; allowed: identifier, customer", strconv.Quote(string(in.Scope)))
	}
	switch in.Kind {
	case interaction.DirectiveLink, interaction.DirectiveSeparate, interaction.DirectiveReplace:
		if !b {
			return badDirective("%s needs b", in.Kind)
		}
	case interaction.DirectiveRetract, interaction.DirectiveErase:
		if b {
			return badDirective("%s takes no b", in.Kind)
		}
	}
	if customer {
		if _, err := interaction.ParseCustomerID(in.CustomerID); err != nil {
			return badDirective("customer_id has not the form of one: c and %d characters of lower-case base32", interaction.CustomerIDLen-1)
		}
	}
	return nil
}

// target normalises an identifier of a directive, whose store must belong to the realm.
func (n *Normalizer) target(name, realm string, t *interaction.Target, to *interaction.Named) *interaction.Reject {
	value, domain, outcome, rule := n.Value(t.Namespace, t.StoreCode, t.Value)
	switch {
	case rule == RuleUndeclared:
		return badDirective("%s: namespace %.256q is not declared", name, t.Namespace)
	case rule == RuleBadStoreCode:
		return badDirective("%s: %s", name, n.store(t.StoreCode).problem)
	case outcome == interaction.OutcomeBlocked:
		return badDirective("%s: the value is on the block list (%s)", name, rule)
	case outcome != interaction.OutcomeNone || t.Overlong:
		return badDirective("%s: the value is no valid %s", name, t.Namespace)
	}
	st, needs := n.store(t.StoreCode), n.namespaces[t.Namespace].Domain != DomainNone
	if (st.code != "" || needs) && st.realm != realm {
		return badDirective("%s: store_code %s belongs to realm %s, not %s", name, strconv.Quote(st.code), strconv.Quote(st.realm), strconv.Quote(realm))
	}
	*to = interaction.Named{Namespace: t.Namespace, Domain: domain, Value: value}
	return nil
}

func (n *Normalizer) hasRealm(realm string) bool {
	for _, to := range n.realms.exact {
		if to == realm {
			return true
		}
	}
	for _, p := range n.realms.prefixes {
		if p.to == realm {
			return true
		}
	}
	return realm == n.realms.rest
}

// directiveID names a directive among the interactions: as one of a source without a name, which no interaction has.
func (n *Normalizer) directiveID(in *interaction.Directive) interaction.Hash {
	b := append(n.layout[:0], in.Realm...)
	b = append(b, interaction.Sep, interaction.Sep)
	b = append(b, in.ID...)
	n.layout = b
	sum := sha256.Sum256(b)
	return interaction.Hash(sum[:16])
}

// directiveContent hashes what tells two directives with one id apart: all but reason and author (identity.md 4.1).
//
//	content = "kinfold directive 1\n" kind issued_at a b scope customer_id dry_run
//
// kind, scope and customer_id are texts as in the content of an interaction, issued_at is the text of the decimal number, a and b
// are texts of the identifier in byte form (empty: there is none), dry_run is 0x00 or 0x01.
func (n *Normalizer) directiveContent(realm string, d *interaction.Ordered) interaction.Hash {
	b := append(n.layout[:0], "kinfold directive 1\n"...)
	b = appendText(b, string(d.Kind))
	b = appendText(b, strconv.FormatInt(d.IssuedAt, 10))
	for _, named := range [2]interaction.Named{d.A, d.B} {
		key := named.In(realm)
		if key.IsZero() {
			b = appendText(b, "")
			continue
		}
		b = appendText(b, string(key.AppendBytes(nil)))
	}
	b = appendText(b, string(d.Scope))
	b = appendText(b, string(d.CustomerID))
	b = append(b, flag(d.DryRun))
	n.layout = b
	sum := sha256.Sum256(b)
	return interaction.Hash(sum[:16])
}
