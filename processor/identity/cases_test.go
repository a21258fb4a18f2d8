package identity

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
)

// The shared cases, for the graph alone: their values are clean, or made so by the few lines of caseEvidence.
var graphCases = []string{
	"g01-one-email-two-users", "g06-email-change", "g10-userid-is-email", "g16-three-branches-one-person", "g17-cashier-email",
	"g40-walk-in-code", "g41-document-ties-two-codes", "g42-family-computer", "g45-change-kinds", "g50-tax-id",
	"g51-duplicate-with-earlier-time", "g56-card-and-shared-addresses", "g59-many-codes", "r01-small",
}

type caseLine struct {
	EventID     string          `json:"event_id"`
	Source      string          `json:"source"`
	StoreCode   string          `json:"store_code"`
	UserID      *string         `json:"user_id"`
	OccurredAt  json.RawMessage `json:"occurred_at"`
	ReceivedAt  json.RawMessage `json:"received_at"`
	Identifiers []struct {
		Namespace, Value string
		Verified         bool
	}
}

type caseExpected struct {
	Map       map[string]string
	Versions  map[string]int64
	Pointers  map[string]string
	Shared    []string
	Conflicts []struct{ Root, Other, Reason string }
	Events    []map[string]any
	Changes   []map[string]any
}

func caseTime(t *testing.T, b json.RawMessage) int64 {
	t.Helper()
	var ms int64
	if json.Unmarshal(b, &ms) == nil {
		return ms
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

var notLetterOrDigit = regexp.MustCompile(`[^\pL\pN]`)

// caseEvidence is a normaliser for values that are nearly clean. The outcome of an identifier is set where it takes no part.
func caseEvidence(t *testing.T, line []byte) (e Evidence, idle []interaction.Identifier) {
	t.Helper()
	var l caseLine
	if err := json.Unmarshal(line, &l); err != nil {
		t.Fatal(err)
	}
	e.Source, e.SourceEventID = l.Source, l.EventID
	at := caseTime(t, l.OccurredAt)
	received := at
	if l.ReceivedAt != nil {
		received = caseTime(t, l.ReceivedAt)
	}
	e.At = DefaultClock.At(at, received)
	var ids []interaction.Identifier
	raw := map[string]string{}
	add := func(namespace, value string, verified bool) {
		value = strings.TrimSpace(value)
		id := interaction.Identifier{Namespace: namespace, Value: value, Verified: verified}
		switch namespace {
		case "user":
			id.Domain = strings.TrimSpace(l.StoreCode)
		case "email":
			id.Value = strings.TrimSuffix(strings.ToLower(value), ".")
		case "phone":
			id.Value = strings.Replace(strings.ReplaceAll(value, " ", ""), "+549", "+54", 1)
		case "document", "tax_id":
			id.Value = strings.ToUpper(notLetterOrDigit.ReplaceAllString(value, ""))
		}
		if value == "" {
			return
		}
		for i := range ids {
			if ids[i].Namespace == id.Namespace && ids[i].Value == id.Value {
				ids[i].Verified = ids[i].Verified || verified
				return
			}
		}
		ids = append(ids, id)
		raw[id.Namespace+id.Value] = value
	}
	if l.UserID != nil {
		if strings.Contains(*l.UserID, "@") {
			add("email", *l.UserID, false)
		} else {
			add("user", *l.UserID, false)
		}
	}
	for _, i := range l.Identifiers {
		add(i.Namespace, i.Value, i.Verified)
	}
	for _, id := range ids {
		n := 0
		for _, o := range ids {
			if o.Namespace == id.Namespace && o.Domain == id.Domain {
				n++
			}
		}
		switch {
		case n > 1 && (id.Namespace == "member_id" || id.Namespace == "user" || id.Namespace == "document" || id.Namespace == "tax_id"):
			id.Value, id.Outcome = raw[id.Namespace+id.Value], interaction.OutcomeConflict
			idle = append(idle, id)
		default:
			e.Identifiers = append(e.Identifiers, id)
		}
	}
	return e, idle
}

func readCase(t *testing.T, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines = append(lines, bytes.Clone(s.Bytes()))
	}
	return lines
}

func TestSharedCasesComeOutAsExpected(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "cases")
	if _, err := os.Stat(root); err != nil {
		t.Skip("the shared cases are not beside the repository")
	}
	for _, name := range graphCases {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(root, name, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want caseExpected
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			orders, err := filepath.Glob(filepath.Join(root, name, "*.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range orders {
				t.Run(filepath.Base(path), func(t *testing.T) { runCase(t, path, &want) })
			}
		})
	}
}

