// Package dedup tells whether an interaction was accepted before, within a window of stream time. It keeps one small
// row for each accepted interaction, in buckets of time that are dropped whole. The rules are those of identity.md
// section 9.
package dedup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Rows of the table seen:
//
//	key    8 bucket: append time of the interaction / length of a bucket, rounded down, big-endian | 16 event hash
//	value  1 version = 1 | 16 content hash | 8 append time, epoch ms, big-endian
//
// The length of a bucket is half the window, so that three buckets cover it: what was accepted at the very beginning
// of the window may be in the oldest.
const (
	rowVersion = 1
	bucketLen  = 8
	hashLen    = len(interaction.Hash{})
	keyLen     = bucketLen + hashLen
	valueLen   = 1 + hashLen + 8
)

// bucketsInWindow is how many lengths of a bucket the window has.
const bucketsInWindow = 2

// Verdict says what an interaction is.
type Verdict uint8

// The verdicts.
const (
	Fresh     Verdict = iota // not accepted within the window
	Duplicate                // accepted, with the same content
	Conflict                 // another content was accepted under its event id
)

var verdictNames = [...]string{"fresh", "duplicate", "conflict"}

func (v Verdict) String() string { return verdictNames[v] }

// Window is the duplicate window. It is immutable.
type Window struct {
	length int64 // ms
	bucket int64 // ms
}

// MinWindow is the shortest window: buckets have whole milliseconds.
const MinWindow = bucketsInWindow * time.Millisecond

// New returns a window of the given length.
func New(length time.Duration) (*Window, error) {
	if length < MinWindow {
		return nil, fmt.Errorf("duplicate_window %s is shorter than %s", length, MinWindow)
	}
	ms := length.Milliseconds()
	// Rounded up, so that two buckets are never shorter than the window.
	return &Window{length: ms, bucket: (ms + bucketsInWindow - 1) / bucketsInWindow}, nil
}

// bucketOf returns the bucket of a time; there is none before 1970, and a clock of a broker does not say so.
func (w *Window) bucketOf(at int64) uint64 { return uint64(max(at, 0) / w.bucket) }

// Check looks an interaction up. id is the hash of realm, source and event id, streamTime the greatest append time so
// far, this interaction's included, in epoch milliseconds. What was accepted at streamTime less the window, exactly,
// still counts. It reads at most three rows, the newest bucket first, and only those that
// recent does not know to be without it.
func (w *Window) Check(view table.View, id, content interaction.Hash, streamTime int64, recent *Recent) (Verdict, error) {
	var key [keyLen]byte
	copy(key[bucketLen:], id[:])
	newest := w.bucketOf(streamTime)
	oldest := w.bucketOf(streamTime - w.length)
	for b := newest; ; b-- {
		if !recent.mayHave(b, &id) {
			if b == oldest {
				return Fresh, nil
			}
			continue
		}
		binary.BigEndian.PutUint64(key[:], b)
		value, err := view.Get(table.Seen, key[:])
		if err != nil {
			return Fresh, fmt.Errorf("dedup: read seen row: %w", err)
		}
		if value != nil {
			if err := checkValue(value); err != nil {
				return Fresh, fmt.Errorf("dedup: seen row of event %x: %w", id, err)
			}
			if at := int64(binary.BigEndian.Uint64(value[1+hashLen:])); at >= streamTime-w.length {
				if interaction.Hash(value[1:1+hashLen]) == content {
					return Duplicate, nil
				}
				return Conflict, nil
			}
		}
		if b == oldest {
			return Fresh, nil
		}
	}
}

// since is the oldest bucket in which the view has a row, or the greatest number.
func (w *Window) since(view table.View) (uint64, error) {
	since := uint64(math.MaxUint64)
	err := view.Scan(table.Seen, nil, func(key, _ []byte) bool {
		if len(key) == keyLen {
			since = binary.BigEndian.Uint64(key)
		}
		return false
	})
	if err != nil {
		return 0, fmt.Errorf("dedup: find the oldest seen row: %w", err)
	}
	return since, nil
}

// ErrCorrupt says that a row or a logged record does not have the layout of its version.
var ErrCorrupt = errors.New("record is corrupt")

func checkValue(b []byte) error {
	if len(b) == 0 {
		return ErrCorrupt
	}
	if b[0] != rowVersion {
		return newer(b[0])
	}
	if len(b) != valueLen {
		return ErrCorrupt
	}
	return nil
}

func newer(version byte) error {
	return fmt.Errorf("layout is %d, this program knows %d: use the program that wrote it, or a newer one", version, rowVersion)
}

// Row is the row of an accepted interaction. streamTime is what Check was given: the window is counted from it.
// A duplicate gets no row: it does not prolong the window.
func (w *Window) Row(id, content interaction.Hash, streamTime int64) table.Row {
	b := make([]byte, 0, keyLen+valueLen)
	b = binary.BigEndian.AppendUint64(b, w.bucketOf(streamTime))
	b = append(b, id[:]...)
	b = append(b, rowVersion)
	b = append(b, content[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(streamTime))
	return table.Row{Table: table.Seen, Key: b[:keyLen:keyLen], Value: b[keyLen:]}
}

// Expired is the range of whole buckets that no lookup at streamTime or later asks for.
func (w *Window) Expired(streamTime int64) table.Range {
	return table.Range{
		Table: table.Seen,
		From:  make([]byte, bucketLen),
		To:    binary.BigEndian.AppendUint64(nil, w.bucketOf(streamTime-w.length)),
	}
}
