package identity

import (
	"fmt"
	"time"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Questions about one realm, as they are put by people: whose identifier is this, why are two of them one customer, why
// are they not. The answers come from the rows alone. Where the reason is in the build, the component is loaded and built
// again, exactly as the resolve step did: what it would answer now is what it did.
//
// The words of an answer are those of identity.md; Says is the same in a sentence, for whoever does not know them.

// Bounds of an answer. What is left out is counted, or said to be more.
const (
	// MaxCrossings is how many ties that do not join WhyNot goes over on one way from one identifier to the other.
	// A shared identifier between two customers is two.
	MaxCrossings = 3
	// MaxRoutes is how many ways WhyNot lists; MaxNeighbours how many neighbours Identifier does; MaxRefused how many
	// refused ties Customer does.
	MaxRoutes     = 20
	MaxNeighbours = 25
	MaxRefused    = 20
	// MaxCounted is up to how many neighbours of a shared identifier are counted.
	MaxCounted = 100_000

	maxFan      = 200  // neighbours that are loaded of an identifier that is apart
	maxInactive = 2000 // inactive edges that one question loads
	maxExpanded = 50   // customers between the two that are looked at
	maxFound    = 2000 // ways that are looked at before the best are listed
)

// Explainer answers questions about one realm. It belongs to one goroutine, and reads the view only.
type Explainer struct {
	w      work
	view   table.View
	realm  string
	joined []bool         // by edge: it joined two groups in the build
	read   map[int32]bool // groups whose inactive edges were read
	left   int            // inactive edges that may still be loaded
	cut    bool           // something was left out
}

// Explain returns an Explainer of a realm.
func (g *Graph) Explain(view table.View, realm string) *Explainer {
	return &Explainer{w: work{g: g, domains: map[string]int32{}}, view: view, realm: realm}
}

// Time is epoch milliseconds, and RFC 3339 in UTC wherever it is written.
type Time int64

func (t Time) String() string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Time) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339Nano, string(b))
	*t = Time(at.UnixMilli())
	return err
}

// CustomerRef is a customer as other answers name it.
type CustomerRef struct {
	ID      interaction.CustomerID `json:"customer_id"`
	Version int64                  `json:"customer_version"`
	Known   bool                   `json:"known"` // it has an anchor or a contact; else devices only
	Founder interaction.Named      `json:"founder"`
	Size    int                    `json:"identifiers"`
}

// Tie is what brings two identifiers together: an edge of evidence, or a directive.
type Tie struct {
	Root        interaction.Named `json:"root"`
	Other       interaction.Named `json:"other"`
	Rule        string            `json:"rule"` // evidence, link or replace
	Source      string            `json:"source,omitempty"`
	EventID     string            `json:"event_id,omitempty"`
	DirectiveID string            `json:"directive_id,omitempty"`
	FirstSeen   Time              `json:"time"`
	Verified    bool              `json:"verified,omitempty"`
	Status      TieStatus         `json:"status"`
	Refused     string            `json:"refused,omitempty"` // why, in the words of identity.md 4.5
}

// TieStatus says what a tie does.
type TieStatus string

// The statuses of a tie.
const (
	TieJoined   TieStatus = "joined"   // it made one group of two
	TieAgrees   TieStatus = "agrees"   // its ends were one group already
	TieRefused  TieStatus = "refused"  // the rules did not let it join
	TieInactive TieStatus = "inactive" // an end is shared or retracted: it does not count
)

// Status says what an identifier is.
type Status string

// The statuses of an identifier.
const (
	Linked    Status = "linked"
	Shared    Status = "shared"
	Retracted Status = "retracted"
	Unknown   Status = "unknown" // it has not occurred, or was erased
)

// RealmOf returns the realm of a customer id, living or ended; empty where the view does not know it.
func RealmOf(view table.View, id interaction.CustomerID) (realm string, err error) {
	b, err := view.Get(table.Founders, []byte(id))
	if b == nil || err != nil {
		return "", err
	}
	key, err := decodeFounder(b)
	if err != nil {
		return "", fmt.Errorf("founder of a customer: %w", err)
	}
	k, err := interaction.ParseKeyBytes(key)
	return k.Realm, err
}

func (x *Explainer) begin() error {
	x.w.reset(x.view, x.realm)
	x.joined, x.read, x.left, x.cut = x.joined[:0], map[int32]bool{}, maxInactive, false
	return x.w.linkAll()
}

// find loads an identifier with its component and what directives tie to it; none where it has not occurred.
func (x *Explainer) find(name interaction.Named) (key []byte, n int32, err error) {
	space, ok := x.w.g.index[name.Namespace]
	if !ok {
		return nil, none, fmt.Errorf("namespace %q is not declared", name.Namespace)
	}
	key, domain, value := x.w.keepKey(name.In(x.realm))
	n, err = x.w.find(key, space, domain, value)
	return key, n, err
}

// build builds the component of n again, and finds out which of its edges joined two groups.
func (x *Explainer) build(n int32) {
	w := &x.w
	if w.nodes[n].apart() || w.nodes[n].fresh != none {
		return
	}
	w.buildComponent(n, &Result{})
	f := &w.fresh[w.nodes[n].fresh]
	for _, m := range f.members {
		w.nodes[m].parent = m
	}
	x.joined = append(x.joined, make([]bool, len(w.edges)-len(x.joined))...)
	for _, i := range f.edges { // build has put them in order
		e := &w.edges[i]
		if a, b := w.top(e.root), w.top(e.other); e.refused == NotRefused && a != b {
			w.nodes[b].parent = a
			x.joined[i] = true
		}
	}
}

