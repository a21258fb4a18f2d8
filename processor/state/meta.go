package state

import (
	"encoding/binary"
	"fmt"

	"kinfold/processor/table"
)

// The rows of table 6. Integers are big-endian.
//
// Key "position", written with each batch:
//
//	byte  size  field
//	0     1     layout of this row: 1
//	1     2     format version of the store; stays at this place in every layout
//	3     8     number of the last transaction
//	11    8     next offset of the keyed topic
//	19    8     next offset to read of the seen changelog
//	27    8     next offset to read of the identity changelog
//	35    8     stream time in ms
//	43    8     number of customers
//	51    8     number of directives that took effect
//
// Key "identity", written when the store is made:
//
//	byte  size  field
//	0     1     layout of this row: 1
//	1     16    topic id of the keyed topic
//	17    4     partition
//	21    4     partition count of the keyed topic
//	25    n     app, topic, rules version: each its length as a uvarint, then its bytes
const (
	metaLayout       = 1
	positionLen      = 59
	identityFixedLen = 25
)

var (
	positionKey = []byte{byte(table.Meta), 'p', 'o', 's', 'i', 't', 'i', 'o', 'n'}
	identityKey = []byte{byte(table.Meta), 'i', 'd', 'e', 'n', 't', 'i', 't', 'y'}
)

// Position says which prefix of a partition's history a store holds.
type Position struct {
	Transaction  uint64 // number of the last transaction; 0 before the first
	KeyedNext    int64  // next offset of the keyed topic: the offset committed with that transaction
	SeenNext     int64  // next offset to read of the seen changelog
	IdentityNext int64  // next offset to read of the identity changelog
	StreamTime   int64  // greatest append time of a keyed record so far, in ms
	Customers    int64  // customers of the partition, for the metrics
	Directives   int64  // directives that took effect: without any, nobody has to look for them
}

func (p Position) String() string {
	return fmt.Sprintf("transaction %d, keyed %d, seen changelog %d, identity changelog %d, stream time %d",
		p.Transaction, p.KeyedNext, p.SeenNext, p.IdentityNext, p.StreamTime)
}

// before names the first field in which p is behind q, and is empty where there is none.
func (p Position) before(q Position) string {
	switch {
	case p.Transaction < q.Transaction:
		return "transaction"
	case p.KeyedNext < q.KeyedNext:
		return "keyed offset"
	case p.SeenNext < q.SeenNext:
		return "seen changelog offset"
	case p.IdentityNext < q.IdentityNext:
		return "identity changelog offset"
	case p.StreamTime < q.StreamTime:
		return "stream time"
	}
	return ""
}

func appendPosition(b []byte, format uint16, p Position) []byte {
	b = append(b, metaLayout)
	b = binary.BigEndian.AppendUint16(b, format)
	b = binary.BigEndian.AppendUint64(b, p.Transaction)
	b = binary.BigEndian.AppendUint64(b, uint64(p.KeyedNext))
	b = binary.BigEndian.AppendUint64(b, uint64(p.SeenNext))
	b = binary.BigEndian.AppendUint64(b, uint64(p.IdentityNext))
	b = binary.BigEndian.AppendUint64(b, uint64(p.StreamTime))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Customers))
	return binary.BigEndian.AppendUint64(b, uint64(p.Directives))
}

// parseFormat reads the format version alone: it has its place in every layout, so an older program can refuse
// a newer store whose row it cannot read.
func parseFormat(b []byte) (uint16, error) {
	if len(b) < 3 {
		return 0, fmt.Errorf("position row has %d bytes", len(b))
	}
	return binary.BigEndian.Uint16(b[1:]), nil
}

func parsePosition(b []byte) (Position, error) {
	if len(b) != positionLen || b[0] != metaLayout {
		return Position{}, fmt.Errorf("position row has %d bytes and layout %d, want %d and %d",
			len(b), first(b), positionLen, metaLayout)
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[i:])) }
	return Position{uint64(at(3)), at(11), at(19), at(27), at(35), at(43), at(51)}, nil
}

// Identity says whose rows a store holds. It is written when the store is made and compared when it is opened.
type Identity struct {
	App            string
	Topic          string   // the keyed topic
	TopicID        [16]byte // the broker's id of it: another one means that the topic was made anew
	Partition      int32
	PartitionCount int32
	RulesVersion   string // fingerprint of the identity rules
}

func appendIdentity(b []byte, id Identity) []byte {
	b = append(b, metaLayout)
	b = append(b, id.TopicID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(id.Partition))
	b = binary.BigEndian.AppendUint32(b, uint32(id.PartitionCount))
	b = appendText(b, id.App)
	b = appendText(b, id.Topic)
	return appendText(b, id.RulesVersion)
}

func parseIdentity(b []byte) (id Identity, err error) {
	if len(b) < identityFixedLen || b[0] != metaLayout {
		return id, fmt.Errorf("identity row has %d bytes and layout %d, want at least %d and %d",
			len(b), first(b), identityFixedLen, metaLayout)
	}
	copy(id.TopicID[:], b[1:])
	id.Partition = int32(binary.BigEndian.Uint32(b[17:]))
	id.PartitionCount = int32(binary.BigEndian.Uint32(b[21:]))
	rest := b[identityFixedLen:]
	for _, field := range []*string{&id.App, &id.Topic, &id.RulesVersion} {
		if *field, rest, err = cutText(rest); err != nil {
			return id, fmt.Errorf("identity row: %w", err)
		}
	}
	if len(rest) > 0 {
		return id, fmt.Errorf("identity row: %d bytes left over", len(rest))
	}
	return id, nil
}

// check compares what was stored with what is wanted; the Error has no directory yet.
func (id Identity) check(want Identity) *Error {
	mismatch := func(kind Kind, field string, was, is any) *Error {
		return &Error{Kind: kind, Err: fmt.Errorf("%s was %v, is %v", field, was, is)}
	}
	switch {
	case id.App != want.App:
		return mismatch(OtherHistory, "app", id.App, want.App)
	case id.Topic != want.Topic:
		return mismatch(OtherHistory, "keyed topic", id.Topic, want.Topic)
	case id.Partition != want.Partition:
		return mismatch(OtherHistory, "partition", id.Partition, want.Partition)
	case id.TopicID != want.TopicID:
		return mismatch(OtherHistory, "id of topic "+id.Topic, fmt.Sprintf("%x", id.TopicID), fmt.Sprintf("%x", want.TopicID))
	case id.PartitionCount != want.PartitionCount:
		return mismatch(PartitionCount, "partition count of topic "+id.Topic, id.PartitionCount, want.PartitionCount)
	case id.RulesVersion != want.RulesVersion:
		return mismatch(RulesChanged, "rules version", id.RulesVersion, want.RulesVersion)
	}
	return nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutText(b []byte) (s string, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, fmt.Errorf("text is cut short")
	}
	return string(b[size : size+int(n)]), b[size+int(n):], nil
}

func first(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	return int(b[0])
}
