package processor

import (
	"bytes"
	"slices"
	"strings"

	"kinfold/processor/table"
)

// memoryView is state that lives as long as a dry run.
type memoryView struct {
	tables [table.Count]memoryTable
}

// memoryTable keeps its keys in order only as far as scans ask for it: a scan sorts what came since the last one.
type memoryTable struct {
	rows   map[string][]byte
	sorted []string // may hold keys whose rows are gone
	fresh  []string
}

func newMemoryView() *memoryView {
	v := &memoryView{}
	for i := range v.tables {
		v.tables[i].rows = map[string][]byte{}
	}
	return v
}

func (v *memoryView) Get(t table.ID, key []byte) ([]byte, error) {
	return v.tables[t].rows[string(key)], nil
}

func (v *memoryView) Scan(t table.ID, prefix []byte, fn func(key, value []byte) bool) error {
	m := &v.tables[t]
	m.sort()
	from, _ := slices.BinarySearch(m.sorted, string(prefix))
	for _, key := range m.sorted[from:] {
		if !strings.HasPrefix(key, string(prefix)) {
			break
		}
		if value, ok := m.rows[key]; ok && !fn([]byte(key), value) {
			break
		}
	}
	return nil
}

func (v *memoryView) put(rows []table.Row) {
	for _, r := range rows {
		m := &v.tables[r.Table]
		if r.Value == nil {
			delete(m.rows, string(r.Key))
			continue
		}
		if _, known := m.rows[string(r.Key)]; !known && (r.Table == table.Edges || r.Table == table.Directives) { // those that somebody scans
			m.fresh = append(m.fresh, string(r.Key))
		}
		m.rows[string(r.Key)] = bytes.Clone(r.Value)
	}
}

// order makes a table ready to be scanned that put does not keep in order.
func (v *memoryView) order(t table.ID) {
	m := &v.tables[t]
	m.sorted, m.fresh = m.sorted[:0], m.fresh[:0]
	for key := range m.rows {
		m.fresh = append(m.fresh, key)
	}
}

func (m *memoryTable) sort() {
	if len(m.fresh) == 0 {
		return
	}
	m.sorted = append(m.sorted, m.fresh...)
	slices.Sort(m.sorted)
	m.sorted = slices.Compact(m.sorted)
	m.fresh = m.fresh[:0]
}

// drop forgets the rows of a range of the seen table.
func (v *memoryView) drop(r table.Range) {
	m := &v.tables[r.Table]
	for key := range m.rows {
		if key >= string(r.From) && key < string(r.To) {
			delete(m.rows, key)
		}
	}
}
