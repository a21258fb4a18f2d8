package processor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"kinfold/processor/identity"
	"kinfold/processor/interaction"
)

// side is evidence with what one set of rules makes of it.
type side struct {
	graph  *identity.Graph
	namer  *identity.Namer
	body   *identity.Body
	people *identity.People
}

func (s *side) key(i int32) interaction.Key { return s.body.Identifiers[i].Key }

// comparison gathers a RulesDiff, one part of the realms after the other, in byte order.
type comparison struct {
	diff     *RulesDiff
	judge    *judge
	examples int // of each kind

	cases   map[CaseKind]*CaseCount
	changed map[[2]string]int // change, namespace
	edges   map[[2]string]int // before, after
	shown   map[string]int
}

func newComparison(diff *RulesDiff, examples int) *comparison {
	c := &comparison{
		diff: diff, examples: examples, cases: map[CaseKind]*CaseCount{}, changed: map[[2]string]int{}, edges: map[[2]string]int{}, shown: map[string]int{},
	}
	for _, kind := range CaseKinds {
		c.cases[kind] = &CaseCount{Kind: kind}
	}
	return c
}

// show reports whether one more example of a kind is wanted.
func (c *comparison) show(kind string) bool {
	c.shown[kind]++
	return c.shown[kind] <= c.examples
}

// add compares what two sets of rules make of the same evidence.
func (c *comparison) add(old, new *side) {
	match := c.match(old.body, new.body)
	c.identifiers(old, new, match)
	c.customers(old, new, match)
	c.joints(old, new, match)
	c.total(&c.diff.Old, old, c.judge.old.ComponentLimit)
	c.total(&c.diff.New, new, c.judge.new.ComponentLimit)
}

func (c *comparison) total(to *RulesSide, s *side, limit int) {
	to.Identifiers += len(s.body.Identifiers)
	to.Edges += len(s.body.Edges)
	to.Directives += len(s.body.Slots)
	sizes := map[int32]int{}
	for i := range s.body.Identifiers {
		switch at := int32(i); {
		case s.people.Retracted[i]:
			to.Retracted++
		case s.people.Shared[i]:
			to.Shared++
		default:
			if s.people.Founder[i] == at {
				to.Customers++
			}
			if sizes[s.people.Component[i]]++; sizes[s.people.Component[i]] == limit+1 {
				to.Oversized++
			}
		}
	}
	for _, e := range s.people.Edges {
		if e.Refused() {
			to.Conflicts++
		}
	}
}

// match finds the place of each old identifier in the new evidence: that of its key; else that of its key as it is judged anew;
// else that of the only new key with the same namespace and value; several where there are more.
func (c *comparison) match(old, new *identity.Body) []int32 {
	match := make([]int32, len(old.Identifiers))
	taken := make([]bool, len(new.Identifiers))
	for i := range old.Identifiers {
		k := old.Identifiers[i].Key
		if match[i] = new.Index(k); match[i] < 0 {
			if v := c.judge.identifier(k, "", false); v.gone == "" {
				match[i] = new.Index(v.key)
			}
		}
		if match[i] >= 0 {
			taken[match[i]] = true
		}
	}
	if !slices.Contains(match, nowhere) {
		return match
	}
	left := map[[2]string]int32{}
	for i := range new.Identifiers {
		if taken[i] {
			continue
		}
		at := [2]string{new.Identifiers[i].Key.Namespace, new.Identifiers[i].Key.Value}
		if _, twice := left[at]; twice {
			left[at] = several
		} else {
			left[at] = int32(i)
		}
	}
	for i := range match {
		if match[i] == nowhere {
			if at, ok := left[[2]string{old.Identifiers[i].Key.Namespace, old.Identifiers[i].Key.Value}]; ok {
				match[i] = at
			}
		}
	}
	return match
}

