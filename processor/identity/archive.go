package identity

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Archive reads back what a store holds of identity, realm by realm. The store must not change meanwhile.
type Archive struct {
	view   table.View
	realms []RealmSurvey
	slots  []Ruling // of all realms
	words  map[string]string
}

// RealmSurvey is what can be said of a realm without reading its evidence.
type RealmSurvey struct {
	Name        string
	Identifiers int
	Domains     map[string][]string // namespace → its domains, sorted
}

// OpenArchive looks through the identifiers and directives of a store.
func OpenArchive(view table.View) (*Archive, error) {
	a := &Archive{view: view, words: map[string]string{}}
	domains := map[[2]string]bool{} // namespace, domain of the realm at hand
	var fault error
	err := view.Scan(table.Identifiers, nil, func(key, _ []byte) bool {
		var k interaction.Key
		if k, fault = interaction.ParseKeyBytes(key); fault != nil {
			return false
		}
		if n := len(a.realms); n == 0 || a.realms[n-1].Name != k.Realm {
			a.realms = append(a.realms, RealmSurvey{Name: a.word(k.Realm), Domains: map[string][]string{}})
			clear(domains)
		}
		r := &a.realms[len(a.realms)-1]
		r.Identifiers++
		if at := [2]string{k.Namespace, k.Domain}; !domains[at] {
			at = [2]string{a.word(k.Namespace), a.word(k.Domain)}
			domains[at] = true
			r.Domains[at[0]] = append(r.Domains[at[0]], at[1])
		}
		return true
	})
	if err = errors.Join(err, fault); err != nil {
		return nil, fmt.Errorf("identity: read identifiers: %w", err)
	}
	if err := a.readSlots(); err != nil {
		return nil, fmt.Errorf("identity: read directives: %w", err)
	}
	return a, nil
}

// Realms are the realms of the store, in byte order.
func (a *Archive) Realms() []RealmSurvey { return a.realms }

// word returns a text that is kept once, however often it comes.
func (a *Archive) word(s string) string {
	if w, ok := a.words[s]; ok {
		return w
	}
	s = strings.Clone(s)
	a.words[s] = s
	return s
}

func (a *Archive) wordOf(b []byte) string {
	if w, ok := a.words[string(b)]; ok {
		return w
	}
	return a.word(string(b))
}

var kindsOfOrders = func() map[orderKind]interaction.DirectiveKind {
	m := map[orderKind]interaction.DirectiveKind{}
	for kind, order := range orderKinds {
		m[order] = kind
	}
	return m
}()

// readSlots reads all slots. Of a pair there are two rows; the one of its first identifier is taken.
func (a *Archive) readSlots() error {
	var fault error
	err := a.view.Scan(table.Directives, nil, func(key, value []byte) bool {
		r := reader{b: key}
		name, kind := r.str(), r.byte()
		if r.bad {
			fault = errCorrupt
			return false
		}
		if kind == reported {
			return true
		}
		var s Ruling
		var o order
		if o, fault = decodeOrder(value); fault != nil {
			return false
		}
		if kind == slotPair && !o.first {
			return true
		}
		if s.A, fault = interaction.ParseKeyBytes(bytes.Clone(name)); fault != nil {
			return false
		}
		if kind == slotPair {
			if s.B, fault = interaction.ParseKeyBytes(bytes.Clone(r.b)); fault != nil {
				return false
			}
		}
		s.Kind, s.IssuedAt, s.DirectiveID = kindsOfOrders[o.kind], o.issuedAt, string(o.id)
		a.slots = append(a.slots, s)
		return true
	})
	slices.SortFunc(a.slots, func(x, y Ruling) int { return cmp.Or(CompareKeys(x.A, y.A), CompareKeys(x.B, y.B)) })
	return errors.Join(err, fault)
}

