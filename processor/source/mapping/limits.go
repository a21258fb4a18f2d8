package mapping

import (
	"kinfold/processor/source"
)

// Bounds of a record. What exceeds one is a reject, of the element if the others can go on; none is cut short.
const (
	// MaxRecordBytes is the size of a value above which it is too_large.
	MaxRecordBytes = source.MaxJSONBytes
	// MaxElements is how many elements explode makes of a record; more is too_large.
	MaxElements = 10_000
	// MaxIdentifiers is how many identifiers an interaction has beside its user_id, equal ones before they fall together included;
	// more is invalid_field. Later stages take no more.
	MaxIdentifiers = 1_000
	// MaxLines is how many lines an order has; more is invalid_field. The contract takes no more.
	MaxLines = 10_000
	// MaxTextBytes is the length of a text that a field is made of; longer is invalid_field. Longer ones can be tested for being
	// there and no more: a regular expression finds nothing in them. The identity rules judge lengths; this bounds their work.
	MaxTextBytes = 64 << 10
	// MaxKeyBytes is the length of a text that key makes; longer is invalid_field.
	MaxKeyBytes = 4 << 10
	// MaxNumberChars is how long the text of a number may be; a longer one has no text.
	MaxNumberChars = 64
	// MaxOutputBytes is how many bytes of new text and payload one record may make, and have searched by regular expressions:
	// elements that share the text of an envelope multiply it. Elements beyond are too_large.
	MaxOutputBytes = 64 << 20
	// MaxFormPairs is how many pairs a form has; more is too_large.
	MaxFormPairs = 4_096
	// MaxFormDepth is how deep the names of a form nest; deeper is unparsable.
	MaxFormDepth = 16
)

// Bounds of a mapping file.
const (
	// MaxMappingBytes is the size of a file.
	MaxMappingBytes = 256 << 10
	// MaxMappingDepth is how deep its members nest.
	MaxMappingDepth = 32
	// MaxMappingNodes is how many values it has, those behind aliases counted each time.
	MaxMappingNodes = 20_000
	// MaxExtends is how many files an extends may go through.
	MaxExtends = 8
	// MaxPathSteps is how many steps a path has.
	MaxPathSteps = 32
	// MaxColumns is how many columns a delimited input declares.
	MaxColumns = 2_000
	// MaxNameBytes is the length of the names that a mapping gives: to itself, its inputs, values of let, and ignores.
	MaxNameBytes = 64
)
