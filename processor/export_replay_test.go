package processor

import (
	"kinfold/processor/config"
	"kinfold/processor/dedup"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/table"
	"kinfold/schemas"
)

// Replay takes the records of one keyed partition through the pure step of stage 2, one after the other, with no transaction,
// overlay, store or Kafka in between: what the effects around the step have to amount to.
type Replay struct {
	stage  *resolveStage
	view   *memoryView
	recent *dedup.Recent
	stream int64

	directed bool
}

// NewReplay begins at the start of a partition.
func NewReplay(c *config.Config) (*Replay, error) {
	core, err := newResolveStep(&c.Identity)
	if err != nil {
		return nil, err
	}
	r := &Replay{view: newMemoryView(), stage: &resolveStage{core: core, framing: schemas.SingleObject(), topics: newTopicPlan(c), tally: newTally(resolveName)}}
	r.recent, err = core.seen.NewRecent(r.view, 0, dedup.DefaultRecentBytes)
	return r, err
}

// Step returns what a record causes: records in the order in which they are produced, and rows. A row without value is deleted.
func (r *Replay) Step(rec *kafka.Record) (out []*kafka.Record, rows []table.Row, err error) {
	s := r.stage
	r.stream = max(r.stream, rec.Timestamp.UnixMilli())
	body, err := s.framing.Body(rec.Value, schemas.KindKeyed)
	if err == nil {
		err = schemas.DecodeKeyed(body, &s.keyed)
	}
	if err != nil {
		s.keyed.Origin = interaction.Origin{}
		return nil, nil, err
	}
	if err := s.core.step(r.view, &s.keyed, moment{r.stream, uint64(rec.Offset), r.recent, r.directed}, &s.outcome); err != nil {
		return nil, nil, err
	}
	if len(s.outcome.seen) > 0 {
		r.recent.Add(s.core.seen, s.keyed.ID, r.stream)
	}
	r.directed = r.directed || s.outcome.verdict == verdictDirective && !s.outcome.directive.dryRun
	s.encode(rec)
	rows = append(append(rows, s.outcome.rows...), s.outcome.seen...)
	r.view.put(rows)
	return append(out, s.out...), rows, nil
}

// Ready is what /readyz says.
func (p *Processor) Ready() bool {
	ready, _ := p.health()
	return ready
}
