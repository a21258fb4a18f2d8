package schemas

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// ValueFraming is how the values of a source say which schema they were written with. It is declared for a source, never guessed.
type ValueFraming uint8

// The framings.
const (
	// FramingAvro is FramingConfluent or FramingSingleObject, which their first bytes tell apart: 00, or C3 01.
	FramingAvro ValueFraming = iota
	// FramingConfluent is a byte 00 and the schema id in four bytes, big-endian ("Wire format", Confluent's "Formats, Serializers,
	// and Deserializers"). Apicurio's serializers of version 3 write the same, with the content id, which its interface for
	// Confluent's clients takes for the schema id (Default4ByteIdHandler; apicurio.ccompat.legacy-id-mode.enabled is the way for
	// global ids in four bytes).
	FramingConfluent
	// FramingSingleObject is C3 01 and the fingerprint of the schema, CRC-64-AVRO, in eight bytes, little-endian (Avro's
	// specification, "Single object encoding").
	FramingSingleObject
	// FramingConfluentGUID is the header __value_schema_id with a byte 01 and the GUID in sixteen bytes, big-endian; the value is the
	// record alone. A value without the header begins like FramingConfluent: a topic whose producers go over from one to the other
	// holds both. That is how Confluent's own deserializers read since Platform 8.1.1 (SchemaId and DualSchemaIdDeserializer of
	// confluentinc/schema-registry).
	FramingConfluentGUID
	// FramingApicurio is a byte 00 and the global id in eight bytes, big-endian: what serializers of Apicurio Registry 2 write by
	// default (DefaultIdHandler there, Legacy8ByteIdHandler since).
	FramingApicurio
	// FramingApicurioContent is the same with the content id: apicurio.registry.use-id=contentId, the default of version 3.
	FramingApicurioContent
	// FramingApicurioHeader is the header apicurio.value.contentId or apicurio.value.globalId with the id in eight bytes, big-endian;
	// the value is the record alone. Of both the content id counts (DefaultHeadersHandler and DefaultSchemaResolver of
	// Apicurio/apicurio-registry). With apicurio.value.encoding JSON it is no Avro as we read it.
	FramingApicurioHeader
)

// framingNames are the names in the configuration, in the order of the constants.
var framingNames = []string{"avro", "confluent", "single_object", "confluent_guid", "apicurio", "apicurio_content", "apicurio_header"}

// ValueFramings lists the names of all framings.
func ValueFramings() []string { return slices.Clone(framingNames) }

// ParseValueFraming finds a framing by its name.
func ParseValueFraming(name string) (ValueFraming, error) {
	if i := slices.Index(framingNames, name); i >= 0 {
		return ValueFraming(i), nil
	}
	return 0, fmt.Errorf("no framing is named %q; there are %s", name, strings.Join(framingNames, ", "))
}

func (f ValueFraming) String() string { return framingNames[f] }

// NeedsRegistry reports whether nothing can be read without a registry.
func (f ValueFraming) NeedsRegistry() bool { return f != FramingAvro && f != FramingSingleObject }

// Headers of the framings.
const (
	headerConfluentGUID    = "__value_schema_id"
	headerApicurioGlobal   = "apicurio.value.globalId"
	headerApicurioContent  = "apicurio.value.contentId"
	headerApicurioEncoding = "apicurio.value.encoding"
)

// The first bytes.
const (
	guidMagic  = 1
	guidLen    = 1 + 16
	longIDLen  = 1 + 8
	headerSize = 8 // of an id alone
)

