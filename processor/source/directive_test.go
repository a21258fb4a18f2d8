package source

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"kinfold/processor/interaction"
)

// FuzzDecodeDirective: whatever a value holds is a directive of valid JSON whose texts are UTF-8, or a reject of one of two reasons
// that says why.
func FuzzDecodeDirective(f *testing.F) {
	for _, seed := range []string{
		`{"directive_id":"case-1","kind":"link","realm":"default","issued_at":"2026-03-02T12:00:00Z","a":{"namespace":"user","store_code":"S01","value":"7"},"b":{"namespace":"email","value":"a@b.example"}}`,
		`{"directive_id":"x","kind":"erase","scope":"customer","customer_id":"c","issued_at":1772452800000,"dry_run":true,"reason":null,"a":null}`,
		`{"a":{"namespace":5}}`, `{"dry_run":"yes"}`, "[]", "{}", "{\"reason\":\"\xff\"}", `{"a":{"a":{"a":{}}}}`, `{"issued_at":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var d interaction.Directive
		rej := DecodeDirective(value, &d)
		if rej != nil {
			if rej.Detail == "" || rej.Reason != interaction.ReasonUnparsable && rej.Reason != interaction.ReasonBadDirective && rej.Reason != interaction.ReasonTooLarge {
				t.Errorf("reject %+v", rej)
			}
			return
		}
		if !json.Valid(value) {
			t.Errorf("taken, and encoding/json refuses it: %q", value)
		}
		texts := []string{d.ID, string(d.Kind), d.Realm, string(d.Scope), d.CustomerID, d.Reason, d.Author}
		for _, of := range []*interaction.Target{d.A, d.B} {
			if of != nil {
				texts = append(texts, of.Namespace, of.StoreCode, of.Value)
			}
		}
		for _, s := range texts {
			if !utf8.ValidString(s) {
				t.Errorf("a text that is not UTF-8: %q", s)
			}
		}
	})
}
