package processor_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kinfold/processor"
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
)

// consumer keeps events under the customer that they belong to now. It folds identity-changes into a map from identifier to customer,
// and learns from identity-map which identifiers are shared or retracted. It may be ahead in any of the topics.
type consumer struct {
	customers map[string]string          // identifier → customer: the fold; empty where it was erased
	members   map[string]map[string]bool // the same, customer → identifiers
	apart     map[string]bool            // identifier → shared or retracted: it does not say whose an event is
	events    map[string]*storedEvent    // by event id
	of        map[string][]*storedEvent  // identifier → events that hold it
	quiet     bool                       // it does not tell what it does
}

type storedEvent struct {
	ID          string `json:"source_event_id"`
	Realm       string `json:"realm"`
	StoreCode   string `json:"store_code"`
	Customer    string `json:"customer_id"`      // as sent; then as it is now
	Version     int64  `json:"customer_version"` // of the change that brought it there
	Identifiers []struct{ Namespace, Value, Outcome string }

	keys []string // of its usable identifiers, in their order
}

type changeRecord struct {
	Customer string   `json:"customer_id"`
	Version  int64    `json:"customer_version"`
	Kind     string   `json:"kind"`
	Added    []string `json:"identifiers_added"`
	Removed  []string `json:"identifiers_removed"`
	Left     []string `json:"identifiers_left"`
}

type mapRecord struct {
	Key, Status string
	Customer    string `json:"customer_id"`
	Version     int64
}

func newConsumer() *consumer {
	return &consumer{
		customers: map[string]string{}, members: map[string]map[string]bool{}, apart: map[string]bool{},
		events: map[string]*storedEvent{}, of: map[string][]*storedEvent{},
	}
}

// takeEvent stores an event under its usable identifiers. Only user has a domain here: the store code.
func (c *consumer) takeEvent(e *storedEvent) {
	for _, id := range e.Identifiers {
		if id.Outcome == "blocked" || id.Outcome == "invalid" {
			continue
		}
		k := interaction.Key{Realm: e.Realm, Namespace: id.Namespace, Value: id.Value}
		if id.Namespace == "user" {
			k.Domain = e.StoreCode
		}
		e.keys = append(e.keys, k.String())
		c.of[k.String()] = append(c.of[k.String()], e)
	}
	c.events[e.ID] = e
	c.rekey(e, e.Version)
}

// takeChange folds a change: first removed, then added (identity.md section 6). What it touches is keyed anew.
func (c *consumer) takeChange(r *changeRecord) {
	for _, key := range r.Removed {
		if c.customers[key] == r.Customer {
			c.forget(key)
		}
	}
	if r.Kind == "erased" {
		c.erase(r)
	}
	for _, key := range r.Added {
		c.forget(key)
		if c.members[r.Customer] == nil {
			c.members[r.Customer] = map[string]bool{}
		}
		c.customers[key], c.members[r.Customer][key] = r.Customer, true
	}
	for _, key := range r.Added {
		for _, e := range c.of[key] {
			c.rekey(e, r.Version)
		}
	}
}

func (c *consumer) forget(key string) {
	delete(c.members[c.customers[key]], key)
	delete(c.customers, key)
}

// erase deletes what still has this customer_id and is not left: identifiers, and events that have no other. An event of somebody who
// came back since has a later version.
func (c *consumer) erase(r *changeRecord) {
	for _, key := range slices.Sorted(maps.Keys(c.members[r.Customer])) {
		if slices.Contains(r.Left, key) {
			continue
		}
		c.forget(key)
		c.customers[key] = ""
		for _, e := range c.of[key] {
			others := slices.ContainsFunc(e.keys, func(k string) bool { return c.customers[k] != "" })
			if e.Customer == r.Customer && e.Version < r.Version && !others {
				c.tell("  event %s of %s is deleted\n", e.ID, e.Customer[:4])
				delete(c.events, e.ID)
			}
			c.rekey(e, r.Version)
		}
	}
}

func (c *consumer) tell(format string, args ...any) {
	if !c.quiet {
		fmt.Printf(format, args...)
	}
}