// Split parts a value into the key of its schema and the record. header gives the value of a header, of several with one name
// the last, nil where there is none. A null value is no record in any framing: the caller has looked for tombstones.
func (f ValueFraming) Split(value []byte, header func(name string) []byte) (key SchemaKey, body []byte, _ *interaction.Reject) {
	switch f {
	case FramingConfluent:
		return prefixed(value)
	case FramingSingleObject:
		return singleObjectKey(value)
	case FramingConfluentGUID:
		h := header(headerConfluentGUID)
		if h == nil {
			return prefixed(value)
		}
		key, rest, ok := confluentKey(h)
		if !ok || len(rest) > 0 {
			return key, nil, badHeader(headerConfluentGUID, h, "neither 01 and a GUID of 16 bytes nor 00 and a schema id of 4")
		}
		return key, value, nil
	case FramingApicurio, FramingApicurioContent:
		if len(value) < longIDLen || value[0] != confluentMagic {
			return key, nil, unframed("the value does not begin with 00 and an id of 8 bytes")
		}
		return f.apicurioKey(value[1:longIDLen]), value[longIDLen:], nil
	case FramingApicurioHeader:
		return apicurioHeaders(value, header)
	}
	if len(value) > 0 && value[0] == singleObject[0][0] {
		return singleObjectKey(value)
	}
	key, body, reject := prefixed(value)
	if reject != nil {
		reject = unframed("the value begins neither with a schema id of a registry (00) nor with an Avro fingerprint (C3 01)")
	}
	return key, body, reject
}

func (f ValueFraming) apicurioKey(id []byte) SchemaKey {
	if f == FramingApicurioContent {
		return ByContentID(binary.BigEndian.Uint64(id))
	}
	return ByGlobalID(binary.BigEndian.Uint64(id))
}

// prefixed parts a value that begins with 00 and a schema id.
func prefixed(value []byte) (SchemaKey, []byte, *interaction.Reject) {
	id, ok := RegistryID(value)
	if !ok {
		return SchemaKey{}, nil, unframed("the value does not begin with 00 and a schema id of 4 bytes")
	}
	return ByID(id), value[confluentLen:], nil
}

// confluentKey reads a key as Confluent writes it into a header: 00 and an id, or 01 and a GUID.
func confluentKey(b []byte) (key SchemaKey, rest []byte, ok bool) {
	if id, ok := RegistryID(b); ok {
		return ByID(id), b[confluentLen:], true
	}
	if len(b) < guidLen || b[0] != guidMagic {
		return key, nil, false
	}
	return parseGUID(b[1:guidLen]), b[guidLen:], true
}

func singleObjectKey(value []byte) (key SchemaKey, body []byte, _ *interaction.Reject) {
	if len(value) < singleObjectLen || value[0] != singleObject[0][0] || value[1] != singleObject[0][1] {
		return key, nil, unframed("the value does not begin with an Avro fingerprint (C3 01 and 8 bytes)")
	}
	return ByFingerprint(binary.LittleEndian.Uint64(value[2:])), value[singleObjectLen:], nil
}

func apicurioHeaders(value []byte, header func(name string) []byte) (key SchemaKey, body []byte, _ *interaction.Reject) {
	if encoding := header(headerApicurioEncoding); encoding != nil && string(encoding) != "BINARY" {
		return key, nil, &interaction.Reject{Reason: interaction.ReasonUnsupportedType,
			Detail: fmt.Sprintf("header %s is %.32q: only BINARY is read", headerApicurioEncoding, encoding)}
	}
	for _, h := range []struct {
		name string
		f    ValueFraming
	}{{headerApicurioContent, FramingApicurioContent}, {headerApicurioGlobal, FramingApicurio}} {
		id := header(h.name)
		switch {
		case id == nil:
			continue
		case len(id) != headerSize:
			return key, nil, badHeader(h.name, id, "not an id of 8 bytes")
		}
		return h.f.apicurioKey(id), value, nil
	}
	return key, nil, unframed("the record has neither a header " + headerApicurioContent + " nor " + headerApicurioGlobal)
}

func unframed(detail string) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: detail}
}

func badHeader(name string, value []byte, what string) *interaction.Reject {
	return unframed(fmt.Sprintf("header %s is % x: %s", name, value[:min(len(value), guidLen)], what))
}

// ValueDecoder decodes the values of a source in one framing. It may be used by several goroutines.
type ValueDecoder struct {
	framing  ValueFraming
	registry *Registry
	// declared are the schemas that are known by their fingerprint: our contracts, and those given.
	declared map[SchemaKey]*Reader
	// others are our contracts but the Interaction: what we write ourselves is none, though its fields may look like one.
	others map[SchemaKey]bool
}

