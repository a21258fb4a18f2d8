package identity

import (
	"fmt"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// nothing is a view without rows: all that Build works on is loaded.
type nothing struct{}

func (nothing) Get(table.ID, []byte) ([]byte, error) { return nil, nil }

func (nothing) Scan(table.ID, []byte, func(_, _ []byte) bool) error { return nil }

// Build makes the customers of a body of evidence, all at once: the function of identity.md section 4 that Apply keeps up to date
// step by step, so that the order of arrival cannot matter. It does not ask the component cap (4.7), which is about the storing of
// an edge: what is in b counts. An edge's root must come before its other end in the order of 3.3 under these rules.
func (g *Graph) Build(b *Body) (*People, error) {
	n := len(b.Identifiers)
	p := &People{
		Founder: make([]int32, n), Component: make([]int32, n), Shared: make([]bool, n), Retracted: make([]bool, n),
		Edges: make([]Standing, len(b.Edges)), Over: map[int32][]Over{},
	}
	edge, slot := 0, 0
	for from := 0; from < n; {
		to := from
		realm := b.Identifiers[from].Key.Realm
		for to < n && b.Identifiers[to].Key.Realm == realm {
			to++
		}
		edges := edge
		for edges < len(b.Edges) && int(b.Edges[edges].Root) < to {
			edges++
		}
		for slot < len(b.Slots) && b.Slots[slot].A.Realm < realm {
			slot++
		}
		slots := slot
		for slots < len(b.Slots) && b.Slots[slots].A.Realm == realm {
			slots++
		}
		ga := gathering{b: b, p: p, from: int32(from), to: int32(to), firstEdge: edge, edges: b.Edges[edge:edges], slots: b.Slots[slot:slots]}
		ga.w.g = g
		if err := ga.run(realm); err != nil {
			return nil, fmt.Errorf("identity: customers of realm %q: %w", realm, err)
		}
		from, edge, slot = to, edges, slots
	}
	return p, nil
}

// gathering is a Build of one realm. A node has the place of its identifier, less from; an edge that of its evidence, less firstEdge.
type gathering struct {
	w         work
	b         *Body
	p         *People
	from, to  int32
	firstEdge int
	edges     []Joint
	slots     []Ruling
}

func (ga *gathering) run(realm string) error {
	w := &ga.w
	w.domains = map[string]int32{}
	w.reset(nothing{}, realm)
	w.linked = true
	if err := ga.identifiers(); err != nil {
		return err
	}
	if err := ga.evidence(); err != nil {
		return err
	}
	ga.directives()
	w.tallies = make([]tally, 0, len(w.nodes))
	for i := range w.nodes {
		if err := w.touch(int32(i)); err != nil {
			return err
		}
	}
	for i := range w.nodes {
		w.queue = append(w.queue, int32(i))
		if err := w.settle(); err != nil {
			return err
		}
		w.affected = append(w.affected, int32(i))
	}
	w.regroup(&Result{})
	ga.results()
	return nil
}

func (ga *gathering) identifiers() error {
	w := &ga.w
	size := 0
	for i := ga.from; i < ga.to; i++ {
		size += len(ga.b.Identifiers[i].Key.Domain) + len(ga.b.Identifiers[i].Key.Value)
	}
	for i := range ga.edges {
		size += len(ga.edges[i].Source) + len(ga.edges[i].EventID)
	}
	w.text = make([]byte, 0, size)
	w.nodes = make([]node, 0, ga.to-ga.from)
	for i := ga.from; i < ga.to; i++ {
		k := &ga.b.Identifiers[i]
		space, ok := w.g.index[k.Key.Namespace]
		if !ok {
			return fmt.Errorf("the evidence holds identifiers of namespace %q, which the rules do not declare", k.Key.Namespace)
		}
		w.addNode(node{
			space: space, isNew: true, comp: none, domain: w.keepString(k.Key.Domain), value: w.keepString(k.Key.Value),
			firstSeen: k.FirstSeen, customer: none, oldCustomer: none,
		})
	}
	return nil
}

// evidence enters the edges as if they were of loaded components, so that touch counts them.
func (ga *gathering) evidence() error {
	w := &ga.w
	w.edges = make([]edge, 0, len(ga.edges)+len(ga.slots))
	for i := range ga.edges {
		e := &ga.edges[i]
		root, other := e.Root-ga.from, e.Other-ga.from
		if other < 0 || e.Other >= ga.to || root == other || w.before(other, root) {
			return fmt.Errorf("edge %d of the evidence does not name its root first, or leaves its realm", i)
		}
		w.addEdge(edge{
			root: root, other: other, from: inComponent, verified: e.Verified, firstSeen: e.FirstSeen,
			source: w.keepString(e.Source), eventID: w.keepString(e.EventID),
		})
	}
	return nil
}

// directives enters those whose identifiers have occurred.
func (ga *gathering) directives() {
	w := &ga.w
	place := func(k interaction.Key) int32 {
		if at := ga.b.Index(k); at != none {
			return at - ga.from
		}
		return none
	}
	for i := range ga.slots {
		s := &ga.slots[i]
		a := place(s.A)
		switch {
		case a == none:
		case s.B.IsZero():
			w.nodes[a].retracted = s.Kind == interaction.DirectiveRetract
		default:
			if b := place(s.B); b != none {
				w.addPair(a, b, order{kind: orderKinds[s.Kind], first: true, issuedAt: s.IssuedAt, id: []byte(s.DirectiveID)})
			}
		}
	}
	w.retie()
}

func (ga *gathering) results() {
	w, p := &ga.w, ga.p
	for i := range w.nodes {
		n, at := &w.nodes[i], ga.from+int32(i)
		p.Founder[at] = ga.from + w.customers[n.customer].founder
		p.Shared[at], p.Retracted[at] = n.shared, n.retracted
		p.Component[at] = at
		if !n.apart() {
			p.Component[at] = ga.from + w.fresh[n.fresh].members[0]
		}
		if n.shared {
			p.Over[at] = w.overOf(int32(i))
		}
	}
	for i := range ga.edges {
		e, at := &w.edges[i], ga.firstEdge+i
		if w.active(e) {
			p.Edges[at] = Standing(e.refused)
		} else {
			p.Edges[at] = p.inactive(ga.edges[i].Root, ga.edges[i].Other)
		}
	}
}

// overOf lists the counts of x that make it shared.
func (w *work) overOf(x int32) (list []Over) {
	t := &w.tallies[w.nodes[x].tally]
	for i := range t.kinds {
		k := &t.kinds[i]
		if limit := w.threshold(x, k.space); limit >= 0 && int(k.n) > limit {
			list = append(list, Over{Namespace: w.g.spaces[k.space].Name, Domain: string(k.domain), Count: int(k.n), Threshold: limit})
		}
	}
	if all := w.g.rules.AnchorsInAll; all >= 0 && w.class(x) != Anchor && int(t.anchors) > all {
		list = append(list, Over{Count: int(t.anchors), Threshold: all})
	}
	return list
}
