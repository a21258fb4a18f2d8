package processor

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/normalize"
	"kinfold/processor/state"
	"kinfold/processor/table"
)

// Refusal is what stands in the place of an answer: why there is none, and what to do. Its members are those of the JSON.
type Refusal struct {
	Status   int    `json:"-"` // of HTTP
	Problem  string `json:"error"`
	WhatToDo string `json:"what_to_do,omitempty"`
	// Elsewhere says where the answer would be found, if not here.
	Elsewhere []Place `json:"elsewhere,omitempty"`
	// notHere are the partitions that the answer would be found on.
	notHere []int32
}

// Place is a partition of the keyed topic, and the process that holds it: all but Partition are empty where nobody does.
type Place struct {
	Partition  int32  `json:"partition"`
	InstanceID string `json:"instance_id,omitempty"`
	ClientID   string `json:"client_id,omitempty"`
	Host       string `json:"host,omitempty"`    // as the broker sees it
	Address    string `json:"address,omitempty"` // where it answers questions, as far as http.advertise says
}

func (r *Refusal) Error() string { return r.Problem }

func refuse(status int, hint, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Problem: fmt.Sprintf(format, args...), WhatToDo: hint}
}

// maxQuestions are answered at a time; the others wait.
const maxQuestions = 8

// questions answers what people ask about customers, from the rows on a shelf.
type questions struct {
	graph  *identity.Graph
	rules  *normalize.Rules
	events string // the topic that has them
	shelf  shelf
	slots  chan struct{}

	mu     sync.Mutex // guards normal
	normal *normalize.Normalizer
}

func newQuestions(r *normalize.Rules, events string, s shelf) (*questions, error) {
	graph, err := newGraph(r)
	if err != nil {
		return nil, err
	}
	return &questions{graph: graph, rules: r, events: events, shelf: s, slots: make(chan struct{}, maxQuestions), normal: normalize.New(r)}, nil
}

