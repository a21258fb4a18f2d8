// Package schemas holds the contracts: the Avro schemas of everything that kinfold reads and writes, a typed codec for them,
// and the reader of whatever other schema a producer writes with. It is the only package that knows an Avro library or the
// schema registry.
//
// The last three fields of an interaction, of its keyed form and of its unified event are the same bytes, the payload: they
// are checked once, when an interaction is decoded, and carried from then on.
package schemas

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"

	"github.com/linkedin/goavro/v2"
)

// The texts of the contracts.
var (
	//go:embed interaction.avsc
	interactionSchema string
	//go:embed keyed_interaction.avsc
	keyedSchema string
	//go:embed unified_customer_event.avsc
	unifiedSchema string
	//go:embed identity_change.avsc
	changeSchema string
	//go:embed identity_map.avsc
	mapSchema string
	//go:embed identity_directive.avsc
	directiveSchema string
)

// Kind names one of the contracts.
type Kind uint8

// The contracts.
const (
	KindInteraction Kind = iota
	KindKeyed
	KindUnified
	KindChange
	KindMapRow
	KindDirective
	kinds // how many there are
)

var kindNames = [kinds]string{"Interaction", "KeyedInteraction", "UnifiedCustomerEvent", "IdentityChange", "IdentityMapEntry", "IdentityDirective"}

// Kinds lists them.
var Kinds = []Kind{KindInteraction, KindKeyed, KindUnified, KindChange, KindMapRow, KindDirective}

func (k Kind) String() string { return kindNames[k] }

// Schema is the text of the contract.
func (k Kind) Schema() string {
	return [kinds]string{interactionSchema, keyedSchema, unifiedSchema, changeSchema, mapSchema, directiveSchema}[k]
}

// Fingerprint is the CRC-64-AVRO of the contract's parsing canonical form.
func (k Kind) Fingerprint() uint64 { return binary.LittleEndian.Uint64(singleObject[k][2:]) }

// singleObject are the headers of the single-object encoding: C3 01 and the fingerprint.
var singleObject = func() (h [kinds][]byte) {
	for _, k := range Kinds {
		h[k] = singleObjectHeader(mustParse(k.Schema()).fingerprint())
	}
	return h
}()

// formerObject are the headers that were written with the Avro library's fingerprints, which leave out other things than Avro's
// specification does: values on topics that are older than the change begin so. They are read, and no longer written.
var formerObject = func() (h [kinds][]byte) {
	for _, k := range Kinds {
		codec, err := goavro.NewCodec(k.Schema())
		if err != nil {
			panic(fmt.Sprintf("schema of %s: %v", k, err)) // the contract is part of the program
		}
		h[k] = singleObjectHeader(codec.Rabin)
	}
	return h
}()

func singleObjectHeader(fingerprint uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0xC3, 0x01}, fingerprint)
}

// isSingleObject reports whether a value begins with the header of a contract.
func isSingleObject(value []byte, k Kind) bool {
	return bytes.HasPrefix(value, singleObject[k]) || bytes.HasPrefix(value, formerObject[k])
}
