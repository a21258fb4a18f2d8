package identity

import (
	"bytes"
	"fmt"

	"kinfold/processor/table"
)

// Directives that name two identifiers (identity.md 4.1), and what they tie together. A link that is in force makes one
// identifier of two for thresholds; one that is active also connects them, as an edge that has no row.

// pair is the slot of two identifiers that both occurred, loaded with the directive that counts in it.
type pair struct {
	a, b int32 // the first and the second of the directive
	order
	edge int32 // stands for the link among the edges
}

// loadPairs loads what directives say of the nodes that they name, and the identifiers that they name beside them.
func (w *work) loadPairs() error {
	if len(w.paired) == 0 {
		return nil
	}
	for len(w.paired) > 0 {
		x := w.paired[len(w.paired)-1]
		w.paired = w.paired[:len(w.paired)-1]
		if err := w.loadPairsOf(x); err != nil {
			return fmt.Errorf("directives of a %s: %w", w.g.spaces[w.nodes[x].space].Name, err)
		}
	}
	w.retie()
	return nil
}

func (w *work) loadPairsOf(x int32) error {
	orders, err := w.ordersOf(w.keyOf(x), slotPair)
	if err != nil {
		return err
	}
	for i := range orders {
		o := &orders[i]
		space, domain, value, err := w.split(o.other)
		if err != nil {
			return err
		}
		y, err := w.findRow(o.other, space, domain, value)
		if err != nil {
			return err
		}
		if y != none && w.pairOf(x, y) == none {
			w.addPair(x, y, o.order)
		}
	}
	return nil
}

// slotRow is a row of Directives.
type slotRow struct {
	other []byte // key of the other identifier of a pair
	order
}

// ordersOf reads the slots of one kind of an identifier.
func (w *work) ordersOf(key []byte, slot byte) ([]slotRow, error) {
	from := len(w.text)
	w.text = appendEdgePrefix(w.text, key, slot)
	prefix := w.text[from:len(w.text):len(w.text)]
	var found []slotRow
	var fault error
	err := w.view.Scan(table.Directives, prefix, func(k, v []byte) bool {
		var o order
		if o, fault = decodeOrder(v); fault != nil {
			return false
		}
		o.id = w.keep(o.id)
		found = append(found, slotRow{w.keep(k[len(prefix):]), o})
		return true
	})
	if err == nil {
		err = fault
	}
	if err != nil {
		return nil, fmt.Errorf("read directives: %w", err)
	}
	return found, nil
}

// addPair enters a slot that both x and y know; o is as x's row has it.
func (w *work) addPair(x, y int32, o order) int32 {
	p := pair{a: x, b: y, order: o}
	if !o.first {
		p.a, p.b = y, x
	}
	root, other := x, y
	if w.before(y, x) {
		root, other = y, x
	}
	p.edge = w.addEdge(edge{root: root, other: other, slot: int32(len(w.pairs) + 1), firstSeen: o.issuedAt, eventID: o.id})
	w.pairs = append(w.pairs, p)
	return int32(len(w.pairs) - 1)
}

// pairOf returns the slot of two nodes, or none.
func (w *work) pairOf(x, y int32) int32 {
	for i := range w.pairs {
		if p := &w.pairs[i]; p.a == x && p.b == y || p.a == y && p.b == x {
			return int32(i)
		}
	}
	return none
}

// inForce reports whether a slot holds a link whose identifiers have occurred, neither of them retracted.
func (w *work) inForce(i int32) bool {
	p := &w.pairs[i]
	if p.kind != orderLink && p.kind != orderReplace {
		return false
	}
	a, b := &w.nodes[p.a], &w.nodes[p.b]
	return !a.retracted && !b.retracted && !a.waiting && !b.waiting && !a.erased && !b.erased
}

// retired reports whether a link in force says that x was replaced: it does not count for thresholds.
func (w *work) retired(x int32) bool {
	for i := range w.pairs {
		if p := &w.pairs[i]; p.a == x && p.kind == orderReplace && w.inForce(int32(i)) {
			return true
		}
	}
	return false
}

// retie works out which nodes links in force tie together.
func (w *work) retie() {
	for i := range w.pairs {
		p := &w.pairs[i]
		w.nodes[p.a].tie, w.nodes[p.b].tie = p.a, p.b
	}
	for i := range w.pairs {
		if w.inForce(int32(i)) {
			w.nodes[w.tieOf(w.pairs[i].a)].tie = w.tieOf(w.pairs[i].b)
		}
	}
}

// tieOf returns the node that stands for all that x is tied to, x itself included.
func (w *work) tieOf(x int32) int32 {
	for w.nodes[x].tie != none && w.nodes[x].tie != x {
		x = w.nodes[x].tie
	}
	return x
}

// eachTied calls fn for each node that directives name and that is tied to x, more than once maybe.
func (w *work) eachTied(x int32, fn func(z int32)) {
	for i := range w.pairs {
		for _, z := range [2]int32{w.pairs[i].a, w.pairs[i].b} {
			if w.tieOf(z) == w.tieOf(x) {
				fn(z)
			}
		}
	}
}

// alsoCounted reports whether another neighbour of x that is tied to y counts already: as one of y's kind, as an anchor.
func (w *work) alsoCounted(x, y int32) (kind, anchor bool, err error) {
	w.eachTied(y, func(z int32) {
		if z == y || z == x || err != nil || kind {
			return
		}
		if _, _, ok := w.kindOf(x, z); !ok || anchor && !w.sameKind(y, z) {
			return
		}
		var there bool
		if there, err = w.hasEdge(x, z); !there {
			return
		}
		kind = w.sameKind(y, z)
		anchor = anchor || w.class(z) == Anchor
	})
	return kind, anchor, err
}

