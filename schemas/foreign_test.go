package schemas

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/linkedin/goavro/v2"

	"kinfold/processor/interaction"
)

// everything is a writer whose every value may be null, down to the items of its arrays and maps.
const everything = `{"type":"record","name":"Evento","namespace":"loja.v3","fields":[
	{"name":"event_id","type":["null","string"]},{"name":"source","type":["null","string"]},{"name":"channel","type":["null","string"]},
	{"name":"type","type":["null","string"]},{"name":"store_code","type":["null","string"]},{"name":"user_id","type":["null","string"]},
	{"name":"occurred_at","type":["null","long"]},
	{"name":"identifiers","type":["null",{"type":"array","items":["null",{"type":"record","name":"Identificador","fields":[
		{"name":"namespace","type":["null","string"]},{"name":"value","type":["null","string"]},{"name":"verified","type":["null","boolean"]}]}]}]},
	{"name":"order","type":["null",{"type":"record","name":"Pedido","fields":[
		{"name":"order_number","type":["null","string"]},{"name":"currency","type":["null","string"]},{"name":"total_amount","type":["null","long"]},
		{"name":"lines","type":["null",{"type":"array","items":["null",{"type":"record","name":"Linha","fields":[
			{"name":"sku","type":["null","string"]},{"name":"description","type":["null","string"]},
			{"name":"quantity","type":["null","int"]},{"name":"unit_price","type":["null","double"]}]}]}]}]}]},
	{"name":"traits","type":["null",{"type":"map","values":["null","string"]}]},
	{"name":"properties","type":["null",{"type":"map","values":["null","string"]}]}]}`

func nothing() map[string]any {
	m := map[string]any{}
	for _, name := range []string{"event_id", "source", "channel", "type", "store_code", "user_id", "occurred_at", "identifiers", "order", "traits", "properties"} {
		m[name] = nil
	}
	return m
}

func some(v any, branch string) any { return goavro.Union(branch, v) }

func TestWritersWhoseEveryValueMayBeNullAreRead(t *testing.T) {
	text := func(s string) any { return some(s, "string") }
	full := map[string]any{
		"event_id": text("e-1"), "source": text("vtex"), "channel": text("ecommerce"), "type": text("order.placed"), "store_code": text("SP-01"),
		"user_id": text("João"), "occurred_at": some(int64(1772452800000), "long"),
		"identifiers": some([]any{
			some(map[string]any{"namespace": text("email"), "value": text("joão@correio.example"), "verified": some(true, "boolean")}, "loja.v3.Identificador"),
			some(map[string]any{"namespace": text("phone"), "value": nil, "verified": nil}, "loja.v3.Identificador"),
		}, "array"),
		"order": some(map[string]any{"order_number": text("P1"), "currency": nil, "total_amount": some(int64(3), "long"), "lines": some([]any{
			some(map[string]any{"sku": text("S"), "description": text("pão"), "quantity": some(int32(-1), "int"), "unit_price": some(0.1, "double")}, "loja.v3.Linha"),
		}, "array")}, "loja.v3.Pedido"),
		"traits":     some(map[string]any{"b": text("2"), "a": nil}, "map"),
		"properties": nil,
	}
	got, reject := written(t, everything, full)
	if reject != nil {
		t.Fatal(reject)
	}
	want := interaction.Interaction{
		EventID: "e-1", Source: "vtex", Channel: "ecommerce", Type: "order.placed", StoreCode: "SP-01", UserID: "João", HasUserID: true,
		OccurredAt: 1772452800000, TimeStated: true, Identifiers: []interaction.Raw{{Namespace: "email", Value: "joão@correio.example", Verified: true}, {Namespace: "phone"}},
	}
	payload := got.Payload
	got.Payload = nil
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("interaction (-want +got):\n%s", d)
	}
	shown, err := AppendPayloadJSON(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(`"order":{"order_number":"P1","currency":null,"total_amount":3,"lines":[{"sku":"S","description":"pão","quantity":-1,"unit_price":0.1}]},"traits":{"b":"2"},"properties":{}`, string(shown)); d != "" {
		t.Errorf("payload (-want +got):\n%s", d)
	}

	_, reject = written(t, everything, nothing())
	if reject == nil || reject.Reason != interaction.ReasonMissingField || !strings.HasPrefix(reject.Detail, "occurred_at:") {
		t.Errorf("a record of nulls gives %v, want missing_field of occurred_at", reject)
	}
	timed := nothing()
	timed["occurred_at"] = some(int64(5), "long")
	got, reject = written(t, everything, timed)
	if reject != nil {
		t.Fatal(reject)
	}
	if d := cmp.Diff(interaction.Interaction{OccurredAt: 5, TimeStated: true, Payload: []byte{0, 0, 0}}, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("a record of nulls with a time (-want +got):\n%s", d)
	}
}

