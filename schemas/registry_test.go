package schemas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"kinfold/processor/interaction"
)

func openRegistry(t *testing.T, url string) *Registry {
	t.Helper()
	r, err := OpenRegistry(RegistryConfig{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fake(t *testing.T) *srfake.Registry {
	f := srfake.New()
	t.Cleanup(f.Close)
	return f
}

// simple is an interaction of our schema.
func simple() []byte {
	b := []byte{}
	for _, s := range []string{"e1", "pos", "pos", "x.y", ""} {
		b = appendText(b, s)
	}
	return append(appendLong(append(b, 0), 1), 0, 0, 0, 0)
}

func TestSchemasAreFetchedOnceAndUnknownIdsAreRejects(t *testing.T) {
	f := fake(t)
	f.SeedSchema("in-value", 1, 7, sr.Schema{Schema: KindInteraction.Schema(), Type: sr.TypeAvro})
	f.SeedSchema("proto-value", 1, 8, sr.Schema{Schema: `syntax = "proto3"; message A {}`, Type: sr.TypeProtobuf})
	f.SeedSchema("bad-value", 1, 9, sr.Schema{Schema: `{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}`, Type: sr.TypeAvro})
	r := openRegistry(t, f.URL())
	for id, want := range map[int]interaction.Reason{
		7: "", 8: interaction.ReasonUnsupportedType, 9: interaction.ReasonBadSchema, 99: interaction.ReasonUnknownSchema,
	} {
		if r.Known(id) {
			t.Errorf("schema %d is known before it was fetched", id)
		}
		if err := r.Fetch(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if !r.Known(id) {
			t.Errorf("schema %d is not known after it was fetched", id)
		}
		reject := r.Interaction(id, simple(), &interaction.Interaction{})
		if (reject == nil) != (want == "") || reject != nil && reject.Reason != want {
			t.Errorf("schema %d: reject %v, want %q", id, reject, want)
		}
	}
}

func TestARegistryThatDoesNotAnswerIsWaitedFor(t *testing.T) {
	f := fake(t)
	f.SeedSchema("in-value", 1, 7, sr.Schema{Schema: KindInteraction.Schema(), Type: sr.TypeAvro})
	var answer atomic.Int32
	f.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if code := answer.Load(); code != 0 {
			http.Error(w, `{"error_code":1,"message":"away"}`, int(code))
			return true
		}
		return false
	})
	r := openRegistry(t, f.URL())
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusUnauthorized} {
		answer.Store(int32(code))
		err := r.Fetch(t.Context(), 7)
		if !errors.Is(err, ErrRegistryUnreachable) || r.Known(7) {
			t.Errorf("answer %d gives %v", code, err)
		}
		if code == http.StatusUnauthorized && !strings.Contains(err.Error(), "registry.user") {
			t.Errorf("the error %v does not say what to check", err)
		}
	}
	answer.Store(0)
	if err := r.Fetch(t.Context(), 7); err != nil || !r.Known(7) {
		t.Errorf("the registry is back: %v", err)
	}
	gone := openRegistry(t, "http://127.0.0.1:1")
	if err := gone.Fetch(t.Context(), 7); !errors.Is(err, ErrRegistryUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := gone.Fetch(ended, 7); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller has left: %v", err)
	}
}

func TestBytesThatOnlyLookLikeIdsDoNotPushOutSchemasInUse(t *testing.T) {
	f := fake(t)
	f.SeedSchema("in-value", 1, 7, sr.Schema{Schema: KindInteraction.Schema(), Type: sr.TypeAvro})
	r := openRegistry(t, f.URL())
	if err := r.Fetch(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	for id := range maxReaders + 5 {
		if err := r.Fetch(t.Context(), 1000+id); err != nil {
			t.Fatal(err)
		}
	}
	if !r.Known(7) {
		t.Error("a schema in use was forgotten for unknown ones")
	}
	if !r.Known(1 << 31) {
		t.Error("an id that no registry gives out is asked for")
	}
}

func TestASchemaInUseOutlivesAThousandOthers(t *testing.T) {
	f := fake(t)
	ours := sr.Schema{Schema: KindInteraction.Schema(), Type: sr.TypeAvro}
	f.SeedSchema("in-value", 1, 7, ours)
	f.SeedSchema("late-value", 1, 8, ours)
	r := openRegistry(t, f.URL())
	if err := r.Fetch(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	others := func(from, n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for id := range n {
			r.keep(&verdict{key: ByID(from + id), reader: &Reader{}})
		}
	}
	for round := range 3 {
		others((round+1)*10_000, maxReaders)
		if !r.Known(7) {
			t.Fatalf("round %d: a schema in use was forgotten for others", round)
		}
		// A batch asks whether it knows its schemas, fetches what it does not, and then decodes. What it fetches begins a generation.
		others((round+1)*10_000+5_000, maxReaders-1)
		if err := r.Fetch(t.Context(), 8); err != nil {
			t.Fatal(err)
		}
		if reject := r.Interaction(7, simple(), &interaction.Interaction{}); reject != nil {
			t.Errorf("round %d: %v", round, reject)
		}
		if !r.Known(7) { // the next batch
			t.Fatalf("round %d: a schema of the last batch was forgotten", round)
		}
	}
	others(50_000, maxReaders)
	others(60_000, maxReaders)
	if r.Known(7) || len(r.known)+len(r.older) > 2*maxReaders {
		t.Errorf("%d schemas are kept, at most %d; the one not in use is known: %v", len(r.known)+len(r.older), 2*maxReaders, r.Known(7))
	}
}

func TestLargeSchemasEndAGenerationEarlier(t *testing.T) {
	r := openRegistry(t, "http://127.0.0.1:1")
	for id := range 1_000 {
		r.keep(&verdict{key: ByID(id), reader: &Reader{}, bytes: maxSchemaBytes})
	}
	if kept := (len(r.known) + len(r.older)) * maxSchemaBytes; kept > 2*maxReaderBytes {
		t.Errorf("%d bytes of schemas are kept, at most %d", kept, 2*maxReaderBytes)
	}
}

func TestAnAnswerThatIsNotTheRegistrysIsNone(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusBadRequest} {
		f := fake(t)
		f.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "<html>not here</html>", status)
			return true
		})
		r := openRegistry(t, f.URL())
		if err := r.Fetch(t.Context(), 7); !errors.Is(err, ErrRegistryUnreachable) || r.Known(7) {
			t.Errorf("a proxy's %d gives %v", status, err)
		}
	}
}

