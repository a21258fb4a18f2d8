package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor/table"
)

var stageTables = []table.ID{table.Seen, table.Identifiers, table.Components, table.Edges, table.Founders}

// drawKey draws short keys over few bytes, so that keys meet, and begin with one another, often.
func drawKey(t *rapid.T, label string) []byte {
	return rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 'a', 'b', 0xFE, 0xFF}), 0, 4).Draw(t, label)
}

func drawRow(t *rapid.T) table.Row {
	r := table.Row{Table: rapid.SampledFrom(stageTables).Draw(t, "table"), Key: drawKey(t, "key")}
	if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
		r.Value = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")...)
	}
	return r
}

// model is what an overlay over a store ought to be: two maps of key with table's byte to value.
type model struct{ own, store map[string][]byte }

func (m *model) get(key string) []byte {
	if v, ok := m.own[key]; ok {
		return v
	}
	return m.store[key]
}

func (m *model) put(rows []table.Row, into map[string][]byte) {
	for _, r := range rows {
		into[string(AppendRowKey(nil, r.Table, r.Key))] = r.Value
	}
}

func (m *model) scan(prefix string) (out []string) {
	all := maps.Clone(m.store)
	maps.Copy(all, m.own)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(key, prefix) && all[key] != nil {
			out = append(out, fmt.Sprintf("%q=%q", key[1:], all[key]))
		}
	}
	return out
}

func TestOverlayOverStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := NewMemoryFS()
		open := func() (*Stores, *Store) {
			stores, err := OpenStores(Options{Dir: appDir, FS: fs, CacheBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			st, err := stores.Open(shop.Partition, shop)
			if err != nil {
				t.Fatal(err)
			}
			return stores, st
		}
		stores, st := open()
		defer func() { st.Close(); stores.Close() }()
		o := st.NewOverlay()
		m := &model{map[string][]byte{}, map[string][]byte{}}
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				rows := rapid.SliceOfN(rapid.Custom(drawRow), 1, 100).Draw(t, "rows")
				o.Put(rows)
				m.put(rows, m.own)
				for i := range rows { // the overlay keeps copies
					clear(rows[i].Key)
					clear(rows[i].Value)
				}
				m.own = cloned(m.own, t, o)
			},
			"get": func(t *rapid.T) {
				id, key := rapid.SampledFrom(stageTables).Draw(t, "table"), drawKey(t, "key")
				got, err := o.Get(id, key)
				check(err)
				want := m.get(string(AppendRowKey(nil, id, key)))
				if (got == nil) != (want == nil) || !bytes.Equal(got, want) {
					t.Fatalf("get %d %q: %q, want %q", id, key, got, want)
				}
			},
			"scan": func(t *rapid.T) {
				id, prefix := rapid.SampledFrom(stageTables).Draw(t, "table"), drawKey(t, "prefix")
				limit := rapid.IntRange(1, 50).Draw(t, "limit")
				var got []string
				check(o.Scan(id, prefix, func(key, value []byte) bool {
					got = append(got, fmt.Sprintf("%q=%q", key, value))
					return len(got) < limit
				}))
				want := m.scan(string(AppendRowKey(nil, id, prefix)))
				if diff := cmp.Diff(want[:min(limit, len(want))], got); diff != "" && len(want)+len(got) > 0 {
					t.Fatalf("scan %d %q: %s", id, prefix, diff)
				}
			},
			"apply": func(t *rapid.T) {
				var expire []table.Range
				if rapid.IntRange(0, 2).Draw(t, "expire") == 0 {
					from, to := drawKey(t, "from"), drawKey(t, "to")
					if bytes.Compare(from, to) < 0 {
						expire = append(expire, table.Range{Table: table.Seen, From: from, To: to})
					}
				}
				p := st.Position()
				p.Transaction++
				p.KeyedNext += 5
				check(st.Apply(o, p, expire))
				check(o.Reset())
				maps.Copy(m.store, m.own)
				clear(m.own)
				for _, r := range expire {
					from, to := string(AppendRowKey(nil, r.Table, r.From)), string(AppendRowKey(nil, r.Table, r.To))
					maps.DeleteFunc(m.store, func(key string, _ []byte) bool { return from <= key && key < to })
				}
			},
			"reset": func(t *rapid.T) {
				check(o.Reset())
				clear(m.own)
			},
			"flush": func(t *rapid.T) {
				check(st.release())
				check(st.db.Flush())
			},
			"reopen": func(t *rapid.T) {
				p := st.Position()
				check(errors.Join(st.Close(), stores.Close()))
				fs = fs.Crash()
				stores, st = open()
				o = st.NewOverlay()
				clear(m.own)
				if st.Position() != p {
					t.Fatalf("position %v, was %v", st.Position(), p)
				}
			},
		})
	})
}

// cloned reads the model's own rows back from Rows: what was put is what is logged, in key order, once per key.
func cloned(own map[string][]byte, t *rapid.T, o *Overlay) map[string][]byte {
	got := map[string][]byte{}
	var last string
	for _, log := range []table.Log{table.LogSeen, table.LogIdentity} {
		last = ""
		o.Rows(log, func(r table.Row) error {
			key := string(AppendRowKey(nil, r.Table, r.Key))
			if key <= last {
				t.Fatalf("rows: %q after %q", key, last)
			}
			last, got[key] = key, bytes.Clone(r.Value)
			return nil
		})
	}
	if len(got) != len(own) || o.Len() != len(own) {
		t.Fatalf("rows: %d, length %d, want %d", len(got), o.Len(), len(own))
	}
	return got
}

