package dedup

import (
	"encoding/binary"
	"fmt"
	"math"

	"kinfold/processor/table"
)

// A record of the seen changelog holds the rows of one partition and transaction, in the order in which they were
// made. uv is an unsigned varint, v a signed one (zigzag):
//
//	1 version = 1
//	runs of rows of one bucket, up to the end:
//	  8 bucket, big-endian | uv n, at least 1
//	  n × 16 event hash | 16 content hash | v append time, epoch ms, less that of the row before; 0 before the first
//
// Stream time does not go back, so that a row takes little more than its hashes.
const loggedVersion = 1

// minLogged is the length of the shortest row in a record.
const minLogged = 2*hashLen + 1

// MaxLogged is the most bytes that a row takes in a record of the changelog; the record has one byte more.
const MaxLogged = bucketLen + binary.MaxVarintLen64 + 2*hashLen + binary.MaxVarintLen64

// AppendLogged appends one record that holds the rows, which are rows of the table seen as Row makes them.
func AppendLogged(dst []byte, rows []table.Row) []byte {
	dst = append(dst, loggedVersion)
	var before int64
	for from := 0; from < len(rows); {
		to := from + 1
		bucket := rows[from].Key[:bucketLen]
		for to < len(rows) && string(rows[to].Key[:bucketLen]) == string(bucket) {
			to++
		}
		dst = append(dst, bucket...)
		dst = binary.AppendUvarint(dst, uint64(to-from))
		for _, r := range rows[from:to] {
			dst = append(dst, r.Key[bucketLen:]...)
			dst = append(dst, r.Value[1:1+hashLen]...)
			at := int64(binary.BigEndian.Uint64(r.Value[1+hashLen:]))
			dst = binary.AppendVarint(dst, at-before)
			before = at
		}
		from = to
	}
	return dst
}

// DecodeLogged is the inverse of AppendLogged. The rows do not point into b.
func DecodeLogged(b []byte) ([]table.Row, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("dedup: seen changelog: %w", ErrCorrupt)
	}
	if b[0] != loggedVersion {
		return nil, fmt.Errorf("dedup: seen changelog: %w", newer(b[0]))
	}
	b = b[1:]
	rows := make([]table.Row, 0, len(b)/minLogged)
	cells := make([]byte, 0, len(b)/minLogged*(keyLen+valueLen))
	var at int64
	for len(b) > 0 {
		if len(b) < bucketLen {
			return nil, fmt.Errorf("dedup: seen changelog: %w", ErrCorrupt)
		}
		bucket := b[:bucketLen]
		n, used := binary.Uvarint(b[bucketLen:])
		if used <= 0 || n == 0 || n > math.MaxInt32 {
			return nil, fmt.Errorf("dedup: seen changelog: %w", ErrCorrupt)
		}
		b = b[bucketLen+used:]
		for range n {
			if len(b) < minLogged {
				return nil, fmt.Errorf("dedup: seen changelog: %w", ErrCorrupt)
			}
			d, used := binary.Varint(b[2*hashLen:])
			if used <= 0 {
				return nil, fmt.Errorf("dedup: seen changelog: %w", ErrCorrupt)
			}
			at += d
			from := len(cells)
			cells = append(cells, bucket...)
			cells = append(cells, b[:hashLen]...)
			cells = append(cells, rowVersion)
			cells = append(cells, b[hashLen:2*hashLen]...)
			cells = binary.BigEndian.AppendUint64(cells, uint64(at))
			row := cells[from:len(cells):len(cells)]
			rows = append(rows, table.Row{Table: table.Seen, Key: row[:keyLen:keyLen], Value: row[keyLen:]})
			b = b[2*hashLen+used:]
		}
	}
	return rows, nil
}
