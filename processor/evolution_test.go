package processor_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/sr"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/schemas"
)

// producer writes Avro as a shop's own program does: it registers its schema and writes behind the id that it gets.
type producer struct {
	t       *testing.T
	client  *sr.Client
	subject string
}

// writes registers a schema and returns what makes values of it.
func (p *producer) writes(fields ...string) func(native map[string]any) string {
	p.t.Helper()
	schema := `{"type":"record","name":"Venta","namespace":"tienda","fields":[` + strings.Join(fields, ",") + `]}`
	registered, err := p.client.CreateSchema(p.t.Context(), p.subject, sr.Schema{Schema: schema, Type: sr.TypeAvro})
	if err != nil {
		p.t.Fatal(err)
	}
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		p.t.Fatal(err)
	}
	return func(native map[string]any) string {
		p.t.Helper()
		value, err := codec.BinaryFromNative(binary.BigEndian.AppendUint32([]byte{0}, uint32(registered.ID)), native)
		if err != nil {
			p.t.Fatal(err)
		}
		return string(value)
	}
}

// sold is what a test looks at in the event of a sale.
type sold struct{ Source, Channel, Store, Customer, Total string }

// A shop changes its schema five times while the processor runs, and its old tills write on with the old ones.
func TestAProducerEvolvesItsSchemaWhileWeRun(t *testing.T) {
	t.Parallel()
	url, stop := schemas.StartRegistry()
	t.Cleanup(stop)
	client, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, embeddedBroker(t))
	r.configure = func(c *config.Config) {
		c.Sources[0].Format = config.FormatAvro
		c.Registry.URLs = []string{url}
	}
	const (
		head   = `{"name":"event_id","type":"string"},{"name":"type","type":"string"},{"name":"store_code","type":"string"},{"name":"user_id","type":"string"},{"name":"occurred_at","type":"long"}`
		source = `{"name":"source","type":"string"}`
		canal  = `{"name":"channel","type":"string"}`
		order  = `{"name":"order","type":{"type":"record","name":"Pedido","fields":[{"name":"order_number","type":"string"},{"name":"total_amount","type":%s}]}}`
		cajero = `{"name":"cajero","type":"string","default":""}`
	)
	in := func(total string) string { return fmt.Sprintf(order, total) }
	sale := func(id string, total any, more map[string]any) map[string]any {
		m := map[string]any{"event_id": id, "type": "order.placed", "store_code": "S01", "user_id": "zoe", "occurred_at": noon.UnixMilli(), "source": "pos", "channel": "pos",
			"order": map[string]any{"order_number": id, "total_amount": total}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	shop := &producer{t, client, r.input + "-value"}
	p := r.start(state.NewMemoryFS())
	p.isReady()
	totals := func(events uint64) {
		t.Helper()
		r.until(func() bool { return uint64(p.p.Totals().Events) >= events })
	}

	first := shop.writes(head, source, canal, in(`"int"`))
	r.feed(first(sale("e1", int32(12), nil)))
	totals(1)

	added := shop.writes(head, cajero, source, canal, in(`"int"`))
	r.feed(added(sale("e2", int32(12), map[string]any{"cajero": "Inés"})), first(sale("e3", int32(13), nil)))
	totals(3)

	promoted := shop.writes(head, cajero, source, canal, in(`"double"`))
	r.feed(promoted(sale("e4", 12.5, map[string]any{"cajero": "Inés"})))
	totals(4)

	renamed := shop.writes(head, cajero, `{"name":"sistema","type":"string","aliases":["source"]}`, canal, in(`"double"`))
	r.feed(renamed(sale("e5", 0.1, map[string]any{"cajero": "Inés", "sistema": "pos"})), first(sale("e6", int32(-3), nil)))
	totals(6)

	nullable := shop.writes(head, cajero, `{"name":"sistema","type":["null","string"],"aliases":["source"]}`, `{"name":"channel","type":["string","null"]}`, in(`["null","double"]`))
	maybe := func(id string, total any, channel any) string {
		return nullable(sale(id, total, map[string]any{"cajero": "", "sistema": goavro.Union("string", "pos"), "channel": channel}))
	}
	r.feed(maybe("e7", goavro.Union("double", 99.99), goavro.Union("string", "web")), maybe("e8", nil, goavro.Union("string", "web")))
	// What a schema allows the contract may not: a sale without a channel is the one reject.
	r.feed(maybe("e9", nil, nil))
	r.finish(p)

	got := map[string]sold{}
	customers := map[interaction.CustomerID]bool{}
	r.read(r.config().Topics.UnifiedCustomerEvents, func(rec *kafka.Record) {
		u := registered(t, rec)
		customers[u.CustomerID] = true
		text, err := schemas.AppendPayloadJSON([]byte("{"), u.Keyed.Payload)
		if err != nil {
			t.Fatal(err)
		}
		var payload struct {
			Order struct {
				Total json.Number `json:"total_amount"`
			}
		}
		mustUnmarshal(t, string(text)+"}", &payload)
		got[u.Keyed.SourceEventID] = sold{u.Keyed.Source, u.Keyed.Channel, u.Keyed.StoreCode, u.Keyed.UserID, payload.Order.Total.String()}
	})
	want := map[string]sold{}
	for id, total := range map[string]string{"e1": "12", "e2": "12", "e3": "13", "e4": "12.5", "e5": "0.1", "e6": "-3"} {
		want[id] = sold{"pos", "pos", "S01", "zoe", total}
	}
	want["e7"], want["e8"] = sold{"pos", "web", "S01", "zoe", "99.99"}, sold{"pos", "web", "S01", "zoe", ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if len(customers) != 1 {
		t.Errorf("she is %d customers: %v", len(customers), customers)
	}
	var rejects []interaction.Reason
	r.read(r.config().Topics.Rejects, func(rec *kafka.Record) {
		rejects = append(rejects, interaction.Reason(headers(rec)["reject.reason"]))
	})
	if d := cmp.Diff([]interaction.Reason{interaction.ReasonMissingField}, rejects); d != "" {
		t.Errorf("rejects (-want +got):\n%s", d)
	}
}
