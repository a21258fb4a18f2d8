package processor

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
)

// judge takes evidence that was normalised under one set of rules to another, as far as the evidence tells. A store keeps
// normal forms, not what was sent, and of the StoreCode of an interaction only what is part of an identifier.
type judge struct {
	old, new   *normalize.Rules
	normalizer *normalize.Normalizer // of the new rules
	ranks      map[string]normalize.Namespace
	scoped     map[string]bool // namespaces whose domain was the StoreCode
	countries  bool            // both have the same countries
	// realms says where a realm goes as a whole. One that is not in it is split: only evidence with a StoreCode says where it goes.
	realms map[string]string
}

// Why an identifier is not in the new evidence.
const (
	goneBlocked    = "blocked"
	goneInvalid    = "invalid"
	goneUndeclared = "undeclared namespace"
	goneUnplaced   = "realm not known"
	goneConflict   = "conflict"
	goneOther      = "not in the new evidence"
)

// newJudge asks what the old realms become; surveys are those of all stores.
func newJudge(old, new *normalize.Rules, surveys []identity.RealmSurvey) *judge {
	j := &judge{
		old: old, new: new, normalizer: normalize.New(new), ranks: map[string]normalize.Namespace{}, scoped: map[string]bool{},
		countries: maps.Equal(old.Countries, new.Countries), realms: map[string]string{},
	}
	for _, n := range new.Namespaces {
		j.ranks[n.Name] = n
	}
	for _, n := range old.Namespaces {
		j.scoped[n.Name] = n.Domain == normalize.DomainStore
	}
	for realm, to := range j.images(surveys) {
		if len(to) == 1 {
			j.realms[realm] = to[0]
		}
	}
	return j
}

// images lists, for each realm of the evidence, the realms that its StoreCodes have now: those that were seen, and one for each
// pattern of both rules, since a store may have sent nothing that holds its code.
func (j *judge) images(surveys []identity.RealmSurvey) map[string][]string {
	was := normalize.New(j.old)
	codes := []string{""}
	for _, m := range []map[string]string{j.old.Realms, j.new.Realms} {
		for pattern := range m {
			codes = append(codes, strings.TrimSuffix(pattern, "*"))
		}
	}
	images := map[string][]string{}
	add := func(realm, code string) {
		if to := realmOf(j.normalizer, code); !slices.Contains(images[realm], to) {
			images[realm] = append(images[realm], to)
		}
	}
	for i := range surveys {
		s := &surveys[i]
		images[s.Name] = nil
		for namespace, domains := range s.Domains {
			if j.scoped[namespace] {
				for _, code := range domains {
					add(s.Name, code)
				}
			}
		}
		for _, code := range codes {
			if realmOf(was, code) == s.Name {
				add(s.Name, code)
			}
		}
	}
	names := j.new.RealmNames()
	for realm := range images {
		if len(images[realm]) == 0 && slices.Contains(names, realm) { // no rule of the old ones leads here
			images[realm] = []string{realm}
		}
		slices.Sort(images[realm])
	}
	return images
}

// judged is what the new rules say of an identifier.
type judged struct {
	key  interaction.Key
	gone string // why it takes no part; empty: it does
	// open: the StoreCode decides and is not known. key is the nearest guess, unless gone says that there is none.
	open bool
}

// identifier judges one that occurred in a store, where that is known.
func (j *judge) identifier(k interaction.Key, store string, known bool) judged {
	if j.scoped[k.Namespace] {
		store, known = k.Domain, true
	}
	v := j.value(k, store, known)
	if v.gone != "" {
		return v
	}
	if known {
		v.key.Realm = realmOf(j.normalizer, store)
		return v
	}
	realm, whole := j.realms[k.Realm]
	if !whole {
		return judged{gone: goneUnplaced, open: true}
	}
	v.key.Realm = realm
	return v
}

// value judges all but the realm.
func (j *judge) value(k interaction.Key, store string, known bool) judged {
	value, domain, outcome, rule := j.normalizer.Value(k.Namespace, store, k.Value)
	switch {
	case rule == normalize.RuleUndeclared:
		return judged{gone: goneUndeclared}
	case outcome == interaction.OutcomeBlocked:
		return judged{gone: goneBlocked}
	case outcome != interaction.OutcomeNone:
		return judged{gone: goneInvalid}
	}
	v := judged{key: interaction.Key{Realm: k.Realm, Namespace: k.Namespace, Domain: domain, Value: value}}
	if known {
		return v
	}
	was, _ := j.old.Namespaces.Lookup(k.Namespace)
	switch j.ranks[k.Namespace].Domain {
	case normalize.DomainStore:
		v.key.Domain, v.open = k.Domain, true
	case normalize.DomainCountry:
		v.key.Domain, v.open = k.Domain, was.Domain != normalize.DomainCountry || !j.countries
	}
	return v
}