// Read returns the evidence of a realm and the customers that the store made of it. Named is called with each customer's founder
// and its id as the store has it.
func (a *Archive) Read(realm string, named func(founder interaction.Key, id interaction.CustomerID)) (*Body, *People, error) {
	l := &loader{Archive: a, realm: realm, body: &Body{}, people: &People{}, named: named}
	for _, step := range []func() error{l.identifiers, l.components, l.inactive} {
		if err := step(); err != nil {
			return nil, nil, fmt.Errorf("identity: read realm %q: %w", realm, err)
		}
	}
	l.sortEdges()
	for _, s := range a.slots {
		if s.A.Realm == realm {
			l.body.Slots = append(l.body.Slots, s)
		}
	}
	return l.body, l.people, nil
}

// loader reads one realm.
type loader struct {
	*Archive
	realm      string
	body       *Body
	people     *People
	named      func(interaction.Key, interaction.CustomerID)
	homes      []componentID
	row        componentRow
	placed     []int32 // of the component at hand: place in the body of each member
	rootMissed []mirror
}

// mirror is an inactive edge that was found from its other end only.
type mirror struct{ root, other int32 }

func (l *loader) identifiers() error {
	var fault error
	prefix := append([]byte(l.realm), interaction.Sep)
	err := l.view.Scan(table.Identifiers, prefix, func(key, value []byte) bool {
		var k interaction.Key
		if k, fault = interaction.ParseKeyBytes(key); fault != nil {
			return false
		}
		// The parts are cut from one text; only the value is worth memory of its own.
		k = interaction.Key{Realm: l.word(k.Realm), Namespace: l.word(k.Namespace), Domain: l.word(k.Domain), Value: strings.Clone(k.Value)}
		home, own, member, err := decodeIdentifier(value)
		if err != nil {
			fault = fmt.Errorf("identifier of namespace %s: %w", k.Namespace, err)
			return false
		}
		i := int32(len(l.body.Identifiers))
		l.body.Identifiers = append(l.body.Identifiers, Known{Key: k, FirstSeen: own.firstSeen})
		p := l.people
		if member {
			l.homes = append(l.homes, home)
			p.Founder, p.Component = append(p.Founder, none), append(p.Component, none)
		} else {
			p.Founder, p.Component = append(p.Founder, i), append(p.Component, i)
		}
		p.Shared = append(p.Shared, !member && own.flags&flagShared != 0)
		p.Retracted = append(p.Retracted, !member && own.flags&flagRetracted != 0)
		return true
	})
	slices.SortFunc(l.homes, func(a, b componentID) int { return bytes.Compare(a[:], b[:]) })
	l.homes = slices.Compact(l.homes)
	return errors.Join(err, fault)
}

func (l *loader) components() error {
	var key []byte
	for _, id := range l.homes {
		key = append(key[:0], id[:]...)
		value, err := l.view.Get(table.Components, key)
		if err == nil && value == nil {
			err = fmt.Errorf("is named by an identifier and does not exist: %w", errCorrupt)
		}
		if err == nil {
			err = l.row.decode(value)
		}
		if err == nil {
			err = l.component()
		}
		if err != nil {
			return fmt.Errorf("component %x: %w", id, err)
		}
	}
	for i, f := range l.people.Founder {
		if f == none {
			return fmt.Errorf("an identifier of namespace %s is missing from its component: %w", l.body.Identifiers[i].Key.Namespace, errCorrupt)
		}
	}
	return nil
}

