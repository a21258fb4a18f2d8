package processor_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/linkedin/goavro/v2"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/source/mapping"
	"kinfold/processor/try"
	"kinfold/schemas"
)

// format is a way in which records come: a source of the configuration, and a record of it.
type format struct {
	name   string
	source config.Source
	schema string // what the registry holds; empty: it is not asked
	rec    mapping.Record
}

// nativeJSON is an interaction as a till sends it.
const nativeJSON = `{"event_id": "t-1001", "source": "pos", "channel": "pos", "type": "order.placed", "store_code": "AR-001", "user_id": "00417", ` +
	`"occurred_at": 1772445600000, "identifiers": [{"namespace": "email", "value": "ana@correo.example", "verified": true}, ` +
	`{"namespace": "phone", "value": "+5491120000000", "verified": false}], "properties": {"caja": "7", "turno": "tarde"}}`

// changeSchema is what Debezium writes for a table of customers.
const changeSchema = `{"type":"record","name":"Envelope","namespace":"mysql.inventory.customers","fields":[
	{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"int"},{"name":"first_name","type":"string"},
		{"name":"last_name","type":"string"},{"name":"email","type":["null","string"],"default":null}]}],"default":null},
	{"name":"after","type":["null","Value"],"default":null},
	{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.mysql","fields":[
		{"name":"version","type":"string"},{"name":"connector","type":"string"},{"name":"name","type":"string"},{"name":"ts_ms","type":"long"},
		{"name":"db","type":"string"},{"name":"table","type":["null","string"],"default":null},{"name":"file","type":"string"},{"name":"pos","type":"long"},{"name":"row","type":"int"}]}},
	{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}]}`

func changeInAvro(t testing.TB) []byte {
	t.Helper()
	codec, err := goavro.NewCodec(changeSchema)
	if err != nil {
		t.Fatal(err)
	}
	body, err := codec.BinaryFromNative(nil, map[string]any{
		"before": nil,
		"after": goavro.Union("mysql.inventory.customers.Value", map[string]any{"id": 1004, "first_name": "Ana", "last_name": "Pérez",
			"email": goavro.Union("string", "ana.perez@example.com")}),
		"source": map[string]any{"version": "3.1.0.Final", "connector": "mysql", "name": "mysql-1", "ts_ms": int64(1772445599000), "db": "inventory",
			"table": goavro.Union("string", "customers"), "file": "mysql-bin.000003", "pos": int64(154), "row": 0},
		"op": "c", "ts_ms": goavro.Union("long", int64(1772445599100)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// formats are all of them.
func formats(t testing.TB) (all []format) {
	t.Helper()
	native := config.Source{Format: config.FormatAvro}
	ours := schemas.KindInteraction.Schema()
	body := avroBody(t, ours, nativeJSON)
	all = append(all,
		format{"native/json", config.Source{Format: config.FormatJSON}, "", mapping.Record{Value: []byte(nativeJSON)}},
		format{"native/avro single_object", native, "", mapping.Record{Value: append(schemas.SingleObject().Append(nil, schemas.KindInteraction), body...)}},
		format{"native/avro confluent", native, ours, framedBySeven(body)[0].rec},
		format{"native/avro confluent evolved", native, evolved(t), framedBySeven(avroBody(t, evolved(t), nativeJSON))[0].rec},
	)
	text, err := os.ReadFile("source/mapping/testdata/examples.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var named struct{ Name, Preset string }
		if err := json.Unmarshal(line, &named); err != nil {
			t.Fatal(err)
		}
		rec, err := try.NewLines(bytes.NewReader(line)).Next()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, format{"mapped/" + named.Name, config.Source{Mapping: named.Preset}, "", rec.Record})
	}
	for _, f := range framedBySeven(changeInAvro(t))[1:] {
		source := config.Source{Mapping: "debezium", Format: config.FormatAvro, AvroFraming: config.Framing(f.name)}
		all = append(all, format{"mapped/debezium avro " + f.name, source, changeSchema, f.rec})
	}
	return all
}

// step is the step of stage 1 for a format.
func (f *format) step(t testing.TB) func(*mapping.Record) (keyed, rejects int) {
	t.Helper()
	c := config.Default()
	if f.rec.Topic == "" {
		f.rec.Topic = "in"
	}
	f.source.Topics = []string{f.rec.Topic}
	f.rec.Timestamp = 1772445600000
	c.Sources = []config.Source{f.source}
	if err := c.Sources[0].Compile(); err != nil {
		t.Fatal(err)
	}
	if f.schema != "" {
		url, _ := oneSchema(t, f.schema)
		c.Registry.URLs = []string{url}
	}
	step, err := processor.Step(c, &f.rec)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

func TestEveryFormatOfTheBenchmarkBecomesInteractions(t *testing.T) {
	for _, f := range formats(t) {
		if keyed, rejects := f.step(t)(&f.rec); keyed == 0 || rejects > 0 {
			t.Errorf("%s: %d interactions, %d rejects", f.name, keyed, rejects)
		}
	}
}

// BenchmarkFormats takes one record of each format through stage 1: decoded, mapped, normalised. It is for one core.
func BenchmarkFormats(b *testing.B) {
	for _, f := range formats(b) {
		b.Run(f.name, func(b *testing.B) {
			step := f.step(b)
			b.ReportAllocs()
			b.SetBytes(int64(len(f.rec.Value)))
			interactions := 0
			for b.Loop() {
				keyed, _ := step(&f.rec)
				interactions += keyed
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(interactions)/b.Elapsed().Seconds(), "interactions/s")
		})
	}
}
