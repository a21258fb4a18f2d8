package identity

import (
	"cmp"
	"slices"

	"kinfold/processor/interaction"
)

// WhyNotAnswer says what keeps two identifiers from being one customer.
type WhyNotAnswer struct {
	Realm     string            `json:"realm"`
	A         interaction.Named `json:"a"`
	B         interaction.Named `json:"b"`
	Together  bool              `json:"together"`             // they are one customer: ask why
	CustomerA *CustomerRef      `json:"customer_a,omitempty"` // nil: A has not occurred
	CustomerB *CustomerRef      `json:"customer_b,omitempty"`
	// Reasons are the obstacles on the ways below, each once, and those that need no way: an identifier that has not
	// occurred, a directive that separates.
	Reasons []Obstacle `json:"reasons"`
	// Routes are the ways from A to B over what is known, the shortest first, each with what stands in it.
	Routes     []Route `json:"routes"`
	RouteCount int     `json:"route_count"`
	// Incomplete: there was more to look at than one answer may; the routes are not all.
	Incomplete bool   `json:"incomplete,omitempty"`
	Says       string `json:"says"`
}

// Route is a way from one identifier to another over ties, some of which do not join.
type Route struct {
	Ties      []Tie      `json:"ties"`
	Obstacles []Obstacle `json:"obstacles"`
}

// Obstacle is what keeps a tie, or two identifiers, from joining.
type Obstacle struct {
	Kind ObstacleKind `json:"kind"`
	// At is the identifier that is shared, retracted or unknown.
	At *interaction.Named `json:"at,omitempty"`
	// Customers are those that a refused tie would have joined.
	Customers []interaction.CustomerID `json:"customers,omitempty"`
	// Counts are the figures: of a shared identifier those above their threshold, of a limit what the customers would hold.
	Counts     []Count         `json:"counts,omitempty"`
	Directives []DirectiveNote `json:"directives,omitempty"`
	Says       string          `json:"says"`
}

// ObstacleKind names an obstacle: the reasons of identity.md 4.5, and what makes ties inactive.
type ObstacleKind string

// The kinds of obstacle.
const (
	ByUnknown   ObstacleKind = "unknown"
	ByShared    ObstacleKind = "shared"
	ByRetracted ObstacleKind = "retracted"
	BySeparate  ObstacleKind = "separate"
	ByDevice    ObstacleKind = "device"
	ByLimit     ObstacleKind = "limit"
	BySize      ObstacleKind = "size"
	ByCap       ObstacleKind = "component_cap"
	ByRealm     ObstacleKind = "realm"
)

// WhyNot explains why a and b are not one customer: what stands in every way of at most MaxCrossings ties that do not
// join, and what keeps them apart without any.
func (x *Explainer) WhyNot(a, b interaction.Named) (*WhyNotAnswer, error) {
	out := &WhyNotAnswer{Realm: x.realm, A: a, B: b, Reasons: []Obstacle{}, Routes: []Route{}}
	if err := x.begin(); err != nil {
		return nil, err
	}
	keyA, n, err := x.find(a)
	if err != nil {
		return nil, err
	}
	keyB, m, err := x.find(b)
	if err != nil {
		return nil, err
	}
	if n != none {
		out.CustomerA = x.customer(x.group(n))
	}
	if m != none {
		out.CustomerB = x.customer(x.group(m))
	}
	switch {
	case n == none || m == none:
		err = x.unknownEnds(out, keyA, n, keyB, m)
	case x.group(n) == x.group(m):
		out.Together = true
	default:
		err = x.between(out, n, m)
	}
	if err != nil {
		return nil, err
	}
	out.Incomplete = x.cut
	out.Says = whyNotSays(out)
	return out, nil
}

// unknownEnds explains by those of the two that have not occurred.
func (x *Explainer) unknownEnds(out *WhyNotAnswer, keyA []byte, n int32, keyB []byte, m int32) error {
	for _, end := range []struct {
		key  []byte
		node int32
		name interaction.Named
	}{{keyA, n, out.A}, {keyB, m, out.B}} {
		if end.node != none {
			continue
		}
		o := Obstacle{Kind: ByUnknown, At: &end.name}
		until, _, erased, err := x.w.suppression(end.key)
		if err != nil {
			return err
		}
		notes, err := x.directives(end.key, none)
		if err != nil {
			return err
		}
		o.Directives = notes
		o.Says = unknownSays(end.name, erased, Time(until), notes)
		out.Reasons = append(out.Reasons, o)
	}
	return nil
}

