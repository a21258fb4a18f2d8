package source

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

const head = `{"source":"web","channel":"web","type":"x.y","occurred_at":1`

func TestTextThatIsNotUTF8IsUnparsable(t *testing.T) {
	for _, bad := range []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "ma\xf1ana"} {
		var in interaction.Interaction
		rej := DecodeJSON([]byte(head+`,"user_id":"`+bad+`"}`), 0, &in)
		if rej == nil || rej.Reason != interaction.ReasonUnparsable {
			t.Errorf("%q: got %v", bad, rej)
		}
	}
}

func TestDepthAndSizeAreBounded(t *testing.T) {
	nested := func(depth int) string {
		return head + `,"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}"
	}
	for _, c := range []struct {
		name, text string
		want       interaction.Reason
	}{
		{"deepest", nested(MaxDepth - 1), ""},
		{"too deep", nested(MaxDepth), interaction.ReasonUnparsable},
		{"a bomb", nested(1_000_000), interaction.ReasonUnparsable},
		{"largest", head + `,"x":"` + strings.Repeat("x", MaxJSONBytes-len(head)-8) + `"}`, ""},
		{"too large", strings.Repeat(" ", MaxJSONBytes+1), interaction.ReasonTooLarge},
	} {
		var in interaction.Interaction
		var got interaction.Reason
		if rej := DecodeJSON([]byte(c.text), 0, &in); rej != nil {
			got = rej.Reason
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNothingPointsIntoTheRecord(t *testing.T) {
	value := []byte(orderLine)
	var in, want interaction.Interaction
	for _, dst := range []*interaction.Interaction{&in, &want} {
		if rej := DecodeJSON(value, 0, dst); rej != nil {
			t.Fatal(rej)
		}
		clear(value)
		copy(value, orderLine)
	}
	clear(value)
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPayloadsOfTwoRecordsShareNothing(t *testing.T) {
	var in interaction.Interaction
	decode := func(text string) []byte {
		if rej := DecodeJSON([]byte(text), 0, &in); rej != nil {
			t.Fatal(rej)
		}
		return in.Payload
	}
	empty, one := decode(head+"}"), decode(head+`,"traits":{"a":"b"}}`)
	kept := bytes.Clone(one)
	_, _ = append(empty, 1), decode(head+`,"traits":{"c":"d"}}`)
	if again := decode(head + "}"); !bytes.Equal(again, []byte{0, 0, 0}) || len(append(again, 2)) != 4 {
		t.Errorf("empty payload %x", again)
	}
	if !bytes.Equal(one, kept) {
		t.Errorf("payload %x became %x", kept, one)
	}
}

// literal draws numbers of the grammar of JSON.
var literal = rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?`)

func TestDecimalTextIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkDecimal(t, literal.Draw(t, "number")) })
}

func checkDecimal(t interface{ Fatalf(string, ...any) }, s string) {
	text, ok := decimalText(s)
	value, _ := new(big.Rat).SetString(s)
	if !ok {
		// More than 500 digits: at least 10^500, or not a whole number of 10^-499.
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(MaxNumberDigits-1), nil)
		small := new(big.Rat).Mul(value, new(big.Rat).SetInt(limit))
		whole := new(big.Int).Quo(new(big.Int).Abs(value.Num()), value.Denom())
		if whole.Cmp(limit) < 0 && small.IsInt() && len(whole.String())+len(s) < MaxNumberDigits {
			t.Fatalf("%s is refused and has %s before the point", s, whole)
		}
		return
	}
	back, valid := new(big.Rat).SetString(text)
	if !valid || back.Cmp(value) != 0 {
		t.Fatalf("%s became %s", s, text)
	}
	if n := len(strings.Trim(strings.Replace(text, ".", "", 1), "-")); n > MaxNumberDigits {
		t.Fatalf("%s became %d digits", s, n)
	}
	if strings.ContainsAny(text, "eE+") || strings.Contains(text, ".") && strings.HasSuffix(text, "0") || strings.HasSuffix(text, ".") || text == "-0" {
		t.Fatalf("%s became %s", s, text)
	}
	if again, ok := decimalText(text); !ok || again != text {
		t.Fatalf("%s became %s and that %s", s, text, again)
	}
}

func TestNumbersOfFiveHundredDigitsAreTheLongest(t *testing.T) {
	for s, want := range map[string]bool{
		"1e499": true, "1e500": false, "-1e499": true, "1e-499": true, "1e-500": false,
		"0e999999999999": true, "1" + strings.Repeat("0", 499): true, strings.Repeat("9", 501): false, "-" + strings.Repeat("9", 500): true,
		"1." + strings.Repeat("0", 600): true, "1." + strings.Repeat("1", 499): true, "1." + strings.Repeat("1", 500): false,
		"1e-99999999999999999999999": false, "1e99999999999999999999999": false,
	} {
		if _, ok := decimalText(s); ok != want {
			t.Errorf("%.20s… of %d bytes: %t, want %t", s, len(s), ok, want)
		}
	}
}

