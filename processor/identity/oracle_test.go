package identity

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// oracle is identity.md sections 3 to 5 once more, from the whole evidence each time, without rows, counts or memory.
type oracle struct {
	rules  Rules
	spaces map[string]Namespace
	first  map[interaction.Key]int64
	edges  map[[2]interaction.Key]*oracleEdge

	shared   map[interaction.Key]bool
	customer map[interaction.Key]interaction.CustomerID
	refused  map[[2]interaction.Key]Refusal
}

type oracleEdge struct {
	at              int64
	source, eventID string
	verified        bool
}

func newOracle(rules Rules) *oracle {
	o := &oracle{
		rules: rules, spaces: map[string]Namespace{}, first: map[interaction.Key]int64{},
		edges: map[[2]interaction.Key]*oracleEdge{},
	}
	for _, s := range rules.Namespaces {
		o.spaces[s.Name] = s
	}
	return o
}

func keyIn(realm string, id interaction.Identifier) interaction.Key {
	return interaction.Key{Realm: realm, Namespace: id.Namespace, Domain: id.Domain, Value: id.Value}
}

func bytesOf(k interaction.Key) string { return string(k.AppendBytes(nil)) }

// tell adds evidence and returns which identifiers the component cap refused.
func (o *oracle) tell(e Evidence) (capped []int) {
	keys := make([]interaction.Key, len(e.Identifiers))
	for i, id := range e.Identifiers {
		keys[i] = keyIn(e.Realm, id)
		if at, ok := o.first[keys[i]]; !ok || e.At < at {
			o.first[keys[i]] = e.At
		}
	}
	for i := 1; i < len(keys); i++ {
		pair := [2]interaction.Key{keys[0], keys[i]}
		d := &oracleEdge{e.At, e.Source, e.SourceEventID, e.Identifiers[i].Verified}
		if was, ok := o.edges[pair]; ok {
			if c := cmp.Or(cmp.Compare(d.at, was.at), cmp.Compare(d.source, was.source), cmp.Compare(d.eventID, was.eventID)); c < 0 {
				was.at, was.source, was.eventID = d.at, d.source, d.eventID
			}
			was.verified = was.verified || d.verified
			continue
		}
		o.edges[pair] = d
		o.share()
		if o.active(pair) && len(o.component(keys[0])) > o.rules.ComponentLimit {
			delete(o.edges, pair)
			capped = append(capped, i)
		}
	}
	o.share()
	o.build()
	return capped
}

func (o *oracle) class(k interaction.Key) Class { return o.spaces[k.Namespace].Class }
func (o *oracle) rank(k interaction.Key) int    { return o.spaces[k.Namespace].Rank }

func (o *oracle) active(pair [2]interaction.Key) bool {
	return !o.shared[pair[0]] && !o.shared[pair[1]]
}

func (o *oracle) neighbours(k interaction.Key) (out []interaction.Key) {
	for pair := range o.edges {
		if pair[0] == k {
			out = append(out, pair[1])
		} else if pair[1] == k {
			out = append(out, pair[0])
		}
	}
	return out
}

// share works out what is shared: contacts and devices first, since anchors ask them.
func (o *oracle) share() {
	o.shared = map[interaction.Key]bool{}
	for _, anchors := range []bool{false, true} {
		for k := range o.first {
			if (o.class(k) == Anchor) == anchors && o.isShared(k) {
				o.shared[k] = true
			}
		}
	}
}

func (o *oracle) isShared(k interaction.Key) bool {
	s := o.spaces[k.Namespace]
	byDomain, byContact, all := map[[2]string]int{}, map[string]int{}, 0
	for _, n := range o.neighbours(k) {
		switch o.class(n) {
		case Anchor:
			byDomain[[2]string{n.Namespace, n.Domain}]++
			all++
		case Contact:
			if s.Class == Anchor && !o.shared[n] || s.Class != Anchor && o.rank(n) < s.Rank {
				byContact[n.Namespace]++
			}
		}
	}
	for _, n := range byDomain {
		if s.SharedAnchors != None && n > s.SharedAnchors {
			return true
		}
	}
	for _, n := range byContact {
		if s.SharedContacts != None && n > s.SharedContacts {
			return true
		}
	}
	return s.Class != Anchor && all > o.rules.AnchorsInAll
}

func (o *oracle) component(k interaction.Key) map[interaction.Key]bool {
	found, todo := map[interaction.Key]bool{k: true}, []interaction.Key{k}
	for len(todo) > 0 {
		x := todo[0]
		todo = todo[1:]
		if o.shared[x] {
			continue
		}
		for _, n := range o.neighbours(x) {
			if !o.shared[n] && !found[n] {
				found[n] = true
				todo = append(todo, n)
			}
		}
	}
	return found
}