// between explains what stands between two customers.
func (x *Explainer) between(out *WhyNotAnswer, n, m int32) error {
	x.build(n)
	x.build(m)
	if err := x.expand(n, m); err != nil {
		return err
	}
	routes := x.routes(n, m)
	out.RouteCount = len(routes)
	for _, crossings := range routes[:min(len(routes), MaxRoutes)] {
		route, err := x.route(n, m, crossings)
		if err != nil {
			return err
		}
		out.Routes = append(out.Routes, route)
		for _, o := range route.Obstacles {
			out.add(o)
		}
	}
	for _, i := range x.separations(x.group(n), x.group(m)) {
		out.add(x.separated([]int32{i}))
	}
	for _, end := range [2]int32{n, m} {
		if x.w.nodes[end].apart() {
			o, err := x.apart(end)
			if err != nil {
				return err
			}
			out.add(o)
		}
	}
	if o := x.capped(n, m); o != nil && len(out.Reasons) == 0 {
		out.add(*o)
	}
	return nil
}

func (a *WhyNotAnswer) add(o Obstacle) {
	if !slices.ContainsFunc(a.Reasons, func(p Obstacle) bool { return p.Says == o.Says }) {
		a.Reasons = append(a.Reasons, o)
	}
}

// expand loads what lies between two customers: the ends of their inactive edges, and the customers that these and refused
// edges lead to.
func (x *Explainer) expand(n, m int32) error {
	var near [2][]int32 // groups next to each, in the order in which they were met
	for i, end := range [2]int32{n, m} {
		if err := x.readInactive(x.group(end)); err != nil {
			return err
		}
		near[i] = x.nextTo(x.group(end))
	}
	expanded := 0
	for _, c := range slices.Concat(near[0], near[1]) {
		if x.w.nodes[x.w.customers[c].founder].apart() || x.read[c] {
			continue
		}
		if expanded++; expanded > maxExpanded {
			x.cut = true
			break
		}
		if err := x.readInactive(c); err != nil {
			return err
		}
	}
	// Between two that are apart there may be an edge that neither side has read.
	for _, c := range near[0] {
		for _, d := range near[1] {
			p, q := x.w.customers[c].founder, x.w.customers[d].founder
			if c == d || !x.w.nodes[p].apart() || !x.w.nodes[q].apart() {
				continue
			}
			if x.left--; x.left < 0 {
				x.cut = true
				return nil
			}
			if _, err := x.inactiveBetween(p, q); err != nil {
				return err
			}
		}
	}
	return nil
}

