package processor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kinfold/processor/identity"
	"kinfold/processor/normalize"
)

// finish turns what was gathered into findings: what, how many, examples, what to do next.
func (l *lint) finish() {
	for _, n := range l.rules.Namespaces {
		s := l.spreads[n.Name]
		s.percentiles()
		l.report.Namespaces = append(l.report.Namespaces, s.Spread)
		l.spreadFindings(n, s)
		l.sharedFinding(n, s)
	}
	l.limitFindings()
	l.twinFinding()
	l.conflictFindings()
	l.ambiguityFinding()
	slices.SortStableFunc(l.report.Findings, func(a, b Finding) int {
		switch {
		case a.Matters == b.Matters:
			return 0
		case a.Matters:
			return -1
		}
		return 1
	})
}

func (l *lint) say(check string, matters bool, f finding, what, next string) {
	if f.examples == nil {
		f.examples = []string{}
	}
	l.report.Findings = append(l.report.Findings, Finding{Check: check, Matters: matters, Count: f.count, What: what, Next: next, Examples: f.examples})
}

// percentiles fills in the distribution of what customers hold.
func (s *spread) percentiles() {
	counts := slices.Sorted(maps.Keys(s.holders))
	for _, n := range counts {
		s.Customers += s.holders[n]
	}
	s.Full, s.Alone = s.fullest.count, s.lonesome.count
	below := 0
	for _, n := range counts {
		below += s.holders[n]
		if s.P50 == 0 && 2*below >= s.Customers {
			s.P50 = n
		}
		if s.P99 == 0 && 100*below >= 99*s.Customers {
			s.P99 = n
		}
		s.Max = n
	}
}

func (l *lint) spreadFindings(n normalize.Namespace, s *spread) {
	if n.AtMost > 1 && s.Full > 0 {
		share := float64(s.Full) / float64(s.Customers)
		l.say("full customers", s.Customers >= fewIdentifiers && share >= fullShare, s.fullest,
			fmt.Sprintf("%s of %d hold as many %s as they may, %d: half hold %d or fewer, 99 of 100 hold %d or fewer", percent(s.Full, s.Customers), s.Customers, n.Name, n.AtMost, s.P50, s.P99),
			"Look at one: several people in one customer (lower shared_anchors or at_most), or one person with many (raise at_most). Then kinfold rules diff.")
	}
	switch {
	case s.Identifiers == 0:
		if !isBuiltin(n.Name) {
			l.say("unused namespace", false, finding{}, fmt.Sprintf("no identifier of namespace %s has come", n.Name),
				"Check that a source sends it under this very name: an undeclared or misspelt name is invalid, and counted as such.")
		}
	case s.Identifiers >= fewIdentifiers && float64(s.Alone) >= aloneShare*float64(s.Identifiers):
		l.say("ties nothing", true, s.lonesome,
			fmt.Sprintf("%s of %d %s never came with another identifier: they make customers of one interaction's worth", percent(s.Alone, s.Identifiers), s.Identifiers, n.Name),
			"Have the source send it together with a code or an address, or drop it. Where it is a fresh value for each visit it cannot tie anything.")
	}
	if s.Max > 0 && n.AtMost >= idleLimit*s.Max && s.Customers >= fewIdentifiers {
		l.say("idle limit", false, finding{count: s.Max}, fmt.Sprintf("at_most of %s is %d, and nobody holds more than %d", n.Name, n.AtMost, s.Max),
			"A lower limit would notice a kiosk or a shared telephone earlier. It is no fault.")
	}
}

func isBuiltin(name string) bool {
	_, found := normalize.DefaultRules().Namespaces.Lookup(name)
	return found
}

