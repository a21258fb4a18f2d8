package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"golang.org/x/text/cases"

	"kinfold/processor/identity"
	"kinfold/processor/normalize"
	"kinfold/processor/state"
)

// When a finding matters.
const (
	fullShare      = 0.01 // customers that hold as many of a namespace as they may
	aloneShare     = 0.90 // identifiers of a namespace that never came with another one
	fewIdentifiers = 20   // below so many identifiers of a namespace, shares say nothing
	nearLimit      = 0.80 // of customer_limit and component_limit
	ambiguousShare = 0.05 // events, or identifiers, that tie more than one customer
	refusedShare   = 0.05 // edges that were refused
	idleLimit      = 10   // at_most so many times what anybody holds protects nobody
)

// LintQuestion asks what in the evidence looks wrong under some rules.
type LintQuestion struct {
	Rules    RulesFile
	Examples int               // of each finding
	Progress func(what string) // called now and then; never with a value of an identifier
	FS       state.FS          // of the state directory; nil: the operating system's
}

// RulesLint is what looks wrong. Identifier values stand in the examples only.
type RulesLint struct {
	Source     Source         `json:"source"`
	Rules      RulesSide      `json:"rules"`
	Mismatches Mismatches     `json:"mismatches"`
	Namespaces []Spread       `json:"namespaces"` // by rank
	Refused    map[string]int `json:"refused"`    // refused edges by reason
	Findings   []Finding      `json:"findings"`   // those that matter first
	Limits     []string       `json:"limits"`
}

// Spread is how many identifiers of a namespace customers hold, those who hold any, for each domain.
type Spread struct {
	Namespace   string `json:"namespace"`
	Class       string `json:"class"`
	Identifiers int    `json:"identifiers"`
	Shared      int    `json:"shared"`
	Alone       int    `json:"alone"` // never came with another identifier
	Customers   int    `json:"customers"`
	P50         int    `json:"p50"`
	P99         int    `json:"p99"`
	Max         int    `json:"max"`
	AtMost      int    `json:"at_most"`
	Full        int    `json:"full"` // customers that hold at_most
}

// Finding is one thing that looks wrong.
type Finding struct {
	Check    string   `json:"check"`
	Matters  bool     `json:"matters"`
	Count    int      `json:"count"`
	What     string   `json:"what"`
	Next     string   `json:"next"` // what to do about it
	Examples []string `json:"examples"`
}

// Matters is the number of findings that matter.
func (l *RulesLint) Matters() (n int) {
	for _, f := range l.Findings {
		if f.Matters {
			n++
		}
	}
	return n
}

