package schemas

import (
	"encoding/base64"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// shown writes a tree as JSON that keeps its literals, so that a test shows what a mapping sees.
func shown(t *source.Tree, n source.Node) string {
	switch t.Kind(n) {
	case source.NullNode:
		return "null"
	case source.TrueNode:
		return "true"
	case source.FalseNode:
		return "false"
	case source.NumberNode:
		return t.Text(n)
	case source.TextNode:
		return string(AppendJSONString(nil, t.Text(n)))
	case source.AbsentNode:
		return "absent"
	}
	var parts []string
	for c := t.First(n); c != 0; c = t.Next(c) {
		part := shown(t, c)
		if t.Kind(n) == source.ObjectNode {
			part = string(AppendJSONString(nil, t.Name(c))) + ":" + part
		}
		parts = append(parts, part)
	}
	if t.Kind(n) == source.ArrayNode {
		return "[" + strings.Join(parts, ",") + "]"
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func readerOf(t testing.TB, schema string) *Reader {
	t.Helper()
	r, err := NewReader(schema)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestATreeHoldsWhatAMappingCanUseOfEveryType(t *testing.T) {
	long := func(v int64) string { return string(appendLong(nil, v)) }
	text := func(s string) string { return string(appendText(nil, s)) }
	logical := func(kind, name string) string { return fmt.Sprintf(`{"type":%q,"logicalType":%q}`, kind, name) }
	decimal := func(more string) string { return `{"type":"bytes","logicalType":"decimal",` + more + `}` }
	fixed := func(size int, name, more string) string {
		return fmt.Sprintf(`{"type":"fixed","name":"F","size":%d,"logicalType":%q%s}`, size, name, more)
	}
	for _, c := range []struct{ name, kind, body, want string }{
		{"null", `"null"`, "", "null"},
		{"true", `"boolean"`, "\x01", "true"},
		{"false", `"boolean"`, "\x00", "false"},
		{"int", `"int"`, long(math.MinInt32), "-2147483648"},
		{"small", `"int"`, long(99), "99"},
		{"long beyond 2^53", `"long"`, long(9007199254740993), "9007199254740993"},
		{"the least long", `"long"`, long(math.MinInt64), "-9223372036854775808"},
		{"float", `"float"`, "\xcd\xcc\xcc\x3d", "0.1"},
		{"double", `"double"`, "\x9a\x99\x99\x99\x99\x99\xb9\x3f", "0.1"},
		{"a whole double", `"double"`, "\x00\x00\x00\x00\x84\xd7\x97\x41", "100000000"},
		{"a huge double", `"double"`, "\xff\xff\xff\xff\xff\xff\xef\x7f", "1.7976931348623157e+308"},
		{"not a number", `"double"`, "\x00\x00\x00\x00\x00\x00\xf8\x7f", "null"},
		{"infinity", `"float"`, "\x00\x00\x80\xff", "null"},
		{"string", `"string"`, text("Íñigo\x00\U0001F600"), "\"Íñigo\\u0000\U0001F600\""},
		{"bytes", `"bytes"`, text("\xff\x00ñ"), `"/wDDsQ=="`},
		{"no bytes", `"bytes"`, text(""), `""`},
		{"many bytes", `"bytes"`, text(strings.Repeat("abc", 1000)), `"` + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("abc", 1000))) + `"`},
		{"fixed", `{"type":"fixed","name":"F","size":3}`, "abc", `"YWJj"`},
		{"enum", `{"type":"enum","name":"E","symbols":["web","pos"]}`, long(1), `"pos"`},
		{"nullable, null", `["null","string"]`, long(0), "null"},
		{"nullable", `["null","string"]`, long(1) + text("x"), `"x"`},
		{"nullable, null last", `["long","null"]`, long(0) + long(7), `7`},
		{"a union of several", `["null","long",{"type":"map","values":"int"}]`, long(2) + long(1) + text("k") + long(3) + "\x00", `{"k":3}`},
		{"array", `{"type":"array","items":["null","int"]}`, long(2) + long(0) + long(1) + long(5) + "\x00", "[null,5]"},
		{"array in sized blocks", `{"type":"array","items":"int"}`, long(-2) + long(2) + long(1) + long(2) + long(1) + long(3) + "\x00", "[1,2,3]"},
		{"empty array", `{"type":"array","items":"int"}`, "\x00", "[]"},
		{"map", `{"type":"map","values":"string"}`, long(2) + text("b") + text("1") + text("b") + text("2") + "\x00", `{"b":"1","b":"2"}`},
		{"record", `{"type":"record","name":"R","fields":[{"name":"x","type":"int"},{"name":"y","type":{"type":"record","name":"S","fields":[]}}]}`, long(1), `{"x":1,"y":{}}`},

		{"decimal", decimal(`"precision":9,"scale":2`), text("\x07\xcf"), "19.99"},
		{"a decimal below one", decimal(`"precision":9,"scale":4`), text("\xff"), "-0.0001"},
		{"a decimal of nothing", decimal(`"precision":9,"scale":2`), text("\x00"), "0.00"},
		{"a decimal without scale", decimal(`"precision":9`), text("\xff\x00"), "-256"},
		{"a decimal without precision", decimal(`"scale":1`), text("\x0b"), "1.1"},
		{"the least decimal of eight bytes", decimal(`"precision":20,"scale":3`), text("\x80\x00\x00\x00\x00\x00\x00\x00"), "-9223372036854775.808"},
		{"a decimal of nine bytes", decimal(`"precision":30,"scale":10`), text("\xff\x00\x00\x00\x00\x00\x00\x00\x00"), "-1844674407.3709551616"},
		{"a decimal of a huge scale", decimal(`"precision":1000,"scale":1000`), text("\x05"), "5e-1000"},
		{"fixed decimal", fixed(4, "decimal", `,"precision":9,"scale":2`), "\xff\xff\xf8\x31", "-19.99"},
		{"big-decimal", logical("bytes", "big-decimal"), text(text("\x07\xcf") + long(2)), "19.99"},
		{"big-decimal of thousands", logical("bytes", "big-decimal"), text(text("\x05") + long(-3)), "5e3"},

		{"date", logical("int", "date"), long(20484), `"2026-01-31"`},
		{"a date before 1970", logical("int", "date"), long(-1), `"1969-12-31"`},
		{"the last date", logical("int", "date"), long(2932896), `"9999-12-31"`},
		{"a date that has no text", logical("int", "date"), long(2932897), `2932897`},
		{"time-millis", logical("int", "time-millis"), long(37_800_120), `"10:30:00.12"`},
		{"time-micros", logical("long", "time-micros"), long(86_399_999_999), `"23:59:59.999999"`},
		{"no time of a day", logical("long", "time-micros"), long(86_400_000_000), `86400000000`},
		{"timestamp-millis", logical("long", "timestamp-millis"), long(1769855400123), `"2026-01-31T10:30:00.123Z"`},
		{"timestamp-millis before 1970", logical("long", "timestamp-millis"), long(-1), `"1969-12-31T23:59:59.999Z"`},
		{"the year 1", logical("long", "timestamp-millis"), long(-62135596800000), `"0001-01-01T00:00:00Z"`},
		{"timestamp-micros", logical("long", "timestamp-micros"), long(1769855400000001), `"2026-01-31T10:30:00.000001Z"`},
		{"timestamp-nanos", logical("long", "timestamp-nanos"), long(1769855400000000001), `"2026-01-31T10:30:00.000000001Z"`},
		{"a moment that has no text", logical("long", "timestamp-millis"), long(math.MaxInt64), `9223372036854775807`},
		{"the first moment", logical("long", "timestamp-micros"), long(math.MinInt64), `-9223372036854775808`},
		{"local-timestamp-millis", logical("long", "local-timestamp-millis"), long(1769855400123), `"2026-01-31T10:30:00.123"`},
		{"local-timestamp-micros", logical("long", "local-timestamp-micros"), long(1769855400000000), `"2026-01-31T10:30:00"`},
		{"local-timestamp-nanos", logical("long", "local-timestamp-nanos"), long(-1), `"1969-12-31T23:59:59.999999999"`},
		{"a long that counts milliseconds", `"long"`, long(1769855400123), `1769855400123`},
		{"uuid", logical("string", "uuid"), text("123e4567-e89b-12d3-a456-426614174000"), `"123e4567-e89b-12d3-a456-426614174000"`},
		{"fixed uuid", fixed(16, "uuid", ""), "\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00", `"123e4567-e89b-12d3-a456-426614174000"`},
		{"a uuid of another size", fixed(3, "uuid", ""), "abc", `"YWJj"`},
		{"duration", fixed(12, "duration", ""), "\x01\x00\x00\x00\x02\x00\x00\x00\xbc\x0b\x00\x00", `"P1M2DT3.004S"`},
		{"a logical type on another type", logical("string", "timestamp-millis"), text("ayer"), `"ayer"`},
		{"a logical type that nobody knows", logical("long", "epoch"), long(5), `5`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := readerOf(t, record(`{"name":"a","type":"string"},{"name":"v","type":`+c.kind+`},{"name":"z","type":"string"}`))
			body := text("A") + c.body + text("Z")
			var tree source.Tree
			root, reject := r.Tree([]byte(body), &tree)
			if reject != nil {
				t.Fatal(reject)
			}
			if d := cmp.Diff(`{"a":"A","v":`+c.want+`,"z":"Z"}`, shown(&tree, root)); d != "" {
				t.Error(d)
			}
			for cut := range body {
				tree.Reset()
				if _, reject := r.Tree([]byte(body[:cut]), &tree); reject == nil || reject.Reason != interaction.ReasonUnparsable {
					t.Errorf("%d of %d bytes: reject %v, want unparsable", cut, len(body), reject)
				}
			}
			tree.Reset()
			if _, reject := r.Tree([]byte(body+"x"), &tree); reject == nil || reject.Reason != interaction.ReasonLeftoverBytes {
				t.Errorf("a byte more: reject %v, want leftover_bytes", reject)
			}
		})
	}
}

// A topic of several kinds of events has a union as its schema, one of batches an array.
func TestATreeNeedNotBeARecord(t *testing.T) {
	event := `{"type":"record","name":"Alta","fields":[{"name":"id","type":"long"}]}`
	for schema, c := range map[string]struct{ body, want string }{
		`["null",` + event + `,{"type":"record","name":"Baja","fields":[{"name":"motivo","type":"string"}]}]`: {"\x04\x02x", `{"motivo":"x"}`},
		`{"type":"array","items":` + event + `}`: {"\x04\x02\x04\x00", `[{"id":1},{"id":2}]`},
		`{"type":"map","values":"int"}`:          {"\x02\x02k\x02\x00", `{"k":1}`},
	} {
		r := readerOf(t, schema)
		var tree source.Tree
		root, reject := r.Tree([]byte(c.body), &tree)
		if reject != nil || shown(&tree, root) != c.want {
			t.Errorf("%s: %s, reject %v, want %s", schema, shown(&tree, root), reject, c.want)
		}
		if reject := r.Interaction([]byte(c.body), &interaction.Interaction{}); reject == nil || reject.Reason != interaction.ReasonBadSchema {
			t.Errorf("%s: as an interaction it is a reject %v, want bad_schema", schema, reject)
		}
	}
}

func TestOurContractsAreTreesToo(t *testing.T) {
	codec, err := goavro.NewCodec(interactionSchema)
	if err != nil {
		t.Fatal(err)
	}
	body := visitBody()
	if _, _, err := codec.NativeFromBinary(body); err != nil {
		t.Fatal(err)
	}
	var tree source.Tree
	root, reject := readerOf(t, interactionSchema).Tree(body, &tree)
	if reject != nil {
		t.Fatal(reject)
	}
	lines := tree.Member(tree.Member(root, "order"), "lines")
	if id := tree.Text(tree.Member(root, "event_id")); id == "" || tree.Kind(lines) != source.ArrayNode && tree.Kind(tree.Member(root, "order")) != source.NullNode {
		t.Errorf("the tree is %s", shown(&tree, root))
	}
}

func TestHostileBodiesAreRejectsWithinTheirBytes(t *testing.T) {
	long := func(v int64) string { return string(appendLong(nil, v)) }
	var nulls strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&nulls, `{"name":"n%d","type":"null"},`, i)
	}
	unfolding := `{"type":"array","items":{"type":"record","name":"Id","fields":[` + nulls.String() + `{"name":"b","type":"boolean"}]}}`
	chain := `{"type":"record","name":"R0","fields":[{"name":"a","type":"int"}]}`
	fields := `{"name":"r0","type":` + chain + `}`
	for i := range 70 { // no definition is deep, the values are
		fields += fmt.Sprintf(`,{"name":"r%d","type":{"type":"record","name":"R%d","fields":[{"name":"a","type":"R%d"}]}}`, i+1, i+1, i)
	}
	strict := interaction.ReasonUnparsable
	for name, c := range map[string]struct {
		kind, body string
		reason     interaction.Reason
	}{
		"2^31 items":                       {`{"type":"array","items":"int"}`, long(1 << 31), strict},
		"2^62 items":                       {`{"type":"array","items":"int"}`, long(1 << 62), strict},
		"the most negative count":          {`{"type":"array","items":"int"}`, long(math.MinInt64) + long(1), strict},
		"a negative count, 2^31 items":     {`{"type":"array","items":"int"}`, long(-1<<31) + long(4), strict},
		"a negative size":                  {`{"type":"array","items":"int"}`, long(-1) + long(-4) + long(0) + "\x00", strict},
		"2^31 entries":                     {`{"type":"map","values":"int"}`, long(1 << 31), strict},
		"2^31 items again and again":       {`{"type":"array","items":"int"}`, strings.Repeat(long(1)+long(1), 10) + long(1<<31), strict},
		"a string of 2^40 bytes":           {`"string"`, long(1 << 40), strict},
		"a string of -1 bytes":             {`"string"`, long(-1), strict},
		"bytes of 2^62":                    {`"bytes"`, long(1 << 62), strict},
		"a string that is not UTF-8":       {`"string"`, string(appendText(nil, "a\xff")), strict},
		"half a surrogate":                 {`"string"`, string(appendText(nil, "\xed\xa0\x80")), strict},
		"a key that is not UTF-8":          {`{"type":"map","values":"int"}`, long(1) + string(appendText(nil, "\xc3")) + long(1) + "\x00", strict},
		"an int of 33 bits":                {`"int"`, long(1 << 32), strict},
		"a number of 11 bytes":             {`"long"`, strings.Repeat("\xff", 10) + "\x01", strict},
		"a boolean of 2":                   {`"boolean"`, "\x02", strict},
		"a branch too many":                {`["null","int"]`, long(2), strict},
		"a branch of -1":                   {`["null","int"]`, long(-1), strict},
		"a symbol too many":                {`{"type":"enum","name":"E","symbols":["a"]}`, long(1), strict},
		"a fixed that is not there":        {`{"type":"fixed","name":"F","size":60000000}`, "abc", strict},
		"a decimal without a byte":         {`{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, long(0), strict},
		"a decimal of 1001 bytes":          {`{"type":"bytes","logicalType":"decimal","precision":9}`, long(1001) + strings.Repeat("\x7f", 1001), strict},
		"a fixed decimal of 2000 bytes":    {`{"type":"fixed","name":"F","size":2000,"logicalType":"decimal","precision":9}`, strings.Repeat("\x7f", 2000), strict},
		"a big-decimal without scale":      {`{"type":"bytes","logicalType":"big-decimal"}`, string(appendText(nil, string(appendText(nil, "\x01")))), strict},
		"a big-decimal of a huge scale":    {`{"type":"bytes","logicalType":"big-decimal"}`, string(appendText(nil, string(appendText(nil, "\x01"))+long(math.MinInt32))), strict},
		"values nested deeper than a tree": {`{"type":"record","name":"R","fields":[` + fields + `]}`, strings.Repeat("\x02", 71), strict},
		"nulls that take no bytes":         {unfolding, long(10_000) + strings.Repeat("\x00", 10_001), interaction.ReasonTooLarge},
		"more values than a tree holds":    {`{"type":"array","items":["null","int"]}`, long(300_000) + strings.Repeat("\x00", 300_001), interaction.ReasonTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := readerOf(t, `{"type":"record","name":"Venta","fields":[{"name":"v","type":`+c.kind+`}]}`)
			var tree source.Tree
			tree.Reset()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, reject := r.Tree([]byte(c.body), &tree)
			runtime.ReadMemStats(&after)
			if reject == nil || reject.Reason != c.reason {
				t.Errorf("reject %v, want %s", reject, c.reason)
			}
			// A tree that is full is the most that a record can cost: its values while they grow.
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 && c.reason == strict || got > 100<<20 {
				t.Errorf("%d bytes of input took %d bytes of memory", len(c.body), got)
			}
		})
	}
}

// What a value may unfold to: a byte that stands for a long text.
func TestTextsOfShortValuesStayShort(t *testing.T) {
	const n = 100_000
	for _, kind := range []string{
		`{"type":"bytes","logicalType":"decimal","precision":1000,"scale":1000}`,
		`{"type":"long","logicalType":"timestamp-nanos"}`,
		`{"type":"bytes","logicalType":"decimal","precision":40,"scale":40}`,
	} {
		item := "\x02\x05"
		if strings.Contains(kind, "long") {
			item = "\x05"
		}
		r := readerOf(t, record(`{"name":"v","type":{"type":"array","items":`+kind+`}}`))
		var tree source.Tree
		root, reject := r.Tree([]byte(string(appendLong(nil, n))+strings.Repeat(item, n)+"\x00"), &tree)
		if reject != nil {
			t.Fatal(reject)
		}
		for c := tree.First(tree.First(root)); c != 0; c = tree.Next(c) {
			if len(tree.Text(c)) > 45 {
				t.Fatalf("%s: a value of two bytes at most is %s", kind, tree.Text(c))
			}
		}
	}
}

func TestADecimalWhoseScaleCannotBeReadIsABadSchema(t *testing.T) {
	for _, more := range []string{`"scale":"2"`, `"scale":2.5`, `"scale":-1`, `"scale":1001`, `"scale":null`, `"scale":true`, `"precision":1e9`, `"precision":"9"`} {
		_, err := NewReader(record(`{"name":"v","type":{"type":"bytes","logicalType":"decimal",` + more + `}}`))
		if err == nil || !strings.Contains(err.Error(), "decimal") {
			t.Errorf("%s: error %v, want one about the decimal", more, err)
		}
	}
}

// A tree that was used before holds nothing of it, and texts outlive the tree and the bytes.
func TestNothingInATreePointsIntoTheBody(t *testing.T) {
	r := readerOf(t, record(`{"name":"a","type":"string"},{"name":"n","type":"long"}`))
	body := append(appendText(nil, "Ana"), appendLong(nil, 123456)...)
	var tree source.Tree
	root, reject := r.Tree(body, &tree)
	if reject != nil {
		t.Fatal(reject)
	}
	name, number := tree.Text(tree.Member(root, "a")), tree.Text(tree.Member(root, "n"))
	clear(body)
	tree.Reset()
	if name != "Ana" || number != "123456" {
		t.Errorf("texts %q and %q have changed", name, number)
	}
}
