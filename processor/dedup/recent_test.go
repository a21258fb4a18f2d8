package dedup

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

// TestRecentNeverHidesWhatWasAccepted compares lookups with a filter to those without, over random streams, restarts and bounds.
func TestRecentNeverHidesWhatWasAccepted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w, err := New(time.Duration(rapid.IntRange(2, 2000).Draw(rt, "window")) * time.Millisecond)
		if err != nil {
			rt.Fatal(err)
		}
		bound := rapid.SampledFrom([]int{0, 20_000, 1 << 20}).Draw(rt, "bound")
		m := newMemory()
		var stream int64
		recent, err := w.NewRecent(m, stream, bound)
		if err != nil {
			rt.Fatal(err)
		}
		blind := &Recent{known: ^uint64(0)}
		for range rapid.IntRange(1, 300).Draw(rt, "steps") {
			stream += int64(rapid.IntRange(0, 300).Draw(rt, "advance"))
			if rapid.IntRange(0, 40).Draw(rt, "restart") == 0 {
				if recent, err = w.NewRecent(m, stream, bound); err != nil {
					rt.Fatal(err)
				}
			}
			id := digest(uint64(rapid.IntRange(0, 60).Draw(rt, "id")))
			want, err := w.Check(m, id, hashOf(7), stream, blind)
			if err != nil {
				rt.Fatal(err)
			}
			got, err := w.Check(m, id, hashOf(7), stream, recent)
			if err != nil || got != want {
				rt.Fatalf("with the filter %v, %v; without %v", got, err, want)
			}
			if got == Fresh {
				m.put(w.Row(id, hashOf(7), stream))
				recent.Add(w, id, stream)
			}
		}
	})
}

func TestRecentSparesNearlyAllLookupsOfNewInteractions(t *testing.T) {
	w, err := New(7 * 24 * time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	m := newMemory()
	recent, err := w.NewRecent(m, 0, DefaultRecentBytes)
	if err != nil {
		t.Fatal(err)
	}
	const n, stream = 200_000, 1_700_000_000_000
	asked := 0
	for i := range uint64(2 * n) {
		id := digest(i)
		if i < n {
			recent.Add(w, id, stream)
		} else if recent.mayHave(w.bucketOf(stream), &id) {
			asked++
		}
	}
	if asked > n/20 {
		t.Errorf("%d of %d new interactions would be looked up", asked, n)
	}
}

func TestRecentThatOutgrowsItsBoundLeavesTheBucketToTheStore(t *testing.T) {
	w, err := New(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	recent, err := w.NewRecent(newMemory(), 0, 3*firstPartKeys/keysOfBlock*blockBytes)
	if err != nil {
		t.Fatal(err)
	}
	const stream = int64(1_700_000_000_000)
	for i := range uint64(4 * firstPartKeys) {
		recent.Add(w, digest(i), stream)
	}
	absent := digest(1 << 40)
	if !recent.mayHave(w.bucketOf(stream), &absent) {
		t.Error("a filter beyond its bound still claims to know")
	}
	if recent.bytes != 0 {
		t.Errorf("it still holds %d bytes", recent.bytes)
	}
	next := stream + 2*time.Hour.Milliseconds()
	recent.Add(w, hashOf(1), next)
	if recent.mayHave(w.bucketOf(next), &absent) {
		t.Error("the next bucket does not begin anew")
	}
}

// digest is a hash as events have it: the filter lives on all of its bits.
func digest(n uint64) interaction.Hash {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	return interaction.Hash(sum[:16])
}
