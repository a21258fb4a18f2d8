package schemas

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

// twin has the layout of our contract under another name, so that its records go through the Avro library.
func twin(t testing.TB) *Reader {
	t.Helper()
	r, err := NewReader(strings.Replace(interactionSchema, `"name": "Interaction"`, `"name": "Interaccion"`, 1))
	if err != nil {
		t.Fatal(err)
	}
	if r.codec == nil {
		t.Fatal("the twin is taken for the contract itself")
	}
	return r
}

// agree decodes a body in both ways. They refuse the same bodies and read the same from the others. One thing sets them apart:
// of a map that states a key twice the typed codec takes the last, as most readers do, and the Avro library refuses it.
func agree(t rapid.TB, twin *Reader, body []byte) {
	var typed, foreign interaction.Interaction
	a := DecodeInteraction(body, &typed)
	b := twin.Interaction(bytes.Clone(body), &foreign)
	if a == nil && b != nil && strings.Contains(b.Detail, "duplicate key") {
		return
	}
	if (a == nil) != (b == nil) {
		t.Fatalf("body %x\ntyped codec  %v\nAvro library %v", body, a, b)
	}
	if a != nil {
		if a.Reason == interaction.ReasonLeftoverBytes && b.Reason != a.Reason {
			t.Fatalf("body %x\ntyped codec  %v\nAvro library %v", body, a, b)
		}
		return
	}
	if d := cmp.Diff(facts(t, typed.Payload), facts(t, foreign.Payload)); d != "" {
		t.Fatalf("payload of %x (-typed codec +Avro library):\n%s", body, d)
	}
	typed.Payload, foreign.Payload = nil, nil
	if d := cmp.Diff(typed, foreign, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("interaction of %x (-typed codec +Avro library):\n%s", body, d)
	}
}

// facts is a payload whatever its blocks and the order of its maps.
func facts(t rapid.TB, payload []byte) map[string]any {
	text, err := AppendPayloadJSON([]byte("{"), payload)
	if err != nil {
		t.Fatalf("payload %x: %v", payload, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(append(text, '}')))
	decoder.UseNumber()
	var m map[string]any
	if err := decoder.Decode(&m); err != nil {
		t.Fatalf("payload %s: %v", text, err)
	}
	return m
}

func TestTypedCodecAndAvroLibraryAgreeOnEveryBody(t *testing.T) {
	other := twin(t)
	rapid.Check(t, func(t *rapid.T) {
		body := drawInteraction(t)
		agree(t, other, body)
		agree(t, other, body[:rapid.IntRange(0, len(body)).Draw(t, "cut")])
		for range 4 {
			hurt := bytes.Clone(body)
			for range rapid.IntRange(1, 3).Draw(t, "hurts") {
				hurt[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
			agree(t, other, hurt)
		}
	})
}

// drawInteraction writes arrays and maps in blocks of any cut, with and without their size in bytes.
func drawInteraction(t *rapid.T) []byte {
	var b []byte
	for _, name := range []string{"event", "source", "channel", "type", "store"} {
		b = appendText(b, words.Draw(t, name))
	}
	b = appendMaybe(b, words.Draw(t, "user"), rapid.Bool().Draw(t, "has"))
	b = appendLong(b, longs.Draw(t, "time"))
	b = drawBlocks(t, b, "identifiers", func(b []byte) []byte {
		b = appendText(appendText(b, words.Draw(t, "namespace")), words.Draw(t, "value"))
		return appendBool(b, rapid.Bool().Draw(t, "verified"))
	})
	if rapid.Bool().Draw(t, "order") {
		b = appendText(append(b, 2), words.Draw(t, "number"))
		b = appendMaybe(b, words.Draw(t, "currency"), rapid.Bool().Draw(t, "currency?"))
		b = drawAmount(t, b)
		b = drawBlocks(t, b, "lines", func(b []byte) []byte {
			b = appendText(b, words.Draw(t, "sku"))
			b = appendMaybe(b, words.Draw(t, "description"), rapid.Bool().Draw(t, "description?"))
			return drawAmount(t, drawAmount(t, b))
		})
	} else {
		b = append(b, 0)
	}
	for _, name := range []string{"traits", "properties"} {
		b = drawBlocks(t, b, name, func(b []byte) []byte {
			return appendText(appendText(b, words.Draw(t, "key")), words.Draw(t, "text"))
		})
	}
	return b
}

func drawBlocks(t *rapid.T, b []byte, name string, item func([]byte) []byte) []byte {
	for range rapid.IntRange(0, 2).Draw(t, name) {
		n := rapid.IntRange(1, 3).Draw(t, "items")
		var block []byte
		for range n {
			block = item(block)
		}
		if rapid.Bool().Draw(t, "sized") {
			b = appendLong(appendLong(b, int64(-n)), int64(len(block)))
		} else {
			b = appendLong(b, int64(n))
		}
		b = append(b, block...)
	}
	return append(b, 0)
}

// drawAmount draws amounts of every length, too long ones and needlessly long ones among them.
func drawAmount(t *rapid.T, b []byte) []byte {
	if !rapid.Bool().Draw(t, "amount?") {
		return append(b, 0)
	}
	amount := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "amount")
	if len(amount) > 0 && rapid.Bool().Draw(t, "padded") {
		sign := byte(int8(amount[0]) >> 7)
		amount = append(bytes.Repeat([]byte{sign}, rapid.IntRange(1, 8).Draw(t, "padding")), amount...)
	}
	return appendText(append(b, 2), string(amount))
}

func FuzzTypedCodecAndAvroLibraryAgree(f *testing.F) {
	other := twin(f)
	f.Add([]byte{})
	f.Add(head(1))
	f.Add(append(head(0), 0, 0, 0))
	f.Add(simple())
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, other, body) })
}

