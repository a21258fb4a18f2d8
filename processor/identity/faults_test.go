package identity

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"kinfold/processor/table"
)

var errDisk = errors.New("the disk does not answer")

// failing is a view of which one call fails, and no other.
type failing struct {
	*memory
	left int // calls until the one that fails
}

func (f *failing) fails() bool {
	f.left--
	return f.left == 0
}

func (f *failing) Get(t table.ID, key []byte) ([]byte, error) {
	if f.fails() {
		return nil, errDisk
	}
	return f.memory.Get(t, key)
}

func (f *failing) Scan(t table.ID, prefix []byte, fn func(key, value []byte) bool) error {
	if f.fails() {
		return errDisk
	}
	return f.memory.Scan(t, prefix, fn)
}

// TestAStoreThatCannotBeReadIsAnError lets each read of a step fail once: the step is an error that says so, whichever
// read it was, and the same step afterwards does what it would have done at once.
func TestAStoreThatCannotBeReadIsAnError(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		w := newWorld(rt, rules)
		spaces := drawSpaces(rt, w.graph)
		w.takeAll(drawSteps(rt, w, spaces, 40))
		var s step
		if rapid.Bool().Draw(rt, "directive at last") {
			o := drawOrder(rt, w, spaces, true)
			o.Seq = w.seq
			s.o = &o
		} else {
			e := drawEvidence(rt, w.graph, spaces)
			e.Seq, e.Directed = w.seq, w.directed
			s.e = &e
		}
		do := func(r *Resolver, view table.View) (*Result, error) {
			if s.o != nil {
				return r.Direct(view, s.o)
			}
			return r.Apply(view, s.e)
		}
		want, err := do(w.graph.NewResolver(), w.mem)
		if err != nil {
			rt.Fatal(err)
		}
		for n := 1; ; n++ {
			view := &failing{w.mem, n}
			res, err := do(w.r, view)
			if view.left > 0 { // all reads were well
				if d := cmp.Diff(want, res, cmpopts.EquateEmpty()); err != nil || d != "" {
					rt.Fatalf("after %d failures: %v\n%s", n-1, err, d)
				}
				return
			}
			if !errors.Is(err, errDisk) || res != nil {
				rt.Fatalf("read %d failed, and the step says %v", n, err)
			}
		}
	})
}
