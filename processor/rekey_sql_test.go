package processor_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor"
	"kinfold/processor/normalize"
)

// runSQL is a program that runs statements on tables in memory and answers with the rows of queries.
const runSQL = `
import json, sqlite3, sys
task = json.load(sys.stdin)
db = sqlite3.connect(":memory:")
for script in task["before"]: db.executescript(script)
for table, rows in task["tables"].items():
    for row in rows or []: db.execute("INSERT INTO %s VALUES (%s)" % (table, ", ".join("?" * len(row))), row)
for script in task["after"] or []: db.executescript(script)
json.dump([db.execute(query).fetchall() for query in task["queries"]], sys.stdout)
`

// statements are the SQL blocks of the README: tables and views, and what follows an erase.
func statements(t *testing.T) (tables, erase []string) {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "```sql\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		if strings.HasPrefix(block, "DELETE") {
			erase = append(erase, block)
		} else {
			tables = append(tables, block)
		}
	}
	if len(tables) != 3 || len(erase) != 1 {
		t.Fatalf("the README has %d SQL blocks that create, %d that delete", len(tables), len(erase))
	}
	return tables, erase
}

// warehouse is what the topics of a dry run leave in the tables of the README, and the consumer of the example beside it.
type warehouse struct {
	tables map[string][][]any
	*consumer
}

func fill(t *testing.T, rules *normalize.Rules, lines string) *warehouse {
	t.Helper()
	dir := t.TempDir()
	if _, err := processor.DryRun(t.Context(), rules, strings.NewReader(lines), dir, func(int) {}); err != nil {
		t.Fatal(err)
	}
	w := &warehouse{tables: map[string][][]any{}, consumer: newConsumer()}
	for _, row := range readLines(t, dir, "unified-customer-events.jsonl") {
		id := row["source_event_id"]
		w.tables["events"] = append(w.tables["events"], []any{id, row["realm"], row["customer_id"], row["occurred_at"]})
		place := 0
		for _, x := range row["identifiers"].([]any) {
			i := x.(map[string]any)
			if i["outcome"] == "blocked" || i["outcome"] == "invalid" {
				continue
			}
			domain := ""
			if i["namespace"] == "user" {
				domain = row["store_code"].(string)
			}
			place++
			w.tables["event_identifiers"] = append(w.tables["event_identifiers"],
				[]any{id, place, row["realm"].(string) + "|" + i["namespace"].(string) + "|" + domain + "|" + i["value"].(string)})
		}
	}
	latest := map[string][]any{}
	for _, row := range readLines(t, dir, "identity-map.jsonl") {
		key := row["key"].(string)
		if latest[key] = []any{key, row["customer_id"], row["version"], row["status"]}; row["customer_id"] == nil {
			delete(latest, key)
		}
	}
	for row := range maps.Values(latest) {
		w.tables["identity_map"] = append(w.tables["identity_map"], row)
	}
	w.quiet = true
	eachRecord(dir, "identity-changes.jsonl", w.takeChange)
	eachRecord(dir, "identity-map.jsonl", w.takeMapRow)
	eachRecord(dir, "unified-customer-events.jsonl", w.takeEvent)
	return w
}

// ask runs queries that answer with event and customer.
func (w *warehouse) ask(t *testing.T, after []string, queries ...string) []map[string]string {
	t.Helper()
	tables, _ := statements(t)
	task, err := json.Marshal(map[string]any{"before": tables, "tables": w.tables, "after": after, "queries": queries})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-c", runSQL)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(task), t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run the statements: %v", err)
	}
	var rows [][][2]string
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	answers := make([]map[string]string, len(rows))
	for i := range rows {
		answers[i] = map[string]string{}
		for _, row := range rows[i] {
			answers[i][row[0]] = row[1]
		}
	}
	return answers
}

func needsSQL(t *testing.T) {
	t.Helper()
	if err := exec.Command("python3", "-c", "import sqlite3, sys; sys.exit(sqlite3.sqlite_version_info < (3, 25))").Run(); err != nil {
		t.Skipf("no python3 with sqlite3 3.25 or later: %v", err)
	}
}

