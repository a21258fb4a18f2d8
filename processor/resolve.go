package processor

import (
	"fmt"

	"kinfold/processor/dedup"
	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/table"
)

// resolveStep is the step of stage 2: a keyed interaction and a view of the state in, an outcome out. It has no clock and no
// effect; the same log gives the same outcomes.
type resolveStep struct {
	seen         *dedup.Window
	graph        *identity.Resolver
	clock        identity.Clock
	rulesVersion string

	eraseEnabled bool

	evidence identity.Evidence
}

func newResolveStep(r *normalize.Rules) (*resolveStep, error) {
	graph, err := newGraph(r)
	if err != nil {
		return nil, err
	}
	seen, err := dedup.New(r.DuplicateWindow)
	if err != nil {
		return nil, fmt.Errorf("compile the identity rules: %w", err)
	}
	return &resolveStep{
		seen:         seen,
		graph:        graph.NewResolver(),
		clock:        identity.Clock{Ahead: r.ClockAhead, Earliest: r.Earliest.UnixMilli()},
		rulesVersion: r.Version(),
		eraseEnabled: r.EraseEnabled,
	}, nil
}

// moment is where a keyed interaction stands in its log.
type moment struct {
	stream int64         // stream time, epoch ms
	seq    uint64        // offset in the keyed topic: the name of what the interaction brings into being
	recent *dedup.Recent // of the view
	// directed: directives took effect in this store before.
	directed bool
}

// step resolves k, which o refers to afterwards. A directive is taken in like an interaction: its order among them counts.
func (s *resolveStep) step(view table.View, k *interaction.Keyed, at moment, o *outcome) error {
	o.reset()
	seen, err := s.seen.Check(view, k.ID, k.Content, at.stream, at.recent)
	if err != nil {
		return err
	}
	if seen == dedup.Conflict {
		what := "an interaction with this source and event_id but other content was accepted before; the first one stands"
		if k.Directive != nil {
			what = "a directive with this directive_id but other content took effect before; the first one stands"
		}
		o.park(interaction.ReasonDuplicateConflict, what)
		return nil
	}
	if k.Directive != nil {
		if seen == dedup.Duplicate {
			o.verdict = verdictDuplicate
			return nil
		}
		return s.direct(view, k, at, o)
	}
	usable := k.Usable()
	s.evidence = identity.Evidence{
		Realm: k.Realm, Identifiers: usable, At: s.clock.At(k.OccurredAt, k.ReceivedAt),
		Source: k.Source, SourceEventID: k.SourceEventID, Origin: k.Origin, Seq: at.seq, Duplicate: seen == dedup.Duplicate, Directed: at.directed,
	}
	r, err := s.graph.Apply(view, &s.evidence)
	if err != nil {
		return err
	}
	o.rows = append(o.rows, r.Rows...)
	o.changes = append(o.changes, r.Changes...)
	o.mapRows = append(o.mapRows, r.MapRows...)
	o.tallies = r.Tallies
	if seen == dedup.Duplicate {
		o.verdict = verdictDuplicate
		return nil
	}
	o.seen = append(o.seen, s.seen.Row(k.ID, k.Content, at.stream))
	if r.Reject != nil {
		o.rejects = append(o.rejects, *r.Reject)
	}
	s.event(k, r, &o.unified)
	return nil
}

// event fills the unified event of an accepted interaction.
func (s *resolveStep) event(k *interaction.Keyed, r *identity.Result, u *interaction.Unified) {
	u.Keyed = k
	u.CustomerID, u.CustomerVersion = r.CustomerID, r.CustomerVersion
	u.IdentityStatus, u.Ambiguous = r.Status, r.Ambiguous
	u.MergedCustomerIDs = append(u.MergedCustomerIDs[:0], r.Merged...)
	u.Identifiers = append(u.Identifiers[:0], k.Identifiers...)
	for i, outcome := range r.Outcomes {
		u.Identifiers[i].Outcome = outcome
	}
	u.RulesVersion = s.rulesVersion
}

// direct takes a directive in that did not take effect before. A dry run leaves its report and nothing else, so that it did not
// take effect either.
func (s *resolveStep) direct(view table.View, k *interaction.Keyed, at moment, o *outcome) error {
	d := k.Directive
	if d.Kind == interaction.DirectiveErase && !s.eraseEnabled {
		o.park(interaction.ReasonEraseNotEnabled, "identity.erase_enabled is false: nothing was erased; set it and send the directive again")
		return nil
	}
	r, err := s.graph.Direct(view, &identity.Order{
		ID: d.ID, Kind: d.Kind, Realm: k.Realm, IssuedAt: d.IssuedAt, A: d.A.In(k.Realm), B: d.B.In(k.Realm),
		Scope: d.Scope, CustomerID: d.CustomerID, Origin: k.Origin, Seq: at.seq,
	})
	if err != nil {
		return err
	}
	if r.Reject != nil {
		o.park(r.Reject.Reason, r.Reject.Detail)
		return nil
	}
	o.verdict = verdictDirective
	o.directive = directive{kind: d.Kind, effect: r.Effect, dryRun: d.DryRun, report: identity.NewReport(d, r)}
	o.rows = append(o.rows, o.directive.report.Row(k.Realm, d.ID))
	if d.DryRun {
		return nil
	}
	o.rows = append(o.rows, r.Rows...)
	o.changes = append(o.changes, r.Changes...)
	o.mapRows = append(o.mapRows, r.MapRows...)
	o.tallies = r.Tallies
	o.seen = append(o.seen, s.seen.Row(k.ID, k.Content, at.stream))
	return nil
}
