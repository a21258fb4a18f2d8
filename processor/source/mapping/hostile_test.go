package mapping

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// everything asks for whatever the language can ask for, so that no part of a hostile record is passed by.
const everything = `
source: everything
inputs:
  - {when: {"@topic": rows}, format: delimited, delimiter: "|", columns: [a, b, c], encoding: [utf-8, windows-1252]}
  - {when: {"@topic": form}, format: form}
  - {when: {"@topic": events}, format: cloudevents}
  - {format: json, unwrap: [payload], explode: batch}
let:
  list: {index: params, by: key, value: value}
  shared: {index: /params, by: key}
  inner: {parse: text}
  root: {parse: /text}
defaults:
  event_id: {key: [/a, b, {path: c, optional: true}]}
  channel: [{path: channel, as: snake}, {const: web}]
  store_code: [store, $shared.store]
  user_id: {path: /user, match: '(\w+)', prefix: u-}
  occurred_at: [{path: at, time: unix_ms}, day, {path: "@timestamp", time: unix_ms}]
  identifiers:
    - {namespace: email, value: /email, when: {/email: {match: 'x*y'}}}
    - {each: /ids, namespace: {path: "@name", as: lower, map: {a: email, b: phone}}, value: [id, .]}
    - {each: all, namespace: {const: phone}, value: .}
  order: {order_number: [number, $inner.number], total_amount: total, lines: {each: [lines, /lines], sku: [sku, .], quantity: n, unit_price: p}}
  traits: {a: a, snake: {path: /long, as: snake}, list: $list.x, root: $root.x}
  properties: {long: /long, key: "@key.id", index: "@index"}
rules:
  - when: {type: ignore}
    ignore: asked_for
  - type: [type, {const: t}]
`

func compileText(t testing.TB, text string) *Mapping {
	t.Helper()
	m, err := Compile("m", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// elements is a batch of n small elements beside what they share.
func elementsBeside(n int, shared string) string {
	return `{"batch": [` + strings.TrimSuffix(strings.Repeat(`{"a":1},`, n), ",") + `], ` + shared + `}`
}

// maxMadeBytes is what one record may have allocated, its tree included: several times its own bytes and what it may put out.
const maxMadeBytes = 512 << 20

// The work on a record is what it puts out and has searched, and what it allocates: both are counted, so that no clock decides.
func TestHostileRecordsAreRejectsInBoundedWorkAndMemory(t *testing.T) {
	long := strings.Repeat("x", 10<<20)
	m := compileText(t, everything)
	for _, c := range []struct {
		name, topic, value, want string
	}{
		{"nested", "", strings.Repeat("[", 100_000), "reject unparsable"},
		{"nested objects", "", strings.Repeat(`{"a":`, 100_000), "reject unparsable"},
		{"nested to its end", "", strings.Repeat("[", 1_000) + strings.Repeat("]", 1_000), "reject unparsable"},
		{"nested text", "", `{"text": "` + strings.Repeat("[", 100_000) + `"}`, "interaction t"},
		{"long text", "", `{"user": "` + long + `"}`, "reject invalid:user_id"},
		{"long text in the key", "", `{"a": "` + long[:5_000] + `", "b": 1}`, "reject invalid:event_id"},
		{"long text that nothing asks for", "", `{"type": "t", "other": "` + long + `"}`, "interaction t"},
		{"long space", "", `{"user": "` + strings.Repeat(" ", 10<<20) + `"}`, "reject invalid:user_id"},
		{"long name", "", `{"` + long + `": 1}`, "interaction t"},
		{"long identifier", "", `{"email": "y` + long + `"}`, "interaction t"},
		{"long type", "", `{"type": "` + long + `"}`, "reject invalid:type"},
		{"long property", "", `{"long": "` + long + `"}`, "reject invalid:traits.snake"},
		{"large number", "", `{"at": 1e999999999}`, "interaction t"},
		{"many digits", "", `{"number": 1, "total": ` + strings.Repeat("9", 1<<20) + `}`, "interaction t"},
		{"large amount", "", `{"number": 1, "total": "1e999999999"}`, "reject invalid:total_amount"},
		{"too large", "", `{"a": "` + strings.Repeat("x", MaxRecordBytes) + `"}`, "reject too_large"},
		{"many values", "", "[" + strings.Repeat("0,", 1<<20) + "0]", "reject too_large"},
		{"many elements", "", elementsBeside(MaxElements+1, `"z": 1`), "reject too_large"},
		{"many identifiers", "", `{"all": [` + strings.Repeat(`"5",`, MaxIdentifiers) + `"6"]}`, "reject invalid:identifiers"},
		{"many lines", "", `{"number": 1, "lines": [` + strings.Repeat("0,", MaxLines) + `0]}`, "reject invalid:lines"},
		{"invalid UTF-8", "", "{\"a\": \"\xff\"}", "reject unparsable"},
		{"half a pair", "", `{"a": "\ud83d"}`, "reject unparsable"},
		{"NUL", "", "{\"a\": \"\x00\"}", "reject unparsable"},
		{"NUL alone", "", "\x00", "reject unparsable"},
		{"Windows-1252", "", "{\"a\": \"MAR\xcdA\"}", "reject unparsable"},
		{"nothing in Windows-1252", "rows", "a|\x81|c", "reject unparsable"},
		{"many cells", "rows", strings.Repeat("|", 10<<20), "reject unparsable"},
		{"many pairs", "form", strings.Repeat("a[b]=1&", 1<<20), "reject too_large"},
		{"nested names", "form", "a" + strings.Repeat("[b]", 1<<20) + "=1", "reject unparsable"},
		{"nested event", "events", strings.Repeat("[", 100_000), "reject unparsable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out Result
			applyBounded(t, m, c.topic, c.value, &out)
			got := describe(&out.Items[0])
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%.200s, want %s", got, c.want)
			}
		})
	}
}

