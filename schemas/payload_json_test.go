package schemas

import (
	"bytes"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// payloadWithAmount is an order with one amount, empty maps.
func payloadWithAmount(amount []byte) []byte {
	b := append([]byte{2}, 0, 0, 2) // an order, its number empty, no currency, a total
	return append(appendText(b, string(amount)), 0, 0, 0)
}

func TestAmountsHaveTheirExactDigitsInJSON(t *testing.T) {
	for name, c := range map[string]struct {
		amount []byte
		want   string
	}{
		"zero":                          {[]byte{0}, "0"},
		"zero, without a byte":          {nil, "0"},
		"the least":                     {[]byte{1}, "0.0001"},
		"minus the least":               {[]byte{0xFF}, "-0.0001"},
		"one":                           {[]byte{0x27, 0x10}, "1"},
		"minus one":                     {[]byte{0xD8, 0xF0}, "-1"},
		"zeros within, none at the end": {[]byte{0x0F, 0x48, 0xA4}, "100.1636"},
		"a tenth":                       {[]byte{0x03, 0xE8}, "0.1"},
		"minus a tenth":                 {[]byte{0xFC, 0x18}, "-0.1"},
		"18 digits":                     {[]byte{0x0D, 0xE0, 0xB6, 0xB3, 0xA7, 0x63, 0xFF, 0xFF}, "99999999999999.9999"},
		"minus 18 digits":               {[]byte{0xF2, 0x1F, 0x49, 0x4C, 0x58, 0x9C, 0x00, 0x01}, "-99999999999999.9999"},
		"12.5 in more bytes than need":  {[]byte{0, 0, 0x01, 0xE8, 0x48}, "12.5"},
		"minus 12.5 in more bytes":      {[]byte{0xFF, 0xFF, 0xFE, 0x17, 0xB8}, "-12.5"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AppendPayloadJSON(nil, payloadWithAmount(c.amount))
			if err != nil {
				t.Fatal(err)
			}
			want := `"order":{"order_number":"","currency":null,"total_amount":` + c.want + `,"lines":[]},"traits":{},"properties":{}`
			if d := cmp.Diff(want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAmountsInJSONAreThoseThatWereScaled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 1_000_000_000_000_000_000 - 1 // 18 digits
		want := big.NewRat(rapid.Int64Range(-most, most).Draw(t, "unscaled"), 10_000)
		amount, err := scaled(want)
		if err != nil {
			t.Fatal(err)
		}
		text, err := AppendPayloadJSON([]byte("{"), payloadWithAmount(amount))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Order struct {
				Total json.Number `json:"total_amount"`
			}
		}
		if err := json.Unmarshal(append(text, '}'), &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if r, ok := new(big.Rat).SetString(got.Order.Total.String()); !ok || r.Cmp(want) != 0 {
			t.Fatalf("%s became %s", want.FloatString(4), got.Order.Total)
		}
	})
}

func TestStringsInJSONAreWhatEveryReaderTakesBack(t *testing.T) {
	for name, s := range map[string]string{
		"empty": "", "plain": "Av. Corrientes 1234", "Spanish": "Ñuñoa, ¿sí?", "Portuguese": "São João às três", "beyond 16 bits": "café 👩‍👩‍👧",
		"quotes": `el "grande"`, "backslashes": `C:\tienda\n`, "every control character": "\x00\x01\x07\b\t\n\v\f\r\x1e\x1f\x7f",
		"ends of line of JavaScript": "\u2028\u2029", "tags": "<script>&amp;</script>", "controls among letters": "año\n\x1fnuevo",
	} {
		t.Run(name, func(t *testing.T) {
			text := AppendJSONString([]byte("kept"), s)
			if !bytes.HasPrefix(text, []byte("kept")) {
				t.Fatalf("%q lost what stood before", text)
			}
			var got string
			if err := json.Unmarshal(text[len("kept"):], &got); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if got != s {
				t.Errorf("%q came back as %q", s, got)
			}
		})
	}
}

func TestAnyBytesGiveTheStringThatEncodingJSONGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		var got, want string
		if err := json.Unmarshal(AppendJSONString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		judge, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(judge, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("%q: got %q, want %q", s, got, want)
		}
	})
}

func TestMapsInSeveralBlocksAreOneObject(t *testing.T) {
	// traits: a block of one, then a block of two that states its size; properties: empty
	payload := []byte{0, 2, 2, 'a', 2, '1', 3, 16, 2, 'b', 2, '2', 2, 'c', 2, '3', 0, 0}
	got, err := AppendPayloadJSON(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(`"order":null,"traits":{"a":"1","b":"2","c":"3"},"properties":{}`, string(got)); d != "" {
		t.Error(d)
	}
}

func TestBytesThatAreNoPayloadAddNothing(t *testing.T) {
	for name, payload := range map[string][]byte{
		"nothing":                 nil,
		"a byte left over":        {0, 0, 0, 0},
		"no such branch":          {4, 0, 0},
		"a negative branch":       {1, 0, 0},
		"a negative length":       {0, 2, 1, 0, 0, 0},
		"a length beyond the end": {0, 2, 100, 'a', 0, 0},
		"a block of 2^62 entries": append(appendLong([]byte{0}, 1<<62), 0, 0),
		"a number of 11 bytes":    bytes.Repeat([]byte{0xFF}, 11),
		"maps missing":            {0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AppendPayloadJSON([]byte("kept"), payload)
			if err == nil {
				t.Fatalf("%x is taken for a payload: %s", payload, got)
			}
			if string(got) != "kept" {
				t.Errorf("%q is left, want what was there before", got)
			}
		})
	}
}
