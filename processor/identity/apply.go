package identity

import (
	"bytes"
	"fmt"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Evidence is what one interaction says about identity.
type Evidence struct {
	Realm string
	// Identifiers are the usable ones, each once, in the order of identity.md 3.3: the first is the root.
	Identifiers   []interaction.Identifier
	At            int64 // time for identity, see Clock.At; epoch ms
	Source        string
	SourceEventID string
	Origin        interaction.Origin
	Seq           uint64 // offset in the keyed topic: new components are named by it, so that a replay names them alike
	Duplicate     bool   // its evidence counts, but it becomes no event and no reject
	// Directed says that directives took effect in this store: identifiers that occur for the first time are looked up there.
	Directed bool
}

// Capped is an edge that the component limit refused, as places in Evidence.Identifiers.
type Capped struct {
	Root, Other int
}

// Tallies counts what a piece of evidence did, for metrics.
type Tallies struct {
	Created   int // customers that came to be, or live again
	Ended     int // customers that ended
	Merges    int // changes of kind merged
	Splits    int // changes of kind split
	Shared    int // identifiers that became shared
	Unshared  int // and that are not any more
	Oversized int // components that are larger than the limit all the same (identity.md 4.7)
}

// Result is what came of a piece of evidence. It belongs to the caller until the next Apply; what its slices Rows,
// Changes, MapRows and Merged hold, the slices included, the caller may keep.
type Result struct {
	Rows    []table.Row          // rows to write; none where the evidence was known
	Changes []interaction.Change // in byte order of the customer ids
	MapRows []interaction.MapRow // in byte order of the keys

	CustomerID      interaction.CustomerID // zero: unidentified
	CustomerVersion int64
	Status          interaction.IdentityStatus
	Ambiguous       bool
	Merged          []interaction.CustomerID // ids that ended because of this evidence, in byte order
	Outcomes        []interaction.Outcome    // of Evidence.Identifiers
	Capped          []Capped                 // edges that were not stored
	Effect          Effect                   // of a directive
	Reject          *interaction.Reject      // of an interaction, beside its event: component_cap; of a directive instead of all
	Tallies         Tallies
}

// Resolver applies evidence. It keeps its working memory, and belongs to one goroutine.
type Resolver struct {
	w      work
	result Result
}

// NewResolver returns a Resolver with these rules.
func (g *Graph) NewResolver() *Resolver {
	return &Resolver{w: work{g: g, domains: map[string]int32{}}}
}

// Apply adds a piece of evidence to the graph that view shows and returns what that changes. Nothing is written:
// the caller puts Result.Rows where the next Apply's view sees them. An error means that the state cannot be read,
// or that the caller broke the contract of Evidence; never that the evidence is bad.
func (r *Resolver) Apply(view table.View, e *Evidence) (*Result, error) {
	w, out := &r.w, &r.result
	*out = Result{Outcomes: out.Outcomes[:0], Capped: out.Capped[:0]}
	if len(e.Identifiers) == 0 {
		out.Status = interaction.StatusUnidentified
		return out, nil
	}
	w.reset(view, e.Realm)
	if err := w.open(e); err != nil {
		return nil, fmt.Errorf("identity: open evidence: %w", err)
	}
	if !w.known(e) {
		if err := w.store(e, out); err != nil {
			return nil, fmt.Errorf("identity: store evidence: %w", err)
		}
		c := &cause{source: e.Source, eventID: e.SourceEventID, origin: e.Origin, seq: e.Seq}
		w.rebuild(c, out)
		w.write(c, out)
	}
	w.resolve(e, out)
	return out, nil
}

// cause is what a change is laid to: an interaction or a directive.
type cause struct {
	source, eventID string
	directiveID     string
	origin          interaction.Origin
	seq             uint64
}

// open loads what is known of the identifiers of the evidence and of its edges.
func (w *work) open(e *Evidence) error {
	last := int32(none)
	for i := range e.Identifiers {
		n, err := w.openIdentifier(e, i)
		if err != nil {
			return err
		}
		w.event, w.eventEdge = append(w.event, n), append(w.eventEdge, none)
		if n == none {
			continue
		}
		if w.nodes[n].mark != 0 || last != none && !w.before(last, n) {
			return fmt.Errorf("identifiers %d and %d are not in the order of rank, domain and value, each once", i-1, i)
		}
		w.nodes[n].mark, last = int32(i+1), n
	}
	if root := w.event[0]; root != none {
		if err := w.openEdges(root); err != nil {
			return err
		}
	}
	for _, n := range w.event {
		if n != none && w.nodes[n].flags&flagPaired != 0 {
			return w.linkAll()
		}
	}
	return nil
}

// openIdentifier loads an identifier of the evidence; none where it was erased after the interaction occurred.
func (w *work) openIdentifier(e *Evidence, i int) (int32, error) {
	id := &e.Identifiers[i]
	space, ok := w.g.index[id.Namespace]
	if !ok {
		return none, fmt.Errorf("namespace %q of identifier %d is not declared", id.Namespace, i)
	}
	key, domain, value := w.keepKey(interaction.Key{Realm: w.realm, Namespace: id.Namespace, Domain: id.Domain, Value: id.Value})
	n, err := w.find(key, space, domain, value)
	if err != nil {
		return none, err
	}
	switch {
	case n == none && !e.Directed:
		return w.addNew(key, space, domain, value, e.At), nil
	case n == none:
		return w.openDirected(e, key, space, domain, value)
	case w.nodes[n].flags&flagSuppressed != 0:
		until, _, there, err := w.suppression(key)
		if err != nil || there && e.At <= until {
			return none, err
		}
	}
	return n, nil
}

// openDirected opens an identifier that occurs for the first time, or again after it was erased, where directives may wait
// for it.
func (w *work) openDirected(e *Evidence, key []byte, space int16, domain, value []byte) (int32, error) {
	until, version, erased, err := w.suppression(key)
	if err != nil || erased && e.At <= until {
		return none, err
	}
	own, err := w.ordersOf(key, slotOwn)
	if err != nil {
		return none, err
	}
	pairs, err := w.ordersOf(key, slotPair)
	if err != nil {
		return none, err
	}
	n := w.addNew(key, space, domain, value, e.At)
	x := &w.nodes[n]
	if erased {
		x.flags |= flagSuppressed
		x.ownVersion, x.oldOwn = version, version
	}
	x.retracted = len(own) > 0 && own[0].kind == orderRetract
	if len(pairs) > 0 {
		x.flags |= flagPaired
		x.waiting = true
		w.paired = append(w.paired, n)
	}
	return n, nil
}

// openEdges finds the stored edges of the evidence.
func (w *work) openEdges(root int32) error {
	for i := range w.edges {
		if d := &w.edges[i]; d.root == root && d.slot == 0 {
			if mark := w.nodes[d.other].mark; mark != 0 {
				w.eventEdge[mark-1] = int32(i)
			}
		}
	}
	for i, n := range w.event {
		if i == 0 || n == none {
			continue
		}
		x, y := &w.nodes[root], &w.nodes[n]
		if (x.apart() || y.apart()) && !x.isNew && !y.isNew {
			var err error
			if w.eventEdge[i], err = w.inactive(root, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *work) keepKey(id interaction.Key) (key, domain, value []byte) {
	from := len(w.text)
	w.text = id.AppendBytes(w.text)
	key = w.text[from:len(w.text):len(w.text)]
	value = key[len(key)-len(id.Value):]
	end := len(key) - len(id.Value) - 1
	return key, key[end-len(id.Domain) : end], value
}

// known reports whether the evidence brings nothing new.
func (w *work) known(e *Evidence) bool {
	for i, n := range w.event {
		if n == none {
			continue
		}
		if w.nodes[n].isNew || e.At < w.nodes[n].firstSeen {
			return false
		}
		if i == 0 || w.event[0] == none {
			continue
		}
		if w.eventEdge[i] == none || w.edges[w.eventEdge[i]].news(e, e.Identifiers[i].Verified) {
			return false
		}
	}
	return true
}

// news reports whether the evidence changes a stored edge.
func (d *edge) news(e *Evidence, verified bool) bool {
	return verified && !d.verified || d.earlier(e)
}

// earlier reports whether the evidence comes before what the edge holds: the lesser (first_seen, source, event_id).
func (d *edge) earlier(e *Evidence) bool {
	if e.At != d.firstSeen {
		return e.At < d.firstSeen
	}
	if e.Source != string(d.source) {
		return e.Source < string(d.source)
	}
	return e.SourceEventID < string(d.eventID)
}

// store takes the evidence into the loaded graph, edge by edge in the order of identity.md 3.3, each with all that its
// storing turns: the component cap asks about the graph as the edges before left it.
func (w *work) store(e *Evidence, out *Result) error {
	if err := w.linkAll(); err != nil {
		return err
	}
	if err := w.occur(); err != nil {
		return err
	}
	for _, n := range w.event {
		if n != none && e.At < w.nodes[n].firstSeen {
			w.nodes[n].firstSeen = e.At
			w.dirty(n)
		}
	}
	source, eventID := w.keepString(e.Source), w.keepString(e.SourceEventID)
	for i, n := range w.event {
		if i == 0 || n == none || w.event[0] == none {
			continue
		}
		verified := e.Identifiers[i].Verified
		if at := w.eventEdge[i]; at != none {
			d := &w.edges[at]
			if !d.news(e, verified) {
				continue
			}
			if d.earlier(e) {
				d.firstSeen, d.source, d.eventID = e.At, source, eventID
			}
			d.verified = d.verified || verified
			d.changed = true
			w.dirty(d.root)
			w.dirty(d.other)
			continue
		}
		at, err := w.join(edge{
			root: w.event[0], other: n, from: nowhere, verified: verified, firstSeen: e.At, source: source, eventID: eventID,
		})
		if err != nil {
			return err
		}
		if at == none {
			out.Capped = append(out.Capped, Capped{Root: 0, Other: i})
		}
		w.eventEdge[i] = at
	}
	if len(out.Capped) > 0 && !e.Duplicate {
		out.Reject = w.capReject(e, out.Capped)
	}
	return nil
}

// dirty says that the customers of n's component must be built again.
func (w *work) dirty(n int32) {
	if c := w.nodes[n].comp; c != none {
		w.comps[c].dirty = true
	}
}

// join stores a new edge, unless it is active and its component would be too large: none then.
func (w *work) join(d edge) (int32, error) {
	root, other := d.root, d.other
	// A component of which an edge is refused has not changed: counting on must not make it dirty.
	a, b := w.isDirty(root), w.isDirty(other)
	if err := w.touch(root); err != nil {
		return none, err
	}
	if err := w.touch(other); err != nil {
		return none, err
	}
	at := w.addEdge(d)
	if err := w.countBoth(root, other, 1); err != nil {
		return none, err
	}
	w.queue = append(w.queue, root, other)
	if err := w.settle(); err != nil {
		return none, err
	}
	// An edge that is active turned nobody: taking it back is taking back its counts.
	if w.active(&w.edges[at]) && !w.fits(root) {
		w.edges[at].gone = true
		if err := w.countBoth(root, other, -1); err != nil {
			return none, err
		}
		w.setDirty(root, a)
		w.setDirty(other, b)
		return none, nil
	}
	w.dirty(root)
	w.dirty(other)
	return at, nil
}

func (w *work) countBoth(a, b int32, d int32) error {
	if err := w.count(a, b, d); err != nil {
		return err
	}
	return w.count(b, a, d)
}

func (w *work) isDirty(n int32) bool {
	c := w.nodes[n].comp
	return c != none && w.comps[c].dirty
}

func (w *work) setDirty(n int32, dirty bool) {
	if c := w.nodes[n].comp; c != none {
		w.comps[c].dirty = dirty
	}
}

func (w *work) capReject(e *Evidence, capped []Capped) *interaction.Reject {
	detail := fmt.Appendf(nil, "component_limit of %d identifiers reached; evidence not stored:", w.g.rules.ComponentLimit)
	for _, c := range capped {
		detail = fmt.Appendf(detail, " %s (identifier %d) with %s (identifier %d);",
			e.Identifiers[c.Root].Namespace, c.Root+1, e.Identifiers[c.Other].Namespace, c.Other+1)
	}
	return &interaction.Reject{Reason: interaction.ReasonComponentCap, Detail: string(bytes.TrimSuffix(detail, []byte{';'}))}
}

// resolve finds the event's customer (identity.md section 5).
func (w *work) resolve(e *Evidence, out *Result) {
	at := int32(none)
	out.Status = interaction.StatusUnidentified
	for _, n := range w.event {
		if n != none && !w.nodes[n].apart() {
			at, out.Status = n, interaction.StatusAnonymous
			break
		}
		if n != none && at == none {
			at, out.Status = n, interaction.StatusShared
		}
	}
	c := int32(none)
	if at != none {
		c = w.nodes[at].customer
		if out.Status == interaction.StatusAnonymous && w.customers[c].known {
			out.Status = interaction.StatusKnown
		}
		out.CustomerID, out.CustomerVersion = w.customerID(c).text(), w.customers[c].version
	}
	for i, n := range w.event {
		outcome := interaction.OutcomeLinked
		switch {
		case n == none, w.nodes[n].retracted:
			outcome = interaction.OutcomeRetracted
		case w.nodes[n].shared:
			outcome = interaction.OutcomeShared
		case w.nodes[n].customer != c, w.wasRefused(i):
			outcome = interaction.OutcomeConflict
		}
		out.Outcomes = append(out.Outcomes, outcome)
	}
	for _, k := range out.Capped {
		out.Outcomes[k.Other] = interaction.OutcomeConflict
	}
	out.Ambiguous = w.ambiguous()
}

// wasRefused reports whether the build refused the edge of an identifier of the event to the root.
func (w *work) wasRefused(i int) bool {
	at := w.eventEdge[i]
	return at != none && w.active(&w.edges[at]) && w.edges[at].refused != NotRefused
}

// ambiguous reports whether an identifier of the event ties anchors of more than one customer, itself counted where
// it is one. Edges that a directive separates have been decided and do not count.
func (w *work) ambiguous() bool {
	seen := w.order[:0]
	for _, n := range w.event {
		c := int32(none)
		if n != none && w.class(n) == Anchor {
			c = w.nodes[n].customer
		}
		seen = append(seen, c)
	}
	w.order = seen
	claim := func(n, anchor int32) bool {
		mark := w.nodes[n].mark
		if mark == 0 || w.class(anchor) != Anchor {
			return false
		}
		c := &seen[mark-1]
		if *c == none {
			*c = w.nodes[anchor].customer
		}
		return *c != w.nodes[anchor].customer
	}
	for i := range w.edges {
		e := &w.edges[i]
		if !w.active(e) || e.slot == 0 && e.refused == RefusedSeparate {
			continue
		}
		if claim(e.root, e.other) || claim(e.other, e.root) {
			return true
		}
	}
	return false
}
