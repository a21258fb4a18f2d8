package processor

import (
	"fmt"

	"kinfold/processor/identity"
	"kinfold/processor/normalize"
)

// graphRules is what the graph needs of the identity section of the configuration.
func graphRules(r *normalize.Rules) identity.Rules {
	g := identity.Rules{
		AnchorsInAll: r.AnchorsInAll, StoreCodesTied: r.StoreCodesTied, DevicesJoinKnown: r.DevicesJoinKnown,
		CustomerLimit: r.CustomerLimit, ComponentLimit: r.ComponentLimit, IDKey: []byte(r.IDKey),
	}
	classes := map[normalize.Class]identity.Class{
		normalize.Anchor: identity.Anchor, normalize.Contact: identity.Contact, normalize.Device: identity.Device,
	}
	for _, n := range r.Namespaces {
		contacts := n.SharedContacts
		if contacts == normalize.NoThreshold {
			contacts = identity.None
		}
		g.Namespaces = append(g.Namespaces, identity.Namespace{
			Name: n.Name, Rank: n.Rank, Class: classes[n.Class], StoreScoped: n.Domain == normalize.DomainStore,
			AtMost: n.AtMost, SharedAnchors: n.SharedAnchors, SharedContacts: contacts,
		})
	}
	return g
}

func newGraph(r *normalize.Rules) (*identity.Graph, error) {
	g, err := identity.New(graphRules(r))
	if err != nil {
		return nil, fmt.Errorf("compile the identity rules: %w", err)
	}
	return g, nil
}
