package identity

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"kinfold/processor/table"
)

// Directives that name two identifiers (identity.md 4.1), and what they tie together. A link that is in force makes one
// identifier of two for thresholds; one that is active also connects them, as an edge that has no row.

// pair is the slot of two identifiers that both occurred, loaded with the directive that counts in it.
type pair struct {
	a, b int32 // the first and the second of the directive
	order
	edge         int32 // stands for the link among the edges
	nextA, nextB int32 // the next of a's directives, of b's
}

// next returns the directive after p in the list of node x.
func (p *pair) next(x int32) int32 {
	if p.a == x {
		return p.nextA
	}
	return p.nextB
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
	i := int32(len(w.pairs))
	a, b := &w.nodes[p.a], &w.nodes[p.b]
	p.nextA, a.pairs = a.pairs, i
	p.nextB, b.pairs = b.pairs, i
	a.pairCount++
	b.pairCount++
	w.pairs = append(w.pairs, p)
	return i
}

// pairOf returns the slot of two nodes, or none.
func (w *work) pairOf(x, y int32) int32 {
	if w.nodes[x].pairCount > w.nodes[y].pairCount {
		x, y = y, x
	}
	for i := w.nodes[x].pairs; i != none; i = w.pairs[i].next(x) {
		if p := &w.pairs[i]; p.a == y || p.b == y {
			return i
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
	for i := w.nodes[x].pairs; i != none; i = w.pairs[i].next(x) {
		if p := &w.pairs[i]; p.a == x && p.kind == orderReplace && w.inForce(i) {
			return true
		}
	}
	return false
}

// retie works out which nodes links in force tie together, and lists those of a tie side by side.
func (w *work) retie() {
	w.tied = w.tied[:0]
	for i := range w.pairs {
		p := &w.pairs[i]
		w.nodes[p.a].tie, w.nodes[p.b].tie = p.a, p.b
	}
	for i := range w.pairs {
		if w.inForce(int32(i)) {
			w.nodes[w.tieOf(w.pairs[i].a)].tie = w.tieOf(w.pairs[i].b)
		}
	}
	for i := range w.pairs {
		w.tied = append(w.tied, w.pairs[i].a, w.pairs[i].b)
	}
	slices.SortFunc(w.tied, func(a, b int32) int {
		if c := cmp.Compare(w.tieOf(a), w.tieOf(b)); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	w.tied = slices.Compact(w.tied)
}

// tieOf returns the node that stands for all that x is tied to, x itself included.
func (w *work) tieOf(x int32) int32 {
	for n := &w.nodes[x]; n.tie != none && n.tie != x; n = &w.nodes[x] {
		n.tie = w.nodes[n.tie].tie
		x = n.tie
	}
	return x
}

// tiedWith lists the nodes that directives name and that are tied to x, x included.
func (w *work) tiedWith(x int32) []int32 {
	tie := w.tieOf(x)
	from, _ := slices.BinarySearchFunc(w.tied, tie, func(z, tie int32) int { return cmp.Compare(w.tieOf(z), tie) })
	to := from
	for to < len(w.tied) && w.tieOf(w.tied[to]) == tie {
		to++
	}
	return w.tied[from:to]
}

// alsoCounted reports whether another neighbour of x that is tied to y counts already: as one of y's kind, as an anchor.
func (w *work) alsoCounted(x, y int32) (kind, anchor bool, err error) {
	tie := w.tieOf(y)
	for i := w.nodes[x].edges; i != none && !kind; {
		e := &w.edges[i]
		next, z := e.next(x)
		i = next
		if e.slot != 0 || e.gone || z == y || w.nodes[z].tie == none || w.tieOf(z) != tie {
			continue
		}
		if _, _, ok := w.kindOf(x, z); ok {
			kind = w.sameKind(y, z)
			anchor = anchor || w.class(z) == Anchor
		}
	}
	for _, z := range w.tiedWith(y) {
		if kind || z == y || z == x || !w.nodes[x].wasApart() && !w.nodes[z].wasApart() || w.between(x, z) != none {
			continue // known from the loaded edges
		}
		if _, _, ok := w.kindOf(x, z); !ok || anchor && !w.sameKind(y, z) {
			continue
		}
		there, err := w.hasEdge(x, z)
		if err != nil {
			return false, false, err
		}
		if there {
			kind = w.sameKind(y, z)
			anchor = anchor || w.class(z) == Anchor
		}
	}
	return kind, anchor, nil
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

// tiedTo returns the seeds, what a directive names beside them, and all that is tied to these, each once.
func (w *work) tiedTo(seeds []int32) []int32 {
	var set []int32
	for _, x := range seeds {
		set = append(set, x)
		for i := w.nodes[x].pairs; i != none; i = w.pairs[i].next(x) {
			set = append(append(set, w.pairs[i].a), w.pairs[i].b)
		}
	}
	slices.Sort(set)
	set = slices.Compact(set)
	ties := int32(none)
	for _, z := range set[:len(set):len(set)] {
		if w.nodes[z].tie == none || w.tieOf(z) == ties {
			continue
		}
		ties = w.tieOf(z)
		set = append(set, w.tiedWith(z)...)
	}
	slices.Sort(set)
	return slices.Compact(set)
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
	for i := w.nodes[x].pairs; i != none; i = w.pairs[i].next(x) {
		w.dirty(w.pairs[i].a)
		w.dirty(w.pairs[i].b)
	}
}

// bind works out which members active links tie together for the limits of the build, and leaves others alone.
func (w *work) bind() {
	w.separates = w.separates[:0]
	for i := range w.pairs {
		if w.pairs[i].kind == orderSeparate {
			w.separates = append(w.separates, int32(i))
		}
		w.nodes[w.pairs[i].a].bound, w.nodes[w.pairs[i].b].bound = w.pairs[i].a, w.pairs[i].b
	}
	for i := range w.pairs {
		if p := &w.pairs[i]; w.active(&w.edges[p.edge]) {
			w.nodes[w.boundTo(p.a)].bound = w.boundTo(p.b)
		}
	}
}

func (w *work) boundTo(x int32) int32 {
	for n := &w.nodes[x]; n.bound != x; n = &w.nodes[x] {
		n.bound = w.nodes[n.bound].bound
		x = n.bound
	}
	return x
}

// replaced reports whether an active link says that x was replaced: it does not count for limits.
func (w *work) replaced(x int32) bool {
	for i := w.nodes[x].pairs; i != none; i = w.pairs[i].next(x) {
		if p := &w.pairs[i]; p.a == x && p.kind == orderReplace && w.active(&w.edges[p.edge]) {
			return true
		}
	}
	return false
}

// separated reports whether a directive keeps an identifier of one group from one of the other; a and b stand for them.
func (w *work) separated(a, b int32) bool {
	for _, i := range w.separates {
		p := &w.pairs[i]
		if w.nodes[p.a].fresh != w.nodes[a].fresh || w.nodes[p.b].fresh != w.nodes[a].fresh {
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
