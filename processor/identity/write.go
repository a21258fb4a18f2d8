package identity

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// rowBytes is what the rows of one piece of evidence usually need: they are cut from one buffer.
const rowBytes = 1024

// rowWriter cuts rows from the end of a buffer. Growing it leaves the rows before where they are.
type rowWriter struct {
	out *Result
	buf []byte
}

func (p *rowWriter) cut(from int) []byte { return p.buf[from:len(p.buf):len(p.buf)] }

// put enters a row; key and value append to the buffer. Without value the row is deleted.
func (p *rowWriter) put(t table.ID, key, value func(b []byte) []byte) {
	if cap(p.buf)-len(p.buf) < rowBytes/4 {
		p.buf = make([]byte, 0, rowBytes)
	}
	row := table.Row{Table: t}
	from := len(p.buf)
	p.buf = key(p.buf)
	row.Key = p.cut(from)
	if value != nil {
		from = len(p.buf)
		p.buf = value(p.buf)
		row.Value = p.cut(from)
	}
	p.out.Rows = append(p.out.Rows, row)
}

// write makes the rows of everything that changed, in an order that depends on the evidence only.
func (w *work) write(c *cause, out *Result) {
	p := &rowWriter{out: out}
	w.nameComponents(c.seq)
	for i := range w.nodes {
		if n := &w.nodes[i]; n.apart() || n.wasApart() {
			w.writeCounts(p, int32(i))
		}
	}
	for i := range w.nodes {
		if n := &w.nodes[i]; n.apart() && !n.erased {
			w.writeApart(p, int32(i))
		}
	}
	for i := range w.edges {
		w.writeEdge(p, &w.edges[i])
	}
	for i := range w.fresh {
		w.writeComponent(p, &w.fresh[i])
	}
	for i := range w.comps {
		if c := &w.comps[i]; c.dirty && !c.rewritten {
			p.put(table.Components, func(b []byte) []byte { return append(b, c.id[:]...) }, nil)
		}
	}
}

// claim is how many members a new component has of an old one.
type claim struct{ old, fresh, members int32 }

// nameComponents gives the new components their ids. An old id goes to the part with most of its members, so that
// the fewest rows of identifiers change.
func (w *work) nameComponents(seq uint64) {
	var claims []claim
	for k := range w.fresh {
		from := len(claims)
		for _, m := range w.fresh[k].members {
			old := w.nodes[m].comp
			if old == none {
				continue
			}
			at := from
			for at < len(claims) && claims[at].old != old {
				at++
			}
			if at == len(claims) {
				claims = append(claims, claim{old: old, fresh: int32(k)})
			}
			claims[at].members++
		}
	}
	slices.SortFunc(claims, func(a, b claim) int {
		if a.members != b.members {
			return cmp.Compare(b.members, a.members)
		}
		if c := bytes.Compare(w.comps[a.old].id[:], w.comps[b.old].id[:]); c != 0 {
			return c
		}
		return cmp.Compare(a.fresh, b.fresh)
	})
	for _, c := range claims {
		if f := &w.fresh[c.fresh]; f.old == none && !w.comps[c.old].rewritten {
			f.old, f.id = c.old, w.comps[c.old].id
			w.comps[c.old].rewritten = true
		}
	}
	number := uint16(0)
	for k := range w.fresh {
		if f := &w.fresh[k]; f.old == none {
			binary.BigEndian.PutUint64(f.id[:], seq)
			binary.BigEndian.PutUint16(f.id[8:], number)
			number++
		}
	}
}

func (w *work) appendKey(i int32) func(b []byte) []byte {
	key := w.keyOf(i)
	return func(b []byte) []byte { return append(b, key...) }
}

// writeCounts writes the count rows of an identifier that is apart, or deletes those of one that was.
func (w *work) writeCounts(p *rowWriter, i int32) {
	n := &w.nodes[i]
	if n.tally == none {
		return
	}
	key := w.keyOf(i)
	t := &w.tallies[n.tally]
	for j := range t.kinds {
		k := &t.kinds[j]
		count := k.n
		if !n.apart() || n.erased {
			count = 0
		}
		if count == k.stored {
			continue
		}
		at := func(b []byte) []byte { return w.appendCountKey(b, key, k.space, k.domain) }
		if count == 0 {
			p.put(table.Edges, at, nil)
			continue
		}
		p.put(table.Edges, at, func(b []byte) []byte { return appendCount(b, count) })
	}
}

