package schemas

import (
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

const required = `{"name":"event_id","type":"string"},{"name":"source","type":"string"},{"name":"channel","type":"string"},{"name":"type","type":"string"},{"name":"occurred_at","type":"long"}`

func record(fields string) string {
	return `{"type":"record","name":"Venta","namespace":"tienda.v2","fields":[` + fields + `]}`
}

// written encodes a record with a writer's schema and reads it as an interaction.
func written(t *testing.T, schema string, native map[string]any) (interaction.Interaction, *interaction.Reject) {
	t.Helper()
	r, err := NewReader(schema)
	if err != nil {
		t.Fatal(err)
	}
	c, err := goavro.NewCodec(schema)
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.BinaryFromNative(nil, native)
	if err != nil {
		t.Fatal(err)
	}
	in := interaction.Interaction{UserIDOverlong: true, Identifiers: []interaction.Raw{{Namespace: "of the record before"}}}
	reject := r.Interaction(body, &in)
	if reject == nil {
		if extra := r.Interaction(append(body, 7), &interaction.Interaction{}); extra == nil || extra.Reason != interaction.ReasonLeftoverBytes {
			t.Errorf("a byte left over gives %v", extra)
		}
	}
	return in, reject
}

func event(more map[string]any) map[string]any {
	m := map[string]any{"event_id": "v-1", "source": "pos", "channel": "pos", "type": "order.placed", "occurred_at": int64(1772452800000)}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func TestEvolvedWritersAreReadByName(t *testing.T) {
	plain := interaction.Interaction{EventID: "v-1", Source: "pos", Channel: "pos", Type: "order.placed", OccurredAt: 1772452800000, TimeStated: true, Payload: []byte{0, 0, 0}}
	with := func(change func(*interaction.Interaction)) interaction.Interaction {
		in := plain
		change(&in)
		return in
	}
	for name, c := range map[string]struct {
		schema string
		native map[string]any
		want   interaction.Interaction
	}{
		"only what must be there": {record(required), event(nil), plain},
		"a field that we do not know": {record(required + `,{"name":"cajero","type":["null","string"]}`),
			event(map[string]any{"cajero": goavro.Union("string", "Inés")}), plain},
		"fields in another order, nullable": {record(`{"name":"user_id","type":["string","null"]},` + required),
			event(map[string]any{"user_id": goavro.Union("string", "ñandú-7")}), with(func(in *interaction.Interaction) { in.UserID, in.HasUserID = "ñandú-7", true })},
		"null": {record(required + `,{"name":"user_id","type":["null","string"]},{"name":"store_code","type":["null","string"]}`),
			event(map[string]any{"user_id": nil, "store_code": nil}), plain},
		"renamed with an alias": {record(strings.Replace(required, `"name":"source"`, `"name":"sistema","aliases":["source"]`, 1)),
			event(map[string]any{"sistema": "pos"}), plain},
		"int for long": {record(strings.Replace(required, `"occurred_at","type":"long"`, `"occurred_at","type":"int"`, 1)),
			event(map[string]any{"occurred_at": int32(1772452800)}), with(func(in *interaction.Interaction) { in.OccurredAt = 1772452800 })},
		"microseconds": {record(strings.Replace(required, `"occurred_at","type":"long"`, `"occurred_at","type":{"type":"long","logicalType":"timestamp-micros"}`, 1)),
			event(map[string]any{"occurred_at": time.UnixMicro(1772452800000999)}), plain},
		"bytes for string, enum for string": {record(strings.Replace(strings.Replace(required, `"event_id","type":"string"`, `"event_id","type":"bytes"`, 1),
			`"channel","type":"string"`, `"channel","type":{"type":"enum","name":"Canal","symbols":["web","pos"]}`, 1)),
			event(map[string]any{"event_id": []byte("v-1")}), plain},
		"identifiers without verified": {record(required + `,{"name":"identifiers","type":{"type":"array","items":{"type":"record","name":"Id","fields":[{"name":"value","type":"string"},{"name":"namespace","type":"string"}]}}}`),
			event(map[string]any{"identifiers": []any{map[string]any{"namespace": "email", "value": "zoé@correo.example"}}}),
			with(func(in *interaction.Interaction) {
				in.Identifiers = []interaction.Raw{{Namespace: "email", Value: "zoé@correo.example"}}
			})},
		"order with a decimal of scale 2, and a double": {record(required + `,{"name":"order","type":["null",{"type":"record","name":"Pedido","fields":[
				{"name":"order_number","type":"string"},{"name":"total_amount","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
				{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Linea","fields":[{"name":"sku","type":"string"},{"name":"quantity","type":"double"}]}}}]}]}`),
			event(map[string]any{"order": goavro.Union("tienda.v2.Pedido", map[string]any{"order_number": "A-1", "total_amount": big.NewRat(1999, 100),
				"lines": []any{map[string]any{"sku": "S", "quantity": 0.5}}})}),
			with(func(in *interaction.Interaction) {
				// 19.99 is 199900 at scale 4: 03 0C DC; a half is 5000: 13 88
				in.Payload = []byte{2, 6, 'A', '-', '1', 0, 2, 6, 0x03, 0x0C, 0xDC, 2, 2, 'S', 0, 2, 4, 0x13, 0x88, 0, 0, 0, 0}
			})},
		"decimals of a fixed type, and of two scales": {record(required + `,{"name":"order","type":{"type":"record","name":"Pedido","fields":[
				{"name":"order_number","type":"string"},{"name":"total_amount","type":{"type":"fixed","name":"Importe","size":12,"logicalType":"decimal","precision":18,"scale":3}},
				{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Linea","fields":[{"name":"sku","type":"string"},
				{"name":"quantity","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":0}},{"name":"unit_price","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]}]}}}]}}`),
			event(map[string]any{"order": map[string]any{"order_number": "A-1", "total_amount": big.NewRat(-2, 1000),
				"lines": []any{map[string]any{"sku": "S", "quantity": big.NewRat(3, 1), "unit_price": goavro.Union("bytes.decimal", big.NewRat(-1, 100))}}}}),
			with(func(in *interaction.Interaction) {
				// -20 is EC, 30000 is 75 30, -100 is 9C, all at scale 4
				in.Payload = []byte{2, 6, 'A', '-', '1', 0, 2, 2, 0xEC, 2, 2, 'S', 0, 2, 4, 0x75, 0x30, 2, 2, 0x9C, 0, 0, 0}
			})},
		"text as Java's generator marks it": {record(strings.Replace(required, `"event_id","type":"string"`, `"event_id","type":{"type":"string","avro.java.string":"String"}`, 1)), event(nil), plain},
		"nanoseconds before 1970": {record(strings.Replace(required, `"occurred_at","type":"long"`, `"occurred_at","type":{"type":"long","logicalType":"timestamp-nanos"}`, 1)),
			event(map[string]any{"occurred_at": int64(-1)}), with(func(in *interaction.Interaction) { in.OccurredAt = -1 })},
		"maps with nullable values, in the order of their keys": {record(required + `,{"name":"traits","type":{"type":"map","values":["null","string"]}}`),
			event(map[string]any{"traits": map[string]any{"b": goavro.Union("string", "2"), "a": goavro.Union("string", "1"), "c": nil}}),
			with(func(in *interaction.Interaction) { in.Payload = []byte{0, 4, 2, 'a', 2, '1', 2, 'b', 2, '2', 0, 0} })},
	} {
		t.Run(name, func(t *testing.T) {
			got, reject := written(t, c.schema, c.native)
			if reject != nil {
				t.Fatal(reject)
			}
			if len(got.Identifiers) == 0 {
				got.Identifiers = nil
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("interaction (-want +got):\n%s", d)
			}
		})
	}
}

// What a schema says beside its layout does not matter to a record that is written: the library refuses such schemas, or panics.
func TestSchemasAreReadWhateverTheySayBesideTheirLayout(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		body   []byte
		userID string
	}{
		"two decimals without scale": {`{"name":"user_id","type":"string"},{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":4}},{"name":"b","type":{"type":"bytes","logicalType":"decimal","precision":4}}`,
			[]byte{4, 'C', '7', 2, 1, 2, 1}, "C7"},
		"a decimal without precision":  {`{"name":"user_id","type":"string"},{"name":"a","type":{"type":"bytes","logicalType":"decimal"}}`, []byte{4, 'C', '7', 2, 1}, "C7"},
		"a default of another type":    {`{"name":"user_id","type":"string","default":5}`, []byte{4, 'C', '7'}, "C7"},
		"a default of no first branch": {`{"name":"user_id","type":["null","string"],"default":"nadie"}`, []byte{2, 4, 'C', '7'}, "C7"},
		"a pattern that is not kept":   {`{"name":"user_id","type":{"type":"string","logicalType":"validated-string","name":"x","pattern":"^[0-9]+$"}}`, []byte{4, 'C', '7'}, "C7"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(record(required + "," + c.fields))
			if err != nil {
				t.Fatal(err)
			}
			var in interaction.Interaction
			if reject := r.Interaction(append([]byte{2, 'e', 2, 's', 2, 'c', 2, 't', 2}, c.body...), &in); reject != nil {
				t.Fatal(reject)
			}
			if in.UserID != c.userID || in.OccurredAt != 1 {
				t.Errorf("interaction %+v, want user_id %s at 1", in, c.userID)
			}
		})
	}
}

