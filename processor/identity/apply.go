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
	Reject          *interaction.Reject      // of the interaction, beside its event: component_cap
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
		w.linkAll()
		if err := w.store(e, out); err != nil {
			return nil, fmt.Errorf("identity: store evidence: %w", err)
		}
		w.rebuild(e, out)
		w.write(e, out)
	}
	w.resolve(e, out)
	return out, nil
}

// open loads what is known of the identifiers of the evidence and of its edges.
func (w *work) open(e *Evidence) error {
	for i := range e.Identifiers {
		id := &e.Identifiers[i]
		space, ok := w.g.index[id.Namespace]
		if !ok {
			return fmt.Errorf("namespace %q of identifier %d is not declared", id.Namespace, i)
		}
		key, domain, value := w.keepKey(id)
		n, err := w.find(key, space, domain, value)
		if err != nil {
			return err
		}
		if n == none {
			n = w.addNew(key, space, domain, value, e.At)
		}
		if w.nodes[n].mark != 0 || i > 0 && !w.before(w.event[i-1], n) {
			return fmt.Errorf("identifiers %d and %d are not in the order of rank, domain and value, each once", i-1, i)
		}
		w.nodes[n].mark = int32(i + 1)
		w.event = append(w.event, n)
		w.eventEdge = append(w.eventEdge, none)
	}
	root := w.event[0]
	for i := range w.edges {
		if d := &w.edges[i]; d.root == root {
			if mark := w.nodes[d.other].mark; mark != 0 {
				w.eventEdge[mark-1] = int32(i)
			}
		}
	}
	for i, n := range w.event[1:] {
		x, y := &w.nodes[root], &w.nodes[n]
		if (x.shared || y.shared) && !x.isNew && !y.isNew {
			var err error
			if w.eventEdge[i+1], err = w.inactive(root, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *work) keepKey(id *interaction.Identifier) (key, domain, value []byte) {
	from := len(w.text)
	w.text = interaction.Key{Realm: w.realm, Namespace: id.Namespace, Domain: id.Domain, Value: id.Value}.AppendBytes(w.text)
	key = w.text[from:len(w.text):len(w.text)]
	value = key[len(key)-len(id.Value):]
	end := len(key) - len(id.Value) - 1
	return key, key[end-len(id.Domain) : end], value
}

// known reports whether the evidence brings nothing new.
func (w *work) known(e *Evidence) bool {
	for i, n := range w.event {
		if w.nodes[n].isNew || e.At < w.nodes[n].firstSeen {
			return false
		}
		if i == 0 {
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
	for _, n := range w.event {
		if e.At < w.nodes[n].firstSeen {
			w.nodes[n].firstSeen = e.At
			w.dirty(n)
		}
	}
	source, eventID := w.keepString(e.Source), w.keepString(e.SourceEventID)
	for i, n := range w.event {
		if i == 0 {
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
	at := w.event[0]
	out.Status = interaction.StatusShared
	for _, n := range w.event {
		if !w.nodes[n].shared {
			at, out.Status = n, interaction.StatusAnonymous
			break
		}
	}
	c := w.nodes[at].customer
	if out.Status == interaction.StatusAnonymous && w.customers[c].known {
		out.Status = interaction.StatusKnown
	}
	out.CustomerID, out.CustomerVersion = w.customerID(c).text(), w.customers[c].version
	for i, n := range w.event {
		switch x := &w.nodes[n]; {
		case x.shared:
			out.Outcomes = append(out.Outcomes, interaction.OutcomeShared)
		case x.customer != c, w.wasRefused(i):
			out.Outcomes = append(out.Outcomes, interaction.OutcomeConflict)
		default:
			out.Outcomes = append(out.Outcomes, interaction.OutcomeLinked)
		}
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
		if w.class(n) == Anchor {
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
		if !w.active(e) || e.refused == RefusedSeparate {
			continue
		}
		if claim(e.root, e.other) || claim(e.other, e.root) {
			return true
		}
	}
	return false
}
