package schemas

import (
	"encoding/binary"
	"fmt"
)

// Framing is how our values begin: in a registry's way, or in Avro's single-object encoding. The zero value is the latter.
type Framing struct {
	ids [kinds]uint32 // schema ids of the registry; 0: none, single-object
	any bool          // a value may have any id
}

// confluentMagic begins a value in the registry's framing, followed by the schema id in four bytes, big-endian.
const confluentMagic = 0

const (
	confluentLen    = 5
	singleObjectLen = 10
)

// SingleObject is the framing without a registry.
func SingleObject() Framing { return Framing{} }

// Confluent is the framing with a registry that knows our schemas by these ids.
func Confluent(ids map[Kind]int) Framing {
	var f Framing
	for k, id := range ids {
		f.ids[k] = uint32(id)
	}
	return f
}

// Any is a framing for who reads values of ours and does not ask the registry: it goes by whatever id stands there.
func Any() Framing { return Framing{any: true} }

// Append appends the beginning of a value.
func (f Framing) Append(dst []byte, k Kind) []byte {
	if id := f.ids[k]; id != 0 {
		return binary.BigEndian.AppendUint32(append(dst, confluentMagic), id)
	}
	return append(dst, singleObject[k]...)
}

// Body is what follows the beginning of a value of ours, in either framing. The error says that the value is none of ours.
func (f Framing) Body(value []byte, k Kind) ([]byte, error) {
	switch {
	case isSingleObject(value, k):
		return value[singleObjectLen:], nil
	case f.any && len(value) >= confluentLen && value[0] == confluentMagic:
		return value[confluentLen:], nil
	case f.ids[k] != 0 && len(value) >= confluentLen && value[0] == confluentMagic && binary.BigEndian.Uint32(value[1:]) == f.ids[k]:
		return value[confluentLen:], nil
	}
	return nil, fmt.Errorf("value of %d bytes does not begin like a %s", len(value), k)
}

// Decode decodes a value of ours, in either framing.
func (f Framing) Decode(value []byte, k Kind, body func([]byte) error) error {
	b, err := f.Body(value, k)
	if err != nil {
		return err
	}
	return body(b)
}

// RegistryID is the schema id of a value in a registry's framing.
func RegistryID(value []byte) (id int, ok bool) {
	if len(value) < confluentLen || value[0] != confluentMagic {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(value[1:])), true
}
