package dedup

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// memory is a table of seen rows that counts reads.
type memory struct {
	rows  map[string][]byte
	reads int
	err   error
}

func (m *memory) Get(t table.ID, key []byte) ([]byte, error) {
	m.reads++
	if t != table.Seen {
		return nil, errors.New("reads another table")
	}
	return m.rows[string(key)], m.err
}

func (m *memory) Scan(_ table.ID, prefix []byte, fn func(key, value []byte) bool) error {
	for _, key := range slices.Sorted(maps.Keys(m.rows)) {
		if strings.HasPrefix(key, string(prefix)) && !fn([]byte(key), m.rows[key]) {
			break
		}
	}
	return nil
}

func (m *memory) put(r table.Row) { m.rows[string(r.Key)] = r.Value }

func (m *memory) expire(r table.Range) {
	for k := range m.rows {
		if k >= string(r.From) && k < string(r.To) {
			delete(m.rows, k)
		}
	}
}

func newMemory() *memory { return &memory{rows: map[string][]byte{}} }

func window(t testing.TB, d time.Duration) *Window {
	t.Helper()
	w, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func hashOf(n uint64) (h interaction.Hash) {
	binary.BigEndian.PutUint64(h[:], n)
	return h
}

const start = int64(1767225600000)

func TestWindowCountsItsEndAndNothingAfterIt(t *testing.T) {
	for _, length := range []time.Duration{MinWindow, 3 * time.Millisecond, time.Second, 30 * time.Hour, 7 * 24 * time.Hour} {
		w := window(t, length)
		for shift := range int64(5) {
			at, ms := start+shift, length.Milliseconds()
			m := newMemory()
			m.put(w.Row(hashOf(1), hashOf(7), at))
			for _, c := range []struct {
				now  int64
				want Verdict
			}{{at, Duplicate}, {at + ms/2, Duplicate}, {at + ms - 1, Duplicate}, {at + ms, Duplicate}, {at + ms + 1, Fresh}, {at + 3*ms, Fresh}} {
				m.expire(w.Expired(c.now))
				m.reads = 0
				got, err := w.Check(m, hashOf(1), hashOf(7), c.now, &Recent{known: math.MaxUint64})
				if err != nil || got != c.want {
					t.Errorf("window %s, %d ms after: %v %v, want %v", length, c.now-at, got, err, c.want)
				}
				if m.reads > bucketsInWindow+1 {
					t.Errorf("window %s, %d ms after: %d reads", length, c.now-at, m.reads)
				}
			}
		}
	}
}

func TestOtherContentUnderOneIDIsAConflict(t *testing.T) {
	w, m := window(t, time.Hour), newMemory()
	m.put(w.Row(hashOf(1), hashOf(7), start))
	if got, err := w.Check(m, hashOf(1), hashOf(8), start+1, &Recent{known: math.MaxUint64}); got != Conflict || err != nil {
		t.Errorf("other content: %v %v", got, err)
	}
	if got, err := w.Check(m, hashOf(2), hashOf(7), start+1, &Recent{known: math.MaxUint64}); got != Fresh || err != nil {
		t.Errorf("other id: %v %v", got, err)
	}
}

func TestDuplicateDoesNotProlongTheWindow(t *testing.T) {
	w, m := window(t, time.Hour), newMemory()
	m.put(w.Row(hashOf(1), hashOf(7), start))
	half, end := start+30*60*1000, start+60*60*1000
	if got, _ := w.Check(m, hashOf(1), hashOf(7), half, &Recent{known: math.MaxUint64}); got != Duplicate {
		t.Errorf("after half an hour: %v", got)
	}
	if got, _ := w.Check(m, hashOf(1), hashOf(7), end+1, &Recent{known: math.MaxUint64}); got != Fresh {
		t.Errorf("after the hour: %v", got)
	}
	// It is accepted again: the new row counts, whatever became of the old one.
	m.put(w.Row(hashOf(1), hashOf(8), end+1))
	if got, _ := w.Check(m, hashOf(1), hashOf(8), end+2, &Recent{known: math.MaxUint64}); got != Duplicate {
		t.Errorf("after it was accepted again: %v", got)
	}
}

func TestExpiredTakesWholeBucketsOutsideTheWindowOnly(t *testing.T) {
	w, m := window(t, time.Hour), newMemory()
	for i := range int64(240) {
		m.put(w.Row(hashOf(uint64(i)), hashOf(7), start+i*60*1000))
	}
	now := start + 239*60*1000
	m.expire(w.Expired(now))
	if n := len(m.rows); n < 61 || n > 91 {
		t.Errorf("%d rows are left of 240, one a minute, with a window of 60", n)
	}
	for i := range int64(240) {
		want := Fresh
		if i >= 179 {
			want = Duplicate
		}
		if got, _ := w.Check(m, hashOf(uint64(i)), hashOf(7), now, &Recent{known: math.MaxUint64}); got != want {
			t.Errorf("minute %d: %v, want %v", i, got, want)
		}
	}
}

func TestWindowThatIsTooShortIsRefused(t *testing.T) {
	if _, err := New(MinWindow - 1); err == nil {
		t.Error("accepted")
	}
}

func TestCheckReportsWhatItCannotRead(t *testing.T) {
	w, m := window(t, time.Hour), newMemory()
	r := w.Row(hashOf(1), hashOf(7), start)
	for _, value := range [][]byte{{}, {2}, r.Value[:len(r.Value)-1], append(bytes.Clone(r.Value), 0)} {
		m.put(table.Row{Table: table.Seen, Key: r.Key, Value: value})
		if _, err := w.Check(m, hashOf(1), hashOf(7), start, &Recent{known: math.MaxUint64}); err == nil {
			t.Errorf("row %x is read", value)
		}
	}
	m.err = errors.New("disk")
	if _, err := w.Check(m, hashOf(1), hashOf(7), start, &Recent{known: math.MaxUint64}); !errors.Is(err, m.err) {
		t.Errorf("error %v", err)
	}
}

// TestRowsStayAsTheyAre holds the layout: a change of it needs a new version.
func TestRowsStayAsTheyAre(t *testing.T) {
	w := window(t, time.Hour)
	r := w.Row(hashOf(0xA1), hashOf(0xB2), start)
	wantKey := "00000000000efb20" + "00000000000000a1" + "0000000000000000"
	wantValue := "01" + "00000000000000b2" + "0000000000000000" + "0000019b76daa800"
	if d := cmp.Diff([]string{wantKey, wantValue}, []string{hex.EncodeToString(r.Key), hex.EncodeToString(r.Value)}); d != "" {
		t.Errorf("row (-want +got):\n%s", d)
	}
	wantLogged := "01" + wantKey[:16] + "02" + wantKey[16:] + wantValue[2:34] + "80a0d5edee66"
	got := hex.EncodeToString(AppendLogged(nil, []table.Row{r, w.Row(hashOf(0xA3), hashOf(0xB4), start+5)}))
	if len(got) < len(wantLogged) || got[:len(wantLogged)] != wantLogged {
		t.Errorf("logged %s, want it to begin with %s", got, wantLogged)
	}
	if wantEnd := "00000000000000b4" + "0000000000000000" + "0a"; got[len(got)-len(wantEnd):] != wantEnd {
		t.Errorf("logged %s, want it to end with %s", got, wantEnd)
	}
}

func TestLoggedRowsComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := window(t, 10*time.Second)
		var rows []table.Row
		at := start
		for range rapid.IntRange(0, 40).Draw(rt, "rows") {
			at += rapid.Int64Range(0, 4000).Draw(rt, "later")
			rows = append(rows, w.Row(hashOf(rapid.Uint64().Draw(rt, "id")), hashOf(rapid.Uint64().Draw(rt, "content")), at))
		}
		got, err := DecodeLogged(AppendLogged(nil, rows))
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(append([]table.Row{}, rows...), got); d != "" {
			rt.Fatalf("rows (-want +got):\n%s", d)
		}
	})
}