// inTurn answers a question when there is a slot.
func (q *questions) inTurn(r *http.Request, ask answer) (any, error) {
	select {
	case q.slots <- struct{}{}:
		defer func() { <-q.slots }()
		return ask(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// named reads identifiers as they are written in a question, and finds the realm that is meant: the one that was asked for,
// that of the stores that they name, or that of what names no store.
func (q *questions) named(realm string, written ...interaction.Named) (names []interaction.Named, realms []string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if realm != "" && !q.normal.HasRealm(realm) {
		return nil, nil, q.noRealm(realm)
	}
	for _, in := range written {
		name, of, err := q.normal.Named(in)
		if err != nil {
			return nil, nil, refuse(http.StatusBadRequest, "name it as NAMESPACE:VALUE or NAMESPACE@STORE:VALUE, the value as a source sends it", "%s: %v", in, err)
		}
		if realm != "" && of != "" && of != realm {
			return nil, nil, refuse(http.StatusBadRequest, "leave the realm out, or ask for that one", "%s: its store belongs to realm %s, not %s", in, of, realm)
		}
		names, realms = append(names, name), append(realms, of)
	}
	if len(realms) == 0 {
		realms = []string{""}
	}
	for i := range realms {
		switch {
		case realms[i] != "":
		case realm != "":
			realms[i] = realm
		default: // that of the other identifier, if it has one
			realms[i] = realms[len(realms)-1-i]
		}
		if realms[i] == "" {
			realms[i] = q.normal.Realm()
		}
	}
	return names, realms, nil
}

func (q *questions) noRealm(realm string) *Refusal {
	return refuse(http.StatusBadRequest, "ask for one of these: "+strings.Join(q.rules.RealmNames(), ", "), "the rules have no realm %q", realm)
}

// explain puts a question to the partition of a realm.
func (q *questions) explain(realm string, ask func(*identity.Explainer) error) error {
	n := q.shelf.partitions()
	if n == 0 {
		return refuse(http.StatusServiceUnavailable, "wait until /readyz is true", "the process has only just started, and does not know its partitions yet")
	}
	partition := kafka.PartitionOf(realm, n)
	return q.on(partition, func(view table.View) error { return ask(q.graph.Explain(view, realm)) })
}

// on reads the rows of a partition.
func (q *questions) on(partition int32, read func(table.View) error) error {
	view, giveBack, err := q.shelf.lend(partition)
	if err == nil {
		defer giveBack()
		err = read(view)
	}
	switch {
	case errors.Is(err, errNotHere):
		return &Refusal{
			Status: http.StatusMisdirectedRequest, Problem: fmt.Sprintf("the answer is on partition %d, which is not here", partition),
			notHere: []int32{partition},
		}
	case errors.Is(err, state.ErrClosed):
		return refuse(http.StatusServiceUnavailable, "ask again", "partition %d goes to another process at this moment", partition)
	}
	return err
}

func (q *questions) customer(realm string, id interaction.CustomerID) (answer *identity.CustomerAnswer, err error) {
	if realm == "" {
		if realm, err = q.realmOf(id); err != nil {
			return nil, err
		}
	} else if _, _, err := q.named(realm); err != nil {
		return nil, err
	}
	err = q.explain(realm, func(x *identity.Explainer) (err error) {
		answer, err = x.Customer(id)
		return err
	})
	if err == nil && answer == nil {
		err = noCustomer(id)
	}
	return answer, err
}

func noCustomer(id interaction.CustomerID) *Refusal {
	return refuse(http.StatusNotFound, "check the id: it may have been erased, belong to another app, or come from another id_key", "no customer has or had the id %s", id)
}

// realmOf looks for a customer id on all partitions that are here: an id does not say which realm it is of.
func (q *questions) realmOf(id interaction.CustomerID) (realm string, err error) {
	n := q.shelf.partitions()
	if n == 0 {
		return "", refuse(http.StatusServiceUnavailable, "wait until /readyz is true", "the process has only just started, and does not know its partitions yet")
	}
	missing := map[int32]bool{}
	for _, name := range q.rules.RealmNames() {
		missing[kafka.PartitionOf(name, n)] = true
	}
	for _, p := range q.shelf.held() {
		err := q.on(p, func(view table.View) (err error) {
			realm, err = identity.RealmOf(view, id)
			return err
		})
		if err != nil || realm != "" {
			return realm, err
		}
		delete(missing, p)
	}
	if len(missing) == 0 {
		return "", noCustomer(id)
	}
	r := &Refusal{Status: http.StatusMisdirectedRequest, Problem: fmt.Sprintf("customer %s is on none of the partitions that are here", id)}
	for p := range int32(n) {
		if missing[p] {
			r.notHere = append(r.notHere, p)
		}
	}
	return "", r
}

func (q *questions) identifier(realm string, in interaction.Named) (answer *identity.IdentifierAnswer, err error) {
	names, realms, err := q.named(realm, in)
	if err != nil {
		return nil, err
	}
	err = q.explain(realms[0], func(x *identity.Explainer) (err error) {
		answer, err = x.Identifier(names[0])
		return err
	})
	if err == nil && answer.Status == identity.Unknown {
		answer.Says += q.storeless(names...)
	}
	return answer, err
}

// storeless reminds of the store of those identifiers that belong to one and were named without.
func (q *questions) storeless(names ...interaction.Named) (says string) {
	for _, n := range names {
		if space, _ := q.rules.Namespaces.Lookup(n.Namespace); n.Domain == "" && space.Domain == normalize.DomainStore {
			says += fmt.Sprintf(" %s was named without a store, to which a %s belongs: %s@STORE:%s.", n, n.Namespace, n.Namespace, n.Value)
		}
	}
	return says
}

// noIdentityCrosses answers for two identifiers of different realms.
const noIdentityCrosses = "They belong to two realms, %s and %s, and no identity crosses a realm."

func (q *questions) why(realm string, a, b interaction.Named) (answer *identity.WhyAnswer, err error) {
	names, realms, err := q.named(realm, a, b)
	if err != nil {
		return nil, err
	}
	if realms[0] != realms[1] {
		return &identity.WhyAnswer{Realm: realms[0], A: names[0], B: names[1], Chain: []identity.Tie{}, Says: fmt.Sprintf(noIdentityCrosses, realms[0], realms[1])}, nil
	}
	err = q.explain(realms[0], func(x *identity.Explainer) (err error) {
		answer, err = x.Why(names[0], names[1])
		return err
	})
	if err == nil && !answer.Together {
		answer.Says += q.storeless(names...)
	}
	return answer, err
}

func (q *questions) whyNot(realm string, a, b interaction.Named) (answer *identity.WhyNotAnswer, err error) {
	names, realms, err := q.named(realm, a, b)
	if err != nil {
		return nil, err
	}
	if realms[0] != realms[1] {
		says := fmt.Sprintf(noIdentityCrosses, realms[0], realms[1])
		return &identity.WhyNotAnswer{
			Realm: realms[0], A: names[0], B: names[1], Reasons: []identity.Obstacle{{Kind: identity.ByRealm, Says: says}}, Routes: []identity.Route{}, Says: says,
		}, nil
	}
	err = q.explain(realms[0], func(x *identity.Explainer) (err error) {
		answer, err = x.WhyNot(names[0], names[1])
		return err
	})
	if err == nil && !answer.Together {
		answer.Says += q.storeless(names...)
	}
	return answer, err
}

func (q *questions) directive(realm, id string) (answer *identity.DirectiveAnswer, err error) {
	_, realms, err := q.named(realm)
	if err != nil {
		return nil, err
	}
	err = q.explain(realms[0], func(x *identity.Explainer) (err error) {
		answer, err = x.Directive(id)
		return err
	})
	if err == nil && answer == nil {
		hint := "look for it in the topic of the directives, and among the rejects (bad_directive, duplicate_conflict, erase_not_enabled)"
		if all := q.rules.RealmNames(); len(all) > 1 {
			hint += "; or ask in another realm: " + strings.Join(all, ", ")
		}
		err = refuse(http.StatusNotFound, hint, "no directive %q arrived in realm %s", id, realms[0])
	}
	return answer, err
}

// eventsElsewhere says where events are.
func (q *questions) eventsElsewhere() *Refusal {
	return refuse(http.StatusNotImplemented, "read that topic, or the warehouse that loads it; its key is the customer_id",
		"events are not kept here: they are in topic %s", q.events)
}
