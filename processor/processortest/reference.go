package processortest

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"
)

// graph is identity.md sections 3 to 5 once more, without rows, counts or memory, and without a line of the code under test:
// whatever an event touches is worked out anew from the whole evidence around it. The component cap and links are not part of
// it; what the people of a world say stays far from the one, and holds none of the others.
type graph struct {
	key   []byte
	first map[node]int64
	edges map[node]map[node]*edge // both directions, one edge
}

// node is an identifier.
type node struct{ realm, namespace, domain, value string }

// edge is evidence between a root and another identifier.
type edge struct {
	root, other node
	at          int64
}

type class int

const (
	anchor class = iota
	contact
	device
)

// space is one row of the table of identity.md section 2; unlimited stands for its dash.
type space struct {
	rank                          int
	class                         class
	atMost                        int
	sharedAnchors, sharedContacts int
	storeScoped                   bool
}

const unlimited = 1 << 30

var spaces = map[string]space{
	"member_id":    {10, anchor, 1, 5, 10, false},
	"user":         {20, anchor, 1, 5, 10, true},
	"document":     {30, anchor, 1, 5, 10, false},
	"tax_id":       {35, anchor, 1, 5, 10, false},
	"email":        {40, contact, 5, 3, unlimited, false},
	"phone":        {50, contact, 5, 3, 5, false},
	"device_id":    {60, device, 50, 1, 3, false},
	"anonymous_id": {70, device, 200, 1, 3, false},
}

// The limits of identity.md section 4.
const (
	anchorsInAll   = 8
	storeCodesTied = 5
	customerLimit  = 500
)

func newGraph(key string) *graph {
	return &graph{key: []byte(key), first: map[node]int64{}, edges: map[node]map[node]*edge{}}
}

func (n node) space() space { return spaces[n.namespace] }

func (n node) bytes() string {
	return n.realm + "\x1f" + n.namespace + "\x1f" + n.domain + "\x1f" + n.value
}

// text is the key in its text form. The people of a world use no character that has to be encoded.
func (n node) text() string {
	return n.realm + "|" + n.namespace + "|" + n.domain + "|" + n.value
}

// byRank is the order of identity.md 3.3.
func byRank(a, b node) int {
	return cmp.Or(cmp.Compare(a.space().rank, b.space().rank), strings.Compare(a.domain, b.domain), strings.Compare(a.value, b.value))
}

// tell adds the evidence of one interaction, whose identifiers are in the order of 3.3.
func (g *graph) tell(nodes []node, at int64) {
	for _, n := range nodes {
		if was, ok := g.first[n]; !ok || at < was {
			g.first[n] = at
		}
		if g.edges[n] == nil {
			g.edges[n] = map[node]*edge{}
		}
	}
	for i := 1; i < len(nodes); i++ {
		root, other := nodes[0], nodes[i]
		e := g.edges[root][other]
		if e == nil {
			e = &edge{root, other, at}
			g.edges[root][other], g.edges[other][root] = e, e
		}
		e.at = min(e.at, at)
	}
}

// around is what can have to do with a node: everything that any edge leads to.
func (g *graph) around(start node) map[node]bool {
	found, todo := map[node]bool{start: true}, []node{start}
	for len(todo) > 0 {
		n := todo[0]
		todo = todo[1:]
		for other := range g.edges[n] {
			if !found[other] {
				found[other] = true
				todo = append(todo, other)
			}
		}
	}
	return found
}

// solution is who is who among some nodes.
type solution struct {
	graph    *graph
	shared   map[node]bool
	customer map[node]string
	members  map[string][]node
}

// solve works out the customers of a closed set of nodes.
func (g *graph) solve(nodes map[node]bool) *solution {
	s := &solution{graph: g, shared: map[node]bool{}, customer: map[node]string{}, members: map[string][]node{}}
	for _, anchors := range []bool{false, true} { // an anchor's sharing asks that of contacts
		for n := range nodes {
			if (n.space().class == anchor) == anchors && s.isShared(n) {
				s.shared[n] = true
			}
		}
	}
	s.build(nodes)
	return s
}

