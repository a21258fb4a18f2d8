package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// archiveCacheBytes is the block cache of an archive's store: it answers a question or two.
const archiveCacheBytes = 32 << 20

// Archive is the state directory of a process that does not run, opened to be read. It holds the lock, so that no process
// starts meanwhile, and changes nothing: not a byte is written.
type Archive struct {
	dir  string
	fs   FS
	log  *slog.Logger
	lock io.Closer

	mu   sync.Mutex
	open map[int32]*archived // guarded by mu
}

// archived is a store of an archive.
type archived struct {
	db       *pebble.DB
	dir      string
	id       Identity
	position Position
	readers  sync.WaitGroup
}

// ErrNoState says that there is nothing to be read.
var ErrNoState = errors.New("no state of kinfold is there")

// OpenArchive takes the lock of an app's directory, <state_dir>/<app>. It answers with kind Locked where a process has it,
// and with ErrNoState where the directory was never one.
func OpenArchive(o Options) (*Archive, error) {
	o = o.withDefaults()
	a := &Archive{dir: o.Dir, fs: o.FS, log: o.Logger, open: map[int32]*archived{}}
	if a.fs == nil {
		a.fs = vfs.Default
	}
	if _, err := a.fs.Stat(a.fs.PathJoin(o.Dir, lockFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open state directory %s: %w", o.Dir, ErrNoState)
	} else if err != nil {
		return nil, wrap(o.Dir, "open", err)
	}
	var err error
	if a.lock, err = takeLock(a.fs, o.Dir); err != nil {
		return nil, wrap(o.Dir, "open", err)
	}
	return a, nil
}

// Partitions lists those whose stores are there.
func (a *Archive) Partitions() ([]int32, error) {
	names, err := a.fs.List(a.dir)
	if err != nil {
		return nil, wrap(a.dir, "list", err)
	}
	var found []int32
	for _, name := range names {
		if n, err := strconv.ParseInt(name, 10, 32); err == nil && strconv.FormatInt(n, 10) == name {
			found = append(found, int32(n))
		}
	}
	slices.Sort(found)
	return found, nil
}

// Identity says whose rows the store of a partition holds, and how far it is; ErrNoState where there is none.
func (a *Archive) Identity(partition int32) (Identity, Position, error) {
	s, err := a.store(partition)
	if err != nil {
		return Identity{}, Position{}, err
	}
	return s.id, s.position, nil
}

// Snapshot shows the store of a partition; ErrNoState where there is none.
func (a *Archive) Snapshot(partition int32) (*Snapshot, error) {
	s, err := a.store(partition)
	if err != nil {
		return nil, err
	}
	return s.snapshot(), nil
}

func (s *archived) snapshot() *Snapshot {
	s.readers.Add(1)
	return &Snapshot{dir: s.dir, closing: func() bool { return false }, done: s.readers.Done, snap: s.db.NewSnapshot()}
}

func (a *Archive) store(partition int32) (*archived, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.open[partition]; s != nil {
		return s, nil
	}
	dir := a.fs.PathJoin(a.dir, strconv.Itoa(int(partition)))
	if _, err := a.fs.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open state directory %s: %w", dir, ErrNoState)
	}
	s := &archived{dir: dir}
	cache := pebble.NewCache(archiveCacheBytes)
	defer cache.Unref()
	var err error
	s.db, err = pebble.Open(dir, &pebble.Options{
		FS: a.fs, ReadOnly: true, FormatMajorVersion: pebbleFormat, Cache: cache, Logger: newWatcher(dir, a.log),
	})
	if err != nil {
		return nil, wrap(dir, "open to read", err)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	a.open[partition] = s
	return s, nil
}

// load reads the meta rows.
func (s *archived) load() error {
	snap := s.snapshot()
	defer snap.Close()
	row, err := snap.get(positionKey)
	if err != nil {
		return err
	}
	corrupt := func(err error) error { return &Error{Kind: Corrupt, Dir: s.dir, Do: "open to read", Err: err} }
	if row == nil {
		return fmt.Errorf("open state directory %s: %w", s.dir, ErrNoState)
	}
	format, err := parseFormat(row)
	switch {
	case err != nil:
		return corrupt(err)
	case format > FormatVersion:
		return &Error{Kind: NewerFormat, Dir: s.dir, Do: "open to read",
			Err: fmt.Errorf("store has format version %d, this program knows %d and below", format, FormatVersion)}
	case format < FormatVersion:
		return fmt.Errorf("open state directory %s: store has format version %d, and only `kinfold run` brings it to %d: run it once", s.dir, format, FormatVersion)
	}
	if s.position, err = parsePosition(row); err != nil {
		return corrupt(err)
	}
	if row, err = snap.get(identityKey); err != nil {
		return err
	}
	if s.id, err = parseIdentity(row); err != nil {
		return corrupt(err)
	}
	return nil
}

// Close waits for the snapshots, closes the stores and gives the lock back.
func (a *Archive) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for partition, s := range a.open {
		s.readers.Wait()
		errs = append(errs, wrap(s.dir, "close", s.db.Close()))
		delete(a.open, partition)
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
		a.lock = nil
	}
	return errors.Join(errs...)
}