// applyBounded applies the mapping and holds the work to its bounds. The
// element that reaches the bound is finished: it may go beyond by the few texts that everything asks for.
func applyBounded(t *testing.T, m *Mapping, topic, value string, out *Result) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m.Apply(&Record{Topic: topic, Value: []byte(value), Timestamp: 1772445600000}, out)
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; made > maxMadeBytes {
		t.Errorf("made %d MiB", made>>20)
	}
	if out.run.output > MaxOutputBytes+16*MaxTextBytes {
		t.Errorf("put out and searched %d bytes", out.run.output)
	}
}

// Elements that all look at one large thing of their envelope multiply it. The bound holds for the record as a whole.
func TestElementsDoNotMultiplyTheirEnvelopeWithoutBound(t *testing.T) {
	m := compileText(t, everything)
	var ids, params strings.Builder
	for i := range 900 {
		fmt.Fprintf(&ids, `{"id": "%d"},`, i)
	}
	for i := range 10_000 {
		fmt.Fprintf(&params, `{"key": "k%d", "value": %d},`, i, i)
	}
	for name, shared := range map[string]string{
		"text":        `"long": "` + strings.Repeat("X ", 32<<10) + `"`,
		"search":      `"email": "` + strings.Repeat("x", 64<<10) + `"`,
		"space":       `"user": "` + strings.Repeat(" ", 64<<10) + `"`,
		"identifiers": `"ids": {"a": [` + strings.TrimSuffix(ids.String(), ",") + `]}`,
		"index":       `"params": [` + strings.TrimSuffix(params.String(), ",") + `]`,
		"lines":       `"lines": [` + strings.Repeat("0,", 9_000) + `0]`,
		"parse":       `"text": "` + strings.Repeat("[", 60) + strings.Repeat("0,", 100_000) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			var out Result
			applyBounded(t, m, "", elementsBeside(MaxElements, shared), &out)
			if len(out.Items) != MaxElements {
				t.Errorf("%d items", len(out.Items))
			}
		})
	}
}

func TestOneMappingServesManyGoroutines(t *testing.T) {
	m := preset(t, "segment")
	var want Result
	m.Apply(&examples[0].rec, &want)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var out Result
			for range 500 {
				m.Apply(&examples[1].rec, &out)
				m.Apply(&examples[0].rec, &out)
				if d := cmp.Diff(want.Items, out.Items); d != "" {
					t.Error(d)
					return
				}
			}
		})
	}
	group.Wait()
}

// A Result is used again and again: nothing of one record may be left in the next, and nothing points into the record.
func TestNothingOfARecordIsLeftInTheNext(t *testing.T) {
	var again Result
	for range 2 {
		for _, e := range examples {
			m := preset(t, e.preset)
			var fresh Result
			m.Apply(&e.rec, &fresh)
			rec := e.rec
			rec.Value = bytes.Clone(rec.Value)
			m.Apply(&rec, &again)
			clear(rec.Value)
			if d := cmp.Diff(fresh.Items, again.Items, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s: %s", e.name, d)
			}
		}
	}
}

// A decoder of another format fills the tree itself; what comes out is the same.
func TestADecodedTreeGivesWhatItsJSONGives(t *testing.T) {
	m := compileText(t, everything)
	var fromJSON, fromTree Result
	rec := &Record{Value: []byte(`{"batch": [{"number": 12.50, "type": "x", "all": ["1"]}, {"type": "ignore"}], "user": "U", "flag": true, "none": null}`), Timestamp: 1772445600000}
	m.Apply(rec, &fromJSON)

	tree := fromTree.Tree()
	root := tree.Add(0, "", source.ObjectNode, "")
	batch := tree.Add(root, "batch", source.ArrayNode, "")
	first := tree.Add(batch, "", source.ObjectNode, "")
	tree.Add(first, "number", source.NumberNode, "12.50")
	tree.Add(first, "type", source.TextNode, "x")
	tree.Add(tree.Add(first, "all", source.ArrayNode, ""), "", source.TextNode, "1")
	tree.Add(tree.Add(batch, "", source.ObjectNode, ""), "type", source.TextNode, "ignore")
	tree.Add(root, "user", source.TextNode, "U")
	tree.Add(root, "flag", source.TrueNode, "")
	tree.Add(root, "none", source.NullNode, "")
	m.ApplyTree(rec, root, &fromTree)
	if d := cmp.Diff(fromJSON.Items, fromTree.Items); d != "" {
		t.Fatal(d)
	}

	for topic, want := range map[string]interaction.Reason{"rows": interaction.ReasonUnsupportedType, "json": interaction.ReasonUnparsable} {
		var out Result
		m.ApplyTree(&Record{Topic: topic}, out.Tree().Add(0, "", source.TextNode, "x"), &out)
		if got := out.Items[0].Reject; got == nil || got.Reason != want {
			t.Errorf("%s: %v, want %s", topic, got, want)
		}
	}
	var out Result
	out.Tree()
	if m.ApplyTree(rec, 0, &out); describe(&out.Items[0]) != "ignore tombstone" {
		t.Errorf("no value: %s", describe(&out.Items[0]))
	}
}
