package state

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"kinfold/processor/table"
)

// faulty is a file system whose writes to some files begin to fail.
type faulty struct {
	on   atomic.Bool
	kind string // ends the name of the files
	err  error
}

func (f *faulty) String() string { return "faulty" }

func (f *faulty) MaybeError(op errorfs.Op) error {
	if f.on.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, f.kind) {
		return &os.PathError{Op: "write", Path: op.Path, Err: f.err}
	}
	return nil
}

func TestFullDiskStopsTheStoreAndLosesNothing(t *testing.T) {
	for _, kind := range []string{".log", ".sst"} {
		t.Run(kind, func(t *testing.T) {
			memory := NewMemoryFS()
			fault := &faulty{kind: kind, err: syscall.ENOSPC}
			stores, err := OpenStores(Options{Dir: appDir, FS: errorfs.Wrap(memory, fault), MemTableBytes: 256 << 10})
			if err != nil {
				t.Fatal(err)
			}
			st, err := stores.Open(shop.Partition, shop)
			if err != nil {
				t.Fatal(err)
			}
			o := st.NewOverlay()
			apply := func(tx int) error {
				o.Put([]table.Row{set(table.Components, fmt.Sprint("c", tx), strings.Repeat("ç", 5000))})
				defer o.Reset()
				if err := st.Apply(o, Position{Transaction: uint64(tx), KeyedNext: int64(tx)}, nil); err != nil {
					return err
				}
				return st.Sync()
			}
			for tx := 1; tx <= 5; tx++ {
				if err := apply(tx); err != nil {
					t.Fatal(err)
				}
			}
			fault.on.Store(true)
			tx := 6
			for ; err == nil && tx < 500; tx++ {
				err = apply(tx)
			}
			if KindOf(err) != DiskFull || !strings.Contains(err.Error(), appDir+"/3") || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("after transaction %d: %v", tx, err)
			}
			<-st.watch.failed
			if again := apply(tx + 1); KindOf(again) != DiskFull || KindOf(st.Err()) != DiskFull {
				t.Errorf("next apply: %v, Err %v", again, st.Err())
			}
			if err := st.Close(); KindOf(err) != DiskFull {
				t.Errorf("close: %v", err)
			}
			stores.Close()

			again := openStore(t, memory.Crash())
			if got := again.Position().Transaction; got < 5 || got > uint64(tx) || len(dump(t, again)) != int(got) {
				t.Errorf("after a restart: transaction %d with %d rows, 5 were synced", got, len(dump(t, again)))
			}
		})
	}
}

// failsAt is a file system of which one operation fails.
type failsAt struct {
	kind errorfs.OpReadWrite
	err  error
	left atomic.Int64 // operations before it
}

func (f *failsAt) String() string { return "fails at" }

// MaybeError passes the syncs of directories: where one fails, Pebble panics, and the process dies of it.
func (f *failsAt) MaybeError(op errorfs.Op) error {
	directory := op.Kind == errorfs.OpFileSync && !strings.Contains(op.Path[strings.LastIndexByte(op.Path, '/'):], ".")
	if op.Kind.ReadOrWrite() == f.kind && !directory && f.left.Add(-1) == -1 {
		return &os.PathError{Op: "disk", Path: op.Path, Err: f.err}
	}
	return nil
}

// One operation fails while a store is opened, wherever that is: either it is opened all the same, or the error says which
// directory it is about and what to do, and the next Open finds everything.
func TestAStoreIsOpenedOrSaysWhyNot(t *testing.T) {
	live := NewMemoryFS()
	st := openStore(t, live)
	o := st.NewOverlay()
	o.Put([]table.Row{set(table.Components, "a", "ñ"), set(table.Components, "b", "ç")})
	if err := errors.Join(st.Apply(o, Position{Transaction: 1, KeyedNext: 7}, nil), st.Sync()); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []struct {
		kind errorfs.OpReadWrite
		err  syscall.Errno
		what Kind
	}{{errorfs.OpIsRead, syscall.EIO, Failed}, {errorfs.OpIsWrite, syscall.EIO, Failed}, {errorfs.OpIsWrite, syscall.ENOSPC, DiskFull}} {
		refused := 0
		for at := int64(0); ; at++ {
			disk, fails := live.Kill(), &failsAt{kind: fault.kind, err: fault.err}
			fails.left.Store(at)
			stores, err := OpenStores(Options{Dir: appDir, FS: errorfs.Wrap(disk, fails)})
			if err == nil {
				var st *Store
				if st, err = stores.Open(shop.Partition, shop); err == nil {
					st.Close()
				}
				stores.Close()
			}
			if fails.left.Load() >= 0 {
				if at < 10 || refused == 0 {
					t.Errorf("%s %s: %d places, %d refused: the disk hardly ever failed", fault.kind, fault.err, at, refused)
				}
				break
			}
			if err != nil {
				refused++
				if kind := KindOf(err); kind != fault.what && kind != Corrupt || !strings.Contains(err.Error(), appDir) || !strings.Contains(err.Error(), "start again") {
					t.Errorf("%s %s at %d: %v", fault.kind, fault.err, at, err)
				}
			}
			again := openStore(t, disk.Kill())
			if again.Position().KeyedNext != 7 || len(dump(t, again)) != 2 {
				t.Errorf("%s %s at %d: after a restart at %v with %d rows", fault.kind, fault.err, at, again.Position(), len(dump(t, again)))
			}
		}
	}
}

