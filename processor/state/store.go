package state

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"kinfold/processor/table"
)

// Store holds the rows of one keyed partition. It belongs to one goroutine; only Snapshot, Stats and Err may be called
// from others.
type Store struct {
	stores *Stores
	dir    string
	id     Identity
	opts   *pebble.Options
	watch  *watcher
	db     *pebble.DB
	pos    Position
	batch  *pebble.Batch
	dirty  bool // something was written since the last Sync

	erasures uint64 // see Erasures

	abandoned chan struct{} // see run; nil while all is well, closed when Pebble is closed after all

	// The iterators of point reads and of scans see the store as it was when they were made. They live until the next
	// write or Reset, so a transaction makes each of them once.
	points, scans *pebble.Iterator
	scratch       []byte // value of the last Get
	rows          *rowCache

	mu      sync.Mutex // between Close and those who may call from other goroutines
	closed  bool       // guarded by mu
	closing atomic.Bool
	readers sync.WaitGroup // snapshots that are open
}

// Open opens the store of a partition, and makes it where there is none. id.Partition must be the partition.
//
// A store of another identity is an *Error of kind OtherHistory, PartitionCount or RulesChanged; one of a newer program
// NewerFormat. It is left as it was. Stores of several partitions may be opened at once: what Pebble finds in its log
// it writes to the disk, and waits for it.
func (s *Stores) Open(partition int32, id Identity) (*Store, error) {
	if partition != id.Partition {
		return nil, fmt.Errorf("open state of partition %d: identity is of partition %d", partition, id.Partition)
	}
	dir := s.Dir(partition)
	s.mu.Lock()
	if s.closed || s.open[partition] != nil || s.opening[partition] {
		s.mu.Unlock()
		return nil, fmt.Errorf("open state directory %s: it is open already, or the app's directory was closed", dir)
	}
	s.opening[partition] = true
	s.mu.Unlock()
	st, err := s.openStore(dir, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.opening, partition)
	if err != nil {
		return nil, err
	}
	s.open[partition] = st
	s.stores.Store(int32(len(s.open)))
	return st, nil
}

func (s *Stores) openStore(dir string, id Identity) (*Store, error) {
	if err := s.fs.RemoveAll(restoreDir(dir)); err != nil {
		return nil, wrap(dir, "open", err)
	}
	st := &Store{stores: s, dir: dir, id: id, watch: newWatcher(dir, s.log), rows: newRowCache(s.rowCacheBytes)}
	st.watch.tell = s.opts.Failed
	st.opts = s.pebbleOptions(st.watch)
	err := st.run(func() (err error) {
		st.db, err = pebble.Open(dir, st.opts) // it flushes what it finds in the log
		return err
	})
	if err != nil {
		return nil, wrap(dir, "open", err)
	}
	if err := st.load(ladder); err != nil {
		if closed := st.closePebble(); closed != nil {
			s.log.Warn("close of a state store that was not accepted", "directory", dir, "error", closed)
		}
		return nil, wrap(dir, "open", err)
	}
	st.batch = st.db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchRetained))
	return st, nil
}

// load reads the meta rows, or writes them into a store that has none.
func (s *Store) load(rungs []rung) error {
	newest := rungs[len(rungs)-1].version
	row, err := s.read(positionKey)
	if err != nil {
		return err
	}
	if row == nil {
		return s.create(newest)
	}
	format, err := parseFormat(row)
	if err != nil {
		return s.corrupt(err)
	}
	if format > newest {
		return &Error{Kind: NewerFormat, Dir: s.dir, Do: "open",
			Err: fmt.Errorf("store has format version %d, this program knows %d and below", format, newest)}
	}
	if s.pos, err = parsePosition(row); err != nil {
		return s.corrupt(err)
	}
	stored, err := s.read(identityKey)
	if err != nil {
		return err
	}
	id, err := parseIdentity(stored)
	if err != nil {
		return s.corrupt(err)
	}
	if e := id.check(s.id); e != nil {
		e.Dir, e.Do = s.dir, "open"
		return e
	}
	if err := s.loadErasures(); err != nil {
		return err
	}
	err = s.run(func() error {
		return climb(s.db, rungs, format, func(b *pebble.Batch, version uint16) error {
			return b.Set(positionKey, appendPosition(nil, version, s.pos), nil)
		})
	})
	if err == nil {
		err = s.watch.err()
	}
	return err
}

// create writes the meta rows. A crash of the process that made the directory may have left an empty store without
// them; rows without them are not ours.
func (s *Store) create(format uint16) error {
	empty, err := s.Empty()
	if err != nil {
		return err
	}
	if !empty {
		return s.corrupt(errors.New("there are rows, but no position row"))
	}
	b := s.db.NewBatch()
	defer b.Close()
	b.Set(identityKey, appendIdentity(nil, s.id), nil)
	b.Set(positionKey, appendPosition(nil, format, s.pos), nil)
	if err := s.run(func() error { return b.Commit(pebble.Sync) }); err != nil {
		return err
	}
	return s.watch.err()
}

