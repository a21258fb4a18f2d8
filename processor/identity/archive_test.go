package identity

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// TestAllAtOnceMakesTheStoredCustomers reads the evidence of random worlds back and builds their customers anew: they are those
// that the store has, refused edges included, with any limit of components and after an erase.
func TestAllAtOnceMakesTheStoredCustomers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		rules.ComponentLimit = rapid.SampledFrom([]int{3, 4, 6, 8, 2000}).Draw(rt, "component limit")
		w := newWorld(rt, rules)
		spaces := drawSpaces(rt, w.graph)
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			if rapid.IntRange(0, 3).Draw(rt, "directive") == 0 {
				w.direct(drawOrder(rt, w, spaces, true))
			} else {
				w.tell(drawEvidence(rt, w.graph, spaces))
			}
		}
		archive, err := OpenArchive(w.mem)
		if err != nil {
			rt.Fatal(err)
		}
		whole, found := &Body{}, map[string]interaction.CustomerID{}
		namer := w.graph.NewNamer()
		for _, r := range archive.Realms() {
			body, stored, err := archive.Read(r.Name, func(founder interaction.Key, id interaction.CustomerID) {
				if want := namer.CustomerID(founder); id != want {
					rt.Errorf("the store calls the customer of %v %s, its id is %s", founder, id, want)
				}
			})
			if err != nil {
				rt.Fatal(err)
			}
			if r.Identifiers != len(body.Identifiers) {
				rt.Errorf("realm %s has %d identifiers, the survey says %d", r.Name, len(body.Identifiers), r.Identifiers)
			}
			built, err := w.graph.Build(body)
			if err != nil {
				rt.Fatal(err)
			}
			for i := range body.Identifiers {
				if built.Shared[i] != (len(built.Over[int32(i)]) > 0) {
					rt.Errorf("shared %v, counts above a threshold: %v", built.Shared[i], built.Over[int32(i)])
				}
				found[body.Identifiers[i].Key.String()] = namer.CustomerID(body.Identifiers[built.Founder[i]].Key)
			}
			built.Over = nil
			if d := cmp.Diff(stored, built); d != "" {
				rt.Fatalf("realm %s (-stored +built):\n%s\n%+v", r.Name, d, body)
			}
			whole.Identifiers = append(whole.Identifiers, body.Identifiers...)
		}
		if d := cmp.Diff(w.folded, found); d != "" {
			rt.Fatalf("map (-told +built):\n%s", d)
		}
	})
}

func TestACorruptRowOfTheEvidenceIsSaid(t *testing.T) {
	w := newWorld(t, defaults())
	w.tell(Evidence{At: 1, Source: "caja", SourceEventID: "e1", Identifiers: []interaction.Identifier{{Namespace: "email", Value: "ñ"}, {Namespace: "phone", Value: "1"}}})
	for _, id := range w.mem.keys(table.Components, nil) {
		delete(w.mem.tables[table.Components], id)
	}
	archive, err := OpenArchive(w.mem)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := archive.Read("default", nil); err == nil {
		t.Error("a component that is not there is no fault")
	}
}