// ruling judges a directive: the reason says why it would be rejected.
func (j *judge) ruling(s identity.Ruling) (_ identity.Ruling, reason string) {
	if !slices.Contains(j.new.RealmNames(), s.A.Realm) {
		return s, "unknown realm"
	}
	for _, k := range []*interaction.Key{&s.A, &s.B} {
		if k.IsZero() {
			continue
		}
		scoped := j.scoped[k.Namespace]
		store := ""
		if scoped {
			store = k.Domain
		}
		v := j.value(*k, store, scoped)
		switch {
		case v.gone != "":
			return s, v.gone
		case scoped && j.ranks[k.Namespace].Domain != normalize.DomainNone && realmOf(j.normalizer, store) != k.Realm:
			return s, "store of another realm"
		}
		*k = v.key
	}
	switch {
	case s.A == s.B:
		return s, "a and b are one identifier"
	case s.Kind == interaction.DirectiveReplace && (s.A.Namespace != s.B.Namespace || s.A.Domain != s.B.Domain):
		return s, "replace across namespaces or domains"
	}
	return s, ""
}

// rejudged is evidence under new rules, and what could not be decided.
type rejudged struct {
	body     identity.Body
	rejected map[string]int // directives that would be rejected, by reason
	guessed  int            // edges without StoreCode that went where their identifiers are
	unplaced int            // edges that belong to a realm that nobody knows, and were left out
	open     int            // identifiers whose domain or first occurrence depends on a StoreCode that is not known
	unrooted int            // interactions whose root takes part no more: which others they had is known in part
}

const (
	nowhere = -1 // the identifier has no place in the new evidence
	several = -2 // it has more than one
)

// judging is the work of one call of take.
type judging struct {
	*judge
	old    *identity.Body
	out    rejudged
	base   []judged                  // of each identifier by itself
	placed []int32                   // where each identifier went by its edges; nowhere or several
	same   []int32                   // place of a key that is one of the old ones, by its old place
	moved  map[interaction.Key]int32 // place of the others
	star   []member
	later  [][]identity.Joint // interactions whose realm is not known yet
}

// member is an identifier of an interaction.
type member struct {
	at       int32 // place in the new evidence
	from     int32 // in the old
	verified bool
}

// take makes new evidence of old.
func (j *judge) take(old *identity.Body) *rejudged {
	g := &judging{judge: j, old: old, moved: map[interaction.Key]int32{}}
	g.out.rejected = map[string]int{}
	n := len(old.Identifiers)
	g.base, g.placed, g.same = make([]judged, n), make([]int32, n), make([]int32, n)
	for i := range old.Identifiers {
		g.base[i] = j.identifier(old.Identifiers[i].Key, "", false)
		g.placed[i], g.same[i] = nowhere, nowhere
	}
	g.interactions()
	g.settleLater()
	g.alone()
	g.sort()
	g.rulings()
	return &g.out
}

// interactions puts edges that belong to one interaction together again, as far as they tell: they have one root, and one
// interaction was the first of each of them. If the root takes part no more, the others are still known to belong together.
func (g *judging) interactions() {
	edges := g.old.Edges
	for from := 0; from < len(edges); {
		to := from + 1
		for to < len(edges) && edges[to].Root == edges[from].Root {
			to++
		}
		of := slices.Clone(edges[from:to])
		slices.SortStableFunc(of, compareMoments)
		for len(of) > 0 {
			k := 1
			for k < len(of) && compareMoments(of[0], of[k]) == 0 {
				k++
			}
			if !g.interaction(of[:k]) {
				g.later = append(g.later, of[:k])
			}
			of = of[k:]
		}
		from = to
	}
}

func compareMoments(a, b identity.Joint) int {
	return cmp.Or(cmp.Compare(a.FirstSeen, b.FirstSeen), strings.Compare(a.Source, b.Source), strings.Compare(a.EventID, b.EventID))
}

