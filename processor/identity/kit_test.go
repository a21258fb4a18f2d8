package identity

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// builtin is the table of identity.md section 2.
func builtin() []Namespace {
	return []Namespace{
		{Name: "member_id", Rank: 10, Class: Anchor, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "user", Rank: 20, Class: Anchor, StoreScoped: true, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "document", Rank: 30, Class: Anchor, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "tax_id", Rank: 35, Class: Anchor, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "email", Rank: 40, Class: Contact, AtMost: 5, SharedAnchors: 3, SharedContacts: None},
		{Name: "phone", Rank: 50, Class: Contact, AtMost: 5, SharedAnchors: 3, SharedContacts: 5},
		{Name: "device_id", Rank: 60, Class: Device, AtMost: 50, SharedAnchors: 1, SharedContacts: 3},
		{Name: "anonymous_id", Rank: 70, Class: Device, AtMost: 200, SharedAnchors: 1, SharedContacts: 3},
	}
}

func defaults() Rules {
	return Rules{
		Namespaces: builtin(), AnchorsInAll: 8, StoreCodesTied: 5, CustomerLimit: 500, ComponentLimit: 2000,
		IDKey: []byte("kinfold-development-key"),
	}
}

// memory is a store. Its values are handed out in one buffer that the next call overwrites, so that code which keeps
// them shows.
type memory struct {
	tables [table.Count]map[string][]byte
	buf    []byte
	reads  int // calls of Get
	scans  int // calls of Scan
}

func newMemory() *memory {
	m := &memory{}
	for i := range m.tables {
		m.tables[i] = map[string][]byte{}
	}
	return m
}

func (m *memory) Get(t table.ID, key []byte) ([]byte, error) {
	m.reads++
	v, ok := m.tables[t][string(key)]
	if !ok {
		return nil, nil
	}
	clear(m.buf)
	m.buf = append(m.buf[:0], v...)
	return m.buf, nil
}