func (c *comparison) identifiers(old, new *side, match []int32) {
	for i, m := range match {
		at := int32(i)
		if m == several {
			c.change(becameSeveral, old.key(at), interaction.Key{}, nil)
			continue
		}
		if m < 0 {
			why := c.judge.identifier(old.key(at), "", false).gone
			c.change(becameGone+cmp.Or(why, goneOther), old.key(at), interaction.Key{}, nil)
			continue
		}
		was, is := old.people, new.people
		if old.key(at) != new.key(m) {
			c.change(becameOther, old.key(at), new.key(m), nil)
		}
		if was.Shared[i] != is.Shared[m] {
			if is.Shared[m] {
				c.change(becameShared, old.key(at), interaction.Key{}, is.Over[m])
			} else {
				c.change(becameUnshared, old.key(at), interaction.Key{}, was.Over[at])
			}
		}
		if was.Retracted[i] != is.Retracted[m] {
			change := becameRetracted
			if was.Retracted[i] {
				change = becameRestored
			}
			c.change(change, old.key(at), interaction.Key{}, nil)
		}
	}
	known := make([]bool, len(new.body.Identifiers))
	for _, m := range match {
		if m >= 0 {
			known[m] = true
		}
	}
	for i := range known {
		if !known[i] {
			c.change(becameKnown, new.key(int32(i)), interaction.Key{}, nil)
		}
	}
}

func (c *comparison) change(what string, k, now interaction.Key, counts []identity.Over) {
	c.changed[[2]string{what, k.Namespace}]++
	if !c.show(what) {
		return
	}
	e := StatusExample{Change: what, Identifier: k.String()}
	if !now.IsZero() {
		e.Now = now.String()
	}
	for _, o := range counts {
		e.Counts = append(e.Counts, overText(o))
	}
	c.diff.Examples.Identifiers = append(c.diff.Examples.Identifiers, e)
}

func overText(o identity.Over) string {
	what := o.Namespace
	switch {
	case what == "":
		what = "anchors in all"
	case o.Domain != "":
		what += " of " + o.Domain
	}
	return fmt.Sprintf("%d %s, more than %d", o.Count, what, o.Threshold)
}

// customers makes the cases: customers before and after that hold the same identifiers belong to one.
func (c *comparison) customers(old, new *side, match []int32) {
	n := int32(len(old.body.Identifiers))
	sets := newSets(int(n) + len(new.body.Identifiers)) // a customer is the place of its founder; the new ones follow the old
	for i, m := range match {
		if m >= 0 && !old.people.Apart(int32(i)) && !new.people.Apart(m) {
			sets.join(old.people.Founder[i], n+new.people.Founder[m])
		}
	}
	cases := map[int32]*customerCase{}
	var order []*customerCase
	of := func(founder int32) *customerCase {
		top := sets.top(founder)
		if cases[top] == nil {
			cases[top] = &customerCase{same: true}
			order = append(order, cases[top])
		}
		return cases[top]
	}
	for i, m := range match {
		at := int32(i)
		if old.people.Apart(at) {
			continue
		}
		k := of(old.people.Founder[at])
		k.before.add(at, old.people.Founder[at])
		k.same = k.same && m >= 0 && !new.people.Apart(m) && old.key(at) == new.key(m)
	}
	for i := range new.body.Identifiers {
		if at := int32(i); !new.people.Apart(at) {
			of(n+new.people.Founder[at]).after.add(at, new.people.Founder[at])
		}
	}
	members := map[*side]map[int32][]int32{}
	for _, k := range order {
		kind := k.kind(old, new)
		count := c.cases[kind]
		count.Cases++
		count.CustomersBefore += len(k.before.founders)
		count.CustomersAfter += len(k.after.founders)
		count.IdentifiersBefore += k.before.identifiers
		count.IdentifiersAfter += k.after.identifiers
		if kind == CaseUnchanged || !c.show(string(kind)) {
			continue
		}
		c.diff.Examples.Customers = append(c.diff.Examples.Customers, CaseExample{
			Kind: kind, CustomersBefore: len(k.before.founders), CustomersAfter: len(k.after.founders),
			Before: customerExamples(old, k.before.founders, members),
			After:  customerExamples(new, k.after.founders, members),
		})
	}
}

// customerCase is customers that belong together.
type customerCase struct {
	before, after half
	same          bool // each identifier before is in it after, under the same key
}

// half is one side of a case.
type half struct {
	founders    []int32 // of its customers, each once
	identifiers int
}

// add takes in an identifier; one that founds its customer stands for it.
func (h *half) add(at, founder int32) {
	h.identifiers++
	if at == founder {
		h.founders = append(h.founders, founder)
	}
}

func (k *customerCase) kind(old, new *side) CaseKind {
	b, a := len(k.before.founders), len(k.after.founders)
	switch {
	case a == 0:
		return CaseEnded
	case b == 0:
		return CaseCreated
	case b == 1 && a == 1:
		switch {
		case old.namer.CustomerID(old.key(k.before.founders[0])) != new.namer.CustomerID(new.key(k.after.founders[0])):
			return CaseRenamed
		case !k.same || k.before.identifiers != k.after.identifiers:
			return CaseChanged
		}
		return CaseUnchanged
	case a == 1:
		return CaseMerged
	case b == 1:
		return CaseSplit
	}
	return CaseRegrouped
}

