package processor

import (
	"kinfold/processor/interaction"
)

// RulesDiff is what other rules would make of the same evidence. Identifier values stand in the examples only.
type RulesDiff struct {
	Source     Source         `json:"source"`
	Old        RulesSide      `json:"old"`
	New        RulesSide      `json:"new"`
	Mismatches Mismatches     `json:"mismatches"`
	Customers  []CaseCount    `json:"customers"`   // by kind, all kinds
	Changed    []StatusCount  `json:"identifiers"` // what changed for identifiers, by change and namespace
	Edges      []EdgeCount    `json:"edges"`       // what changed for edges
	Directives map[string]int `json:"directives_rejected,omitempty"`
	// Limits says what this source cannot tell, or can tell only roughly.
	Limits   []string `json:"limits"`
	Examples Examples `json:"examples"`
}

// Mismatches is what the store has otherwise than the old rules make it of its evidence. With any, the old configuration is not
// the one that wrote the state, or the program decides in another way than the one that did.
type Mismatches struct {
	CustomerIDs int `json:"customer_ids"` // customers with another id: the id_key is another one
	Identifiers int `json:"identifiers"`  // identifiers in another customer, or with another status
	Edges       int `json:"edges"`        // edges with another standing
}

// Any reports whether there is one.
func (m Mismatches) Any() bool { return m != Mismatches{} }

// Source is where evidence was taken from.
type Source struct {
	Kind         string `json:"kind"` // state or input
	Name         string `json:"name"`
	Partitions   int    `json:"partitions,omitempty"`
	Realms       int    `json:"realms"`
	Lines        int    `json:"lines,omitempty"`
	RulesVersion string `json:"rules_version,omitempty"` // the one that wrote the state
}

// RulesSide is what one set of rules makes of the evidence.
type RulesSide struct {
	File         string                     `json:"file"`
	RulesVersion string                     `json:"rules_version"`
	Identifiers  int                        `json:"identifiers"`
	Edges        int                        `json:"edges"`
	Directives   int                        `json:"directives"` // slots that hold one
	Customers    int                        `json:"customers"`  // shared and retracted identifiers aside
	Shared       int                        `json:"shared"`
	Retracted    int                        `json:"retracted"`
	Conflicts    int                        `json:"conflicts"`        // refused edges
	Oversized    int                        `json:"oversized"`        // components above component_limit
	Events       int                        `json:"events,omitempty"` // of an input: accepted interactions
	Ambiguous    int                        `json:"ambiguous,omitempty"`
	Rejects      map[interaction.Reason]int `json:"rejects,omitempty"`
}

// CaseKind is how customers before and after belong together: those that hold the same identifiers, shared and retracted ones aside.
type CaseKind string

// The kinds of cases.
const (
	CaseUnchanged CaseKind = "unchanged" // the same id and identifiers
	CaseChanged   CaseKind = "changed"   // the same id, other identifiers: some came or went that no other customer has
	CaseRenamed   CaseKind = "renamed"   // another id
	CaseMerged    CaseKind = "merged"    // several become one
	CaseSplit     CaseKind = "split"     // one becomes several
	CaseRegrouped CaseKind = "regrouped" // several become several others
	CaseEnded     CaseKind = "ended"     // nothing is left: its identifiers are gone, shared or retracted
	CaseCreated   CaseKind = "created"   // nothing was there
)

// CaseKinds lists every kind once, in the order of a report.
var CaseKinds = []CaseKind{CaseUnchanged, CaseChanged, CaseRenamed, CaseMerged, CaseSplit, CaseRegrouped, CaseEnded, CaseCreated}

// CaseCount counts the cases of a kind.
type CaseCount struct {
	Kind              CaseKind `json:"kind"`
	Cases             int      `json:"cases"`
	CustomersBefore   int      `json:"customers_before"`
	CustomersAfter    int      `json:"customers_after"`
	IdentifiersBefore int      `json:"identifiers_before"`
	IdentifiersAfter  int      `json:"identifiers_after"`
}

// What changes for an identifier.
const (
	becameShared    = "becomes shared"
	becameUnshared  = "is not shared any more"
	becameRetracted = "becomes retracted"
	becameRestored  = "is not retracted any more"
	becameOther     = "gets another normal form, domain or realm"
	becameSeveral   = "becomes one in each of several domains or realms"
	becameGone      = "takes part no more: "
	becameKnown     = "takes part for the first time"
)

// StatusCount counts identifiers of a namespace for which one thing changed.
type StatusCount struct {
	Change    string `json:"change"`
	Namespace string `json:"namespace"`
	Count     int    `json:"count"`
}

// EdgeCount counts edges that went from one standing to another: accepted; refused for separate, device, limit or size; inactive
// since an end is shared or retracted; absent.
type EdgeCount struct {
	Before string `json:"before"`
	After  string `json:"after"`
	Count  int    `json:"count"`
}

// Examples are the first of each kind in the byte order of their identifiers.
type Examples struct {
	Customers   []CaseExample   `json:"customers"`
	Identifiers []StatusExample `json:"identifiers"`
	Edges       []EdgeExample   `json:"edges"`
}

// CaseExample is one case.
type CaseExample struct {
	Kind            CaseKind          `json:"kind"`
	CustomersBefore int               `json:"customers_before"`
	CustomersAfter  int               `json:"customers_after"`
	Before          []CustomerExample `json:"before"` // the first ones
	After           []CustomerExample `json:"after"`
}

// maxMembers is how many identifiers of a customer, and customers of a case, an example lists.
const maxMembers = 10

// CustomerExample is a customer with its first identifiers.
type CustomerExample struct {
	CustomerID interaction.CustomerID `json:"customer_id"`
	Members    []string               `json:"members"` // identifier keys
	Total      int                    `json:"total"`
}

// StatusExample is an identifier for which something changed.
type StatusExample struct {
	Change     string   `json:"change"`
	Identifier string   `json:"identifier"`
	Now        string   `json:"now,omitempty"` // its key, where that is another
	Counts     []string `json:"counts,omitempty"`
}

// EdgeExample is an edge whose standing changed.
type EdgeExample struct {
	Before  string `json:"before"`
	After   string `json:"after"`
	Root    string `json:"root"`
	Other   string `json:"other"`
	Source  string `json:"source"`
	EventID string `json:"event_id"`
}

// Same reports whether the new rules make the same customers, identifiers and edges.
func (d *RulesDiff) Same() bool {
	for _, c := range d.Customers {
		if c.Kind != CaseUnchanged && c.Cases > 0 {
			return false
		}
	}
	return len(d.Changed) == 0 && len(d.Edges) == 0 && len(d.Directives) == 0
}
