package source

import (
	"bytes"

	"kinfold/processor/interaction"
)

// DecodeDirective reads a plain JSON directive: directive_id, kind, realm, issued_at (epoch milliseconds or RFC 3339), a and b
// (each namespace, store_code, value), scope, customer_id, reason, author, dry_run. Null members are absent, members that the
// contract does not know are skipped.
//
// Rejects: unparsable for what is no JSON object in UTF-8; bad_directive for a member of the wrong type.
func DecodeDirective(value []byte, dst *interaction.Directive) *interaction.Reject {
	r, rej := newReader(value)
	if rej != nil {
		return rej
	}
	*dst = interaction.Directive{}
	d := decoder{reader: r}
	return d.badDirective(d.document(func(name string) *interaction.Reject { return d.directiveMember(name, dst) }))
}

// LineDirective reads the member directive of a line of a file. False: it has none, or the line is no JSON object.
func LineDirective(line []byte, dst *interaction.Directive) (found bool, _ *interaction.Reject) {
	if !bytes.Contains(line, []byte(`"directive"`)) {
		return false, nil
	}
	r, rej := newReader(line)
	if rej != nil {
		return false, nil
	}
	*dst = interaction.Directive{}
	d := decoder{reader: r}
	rej = d.document(func(name string) *interaction.Reject {
		if name != "directive" {
			return d.skip()
		}
		found = true
		*dst = interaction.Directive{}
		return d.objectAt(name, func(name string) *interaction.Reject { return d.directiveMember(name, dst) })
	})
	if !found {
		return false, nil
	}
	return true, d.badDirective(rej)
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
	default:
		rej = d.skip()
	}
	return rej
}

func (d *decoder) target(path string) (*interaction.Target, *interaction.Reject) {
	if d.null() {
		return nil, nil
	}
	t := &interaction.Target{}
	rej := d.objectAt(path, func(name string) (rej *interaction.Reject) {
		switch name {
		case "namespace":
			t.Namespace, rej = d.word(path + ".namespace")
		case "store_code":
			t.StoreCode, rej = d.code(path + ".store_code")
		case "value":
			var s scalar
			s, rej = d.scalar(path + ".value")
			t.Value, t.Overlong = s.text, s.kind == isOverlong
		default:
			rej = d.skip()
		}
		return rej
	})
	return t, rej
}
