package schemas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/sr"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// generation is one version of a producer's schema with a record that it writes, and what is read of that.
type generation struct {
	name   string
	fields string
	native map[string]any
	more   func(*interaction.Interaction) // how the interaction differs from that of the first generation
	tree   string
}

// generations are the ways in which a producer's schema may change without its readers noticing.
func generations() []generation {
	const (
		first    = `{"name":"event_id","type":"bytes"},{"name":"source","type":"string"},{"name":"channel","type":"string"},{"name":"type","type":"string"},{"name":"occurred_at","type":"int"},{"name":"puntos","type":"int"}`
		moment   = `{"name":"occurred_at","type":{"type":"long","logicalType":"timestamp-millis"}}`
		text     = `{"name":"event_id","type":"string"}`
		store    = `,{"name":"store_code","type":"string","default":"S01"}`
		renamed  = `{"name":"sistema","type":"string","aliases":["source"]}`
		nullable = `{"name":"channel","type":["null","string"],"default":null}`
	)
	replaced := func(fields string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(fields) }
	record := func(more map[string]any) map[string]any {
		m := map[string]any{"event_id": []byte("v-1"), "source": "pos", "channel": "pos", "type": "order.placed", "occurred_at": int32(1_772_452), "puntos": int32(7)}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	stored := map[string]any{"store_code": "S02"}
	promoted := map[string]any{"store_code": "S02", "event_id": "v-1", "occurred_at": int64(1_772_452), "puntos": int64(1) << 40}
	inSistema := map[string]any{"store_code": "S02", "event_id": "v-1", "occurred_at": int64(1_772_452), "puntos": int64(7), "sistema": "pos"}
	none := map[string]any{"store_code": "S02", "event_id": "v-1", "occurred_at": int64(1_772_452), "puntos": int64(7), "sistema": "pos", "channel": nil}
	withStore := func(in *interaction.Interaction) { in.StoreCode = "S02" }
	longer := replaced(first, `{"name":"event_id","type":"bytes"}`, text, `{"name":"occurred_at","type":"int"}`, moment, `{"name":"puntos","type":"int"}`, `{"name":"puntos","type":"long"}`)
	named := replaced(longer, `{"name":"source","type":"string"}`, renamed)
	maybe := replaced(named, `{"name":"channel","type":"string"}`, nullable)
	const moments = `"occurred_at":"1970-01-01T00:29:32.452Z"`
	return []generation{
		{"the first", first, record(nil), func(*interaction.Interaction) {},
			`{"event_id":"di0x","source":"pos","channel":"pos","type":"order.placed","occurred_at":1772452,"puntos":7}`},
		{"a field more, with a default", first + store, record(stored), withStore,
			`{"event_id":"di0x","source":"pos","channel":"pos","type":"order.placed","occurred_at":1772452,"puntos":7,"store_code":"S02"}`},
		{"int to long, bytes to string, a long to a moment", longer + store, record(promoted), withStore,
			`{"event_id":"v-1","source":"pos","channel":"pos","type":"order.placed",` + moments + `,"puntos":1099511627776,"store_code":"S02"}`},
		{"renamed, with an alias", named + store, record(inSistema), withStore,
			`{"event_id":"v-1","sistema":"pos","channel":"pos","type":"order.placed",` + moments + `,"puntos":7,"store_code":"S02"}`},
		{"nullable, and null", maybe + store, record(none), func(in *interaction.Interaction) { withStore(in); in.Channel = "" },
			`{"event_id":"v-1","sistema":"pos","channel":null,"type":"order.placed",` + moments + `,"puntos":7,"store_code":"S02"}`},
	}
}

// writtenWith encodes a record with a schema without its logical types, whose values are those of the bytes.
func writtenWith(t *testing.T, schema string, native map[string]any) []byte {
	t.Helper()
	text, err := layout(schema)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := goavro.NewCodec(text)
	if err != nil {
		t.Fatal(err)
	}
	body, err := codec.BinaryFromNative(nil, native)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func someTopic() string { return fmt.Sprintf("t%d", time.Now().UnixNano()) }

func TestAProducerMayEvolveItsSchema(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, url string) {
		r := openRegistry(t, url)
		subject := someTopic() + "-value"
		if res := r.cl.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatBackwardTransitive}, subject); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		want := interaction.Interaction{EventID: "v-1", Source: "pos", Channel: "pos", Type: "order.placed", OccurredAt: 1_772_452, TimeStated: true, Payload: []byte{0, 0, 0}}
		ids := map[int]string{}
		for _, g := range generations() {
			schema := record(g.fields)
			registered, err := r.cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: schema, Type: sr.TypeAvro})
			if err != nil {
				t.Fatalf("%s: %v", g.name, err)
			}
			if twin, ok := ids[registered.ID]; ok {
				t.Errorf("%s has the id of %s", g.name, twin)
			}
			ids[registered.ID] = g.name
			if err := r.Fetch(t.Context(), registered.ID); err != nil {
				t.Fatal(err)
			}
			body := writtenWith(t, schema, g.native)
			var got interaction.Interaction
			if reject := r.Interaction(registered.ID, body, &got); reject != nil {
				t.Fatalf("%s: %v", g.name, reject)
			}
			wanted := want
			g.more(&wanted)
			if d := cmp.Diff(wanted, got); d != "" {
				t.Errorf("%s: interaction (-want +got):\n%s", g.name, d)
			}
			var tree source.Tree
			root, reject := r.Tree(registered.ID, body, &tree)
			if reject != nil || shown(&tree, root) != g.tree {
				t.Errorf("%s: %s, reject %v, want %s", g.name, shown(&tree, root), reject, g.tree)
			}
		}
	})
}

