package demo

import (
	"cmp"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// Seen is what was read back from the output topics. Set In and Duplicates, fill it with Event, Change, MapRow and Reject in any order across
// topics (the records of one customer, and of one identifier, in theirs) and then ask for Summary and Stories.
// The zero value is ready. It is not for concurrent use.
type Seen struct {
	// In is what went into each input topic.
	In map[string]Input
	// Duplicates is what the processor counted as repeats and dropped: they are in no topic.
	Duplicates int64

	events   []seenEvent
	changes  []interaction.Change
	owner    map[known]mapped                                  // identity-map without its pointers
	ended    map[interaction.CustomerID]interaction.CustomerID // its pointers: ended id → who it is now
	rejects  map[interaction.Reason]*parked
	parkedIn map[string]int64 // rejected interactions by topic, those whose interaction became an event all the same aside
	texts    map[string]string
}

// Input is what went into a topic.
type Input struct {
	// Records hold Interactions: one each, but for a mapping that makes several of a record.
	Records, Interactions int64
	// Mapping is the name of the mapping that read them; empty: they were interactions as they came.
	Mapping string
	// Ignored is what the mapping had no use for, by its reason.
	Ignored map[string]int64
}

func (i *Input) ignored() (n int64) {
	for _, of := range i.Ignored {
		n += of
	}
	return n
}

// Details are the parts of an event's payload that a story tells.
type Details struct {
	Order      Order // zero: none
	Traits     map[string]string
	Properties map[string]string
}

// Order is an order in a reader's words: Total is a decimal number, 86400 or 86400.00.
type Order struct{ Number, Currency, Total string }

// seenEvent is a unified event, as much of it as is told.
type seenEvent struct {
	source, sourceEventID string
	customer              interaction.CustomerID
	version               int64
	status                interaction.IdentityStatus
	ambiguous             bool
	topic, channel, typ   string
	store                 string
	at                    int64 // epoch milliseconds
	ids                   []seenIdentifier
	order                 Order
	subject, name         string
}

type seenIdentifier struct {
	known
	verified bool
	outcome  interaction.Outcome
}

// known names an identifier as events show it: they carry no domain, and only that of a customer code is told by
// the event's StoreCode.
type known struct{ realm, namespace, store, value string }

type mapped struct {
	customer interaction.CustomerID
	status   interaction.MapStatus
}

type parked struct {
	n      int64
	sample string // topic and detail of the first
	topics map[string]bool
}

// Event takes in a record of unified-customer-events, with what its payload says. The domains of its identifiers, its
// payload and its hashes may be missing: the topic has no domains.
func (s *Seen) Event(u *interaction.Unified, d Details) {
	k := u.Keyed
	e := seenEvent{
		source: s.text(k.Source), sourceEventID: k.SourceEventID, customer: interaction.CustomerID(s.text(string(u.CustomerID))),
		version: u.CustomerVersion, status: interaction.IdentityStatus(s.text(string(u.IdentityStatus))), ambiguous: u.Ambiguous,
		topic: s.text(k.Origin.Topic), channel: s.text(k.Channel), typ: s.text(k.Type), store: s.text(k.StoreCode), at: k.OccurredAt,
		order:   d.Order,
		subject: s.text(subject(k.Type, d.Properties)),
		name:    s.text(strings.TrimSpace(d.Traits["first_name"] + " " + d.Traits["last_name"])),
	}
	e.ids = make([]seenIdentifier, len(u.Identifiers))
	for i, id := range u.Identifiers {
		store := ""
		if id.Namespace == "user" {
			store = cmp.Or(id.Domain, k.StoreCode)
		}
		e.ids[i] = seenIdentifier{known{s.text(k.Realm), s.text(id.Namespace), s.text(store), s.text(id.Value)}, id.Verified, id.Outcome}
	}
	s.events = append(s.events, e)
}

// Change takes in a record of identity-changes.
func (s *Seen) Change(c interaction.Change) { s.changes = append(s.changes, c) }

// MapRow takes in a record of identity-map, tombstones included. Who is whose at the end comes from here.
// The error says that the key is none.
func (s *Seen) MapRow(r interaction.MapRow) error {
	key, err := interaction.ParseKey(r.Key)
	if err != nil {
		return err
	}
	if s.owner == nil {
		s.owner, s.ended = map[known]mapped{}, map[interaction.CustomerID]interaction.CustomerID{}
	}
	if key.Namespace == "customer" {
		if r.CustomerID.IsZero() {
			delete(s.ended, interaction.CustomerID(key.Value))
		} else {
			s.ended[interaction.CustomerID(key.Value)] = r.CustomerID
		}
		return nil
	}
	if r.CustomerID.IsZero() {
		delete(s.owner, knownOf(key))
	} else {
		s.owner[knownOf(key)] = mapped{r.CustomerID, r.Status}
	}
	return nil
}

// Reject takes in a record of rejects, by its headers reject.reason, reject.detail and reject.topic: n interactions of it
// were rejected.
func (s *Seen) Reject(reason interaction.Reason, detail, topic string, n int64) {
	if s.rejects == nil {
		s.rejects, s.parkedIn = map[interaction.Reason]*parked{}, map[string]int64{}
	}
	p := s.rejects[reason]
	if p == nil {
		p = &parked{sample: detail, topics: map[string]bool{}}
		s.rejects[reason] = p
	}
	p.n += n
	p.topics[topic] = true
	if reason != interaction.ReasonComponentCap { // its interaction is among the events, too
		s.parkedIn[topic] += n
	}
}

// text keeps one copy of each text: events repeat few of them.
func (s *Seen) text(t string) string {
	if t == "" {
		return ""
	}
	if s.texts == nil {
		s.texts = map[string]string{}
	}
	if one, ok := s.texts[t]; ok {
		return one
	}
	t = strings.Clone(t)
	s.texts[t] = t
	return t
}

func knownOf(k interaction.Key) known {
	n := known{realm: k.Realm, namespace: k.Namespace, value: k.Value}
	if k.Namespace == "user" {
		n.store = k.Domain
	}
	return n
}

// now is the customer that an id stands for at the end.
func (s *Seen) now(id interaction.CustomerID) interaction.CustomerID {
	if to, ok := s.ended[id]; ok {
		return to
	}
	return id
}

// whose is the customer that an event belongs to at the end: that of its first identifier which is still somebody's.
// It is zero for an event that belongs to nobody.
func (s *Seen) whose(e *seenEvent) interaction.CustomerID {
	for i := range e.ids {
		switch e.ids[i].outcome {
		case interaction.OutcomeConflict, interaction.OutcomeBlocked, interaction.OutcomeInvalid:
			continue
		}
		if m, ok := s.owner[e.ids[i].known]; ok && m.status == interaction.MapLinked {
			return m.customer
		}
	}
	return ""
}

// spaceOrder is the order in which identifiers are told: what a shop knows somebody by comes first.
var spaceOrder = []string{"member_id", "user", "document", "tax_id", "email", "phone", "device_id", "anonymous_id"}

func compareKnown(a, b known) int {
	rank := func(n known) int {
		if i := slices.Index(spaceOrder, n.namespace); i >= 0 {
			return i
		}
		return len(spaceOrder)
	}
	return cmp.Or(rank(a)-rank(b), strings.Compare(a.namespace, b.namespace), strings.Compare(a.store, b.store),
		strings.Compare(a.value, b.value), strings.Compare(a.realm, b.realm))
}

// members lists the identifiers of a customer at the end.
func (s *Seen) members(id interaction.CustomerID) []known {
	var list []known
	for k, m := range s.owner {
		if m.customer == id && m.status == interaction.MapLinked {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, compareKnown)
	return list
}
