package processor_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// dryRunLines takes lines through a dry run, and checks that the folded changes are the map.
func dryRunLines(t *testing.T, rules string, lines []string) *dryRunOutput {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"rules.json": rules, "input.jsonl": strings.Join(lines, "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := dryRun(t, dir, "input.jsonl")
	if d := gocmp.Diff(out.customers, out.folded); d != "" {
		t.Errorf("after %d lines identity-map (-) and folded identity-changes (+) differ:\n%s", len(lines), d)
	}
	slices.Sort(out.shared)
	slices.Sort(out.retracted)
	return out
}

// TestADryRunDoesNotDependOnTheOrderOfItsLines tells random people, with directives among the lines, in two orders, some
// lines twice: map, statuses and what was accepted are the same. After any prefix the folded changes give the map.
//
// By default it takes seconds; go test ./processor -run DryRunDoesNot -rapid.checks=5000 takes minutes.
func TestADryRunDoesNotDependOnTheOrderOfItsLines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.Custom(drawScenario).Draw(rt, "scenario")
		other := s.shuffled(rt)
		a, b := dryRunLines(t, s.rules, s.lines()), dryRunLines(t, s.rules, other.lines())
		if d := gocmp.Diff(a.customers, b.customers); d != "" {
			rt.Fatalf("map (-one order +the other):\n%s", d)
		}
		if d := gocmp.Diff([][]string{a.shared, a.retracted}, [][]string{b.shared, b.retracted}); d != "" {
			rt.Fatalf("shared and retracted (-one order +the other):\n%s", d)
		}
		if a.result.Interactions != b.result.Interactions || a.result.Directives != b.result.Directives {
			rt.Fatalf("%d interactions and %d directives in one order, %d and %d in the other",
				a.result.Interactions, a.result.Directives, b.result.Interactions, b.result.Directives)
		}
		if n := a.result.RejectCount() + b.result.RejectCount(); n > 0 {
			rt.Fatalf("%d rejects: %v", n, append(a.rejects, b.rejects...))
		}
		for range 2 {
			lines := other.lines()
			dryRunLines(t, s.rules, lines[:rapid.IntRange(0, len(lines)).Draw(rt, "prefix")])
		}
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}
