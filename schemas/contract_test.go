package schemas

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
)

func TestContractsAreTakenOverAsTheyAre(t *testing.T) {
	for _, name := range []string{"interaction.avsc", "unified_customer_event.avsc"} {
		want, err := os.ReadFile(filepath.Join("../../shared/contracts", name))
		if err != nil {
			t.Skipf("the contracts are not beside the repository: %v", err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from the contract", name)
		}
	}
}

func fieldsOf(t *testing.T, k Kind) []map[string]any {
	t.Helper()
	var schema struct{ Fields []map[string]any }
	if err := json.Unmarshal([]byte(k.Schema()), &schema); err != nil {
		t.Fatal(err)
	}
	return schema.Fields
}

func TestPayloadIsLastAndTheSameEverywhere(t *testing.T) {
	want := fieldsOf(t, KindInteraction)
	want = want[len(want)-3:]
	for _, k := range []Kind{KindKeyed, KindUnified} {
		got := fieldsOf(t, k)
		if d := cmp.Diff(want, got[len(got)-3:]); d != "" {
			t.Errorf("payload of %s (-Interaction +this):\n%s", k, d)
		}
	}
}

func TestEveryFieldOfOursIsDocumented(t *testing.T) {
	for _, k := range []Kind{KindKeyed, KindChange, KindMapRow, KindDirective} {
		fields := fieldsOf(t, k)
		if k == KindKeyed {
			fields = fields[:len(fields)-3] // the payload is that of the contract
		}
		documented(t, k.String(), fields)
	}
}

// A list, and what may be null, may be absent as well: readers of an older schema then see the default.
func TestWhatMayBeAbsentHasADefault(t *testing.T) {
	for _, k := range Kinds {
		for _, f := range fieldsOf(t, k) {
			name, value := k.String()+"."+f["name"].(string), any(nil)
			switch node := f["type"].(type) {
			case []any: // a union with null
			case map[string]any:
				switch node["type"] {
				case "array":
					value = []any{}
				case "map":
					value = map[string]any{}
				default:
					continue
				}
			default:
				continue
			}
			got, ok := f["default"]
			if d := cmp.Diff(value, got); !ok || d != "" {
				t.Errorf("default of %s, given %v (-want +got):\n%s", name, ok, d)
			}
		}
	}
}

// The names of a change's fields are binding (identity.md section 6, and 8 for what an erase brings).
func TestFieldsOfAChangeHaveTheirBindingNames(t *testing.T) {
	var got []string
	for _, f := range fieldsOf(t, KindChange) {
		got = append(got, f["name"].(string))
	}
	slices.Sort(got)
	want := strings.Fields(`customer_id customer_version directive_id event_id identifiers_added identifiers_left identifiers_removed
		identifiers_removed_hmac kind merged_customer_ids offset partition realm rule source split_customer_ids topic`)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fields (-want +got):\n%s", d)
	}
}

func documented(t *testing.T, path string, fields []map[string]any) {
	for _, f := range fields {
		name := path + "." + f["name"].(string)
		if f["doc"] == nil {
			t.Errorf("%s has no doc", name)
		}
		var nested []map[string]any
		node := f["type"]
		for node != nil {
			m, ok := node.(map[string]any)
			if !ok {
				break
			}
			if list, ok := m["fields"].([]any); ok {
				for _, x := range list {
					nested = append(nested, x.(map[string]any))
				}
			}
			node = m["items"]
		}
		documented(t, name, nested)
	}
}

// A fingerprint is part of every value on a topic without a registry: a changed one makes them unreadable. These are the ones of
// SchemaNormalization.parsingFingerprint64 of Apache Avro 1.12.2 for Java.
func TestFingerprintsAreStable(t *testing.T) {
	got := map[string]uint64{}
	for _, k := range Kinds {
		got[k.String()] = k.Fingerprint()
	}
	want := map[string]uint64{
		"Interaction": 0x59eb52d7d5668637, "KeyedInteraction": 0x0f2f1ba180ab95ba, "UnifiedCustomerEvent": 0x2c84f6c73154d619, "IdentityDirective": 0x8babcc2d2e510690,
		"IdentityChange": 0x4a768974a813e089, "IdentityMapEntry": 0x80f60d03c5b061d8,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fingerprints (-want +got):\n%s", d)
	}
}

