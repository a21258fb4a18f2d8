package processor_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/normalize"
	"kinfold/processor/state"
)

// drawRules draws rules that few events are enough to meet. Only what a state directory can judge differs between two of them.
func drawRules(t *rapid.T) *normalize.Rules {
	r := normalize.DefaultRules()
	low := func(label string, from, to int) int { return rapid.IntRange(from, to).Draw(t, label) }
	for i := range r.Namespaces {
		n := &r.Namespaces[i]
		n.SharedAnchors = low("shared anchors of "+n.Name, 1, 3)
		n.AtMost = low("at most of "+n.Name, 1, 3)
		if n.SharedContacts != normalize.NoThreshold {
			n.SharedContacts = low("shared contacts of "+n.Name, 1, 4)
		}
	}
	r.AnchorsInAll = low("anchors in all", 2, 5)
	r.StoreCodesTied = low("store codes tied", 1, 3)
	r.DevicesJoinKnown = rapid.Bool().Draw(t, "devices join known")
	r.CustomerLimit = rapid.SampledFrom([]int{2, 4, 500}).Draw(t, "customer limit")
	r.EraseEnabled = true
	if rapid.Bool().Draw(t, "other realm names") {
		r.Realms = map[string]string{"*": "tienda", "X*": "plaza"}
	} else {
		r.Realms = map[string]string{"*": "default", "X*": "plaza"}
	}
	return r
}

// drawLines draws interactions and directives of few people in few shops.
func drawLines(t *rapid.T, n int, realm string) string {
	var lines []string
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	value := map[string][]string{
		"user": {"01", "02", "a1", "A1"}, "member_id": {"7001", "7002", "7003"}, "document": {"27418902", "30111222"},
		"email": {"ana@correo.example", "joao@correio.example", "iñaki@correo.example"}, "phone": {"+541144448800", "+59899123456"},
		"device_id": {"dispositivo-1", "dispositivo-2"},
	}
	spaces := []string{"member_id", "document", "email", "phone", "device_id"}
	at := func() time.Time { return noon.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "minute")) * time.Minute) }
	for i := range n {
		if rapid.IntRange(0, 5).Draw(t, "directive") == 0 {
			lines = append(lines, drawRulesDirective(t, fmt.Sprint("d", i), realm, spaces, value, at()))
			continue
		}
		var pairs []string
		for range rapid.IntRange(0, 3).Draw(t, "identifiers") {
			space := pick("namespace", spaces...)
			pairs = append(pairs, space, pick("value", value[space]...))
		}
		user := ""
		if rapid.IntRange(0, 3).Draw(t, "with user") > 0 {
			user = pick("user", value["user"]...)
		}
		lines = append(lines, line("caja", fmt.Sprint("e", i), pick("store", "S01", "S02", "X01"), user, at(), pairs...))
	}
	return strings.Join(lines, "\n")
}

