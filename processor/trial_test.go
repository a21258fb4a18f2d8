package processor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/source/mapping"
	"kinfold/processor/try"
	"kinfold/schemas"
	"kinfold/schemas/sources"
)

// tillSchema and tillMapping are those of a till that writes Avro, and tillLine is what try --json says of its record.
const (
	tillSchema = `{"type":"record","name":"Ticket","fields":[{"name":"id","type":"string"},{"name":"cliente","type":["null","string"]},
		{"name":"cuando","type":{"type":"long","logicalType":"timestamp-millis"}}]}`
	tillMapping = `
source: caja
inputs: [{format: json}]
defaults: {channel: {const: pos}, store_code: {const: AR-1}, event_id: id, user_id: cliente, occurred_at: cuando}
rules:
  - when: {cliente: baja}
    directive: {kind: erase, scope: customer, a: {namespace: user, value: cliente}}
  - type: {const: order.placed}
`
	tillLine = `{"interactions":[{"event_id":"t-1","source":"caja","channel":"pos","type":"order.placed","store_code":"AR-1","user_id":"7",` +
		`"occurred_at":"2026-03-02T12:00:00.123Z","identifiers":[],"order":null,"traits":{},"properties":{}}]}` + "\n"
)

// ticket is a record of the till, without any framing.
func ticket(t *testing.T, id, customer string) []byte {
	t.Helper()
	codec, err := goavro.NewCodec(tillSchema)
	if err != nil {
		t.Fatal(err)
	}
	body, err := codec.BinaryFromNative(nil, map[string]any{"id": id, "cliente": goavro.Union("string", customer), "cuando": int64(1772452800123)})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// oneSchema is a registry that knows one schema by every kind of key whose number is 7, and says what it was asked for.
func oneSchema(t testing.TB, schema string) (url string, asked *[]string) {
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		*asked = append(*asked, req.URL.Path)
		switch path := req.URL.Path; {
		case strings.HasSuffix(path, "/references"):
			fmt.Fprint(w, "[]")
		case path == "/apis/registry/v3/ids/globalIds/7", path == "/apis/registry/v3/ids/contentIds/7":
			fmt.Fprint(w, schema)
		case path == "/schemas/ids/7", path == "/schemas/guids/00000000-0000-0000-0000-000000000007":
			_ = json.NewEncoder(w).Encode(map[string]string{"schema": schema, "schemaType": "AVRO"})
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error_code":40403,"message":"Schema not found"}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// framed is a record in one framing.
type framed struct {
	name string
	rec  mapping.Record
}

// framedBySeven frames a record in every way that a registry knows, with a schema whose number is 7.
func framedBySeven(body []byte) []framed {
	long := binary.BigEndian.AppendUint64(nil, 7)
	confluent := append([]byte("\x00\x00\x00\x00\x07"), body...)
	apicurio := append(append([]byte{0}, long...), body...)
	return []framed{
		{"avro", mapping.Record{Value: confluent}},
		{"confluent", mapping.Record{Value: confluent}},
		{"confluent_guid", mapping.Record{Value: body, Headers: []mapping.Header{{Name: "__value_schema_id", Value: append(binary.BigEndian.AppendUint64([]byte{1}, 0), long...)}}}},
		{"apicurio", mapping.Record{Value: apicurio}},
		{"apicurio_content", mapping.Record{Value: apicurio}},
		{"apicurio_header", mapping.Record{Value: body, Headers: []mapping.Header{{Name: "apicurio.value.globalId", Value: long}}}},
	}
}

// tillConfig reads the topic cajas by the till's mapping.
func tillConfig(t *testing.T, registry string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "caja.yaml")
	if err := os.WriteFile(path, []byte(tillMapping), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Sources = []config.Source{{Topics: []string{"cajas"}, Mapping: path, Format: config.FormatAvro}}
	if err := c.Sources[0].Compile(); err != nil {
		t.Fatal(err)
	}
	if registry != "" {
		c.Registry.URLs = []string{registry}
	}
	return c
}

// given hands out records that a test has made.
type given []*try.Record

func (g *given) Idle() bool { return false }
func (g *given) Next() (*try.Record, error) {
	if len(*g) == 0 {
		return nil, io.EOF
	}
	next := (*g)[0]
	*g = (*g)[1:]
	return next, nil
}

// tried is what a trial of records says, and how it ended.
func tried(t *testing.T, c *config.Config, as processor.TrialOptions, json bool, records ...mapping.Record) (string, error) {
	t.Helper()
	reader, err := processor.NewTrialReader(c, as)
	if err != nil {
		return "", err
	}
	var all given
	for i, r := range records {
		all = append(all, &try.Record{Record: r, Place: fmt.Sprintf("line %d", i+1)})
	}
	var out bytes.Buffer
	rules := config.Default().Identity
	if c != nil {
		rules = c.Identity
	}
	_, err = try.New(reader, try.Options{Rules: &rules, Deployed: as.Mapping == nil, JSON: json}, &out, &out).Run(context.Background(), &all)
	return out.String(), err
}

func TestATrialReadsAvroInEveryFraming(t *testing.T) {
	url, asked := oneSchema(t, tillSchema)
	for _, framing := range framedBySeven(ticket(t, "t-1", "7")) {
		t.Run(framing.name, func(t *testing.T) {
			*asked = nil
			c := tillConfig(t, url)
			c.Sources[0].AvroFraming = config.Framing(framing.name)
			rec := framing.rec
			rec.Topic = "cajas"
			got, err := tried(t, c, processor.TrialOptions{}, true, rec, rec)
			if err != nil || got != tillLine+tillLine {
				t.Errorf("%v\n got %s\nwant %s", err, got, tillLine+tillLine)
			}
			if n := len(*asked); n == 0 || n > 2 {
				t.Errorf("the registry was asked %d times for one schema: %q", n, *asked)
			}
			// The topic may not be in the configuration yet, and the mapping be on trial.
			as := processor.TrialOptions{Mapping: c.Sources[0].Compiled(), Framing: framing.name}
			rec.Topic = "cajas.nuevas"
			if got, err := tried(t, c, as, true, rec); err != nil || got != tillLine {
				t.Errorf("by a mapping and a framing: %v, %s", err, got)
			}
			told, err := tried(t, c, as, false, rec)
			if err != nil || !strings.Contains(told, "caja.yaml:4") || !strings.Contains(told, "cliente") {
				t.Errorf("%v: the text does not name what filled the fields:\n%s", err, told)
			}
		})
	}
}

// TestATrialReadsSingleObjectsOfDeclaredSchemas reads what names its schema by a fingerprint: no registry is there to be asked.
func TestATrialReadsSingleObjectsOfDeclaredSchemas(t *testing.T) {
	// The canonical form has no logical types; the library leaves them in.
	codec, err := goavro.NewCodec(strings.Replace(tillSchema, `{"type":"long","logicalType":"timestamp-millis"}`, `"long"`, 1))
	if err != nil {
		t.Fatal(err)
	}
	value := append(binary.LittleEndian.AppendUint64([]byte{0xC3, 1}, codec.Rabin), ticket(t, "t-1", "7")...)
	c := tillConfig(t, "")
	src := config.Source{Topics: []string{"cajas"}, Mapping: c.Sources[0].Mapping, Format: config.FormatAvro, AvroSchemas: []string{filepath.Join(t.TempDir(), "ticket.avsc")}}
	if err := os.WriteFile(src.AvroSchemas[0], []byte(tillSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := src.Compile(); err != nil {
		t.Fatal(err)
	}
	rec := mapping.Record{Topic: "cajas", Value: value}
	for _, framing := range []config.Framing{"", "single_object"} {
		src.AvroFraming = framing
		c.Sources[0] = src
		if got, err := tried(t, c, processor.TrialOptions{}, true, rec); err != nil || got != tillLine {
			t.Errorf("framing %q: %v\n got %s\nwant %s", framing, err, got, tillLine)
		}
	}
	c = tillConfig(t, "")
	told, err := tried(t, c, processor.TrialOptions{}, false, rec)
	if err != nil || !strings.Contains(told, "rejected unknown_schema") || !strings.Contains(told, "avro_schemas") {
		t.Errorf("nobody declared it: %v\n%s", err, told)
	}
}

// TestATrialSaysWhatTheRegistrySays tells answers of the registry, which are the record's fault, from none, which ends the trial.
func TestATrialSaysWhatTheRegistrySays(t *testing.T) {
	url, _ := oneSchema(t, tillSchema)
	c := tillConfig(t, url)
	unknown := mapping.Record{Topic: "cajas", Value: []byte("\x00\x00\x00\x00\x63x")}
	if got, err := tried(t, c, processor.TrialOptions{}, true, unknown); err != nil || got != `{"reject":"unknown_schema"}`+"\n" {
		t.Errorf("an id that the registry does not know: %v, %s", err, got)
	}
	told, err := tried(t, c, processor.TrialOptions{}, false, mapping.Record{Topic: "cajas", Value: []byte("{}")}, mapping.Record{Topic: "cajas"})
	if err != nil || !strings.Contains(told, "rejected unparsable") || !strings.Contains(told, "neither with a schema id") || !strings.Contains(told, "ignored tombstone") {
		t.Errorf("%v: a value that is not Avro, and a tombstone:\n%s", err, told)
	}
	c.Registry.URLs = []string{"http://127.0.0.1:1"}
	_, err = tried(t, c, processor.TrialOptions{}, true, mapping.Record{Topic: "cajas"}, unknown)
	if err == nil || !strings.HasPrefix(err.Error(), "line 2: schema id 99: ") || !strings.Contains(err.Error(), schemas.ErrRegistryUnreachable.Error()) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("a registry that is away: %v", err)
	}
	c.Registry.URLs = nil
	if got, err := tried(t, c, processor.TrialOptions{}, true, unknown); err != nil || got != `{"reject":"unknown_schema"}`+"\n" {
		t.Errorf("no registry: %v, %s", err, got)
	}
	if _, err := tried(t, nil, processor.TrialOptions{Mapping: c.Sources[0].Compiled(), Framing: "confluent"}, true); err == nil || !strings.Contains(err.Error(), "registry.urls") {
		t.Errorf("a framing that wants a registry, without one: %v", err)
	}
	if _, err := tried(t, c, processor.TrialOptions{Framing: "protobuf"}, true); err == nil || !strings.Contains(err.Error(), "apicurio_header") {
		t.Errorf("a framing that is none: %v", err)
	}
}

// TestATrialOfAConfigurationAllowsWhatItAllows orders an erase by a source that may, and by one that may not.
func TestATrialOfAConfigurationAllowsWhatItAllows(t *testing.T) {
	url, _ := oneSchema(t, tillSchema)
	value := append([]byte("\x00\x00\x00\x00\x07"), ticket(t, "t-2", "baja")...)
	rec := mapping.Record{Topic: "cajas", Value: value, Timestamp: 1772452800123}
	for _, allowed := range []struct {
		source, rules bool
		want          string
	}{
		{false, true, "rejected erase_not_enabled"}, {true, false, "rejected by the identity rules erase_not_enabled"}, {true, true, "directive erase"},
	} {
		c := tillConfig(t, url)
		c.Sources[0].AllowErase, c.Identity.EraseEnabled = allowed.source, allowed.rules
		told, err := tried(t, c, processor.TrialOptions{}, false, rec)
		if err != nil || !strings.Contains(told, allowed.want) || strings.Contains(told, "until the source may erase") {
			t.Errorf("allow_erase %v, erase_enabled %v: %v, want %s\n%s", allowed.source, allowed.rules, err, allowed.want, told)
		}
		told, err = tried(t, c, processor.TrialOptions{Mapping: c.Sources[0].Compiled()}, false, rec)
		if err != nil || !strings.Contains(told, "directive erase") || !strings.Contains(told, "until the source may erase") {
			t.Errorf("the mapping alone: %v\n%s", err, told)
		}
	}
}

// TestATrialReadsWhatNoMappingReads takes interactions and directives as they come.
func TestATrialReadsWhatNoMappingReads(t *testing.T) {
	c := config.Default()
	c.Sources = []config.Source{{Topics: []string{"pos"}, Format: config.FormatJSON}, {Topics: []string{"app"}, Format: config.FormatAvro}}
	native := line("pos", "g1", "S01", "7", noon, "email", "zoe@correo.example")
	single := string(schemas.SingleObject().Append(nil, schemas.KindInteraction)) + avroLine(t, 1, schemas.KindInteraction.Schema(), native)[5:]
	var lines [2]string
	for i, topic := range []string{"pos", "app"} {
		value := []byte([]string{native, single}[i])
		told, err := tried(t, c, processor.TrialOptions{}, false, mapping.Record{Topic: topic, Value: value}, mapping.Record{Topic: topic}, mapping.Record{Topic: topic, Value: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"interaction ", "  email ", "zoe@correo.example", "usable", "key             S01|7, realm default", "rejected unparsable", "a tombstone", "compare the value with format and avro_framing"} {
			if !strings.Contains(told, want) {
				t.Errorf("%s: not told: %q in\n%s", topic, want, told)
			}
		}
		if lines[i], err = tried(t, c, processor.TrialOptions{Topic: topic}, true, mapping.Record{Topic: "whatever", Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	if lines[0] != lines[1] || !strings.Contains(lines[0], `"event_id":"g1"`) {
		t.Errorf("JSON gives %sAvro gives %s", lines[0], lines[1])
	}
	directive := `{"directive_id":"case-1","kind":"link","realm":"default","issued_at":"2026-03-02T12:00:00Z","author":"ana","reason":"one person",` +
		`"a":{"namespace":"user","store_code":"S01","value":"7"},"b":{"namespace":"email","value":"Zoe@Correo.example"}}`
	told, err := tried(t, c, processor.TrialOptions{}, false, mapping.Record{Topic: c.Topics.IdentityDirectives, Value: []byte(directive), Timestamp: 1772452800000},
		mapping.Record{Topic: c.Topics.IdentityDirectives, Value: []byte(strings.Replace(directive, "link", "lnik", 1)), Timestamp: 1772452800000})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"directive link", "as user of S01", "as email zoe@correo.example", "case-1, realm default", "author", "one person", "bad_directive", "let its author mend"} {
		if !strings.Contains(told, want) {
			t.Errorf("not told: %q in\n%s", want, told)
		}
	}
}

func TestATrialOfAConfigurationReadsItsTopicsOnly(t *testing.T) {
	c := tillConfig(t, "")
	_, err := tried(t, c, processor.TrialOptions{}, true, mapping.Record{Topic: "web"})
	const want = `line 1: no source of the configuration reads topic "web"; there are cajas, identity-directives: name one of them, or a mapping, as SOURCE`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	m, err := sources.Load("segment")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tried(t, nil, processor.TrialOptions{Mapping: m}, true, mapping.Record{Topic: "web"}); err != nil || got != `{"ignore":"tombstone"}`+"\n" {
		t.Errorf("a mapping reads any topic: %v, %s", err, got)
	}
}
