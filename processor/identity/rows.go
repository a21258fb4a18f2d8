package identity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The rows of identity. Every value begins with the version of its layout, rowVersion. uv is an unsigned varint,
// v a signed one (zigzag), str a uv length and that many bytes. Times are epoch milliseconds. A key is an
// identifier in byte form: realm 0x1F namespace 0x1F domain 0x1F value.
//
// Identifiers, keyed by the identifier:
//
//	1 version | 1 kind = 1 | 10 component id
//	1 version | 1 kind = 2 (apart: a component and a customer of its own, since it is shared or retracted) | 1 flags
//	  | v first_seen | uv own version | uv map version | uv anchors: neighbours that are anchors
//	  | uv over: number of its count rows above their threshold
//
// Flags of an identifier: bit 0 some directive names it and another one, bit 1 it was erased before (see Suppressed),
// and where it is apart bit 2 shared, bit 3 retracted.
//
// Components, keyed by the component id (8 bytes keyed offset of the interaction that made it, 2 bytes number, both
// big-endian):
//
//	1 version | str realm
//	uv n | n × str                                             dictionary: namespaces, domains, sources
//	uv n | n × 16 customer id | uv version | uv founder          customers; founder: index of a member
//	uv n | n × uv namespace | uv domain | str value | v first_seen, less that of the member before
//	         | uv own version | uv map version | uv customer × 4 + flags
//	         | uv m | m × uv namespace | uv domain | uv count    members, in byte order of the identifiers
//	uv n | n × uv root | uv other | 1 flags | v first_seen, less that of the edge before
//	         | uv source | str event_id                        edges, by (root, other)
//
// namespace, domain and source are indexes into the dictionary. Flags: bit 0 verified, bits 1 to 3 why the edge was
// refused (0: it was not; see Refusal). A customer id is the first 16 bytes of the HMAC. "Own version" is the last
// customer_version of the customer that this identifier founds, 0 where it never did; "map version" is that of the
// change that gave the identifier its customer. The counts of a member are what its inactive edges add to those of its
// active ones: anchors by (namespace, domain), contacts by namespace, with an empty domain. One with an empty namespace
// is how many anchors to take from their sum, since links tie them to others (shared.go).
//
// Edges, keyed by str a | 1 kind | rest. They belong to identifiers that are apart, of which one may have any number:
//
//	kind 1, rest = key of b      an inactive edge a–b, one row in each direction:
//	  root first                 1 version | 1 flags | v first_seen | str source | str event_id
//	  other first                1 version
//	kind 0, rest = namespace 0x1F domain    how many neighbours of one kind a has, which is apart:
//	  1 version | uv count
//
// Contacts that are shared do not count for an anchor, retired and retracted identifiers for nobody, and those that links
// in force tie together count once. Active links have no row here: they follow from the directives.
//
// Founders, keyed by the customer id as text. An id is a function of its founder, so that the row never changes:
//
//	1 version | key of the founder
//
// Directives, keyed by str a | 1 kind | rest. The latest of a slot is kept, also while it waits for its identifiers:
//
//	kind 1                     the slot of identifier a: retract, restore
//	kind 2, rest = key of b    the slot of the pair, one row in each direction: link, replace, restore, separate
//	  1 version | 1 kind of directive; 128 more where a is its first identifier | v issued_at | str directive_id
//
// and by str realm 0x1F directive_id | 1 kind = 3, what became of each (report.go).
//
// Suppressed, keyed by the HMAC of an erased identifier:
//
//	1 version | v issued_at of the erase | uv last version of the customer that it founded, 0 where it never did
const rowVersion = 1

const (
	kindMember = 1
	kindApart  = 2

	edgeCount    = 0
	edgeInactive = 1

	slotOwn  = 1
	slotPair = 2
	reported = 3

	flagVerified = 1

	flagPaired     = 1
	flagSuppressed = 2
	flagShared     = 4
	flagRetracted  = 8
	memberFlags    = 2 // bits

	firstOfPair = 128
)

// ComponentIDLen is the length of a component id in bytes.
const ComponentIDLen = 10

type componentID [ComponentIDLen]byte

// rawID is a customer id before base32: 25 characters need 125 bits.
type rawID [16]byte

// Refusal is why the build refused an edge.
type Refusal uint8

// The reasons of identity.md 4.5, in their order.
const (
	NotRefused Refusal = iota
	RefusedSeparate
	RefusedDevice
	RefusedLimit
	RefusedSize
)

