package state

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	sortRowBytes = 32       // size of a sortRow
	mergeWidth   = 32       // runs that are merged into one of the next size
	runBuffer    = 64 << 10 // bytes read or written at once, each run
	cancelEvery  = 1 << 16  // rows between two looks at the context and two calls of progress
)

// sorter sorts rows by key in bounded memory and keeps the last version of each key. What does not fit is written to
// runs, sorted files; runs are merged when many have come together.
//
// A run is a sequence of: key length, uvarint; 0 for a deletion, else 1 + value length, uvarint; key; value.
// It is scratch of one process and has no version.
type sorter struct {
	fs    FS
	dir   string
	limit int // bytes of rows held in memory
	data  []byte
	rows  []sortRow
	runs  []run // oldest first, so a row of a later run is the newer one
	count int   // files made
}

// sortRow is a row in sorter.data. The first 16 bytes of the key decide most comparisons without a look there.
type sortRow struct {
	high, low uint64
	at        int32 // of the key; the value follows
	key       int32 // length
	value     int32 // length, -1: deleted
}

type run struct {
	name  string
	level int // 0 as it was spilled, n+1 merged from level n
}

func (s *sorter) add(t byte, key, value []byte) error {
	if len(s.data)+len(key)+len(value)+1+sortRowBytes*len(s.rows) > s.limit && len(s.rows) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.data == nil {
		s.data = make([]byte, 0, min(s.limit, 1<<20))
	}
	r := sortRow{at: int32(len(s.data)), key: int32(1 + len(key)), value: -1}
	s.data = append(append(s.data, t), key...)
	r.high, r.low = keyHead(s.data[r.at:])
	if value != nil {
		r.value = int32(len(value))
		s.data = append(s.data, value...)
	}
	s.rows = append(s.rows, r)
	return nil
}

// keyHead is the first 16 bytes of a key, zeros behind a shorter one, as two numbers in the order of the bytes.
func keyHead(key []byte) (high, low uint64) {
	if len(key) >= 16 {
		return binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
	}
	var b [16]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
}

func (s *sorter) keyOf(r sortRow) []byte { return s.data[r.at : r.at+r.key] }

func (s *sorter) valueOf(r sortRow) []byte {
	if r.value < 0 {
		return nil
	}
	return s.data[r.at+r.key : r.at+r.key+r.value]
}

// sortMemory sorts the rows in memory and drops all but the last version of each key.
func (s *sorter) sortMemory() {
	slices.SortFunc(s.rows, func(a, b sortRow) int {
		switch {
		case a.high != b.high:
			return order64(a.high, b.high)
		case a.low != b.low:
			return order64(a.low, b.low)
		}
		if c := bytes.Compare(s.keyOf(a), s.keyOf(b)); c != 0 {
			return c
		}
		return int(b.at) - int(a.at) // the later version first: it is the one that is kept
	})
	s.rows = slices.CompactFunc(s.rows, func(a, b sortRow) bool {
		return a.high == b.high && a.low == b.low && bytes.Equal(s.keyOf(a), s.keyOf(b))
	})
}