// hasEdge reports whether there is evidence of x and z, loaded or not.
func (w *work) hasEdge(x, z int32) (bool, error) {
	if at := w.between(x, z); at != none {
		return !w.edges[at].gone, nil
	}
	a, b := &w.nodes[x], &w.nodes[z]
	if a.isNew || b.isNew || !a.wasApart() && !b.wasApart() {
		return false, nil
	}
	if w.before(z, x) {
		x, z = z, x
	}
	row, err := w.inactiveRow(x, z)
	return row != nil, err
}

// change does what alters how some identifiers count for their neighbours: a directive, or that an identifier occurred for
// which one waited. All that is tied to them is taken out of the counts, fn does it, and they are put back. Whoever may turn
// is in the queue afterwards.
func (w *work) change(seeds []int32, fn func() error) error {
	set := w.tiedTo(seeds)
	for _, y := range set {
		if w.class(y) != Device && !w.nodes[y].isNew {
			if err := w.loadInactive(y, false, true); err != nil {
				return err
			}
		}
	}
	for _, y := range set {
		if err := w.touch(y); err != nil {
			return err
		}
		if err := w.touchNeighbours(y); err != nil {
			return err
		}
	}
	for _, y := range set {
		if err := w.countForNeighbours(y, -1); err != nil {
			return err
		}
		w.nodes[y].lifted = true
	}
	if err := fn(); err != nil {
		return err
	}
	w.retie()
	for _, y := range set {
		if w.nodes[y].lifted = false; w.nodes[y].erased {
			continue
		}
		if err := w.countForNeighbours(y, 1); err != nil {
			return err
		}
		w.queue = append(w.queue, y)
	}
	return nil
}

// tiedTo returns the seeds, what a directive names beside them, and all that is tied to these.
func (w *work) tiedTo(seeds []int32) []int32 {
	var set []int32
	add := func(z int32) {
		for _, y := range set {
			if y == z {
				return
			}
		}
		set = append(set, z)
	}
	for _, x := range seeds {
		add(x)
		for i := range w.pairs {
			p := &w.pairs[i]
			if p.a == x || p.b == x {
				w.eachTied(p.a, add)
				w.eachTied(p.b, add)
			}
		}
	}
	return set
}

// countForNeighbours adds d for y to the counts of all its neighbours, and has them looked at.
func (w *work) countForNeighbours(y int32, d int32) error {
	for i := w.nodes[y].edges; i != none; {
		e := &w.edges[i]
		next, x := e.next(y)
		i = next
		if e.slot != 0 || e.gone {
			continue
		}
		if err := w.count(x, y, d); err != nil {
			return err
		}
		w.queue = append(w.queue, x)
	}
	return nil
}

// occur takes in what directives say of identifiers that occur for the first time.
func (w *work) occur() error {
	for _, x := range w.event {
		if x == none || !w.nodes[x].waiting {
			continue
		}
		if err := w.change([]int32{x}, func() error {
			w.nodes[x].waiting = false
			return nil
		}); err != nil {
			return err
		}
		w.dirtyPairs(x)
	}
	return w.settle()
}

// dirtyPairs says that the customers of all whom directives name beside x must be built again.
func (w *work) dirtyPairs(x int32) {
	for i := range w.pairs {
		if p := &w.pairs[i]; p.a == x || p.b == x {
			w.dirty(p.a)
			w.dirty(p.b)
		}
	}
}

// bind works out which members active links tie together for the limits of the build, and leaves others alone.
func (w *work) bind() {
	for i := range w.pairs {
		w.nodes[w.pairs[i].a].bound, w.nodes[w.pairs[i].b].bound = w.pairs[i].a, w.pairs[i].b
	}
	for i := range w.pairs {
		if p := &w.pairs[i]; w.active(&w.edges[p.edge]) {
			w.nodes[w.boundTo(p.a)].bound = w.boundTo(p.b)
		}
	}
}

func (w *work) boundTo(x int32) int32 {
	for w.nodes[x].bound != x {
		x = w.nodes[x].bound
	}
	return x
}

// replaced reports whether an active link says that x was replaced: it does not count for limits.
func (w *work) replaced(x int32) bool {
	for i := range w.pairs {
		if p := &w.pairs[i]; p.a == x && p.kind == orderReplace && w.active(&w.edges[p.edge]) {
			return true
		}
	}
	return false
}

// separated reports whether a directive keeps an identifier of one group from one of the other; a and b stand for them.
func (w *work) separated(a, b int32) bool {
	for i := range w.pairs {
		p := &w.pairs[i]
		if p.kind != orderSeparate || w.nodes[p.a].fresh != w.nodes[a].fresh || w.nodes[p.b].fresh != w.nodes[a].fresh {
			continue
		}
		if x, y := w.top(p.a), w.top(p.b); x == a && y == b || x == b && y == a {
			return true
		}
	}
	return false
}

// later reports whether a directive counts rather than another one in its slot: the later by (issued_at, directive_id,
// kind, bytes of a, bytes of b). The slot is that of one pair, so that the bytes of a decide about those of b.
func (o *order) later(p *order, a, b []byte) bool {
	if o.issuedAt != p.issuedAt {
		return o.issuedAt > p.issuedAt
	}
	if c := bytes.Compare(o.id, p.id); c != 0 {
		return c > 0
	}
	if o.kind != p.kind {
		return o.kind > p.kind
	}
	// They differ in which of the two comes first, if at all: a, which is this one's first, or b, which is then p's.
	return !p.first && bytes.Compare(a, b) > 0
}
