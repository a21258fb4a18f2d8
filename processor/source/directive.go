package source

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// The members that the contract knows.
var (
	directiveMembers   = []string{"directive_id", "kind", "realm", "issued_at", "a", "b", "scope", "customer_id", "reason", "author", "dry_run"}
	targetMembers      = []string{"namespace", "store_code", "value"}
	interactionMembers = []string{"event_id", "source", "channel", "type", "store_code", "user_id", "occurred_at", "identifiers", "order", "traits", "properties"}
	lineMembers        = []string{"directive", "received_at"} // of a line of a file that holds a directive
)

// DecodeDirective reads a plain JSON directive: directive_id, kind, realm, issued_at (epoch milliseconds or RFC 3339), a and b
// (each namespace, store_code, value), scope, customer_id, reason, author, dry_run. Null members are absent. Unlike an interaction it
// has no other members, and none twice: an erase with a misspelt dry_run is not to erase.
//
// Rejects: unparsable for what is no JSON object in UTF-8; bad_directive for a member that is unknown, comes twice, or has the wrong type.
func DecodeDirective(value []byte, dst *interaction.Directive) *interaction.Reject {
	r, rej := newReader(value)
	if rej != nil {
		return rej
	}
	d := decoder{reader: r}
	return d.badDirective(d.document(d.directive(dst)))
}

// LineDirective reads the member directive of a line of a file, beside which only received_at may stand. False: it has none, it has
// a member of an interaction, to which directive is one of those that are skipped, or it is no JSON object.
func LineDirective(line []byte, dst *interaction.Directive) (found bool, _ *interaction.Reject) {
	if !bytes.Contains(line, []byte(`"directive"`)) {
		return false, nil
	}
	r, rej := newReader(line)
	if rej != nil {
		return false, nil
	}
	d := decoder{reader: r}
	of := false
	rej = d.document(func(name string) *interaction.Reject {
		found = found || name == "directive"
		of = of || slices.Contains(interactionMembers, name)
		return d.skip()
	})
	if rej != nil || of || !found {
		return false, nil
	}
	d = decoder{reader: r}
	seen := members{known: lineMembers, of: "a line with a directive"}
	return true, d.badDirective(d.document(func(name string) *interaction.Reject {
		switch rej := seen.add(name); {
		case rej != nil:
			return rej
		case name != "directive":
			return d.skip()
		}
		return d.objectAt(name, d.directive(dst))
	}))
}

// badDirective gives a reject of a member its reason; what is no JSON to its end stays unparsable.
func (d *decoder) badDirective(rej *interaction.Reject) *interaction.Reject {
	if rej == nil {
		return nil
	}
	if rej = d.firstOfAll(rej); rej.Reason != interaction.ReasonUnparsable {
		rej.Reason = interaction.ReasonBadDirective
	}
	return rej
}

// members are those that an object had so far.
type members struct {
	known []string
	of    string // what the object is
	had   uint   // bit i: known[i]
}

// add refuses a member that is unknown or was there before.
func (m *members) add(name string) *interaction.Reject {
	i := slices.Index(m.known, name)
	if i < 0 {
		return &interaction.Reject{Reason: interaction.ReasonBadDirective,
			Detail: fmt.Sprintf("unknown member %s; %s has %s", shown(name), m.of, strings.Join(m.known, ", "))}
	}
	if m.had&(1<<i) != 0 {
		return &interaction.Reject{Reason: interaction.ReasonBadDirective, Detail: fmt.Sprintf("%s has the member %s twice", m.of, name)}
	}
	m.had |= 1 << i
	return nil
}

// directive returns a reader of a directive's members into dst, which it empties.
func (d *decoder) directive(dst *interaction.Directive) func(name string) *interaction.Reject {
	*dst = interaction.Directive{}
	seen := members{known: directiveMembers, of: "a directive"}
	return func(name string) *interaction.Reject {
		if rej := seen.add(name); rej != nil {
			return rej
		}
		return d.directiveMember(name, dst)
	}
}

func (d *decoder) directiveMember(name string, dst *interaction.Directive) (rej *interaction.Reject) {
	var text string
	switch name {
	case "directive_id":
		dst.ID, rej = d.code(name)
	case "kind":
		text, rej = d.word(name)
		dst.Kind = interaction.DirectiveKind(text)
	case "realm":
		dst.Realm, rej = d.word(name)
	case "issued_at":
		dst.IssuedAt, dst.HasIssuedAt, rej = d.time(name)
	case "a":
		dst.A, rej = d.target(name)
	case "b":
		dst.B, rej = d.target(name)
	case "scope":
		text, rej = d.word(name)
		dst.Scope = interaction.Scope(text)
	case "customer_id":
		dst.CustomerID, rej = d.word(name)
	case "reason":
		dst.Reason, rej = d.word(name)
	case "author":
		dst.Author, rej = d.word(name)
	case "dry_run":
		dst.DryRun, rej = d.boolean(name)
	}
	return rej
}

func (d *decoder) target(path string) (*interaction.Target, *interaction.Reject) {
	if d.null() {
		return nil, nil
	}
	t := &interaction.Target{}
	seen := members{known: targetMembers, of: path}
	rej := d.objectAt(path, func(name string) (rej *interaction.Reject) {
		if rej = seen.add(name); rej != nil {
			return rej
		}
		switch name {
		case "namespace":
			t.Namespace, rej = d.word(path + ".namespace")
		case "store_code":
			t.StoreCode, rej = d.code(path + ".store_code")
		case "value":
			var s scalar
			s, rej = d.scalar(path + ".value")
			t.Value, t.Overlong = s.text, s.kind == isOverlong
		}
		return rej
	})
	return t, rej
}
