package identity

import (
	"cmp"
	"fmt"
	"slices"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Count is how many identifiers of one kind there are, and how many there may be.
type Count struct {
	Of     string `json:"of"` // a namespace, one with its domain (user@AR-001), or "anchors": those of any kind
	Count  int    `json:"count"`
	AtMost *int   `json:"at_most"` // null: any number
	Over   bool   `json:"over"`
}

// IdentifierAnswer is what is known of one identifier.
type IdentifierAnswer struct {
	Realm      string            `json:"realm"`
	Identifier interaction.Named `json:"identifier"`
	Key        string            `json:"key"` // of its row in identity-map
	Status     Status            `json:"status"`
	Customer   *CustomerRef      `json:"customer,omitempty"`
	FirstSeen  *Time             `json:"first_seen,omitempty"`
	// IgnoredUntil is there where the identifier was erased: what occurred until then does not count.
	IgnoredUntil *Time `json:"ignored_until,omitempty"`
	// Counts are the neighbours that count for its threshold, by kind.
	Counts     []Count         `json:"counts"`
	Neighbours []Neighbour     `json:"neighbours"`
	Number     int             `json:"neighbour_count"`
	AtLeast    bool            `json:"at_least,omitempty"` // there are more than neighbour_count
	Directives []DirectiveNote `json:"directives"`
	Says       string          `json:"says"`
}

// Neighbour is an identifier that occurred together with another one, or that a directive ties to it.
type Neighbour struct {
	Identifier interaction.Named      `json:"identifier"`
	Status     Status                 `json:"status"`
	CustomerID interaction.CustomerID `json:"customer_id"`
	Tie        Tie                    `json:"tie"`
}

// DirectiveNote is a directive that counts for an identifier, alone or with another one.
type DirectiveNote struct {
	ID       string                    `json:"directive_id"`
	Kind     interaction.DirectiveKind `json:"kind"`
	IssuedAt Time                      `json:"issued_at"`
	With     *interaction.Named        `json:"with,omitempty"`
	Replaces bool                      `json:"replaces,omitempty"` // of replace: the identifier is the new one of the two
	State    string                    `json:"state"`              // what it does now, in words
	Waiting  bool                      `json:"waiting,omitempty"`
}

// Identifier says what is known of an identifier.
func (x *Explainer) Identifier(name interaction.Named) (*IdentifierAnswer, error) {
	out := &IdentifierAnswer{
		Realm: x.realm, Identifier: name, Key: name.In(x.realm).String(), Status: Unknown,
		Counts: []Count{}, Neighbours: []Neighbour{}, Directives: []DirectiveNote{},
	}
	if err := x.begin(); err != nil {
		return nil, err
	}
	key, n, err := x.find(name)
	if err != nil {
		return nil, err
	}
	if n == none || x.w.nodes[n].flags&flagSuppressed != 0 {
		until, _, erased, err := x.w.suppression(key)
		if err != nil {
			return nil, err
		}
		if erased {
			out.IgnoredUntil = new(Time(until))
		}
	}
	if n != none {
		x.build(n)
		first := Time(x.w.nodes[n].firstSeen)
		out.Status, out.FirstSeen, out.Customer = x.status(n), &first, x.customer(x.group(n))
		if out.Counts, err = x.counts(n); err != nil {
			return nil, err
		}
		if err := x.neighbours(n, out); err != nil {
			return nil, err
		}
	}
	if out.Directives, err = x.directives(key, n); err != nil {
		return nil, err
	}
	out.Says = identifierSays(out)
	return out, nil
}

// counts are the neighbours that count for the threshold of n.
func (x *Explainer) counts(n int32) ([]Count, error) {
	w := &x.w
	if err := w.touch(n); err != nil {
		return nil, err
	}
	if w.nodes[n].wasApart() {
		if err := w.loadCounts(n); err != nil {
			return nil, err
		}
	}
	t := &w.tallies[w.nodes[n].tally]
	kinds := slices.Clone(t.kinds)
	slices.SortFunc(kinds, func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.space, b.space), slices.Compare(a.domain, b.domain))
	})
	out := []Count{}
	for _, k := range kinds {
		if k.n > 0 {
			of := interaction.Named{Namespace: w.g.spaces[k.space].Name, Domain: string(k.domain)}
			out = append(out, count(kindText(of), int(k.n), w.threshold(n, k.space)))
		}
	}
	if w.class(n) != Anchor && t.anchors > 0 {
		out = append(out, count("anchors", int(t.anchors), w.g.rules.AnchorsInAll))
	}
	return out, nil
}

func count(of string, n, limit int) Count {
	c := Count{Of: of, Count: n, Over: limit >= 0 && n > limit}
	if limit >= 0 {
		c.AtMost = &limit
	}
	return c
}

