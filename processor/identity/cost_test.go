package identity

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

// TestKnownEvidenceCostsOneReadAnIdentifierAndOneMore counts what an interaction costs that brings nothing new: one point read
// an identifier, one of their component, no scan, and no row. So it does in a store in which directives took effect
// that name none of them.
func TestKnownEvidenceCostsOneReadAnIdentifierAndOneMore(t *testing.T) {
	w := newWorld(t, defaults())
	visits := func(i, n int) Evidence {
		return Evidence{At: 1767225600000, Source: "web", SourceEventID: fmt.Sprint(i), Identifiers: []interaction.Identifier{
			person(i)[0], {Namespace: "anonymous_id", Value: fmt.Sprintf("navegación-%d-%d", i, n)},
		}}
	}
	var known []Evidence
	for i := range 10 {
		e := Evidence{At: 1767225600000, Source: "caja", SourceEventID: fmt.Sprint(i), Identifiers: person(i)}
		known = append(known, e)
		w.tell(e)
		for n := range i * i { // components of 4 to 85 identifiers
			w.tell(visits(i, n))
		}
	}
	check := func() {
		t.Helper()
		for _, e := range known {
			for from := range e.Identifiers {
				some := e
				some.Identifiers = e.Identifiers[from:]
				if from > 0 {
					some.Identifiers = e.Identifiers[from : from+1]
				}
				w.mem.reads, w.mem.scans = 0, 0
				res := w.tell(some)
				if n := len(some.Identifiers); w.mem.reads > n+1 || w.mem.scans > 0 {
					t.Errorf("%d identifiers cost %d reads and %d scans", n, w.mem.reads, w.mem.scans)
				}
				if len(res.Rows)+len(res.Changes)+len(res.MapRows) > 0 {
					t.Errorf("known evidence writes %d rows, %d changes, %d rows of the map", len(res.Rows), len(res.Changes), len(res.MapRows))
				}
			}
		}
	}
	check()
	w.direct(Order{ID: "d1", Kind: interaction.DirectiveRetract, IssuedAt: 1767225600000, A: interaction.Key{Realm: "default", Namespace: "email", Value: "nadie@correo.example"}})
	check()
}

// TestKnownEvidenceOfASharedIdentifierCostsOneReadMoreAnEdge: what is shared has rows of its own, and so have its edges.
// However many there are, one is read for each identifier of the interaction.
func TestKnownEvidenceOfASharedIdentifierCostsOneReadMoreAnEdge(t *testing.T) {
	w := newWorld(t, defaults())
	sale := func(i int) Evidence {
		return Evidence{At: 1767225600000, Source: "caja", SourceEventID: fmt.Sprint(i), Identifiers: []interaction.Identifier{
			{Namespace: "user", Domain: "S01", Value: "CONSUMIDOR"}, {Namespace: "email", Value: fmt.Sprintf("visitante%d@correo.example", i)},
		}}
	}
	for i := range 300 {
		w.tell(sale(i))
	}
	for i := range 300 {
		w.mem.reads, w.mem.scans = 0, 0
		if res := w.tell(sale(i)); len(res.Rows) > 0 || w.mem.reads > 4 || w.mem.scans > 0 {
			t.Fatalf("sale %d costs %d reads and %d scans, and writes %d rows", i, w.mem.reads, w.mem.scans, len(res.Rows))
		}
	}
}

// TestEvidenceToldAgainWritesNothing is the law behind it, in any world: whatever was told, shared, refused, retracted and
// erased identifiers included, telling it again writes no row. The component cap is out of reach, for it asks again each time.
func TestEvidenceToldAgainWritesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, drawRules(rt))
		spaces := drawSpaces(rt, w.graph)
		steps := drawSteps(rt, w, spaces, 40)
		w.takeAll(steps)
		if rapid.Bool().Draw(rt, "erase") {
			o := drawOrder(rt, w, spaces, true)
			w.direct(o)
			w.takeAll(steps)
		}
		for _, s := range steps {
			if s.e == nil {
				continue
			}
			if res := w.tell(*s.e); len(res.Rows)+len(res.Changes)+len(res.MapRows) > 0 {
				rt.Fatalf("told again, %v writes %d rows", s.e.Identifiers, len(res.Rows))
			}
		}
	})
}