func drawRulesDirective(t *rapid.T, id, realm string, spaces []string, value map[string][]string, at time.Time) string {
	target := func(space string) map[string]any {
		return map[string]any{"namespace": space, "value": rapid.SampledFrom(value[space]).Draw(t, "target")}
	}
	space := rapid.SampledFrom(spaces[2:]).Draw(t, "space of a")
	d := map[string]any{"directive_id": id, "realm": realm, "issued_at": at.UnixMilli(), "a": target(space)}
	d["kind"] = rapid.SampledFrom([]string{"link", "separate", "replace", "retract", "restore", "erase"}).Draw(t, "kind")
	switch d["kind"] {
	case "link", "separate":
		d["b"] = target(rapid.SampledFrom(spaces[2:]).Draw(t, "space of b"))
	case "replace":
		d["b"] = target(space)
	}
	b, err := json.Marshal(map[string]any{"directive": d})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func question(old, new *normalize.Rules) *processor.RulesQuestion {
	return &processor.RulesQuestion{
		Old: processor.RulesFile{Name: "old.yaml", Rules: old}, New: processor.RulesFile{Name: "new.yaml", Rules: new},
		Examples: 1000, Progress: func(string) {},
	}
}

func diffInput(t testing.TB, q *processor.RulesQuestion, lines string) *processor.RulesDiff {
	t.Helper()
	d, err := q.DiffInput(t.Context(), "in.jsonl", strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// diffState asks of the state that the lines leave under the old rules.
func diffState(t testing.TB, q *processor.RulesQuestion, lines string) *processor.RulesDiff {
	t.Helper()
	q.FS = newStateFS(t, q.Old.Rules, lines)
	d, err := q.DiffState(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newStateFS holds the state that the lines leave.
func newStateFS(t testing.TB, rules *normalize.Rules, lines string) state.FS {
	t.Helper()
	fs := state.NewMemoryFS()
	if err := processor.WriteState(t.Context(), rules, strings.NewReader(lines), fs, dir+"/tienda"); err != nil {
		t.Fatal(err)
	}
	return fs
}

// TestEqualRulesDifferInNothing asks of random worlds, from both sources.
func TestEqualRulesDifferInNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		lines := drawLines(rt, rapid.IntRange(0, 25).Draw(rt, "lines"), rules.Realms["*"])
		for name, d := range map[string]*processor.RulesDiff{
			"input": diffInput(t, question(rules, rules), lines), "state": diffState(t, question(rules, rules), lines),
		} {
			if !d.Same() || d.Mismatches.Any() || len(d.Examples.Customers)+len(d.Examples.Identifiers)+len(d.Examples.Edges) > 0 {
				text, _ := json.MarshalIndent(d, "", " ")
				rt.Fatalf("%s: equal rules differ:\n%s\n%s", name, text, lines)
			}
		}
	})
}

// TestAStateSaysOfNewRulesWhatItsInputSays asks the same from both sources. The realm of directives is written in them, so that
// where it is renamed both sources say that they are rejected.
func TestAStateSaysOfNewRulesWhatItsInputSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		old, new := drawRules(rt), drawRules(rt)
		lines := drawLines(rt, rapid.IntRange(1, 25).Draw(rt, "lines"), old.Realms["*"])
		if old.Realms["*"] != new.Realms["*"] { // rejected directives cannot have erased anything
			lines = strings.ReplaceAll(lines, `"erase"`, `"retract"`)
		}
		q := question(old, new)
		input, stored := diffInput(t, q, lines), diffState(t, q, lines)
		if stored.Mismatches.Any() || input.Mismatches.Any() {
			rt.Fatalf("the old rules do not make the stored customers: %+v %+v\n%s", stored.Mismatches, input.Mismatches, lines)
		}
		for _, d := range []*processor.RulesDiff{input, stored} {
			d.Source, d.Limits, d.Directives = processor.Source{}, nil, nil
			for _, s := range []*processor.RulesSide{&d.Old, &d.New} {
				s.Events, s.Ambiguous, s.Rejects = 0, 0, nil
			}
		}
		if d := cmp.Diff(input, stored); d != "" {
			rt.Fatalf("(-input +state):\n%s\n%s", d, lines)
		}
	})
}

// TestEqualRulesDifferInNothingOnTheCases asks of the scenarios beside the repository, in both ways, and that the state directory
// is left as it was.
func TestEqualRulesDifferInNothingOnTheCases(t *testing.T) {
	inputs, _ := filepath.Glob(filepath.Join(casesDir, "*", "input.jsonl"))
	if len(inputs) == 0 {
		t.Skipf("%s is not there", casesDir)
	}
	for _, path := range inputs {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rules := rulesOfCase(t, filepath.Dir(path))
			for name, d := range map[string]*processor.RulesDiff{
				"input": diffInput(t, question(rules, rules), string(text)), "state": diffState(t, question(rules, rules), string(text)),
			} {
				if !d.Same() || d.Mismatches.Any() {
					report, _ := json.MarshalIndent(d, "", " ")
					t.Errorf("%s: equal rules differ:\n%s", name, report)
				}
			}
		})
	}
}

func rulesOfCase(t *testing.T, dir string) *normalize.Rules {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "rules.json"))
	if err != nil {
		return normalize.DefaultRules()
	}
	rules, err := config.ReadRules("rules", text, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}
