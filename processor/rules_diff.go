package processor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"kinfold/processor/identity"
	"kinfold/processor/normalize"
	"kinfold/processor/state"
)

// RulesQuestion asks what new rules would make of the evidence that old rules were applied to.
type RulesQuestion struct {
	Old, New RulesFile
	Examples int               // of each kind
	Progress func(what string) // called now and then; never with a value of an identifier
	FS       state.FS          // of the state directory; nil: the operating system's
}

// begin makes the report and what it needs. Both sides are the first part's; each part fills in its evidence.
func (q *RulesQuestion) begin(source Source, j *judge) (c *comparison, old, new *side, err error) {
	if old, err = q.Old.side(); err != nil {
		return nil, nil, nil, err
	}
	if new, err = q.New.side(); err != nil {
		return nil, nil, nil, err
	}
	d := &RulesDiff{
		Source: source, Limits: []string{}, Changed: []StatusCount{}, Edges: []EdgeCount{},
		Examples: Examples{Customers: []CaseExample{}, Identifiers: []StatusExample{}, Edges: []EdgeExample{}},
		Old:      RulesSide{File: q.Old.Name, RulesVersion: q.Old.Rules.Version()},
		New:      RulesSide{File: q.New.Name, RulesVersion: q.New.Rules.Version()},
	}
	c = newComparison(d, q.Examples)
	c.judge = j
	return c, old, new, nil
}

// DiffState answers from the state directory of a stopped process: of the directory of its app, or a state_dir with one app. It
// changes nothing there. Evidence is judged anew as far as it was kept; RulesDiff.Limits says what that leaves out. The memory
// that it needs is about 1.5 KB for each identifier of the largest realm (of all realms, where the rules differ in realms).
func (q *RulesQuestion) DiffState(ctx context.Context, dir string) (_ *RulesDiff, err error) {
	s, err := openStopped(ctx, dir, q.FS, q.Progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	j := newJudge(q.Old.Rules, q.New.Rules, s.surveys)
	c, old, new, err := q.begin(s.source, j)
	if err != nil {
		return nil, err
	}
	lost := &rejudged{rejected: map[string]int{}}
	for _, part := range j.parts(s.surveys, nil) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := s.read(old, part.old, &c.diff.Mismatches); err != nil {
			return nil, underRules(q.Old, err)
		}
		anew := j.take(old.body)
		new.body = &anew.body
		if new.people, err = new.graph.Build(new.body); err != nil {
			return nil, underRules(q.New, err)
		}
		c.add(old, new)
		lost.sum(anew)
		q.Progress(fmt.Sprintf("realm %s: %d identifiers, %d edges", strings.Join(part.old, ", "), len(old.body.Identifiers), len(old.body.Edges)))
	}
	c.diff.Directives = lost.rejected
	c.diff.Limits = append(c.diff.Limits, q.stateLimits(c.diff, lost)...)
	c.finish()
	return c.diff, nil
}

// DiffInput answers from interactions and directives, one a line: both rules are applied to the same lines, in memory. name is
// what the report calls the input. The memory that it needs is about 5 KB for each identifier.
func (q *RulesQuestion) DiffInput(ctx context.Context, name string, input io.Reader) (*RulesDiff, error) {
	var runs [2]*dryRun
	for i, rules := range [2]*normalize.Rules{q.Old.Rules, q.New.Rules} {
		var err error
		if runs[i], err = newDryRun(rules); err != nil {
			return nil, err
		}
	}
	lines, err := replay(ctx, input, q.Progress, runs[0], runs[1])
	if err != nil {
		return nil, err
	}
	was, err := runs[0].evidence()
	if err != nil {
		return nil, err
	}
	is, err := runs[1].evidence()
	if err != nil {
		return nil, err
	}
	j := newJudge(q.Old.Rules, q.New.Rules, was.surveys)
	c, old, new, err := q.begin(Source{Kind: "input", Name: name, Lines: lines, Realms: len(was.surveys)}, j)
	if err != nil {
		return nil, err
	}
	for _, part := range j.parts(was.surveys, is.surveys) {
		if err := was.read(old, part.old, &c.diff.Mismatches); err != nil {
			return nil, err
		}
		if err := is.read(new, part.new, &c.diff.Mismatches); err != nil {
			return nil, err
		}
		c.add(old, new)
	}
	runs[0].counted(&c.diff.Old)
	runs[1].counted(&c.diff.New)
	c.diff.Limits = append(c.diff.Limits, inputLimits(c.diff)...)
	c.finish()
	return c.diff, nil
}

func underRules(f RulesFile, err error) error {
	return fmt.Errorf("under the rules of %s: %w", f.Name, err)
}

// part is realms that are compared together: old ones, and new ones that their evidence may go to.
type part struct{ old, new []string }