func FuzzOurRecordsNeverEndTheProcess(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		var keyed interaction.Keyed
		if DecodeKeyed(body, &keyed) == nil {
			var again interaction.Keyed
			if err := DecodeKeyed(AppendKeyed(nil, &keyed), &again); err != nil {
				t.Errorf("keyed interaction encoded again: %v", err)
			}
			if d := cmp.Diff(keyed, again, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("keyed interaction encoded again (-first +second):\n%s", d)
			}
		}
		var unified interaction.Unified
		if DecodeUnified(body, &unified) == nil && DecodeUnified(AppendUnified(nil, &unified), &unified) != nil {
			t.Error("a unified event encoded again is none")
		}
		var change interaction.Change
		if DecodeChange(body, &change) == nil && DecodeChange(AppendChange(nil, &change), &change) != nil {
			t.Error("a change encoded again is none")
		}
		var row interaction.MapRow
		if DecodeMapRow(body, &row) == nil && DecodeMapRow(AppendMapRow(nil, &row), &row) != nil {
			t.Error("a row of the map encoded again is none")
		}
	})
}

func TestAmountsThatNoConsumerCouldReadAreRejects(t *testing.T) {
	for name, c := range map[string]struct {
		amount []byte
		reason interaction.Reason
	}{
		"no byte":                      {nil, interaction.ReasonInvalidField},
		"zero":                         {[]byte{0}, ""},
		"18 digits":                    {[]byte{0x0D, 0xE0, 0xB6, 0xB3, 0xA7, 0x63, 0xFF, 0xFF}, ""},
		"19 digits":                    {[]byte{0x0D, 0xE0, 0xB6, 0xB3, 0xA7, 0x64, 0x00, 0x00}, interaction.ReasonInvalidField},
		"minus 18 digits":              {[]byte{0xF2, 0x1F, 0x49, 0x4C, 0x58, 0x9C, 0x00, 0x01}, ""},
		"minus 19 digits":              {[]byte{0xF2, 0x1F, 0x49, 0x4C, 0x58, 0x9C, 0x00, 0x00}, interaction.ReasonInvalidField},
		"a one in 16 bytes":            {append(make([]byte, 15), 1), ""},
		"a minus one in 16 bytes":      {bytes.Repeat([]byte{0xFF}, 16), ""},
		"9 bytes that all say a thing": {[]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, interaction.ReasonInvalidField},
		"2^64-1, which ends like -1":   {append([]byte{0}, bytes.Repeat([]byte{0xFF}, 8)...), interaction.ReasonInvalidField},
		"9 bytes, sign and not":        {[]byte{0, 0x80, 0, 0, 0, 0, 0, 0, 0}, interaction.ReasonInvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			body := simple()
			body = append(body[:len(body)-3], 2, 0, 0, 2)
			body = append(appendText(body, string(c.amount)), 0, 0, 0)
			for way, r := range map[string]*interaction.Reject{
				"typed codec":  DecodeInteraction(body, &interaction.Interaction{}),
				"Avro library": twin(t).Interaction(body, &interaction.Interaction{}),
			} {
				if (r == nil) != (c.reason == "") || r != nil && r.Reason != c.reason {
					t.Errorf("%s: reject %v, want %q", way, r, c.reason)
				}
			}
		})
	}
}