// interaction takes in the edges of one; false where its realm is not known.
func (g *judging) interaction(edges []identity.Joint) bool {
	store, known := "", false
	for i := -1; i < len(edges) && !known; i++ {
		at := edges[0].Root
		if i >= 0 {
			at = edges[i].Other
		}
		if k := g.old.Identifiers[at].Key; g.scoped[k.Namespace] {
			store, known = k.Domain, true
		}
	}
	if !known {
		if _, whole := g.realms[g.old.Identifiers[edges[0].Root].Key.Realm]; !whole {
			return false
		}
	}
	g.join(edges, func(i int32) judged {
		if v := g.base[i]; !v.open {
			return v
		}
		return g.identifier(g.old.Identifiers[i].Key, store, known)
	})
	return true
}

// join makes the star of an interaction under the new rules (identity.md 3.2 and 3.3).
func (g *judging) join(edges []identity.Joint, judge func(int32) judged) {
	g.star = g.star[:0]
	g.enter(edges[0].Root, false, edges[0].FirstSeen, judge)
	rooted := len(g.star) > 0
	for _, e := range edges {
		g.enter(e.Other, e.Verified, e.FirstSeen, judge)
	}
	if !rooted {
		g.out.unrooted++
	}
	g.conflicts()
	slices.SortFunc(g.star, func(a, b member) int {
		x, y := g.out.body.Identifiers[a.at].Key, g.out.body.Identifiers[b.at].Key
		return cmp.Or(cmp.Compare(g.ranks[x.Namespace].Rank, g.ranks[y.Namespace].Rank), identity.CompareKeys(x, y))
	})
	for i, m := range g.star {
		if i > 0 && m.at != g.star[0].at {
			g.out.body.Edges = append(g.out.body.Edges, identity.Joint{
				Root: g.star[0].at, Other: m.at, Verified: m.verified,
				FirstSeen: edges[0].FirstSeen, Source: edges[0].Source, EventID: edges[0].EventID,
			})
		}
	}
}

func (g *judging) enter(i int32, verified bool, at int64, judge func(int32) judged) {
	v := judge(i)
	if v.gone != "" {
		return
	}
	place := g.place(i, v.key, at)
	switch g.placed[i] {
	case nowhere:
		g.placed[i] = place
	case place:
	default:
		g.placed[i] = several
	}
	g.star = append(g.star, member{at: place, from: i, verified: verified})
}

// conflicts takes out different anchors of one namespace and domain.
func (g *judging) conflicts() {
	kind := func(m member) (ns, domain string) {
		k := g.out.body.Identifiers[m.at].Key
		return k.Namespace, k.Domain
	}
	g.star = slices.DeleteFunc(g.star, func(m member) bool {
		ns, domain := kind(m)
		return g.ranks[ns].Class == normalize.Anchor && slices.ContainsFunc(g.star, func(o member) bool {
			n, d := kind(o)
			return o.at != m.at && n == ns && d == domain
		})
	})
}

// place returns where a key is in the new evidence, and enters it where it is new.
func (g *judging) place(i int32, k interaction.Key, at int64) int32 {
	from := i
	if k != g.old.Identifiers[i].Key {
		from = g.old.Index(k)
	}
	var to int32
	if from >= 0 {
		to = g.same[from]
	} else if known, ok := g.moved[k]; ok {
		to = known
	} else {
		to = nowhere
	}
	if to == nowhere {
		to = int32(len(g.out.body.Identifiers))
		g.out.body.Identifiers = append(g.out.body.Identifiers, identity.Known{Key: k, FirstSeen: math.MaxInt64})
		if from >= 0 {
			g.same[from] = to
		} else {
			g.moved[k] = to
		}
	}
	g.out.body.Identifiers[to].FirstSeen = min(g.out.body.Identifiers[to].FirstSeen, at)
	return to
}

// settleLater places interactions without StoreCode of a realm that is split: they go where all of their identifiers are that
// are in one realm by other evidence. What that places may place others.
func (g *judging) settleLater() {
	for len(g.later) > 0 {
		realms := make([]string, len(g.later)) // as the round before left it
		for i, edges := range g.later {
			realms[i] = g.realmOf(edges)
		}
		var left [][]identity.Joint
		for i, edges := range g.later {
			if realms[i] == "" {
				left = append(left, edges)
				continue
			}
			g.out.guessed += len(edges)
			g.join(edges, func(n int32) judged {
				v := g.value(g.old.Identifiers[n].Key, "", false)
				v.key.Realm = realms[i]
				return v
			})
		}
		if len(left) == len(g.later) {
			for _, edges := range left {
				g.out.unplaced += len(edges)
			}
			break
		}
		g.later = left
	}
	g.later = nil
}

