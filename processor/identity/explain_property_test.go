package identity

import (
	"testing"

	"pgregory.net/rapid"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Whatever happened: every pair of identifiers of one customer has a chain of ties that joined, from the one to the other;
// of every other pair that evidence connects something is named that stands in the way; and what the build refused is
// named with its reason.
func TestEveryPairIsExplained(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		w := newWorld(t, rules)
		spaces := drawSpaces(t, w.graph)
		for range rapid.IntRange(1, 14).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "directive") > 0 {
				w.tell(drawEvidence(t, w.graph, spaces))
				continue
			}
			if o := drawOrder(t, w, spaces, rapid.Bool().Draw(t, "erase")); !o.A.IsZero() || w.living(o.CustomerID) {
				w.direct(o)
			}
		}
		var keys []interaction.Key
		for _, k := range w.mem.keys(table.Identifiers, append([]byte("default"), interaction.Sep)) {
			key, err := interaction.ParseKeyBytes([]byte(k))
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		m := gather(t, w.mem)
		for _, a := range keys {
			for _, b := range keys {
				explained(t, w, m, a, b)
			}
		}
	})
}

// ground is the stored evidence between customers, gathered in a plain way.
type ground struct {
	refused map[[2]interaction.Key]Refusal
	across  map[interaction.CustomerID]map[interaction.CustomerID]bool // customers between which there is evidence
	of      map[interaction.Key]interaction.CustomerID
}

func gather(t *rapid.T, mem *memory) *ground {
	g := &ground{map[[2]interaction.Key]Refusal{}, map[interaction.CustomerID]map[interaction.CustomerID]bool{}, map[interaction.Key]interaction.CustomerID{}}
	var pairs [][2]interaction.Key
	for _, id := range mem.keys(table.Components, nil) {
		var row componentRow
		if err := row.decode(mem.tables[table.Components][id]); err != nil {
			t.Fatal(err)
		}
		key := func(i int32) interaction.Key {
			m := &row.members[i]
			return interaction.Key{Realm: string(row.realm), Namespace: string(m.namespace), Domain: string(m.domain), Value: string(m.value)}
		}
		for i := range row.members {
			g.of[key(int32(i))] = row.customers[row.members[i].customer].id.text()
		}
		for _, e := range row.edges {
			if e.refused != NotRefused {
				pairs = append(pairs, [2]interaction.Key{key(e.root), key(e.other)})
				g.refused[pairs[len(pairs)-1]] = e.refused
			}
		}
	}
	for _, k := range mem.keys(table.Identifiers, nil) {
		if key, err := interaction.ParseKeyBytes([]byte(k)); err == nil && g.of[key] == "" {
			g.of[key] = interaction.CustomerID("apart " + k)
		}
	}
	for k := range g.of {
		prefix := appendEdgePrefix(nil, k.AppendBytes(nil), edgeInactive)
		for _, row := range mem.keys(table.Edges, prefix) {
			other, err := interaction.ParseKeyBytes([]byte(row[len(prefix):]))
			if err != nil {
				t.Fatal(err)
			}
			pairs = append(pairs, [2]interaction.Key{k, other})
		}
	}
	for _, p := range pairs {
		for _, way := range [2][2]interaction.Key{p, {p[1], p[0]}} {
			from, to := g.of[way[0]], g.of[way[1]]
			if g.across[from] == nil {
				g.across[from] = map[interaction.CustomerID]bool{}
			}
			g.across[from][to] = true
		}
	}
	return g
}

// apartBy is over how many ties that do not join one customer is reached from another; more than MaxCrossings: not.
func (g *ground) apartBy(a, b interaction.CustomerID) int {
	at := map[interaction.CustomerID]bool{a: true}
	for n := range MaxCrossings {
		next := map[interaction.CustomerID]bool{}
		for c := range at {
			for d := range g.across[c] {
				next[d] = true
			}
		}
		if at = next; at[b] {
			return n + 1
		}
	}
	return MaxCrossings + 1
}

func explained(t *rapid.T, w *world, g *ground, a, b interaction.Key) {
	x := w.graph.Explain(w.mem, "default")
	why, err := x.Why(a.Named(), b.Named())
	if err != nil {
		t.Fatalf("why %s %s: %v", a, b, err)
	}
	not, err := x.WhyNot(a.Named(), b.Named())
	if err != nil {
		t.Fatalf("why-not %s %s: %v", a, b, err)
	}
	if same := g.of[a] == g.of[b]; why.Together != same || not.Together != same {
		t.Fatalf("%s and %s: one customer %t, why says %t, why-not says %t", a, b, same, why.Together, not.Together)
	}
	if why.Together {
		for _, tie := range why.Chain {
			if tie.Status != TieJoined {
				t.Fatalf("why %s %s: a tie of the chain is %s", a, b, tie.Status)
			}
		}
		connects(t, a.Named(), b.Named(), why.Chain)
		return
	}
	for _, r := range not.Routes {
		connects(t, a.Named(), b.Named(), r.Ties)
		if len(r.Obstacles) == 0 {
			t.Fatalf("why-not %s %s: a way without an obstacle: %v", a, b, r.Ties)
		}
		for _, o := range r.Obstacles {
			founded(t, &o)
		}
	}
	if n := g.apartBy(g.of[a], g.of[b]); n <= MaxCrossings && len(not.Routes) == 0 {
		t.Fatalf("why-not %s %s: no way, but there is one over %d ties that do not join", a, b, n)
	}
	if refusal := g.refused[[2]interaction.Key{a, b}]; refusal != NotRefused {
		named := false
		for _, o := range not.Reasons {
			named = named || string(o.Kind) == refusal.String()
		}
		if !named {
			t.Fatalf("why-not %s %s: the tie was refused for %s, the reasons are %v", a, b, refusal, not.Reasons)
		}
	}
}

// connects fails unless the ties lead from a to b, one after the other.
func connects(t *rapid.T, a, b interaction.Named, ties []Tie) {
	at := a
	for _, tie := range ties {
		switch at {
		case tie.Root:
			at = tie.Other
		case tie.Other:
			at = tie.Root
		default:
			t.Fatalf("from %s to %s: the tie %s -- %s begins somewhere else than at %s", a, b, tie.Root, tie.Other, at)
		}
	}
	if at != b {
		t.Fatalf("from %s to %s: the ties end at %s", a, b, at)
	}
}

// founded fails where an obstacle lacks what proves it.
func founded(t *rapid.T, o *Obstacle) {
	over := false
	for _, c := range o.Counts {
		over = over || c.Over
	}
	ok := o.Says != ""
	switch o.Kind {
	case ByShared:
		ok = ok && o.At != nil && over
	case ByLimit, BySize:
		ok = ok && over && len(o.Customers) == 2
	case ByDevice:
		ok = ok && len(o.Counts) > 0
	case BySeparate, ByRetracted:
		ok = ok && len(o.Directives) > 0
	}
	if !ok {
		t.Fatalf("obstacle without its proof: %+v", *o)
	}
}
