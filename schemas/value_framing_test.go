package schemas

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// headers are those of a record, by name.
type headers map[string]string

func (h headers) get(name string) []byte {
	if v, ok := h[name]; ok {
		return []byte(v)
	}
	return nil
}

func TestFramingsAreNamedInTheConfiguration(t *testing.T) {
	for i, name := range ValueFramings() {
		f, err := ParseValueFraming(name)
		if err != nil || f != ValueFraming(i) || f.String() != name {
			t.Errorf("%s is %v, %v", name, f, err)
		}
	}
	if _, err := ParseValueFraming("protobuf"); err == nil || !strings.Contains(err.Error(), "apicurio_header") {
		t.Errorf("error %v, want one that lists the names", err)
	}
}

func TestEachFramingSplitsItsValuesAndRefusesOthers(t *testing.T) {
	const (
		id7     = "\x00\x00\x00\x00\x07"
		long7   = "\x00\x00\x00\x00\x00\x00\x00\x00\x07"
		guid    = "\x01\x89\x79\x17\x62\x23\x36\x41\x86\x96\x74\x29\x9b\x90\xa8\x02\xe2"
		single  = "\xc3\x01\x08\x07\x06\x05\x04\x03\x02\x01"
		guidKey = "schema GUID 89791762-2336-4186-9674-299b90a802e2"
	)
	for _, c := range []struct {
		framing, value string
		headers        headers
		key, body      string // or
		reject         interaction.Reason
	}{
		{"avro", id7 + "x", nil, "schema id 7", "x", ""},
		{"avro", single + "x", nil, "Avro fingerprint 0102030405060708", "x", ""},
		{"avro", "{}", nil, "", "", interaction.ReasonUnparsable},
		{"avro", "", nil, "", "", interaction.ReasonUnparsable},
		{"avro", "\xc3", nil, "", "", interaction.ReasonUnparsable},
		{"avro", id7[:4], nil, "", "", interaction.ReasonUnparsable},
		{"confluent", id7, nil, "schema id 7", "", ""},
		{"confluent", "\x00\xff\xff\xff\xffx", nil, "schema id 4294967295", "x", ""},
		{"confluent", single, nil, "", "", interaction.ReasonUnparsable},
		{"confluent", id7 + "x", headers{"__value_schema_id": guid}, "schema id 7", "x", ""}, // not declared: not looked at
		{"single_object", single, nil, "Avro fingerprint 0102030405060708", "", ""},
		{"single_object", single[:9], nil, "", "", interaction.ReasonUnparsable},
		{"single_object", "\xc3\x02" + single, nil, "", "", interaction.ReasonUnparsable},
		{"single_object", id7 + "xxxxx", nil, "", "", interaction.ReasonUnparsable},
		{"confluent_guid", "x", headers{"__value_schema_id": guid}, guidKey, "x", ""},
		{"confluent_guid", id7, headers{"__value_schema_id": guid}, guidKey, id7, ""}, // the value may begin with anything
		{"confluent_guid", "x", headers{"__value_schema_id": id7}, "schema id 7", "x", ""},
		{"confluent_guid", id7 + "x", nil, "schema id 7", "x", ""},
		{"confluent_guid", "x", nil, "", "", interaction.ReasonUnparsable},
		{"confluent_guid", "x", headers{"__key_schema_id": guid}, "", "", interaction.ReasonUnparsable},
		{"confluent_guid", id7 + "x", headers{"__value_schema_id": guid[:16]}, "", "", interaction.ReasonUnparsable},
		{"confluent_guid", id7 + "x", headers{"__value_schema_id": guid + "\x00"}, "", "", interaction.ReasonUnparsable},
		{"confluent_guid", id7 + "x", headers{"__value_schema_id": ""}, "", "", interaction.ReasonUnparsable},
		{"apicurio", long7 + "x", nil, "global id 7", "x", ""},
		{"apicurio", long7[:8], nil, "", "", interaction.ReasonUnparsable},
		{"apicurio", "\x01" + long7, nil, "", "", interaction.ReasonUnparsable},
		{"apicurio_content", long7 + "x", nil, "content id 7", "x", ""},
		{"apicurio_header", "x", headers{"apicurio.value.globalId": long7[1:]}, "global id 7", "x", ""},
		{"apicurio_header", "x", headers{"apicurio.value.contentId": long7[1:], "apicurio.value.encoding": "BINARY"}, "content id 7", "x", ""},
		{"apicurio_header", "x", headers{"apicurio.value.contentId": long7[1:], "apicurio.value.globalId": long7[:8]}, "content id 7", "x", ""},
		{"apicurio_header", "{}", headers{"apicurio.value.globalId": long7[1:], "apicurio.value.encoding": "JSON"}, "", "", interaction.ReasonUnsupportedType},
		{"apicurio_header", "x", headers{"apicurio.value.globalId": "7"}, "", "", interaction.ReasonUnparsable},
		{"apicurio_header", long7 + "x", nil, "", "", interaction.ReasonUnparsable},
	} {
		f, err := ParseValueFraming(c.framing)
		if err != nil {
			t.Fatal(err)
		}
		key, body, reject := f.Split([]byte(c.value), c.headers.get)
		if c.reject != "" {
			if reject == nil || reject.Reason != c.reject {
				t.Errorf("%s % x %v: reject %v, want %s", c.framing, c.value, c.headers, reject, c.reject)
			}
			continue
		}
		if reject != nil || key.String() != c.key || string(body) != c.body {
			t.Errorf("%s % x %v: %s, % x, reject %v, want %s, % x", c.framing, c.value, c.headers, key, body, reject, c.key, c.body)
		}
	}
}

