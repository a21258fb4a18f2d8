package schemas

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"kinfold/processor/interaction"
)

// answering makes the registry answer requests of a method, on paths that begin so, with a status.
func answering(f *srfake.Registry, method, path string, status int, body string) {
	f.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != method || !strings.HasPrefix(req.URL.Path, path) {
			return false
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	})
}

func TestRegisteringTellsWhatToWaitForFromWhatToMend(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		wait   bool
		says   []string
	}{
		"an incompatible subject": {http.StatusConflict, `{"error_code":409,"message":"READER_FIELD_MISSING_DEFAULT_VALUE"}`, false,
			[]string{"ventas-value", "UnifiedCustomerEvent", "READER_FIELD_MISSING_DEFAULT_VALUE"}},
		"a schema that it refuses":  {http.StatusUnprocessableEntity, `{"error_code":42201,"message":"invalid"}`, false, []string{"ventas-value"}},
		"a registry that is away":   {http.StatusServiceUnavailable, `{"error_code":50301,"message":"away"}`, true, nil},
		"a registry without leader": {http.StatusInternalServerError, `{"error_code":50003,"message":"no leader"}`, true, nil},
		"a wrong password":          {http.StatusUnauthorized, `{"error_code":401,"message":"who are you"}`, true, []string{"registry.user", "registry.password"}},
		"no permission":             {http.StatusForbidden, `{"error_code":40301,"message":"no"}`, true, []string{"registry.user", "registry.password"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := fake(t)
			answering(f, http.MethodPost, "/subjects/", c.status, c.body)
			framing, err := openRegistry(t, f.URL()).Register(t.Context(), map[Kind]string{KindUnified: "ventas"})
			if err == nil || errors.Is(err, ErrRegistryUnreachable) != c.wait {
				t.Fatalf("error %v; waited for: %v, want %v", err, !c.wait, c.wait)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the error %q does not say %s", err, s)
				}
			}
			if framing != SingleObject() {
				t.Errorf("a framing %v comes with the error", framing)
			}
		})
	}
	if _, err := openRegistry(t, "http://127.0.0.1:1").Register(t.Context(), map[Kind]string{KindMapRow: "mapa"}); !errors.Is(err, ErrRegistryUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestSubjectsAreSetToBackwardTransitiveBeforeTheirSchemaIsRegistered(t *testing.T) {
	f := fake(t)
	var mu sync.Mutex
	var asked []string
	f.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, req.Method+" "+req.URL.Path)
		}
		return false
	})
	topics := map[Kind]string{KindChange: "cambios", KindUnified: "ventas.v1"}
	framing, err := openRegistry(t, f.URL()).Register(t.Context(), topics)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"PUT /config/ventas.v1-value", "POST /subjects/ventas.v1-value/versions", "PUT /config/cambios-value", "POST /subjects/cambios-value/versions"}
	mu.Lock()
	if d := cmp.Diff(want, asked); d != "" {
		t.Errorf("what it was asked to change (-want +got):\n%s", d)
	}
	mu.Unlock()
	cl, err := sr.NewClient(sr.URLs(f.URL()))
	if err != nil {
		t.Fatal(err)
	}
	for k, topic := range topics {
		levels := cl.Compatibility(t.Context(), topic+"-value")
		if len(levels) != 1 || levels[0].Err != nil || levels[0].Level != sr.CompatBackwardTransitive {
			t.Errorf("%s: compatibility %+v", topic, levels)
		}
		held, err := cl.SchemaByVersion(t.Context(), topic+"-value", 1)
		if err != nil {
			t.Fatal(err)
		}
		if held.Schema.Schema != k.Schema() || held.Type != sr.TypeAvro {
			t.Errorf("%s holds schema %.60s of type %s", topic, held.Schema.Schema, held.Type)
		}
		if id, ok := RegistryID(framing.Append(nil, k)); !ok || id != held.ID {
			t.Errorf("%s is framed with schema id %d, want %d", k, id, held.ID)
		}
	}
	if _, ok := RegistryID(framing.Append(nil, KindKeyed)); ok {
		t.Error("a kind without topic is in the registry's framing")
	}
}

