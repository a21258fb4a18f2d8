package try

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source/mapping"
	"kinfold/schemas/sources"
)

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

func TestEveryReasonHasAnAdvice(t *testing.T) {
	decidedLater := map[interaction.Reason]bool{interaction.ReasonDuplicateConflict: true, interaction.ReasonComponentCap: true}
	for _, r := range interaction.Reasons {
		if (advice[r] == "") != decidedLater[r] {
			t.Errorf("reason %s: advice %q", r, advice[r])
		}
	}
}

// write makes a mapping file of the test's own.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const plainMapping = `
source: shop
inputs: [{format: json, explode: list}]
defaults:
  channel: {const: web}
  occurred_at: {path: "@timestamp", time: unix_ms}
  event_id: id
  store_code: store
  user_id: user
  identifiers:
    - {namespace: document, value: dni}
    - {namespace: document, value: dni2}
    - {namespace: phone, value: phone}
    - {namespace: email, value: email}
    - {namespace: other, value: other}
rules:
  - type: {const: thing.done}
`

// wants looks for parts of a text, whatever its columns and lines are.
func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	text = strings.Join(strings.Fields(text), " ")
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("the text does not have %q:\n%s", p, text)
		}
	}
}

func TestIdentifiersAreJudgedByTheRules(t *testing.T) {
	input := `{"timestamp":1772445600000,"value_text":"{\"id\":\"1\",\"store\":\"AR-1\",\"user\":\"7\",\"phone\":\"11 4321 8765\",\"email\":\" Ana@Correo.example\",\"other\":\"x\"}"}
{"timestamp":1772445600000,"value_text":"{\"user\":\"ANA@correo.example\",\"dni\":\"27.418.902\",\"dni2\":\"30111222\",\"email\":\"noreply@x.example\",\"phone\":\"000000\"}"}`
	text, _, counts := run(t, write(t, plainMapping), []byte(input), Options{})
	wants(t, text,
		"user_id (user) 7 usable", "as user of AR-1",
		"phone 11 4321 8765 invalid", "no international number, and no number of the region that identity.regions gives store",
		"email Ana@Correo.example usable", "as email ana@correo.example",
		"other x invalid", "no such namespace",
		"user_id (email) ANA@correo.example usable",
		"27.418.902 conflict", "two different ones in one interaction",
		"noreply@x.example blocked: email_name", "000000 blocked: zeros",
		"key AR-1|7, realm default",
		"no event_id: its content tells (content:", "its Kafka timestamp stands in")
	rules := normalize.DefaultRules()
	rules.Regions, rules.Realms = map[string]string{"*": "AR"}, map[string]string{"AR-*": "sur"}
	text, _, _ = run(t, write(t, plainMapping), []byte(input), Options{Rules: rules})
	wants(t, text, "as phone +541143218765", "AR-1|7, realm sur")
	if n := counts.Identifiers; n[interaction.OutcomeNone] != 3 || n[interaction.OutcomeConflict] != 2 || n[interaction.OutcomeBlocked] != 2 || n[interaction.OutcomeInvalid] != 2 {
		t.Errorf("counted %v", n)
	}
}

func TestWhatTheIdentityRulesRejectIsNoInteraction(t *testing.T) {
	input := fmt.Sprintf(`{"timestamp":1772445600000,"value_text":"{\"store\":\"%s\",\"user\":\"7\"}"}`, strings.Repeat("x", 31))
	text, _, counts := run(t, write(t, plainMapping), []byte(input), Options{})
	wants(t, text, "rejected by the identity rules bad_store_code", "store_code is longer than 30 characters", "take another field for store_code")
	if counts.Interactions != 0 || counts.Rejects["bad_store_code"] != 1 {
		t.Errorf("counted %+v", counts)
	}
}

func TestControlCharactersDoNotReachTheTerminal(t *testing.T) {
	input := `{"topic":"a\u001b[2J","key":"\u001b]0;x\u0007","timestamp":1772445600000,"value_text":"{\"id\":\"\\u001b[31mred\",\"store\":\"a\\nb\",\"user\":\"\\u0007\\u202e7\"}"}`
	text, _, _ := run(t, write(t, plainMapping), []byte(input), Options{})
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x202E }); i >= 0 {
		t.Errorf("%q", text)
	}
}

// generated hands out lines without holding them.
type generated struct {
	line     []byte
	left, at int
	max      uint64 // bytes of heap, at the most
}

func (g *generated) Read(p []byte) (int, error) {
	if g.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, g.line[g.at:])
	if g.at += n; g.at == len(g.line) {
		g.at, g.left = 0, g.left-1
		if g.left%1_000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			g.max = max(g.max, m.HeapAlloc)
		}
	}
	return n, nil
}

func TestALongInputTakesNoMoreMemory(t *testing.T) {
	line := `{"topic":"t","timestamp":1772445600000,"value_text":"{\"id\":\"1\",\"user\":\"7\",\"pad\":\"` + strings.Repeat("x", 2_000) + `\"}"}` + "\n"
	m, err := sources.Load(write(t, plainMapping))
	if err != nil {
		t.Fatal(err)
	}
	for _, json := range []bool{true, false} {
		g := &generated{line: []byte(line), left: 4_000}
		counts, err := New(Mapped(m), Options{Rules: normalize.DefaultRules(), JSON: json}, io.Discard, io.Discard).Run(context.Background(), NewLines(g))
		if err != nil || counts.Interactions != 4_000 {
			t.Fatalf("%+v, %v", counts, err)
		}
		if g.max > 6<<20 {
			t.Errorf("JSON %v: %d bytes of heap for %d bytes of input", json, g.max, 4_000*len(line))
		}
	}
}

func TestTheOutputDoesNotWaitForTheNextRecord(t *testing.T) {
	in, to := io.Pipe()
	from, out := io.Pipe()
	m, err := sources.Load(write(t, plainMapping))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := New(Mapped(m), Options{Rules: normalize.DefaultRules(), JSON: true}, out, io.Discard).Run(context.Background(), NewLines(in))
		done <- err
	}()
	for range 3 {
		fmt.Fprintln(to, `{"timestamp":1772445600000,"value_text":"{}"}`)
		b := make([]byte, 4096)
		if n, err := from.Read(b); err != nil || !bytes.HasPrefix(b[:n], []byte(`{"interactions":[{`)) {
			t.Fatalf("%q, %v", b[:n], err)
		}
	}
	to.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestATrialEndsWithItsContextAndWithItsWriter(t *testing.T) {
	m, err := sources.Load(write(t, plainMapping))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := New(Mapped(m), Options{Rules: normalize.DefaultRules()}, io.Discard, io.Discard).Run(ctx, NewLines(strings.NewReader(""))); err == nil {
		t.Error("an ended context gave no error")
	}
	closed, w := io.Pipe()
	closed.Close()
	for _, json := range []bool{true, false} {
		_, err := New(Mapped(m), Options{Rules: normalize.DefaultRules(), JSON: json}, w, io.Discard).Run(context.Background(), NewLines(strings.NewReader(`{"value_text":"{}"}`)))
		if err == nil {
			t.Error("a writer that fails gave no error")
		}
	}
}

func TestRejectsOfTooManyValuesAreNotTakenForRulesThatReject(t *testing.T) {
	value := `{\"list\":[` + strings.Repeat("1,", mapping.MaxElements) + `1]}`
	text, _, _ := run(t, write(t, plainMapping), []byte(`{"value_text":"`+value+`"}`), Options{})
	wants(t, text, "rejected too_large", "more than 10000 elements", "let the producer send less")
}
