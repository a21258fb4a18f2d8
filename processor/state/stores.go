package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Defaults of Options.
const (
	DefaultCacheBytes = 128 << 20 // block cache of the process
	// DefaultMemTableBytes is of each store; up to memTableStop of them exist before writes wait. Pebble takes their memory out
	// of the block cache: where little is left of it, filters do not stay in memory and every lookup reads the disk.
	DefaultMemTableBytes = 16 << 20
	DefaultRestoreBytes  = 64 << 20 // rows held in memory by a full restore, each
	DefaultOpenFiles     = 2000     // tables held open by the process
)

const (
	bloomBits       = 10              // a filter that answers 1 lookup in 100 wrongly
	indexBlockBytes = 256 << 10       // one level of index for most tables
	tableBytes      = 8 << 20         // of a file of rows on every level: its Bloom filter is one block of the cache, here about 250 KB
	memTableStop    = 4               // memtables that may wait to be flushed before writes wait
	l0Compaction    = 8               // sublevels of L0 before they are compacted: fewer rewrites for slower reads
	baseLevelBytes  = 256 << 20       // size of the first level below L0
	l0StopWrites    = 24              // sublevels of L0 before writes wait
	rangeFlushDelay = time.Minute     // an expired range frees its disk space by then, on an idle partition too
	slowWrite       = 5 * time.Second // a write that takes longer is logged and counted
	failedWait      = time.Second     // for what waits for a flush to end by itself when the store has failed
	batchRetained   = 4 << 20         // bytes of a batch's buffer that are kept for the next
	instanceIDBytes = 8               // random bytes of an instance id
	lockFile        = "LOCK"          // in the directory of the app
	instanceFile    = "instance-id"   // in the directory of the app
	maxAside        = 1000            // stores set aside, per partition
)

// Options are the settings of OpenStores.
type Options struct {
	Dir string // directory of the app, <state_dir>/<app>; made where it is missing
	FS  FS     // nil: the operating system's, watched for slow writes
	// CacheBytes is the block cache of the process; 0: DefaultCacheBytes. It should hold the Bloom filters, 1.25 bytes
	// for each row and of the seen table above all: a filter that is not there is read for each lookup.
	CacheBytes    int64
	MemTableBytes int64        // memtable of each store; 0: DefaultMemTableBytes
	RestoreBytes  int64        // memory of a full restore; 0: DefaultRestoreBytes
	OpenFiles     int          // tables held open by the process; 0: DefaultOpenFiles
	Logger        *slog.Logger // nil: no log. Pebble's own messages go to it at level debug
	// Failed, when set, is told the first error of a store that writes no more, from whichever goroutine met it: a flush can
	// fail while nobody writes. It must not call back.
	Failed func(error)
}

// Stores is the state directory of an app: its lock, and what all its stores share. Its methods may be called from
// several goroutines.
type Stores struct {
	dir      string
	fs       FS
	opts     Options
	log      *slog.Logger
	lock     io.Closer
	watch    io.Closer // stops the health checks of the disk
	cache    *pebble.Cache
	files    *pebble.FileCache
	instance string
	slow     atomic.Int64
	stores   atomic.Int32 // how many are open

	mu      sync.Mutex
	open    map[int32]*Store // guarded by mu
	opening map[int32]bool   // guarded by mu
	closed  bool             // guarded by mu
}