var refusalNames = [...]string{"", "separate", "device", "limit", "size"}

func (r Refusal) String() string { return refusalNames[r] }

type customerRow struct {
	id      rawID
	version int64
	founder int32
}

type countRow struct {
	namespace, domain []byte
	n                 int32
}

type memberRow struct {
	namespace, domain, value []byte
	firstSeen                int64
	ownVersion, mapVersion   int64
	customer                 int32
	flags                    byte
	counts                   []countRow
}

type edgeRow struct {
	root, other     int32
	verified        bool
	refused         Refusal
	firstSeen       int64
	source, eventID []byte
}

// componentRow is a decoded component. Its slices are used again by the next decode; texts point into the value.
type componentRow struct {
	realm     []byte
	customers []customerRow
	members   []memberRow
	edges     []edgeRow

	dict      [][]byte
	counts    []countRow
	dictIndex map[string]int32
}

// errCorrupt says that a row does not have the layout of its version.
var errCorrupt = errors.New("row is corrupt")

func checkVersion(b []byte) error {
	if len(b) == 0 {
		return errCorrupt
	}
	if b[0] != rowVersion {
		return fmt.Errorf("row has layout %d, this program knows %d: use the program that wrote it, or a newer one", b[0], rowVersion)
	}
	return nil
}

// reader takes a value apart. After the first fault bad is set and everything read is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		c := r.b[0]
		r.b = r.b[1:]
		return uint64(c)
	}
	u, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return u
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// below reads a number that must be less than limit.
func (r *reader) below(limit int) int32 {
	u := r.uvarint()
	if u >= uint64(limit) {
		r.fail()
		return 0
	}
	return int32(u)
}

// count reads how many items follow, each of at least size bytes.
func (r *reader) count(size int) int {
	u := r.uvarint()
	if u > uint64(len(r.b)) || u*uint64(size) > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(u)
}

func (r *reader) version() int64 {
	u := r.uvarint()
	if u > 1<<62 {
		r.fail()
		return 0
	}
	return int64(u)
}

func (r *reader) str() []byte { return r.bytes(r.count(1)) }

// end reports a fault, bytes left over included.
func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errCorrupt
	}
	return nil
}

func (r *reader) word(dict [][]byte) []byte {
	i := r.below(len(dict))
	if r.bad {
		return nil
	}
	return dict[i]
}