func FuzzLoggedRecordIsReadOrRefused(f *testing.F) {
	w := window(f, time.Hour)
	f.Add(AppendLogged(nil, []table.Row{w.Row(hashOf(1), hashOf(2), start), w.Row(hashOf(3), hashOf(4), start+3600000)}))
	f.Add([]byte{1})
	f.Add([]byte{2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := DecodeLogged(b)
		if err != nil {
			return
		}
		again, err := DecodeLogged(AppendLogged(nil, rows))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rows, again); d != "" {
			t.Fatal(d)
		}
	})
}

// TestCheckAgreesWithAListOfWhatWasAccepted compares with the rule said plainly, over streams that jump.
func TestCheckAgreesWithAListOfWhatWasAccepted(t *testing.T) {
	type accepted struct {
		id, content uint64
		at          int64
	}
	rapid.Check(t, func(rt *rapid.T) {
		length := rapid.Int64Range(2, 50).Draw(rt, "window")
		w, m := window(t, time.Duration(length)*time.Millisecond), newMemory()
		var list []accepted
		now := start
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			now += rapid.Int64Range(0, 30).Draw(rt, "later")
			id, content := rapid.Uint64Range(0, 3).Draw(rt, "id"), rapid.Uint64Range(0, 1).Draw(rt, "content")
			want := Fresh
			for _, a := range list {
				if a.id == id && a.at >= now-length {
					want = Conflict
					if a.content == content {
						want = Duplicate
					}
				}
			}
			if rapid.Bool().Draw(rt, "expire") {
				m.expire(w.Expired(now))
			}
			got, err := w.Check(m, hashOf(id), hashOf(content), now, &Recent{known: math.MaxUint64})
			if err != nil || got != want {
				rt.Fatalf("%v %v, want %v", got, err, want)
			}
			if got == Fresh {
				list = append(list, accepted{id, content, now})
				m.put(w.Row(hashOf(id), hashOf(content), now))
			}
		}
	})
}

// BenchmarkCheckNew is what every interaction pays: it was not seen.
func BenchmarkCheckNew(b *testing.B) {
	w, m := window(b, 7*24*time.Hour), newMemory()
	for i := range uint64(100000) {
		m.put(w.Row(hashOf(i), hashOf(i), start))
	}
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		id := hashOf(1<<40 + i)
		if v, err := w.Check(m, id, id, start, &Recent{known: math.MaxUint64}); v != Fresh || err != nil {
			b.Fatal(v, err)
		}
		_ = w.Row(id, id, start)
	}
}

// BenchmarkDecodeLogged is the speed of a restore, per row.
func BenchmarkDecodeLogged(b *testing.B) {
	w := window(b, 7*24*time.Hour)
	var rows []table.Row
	for i := range uint64(1000) {
		rows = append(rows, w.Row(hashOf(i), hashOf(i), start+int64(i)))
	}
	record := AppendLogged(nil, rows)
	b.ReportAllocs()
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		if _, err := DecodeLogged(record); err != nil {
			b.Fatal(err)
		}
	}
}
