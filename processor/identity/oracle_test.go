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
	own    map[interaction.Key]Order    // retract and restore
	pair   map[[2]interaction.Key]Order // of two identifiers, the lesser by bytes first
	until  map[interaction.Key]int64    // erased

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
		edges: map[[2]interaction.Key]*oracleEdge{}, own: map[interaction.Key]Order{}, pair: map[[2]interaction.Key]Order{},
		until: map[interaction.Key]int64{},
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
		if o.erased(keys[i], e.At) {
			continue
		}
		if at, ok := o.first[keys[i]]; !ok || e.At < at {
			o.first[keys[i]] = e.At
		}
	}
	for i := 1; i < len(keys); i++ {
		pair := [2]interaction.Key{keys[0], keys[i]}
		if o.erased(keys[0], e.At) || o.erased(keys[i], e.At) {
			continue
		}
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

func (o *oracle) erased(k interaction.Key, at int64) bool {
	until, ok := o.until[k]
	return ok && at <= until
}

func pairKey(a, b interaction.Key) [2]interaction.Key {
	if bytesOf(b) < bytesOf(a) {
		a, b = b, a
	}
	return [2]interaction.Key{a, b}
}

func oracleLater(a, b Order) bool {
	return cmp.Or(cmp.Compare(a.IssuedAt, b.IssuedAt), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind),
		strings.Compare(bytesOf(a.A), bytesOf(b.A)), strings.Compare(bytesOf(a.B), bytesOf(b.B))) > 0
}

// order takes a directive in.
func (o *oracle) order(d Order) {
	defer func() { o.share(); o.build() }()
	if d.CustomerID == "" && o.erased(d.A, d.IssuedAt) || !d.B.IsZero() && o.erased(d.B, d.IssuedAt) {
		return
	}
	switch {
	case d.Kind == interaction.DirectiveErase:
		o.erase(d)
	case d.B.IsZero():
		if was, ok := o.own[d.A]; !ok || oracleLater(d, was) {
			o.own[d.A] = d
		}
	default:
		if was, ok := o.pair[pairKey(d.A, d.B)]; !ok || oracleLater(d, was) {
			o.pair[pairKey(d.A, d.B)] = d
		}
	}
}

func (o *oracle) erase(d Order) {
	targets := map[interaction.Key]bool{}
	customer := d.CustomerID
	if customer == "" {
		targets[d.A] = true
		if d.Scope == interaction.ScopeCustomer {
			customer = o.customer[d.A]
		}
	} else {
		for k := range o.first {
			if o.id(k) == customer {
				customer = o.customer[k]
				break
			}
		}
	}
	for k, c := range o.customer {
		if c == customer && !o.shared[k] {
			targets[k] = true
		}
	}
	for k := range targets {
		delete(o.first, k)
		for pair := range o.edges {
			if pair[0] == k || pair[1] == k {
				delete(o.edges, pair)
			}
		}
		if was, ok := o.own[k]; ok && was.IssuedAt <= d.IssuedAt {
			delete(o.own, k)
		}
		for pair, was := range o.pair {
			if (pair[0] == k || pair[1] == k) && was.IssuedAt <= d.IssuedAt {
				delete(o.pair, pair)
			}
		}
		if until, ok := o.until[k]; !ok || until < d.IssuedAt {
			o.until[k] = d.IssuedAt
		}
	}
}

func (o *oracle) occurred(k interaction.Key) bool {
	_, ok := o.first[k]
	return ok
}

func (o *oracle) retracted(k interaction.Key) bool {
	return o.occurred(k) && o.own[k].Kind == interaction.DirectiveRetract
}

func (o *oracle) apart(k interaction.Key) bool { return o.shared[k] || o.retracted(k) }

func (o *oracle) inForce(d Order) bool {
	return (d.Kind == interaction.DirectiveLink || d.Kind == interaction.DirectiveReplace) && o.occurred(d.A) && o.occurred(d.B) &&
		!o.retracted(d.A) && !o.retracted(d.B)
}

func (o *oracle) linked(d Order) bool { return o.inForce(d) && !o.shared[d.A] && !o.shared[d.B] }

func (o *oracle) replaced(k interaction.Key, counts func(Order) bool) bool {
	for _, d := range o.pair {
		if d.Kind == interaction.DirectiveReplace && d.A == k && counts(d) {
			return true
		}
	}
	return false
}