func TestFieldsThatDoNotFitAreRejectsThatNameThem(t *testing.T) {
	amount := func(scale int) string {
		return record(required + fmt.Sprintf(`,{"name":"order","type":{"type":"record","name":"Pedido","fields":[{"name":"order_number","type":"string"},{"name":"total_amount","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":%d}}]}}`, scale))
	}
	for name, c := range map[string]struct {
		schema string
		native map[string]any
		reason interaction.Reason
		detail string
	}{
		"a number as source": {record(strings.Replace(required, `"source","type":"string"`, `"source","type":"long"`, 1)), event(map[string]any{"source": int64(1)}), interaction.ReasonInvalidField, "source"},
		"a time as text":     {record(strings.Replace(required, `"occurred_at","type":"long"`, `"occurred_at","type":"string"`, 1)), event(map[string]any{"occurred_at": "ayer"}), interaction.ReasonBadTime, "occurred_at"},
		"a local time":       {record(strings.Replace(required, `"occurred_at","type":"long"`, `"occurred_at","type":{"type":"long","logicalType":"local-timestamp-millis"}`, 1)), event(nil), interaction.ReasonBadTime, "occurred_at"},
		"no time":            {record(strings.Replace(required, `,{"name":"occurred_at","type":"long"}`, "", 1)), event(nil), interaction.ReasonMissingField, "occurred_at"},
		"a boolean in an array": {record(required + `,{"name":"identifiers","type":{"type":"array","items":"boolean"}}`),
			event(map[string]any{"identifiers": []any{true}}), interaction.ReasonInvalidField, "identifiers[0]"},
		"an amount with five digits after the point": {amount(5), event(map[string]any{"order": map[string]any{"order_number": "1", "total_amount": big.NewRat(1, 100_000)}}),
			interaction.ReasonInvalidField, "order.total_amount"},
		"an amount of twenty digits": {amount(0), event(map[string]any{"order": map[string]any{"order_number": "1", "total_amount": new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(19), nil))}}),
			interaction.ReasonInvalidField, "order.total_amount"},
	} {
		t.Run(name, func(t *testing.T) {
			_, reject := written(t, c.schema, c.native)
			if reject == nil || reject.Reason != c.reason || !strings.HasPrefix(reject.Detail, c.detail+":") {
				t.Errorf("reject %v, want %s that begins with %s", reject, c.reason, c.detail)
			}
		})
	}
}

