package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/source/mapping"
	"kinfold/schemas/sources"
)

// mapped is what a mapping makes of a record that is decoded into a tree, and of its JSON where there is some.
func mapped(t *testing.T, m *mapping.Mapping, rec *mapping.Record, schema string, body []byte) []mapping.Item {
	t.Helper()
	var out mapping.Result
	tree := out.Tree()
	root, reject := readerOf(t, schema).Tree(body, tree)
	if reject != nil {
		t.Fatal(reject)
	}
	m.ApplyTree(rec, root, &out)
	return out.Items
}

// A connector that writes Avro needs no other mapping than one that writes JSON.
func TestThePresetOfDebeziumReadsAvroAsItReadsJSON(t *testing.T) {
	const row = `{"type":"record","name":"Value","namespace":"mysql.inventory.customers","fields":[{"name":"id","type":"int"},{"name":"first_name","type":"string"},
		{"name":"email","type":["null","string"],"default":null},{"name":"saldo","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2"},
			"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null}]}`
	const schema = `{"type":"record","name":"Envelope","namespace":"mysql.inventory.customers","fields":[
		{"name":"before","type":["null",` + row + `],"default":null},{"name":"after","type":["null","Value"],"default":null},
		{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.mysql","fields":[
			{"name":"name","type":"string"},{"name":"ts_ms","type":"long"},{"name":"snapshot","type":[{"type":"string","connect.version":1,"connect.parameters":{"allowed":"true,first,last,false"},
				"connect.default":"false","connect.name":"io.debezium.data.Enum"},"null"],"default":"false"},
			{"name":"db","type":"string"},{"name":"table","type":["null","string"],"default":null},{"name":"file","type":"string"},{"name":"pos","type":"long"},{"name":"row","type":"int"}]}},
		{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}]}`
	text, err := sources.Read("debezium")
	if err != nil {
		t.Fatal(err)
	}
	m, err := mapping.Compile("debezium", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	body := writtenWith(t, schema, map[string]any{
		"before": nil,
		"after": some(map[string]any{"id": int32(1004), "first_name": "Añil", "email": some("anil@correo.example", "string"), "saldo": some([]byte{0x07, 0xcf}, "bytes")},
			"mysql.inventory.customers.Value"),
		"source": map[string]any{"name": "mysql-1", "ts_ms": int64(1772452800123), "snapshot": some("false", "string"), "db": "inventory", "table": some("customers", "string"),
			"file": "bin.000003", "pos": int64(154), "row": int32(0)},
		"op": "c", "ts_ms": some(int64(1772452800500), "long"),
	})
	rec := &mapping.Record{Topic: "mysql.inventory.customers", Key: []byte(`{"id":1004}`), Timestamp: 1772452801000, Value: []byte(
		`{"before":null,"after":{"id":1004,"first_name":"Añil","email":"anil@correo.example","saldo":19.99},"source":{"name":"mysql-1","ts_ms":1772452800123,"snapshot":"false",` +
			`"db":"inventory","table":"customers","file":"bin.000003","pos":154,"row":0},"op":"c","ts_ms":1772452800500}`)}
	var want mapping.Result
	m.Apply(rec, &want)
	if len(want.Items) != 1 || want.Items[0].Kind != mapping.Interaction || want.Items[0].Interaction.OccurredAt != 1772452800123 {
		t.Fatalf("the JSON gives %+v", want.Items)
	}
	if d := cmp.Diff(want.Items, mapped(t, m, rec, schema, body)); d != "" {
		t.Errorf("items (-JSON +Avro):\n%s", d)
	}
}

// A mapping names no unit: its producer may go from milliseconds to microseconds, or to the time on the wall.
func TestAMappingReadsTimesOfAnyLogicalType(t *testing.T) {
	m, err := mapping.Compile("caja", []byte(strings.Join([]string{
		"source: caja",
		"inputs: [{name: ventas, format: json}]",
		"rules:",
		"  - type: {const: order.placed}",
		"    channel: canal",
		"    user_id: cliente",
		"    occurred_at: {path: cuando, zone: America/Argentina/Buenos_Aires}",
		"    order: {order_number: numero, total_amount: total}",
	}, "\n")), nil)
	if err != nil {
		t.Fatal(err)
	}
	schema := func(when string) string {
		return record(`{"name":"canal","type":{"type":"enum","name":"Canal","symbols":["web","pos"]}},{"name":"cliente","type":["null","long"]},{"name":"cuando","type":` + when + `},
			{"name":"numero","type":"int"},{"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}`)
	}
	logical := func(kind, name string) string { return `{"type":"` + kind + `","logicalType":"` + name + `"}` }
	const noon = 1772452800123 // 2026-03-02T12:00:00.123Z
	for name, c := range map[string]struct {
		when  string
		value int64
		want  int64
	}{
		"milliseconds":         {logical("long", "timestamp-millis"), noon, noon},
		"microseconds":         {logical("long", "timestamp-micros"), noon*1_000 + 999, noon},
		"nanoseconds":          {logical("long", "timestamp-nanos"), noon*1_000_000 + 999, noon},
		"nullable":             {`["null",` + logical("long", "timestamp-millis") + `]`, noon, noon},
		"the time on the wall": {logical("long", "local-timestamp-millis"), noon, noon + 3*3_600_000},
		"a date":               {logical("int", "date"), 20_514, 1772420400000}, // 2026-03-02, the day begins at 03:00 UTC
	} {
		t.Run(name, func(t *testing.T) {
			body := append(appendLong(nil, 1), appendLong(appendLong(nil, 1), 9007199254740993)...)
			if strings.HasPrefix(c.when, "[") {
				body = appendLong(body, 1)
			}
			body = append(appendLong(appendLong(body, c.value), 77), 4, 0x07, 0xcf)
			items := mapped(t, m, &mapping.Record{Topic: "ventas"}, schema(c.when), body)
			if len(items) != 1 || items[0].Kind != mapping.Interaction {
				t.Fatalf("items %+v, reject %v", items, items[0].Reject)
			}
			in := &items[0].Interaction
			if in.OccurredAt != c.want || in.UserID != "9007199254740993" || in.Channel != "pos" {
				t.Errorf("at %d, want %d: %+v", in.OccurredAt, c.want, in)
			}
			payload, err := AppendPayloadJSON(nil, in.Payload)
			if err != nil || !strings.Contains(string(payload), `"order_number":"77","currency":null,"total_amount":19.99`) {
				t.Errorf("payload %s, %v", payload, err)
			}
		})
	}
}
