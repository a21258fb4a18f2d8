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
	}, nil
}

// moment is where a keyed interaction stands in its log.
type moment struct {
	stream int64         // stream time, epoch ms
	seq    uint64        // offset in the keyed topic: the name of what the interaction brings into being
	recent *dedup.Recent // of the view
}

// step resolves k, which o refers to afterwards.
func (s *resolveStep) step(view table.View, k *interaction.Keyed, at moment, o *outcome) error {
	o.reset()
	seen, err := s.seen.Check(view, k.ID, k.Content, at.stream, at.recent)
	if err != nil {
		return err
	}
	if seen == dedup.Conflict {
		o.park(interaction.ReasonDuplicateConflict, "an interaction with this source and event_id but other content was accepted before; the first one stands")
		return nil
	}
	usable := k.Usable()
	s.evidence = identity.Evidence{
		Realm: k.Realm, Identifiers: usable, At: s.clock.At(k.OccurredAt, k.ReceivedAt),
		Source: k.Source, SourceEventID: k.SourceEventID, Origin: k.Origin, Seq: at.seq, Duplicate: seen == dedup.Duplicate,
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
