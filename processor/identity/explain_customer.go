package identity

import (
	"cmp"
	"slices"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// CustomerAnswer is what is known of a customer id.
type CustomerAnswer struct {
	Realm string                 `json:"realm"`
	Asked interaction.CustomerID `json:"asked"`
	// Ended: the id names nobody any more. Founder, the identifier whose mark it is, belongs to Customer now.
	Ended    bool              `json:"ended"`
	Founder  interaction.Named `json:"founder"`
	Customer *CustomerRef      `json:"customer"` // the one asked for, or who stands for it now
	Members  []Member          `json:"members"`  // of Customer, the oldest first
	// Way are the ties that lead from the founder of an id that ended to the founder of Customer.
	Way []Tie `json:"way"`
	// Former are the ids that ended and whose founders belong to Customer now, in the order of Members.
	Former []FormerID `json:"former"`
	// Refused are ties to other customers that the rules did not let join; RefusedCount is how many there are.
	Refused      []Tie  `json:"refused"`
	RefusedCount int    `json:"refused_count"`
	Says         string `json:"says"`
}

// Member is an identifier of a customer.
type Member struct {
	Identifier interaction.Named `json:"identifier"`
	FirstSeen  Time              `json:"first_seen"`
	Status     Status            `json:"status"`
}

// FormerID is a customer id that ended.
type FormerID struct {
	ID      interaction.CustomerID `json:"customer_id"`
	Founder interaction.Named      `json:"founder"`
}

// Customer says who a customer is, or what became of an id that ended; nil where the realm never had it, or it was erased.
func (x *Explainer) Customer(id interaction.CustomerID) (*CustomerAnswer, error) {
	if err := x.begin(); err != nil {
		return nil, err
	}
	n, err := x.w.findFounder(id)
	if n == none || err != nil {
		return nil, err
	}
	x.build(n)
	c := x.group(n)
	out := &CustomerAnswer{Realm: x.realm, Asked: id, Founder: x.named(n), Customer: x.customer(c), Members: []Member{},
		Way: []Tie{}, Former: []FormerID{}, Refused: []Tie{}}
	if out.Ended = out.Customer.ID != id; out.Ended {
		for _, i := range x.path(n, x.w.customers[c].founder) {
			out.Way = append(out.Way, x.tie(i))
		}
	}
	var members []int32
	for i := range x.w.nodes {
		if m := int32(i); x.group(m) == c {
			members = append(members, m)
		}
	}
	slices.SortStableFunc(members, func(a, b int32) int { return cmp.Compare(x.w.nodes[a].firstSeen, x.w.nodes[b].firstSeen) })
	for _, m := range members {
		out.Members = append(out.Members, Member{x.named(m), Time(x.w.nodes[m].firstSeen), x.status(m)})
		mark := x.w.idOf(m)
		former := FormerID{mark.text(), x.named(m)}
		if b, err := x.view.Get(table.Founders, []byte(former.ID)); err != nil {
			return nil, err
		} else if b != nil && former.ID != out.Customer.ID {
			out.Former = append(out.Former, former)
		}
	}
	var refused []int32
	for i := range x.w.edges {
		e := &x.w.edges[i]
		if x.w.active(e) && e.refused != NotRefused && (x.group(e.root) == c || x.group(e.other) == c) {
			refused = append(refused, int32(i))
		}
	}
	slices.SortFunc(refused, x.w.strength)
	out.RefusedCount = len(refused)
	for _, i := range refused[:min(len(refused), MaxRefused)] {
		out.Refused = append(out.Refused, x.tie(i))
	}
	out.Says = customerSays(out)
	return out, nil
}

// DirectiveAnswer is what became of a directive.
type DirectiveAnswer struct {
	Realm    string                    `json:"realm"`
	ID       string                    `json:"directive_id"`
	Kind     interaction.DirectiveKind `json:"kind"`
	IssuedAt Time                      `json:"issued_at"`
	DryRun   bool                      `json:"dry_run"`
	Effect   string                    `json:"effect"`
	Changes  []DirectiveChange         `json:"changes"` // the first of them
	Total    int                       `json:"change_count"`
	Erased   int                       `json:"erased"`
	Says     string                    `json:"says"`
}

// DirectiveChange is a change of one customer that a directive made, or would have made.
type DirectiveChange struct {
	CustomerID interaction.CustomerID `json:"customer_id"`
	Version    int64                  `json:"customer_version"`
	Kind       interaction.ChangeKind `json:"kind"`
	Added      int                    `json:"identifiers_added"`
	Removed    int                    `json:"identifiers_removed"`
	Erased     int                    `json:"identifiers_erased"`
}

// Directive says what became of a directive; nil where none with this id arrived.
func (x *Explainer) Directive(id string) (*DirectiveAnswer, error) {
	r, found, err := ReadReport(x.view, x.realm, id)
	if !found || err != nil {
		return nil, err
	}
	return r.Answer(x.realm, id), nil
}

// Answer is the report of a directive of a realm, for people.
func (r *Report) Answer(realm, id string) *DirectiveAnswer {
	out := &DirectiveAnswer{
		Realm: realm, ID: id, Kind: r.Kind, IssuedAt: Time(r.IssuedAt), DryRun: r.DryRun, Effect: r.Effect.String(),
		Changes: []DirectiveChange{}, Total: r.Total, Erased: r.Erased,
	}
	for _, c := range r.Changes {
		out.Changes = append(out.Changes, DirectiveChange(c))
	}
	out.Says = directiveSays(out)
	return out
}
