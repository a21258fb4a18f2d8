package identity

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// The laws of the graph, for random people, stores, kiosks, verified flags, late events and directives. Each takes less than a
// second;
//
//	go test ./processor/identity -run 'Order|Realms|Restored|Trace|Limits|Agrees' -rapid.checks=20000
//
// takes minutes. What must hold at every offset, that the folded changes give the map, world.fold checks in all of them.

// step is something that happens: evidence, or a directive.
type step struct {
	e *Evidence
	o *Order
}

func (w *world) take(s step) {
	if s.o != nil {
		w.direct(*s.o)
		return
	}
	w.tell(*s.e)
}

func (w *world) takeAll(steps []step) {
	for _, s := range steps {
		w.take(s)
	}
}

// drawSteps draws what happens, directives but erase included.
func drawSteps(t *rapid.T, w *world, spaces []Namespace, most int) (steps []step) {
	for range rapid.IntRange(1, most).Draw(t, "steps") {
		if rapid.IntRange(0, 5).Draw(t, "directive") == 0 {
			o := drawOrder(t, w, spaces, false)
			steps = append(steps, step{o: &o})
			continue
		}
		e := drawEvidence(t, w.graph, spaces)
		steps = append(steps, step{e: &e})
	}
	return steps
}

// insert puts more steps at drawn places; those keep their order.
func insert(t *rapid.T, steps []step, more ...step) []step {
	steps = slices.Clone(steps)
	at := 0
	for _, s := range more {
		at = rapid.IntRange(at, len(steps)).Draw(t, "place")
		steps = slices.Insert(steps, at, s)
		at++
	}
	return steps
}

// what is all that the same evidence must come to: map, status, refused edges and what is stored.
type what struct {
	Map               map[string]interaction.CustomerID
	Shared, Retracted []string
	Stored            state
}

func (w *world) what() what {
	w.t.Helper()
	return what{maps.Clone(w.folded), w.withStatus(interaction.MapShared), w.withStatus(interaction.MapRetracted), readState(w.t, w.mem)}
}

// TestOrderAndDuplicatesDoNotMatter tells the same steps in another order, some twice, by processes that begin anew at drawn places.
func TestOrderAndDuplicatesDoNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		a, b := newWorld(rt, rules), newWorld(rt, rules)
		steps := drawSteps(rt, a, drawSpaces(rt, a.graph), 60)
		a.takeAll(steps)
		again := rapid.SliceOfN(rapid.SampledFrom(steps), 0, len(steps)).Draw(rt, "again")
		for _, s := range rapid.Permutation(append(slices.Clone(steps), again...)).Draw(rt, "order") {
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				b.restart()
			}
			b.take(s)
		}
		if d := cmp.Diff(a.what(), b.what()); d != "" {
			rt.Fatalf("one order (-), the other (+):\n%s", d)
		}
	})
}

// TestRealmsInOneStoreOrInManyAreTheSame: a realm may share its partition with others or have it to itself.
func TestRealmsInOneStoreOrInManyAreTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		all := newWorld(rt, rules)
		of := map[string]*world{"default": newWorld(rt, rules), "otro": newWorld(rt, rules)}
		steps := drawSteps(rt, all, drawSpaces(rt, all.graph), 60)
		all.takeAll(steps)
		for _, s := range steps {
			if s.o != nil {
				of[s.o.Realm].take(s)
			} else {
				of[s.e.Realm].take(s)
			}
		}
		split := maps.Clone(of["default"].folded)
		maps.Copy(split, of["otro"].folded)
		if d := cmp.Diff(all.folded, split); d != "" {
			rt.Fatalf("one store (-), a store for each realm (+):\n%s", d)
		}
	})
}

// TestARestoredDirectiveWasNeverThere: what a later restore takes back was never there. Retract of an identifier, link, separate or replace of
// two, anywhere among other steps; the restore anywhere, too, for the later issued_at counts.
func TestARestoredDirectiveWasNeverThere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		a, b := newWorld(rt, rules), newWorld(rt, rules)
		spaces := drawSpaces(rt, a.graph)
		order := drawOrder(rt, a, spaces, false)
		order.ID, order.IssuedAt = "orden", 1767225600000+60000*rapid.Int64Range(0, 3).Draw(rt, "issued")
		back := Order{Realm: order.Realm, Kind: interaction.DirectiveRestore, ID: "vuelta", IssuedAt: order.IssuedAt + 1, A: order.A, B: order.B}
		if !order.B.IsZero() && rapid.Bool().Draw(rt, "turned") {
			back.A, back.B = back.B, back.A
		}
		steps := slices.DeleteFunc(drawSteps(rt, a, spaces, 40), func(s step) bool { return s.o != nil && sameSlot(s.o, &order) })
		a.takeAll(steps)
		b.takeAll(insert(rt, steps, rapid.Permutation([]step{{o: &order}, {o: &back}}).Draw(rt, "which first")...))
		if d := cmp.Diff(a.what(), b.what()); d != "" {
			rt.Fatalf("without (-), with %s of %v, %v and restore (+):\n%s", order.Kind, order.A, order.B, d)
		}
	})
}