func (s *solution) isShared(n node) bool {
	sp := n.space()
	byDomain, byContact, anchors := map[[2]string]int{}, map[string]int{}, 0
	for other := range s.graph.edges[n] {
		switch other.space().class {
		case anchor:
			byDomain[[2]string{other.namespace, other.domain}]++
			anchors++
		case contact:
			if sp.class == anchor && !s.shared[other] || sp.class != anchor && other.space().rank < sp.rank {
				byContact[other.namespace]++
			}
		}
	}
	for _, count := range byDomain {
		if count > sp.sharedAnchors {
			return true
		}
	}
	for _, count := range byContact {
		if count > sp.sharedContacts {
			return true
		}
	}
	return sp.class != anchor && anchors > anchorsInAll
}

// build joins groups edge by edge, strongest first.
func (s *solution) build(nodes map[node]bool) {
	group, members := map[node]node{}, map[node][]node{}
	var order []*edge
	for n := range nodes {
		group[n], members[n] = n, []node{n}
		for other, e := range s.graph.edges[n] {
			if e.root == n && !s.shared[n] && !s.shared[other] {
				order = append(order, e)
			}
		}
	}
	slices.SortFunc(order, func(a, b *edge) int {
		return cmp.Or(cmp.Compare(a.other.space().class, b.other.space().class), cmp.Compare(a.other.space().rank, b.other.space().rank),
			cmp.Compare(a.root.space().rank, b.root.space().rank), cmp.Compare(a.at, b.at),
			strings.Compare(a.root.bytes(), b.root.bytes()), strings.Compare(a.other.bytes(), b.other.bytes()))
	})
	for _, e := range order {
		a, b := group[e.root], group[e.other]
		if a == b || !mayJoin(e.other.space().class, members[a], members[b]) {
			continue
		}
		for _, n := range members[b] {
			group[n] = a
		}
		members[a] = append(members[a], members[b]...)
		delete(members, b)
	}
	for _, list := range members {
		id := s.graph.id(s.graph.founder(list))
		s.members[id] = list
		for _, n := range list {
			s.customer[n] = id
		}
	}
}

// mayJoin is identity.md 4.5 without links.
func mayJoin(weaker class, x, y []node) bool {
	if weaker == device {
		anchors := func(n node) bool { return n.space().class == anchor }
		if slices.ContainsFunc(x, anchors) && slices.ContainsFunc(y, anchors) {
			return false
		}
		for _, n := range x {
			if n.space().class == contact && slices.ContainsFunc(y, func(o node) bool { return o.namespace == n.namespace }) {
				return false
			}
		}
	}
	for k, n := range counted(x) {
		m := counted(y)[k]
		limit := spaces[k[0]].atMost
		if sp := spaces[k[0]]; weaker == anchor && sp.class == anchor && sp.storeScoped {
			limit = max(limit, storeCodesTied)
		}
		if m > 0 && n+m > limit {
			return false
		}
	}
	return len(x)+len(y) <= customerLimit
}

func counted(list []node) map[[2]string]int {
	m := map[[2]string]int{}
	for _, n := range list {
		m[[2]string{n.namespace, n.domain}]++
	}
	return m
}

// founder is the least by class, first_seen, rank, domain and value.
func (g *graph) founder(list []node) node {
	return slices.MinFunc(list, func(a, b node) int {
		return cmp.Or(cmp.Compare(a.space().class, b.space().class), cmp.Compare(g.first[a], g.first[b]), byRank(a, b))
	})
}

func (g *graph) id(founder node) string {
	mac := hmac.New(sha256.New, g.key)
	mac.Write([]byte(founder.bytes()))
	return "c" + strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)))[:25]
}

// event is the customer and the status of an event with these identifiers, at this moment.
func (g *graph) event(nodes []node) (customer, status string) {
	if len(nodes) == 0 {
		return "", "unidentified"
	}
	set := map[node]bool{}
	for _, n := range nodes {
		maps.Copy(set, g.around(n))
	}
	s := g.solve(set)
	at := slices.IndexFunc(nodes, func(n node) bool { return !s.shared[n] })
	if at < 0 {
		return s.customer[nodes[0]], "shared"
	}
	customer = s.customer[nodes[at]]
	if slices.ContainsFunc(s.members[customer], func(n node) bool { return n.space().class != device }) {
		return customer, "known"
	}
	return customer, "anonymous"
}

// all is the final map, identifier to customer.
func (g *graph) all() map[string]string {
	set := map[node]bool{}
	for n := range g.first {
		set[n] = true
	}
	m := map[string]string{}
	for n, id := range g.solve(set).customer {
		m[n.text()] = id
	}
	return m
}
