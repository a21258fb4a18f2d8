package state

import (
	"context"
	"encoding/binary"
	"fmt"

	"kinfold/processor/table"
)

// An erase deletes rows, but Pebble keeps what it deleted until compactions come by, the boundaries of its files among it. So
// a store counts the erasures whose bytes may still be there, in a meta row of its own that is written with them, and the
// owner of the store sees to it that they go:
//
//	n := store.Erasures()      // 0: nothing to do
//	store.Compact(ctx)         // in the background, while the store is read and written
//	store.Close()              // and open it anew: Pebble writes a new manifest and removes the files that it needs no more
//	store.Purged(n)
//
// A crash on the way leaves the count as it was.
var erasuresKey = []byte{byte(table.Meta), 'e', 'r', 'a', 's', 'u', 'r', 'e', 's'}

// Erasures is the number of batches with erased identifiers whose bytes may still be in the files.
func (s *Store) Erasures() uint64 { return s.erasures }

// countErasure has the batch say that it erases. It is called for each batch that writes to the table of what is suppressed.
func (s *Store) countErasure() error {
	s.erasures++
	return s.batch.Set(erasuresKey, binary.BigEndian.AppendUint64(nil, s.erasures), nil)
}

func (s *Store) loadErasures() error {
	b, err := s.read(erasuresKey)
	if b == nil || err != nil {
		return err
	}
	if len(b) != 8 {
		return s.corrupt(fmt.Errorf("row of erasures has %d bytes, want 8", len(b)))
	}
	s.erasures = binary.BigEndian.Uint64(b)
	return nil
}

// Compact rewrites the tables that hold identifiers, so that nothing deleted is left in the tables in use. It may run beside
// all other methods but Close, which must wait for it; end ctx to have it stop early.
func (s *Store) Compact(ctx context.Context) error {
	if _, err := s.watch.bounded(s.db.Flush); err != nil {
		return wrap(s.dir, "flush", err)
	}
	for _, info := range table.All {
		if info.Log != table.LogIdentity {
			continue
		}
		if err := s.db.Compact(ctx, []byte{byte(info.ID)}, []byte{byte(info.ID) + 1}, false); err != nil {
			return wrap(s.dir, "compact", err)
		}
	}
	return nil
}

// Purged says that the bytes of n erasures are gone, after Compact and a new Open. It does nothing where more came since.
func (s *Store) Purged(n uint64) error {
	if s.erasures != n {
		return nil
	}
	s.batch.Reset()
	if err := s.batch.Delete(erasuresKey, nil); err != nil {
		return wrap(s.dir, "purge", err)
	}
	if err := s.commit("purge", s.pos, nil); err != nil {
		return err
	}
	s.erasures = 0
	return nil
}
