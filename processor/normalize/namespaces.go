package normalize

import (
	"cmp"
	"math"
	"slices"

	"github.com/goccy/go-yaml"
)

// Class says what kind of thing an identifier is (identity.md section 2). The order of the classes is that of Classes.
type Class string

// The classes, strongest first.
const (
	Anchor  Class = "anchor"  // an id that a system gave to one customer
	Contact Class = "contact" // an address; a few people may share one
	Device  Class = "device"
)

// Classes lists the classes in order: every rank of a class is below every rank of the next.
var Classes = []Class{Anchor, Contact, Device}

// Domain says within what the values of a namespace are unique.
type Domain string

// The domains.
const (
	DomainNone    Domain = "none"    // everywhere in the realm
	DomainStore   Domain = "store"   // in the StoreCode
	DomainCountry Domain = "country" // in the country that `countries` gives the StoreCode, else empty
)

// Domains lists the domains.
var Domains = []Domain{DomainNone, DomainStore, DomainCountry}

// NoThreshold as SharedContacts: no number of contacts makes an identifier shared. Written null in the configuration.
const NoThreshold = math.MaxInt32

// Namespace is one row of the table of identity.md section 2.
type Namespace struct {
	Name           string
	Rank           int // unique; the strongest first
	Class          Class
	Domain         Domain
	AtMost         int    // per customer and domain
	SharedAnchors  int    // shared with more distinct neighbours of one anchor namespace and domain
	SharedContacts int    // shared with more distinct neighbours of one contact namespace; NoThreshold: never
	Like           string // the built-in namespace whose rule of section 7 holds
}

// builtin is a namespace that is always there, with its rule.
type builtin struct {
	Namespace
	// normalise turns text, which is trimmed, NFC, not empty and free of control characters, into the form that
	// identifies. It must be a projection: its own result comes back unchanged.
	normalise func(n *Normalizer, text, region string) form
	// blocked asks the part of the block list that is made for this kind of value; nil where there is none.
	blocked func(b *blockList, f form) BlockRule
	// opaque: the value is the trimmed text itself, and NFC serves only to judge it.
	opaque bool
}

// builtins is the one list of built-in namespaces, by rank. Another one is a row here, a pure function and a story file.
var builtins = []builtin{
	{Namespace{"member_id", 10, Anchor, DomainNone, 1, 5, 10, "member_id"}, code, nil, false},
	{Namespace{"user", 20, Anchor, DomainStore, 1, 5, 10, "user"}, code, nil, false},
	{Namespace{"document", 30, Anchor, DomainCountry, 1, 5, 10, "document"}, document, (*blockList).digits, false},
	{Namespace{"tax_id", 35, Anchor, DomainCountry, 1, 5, 10, "tax_id"}, document, (*blockList).digits, false},
	{Namespace{"email", 40, Contact, DomainNone, 5, 3, NoThreshold, "email"}, email, (*blockList).address, false},
	{Namespace{"phone", 50, Contact, DomainNone, 5, 3, 5, "phone"}, phone, (*blockList).number, false},
	{Namespace{"device_id", 60, Device, DomainNone, 50, 1, 3, "device_id"}, device, nil, true},
	{Namespace{"anonymous_id", 70, Device, DomainNone, 200, 1, 3, "anonymous_id"}, device, nil, true},
}

// declared is what a namespace of the configuration begins as. Rank and class have no default.
var declared = Namespace{Domain: DomainNone, AtMost: 1, SharedAnchors: 5, SharedContacts: 10, Like: "member_id"}

// Reserved names: no namespace may be called so, since the text form of a key uses the word for something else.
const (
	reservedCustomer  = "customer"  // pointer of an ended customer id, in identity-map
	reservedEvent     = "event"     // key of a keyed record that names nobody
	reservedDirective = "directive" // key of a keyed record that is a directive
	auto              = "auto"      // in user_id: decided by the form of the value
)

func builtinNamed(name string) (*builtin, bool) {
	for i := range builtins {
		if builtins[i].Name == name {
			return &builtins[i], true
		}
	}
	return nil, false
}

// Namespaces are all namespaces in force, by rank.
type Namespaces []Namespace

// defaultNamespaces are the built-in ones.
func defaultNamespaces() Namespaces {
	ns := make(Namespaces, len(builtins))
	for i := range builtins {
		ns[i] = builtins[i].Namespace
	}
	return ns
}

// Lookup finds a namespace by name.
func (ns Namespaces) Lookup(name string) (Namespace, bool) {
	for _, n := range ns {
		if n.Name == name {
			return n, true
		}
	}
	return Namespace{}, false
}

// namespaceConfig is a namespace as the configuration has it. Nil: not given; for SharedContacts, null.
type namespaceConfig struct {
	Rank           *int    `yaml:"rank"`
	Class          *Class  `yaml:"class"`
	Domain         *Domain `yaml:"domain"`
	AtMost         *int    `yaml:"at_most"`
	SharedAnchors  *int    `yaml:"shared_anchors"`
	SharedContacts *int    `yaml:"shared_contacts"`
	Like           *string `yaml:"like"`

	contactsGiven bool
}

// UnmarshalYAML tells a shared_contacts of null from an absent one: only a null clears what stood there before.
func (c *namespaceConfig) UnmarshalYAML(unmarshal func(any) error) error {
	type plain namespaceConfig
	absent := math.MinInt
	c.SharedContacts = &absent
	if err := unmarshal((*plain)(c)); err != nil {
		return err
	}
	c.contactsGiven = c.SharedContacts == nil || *c.SharedContacts != math.MinInt
	return nil
}

func (c *namespaceConfig) layOver(n *Namespace) {
	set(&n.Rank, c.Rank)
	set(&n.Class, c.Class)
	set(&n.Domain, c.Domain)
	set(&n.AtMost, c.AtMost)
	set(&n.SharedAnchors, c.SharedAnchors)
	set(&n.Like, c.Like)
	switch {
	case !c.contactsGiven:
	case c.SharedContacts == nil:
		n.SharedContacts = NoThreshold
	default:
		n.SharedContacts = *c.SharedContacts
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// UnmarshalYAML lays a mapping of names over the built-in namespaces, key by key.
func (ns *Namespaces) UnmarshalYAML(unmarshal func(any) error) error {
	var given map[string]namespaceConfig
	if err := unmarshal(&given); err != nil {
		return err
	}
	all := defaultNamespaces()
	for i := range all {
		if c, ok := given[all[i].Name]; ok {
			c.layOver(&all[i])
			delete(given, all[i].Name)
		}
	}
	for name, c := range given {
		n := declared
		n.Name = name
		c.layOver(&n)
		all = append(all, n)
	}
	all.sort()
	*ns = all
	return nil
}

// sort orders by rank. The name decides between equal ranks, which Validate refuses, so that its report is stable.
func (ns Namespaces) sort() {
	slices.SortFunc(ns, func(a, b Namespace) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Name, b.Name))
	})
}

// MarshalYAML writes the mapping that UnmarshalYAML reads, by rank.
func (ns Namespaces) MarshalYAML() (any, error) {
	m := make(yaml.MapSlice, len(ns))
	for i, n := range ns {
		c := namespaceConfig{Rank: &n.Rank, Class: &n.Class, Domain: &n.Domain, AtMost: &n.AtMost,
			SharedAnchors: &n.SharedAnchors, Like: &n.Like}
		if n.SharedContacts != NoThreshold {
			c.SharedContacts = &n.SharedContacts
		}
		m[i] = yaml.MapItem{Key: n.Name, Value: c}
	}
	return m, nil
}