// venta is a foreign record, and sale a body of it.
const venta = `{"type":"record","name":"Venta","namespace":"tienda","fields":[{"name":"event_id","type":"string"},{"name":"cliente","type":"tienda.Cliente"}]}`

const cliente = `{"type":"record","name":"Cliente","namespace":"tienda","fields":[{"name":"email","type":["null","string"]}]}`

const sale = "\x04v1\x02\x04a@"

const saleTree = `{"event_id":"v1","cliente":{"email":"a@"}}`

// apicurioFake answers as Apicurio Registry does (tried on 3.3.3): Venta is version 2 of its artifact, global id 5, content id 4.
func apicurioFake(t *testing.T, generation string) (url string, asked *[]string) {
	asked = new([]string)
	answers := map[string]string{
		"/ids/globalIds/5": venta, "/ids/globalIds/5/references": `[{"groupId":null,"artifactId":"cliente/1","version":"3.0","name":"tienda.Cliente"}]`,
		"/ids/contentIds/4": venta, "/ids/contentIds/4/references": `[{"groupId":"ventas","artifactId":"cliente","version":"3.0","name":"tienda.Cliente"}]`,
		"/groups/default/artifacts/cliente%2F1/versions/3.0/references": `[]`, "/groups/ventas/artifacts/cliente/versions/3.0/references": `[]`,
		"/ids/globalIds/6": `syntax = "proto3"; message A {}`, "/ids/globalIds/6/references": `[]`,
		"/ids/globalIds/8": venta, "/ids/globalIds/8/references": `[{"artifactId":"nadie","version":"1","name":"tienda.Cliente"}]`,
	}
	end := map[string]string{"v2": "", "v3": "/content"}[generation]
	answers["/groups/default/artifacts/cliente%2F1/versions/3.0"+end] = cliente
	answers["/groups/ventas/artifacts/cliente/versions/3.0"+end] = cliente
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		*asked = append(*asked, req.URL.EscapedPath())
		name, what := "NotFoundException", "RESTEASY003210: Could not find resource for full path"
		if rest, ok := strings.CutPrefix(req.URL.EscapedPath(), "/registro/apis/registry/"+generation); ok {
			if answer, ok := answers[rest]; ok {
				fmt.Fprint(w, answer)
				return
			}
			name, what = map[string]string{"v2": "ArtifactNotFoundException", "v3": "VersionNotFoundException"}[generation], "No version"
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"detail":"%s: %s","title":%q,"status":404,"name":%q}`, name, what, what, name)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/registro/apis/ccompat/v7", asked
}

func TestSchemasAreFoundByEveryKindOfKey(t *testing.T) {
	f := fake(t)
	f.SeedSchema("cliente", 1, 1, sr.Schema{Schema: cliente, Type: sr.TypeAvro})
	f.SeedSchema("venta", 1, 2, sr.Schema{Schema: venta, Type: sr.TypeAvro, References: []sr.SchemaReference{{Name: "tienda.Cliente", Subject: "cliente", Version: 1}}})
	held, err := openRegistry(t, f.URL()).cl.SchemaByVersion(t.Context(), "venta", 1)
	if err != nil {
		t.Fatal(err)
	}
	guid := binary.BigEndian.AppendUint64(nil, 0)
	if _, err := fmt.Sscanf(strings.ReplaceAll(held.GUID, "-", ""), "%x", &guid); err != nil || len(guid) != 16 {
		t.Fatalf("GUID %s: %v", held.GUID, err)
	}
	third, _ := apicurioFake(t, "v3")
	second, _ := apicurioFake(t, "v2")
	id := func(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
	for name, c := range map[string]struct {
		framing ValueFraming
		url     string
		value   string
		headers headers
	}{
		"confluent":         {FramingConfluent, f.URL(), "\x00\x00\x00\x00\x02" + sale, nil},
		"avro":              {FramingAvro, f.URL(), "\x00\x00\x00\x00\x02" + sale, nil},
		"GUID":              {FramingConfluentGUID, f.URL(), sale, headers{headerConfluentGUID: "\x01" + string(guid)}},
		"id beside GUIDs":   {FramingConfluentGUID, f.URL(), "\x00\x00\x00\x00\x02" + sale, nil},
		"apicurio":          {FramingApicurio, third, "\x00" + id(5) + sale, nil},
		"apicurio content":  {FramingApicurioContent, third, "\x00" + id(4) + sale, nil},
		"apicurio header":   {FramingApicurioHeader, third, sale, headers{headerApicurioGlobal: id(5)}},
		"apicurio header 2": {FramingApicurioHeader, third, sale, headers{headerApicurioContent: id(4)}},
		"apicurio 2":        {FramingApicurio, second, "\x00" + id(5) + sale, nil},
	} {
		t.Run(name, func(t *testing.T) {
			registry := openRegistry(t, c.url)
			d, err := NewValueDecoder(c.framing, registry)
			if err != nil {
				t.Fatal(err)
			}
			var tree source.Tree
			if _, reject := d.Tree([]byte(c.value), c.headers.get, &tree); reject == nil || reject.Reason != interaction.ReasonUnknownSchema {
				t.Errorf("before it was learned: reject %v, want unknown_schema", reject)
			}
			key, ok := d.Unlearned([]byte(c.value), c.headers.get)
			if !ok {
				t.Fatal("it need not be learned")
			}
			if err := registry.Learn(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if key, ok := d.Unlearned([]byte(c.value), c.headers.get); ok {
				t.Errorf("%s has still to be learned", key)
			}
			root, reject := d.Tree([]byte(c.value), c.headers.get, &tree)
			if reject != nil || shown(&tree, root) != saleTree {
				t.Errorf("%s, reject %v, want %s", shown(&tree, root), reject, saleTree)
			}
			reader, body, reject := d.Reader([]byte(c.value), c.headers.get)
			if reject != nil || reader == nil || string(body) != sale {
				t.Errorf("reader %v, body % x, reject %v", reader, body, reject)
			}
			// An interaction is asked of the same bytes: the record has no time.
			if reject := d.Interaction([]byte(c.value), c.headers.get, &interaction.Interaction{}); reject == nil || reject.Reason != interaction.ReasonMissingField {
				t.Errorf("as an interaction: reject %v, want missing_field", reject)
			}
		})
	}
}

func TestKeysThatNobodyKnowsAreRejectsAndRegistriesThatCannotSayAreWaitedFor(t *testing.T) {
	url, asked := apicurioFake(t, "v3")
	apicurio, confluent, gone := openRegistry(t, url), openRegistry(t, fake(t).URL()), openRegistry(t, "http://127.0.0.1:1")
	for _, c := range []struct {
		registry *Registry
		key      SchemaKey
		reason   interaction.Reason // "": there is no answer
		says     string
	}{
		{apicurio, ByGlobalID(99), interaction.ReasonUnknownSchema, "global id 99"},
		{apicurio, ByContentID(99), interaction.ReasonUnknownSchema, "content id 99"},
		{apicurio, ByGlobalID(6), interaction.ReasonBadSchema, "global id 6: it is no JSON"},
		{apicurio, ByGlobalID(8), interaction.ReasonBadSchema, "version 1 of artifact nadie in group default, which does not exist"},
		{confluent, ByGUID(1, 2), interaction.ReasonUnknownSchema, "schema GUID 00000000-0000-0001-0000-000000000002"},
		{apicurio, ByGUID(1, 2), "", "GUIDs"},
		{confluent, ByGlobalID(5), "", "Apicurio"},
		{gone, ByGlobalID(5), "", ""},
		{gone, ByGUID(1, 2), "", ""},
	} {
		err := c.registry.Learn(t.Context(), c.key)
		if c.reason == "" {
			if err == nil || !strings.Contains(err.Error(), ErrRegistryUnreachable.Error()) || !strings.Contains(err.Error(), c.says) || c.registry.Knows(c.key) {
				t.Errorf("%s: error %v, known %v, want ErrRegistryUnreachable that says %q", c.key, err, c.registry.Knows(c.key), c.says)
			}
			continue
		}
		if err != nil || !c.registry.Knows(c.key) {
			t.Errorf("%s: error %v, known %v", c.key, err, c.registry.Knows(c.key))
		}
		_, reject := c.registry.Reader(c.key)
		if reject == nil || reject.Reason != c.reason || !strings.Contains(reject.Detail, c.says) {
			t.Errorf("%s: reject %v, want %s that says %q", c.key, reject, c.reason, c.says)
		}
	}
	before := len(*asked)
	for _, key := range []SchemaKey{ByGlobalID(1 << 63), ByContentID(1<<64 - 1), ByID(1 << 31), ByFingerprint(7), {}} {
		if !apicurio.Knows(key) {
			t.Errorf("%s is asked for, and no registry gives it out", key)
		}
	}
	if len(*asked) != before {
		t.Error("it was asked")
	}
	if key := ByID(5); apicurio.Knows(key) || key == ByGlobalID(5) || ByGlobalID(5) == ByContentID(5) {
		t.Error("ids of one kind are taken for those of another")
	}
}

func TestWhatIsLearnedAnewReplacesWhatWasKnown(t *testing.T) {
	f := fake(t)
	f.SeedSchema("cliente", 1, 1, sr.Schema{Schema: cliente, Type: sr.TypeAvro})
	f.SeedSchema("venta", 1, 7, sr.Schema{Schema: venta, Type: sr.TypeAvro, References: []sr.SchemaReference{{Name: "tienda.Cliente", Subject: "cliente", Version: 1}}})
	answering(f, http.MethodGet, "/subjects/cliente/", http.StatusNotFound, `{"error_code":40402,"message":"version not found"}`)
	r := openRegistry(t, f.URL())
	learn := func() *interaction.Reject {
		t.Helper()
		if err := r.Learn(t.Context(), ByID(7)); err != nil {
			t.Fatal(err)
		}
		_, reject := r.Reader(ByID(7))
		return reject
	}
	if reject := learn(); reject == nil || reject.Reason != interaction.ReasonBadSchema {
		t.Errorf("reject %v, want bad_schema", reject)
	}
	f.ClearInterceptors()
	if reject := learn(); reject != nil {
		t.Errorf("it was mended: %v", reject)
	}
}

func TestSingleObjectsAreReadByOurContractsAndDeclaredSchemas(t *testing.T) {
	inline := strings.Replace(venta, `"tienda.Cliente"`, cliente, 1)
	d, err := NewValueDecoder(FramingSingleObject, nil, inline)
	if err != nil {
		t.Fatal(err)
	}
	none := headers(nil).get
	value := binary.LittleEndian.AppendUint64([]byte{0xC3, 1}, mustParse(inline).fingerprint())
	var tree source.Tree
	root, reject := d.Tree(append(value, sale...), none, &tree)
	if reject != nil || shown(&tree, root) != saleTree {
		t.Errorf("%s, reject %v, want %s", shown(&tree, root), reject, saleTree)
	}
	ours := append(SingleObject().Append(nil, KindInteraction), simple()...)
	var in interaction.Interaction
	if reject := d.Interaction(ours, none, &in); reject != nil || in.EventID != "e1" {
		t.Errorf("interaction %+v, reject %v", in, reject)
	}
	tree.Reset()
	if root, reject := d.Tree(ours, none, &tree); reject != nil || tree.Text(tree.Member(root, "event_id")) != "e1" {
		t.Errorf("%s, reject %v", shown(&tree, root), reject)
	}
	for name, value := range map[string][]byte{
		"an unknown fingerprint": append([]byte{0xC3, 1}, 1, 2, 3, 4, 5, 6, 7, 8),
		"an event of our own":    SingleObject().Append(nil, KindUnified),
		"a directive of our own": SingleObject().Append(nil, KindDirective),
	} {
		if reject := d.Interaction(value, none, &in); reject == nil || reject.Reason != interaction.ReasonUnknownSchema {
			t.Errorf("%s as an interaction: reject %v, want unknown_schema", name, reject)
		}
	}
	if reject := d.Directive(SingleObject().Append(nil, KindDirective), none, &interaction.Directive{}); reject == nil || reject.Reason == interaction.ReasonUnknownSchema {
		t.Errorf("a directive of no bytes: reject %v, want one of its decoder", reject)
	}
	former := append(append([]byte(nil), formerObject[KindInteraction]...), simple()...)
	if reject := d.Interaction(former, none, &in); reject != nil || in.EventID != "e1" {
		t.Errorf("with the header of former times: interaction %+v, reject %v", in, reject)
	}
}

// The fingerprints are those of SchemaNormalization.parsingFingerprint64 of Apache Avro 1.12.2 for Java.
func TestFingerprintsAreThoseOfAvro(t *testing.T) {
	for schema, want := range map[string]uint64{
		`"int"`: 0x7275d51a3f395c8f,
		`["null",{"type":"record","name":"A","fields":[{"name":"x","type":"double"}]},"string"]`: 0x3e3ca3915a06f8d0,
		`{"type":"record","name":"Venta","namespace":"tienda.v2","doc":"x","aliases":["Sale"],"fields":[
			{"name":"a","type":{"type":"long","logicalType":"timestamp-millis"},"default":0,"order":"ignore"},
			{"name":"b","type":["null",{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}],"default":null},
			{"name":"c","type":{"type":"record","name":"Dir","namespace":"otra","fields":[{"name":"x","type":{"type":"string","avro.java.string":"String"}}]}},
			{"name":"d","type":{"type":"array","items":"otra.Dir"}},
			{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}},
			{"name":"f","type":{"type":"fixed","name":"sin.F","size":12,"logicalType":"duration"}},
			{"name":"g","type":{"type":"map","values":["E","sin.F","int"]}},
			{"name":"h","type":{"type":"record","name":"Vacio","fields":[]}}]}`: 0x26ee4cda51bc65d8,
	} {
		if got := mustParse(schema).fingerprint(); got != want {
			t.Errorf("%s: fingerprint %016x of %s, want %016x", schema, got, mustParse(schema).canonical(nil, map[*schemaNode]bool{}), want)
		}
	}
}

func TestADecoderSaysWhatItIsMissing(t *testing.T) {
	for _, name := range ValueFramings() {
		f, _ := ParseValueFraming(name)
		d, err := NewValueDecoder(f, nil)
		if (err != nil) != f.NeedsRegistry() {
			t.Errorf("%s without a registry: %v", name, err)
		}
		if err != nil {
			continue
		}
		if _, ok := d.Unlearned([]byte{0, 0, 0, 0, 9, 1}, headers(nil).get); ok {
			t.Errorf("%s: a registry has to be asked that is none", name)
		}
	}
	d, err := NewValueDecoder(FramingAvro, nil)
	if err != nil {
		t.Fatal(err)
	}
	if reject := d.Interaction([]byte{0, 0, 0, 0, 9, 1}, headers(nil).get, &interaction.Interaction{}); reject == nil || reject.Reason != interaction.ReasonUnknownSchema || !strings.Contains(reject.Detail, "no registry") {
		t.Errorf("reject %v, want unknown_schema", reject)
	}
	if _, err := NewValueDecoder(FramingSingleObject, nil, `{"type":"record"`); err == nil || !strings.Contains(err.Error(), "schema 1") {
		t.Errorf("a declared schema that is none: %v", err)
	}
}

// Whatever a value and a header hold, each framing parts it or rejects it, and what it keeps is a part of the value.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x07x"), []byte(nil))
	f.Add([]byte("\xc3\x01\x08\x07\x06\x05\x04\x03\x02\x01"), []byte("\x01\x89\x79\x17\x62\x23\x36\x41\x86\x96\x74\x29\x9b\x90\xa8\x02\xe2"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x07"), []byte("\x00\x00\x00\x00\x00\x00\x00\x07"))
	f.Add([]byte{}, []byte("JSON"))
	f.Fuzz(func(t *testing.T, value, header []byte) {
		for i := range framingNames {
			key, body, reject := ValueFraming(i).Split(value, func(string) []byte { return header })
			if reject == nil && (key.IsZero() || !strings.HasSuffix(string(value), string(body))) {
				t.Errorf("%s: key %s, body %x", ValueFraming(i), key, body)
			}
			if reject != nil && reject.Detail == "" {
				t.Errorf("%s: a reject that says nothing", ValueFraming(i))
			}
		}
	})
}
