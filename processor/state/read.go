package state

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// readCacheBytes is the block cache of a directory that is opened for reading: rows are mostly read once, in order.
const readCacheBytes = 64 << 20

// OpenStopped opens the state directory of an app whose process is stopped, for reading: Read takes the place of Open, and no
// row, no position and no file of a store is changed. The lock is held meanwhile, so that no process starts on it; where one runs
// the answer is of kind Locked. dir is the directory of the app, or a state_dir that holds one app.
func OpenStopped(dir string, f FS) (*Stores, error) {
	if f == nil {
		f = vfs.Default
	}
	dir, err := appOf(dir, f)
	if err != nil {
		return nil, err
	}
	s := &Stores{dir: dir, fs: f, opts: Options{CacheBytes: readCacheBytes}.withDefaults(), open: map[int32]*Store{}, reading: true}
	s.log = s.opts.Logger
	if s.lock, err = takeLock(f, dir); err != nil {
		s.release()
		return nil, wrap(dir, "open", err)
	}
	s.cache = pebble.NewCache(s.opts.CacheBytes)
	s.files = pebble.NewFileCache(2, s.opts.OpenFiles)
	return s, nil
}

// appOf finds the directory of an app: dir itself, or the only one in it.
func appOf(dir string, f FS) (string, error) {
	found, err := partitionsIn(dir, f)
	if err != nil {
		return "", fmt.Errorf("open state directory %s: %w", dir, err)
	}
	if len(found) > 0 {
		return dir, nil
	}
	names, err := f.List(dir)
	if err != nil {
		return "", fmt.Errorf("open state directory %s: %w", dir, err)
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
		return "", fmt.Errorf("state directory %s holds no store: give <state_dir>/<app> of the configuration of a process that has run", dir)
	case 1:
		return apps[0], nil
	}
	return "", fmt.Errorf("state directory %s holds several apps: give one of %q", dir, apps)
}

func partitionsIn(dir string, f FS) ([]int32, error) {
	names, err := f.List(dir)
	if err != nil {
		return nil, err
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

// AppDir is the directory of the app.
func (s *Stores) AppDir() string { return s.dir }

// Partitions lists the partitions that have a store here, in order.
func (s *Stores) Partitions() ([]int32, error) {
	found, err := partitionsIn(s.dir, s.fs)
	return found, wrap(s.dir, "list", err)
}

// Reading lists the stores that are open, in order of their partitions.
func (s *Stores) Reading() []*Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Store, 0, len(s.open))
	for _, st := range s.open {
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b *Store) int { return int(a.id.Partition - b.id.Partition) })
	return list
}

// Read opens a store of a directory that OpenStopped opened, whatever topics and rules it was written under: Identity says. What
// its process wrote last and did not bring into tables is read from Pebble's log, as the process itself would.
func (s *Stores) Read(partition int32) (*Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.Dir(partition)
	if !s.reading || s.closed || s.open[partition] != nil {
		return nil, fmt.Errorf("read state directory %s: it is open already, or the app's directory was not opened for reading", dir)
	}
	st := &Store{
		stores: s, dir: dir, id: Identity{Partition: partition}, watch: newWatcher(dir, s.log),
		rows: newRowCache(func() int { return minRowCache }),
	}
	st.opts = s.pebbleOptions(st.watch)
	st.opts.ReadOnly = true
	var err error
	if st.db, err = pebble.Open(dir, st.opts); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("no store is there: %w", err)
		}
		return nil, wrap(dir, "read", err)
	}
	if err := st.loadForReading(); err != nil {
		return nil, errors.Join(wrap(dir, "read", err), st.db.Close())
	}
	st.batch = st.db.NewBatch()
	s.open[partition] = st
	return st, nil
}

// loadForReading reads the meta rows. A store without them was made and never written.
func (s *Store) loadForReading() error {
	row, err := s.read(positionKey)
	if err != nil || row == nil {
		return err
	}
	switch format, err := parseFormat(row); {
	case err != nil:
		return s.corrupt(err)
	case format > FormatVersion:
		return &Error{Kind: NewerFormat, Dir: s.dir, Do: "read",
			Err: fmt.Errorf("store has format version %d, this program knows %d and below", format, FormatVersion)}
	case format < FormatVersion:
		return fmt.Errorf("store has format version %d, which only a start of the processor brings up to %d: start and stop it once", format, FormatVersion)
	}
	if s.pos, err = parsePosition(row); err != nil {
		return s.corrupt(err)
	}
	stored, err := s.read(identityKey)
	if err != nil {
		return err
	}
	if s.id, err = parseIdentity(stored); err != nil {
		return s.corrupt(err)
	}
	return nil
}
