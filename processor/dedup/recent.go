package dedup

import (
	"encoding/binary"
	"math"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Recent knows, for some buckets, which interactions were surely not accepted in them: most interactions are new, and asking
// the store for what is not there costs more than everything else. It is a Bloom filter for each bucket that grows with it, of as
// many bytes as the store's own filters would take of the cache. It forgets nothing and is never wrong about absence; what it
// does not know, it leaves to the store. It belongs to one view, and ends with it.
type Recent struct {
	oldest  uint64 // before it no bucket has a row
	known   uint64 // from it on, every row went through add
	buckets []filterBucket
	bytes   int
	bound   int
}

type filterBucket struct {
	bucket uint64
	full   bool // it outgrew the bound and knows nothing
	parts  []filterPart
}

// filterPart is a Bloom filter in blocks of a cache line: a key sets and asks bits of one block only.
type filterPart struct {
	blocks [][8]uint64
	room   int // keys that it still takes
}

const (
	bitsOfKey     = 7       // set by a key
	keysOfBlock   = 48      // about 10 bits a key: one absent key in a hundred is taken for present
	firstPartKeys = 48 << 8 // of the first filter of a bucket; each further one is twice as large
	blockBytes    = 64      // a cache line
	maxBuckets    = 3       // that a lookup may ask
)

// DefaultRecentBytes bounds the filters of one partition.
const DefaultRecentBytes = 16 << 20

// NewRecent looks up what the view has. Stream is the stream time of the partition, epoch ms; bound is in bytes.
func (w *Window) NewRecent(view table.View, stream int64, bound int) (*Recent, error) {
	since, err := w.since(view)
	if err != nil {
		return nil, err
	}
	if since == math.MaxUint64 {
		return &Recent{bound: bound}, nil // the view has no row: from now on all of them come by
	}
	return &Recent{oldest: since, known: w.bucketOf(stream) + 1, bound: bound}, nil
}

// mayHave reports whether the store has to be asked for an interaction in a bucket.
func (r *Recent) mayHave(bucket uint64, id *interaction.Hash) bool {
	if bucket < r.oldest {
		return false
	}
	if bucket < r.known {
		return true
	}
	for i := range r.buckets {
		if b := &r.buckets[i]; b.bucket == bucket {
			return b.full || b.mayHave(id)
		}
	}
	return false
}

// Add tells of an interaction that was accepted at a stream time. That its transaction is given up later does no harm.
func (r *Recent) Add(w *Window, id interaction.Hash, stream int64) {
	bucket := w.bucketOf(stream)
	if bucket < r.known {
		return
	}
	b := r.bucketFor(bucket)
	if b.full {
		return
	}
	if n := len(b.parts); n == 0 || b.parts[n-1].room == 0 {
		blocks := firstPartKeys / keysOfBlock << n
		if r.bytes+blocks*blockBytes > r.bound {
			r.release(b)
			b.full = true
			return
		}
		r.bytes += blocks * blockBytes
		b.parts = append(b.parts, filterPart{make([][8]uint64, blocks), blocks * keysOfBlock})
	}
	b.parts[len(b.parts)-1].add(&id)
}

// bucketFor finds or begins a bucket. Stream time does not go back, so the oldest of too many has left the window.
func (r *Recent) bucketFor(bucket uint64) *filterBucket {
	for i := range r.buckets {
		if r.buckets[i].bucket == bucket {
			return &r.buckets[i]
		}
	}
	if len(r.buckets) == maxBuckets {
		r.release(&r.buckets[0])
		r.oldest = max(r.oldest, r.buckets[0].bucket+1)
		r.buckets = append(r.buckets[:0], r.buckets[1:]...)
	}
	r.buckets = append(r.buckets, filterBucket{bucket: bucket})
	return &r.buckets[len(r.buckets)-1]
}

func (r *Recent) release(b *filterBucket) {
	for _, p := range b.parts {
		r.bytes -= len(p.blocks) * blockBytes
	}
	b.parts = nil
}

func (b *filterBucket) mayHave(id *interaction.Hash) bool {
	for i := range b.parts {
		if b.parts[i].mayHave(id) {
			return true
		}
	}
	return false
}

// place is the block of an id and the number whose parts of 9 bits name the bits in it. An id is a hash: its bits are as good
// as random.
func (p *filterPart) place(id *interaction.Hash) (*[8]uint64, uint64) {
	return &p.blocks[binary.LittleEndian.Uint64(id[:8])%uint64(len(p.blocks))], binary.LittleEndian.Uint64(id[8:])
}

func (p *filterPart) add(id *interaction.Hash) {
	block, bits := p.place(id)
	for range bitsOfKey {
		block[bits>>6&7] |= 1 << (bits & 63)
		bits >>= 9
	}
	p.room--
}

func (p *filterPart) mayHave(id *interaction.Hash) bool {
	block, bits := p.place(id)
	for range bitsOfKey {
		if block[bits>>6&7]&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}