func (m *memory) keys(t table.ID, prefix []byte) []string {
	var keys []string
	for k := range m.tables[t] {
		if strings.HasPrefix(k, string(prefix)) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

func (m *memory) Scan(t table.ID, prefix []byte, fn func(key, value []byte) bool) error {
	m.scans++
	for _, k := range m.keys(t, prefix) {
		key, value := []byte(k), bytes.Clone(m.tables[t][k])
		more := fn(key, value)
		clear(key)
		clear(value)
		if !more {
			return nil
		}
	}
	return nil
}

func (m *memory) apply(rows []table.Row) {
	for _, r := range rows {
		if r.Value == nil {
			delete(m.tables[r.Table], string(r.Key))
		} else {
			m.tables[r.Table][string(r.Key)] = r.Value
		}
	}
}

// tester is what of testing.TB a world needs: rapid's T has it, too.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// world is a graph with its store and what it told the world so far.
type world struct {
	t      tester
	graph  *Graph
	r      *Resolver
	mem    *memory
	seq    uint64
	rows   map[string]interaction.MapRow
	folded map[string]interaction.CustomerID
	last   map[interaction.CustomerID]int64
	given  map[string]int64 // by identifier: version of the change that gave it its customer
	marks  map[string]mark

	directed bool
}

func newWorld(t tester, rules Rules) *world {
	t.Helper()
	g, err := New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, graph: g, r: g.NewResolver(), mem: newMemory(), rows: map[string]interaction.MapRow{},
		folded: map[string]interaction.CustomerID{}, last: map[interaction.CustomerID]int64{}, given: map[string]int64{}, marks: map[string]mark{},
	}
}

// sorted puts identifiers in the order of identity.md 3.3.
func (g *Graph) sorted(ids []interaction.Identifier) []interaction.Identifier {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b interaction.Identifier) int {
		if c := int(g.index[a.Namespace]) - int(g.index[b.Namespace]); c != 0 {
			return c
		}
		if c := strings.Compare(a.Domain, b.Domain); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	return ids
}

// tell applies evidence, checks what must hold at every offset, and returns the result.
func (w *world) tell(e Evidence) *Result {
	w.t.Helper()
	if e.Realm == "" {
		e.Realm = "default"
	}
	e.Seq, e.Directed = w.seq, w.directed
	w.seq++
	e.Identifiers = w.graph.sorted(e.Identifiers)
	res, err := w.r.Apply(w.mem, &e)
	if err != nil {
		w.t.Fatalf("apply %v: %v", e.Identifiers, err)
	}
	w.mem.apply(res.Rows)
	w.fold(res)
	return res
}

// direct applies a directive as tell applies evidence.
func (w *world) direct(o Order) *Result {
	w.t.Helper()
	res := w.weigh(o)
	w.seq++
	w.directed = true
	w.mem.apply(res.Rows)
	w.fold(res)
	return res
}

// weigh works out what a directive would do, as a dry run does.
func (w *world) weigh(o Order) *Result {
	w.t.Helper()
	if o.Realm == "" {
		o.Realm = "default"
	}
	o.Seq = w.seq
	res, err := w.r.Direct(w.mem, &o)
	if err != nil {
		w.t.Fatalf("%s: %v", o.Kind, err)
	}
	return res
}

// restart goes on with the same store and nothing remembered.
func (w *world) restart() { w.r = w.graph.NewResolver() }

// living reports whether a customer id of realm default names a customer now, itself or by its pointer.
func (w *world) living(id interaction.CustomerID) bool {
	if _, ended := w.rows[interaction.PointerKey("default", id).String()]; ended {
		return true
	}
	for k, r := range w.rows {
		if r.CustomerID == id && strings.HasPrefix(k, "default|") {
			return true
		}
	}
	return false
}

// fold keeps the map in both ways the world can, and compares them: identity.md section 6, invariants.
func (w *world) fold(res *Result) {
	w.t.Helper()
	if len(res.Changes)+len(res.MapRows) == 0 {
		return
	}
	before, last := maps.Clone(w.folded), maps.Clone(w.last)
	defer func() { w.expectChanges(before, w.folded, last, res) }()
	for i, c := range res.Changes {
		if i > 0 && res.Changes[i-1].CustomerID >= c.CustomerID {
			w.t.Errorf("changes out of order: %v after %v", c.CustomerID, res.Changes[i-1].CustomerID)
		}
		if c.Version <= w.last[c.CustomerID] {
			w.t.Errorf("version of %s goes from %d to %d", c.CustomerID, w.last[c.CustomerID], c.Version)
		}
		w.last[c.CustomerID] = c.Version
		if (c.Kind == interaction.ChangeErased) != (len(c.RemovedHMAC) > 0) {
			w.t.Errorf("change of kind %s of %s has %d HMACs", c.Kind, c.CustomerID, len(c.RemovedHMAC))
		}
		if c.Kind == interaction.ChangeErased {
			w.foldErased(&c)
		}
		if len(c.Added)+len(c.Removed)+len(c.RemovedHMAC) == 0 {
			w.t.Errorf("change of %s changes nothing", c.CustomerID)
		}
		for _, k := range c.Removed {
			if w.folded[k] == c.CustomerID {
				delete(w.folded, k)
			}
		}
		for _, k := range c.Added {
			w.folded[k], w.given[k] = c.CustomerID, c.Version
		}
	}
	for _, r := range res.MapRows {
		if r.CustomerID == "" {
			if _, ok := w.rows[r.Key]; !ok {
				w.t.Errorf("tombstone of %s, which has no row", r.Key)
			}
			delete(w.rows, r.Key)
			continue
		}
		if w.rows[r.Key] == r {
			w.t.Errorf("row of %s written again as it was", r.Key)
		}
		w.rows[r.Key] = r
	}
	n := 0
	for k, r := range w.rows {
		if r.Status == interaction.MapEnded {
			continue
		}
		n++
		if w.folded[k] != r.CustomerID {
			w.t.Errorf("%s: changes say %s, map says %s", k, w.folded[k], r.CustomerID)
		}
		if w.given[k] != r.Version {
			w.t.Errorf("%s: a change of version %d gave it its customer, the map says %d", k, w.given[k], r.Version)
		}
	}
	if n != len(w.folded) {
		w.t.Errorf("changes name %d identifiers, the map has %d", len(w.folded), n)
	}
}

// foldErased is what a consumer without the key does: it deletes what still has this customer_id and is not left. The HMACs
// must name the same identifiers.
func (w *world) foldErased(c *interaction.Change) {
	w.t.Helper()
	var hmacs []string
	for k, id := range w.folded {
		if id != c.CustomerID || slices.Contains(c.Left, k) || slices.Contains(c.Removed, k) {
			continue
		}
		text, _ := w.mark(k)
		hmacs = append(hmacs, text)
		delete(w.folded, k)
	}
	sort.Strings(hmacs)
	if !slices.Equal(hmacs, c.RemovedHMAC) {
		w.t.Errorf("erased of %s: map says %v, change says %v", c.CustomerID, hmacs, c.RemovedHMAC)
	}
}

// conflicts lists the refused edges in the store.
func (w *world) conflicts() []string {
	w.t.Helper()
	var out []string
	for _, k := range w.mem.keys(table.Components, nil) {
		var row componentRow
		if err := row.decode(w.mem.tables[table.Components][k]); err != nil {
			w.t.Fatal(err)
		}
		name := func(i int32) string {
			m := row.members[i]
			return interaction.Key{Realm: string(row.realm), Namespace: string(m.namespace), Domain: string(m.domain), Value: string(m.value)}.String()
		}
		for _, e := range row.edges {
			if e.refused != NotRefused {
				out = append(out, fmt.Sprintf("%s %s %s", name(e.root), name(e.other), e.refused))
			}
		}
	}
	sort.Strings(out)
	return out
}

func (w *world) withStatus(s interaction.MapStatus) []string {
	out := []string{}
	for k, r := range w.rows {
		if r.Status == s {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}