// writeApart writes the row of an identifier that is apart, where it differs.
func (w *work) writeApart(p *rowWriter, i int32) {
	n := &w.nodes[i]
	own := apartRow{
		flags: n.flags, firstSeen: n.firstSeen, ownVersion: n.ownVersion, mapVersion: n.mapVersion, anchors: n.own.anchors, over: n.own.over,
	}
	if n.tally != none {
		own.anchors, own.over = w.tallies[n.tally].anchors, w.tallies[n.tally].over
	}
	if n.shared {
		own.flags |= flagShared
	}
	if n.retracted {
		own.flags |= flagRetracted
	}
	if n.wasApart() && own == n.own {
		return
	}
	p.put(table.Identifiers, w.appendKey(i), func(b []byte) []byte { return appendApart(b, own) })
}

// writeEdge writes or deletes the rows of an edge that is inactive now, or was.
func (w *work) writeEdge(p *rowWriter, e *edge) {
	if e.slot != 0 || e.gone && e.from != inRow {
		return
	}
	inactive := !e.gone && !w.active(e)
	if !inactive && e.from != inRow || inactive && e.from == inRow && !e.changed {
		return
	}
	a, b := w.keyOf(e.root), w.keyOf(e.other)
	forth := func(to []byte) []byte { return append(appendEdgePrefix(to, a, edgeInactive), b...) }
	back := func(to []byte) []byte { return append(appendEdgePrefix(to, b, edgeInactive), a...) }
	if !inactive {
		p.put(table.Edges, forth, nil)
		p.put(table.Edges, back, nil)
		return
	}
	row := edgeRow{verified: e.verified, firstSeen: e.firstSeen, source: e.source, eventID: e.eventID}
	p.put(table.Edges, forth, func(to []byte) []byte { return appendInactive(to, &row) })
	if e.from != inRow {
		p.put(table.Edges, back, func(to []byte) []byte { return append(to, rowVersion) })
	}
}

// writeComponent writes a component where it differs, and the rows of those members that were elsewhere.
func (w *work) writeComponent(p *rowWriter, f *freshComponent) {
	w.pack(f)
	from := len(w.text)
	w.text = w.row.appendTo(w.text)
	value := w.text[from:]
	if f.old == none || !bytes.Equal(value, w.comps[f.old].value) {
		p.put(table.Components,
			func(b []byte) []byte { return append(b, f.id[:]...) },
			func(b []byte) []byte { return append(b, value...) })
	}
	for _, m := range f.members {
		if n := &w.nodes[m]; n.comp == none || n.comp != f.old {
			p.put(table.Identifiers, w.appendKey(m), func(b []byte) []byte { return appendMember(b, f.id) })
		}
	}
}

// pack makes the row of a component: everything in an order that does not depend on its history.
func (w *work) pack(f *freshComponent) {
	row := &w.row
	row.realm = []byte(w.realm)
	row.customers, row.members, row.edges = row.customers[:0], row.members[:0], row.edges[:0]
	for i, m := range f.members {
		w.nodes[m].slot = int32(i)
		w.customers[w.nodes[m].customer].same = none
	}
	for i, m := range f.members {
		n := &w.nodes[m]
		c := &w.customers[n.customer]
		if c.same == none {
			c.same = int32(len(row.customers))
			row.customers = append(row.customers, customerRow{id: c.id, version: c.version, founder: w.nodes[c.founder].slot})
		}
		row.members = append(row.members, memberRow{
			namespace: w.g.names[n.space], domain: n.domain, value: n.value, firstSeen: n.firstSeen,
			ownVersion: n.ownVersion, mapVersion: n.mapVersion, customer: c.same, flags: n.flags, counts: w.inactiveCounts(f.members[i]),
		})
	}
	for _, i := range f.edges {
		e := &w.edges[i]
		if e.slot != 0 {
			continue
		}
		row.edges = append(row.edges, edgeRow{
			root: w.nodes[e.root].slot, other: w.nodes[e.other].slot, verified: e.verified, refused: e.refused,
			firstSeen: e.firstSeen, source: e.source, eventID: e.eventID,
		})
	}
	slices.SortFunc(row.edges, func(a, b edgeRow) int {
		if c := cmp.Compare(a.root, b.root); c != 0 {
			return c
		}
		return cmp.Compare(a.other, b.other)
	})
}

// sortCounts puts counts in the order of their namespaces and domains.
func sortCounts(rows []countRow) {
	slices.SortFunc(rows, func(a, b countRow) int {
		if c := bytes.Compare(a.namespace, b.namespace); c != 0 {
			return c
		}
		return bytes.Compare(a.domain, b.domain)
	})
}

// putFounder writes the row that finds a customer by its id.
func (w *work) putFounder(out *Result, id interaction.CustomerID, key []byte) {
	value := append(make([]byte, 0, 1+len(key)), rowVersion)
	out.Rows = append(out.Rows, table.Row{Table: table.Founders, Key: []byte(id), Value: append(value, key...)})
}
