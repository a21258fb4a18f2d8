package source

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// payload gathers order, traits and properties, whose Avro encoding ends an interaction.
type payload struct {
	order              []byte // Avro encoding of the record; nil: null
	traits, properties []entry
}

// entry is one entry of a map. A null one is there only to outdo an earlier one of the same name.
type entry struct {
	name, value string
	null        bool
}

// noPayload is the encoding of nothing. Its capacity makes an append copy it.
var noPayload = []byte{0, 0, 0}

// encode writes the payload, the maps sorted by name, so that equal records have equal bytes.
func (p *payload) encode() []byte {
	p.traits, p.properties = settle(p.traits), settle(p.properties)
	if p.order == nil && len(p.traits) == 0 && len(p.properties) == 0 {
		return noPayload[:3:3]
	}
	size := len(p.order) + 1
	for _, m := range [2][]entry{p.traits, p.properties} {
		size += binary.MaxVarintLen64 + 1
		for _, e := range m {
			size += 2*binary.MaxVarintLen32 + len(e.name) + len(e.value)
		}
	}
	b := appendOption(make([]byte, 0, size), p.order)
	b = appendMap(b, p.traits)
	return appendMap(b, p.properties)
}

// settle sorts entries, keeps the last of each name, and drops what is null.
func settle(entries []entry) []entry {
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	kept := entries[:0]
	for i, e := range entries {
		if (i+1 == len(entries) || e.name != entries[i+1].name) && !e.null {
			kept = append(kept, e)
		}
	}
	return kept
}

// Entry is one entry of traits or properties.
type Entry struct{ Name, Value string }

// Order is the order of an interaction. Empty texts and amounts that are not set become null, but for the number and each SKU.
type Order struct {
	Number, Currency string
	Total            Amount
	Lines            []OrderLine
}

// OrderLine is one line of an Order.
type OrderLine struct {
	SKU, Description    string
	Quantity, UnitPrice Amount
}

// Amount is a decimal amount of the contract: a whole number of ten-thousandths, of 18 digits at most.
type Amount struct {
	Unscaled int64
	Set      bool
}

// AppendPayload appends the payload of an interaction: order (nil: none), traits and properties. The entries must be sorted by
// name, each name once, so that equal interactions have equal bytes.
func AppendPayload(b []byte, order *Order, traits, properties []Entry) []byte {
	b = appendOrder(b, order)
	b = appendEntries(b, traits)
	return appendEntries(b, properties)
}

func appendOrder(b []byte, o *Order) []byte {
	if o == nil {
		return append(b, 0)
	}
	b = appendText(append(b, 2), o.Number)
	b = appendOptional(b, o.Currency)
	b = appendAmount(b, o.Total)
	if len(o.Lines) > 0 {
		b = appendLong(b, int64(len(o.Lines)))
		for i := range o.Lines {
			l := &o.Lines[i]
			b = appendText(b, l.SKU)
			b = appendOptional(b, l.Description)
			b = appendAmount(b, l.Quantity)
			b = appendAmount(b, l.UnitPrice)
		}
	}
	return append(b, 0)
}

// appendOptional writes a union of null and a text that is not empty.
func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, 0)
	}
	return appendText(append(b, 2), s)
}

func appendAmount(b []byte, a Amount) []byte {
	if !a.Set {
		return append(b, 0)
	}
	var digits [8]byte
	return appendText(append(b, 2), appendTwos(digits[:0], a.Unscaled))
}

func appendEntries(b []byte, entries []Entry) []byte {
	if len(entries) > 0 {
		b = appendLong(b, int64(len(entries)))
		for _, e := range entries {
			b = appendText(b, e.Name)
			b = appendText(b, e.Value)
		}
	}
	return append(b, 0)
}

func appendMap(b []byte, entries []entry) []byte {
	if len(entries) > 0 {
		b = appendLong(b, int64(len(entries)))
		for _, e := range entries {
			b = appendText(b, e.name)
			b = appendText(b, e.value)
		}
	}
	return append(b, 0)
}

// appendOption writes a union of null and what is encoded already; nil is null.
func appendOption(b, encoded []byte) []byte {
	if encoded == nil {
		return append(b, 0)
	}
	return append(append(b, 2), encoded...)
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(appendLong(b, int64(len(s))), s...)
}

// appendLong writes an Avro long, which is Go's zig-zag varint.
func appendLong(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }
