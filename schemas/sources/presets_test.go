package sources_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source/mapping"
	"kinfold/processor/try"
	"kinfold/schemas/sources"
)

// corpus is where the records of the sources and what is expected of them lie, beside the repository.
const corpus = "../../../shared/sources"

// corpusOf reads a file of the corpus. Without the corpus the test is skipped: it is no part of the repository.
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

func TestEveryPresetMakesOfItsRecordsWhatIsExpected(t *testing.T) {
	for _, name := range sources.Names() {
		t.Run(name, func(t *testing.T) {
			text, err := sources.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			compareSource(t, name, compile(t, name, text))
		})
	}
}

// TestTheExampleMappingsGiveTheSame takes the mappings that lie beside the records: others than ours, in the same language.
func TestTheExampleMappingsGiveTheSame(t *testing.T) {
	for _, name := range []string{"segment", "shopify", "icomm"} {
		t.Run(name, func(t *testing.T) {
			compareSource(t, name, compile(t, name, corpusOf(t, name, "mapping.yaml")))
		})
	}
}

func TestEverySourceOfTheCorpusHasAPreset(t *testing.T) {
	corpusOf(t, "README.md")
	found, err := filepath.Glob(filepath.Join(corpus, "*", "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	if !slices.Equal(names, sources.Names()) {
		t.Fatalf("presets %v, sources %v", sources.Names(), names)
	}
}

func compile(t testing.TB, name string, text []byte) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Compile(name, text, sources.Read)
	if err != nil {
		t.Fatal(err)
	}
	if m.Source() != name {
		t.Fatalf("%s calls itself %s", name, m.Source())
	}
	return m
}

// tried takes the records of a source through a mapping, as kinfold try does.
func tried(t testing.TB, name string, m *mapping.Mapping, o try.Options) (text string, counts *try.Counts) {
	t.Helper()
	o.Rules = normalize.DefaultRules()
	var out, broken bytes.Buffer
	counts, err := try.New(try.Mapped(m), o, &out, &broken).Run(t.Context(), try.NewLines(bytes.NewReader(corpusOf(t, name, "records.jsonl"))))
	if err != nil || broken.Len() > 0 {
		t.Fatal(err, broken.String())
	}
	return out.String(), counts
}

// compareSource holds what a mapping makes of the records of a source against what is expected, line by line.
func compareSource(t *testing.T, name string, m *mapping.Mapping) {
	text, counts := tried(t, name, m, try.Options{JSON: true})
	got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	expected := strings.Split(strings.TrimSpace(string(corpusOf(t, name, "expected.jsonl"))), "\n")
	if len(got) != len(expected) || counts.Records != len(expected) {
		t.Fatalf("%d lines of %d records, %d expected lines", len(got), counts.Records, len(expected))
	}
	for i := range got {
		for _, d := range differences("", object(t, got[i]), object(t, expected[i])) {
			t.Errorf("%s, record %d%s", name, i+1, d)
		}
	}
}

// TestWhatIsToldAgreesWithTheJSON holds the two forms against each other: tracing changes nothing, and everything is told.
func TestWhatIsToldAgreesWithTheJSON(t *testing.T) {
	for _, name := range sources.Names() {
		t.Run(name, func(t *testing.T) {
			m, err := sources.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			_, plain := tried(t, name, m, try.Options{JSON: true})
			text, told := tried(t, name, m, try.Options{})
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

// TestWhatASourceOrdersHasATimeAndAStore looks at what the JSON does not say of directives: without a time of its own none is in
// order, and its realm is that of its store, which is the store of the identifiers in it.
func TestWhatASourceOrdersHasATimeAndAStore(t *testing.T) {
	for _, name := range sources.Names() {
		m, err := sources.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		records := try.NewLines(bytes.NewReader(corpusOf(t, name, "records.jsonl")))
		var out mapping.Result
		for {
			rec, err := records.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			m.Apply(&rec.Record, &out)
			for i := range out.Items {
				if it := &out.Items[i]; it.Kind == mapping.Directive && (!it.Directive.HasIssuedAt || it.StoreCode != storeOf(it.Directive.A)) {
					t.Errorf("%s, %s: of store %q, with a time: %v; %+v", name, rec.Place, it.StoreCode, it.Directive.HasIssuedAt, it.Directive)
				}
			}
		}
	}
}

func storeOf(t *interaction.Target) string {
	if t == nil {
		return ""
	}
	return t.StoreCode
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

// differences compares by the rules of the corpus: amounts as numbers after rounding to four places, identifiers as a set, all
// other members exactly; what is not expected must not be there, but among traits and properties.
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
		below := func(name string) bool { return strings.HasSuffix(at, "."+name) }
		for name, v := range g {
			_, expected := w[name]
			if !expected && !nothing(v) && !slices.Contains(free, name) && !slices.ContainsFunc(free, below) {
				d = append(d, fmt.Sprintf("%s.%s: got %v, want none", at, name, v))
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

// nothing reports a member that says as much as one that is left out.
func nothing(v any) bool {
	list, isList := v.([]any)
	return v == nil || v == "" || isList && len(list) == 0
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
		{`{"interactions":[{"identifiers":[{"v":"b"},{"v":"a"}],"order":{"total_amount":"1.5","lines":[{"sku":"1"}]},"traits":{"a":"b"},"user_id":"7"}]}`, 2},
		{`{"interactions":[{"identifiers":[{"v":"b"},{"v":"a"}],"order":{"total_amount":"1.5"},"traits":{"a":"b"}}],"ignore":"x"}`, 1},
	} {
		if d := differences("", object(t, c.got), object(t, want)); len(d) != c.n {
			t.Errorf("%s: %d differences, want %d: %q", c.got, len(d), c.n, d)
		}
	}
}
