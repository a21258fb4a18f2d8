package interaction

import (
	"fmt"
	"strings"
)

// Named is an identifier within the realm of what holds it.
type Named struct {
	Namespace string `json:"namespace"`
	Domain    string `json:"domain,omitempty"`
	Value     string `json:"value"`
}

// In returns the identifier of a realm; the zero Named gives the zero Key.
func (n Named) In(realm string) Key {
	if n == (Named{}) {
		return Key{}
	}
	return Key{Realm: realm, Namespace: n.Namespace, Domain: n.Domain, Value: n.Value}
}

// Named is the identifier without its realm.
func (k Key) Named() Named { return Named{k.Namespace, k.Domain, k.Value} }

// String is how people write an identifier: namespace:value, or namespace@domain:value. In the domain % and : are
// percent-encoded.
func (n Named) String() string {
	if n.Domain == "" {
		return n.Namespace + ":" + n.Value
	}
	return n.Namespace + "@" + strings.NewReplacer("%", "%25", ":", "%3A").Replace(n.Domain) + ":" + n.Value
}

// ParseNamed is the inverse of String. Nothing is normalised.
func ParseNamed(s string) (Named, error) {
	head, value, ok := strings.Cut(s, ":")
	namespace, domain, _ := strings.Cut(head, "@")
	if !ok || namespace == "" || value == "" {
		return Named{}, fmt.Errorf("an identifier is written namespace:value, or namespace@store:value where the namespace belongs to a store, such as email:ana@correo.example or user@AR-001:00417")
	}
	domain, err := unescape(domain)
	if err != nil {
		return Named{}, fmt.Errorf("store of an identifier: %w; %% and : are written %%25 and %%3A in it", err)
	}
	return Named{namespace, domain, value}, nil
}