// takeMapRow keeps what the fold does not say: the status of an identifier. Rows of namespace customer are pointers.
func (c *consumer) takeMapRow(r *mapRecord) {
	if apart := r.Status == "shared" || r.Status == "retracted"; apart != c.apart[r.Key] {
		c.apart[r.Key] = apart
		for _, e := range c.of[r.Key] {
			c.rekey(e, r.Version)
		}
	}
}

// rekey gives an event the customer of its first identifier that says whose it is, else of its first (identity.md section 5).
func (c *consumer) rekey(e *storedEvent, version int64) {
	now := ""
	for _, key := range e.keys {
		customer, known := c.customers[key]
		if !known {
			return // the event is ahead of the changes, or its identifier is on its way from one customer to another
		}
		if customer != "" && (now == "" || !c.apart[key]) {
			now = customer
		}
		if customer != "" && !c.apart[key] {
			break
		}
	}
	if now != "" && now != e.Customer {
		c.tell("  event %s moves from %s to %s\n", e.ID, e.Customer[:4], now[:4])
		e.Customer, e.Version = now, version
	}
}

// A consumer keys its history anew after a merge, a rename, a split and an erase.
func Example_rekey() {
	rules := normalize.DefaultRules()
	rules.EraseEnabled = true
	story := `
{"event_id":"1","source":"pos","channel":"pos","type":"order.placed","store_code":"S1","user_id":"07","occurred_at":"2026-03-02T12:00:00Z"}
{"event_id":"2","source":"web","channel":"web","type":"page.viewed","occurred_at":"2026-03-02T12:01:00Z","identifiers":[{"namespace":"email","value":"ana@correo.example"}]}
{"event_id":"3","source":"pos","channel":"pos","type":"order.placed","store_code":"S1","user_id":"07","occurred_at":"2026-03-02T12:02:00Z","identifiers":[{"namespace":"email","value":"ana@correo.example"}]}
{"event_id":"4","source":"web","channel":"web","type":"page.viewed","occurred_at":"2026-03-02T12:03:00Z","identifiers":[{"namespace":"device_id","value":"dispositivo-1"}]}
{"event_id":"5","source":"app","channel":"app","type":"login","occurred_at":"2026-03-02T12:04:00Z","identifiers":[{"namespace":"member_id","value":"7001"},{"namespace":"device_id","value":"dispositivo-1"}]}
{"directive":{"directive_id":"d1","kind":"separate","realm":"default","issued_at":"2026-03-02T12:05:00Z","a":{"namespace":"user","store_code":"S1","value":"07"},"b":{"namespace":"email","value":"ana@correo.example"}}}
{"directive":{"directive_id":"d2","kind":"erase","realm":"default","issued_at":"2026-03-02T12:06:00Z","a":{"namespace":"member_id","value":"7001"},"scope":"customer"}}`
	dir, err := os.MkdirTemp("", "rekey")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if _, err := processor.DryRun(context.Background(), rules, strings.NewReader(story), dir, func(int) {}); err != nil {
		panic(err)
	}

	// A consumer of Kafka reads three topics; here they are three files. History is there first, then the changes come in.
	c := newConsumer()
	eachRecord(dir, "unified-customer-events.jsonl", c.takeEvent)
	eachRecord(dir, "identity-changes.jsonl", func(r *changeRecord) {
		fmt.Println(r.Customer[:4], r.Kind)
		c.takeChange(r)
	})
	eachRecord(dir, "identity-map.jsonl", c.takeMapRow)
	for _, id := range slices.Sorted(maps.Keys(c.events)) {
		fmt.Println("event", id, "is of", c.events[id].Customer[:4])
	}
	// Output:
	// c52e created
	// cstl created
	// c52e merged
	//   event 2 moves from cstl to c52e
	// cfpe created
	// camv renamed
	//   event 4 moves from cfpe to camv
	// c52e split
	// cstl created
	//   event 2 moves from c52e to cstl
	// camv erased
	//   event 4 of camv is deleted
	//   event 5 of camv is deleted
	// event 1 is of c52e
	// event 2 is of cstl
	// event 3 is of c52e
}

// eachRecord reads a file of JSON objects, one a line.
func eachRecord[T any](dir, file string, take func(*T)) {
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		r := new(T)
		if err := json.Unmarshal(s.Bytes(), r); err != nil {
			panic(err)
		}
		take(r)
	}
}
