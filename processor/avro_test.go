package processor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/schemas"
)

// avroLine is line in Avro, behind a registry's prefix, written with a schema of the caller's.
func avroLine(t testing.TB, id uint32, schema string, jsonLine string) string {
	t.Helper()
	return string(append(binary.BigEndian.AppendUint32([]byte{0}, id), avroBody(t, schema, jsonLine)...))
}

// avroBody is line in Avro alone, without an order.
func avroBody(t testing.TB, schema string, jsonLine string) []byte {
	t.Helper()
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(jsonLine), &v); err != nil {
		t.Fatal(err)
	}
	ids := []any{}
	for _, i := range v["identifiers"].([]any) {
		m := i.(map[string]any)
		ids = append(ids, map[string]any{"namespace": m["namespace"], "value": m["value"], "verified": false})
	}
	properties, _ := v["properties"].(map[string]any)
	native := map[string]any{
		"event_id": v["event_id"], "source": v["source"], "channel": v["channel"], "type": v["type"], "store_code": v["store_code"],
		"user_id": goavro.Union("string", v["user_id"]), "occurred_at": int64(v["occurred_at"].(float64)), "identifiers": ids,
		"order": nil, "traits": map[string]any{}, "properties": properties, "cajero": "Inés",
	}
	body, err := codec.BinaryFromNative(nil, native)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// evolved is our schema with one more field ahead of the payload.
func evolved(t testing.TB) string {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal([]byte(schemas.KindInteraction.Schema()), &schema); err != nil {
		t.Fatal(err)
	}
	fields := schema["fields"].([]any)
	schema["fields"] = append([]any{map[string]any{"name": "cajero", "type": "string"}}, fields...)
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// registered decodes an event of a process with a registry.
func registered(t *testing.T, rec *kafka.Record) (u interaction.Unified) {
	t.Helper()
	if id, ok := schemas.RegistryID(rec.Value); !ok || id == 0 {
		t.Fatalf("an event is not in the registry's framing: % x", rec.Value[:6])
	}
	if err := schemas.DecodeUnified(rec.Value[5:], &u); err != nil {
		t.Fatal(err)
	}
	return u
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
			events[registered(r.t, rec).Keyed.SourceEventID]++
		})
		if d := cmp.Diff(map[string]int{"g1": 1, "g2": 1}, events); d != "" {
			r.t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

// outage is a registry that knows two schemas, and is away while it is told to be: it refuses every other request, and ends the
// connection of those between.
type outage struct {
	*srfake.Registry
	away  atomic.Bool
	asked atomic.Int32 // while it was away
}

func newOutage(t *testing.T) *outage {
	o := &outage{Registry: srfake.New()}
	t.Cleanup(o.Close)
	o.SeedSchema("ours-value", 1, 11, sr.Schema{Schema: schemas.KindInteraction.Schema(), Type: sr.TypeAvro})
	o.SeedSchema("evolved-value", 1, 12, sr.Schema{Schema: evolved(t), Type: sr.TypeAvro})
	o.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Connection", "close")
		if !o.away.Load() {
			return false
		}
		if o.asked.Add(1)%2 == 0 {
			panic(http.ErrAbortHandler)
		}
		http.Error(w, `{"error_code":50001,"message":"away"}`, http.StatusServiceUnavailable)
		return true
	})
	return o
}

// of makes records of one partition: of a schema that the registry has told, then of one that it has not, and again.
func (o *outage) of(t *testing.T) (values []string) {
	ours, theirs := schemas.KindInteraction.Schema(), evolved(t)
	for i, schema := range []string{ours, theirs, ours, theirs} {
		id := uint32(11 + i%2)
		values = append(values, avroLine(t, id, schema, line("pos", fmt.Sprintf("w%d", i), "S01", "Ana", noon)))
	}
	return values
}

var inOrder = []string{"w0", "w1", "w2", "w3"}