// ties names for each identifier one that stands for all to which links that count tie it.
func (o *oracle) ties(counts func(Order) bool) map[interaction.Key]interaction.Key {
	rep := map[interaction.Key]interaction.Key{}
	for k := range o.first {
		rep[k] = k
	}
	for changed := true; changed; {
		changed = false
		for _, d := range o.pair {
			if !counts(d) || rep[d.A] == rep[d.B] {
				continue
			}
			changed = true
			from, to := rep[d.B], rep[d.A]
			for k, r := range rep {
				if r == from {
					rep[k] = to
				}
			}
		}
	}
	return rep
}

func (o *oracle) class(k interaction.Key) Class { return o.spaces[k.Namespace].Class }
func (o *oracle) rank(k interaction.Key) int    { return o.spaces[k.Namespace].Rank }

func (o *oracle) active(pair [2]interaction.Key) bool {
	return !o.apart(pair[0]) && !o.apart(pair[1])
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
	ties := o.ties(o.inForce)
	for _, anchors := range []bool{false, true} {
		for k := range o.first {
			if (o.class(k) == Anchor) == anchors && o.isShared(k, ties) {
				o.shared[k] = true
			}
		}
	}
}

// counts says how many distinct neighbours of each kind k has among some, and how many anchors of any kind.
func (o *oracle) counts(k interaction.Key, among []interaction.Key, ties map[interaction.Key]interaction.Key) (kinds map[[2]string]int, anchors int) {
	seen, all := map[[3]string]bool{}, map[interaction.Key]bool{}
	kinds = map[[2]string]int{}
	for _, n := range among {
		if o.retracted(n) || o.replaced(n, o.inForce) {
			continue
		}
		kind := [2]string{n.Namespace, ""}
		switch o.class(n) {
		case Anchor:
			kind[1] = n.Domain
			all[ties[n]] = true
		case Contact:
			if o.class(k) == Anchor && o.shared[n] || o.class(k) != Anchor && o.rank(n) >= o.rank(k) {
				continue
			}
		case Device:
			continue
		}
		if one := [3]string{kind[0], kind[1], bytesOf(ties[n])}; !seen[one] {
			seen[one] = true
			kinds[kind]++
		}
	}
	return kinds, len(all)
}

func (o *oracle) isShared(k interaction.Key, ties map[interaction.Key]interaction.Key) bool {
	kinds, anchors := o.counts(k, o.neighbours(k), ties)
	for kind, n := range kinds {
		if limit := o.limit(k, kind[0]); limit != None && n > limit {
			return true
		}
	}
	return o.class(k) != Anchor && o.rules.AnchorsInAll != None && anchors > o.rules.AnchorsInAll
}

func (o *oracle) limit(k interaction.Key, namespace string) int {
	if o.spaces[namespace].Class == Anchor {
		return o.spaces[k.Namespace].SharedAnchors
	}
	return o.spaces[k.Namespace].SharedContacts
}

func (o *oracle) component(k interaction.Key) map[interaction.Key]bool {
	found, todo := map[interaction.Key]bool{k: true}, []interaction.Key{k}
	for len(todo) > 0 {
		x := todo[0]
		todo = todo[1:]
		if o.apart(x) {
			continue
		}
		next := o.neighbours(x)
		for _, d := range o.pair {
			if o.linked(d) && d.A == x {
				next = append(next, d.B)
			} else if o.linked(d) && d.B == x {
				next = append(next, d.A)
			}
		}
		for _, n := range next {
			if !o.apart(n) && !found[n] {
				found[n] = true
				todo = append(todo, n)
			}
		}
	}
	return found
}

// joint is an edge of the build: evidence or a link.
type joint struct {
	pair     [2]interaction.Key
	link     bool
	verified bool
	at       int64
}

