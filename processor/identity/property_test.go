package identity

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// drawRules draws rules with limits so low that few events reach them.
func drawRules(t *rapid.T) Rules {
	r := defaults()
	low := func(label string, from, to int) int {
		if n := rapid.IntRange(from-1, to+2).Draw(t, label); n >= from {
			return min(n, to)
		}
		return None
	}
	for i := range r.Namespaces {
		s := &r.Namespaces[i]
		s.SharedAnchors = low("shared anchors of "+s.Name, 1, 3)
		s.AtMost = low("at most of "+s.Name, 1, 3)
		if s.SharedContacts != None {
			s.SharedContacts = low("shared contacts of "+s.Name, 1, 4)
		}
	}
	r.AnchorsInAll = low("anchors in all", 2, 5)
	r.StoreCodesTied = rapid.IntRange(1, 3).Draw(t, "store codes tied")
	r.DevicesJoinKnown = rapid.Bool().Draw(t, "devices join known")
	r.CustomerLimit = rapid.SampledFrom([]int{3, 5, 500}).Draw(t, "customer limit")
	return r
}

var people = []string{"Ñandú-01", "João-02", "Iñaki-03", "Conceição-04"}

// drawSpaces draws the namespaces of a world: few in most, so that the same two identifiers meet again.
func drawSpaces(t *rapid.T, g *Graph) []Namespace {
	return rapid.SampledFrom([][]Namespace{
		g.spaces, g.spaces[1:6], {g.spaces[0], g.spaces[1], g.spaces[4]}, {g.spaces[1], g.spaces[4], g.spaces[5]},
		{g.spaces[1], g.spaces[4], g.spaces[6]}, {g.spaces[1], g.spaces[4]}, {g.spaces[0], g.spaces[5]},
	}).Draw(t, "namespaces")
}

// drawEvidence draws an interaction of one of few people in one of few shops, at one of few times.
func drawEvidence(t *rapid.T, g *Graph, spaces []Namespace) Evidence {
	n := rapid.IntRange(0, 4).Draw(t, "identifiers")
	e := Evidence{
		Realm:  rapid.SampledFrom([]string{"default", "default", "default", "default", "default", "default", "otro"}).Draw(t, "realm"),
		At:     1767225600000 + 60000*rapid.Int64Range(0, 3).Draw(t, "minute"),
		Source: rapid.SampledFrom([]string{"caja", "web"}).Draw(t, "source"), SourceEventID: fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "event")),
	}
	for range n {
		s := rapid.SampledFrom(spaces).Draw(t, "namespace")
		id := interaction.Identifier{
			Namespace: s.Name, Value: rapid.SampledFrom(people).Draw(t, "value"), Verified: rapid.IntRange(0, 3).Draw(t, "verified") == 0,
		}
		if s.StoreScoped {
			id.Domain = rapid.SampledFrom([]string{"S01", "S02", ""}).Draw(t, "store")
		}
		twice := slices.ContainsFunc(e.Identifiers, func(o interaction.Identifier) bool {
			return o.Namespace == id.Namespace && (o.Value == id.Value && o.Domain == id.Domain || s.Class == Anchor && o.Domain == id.Domain)
		})
		if !twice {
			e.Identifiers = append(e.Identifiers, id)
		}
	}
	e.Identifiers = g.sorted(e.Identifiers)
	return e
}

