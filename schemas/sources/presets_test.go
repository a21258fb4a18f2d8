package sources_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kinfold/processor/interaction"
	"kinfold/processor/source/mapping"
	"kinfold/schemas"
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

func compareSource(t *testing.T, name string, m *mapping.Mapping) {
	records, expected := lines(corpusOf(t, name, "records.jsonl")), lines(corpusOf(t, name, "expected.jsonl"))
	if len(records) != len(expected) {
		t.Fatalf("%d records, %d expected lines", len(records), len(expected))
	}
	var out mapping.Result
	for i := range records {
		m.Apply(record(t, records[i]), &out)
		want := expectation{}
		if err := json.Unmarshal(expected[i], &want); err != nil {
			t.Fatal(err)
		}
		for _, d := range compareRecord(&out, &want) {
			t.Errorf("%s, record %d: %s", name, i+1, d)
		}
	}
}

func lines(text []byte) (out [][]byte) {
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		out = append(out, bytes.Clone(s.Bytes()))
	}
	return out
}

// record reads one line of records.jsonl.
func record(t testing.TB, line []byte) *mapping.Record {
	t.Helper()
	var r struct {
		Topic     string            `json:"topic"`
		Key       *string           `json:"key"`
		Headers   map[string]string `json:"headers"`
		Timestamp int64             `json:"timestamp"`
		Text      *string           `json:"value_text"`
		Base64    *string           `json:"value_base64"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	rec := &mapping.Record{Topic: r.Topic, Timestamp: r.Timestamp}
	if r.Key != nil {
		rec.Key = []byte(*r.Key)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		rec.Headers = append(rec.Headers, mapping.Header{Name: name, Value: []byte(r.Headers[name])})
	}
	switch {
	case r.Text != nil:
		rec.Value = []byte(*r.Text)
	case r.Base64 != nil:
		value, err := base64.StdEncoding.DecodeString(*r.Base64)
		if err != nil {
			t.Fatal(err)
		}
		rec.Value = value
	}
	return rec
}

// expectation is one line of expected.jsonl.
type expectation struct {
	Interactions []struct {
		EventID     *string          `json:"event_id"`
		Source      string           `json:"source"`
		Channel     string           `json:"channel"`
		Type        string           `json:"type"`
		StoreCode   string           `json:"store_code"`
		UserID      *string          `json:"user_id"`
		OccurredAt  string           `json:"occurred_at"`
		Identifiers []wantIdentifier `json:"identifiers"`
		Order       *struct {
			Number   *string `json:"order_number"`
			Currency *string `json:"currency"`
			Total    *string `json:"total_amount"`
			Lines    []struct {
				SKU         string  `json:"sku"`
				Description *string `json:"description"`
				Quantity    *string `json:"quantity"`
				UnitPrice   *string `json:"unit_price"`
			} `json:"lines"`
		} `json:"order"`
		Traits     map[string]string `json:"traits"`
		Properties map[string]string `json:"properties"`
	} `json:"interactions"`
	Rejects    []wantReason `json:"rejects"`
	Ignores    []wantReason `json:"ignores"`
	Directives []struct {
		ID       string      `json:"directive_id"`
		Kind     string      `json:"kind"`
		IssuedAt string      `json:"issued_at"`
		A        *wantTarget `json:"a"`
		B        *wantTarget `json:"b"`
		Scope    string      `json:"scope"`
		Author   string      `json:"author"`
	} `json:"directives"`
	Reject string `json:"reject"`
	Ignore string `json:"ignore"`
}

type wantIdentifier struct {
	Namespace string `json:"namespace"`
	Value     string `json:"value"`
	Verified  bool   `json:"verified"`
}

type wantReason struct {
	Index  int    `json:"index"`
	Reason string `json:"reason"`
}

type wantTarget struct {
	Namespace string `json:"namespace"`
	StoreCode string `json:"store_code"`
	Value     string `json:"value"`
}

// differences gathers what is not as expected.
type differences []string

func (d *differences) equal(field string, got, want any) {
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		*d = append(*d, fmt.Sprintf("%s: got %v, want %v", field, got, want))
	}
}

func compareRecord(out *mapping.Result, want *expectation) (d differences) {
	var whole string
	var rejects, ignores []wantReason
	var interactions []*interaction.Interaction
	var directives []*mapping.Item
	for i := range out.Items {
		switch it := &out.Items[i]; it.Kind {
		case mapping.Interaction:
			interactions = append(interactions, &it.Interaction)
		case mapping.Directive:
			directives = append(directives, it)
		case mapping.Reject:
			if it.Index == mapping.WholeRecord {
				whole = "reject " + mapping.ReasonText(it.Reject)
			} else {
				rejects = append(rejects, wantReason{it.Index, mapping.ReasonText(it.Reject)})
			}
		case mapping.Ignore:
			if it.Index == mapping.WholeRecord {
				whole = "ignore " + it.Ignore
			} else {
				ignores = append(ignores, wantReason{it.Index, it.Ignore})
			}
		}
	}
	wantWhole := ""
	if want.Reject != "" {
		wantWhole = "reject " + want.Reject
	} else if want.Ignore != "" {
		wantWhole = "ignore " + want.Ignore
	}
	d.equal("the whole record", whole, wantWhole)
	d.equal("rejects", rejects, want.Rejects)
	d.equal("ignores", ignores, want.Ignores)
	d.equal("number of interactions", len(interactions), len(want.Interactions))
	d.equal("number of directives", len(directives), len(want.Directives))
	for i := range min(len(interactions), len(want.Interactions)) {
		compareInteraction(&d, fmt.Sprintf("interactions[%d]", i), interactions[i], want, i)
	}
	for i := range min(len(directives), len(want.Directives)) {
		compareDirective(&d, directives[i], want, i)
	}
	return d
}

func compareInteraction(d *differences, at string, got *interaction.Interaction, all *expectation, i int) {
	want := &all.Interactions[i]
	d.equal(at+".event_id", got.EventID, orEmpty(want.EventID))
	d.equal(at+".source", got.Source, want.Source)
	d.equal(at+".channel", got.Channel, want.Channel)
	d.equal(at+".type", got.Type, want.Type)
	d.equal(at+".store_code", got.StoreCode, want.StoreCode)
	d.equal(at+".user_id", got.UserID, orEmpty(want.UserID))
	d.equal(at+".has_user_id", got.HasUserID, want.UserID != nil)
	d.equal(at+".occurred_at", instant(got.OccurredAt), want.OccurredAt)
	var identifiers []string
	for _, id := range got.Identifiers {
		identifiers = append(identifiers, fmt.Sprint(wantIdentifier{id.Namespace, id.Value, id.Verified}))
	}
	var wanted []string
	for _, id := range want.Identifiers {
		wanted = append(wanted, fmt.Sprint(id))
	}
	slices.Sort(identifiers)
	slices.Sort(wanted)
	d.equal(at+".identifiers", identifiers, wanted)

	payload, err := payloadOf(got.Payload)
	if err != nil {
		d.equal(at+".payload", err.Error(), "")
		return
	}
	order := "none"
	if o := want.Order; o != nil {
		order = orderText(orEmpty(o.Number), o.Currency, amount(o.Total), len(o.Lines))
		for j := range min(len(o.Lines), len(payload.lines)) {
			l := o.Lines[j]
			d.equal(fmt.Sprintf("%s.order.lines[%d]", at, j), payload.lines[j],
				lineText(l.SKU, l.Description, amount(l.Quantity), amount(l.UnitPrice)))
		}
	}
	d.equal(at+".order", payload.order, order)
	for name, value := range want.Traits {
		d.equal(at+".traits."+name, payload.traits[name], value)
	}
	for name, value := range want.Properties {
		d.equal(at+".properties."+name, payload.properties[name], value)
	}
}

func compareDirective(d *differences, got *mapping.Item, all *expectation, i int) {
	want, g, at := &all.Directives[i], got.Directive, fmt.Sprintf("directives[%d]", i)
	d.equal(at+".directive_id", g.ID, want.ID)
	d.equal(at+".kind", string(g.Kind), want.Kind)
	d.equal(at+".issued_at", instant(g.IssuedAt), want.IssuedAt)
	d.equal(at+".has_issued_at", g.HasIssuedAt, true)
	d.equal(at+".a", target(g.A), want.A)
	d.equal(at+".b", target(g.B), want.B)
	d.equal(at+".scope", string(g.Scope), want.Scope)
	d.equal(at+".author", g.Author, want.Author)
	if want.A != nil {
		d.equal(at+".store_code of the realm", got.StoreCode, want.A.StoreCode)
	}
}

func (w *wantTarget) GoString() string {
	if w == nil {
		return "none"
	}
	return fmt.Sprint(*w)
}

func target(t *interaction.Target) *wantTarget {
	if t == nil {
		return nil
	}
	return &wantTarget{t.Namespace, t.StoreCode, t.Value}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func instant(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// facts are those of a payload, as texts that compare.
type facts struct {
	order              string
	lines              []string
	traits, properties map[string]string
}

func payloadOf(payload []byte) (f facts, _ error) {
	text, err := schemas.AppendPayloadJSON([]byte("{"), payload)
	if err != nil {
		return f, err
	}
	var p struct {
		Order *struct {
			Number   string       `json:"order_number"`
			Currency *string      `json:"currency"`
			Total    *json.Number `json:"total_amount"`
			Lines    []struct {
				SKU         string       `json:"sku"`
				Description *string      `json:"description"`
				Quantity    *json.Number `json:"quantity"`
				UnitPrice   *json.Number `json:"unit_price"`
			} `json:"lines"`
		} `json:"order"`
		Traits     map[string]string `json:"traits"`
		Properties map[string]string `json:"properties"`
	}
	if err := json.Unmarshal(append(text, '}'), &p); err != nil {
		return f, err
	}
	f = facts{order: "none", traits: p.Traits, properties: p.Properties}
	if o := p.Order; o != nil {
		f.order = orderText(o.Number, o.Currency, number(o.Total), len(o.Lines))
		for _, l := range o.Lines {
			f.lines = append(f.lines, lineText(l.SKU, l.Description, number(l.Quantity), number(l.UnitPrice)))
		}
	}
	return f, nil
}

func orderText(number string, currency *string, total string, lines int) string {
	return fmt.Sprintf("%q %s %s of %d lines", number, quoted(currency), total, lines)
}

func lineText(sku string, description *string, quantity, price string) string {
	return fmt.Sprintf("%q %s %s × %s", sku, quoted(description), quantity, price)
}

func quoted(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}

func number(n *json.Number) string {
	if n == nil {
		return "null"
	}
	s := n.String()
	return amount(&s)
}

// amount is a decimal text in the one form of its value, rounded half-even to four places.
func amount(s *string) string {
	if s == nil {
		return "null"
	}
	r, ok := new(big.Rat).SetString(strings.TrimSpace(*s))
	if !ok {
		return "no number: " + *s
	}
	unit := big.NewInt(10_000)
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(unit))
	quotient, rest := new(big.Int).QuoRem(scaled.Num(), scaled.Denom(), new(big.Int))
	twice := new(big.Int).Mul(new(big.Int).Abs(rest), big.NewInt(2))
	if c := twice.Cmp(scaled.Denom()); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(int64(scaled.Sign())))
	}
	return new(big.Rat).SetFrac(quotient, unit).FloatString(4)
}