const (
	byPointer    = "SELECT event_id, substr(customer_id, 1, 4) FROM customers_by_pointer WHERE customer_id IS NOT NULL"
	byIdentifier = "SELECT event_id, substr(customer_id, 1, 4) FROM customers_by_identifier"
	left         = "SELECT event_id, '' FROM events"
	// unknown finds events whose customer is in the map neither itself nor by a pointer.
	unknown = "SELECT event_id, customer_id FROM customers_by_pointer WHERE customer_id NOT IN (SELECT customer_id FROM identity_map WHERE status <> 'ended')"
)

func TestTheStatementsOfTheReadmeKeyHistoryAnew(t *testing.T) {
	needsSQL(t)
	directive := func(text string) string { return `{"directive":{"realm":"default",` + text + `}}` }
	const user, email = `{"namespace":"user","store_code":"S1","value":"07"}`, `{"namespace":"email","value":"ana@correo.example"}`
	lines := []string{
		line("pos", "bought", "S1", "07", noon),
		line("web", "visited", "", "", noon.Add(1), "email", "ana@correo.example"),
		line("pos", "merged", "S1", "07", noon.Add(1e9), "email", "ana@correo.example"),
		line("mail", "opened", "", "", noon.Add(2e9), "email", "ana@correo.example"),
		directive(`"directive_id":"d1","kind":"separate","issued_at":"2026-03-03T00:00:00Z","a":` + user + `,"b":` + email),
		directive(`"directive_id":"d2","kind":"erase","issued_at":"2026-03-04T00:00:00Z","a":` + email),
	}
	rules := normalize.DefaultRules()
	rules.EraseEnabled = true
	const shop, mail = "c52e", "cstl" // the customers of the code and of the address
	for _, c := range []struct {
		what                string
		upTo                int
		pointer, identifier map[string]string
	}{
		{"before", 2, map[string]string{"bought": shop, "visited": mail}, map[string]string{"bought": shop, "visited": mail}},
		{
			"after the merge", 4, map[string]string{"bought": shop, "visited": shop, "merged": shop, "opened": shop},
			map[string]string{"bought": shop, "visited": shop, "merged": shop, "opened": shop},
		},
		{ // the pointer is gone, since its id lives again; what was sent under the other id says by its identifiers whose it is
			"after the split", 5, map[string]string{"bought": shop, "visited": mail, "merged": shop, "opened": shop},
			map[string]string{"bought": shop, "visited": mail, "merged": shop, "opened": mail},
		},
	} {
		answers := fill(t, rules, strings.Join(lines[:c.upTo], "\n")).ask(t, nil, byPointer, byIdentifier, unknown)
		if d := cmp.Diff([]map[string]string{c.pointer, c.identifier, {}}, answers); d != "" {
			t.Errorf("%s: customers by pointer, by identifier, and those that nobody knows (-want +got):\n%s", c.what, d)
		}
	}
	_, erase := statements(t)
	answers := fill(t, rules, strings.Join(lines, "\n")).ask(t, erase, left, byIdentifier)
	want := []map[string]string{{"bought": "", "merged": ""}, {"bought": shop, "merged": shop}}
	if d := cmp.Diff(want, answers); d != "" {
		t.Errorf("events that are left after the erase, and their customers (-want +got):\n%s", d)
	}
}

// TestStatementsAndConsumerAgree keys the history of a retailer anew in both ways, and finds a customer for every id that an event
// ever carried.
func TestStatementsAndConsumerAgree(t *testing.T) {
	needsSQL(t)
	w := fill(t, normalize.DefaultRules(), strings.Join(retailer(5, 2000), "\n"))
	answers := w.ask(t, nil, "SELECT event_id, customer_id FROM customers_by_identifier", unknown)
	want, moved := map[string]string{}, 0
	for id, e := range w.events {
		if len(e.keys) > 0 {
			want[id] = e.Customer
		}
	}
	for _, row := range w.tables["events"] {
		if want[row[0].(string)] != "" && want[row[0].(string)] != row[2] {
			moved++
		}
	}
	if d := cmp.Diff([]map[string]string{want, {}}, answers); d != "" {
		t.Errorf("customers (-consumer +statements):\n%s", d)
	}
	if moved < 50 {
		t.Errorf("only %d events moved: the test shows little", moved)
	}
}