func TestARegistryThatKeepsItsLevelsIsWarnedOfAndUsed(t *testing.T) {
	f := fake(t)
	answering(f, http.MethodPut, "/config/", http.StatusForbidden, `{"error_code":40301,"message":"levels are ours"}`)
	var said bytes.Buffer
	r, err := OpenRegistry(RegistryConfig{URLs: []string{f.URL()}, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	framing, err := r.Register(t.Context(), map[Kind]string{KindMapRow: "mapa"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := RegistryID(framing.Append(nil, KindMapRow)); !ok {
		t.Error("the schema is not registered")
	}
	if !strings.Contains(said.String(), "mapa-value") || !strings.Contains(said.String(), "levels are ours") {
		t.Errorf("the log %q does not say which subject keeps its level", said.String())
	}
}

func TestARegistryIsReachedWithItsPasswordOnly(t *testing.T) {
	const user, password = "kinfold", "contraseña"
	f := srfake.New(srfake.WithAuth("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))))
	t.Cleanup(f.Close)
	f.SeedSchema("in-value", 1, 7, sr.Schema{Schema: KindInteraction.Schema(), Type: sr.TypeAvro})
	for name, c := range map[string]struct {
		config RegistryConfig
		known  bool
	}{
		"with it":         {RegistryConfig{User: user, Password: password}, true},
		"with another":    {RegistryConfig{User: user, Password: "segredo"}, false},
		"without any":     {RegistryConfig{}, false},
		"the user's name": {RegistryConfig{User: user}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.URLs = []string{f.URL()}
			r, err := OpenRegistry(c.config)
			if err != nil {
				t.Fatal(err)
			}
			err = r.Fetch(t.Context(), 7)
			if (err == nil) != c.known || r.Known(7) != c.known {
				t.Fatalf("error %v, known %v; want known %v", err, r.Known(7), c.known)
			}
			if c.known {
				return
			}
			if !errors.Is(err, ErrRegistryUnreachable) || !strings.Contains(err.Error(), "registry.password") {
				t.Errorf("the error %q does not say what to check", err)
			}
			if strings.Contains(err.Error(), "segredo") {
				t.Errorf("the error %q tells the password", err)
			}
		})
	}
}

func TestARegistryIsReachedOverTLSAndTheNextURLStandsInForOneThatIsAway(t *testing.T) {
	f := fake(t)
	f.SeedSchema("in-value", 1, 7, sr.Schema{Schema: KindInteraction.Schema(), Type: sr.TypeAvro})
	server := httptest.NewUnstartedServer(f.Handler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	r, err := OpenRegistry(RegistryConfig{URLs: []string{"https://127.0.0.1:1", server.URL}, TLS: &tls.Config{RootCAs: trusted}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), 7); err != nil || !r.Known(7) {
		t.Errorf("the second URL is up: %v", err)
	}
	stranger, err := OpenRegistry(RegistryConfig{URLs: []string{server.URL}, TLS: &tls.Config{RootCAs: x509.NewCertPool()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Fetch(t.Context(), 7); !errors.Is(err, ErrRegistryUnreachable) || stranger.Known(7) {
		t.Errorf("a registry that nobody vouches for gives %v", err)
	}
}

func TestAReferenceThatIsMissingIsABadSchemaAndOneThatIsAwayIsWaitedFor(t *testing.T) {
	f := fake(t)
	id := sr.Schema{Schema: `{"type":"record","name":"Id","namespace":"tienda","fields":[{"name":"value","type":"string"}]}`, Type: sr.TypeAvro}
	f.SeedSchema("id", 1, 1, id)
	f.SeedSchema("retirado", 4, 5, id)
	referring := func(id int, subject string, version int) {
		f.SeedSchema("in-value", id, id, sr.Schema{
			Schema: record(required + `,{"name":"identifiers","type":{"type":"array","items":"tienda.Id"}}`), Type: sr.TypeAvro,
			References: []sr.SchemaReference{{Name: "tienda.Id", Subject: subject, Version: version}},
		})
	}
	referring(2, "id", 1)
	referring(3, "retirado", 4)
	answering(f, http.MethodGet, "/subjects/retirado/", http.StatusNotFound, `{"error_code":40402,"message":"version not found"}`)
	r := openRegistry(t, f.URL())
	if err := r.Fetch(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	reject := r.Interaction(3, simple(), &interaction.Interaction{})
	if reject == nil || reject.Reason != interaction.ReasonBadSchema || !strings.Contains(reject.Detail, "version 4 of subject retirado") {
		t.Errorf("reject %v, want bad_schema that names what is missing", reject)
	}
	answering(f, http.MethodGet, "/subjects/id/", http.StatusServiceUnavailable, `{"error_code":50301,"message":"away"}`)
	if err := r.Fetch(t.Context(), 2); !errors.Is(err, ErrRegistryUnreachable) || r.Known(2) {
		t.Errorf("the reference cannot be fetched: error %v, known %v", err, r.Known(2))
	}
	f.ClearInterceptors()
	if err := r.Fetch(t.Context(), 2); err != nil || !r.Known(2) {
		t.Errorf("the registry is back: error %v, known %v", err, r.Known(2))
	}
}

func TestAFramedInteractionIsReadThroughTheRegistryThatWroteItsID(t *testing.T) {
	f := fake(t)
	foreign := strings.Replace(required, `"name":"source"`, `"name":"sistema","aliases":["source"]`, 1)
	f.SeedSchema("in-value", 1, 70_000, sr.Schema{Schema: record(foreign), Type: sr.TypeAvro})
	r := openRegistry(t, f.URL())
	value := []byte{0, 0, 1, 0x11, 0x70} // 70,000
	for _, s := range []string{"v-1", "pos-ñ", "pos", "x.y"} {
		value = appendText(value, s)
	}
	value = appendLong(value, 5)
	var in interaction.Interaction
	decoder := decoderOf(t, r)
	if reject := decoder.Interaction(value, noHeaders, &in); reject == nil || reject.Reason != interaction.ReasonUnknownSchema || !strings.Contains(reject.Detail, "70000") {
		t.Errorf("before it was fetched: reject %v, want unknown_schema that names the id", reject)
	}
	if err := r.Fetch(t.Context(), 70_000); err != nil {
		t.Fatal(err)
	}
	if reject := decoder.Interaction(value, noHeaders, &in); reject != nil || in.Source != "pos-ñ" {
		t.Errorf("source %q, reject %v", in.Source, reject)
	}
	// Single-object values of ours need no registry, and one that is there is no hindrance.
	if reject := decoder.Interaction(append(SingleObject().Append(nil, KindInteraction), simple()...), noHeaders, &in); reject != nil || in.EventID != "e1" {
		t.Errorf("event %q, reject %v", in.EventID, reject)
	}
}

func TestTheRegistryInsideHoldsItsSeedsUnderTheirIds(t *testing.T) {
	url, stop := StartRegistry(Seed{"entrada-value", 7, KindInteraction}, Seed{"eventos-value", 9, KindUnified})
	r := openRegistry(t, url)
	for id, kind := range map[int]Kind{7: KindInteraction, 9: KindUnified} {
		held, err := r.cl.SchemaByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if json.Unmarshal([]byte(held.Schema), &got) != nil || json.Unmarshal([]byte(kind.Schema()), &want) != nil || !cmp.Equal(got, want) {
			t.Errorf("schema id %d is not %s", id, kind)
		}
	}
	stop()
	if err := r.Fetch(t.Context(), 7); !errors.Is(err, ErrRegistryUnreachable) {
		t.Errorf("it was stopped: %v", err)
	}
}