// group is the customer of a node, as it is stored.
func (x *Explainer) group(n int32) int32 { return x.w.nodes[n].oldCustomer }

func (x *Explainer) named(n int32) interaction.Named {
	node := &x.w.nodes[n]
	return interaction.Named{Namespace: x.w.g.spaces[node.space].Name, Domain: string(node.domain), Value: string(node.value)}
}

func (x *Explainer) namedKey(key []byte) (interaction.Named, error) {
	k, err := interaction.ParseKeyBytes(key)
	return k.Named(), err
}

func (x *Explainer) status(n int32) Status {
	switch node := &x.w.nodes[n]; {
	case node.retracted:
		return Retracted
	case node.shared:
		return Shared
	}
	return Linked
}

func (x *Explainer) customer(c int32) *CustomerRef {
	cu := &x.w.customers[c]
	ref := &CustomerRef{ID: x.w.customerID(c).text(), Version: cu.version, Known: cu.known, Founder: x.named(cu.founder)}
	for i := range x.w.nodes {
		if x.w.nodes[i].oldCustomer == c {
			ref.Size++
		}
	}
	return ref
}

// tie describes an edge, whose component must be built where it is active.
func (x *Explainer) tie(i int32) Tie {
	w, e := &x.w, &x.w.edges[i]
	t := Tie{
		Root: x.named(e.root), Other: x.named(e.other), Rule: string(interaction.RuleEvidence), Source: string(e.source),
		FirstSeen: Time(e.firstSeen), Verified: e.verified, Status: TieAgrees,
	}
	if e.slot != 0 {
		t.Rule, t.DirectiveID = w.pairs[e.slot-1].kind.String(), string(e.eventID)
	} else {
		t.EventID = string(e.eventID)
	}
	switch {
	case !w.active(e):
		t.Status = TieInactive
	case e.refused != NotRefused:
		t.Status, t.Refused = TieRefused, e.refused.String()
	case x.hasJoined(i):
		t.Status = TieJoined
	}
	return t
}

func (x *Explainer) hasJoined(i int32) bool { return int(i) < len(x.joined) && x.joined[i] }

// bindsNothing reports whether an edge stands for a directive that ties nothing together.
func (x *Explainer) bindsNothing(e *edge) bool {
	if e.slot == 0 {
		return e.gone
	}
	kind := x.w.pairs[e.slot-1].kind
	return kind != orderLink && kind != orderReplace
}

// path finds the ties that joined two identifiers of one customer, in the order from a to b. There is one way only: ties
// that join never close a circle.
func (x *Explainer) path(a, b int32) []int32 {
	type step struct{ from, edge int32 }
	came := map[int32]step{a: {none, none}}
	for todo := []int32{a}; len(todo) > 0; todo = todo[1:] {
		n := todo[0]
		if n == b {
			break
		}
		for i := x.w.nodes[n].edges; i != none; {
			next, y := x.w.edges[i].next(n)
			if _, seen := came[y]; !seen && x.hasJoined(i) {
				came[y] = step{n, i}
				todo = append(todo, y)
			}
			i = next
		}
	}
	if _, ok := came[b]; !ok {
		return nil
	}
	var edges []int32
	for at := b; at != a; at = came[at].from {
		edges = append(edges, came[at].edge)
	}
	for i, j := 0, len(edges)-1; i < j; i, j = i+1, j-1 {
		edges[i], edges[j] = edges[j], edges[i]
	}
	return edges
}

// WhyAnswer says why two identifiers are one customer.
type WhyAnswer struct {
	Realm    string            `json:"realm"`
	A        interaction.Named `json:"a"`
	B        interaction.Named `json:"b"`
	Together bool              `json:"together"`
	Customer *CustomerRef      `json:"customer,omitempty"` // of both
	// Chain leads from A to B over the ties that joined them, each the strongest that could.
	Chain []Tie `json:"chain"`
	// Also is what ties A to B directly without having been needed.
	Also []Tie  `json:"also,omitempty"`
	Says string `json:"says"`
}

// Why explains why a and b are one customer.
func (x *Explainer) Why(a, b interaction.Named) (*WhyAnswer, error) {
	out := &WhyAnswer{Realm: x.realm, A: a, B: b, Chain: []Tie{}}
	if err := x.begin(); err != nil {
		return nil, err
	}
	_, n, err := x.find(a)
	if err != nil {
		return nil, err
	}
	_, m, err := x.find(b)
	if err != nil {
		return nil, err
	}
	if n == none || m == none || x.group(n) != x.group(m) {
		out.Says = notTogether(out, n == none, m == none)
		return out, nil
	}
	x.build(n)
	out.Together, out.Customer = true, x.customer(x.group(n))
	for _, i := range x.path(n, m) {
		out.Chain = append(out.Chain, x.tie(i))
	}
	for i := x.w.nodes[n].edges; i != none; {
		next, y := x.w.edges[i].next(n)
		if y == m && !x.hasJoined(i) && !x.bindsNothing(&x.w.edges[i]) {
			out.Also = append(out.Also, x.tie(i))
		}
		i = next
	}
	if n != m && len(out.Chain) == 0 {
		return nil, fmt.Errorf("no ties join two identifiers of customer %s: %w", out.Customer.ID, errCorrupt)
	}
	out.Says = together(out)
	return out, nil
}

var orderNames = [...]interaction.DirectiveKind{
	noOrder: "", orderLink: interaction.DirectiveLink, orderReplace: interaction.DirectiveReplace, orderRestore: interaction.DirectiveRestore,
	orderRetract: interaction.DirectiveRetract, orderSeparate: interaction.DirectiveSeparate,
}

func (k orderKind) String() string { return string(orderNames[k]) }
