package normalize

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// The content of an interaction is what tells a duplicate from another event under the same id (identity.md section 9).
// These bytes are hashed, with SHA-256, and never change for content that exists:
//
//	content     = magic type channel store_code time identifiers order map(traits) map(properties)
//	magic       = "kinfold content 1\n"
//	time        = 0x00 | 0x01 int64, big-endian milliseconds: only without event_id, and only where the source stated it
//	identifiers = uvarint(count) { namespace value verified }, by bytes of namespace, then of value, each pair once
//	verified    = 0x00 | 0x01
//	order       = 0x00 | 0x01 order_number option(currency) option(total_amount)
//	              { 0x01 sku option(description) option(quantity) option(unit_price) } 0x00
//	option(x)   = 0x00 | 0x01 x
//	map         = uvarint(count) { key value }, by bytes of key; of entries with the same key only the last
//	text        = uvarint(length in bytes) bytes
//	amount      = text of the two's complement of the unscaled number, big-endian, as short as can be
//
// store_code is normalised. The value of an identifier is the normalised one, or of one that is invalid or blocked the
// text as sent, trimmed. Everything else is text as sent. How the blocks of an Avro array or map were cut, and in which
// order a map came, leaves no trace.
const contentMagic = "kinfold content 1\n"

// contentHash hashes the content of in, whose rows have been collected. False: the payload is not well formed.
func (n *Normalizer) contentHash(in *interaction.Interaction, st *store) ([sha256.Size]byte, bool) {
	b := append(n.layout[:0], contentMagic...)
	b = appendText(b, in.Type)
	b = appendText(b, in.Channel)
	b = appendText(b, st.code)
	if in.EventID == "" && in.TimeStated {
		b = append(b, 1)
		b = binary.BigEndian.AppendUint64(b, uint64(in.OccurredAt))
	} else {
		b = append(b, 0)
	}
	b = n.appendIdentifiers(b)
	p := payload{b: in.Payload}
	b = p.appendOrder(b)
	b = n.appendMap(b, &p)
	b = n.appendMap(b, &p)
	n.layout = b
	return sha256.Sum256(b), !p.bad && len(p.b) == 0
}

func (n *Normalizer) appendIdentifiers(b []byte) []byte {
	rows := n.content[:0]
	for i := range n.rows {
		rows = append(rows, &n.rows[i])
	}
	slices.SortFunc(rows, func(a, b *row) int {
		if a.name != b.name {
			return strings.Compare(a.name, b.name)
		}
		return strings.Compare(a.compared(), b.compared())
	})
	n.content = rows
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for _, r := range rows {
		b = appendText(b, r.name)
		b = appendText(b, r.compared())
		b = append(b, flag(r.verified))
	}
	return b
}

// entry is one entry of a map of the payload.
type entry struct{ key, value []byte }

func (n *Normalizer) appendMap(b []byte, p *payload) []byte {
	entries := n.entries[:0]
	sorted := true
	for i := p.block(); i > 0; i = p.block() {
		for ; i > 0 && !p.bad; i-- {
			e := entry{p.text(), p.text()}
			sorted = sorted && (len(entries) == 0 || bytes.Compare(entries[len(entries)-1].key, e.key) < 0)
			entries = append(entries, e)
		}
	}
	if !sorted {
		slices.SortStableFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
		entries = lastOfEach(entries)
	}
	n.entries = entries
	b = binary.AppendUvarint(b, uint64(len(entries)))
	for _, e := range entries {
		b = appendText(b, e.key)
		b = appendText(b, e.value)
	}
	return b
}

// lastOfEach keeps the last of sorted entries with the same key: it is the one that readers of a map see.
func lastOfEach(entries []entry) []entry {
	kept := entries[:0]
	for i, e := range entries {
		if i+1 == len(entries) || !bytes.Equal(e.key, entries[i+1].key) {
			kept = append(kept, e)
		}
	}
	return kept
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}

// payload reads the Avro bytes of order, traits and properties. Whatever is wrong sets bad, after which everything is empty.
type payload struct {
	b   []byte
	bad bool
}

func (p *payload) appendOrder(b []byte) []byte {
	if !p.present() {
		return append(b, 0)
	}
	b = append(b, 1)
	b = appendText(b, p.text()) // order_number
	b = p.appendOption(b)       // currency
	b = p.appendAmount(b)       // total_amount
	for i := p.block(); i > 0; i = p.block() {
		for ; i > 0 && !p.bad; i-- {
			b = append(b, 1)
			b = appendText(b, p.text()) // sku
			b = p.appendOption(b)       // description
			b = p.appendAmount(b)       // quantity
			b = p.appendAmount(b)       // unit_price
		}
	}
	return append(b, 0)
}

func (p *payload) appendOption(b []byte) []byte {
	if !p.present() {
		return append(b, 0)
	}
	return appendText(append(b, 1), p.text())
}

func (p *payload) appendAmount(b []byte) []byte {
	if !p.present() {
		return append(b, 0)
	}
	return appendText(append(b, 1), shortest(p.text()))
}

// shortest drops the leading bytes of a two's complement that say nothing. No byte at all is zero.
func shortest(b []byte) []byte {
	if len(b) == 0 {
		return []byte{0}
	}
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xFF && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// present reads the branch of a union of null and something.
func (p *payload) present() bool {
	switch p.long() {
	case 0:
		return false
	case 1:
		return !p.bad
	}
	p.fail()
	return false
}

// block reads the header of a block of an array or map, and returns how many items it has; 0 ends them.
func (p *payload) block() int64 {
	n := p.long()
	if n < 0 {
		n = -n
		p.long() // size in bytes, for those who skip
	}
	if n < 0 || p.bad {
		p.fail()
		return 0
	}
	return n
}

func (p *payload) text() []byte {
	n := p.long()
	if n < 0 || n > int64(len(p.b)) {
		p.fail()
		return nil
	}
	t := p.b[:n]
	p.b = p.b[n:]
	return t
}

func (p *payload) long() int64 {
	if len(p.b) > 0 && p.b[0] < 0x80 { // nearly always
		v := int64(p.b[0]>>1) ^ -int64(p.b[0]&1)
		p.b = p.b[1:]
		return v
	}
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *payload) fail() {
	p.bad = true
	p.b = nil
}