func appendStr[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (c *componentRow) decode(value []byte) error {
	if err := checkVersion(value); err != nil {
		return err
	}
	r := reader{b: value[1:]}
	c.realm = r.str()
	c.dict, c.customers, c.members, c.edges, c.counts = c.dict[:0], c.customers[:0], c.members[:0], c.edges[:0], c.counts[:0]
	for n := r.count(1); n > 0 && !r.bad; n-- {
		c.dict = append(c.dict, r.str())
	}
	for n := r.count(len(rawID{}) + 2); n > 0 && !r.bad; n-- {
		var cu customerRow
		copy(cu.id[:], r.bytes(len(cu.id)))
		cu.version = r.version()
		cu.founder = int32(r.uvarint() & 0x7FFFFFFF)
		c.customers = append(c.customers, cu)
	}
	c.decodeMembers(&r)
	c.decodeEdges(&r)
	for i := range c.customers {
		f := int(c.customers[i].founder)
		if f >= len(c.members) || int(c.members[f].customer) != i {
			return errCorrupt
		}
	}
	return r.end()
}

func (c *componentRow) decodeMembers(r *reader) {
	var at int64
	for n := r.count(8); n > 0 && !r.bad; n-- {
		var m memberRow
		m.namespace, m.domain, m.value = r.word(c.dict), r.word(c.dict), r.str()
		at += r.varint()
		m.firstSeen = at
		m.ownVersion, m.mapVersion = r.version(), r.version()
		own := r.below(len(c.customers) << memberFlags)
		m.customer, m.flags = own>>memberFlags, byte(own&(1<<memberFlags-1))
		from := len(c.counts)
		for k := r.count(3); k > 0 && !r.bad; k-- {
			c.counts = append(c.counts, countRow{r.word(c.dict), r.word(c.dict), r.below(1 << 30)})
		}
		m.counts = c.counts[from:len(c.counts):len(c.counts)]
		c.members = append(c.members, m)
	}
}

func (c *componentRow) decodeEdges(r *reader) {
	var at int64
	for n := r.count(6); n > 0 && !r.bad; n-- {
		var e edgeRow
		e.root, e.other = r.below(len(c.members)), r.below(len(c.members))
		flags := r.byte()
		e.verified, e.refused = flags&flagVerified != 0, Refusal(flags>>1)
		at += r.varint()
		e.firstSeen = at
		e.source, e.eventID = r.word(c.dict), r.str()
		if e.refused > RefusedSize || e.root == e.other {
			r.fail()
		}
		c.edges = append(c.edges, e)
	}
}

// smallDict is up to how many words a dictionary is searched from its start: a map is slower then.
const smallDict = 16

// word returns the place of s in the dictionary, which it enters where it is new.
func (c *componentRow) word(s []byte) uint64 {
	if len(c.dict) <= smallDict {
		for i, w := range c.dict {
			if bytes.Equal(w, s) {
				return uint64(i)
			}
		}
		c.dict = append(c.dict, s)
		return uint64(len(c.dict) - 1)
	}
	if len(c.dictIndex) == 0 {
		for i, w := range c.dict {
			c.dictIndex[string(w)] = int32(i)
		}
	}
	if i, ok := c.dictIndex[string(s)]; ok {
		return uint64(i)
	}
	i := int32(len(c.dict))
	c.dict = append(c.dict, s)
	c.dictIndex[string(s)] = i
	return uint64(i)
}

func (c *componentRow) appendTo(b []byte) []byte {
	if c.dictIndex == nil {
		c.dictIndex = map[string]int32{}
	}
	clear(c.dictIndex)
	c.dict = c.dict[:0]
	for i := range c.members {
		m := &c.members[i]
		c.word(m.namespace)
		c.word(m.domain)
		for _, k := range m.counts {
			c.word(k.namespace)
			c.word(k.domain)
		}
	}
	for i := range c.edges {
		c.word(c.edges[i].source)
	}
	b = append(b, rowVersion)
	b = appendStr(b, c.realm)
	b = binary.AppendUvarint(b, uint64(len(c.dict)))
	for _, w := range c.dict {
		b = appendStr(b, w)
	}
	b = binary.AppendUvarint(b, uint64(len(c.customers)))
	for _, cu := range c.customers {
		b = append(b, cu.id[:]...)
		b = binary.AppendUvarint(b, uint64(cu.version))
		b = binary.AppendUvarint(b, uint64(cu.founder))
	}
	b = c.appendMembers(b)
	return c.appendEdges(b)
}

func (c *componentRow) appendMembers(b []byte) []byte {
	var at int64
	b = binary.AppendUvarint(b, uint64(len(c.members)))
	for i := range c.members {
		m := &c.members[i]
		b = binary.AppendUvarint(b, c.word(m.namespace))
		b = binary.AppendUvarint(b, c.word(m.domain))
		b = appendStr(b, m.value)
		b = binary.AppendVarint(b, m.firstSeen-at)
		at = m.firstSeen
		b = binary.AppendUvarint(b, uint64(m.ownVersion))
		b = binary.AppendUvarint(b, uint64(m.mapVersion))
		b = binary.AppendUvarint(b, uint64(m.customer)<<memberFlags|uint64(m.flags))
		b = binary.AppendUvarint(b, uint64(len(m.counts)))
		for _, k := range m.counts {
			b = binary.AppendUvarint(b, c.word(k.namespace))
			b = binary.AppendUvarint(b, c.word(k.domain))
			b = binary.AppendUvarint(b, uint64(k.n))
		}
	}
	return b
}

func (c *componentRow) appendEdges(b []byte) []byte {
	var at int64
	b = binary.AppendUvarint(b, uint64(len(c.edges)))
	for i := range c.edges {
		e := &c.edges[i]
		b = binary.AppendUvarint(b, uint64(e.root))
		b = binary.AppendUvarint(b, uint64(e.other))
		flags := byte(e.refused) << 1
		if e.verified {
			flags |= flagVerified
		}
		b = append(b, flags)
		b = binary.AppendVarint(b, e.firstSeen-at)
		at = e.firstSeen
		b = binary.AppendUvarint(b, c.word(e.source))
		b = appendStr(b, e.eventID)
	}
	return b
}

// apartRow is the row of an identifier that is shared or retracted.
type apartRow struct {
	flags                  byte
	firstSeen              int64
	ownVersion, mapVersion int64
	anchors, over          int32
}

// decodeIdentifier reads a row of Identifiers: a component id where it is a member, else the row of its own.
func decodeIdentifier(value []byte) (id componentID, own apartRow, member bool, err error) {
	if err := checkVersion(value); err != nil {
		return id, own, false, err
	}
	r := reader{b: value[1:]}
	switch r.byte() {
	case kindMember:
		copy(id[:], r.bytes(len(id)))
		return id, own, true, r.end()
	case kindApart:
		own.flags = r.byte()
		own.firstSeen = r.varint()
		own.ownVersion, own.mapVersion = r.version(), r.version()
		own.anchors, own.over = r.below(1<<30), r.below(1<<30)
		return id, own, false, r.end()
	}
	return id, own, false, errCorrupt
}

func appendMember(b []byte, id componentID) []byte {
	return append(append(b, rowVersion, kindMember), id[:]...)
}

func appendApart(b []byte, own apartRow) []byte {
	b = append(b, rowVersion, kindApart, own.flags)
	b = binary.AppendVarint(b, own.firstSeen)
	b = binary.AppendUvarint(b, uint64(own.ownVersion))
	b = binary.AppendUvarint(b, uint64(own.mapVersion))
	b = binary.AppendUvarint(b, uint64(own.anchors))
	return binary.AppendUvarint(b, uint64(own.over))
}

// decodeInactive reads the row of an inactive edge, root first. Its texts point into the value.
func decodeInactive(value []byte) (e edgeRow, err error) {
	if err := checkVersion(value); err != nil {
		return e, err
	}
	r := reader{b: value[1:]}
	e.verified = r.byte()&flagVerified != 0
	e.firstSeen = r.varint()
	e.source, e.eventID = r.str(), r.str()
	return e, r.end()
}

func appendInactive(b []byte, e *edgeRow) []byte {
	var flags byte
	if e.verified {
		flags = flagVerified
	}
	b = append(b, rowVersion, flags)
	b = binary.AppendVarint(b, e.firstSeen)
	b = appendStr(b, e.source)
	return appendStr(b, e.eventID)
}

func appendEdgePrefix(b, a []byte, kind byte) []byte {
	return append(appendStr(b, a), kind)
}

func decodeCount(value []byte) (int32, error) {
	if err := checkVersion(value); err != nil {
		return 0, err
	}
	r := reader{b: value[1:]}
	n := r.below(1 << 30)
	return n, r.end()
}

func appendCount(b []byte, n int32) []byte {
	return binary.AppendUvarint(append(b, rowVersion), uint64(n))
}

// order is what a slot holds: the directive that counts.
type order struct {
	kind     orderKind
	first    bool // of a pair: the identifier that the row is keyed by is its first
	issuedAt int64
	id       []byte
}

// orderKind is the kind of a directive in a slot. The codes are in the order of the names, as the slot compares them.
type orderKind byte

const (
	noOrder orderKind = iota
	orderLink
	orderReplace
	orderRestore
	orderRetract
	orderSeparate
)

func decodeOrder(value []byte) (o order, err error) {
	if err := checkVersion(value); err != nil {
		return o, err
	}
	r := reader{b: value[1:]}
	code := r.byte()
	o.kind, o.first = orderKind(code&^firstOfPair), code&firstOfPair != 0
	o.issuedAt = r.varint()
	o.id = r.str()
	if o.kind == noOrder || o.kind > orderSeparate {
		r.fail()
	}
	return o, r.end()
}

func appendOrder(b []byte, o *order, first bool) []byte {
	code := byte(o.kind)
	if first {
		code |= firstOfPair
	}
	b = append(b, rowVersion, code)
	b = binary.AppendVarint(b, o.issuedAt)
	return appendStr(b, o.id)
}

func decodeSuppressed(value []byte) (issuedAt, version int64, err error) {
	if err := checkVersion(value); err != nil {
		return 0, 0, err
	}
	r := reader{b: value[1:]}
	issuedAt, version = r.varint(), r.version()
	return issuedAt, version, r.end()
}

func appendSuppressed(b []byte, issuedAt, version int64) []byte {
	b = binary.AppendVarint(append(b, rowVersion), issuedAt)
	return binary.AppendUvarint(b, uint64(version))
}

// decodeFounder returns the key of a customer's founder. It points into the value.
func decodeFounder(value []byte) ([]byte, error) {
	if err := checkVersion(value); err != nil {
		return nil, err
	}
	return value[1:], nil
}
