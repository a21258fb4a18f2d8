package processor_test

import (
	"bufio"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
)

// casesDir holds the identity scenarios with their expected results, beside the repository.
const casesDir = "../../shared/cases"

// expectedCase is expected.json.
type expectedCase struct {
	Map       map[string]string
	Versions  map[string]int64
	Pointers  map[string]string
	Shared    []string
	Retracted []string
	Counts    map[string]int
	Events    []map[string]any
	Changes   []map[string]any
}

// TestCases takes every case through the dry run, in every order of arrival.
func TestCases(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(casesDir, "*", "expected.json"))
	if len(dirs) == 0 {
		t.Skipf("%s is not there", casesDir)
	}
	ran := 0
	for _, path := range dirs {
		dir := filepath.Dir(path)
		ran++
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var want expectedCase
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			got := dryRun(t, dir, "input.jsonl")
			got.compareEvents(t, &want)
			got.compareEnd(t, &want)
			if want.Versions != nil {
				if d := gocmp.Diff(want.Versions, got.versions); d != "" {
					t.Errorf("versions of the map (-want +got):\n%s", d)
				}
			}
			if d := gocmp.Diff(want.Pointers, got.pointers); d != "" {
				t.Errorf("pointers of ended ids (-want +got):\n%s", d)
			}
			if want.Changes != nil {
				got.compareChanges(t, &want)
			}
			orders, _ := filepath.Glob(filepath.Join(dir, "order-*.jsonl"))
			for _, order := range orders {
				t.Run(strings.TrimSuffix(filepath.Base(order), ".jsonl"), func(t *testing.T) {
					dryRun(t, dir, filepath.Base(order)).compareEnd(t, &want)
				})
			}
		})
	}
	if ran < 30 {
		t.Errorf("only %d cases: the test looks in the wrong place", ran)
	}
}

// dryRunOutput is what a dry run wrote, read back.
type dryRunOutput struct {
	result                      *processor.DryRunResult
	events, changes, rejects    []map[string]any
	customers, pointers, folded map[string]string
	versions                    map[string]int64
	shared, retracted           []string
	rules                       *normalize.Rules
}

func dryRun(t *testing.T, dir, file string) *dryRunOutput {
	t.Helper()
	rules := normalize.DefaultRules()
	if text, err := os.ReadFile(filepath.Join(dir, "rules.json")); err == nil {
		if rules, err = config.ReadRules("rules", text, os.LookupEnv); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := t.TempDir()
	o := &dryRunOutput{rules: rules, customers: map[string]string{}, pointers: map[string]string{}, versions: map[string]int64{}, folded: map[string]string{}}
	if o.result, err = processor.DryRun(t.Context(), rules, f, out, func(int) {}); err != nil {
		t.Fatal(err)
	}
	o.events = readLines(t, out, "unified-customer-events.jsonl")
	o.changes = readLines(t, out, "identity-changes.jsonl")
	o.rejects = readLines(t, out, "rejects.jsonl")
	o.fold(t)
	o.takeMap(readLines(t, out, "identity-map.jsonl"))
	return o
}

func (o *dryRunOutput) takeMap(rows []map[string]any) {
	status := map[string]string{}
	for _, row := range rows {
		key := row["key"].(string)
		into := o.customers
		if strings.Contains(key, "|customer||") {
			into = o.pointers
		}
		if row["customer_id"] == nil {
			delete(into, key)
			delete(o.versions, key)
			delete(status, key)
			continue
		}
		into[key] = row["customer_id"].(string)
		status[key] = row["status"].(string)
		if status[key] != "ended" {
			o.versions[key] = int64(row["version"].(float64))
		}
	}
	for key, s := range status {
		switch s {
		case "shared":
			o.shared = append(o.shared, key)
		case "retracted":
			o.retracted = append(o.retracted, key)
		}
	}
}

// fold folds the changes, and fails where the version of an id does not grow.
func (o *dryRunOutput) fold(t *testing.T) {
	t.Helper()
	versions := map[string]float64{}
	for _, c := range o.changes {
		id, version := c["customer_id"].(string), c["customer_version"].(float64)
		if version <= versions[id] {
			t.Errorf("customer_version of %s goes from %v to %v", id, versions[id], version)
		}
		versions[id] = version
		if c["kind"] == "erased" {
			o.foldErased(t, c)
		}
		for _, key := range c["identifiers_removed"].([]any) {
			if o.folded[key.(string)] == id {
				delete(o.folded, key.(string))
			}
		}
		for _, key := range c["identifiers_added"].([]any) {
			o.folded[key.(string)] = id
		}
	}
}

// foldErased is what a consumer without the key does: it deletes what still has this customer_id and is not left. The HMACs must
// name the same identifiers.
func (o *dryRunOutput) foldErased(t *testing.T, c map[string]any) {
	t.Helper()
	keeps := map[string]bool{}
	for _, list := range []string{"identifiers_left", "identifiers_removed"} {
		for _, key := range c[list].([]any) {
			keeps[key.(string)] = true
		}
	}
	var want, got []string
	for key, id := range o.folded {
		if id != c["customer_id"] || keeps[key] {
			continue
		}
		k, err := interaction.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(o.rules.IDKey))
		mac.Write(k.AppendBytes(nil))
		want = append(want, hex.EncodeToString(mac.Sum(nil)))
		delete(o.folded, key)
	}
	slices.Sort(want)
	for _, h := range c["identifiers_removed_hmac"].([]any) {
		got = append(got, h.(string))
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("identifiers_removed_hmac of %s (-the map +the change):\n%s", c["customer_id"], d)
	}
}

