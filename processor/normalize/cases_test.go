package normalize_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source"
)

// casesDir holds the shared cases, beside the repository.
const casesDir = "../../../shared/cases"

// seen is what a case says about an event and this package decides.
type seen struct {
	Kind, EventID, Realm, Source, SourceEventID string
	Identifiers                                 []string
	content                                     interaction.Hash
}

type expectedEvent struct {
	Kind          string `json:"kind"`
	Reason        string `json:"reason"`
	EventID       string `json:"event_id"`
	Realm         string `json:"realm"`
	Source        string `json:"source"`
	SourceEventID string `json:"source_event_id"`
	Identifiers   []struct {
		Namespace, Value, Outcome string
		Verified                  bool
	} `json:"identifiers"`
}

// later are the outcomes that the resolve step decides; here all of them are usable.
var later = strings.NewReplacer("linked", "usable", "shared", "usable", "retracted", "usable")

// TestSharedCasesHaveTheirIdentifiersAndEventIDs reads every line of every case as far as this package goes.
func TestSharedCasesHaveTheirIdentifiersAndEventIDs(t *testing.T) {
	inputs, _ := filepath.Glob(filepath.Join(casesDir, "*", "input.jsonl"))
	if len(inputs) == 0 {
		t.Skip("the shared cases are not there: " + casesDir)
	}
	lines := 0
	for _, input := range inputs {
		dir := filepath.Dir(input)
		t.Run(filepath.Base(dir), func(t *testing.T) { lines += checkCase(t, dir) })
	}
	t.Logf("%d lines of %d cases", lines, len(inputs))
}

func checkCase(t *testing.T, dir string) int {
	n := normalize.New(caseRules(t, dir))
	var expected struct{ Events []expectedEvent }
	readJSON(t, filepath.Join(dir, "expected.json"), &expected)
	input, err := os.ReadFile(filepath.Join(dir, "input.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(input, []byte("\n")), []byte("\n"))
	if len(lines) != len(expected.Events) {
		t.Fatalf("%d lines, %d expected events", len(lines), len(expected.Events))
	}
	contents := map[string]interaction.Hash{} // of the first event of that name
	for i, line := range lines {
		if bytes.HasPrefix(line, []byte(`{"directive"`)) {
			continue
		}
		want := expected.Events[i]
		got := run(t, n, line)
		switch want.Kind {
		case "reject":
			if diff := cmp.Diff("reject "+want.Reason, got.Kind); diff != "" {
				t.Errorf("line %d (-want +got):\n%s", i+1, diff)
			}
		case "event":
			if diff := cmp.Diff(expectedSeen(want, got), got, cmpopts.IgnoreUnexported(seen{})); diff != "" {
				t.Errorf("line %d: %s (-want +got):\n%s", i+1, line, diff)
			}
		default: // duplicates and conflicts: accepted here, and told apart by their content
			first, ok := contents[got.Source+" "+got.SourceEventID]
			if same := first == got.content; !ok || same != (want.Kind == "duplicate") {
				t.Errorf("line %d: %s: want a %s; same content as the first: %t", i+1, line, want.Kind, same)
			}
		}
		if name := got.Source + " " + got.SourceEventID; contents[name] == (interaction.Hash{}) {
			contents[name] = got.content
		}
	}
	return len(lines)
}

func expectedSeen(want expectedEvent, got seen) seen {
	s := seen{"event", want.EventID, want.Realm, want.Source, want.SourceEventID, nil, got.content}
	if strings.HasPrefix(s.SourceEventID, "content:") && strings.HasPrefix(got.SourceEventID, "content:") {
		s.SourceEventID, s.EventID = got.SourceEventID, got.EventID // only the prefix is binding
	}
	for i, id := range want.Identifiers {
		outcome := later.Replace(id.Outcome)
		// A conflict may be one of two anchors (decided here) or one with another customer (decided later).
		if outcome == "conflict" && i < len(got.Identifiers) && strings.HasSuffix(got.Identifiers[i], " usable") {
			outcome = "usable"
		}
		s.Identifiers = append(s.Identifiers, describe(id.Namespace, id.Value, id.Verified, outcome))
	}
	return s
}

func run(t *testing.T, n *normalize.Normalizer, line []byte) seen {
	var in interaction.Interaction
	var out interaction.Keyed
	rej := source.DecodeJSON(line, 0, &in)
	if rej == nil {
		rej = n.Interaction(&in, in.OccurredAt, interaction.Origin{}, &out)
	}
	if rej != nil {
		return seen{Kind: "reject " + string(rej.Reason)}
	}
	s := seen{Kind: "event", EventID: hex.EncodeToString(out.ID[:]), Realm: out.Realm, Source: out.Source, SourceEventID: out.SourceEventID, content: out.Content}
	if strings.HasPrefix(s.SourceEventID, "content:") && len(s.SourceEventID) != len("content:")+32 {
		t.Errorf("source_event_id %q", s.SourceEventID)
	}
	for _, id := range out.Identifiers {
		outcome := id.Outcome.String()
		if id.Outcome == interaction.OutcomeNone {
			outcome = "usable"
		}
		s.Identifiers = append(s.Identifiers, describe(id.Namespace, id.Value, id.Verified, outcome))
	}
	return s
}

func describe(namespace, value string, verified bool, outcome string) string {
	v := ""
	if verified {
		v = " verified"
	}
	return namespace + " " + value + v + " " + outcome
}

func caseRules(t *testing.T, dir string) *normalize.Rules {
	text, err := os.ReadFile(filepath.Join(dir, "rules.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return normalize.DefaultRules()
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := normalize.ParseRules(text)
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Validate(); len(f) > 0 {
		t.Fatal(errors.Join(f...))
	}
	return r
}

func readJSON(t *testing.T, path string, to any) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}