// parts lists what has to be compared together, in byte order of the old realms. Realms of new evidence that no old one leads to
// come last.
func (j *judge) parts(old, new []identity.RealmSurvey) []part {
	images := j.images(old)
	var parts []part
	for i := range old {
		p := part{old: []string{old[i].Name}, new: slices.Clone(images[old[i].Name])}
		for k := 0; k < len(parts); {
			if slices.ContainsFunc(parts[k].new, func(r string) bool { return slices.Contains(p.new, r) }) {
				p.old, p.new = append(parts[k].old, p.old...), append(p.new, parts[k].new...)
				parts = slices.Delete(parts, k, k+1)
				continue
			}
			k++
		}
		slices.Sort(p.old)
		slices.Sort(p.new)
		p.new = slices.Compact(p.new)
		parts = append(parts, p)
	}
	for i := range new {
		if name := new[i].Name; !slices.ContainsFunc(parts, func(p part) bool { return slices.Contains(p.new, name) }) {
			parts = append(parts, part{new: []string{name}})
		}
	}
	return parts
}

func (r *rejudged) sum(o *rejudged) {
	r.guessed += o.guessed
	r.unplaced += o.unplaced
	r.open += o.open
	r.unrooted += o.unrooted
	for reason, n := range o.rejected {
		r.rejected[reason] += n
	}
}

// stateLimits says what a state directory cannot tell of the difference of two rules.
func (q *RulesQuestion) stateLimits(d *RulesDiff, lost *rejudged) (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	old, new := q.Old.Rules, q.New.Rules
	say("A state directory holds what took part, in its normal form. Values that the old rules blocked, called invalid or set aside as a conflict of two anchors are not in it, and what was sent is not either: --input judges them.")
	if v := d.Source.RulesVersion; v != d.Old.RulesVersion {
		say("The state was written under rules version %s; %s is version %s.", v, q.Old.Name, d.Old.RulesVersion)
	}
	if old.IDKey != new.IDKey {
		say("id_key differs: every customer gets another id, and the entries that keep erased identifiers out would not be found any more.")
	}
	if !maps.Equal(old.Realms, new.Realms) {
		say("realms differ: which StoreCode evidence came from is known only where an identifier holds it. %d edges without one went where their identifiers are, %d were left out since nobody knows their realm.", lost.guessed, lost.unplaced)
	}
	if lost.open > 0 {
		say("%d identifiers have a realm or a domain that depends on a StoreCode which the evidence does not hold: they keep their old domain, are known by their edges only, or are left out.", lost.open)
	}
	if !maps.Equal(old.Countries, new.Countries) {
		say("countries differ: the country of a document is known only where its interaction held an identifier with StoreCode.")
	}
	if !maps.Equal(old.Regions, new.Regions) {
		say("regions differ: telephone numbers are kept in international form; which region a national number had is not known.")
	}
	if !maps.Equal(old.UserID, new.UserID) {
		say("user_id differs: identifiers stay in the namespace that the old rules gave them.")
	}
	if old.ClockAhead != new.ClockAhead || !old.Earliest.Equal(new.Earliest) {
		say("clock_ahead or earliest differ: times stay as the old rules believed them.")
	}
	if !sameOrder(old.Namespaces, new.Namespaces) {
		say("ranks differ: an edge goes from an interaction's first identifier to each other one. Interactions are put together again as far as their edges tell.")
	}
	if lost.unrooted > 0 {
		say("%d interactions lost their first identifier: which others occurred together is known only where one interaction was the first of all of them.", lost.unrooted)
	}
	if old.ComponentLimit != new.ComponentLimit {
		say("component_limit differs: edges that the old cap refused are not stored, and the new one is not applied, since what it refuses depends on the order of arrival.")
	}
	return append(list, oversizedLimit(d)...)
}

func oversizedLimit(d *RulesDiff) []string {
	if d.New.Oversized == 0 || d.Source.Kind == "input" {
		return nil
	}
	return []string{fmt.Sprintf("%d component(s) would be larger than component_limit. When the state is built anew from the inputs, the cap will refuse edges of them, which ones depends on the order of arrival; here all count.", d.New.Oversized)}
}

// inputLimits says what an input cannot tell.
func inputLimits(d *RulesDiff) (list []string) {
	const what = "component_cap"
	if before, after := d.Old.Rejects[what], d.New.Rejects[what]; before+after > 0 {
		list = append(list, fmt.Sprintf("The component cap refused edges of %d interactions under the old rules and of %d under the new ones: in another order of the lines it would refuse others.", before, after))
	}
	return list
}

// sameOrder reports whether the namespaces that both have are in the same order of ranks.
func sameOrder(a, b normalize.Namespaces) bool {
	names := func(of, in normalize.Namespaces) (list []string) {
		for _, n := range of {
			if _, both := in.Lookup(n.Name); both {
				list = append(list, n.Name)
			}
		}
		return list
	}
	return slices.Equal(names(a, b), names(b, a))
}