// realRegistry is the one that KINFOLD_TEST_REGISTRY names.
func realRegistry(t *testing.T) (*Registry, string) {
	t.Helper()
	url := os.Getenv("KINFOLD_TEST_REGISTRY")
	if url == "" {
		t.Skip("KINFOLD_TEST_REGISTRY names no registry")
	}
	return openRegistry(t, url), url
}

// The registry inside the process does not compare schemas: only a real one shows that ours are kept compatible.
func TestARegistryRefusesWhatReadersCouldNotRead(t *testing.T) {
	r, _ := realRegistry(t)
	topic := someTopic()
	if _, err := r.Register(t.Context(), map[Kind]string{KindInteraction: topic}); err != nil {
		t.Fatal(err)
	}
	subject := topic + "-value"
	if res := r.cl.Compatibility(t.Context(), subject); res[0].Err != nil || res[0].Level != sr.CompatBackwardTransitive {
		t.Errorf("the level is %v, %v, want BACKWARD_TRANSITIVE", res[0].Level, res[0].Err)
	}
	for name, c := range map[string]struct {
		schema string
		taken  bool
	}{
		"a field more without default": {strings.Replace(interactionSchema, `"fields": [`, `"fields": [{"name":"caja","type":"string"},`, 1), false},
		"a long that becomes an int":   {strings.Replace(interactionSchema, `{"type": "long", "logicalType": "timestamp-millis"}`, `"int"`, 1), false},
		"another name of the record":   {strings.Replace(interactionSchema, `"name": "Interaction"`, `"name": "Otra"`, 1), false},
		"a field more with a default":  {strings.Replace(interactionSchema, `"fields": [`, `"fields": [{"name":"caja","type":"string","default":""},`, 1), true},
	} {
		if c.schema == interactionSchema {
			t.Errorf("%s: the contract does not read as the test thinks", name)
			continue
		}
		_, err := r.cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: c.schema, Type: sr.TypeAvro})
		if c.taken != (err == nil) || !c.taken && status(err) != http.StatusConflict {
			t.Errorf("%s: %v; want it taken: %v", name, err, c.taken)
		}
	}
}