// build makes the customers of everything at once: components do not meet, so that one order serves them all.
func (o *oracle) build() {
	group := map[interaction.Key]int{}
	members := map[int][]interaction.Key{}
	for k := range o.first {
		group[k] = len(members)
		members[len(members)] = []interaction.Key{k}
	}
	var order [][2]interaction.Key
	for pair := range o.edges {
		if o.active(pair) {
			order = append(order, pair)
		}
	}
	slices.SortFunc(order, func(a, b [2]interaction.Key) int {
		x, y := o.edges[a], o.edges[b]
		verified := 0
		if x.verified != y.verified {
			verified = 1
			if x.verified {
				verified = -1
			}
		}
		return cmp.Or(
			cmp.Compare(o.class(a[1]), o.class(b[1])), verified, cmp.Compare(o.rank(a[1]), o.rank(b[1])),
			cmp.Compare(o.rank(a[0]), o.rank(b[0])), cmp.Compare(x.at, y.at),
			strings.Compare(bytesOf(a[0]), bytesOf(b[0])), strings.Compare(bytesOf(a[1]), bytesOf(b[1])))
	})
	o.refused = map[[2]interaction.Key]Refusal{}
	for _, pair := range order {
		a, b := group[pair[0]], group[pair[1]]
		if a == b {
			continue
		}
		if why := o.mayNotJoin(pair, members[a], members[b]); why != NotRefused {
			o.refused[pair] = why
			continue
		}
		for _, k := range members[b] {
			group[k] = a
		}
		members[a] = append(members[a], members[b]...)
		delete(members, b)
	}
	o.customer = map[interaction.Key]interaction.CustomerID{}
	for _, list := range members {
		id := o.id(slices.MinFunc(list, func(a, b interaction.Key) int {
			return cmp.Or(cmp.Compare(o.class(a), o.class(b)), cmp.Compare(o.first[a], o.first[b]), cmp.Compare(o.rank(a), o.rank(b)),
				strings.Compare(a.Domain, b.Domain), strings.Compare(a.Value, b.Value))
		}))
		for _, k := range list {
			o.customer[k] = id
		}
	}
}

func (o *oracle) mayNotJoin(pair [2]interaction.Key, x, y []interaction.Key) Refusal {
	weak := o.class(pair[1])
	held := func(list []interaction.Key) (anchors int, contacts map[string]bool, counts map[[2]string]int) {
		contacts, counts = map[string]bool{}, map[[2]string]int{}
		for _, k := range list {
			counts[[2]string{k.Namespace, k.Domain}]++
			switch o.class(k) {
			case Anchor:
				anchors++
			case Contact:
				contacts[k.Namespace] = true
			}
		}
		return anchors, contacts, counts
	}
	ax, cx, nx := held(x)
	ay, cy, ny := held(y)
	if weak == Device && !o.rules.DevicesJoinKnown {
		if ax > 0 && ay > 0 {
			return RefusedDevice
		}
		for c := range cx {
			if cy[c] {
				return RefusedDevice
			}
		}
	}
	for k, n := range nx {
		s := o.spaces[k[0]]
		limit := s.AtMost
		if weak == Anchor && s.Class == Anchor && s.StoreScoped {
			limit = max(limit, o.rules.StoreCodesTied)
		}
		if ny[k] > 0 && n+ny[k] > limit {
			return RefusedLimit
		}
	}
	if len(x)+len(y) > o.rules.CustomerLimit {
		return RefusedSize
	}
	return NotRefused
}

func (o *oracle) id(founder interaction.Key) interaction.CustomerID {
	mac := hmac.New(sha256.New, o.rules.IDKey)
	mac.Write(founder.AppendBytes(nil))
	return interaction.CustomerID("c" + strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)))[:25])
}

// event works out section 5 for one event.
func (o *oracle) event(e Evidence, capped []int) (id interaction.CustomerID, status interaction.IdentityStatus, ambiguous bool, outcomes []interaction.Outcome) {
	keys := make([]interaction.Key, len(e.Identifiers))
	at := -1
	for i, d := range e.Identifiers {
		keys[i] = keyIn(e.Realm, d)
		if at < 0 && !o.shared[keys[i]] {
			at = i
		}
	}
	if at < 0 {
		id, status = o.customer[keys[0]], interaction.StatusShared
	} else {
		id, status = o.customer[keys[at]], interaction.StatusAnonymous
		for k, c := range o.customer {
			if c == id && o.class(k) != Device {
				status = interaction.StatusKnown
			}
		}
	}
	for i, k := range keys {
		out := interaction.OutcomeLinked
		switch {
		case slices.Contains(capped, i):
			out = interaction.OutcomeConflict
		case o.shared[k]:
			out = interaction.OutcomeShared
		case o.customer[k] != id || o.refused[[2]interaction.Key{keys[0], k}] != NotRefused:
			out = interaction.OutcomeConflict
		}
		outcomes = append(outcomes, out)
		claims := map[interaction.CustomerID]bool{}
		if o.class(k) == Anchor {
			claims[o.customer[k]] = true
		}
		for _, n := range o.neighbours(k) {
			if o.class(n) == Anchor && !o.shared[k] && !o.shared[n] {
				claims[o.customer[n]] = true
			}
		}
		ambiguous = ambiguous || len(claims) > 1
	}
	return id, status, ambiguous, outcomes
}