// sharedFinding lists the most shared identifiers of a namespace. One shared address is life; an anchor, or many, is not.
func (l *lint) sharedFinding(n normalize.Namespace, s *spread) {
	if s.Shared == 0 {
		return
	}
	f := finding{count: s.Shared}
	for _, id := range l.shared[n.Name] {
		var counts []string
		for _, o := range id.over {
			counts = append(counts, overText(o))
		}
		f.examples = append(f.examples, id.text+": "+strings.Join(counts, ", "))
	}
	next := "Where it is a till's or a form's filler, add it to block.values; where people do share it, leave it: it ties nobody."
	if n.Class == normalize.Anchor {
		next = "A code that names many people is a walk-in code: block it, or have the source leave it out. Where it is one person's, raise shared_contacts or shared_anchors."
	}
	l.say("shared identifiers", n.Class == normalize.Anchor || s.Shared >= fewIdentifiers && float64(s.Shared) >= refusedShare*float64(s.Identifiers), f,
		fmt.Sprintf("%s of %d %s are shared: they belong to too many to tell one, and tie nobody", percent(s.Shared, s.Identifiers), s.Identifiers, n.Name), next)
}

func (l *lint) limitFindings() {
	if l.near.count > 0 {
		l.say("customers near the limit", true, l.near,
			fmt.Sprintf("customers that hold %.0f %% or more of customer_limit, %d identifiers", 100*nearLimit, l.rules.CustomerLimit),
			"Nobody has so many. Find what ties them (shared identifiers, refused edges below), block or share it; raise customer_limit last.")
	}
	if l.wide.count > 0 {
		l.say("components near the limit", true, l.wide,
			fmt.Sprintf("components of %.0f %% or more of component_limit, %d identifiers; named by the customer of their first identifier", 100*nearLimit, l.rules.ComponentLimit),
			"At the limit new evidence is not stored, and goes to the rejects as component_cap. Find what ties it together: a device or an address near its threshold.")
	}
}

func (l *lint) twinFinding() {
	if l.twins.count > 0 {
		l.say("case twins", true, l.twins, "codes of one store that differ in upper and lower case only, and are of different customers",
			"Ask the source whether they are one person. Where they are, have it send one spelling, and tie those that exist with directives of kind replace.")
	}
}

func (l *lint) conflictFindings() {
	total := 0
	for s := identity.SeparateRefused; s <= identity.SizeRefused; s++ {
		total += l.refused[s]
	}
	next := map[identity.Standing]string{
		identity.SeparateRefused: "Directives separate them: as ordered.",
		identity.DeviceRefused:   "A browser or device was used by two known customers. As a rule that is right; devices_join_known would merge them.",
		identity.LimitRefused:    "Two customers that each hold as many as at_most allows were seen with one identifier. Look at one: a family's address, or one person with two codes (tie them with a directive).",
		identity.SizeRefused:     "A customer would exceed customer_limit: see customers near the limit.",
	}
	for s := identity.SeparateRefused; s <= identity.SizeRefused; s++ {
		n := l.refused[s]
		if n == 0 {
			continue
		}
		l.report.Refused[s.String()] = n
		matters := s == identity.SizeRefused || s == identity.LimitRefused && float64(n) >= refusedShare*float64(l.report.Rules.Edges) && l.report.Rules.Edges >= fewIdentifiers
		l.say("refused edges", matters, finding{count: n, examples: l.conflicts[s]},
			fmt.Sprintf("%s of %d edges were refused, reason %s", percent(n, l.report.Rules.Edges), l.report.Rules.Edges, s), next[s])
	}
}

// ambiguityFinding counts ambiguous events, or where they are not known, contested identifiers.
func (l *lint) ambiguityFinding() {
	what, n, of := "events are ambiguous: they tie codes or documents of more than one customer", l.report.Rules.Ambiguous, l.report.Rules.Events
	if l.report.Source.Kind == "state" {
		what, n, of = "identifiers have a refused edge", l.contested, l.report.Rules.Identifiers
	}
	if n == 0 {
		return
	}
	share := float64(n) / float64(max(of, 1))
	l.say("ambiguous", of >= fewIdentifiers && share >= ambiguousShare, finding{count: n}, fmt.Sprintf("%s of %d %s", percent(n, of), of, what),
		"The reasons are under refused edges. Fix the largest one first: mostly one device, address or filler stands behind many.")
}

func percent(n, of int) string {
	return fmt.Sprintf("%d (%.1f %%)", n, 100*float64(n)/float64(cmp.Or(of, 1)))
}
