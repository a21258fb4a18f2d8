package normalize

import (
	"fmt"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// Named normalises an identifier as people name it in a question, where the domain of in is the StoreCode, or empty. A
// country stands for the stores of that country, so that what an answer shows can be asked for. realm is that of the
// StoreCode, empty where there is none. The error says what to write instead.
func (n *Normalizer) Named(in interaction.Named) (out interaction.Named, realm string, err error) {
	ns, known := n.namespaces[in.Namespace]
	if !known {
		return out, "", fmt.Errorf("namespace %q is not declared; declared are %s", in.Namespace, strings.Join(n.declared(), ", "))
	}
	store, country := in.Domain, ""
	if ns.Domain == DomainCountry && n.isCountry(store) {
		store, country = "", store
	}
	value, domain, outcome, rule := n.Value(in.Namespace, store, in.Value)
	switch {
	case rule == RuleBadStoreCode:
		return out, "", fmt.Errorf("%s", n.store(store).problem)
	case outcome == interaction.OutcomeBlocked:
		return out, "", fmt.Errorf("the value is on the block list (%s): it means nobody, and takes no part in identity", rule)
	case outcome != interaction.OutcomeNone:
		hint := ""
		if ns.rule.Name == "phone" && store == "" {
			hint = "; write it with + and the code of the country, or name a store: " + in.Namespace + "@STORE:NUMBER"
		}
		return out, "", fmt.Errorf("the value is no valid %s, and takes no part in identity%s", in.Namespace, hint)
	}
	if country != "" {
		domain = country
	}
	if store != "" {
		realm = n.store(store).realm
	}
	return interaction.Named{Namespace: in.Namespace, Domain: domain, Value: value}, realm, nil
}

// Realm is the realm of what names no store.
func (n *Normalizer) Realm() string { return n.store("").realm }

// HasRealm reports whether the rules send anything to a realm.
func (n *Normalizer) HasRealm(realm string) bool { return n.hasRealm(realm) }

func (n *Normalizer) declared() []string {
	names := make([]string, 0, len(n.namespaces))
	for name := range n.namespaces {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return n.namespaces[a].Rank - n.namespaces[b].Rank })
	return names
}

func (n *Normalizer) isCountry(name string) bool {
	for _, country := range n.countries.exact {
		if country == name {
			return name != ""
		}
	}
	for _, p := range n.countries.prefixes {
		if p.to == name {
			return name != ""
		}
	}
	return name != "" && n.countries.rest == name
}