// The fingerprints that were written before: the Avro library must not change its mind about them.
func TestFormerFingerprintsAreStable(t *testing.T) {
	got := map[string]uint64{}
	for _, k := range Kinds {
		got[k.String()] = binary.LittleEndian.Uint64(formerObject[k][2:])
	}
	want := map[string]uint64{
		"Interaction": 15091926068549325638, "KeyedInteraction": 16560180787443945061, "UnifiedCustomerEvent": 14627293717556145149, "IdentityDirective": 13841655370862453598,
		"IdentityChange": 5365627140187611273, "IdentityMapEntry": 9292629190978331096,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fingerprints (-want +got):\n%s", d)
	}
}

func TestFramings(t *testing.T) {
	row := interaction.MapRow{CustomerID: "c1", Version: 3, Status: interaction.MapLinked}
	confluent := Confluent(map[Kind]int{KindMapRow: 258})
	for name, f := range map[string]Framing{"single object": SingleObject(), "registry": confluent} {
		value := AppendMapRow(f.Append(nil, KindMapRow), &row)
		body, err := f.Body(value, KindMapRow)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got interaction.MapRow
		if err := DecodeMapRow(body, &got); err != nil || got != row {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		if _, err := f.Body(value, KindChange); err == nil {
			t.Errorf("%s: a map row is taken for a change", name)
		}
	}
	if id, ok := RegistryID(confluent.Append(nil, KindMapRow)); !ok || id != 258 {
		t.Errorf("schema id %d, %v; want 258", id, ok)
	}
	// What was written with the fingerprints of former times is still read, and what was written before a registry was configured.
	for _, k := range Kinds {
		if _, err := SingleObject().Body(formerObject[k], k); err != nil {
			t.Error(err)
		}
	}
	if _, err := confluent.Body(SingleObject().Append(nil, KindMapRow), KindMapRow); err != nil {
		t.Error(err)
	}
}

// decoderOf reads what is framed in the usual two ways.
func decoderOf(t *testing.T, r *Registry) *ValueDecoder {
	t.Helper()
	d, err := NewValueDecoder(FramingAvro, r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func noHeaders(string) []byte { return nil }

func TestFramedInteractionsSayWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		value  []byte
		reason interaction.Reason
	}{
		"empty":               {[]byte{}, interaction.ReasonUnparsable},
		"plain text":          {[]byte(`{"event_id": 1}`), interaction.ReasonUnparsable},
		"id without registry": {[]byte{0, 0, 0, 0, 9, 1}, interaction.ReasonUnknownSchema},
		"other fingerprint":   {append([]byte{0xC3, 1}, 1, 2, 3, 4, 5, 6, 7, 8), interaction.ReasonUnknownSchema},
		"ours, cut":           {append(SingleObject().Append(nil, KindInteraction), 2), interaction.ReasonUnparsable},
	} {
		if r := decoderOf(t, nil).Interaction(c.value, noHeaders, &interaction.Interaction{}); r == nil || r.Reason != c.reason {
			t.Errorf("%s: reject %v, want %s", name, r, c.reason)
		}
	}
}

func TestPayloadAsJSONKeepsItsDigits(t *testing.T) {
	order := []byte{2, 4, 'A', '1', 2, 6, 'B', 'R', 'L', 2, 2, 0xFF, 2, 2, 'S', 2, 4, '"', '\n', 2, 4, 0x13, 0x88, 0, 0, 0, 2, 2, 'u', 4, 0xC3, 0xB1, 0}
	got, err := AppendPayloadJSON([]byte("{"), order)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"order":{"order_number":"A1","currency":"BRL","total_amount":-0.0001,"lines":[{"sku":"S","description":"\"\u000a","quantity":0.5,"unit_price":null}]},"traits":{},"properties":{"u":"ñ"}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	for cut := range order {
		if _, err := AppendPayloadJSON(nil, order[:cut]); err == nil {
			t.Errorf("%d of %d bytes are taken for a payload", cut, len(order))
		}
	}
}