func sameSlot(a, b *Order) bool {
	if a.B.IsZero() || b.B.IsZero() {
		return a.B.IsZero() && b.B.IsZero() && a.A == b.A
	}
	return pairKey(a.A, a.B) == pairKey(b.A, b.B)
}

// without tells steps as if some identifiers had never been: what hung on them as a root is told piece by piece, and directives
// that name them are left out.
func without(steps []step, gone map[interaction.Key]bool) (rest []step) {
	for _, s := range steps {
		if s.o != nil {
			if !gone[s.o.A] && !gone[s.o.B] {
				rest = append(rest, s)
			}
			continue
		}
		var left []interaction.Identifier
		for _, id := range s.e.Identifiers {
			if !gone[keyIn(s.e.Realm, id)] {
				left = append(left, id)
			}
		}
		apart := len(left) < len(s.e.Identifiers) && gone[keyIn(s.e.Realm, s.e.Identifiers[0])]
		for i := range left {
			e := *s.e
			if e.Identifiers = left; apart {
				e.Identifiers = left[i : i+1]
			}
			rest = append(rest, step{e: &e})
			if !apart {
				break
			}
		}
	}
	return rest
}

// withOne draws steps in many of which one more identifier occurs, which has a value that nothing else has.
func withOne(t *rapid.T, w *world, spaces []Namespace) (steps []step, one interaction.Key) {
	s := rapid.SampledFrom(spaces).Draw(t, "namespace of the one")
	id := interaction.Identifier{Namespace: s.Name, Value: rapid.SampledFrom([]string{"!borrada-99", "ñborrada-99"}).Draw(t, "value of the one")}
	if s.StoreScoped {
		id.Domain = "S01"
	}
	one = keyIn("default", id)
	steps = drawSteps(t, w, spaces, 40)
	for _, s := range steps {
		if !rapid.Bool().Draw(t, "with the one") {
			continue
		}
		if s.o != nil {
			if !s.o.B.IsZero() && s.o.Kind != interaction.DirectiveReplace || s.o.B.Namespace == one.Namespace && s.o.B.Domain == one.Domain {
				s.o.B = one
			}
			continue
		}
		e := s.e
		taken := slices.ContainsFunc(e.Identifiers, func(o interaction.Identifier) bool {
			return w.graph.spaces[w.graph.index[id.Namespace]].Class == Anchor && o.Namespace == id.Namespace && o.Domain == id.Domain
		})
		if e.Realm == "default" && !taken {
			id.Verified = rapid.Bool().Draw(t, "one verified")
			e.Identifiers = w.graph.sorted(append(e.Identifiers, id))
		}
	}
	return steps, one
}

// others is the part of what that names none of some identifiers.
func (w *world) others(gone map[interaction.Key]bool) what {
	w.t.Helper()
	x := w.what()
	for k := range gone {
		delete(x.Map, k.String())
		for _, list := range []*[]string{&x.Shared, &x.Retracted} {
			*list = slices.DeleteFunc(*list, func(s string) bool { return s == k.String() })
		}
		delete(x.Stored.First, k.String())
		delete(x.Stored.Anchors, k.String())
		delete(x.Stored.Over, k.String())
		maps.DeleteFunc(x.Stored.Edges, func(e, _ string) bool {
			return bytes.HasPrefix([]byte(e), []byte(k.String()+" ")) || bytes.HasSuffix([]byte(e), []byte(" "+k.String()))
		})
		maps.DeleteFunc(x.Stored.Counts, func(c string, _ int32) bool { return bytes.HasPrefix([]byte(c), []byte(k.String()+" ")) })
		x.Stored.Components = slices.DeleteFunc(x.Stored.Components, func(c string) bool { return c == fmt.Sprint([]string{k.String()}) })
	}
	return x
}