// stuck is a file system that holds up what is written to tables until it is told to fail it, and goes on when it is healed.
type stuck struct {
	hold, fail, healed chan struct{} // closed when that begins
}

func (s *stuck) String() string { return "stuck" }

func (s *stuck) MaybeError(op errorfs.Op) error {
	select {
	case <-s.hold:
	default:
		return nil
	}
	if op.Kind != errorfs.OpFileWrite || !strings.HasSuffix(op.Path, ".sst") {
		return nil
	}
	<-s.fail
	select {
	case <-s.healed:
		return nil
	default:
		return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
	}
}

// The disk is so slow that writes wait for a flush, and then it is full: Pebble tries again and again, and the write would wait
// until somebody frees space. The process has to end, and say why.
func TestAWriteThatWaitsForAFlushThatCannotSucceedEnds(t *testing.T) {
	memory := NewMemoryFS()
	disk := &stuck{hold: make(chan struct{}), fail: make(chan struct{}), healed: make(chan struct{})}
	stores, err := OpenStores(Options{Dir: appDir, FS: errorfs.Wrap(memory, disk), MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	st, err := stores.Open(shop.Partition, shop)
	if err != nil {
		t.Fatal(err)
	}
	close(disk.hold)
	ended := make(chan error, 1)
	go func() {
		o := st.NewOverlay()
		for tx := uint64(1); ; tx++ {
			o.Put([]table.Row{set(table.Components, fmt.Sprint("c", tx), strings.Repeat("ç", 5000))})
			if err := st.Apply(o, Position{Transaction: tx, KeyedNext: int64(tx)}, nil); err != nil {
				ended <- err
				return
			}
			o.Reset()
		}
	}()
	for !st.watch.stalled.Load() { // the event comes from inside of the write
		runtime.Gosched()
	}
	close(disk.fail)
	if err := <-ended; KindOf(err) != DiskFull || !strings.Contains(err.Error(), appDir+"/3") {
		t.Errorf("the write that waited: %v", err)
	}
	if err := st.Close(); KindOf(err) != DiskFull {
		t.Errorf("close: %v", err)
	}
	stores.Close()
	close(disk.healed)
	<-st.abandoned // only then the test may end: Pebble writes on until it is closed

	again := openStore(t, memory.Kill())
	if got := again.Position().Transaction; got == 0 || len(dump(t, again)) != int(got) {
		t.Errorf("after a restart: transaction %d with %d rows", got, len(dump(t, again)))
	}
}

func TestCorruptTableIsAStop(t *testing.T) {
	fs := NewMemoryFS()
	st := openStore(t, fs)
	o := st.NewOverlay()
	o.Put([]table.Row{set(table.Components, "c1", strings.Repeat("andré ", 100))})
	if err := errors.Join(st.Apply(o, Position{Transaction: 1}, nil), st.db.Flush(), o.Reset(), st.Close(), st.stores.Close()); err != nil {
		t.Fatal(err)
	}
	names, _ := fs.List(appDir + "/3")
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		data, err := fs.UnsafeGetFileDataBuffer(appDir + "/3/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(len(data)/2, 200) {
			data[i] ^= 0x5A
		}
	}
	stores := openStores(t, fs)
	st, err := stores.Open(shop.Partition, shop)
	if err == nil {
		o = st.NewOverlay()
		_, err = o.Get(table.Components, []byte("c1"))
		st.Close()
	}
	if KindOf(err) != Corrupt || !strings.Contains(err.Error(), "mv "+appDir+"/3 ") {
		t.Errorf("read: %v", err)
	}
}

func TestStoreOfANewerProgramIsRefused(t *testing.T) {
	t.Run("rows", func(t *testing.T) {
		fs := NewMemoryFS()
		st := openStore(t, fs)
		if err := st.db.Set(positionKey, []byte{9, 0, FormatVersion + 1, 1, 2, 3}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		st.Close()
		_, err := st.stores.Open(shop.Partition, shop)
		if KindOf(err) != NewerFormat || !strings.Contains(err.Error(), "format version 2") {
			t.Errorf("open: %v", err)
		}
	})
	t.Run("pebble", func(t *testing.T) {
		fs := NewMemoryFS()
		st := openStore(t, fs)
		st.Close()
		dir := appDir + "/3"
		names, _ := fs.List(dir)
		for _, name := range names {
			if strings.HasPrefix(name, "marker.format-version.") {
				if err := fs.Rename(dir+"/"+name, dir+"/"+name[:len(name)-3]+"999"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := st.stores.Open(shop.Partition, shop); KindOf(err) != NewerFormat {
			t.Errorf("open: %v", err)
		}
	})
}

func TestOlderStoreClimbsRungByRung(t *testing.T) {
	st := openStore(t, NewMemoryFS())
	var climbed []uint16
	step := func(v uint16) rung {
		return rung{version: v, what: "test", climb: func(_ *pebble.DB, b *pebble.Batch) error {
			climbed = append(climbed, v)
			return setRow(b, table.Founders, fmt.Appendf(nil, "rung-%d", v), []byte("x"))
		}}
	}
	rungs := []rung{ladder[0], step(2), step(3)}
	if err := st.load(rungs); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint16{2, 3}, climbed); diff != "" {
		t.Error(diff)
	}
	row, _ := st.read(positionKey)
	if v, err := parseFormat(row); v != 3 || err != nil || len(dump(t, st)) != 2 {
		t.Errorf("version %d %v, rows %v", v, err, dump(t, st))
	}
	if err := st.load(rungs); err != nil || len(climbed) != 2 {
		t.Errorf("second load: %v, climbed %v", err, climbed)
	}
}

func TestLadderEndsAtTheFormatVersion(t *testing.T) {
	for i, r := range ladder {
		if int(r.version) != i+1 || (r.climb == nil) != (i == 0) || r.what == "" {
			t.Errorf("rung %d: version %d, climb %v", i, r.version, r.climb != nil)
		}
	}
	if last := ladder[len(ladder)-1].version; last != FormatVersion {
		t.Errorf("the last rung is %d, the format version %d", last, FormatVersion)
	}
	if pebbleFormat != pebble.FormatNewest {
		t.Errorf("Pebble's newest format is %d, pebbleFormat is %d: raise it", pebble.FormatNewest, pebbleFormat)
	}
}

func TestRowsWithoutPositionAreRefused(t *testing.T) {
	fs := NewMemoryFS()
	st := openStore(t, fs)
	if err := errors.Join(setAndDelete(st), st.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := st.stores.Open(shop.Partition, shop); KindOf(err) != Corrupt {
		t.Errorf("open: %v", err)
	}
}

func setAndDelete(st *Store) error {
	return errors.Join(st.db.Set([]byte{byte(table.Seen), 'h'}, []byte("x"), nil), st.db.Delete(positionKey, pebble.Sync))
}

func TestStoreWhoseCreationWasCutShortIsMadeAgain(t *testing.T) {
	fs := NewMemoryFS()
	db, err := pebble.Open(appDir+"/3", &pebble.Options{FS: fs, FormatMajorVersion: pebbleFormat})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := openStore(t, fs).Position(); got != (Position{}) {
		t.Errorf("position %v", got)
	}
}

func TestMetaRowsHaveTheirBytes(t *testing.T) {
	p := Position{Transaction: 0x0102, KeyedNext: 0x0304, SeenNext: 0x0506, IdentityNext: 0x0708, StreamTime: 1_700_000_000_123, Customers: 0x090a, Directives: 0x0b0c}
	st := &Store{id: shop}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"position": {appendPosition(nil, FormatVersion, p),
			"01 0001 0000000000000102 0000000000000304 0000000000000506 0000000000000708 0000018bcfe5687b 000000000000090a 0000000000000b0c"},
		"identity": {appendIdentity(nil, shop),
			"01 abcd0000000000000000000000000001 00000003 0000000c 06 7469656e6461 0c 7469656e64612e6b65796564 08 7265676c61732d31"},
		"logged position": {st.Logged(p).AppendValue(nil),
			"01 0000000000000102 0000000000000304 0000018bcfe5687b 000000000000090a 0000000000000b0c abcd0000000000000000000000000001 0000000c 08 7265676c61732d31"},
		"key of position": {AppendPositionKey(nil), "06 706f736974696f6e"},
		"key of a row":    {AppendRowKey(nil, table.Edges, []byte("é")), "04 c3a9"},
	} {
		if got, want := hex.EncodeToString(c.got), strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	if got, err := parsePosition(appendPosition(nil, 1, p)); got != p || err != nil {
		t.Errorf("position: %v %v", got, err)
	}
	if got, err := parseIdentity(appendIdentity(nil, shop)); got != shop || err != nil {
		t.Errorf("identity: %v %v", got, err)
	}
	if got, err := ParseLoggedPosition(st.Logged(p).AppendValue(nil)); got != st.Logged(p) || err != nil {
		t.Errorf("logged position: %v %v", got, err)
	}
}

func TestMetaRowsCutAnywhereAreErrors(t *testing.T) {
	st := &Store{id: shop}
	for n := range 200 {
		cut := func(b []byte) ([]byte, bool) { return b[:min(n, len(b))], n < len(b) }
		if b, short := cut(appendPosition(nil, 1, Position{})); short {
			if _, err := parsePosition(b); err == nil {
				t.Errorf("position of %d bytes is accepted", n)
			}
		}
		if b, short := cut(appendIdentity(nil, shop)); short {
			if _, err := parseIdentity(b); err == nil {
				t.Errorf("identity of %d bytes is accepted", n)
			}
		}
		if b, short := cut(st.Logged(Position{}).AppendValue(nil)); short {
			if _, err := ParseLoggedPosition(b); err == nil {
				t.Errorf("logged position of %d bytes is accepted", n)
			}
		}
	}
}

func TestLoggedPositionOfAnotherHistoryIsRefused(t *testing.T) {
	st := &Store{id: shop, dir: appDir + "/3"}
	for want, change := range map[Kind]func(*LoggedPosition){
		0:              func(*LoggedPosition) {},
		OtherHistory:   func(l *LoggedPosition) { l.TopicID[0]++ },
		PartitionCount: func(l *LoggedPosition) { l.PartitionCount++ },
		RulesChanged:   func(l *LoggedPosition) { l.RulesVersion = "reglas-0" },
	} {
		l := st.Logged(Position{})
		change(&l)
		if err := st.CheckLogged(l); KindOf(err) != want {
			t.Errorf("want kind %d: %v", want, err)
		}
	}
}

func TestChangelogRecordOfAnUnloggedTableIsAnError(t *testing.T) {
	for _, key := range [][]byte{nil, {byte(table.Seen), 'h'}, {byte(table.Meta)}, {99}} {
		if row, err := ParseRow(key, nil); err == nil {
			t.Errorf("key %x gives %+v", key, row)
		}
	}
	if !IsPositionKey(AppendPositionKey(nil)) || IsPositionKey([]byte{byte(table.Founders)}) {
		t.Error("position key")
	}
}

func TestPebbleFaultWithoutAnErrorPanics(t *testing.T) {
	w := newWatcher(appDir, slog.New(slog.DiscardHandler))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Fatalf("commit: %v", vfs.ErrUnsupported)
		t.Error("Pebble goes on after an error of the disk")
	}()
	<-ended
	if KindOf(w.err()) != Failed || !errors.Is(w.err(), vfs.ErrUnsupported) {
		t.Errorf("with an error: %v", w.err())
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), appDir) {
			t.Errorf("recovered %v", r)
		}
	}()
	w.Fatalf("empty compaction chosen")
}

func TestPebbleMessagesAreLoggedAtDebug(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelDebug: true, slog.LevelInfo: false} {
		var out bytes.Buffer
		w := newWatcher(appDir, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})))
		w.Infof("flushed %d", 5)
		if got := strings.Contains(out.String(), "flushed 5"); got != want {
			t.Errorf("level %v: %q", level, out.String())
		}
	}
}

// A directory of another user, or a volume that is mounted read-only, is not the disk's fault.
func TestWhatMayNotBeWrittenIsNoFaultOfTheDisk(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		denied := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpMkdirAll {
				return &os.PathError{Op: "open", Path: op.Path, Err: errno}
			}
			return nil
		})
		_, err := OpenStores(Options{Dir: appDir, FS: errorfs.Wrap(NewMemoryFS(), denied)})
		if KindOf(err) != Denied || !errors.Is(err, errno) || !strings.Contains(err.Error(), "no permission: ") || strings.Contains(err.Error(), "disk") {
			t.Errorf("%v: %v", errno, err)
		}
	}
}