// One reader serves one record after the other into the same place: what the first had must not stay for the second.
func TestAForeignRecordLeavesNothingForTheNext(t *testing.T) {
	r, err := NewReader(everything)
	if err != nil {
		t.Fatal(err)
	}
	c, err := goavro.NewCodec(everything)
	if err != nil {
		t.Fatal(err)
	}
	rich, bare := nothing(), nothing()
	for _, name := range []string{"event_id", "source", "channel", "type", "store_code", "user_id"} {
		rich[name] = some("x", "string")
	}
	rich["occurred_at"], bare["occurred_at"] = some(int64(1), "long"), some(int64(2), "long")
	rich["traits"] = some(map[string]any{"a": some("1", "string")}, "map")
	var in interaction.Interaction
	for _, m := range []map[string]any{rich, bare} {
		body, err := c.BinaryFromNative(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		if reject := r.Interaction(body, &in); reject != nil {
			t.Fatal(reject)
		}
	}
	if d := cmp.Diff(interaction.Interaction{OccurredAt: 2, TimeStated: true, Payload: []byte{0, 0, 0}}, in, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the second record (-want +got):\n%s", d)
	}
}

func TestEveryCutOfAForeignRecordIsRefused(t *testing.T) {
	r, err := NewReader(record(required + `,{"name":"identifiers","type":{"type":"array","items":{"type":"record","name":"Id","fields":[{"name":"namespace","type":"string"},{"name":"value","type":"string"}]}}},{"name":"traits","type":{"type":"map","values":"string"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	for _, s := range []string{"v-1", "pos", "pos", "x.y"} {
		body = appendText(body, s)
	}
	body = appendText(appendText(append(appendLong(body, 1772452800000), 2), "email"), "zoé@correo.example")
	body = append(appendText(appendText(append(body, 0, 2), "ciudad"), "Córdoba"), 0)
	if reject := r.Interaction(body, &interaction.Interaction{}); reject != nil {
		t.Fatal(reject)
	}
	for cut := range body {
		if reject := r.Interaction(body[:cut:cut], &interaction.Interaction{}); reject == nil || reject.Reason != interaction.ReasonUnparsable {
			t.Errorf("%d of %d bytes: reject %v, want unparsable", cut, len(body), reject)
		}
	}
}

// orderOf is a writer with an order whose total has the type.
func orderOf(amountType string) string {
	return record(required + `,{"name":"order","type":{"type":"record","name":"Pedido","fields":[{"name":"order_number","type":"string"},{"name":"total_amount","type":` + amountType + `}]}}`)
}

func TestAmountsOfAnyNumericTypeAreTakenOverExactly(t *testing.T) {
	bytesOf := func(precision, scale int) string {
		return fmt.Sprintf(`{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, precision, scale)
	}
	for name, c := range map[string]struct {
		typ    string
		amount any
		want   string // empty: a reject
	}{
		"scale 2":                       {bytesOf(12, 2), big.NewRat(-1999, 100), "-19.99"},
		"scale 6 that ends in zeros":    {bytesOf(20, 6), big.NewRat(15_001, 10_000), "1.5001"},
		"scale 6 with six digits":       {bytesOf(20, 6), big.NewRat(1, 1_000_000), ""},
		"scale 0":                       {bytesOf(14, 0), big.NewRat(99_999_999_999_999, 1), "99999999999999"},
		"scale 0, a digit too many":     {bytesOf(15, 0), big.NewRat(100_000_000_000_000, 1), ""},
		"a fixed decimal":               {`{"type":"fixed","name":"Monto","size":8,"logicalType":"decimal","precision":18,"scale":3}`, big.NewRat(-1, 8), "-0.125"},
		"a long":                        {`"long"`, int64(-7), "-7"},
		"the largest long":              {`"long"`, int64(math.MaxInt64), ""},
		"an int":                        {`"int"`, int32(math.MinInt32), "-2147483648"},
		"a double":                      {`"double"`, 0.1, "0.1"},
		"a double with too many digits": {`"double"`, 1.0 / 3, ""},
		"a float":                       {`"float"`, float32(0.1), "0.1"},
		"a double without end":          {`"double"`, math.Inf(-1), ""},
		"a double that is no number":    {`"double"`, math.NaN(), ""},
		"a double of 300 digits":        {`"double"`, 1e300, ""},
		"minus zero":                    {`"double"`, math.Copysign(0, -1), "0"},
		"a boolean":                     {`"boolean"`, true, ""},
		"digits in a string":            {`"string"`, "1.5", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in, reject := written(t, orderOf(c.typ), event(map[string]any{"order": map[string]any{"order_number": "A", "total_amount": c.amount}}))
			if c.want == "" {
				if reject == nil || reject.Reason != interaction.ReasonInvalidField || !strings.HasPrefix(reject.Detail, "order.total_amount:") {
					t.Errorf("reject %v, want invalid_field of order.total_amount", reject)
				}
				return
			}
			if reject != nil {
				t.Fatal(reject)
			}
			got, err := AppendPayloadJSON(nil, in.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if want := `"total_amount":` + c.want + `,`; !strings.Contains(string(got), want) {
				t.Errorf("payload %s, want one with %s", got, want)
			}
		})
	}
}

func TestAWrongTypeAtAnyDepthIsNamedByItsPath(t *testing.T) {
	id := func(fields string) string {
		return record(required + `,{"name":"identifiers","type":{"type":"array","items":{"type":"record","name":"Id","fields":[` + fields + `]}}}`)
	}
	order := func(fields string) string {
		return record(required + `,{"name":"order","type":{"type":"record","name":"Pedido","fields":[` + fields + `]}}`)
	}
	ids := func(m ...any) map[string]any { return event(map[string]any{"identifiers": m}) }
	with := func(field string, v any) map[string]any { return event(map[string]any{field: v}) }
	many := func(n int, item any) (list []any) {
		for range n {
			list = append(list, item)
		}
		return list
	}
	entries := map[string]any{}
	for i := range MaxMapEntries + 1 {
		entries[fmt.Sprint(i)] = "x"
	}
	sku := `{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Linea","fields":[{"name":"sku","type":"string"}]}}}`
	for path, c := range map[string]struct {
		schema string
		native map[string]any
	}{
		"user_id":                 {record(required + `,{"name":"user_id","type":"boolean"}`), with("user_id", true)},
		"store_code":              {record(required + `,{"name":"store_code","type":["null","long"]}`), with("store_code", some(int64(7), "long"))},
		"event_id":                {record(strings.Replace(required, `"event_id","type":"string"`, `"event_id","type":"bytes"`, 1)), with("event_id", []byte{0xC3, 0x28})},
		"identifiers":             {record(required + `,{"name":"identifiers","type":"string"}`), with("identifiers", "a,b")},
		"identifiers[1]":          {record(required + `,{"name":"identifiers","type":{"type":"array","items":["null",{"type":"record","name":"Id","fields":[{"name":"value","type":"string"}]}]}}`), ids(some(map[string]any{"value": "a"}, "tienda.v2.Id"), nil)},
		"identifiers[0].value":    {id(`{"name":"namespace","type":"string"},{"name":"value","type":"long"}`), ids(map[string]any{"namespace": "user", "value": int64(7)})},
		"identifiers[1].verified": {id(`{"name":"verified","type":["boolean","string"]}`), ids(map[string]any{"verified": some(true, "boolean")}, map[string]any{"verified": some("sí", "string")})},
		"order":                   {record(required + `,{"name":"order","type":"string"}`), with("order", "A-1")},
		"order.order_number":      {order(`{"name":"order_number","type":"long"}`), with("order", map[string]any{"order_number": int64(1)})},
		"order.currency":          {order(`{"name":"currency","type":"int"}`), with("order", map[string]any{"currency": int32(986)})},
		"order.lines":             {order(`{"name":"lines","type":{"type":"map","values":"string"}}`), with("order", map[string]any{"lines": map[string]any{}})},
		"order.lines[0]":          {order(`{"name":"lines","type":{"type":"array","items":"string"}}`), with("order", map[string]any{"lines": []any{"S"}})},
		"order.lines[1].sku": {order(strings.Replace(sku, `"string"`, `["string","int"]`, 1)),
			with("order", map[string]any{"lines": []any{map[string]any{"sku": some("S", "string")}, map[string]any{"sku": some(int32(1), "int")}}})},
		"traits":           {record(required + `,{"name":"traits","type":{"type":"array","items":"string"}}`), with("traits", []any{})},
		"properties value": {record(required + `,{"name":"properties","type":{"type":"map","values":"int"}}`), with("properties", map[string]any{"n": int32(1)})},

		"identifiers: 1001":  {id(`{"name":"value","type":"string"}`), ids(many(MaxIdentifiers+1, map[string]any{"value": "a"})...)},
		"order.lines: 10001": {order(sku), with("order", map[string]any{"lines": many(MaxOrderLines+1, map[string]any{"sku": "S"})})},
		"traits: 10001":      {record(required + `,{"name":"traits","type":{"type":"map","values":"string"}}`), with("traits", entries)},
	} {
		t.Run(path, func(t *testing.T) {
			_, reject := written(t, c.schema, c.native)
			want := path
			if !strings.Contains(path, ": ") {
				want += ":"
			}
			if reject == nil || reject.Reason != interaction.ReasonInvalidField || !strings.HasPrefix(reject.Detail, want) {
				t.Errorf("reject %v, want invalid_field that begins with %q", reject, want)
			}
		})
	}
}

func TestAliasesAreFollowedAtEveryDepthAndNamesGoBeforeThem(t *testing.T) {
	in, reject := written(t, record(required+`,{"name":"ids","aliases":["identifiers","x"],"type":{"type":"array","items":{"type":"record","name":"Id","fields":[
		{"name":"tipo","aliases":["namespace"],"type":"string"},{"name":"valor","aliases":["value"],"type":"string"},{"name":"confirmado","aliases":["verified"],"type":"boolean"}]}}},
		{"name":"pedido","aliases":["order"],"type":{"type":"record","name":"Pedido","fields":[{"name":"numero","aliases":["order_number"],"type":"string"}]}},
		{"name":"cliente","aliases":["user_id"],"type":"string"},{"name":"user_id","type":"string"}`),
		event(map[string]any{"ids": []any{map[string]any{"tipo": "email", "valor": "zoé@correo.example", "confirmado": true}},
			"pedido": map[string]any{"numero": "A"}, "cliente": "not this one", "user_id": "this one"}))
	if reject != nil {
		t.Fatal(reject)
	}
	if d := cmp.Diff([]interaction.Raw{{Namespace: "email", Value: "zoé@correo.example", Verified: true}}, in.Identifiers); d != "" {
		t.Error(d)
	}
	if in.UserID != "this one" {
		t.Errorf("user %q comes from an alias, although a field has the name itself", in.UserID)
	}
	if got, _ := AppendPayloadJSON(nil, in.Payload); !strings.Contains(string(got), `"order_number":"A"`) {
		t.Errorf("payload %s has no order number", got)
	}
}