// TestARetractedIdentifierLeavesNoTraceInOthers: a retracted identifier leaves no trace in anybody else, wherever among the steps the retract stands.
func TestARetractedIdentifierLeavesNoTraceInOthers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		a, b := newWorld(rt, rules), newWorld(rt, rules)
		steps, one := withOne(rt, a, drawSpaces(rt, a.graph))
		gone := map[interaction.Key]bool{one: true}
		retract := step{o: &Order{Realm: "default", Kind: interaction.DirectiveRetract, ID: "fuera", IssuedAt: 1767225600000 + 3600000, A: one}}
		a.takeAll(insert(rt, steps, retract))
		b.takeAll(without(steps, gone))
		if d := cmp.Diff(b.others(nil), a.others(gone)); d != "" {
			rt.Fatalf("%v never was (-), and was retracted (+):\n%s", one, d)
		}
	})
}

// TestAnErasedIdentifierLeavesNoTrace: an erased identifier leaves no trace in anybody else, and none in the store but its suppression. The
// same with all that belongs to its customer. Evidence from before the erase may come after it.
func TestAnErasedIdentifierLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		a, b := newWorld(rt, rules), newWorld(rt, rules)
		steps, one := withOne(rt, a, drawSpaces(rt, a.graph))
		o := Order{Realm: "default", Kind: interaction.DirectiveErase, ID: "olvido", IssuedAt: 1767225600000 + 3600000, A: one, Scope: interaction.ScopeIdentifier}
		at := rapid.IntRange(0, len(steps)).Draw(rt, "when")
		a.takeAll(steps[:at])
		gone := map[interaction.Key]bool{one: true}
		if rapid.Bool().Draw(rt, "whole customer") {
			o.Scope = interaction.ScopeCustomer
			customer, occurred := a.folded[one.String()]
			for k, c := range a.folded {
				if occurred && c == customer && a.rows[k].Status != interaction.MapShared {
					key, err := interaction.ParseKey(k)
					if err != nil {
						rt.Fatal(err)
					}
					gone[key] = true
				}
			}
		}
		a.direct(o)
		a.takeAll(steps[at:])
		b.takeAll(without(steps, gone))
		if d := cmp.Diff(b.what(), a.what()); d != "" {
			rt.Fatalf("%v never were (-), and were erased (+):\n%s", slices.Collect(maps.Keys(gone)), d)
		}
		for _, info := range table.All {
			for _, k := range a.mem.keys(info.ID, nil) {
				if bytes.Contains([]byte(k), []byte(one.Value)) || bytes.Contains(a.mem.tables[info.ID][k], []byte(one.Value)) {
					rt.Fatalf("a row of %s still names %v", info.Name, one)
				}
			}
		}
		if n := len(a.mem.keys(table.Suppressed, nil)); n != len(gone) {
			rt.Fatalf("%d identifiers are suppressed, %d were erased", n, len(gone))
		}
	})
}

// TestNoCustomerExceedsItsLimits: no customer is larger than the limit, none has more identifiers of a kind than the rules allow, and apart
// from ties and the retired there is no way around that.
func TestNoCustomerExceedsItsLimits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		rules.ComponentLimit = rapid.SampledFrom([]int{4, 2000}).Draw(rt, "component limit")
		w, o := newWorld(rt, rules), newOracle(rules)
		for _, s := range drawSteps(rt, w, drawSpaces(rt, w.graph), 60) {
			w.take(s)
			if s.o != nil {
				o.order(*s.o)
			} else if len(s.e.Identifiers) > 0 {
				o.tell(*s.e)
			}
		}
		ties := o.ties(o.linked)
		size := map[interaction.CustomerID]int{}
		held := map[interaction.CustomerID]map[[2]string]map[interaction.Key]bool{}
		for text, c := range w.folded {
			k, err := interaction.ParseKey(text)
			if err != nil {
				rt.Fatal(err)
			}
			size[c]++
			if o.replaced(k, o.linked) {
				continue
			}
			kind := [2]string{k.Namespace, k.Domain}
			if held[c] == nil {
				held[c] = map[[2]string]map[interaction.Key]bool{}
			}
			if held[c][kind] == nil {
				held[c][kind] = map[interaction.Key]bool{}
			}
			held[c][kind][ties[k]] = true
		}
		for c, n := range size {
			if n > rules.CustomerLimit {
				rt.Errorf("%s has %d identifiers, the limit is %d", c, n, rules.CustomerLimit)
			}
			for kind, list := range held[c] {
				s := o.spaces[kind[0]]
				limit := s.AtMost
				if s.StoreScoped && s.Class == Anchor {
					limit = max(limit, rules.StoreCodesTied)
				}
				if s.AtMost != None && len(list) > limit {
					rt.Errorf("%s has %d of %v, at most %d are allowed", c, len(list), kind, limit)
				}
			}
		}
	})
}