// build makes the customers of everything at once: components do not meet, so that one order serves them all.
func (o *oracle) build() {
	group := map[interaction.Key]int{}
	members := map[int][]interaction.Key{}
	for k := range o.first {
		group[k] = len(members)
		members[len(members)] = []interaction.Key{k}
	}
	var order []joint
	for pair, e := range o.edges {
		if o.active(pair) {
			order = append(order, joint{pair, false, e.verified, e.at})
		}
	}
	for _, d := range o.pair {
		if o.linked(d) {
			pair := [2]interaction.Key{d.A, d.B}
			if o.rank(d.B) < o.rank(d.A) || o.rank(d.B) == o.rank(d.A) && bytesOf(d.B) < bytesOf(d.A) {
				pair = [2]interaction.Key{d.B, d.A}
			}
			order = append(order, joint{pair, true, false, d.IssuedAt})
		}
	}
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	slices.SortFunc(order, func(x, y joint) int {
		a, b := x.pair, y.pair
		return cmp.Or(
			first(x.link, y.link), cmp.Compare(o.class(a[1]), o.class(b[1])), first(x.verified, y.verified), cmp.Compare(o.rank(a[1]), o.rank(b[1])),
			cmp.Compare(o.rank(a[0]), o.rank(b[0])), cmp.Compare(x.at, y.at),
			strings.Compare(bytesOf(a[0]), bytesOf(b[0])), strings.Compare(bytesOf(a[1]), bytesOf(b[1])))
	})
	o.refused = map[[2]interaction.Key]Refusal{}
	ties := o.ties(o.linked)
	for _, j := range order {
		a, b := group[j.pair[0]], group[j.pair[1]]
		if a == b {
			continue
		}
		if why := o.mayNotJoin(j, members[a], members[b], ties); why != NotRefused {
			if !j.link {
				o.refused[j.pair] = why
			}
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

func (o *oracle) mayNotJoin(j joint, x, y []interaction.Key, ties map[interaction.Key]interaction.Key) Refusal {
	for _, d := range o.pair {
		if d.Kind == interaction.DirectiveSeparate && (slices.Contains(x, d.A) && slices.Contains(y, d.B) || slices.Contains(y, d.A) && slices.Contains(x, d.B)) {
			return RefusedSeparate
		}
	}
	weak := o.class(j.pair[1])
	if weak == Device && !j.link && !o.rules.DevicesJoinKnown {
		for _, a := range x {
			for _, b := range y {
				if o.class(a) == Anchor && o.class(b) == Anchor || o.class(a) == Contact && a.Namespace == b.Namespace {
					return RefusedDevice
				}
			}
		}
	}
	held := func(list []interaction.Key, of [2]string) map[interaction.Key]bool {
		found := map[interaction.Key]bool{}
		for _, k := range list {
			if k.Namespace == of[0] && k.Domain == of[1] && !o.replaced(k, o.linked) {
				found[ties[k]] = true
			}
		}
		return found
	}
	for _, k := range x {
		s := o.spaces[k.Namespace]
		limit := s.AtMost
		if weak == Anchor && s.Class == Anchor && s.StoreScoped {
			limit = max(limit, o.rules.StoreCodesTied)
		}
		of := [2]string{k.Namespace, k.Domain}
		if s.AtMost != None && len(held(x, of)) > 0 && len(held(y, of)) > 0 && len(held(append(slices.Clone(x), y...), of)) > limit {
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
	at, apart := -1, -1
	for i, d := range e.Identifiers {
		keys[i] = keyIn(e.Realm, d)
		switch {
		case o.erased(keys[i], e.At):
		case !o.apart(keys[i]) && at < 0:
			at = i
		case apart < 0:
			apart = i
		}
	}
	switch {
	case at >= 0:
		id, status = o.customer[keys[at]], interaction.StatusAnonymous
		for k, c := range o.customer {
			if c == id && o.class(k) != Device {
				status = interaction.StatusKnown
			}
		}
	case apart >= 0:
		id, status = o.customer[keys[apart]], interaction.StatusShared
	default:
		status = interaction.StatusUnidentified
	}
	for i, k := range keys {
		out := interaction.OutcomeLinked
		switch {
		case o.erased(k, e.At), o.retracted(k):
			out = interaction.OutcomeRetracted
		case slices.Contains(capped, i):
			out = interaction.OutcomeConflict
		case o.shared[k]:
			out = interaction.OutcomeShared
		case o.customer[k] != id || !o.erased(keys[0], e.At) && o.refused[[2]interaction.Key{keys[0], k}] != NotRefused:
			out = interaction.OutcomeConflict
		}
		outcomes = append(outcomes, out)
		if o.erased(k, e.At) {
			continue
		}
		ambiguous = ambiguous || len(o.claims(k)) > 1
	}
	return id, status, ambiguous, outcomes
}

// claims are the customers to whose anchors an identifier is tied, undecided by a directive.
func (o *oracle) claims(k interaction.Key) map[interaction.CustomerID]bool {
	found := map[interaction.CustomerID]bool{}
	if o.class(k) == Anchor {
		found[o.customer[k]] = true
	}
	for pair := range o.edges {
		if !o.active(pair) || o.refused[pair] == RefusedSeparate {
			continue
		}
		for i := range pair {
			if n := pair[1-i]; pair[i] == k && o.class(n) == Anchor {
				found[o.customer[n]] = true
			}
		}
	}
	for _, d := range o.pair {
		if !o.linked(d) {
			continue
		}
		for _, ends := range [][2]interaction.Key{{d.A, d.B}, {d.B, d.A}} {
			if ends[0] == k && o.class(ends[1]) == Anchor {
				found[o.customer[ends[1]]] = true
			}
		}
	}
	return found
}