// realmOf is the one realm of an interaction's identifiers; empty where they are in none or in several.
func (g *judging) realmOf(edges []identity.Joint) (realm string) {
	for i := -1; i < len(edges); i++ {
		at := edges[0].Root
		if i >= 0 {
			at = edges[i].Other
		}
		switch p := g.placed[at]; {
		case p == several:
			return ""
		case p == nowhere:
		case realm == "":
			realm = g.out.body.Identifiers[p].Key.Realm
		case realm != g.out.body.Identifiers[p].Key.Realm:
			return ""
		}
	}
	return realm
}

// alone takes in that an identifier occurred, also without any other: its first_seen.
func (g *judging) alone() {
	for i := range g.old.Identifiers {
		at := g.old.Identifiers[i].FirstSeen
		switch v, p := &g.base[i], g.placed[i]; {
		case !v.open && v.gone == "":
			g.place(int32(i), v.key, at)
		case !v.open:
		case p >= 0:
			g.out.body.Identifiers[p].FirstSeen = min(g.out.body.Identifiers[p].FirstSeen, at)
		case p == nowhere && v.gone == "":
			g.place(int32(i), v.key, at)
			g.out.open++
		default:
			g.out.open++
		}
	}
}

// sort puts the new evidence in order, each edge once.
func (g *judging) sort() {
	b := &g.out.body
	order := make([]int32, len(b.Identifiers))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return identity.CompareKeys(b.Identifiers[x].Key, b.Identifiers[y].Key) })
	sorted, to := make([]identity.Known, len(order)), make([]int32, len(order))
	for i, from := range order {
		sorted[i], to[from] = b.Identifiers[from], int32(i)
	}
	b.Identifiers = sorted
	for i := range b.Edges {
		e := &b.Edges[i]
		e.Root, e.Other = to[e.Root], to[e.Other]
	}
	slices.SortFunc(b.Edges, func(x, y identity.Joint) int {
		return cmp.Or(cmp.Compare(x.Root, y.Root), cmp.Compare(x.Other, y.Other), compareMoments(x, y))
	})
	b.Edges = mergeEdges(b.Edges)
}

// mergeEdges makes one of edges between the same two: the first of them, verified if any was.
func mergeEdges(edges []identity.Joint) []identity.Joint {
	out := edges[:0]
	for _, e := range edges {
		if n := len(out); n > 0 && out[n-1].Root == e.Root && out[n-1].Other == e.Other {
			out[n-1].Verified = out[n-1].Verified || e.Verified
			continue
		}
		out = append(out, e)
	}
	return out
}

// rulings judges the directives. Of two that come into one slot the later counts (identity.md 4.1).
func (g *judging) rulings() {
	slot := func(s *identity.Ruling) [2]interaction.Key {
		if !s.B.IsZero() && identity.CompareKeys(s.B, s.A) < 0 {
			return [2]interaction.Key{s.B, s.A}
		}
		return [2]interaction.Key{s.A, s.B}
	}
	b := &g.out.body
	for _, s := range g.old.Slots {
		s, reason := g.ruling(s)
		if reason != "" {
			g.out.rejected[reason]++
			continue
		}
		b.Slots = append(b.Slots, s)
	}
	slices.SortFunc(b.Slots, func(x, y identity.Ruling) int {
		p, q := slot(&x), slot(&y)
		return cmp.Or(identity.CompareKeys(p[0], q[0]), identity.CompareKeys(p[1], q[1]),
			cmp.Compare(y.IssuedAt, x.IssuedAt), strings.Compare(y.DirectiveID, x.DirectiveID),
			strings.Compare(string(y.Kind), string(x.Kind)), identity.CompareKeys(y.A, x.A))
	})
	b.Slots = slices.CompactFunc(b.Slots, func(x, y identity.Ruling) bool { return slot(&x) == slot(&y) })
	slices.SortFunc(b.Slots, func(x, y identity.Ruling) int {
		return cmp.Or(identity.CompareKeys(x.A, y.A), identity.CompareKeys(x.B, y.B))
	})
}

// realmOf is the realm of a StoreCode; empty where the code is none.
func realmOf(n *normalize.Normalizer, storeCode string) string {
	realm, _ := n.RealmOf(storeCode)
	return realm
}