// drawOrder draws a directive about the people of drawEvidence.
func drawOrder(t *rapid.T, w *world, spaces []Namespace, erase bool) Order {
	d := Order{
		Realm: "default", IssuedAt: 1767225600000 + 60000*rapid.Int64Range(0, 3).Draw(t, "issued"),
		ID: fmt.Sprint("d", rapid.IntRange(0, 3).Draw(t, "id")),
	}
	key := func() interaction.Key {
		s := rapid.SampledFrom(spaces).Draw(t, "namespace")
		k := interaction.Key{Realm: d.Realm, Namespace: s.Name, Value: rapid.SampledFrom(people).Draw(t, "value")}
		if s.StoreScoped {
			k.Domain = rapid.SampledFrom([]string{"S01", "S02", ""}).Draw(t, "store")
		}
		return k
	}
	kinds := interaction.DirectiveKinds
	if !erase {
		kinds = kinds[:len(kinds)-1]
	}
	d.Kind = rapid.SampledFrom(kinds).Draw(t, "kind")
	d.A = key()
	switch d.Kind {
	case interaction.DirectiveLink, interaction.DirectiveSeparate:
		d.B = key()
	case interaction.DirectiveReplace:
		d.B = d.A
		d.B.Value = rapid.SampledFrom(people).Draw(t, "value")
	case interaction.DirectiveRestore:
		if rapid.Bool().Draw(t, "pair") {
			d.B = key()
		}
	case interaction.DirectiveErase:
		d.Scope = rapid.SampledFrom([]interaction.Scope{interaction.ScopeIdentifier, interaction.ScopeCustomer}).Draw(t, "scope")
		if ids := slices.Sorted(maps.Keys(w.last)); len(ids) > 0 && rapid.Bool().Draw(t, "by customer") {
			if id := rapid.SampledFrom(ids).Draw(t, "customer"); w.living(id) {
				d.A, d.Scope, d.CustomerID = interaction.Key{}, "", id
			}
		}
	}
	if !d.B.IsZero() && d.A == d.B {
		d.Kind, d.B = interaction.DirectiveRetract, interaction.Key{}
	}
	return d
}

