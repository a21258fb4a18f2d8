// Package identity decides which customer an interaction belongs to: it keeps the evidence that identifiers
// occurred together, and builds customers from it. It reads state through a table.View and returns the rows to
// write; it has no clock, no randomness and no effect. The rules are those of identity.md sections 2 to 6.
//
// Read apply.go first: one piece of evidence from its arrival to its result. work.go holds what is loaded for it,
// shared.go the thresholds, build.go the customers, changes.go what the world is told, rows.go what is stored.
package identity

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Class says what an identifier is worth. A lesser class is a stronger one.
type Class uint8

// The classes of identity.md section 2.
const (
	Anchor  Class = iota // an id that a system gave to one customer
	Contact              // an address; a few people may share one
	Device
)

// None in place of a limit means that there is no limit.
const None = -1

// MaxNamespaces is the greatest number of namespaces: build keeps sets of them in 64 bits.
const MaxNamespaces = 64

// Namespace is what the graph needs of a namespace: one line of the table of identity.md section 2.
type Namespace struct {
	Name           string
	Rank           int // unique, and in the order of the classes
	Class          Class
	StoreScoped    bool // the domain is the StoreCode
	AtMost         int  // a customer's identifiers of one namespace and domain; or None
	SharedAnchors  int  // shared with more neighbours of one anchor (namespace, domain); or None
	SharedContacts int  // shared with more neighbours of one contact namespace; or None
}

// Rules is the identity section of the configuration, as far as the graph asks it.
type Rules struct {
	Namespaces       []Namespace // in any order
	AnchorsInAll     int         // a contact or device with more anchors is shared
	StoreCodesTied   int         // codes of one store that edges between anchors may bring together
	DevicesJoinKnown bool        // a device may join two groups that both hold an anchor, or a contact of one namespace
	CustomerLimit    int         // identifiers of one customer
	ComponentLimit   int         // identifiers of one component; links and un-sharing do not ask it
	IDKey            []byte      // secret of the deployment: customer ids are HMACs under it
}

// Graph is the rules, checked and made ready. It is immutable and may be shared by goroutines.
type Graph struct {
	rules  Rules
	spaces []Namespace // by rank: the index of a namespace orders like its rank
	names  [][]byte    // of spaces
	index  map[string]int16
}

// New checks the rules. The error names the first fault.
func New(rules Rules) (*Graph, error) {
	if len(rules.IDKey) == 0 {
		return nil, fmt.Errorf("identity rules: id_key is empty")
	}
	if len(rules.Namespaces) == 0 || len(rules.Namespaces) > MaxNamespaces {
		return nil, fmt.Errorf("identity rules: %d namespaces, want 1 to %d", len(rules.Namespaces), MaxNamespaces)
	}
	if rules.CustomerLimit < 1 || rules.ComponentLimit < 1 || rules.ComponentLimit > math.MaxInt32/2 {
		return nil, fmt.Errorf("identity rules: customer_limit %d and component_limit %d must be at least 1",
			rules.CustomerLimit, rules.ComponentLimit)
	}
	g := &Graph{rules: rules, index: map[string]int16{}}
	g.spaces = slices.Clone(rules.Namespaces)
	slices.SortFunc(g.spaces, func(a, b Namespace) int { return a.Rank - b.Rank })
	g.rules.IDKey = slices.Clone(rules.IDKey)
	for i, s := range g.spaces {
		if s.Name == "" || s.Class > Device {
			return nil, fmt.Errorf("identity rules: namespace %q has no name or an unknown class", s.Name)
		}
		if _, twice := g.index[s.Name]; twice {
			return nil, fmt.Errorf("identity rules: namespace %q is declared twice", s.Name)
		}
		if i > 0 && g.spaces[i-1].Rank == s.Rank {
			return nil, fmt.Errorf("identity rules: namespaces %q and %q have one rank, %d", g.spaces[i-1].Name, s.Name, s.Rank)
		}
		if i > 0 && g.spaces[i-1].Class > s.Class {
			return nil, fmt.Errorf("identity rules: rank %d of namespace %q is out of the order of the classes: anchors, contacts, devices",
				s.Rank, s.Name)
		}
		g.index[s.Name] = int16(i)
		g.names = append(g.names, []byte(s.Name))
	}
	return g, nil
}

// Clock bounds the times that identity believes (identity.md 3.5).
type Clock struct {
	Ahead    time.Duration // a time later than the record's by more does not count
	Earliest int64         // nor does an earlier one; epoch ms
}

// DefaultClock is ten minutes ahead, and 2000-01-01.
var DefaultClock = Clock{Ahead: 10 * time.Minute, Earliest: 946684800000}

// At returns the time of an interaction for identity: its own, or that of its record where its own cannot be.
// All times are epoch milliseconds.
func (c Clock) At(occurredAt, receivedAt int64) int64 {
	if occurredAt > receivedAt+c.Ahead.Milliseconds() || occurredAt < c.Earliest {
		return receivedAt
	}
	return occurredAt
}
