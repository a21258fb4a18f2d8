package try

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kinfold/processor/normalize"
	"kinfold/schemas/sources"
)

// corpus is where the records of the sources and what is expected of them lie, beside the repository.
const corpus = "../../../shared/sources"

func corpusOf(t testing.TB, parts ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{corpus}, parts...)...))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the records of the sources are not here (%s): nothing to compare with", corpus)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// run takes a file of records through a mapping.
func run(t testing.TB, source string, input []byte, o Options) (text, broken string, counts *Counts) {
	t.Helper()
	m, err := sources.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	if o.Rules == nil {
		o.Rules = normalize.DefaultRules()
	}
	var out, errs bytes.Buffer
	counts, err = New(Mapped(m), o, &out, &errs).Run(context.Background(), NewLines(bytes.NewReader(input)))
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), counts
}

func TestTheJSONOfEverySourceIsWhatIsExpected(t *testing.T) {
	for _, name := range sources.Names() {
		t.Run(name, func(t *testing.T) {
			expected := strings.Split(strings.TrimSpace(string(corpusOf(t, name, "expected.jsonl"))), "\n")
			text, broken, counts := run(t, name, corpusOf(t, name, "records.jsonl"), Options{JSON: true})
			got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if broken != "" || len(got) != len(expected) || counts.Records != len(expected) {
				t.Fatalf("%d lines of %d records, want %d; broken: %s", len(got), counts.Records, len(expected), broken)
			}
			for i := range got {
				for _, d := range differences("", object(t, got[i]), object(t, expected[i])) {
					t.Errorf("%s, record %d%s", name, i+1, d)
				}
			}
		})
	}
}

// TestWhatIsToldAgreesWithTheJSON holds the two forms against each other: tracing changes nothing, and everything is told.
func TestWhatIsToldAgreesWithTheJSON(t *testing.T) {
	for _, name := range sources.Names() {
		t.Run(name, func(t *testing.T) {
			input := corpusOf(t, name, "records.jsonl")
			_, _, plain := run(t, name, input, Options{JSON: true})
			text, _, told := run(t, name, input, Options{})
			told.Identifiers = plain.Identifiers // JSON does not judge them
			if !reflect.DeepEqual(plain, told) {
				t.Errorf("JSON counts %+v, the text %+v", plain, told)
			}
			for what, want := range map[string]int{"\nrecord ": plain.Records - 1, "interaction ": plain.Interactions, "rejected ": plain.Rejected() + 1} {
				if n := strings.Count(text, what); n < want {
					t.Errorf("%q stands %d times in the text, want %d or more", what, n, want)
				}
			}
			if strings.Contains(text, "\x1b") {
				t.Error("colours that nobody asked for")
			}
		})
	}
}

func object(t testing.TB, line string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return m
}

// amounts are the members that compare as numbers; in free ones only what is expected must be there.
var (
	amounts = []string{"total_amount", "quantity", "unit_price"}
	free    = []string{"traits", "properties"}
)

// differences compares by the rules of the corpus: amounts as numbers after rounding to four places, identifiers as a set, more
// members than those expected do no harm, and a list that is not expected must not be there.
func differences(at string, got, want any) (d []string) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: got %v, want %v", at, got, want)}
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			below := at + "." + name
			a, b := g[name], w[name]
			if slices.Contains(amounts, name) {
				a, b = rounded(a), rounded(b)
			}
			if name == "identifiers" {
				a, b = sorted(a), sorted(b)
			}
			d = append(d, differences(below, a, b)...)
		}
		for name := range g {
			if list, ok := g[name].([]any); ok && len(list) > 0 && w[name] == nil && !slices.Contains(free, name) {
				d = append(d, fmt.Sprintf("%s.%s: got %v, want none", at, name, list))
			}
		}
		for _, name := range []string{"reject", "ignore"} {
			if _, there := g[name]; there && (w[name] == nil || len(g) != 1) {
				d = append(d, fmt.Sprintf("%s: %v is not expected, or not alone", at, g[name]))
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s: got %v, want %v", at, got, want)}
		}
		for i := range w {
			d = append(d, differences(fmt.Sprintf("%s[%d]", at, i), g[i], w[i])...)
		}
	default:
		if !reflect.DeepEqual(got, want) {
			d = append(d, fmt.Sprintf("%s: got %v, want %v", at, got, want))
		}
	}
	return d
}

// rounded is a decimal text in the one form of its value, rounded half-even to four places.
func rounded(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return v
	}
	scaled := new(big.Rat).Mul(r, big.NewRat(10_000, 1))
	quotient, rest := new(big.Int).QuoRem(scaled.Num(), scaled.Denom(), new(big.Int))
	twice := new(big.Int).Mul(new(big.Int).Abs(rest), big.NewInt(2))
	if c := twice.Cmp(scaled.Denom()); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(int64(scaled.Sign())))
	}
	return quotient.String()
}

// sorted gives a list the order of its elements' text, as sets have none.
func sorted(v any) any {
	list, _ := v.([]any)
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return list
}

func TestDifferencesAreFound(t *testing.T) {
	const want = `{"interactions":[{"event_id":null,"identifiers":[{"v":"a"},{"v":"b"}],"order":{"total_amount":"1.50"},"traits":{"a":"b"}}]}`
	for _, c := range []struct {
		got string
		n   int
	}{
		{`{"interactions":[{"event_id":null,"identifiers":[{"v":"b"},{"v":"a"}],"order":{"total_amount":"1.5"},"traits":{"a":"b","c":"d"}}]}`, 0},
		{`{"interactions":[{"event_id":"x","identifiers":[{"v":"b"}],"order":{"total_amount":"1.51"},"traits":{"a":"c"}}]}`, 4},
		{`{"interactions":[]}`, 1},
		{`{"interactions":[{"event_id":null,"identifiers":[{"v":"b"},{"v":"a"}],"order":{"total_amount":"1.5"},"traits":{"a":"b"}}],"rejects":[{"index":0}]}`, 1},
		{`{"reject":"unparsable"}`, 2},
		{`{"interactions":[{"identifiers":[{"v":"b"},{"v":"a"}],"order":{"total_amount":"1.5"},"traits":{"a":"b"}}],"ignore":"x"}`, 1},
	} {
		if d := differences("", object(t, c.got), object(t, want)); len(d) != c.n {
			t.Errorf("%s: %d differences, want %d: %q", c.got, len(d), c.n, d)
		}
	}
}
