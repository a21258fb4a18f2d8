package state

import "kinfold/processor/table"

// cachedTables are those whose rows are read again and again: the rows of a busy customer. A row of seen is read once.
var cachedTables = [table.Count]bool{table.Identifiers: true, table.Components: true}

const (
	rowCacheShare = 2       // the row caches of a process together are that part of its block cache, beside it
	minRowCache   = 1 << 20 // bytes of one store's row cache, however many stores there are
	cachedRowFee  = 96      // bytes that a cached row takes besides key and value
)

// rowCache holds rows as they are in the store, so that a busy customer is found in a map instead of through the levels of the
// store. It has two generations: when the young one is full it becomes the old one, and what was not asked for since then goes.
type rowCache struct {
	young, old map[string][]byte
	bytes      int        // of the young generation
	bound      func() int // bytes of one store's cache; it shrinks as more stores are opened
}

func newRowCache(bound func() int) *rowCache {
	return &rowCache{young: map[string][]byte{}, bound: bound}
}

func (c *rowCache) get(key []byte) ([]byte, bool) {
	if value, ok := c.young[string(key)]; ok {
		return value, true
	}
	value, ok := c.old[string(key)]
	if ok {
		c.keep(string(key), value)
	}
	return value, ok
}

// put takes a copy of the row.
func (c *rowCache) put(key string, value []byte) { c.keep(key, append([]byte{}, value...)) }

func (c *rowCache) keep(key string, value []byte) {
	if c.bytes >= c.bound()/2 {
		c.old, c.young, c.bytes = c.young, make(map[string][]byte, len(c.young)), 0
	}
	if was, ok := c.young[key]; ok {
		c.bytes -= len(key) + len(was) + cachedRowFee
	}
	c.young[key] = value
	c.bytes += len(key) + len(value) + cachedRowFee
}

func (c *rowCache) forget(key string) {
	if was, ok := c.young[key]; ok {
		c.bytes -= len(key) + len(was) + cachedRowFee
		delete(c.young, key)
	}
	delete(c.old, key)
}

func (c *rowCache) clear() {
	clear(c.young)
	c.old, c.bytes = nil, 0
}

// learn takes over the rows of a transaction that the store has now.
func (c *rowCache) learn(o *Overlay) {
	for t := range o.tables {
		if !cachedTables[t] {
			continue
		}
		for _, i := range o.tables[t].sorted { // write has sorted them all
			if e := &o.entries[i]; e.value == nil {
				c.forget(e.key)
			} else {
				c.put(e.key, e.value)
			}
		}
	}
}
