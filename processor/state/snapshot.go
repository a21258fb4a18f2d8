package state

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"kinfold/processor/table"
)

// ErrClosed says that a store is closed, or about to be: its partition goes to another process.
var ErrClosed = errors.New("the store is being closed")

// Snapshot shows the rows of a store as one of its batches left them, whatever is written meanwhile: what everybody but
// the steps reads (invariant I5). It implements table.View for one goroutine, which may be any. Close it soon: closing
// the store waits for it, and its reads answer ErrClosed then.
type Snapshot struct {
	dir     string
	closing func() bool
	done    func()
	snap    *pebble.Snapshot
	key, to []byte
	value   []byte // of the last Get
}

var _ table.View = (*Snapshot)(nil)

// Snapshot may be called from any goroutine.
func (s *Store) Snapshot() (*Snapshot, error) {
	if s.closing.Load() { // Close holds the lock while it waits for snapshots
		return nil, fmt.Errorf("read state directory %s: %w", s.dir, ErrClosed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("read state directory %s: %w", s.dir, ErrClosed)
	}
	s.readers.Add(1)
	return &Snapshot{dir: s.dir, closing: s.closing.Load, done: s.readers.Done, snap: s.db.NewSnapshot()}, nil
}

// Get implements table.View.
func (s *Snapshot) Get(t table.ID, key []byte) ([]byte, error) {
	s.key = AppendRowKey(s.key[:0], t, key)
	return s.get(s.key)
}

func (s *Snapshot) get(key []byte) ([]byte, error) {
	if s.closing() {
		return nil, ErrClosed
	}
	value, closer, err := s.snap.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(s.dir, "read", err)
	}
	if s.value == nil {
		s.value = make([]byte, 0, 256)
	}
	s.value = append(s.value[:0], value...)
	return s.value, wrap(s.dir, "read", closer.Close())
}

// Scan implements table.View.
func (s *Snapshot) Scan(t table.ID, prefix []byte, fn func(key, value []byte) bool) error {
	s.key = AppendRowKey(s.key[:0], t, prefix)
	s.to = appendSuccessor(s.to[:0], s.key)
	it, err := s.snap.NewIter(&pebble.IterOptions{LowerBound: s.key, UpperBound: s.to})
	if err != nil {
		return wrap(s.dir, "scan", err)
	}
	more := true
	for ok := it.First(); ok && more && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			more = fn(it.Key()[1:], value)
		}
		if s.closing() {
			err = ErrClosed
		}
	}
	if errors.Is(err, ErrClosed) {
		_ = it.Close()
		return err
	}
	return wrap(s.dir, "scan", errors.Join(err, it.Error(), it.Close()))
}

// Close ends the reading. It may be called again.
func (s *Snapshot) Close() error {
	if s.snap == nil {
		return nil
	}
	err := s.snap.Close()
	s.snap = nil
	s.done()
	return wrap(s.dir, "read", err)
}
