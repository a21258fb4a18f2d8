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

func TestA404ThatIsNotTheRegistrysIsNoAnswer(t *testing.T) {
	f := fake(t)
	f.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "<html>not here</html>", http.StatusNotFound)
		return true
	})
	if err := openRegistry(t, f.URL()).Fetch(t.Context(), 7); !errors.Is(err, ErrRegistryUnreachable) {
		t.Errorf("a proxy's 404 gives %v", err)
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