func TestAmountsAreTheShortestTwosComplement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(-999_999_999_999_999_999, 999_999_999_999_999_999).Draw(t, "unscaled")
		if rapid.Bool().Draw(t, "near a power") {
			v = 1<<rapid.IntRange(0, 58).Draw(t, "bit") + rapid.Int64Range(-2, 1).Draw(t, "off")
			if rapid.Bool().Draw(t, "negative") {
				v = -v
			}
		}
		literal, ok := decimalText(new(big.Rat).SetFrac64(v, 10_000).FloatString(4))
		if !ok {
			t.Fatal(v)
		}
		b, ok := unscaled(literal)
		if !ok {
			t.Fatalf("%s refused", literal)
		}
		var back int64
		if b[0] >= 0x80 {
			back = -1
		}
		for _, c := range b {
			back = back<<8 | int64(c)
		}
		if back != v || len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xFF && b[1] >= 0x80) {
			t.Fatalf("%d became %x", v, b)
		}
	})
}

func TestOrderOfMembersChangesNothing(t *testing.T) {
	members := []string{`"source":"web"`, `"channel":"app"`, `"type":"x.y"`, `"occurred_at":5`, `"event_id":"e"`, `"user_id":7`,
		`"identifiers":[{"namespace":"email","value":"a"}]`, `"traits":{"b":"1","a":"2"}`, `"properties":{"z":true}`,
		`"order":{"order_number":"A","lines":[{"sku":"s"}]}`, `"unknown":{}`}
	var want interaction.Interaction
	if rej := DecodeJSON([]byte("{"+strings.Join(members, ",")+"}"), 0, &want); rej != nil {
		t.Fatal(rej)
	}
	rapid.Check(t, func(t *rapid.T) {
		var got interaction.Interaction
		text := "{" + strings.Join(rapid.Permutation(members).Draw(t, "members"), " ,\n") + "}"
		if rej := DecodeJSON([]byte(text), 0, &got); rej != nil {
			t.Fatal(rej)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzDecodeJSON holds the reader against encoding/json: the same texts are JSON, and the same strings are in them.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{plainLine, orderLine, head + "}", `{"x":[1,-0.5e+7,"\ud83d\ude00\u00f1",null,true,{"y":{}}]}`,
		`{"user_id":"\ud83d"}`, `{"user_id": 007}`, "{}", "[]", `{"source":"a","source":"b"}`, "{\"a\":\"\x01\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var in interaction.Interaction
		rej := DecodeJSON(value, 0, &in)
		if rej == nil {
			if !json.Valid(value) {
				t.Fatalf("taken, and encoding/json refuses it: %q", value)
			}
			compareWithStandard(t, value, &in)
			return
		}
		if rej.Reason != interaction.ReasonUnparsable && !json.Valid(value) {
			t.Fatalf("%v, and encoding/json finds no JSON: %q", rej, value)
		}
		if rej.Reason == interaction.ReasonUnparsable && json.Valid(value) && utf8.Valid(value) {
			trimmed := bytes.TrimLeft(value, " \t\r\n")
			if trimmed[0] == '{' && depth(value) <= MaxDepth && !bytes.Contains(bytes.ToLower(value), []byte(`\ud`)) {
				t.Fatalf("%v, and encoding/json takes it: %q", rej, value)
			}
		}
	})
}

func compareWithStandard(t *testing.T, value []byte, in *interaction.Interaction) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(value, &want); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"event_id": in.EventID, "source": in.Source, "channel": in.Channel, "type": in.Type,
		"store_code": in.StoreCode, "user_id": in.UserID} {
		var s string
		if json.Unmarshal(want[name], &s) == nil && s != got {
			t.Fatalf("%s: got %q, want %q", name, got, s)
		}
	}
}

// depth is how deep JSON is nested at most; brackets in strings count, too.
func depth(value []byte) int {
	open, deepest := 0, 0
	for _, c := range value {
		switch c {
		case '{', '[':
			open++
			deepest = max(deepest, open)
		case '}', ']':
			open--
		}
	}
	return deepest
}

func FuzzDecimalText(f *testing.F) {
	for _, seed := range []string{"0", "-0.0", "1.50", "25e2", "1e-3", "1E+400", "123456789.000100e-5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1000 || numberLen(s) != len(s) || s == "" {
			return
		}
		if e := strings.IndexAny(s, "eE"); e >= 0 && len(s)-e > 5 {
			return // big.Rat would write it out
		}
		checkDecimal(t, s)
	})
}
