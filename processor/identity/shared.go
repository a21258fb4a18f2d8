package identity

import (
	"bytes"
	"fmt"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Sharing (identity.md 4.2). What an identifier's neighbours ask of it is counted by kind of neighbour: anchors by
// namespace and domain, contacts by namespace. A contact or device is judged by counts that ask nobody else;
// an anchor counts only those contacts that are not shared, so that a contact that turns takes its anchors along.

// tally is the counts of an identifier, exact. Those of a member of a component are made from its edges and the counts of
// its row; those of one that is apart are its count rows, read as they are asked for. Neighbours that links in force
// tie together count once: in each kind, and once as anchors of any kind.
type tally struct {
	kinds   []kind
	anchors int32 // neighbours that are anchors
	over    int32 // kinds above their threshold
}

// kind is how many neighbours of one kind there are.
type kind struct {
	space  int16
	domain []byte
	n      int32
	stored int32 // what the count row says; 0: there is none
}

// kindOf says as what kind y counts for x.
func (w *work) kindOf(x, y int32) (space int16, domain []byte, ok bool) {
	n := &w.nodes[y]
	if n.lifted || n.retracted || n.tie != none && w.retired(y) {
		return 0, nil, false
	}
	switch w.class(y) {
	case Anchor:
		return n.space, n.domain, true
	case Contact:
		if w.class(x) == Anchor {
			return n.space, nil, !n.shared
		}
		return n.space, nil, n.space < w.nodes[x].space
	}
	return 0, nil, false
}

// threshold is how many neighbours of a namespace x may have without being shared.
func (w *work) threshold(x int32, space int16) int {
	s := &w.g.spaces[w.nodes[x].space]
	if w.g.spaces[space].Class == Anchor {
		return s.SharedAnchors
	}
	return s.SharedContacts
}

// touch makes sure that the counts of x are at hand, and its customers built again. It must be called before an edge of x
// or the sharing of one of its neighbours changes.
func (w *work) touch(x int32) error {
	n := &w.nodes[x]
	w.dirty(x)
	if n.tally != none {
		return nil
	}
	n.tally = int32(len(w.tallies))
	if len(w.tallies) < cap(w.tallies) {
		w.tallies = w.tallies[:len(w.tallies)+1]
	} else {
		w.tallies = append(w.tallies, tally{})
	}
	t := &w.tallies[n.tally]
	*t = tally{kinds: t.kinds[:0]}
	if n.wasApart() {
		t.anchors, t.over = n.own.anchors, n.own.over
		return nil
	}
	for _, c := range n.counts {
		if len(c.namespace) == 0 {
			t.anchors -= c.n
			continue
		}
		space, err := w.space(c.namespace)
		if err != nil {
			return err
		}
		if w.g.spaces[space].Class == Anchor {
			t.anchors += c.n
		}
		if err := w.adjust(x, space, c.domain, c.n); err != nil {
			return err
		}
	}
	// Inactive edges are among the counts of the row.
	return w.eachActive(x, func(e *edge) bool { return e.from == inComponent }, func(space int16, domain []byte, kinds, anchors int32) error {
		t.anchors += anchors
		return w.adjust(x, space, domain, kinds)
	})
}

// eachActive tells what the edges of x that are active bring to its counts, each one that counts: 1 for a new neighbour of
// its kind, 1 for a new anchor.
func (w *work) eachActive(x int32, active func(*edge) bool, add func(space int16, domain []byte, kinds, anchors int32) error) error {
	var tied []int32 // neighbours that counted, and are tied to others
	for i := w.nodes[x].edges; i != none; {
		e := &w.edges[i]
		next, y := e.next(x)
		i = next
		if e.slot != 0 || e.gone || !active(e) {
			continue
		}
		space, domain, ok := w.kindOf(x, y)
		if !ok {
			continue
		}
		kinds, anchors := int32(1), int32(0)
		if w.class(y) == Anchor {
			anchors = 1
		}
		if w.nodes[y].tie != none {
			for _, z := range tied {
				if w.tieOf(z) != w.tieOf(y) {
					continue
				}
				if w.class(z) == Anchor {
					anchors = 0
				}
				if w.sameKind(y, z) {
					kinds = 0
				}
			}
			tied = append(tied, y)
		}
		if err := add(space, domain, kinds, anchors); err != nil {
			return err
		}
	}
	return nil
}

// sameKind reports whether two neighbours of one identifier are counted together: contacts by namespace, anchors by
// namespace and domain.
func (w *work) sameKind(y, z int32) bool {
	a, b := &w.nodes[y], &w.nodes[z]
	return a.space == b.space && (w.class(y) != Anchor || bytes.Equal(a.domain, b.domain))
}

// count adds d to the counts of x for its neighbour y.
func (w *work) count(x, y int32, d int32) error {
	space, domain, ok := w.kindOf(x, y)
	if !ok {
		return nil
	}
	kinds, anchors := d, d
	if w.nodes[y].tie != none {
		kind, anchor, err := w.alsoCounted(x, y)
		if err != nil {
			return err
		}
		if kind {
			kinds = 0
		}
		if anchor {
			anchors = 0
		}
	}
	if w.class(y) == Anchor {
		w.tallies[w.nodes[x].tally].anchors += anchors
	}
	if kinds == 0 {
		return nil
	}
	return w.adjust(x, space, domain, kinds)
}

func (w *work) adjust(x int32, space int16, domain []byte, d int32) error {
	k, err := w.kind(x, space, domain)
	if err != nil {
		return err
	}
	t := &w.tallies[w.nodes[x].tally]
	limit := w.threshold(x, space)
	was := limit >= 0 && int(k.n) > limit
	k.n += d
	is := limit >= 0 && int(k.n) > limit
	if is && !was {
		t.over++
	} else if was && !is {
		t.over--
	}
	return nil
}

// kind returns the count of one kind, reading the row of a shared identifier where it has not been read.
func (w *work) kind(x int32, space int16, domain []byte) (*kind, error) {
	t := &w.tallies[w.nodes[x].tally]
	for i := range t.kinds {
		if k := &t.kinds[i]; k.space == space && bytes.Equal(k.domain, domain) {
			return k, nil
		}
	}
	k := kind{space: space, domain: domain}
	if w.nodes[x].wasApart() {
		key := w.keyOf(x)
		from := len(w.text)
		w.text = w.appendCountKey(w.text, key, space, domain)
		b, err := w.view.Get(table.Edges, w.text[from:])
		w.text = w.text[:from]
		if err != nil {
			return nil, fmt.Errorf("read count: %w", err)
		}
		if b != nil {
			if k.n, err = decodeCount(b); err != nil {
				return nil, fmt.Errorf("count of a shared %s: %w", w.g.spaces[w.nodes[x].space].Name, err)
			}
		}
		k.stored = k.n
	}
	t.kinds = append(t.kinds, k)
	return &t.kinds[len(t.kinds)-1], nil
}

func (w *work) appendCountKey(b, key []byte, space int16, domain []byte) []byte {
	b = appendEdgePrefix(b, key, edgeCount)
	b = append(append(b, w.g.spaces[space].Name...), interaction.Sep)
	return append(b, domain...)
}

// tooMany reports whether the counts make x shared.
func (w *work) tooMany(x int32) bool {
	t := &w.tallies[w.nodes[x].tally]
	all := w.g.rules.AnchorsInAll
	return t.over > 0 || w.class(x) != Anchor && all >= 0 && int(t.anchors) > all
}

// settle turns what is in the queue, and what that makes turn, until the sharing of everything is as its counts say.
// The weaker end of an edge goes first: it is a contact more often, and an anchor waits for its contacts.
func (w *work) settle() error {
	for len(w.queue) > 0 {
		x := w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		if w.nodes[x].erased {
			continue
		}
		if err := w.touch(x); err != nil {
			return err
		}
		if is := w.tooMany(x); is != w.nodes[x].shared {
			if err := w.turn(x, is); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn makes x shared, or not shared any more.
func (w *work) turn(x int32, shared bool) error {
	contact := w.class(x) == Contact
	if contact && !w.nodes[x].isNew {
		if err := w.loadInactive(x, true, true); err != nil {
			return err
		}
	}
	if err := w.touchNeighbours(x); err != nil {
		return err
	}
	if contact && shared { // counted for its anchors as long as it is not shared
		if err := w.countForAnchors(x, -1); err != nil {
			return err
		}
	}
	w.nodes[x].shared = shared
	if contact && !shared {
		if err := w.countForAnchors(x, 1); err != nil {
			return err
		}
	}
	if w.nodes[x].apart() {
		return nil
	}
	return w.rejoin(x)
}

func (w *work) touchNeighbours(x int32) error {
	for i := w.nodes[x].edges; i != none; {
		next, y := w.edges[i].next(x)
		if err := w.touch(y); err != nil {
			return err
		}
		i = next
	}
	return nil
}

func (w *work) countForAnchors(x int32, d int32) error {
	for i := w.nodes[x].edges; i != none; {
		e := &w.edges[i]
		next, y := e.next(x)
		i = next
		if e.slot != 0 || e.gone || w.class(y) != Anchor {
			continue
		}
		if err := w.count(y, x, d); err != nil {
			return err
		}
		w.queue = append(w.queue, y)
	}
	return nil
}

// rejoin takes up what an identifier that is not apart any more needs: its counts, and the edges that are active again
// since the other end is not apart either. One that rejoins later looks for x itself.
func (w *work) rejoin(x int32) error {
	if w.nodes[x].wasApart() {
		if err := w.loadCounts(x); err != nil {
			return err
		}
	}
	return w.loadInactive(x, false, false)
}

// neighbour is an identifier as the rows of an edge name it.
type neighbour struct {
	space int16
	key   []byte
}

// loadInactive reads inactive edges of x: with anchors only those to anchors, and those to identifiers that are apart only
// if asked. One that is apart can have any number of them.
func (w *work) loadInactive(x int32, anchors, toApart bool) error {
	key := w.keyOf(x)
	from := len(w.text)
	w.text = appendEdgePrefix(w.text, key, edgeInactive)
	prefix := w.text[from:len(w.text):len(w.text)]
	var found []neighbour
	var fault error
	err := w.view.Scan(table.Edges, prefix, func(k, _ []byte) bool {
		var y neighbour
		if y.space, _, _, fault = w.split(k[len(prefix):]); fault != nil {
			return false
		}
		if !anchors || w.g.spaces[y.space].Class == Anchor {
			y.key = w.keep(k[len(prefix):])
			found = append(found, y)
		}
		return true
	})
	if err == nil {
		err = fault
	}
	if err != nil {
		return fmt.Errorf("read edges: %w", err)
	}
	for _, y := range found {
		_, domain, value, err := w.split(y.key)
		if err != nil {
			return err
		}
		if !toApart {
			if apart, err := w.isApartRow(y.key, y.space, domain, value); err != nil || apart {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := w.loadEdge(x, y.key, y.space, domain, value); err != nil {
			return err
		}
	}
	return nil
}

// isApartRow reports whether an identifier is apart at this moment, without loading one that is.
func (w *work) isApartRow(key []byte, space int16, domain, value []byte) (bool, error) {
	if n := w.findSingle(space, domain, value); n != none {
		return w.nodes[n].apart(), nil
	}
	b, err := w.view.Get(table.Identifiers, key)
	if err != nil {
		return false, fmt.Errorf("read identifier: %w", err)
	}
	if b == nil {
		return false, fmt.Errorf("an edge names an identifier of namespace %s that does not exist: %w", w.g.spaces[space].Name, errCorrupt)
	}
	if _, _, member, err := decodeIdentifier(b); err != nil || !member {
		return !member, err
	}
	n, err := w.find(key, space, domain, value)
	if err != nil {
		return false, err
	}
	return w.nodes[n].apart(), nil
}

func (w *work) loadEdge(x int32, key []byte, space int16, domain, value []byte) error {
	y, err := w.find(key, space, domain, value)
	if err != nil {
		return err
	}
	if y == none {
		return fmt.Errorf("an edge names an identifier of namespace %s that does not exist: %w", w.g.spaces[space].Name, errCorrupt)
	}
	if err := w.touch(y); err != nil {
		return err
	}
	if w.between(x, y) != none {
		return nil
	}
	root, other := x, y
	if w.before(y, x) {
		root, other = y, x
	}
	i, err := w.inactive(root, other)
	if err == nil && i == none {
		err = fmt.Errorf("an inactive edge of namespaces %s and %s has one direction only: %w",
			w.g.spaces[w.nodes[root].space].Name, w.g.spaces[w.nodes[other].space].Name, errCorrupt)
	}
	return err
}

// loadCounts reads all count rows of an identifier that was shared.
func (w *work) loadCounts(x int32) error {
	key := w.keyOf(x)
	from := len(w.text)
	w.text = appendEdgePrefix(w.text, key, edgeCount)
	prefix := w.text[from:len(w.text):len(w.text)]
	t := &w.tallies[w.nodes[x].tally]
	var fault error
	err := w.view.Scan(table.Edges, prefix, func(k, v []byte) bool {
		name, domain, ok := bytes.Cut(k[len(prefix):], []byte{interaction.Sep})
		if !ok {
			fault = errCorrupt
			return false
		}
		var c kind
		if c.space, fault = w.space(name); fault != nil {
			return false
		}
		if c.n, fault = decodeCount(v); fault != nil {
			return false
		}
		for i := range t.kinds {
			if t.kinds[i].space == c.space && bytes.Equal(t.kinds[i].domain, domain) {
				return true
			}
		}
		c.stored, c.domain = c.n, w.keep(domain)
		t.kinds = append(t.kinds, c)
		return true
	})
	if err == nil {
		err = fault
	}
	if err != nil {
		return fmt.Errorf("read counts of a shared %s: %w", w.g.spaces[w.nodes[x].space].Name, err)
	}
	return nil
}

// inactiveCounts returns what the member row of x must say: its counts without those that its active edges explain.
func (w *work) inactiveCounts(x int32) []countRow {
	n := &w.nodes[x]
	if n.tally == none {
		return n.counts
	}
	t := &w.tallies[n.tally]
	if len(t.kinds) == 0 {
		return nil
	}
	tied := -t.anchors // anchors that links tie to others
	for i := range t.kinds {
		k := &t.kinds[i]
		k.stored = k.n
		if w.g.spaces[k.space].Class == Anchor {
			tied += k.n
		}
	}
	_ = w.eachActive(x, w.active, func(space int16, domain []byte, kinds, anchors int32) error {
		for j := range t.kinds {
			if k := &t.kinds[j]; k.space == space && bytes.Equal(k.domain, domain) {
				k.stored -= kinds
				break
			}
		}
		if w.g.spaces[space].Class == Anchor {
			tied -= kinds - anchors
		}
		return nil
	})
	var rows []countRow
	for i := range t.kinds {
		if k := &t.kinds[i]; k.stored > 0 {
			rows = append(rows, countRow{w.g.names[k.space], k.domain, k.stored})
		}
	}
	if tied > 0 {
		rows = append(rows, countRow{n: tied})
	}
	sortCounts(rows)
	return rows
}