// compareEnd compares what does not depend on the order of arrival.
func (o *dryRunOutput) compareEnd(t *testing.T, want *expectedCase) {
	t.Helper()
	if d := gocmp.Diff(want.Map, o.customers); d != "" {
		t.Errorf("map (-want +got):\n%s", d)
	}
	if d := gocmp.Diff(o.customers, o.folded); d != "" {
		t.Errorf("identity-map (-) and folded identity-changes (+) differ:\n%s", d)
	}
	if d := gocmp.Diff(slices.Sorted(slices.Values(want.Shared)), slices.Sorted(slices.Values(o.shared))); d != "" {
		t.Errorf("shared identifiers (-want +got):\n%s", d)
	}
	if d := gocmp.Diff(slices.Sorted(slices.Values(want.Retracted)), slices.Sorted(slices.Values(o.retracted))); d != "" {
		t.Errorf("retracted identifiers (-want +got):\n%s", d)
	}
	counts := map[string]int{"interactions": o.result.Interactions}
	if n := o.result.Directives; n > 0 {
		counts["directives"] = n
	}
	if n := o.result.Duplicates; n > 0 {
		counts["duplicate"] = n
	}
	for reason, n := range o.result.Rejects {
		counts["rejects"] += n
		counts["rejects."+string(reason)] = n
	}
	if d := gocmp.Diff(want.Counts, counts); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
	if owners := countValues(o.customers); o.result.Customers != owners {
		t.Errorf("the summary counts %d customers, the map has %d", o.result.Customers, owners)
	}
}

func countValues(m map[string]string) int { return len(maps.Collect(invert(m))) }

func invert(m map[string]string) func(func(string, bool) bool) {
	return func(yield func(string, bool) bool) {
		for _, v := range m {
			if !yield(v, true) {
				return
			}
		}
	}
}

// compareEvents compares the events one by one, in the order of the lines.
func (o *dryRunOutput) compareEvents(t *testing.T, want *expectedCase) {
	t.Helper()
	i := 0
	for _, w := range want.Events {
		if w["kind"] != "event" {
			continue
		}
		if i >= len(o.events) {
			t.Fatalf("%d events; more are expected", len(o.events))
		}
		got := map[string]any{"kind": "event"}
		for key := range w {
			if key != "kind" {
				got[key] = o.events[i][key]
			}
		}
		if id := cmp.Or(w["source_event_id"].(string), ""); strings.HasPrefix(id, "content:") && strings.HasPrefix(got["source_event_id"].(string), "content:") {
			got["source_event_id"], got["event_id"] = w["source_event_id"], w["event_id"]
		}
		if d := gocmp.Diff(w, got); d != "" {
			t.Errorf("event %d (-want +got):\n%s", i+1, d)
		}
		i++
	}
	if i < len(o.events) {
		t.Errorf("%d events, %d are expected", len(o.events), i)
	}
}

func (o *dryRunOutput) compareChanges(t *testing.T, want *expectedCase) {
	t.Helper()
	if len(o.changes) != len(want.Changes) {
		t.Errorf("%d changes, %d are expected", len(o.changes), len(want.Changes))
	}
	for i := range min(len(o.changes), len(want.Changes)) {
		got := map[string]any{}
		for key := range want.Changes[i] {
			got[key] = o.changes[i][key]
		}
		if d := gocmp.Diff(want.Changes[i], got); d != "" {
			t.Errorf("change %d (-want +got):\n%s", i+1, d)
		}
	}
}

func readLines(t *testing.T, dir, file string) (lines []map[string]any) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var m map[string]any
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v in %s", file, err, s.Text())
		}
		lines = append(lines, m)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
