package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"

	"kinfold/processor/table"
)

var shop = Identity{
	App: "tienda", Topic: "tienda.keyed", TopicID: [16]byte{0xAB, 1: 0xCD, 15: 0x01},
	Partition: 3, PartitionCount: 12, RulesVersion: "reglas-1",
}

const appDir = "/var/lib/kinfold/tienda"

// openStores opens the app's directory and closes it at the end of the test.
func openStores(t testing.TB, fs FS) *Stores {
	t.Helper()
	s, err := OpenStores(Options{Dir: appDir, FS: fs, CacheBytes: 1 << 20, RestoreBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openStore(t testing.TB, fs FS) *Store {
	t.Helper()
	st, err := openStores(t, fs).Open(shop.Partition, shop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func set(id table.ID, key, value string) table.Row {
	return table.Row{Table: id, Key: []byte(key), Value: []byte(value)}
}

func del(id table.ID, key string) table.Row { return table.Row{Table: id, Key: []byte(key)} }

func tableNamed(t testing.TB, name string) table.ID {
	for _, info := range table.All {
		if info.Name == name {
			return info.ID
		}
	}
	t.Fatalf("no table %q", name)
	return 0
}

// story is the state of one story file.
type story struct {
	t       *testing.T
	fs      MemoryFS
	stores  *Stores
	store   *Store
	overlay *Overlay
	restore *Restorer
}

func (s *story) open(id Identity) string {
	if s.stores == nil {
		s.stores = openStores(s.t, s.fs)
	}
	st, err := s.stores.Open(id.Partition, id)
	if err != nil {
		return fmt.Sprintf("%v\n", err)
	}
	s.store, s.overlay = st, st.NewOverlay()
	return s.position()
}

func (s *story) position() string {
	empty, err := s.store.Empty()
	if err != nil {
		s.t.Fatal(err)
	}
	if empty {
		return fmt.Sprintf("%v, empty\n", s.store.Position())
	}
	return fmt.Sprintf("%v\n", s.store.Position())
}

// rows reads lines of the form "table key value" and "table key" for a deletion.
func (s *story) rows(input string) (rows []table.Row) {
	for line := range strings.Lines(input) {
		switch f := strings.Fields(line); len(f) {
		case 2:
			rows = append(rows, del(tableNamed(s.t, f[0]), f[1]))
		case 3:
			rows = append(rows, set(tableNamed(s.t, f[0]), f[1], f[2]))
		default:
			s.t.Fatalf("row %q", line)
		}
	}
	return rows
}

func (s *story) parsePosition(d *datadriven.TestData) Position {
	var tx, keyed, seen, identity, stream int64
	d.ScanArgs(s.t, "tx", &tx)
	d.ScanArgs(s.t, "keyed", &keyed)
	d.MaybeScanArgs(s.t, "seen", &seen)
	d.MaybeScanArgs(s.t, "identity", &identity)
	d.MaybeScanArgs(s.t, "stream", &stream)
	return Position{uint64(tx), keyed, seen, identity, stream, 0, 0}
}

func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	ok := func(err error) string {
		if err != nil {
			return err.Error() + "\n"
		}
		return "ok\n"
	}
	switch d.Cmd {
	case "open":
		id := shop
		d.MaybeScanArgs(t, "app", &id.App)
		d.MaybeScanArgs(t, "topic", &id.Topic)
		d.MaybeScanArgs(t, "count", &id.PartitionCount)
		d.MaybeScanArgs(t, "rules", &id.RulesVersion)
		if d.HasArg("new-topic") {
			id.TopicID[15]++
		}
		return s.open(id)
	case "close":
		err := s.store.Close()
		return ok(errors.Join(err, s.stop()))
	case "crash", "kill":
		after := s.fs.Crash()
		if d.Cmd == "kill" {
			after = s.fs.Kill()
		}
		s.store.Close() // on the file system that is left behind
		s.stop()
		s.fs = after
		return "ok\n"
	case "set-aside":
		dir, err := s.stores.SetAside(shop.Partition)
		if err != nil {
			return err.Error() + "\n"
		}
		return dir + "\n"
	case "put":
		s.overlay.Put(s.rows(d.Input))
		return fmt.Sprintf("%d rows\n", s.overlay.Len())
	case "reset":
		return ok(s.overlay.Reset())
	case "get":
		var b strings.Builder
		for line := range strings.Lines(d.Input) {
			f := strings.Fields(line)
			value, err := s.overlay.Get(tableNamed(t, f[0]), []byte(f[1]))
			if err != nil {
				t.Fatal(err)
			}
			if value == nil {
				fmt.Fprintf(&b, "%s: none\n", f[1])
			} else {
				fmt.Fprintf(&b, "%s: %s\n", f[1], value)
			}
		}
		return b.String()
	case "scan":
		var name, prefix string
		d.ScanArgs(t, "table", &name)
		d.MaybeScanArgs(t, "prefix", &prefix)
		return scanText(t, s.overlay, tableNamed(t, name), prefix)
	case "log":
		var b strings.Builder
		which := table.LogIdentity
		if d.HasArg("seen") {
			which = table.LogSeen
		}
		s.overlay.Rows(which, func(r table.Row) error {
			fmt.Fprintf(&b, "%d %s %q deleted=%v\n", r.Table, r.Key, r.Value, r.Value == nil)
			return nil
		})
		return b.String()
	case "apply":
		var expire []table.Range
		for line := range strings.Lines(d.Input) {
			f := strings.Fields(line) // expire table from to
			expire = append(expire, table.Range{Table: tableNamed(t, f[1]), From: []byte(f[2]), To: []byte(f[3])})
		}
		if err := s.store.Apply(s.overlay, s.parsePosition(d), expire); err != nil {
			return err.Error() + "\n"
		}
		s.overlay.Reset()
		return s.position()
	case "apply-logged":
		if err := s.store.ApplyLogged(s.rows(d.Input), s.parsePosition(d)); err != nil {
			return err.Error() + "\n"
		}
		return s.position()
	case "sync":
		return ok(s.store.Sync())
	case "restore":
		var err error
		if s.restore == nil {
			if s.restore, err = s.store.NewRestorer(nil); err != nil {
				return err.Error() + "\n"
			}
		}
		return ok(s.restore.Put(s.rows(d.Input)))
	case "finish":
		err := s.restore.Finish(context.Background(), s.parsePosition(d))
		if err = errors.Join(err, s.restore.Close()); err != nil {
			return err.Error() + "\n"
		}
		return s.position()
	case "position":
		return s.position()
	case "files":
		names, err := s.fs.List(appDir)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(sorted(names), "\n") + "\n"
	}
	t.Fatalf("unknown command %q", d.Cmd)
	return ""
}

func (s *story) stop() error {
	stores := s.stores
	s.stores, s.store, s.overlay, s.restore = nil, nil, nil, nil
	return stores.Close()
}

func scanText(t testing.TB, v table.View, id table.ID, prefix string) string {
	var b strings.Builder
	err := v.Scan(id, []byte(prefix), func(key, value []byte) bool {
		fmt.Fprintf(&b, "%s: %s\n", key, value)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{t: t, fs: NewMemoryFS()}
		datadriven.RunTest(t, path, s.run)
	})
}

// dump reads everything of a store but its meta rows.
func dump(t testing.TB, s *Store) map[string]string {
	t.Helper()
	rows := map[string]string{}
	o := s.NewOverlay()
	for _, info := range table.All {
		if info.ID == table.Meta {
			continue
		}
		err := o.Scan(info.ID, nil, func(key, value []byte) bool {
			rows[string(AppendRowKey(nil, info.ID, key))] = string(value)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Reset(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestKillBetweenAppliesLeavesRowsAndPositionOfOneTransaction(t *testing.T) {
	fs := NewMemoryFS()
	st := openStore(t, fs)
	o := st.NewOverlay()
	for tx := 1; tx <= 30; tx++ {
		var rows []table.Row
		for i := range 50 {
			rows = append(rows, set(table.Components, fmt.Sprintf("cliente-%d", i), fmt.Sprint(tx)))
		}
		rows = append(rows, set(table.Seen, fmt.Sprintf("h%d", tx), "x"))
		o.Put(rows)
		if err := st.Apply(o, Position{Transaction: uint64(tx), KeyedNext: int64(tx)}, nil); err != nil {
			t.Fatal(err)
		}
		o.Reset()
		if tx%7 == 0 {
			if err := st.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		if tx%3 != 0 {
			continue
		}
		for name, after := range map[string]MemoryFS{"kill": fs.Kill(), "power": fs.Crash()} {
			stores := openStores(t, after)
			again, err := stores.Open(shop.Partition, shop)
			if err != nil {
				t.Fatalf("%s after transaction %d: %v", name, tx, err)
			}
			got := again.Position()
			if least := uint64(tx / 7 * 7); got.Transaction < least || got.Transaction > uint64(tx) {
				t.Errorf("%s after transaction %d: store is at %d, synced was %d", name, tx, got.Transaction, least)
			}
			if got.Transaction == 0 {
				stores.Close()
				continue
			}
			rows := dump(t, again)
			if want := 50 + int(got.Transaction); len(rows) != want {
				t.Errorf("%s after transaction %d: %d rows, want %d", name, tx, len(rows), want)
			}
			for i := range 50 {
				key := AppendRowKey(nil, table.Components, fmt.Appendf(nil, "cliente-%d", i))
				if row := rows[string(key)]; row != fmt.Sprint(got.Transaction) {
					t.Errorf("%s after transaction %d: position says %d, row says %s", name, tx, got.Transaction, row)
				}
			}
			again.Close()
			stores.Close()
		}
	}
}

func TestOpenStoresRefusesADirectoryInUse(t *testing.T) {
	fs := NewMemoryFS()
	first := openStores(t, fs)
	_, err := OpenStores(Options{Dir: appDir, FS: fs})
	if KindOf(err) != Locked || !strings.Contains(err.Error(), appDir) {
		t.Fatalf("second open: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openStores(t, fs)
}

func TestInstanceIDStaysAndDiffersBetweenDirectories(t *testing.T) {
	fs := NewMemoryFS()
	first := openStores(t, fs)
	id := first.InstanceID()
	if len(id) != 2*instanceIDBytes {
		t.Fatalf("id %q", id)
	}
	if again := openStores(t, fs.Crash()).InstanceID(); again != id {
		t.Errorf("after a loss of power: %q, was %q", again, id)
	}
	if other := openStores(t, NewMemoryFS()).InstanceID(); other == id {
		t.Errorf("two directories have the id %q", id)
	}
}

func TestStoreOnDiskKeepsItsRows(t *testing.T) {
	dir := t.TempDir() + "/estado/tienda"
	for round := 1; round <= 3; round++ {
		stores, err := OpenStores(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		st, err := stores.Open(shop.Partition, shop)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Position().Transaction; got != uint64(round-1) {
			t.Fatalf("round %d: transaction %d", round, got)
		}
		o := st.NewOverlay()
		o.Put([]table.Row{set(table.Founders, fmt.Sprint("ñandú-", round), "c")})
		if err := st.Apply(o, Position{Transaction: uint64(round)}, nil); err != nil {
			t.Fatal(err)
		}
		if stats := st.Stats(); stats.DiskBytes == 0 || len(stats.Tables) != len(table.All) {
			t.Errorf("stats: %+v", stats)
		}
		if n := len(dump(t, st)); n != round {
			t.Errorf("round %d: %d rows", round, n)
		}
		if err := errors.Join(st.Close(), st.Close(), stores.Close(), stores.Close()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Stats{}, st.Stats()); diff != "" {
			t.Errorf("stats of a closed store: %s", diff)
		}
	}
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

// Partitions are opened side by side; of several who want the same one, one gets it, and what the others do leaves it alone.
func TestStoresAreOpenedSideBySide(t *testing.T) {
	s := openStores(t, NewMemoryFS())
	const each = 3
	var opened [8]atomic.Int32
	var wg sync.WaitGroup
	for i := range len(opened) * each {
		partition := int32(i % len(opened))
		wg.Go(func() {
			id := shop
			id.Partition = partition
			st, err := s.Open(partition, id)
			if err != nil {
				if !strings.Contains(err.Error(), "it is open already") {
					t.Error(err)
				}
				return
			}
			opened[partition].Add(1)
			if err := st.ApplyLogged([]table.Row{set(table.Identifiers, "k", "v")}, Position{Transaction: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for partition := range opened {
		if n := opened[partition].Load(); n != 1 {
			t.Errorf("partition %d was opened %d times", partition, n)
		}
		if _, err := s.SetAside(int32(partition)); err == nil {
			t.Errorf("partition %d is open and was set aside", partition)
		}
		if err := s.open[int32(partition)].Close(); err != nil {
			t.Error(err)
		}
	}
}