// customerExamples describes customers. The members of all are found when the first example asks.
func customerExamples(s *side, founders []int32, members map[*side]map[int32][]int32) []CustomerExample {
	if members[s] == nil {
		members[s] = map[int32][]int32{}
		for i, f := range s.people.Founder {
			members[s][f] = append(members[s][f], int32(i))
		}
	}
	list := []CustomerExample{}
	for _, f := range founders[:min(len(founders), maxMembers)] {
		of := members[s][f]
		e := CustomerExample{CustomerID: s.namer.CustomerID(s.key(f)), Total: len(of)}
		for _, i := range of[:min(len(of), maxMembers)] {
			e.Members = append(e.Members, s.key(i).String())
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b CustomerExample) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
	return list
}

const absent = "absent"

// joints compares the edges.
func (c *comparison) joints(old, new *side, match []int32) {
	known := make([]bool, len(new.body.Edges))
	for i := range old.body.Edges {
		e := &old.body.Edges[i]
		before, after := old.people.Edges[i].String(), absent
		if at := findEdge(new.body, match[e.Root], match[e.Other]); at >= 0 {
			after, known[at] = new.people.Edges[at].String(), true
		}
		c.joint(before, after, old, e)
	}
	for i := range known {
		if !known[i] {
			c.joint(absent, new.people.Edges[i].String(), new, &new.body.Edges[i])
		}
	}
}

func (c *comparison) joint(before, after string, s *side, e *identity.Joint) {
	if before == after {
		return
	}
	c.edges[[2]string{before, after}]++
	if c.show(before + " " + after) {
		c.diff.Examples.Edges = append(c.diff.Examples.Edges, EdgeExample{
			Before: before, After: after, Root: s.key(e.Root).String(), Other: s.key(e.Other).String(), Source: e.Source, EventID: e.EventID,
		})
	}
}

// findEdge returns the place of the edge of two identifiers, whichever is its root, or -1.
func findEdge(b *identity.Body, x, y int32) int {
	if x < 0 || y < 0 {
		return -1
	}
	for _, ends := range [2][2]int32{{x, y}, {y, x}} {
		at, found := slices.BinarySearchFunc(b.Edges, ends, func(e identity.Joint, ends [2]int32) int {
			return cmp.Or(cmp.Compare(e.Root, ends[0]), cmp.Compare(e.Other, ends[1]))
		})
		if found {
			return at
		}
	}
	return -1
}

// finish puts the counts into the report.
func (c *comparison) finish() {
	for _, kind := range CaseKinds {
		c.diff.Customers = append(c.diff.Customers, *c.cases[kind])
	}
	for _, at := range slices.SortedFunc(maps.Keys(c.changed), comparePairs) {
		c.diff.Changed = append(c.diff.Changed, StatusCount{at[0], at[1], c.changed[at]})
	}
	for _, at := range slices.SortedFunc(maps.Keys(c.edges), comparePairs) {
		c.diff.Edges = append(c.diff.Edges, EdgeCount{at[0], at[1], c.edges[at]})
	}
	place := map[CaseKind]int{}
	for i, kind := range CaseKinds {
		place[kind] = i
	}
	x := &c.diff.Examples
	slices.SortStableFunc(x.Customers, func(a, b CaseExample) int { return cmp.Compare(place[a.Kind], place[b.Kind]) })
	slices.SortStableFunc(x.Identifiers, func(a, b StatusExample) int { return cmp.Compare(a.Change, b.Change) })
	slices.SortStableFunc(x.Edges, func(a, b EdgeExample) int {
		return comparePairs([2]string{a.Before, a.After}, [2]string{b.Before, b.After})
	})
}

func comparePairs(a, b [2]string) int {
	return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
}

// sets are disjoint sets of places.
type sets []int32

func newSets(n int) sets {
	s := make(sets, n)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}

func (s sets) top(i int32) int32 {
	for s[i] != i {
		s[i] = s[s[i]]
		i = s[i]
	}
	return i
}

// join makes one set of two; the lesser place stands for it.
func (s sets) join(a, b int32) {
	if a, b = s.top(a), s.top(b); a < b {
		s[b] = a
	} else {
		s[a] = b
	}
}