func runCase(t *testing.T, path string, want *caseExpected) {
	w := newWorld(t, defaults())
	seen := map[string]bool{}
	var events, changes []map[string]any
	for _, line := range readCase(t, path) {
		e, idle := caseEvidence(t, line)
		key := e.Source + "\x00" + e.SourceEventID
		e.Duplicate = seen[key]
		seen[key] = true
		res := w.tell(e)
		events = append(events, caseEvent(w, &e, res, idle))
		for _, c := range res.Changes {
			changes = append(changes, caseChange(c))
		}
	}
	got := caseExpected{Map: map[string]string{}, Versions: map[string]int64{}, Pointers: map[string]string{}}
	for k, r := range w.rows {
		if r.Status == interaction.MapEnded {
			got.Pointers[k] = string(r.CustomerID)
			continue
		}
		got.Map[k], got.Versions[k] = string(r.CustomerID), r.Version
	}
	same(t, "map", want.Map, got.Map)
	same(t, "shared", want.Shared, w.withStatus(interaction.MapShared))
	var conflicts []string
	for _, c := range want.Conflicts {
		conflicts = append(conflicts, fmt.Sprintf("%s %s %s", c.Root, c.Other, c.Reason))
	}
	sort.Strings(conflicts)
	same(t, "conflicts", conflicts, w.conflicts())
	if filepath.Base(path) != "input.jsonl" {
		return
	}
	same(t, "versions", want.Versions, got.Versions)
	same(t, "pointers", want.Pointers, got.Pointers)
	for i, e := range want.Events {
		for _, k := range []string{"event_id", "realm"} {
			delete(e, k)
		}
		same(t, fmt.Sprintf("event %d", i), e, events[i])
	}
	if want.Changes != nil {
		same(t, "changes", want.Changes, changes)
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(jsonOf(t, want), jsonOf(t, got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// jsonOf makes values comparable whatever numbers and empty lists they hold.
func jsonOf(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func caseEvent(w *world, e *Evidence, res *Result, idle []interaction.Identifier) map[string]any {
	if e.Duplicate {
		return map[string]any{"kind": "duplicate", "source": e.Source, "source_event_id": e.SourceEventID}
	}
	ids := []map[string]any{}
	all := w.graph.sorted(e.Identifiers)
	for i := range all {
		all[i].Outcome = res.Outcomes[i]
	}
	for _, id := range append(all, idle...) {
		ids = append(ids, map[string]any{
			"namespace": id.Namespace, "value": id.Value, "verified": id.Verified, "outcome": id.Outcome.String(),
		})
	}
	merged := []interaction.CustomerID{}
	merged = append(merged, res.Merged...)
	event := map[string]any{
		"kind": "event", "source": e.Source, "source_event_id": e.SourceEventID, "customer_id": res.CustomerID,
		"customer_version": res.CustomerVersion, "identity_status": res.Status, "ambiguous": res.Ambiguous,
		"merged_customer_ids": merged, "identifiers": ids,
	}
	if res.CustomerID == "" {
		event["customer_id"] = nil
	}
	return event
}

func caseChange(c interaction.Change) map[string]any {
	list := func(s []string) []string { return append([]string{}, s...) }
	out := map[string]any{
		"customer_id": c.CustomerID, "customer_version": c.Version, "kind": c.Kind, "identifiers_added": list(c.Added),
		"identifiers_removed": list(c.Removed), "source": c.Source, "event_id": c.SourceEventID, "rule": c.Rule,
	}
	if len(c.MergedCustomerIDs) > 0 {
		out["merged_customer_ids"] = c.MergedCustomerIDs
	}
	if len(c.SplitCustomerIDs) > 0 {
		out["split_customer_ids"] = c.SplitCustomerIDs
	}
	return out
}