// compare holds a world against the oracle: map, status, refused edges, pointers and all that is stored.
func compare(t tester, w *world, o *oracle, ever map[interaction.CustomerID]interaction.Key) {
	t.Helper()
	want, got := map[string]interaction.CustomerID{}, map[string]interaction.CustomerID{}
	var wantShared, wantRetracted []string
	for k, c := range o.customer {
		want[k.String()] = c
		if o.retracted(k) {
			wantRetracted = append(wantRetracted, k.String())
		} else if o.shared[k] {
			wantShared = append(wantShared, k.String())
		}
		if id := o.id(k); c == id {
			ever[id] = k
		}
	}
	founded := map[interaction.CustomerID]interaction.Key{}
	for id, k := range ever {
		if o.occurred(k) {
			founded[id] = k
		}
	}
	slices.Sort(wantShared)
	slices.Sort(wantRetracted)
	pointers := map[string]interaction.CustomerID{}
	for k, r := range w.rows {
		if r.Status == interaction.MapEnded {
			pointers[k] = r.CustomerID
		} else {
			got[k] = r.CustomerID
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("map (-oracle +graph):\n%s", d)
	}
	if d := cmp.Diff(append([]string{}, wantShared...), w.withStatus(interaction.MapShared)); d != "" {
		t.Fatalf("shared (-oracle +graph):\n%s", d)
	}
	if d := cmp.Diff(append([]string{}, wantRetracted...), w.withStatus(interaction.MapRetracted)); d != "" {
		t.Fatalf("retracted (-oracle +graph):\n%s", d)
	}
	wantPointers := map[string]interaction.CustomerID{}
	for id, founder := range founded {
		if o.customer[founder] != id {
			wantPointers[interaction.PointerKey(founder.Realm, id).String()] = o.customer[founder]
		}
	}
	if d := cmp.Diff(wantPointers, pointers); d != "" {
		t.Fatalf("pointers (-oracle +graph):\n%s", d)
	}
	var wantFounders, gotFounders []string
	for id, founder := range founded {
		wantFounders = append(wantFounders, string(id)+" "+founder.String())
	}
	for _, id := range w.mem.keys(table.Founders, nil) {
		key, err := decodeFounder(w.mem.tables[table.Founders][id])
		if err != nil {
			t.Fatal(err)
		}
		k, err := interaction.ParseKeyBytes(key)
		if err != nil {
			t.Fatal(err)
		}
		gotFounders = append(gotFounders, id+" "+k.String())
	}
	slices.Sort(wantFounders)
	slices.Sort(gotFounders)
	if d := cmp.Diff(wantFounders, gotFounders); d != "" {
		t.Fatalf("founders (-oracle +graph):\n%s", d)
	}
	if d := cmp.Diff(wantState(o), readState(t, w.mem)); d != "" {
		t.Fatalf("stored (-oracle +graph):\n%s", d)
	}
}

// state is what the rows say, without versions and component ids: all of it follows from the evidence.
type state struct {
	First      map[string]int64
	Edges      map[string]string
	Counts     map[string]int32 // shared identifiers' count rows, members' counts
	Anchors    map[string]int32 // of shared identifiers
	Over       map[string]int32
	Components []string
}

func newState() state {
	return state{map[string]int64{}, map[string]string{}, map[string]int32{}, map[string]int32{}, map[string]int32{}, nil}
}

func edgeText(at int64, source, id string, verified bool, r Refusal) string {
	return fmt.Sprint(at, " ", source, " ", id, " ", verified, " ", r)
}

func wantState(o *oracle) state {
	s := newState()
	ties := o.ties(o.inForce)
	put := func(k interaction.Key, kinds map[[2]string]int, sign int) (anchors int) {
		for kind, n := range kinds {
			s.Counts[k.String()+" "+kind[0]+" "+kind[1]] += int32(sign * n)
			if o.spaces[kind[0]].Class == Anchor {
				anchors += n
			}
		}
		return anchors
	}
	for k, at := range o.first {
		s.First[k.String()] = at
		kinds, anchors := o.counts(k, o.neighbours(k), ties)
		sum := put(k, kinds, 1)
		if o.apart(k) {
			s.Anchors[k.String()], s.Over[k.String()] = int32(anchors), 0
			for kind, n := range kinds {
				if limit := o.limit(k, kind[0]); limit != None && n > limit {
					s.Over[k.String()]++
				}
			}
			continue
		}
		var active []interaction.Key
		for _, n := range o.neighbours(k) {
			if !o.apart(n) {
				active = append(active, n)
			}
		}
		own, ownAnchors := o.counts(k, active, ties)
		s.Counts[k.String()+"  "] = int32(sum - anchors - (put(k, own, -1) - ownAnchors))
		var names []string
		for n := range o.component(k) {
			names = append(names, n.String())
		}
		slices.Sort(names)
		s.Components = append(s.Components, fmt.Sprint(names))
	}
	maps.DeleteFunc(s.Counts, func(_ string, n int32) bool { return n == 0 })
	for pair, e := range o.edges {
		s.Edges[pair[0].String()+" "+pair[1].String()] = edgeText(e.at, e.source, e.eventID, e.verified, o.refused[pair])
	}
	slices.Sort(s.Components)
	s.Components = slices.Compact(s.Components)
	return s
}

func readState(t tester, m *memory) state {
	t.Helper()
	s := newState()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	home := map[string]componentID{}
	for _, k := range m.keys(table.Identifiers, nil) {
		key, err := interaction.ParseKeyBytes([]byte(k))
		check(err)
		id, own, member, err := decodeIdentifier(m.tables[table.Identifiers][k])
		check(err)
		if member {
			home[key.String()] = id
			continue
		}
		s.First[key.String()], s.Anchors[key.String()], s.Over[key.String()] = own.firstSeen, own.anchors, own.over
	}
	for _, k := range m.keys(table.Components, nil) {
		var c componentRow
		value := m.tables[table.Components][k]
		check(c.decode(value))
		var names []string
		for _, d := range c.members {
			name := interaction.Key{Realm: string(c.realm), Namespace: string(d.namespace), Domain: string(d.domain), Value: string(d.value)}.String()
			names = append(names, name)
			if string(append([]byte(nil), idBytes(home[name])...)) != k {
				t.Fatalf("%s is a member of %x, its row says %x", name, k, home[name])
			}
			delete(home, name)
			s.First[name] = d.firstSeen
			for _, n := range d.counts {
				s.Counts[name+" "+string(n.namespace)+" "+string(n.domain)] += n.n
			}
		}
		for _, e := range c.edges {
			s.Edges[names[e.root]+" "+names[e.other]] = edgeText(e.firstSeen, string(e.source), string(e.eventID), e.verified, e.refused)
		}
		slices.Sort(names)
		s.Components = append(s.Components, fmt.Sprint(names))
	}
	if len(home) > 0 {
		t.Fatalf("identifiers whose component lacks them: %v", slices.Sorted(maps.Keys(home)))
	}
	readEdges(t, m, &s)
	slices.Sort(s.Components)
	return s
}

func idBytes(id componentID) []byte { return id[:] }

func readEdges(t tester, m *memory, s *state) {
	t.Helper()
	mirrors := 0
	for _, k := range m.keys(table.Edges, nil) {
		value := m.tables[table.Edges][k]
		r := reader{b: []byte(k)}
		a, err := interaction.ParseKeyBytes(r.str())
		if err != nil {
			t.Fatal(err)
		}
		if r.byte() == edgeCount {
			n, err := decodeCount(value)
			if err != nil {
				t.Fatal(err)
			}
			var space, domain string
			fmt.Sscanf(string(r.b), "%s", &space)
			for i, c := range string(r.b) {
				if c == interaction.Sep {
					space, domain = string(r.b[:i]), string(r.b[i+1:])
				}
			}
			s.Counts[a.String()+" "+space+" "+domain] = n
			continue
		}
		b, err := interaction.ParseKeyBytes(r.b)
		if err != nil {
			t.Fatal(err)
		}
		if len(value) == 1 {
			mirrors++
			continue
		}
		mirrors--
		e, err := decodeInactive(value)
		if err != nil {
			t.Fatal(err)
		}
		s.Edges[a.String()+" "+b.String()] = edgeText(e.firstSeen, string(e.source), string(e.eventID), e.verified, NotRefused)
	}
	if mirrors != 0 {
		t.Fatalf("%d inactive edges more in one direction than in the other", mirrors)
	}
}

// TestGraphAgreesWithTheWholeEvidenceAtEveryStep compares the incremental graph with the oracle after each event.
func TestGraphAgreesWithTheWholeEvidenceAtEveryStep(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		rules.ComponentLimit = rapid.SampledFrom([]int{3, 4, 6, 8, 2000}).Draw(rt, "component limit")
		w, o := newWorld(rt, rules), newOracle(rules)
		founded := map[interaction.CustomerID]interaction.Key{}
		spaces := drawSpaces(rt, w.graph)
		for range rapid.IntRange(1, 45).Draw(rt, "events") {
			if rapid.IntRange(0, 3).Draw(rt, "directive") == 0 {
				d := drawOrder(rt, w, spaces, true)
				w.direct(d)
				o.order(d)
				compare(rt, w, o, founded)
				continue
			}
			e := drawEvidence(rt, w.graph, spaces)
			res := w.tell(e)
			if len(e.Identifiers) == 0 {
				if res.Status != interaction.StatusUnidentified || res.CustomerID != "" || len(res.Rows) > 0 {
					rt.Fatalf("nothing usable: %+v", res)
				}
				continue
			}
			capped := o.tell(e)
			compare(rt, w, o, founded)
			id, status, ambiguous, outcomes := o.event(e, capped)
			if res.CustomerID != id || res.Status != status || res.Ambiguous != ambiguous || !slices.Equal(res.Outcomes, outcomes) {
				rt.Fatalf("event %v\ngraph  %s %s %v %v\noracle %s %s %v %v", e.Identifiers,
					res.CustomerID, res.Status, res.Ambiguous, res.Outcomes, id, status, ambiguous, outcomes)
			}
			if id != "" && res.CustomerVersion != w.last[id] {
				rt.Fatalf("event says version %d of %s, its last change %d", res.CustomerVersion, id, w.last[id])
			}
			if (res.Reject != nil) != (len(capped) > 0) {
				rt.Fatalf("reject %v, capped %v", res.Reject, capped)
			}
			if len(capped) == 0 {
				if again := w.tell(e); len(again.Rows)+len(again.Changes)+len(again.MapRows) > 0 {
					rt.Fatalf("the same event again writes %d rows", len(again.Rows))
				}
			}
		}
	})
}