// NewValueDecoder makes a decoder; registry may be nil if the framing can do without. declared are schemas that producers of
// single objects write with: they are told by their fingerprint, which no registry is asked for.
func NewValueDecoder(f ValueFraming, registry *Registry, declared ...string) (*ValueDecoder, error) {
	if registry == nil && f.NeedsRegistry() {
		return nil, fmt.Errorf("the framing %s needs a schema registry", f)
	}
	d := &ValueDecoder{framing: f, registry: registry, declared: map[SchemaKey]*Reader{}, others: map[SchemaKey]bool{}}
	for _, k := range Kinds {
		reader, err := NewReader(k.Schema())
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", k, err)
		}
		for _, header := range [][]byte{singleObject[k], formerObject[k]} {
			key := ByFingerprint(binary.LittleEndian.Uint64(header[2:]))
			d.declared[key], d.others[key] = reader, k != KindInteraction
		}
	}
	for i, text := range declared {
		reader, err := NewReader(text)
		if err != nil {
			return nil, fmt.Errorf("schema %d: %w", i+1, err)
		}
		d.declared[ByFingerprint(reader.schema.fingerprint())] = reader
	}
	return d, nil
}

// Unlearned is the key that the registry has to be asked for before the value can be decoded; false: none.
func (d *ValueDecoder) Unlearned(value []byte, header func(name string) []byte) (SchemaKey, bool) {
	if d.registry == nil {
		return SchemaKey{}, false
	}
	key, _, reject := d.framing.Split(value, header)
	if reject != nil || !key.OfRegistry() || d.registry.Knows(key) {
		return SchemaKey{}, false
	}
	return key, true
}

// Reader is what decodes a value, and the record in it.
func (d *ValueDecoder) Reader(value []byte, header func(name string) []byte) (*Reader, []byte, *interaction.Reject) {
	_, reader, body, reject := d.read(value, header)
	return reader, body, reject
}

func (d *ValueDecoder) read(value []byte, header func(name string) []byte) (key SchemaKey, reader *Reader, body []byte, reject *interaction.Reject) {
	if key, body, reject = d.framing.Split(value, header); reject != nil {
		return key, nil, nil, reject
	}
	switch {
	case !key.OfRegistry():
		if reader = d.declared[key]; reader == nil {
			reject = &interaction.Reject{Reason: interaction.ReasonUnknownSchema, Detail: key.String() + " is that of no schema that was declared"}
		}
	case d.registry == nil:
		reject = &interaction.Reject{Reason: interaction.ReasonUnknownSchema, Detail: key.String() + ", but no registry is configured"}
	default:
		reader, reject = d.registry.Reader(key)
	}
	return key, reader, body, reject
}

// Tree decodes a value into a tree.
func (d *ValueDecoder) Tree(value []byte, header func(name string) []byte, to *source.Tree) (source.Node, *interaction.Reject) {
	_, reader, body, reject := d.read(value, header)
	if reject != nil {
		return 0, reject
	}
	return reader.Tree(body, to)
}

// Interaction decodes a value as an interaction.
func (d *ValueDecoder) Interaction(value []byte, header func(name string) []byte, dst *interaction.Interaction) *interaction.Reject {
	key, reader, body, reject := d.read(value, header)
	switch {
	case reject != nil:
		return reject
	case d.others[key]:
		return &interaction.Reject{Reason: interaction.ReasonUnknownSchema, Detail: key.String() + " is not that of the Interaction contract"}
	}
	return reader.Interaction(body, dst)
}

// Directive decodes a value as a directive, which must be written with our schema.
func (d *ValueDecoder) Directive(value []byte, header func(name string) []byte, dst *interaction.Directive) *interaction.Reject {
	_, reader, body, reject := d.read(value, header)
	if reject != nil {
		return reject
	}
	return reader.Directive(body, dst)
}