func TestWhatARealRegistryDoesNotKnowIsAReject(t *testing.T) {
	r, _ := realRegistry(t)
	for _, key := range []SchemaKey{ByID(2_000_000_000), ByID(0), ByGlobalID(1 << 40), ByContentID(1 << 40)} {
		err := r.Learn(t.Context(), key)
		if err != nil && strings.Contains(err.Error(), "no interface of Apicurio's") {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if _, reject := r.Reader(key); reject == nil || reject.Reason != interaction.ReasonUnknownSchema {
			t.Errorf("%s: reject %v, want unknown_schema", key, reject)
		}
	}
}

// The ids of Apicurio's own, with references: the real registry of the tests is one.
func TestARealApicurioKnowsItsOwnIds(t *testing.T) {
	r, base := realRegistry(t)
	place, _, ok := strings.Cut(base, "/apis/")
	if !ok {
		t.Skip("KINFOLD_TEST_REGISTRY is no Apicurio Registry")
	}
	topic := someTopic()
	create := func(subject, schema string, refs ...sr.SchemaReference) {
		if _, err := r.cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: schema, Type: sr.TypeAvro, References: refs}); err != nil {
			t.Fatal(err)
		}
	}
	create(topic+"-cliente", cliente)
	reference := sr.SchemaReference{Name: "tienda.Cliente", Subject: topic + "-cliente", Version: 1}
	create(topic+"-otra", venta, reference) // equal contents in two artifacts: one content id, two global ids
	create(topic+"-value", venta, reference)
	resp, err := http.Get(place + "/apis/registry/v3/groups/default/artifacts/" + topic + "-value/versions/1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var ids struct{ GlobalID, ContentID uint64 }
	if err := json.NewDecoder(resp.Body).Decode(&ids); err != nil || ids.GlobalID == 0 || ids.GlobalID == ids.ContentID {
		t.Fatalf("global and content id %+v, %v; want two that differ", ids, err)
	}
	for _, key := range []SchemaKey{ByGlobalID(ids.GlobalID), ByContentID(ids.ContentID), ByID(int(ids.ContentID))} {
		if err := r.Learn(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		reader, reject := r.Reader(key)
		if reject != nil {
			t.Errorf("%s: %v", key, reject)
			continue
		}
		var tree source.Tree
		if root, reject := reader.Tree([]byte(sale), &tree); reject != nil || shown(&tree, root) != saleTree {
			t.Errorf("%s: %s, reject %v, want %s", key, shown(&tree, root), reject, saleTree)
		}
	}
	if err := r.Learn(t.Context(), ByGUID(1, 2)); !errors.Is(err, ErrRegistryUnreachable) || !strings.Contains(err.Error(), "GUID") {
		t.Errorf("it has no GUIDs: %v, want ErrRegistryUnreachable that says so", err)
	}
}

// The registry is stopped and started again by the program that KINFOLD_TEST_KAFKA names, ../shared/kafka/kafka, on the folder of
// KAFKA_DIR; it comes back on its port.
func TestWhileARealRegistryIsGoneNothingIsRejected(t *testing.T) {
	r, url := realRegistry(t)
	program := os.Getenv("KINFOLD_TEST_KAFKA")
	if program == "" {
		t.Skip("KINFOLD_TEST_KAFKA names no program that stops and starts the registry")
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	port := url[strings.LastIndexByte(url[:strings.Index(url, "/apis/")], ':')+1 : strings.Index(url, "/apis/")]
	subject := someTopic() + "-value"
	known, err := r.cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: record(required), Type: sr.TypeAvro})
	if err != nil {
		t.Fatal(err)
	}
	late, err := r.cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: record(required + `,{"name":"caja","type":"int","default":0}`), Type: sr.TypeAvro})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), known.ID); err != nil {
		t.Fatal(err)
	}
	run("registry-down")
	up := func() { run("registry-up", "--port", port) }
	back := false
	defer func() {
		if !back {
			up()
		}
	}()
	body := append(simple()[:15], appendLong(nil, 5)...)
	for range 3 {
		if err := r.Fetch(t.Context(), late.ID); !errors.Is(err, ErrRegistryUnreachable) || r.Known(late.ID) {
			t.Errorf("it is gone: error %v, known %v", err, r.Known(late.ID))
		}
		if reject := r.Interaction(known.ID, body, &interaction.Interaction{}); !r.Known(known.ID) || reject != nil {
			t.Errorf("a schema that is known is not used: %v", reject)
		}
	}
	if _, err := r.Register(t.Context(), map[Kind]string{KindUnified: subject}); !errors.Is(err, ErrRegistryUnreachable) {
		t.Errorf("registering: %v", err)
	}
	up()
	back = true
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := r.Fetch(ctx, late.ID); err != nil || !r.Known(late.ID) {
		t.Errorf("it is back: error %v, known %v", err, r.Known(late.ID))
	}
	if reject := r.Interaction(late.ID, append(body, 2), &interaction.Interaction{}); reject != nil {
		t.Error(reject)
	}
}