func (s *Store) corrupt(err error) error {
	return &Error{Kind: Corrupt, Dir: s.dir, Do: "open", Err: err}
}

// Identity is what the store was opened with.
func (s *Store) Identity() Identity { return s.id }

// Dir is the directory of the store.
func (s *Store) Dir() string { return s.dir }

// Position is that of the last batch; the zero Position in a new store.
func (s *Store) Position() Position { return s.pos }

// Empty reports whether the store has no rows besides its own meta rows: it may be restored in full.
func (s *Store) Empty() (bool, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return false, wrap(s.dir, "read", err)
	}
	empty := !it.First() || it.Key()[0] == byte(table.Meta) && !it.SeekGE([]byte{byte(table.Meta) + 1})
	return empty, wrap(s.dir, "read", errors.Join(it.Error(), it.Close()))
}

// read returns a copy of a row, nil where there is none.
func (s *Store) read(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(s.dir, "read", err)
	}
	return append([]byte{}, value...), closer.Close()
}

// get returns the value of a row by its key with the table's byte, valid until the next call, nil where there is none.
func (s *Store) get(key []byte) ([]byte, error) {
	if !cachedTables[key[0]] {
		return s.seek(key)
	}
	if value, ok := s.rows.get(key); ok {
		return value, nil
	}
	value, err := s.seek(key)
	if value != nil {
		s.rows.put(string(key), value)
	}
	return value, err
}

// seek reads a row from Pebble.
//
// It seeks in an iterator because Pebble's Get does not use the Bloom filters of the lowest level, where nearly all
// rows are, and most lookups of the seen table miss.
func (s *Store) seek(key []byte) ([]byte, error) {
	if s.points == nil {
		it, err := s.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
		if err != nil {
			return nil, wrap(s.dir, "read", err)
		}
		s.points = it
	}
	if !s.points.SeekPrefixGE(key) {
		if err := s.points.Error(); err != nil {
			return nil, wrap(s.dir, "read", err)
		}
		return nil, nil
	}
	value, err := s.points.ValueAndErr()
	if err != nil {
		return nil, wrap(s.dir, "read", err)
	}
	if s.scratch == nil {
		s.scratch = make([]byte, 0, 256)
	}
	s.scratch = append(s.scratch[:0], value...)
	return s.scratch, nil
}

// scan returns an iterator over the keys in [from, to), placed on the first; it is closed with the others.
func (s *Store) scan(from, to []byte) (*pebble.Iterator, error) {
	if s.scans == nil {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		if err != nil {
			return nil, wrap(s.dir, "scan", err)
		}
		s.scans = it
	} else {
		s.scans.SetBounds(from, to)
	}
	s.scans.First()
	return s.scans, nil
}

// release closes the iterators. A store at rest must not keep one: it holds on to deleted files.
func (s *Store) release() error {
	var errs []error
	for _, it := range []**pebble.Iterator{&s.points, &s.scans} {
		if *it != nil {
			errs = append(errs, (*it).Close())
			*it = nil
		}
	}
	return wrap(s.dir, "read", errors.Join(errs...))
}

// Apply writes the rows of a transaction and its position in one batch, without waiting for the disk (invariants I2 and
// I3 of runtime.md). Call it when the transaction is known to be committed. Ranges to expire win over rows of the
// overlay. p.Transaction must be above that of the store, nothing else of p below. The overlay is left as it was.
//
// An error is final: the store must be closed, and its successor says how far it got.
func (s *Store) Apply(o *Overlay, p Position, expire []table.Range) error {
	if p.Transaction <= s.pos.Transaction {
		return fmt.Errorf("apply to state directory %s: transaction %d after %d", s.dir, p.Transaction, s.pos.Transaction)
	}
	s.batch.Reset()
	if err := o.write(s.batch); err != nil {
		return wrap(s.dir, "apply", err)
	}
	if len(o.tables[table.Suppressed].sorted) > 0 {
		if err := s.countErasure(); err != nil {
			return wrap(s.dir, "apply", err)
		}
	}
	if err := s.commit("apply", p, expire); err != nil {
		return err
	}
	s.rows.learn(o)
	return nil
}

