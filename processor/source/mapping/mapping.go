package mapping

import (
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// Header is one header of a record. Names compare without case; of several with one name the last counts.
type Header struct {
	Name  string
	Value []byte
}

// Record is a Kafka record as a mapping sees it. The bytes are only read, and nothing that comes out points into them.
type Record struct {
	Topic     string
	Key       []byte // nil: none
	Value     []byte // nil: a tombstone
	Headers   []Header
	Timestamp int64 // epoch milliseconds
}

// ItemKind says what became of an element.
type ItemKind uint8

// The kinds of item.
const (
	Interaction ItemKind = iota
	Directive
	Reject
	Ignore
)

// WholeRecord is the index of an item that stands for the record and not for one of its elements.
const WholeRecord = -1

// Item is what became of one element of a record, or of the record.
type Item struct {
	Kind ItemKind
	// Index is the place of the element in the array that explode goes through, from 0; WholeRecord where it went through none.
	Index int
	// Interaction is set for that kind. Its Identifiers are those of the Result and hold until it is used again; texts and Payload
	// stay.
	Interaction interaction.Interaction
	// Directive is set for that kind, but for its realm, which is that of StoreCode.
	Directive *interaction.Directive
	StoreCode string
	// Reject is set for that kind. In missing_field and invalid_field its Detail is the name of the field.
	Reject *interaction.Reject
	// Ignore is the reason of that kind, a name that the mapping chose, or tombstone or empty.
	Ignore string
	// Trace says where the fields came from, if Result.Trace asks for it.
	Trace *Trace
}

// Result takes what a record becomes, and holds what Apply needs while it works. Using one again and again saves most
// allocations; it is for one goroutine.
type Result struct {
	// Items are in the order of the elements. There is always at least one.
	Items []Item
	// Trace makes Apply note for every item which rule and which expressions made it.
	Trace bool

	run run
}

// Tree returns the tree of the result, empty, for a caller that decodes the record itself and goes on with ApplyTree.
func (r *Result) Tree() *source.Tree {
	r.run.tree.Reset()
	return &r.run.tree
}

// Mapping is a compiled mapping. It is immutable and safe for use by many goroutines, each with a Result of its own.
type Mapping struct {
	source string
	inputs []*input
	lets   []*let
	rules  []*rule
	slots  []slot
	// ofRecord is how many slots at the beginning lead to the same place for all elements of a record.
	ofRecord int
}

// Source returns the name of the source: the field source of all that comes of the mapping.
func (m *Mapping) Source() string { return m.source }

// Apply makes of a record what the mapping says. Whatever the record holds, the result says what became of it: nothing in a
// record stops the program.
func (m *Mapping) Apply(rec *Record, out *Result) {
	x := &out.run
	x.begin(m, rec, out)
	x.tree.Reset()
	switch {
	case rec.Value == nil:
		x.ignore(WholeRecord, "tombstone")
		return
	case isBlank(rec.Value):
		x.ignore(WholeRecord, "empty")
		return
	}
	in := x.choose()
	if in == nil {
		x.reject(WholeRecord, unknownEvent)
		return
	}
	root, rej := x.decode(in)
	switch {
	case rej == emptyText:
		x.ignore(WholeRecord, "empty")
	case rej != nil:
		x.reject(WholeRecord, rej)
	default:
		x.elements(in, root)
	}
}

// ApplyTree is Apply for a record whose value the caller has decoded into out.Tree(), as the schema registry asks for: root is
// its value, 0 for none. rec.Value is not looked at. The input that holds must have the format json, which stands for any
// decoded value.
func (m *Mapping) ApplyTree(rec *Record, root source.Node, out *Result) {
	x := &out.run
	x.begin(m, rec, out)
	if root == 0 {
		x.ignore(WholeRecord, "tombstone")
		return
	}
	in := x.choose()
	switch {
	case in == nil:
		x.reject(WholeRecord, unknownEvent)
	case in.format != formatJSON:
		x.reject(WholeRecord, &interaction.Reject{Reason: interaction.ReasonUnsupportedType,
			Detail: "the value has a schema, and the mapping reads it as " + in.format.String()})
	case x.tree.Kind(root) < source.ArrayNode:
		x.reject(WholeRecord, notAnObject)
	default:
		x.elements(in, root)
	}
}

// Rejects that need no more words.
var (
	unknownEvent = &interaction.Reject{Reason: interaction.ReasonUnknownEvent, Detail: "no input and no rule of the mapping wants it"}
	notAnObject  = &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "no object"}
	badDirective = &interaction.Reject{Reason: interaction.ReasonBadDirective, Detail: "an identifier, the time or the event id of the directive is missing or cannot be read"}
	// emptyText is no reject: it says that nothing is left of a text without its byte-order mark.
	emptyText = &interaction.Reject{}
)

func missingField(field string) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonMissingField, Detail: field}
}

func invalidField(field string) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonInvalidField, Detail: field}
}

// ReasonText is the reason of a reject as operators read it: missing:FIELD and invalid:FIELD where the detail of these two names
// the field, as a mapping's does, else the reason.
func ReasonText(rej *interaction.Reject) string {
	if strings.Contains(rej.Detail, " ") {
		return string(rej.Reason)
	}
	switch rej.Reason {
	case interaction.ReasonMissingField:
		return "missing:" + rej.Detail
	case interaction.ReasonInvalidField:
		return "invalid:" + rej.Detail
	}
	return string(rej.Reason)
}
