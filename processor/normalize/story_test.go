package normalize_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source"
)

// TestStories runs the story files. Commands:
//
//	rules                                  YAML of the identity section → its faults, or ok
//	value ns=NAMESPACE [store=CODE]        a value a line, as it is or as a Go string → value → outcome
//	interaction                            JSON, one a line → what stage 2 receives
//	tallies                                what was counted since the last time
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		n := normalize.New(normalize.DefaultRules())
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "rules":
				r, err := normalize.ParseRules([]byte(d.Input))
				if err != nil {
					return err.Error() + "\n"
				}
				if f := r.Validate(); len(f) > 0 {
					return lines(f)
				}
				n = normalize.New(r)
				return "ok\n"
			case "value":
				return values(t, n, d)
			case "interaction":
				return interactions(n, d.Input)
			case "tallies":
				return tallies(n.TakeTallies())
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

func lines[T any](list []T) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintln(&b, x)
	}
	return b.String()
}

func values(t *testing.T, n *normalize.Normalizer, d *datadriven.TestData) string {
	var namespace, store string
	d.ScanArgs(t, "ns", &namespace)
	d.MaybeScanArgs(t, "store", &store)
	var b strings.Builder
	for line := range strings.Lines(d.Input) {
		line = strings.TrimSuffix(line, "\n")
		value := line
		if strings.HasPrefix(line, `"`) && strings.HasSuffix(line, `"`) {
			var err error
			if value, err = strconv.Unquote(line); err != nil {
				t.Fatalf("%s: %s: %v", d.Pos, line, err)
			}
		}
		fmt.Fprintf(&b, "%s → %s\n", line, value1(n, namespace, store, value))
	}
	return b.String()
}

func value1(n *normalize.Normalizer, namespace, store, value string) string {
	v, domain, outcome, rule := n.Value(namespace, store, value)
	if outcome != interaction.OutcomeNone {
		return strings.TrimSuffix(outcome.String()+" "+rule, " ")
	}
	if domain != "" {
		return fmt.Sprintf("%+q in %s", v, domain)
	}
	return fmt.Sprintf("%+q", v)
}

func interactions(n *normalize.Normalizer, input string) string {
	var b strings.Builder
	for line := range strings.Lines(input) {
		var in interaction.Interaction
		var out interaction.Keyed
		rej := source.DecodeJSON([]byte(line), 0, &in)
		if rej == nil {
			rej = n.Interaction(&in, in.OccurredAt, interaction.Origin{}, &out)
		}
		if rej != nil {
			fmt.Fprintf(&b, "reject %v\n", rej)
			continue
		}
		fmt.Fprintf(&b, "realm %s, store %q, key %s\n", out.Realm, out.StoreCode, n.RecordKey(&out))
		for _, id := range out.Identifiers {
			fmt.Fprintf(&b, "  %s %+q", id.Namespace, id.Value)
			if id.Domain != "" {
				fmt.Fprintf(&b, " in %s", id.Domain)
			}
			if id.Verified {
				b.WriteString(" verified")
			}
			fmt.Fprintf(&b, " %s\n", id.Outcome)
		}
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

func tallies(t normalize.Tallies) string {
	var b strings.Builder
	fmt.Fprintf(&b, "empty %d, invalid %d, conflict %d\n", t.Empty, t.Invalid, t.Conflict)
	for r, n := range t.Blocked {
		if n > 0 {
			fmt.Fprintf(&b, "blocked %s %d\n", normalize.BlockRule(r), n)
		}
	}
	return b.String()
}
