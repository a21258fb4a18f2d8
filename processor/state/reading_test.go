package state

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/table"
)

// put applies rows to a store as the next transaction.
func put(t testing.TB, st *Store, rows ...table.Row) {
	t.Helper()
	o := st.NewOverlay()
	o.Put(rows)
	p := st.Position()
	p.Transaction++
	p.KeyedNext++
	if err := st.Apply(o, p, nil); err != nil {
		t.Fatal(err)
	}
	if err := o.Reset(); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, v table.View, key string) string {
	t.Helper()
	b, err := v.Get(table.Edges, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func scan(t testing.TB, v table.View, prefix string) (found []string) {
	t.Helper()
	if err := v.Scan(table.Edges, []byte(prefix), func(k, v []byte) bool {
		found = append(found, string(k)+"="+string(v))
		return len(found) < 3
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSnapshotSeesTheStoreAsItWas(t *testing.T) {
	st := openStore(t, NewMemoryFS())
	put(t, st, set(table.Edges, "a1", "1"), set(table.Edges, "a2", "2"), set(table.Edges, "b", "3"), set(table.Founders, "a1", "else"))
	snap, err := st.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	put(t, st, set(table.Edges, "a1", "9"), del(table.Edges, "a2"), set(table.Edges, "a3", "4"))
	o := st.NewOverlay()
	o.Put([]table.Row{set(table.Edges, "a0", "not committed")})
	if d := cmp.Diff([]string{"a1=1", "a2=2"}, scan(t, snap, "a")); d != "" {
		t.Errorf("snapshot (-want +got):\n%s", d)
	}
	if got := get(t, snap, "a1") + get(t, snap, "a3"); got != "1" {
		t.Errorf("snapshot says %q", got)
	}
	later, err := st.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a1=9", "a3=4"}, scan(t, later, "a")); d != "" {
		t.Errorf("later snapshot (-want +got):\n%s", d)
	}
	if err := errors.Join(snap.Close(), snap.Close(), later.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestCloseWaitsForSnapshotsAndTellsThem(t *testing.T) {
	st := openStore(t, NewMemoryFS())
	put(t, st, set(table.Edges, "a", "1"))
	snap, err := st.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- st.Close() }()
	for err = nil; !errors.Is(err, ErrClosed); time.Sleep(time.Millisecond) {
		_, err = snap.Get(table.Edges, []byte("a"))
	}
	if err := snap.Scan(table.Edges, nil, func(_, _ []byte) bool { return true }); !errors.Is(err, ErrClosed) {
		t.Errorf("scan while the store is being closed: %v", err)
	}
	if _, err := st.Snapshot(); !errors.Is(err, ErrClosed) {
		t.Errorf("snapshot while the store is being closed: %v", err)
	}
	select {
	case <-closed:
		t.Fatal("the store was closed under a snapshot")
	default:
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestSnapshotsAreReadWhileTheStoreIsWritten(t *testing.T) {
	st := openStore(t, NewMemoryFS())
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				snap, err := st.Snapshot()
				if err != nil {
					t.Error(err)
					return
				}
				// Each transaction writes the same value to both rows.
				a, errA := snap.Get(table.Edges, []byte("a"))
				a = bytes.Clone(a)
				b, errB := snap.Get(table.Edges, []byte("b"))
				if !bytes.Equal(a, b) || errA != nil || errB != nil {
					t.Errorf("half a transaction: %q %v, %q %v", a, errA, b, errB)
				}
				if err := snap.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 300 {
		put(t, st, set(table.Edges, "a", fmt.Sprint(i)), set(table.Edges, "b", fmt.Sprint(i)))
	}
	close(stop)
	readers.Wait()
}
