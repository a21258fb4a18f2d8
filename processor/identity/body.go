package identity

import (
	"cmp"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// Body is all that is known of one realm or of several: the evidence without what was made of it. Places in its lists are int32.
type Body struct {
	Identifiers []Known  // in byte order, each once
	Edges       []Joint  // by (root, other), each pair once
	Slots       []Ruling // by (A, B), each slot once
}

// Known is an identifier that occurred.
type Known struct {
	Key       interaction.Key
	FirstSeen int64 // epoch ms
}

// Joint is an edge: two identifiers that occurred in one interaction.
type Joint struct {
	Root, Other     int32
	Verified        bool
	FirstSeen       int64 // epoch ms
	Source, EventID string
}

// Ruling is the directive that counts in a slot (identity.md 4.1). Both identifiers may be unknown: a directive waits for them.
type Ruling struct {
	Kind        interaction.DirectiveKind
	A, B        interaction.Key // B is zero for the slot of one identifier
	IssuedAt    int64           // epoch ms
	DirectiveID string
}

// Standing is what became of an edge.
type Standing uint8

// The standings: an edge is active and joins or may join, was refused by the build for one of four reasons, or is inactive since an
// end is shared or retracted.
const (
	Accepted Standing = iota
	SeparateRefused
	DeviceRefused
	LimitRefused
	SizeRefused
	SharedInactive
	RetractedInactive
	Standings // how many there are
)

var standingNames = [Standings]string{"accepted", "separate", "device", "limit", "size", "shared", "retracted"}

func (s Standing) String() string { return standingNames[s] }

// Refused reports whether the edge is a conflict: it counts, and the build did not take it.
func (s Standing) Refused() bool { return s >= SeparateRefused && s <= SizeRefused }

// People is what a set of rules makes of a Body: its customers. The lists go with those of the Body.
type People struct {
	Founder   []int32 // of each identifier: the one that founds its customer
	Component []int32 // of each identifier: the first one of its component
	Shared    []bool
	Retracted []bool
	Edges     []Standing // of each edge
	// Over are the counts of each shared identifier that are above their threshold. Only Build fills it.
	Over map[int32][]Over
}

// Over is a count of neighbours that makes an identifier shared.
type Over struct {
	Namespace, Domain string // of the neighbours; both empty: anchors of any kind
	Count, Threshold  int
}

// Apart reports whether an identifier is a customer of its own, since it is shared or retracted.
func (p *People) Apart(i int32) bool { return p.Shared[i] || p.Retracted[i] }

func (p *People) inactive(a, b int32) Standing {
	if p.Retracted[a] || p.Retracted[b] {
		return RetractedInactive
	}
	return SharedInactive
}

// Index finds an identifier; -1 where it is not there.
func (b *Body) Index(k interaction.Key) int32 {
	i, found := slices.BinarySearchFunc(b.Identifiers, k, func(a Known, k interaction.Key) int { return CompareKeys(a.Key, k) })
	if !found {
		return none
	}
	return int32(i)
}

// CompareKeys is the byte order of identifiers (identity.md section 2). No part holds a character as small as the separator, so
// that it is the order of the parts one by one.
func CompareKeys(a, b interaction.Key) int {
	return cmp.Or(strings.Compare(a.Realm, b.Realm), strings.Compare(a.Namespace, b.Namespace),
		strings.Compare(a.Domain, b.Domain), strings.Compare(a.Value, b.Value))
}

// Namer makes customer ids. It keeps its hash, and belongs to one goroutine.
type Namer struct{ w work }

// NewNamer returns a Namer under the id_key of the rules.
func (g *Graph) NewNamer() *Namer { return &Namer{work{g: g}} }

// CustomerID is the id of the customer that an identifier founds.
func (n *Namer) CustomerID(founder interaction.Key) interaction.CustomerID {
	n.w.text = founder.AppendBytes(n.w.text[:0])
	id := n.w.idOfKey(n.w.text)
	return id.text()
}

func compareEnds(a, b *Joint) int {
	return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Other, b.Other))
}