// readInactive loads the inactive edges of a group. Of one that is apart only the first are: there may be any number.
func (x *Explainer) readInactive(c int32) error {
	if x.read[c] {
		return nil
	}
	x.read[c] = true
	for i := range len(x.w.nodes) { // those that are loaded meanwhile belong to others
		n := int32(i)
		if x.group(n) != c {
			continue
		}
		most := x.left
		if x.w.nodes[n].apart() {
			most = min(most, maxFan)
		}
		keys, more, err := x.inactiveKeys(n, most)
		if err != nil {
			return err
		}
		x.cut = x.cut || more
		x.left -= len(keys)
		for _, key := range keys {
			if _, err := x.inactiveEdge(n, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// crosses reports whether an edge leads from one group to another without joining them.
func (x *Explainer) crosses(i int32) bool {
	e := &x.w.edges[i]
	return !x.bindsNothing(e) && x.group(e.root) != x.group(e.other)
}

// nextTo lists the groups that edges which do not join lead to, each once.
func (x *Explainer) nextTo(c int32) []int32 {
	var near []int32
	for i := range x.w.edges {
		e := &x.w.edges[i]
		if !x.crosses(int32(i)) {
			continue
		}
		for _, way := range [2][2]int32{{e.root, e.other}, {e.other, e.root}} {
			if d := x.group(way[1]); x.group(way[0]) == c && !slices.Contains(near, d) {
				near = append(near, d)
			}
		}
	}
	return near
}

// crossing is an edge on the way from one group to another, in the direction of the way.
type crossing struct{ edge, from, to int32 }

// routes finds the ways from n to m over at most MaxCrossings edges that do not join, the shortest first, of equally long
// ones the one with the strongest edges.
func (x *Explainer) routes(n, m int32) [][]crossing {
	out := map[int32][]crossing{}
	for i := range x.w.edges {
		if e := &x.w.edges[i]; x.crosses(int32(i)) {
			x.build(e.root) // so that it is known why
			x.build(e.other)
			out[x.group(e.root)] = append(out[x.group(e.root)], crossing{int32(i), e.root, e.other})
			out[x.group(e.other)] = append(out[x.group(e.other)], crossing{int32(i), e.other, e.root})
		}
	}
	var found [][]crossing
	var way []crossing
	visited := map[int32]bool{x.group(n): true}
	var walk func(at int32, left int)
	walk = func(at int32, left int) {
		for _, c := range out[at] {
			to := x.group(c.to)
			if visited[to] {
				continue
			}
			if len(found) == maxFound {
				x.cut = true
				return
			}
			way = append(way, c)
			if to == x.group(m) {
				if left == 0 {
					found = append(found, slices.Clone(way))
				}
			} else if left > 0 {
				visited[to] = true
				walk(to, left-1)
				delete(visited, to)
			}
			way = way[:len(way)-1]
		}
	}
	for length := range MaxCrossings { // the shortest are found first, so that they are kept where there are too many
		walk(x.group(n), length)
	}
	slices.SortStableFunc(found, func(a, b []crossing) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), slices.CompareFunc(a, b, func(p, q crossing) int { return x.w.strength(p.edge, q.edge) }))
	})
	return found
}

// route describes a way: the ties inside the customers that it passes through, and those between them with what stands
// in them.
func (x *Explainer) route(n, m int32, way []crossing) (Route, error) {
	r := Route{Ties: []Tie{}, Obstacles: []Obstacle{}}
	at := n
	inside := func(to int32) {
		for _, i := range x.path(at, to) {
			r.Ties = append(r.Ties, x.tie(i))
		}
	}
	for _, c := range way {
		inside(c.from)
		r.Ties = append(r.Ties, x.tie(c.edge))
		found, err := x.obstacles(c.edge)
		if err != nil {
			return r, err
		}
		for _, o := range found {
			if !slices.ContainsFunc(r.Obstacles, func(p Obstacle) bool { return p.Says == o.Says }) {
				r.Obstacles = append(r.Obstacles, o)
			}
		}
		at = c.to
	}
	inside(m)
	return r, nil
}

// obstacles says why an edge between two groups does not join them.
func (x *Explainer) obstacles(i int32) ([]Obstacle, error) {
	w, e := &x.w, &x.w.edges[i]
	if w.active(e) {
		return []Obstacle{x.refused(e)}, nil
	}
	var found []Obstacle
	for _, end := range [2]int32{e.root, e.other} {
		if !w.nodes[end].apart() {
			continue
		}
		o, err := x.apart(end)
		if err != nil {
			return nil, err
		}
		found = append(found, o)
	}
	return found, nil
}

// apart says why an identifier joins nothing.
func (x *Explainer) apart(n int32) (Obstacle, error) {
	name := x.named(n)
	o := Obstacle{Kind: ByShared, At: &name}
	if x.w.nodes[n].retracted {
		o.Kind = ByRetracted
		own, err := x.w.ordersOf(x.w.keyOf(n), slotOwn)
		if err != nil {
			return o, err
		}
		for i := range own {
			note := noteOf(&own[i].order)
			note.State = "in force: its evidence does not count"
			o.Directives = append(o.Directives, note)
		}
	}
	counts, err := x.counts(n)
	if err != nil {
		return o, err
	}
	for _, c := range counts {
		if c.Over {
			o.Counts = append(o.Counts, c)
		}
	}
	o.Says = apartSays(&o)
	return o, nil
}

// refused says why the build refused an edge. The figures are those of the customers as they are: what a group was when
// the edge was refused, its customer is at least.
func (x *Explainer) refused(e *edge) Obstacle {
	c, d := x.group(e.root), x.group(e.other)
	o := Obstacle{Customers: []interaction.CustomerID{x.w.customerID(c).text(), x.w.customerID(d).text()}}
	slices.Sort(o.Customers)
	switch e.refused {
	case RefusedSeparate:
		return x.separated(x.separations(c, d))
	case RefusedDevice:
		o.Kind, o.Counts = ByDevice, x.claims(c, d)
	case RefusedLimit:
		o.Kind, o.Counts = ByLimit, x.limits(e, c, d)
	default:
		o.Kind, o.Counts = BySize, []Count{count("identifiers", x.customer(c).Size+x.customer(d).Size, x.w.g.rules.CustomerLimit)}
	}
	o.Says = refusedSays(&o)
	return o
}

// separations lists the directives that keep a member of one customer from one of another, as places among the pairs.
func (x *Explainer) separations(c, d int32) (found []int32) {
	for i := range x.w.pairs {
		p := &x.w.pairs[i]
		a, b := x.group(p.a), x.group(p.b)
		if p.kind == orderSeparate && (a == c && b == d || a == d && b == c) {
			found = append(found, int32(i))
		}
	}
	return found
}

func (x *Explainer) separated(pairs []int32) Obstacle {
	o := Obstacle{Kind: BySeparate}
	for _, i := range pairs {
		p := &x.w.pairs[i]
		note, a, b := noteOf(&p.order), x.named(p.a), x.named(p.b)
		note.With, note.State = &b, "in force: never one customer"
		o.At = &a
		o.Directives = append(o.Directives, note)
	}
	o.Says = separatedSays(&o)
	return o
}

// held counts the identifiers of customers by namespace and domain, as the build does: retired ones do not count, and those
// that links tie together count once.
func (x *Explainer) held(customers ...int32) map[holding]map[int32]bool {
	held := map[holding]map[int32]bool{}
	for i := range x.w.nodes {
		n := &x.w.nodes[i]
		if n.apart() || !slices.Contains(customers, n.oldCustomer) || n.tie != none && x.w.replaced(int32(i)) {
			continue
		}
		one := int32(i)
		if n.tie != none {
			one = x.w.boundTo(one)
		}
		kind := holding{space: n.space, domain: x.w.domainOf(n.domain)}
		if held[kind] == nil {
			held[kind] = map[int32]bool{}
		}
		held[kind][one] = true
	}
	return held
}

// limits says which "at most" two customers together would break.
func (x *Explainer) limits(e *edge, c, d int32) (out []Count) {
	one, two, both := x.held(c), x.held(d), x.held(c, d)
	for i := range x.w.nodes {
		n := &x.w.nodes[i]
		if n.oldCustomer != c {
			continue
		}
		kind := holding{space: n.space, domain: x.w.domainOf(n.domain)}
		s := &x.w.g.spaces[n.space]
		limit := s.AtMost
		if x.w.class(e.other) == Anchor && s.StoreScoped && s.Class == Anchor {
			limit = max(limit, x.w.g.rules.StoreCodesTied)
		}
		of := kindText(interaction.Named{Namespace: s.Name, Domain: string(n.domain)})
		broken := s.AtMost >= 0 && len(one[kind]) > 0 && len(two[kind]) > 0 && len(both[kind]) > limit
		if broken && !slices.ContainsFunc(out, func(c Count) bool { return c.Of == of }) {
			out = append(out, count(of, len(both[kind]), limit))
		}
	}
	slices.SortFunc(out, func(a, b Count) int { return cmp.Compare(a.Of, b.Of) })
	return out
}

// claims says what two customers both hold so that no device joins them: anchors, or contacts of one namespace.
func (x *Explainer) claims(c, d int32) (out []Count) {
	anchors := map[int32]int{}
	contacts := map[int16]map[int32]int{}
	for i := range x.w.nodes {
		n := &x.w.nodes[i]
		if n.oldCustomer != c && n.oldCustomer != d {
			continue
		}
		switch x.w.class(int32(i)) {
		case Anchor:
			anchors[n.oldCustomer]++
		case Contact:
			if contacts[n.space] == nil {
				contacts[n.space] = map[int32]int{}
			}
			contacts[n.space][n.oldCustomer]++
		}
	}
	if len(anchors) == 2 {
		out = append(out, count("anchors", anchors[c]+anchors[d], None))
	}
	for space := range x.w.g.spaces {
		if by := contacts[int16(space)]; len(by) == 2 {
			out = append(out, count(x.w.g.spaces[space].Name, by[c]+by[d], None))
		}
	}
	return out
}

// capped hints at evidence that the component cap left out: it left no trace but a reject.
func (x *Explainer) capped(n, m int32) *Obstacle {
	size, limit := 0, x.w.g.rules.ComponentLimit
	for i, end := range [2]int32{n, m} {
		if f := x.w.nodes[end].fresh; f == none {
			size++
		} else if i == 0 || f != x.w.nodes[n].fresh {
			size += len(x.w.fresh[f].members)
		}
	}
	if size <= limit {
		return nil
	}
	o := Obstacle{Kind: ByCap, Counts: []Count{count("identifiers", size, limit)}}
	o.Says = cappedSays(&o)
	return &o
}