func order64(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

func (s *sorter) spill() error {
	s.sortMemory()
	w, err := s.create(0)
	if err != nil {
		return err
	}
	for _, r := range s.rows {
		w.add(s.keyOf(r), s.valueOf(r))
	}
	if err := w.close(); err != nil {
		return err
	}
	s.data, s.rows = s.data[:0], s.rows[:0]
	return s.mergeTail()
}

// mergeTail merges the newest runs while mergeWidth of them are of one level.
func (s *sorter) mergeTail() error {
	for {
		n := len(s.runs)
		level := s.runs[n-1].level
		if n < mergeWidth || s.runs[n-mergeWidth].level != level {
			return nil
		}
		tail := slices.Clone(s.runs[n-mergeWidth:])
		s.runs = s.runs[:n-mergeWidth]
		w, err := s.create(level + 1)
		if err != nil {
			return err
		}
		// Deletions stay: they hide rows of the runs before.
		err = s.mergeRuns(context.Background(), tail, func(key, value []byte) error {
			w.add(key, value)
			return nil
		})
		if err = errors.Join(err, w.close()); err != nil {
			return err
		}
		for _, r := range tail {
			if err := s.fs.Remove(r.name); err != nil {
				return err
			}
		}
	}
}

// merge calls fn for the last version of each key in key order; value is nil for a deletion. Key and value are valid
// until fn returns. It may be called once.
func (s *sorter) merge(ctx context.Context, fn func(key, value []byte) error) error {
	if len(s.runs) > 0 && len(s.rows) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if len(s.runs) > 0 {
		s.data, s.rows = nil, nil
		return s.mergeRuns(ctx, s.runs, fn)
	}
	s.sortMemory()
	for i, r := range s.rows {
		if i%cancelEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fn(s.keyOf(r), s.valueOf(r)); err != nil {
			return err
		}
	}
	return nil
}

func (s *sorter) mergeRuns(ctx context.Context, runs []run, fn func(key, value []byte) error) (err error) {
	var h runHeap
	defer func() {
		for _, r := range h {
			err = errors.Join(err, r.file.Close())
		}
	}()
	for age, r := range runs {
		file, err := s.fs.Open(r.name, vfs.SequentialReadsOption)
		if err != nil {
			return err
		}
		in := &runReader{file: file, in: bufio.NewReaderSize(file, runBuffer), age: age}
		if more, err := in.next(); err != nil || !more {
			if err = errors.Join(err, file.Close()); err != nil {
				return fmt.Errorf("read %s: %w", r.name, err)
			}
			continue
		}
		h = append(h, in)
	}
	heap.Init(&h)
	var last []byte
	for n := 0; len(h) > 0; n++ {
		if n%cancelEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r := h[0]
		if n == 0 || !bytes.Equal(r.key, last) {
			last = append(last[:0], r.key...)
			if err := fn(r.key, r.value); err != nil {
				return err
			}
		}
		more, err := r.next()
		if err != nil {
			return fmt.Errorf("read a run: %w", err)
		}
		if more {
			heap.Fix(&h, 0)
			continue
		}
		heap.Pop(&h)
		if err := r.file.Close(); err != nil {
			return err
		}
	}
	return nil
}

type runHeap []*runReader

func (h runHeap) Len() int      { return len(h) }
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*runReader)) }

func (h runHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].key, h[j].key); c != 0 {
		return c < 0
	}
	return h[i].age > h[j].age // the newest version of a key first
}

func (h *runHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

type runReader struct {
	file       vfs.File
	in         *bufio.Reader
	age        int
	buf        []byte
	key, value []byte
}

// next reads the next row and reports whether there is one.
func (r *runReader) next() (bool, error) {
	keyLen, err := binary.ReadUvarint(r.in)
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	valueLen, err := binary.ReadUvarint(r.in)
	if err != nil {
		return false, noEOF(err)
	}
	size := keyLen
	if valueLen > 0 {
		size += valueLen - 1
	}
	r.buf = slices.Grow(r.buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return false, noEOF(err)
	}
	r.key, r.value = r.buf[:keyLen], nil
	if valueLen > 0 {
		r.value = r.buf[keyLen:size:size]
	}
	return true, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

type runWriter struct {
	file vfs.File
	out  *bufio.Writer
	err  error
	head [2 * binary.MaxVarintLen64]byte
}

func (s *sorter) create(level int) (*runWriter, error) {
	s.count++
	name := s.fs.PathJoin(s.dir, fmt.Sprintf("run-%06d", s.count))
	file, err := s.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	s.runs = append(s.runs, run{name, level})
	return &runWriter{file: file, out: bufio.NewWriterSize(file, runBuffer)}, nil
}

// add writes a row; close returns its error.
func (w *runWriter) add(key, value []byte) {
	if w.err != nil {
		return
	}
	head := binary.AppendUvarint(w.head[:0], uint64(len(key)))
	if value == nil {
		head = append(head, 0)
	} else {
		head = binary.AppendUvarint(head, uint64(len(value))+1)
	}
	w.out.Write(head)
	w.out.Write(key)
	_, w.err = w.out.Write(value) // the writer keeps the first error
}

func (w *runWriter) close() error {
	return errors.Join(w.err, w.out.Flush(), w.file.Close())
}
