package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// archiveCacheBytes is the block cache of an archive. Its rows are mostly read once, in order.
const archiveCacheBytes = 64 << 20

// Archive is the state directory of a process that does not run, opened to be read, whatever topics and rules it was written
// under. It holds the lock, so that no process starts meanwhile, and changes nothing: not a byte is written. What the process
// wrote last and did not bring into tables is read from Pebble's log, as the process itself would. Its methods may be called from
// several goroutines.
type Archive struct {
	dir   string
	fs    FS
	log   *slog.Logger
	lock  io.Closer
	cache *pebble.Cache
	files *pebble.FileCache

	mu   sync.Mutex
	open map[int32]*archived // guarded by mu; nil: closed
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

// OpenArchive takes the lock of an app's directory: dir itself, <state_dir>/<app>, or the only app in a state_dir. It answers with
// kind Locked where a process has it, and with ErrNoState where dir has no store in it. A nil f is the operating system's.
func OpenArchive(dir string, f FS) (*Archive, error) {
	if f == nil {
		f = vfs.Default
	}
	a := &Archive{fs: f, log: Options{}.withDefaults().Logger, open: map[int32]*archived{}}
	var err error
	if a.dir, err = appOf(dir, f); err != nil {
		return nil, err
	}
	if a.lock, err = takeLock(f, a.dir); err != nil {
		return nil, wrap(a.dir, "open", err)
	}
	a.cache = pebble.NewCache(archiveCacheBytes)
	a.files = pebble.NewFileCache(runtime.GOMAXPROCS(0), DefaultOpenFiles)
	return a, nil
}

// appOf finds the directory of an app: dir itself, or the only one in it.
func appOf(dir string, f FS) (string, error) {
	found, err := partitionsIn(dir, f)
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return dir, nil
	}
	names, err := f.List(dir)
	if err != nil {
		return "", wrap(dir, "list", err)
	}
	var apps []string
	for _, name := range names {
		sub := f.PathJoin(dir, name)
		if found, err := partitionsIn(sub, f); err == nil && len(found) > 0 {
			apps = append(apps, sub)
		}
	}
	slices.Sort(apps)
	switch len(apps) {
	case 0:
		return "", fmt.Errorf("open state directory %s: %w", dir, ErrNoState)
	case 1:
		return apps[0], nil
	}
	return "", fmt.Errorf("state directory %s holds several apps: give one of %q", dir, apps)
}

// partitionsIn lists the directories that are named like partitions, in order.
func partitionsIn(dir string, f FS) ([]int32, error) {
	names, err := f.List(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open state directory %s: %w", dir, ErrNoState)
	case err != nil:
		return nil, wrap(dir, "list", err)
	}
	var found []int32
	for _, name := range names {
		n, err := strconv.ParseInt(name, 10, 32)
		if err != nil || strconv.Itoa(int(n)) != name || n < 0 {
			continue
		}
		if info, err := f.Stat(f.PathJoin(dir, name)); err == nil && info.IsDir() {
			found = append(found, int32(n))
		}
	}
	slices.Sort(found)
	return found, nil
}

// Dir is the directory of the app.
func (a *Archive) Dir() string { return a.dir }

// Partitions lists those that have a directory, in order.
func (a *Archive) Partitions() ([]int32, error) { return partitionsIn(a.dir, a.fs) }

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
	if a.open == nil {
		return nil, fmt.Errorf("read state directory %s: %w", a.dir, ErrClosed)
	}
	s := &archived{dir: a.fs.PathJoin(a.dir, strconv.Itoa(int(partition)))}
	if _, err := a.fs.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open state directory %s: %w", s.dir, ErrNoState)
	}
	filter := bloom.FilterPolicy(bloomBits)
	var err error
	s.db, err = pebble.Open(s.dir, &pebble.Options{
		FS: a.fs, ReadOnly: true, FormatMajorVersion: pebbleFormat, Cache: a.cache, FileCache: a.files, Logger: newWatcher(s.dir, a.log),
		Filters: map[string]pebble.FilterPolicy{filter.Name(): filter},
	})
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist): // nothing was ever written to it
		return nil, fmt.Errorf("open state directory %s: %w", s.dir, ErrNoState)
	case err != nil:
		return nil, wrap(s.dir, "open to read", err)
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
	for _, s := range a.open {
		s.readers.Wait()
		errs = append(errs, wrap(s.dir, "close", s.db.Close()))
	}
	if a.open != nil {
		a.open = nil
		a.files.Unref()
		a.cache.Unref()
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}