// State looks at the state directory of a stopped process and changes nothing there.
func (q *LintQuestion) State(ctx context.Context, dir string) (_ *RulesLint, err error) {
	s, err := openStopped(ctx, dir, q.FS, q.Progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l, err := q.look(ctx, s.source, &s.evidence, nil)
	if err != nil {
		return nil, err
	}
	l.report.Limits = append(l.report.Limits,
		"The share of ambiguous events is not kept in a state directory; instead, the share of identifiers that have a refused edge. --input counts events.")
	if v := s.source.RulesVersion; v != l.report.Rules.RulesVersion {
		l.report.Limits = append(l.report.Limits, fmt.Sprintf("The state was written under rules version %s; %s is version %s, its customers are those that %s makes of the stored values, which are not judged anew.",
			v, q.Rules.Name, l.report.Rules.RulesVersion, q.Rules.Name))
	}
	return l.report, nil
}

// Input looks at interactions and directives, one a line, in memory.
func (q *LintQuestion) Input(ctx context.Context, name string, input io.Reader) (*RulesLint, error) {
	d, err := newDryRun(q.Rules.Rules)
	if err != nil {
		return nil, err
	}
	lines, err := replay(ctx, input, q.Progress, d)
	if err != nil {
		return nil, err
	}
	e, err := d.evidence()
	if err != nil {
		return nil, err
	}
	l, err := q.look(ctx, Source{Kind: "input", Name: name, Lines: lines, Realms: len(e.surveys)}, e, d)
	if err != nil {
		return nil, err
	}
	return l.report, nil
}

// lint gathers a RulesLint, one realm after the other.
type lint struct {
	*side
	rules    *normalize.Rules
	examples int
	report   *RulesLint
	fold     cases.Caser

	spreads   map[string]*spread
	shared    map[string][]sharedIdentifier // by namespace
	refused   [identity.Standings]int
	conflicts [identity.Standings][]string // examples
	contested int                          // identifiers with a refused edge
	near      finding                      // customers near customer_limit
	wide      finding                      // components near component_limit
	twins     finding
}

// finding is a count with its first examples.
type finding struct {
	count    int
	examples []string
}

func (l *lint) found(f *finding, example func() string) {
	if f.count++; len(f.examples) < l.examples {
		f.examples = append(f.examples, example())
	}
}

// spread is a Spread in the making: holders counts customers by how many they hold.
type spread struct {
	Spread
	holders  map[int]int
	fullest  finding
	lonesome finding
}

type sharedIdentifier struct {
	text string
	over []identity.Over
}

// look examines the evidence realm by realm; run is the dry run that made it, if any.
func (q *LintQuestion) look(ctx context.Context, source Source, e *evidence, run *dryRun) (*lint, error) {
	s, err := q.Rules.side()
	if err != nil {
		return nil, err
	}
	l := &lint{
		side: s, rules: q.Rules.Rules, examples: q.Examples, fold: cases.Fold(), spreads: map[string]*spread{}, shared: map[string][]sharedIdentifier{},
		report: &RulesLint{
			Source: source, Rules: RulesSide{File: q.Rules.Name, RulesVersion: q.Rules.Rules.Version()},
			Refused: map[string]int{}, Findings: []Finding{}, Limits: []string{},
		},
	}
	for _, n := range l.rules.Namespaces {
		l.spreads[n.Name] = &spread{Spread: Spread{Namespace: n.Name, Class: string(n.Class), AtMost: n.AtMost}, holders: map[int]int{}}
	}
	totals := newComparison(&RulesDiff{}, 0)
	for _, r := range e.surveys {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := e.read(l.side, []string{r.Name}, &l.report.Mismatches); err != nil {
			return nil, underRules(q.Rules, err)
		}
		totals.total(&l.report.Rules, l.side, l.rules.ComponentLimit)
		l.realm()
		q.Progress(fmt.Sprintf("realm %s: %d identifiers, %d edges", r.Name, len(l.body.Identifiers), len(l.body.Edges)))
	}
	if run != nil {
		run.counted(&l.report.Rules)
	}
	l.finish()
	return l, nil
}

// realm examines the loaded evidence.
func (l *lint) realm() {
	l.edges()
	l.size(&l.near, l.people.Founder, l.rules.CustomerLimit)
	l.size(&l.wide, l.people.Component, l.rules.ComponentLimit)
	l.holdings()
	l.caseTwins()
	for i, shared := range l.people.Shared {
		if shared {
			l.keepShared(int32(i))
		}
	}
}

// edges counts the edges that were refused, and finds identifiers without any edge.
func (l *lint) edges() {
	contested, tied := make([]bool, len(l.body.Identifiers)), make([]bool, len(l.body.Identifiers))
	for i := range l.body.Edges {
		e, s := &l.body.Edges[i], l.people.Edges[i]
		tied[e.Root], tied[e.Other] = true, true
		if !s.Refused() {
			continue
		}
		l.refused[s]++
		if len(l.conflicts[s]) < l.examples {
			l.conflicts[s] = append(l.conflicts[s], fmt.Sprintf("%s with %s, event %s of %s", l.key(e.Root), l.key(e.Other), e.EventID, e.Source))
		}
		for _, at := range [2]int32{e.Root, e.Other} {
			if !contested[at] {
				contested[at] = true
				l.contested++
			}
		}
	}
	for i := range tied {
		if !tied[i] {
			s := l.spreads[l.key(int32(i)).Namespace]
			l.found(&s.lonesome, l.key(int32(i)).String)
		}
	}
}

// size finds customers or components near their limit; of says to which each identifier belongs.
func (l *lint) size(found *finding, of []int32, limit int) {
	sizes := map[int32]int{}
	for i, at := range of {
		if !l.people.Apart(int32(i)) {
			sizes[at]++
		}
	}
	for _, at := range slices.Sorted(maps.Keys(sizes)) {
		if n := sizes[at]; n > 1 && float64(n) >= nearLimit*float64(limit) {
			l.found(found, func() string {
				return fmt.Sprintf("%s: %d identifiers, of %d", l.namer.CustomerID(l.key(l.people.Founder[at])), n, limit)
			})
		}
	}
}

// holdings counts what each customer holds of each namespace and domain.
func (l *lint) holdings() {
	order := make([]int32, 0, len(l.body.Identifiers))
	for i := range l.body.Identifiers {
		s := l.spreads[l.key(int32(i)).Namespace]
		s.Identifiers++
		if l.people.Shared[i] {
			s.Shared++
		}
		if !l.people.Apart(int32(i)) {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(l.people.Founder[a], l.people.Founder[b]), cmp.Compare(a, b))
	})
	for from := 0; from < len(order); {
		first, founder := l.key(order[from]), l.people.Founder[order[from]]
		to := from + 1
		for to < len(order) && l.people.Founder[order[to]] == founder && l.key(order[to]).Namespace == first.Namespace && l.key(order[to]).Domain == first.Domain {
			to++
		}
		s, n := l.spreads[first.Namespace], to-from
		s.holders[n]++
		if n >= s.AtMost {
			l.found(&s.fullest, func() string {
				return fmt.Sprintf("%s: %d, of %d", l.namer.CustomerID(l.key(founder)), n, s.AtMost)
			})
		}
		from = to
	}
}

// caseTwins finds codes of one store that differ in case only, and name two customers.
func (l *lint) caseTwins() {
	type code struct{ namespace, domain, folded string }
	first := map[code]int32{}
	for i := range l.body.Identifiers {
		at, k := int32(i), l.key(int32(i))
		ns, _ := l.rules.Namespaces.Lookup(k.Namespace)
		if l.people.Apart(at) || ns.Like != "user" && ns.Like != "member_id" {
			continue
		}
		c := code{k.Namespace, k.Domain, l.fold.String(k.Value)}
		twin, there := first[c]
		if !there {
			first[c] = at
			continue
		}
		if l.people.Founder[twin] != l.people.Founder[at] {
			l.found(&l.twins, func() string {
				return fmt.Sprintf("%s of %s, %s of %s", l.key(twin), l.namer.CustomerID(l.key(l.people.Founder[twin])), k, l.namer.CustomerID(l.key(l.people.Founder[at])))
			})
		}
	}
}

// keepShared adds a shared identifier, and keeps those of its namespace that are shared with the most.
func (l *lint) keepShared(at int32) {
	id := sharedIdentifier{l.key(at).String(), l.people.Over[at]}
	of := append(l.shared[l.key(at).Namespace], id)
	slices.SortStableFunc(of, func(a, b sharedIdentifier) int { return cmp.Compare(b.most(), a.most()) })
	l.shared[l.key(at).Namespace] = of[:min(len(of), l.examples)]
}

func (s *sharedIdentifier) most() (n int) {
	for _, o := range s.over {
		n = max(n, o.Count)
	}
	return n
}