// ApplyLogged writes rows that were read from the changelogs, and how far that was, in one batch without waiting for
// the disk. The same rows may be written again and again, as long as the last one of each key comes last: a nil value
// deletes. p moves the changelog offsets on as they are read; the transaction and the keyed offset are those of the last
// transaction that is there in full. Nothing of p may be below the store's position.
func (s *Store) ApplyLogged(rows []table.Row, p Position) error {
	s.rows.clear()
	s.batch.Reset()
	erases := false
	for _, r := range rows {
		if err := setRow(s.batch, r.Table, r.Key, r.Value); err != nil {
			return wrap(s.dir, "apply changelog", err)
		}
		erases = erases || r.Table == table.Suppressed
	}
	if erases {
		if err := s.countErasure(); err != nil {
			return wrap(s.dir, "apply changelog", err)
		}
	}
	return s.commit("apply changelog", p, nil)
}

// Expire deletes ranges outside of a transaction: what a restore brought back of them.
func (s *Store) Expire(ranges []table.Range) error {
	s.batch.Reset()
	return s.commit("expire", s.pos, ranges)
}

// commit adds the ranges and the position row to the batch and writes it.
func (s *Store) commit(do string, p Position, expire []table.Range) error {
	if err := s.watch.err(); err != nil {
		return err
	}
	if field := p.before(s.pos); field != "" {
		return fmt.Errorf("%s to state directory %s: %s goes back: position is (%v), would be (%v)", do, s.dir, field, s.pos, p)
	}
	if err := s.release(); err != nil {
		return err
	}
	for _, r := range expire {
		if err := s.batch.DeleteRange(AppendRowKey(nil, r.Table, r.From), AppendRowKey(nil, r.Table, r.To), nil); err != nil {
			return wrap(s.dir, do, err)
		}
	}
	if err := s.batch.Set(positionKey, appendPosition(nil, FormatVersion, p), nil); err != nil {
		return wrap(s.dir, do, err)
	}
	s.dirty = true
	if err := s.run(func() error { return s.batch.Commit(pebble.NoSync) }); err != nil {
		return s.watch.fail(do, err)
	}
	if err := s.watch.err(); err != nil { // Pebble's answer was nil, see watcher.Fatalf
		return err
	}
	s.pos = p
	return nil
}

// run does what may wait for a flush. Where that never ends the store is abandoned: Close leaves Pebble alone, which is closed should
// do end after all.
func (s *Store) run(do func() error) error {
	late, err := s.watch.bounded(do)
	if late != nil {
		s.abandoned = make(chan struct{})
		go func() {
			<-late
			if s.db != nil { // nil: it was Open that never came to its end
				_ = s.db.Close()
			}
			close(s.abandoned)
		}()
	}
	return err
}

// closePebble closes Pebble, unless the store is abandoned.
func (s *Store) closePebble() error {
	if s.abandoned != nil {
		return nil
	}
	_, err := s.watch.bounded(s.db.Close)
	return err
}

// setRow writes one row into a batch without making a key of it first.
func setRow(b *pebble.Batch, t table.ID, key, value []byte) error {
	if t == table.Meta || int(t) >= table.Count {
		return fmt.Errorf("row of table %d: stages have no rows there", t)
	}
	if value == nil {
		op := b.DeleteDeferred(1 + len(key))
		op.Key[0] = byte(t)
		copy(op.Key[1:], key)
		return op.Finish()
	}
	op := b.SetDeferred(1+len(key), len(value))
	op.Key[0] = byte(t)
	copy(op.Key[1:], key)
	copy(op.Value, value)
	return op.Finish()
}

// Sync waits until all that was applied is on the disk. It does nothing where nothing was applied since the last one.
func (s *Store) Sync() error {
	if err := s.watch.err(); err != nil {
		return err
	}
	if !s.dirty {
		return nil
	}
	if err := s.run(func() error { return s.db.LogData(nil, pebble.Sync) }); err != nil {
		return s.watch.fail("sync", err)
	}
	if err := s.watch.err(); err != nil {
		return err
	}
	s.dirty = false
	return nil
}

// Close syncs and closes the store. It may be called again. After an error of an earlier call it closes what can be
// closed and returns that error.
//
// Close waits for snapshots, which answer with an error from now on.
func (s *Store) Close() error {
	s.closing.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.readers.Wait()
	err := errors.Join(s.release(), s.Sync())
	if s.abandoned == nil { // else a write may still use it
		if closed := s.batch.Close(); err == nil {
			err = wrap(s.dir, "close", closed)
		}
	}
	if closed := s.closePebble(); err == nil {
		err = wrap(s.dir, "close", closed)
	}
	s.stores.mu.Lock()
	delete(s.stores.open, s.id.Partition)
	s.stores.stores.Store(int32(len(s.stores.open)))
	s.stores.mu.Unlock()
	return err
}

// Err is the error that Pebble met by itself, in a flush or a compaction, or that ended an earlier call; nil while all
// is well.
func (s *Store) Err() error { return s.watch.err() }
