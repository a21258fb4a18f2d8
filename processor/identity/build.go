package identity

import (
	"cmp"
	"math/bits"
	"slices"
)

// group is a customer in the making. Groups are merged, never taken apart: the order of the edges decides.
type group struct {
	size     int32
	anchor   bool      // holds an anchor
	contacts uint64    // namespaces of its contacts
	held     []holding // by (space, domain)
	bound    []holding // those of its members that links tie to others, n standing for these: each counts once in held
	customer int32
}

// holding is how many identifiers of one namespace and domain a group has.
type holding struct {
	space  int16
	domain int32
	n      int32
}

// strength is the order of the edges, strongest first (identity.md 4.4).
func (w *work) strength(a, b int32) int {
	x, y := &w.edges[a], &w.edges[b]
	if (x.slot != 0) != (y.slot != 0) {
		if x.slot != 0 {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(w.class(x.other), w.class(y.other)); c != 0 {
		return c
	}
	if x.verified != y.verified {
		if x.verified {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(w.nodes[x.other].space, w.nodes[y.other].space); c != 0 {
		return c
	}
	if c := cmp.Compare(w.nodes[x.root].space, w.nodes[y.root].space); c != 0 {
		return c
	}
	if c := cmp.Compare(x.firstSeen, y.firstSeen); c != 0 {
		return c
	}
	if c := w.compareBytes(x.root, y.root); c != 0 {
		return c
	}
	return w.compareBytes(x.other, y.other)
}

// build makes the groups of one component: its edges, in their order, join what the rules allow (identity.md 4.5).
// Afterwards top finds the node that stands for a member's group.
func (w *work) build(members, edges []int32) {
	w.groups = w.groups[:0]
	directed := slices.ContainsFunc(members, func(m int32) bool { return w.nodes[m].tie != none })
	w.separates = w.separates[:0]
	if directed {
		w.bind()
	}
	for i, m := range members {
		n := &w.nodes[m]
		n.parent, n.slot = m, int32(i)
		if n.domainNumber == none {
			n.domainNumber = w.domainOf(n.domain)
		}
		g := group{size: 1, customer: none}
		if n.tie == none || !w.replaced(m) {
			g.held = []holding{{n.space, n.domainNumber, 1}}
			if n.tie != none {
				g.bound = []holding{{n.space, n.domainNumber, w.boundTo(m)}}
			}
		}
		switch w.class(m) {
		case Anchor:
			g.anchor = true
		case Contact:
			g.contacts = 1 << n.space
		}
		w.groups = append(w.groups, g)
	}
	slices.SortFunc(edges, w.strength)
	for _, i := range edges {
		e := &w.edges[i]
		a, b := w.top(e.root), w.top(e.other)
		if e.refused = NotRefused; a == b {
			continue
		}
		x, y := &w.groups[w.nodes[a].slot], &w.groups[w.nodes[b].slot]
		if e.refused = w.refuse(e, x, y); len(w.separates) > 0 && w.separated(a, b) {
			e.refused = RefusedSeparate
		}
		if e.refused != NotRefused {
			continue
		}
		if x.size < y.size {
			a, b, x, y = b, a, y, x
		}
		w.nodes[b].parent = a
		x.join(y)
	}
}

// refuse says why the rules do not let an edge join two groups, in the order of the reasons.
func (w *work) refuse(e *edge, x, y *group) Refusal {
	other := w.class(e.other)
	if other == Device && e.slot == 0 && !w.g.rules.DevicesJoinKnown && (x.anchor && y.anchor || x.contacts&y.contacts != 0) {
		return RefusedDevice
	}
	anchors := other == Anchor // the weaker end is: both are
	for i, j := 0, 0; i < len(x.held) && j < len(y.held); {
		a, b := x.held[i], y.held[j]
		if c := a.compare(b); c < 0 {
			i++
			continue
		} else if c > 0 {
			j++
			continue
		}
		s := &w.g.spaces[a.space]
		limit := s.AtMost
		if anchors && s.StoreScoped && s.Class == Anchor {
			limit = max(limit, w.g.rules.StoreCodesTied)
		}
		if s.AtMost >= 0 && int(a.n+b.n-x.common(y, a)) > limit {
			return RefusedLimit
		}
		i, j = i+1, j+1
	}
	if int(x.size+y.size) > w.g.rules.CustomerLimit {
		return RefusedSize
	}
	return NotRefused
}

func (a holding) compare(b holding) int {
	if c := cmp.Compare(a.space, b.space); c != 0 {
		return c
	}
	return cmp.Compare(a.domain, b.domain)
}

func (g *group) join(o *group) {
	g.size += o.size
	g.anchor = g.anchor || o.anchor
	g.contacts |= o.contacts
	for _, h := range o.held {
		i, found := slices.BinarySearchFunc(g.held, h, holding.compare)
		if found {
			g.held[i].n += h.n - g.common(o, h)
		} else {
			g.held = slices.Insert(g.held, i, h)
		}
	}
	for _, h := range o.bound {
		if !slices.Contains(g.bound, h) {
			g.bound = append(g.bound, h)
		}
	}
}

// common is how many of the kind of h two groups hold both, since links tie them together.
func (g *group) common(o *group, h holding) (n int32) {
	for _, a := range g.bound {
		if a.compare(h) == 0 && slices.Contains(o.bound, a) {
			n++
		}
	}
	return n
}

func (w *work) top(n int32) int32 {
	for w.nodes[n].parent != n {
		up := w.nodes[n].parent
		w.nodes[n].parent = w.nodes[up].parent
		n = up
	}
	return n
}

// fits reports whether the component of n is within the limit (identity.md 4.7).
func (w *work) fits(n int32) bool {
	limit := w.g.rules.ComponentLimit
	if len(w.nodes) <= limit {
		return true
	}
	return len(w.reach(n, limit+1)) <= limit
}

// reach returns the nodes of the component of n, n first; it stops at the given number.
func (w *work) reach(n int32, stop int) []int32 {
	words := (len(w.nodes) + bits.UintSize - 1) / bits.UintSize
	seen := make([]uint, words)
	mark := func(i int32) bool {
		word, bit := &seen[i/bits.UintSize], uint(1)<<(i%bits.UintSize)
		if *word&bit != 0 {
			return false
		}
		*word |= bit
		return true
	}
	mark(n)
	found := append(w.order[:0], n)
	for at := 0; at < len(found) && len(found) < stop; at++ {
		for i := w.nodes[found[at]].edges; i != none && len(found) < stop; {
			e := &w.edges[i]
			next, end := e.next(found[at])
			i = next
			if w.active(e) && mark(end) {
				found = append(found, end)
			}
		}
	}
	w.order = found
	return found
}