func TestReferencesAreInlined(t *testing.T) {
	f := fake(t)
	f.SeedSchema("id", 1, 1, sr.Schema{Schema: `{"type":"record","name":"Id","namespace":"tienda","fields":[{"name":"namespace","type":"string"},{"name":"value","type":"string"}]}`, Type: sr.TypeAvro})
	f.SeedSchema("in-value", 1, 2, sr.Schema{
		Schema: record(required + `,{"name":"identifiers","type":{"type":"array","items":"tienda.Id"}}`), Type: sr.TypeAvro,
		References: []sr.SchemaReference{{Name: "tienda.Id", Subject: "id", Version: 1}},
	})
	r := openRegistry(t, f.URL())
	if err := r.Fetch(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	body := []byte{}
	for _, s := range []string{"e1", "pos", "pos", "x.y"} {
		body = appendText(body, s)
	}
	body = append(appendText(appendText(append(appendLong(body, 5), 2), "email"), "a@b.example"), 0)
	var in interaction.Interaction
	if reject := r.Interaction(2, body, &in); reject != nil {
		t.Fatal(reject)
	}
	if len(in.Identifiers) != 1 || in.Identifiers[0].Value != "a@b.example" {
		t.Errorf("identifiers %v", in.Identifiers)
	}
}

// Money is referred to by the order and by its lines, and a line refers to it before the order does: it must be defined once.
func TestASchemaReferredToInTwoWaysIsInlinedOnce(t *testing.T) {
	f := fake(t)
	avro := func(text string, refs ...sr.SchemaReference) sr.Schema {
		return sr.Schema{Schema: text, Type: sr.TypeAvro, References: refs}
	}
	money := sr.SchemaReference{Name: "Importe.avsc", Subject: "importe", Version: 1}
	line := sr.SchemaReference{Name: "tienda.Linea", Subject: "linea", Version: 1}
	f.SeedSchema("importe", 1, 1, avro(`{"type":"record","name":"tienda.Importe","fields":[{"name":"v","type":"long"}]}`))
	f.SeedSchema("linea", 1, 2, avro(`{"type":"record","name":"Linea","namespace":"tienda","fields":[{"name":"total","type":"Importe"}]}`, money))
	f.SeedSchema("in-value", 1, 3, avro(record(required+`,{"name":"l","type":{"type":"array","items":"tienda.Linea"}},{"name":"t","type":"tienda.Importe"}`), money, line))
	r := openRegistry(t, f.URL())
	held, err := r.confluent(avro(record(`{"name":"l","type":["null","tienda.Linea"]},{"name":"t","type":"tienda.Importe"}`), line, money), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := inlined(t.Context(), held)
	if err != nil || strings.Count(text, `"tienda.Importe"`) != 2 || strings.Count(text, `"name":"v"`) != 1 {
		t.Errorf("inlined %s, %v", text, err)
	}
	if err := r.Fetch(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	body := append(simple()[:15], appendLong(nil, 5)...) // as far as type, then occurred_at
	body = append(body, 2, 6, 0, 8)                      // a line of 3, no more, a total of 4
	var in interaction.Interaction
	if reject := r.Interaction(3, body, &in); reject != nil || in.OccurredAt != 5 {
		t.Errorf("interaction %+v, reject %v", in, reject)
	}
}

func TestReferencesWithoutEndAreABadSchema(t *testing.T) {
	f := fake(t)
	var asked atomic.Int32
	f.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasPrefix(req.URL.Path, "/subjects/") {
			return false
		}
		n := asked.Add(1)
		fmt.Fprintf(w, `{"subject":"s%d","version":1,"id":%d,"schema":"{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[]}","references":[{"name":"R%d","subject":"s%d","version":1},{"name":"R%d","subject":"s%d","version":2}]}`, n, n, n, n+1, n+1, n+1, n+1)
		return true
	})
	f.SeedSchema("s1", 1, 2, sr.Schema{Schema: `"string"`, Type: sr.TypeAvro})
	f.SeedSchema("s0", 1, 1, sr.Schema{Schema: record(required), Type: sr.TypeAvro, References: []sr.SchemaReference{{Name: "R1", Subject: "s1", Version: 1}}})
	r := openRegistry(t, f.URL())
	if err := r.Fetch(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	reject := r.Interaction(1, simple(), &interaction.Interaction{})
	if reject == nil || reject.Reason != interaction.ReasonBadSchema || asked.Load() > maxReferences {
		t.Errorf("reject %v after %d questions, want bad_schema after at most %d", reject, asked.Load(), maxReferences)
	}
}

// onEachRegistry runs a test against the one inside the process and the one that KINFOLD_TEST_REGISTRY names.
func onEachRegistry(t *testing.T, run func(t *testing.T, url string)) {
	t.Run("inside", func(t *testing.T) { run(t, fake(t).URL()) })
	t.Run("real", func(t *testing.T) {
		url := os.Getenv("KINFOLD_TEST_REGISTRY")
		if url == "" {
			t.Skip("KINFOLD_TEST_REGISTRY names no registry")
		}
		run(t, url)
	})
}

func TestOurSchemasAreRegisteredOnceUnderTheirTopics(t *testing.T) {
	onEachRegistry(t, func(t *testing.T, url string) {
		r := openRegistry(t, url)
		topic := fmt.Sprintf("t%d", time.Now().UnixNano())
		topics := map[Kind]string{KindKeyed: topic + ".keyed", KindUnified: topic + "-events", KindChange: topic + "-changes", KindMapRow: topic + "-map"}
		first, err := r.Register(t.Context(), topics)
		if err != nil {
			t.Fatal(err)
		}
		again, err := openRegistry(t, url).Register(t.Context(), topics)
		if err != nil || again != first {
			t.Errorf("registered again: %v, %v; the first time %v", again, err, first)
		}
		id, ok := RegistryID(first.Append(nil, KindUnified))
		if !ok {
			t.Fatal("unified events are not in the registry's framing")
		}
		if err := r.Fetch(t.Context(), id); err != nil || !r.Known(id) {
			t.Errorf("what was registered is not found: %v", err)
		}
	})
}

func TestASubjectWithAnotherSchemaIsNoReasonToWait(t *testing.T) {
	url := os.Getenv("KINFOLD_TEST_REGISTRY")
	if url == "" {
		t.Skip("KINFOLD_TEST_REGISTRY names no registry, and the one inside the process does not compare schemas")
	}
	r := openRegistry(t, url)
	topic := fmt.Sprintf("t%d", time.Now().UnixNano())
	other := sr.Schema{Schema: `{"type":"record","name":"Otro","fields":[{"name":"a","type":"string"}]}`, Type: sr.TypeAvro}
	if _, err := r.cl.CreateSchema(t.Context(), topic+"-value", other); err != nil {
		t.Fatal(err)
	}
	_, err := r.Register(t.Context(), map[Kind]string{KindUnified: topic})
	if err == nil || errors.Is(err, ErrRegistryUnreachable) || !strings.Contains(err.Error(), topic+"-value") {
		t.Errorf("error %v; want one that names the subject and is not waited for", err)
	}
}
