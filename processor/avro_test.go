package processor_test

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/schemas"
)

// avroLine is line in Avro, behind a registry's prefix, written with a schema of the caller's.
func avroLine(t *testing.T, id uint32, schema string, jsonLine string) string {
	t.Helper()
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	mustUnmarshal(t, jsonLine, &v)
	ids := []any{}
	for _, i := range v["identifiers"].([]any) {
		m := i.(map[string]any)
		ids = append(ids, map[string]any{"namespace": m["namespace"], "value": m["value"], "verified": false})
	}
	native := map[string]any{
		"event_id": v["event_id"], "source": v["source"], "channel": v["channel"], "type": v["type"], "store_code": v["store_code"],
		"user_id": goavro.Union("string", v["user_id"]), "occurred_at": int64(v["occurred_at"].(float64)), "identifiers": ids,
		"order": nil, "traits": map[string]any{}, "properties": map[string]any{}, "cajero": "Inés",
	}
	body, err := codec.BinaryFromNative(binary.BigEndian.AppendUint32([]byte{0}, id), native)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// evolved is our schema with one more field ahead of the payload.
func evolved(t *testing.T) string {
	t.Helper()
	var schema map[string]any
	mustUnmarshal(t, schemas.KindInteraction.Schema(), &schema)
	fields := schema["fields"].([]any)
	schema["fields"] = append([]any{map[string]any{"name": "cajero", "type": "string"}}, fields...)
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAvroOfAnyWriterIsReadAndItsPoisonIsParked(t *testing.T) {
	registry := srfake.New()
	t.Cleanup(registry.Close)
	registry.SeedSchema("ours-value", 1, 11, sr.Schema{Schema: schemas.KindInteraction.Schema(), Type: sr.TypeAvro})
	registry.SeedSchema("evolved-value", 1, 12, sr.Schema{Schema: evolved(t), Type: sr.TypeAvro})
	registry.SeedSchema("recursive-value", 1, 13, sr.Schema{Schema: `{"type":"record","name":"A","fields":[{"name":"a","type":["null","A"]}]}`, Type: sr.TypeAvro})
	registry.SeedSchema("proto-value", 1, 14, sr.Schema{Schema: `syntax = "proto3"; message A {}`, Type: sr.TypeProtobuf})
	onEachBroker(t, func(r *rig) {
		r.configure = func(c *config.Config) {
			c.Sources[0].Format = config.FormatAvro
			c.Registry.URLs = []string{registry.URL()}
		}
		good := avroLine(r.t, 11, schemas.KindInteraction.Schema(), line("pos", "g1", "S01", "Zoé", noon, "email", "zoe@correo.example"))
		single := string(schemas.SingleObject().Append(nil, schemas.KindInteraction)) + good[5:]
		poison := map[string]interaction.Reason{
			good + "x":                                 interaction.ReasonLeftoverBytes,
			good[:20]:                                  interaction.ReasonUnparsable,
			"\x00\x00\x00\x00\x63" + good[5:]:          interaction.ReasonUnknownSchema,
			"\x00\x00\x00\x00\x0d\x00":                 interaction.ReasonBadSchema,
			"\x00\x00\x00\x00\x0e\x00":                 interaction.ReasonUnsupportedType,
			"\xC3\x01\x01\x02\x03\x04\x05\x06\x07\x08": interaction.ReasonUnknownSchema,
			"plain text":                               interaction.ReasonUnparsable,
			good[:5] + "\x02a\x02b\x02c\x02d\x00\x00\x02" + string(binary.AppendVarint(nil, 1<<31)): interaction.ReasonInvalidField,
		}
		p := r.start(state.NewMemoryFS())
		r.feed(good, single)
		for value := range poison {
			r.feed(value)
		}
		r.feed(avroLine(r.t, 12, evolved(r.t), line("pos", "g2", "S01", "Zoé", noon)))
		r.finish(p)
		rejects := map[string]interaction.Reason{}
		r.read(r.config().Topics.Rejects, func(rec *kafka.Record) {
			rejects[string(rec.Value)] = interaction.Reason(headers(rec)["reject.reason"])
		})
		if d := cmp.Diff(poison, rejects); d != "" {
			r.t.Errorf("rejects by bytes (-want +got):\n%s", d)
		}
		events := map[string]int{}
		r.read(r.config().Topics.UnifiedCustomerEvents, func(rec *kafka.Record) {
			if id, ok := schemas.RegistryID(rec.Value); !ok || id == 0 {
				r.t.Errorf("an event is not in the registry's framing: % x", rec.Value[:6])
			}
			var u interaction.Unified
			if err := schemas.DecodeUnified(rec.Value[5:], &u); err != nil {
				r.t.Fatal(err)
			}
			events[u.Keyed.SourceEventID]++
		})
		if d := cmp.Diff(map[string]int{"g1": 1, "g2": 1}, events); d != "" {
			r.t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

func TestWhileTheRegistryIsAwayNothingIsRejected(t *testing.T) {
	t.Parallel()
	registry := srfake.New()
	t.Cleanup(registry.Close)
	registry.SeedSchema("evolved-value", 1, 12, sr.Schema{Schema: evolved(t), Type: sr.TypeAvro})
	var away atomic.Bool
	var asked atomic.Int32
	registry.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if away.Load() {
			asked.Add(1)
			http.Error(w, `{"error_code":50001,"message":"away"}`, http.StatusServiceUnavailable)
		}
		return away.Load()
	})
	r := newRig(t, embeddedBroker(t))
	r.configure = func(c *config.Config) {
		c.Sources[0].Format = config.FormatAvro
		c.Registry.URLs = []string{registry.URL()}
	}
	p := r.start(state.NewMemoryFS())
	p.isReady()
	away.Store(true)
	r.feed(avroLine(t, 12, evolved(t), line("pos", "w1", "S01", "Ana", noon)))
	r.until(func() bool { return asked.Load() > 3 })
	if totals := p.p.Totals(); totals.Parked+totals.Events > 0 {
		t.Errorf("totals %+v while the registry was away", totals)
	}
	away.Store(false)
	r.finish(p)
	if totals := p.p.Totals(); totals.Events != 1 || totals.Parked != 0 {
		t.Errorf("totals %+v, want one event and no reject", totals)
	}
}
