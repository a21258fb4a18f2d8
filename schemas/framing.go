package schemas

import (
	"encoding/binary"
	"fmt"

	"kinfold/processor/interaction"
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

// RegistryID is the schema id of a value in a registry's framing.
func RegistryID(value []byte) (id int, ok bool) {
	if len(value) < confluentLen || value[0] != confluentMagic {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(value[1:])), true
}

// DecodeFramed decodes an interaction in either framing. The registry, which may be nil, must know the schema id already.
func DecodeFramed(value []byte, registry *Registry, dst *interaction.Interaction) *interaction.Reject {
	return decodeFramed(value, KindInteraction, registry,
		func(id int, body []byte) *interaction.Reject { return registry.Interaction(id, body, dst) },
		func(body []byte) *interaction.Reject { return DecodeInteraction(body, dst) })
}

// DecodeFramedDirective decodes a directive in either framing, which must be written with our schema.
func DecodeFramedDirective(value []byte, registry *Registry, dst *interaction.Directive) *interaction.Reject {
	return decodeFramed(value, KindDirective, registry,
		func(id int, body []byte) *interaction.Reject { return registry.Directive(id, body, dst) },
		func(body []byte) *interaction.Reject { return DecodeDirective(body, dst) })
}

func decodeFramed(value []byte, kind Kind, registry *Registry, byID func(int, []byte) *interaction.Reject, own func([]byte) *interaction.Reject) *interaction.Reject {
	if id, ok := RegistryID(value); ok {
		if registry == nil {
			return &interaction.Reject{Reason: interaction.ReasonUnknownSchema, Detail: fmt.Sprintf("schema id %d, but no registry is configured", id)}
		}
		return byID(id, value[confluentLen:])
	}
	if len(value) < singleObjectLen || value[0] != 0xC3 || value[1] != 0x01 {
		return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "the value begins neither with a schema id of a registry (00) nor with an Avro fingerprint (C3 01)"}
	}
	if !isSingleObject(value, kind) {
		return &interaction.Reject{Reason: interaction.ReasonUnknownSchema, Detail: fmt.Sprintf("Avro fingerprint %016x is not that of the %s contract", binary.LittleEndian.Uint64(value[2:]), kind)}
	}
	return own(value[singleObjectLen:])
}
