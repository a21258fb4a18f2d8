package processor

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"kinfold/processor/state"
	"kinfold/processor/table"
)

// shelf is where questions find the rows of a partition. All of it may be called from several goroutines.
type shelf interface {
	// partitions is how many there are in all; 0 while that is not known.
	partitions() int
	// held lists those that are here.
	held() []int32
	// lend shows the rows of a partition until giveBack is called: committed ones only (invariant I5). It answers
	// errNotHere where the partition is not here.
	lend(partition int32) (view table.View, giveBack func(), err error)
}

var errNotHere = errors.New("the partition is not here")

// holdings are the stores that the resolve stage has open and restored, for those who ask beside it. The stage puts them in
// and takes them out as partitions come and go.
type holdings struct {
	mu    sync.RWMutex
	count int
	open  map[int32]*state.Store
}

func newHoldings() *holdings { return &holdings{open: map[int32]*state.Store{}} }

func (h *holdings) setPartitions(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count = n
}

// put makes a store readable. Whoever closes it takes it out first.
func (h *holdings) put(partition int32, s *state.Store) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[partition] = s
}

func (h *holdings) takeOut(partition int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, partition)
}

func (h *holdings) partitions() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.count
}

func (h *holdings) held() []int32 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.Sorted(maps.Keys(h.open))
}

func (h *holdings) lend(partition int32) (table.View, func(), error) {
	h.mu.RLock()
	s := h.open[partition]
	h.mu.RUnlock()
	if s == nil {
		return nil, nil, errNotHere
	}
	snap, err := s.Snapshot()
	if err != nil {
		return nil, nil, err
	}
	return snap, func() { _ = snap.Close() }, nil
}
