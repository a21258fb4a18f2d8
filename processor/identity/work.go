package identity

import (
	"bytes"
	"fmt"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// work is what one piece of evidence or one directive needs of the graph: the identifiers and edges that were loaded for
// it, what changed in them, and the customers before and after. Everything in it is used again for the next.
//
// Nodes, edges and customers are named by their index. A component is loaded whole or not at all; of an identifier
// that is apart (shared or retracted) only its own row is, and those of its edges that somebody asked for.
type work struct {
	g     *Graph
	view  table.View
	realm string

	nodes     []node
	edges     []edge
	comps     []component
	customers []customer
	singles   []int32 // nodes that have no component: those apart and new ones
	tallies   []tally
	linked    bool    // the lists of edges at the nodes are kept, and the directives that name two of them are loaded
	pairs     []pair  // see links.go
	paired    []int32 // nodes whose pairs are not loaded yet
	tied      []int32 // nodes that directives name, by what they are tied to: see retie
	separates []int32 // pairs that keep customers apart
	event     []int32 // none: erased, and the event is from before
	eventEdge []int32 // for each identifier of the event: its edge to the root, or none
	queue     []int32

	id      componentID
	text    []byte // copies of values and keys; slices of it stay valid when it grows
	row     componentRow
	domains map[string]int32

	// What the rebuild works with; see build.go and changes.go.
	affected []int32
	fresh    []freshComponent
	groups   []group
	order    []int32
	hash     idHash
}

const none = -1

// node is an identifier.
type node struct {
	space         int16
	shared        bool
	wasShared     bool
	retracted     bool
	wasRetracted  bool
	isNew         bool
	waiting       bool // new, and what directives say of it has not been taken in yet
	lifted        bool // counts for nobody at the moment, see change
	erased        bool
	flags         byte  // flagPaired, flagSuppressed
	mark          int32 // 1 + place among the identifiers of the event; 0: not of the event
	comp          int32
	domain, value []byte
	key           []byte // byte form; nil until asked for
	domainNumber  int32  // see domainOf
	firstSeen     int64
	ownVersion    int64 // last version of the customer it founds; 0: none ever
	oldOwn        int64
	mapVersion    int64
	customer      int32
	oldCustomer   int32
	edges         int32 // first of its list
	pairs         int32 // first of its list of directives, and how many there are
	pairCount     int32
	tie           int32 // stands for those that links in force tie together; none: no directive names it and another
	bound         int32 // the same for the build
	tally         int32
	counts        []countRow // those of its row
	own           apartRow

	// Of the rebuild.
	parent, fresh       int32
	next, nextOld, slot int32
}

// edge is stored evidence that two identifiers occurred together; root is the lesser by identity.md 3.3.
type edge struct {
	root, other     int32
	nextRoot        int32 // the next of the root's edges, of the other's edges
	nextOther       int32
	from            stored
	changed         bool
	gone            bool  // refused by the component cap, or one end is erased
	slot            int32 // no evidence, but a directive: 1 + its place among the pairs
	verified        bool
	refused         Refusal
	firstSeen       int64
	source, eventID []byte
}

// stored says where an edge was before.
type stored uint8

const (
	inComponent stored = iota
	inRow              // inactive
	nowhere            // new
)

type component struct {
	id        componentID
	from, to  int32 // its nodes
	dirty     bool
	rewritten bool // its id goes on
	value     []byte
}

type customer struct {
	id      rawID
	version int64
	founder int32
	known   bool  // has an anchor or a contact
	first   int32 // of its members, and how many; kept by the rebuild only
	count   int32
	same    int32 // of a new one: the old one with its id; of an old one: the new one
}

func (w *work) reset(view table.View, realm string) {
	w.view, w.realm = view, realm
	w.nodes, w.edges, w.comps, w.customers = w.nodes[:0], w.edges[:0], w.comps[:0], w.customers[:0]
	w.singles, w.tallies, w.event, w.eventEdge, w.queue = w.singles[:0], w.tallies[:0], w.event[:0], w.eventEdge[:0], w.queue[:0]
	w.pairs, w.paired, w.tied = w.pairs[:0], w.paired[:0], w.tied[:0]
	w.affected, w.fresh = w.affected[:0], w.fresh[:0]
	w.text, w.linked = w.text[:0], false
	clear(w.domains)
}

func (w *work) class(n int32) Class { return w.g.spaces[w.nodes[n].space].Class }

// apart reports whether an identifier is a component and a customer of its own.
func (n *node) apart() bool    { return n.shared || n.retracted }
func (n *node) wasApart() bool { return n.wasShared || n.wasRetracted }

// active reports whether an edge counts for components.
func (w *work) active(e *edge) bool {
	x, y := &w.nodes[e.root], &w.nodes[e.other]
	if e.gone || x.shared || x.retracted || y.shared || y.retracted {
		return false
	}
	return e.slot == 0 || w.inForce(e.slot-1)
}

// keep copies b to where it stays until the next piece of evidence.
func (w *work) keep(b []byte) []byte {
	from := len(w.text)
	w.text = append(w.text, b...)
	return w.text[from:len(w.text):len(w.text)]
}

func (w *work) keepString(s string) []byte {
	from := len(w.text)
	w.text = append(w.text, s...)
	return w.text[from:len(w.text):len(w.text)]
}

// keyOf returns the byte form of a node.
func (w *work) keyOf(i int32) []byte {
	n := &w.nodes[i]
	if n.key == nil {
		from := len(w.text)
		w.text = append(append(w.text, w.realm...), interaction.Sep)
		w.text = append(append(w.text, w.g.spaces[n.space].Name...), interaction.Sep)
		w.text = append(append(w.text, n.domain...), interaction.Sep)
		w.text = append(w.text, n.value...)
		n.key = w.text[from:len(w.text):len(w.text)]
	}
	return n.key
}

func (w *work) keyText(i int32) string {
	n := &w.nodes[i]
	return interaction.Key{
		Realm: w.realm, Namespace: w.g.spaces[n.space].Name, Domain: string(n.domain), Value: string(n.value),
	}.String()
}

// domainOf numbers the domains of the loaded identifiers; 0 is the empty one.
func (w *work) domainOf(domain []byte) int32 {
	if len(domain) == 0 {
		return 0
	}
	if i, ok := w.domains[string(domain)]; ok {
		return i
	}
	i := int32(len(w.domains) + 1)
	w.domains[string(domain)] = i
	return i
}

// split takes a key apart and finds its namespace.
func (w *work) split(key []byte) (space int16, domain, value []byte, err error) {
	rest, ok := bytes.CutPrefix(key, []byte(w.realm))
	if ok && len(rest) > 0 && rest[0] == interaction.Sep {
		if parts := bytes.SplitN(rest[1:], []byte{interaction.Sep}, 3); len(parts) == 3 {
			space, err = w.space(parts[0])
			return space, parts[1], parts[2], err
		}
	}
	return 0, nil, nil, fmt.Errorf("an identifier's key in the edges of realm %q: %w", w.realm, errCorrupt)
}

func (w *work) space(name []byte) (int16, error) {
	i, ok := w.g.index[string(name)]
	if !ok {
		return 0, fmt.Errorf("state holds identifiers of namespace %q, which the rules do not declare: declare it again, or migrate", name)
	}
	return i, nil
}

// find returns the node of an identifier that occurred before, loaded with its component and what directives tie to it,
// or none.
func (w *work) find(key []byte, space int16, domain, value []byte) (int32, error) {
	n, err := w.findRow(key, space, domain, value)
	if err == nil && w.linked && len(w.paired) > 0 {
		err = w.loadPairs()
	}
	return n, err
}

func (w *work) findRow(key []byte, space int16, domain, value []byte) (int32, error) {
	b, err := w.view.Get(table.Identifiers, key)
	if err != nil {
		return none, fmt.Errorf("read identifier: %w", err)
	}
	if b == nil {
		return w.findSingle(space, domain, value), nil
	}
	id, own, member, err := decodeIdentifier(b)
	if err != nil {
		return none, fmt.Errorf("identifier of namespace %s: %w", w.g.spaces[space].Name, err)
	}
	if !member {
		if n := w.findSingle(space, domain, value); n != none {
			return n, nil
		}
		return w.addApart(key, space, domain, value, own), nil
	}
	c, err := w.load(id)
	if err != nil {
		return none, fmt.Errorf("component %x: %w", id, err)
	}
	for i := w.comps[c].from; i < w.comps[c].to; i++ {
		n := &w.nodes[i]
		if n.space == space && bytes.Equal(n.value, value) && bytes.Equal(n.domain, domain) {
			n.key = key
			return i, nil
		}
	}
	return none, fmt.Errorf("component %x lacks an identifier of namespace %s that names it: %w", id, w.g.spaces[space].Name, errCorrupt)
}

func (w *work) findSingle(space int16, domain, value []byte) int32 {
	for _, i := range w.singles {
		n := &w.nodes[i]
		if n.space == space && bytes.Equal(n.value, value) && bytes.Equal(n.domain, domain) {
			return i
		}
	}
	return none
}

func (w *work) addNode(n node) int32 {
	i := int32(len(w.nodes))
	n.edges, n.pairs, n.tie, n.tally, n.domainNumber, n.fresh = none, none, none, none, none, none
	w.nodes = append(w.nodes, n)
	if n.flags&flagPaired != 0 {
		w.paired = append(w.paired, i)
	}
	return i
}

func (w *work) addApart(key []byte, space int16, domain, value []byte, own apartRow) int32 {
	cu := int32(len(w.customers))
	shared, retracted := own.flags&flagShared != 0, own.flags&flagRetracted != 0
	i := w.addNode(node{
		space: space, shared: shared, wasShared: shared, retracted: retracted, wasRetracted: retracted,
		flags: own.flags & (flagPaired | flagSuppressed), comp: none, domain: domain, value: value, key: key,
		firstSeen: own.firstSeen, ownVersion: own.ownVersion, oldOwn: own.ownVersion, mapVersion: own.mapVersion,
		customer: cu, oldCustomer: cu, own: own,
	})
	// The id is worked out when somebody asks for it: an identifier that is apart is its own founder.
	w.customers = append(w.customers, customer{version: own.ownVersion, founder: i, known: w.class(i) != Device})
	w.singles = append(w.singles, i)
	return i
}

func (w *work) addNew(key []byte, space int16, domain, value []byte, at int64) int32 {
	i := w.addNode(node{
		space: space, isNew: true, comp: none, domain: domain, value: value, key: key,
		firstSeen: at, customer: none, oldCustomer: none,
	})
	w.singles = append(w.singles, i)
	return i
}

// load brings a component into memory.
func (w *work) load(id componentID) (int32, error) {
	for i := range w.comps {
		if w.comps[i].id == id {
			return int32(i), nil
		}
	}
	w.id = id // in memory that is there: a view may keep what it is given from the stack
	b, err := w.view.Get(table.Components, w.id[:])
	if err != nil {
		return none, fmt.Errorf("read: %w", err)
	}
	if b == nil {
		return none, fmt.Errorf("is named by an identifier and does not exist: %w", errCorrupt)
	}
	b = w.keep(b)
	if err := w.row.decode(b); err != nil {
		return none, err
	}
	if string(w.row.realm) != w.realm {
		return none, fmt.Errorf("belongs to realm %q, not %q: %w", w.row.realm, w.realm, errCorrupt)
	}
	c := int32(len(w.comps))
	first, firstCustomer := int32(len(w.nodes)), int32(len(w.customers))
	w.comps = append(w.comps, component{id: id, from: first, to: first + int32(len(w.row.members)), value: b})
	for _, cu := range w.row.customers {
		w.customers = append(w.customers, customer{id: cu.id, version: cu.version, founder: first + cu.founder})
	}
	return c, w.unpack(c, first, firstCustomer)
}

func (w *work) unpack(c, first, firstCustomer int32) error {
	var name []byte
	var space int16
	for i := range w.row.members {
		m := &w.row.members[i]
		if i == 0 || !bytes.Equal(name, m.namespace) {
			var err error
			if space, err = w.space(m.namespace); err != nil {
				return err
			}
			name = m.namespace
		}
		counts := m.counts
		if len(counts) > 0 {
			counts = append([]countRow(nil), counts...)
		}
		cu := firstCustomer + m.customer
		w.addNode(node{
			space: space, comp: c, domain: m.domain, value: m.value, firstSeen: m.firstSeen,
			ownVersion: m.ownVersion, oldOwn: m.ownVersion, mapVersion: m.mapVersion,
			customer: cu, oldCustomer: cu, flags: m.flags, counts: counts,
		})
		if w.g.spaces[space].Class != Device {
			w.customers[cu].known = true
		}
	}
	for i := range w.row.edges {
		e := &w.row.edges[i]
		w.addEdge(edge{
			root: first + e.root, other: first + e.other, from: inComponent, verified: e.verified, refused: e.refused,
			firstSeen: e.firstSeen, source: e.source, eventID: e.eventID,
		})
	}
	return nil
}

func (w *work) addEdge(e edge) int32 {
	i := int32(len(w.edges))
	w.edges = append(w.edges, e)
	if w.linked {
		w.link(i)
	}
	return i
}

// link enters an edge into the lists of its ends.
func (w *work) link(i int32) {
	e := &w.edges[i]
	root, other := &w.nodes[e.root], &w.nodes[e.other]
	e.nextRoot, root.edges = root.edges, i
	e.nextOther, other.edges = other.edges, i
}

// linkAll begins to keep the lists of edges at the nodes and to load directives: evidence that is known needs neither.
func (w *work) linkAll() error {
	if w.linked {
		return nil
	}
	w.linked = true
	for i := range w.edges {
		w.link(int32(i))
	}
	return w.loadPairs()
}

// next returns the edge after e in the list of node n, and the end of e that is not n.
func (e *edge) next(n int32) (next, end int32) {
	if e.root == n {
		return e.nextRoot, e.other
	}
	return e.nextOther, e.root
}

// between returns the loaded edge of evidence between two nodes, also one that is gone, or none.
func (w *work) between(a, b int32) int32 {
	for i := w.nodes[a].edges; i != none; {
		next, end := w.edges[i].next(a)
		if end == b && w.edges[i].slot == 0 {
			return i
		}
		i = next
	}
	return none
}

// before is the order of identity.md 3.3: rank, domain, value.
func (w *work) before(a, b int32) bool {
	x, y := &w.nodes[a], &w.nodes[b]
	if x.space != y.space {
		return x.space < y.space
	}
	if c := bytes.Compare(x.domain, y.domain); c != 0 {
		return c < 0
	}
	return bytes.Compare(x.value, y.value) < 0
}

// compareBytes is the byte order of the identifiers. No part holds a character as small as the separator,
// so that it is the order of the parts one by one.
func (w *work) compareBytes(a, b int32) int {
	x, y := &w.nodes[a], &w.nodes[b]
	if x.space != y.space {
		if w.g.spaces[x.space].Name < w.g.spaces[y.space].Name {
			return -1
		}
		return 1
	}
	if c := bytes.Compare(x.domain, y.domain); c != 0 {
		return c
	}
	return bytes.Compare(x.value, y.value)
}

// inactive reads the row of an inactive edge into memory; none where there is no such row.
func (w *work) inactive(root, other int32) (int32, error) {
	b, err := w.inactiveRow(root, other)
	if b == nil || err != nil {
		return none, err
	}
	e, err := decodeInactive(w.keep(b))
	if err != nil {
		return none, fmt.Errorf("inactive edge of namespaces %s and %s: %w",
			w.g.spaces[w.nodes[root].space].Name, w.g.spaces[w.nodes[other].space].Name, err)
	}
	return w.addEdge(edge{
		root: root, other: other, from: inRow, verified: e.verified, firstSeen: e.firstSeen, source: e.source, eventID: e.eventID,
	}), nil
}

func (w *work) inactiveRow(root, other int32) ([]byte, error) {
	rootKey, otherKey := w.keyOf(root), w.keyOf(other)
	from := len(w.text)
	w.text = append(appendEdgePrefix(w.text, rootKey, edgeInactive), otherKey...)
	b, err := w.view.Get(table.Edges, w.text[from:])
	if err != nil {
		return nil, fmt.Errorf("read edge: %w", err)
	}
	return b, nil
}
