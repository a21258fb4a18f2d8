package state

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"kinfold/processor/table"
)

const (
	benchSeen  = 2_000_000 // rows of the store that is read
	batchOfRun = 5_000     // seen rows of a transaction
)

// seenKey is shaped like dedup's: a time bucket and 16 bytes of hash.
func seenKey(b []byte, bucket uint32, n uint64) []byte {
	b = binary.BigEndian.AppendUint32(b[:0], bucket)
	r := rand.NewPCG(n, 1)
	b = binary.BigEndian.AppendUint64(b, r.Uint64())
	return binary.BigEndian.AppendUint64(b, r.Uint64())
}

func benchStore(b *testing.B, cache int64) *Store {
	stores, err := OpenStores(Options{Dir: b.TempDir(), CacheBytes: cache})
	if err != nil {
		b.Fatal(err)
	}
	st, err := stores.Open(shop.Partition, shop)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { st.Close(); stores.Close() })
	return st
}

func fill(b *testing.B, st *Store, n int) {
	r, err := st.NewRestorer(nil)
	if err != nil {
		b.Fatal(err)
	}
	row := []table.Row{{Table: table.Seen, Value: make([]byte, 17)}}
	for i := range n {
		row[0].Key = seenKey(row[0].Key, uint32(i*8/n), uint64(i))
		if err := r.Put(row); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.Finish(context.Background(), Position{Transaction: 1}); err != nil {
		b.Fatal(err)
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, cache := range []int64{8 << 20, 256 << 20} {
		st := benchStore(b, cache)
		fill(b, st, benchSeen)
		o := st.NewOverlay()
		key := make([]byte, 0, 20)
		for _, c := range []struct {
			name string
			from uint64
		}{{"hit", 0}, {"miss", benchSeen}} {
			b.Run(fmt.Sprintf("%s/cache=%dMB", c.name, cache>>20), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					n := uint64(i) * 7919 % benchSeen
					key = seenKey(key, uint32(n*8/benchSeen), c.from+n)
					v, err := o.Get(table.Seen, key)
					if err != nil || (v != nil) != (c.from == 0) {
						b.Fatal(v, err)
					}
				}
			})
			// Pebble's own Get, which does without the filters of the lowest level.
			b.Run(fmt.Sprintf("%s-DB.Get/cache=%dMB", c.name, cache>>20), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					n := uint64(i) * 7919 % benchSeen
					key = append([]byte{byte(table.Seen)}, seenKey(key, uint32(n*8/benchSeen), c.from+n)...)
					if v, err := st.read(key); err != nil || (v != nil) != (c.from == 0) {
						b.Fatal(v, err)
					}
				}
			})
		}
		o.Reset()
	}
}

func BenchmarkOverlay(b *testing.B) {
	o := benchStore(b, 8<<20).NewOverlay()
	row := []table.Row{{Table: table.Seen, Value: make([]byte, 17)}}
	keys := make([][]byte, batchOfRun)
	for i := range keys {
		keys[i] = seenKey(nil, 1, uint64(i))
	}
	b.Run("Put", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%batchOfRun == 0 {
				o.Reset()
			}
			row[0].Key = keys[i%batchOfRun]
			o.Put(row)
		}
	})
	for _, k := range keys {
		row[0].Key = k
		o.Put(row)
	}
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if v, _ := o.Get(table.Seen, keys[i%batchOfRun]); v == nil {
				b.Fatal("missing")
			}
		}
	})
}

// BenchmarkApply takes a transaction of 5,000 seen rows through Put, Rows, Apply and Reset.
func BenchmarkApply(b *testing.B) {
	for _, logged := range []bool{false, true} {
		b.Run(fmt.Sprintf("rows=%v", logged), func(b *testing.B) {
			st := benchStore(b, 64<<20)
			o := st.NewOverlay()
			row := []table.Row{{Table: table.Seen, Value: make([]byte, 17)}}
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				for range batchOfRun {
					row[0].Key = seenKey(row[0].Key, 1, n)
					o.Put(row)
					n++
				}
				if logged {
					o.Rows(table.LogSeen, func(table.Row) error { return nil })
				}
				p := st.Position()
				p.Transaction++
				if err := st.Apply(o, p, nil); err != nil {
					b.Fatal(err)
				}
				o.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
		})
	}
}

// BenchmarkRestore restores a million rows on an empty store.
func BenchmarkRestore(b *testing.B) {
	const rows = 1_000_000
	for range b.N {
		st := benchStore(b, 64<<20)
		fill(b, st, rows)
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkScan reads 10 rows of one prefix out of the store.
func BenchmarkScan(b *testing.B) {
	st := benchStore(b, 64<<20)
	fill(b, st, 100_000)
	var rows []table.Row
	for i := range 100_000 {
		rows = append(rows, set(table.Edges, fmt.Sprintf("%06d|%d", i/10, i%10), "arista"))
	}
	if err := st.ApplyLogged(rows, Position{Transaction: 2}); err != nil {
		b.Fatal(err)
	}
	o := st.NewOverlay()
	o.Put(rows[:500])
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := 0
		err := o.Scan(table.Edges, fmt.Appendf(nil, "%06d|", i%10_000), func(_, _ []byte) bool { n++; return true })
		if n != 10 || err != nil {
			b.Fatal(n, err)
		}
	}
	o.Reset()
}