// component takes in the members and edges of the decoded row.
func (l *loader) component() error {
	b, p, row := l.body, l.people, &l.row
	l.placed = l.placed[:0]
	for i := range row.members {
		m := &row.members[i]
		at := b.Index(interaction.Key{Realm: l.realm, Namespace: l.wordOf(m.namespace), Domain: l.wordOf(m.domain), Value: string(m.value)})
		if at == none || p.Founder[at] != none {
			return fmt.Errorf("a member of namespace %s does not name it: %w", m.namespace, errCorrupt)
		}
		l.placed = append(l.placed, at)
		b.Identifiers[at].FirstSeen = m.firstSeen
		p.Founder[at] = at // claimed; the founder follows
	}
	for i := range row.members {
		at := l.placed[i]
		p.Component[at] = l.placed[0]
		p.Founder[at] = l.placed[row.customers[row.members[i].customer].founder]
	}
	for i := range row.customers {
		c := &row.customers[i]
		if l.named != nil {
			l.named(b.Identifiers[l.placed[c.founder]].Key, c.id.text())
		}
	}
	for i := range row.edges {
		e := &row.edges[i]
		l.add(Joint{l.placed[e.root], l.placed[e.other], e.verified, e.firstSeen, l.wordOf(e.source), string(e.eventID)}, Standing(e.refused))
	}
	return nil
}

func (l *loader) add(e Joint, s Standing) {
	l.body.Edges = append(l.body.Edges, e)
	l.people.Edges = append(l.people.Edges, s)
}

// inactive reads the edges of identifiers that are apart.
func (l *loader) inactive() error {
	var key, prefix []byte
	for i := range l.body.Identifiers {
		if !l.people.Apart(int32(i)) {
			continue
		}
		key = l.body.Identifiers[i].Key.AppendBytes(key[:0])
		prefix = appendEdgePrefix(prefix[:0], key, edgeInactive)
		var fault error
		err := l.view.Scan(table.Edges, prefix, func(k, value []byte) bool {
			fault = l.inactiveRow(int32(i), k[len(prefix):], value)
			return fault == nil
		})
		if err = errors.Join(err, fault); err != nil {
			return fmt.Errorf("edges of a %s: %w", l.body.Identifiers[i].Key.Namespace, err)
		}
	}
	for _, m := range l.rootMissed {
		key = l.body.Identifiers[m.root].Key.AppendBytes(key[:0])
		prefix = appendEdgePrefix(prefix[:0], key, edgeInactive)
		value, err := l.view.Get(table.Edges, l.body.Identifiers[m.other].Key.AppendBytes(prefix))
		if err == nil && value == nil {
			err = errCorrupt
		}
		if err == nil {
			err = l.addInactive(m.root, m.other, value)
		}
		if err != nil {
			return fmt.Errorf("edge of a %s to a %s: %w", l.body.Identifiers[m.root].Key.Namespace, l.body.Identifiers[m.other].Key.Namespace, err)
		}
	}
	return nil
}

// inactiveRow takes in an inactive edge of a to b. The row of the root holds it; the one of the other end is asked for where
// the root is not apart, and nobody else looks there.
func (l *loader) inactiveRow(a int32, b, value []byte) error {
	k, err := interaction.ParseKeyBytes(b)
	if err != nil {
		return err
	}
	at := l.body.Index(k)
	switch {
	case at == none:
		return fmt.Errorf("names an identifier of namespace %s that does not exist: %w", k.Namespace, errCorrupt)
	case len(value) > 1:
		return l.addInactive(a, at, value)
	case !l.people.Apart(at):
		l.rootMissed = append(l.rootMissed, mirror{root: at, other: a})
	}
	return checkVersion(value)
}

func (l *loader) addInactive(root, other int32, value []byte) error {
	e, err := decodeInactive(value)
	if err != nil {
		return err
	}
	l.add(Joint{root, other, e.verified, e.firstSeen, l.wordOf(e.source), string(e.eventID)}, l.people.inactive(root, other))
	return nil
}

// sortEdges puts the edges and what became of them in order.
func (l *loader) sortEdges() {
	order := make([]int32, len(l.body.Edges))
	for i := range order {
		order[i] = int32(i)
	}
	edges, standings := l.body.Edges, l.people.Edges
	slices.SortFunc(order, func(a, b int32) int { return compareEnds(&edges[a], &edges[b]) })
	l.body.Edges, l.people.Edges = make([]Joint, len(order)), make([]Standing, len(order))
	for i, from := range order {
		l.body.Edges[i], l.people.Edges[i] = edges[from], standings[from]
	}
}
