package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"kinfold/processor/table"
)

const (
	entryBytes = 96       // what a row costs in an overlay besides its key and value
	firstArena = 4 << 10  // first block of keys or values of an overlay
	maxArena   = 64 << 10 // greatest block, except for one longer value
	recentRows = 64       // rows of a table that a scan of the overlay looks through one by one
)

// Overlay holds the rows of a transaction that is not committed yet, over the store. It implements table.View: a step
// sees its own rows first. It belongs to the goroutine of its store.
type Overlay struct {
	store   *Store
	entries []entry          // in the order in which their keys were first put
	index   map[string]int32 // key with the table's byte → entry
	tables  [table.Count]order
	bytes   int
	keys    strings.Builder // block that keys are cut from
	values  []byte          // block that values are cut from
	key, to []byte          // scratch
	found   []int32         // scratch
}

var _ table.View = (*Overlay)(nil)

type entry struct {
	key   string // with the table's byte
	value []byte // nil: deleted
}

// order holds the entries of a table: most sorted by key, the latest as they came. A scan sorts them in when they are
// many, so neither rows nor scans need to look at all of them each time.
type order struct{ sorted, recent []int32 }

// NewOverlay returns an empty overlay over the store. A store has one at a time.
func (s *Store) NewOverlay() *Overlay {
	return &Overlay{store: s, index: map[string]int32{}}
}

// Put adds rows; a later row of a key replaces an earlier one. Keys and values are copied.
func (o *Overlay) Put(rows []table.Row) {
	for _, r := range rows {
		if r.Table == table.Meta || int(r.Table) >= table.Count {
			panic(fmt.Sprintf("state: put of a row of table %d: stages have no rows there", r.Table))
		}
		o.key = AppendRowKey(o.key[:0], r.Table, r.Key)
		value := o.keepValue(r.Value)
		o.bytes += len(value)
		if i, ok := o.index[string(o.key)]; ok {
			o.entries[i].value = value
			continue
		}
		key, i := o.keepKey(o.key), int32(len(o.entries))
		o.entries = append(o.entries, entry{key, value})
		o.index[key] = i
		o.tables[r.Table].recent = append(o.tables[r.Table].recent, i)
		o.bytes += len(key) + entryBytes
	}
}

// keepKey copies a key into the block of keys: a string builder never changes what it has handed out.
func (o *Overlay) keepKey(key []byte) string {
	if free := o.keys.Cap() - o.keys.Len(); free < len(key) {
		size := blockSize(o.keys.Cap(), len(key))
		o.keys = strings.Builder{}
		o.keys.Grow(size)
	}
	from := o.keys.Len()
	o.keys.Write(key)
	return o.keys.String()[from:]
}

func (o *Overlay) keepValue(value []byte) []byte {
	if value == nil {
		return nil
	}
	if cap(o.values)-len(o.values) < len(value) || o.values == nil {
		o.values = make([]byte, 0, blockSize(cap(o.values), len(value)))
	}
	from := len(o.values)
	o.values = append(o.values, value...)
	return o.values[from:len(o.values):len(o.values)]
}

func blockSize(last, need int) int {
	return max(need, min(max(2*last, firstArena), maxArena))
}

// Get implements table.View.
func (o *Overlay) Get(t table.ID, key []byte) ([]byte, error) {
	o.key = AppendRowKey(o.key[:0], t, key)
	if i, ok := o.index[string(o.key)]; ok {
		return o.entries[i].value, nil
	}
	return o.store.get(o.key)
}

// Scan implements table.View.
func (o *Overlay) Scan(t table.ID, prefix []byte, fn func(key, value []byte) bool) error {
	o.key = AppendRowKey(o.key[:0], t, prefix)
	o.to = appendSuccessor(o.to[:0], o.key)
	it, err := o.store.scan(o.key, o.to)
	if err != nil {
		return err
	}
	own := o.ownRows(t, o.key)
	for len(own) > 0 || it.Valid() {
		// The smaller key comes next; of two equal ones the overlay's is newer and hides the store's.
		order := 0
		switch {
		case len(own) == 0:
			order = 1
		case !it.Valid():
			order = -1
		default:
			order = compareKey(o.entries[own[0]].key, it.Key())
		}
		if order <= 0 {
			e := o.entries[own[0]]
			own = own[1:]
			if order == 0 {
				it.Next()
			}
			if e.value == nil {
				continue
			}
			o.key = append(o.key[:0], e.key[1:]...)
			if !fn(o.key, e.value) {
				return nil
			}
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return wrap(o.store.dir, "scan", err)
		}
		if !fn(it.Key()[1:], value) {
			return nil
		}
		it.Next()
	}
	return wrap(o.store.dir, "scan", it.Error())
}

