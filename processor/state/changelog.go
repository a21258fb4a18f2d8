package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"kinfold/processor/table"
)

// The identity changelog holds one record for each changed row: key = the table's byte and the row's key, value = the
// row's value, null where the row was deleted. With each transaction goes one record more, of the key below: its value
// says which transaction the records before it complete, so that a restore from the compacted topic can be checked.
//
//	byte  size  field
//	0     1     layout: 1
//	1     8     number of the transaction
//	9     8     next offset of the keyed topic
//	17    8     stream time in ms
//	25    8     number of customers
//	33    8     number of directives that took effect
//	41    16    topic id of the keyed topic
//	57    4     partition count of the keyed topic
//	61    n     rules version: its length as a uvarint, then its bytes
//
// The topic id, the partition count and the rules version are there because a store that is restored on an empty disk
// would otherwise take the rows of another history or of other rules for its own.
const (
	loggedLayout   = 1
	loggedFixedLen = 61
)

// LoggedPosition is what the position record of the identity changelog says.
type LoggedPosition struct {
	Transaction    uint64
	KeyedNext      int64 // next offset of the keyed topic after the transaction
	StreamTime     int64 // ms
	Customers      int64
	Directives     int64
	TopicID        [16]byte
	PartitionCount int32
	RulesVersion   string
}

// AppendPositionKey appends the key of the position record.
func AppendPositionKey(b []byte) []byte { return append(b, positionKey...) }

// IsPositionKey reports whether the key of an identity changelog record is that of the position record.
func IsPositionKey(key []byte) bool { return bytes.Equal(key, positionKey) }

// AppendValue appends the value of the position record.
func (l LoggedPosition) AppendValue(b []byte) []byte {
	b = append(b, loggedLayout)
	b = binary.BigEndian.AppendUint64(b, l.Transaction)
	b = binary.BigEndian.AppendUint64(b, uint64(l.KeyedNext))
	b = binary.BigEndian.AppendUint64(b, uint64(l.StreamTime))
	b = binary.BigEndian.AppendUint64(b, uint64(l.Customers))
	b = binary.BigEndian.AppendUint64(b, uint64(l.Directives))
	b = append(b, l.TopicID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(l.PartitionCount))
	return appendText(b, l.RulesVersion)
}

// ParseLoggedPosition is the inverse of AppendValue.
func ParseLoggedPosition(b []byte) (l LoggedPosition, err error) {
	if len(b) < loggedFixedLen || b[0] != loggedLayout {
		return l, fmt.Errorf("position record has %d bytes and layout %d, want at least %d and %d",
			len(b), first(b), loggedFixedLen, loggedLayout)
	}
	l.Transaction = binary.BigEndian.Uint64(b[1:])
	l.KeyedNext = int64(binary.BigEndian.Uint64(b[9:]))
	l.StreamTime = int64(binary.BigEndian.Uint64(b[17:]))
	l.Customers = int64(binary.BigEndian.Uint64(b[25:]))
	l.Directives = int64(binary.BigEndian.Uint64(b[33:]))
	copy(l.TopicID[:], b[41:])
	l.PartitionCount = int32(binary.BigEndian.Uint32(b[57:]))
	var rest []byte
	if l.RulesVersion, rest, err = cutText(b[loggedFixedLen:]); err != nil {
		return l, fmt.Errorf("position record: rules version: %w", err)
	}
	if len(rest) > 0 {
		return l, fmt.Errorf("position record: %d bytes left over", len(rest))
	}
	return l, nil
}

// Logged is the position record of a transaction that ends at p, as this store's partition writes it.
func (s *Store) Logged(p Position) LoggedPosition {
	return LoggedPosition{p.Transaction, p.KeyedNext, p.StreamTime, p.Customers, p.Directives, s.id.TopicID, s.id.PartitionCount, s.id.RulesVersion}
}

// CheckLogged compares a position record that was read with the store's own identity. A mismatch is an *Error of kind
// OtherHistory, PartitionCount or RulesChanged.
func (s *Store) CheckLogged(l LoggedPosition) error {
	was := s.id
	was.TopicID, was.PartitionCount, was.RulesVersion = l.TopicID, l.PartitionCount, l.RulesVersion
	if e := was.check(s.id); e != nil {
		e.Dir, e.Do = s.dir, "check the identity changelog"
		return e
	}
	return nil
}

// AppendRowKey appends the key of a row's record in the identity changelog.
func AppendRowKey(b []byte, t table.ID, key []byte) []byte {
	return append(append(b, byte(t)), key...)
}

// ParseRow makes a row of a record of the identity changelog, whose bytes it keeps. A null value gives a row that
// deletes. The key must be of a table that is logged there; test for the position record with IsPositionKey first.
func ParseRow(key, value []byte) (table.Row, error) {
	if len(key) == 0 || logOf(table.ID(key[0])) != table.LogIdentity {
		return table.Row{}, fmt.Errorf("identity changelog: record of a table that is not logged there (key has %d bytes, table %d)",
			len(key), first(key))
	}
	return table.Row{Table: table.ID(key[0]), Key: key[1:], Value: value}, nil
}

var logs = func() (l [table.Count]table.Log) {
	for _, info := range table.All {
		l[info.ID] = info.Log
	}
	return l
}()

func logOf(t table.ID) table.Log {
	if int(t) >= table.Count {
		return table.LogNone
	}
	return logs[t]
}