// neighbours fills in the neighbours of n: those that its customers are built from first, strongest first.
func (x *Explainer) neighbours(n int32, out *IdentifierAnswer) error {
	w := &x.w
	keys, more, err := x.inactiveKeys(n, MaxCounted)
	if err != nil {
		return err
	}
	var edges []int32
	for i := w.nodes[n].edges; i != none; {
		if !x.bindsNothing(&w.edges[i]) {
			edges = append(edges, i)
		}
		i, _ = w.edges[i].next(n)
	}
	out.Number, out.AtLeast = len(edges)+len(keys), more
	for _, key := range keys {
		if len(edges) >= MaxNeighbours {
			break
		}
		i, err := x.inactiveEdge(n, key)
		if err != nil {
			return err
		}
		edges = append(edges, i)
	}
	slices.SortFunc(edges, func(a, b int32) int {
		if x, y := w.active(&w.edges[a]), w.active(&w.edges[b]); x != y {
			return cmp.Compare(boolInt(y), boolInt(x))
		}
		return w.strength(a, b)
	})
	for _, i := range edges[:min(len(edges), MaxNeighbours)] {
		_, y := w.edges[i].next(n)
		x.build(y)
		out.Neighbours = append(out.Neighbours, Neighbour{
			Identifier: x.named(y), Status: x.status(y), CustomerID: w.customerID(x.group(y)).text(), Tie: x.tie(i),
		})
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// inactiveKeys lists the other ends of the inactive edges of n, up to a number.
func (x *Explainer) inactiveKeys(n int32, most int) (keys [][]byte, more bool, err error) {
	w := &x.w
	prefix := appendEdgePrefix(nil, w.keyOf(n), edgeInactive)
	err = x.view.Scan(table.Edges, prefix, func(k, _ []byte) bool {
		if more = len(keys) == most; !more {
			keys = append(keys, w.keep(k[len(prefix):]))
		}
		return !more
	})
	if err != nil {
		return nil, false, fmt.Errorf("read edges: %w", err)
	}
	return keys, more, nil
}

// inactiveEdge loads the inactive edge of n whose other end has the key, and that end with its component.
func (x *Explainer) inactiveEdge(n int32, key []byte) (int32, error) {
	w := &x.w
	space, domain, value, err := w.split(key)
	if err != nil {
		return none, err
	}
	y, err := w.find(key, space, domain, value)
	if err != nil {
		return none, err
	}
	if y == none {
		return none, fmt.Errorf("an edge names an identifier of namespace %s that does not exist: %w", w.g.spaces[space].Name, errCorrupt)
	}
	return x.inactiveBetween(n, y)
}

// inactiveBetween loads the inactive edge of two nodes; none where there is no such edge.
func (x *Explainer) inactiveBetween(n, y int32) (int32, error) {
	w := &x.w
	if at := w.between(n, y); at != none {
		return at, nil
	}
	root, other := n, y
	if w.before(y, n) {
		root, other = y, n
	}
	return w.inactive(root, other)
}

// directives lists what counts in the slots of an identifier; n is its node, or none.
func (x *Explainer) directives(key []byte, n int32) ([]DirectiveNote, error) {
	notes := []DirectiveNote{}
	own, err := x.w.ordersOf(key, slotOwn)
	if err != nil {
		return nil, err
	}
	for i := range own {
		note := noteOf(&own[i].order)
		switch {
		case note.Kind == interaction.DirectiveRestore:
			note.State = "withdraws an earlier retract"
		case n == none:
			note.Waiting, note.State = true, "waits until the identifier occurs"
		default:
			note.State = "in force: its evidence does not count"
		}
		notes = append(notes, note)
	}
	pairs, err := x.w.ordersOf(key, slotPair)
	if err != nil {
		return nil, err
	}
	for i := range pairs {
		note := noteOf(&pairs[i].order)
		with, err := x.namedKey(pairs[i].other)
		if err != nil {
			return nil, err
		}
		note.With = &with
		note.Replaces = pairs[i].kind == orderReplace && !pairs[i].first
		if err := x.stateOf(&note, n, pairs[i].other); err != nil {
			return nil, err
		}
		notes = append(notes, note)
	}
	slices.SortFunc(notes, func(a, b DirectiveNote) int {
		return cmp.Or(cmp.Compare(a.IssuedAt, b.IssuedAt), cmp.Compare(a.ID, b.ID))
	})
	return notes, nil
}

func noteOf(o *order) DirectiveNote {
	return DirectiveNote{ID: string(o.id), Kind: orderNames[o.kind], IssuedAt: Time(o.issuedAt)}
}

// stateOf says what a directive about n and another identifier does now.
func (x *Explainer) stateOf(note *DirectiveNote, n int32, other []byte) error {
	w := &x.w
	space, domain, value, err := w.split(other)
	if err != nil {
		return err
	}
	y, err := w.find(other, space, domain, value)
	if err != nil {
		return err
	}
	switch {
	case note.Kind == interaction.DirectiveRestore:
		note.State = "withdraws an earlier directive about the two"
		return nil
	case n == none || y == none:
		note.Waiting, note.State = true, "waits until both identifiers have occurred"
		return nil
	case note.Kind == interaction.DirectiveSeparate:
		note.State = "in force: never one customer"
		return nil
	}
	at := w.pairOf(n, y)
	if at == none {
		return fmt.Errorf("a directive names two identifiers, and one of them does not know it: %w", errCorrupt)
	}
	x.build(n)
	e := &w.edges[w.pairs[at].edge]
	switch {
	case !w.inForce(at):
		note.State = "no effect while one of the two is retracted"
	case !w.active(e):
		note.State = "counts them as one, but joins nothing while one of the two is shared"
	case e.refused != NotRefused:
		note.State = "refused: " + e.refused.String()
	default:
		note.State = "in force: one customer"
	}
	return nil
}
