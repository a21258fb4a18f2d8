package processor_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kinfold/processor/config"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
)

// sourced is a rig whose input topic is read by a mapping.
func sourced(t *testing.T, mapping string, change func(*config.Config)) *rig {
	r := newRig(t, embeddedBroker(t))
	r.configure = func(c *config.Config) {
		c.Sources = []config.Source{{Topics: []string{r.input}, Mapping: mapping}}
		if err := c.Sources[0].Compile(); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(c)
		}
	}
	return r
}

// TestARecordOfSeveralCallsIsTakenApart sends a batch of calls of which two are good and two lack what they must have.
func TestARecordOfSeveralCallsIsTakenApart(t *testing.T) {
	t.Parallel()
	r := sourced(t, "segment", nil)
	p := r.start(state.NewMemoryFS())
	p.isReady()
	call := func(id, kind, user string) string {
		return fmt.Sprintf(`{"messageId": %q, "type": %q, "event": "Product Viewed", "userId": %q, "timestamp": "2026-01-05T10:00:00Z", "context": {"traits": {"email": "joão@correio.example"}}}`, id, kind, user)
	}
	batch := `{"batch": [` + strings.Join([]string{call("m1", "track", "u-1"), call("m2", "no such kind", "u-1"), call("m3", "identify", "u-1"), call("m4", "no such kind", "u-2")}, ",") + `]}`
	r.feed(batch, call("m1", "track", "u-1"), `{"batch": []}`, `esto no es JSON`)
	r.drained()
	out := r.outputs()
	if got := out.distinct(); len(got) != 2 || got["segment/m1"] != 1 || got["segment/m3"] != 1 {
		t.Errorf("events %v, want m1 and m3, once each", got)
	}
	parked := map[string]string{}
	for _, rec := range out.rejects {
		h := headers(rec)
		parked[h["reject.reason"]] = h["reject.elements"]
		if h["reject.reason"] == "unknown_event" && !bytes.Equal(rec.Value, []byte(batch)) {
			t.Error("the reject does not hold the record as it came")
		}
	}
	if len(out.rejects) != 2 || parked["unknown_event"] != "1,3" || parked["unparsable"] != "" {
		t.Errorf("rejects %v, want one of unknown_event for the elements 1 and 3, and one unparsable", parked)
	}
	if got := p.p.Totals(); got.Ignored != 1 || got.Accepted != 3 || got.Parked != 3 {
		t.Errorf("totals %+v, want 3 interactions, 3 rejects (two of one record) and the empty batch ignored", got)
	}
	if got := p.p.Ignored(); len(got) != 1 || got["segment"]["empty"] != 1 {
		t.Errorf("ignored %v, want one empty of segment", got)
	}
}

// shop sends webhooks of a shop system, with what happened in their headers.
func (r *rig) shop(id, topic, body string) {
	r.t.Helper()
	p, err := kafka.NewProducer(r.kafka)
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	p.Produce(r.context(), &kafka.Record{Topic: r.input, Partition: 0, Value: []byte(body), Headers: []kafka.Header{
		{Key: "X-Shopify-Topic", Value: []byte(topic)}, {Key: "x-shopify-event-id", Value: []byte(id)},
		{Key: "X-Shopify-Shop-Domain", Value: []byte("panaderia.myshopify.com")}, {Key: "X-Shopify-Triggered-At", Value: []byte("2026-01-05T10:00:00.5Z")},
	}})
	if err := p.Flush(r.context()); err != nil {
		r.t.Fatal(err)
	}
}

func customer(id int, email string) string {
	return fmt.Sprintf(`{"id": %d, "email": %q, "created_at": "2026-01-05T09:00:00-03:00", "updated_at": "2026-01-05T09:00:00-03:00"}`, id, email)
}

// TestAShopOrdersDirectives merges two customers as the shop did, and erases one only where that is allowed.
func TestAShopOrdersDirectives(t *testing.T) {
	t.Parallel()
	const redact = `{"shop_id": 1, "customer": {"id": 11}}`
	for name, allowed := range map[string]struct{ source, rules bool }{
		"not allowed": {false, false}, "by the source alone": {true, false}, "by the rules alone": {false, true}, "by both": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := sourced(t, "shopify", func(c *config.Config) {
				c.Sources[0].AllowErase, c.Identity.EraseEnabled = allowed.source, allowed.rules
			})
			r.start(state.NewMemoryFS()).isReady()
			r.shop("1", "customers/create", customer(11, "a@correio.example"))
			r.shop("2", "customers/create", customer(12, "b@correio.example"))
			r.shop("3", "customers/merge", `{"admin_graphql_api_customer_kept_id": "gid://shopify/Customer/11", "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/12", "status": "completed"}`)
			r.drained()
			out := r.outputs()
			if got := countCustomers(out); got != 1 {
				t.Fatalf("%d customers after the merge, want one", got)
			}
			r.shop("4", "customers/redact", redact)
			r.drained()
			out = r.outputs()
			if allowed.source && allowed.rules {
				if len(out.idmap) != 0 || len(out.rejects) != 0 {
					t.Errorf("map %v and %d rejects after the erase, want nothing", out.idmap, len(out.rejects))
				}
				return
			}
			if len(out.rejects) != 1 || headers(out.rejects[0])["reject.reason"] != "erase_not_enabled" || string(out.rejects[0].Value) != redact {
				t.Errorf("%d rejects, want one of erase_not_enabled with the bytes of the record", len(out.rejects))
			}
			if countCustomers(out) != 1 {
				t.Error("the customer is gone")
			}
		})
	}
}

func countCustomers(out outputs) int {
	seen := map[string]bool{}
	for _, c := range out.customers() {
		seen[c] = true
	}
	return len(seen)
}

// TestFaultsOfAMappingAreToldWithTheirPlace checks a configuration whose mapping has faults, and one that names none.
func TestFaultsOfAMappingAreToldWithTheirPlace(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("mio.yaml", "source: mio\nextends: segmento\n")
	write("tuyo.yaml", "source: tuyo\ninputs:\n  - format: xml\nrules: []\n")
	write("nada.avsc", `{"type": "record"}`)
	path := write("kinfold.yaml", "sources:\n  - {topics: [a], mapping: mio.yaml}\n  - {topics: [b], mapping: tuyo.yaml}\n  - {topics: [c], mapping: shopfy}\n  - {topics: [d], mapping: segment, format: json}\n"+
		"  - {topics: [e], mapping: segment, format: avro, avro_schemas: [nada.avsc, nadie.avsc]}\n  - {topics: [f], format: avro, avro_framing: apicurio, avro_schemas: [nada.avsc]}\n")
	_, err := config.Load(path, os.LookupEnv)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"mio.yaml:2:10: extends:", "tuyo.yaml:3:13: inputs[0].format:", "kinfold.yaml:4:28: sources[2].mapping: no mapping \"shopfy\" comes with kinfold; did you mean shopify?",
		"sources[3].format: json beside a mapping",
		"kinfold.yaml:6:", "sources[4].avro_schemas[0]: " + filepath.Join(dir, "nada.avsc") + " is no Avro schema that can be read", "sources[4].avro_schemas[1]: cannot be read",
		"sources[5].avro_schemas: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not told: %s\nin\n%v", want, err)
		}
	}
}