// ownRows returns the overlay's entries that begin with prefix (table's byte first), in key order.
func (o *Overlay) ownRows(t table.ID, prefix []byte) []int32 {
	rows := &o.tables[t]
	if len(rows.recent) > recentRows+len(rows.sorted)/recentRows {
		o.sort(rows)
	}
	o.found = o.found[:0]
	from, _ := slices.BinarySearchFunc(rows.sorted, prefix, func(i int32, p []byte) int {
		return compareKey(o.entries[i].key, p)
	})
	for _, i := range rows.sorted[from:] {
		if !hasPrefix(o.entries[i].key, prefix) {
			break
		}
		o.found = append(o.found, i)
	}
	n := len(o.found)
	for _, i := range rows.recent {
		if hasPrefix(o.entries[i].key, prefix) {
			o.found = append(o.found, i)
		}
	}
	if len(o.found) > n {
		slices.SortFunc(o.found, o.compare)
	}
	return o.found
}

func hasPrefix(key string, prefix []byte) bool {
	return len(key) >= len(prefix) && key[:len(prefix)] == string(prefix)
}

// compareKey is strings.Compare without making a string of b.
func compareKey(a string, b []byte) int {
	switch {
	case a < string(b):
		return -1
	case a > string(b):
		return 1
	}
	return 0
}

func (o *Overlay) compare(a, b int32) int { return strings.Compare(o.entries[a].key, o.entries[b].key) }

// sort brings the latest rows in among the sorted ones, from the end of the slice backwards.
func (o *Overlay) sort(rows *order) {
	slices.SortFunc(rows.recent, o.compare)
	i, j := len(rows.sorted)-1, len(rows.recent)-1
	rows.sorted = append(rows.sorted, rows.recent...)
	for at := len(rows.sorted) - 1; j >= 0; at-- {
		if i >= 0 && o.compare(rows.sorted[i], rows.recent[j]) > 0 {
			rows.sorted[at] = rows.sorted[i]
			i--
		} else {
			rows.sorted[at] = rows.recent[j]
			j--
		}
	}
	rows.recent = rows.recent[:0]
}

// Rows calls fn for each changed row of the tables that are logged to log, table by table and in key order, until fn
// returns an error, and returns it. What fn is given may be kept: Reset does not write over it.
func (o *Overlay) Rows(log table.Log, fn func(table.Row) error) error {
	for _, info := range table.All {
		if info.Log != log {
			continue
		}
		rows := &o.tables[info.ID]
		o.sort(rows)
		size := 0
		for _, i := range rows.sorted {
			size += len(o.entries[i].key) - 1
		}
		keys := make([]byte, 0, size)
		for _, i := range rows.sorted {
			e, from := o.entries[i], len(keys)
			keys = append(keys, e.key[1:]...)
			if err := fn(table.Row{Table: info.ID, Key: keys[from:len(keys):len(keys)], Value: e.value}); err != nil {
				return err
			}
		}
	}
	return nil
}

// write puts all rows into a batch, in key order: Pebble's memtable takes sorted rows in faster than it costs to sort
// them, and Rows has mostly sorted them before.
func (o *Overlay) write(b *pebble.Batch) error {
	for t := range o.tables {
		o.sort(&o.tables[t])
		for _, i := range o.tables[t].sorted {
			e := o.entries[i]
			op := (*pebble.DeferredBatchOp)(nil)
			if e.value == nil {
				op = b.DeleteDeferred(len(e.key))
			} else {
				op = b.SetDeferred(len(e.key), len(e.value))
				copy(op.Value, e.value)
			}
			copy(op.Key, e.key)
			if err := op.Finish(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Len is the number of changed rows.
func (o *Overlay) Len() int { return len(o.entries) }

// Bytes is the memory that the rows take: commit early when it passes the bound. Replaced values count until Reset.
func (o *Overlay) Bytes() int { return o.bytes }

// Reset drops all rows, after Apply or when the transaction is given up, and lets go of the store's files.
func (o *Overlay) Reset() error {
	clear(o.entries)
	o.entries = o.entries[:0]
	clear(o.index)
	for i := range o.tables {
		o.tables[i].sorted, o.tables[i].recent = o.tables[i].sorted[:0], o.tables[i].recent[:0]
	}
	// New blocks, because records that are still on their way to the broker may point into the old ones.
	o.keys, o.values, o.bytes = strings.Builder{}, nil, 0
	return o.store.release()
}

// appendSuccessor appends the least key that is greater than all that begin with prefix. A prefix begins with a table's
// byte, so it is never 0xFF throughout.
func appendSuccessor(b, prefix []byte) []byte {
	end := len(prefix)
	for prefix[end-1] == 0xFF {
		end--
	}
	b = append(b, prefix[:end]...)
	b[len(b)-1]++
	return b
}