func TestHostileSchemasAreRefused(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","items":`, 1000) + `"string"` + strings.Repeat("}", 1000)
	for name, c := range map[string]struct{ schema, want string }{
		"refers to itself":           {`{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}`, "refers to itself"},
		"through a union":            {`{"type":"record","name":"A","fields":[{"name":"a","type":["null","A"]}]}`, "refers to itself"},
		"through an array and a map": {`{"type":"record","name":"A","namespace":"x","fields":[{"name":"a","type":{"type":"array","items":{"type":"map","values":"x.A"}}}]}`, "refers to itself"},
		"a name that is none":        {record(`{"name":"código postal","type":"string"}`), "Avro library"},
		"a fixed type of no size":    {record(`{"name":"a","type":{"type":"fixed","name":"F","size":-5}}`), "size of -5"},
		"a huge fixed type":          {record(`{"name":"a","type":{"type":"fixed","name":"F","size":1e30}}`), "at most"},
		"items without bytes":        {record(`{"name":"a","type":{"type":"array","items":"null"}}`), "take no bytes"},
		"nested deeply":              {record(`{"name":"a","type":` + deep + `}`), "nested deeper"},
		"large":                      {record(`{"name":"a","type":"string","doc":"` + strings.Repeat("x", 2<<20) + `"}`), "at most"},
		"a type named like Avro's":   {`{"type":"record","name":"long","fields":[{"name":"a","type":"string"}]}`, "Avro's own"},
		"a type named long.foo":      {`{"type":"record","name":"foo","namespace":"long","fields":[{"name":"a","type":{"type":"long","logicalType":"foo"}}]}`, "Avro's own"},
		"types that double":          {doubling(34), "multiply"},
		"a decimal of 10^8 digits":   {record(`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":100000000,"scale":100000000}}`), "decimal"},
		"no record":                  {`"string"`, "not a record"},
		"no JSON":                    {`{`, "no JSON"},
		"undefined type":             {record(`{"name":"a","type":"Perdido"}`), "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewReader(c.schema); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// doubling is a chain of records, each with two fields of the one before it.
func doubling(n int) string {
	fields := `{"name":"a","type":{"type":"record","name":"R0","fields":[]}}`
	for i := range n {
		fields += fmt.Sprintf(`,{"name":"f%d","type":{"type":"record","name":"R%d","fields":[{"name":"a","type":"tienda.v2.R%d"},{"name":"b","type":"tienda.v2.R%d"}]}}`, i, i+1, i, i)
	}
	return record(fields)
}

func TestUnionsOfAnyShapeNeverEndTheProcess(t *testing.T) {
	_, reject := written(t, record(required+`,{"name":"identifiers","type":["string",{"type":"array","items":"string"}]}`),
		event(map[string]any{"identifiers": goavro.Union("array", []any{"a"})}))
	if reject == nil || reject.Reason != interaction.ReasonInvalidField {
		t.Errorf("reject %v, want invalid_field", reject)
	}
	in, reject := written(t, record(required+`,{"name":"traits","type":["string",{"type":"map","values":"string"}]}`),
		event(map[string]any{"traits": goavro.Union("map", map[string]any{"a": "1"})}))
	if reject != nil || len(in.Payload) < 5 {
		t.Errorf("interaction %v, reject %v", in, reject)
	}
}

func TestOurSchemaReformattedIsReadByTheTypedCodec(t *testing.T) {
	for name, schema := range map[string]string{
		"as it is":             interactionSchema,
		"without white space":  strings.Join(strings.Fields(interactionSchema), " "),
		"without its defaults": strings.ReplaceAll(interactionSchema, `"default": null, `, ""),
	} {
		r, err := NewReader(schema)
		if err != nil {
			t.Fatal(err)
		}
		if r.codec != nil {
			t.Errorf("%s: it goes through the slow way", name)
		}
	}
	other, err := NewReader(strings.ReplaceAll(interactionSchema, `"scale": 4`, `"scale": 2`))
	if err != nil {
		t.Fatal(err)
	}
	if other.codec == nil {
		t.Error("a schema with another scale is taken for ours")
	}
}

func TestHugeBlocksOfAForeignRecordEndInAReject(t *testing.T) {
	r, err := NewReader(record(required + `,{"name":"identifiers","type":{"type":"array","items":"string"}}`))
	if err != nil {
		t.Fatal(err)
	}
	body := appendLong([]byte{0, 0, 0, 0, 0}, 1<<31)
	if reject := r.Interaction(body, &interaction.Interaction{}); reject == nil || reject.Reason != interaction.ReasonInvalidField {
		t.Errorf("reject %v, want invalid_field", reject)
	}
}

// A null takes no byte: a short record of the schema of a stranger could stand for any number of them.
func TestARecordThatUnfoldsIsRefusedBeforeItDoes(t *testing.T) {
	var nulls strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&nulls, `{"name":"n%d","type":"null"},`, i)
	}
	r, err := NewReader(record(required + `,{"name":"identifiers","type":{"type":"array","items":{"type":"record","name":"Id","fields":[` + nulls.String() + `{"name":"b","type":"boolean"}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	const items = 10_000
	body := append(appendLong([]byte{0, 0, 0, 0, 0}, items), make([]byte, items+1)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	reject := r.Interaction(body, &interaction.Interaction{})
	runtime.ReadMemStats(&after)
	if reject == nil || reject.Reason != interaction.ReasonInvalidField {
		t.Errorf("reject %v, want invalid_field", reject)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes of input took %d bytes of memory", len(body), got)
	}
}

// One layout of our reader for every kind of Avro, whose bodies the library and our walk must take for the same.
func TestWalkAndAvroLibraryAgree(t *testing.T) {
	schema := record(required + `,{"name":"a","type":{"type":"enum","name":"E","symbols":["x","y","z"]}},{"name":"b","type":{"type":"fixed","name":"F","size":3}},
		{"name":"c","type":["null","boolean","int","float","E","F",{"type":"map","values":["double","bytes"]}]},
		{"name":"d","type":{"type":"array","items":{"type":"array","items":{"type":"record","name":"R","fields":[{"name":"n","type":"null"},{"name":"i","type":"int"},{"name":"f","type":"tienda.v2.F"}]}}}}`)
	r, err := NewReader(schema)
	if err != nil {
		t.Fatal(err)
	}
	walked := 0
	rapid.Check(t, func(t *rapid.T) {
		inner := rapid.Custom(func(t *rapid.T) any {
			list := []any{}
			for range rapid.IntRange(0, 3).Draw(t, "n") {
				list = append(list, map[string]any{"n": nil, "i": rapid.Int32().Draw(t, "i"), "f": "abc"})
			}
			return list
		})
		native := event(map[string]any{
			"a": rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "a"), "b": "abc",
			"c": rapid.SampledFrom([]any{nil, goavro.Union("boolean", true), goavro.Union("int", 7), goavro.Union("float", 1.5), goavro.Union("tienda.v2.E", "z"), goavro.Union("tienda.v2.F", "abc"),
				goavro.Union("map", map[string]any{"ñ": goavro.Union("double", 2.5)}), goavro.Union("map", map[string]any{"k": goavro.Union("bytes", []byte{1})})}).Draw(t, "c"),
			"d": rapid.SliceOfN(inner, 0, 3).Draw(t, "d"),
		})
		body, err := r.codec.BinaryFromNative(nil, native)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "hurt") {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		body = body[:rapid.IntRange(len(body)-1, len(body)).Draw(t, "cut")]
		reject := r.walk(body)
		_, rest, err := decodeNative(r.codec, body)
		whole := err == nil && len(rest) == 0
		twice := err != nil && strings.Contains(err.Error(), "duplicate key")
		if reject == nil && !whole && !twice {
			t.Fatalf("%x: the walk takes it, the library says %v, %d bytes left over", body, err, len(rest))
		}
		if reject != nil && whole && !stricter(reject) {
			t.Fatalf("%x: the library takes it, the walk says %v", body, reject)
		}
		if reject == nil {
			walked++
		}
	})
	if walked == 0 {
		t.Error("no body was well formed: the test compares nothing")
	}
}

// stricter reports a refusal of what the library reads as something else than was written: it drops the bits of a number that
// are too many, and does not look at the size of a block.
func stricter(r *interaction.Reject) bool {
	return slices.ContainsFunc([]error{errVarint, errInt, errLength}, func(err error) bool { return strings.HasSuffix(r.Detail, err.Error()) })
}

func FuzzReader(f *testing.F) {
	r, err := NewReader(record(required + `,{"name":"user_id","type":["null","string"]},{"name":"traits","type":{"type":"map","values":"string"}},{"name":"identifiers","type":{"type":"array","items":{"type":"record","name":"Id","fields":[{"name":"namespace","type":"string"},{"name":"value","type":"string"}]}}}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		var in interaction.Interaction
		if r.Interaction(body, &in) == nil {
			if _, err := AppendPayloadJSON(nil, in.Payload); err != nil {
				t.Errorf("the payload is not well formed: %v", err)
			}
		}
	})
}

// Whatever a schema is, compiling it and decoding with it ends, and does not end the process.
func FuzzNewReader(f *testing.F) {
	f.Add(interactionSchema, []byte{0})
	f.Add(keyedSchema, []byte{2, 'a'})
	f.Add(record(required+`,{"name":"c","type":["null","boolean",{"type":"map","values":["double","bytes"]},{"type":"enum","name":"E","symbols":["x"]}]}`), []byte{0, 0, 0, 0, 0, 2, 1})
	f.Add(`{"type":"record","name":"A","namespace":"x","fields":[{"name":"a","type":{"type":"array","items":{"type":"map","values":"x.A"}}}]}`, []byte{0})
	f.Add(doubling(3), []byte{0, 1, 2})
	f.Fuzz(func(_ *testing.T, schema string, body []byte) {
		if r, err := NewReader(schema); err == nil {
			_ = r.Interaction(body, &interaction.Interaction{})
		}
	})
}
