package processor

import "kinfold/processor/kafka"

const (
	arenaChunk   = 256 << 10
	recordsChunk = 256
)

// arena hands out the bytes and records of a transaction from large chunks: what is produced has to stay untouched until it
// is acknowledged, and one allocation for each would be most of the work. Chunks are left to the garbage collector.
type arena struct {
	chunk   []byte
	records []kafka.Record
}

// bytes returns what fill appends. Size is a guess of its length.
func (a *arena) bytes(size int, fill func(dst []byte) []byte) []byte {
	if cap(a.chunk)-len(a.chunk) < size {
		a.chunk = make([]byte, 0, max(arenaChunk, size))
	}
	from := len(a.chunk)
	a.chunk = fill(a.chunk)
	return a.chunk[from:len(a.chunk):len(a.chunk)]
}

// record returns a new record for a topic, to be placed by its key.
func (a *arena) record(topic string) *kafka.Record {
	if len(a.records) == 0 {
		a.records = make([]kafka.Record, recordsChunk)
	}
	r := &a.records[0]
	a.records = a.records[1:]
	r.Topic, r.Partition = topic, kafka.Unassigned
	return r
}