// The registry is away for two minutes of the clock of a bubble, in which nobody waits.
func TestARegistryMayBeAwayForMinutes(t *testing.T) {
	registry := newOutage(t)
	var batch []*kafka.Record
	for i, value := range registry.of(t) {
		batch = append(batch, &kafka.Record{Topic: "in", Offset: int64(i), Value: []byte(value)})
	}
	c := config.Default()
	c.Sources = []config.Source{{Topics: []string{"in"}, Format: config.FormatAvro}}
	c.Registry.URLs = []string{registry.URL()}
	synctest.Test(t, func(t *testing.T) {
		const away = 2 * time.Minute
		registry.away.Store(true)
		time.AfterFunc(away, func() { registry.away.Store(false) })
		began := time.Now()
		var log bytes.Buffer
		became, err := processor.Ingest(t.Context(), c, slog.New(slog.NewTextHandler(&log, nil)), batch)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(inOrder, became); d != "" {
			t.Errorf("what became of the records (-want +got):\n%s", d)
		}
		if took := time.Since(began); took < away || took > away+6*time.Second {
			t.Errorf("it went on after %s, want soon after %s", took, away)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if n := len(lines); n < 20 || n > 40 {
			t.Errorf("%d lines of log in two minutes, want one every few seconds", n)
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, "level=INFO") || !strings.Contains(last, "answers again; going on") || !strings.Contains(last, "after=2m") {
			t.Errorf("the last line of the log is %s", last)
		}
		for _, l := range lines[:len(lines)-1] {
			for _, want := range []string{"level=WARN", "waiting, nothing is rejected", `schema="schema id 11"`, registry.URL(), "backoff="} {
				if !strings.Contains(l, want) {
					t.Errorf("%q is not in the log: %s", want, l)
				}
			}
		}
		if asked := int(registry.asked.Load()); asked < len(lines)-1 || asked > 8*len(lines) {
			t.Errorf("it was asked %d times, with %d lines of log", asked, len(lines))
		}
	})
}

// A stop in good order does not wait for the registry.
func TestAStopDoesNotWaitForTheRegistry(t *testing.T) {
	registry := newOutage(t)
	registry.away.Store(true)
	c := config.Default()
	c.Sources = []config.Source{{Topics: []string{"in"}, Format: config.FormatAvro}}
	c.Registry.URLs = []string{registry.URL()}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := processor.Ingest(ctx, c, slog.New(slog.DiscardHandler), []*kafka.Record{{Topic: "in", Value: []byte(registry.of(t)[0])}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", err)
		}
	})
}

func TestWhileTheRegistryIsAwayNothingIsRejected(t *testing.T) {
	t.Parallel()
	registry := newOutage(t)
	r := newRig(t, embeddedBroker(t))
	r.configure = func(c *config.Config) {
		c.Sources[0].Format = config.FormatAvro
		c.Registry.URLs = []string{registry.URL()}
	}
	p := r.start(state.NewMemoryFS())
	p.isReady()
	registry.away.Store(true)
	values := registry.of(t)
	producer, err := kafka.NewProducer(r.kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for _, value := range values {
		producer.Produce(r.context(), &kafka.Record{Topic: r.input, Partition: 1, Value: []byte(value)})
	}
	if err := producer.Flush(r.context()); err != nil {
		t.Fatal(err)
	}
	r.until(func() bool { return registry.asked.Load() > 3 })
	if totals := p.p.Totals(); totals.Parked+totals.Events > 0 {
		t.Errorf("totals %+v while the registry was away", totals)
	}
	// All wait, also those that are in hand already, and whoever looks sees it.
	waiting := fmt.Sprintf(`kinfold_input_lag_records{partition="1",stage="ingest",topic=%q} `, r.input)
	r.until(func() bool { return strings.Contains(p.metrics(), fmt.Sprintf("%s%d\n", waiting, len(values))) })
	registry.away.Store(false)
	r.drained()
	if totals := p.p.Totals(); totals.Events != int64(len(values)) || totals.Parked != 0 {
		t.Errorf("totals %+v, want %d events and no reject", totals, len(values))
	}
	var order []string
	r.read(r.config().Topics.UnifiedCustomerEvents, func(rec *kafka.Record) { order = append(order, registered(t, rec).Keyed.SourceEventID) })
	if d := cmp.Diff(inOrder, order); d != "" {
		t.Errorf("events of one customer (-want +got):\n%s", d)
	}
	r.until(func() bool { return strings.Contains(p.metrics(), waiting+"0\n") })
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAStageSaysWhatItsRecordsWaitFor(t *testing.T) {
	for waited, want := range map[time.Duration]string{time.Second: "running", 2 * time.Minute: "waiting for the schema registry for 2m0s"} {
		if ok, what := processor.HealthOfWaiting(waited); !ok || what != want {
			t.Errorf("after %s: %v, %s; want %s, and ready", waited, ok, what, want)
		}
	}
}

// metrics is what a process publishes.
func (q *process) metrics() string {
	q.rig.t.Helper()
	answer, err := http.Get("http://" + q.p.HTTPAddr() + "/metrics")
	if err != nil {
		q.rig.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		q.rig.t.Fatal(err)
	}
	return string(text)
}