func TestRestoreFromLoggedRowsGivesTheSameStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := NewMemoryFS()
		stores, err := OpenStores(Options{Dir: appDir, FS: fs, CacheBytes: 1 << 20,
			RestoreBytes: rapid.SampledFrom([]int64{64, 700, 1 << 20}).Draw(t, "memory")})
		if err != nil {
			t.Fatal(err)
		}
		defer stores.Close()
		open := func(partition int32) *Store {
			id := shop
			id.Partition = partition
			st, err := stores.Open(partition, id)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		original, tail, full := open(0), open(1), open(2)
		r, err := full.NewRestorer(nil)
		if err != nil {
			t.Fatal(err)
		}
		o := original.NewOverlay()
		n := rapid.IntRange(1, 60).Draw(t, "transactions")
		for tx := 1; tx <= n; tx++ {
			o.Put(rapid.SliceOfN(rapid.Custom(drawRow), 0, 30).Draw(t, "rows"))
			var logged []table.Row
			keep := func(row table.Row) error { logged = append(logged, row); return nil }
			o.Rows(table.LogSeen, keep)
			o.Rows(table.LogIdentity, func(row table.Row) error {
				row, err := ParseRow(AppendRowKey(nil, row.Table, row.Key), row.Value)
				logged = append(logged, row)
				return err
			})
			p := Position{Transaction: uint64(tx), KeyedNext: int64(10 * tx), StreamTime: int64(tx)}
			if err := original.Apply(o, p, nil); err != nil {
				t.Fatal(err)
			}
			o.Reset()
			if err := errors.Join(r.Put(logged), tail.ApplyLogged(logged, p), tail.ApplyLogged(logged, p)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(r.Finish(context.Background(), original.Position()), r.Close()); err != nil {
			t.Fatal(err)
		}
		want := dumpRapid(t, original)
		for name, st := range map[string]*Store{"tail": tail, "full": full} {
			if diff := cmp.Diff(want, dumpRapid(t, st)); diff != "" {
				t.Fatalf("%s restore: %s", name, diff)
			}
			if st.Position() != original.Position() {
				t.Fatalf("%s restore: position %v, want %v", name, st.Position(), original.Position())
			}
		}
		if err := errors.Join(original.Close(), tail.Close(), full.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

func dumpRapid(t *rapid.T, s *Store) map[string]string {
	rows := map[string]string{}
	o := s.NewOverlay()
	for _, id := range stageTables {
		err := o.Scan(id, nil, func(key, value []byte) bool {
			rows[string(AppendRowKey(nil, id, key))] = string(value)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range rows { // point reads go another way, through the filters
			if got, err := o.Get(table.ID(key[0]), []byte(key[1:])); err != nil || got == nil || string(got) != want {
				t.Fatalf("get %q: %q %v, scan gave %q", key, got, err, want)
			}
		}
	}
	if err := o.Reset(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestSorterKeepsTheLastOfManyVersions(t *testing.T) {
	for _, limit := range []int{200, 5_000, 1 << 20} {
		fs := NewMemoryFS()
		if err := fs.MkdirAll("/sort", 0o755); err != nil {
			t.Fatal(err)
		}
		s := &sorter{fs: fs, dir: "/sort", limit: limit}
		want := map[string]string{}
		const keys, versions = 40, 400
		for v := range versions {
			for k := range keys {
				// Keys of equal first 16 bytes, and keys that begin with another one.
				key := "teléfono:+34600000000" + strings.Repeat("0", k%7) + fmt.Sprint(k)
				var value []byte
				if (v+k)%5 > 0 {
					value = fmt.Appendf(nil, "%d", v)
				}
				if err := s.add(2, []byte(key), value); err != nil {
					t.Fatal(err)
				}
				want["\x02"+key] = string(value)
				if value == nil {
					want["\x02"+key] = "deleted"
				}
			}
		}
		got := map[string]string{}
		var last string
		err := s.merge(context.Background(), func(key, value []byte) error {
			if string(key) <= last {
				t.Fatalf("limit %d: %q after %q", limit, key, last)
			}
			last = string(key)
			got[last] = string(value)
			if value == nil {
				got[last] = "deleted"
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d, %d files: %s", limit, s.count, diff)
		}
		if files, _ := fs.List("/sort"); len(files) > 4*mergeWidth {
			t.Errorf("limit %d: %d runs are left of %d", limit, len(files), s.count)
		}
	}
}

func TestCancelledRestoreLeavesTheStoreEmpty(t *testing.T) {
	st := openStore(t, NewMemoryFS())
	r, err := st.NewRestorer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Put([]table.Row{set(table.Seen, "h1", "x")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Finish(ctx, Position{Transaction: 1}); !errors.Is(err, context.Canceled) || KindOf(err) != 0 {
		t.Errorf("finish: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if empty, err := st.Empty(); !empty || err != nil || st.Position() != (Position{}) {
		t.Errorf("empty %v %v, position %v", empty, err, st.Position())
	}
}
