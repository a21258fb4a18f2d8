package mapping

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kinfold/processor/interaction"
	"kinfold/schemas"
)

// FuzzCompile: whatever a file holds, Compile ends with a mapping or with faults that have a place, and the mapping works.
func FuzzCompile(f *testing.F) {
	presets, err := filepath.Glob("../../../schemas/sources/*.yaml")
	if err != nil || len(presets) == 0 {
		f.Fatal(err, presets)
	}
	for _, p := range presets {
		text, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, seed := range []string{everything, "", "a", "- x", "source: [", "{a:b}", "x: &a [*a]", "extends: y", "? a\n: b", "source: s\nrules: [{when: {a.b[0]: 1}}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Compile("m", text, func(string) ([]byte, error) { return []byte("source: base\n"), nil })
		if err == nil {
			var out Result
			m.Apply(&Record{Value: []byte(`{"a": {"b": [1]}}`)}, &out)
			if len(out.Items) == 0 {
				t.Fatal("no item")
			}
			return
		}
		var faults *FaultsError
		if !errors.As(err, &faults) || len(faults.Faults) == 0 {
			t.Fatalf("no faults: %v", err)
		}
		for _, fault := range faults.Faults {
			if fault.File == "" || fault.Problem == "" || fault.Line < 0 || fault.Column < 0 {
				t.Fatalf("a fault without its place: %+v", fault)
			}
		}
	})
}

// FuzzApply: whatever a record holds, something comes of it, it is well formed, and a trace changes nothing.
func FuzzApply(f *testing.F) {
	for i := range 4 {
		for _, e := range examples {
			f.Add(uint8(i), e.rec.Value, []byte(nil), "application/json")
		}
	}
	f.Add(uint8(0), []byte(`{"payload": {"batch": [{"at": 1e9, "text": "{}", "all": {"a": [1]}}], "ids": {"a": 1, "a": 2}}}`), []byte(`{"id": 1}`), "")
	f.Add(uint8(2), []byte("a[b][c]=%41&a=+"), []byte("k"), "application/cloudevents+json")
	f.Add(uint8(3), []byte(`{"specversion": "1.0", "data_base64": "e30="}`), []byte(nil), "application/cloudevents+json; charset=utf-8")
	m := compileText(f, everything)
	topics := []string{"json", "rows", "form", "events"}
	var out, traced Result
	traced.Trace = true
	f.Fuzz(func(t *testing.T, topic uint8, value, key []byte, contentType string) {
		rec := &Record{Topic: topics[int(topic)%len(topics)], Value: value, Key: key, Timestamp: 1772445600000,
			Headers: []Header{{"content-type", []byte(contentType)}, {"ce_specversion", []byte("1.0")}}}
		m.Apply(rec, &out)
		if len(out.Items) == 0 {
			t.Fatal("no item")
		}
		for i := range out.Items {
			checkItem(t, &out.Items[i])
		}
		m.Apply(rec, &traced)
		for i := range traced.Items {
			traced.Items[i].Trace = nil
		}
		if d := cmp.Diff(out.Items, traced.Items, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("with a trace the record becomes something else: %s", d)
		}
	})
}

func checkItem(t *testing.T, it *Item) {
	switch it.Kind {
	case Interaction:
		in := &it.Interaction
		if in.Source == "" || in.Type == "" || in.Channel == "" || in.OccurredAt < earliestTime || in.OccurredAt >= latestTime {
			t.Fatalf("incomplete: %+v", in)
		}
		if in.HasUserID != (in.UserID != "") || len(in.Identifiers) > MaxIdentifiers {
			t.Fatalf("user id or identifiers: %+v", in)
		}
		for _, s := range []string{in.EventID, in.Type, in.Channel, in.StoreCode, in.UserID} {
			if !utf8.ValidString(s) {
				t.Fatalf("not UTF-8: %q", s)
			}
		}
		if _, err := schemas.AppendPayloadJSON(nil, in.Payload); err != nil {
			t.Fatalf("payload %x: %v", in.Payload, err)
		}
	case Reject:
		if !slices.Contains(interaction.Reasons, it.Reject.Reason) || it.Reject.Detail == "" {
			t.Fatalf("reject %+v", it.Reject)
		}
	case Ignore:
		if it.Ignore == "" {
			t.Fatal("ignored without a reason")
		}
	}
}
