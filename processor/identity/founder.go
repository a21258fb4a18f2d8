package identity

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"hash"

	"kinfold/processor/interaction"
)

// olderFounder reports whether a rather than b founds a customer: the least of (class, first_seen, rank, domain,
// value). A customer with an anchor is founded by its oldest anchor, so that its id survives every change of address.
func (w *work) olderFounder(a, b int32) bool {
	if c := cmp.Compare(w.class(a), w.class(b)); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(w.nodes[a].firstSeen, w.nodes[b].firstSeen); c != 0 {
		return c < 0
	}
	return w.before(a, b)
}

// idHash makes customer ids. The MAC is kept: making one costs more than using it.
type idHash struct {
	mac hash.Hash
	sum []byte
}

// hmacOf is the HMAC of an identifier under the secret of the deployment. It is valid until the next call.
func (w *work) hmacOf(key []byte) []byte {
	if w.hash.mac == nil {
		w.hash.mac = hmac.New(sha256.New, w.g.rules.IDKey)
	}
	w.hash.mac.Reset()
	w.hash.mac.Write(key)
	w.hash.sum = w.hash.mac.Sum(w.hash.sum[:0])
	return w.hash.sum
}

// hmacText is how an erased identifier is named afterwards.
func (w *work) hmacText(n int32) string { return hex.EncodeToString(w.hmacOf(w.keyOf(n))) }

// idOf is the id of the customer that n founds.
func (w *work) idOf(n int32) (id rawID) { return w.idOfKey(w.keyOf(n)) }

func (w *work) idOfKey(key []byte) (id rawID) {
	copy(id[:], w.hmacOf(key))
	id[len(id)-1] &= 0xF8 // 25 characters of base32 are 125 bits
	return id
}

var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// text is the id as the world knows it.
func (id *rawID) text() interaction.CustomerID {
	var b [1 + 26]byte
	b[0] = 'c'
	base32Text.Encode(b[1:], id[:])
	return interaction.CustomerID(b[:interaction.CustomerIDLen])
}

// customerID returns the id of a customer, working out that of an identifier that is apart, which no row holds.
func (w *work) customerID(c int32) *rawID {
	cu := &w.customers[c]
	if cu.id == (rawID{}) {
		cu.id = w.idOf(cu.founder)
	}
	return &cu.id
}