// OpenStores takes the lock of the app's directory, and makes the directory where it is missing. It answers with
// kind Locked where another process has it.
func OpenStores(o Options) (*Stores, error) {
	s := &Stores{dir: o.Dir, fs: o.FS, opts: o.withDefaults(), open: map[int32]*Store{}, opening: map[int32]bool{}}
	s.log = s.opts.Logger
	if o.Dir == "" {
		return nil, errors.New("state: no directory is set")
	}
	if s.fs == nil {
		s.fs, s.watch = vfs.WithDiskHealthChecks(vfs.Default, slowWrite, nil, s.diskSlow)
	}
	if err := s.prepare(); err != nil {
		s.release()
		return nil, wrap(o.Dir, "open", err)
	}
	s.cache = pebble.NewCache(s.opts.CacheBytes)
	s.files = pebble.NewFileCache(runtime.GOMAXPROCS(0), s.opts.OpenFiles)
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = DefaultMemTableBytes
	}
	if o.RestoreBytes == 0 {
		o.RestoreBytes = DefaultRestoreBytes
	}
	if o.OpenFiles == 0 {
		o.OpenFiles = DefaultOpenFiles
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (s *Stores) prepare() error {
	if err := makeDir(s.fs, s.dir); err != nil {
		return err
	}
	var err error
	if s.lock, err = takeLock(s.fs, s.dir); err != nil {
		return err
	}
	s.instance, err = s.loadInstanceID()
	return err
}

// takeLock tells "another has it" from "the file cannot be made": the operating system answers the first with EAGAIN
// or EACCES of fcntl, Pebble with an error of its own where it is this very process.
func takeLock(files FS, dir string) (io.Closer, error) {
	lock, err := files.Lock(files.PathJoin(dir, lockFile))
	var path *fs.PathError
	switch {
	case err == nil:
		return lock, nil
	case errors.As(err, &path), vfs.IsNoSpaceError(err), errors.Is(err, syscall.ENOLCK):
		return nil, fmt.Errorf("lock: %w", err)
	}
	return nil, &Error{Kind: Locked, Dir: dir, Do: "open", Err: err}
}

// loadInstanceID reads the instance id, or draws and writes it. The file appears whole or not at all.
func (s *Stores) loadInstanceID() (string, error) {
	name := s.fs.PathJoin(s.dir, instanceFile)
	if b, err := readFile(s.fs, name); err == nil {
		if raw, err := hex.DecodeString(string(b)); err != nil || len(raw) != instanceIDBytes {
			return "", fmt.Errorf("file %s does not hold %d hex characters: remove it, a new id is drawn", name, 2*instanceIDBytes)
		}
		return string(b), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read instance id: %w", err)
	}
	raw := make([]byte, instanceIDBytes)
	rand.Read(raw)
	id := hex.EncodeToString(raw)
	if err := writeFile(s.fs, s.dir, name, []byte(id)); err != nil {
		return "", fmt.Errorf("write instance id: %w", err)
	}
	return id, nil
}

// InstanceID is a random id of this state directory, drawn when it was made: 16 hex characters. It tells the processes
// of an app apart and stays when they start again.
func (s *Stores) InstanceID() string { return s.instance }

// Dir is the directory of a partition's store.
func (s *Stores) Dir(partition int32) string {
	return s.fs.PathJoin(s.dir, strconv.Itoa(int(partition)))
}

// SetAside renames the store of a partition, so that Open makes a new, empty one. It returns the new name, which ends
// in .aside- and a number; nobody deletes it. The store must not be open.
func (s *Stores) SetAside(partition int32) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.Dir(partition)
	if s.open[partition] != nil || s.opening[partition] {
		return "", fmt.Errorf("set aside state directory %s: it is open", dir)
	}
	for n := 1; n <= maxAside; n++ {
		aside := fmt.Sprintf("%s.aside-%d", dir, n)
		if _, err := s.fs.Stat(aside); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", wrap(dir, "set aside", err)
		}
		if err := s.fs.Rename(dir, aside); err != nil {
			return "", wrap(dir, "set aside", err)
		}
		return aside, wrap(dir, "set aside", syncDir(s.fs, s.dir))
	}
	return "", fmt.Errorf("set aside state directory %s: there are %d set aside already, remove some", dir, maxAside)
}

// Close gives the lock back. It is an error where stores are still open; they are closed first. No Open may be under way.
func (s *Stores) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	left := make([]*Store, 0, len(s.open))
	for _, st := range s.open {
		left = append(left, st)
	}
	s.mu.Unlock()

	var errs []error
	for _, st := range left {
		errs = append(errs, fmt.Errorf("state directory %s was still open", st.dir), st.Close())
	}
	s.files.Unref()
	s.cache.Unref()
	errs = append(errs, s.release())
	return errors.Join(errs...)
}

func (s *Stores) release() error {
	var errs []error
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.watch != nil {
		errs = append(errs, s.watch.Close())
	}
	return errors.Join(errs...)
}

func (s *Stores) diskSlow(info vfs.DiskSlowInfo) {
	s.slow.Add(1)
	s.log.Warn("slow write to state directory", "directory", s.dir, "info", info.String())
}

// rowCacheBytes is what one store may keep of rows.
func (s *Stores) rowCacheBytes() int {
	return max(minRowCache, int(s.opts.CacheBytes/rowCacheShare)/max(1, int(s.stores.Load())))
}

// pebbleOptions are the options of every store.
func (s *Stores) pebbleOptions(w *watcher) *pebble.Options {
	o := &pebble.Options{
		FS:                          s.fs,
		Cache:                       s.cache,
		FileCache:                   s.files,
		FormatMajorVersion:          pebbleFormat,
		MemTableSize:                uint64(s.opts.MemTableBytes),
		MemTableStopWritesThreshold: memTableStop,
		L0CompactionThreshold:       l0Compaction,
		LBaseMaxBytes:               baseLevelBytes,
		L0StopWritesThreshold:       l0StopWrites,
		FlushDelayDeleteRange:       rangeFlushDelay,
		Logger:                      w,
		EventListener:               w.listener(),
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
		o.Levels[i].IndexBlockSize = indexBlockBytes
		o.TargetFileSizes[i] = tableBytes
	}
	o.EnsureDefaults()
	return o
}

// makeDir makes a directory and its missing parents so that they survive a loss of power.
func makeDir(f FS, dir string) error {
	var parents []string // of the directories that are made
	for d := dir; ; d = f.PathDir(d) {
		if _, err := f.Stat(d); err == nil || f.PathDir(d) == d {
			break
		}
		parents = append(parents, f.PathDir(d))
	}
	if err := f.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range parents {
		if err := syncDir(f, d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(f FS, dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readFile(f FS, name string) ([]byte, error) {
	in, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(in)
	return b, errors.Join(err, in.Close())
}

// writeFile writes a file that is there whole or not at all, whenever the power fails.
func writeFile(f FS, dir, name string, b []byte) error {
	temp := name + ".new"
	out, err := f.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := f.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(f, dir)
}
