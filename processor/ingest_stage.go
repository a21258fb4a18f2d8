package processor

import (
	"context"
	"log/slog"
	"slices"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/source/mapping"
	"kinfold/schemas"
)

// ingestStage holds the effects of stage 1: it has no state of its own, so there is nothing to restore or to apply.
type ingestStage struct {
	core    *ingestStep
	framing schemas.Framing
	topics  *topicPlan
	forward []string
	metrics *metrics
	tally   *tally
	arena   arena
	record  mapping.Record   // reused
	parked  []parked         // of the record at hand, one for each reason
	realms  map[string]int32 // partition by realm
}

func (s *ingestStage) assign(_ context.Context, session *kafka.Session) error {
	session.Assigned() // what is assigned is read at once
	return nil
}

// prepare makes the schemas known that the batch was written with. While the registry is away it waits: lag grows, nothing
// is rejected or reordered.
func (s *ingestStage) prepare(ctx context.Context, batch []*kafka.Record) error {
	for _, r := range batch {
		in := s.core.inputs[r.Topic]
		if in.avro == nil {
			continue
		}
		s.fill(r)
		if err := in.avro.learn(ctx, r.Value, valueOf(s.record.Headers)); err != nil {
			return err
		}
	}
	return nil
}

func (s *ingestStage) step(ctx context.Context, session *kafka.Session, r *kafka.Record) error {
	s.tally.in[r.Topic]++
	in := s.core.inputs[r.Topic]
	s.fill(r)
	s.parked = s.parked[:0]
	origin := interaction.Origin{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	s.core.step(&s.record, origin, func(t *taken) { s.take(ctx, session, r, in, t) })
	for i := range s.parked {
		session.Produce(ctx, s.parked[i].record(&s.arena, s.topics.rejects, r))
		s.tally.reject(s.parked[i].reject.Reason, s.topics.rejects)
	}
	return nil
}

// fill makes the record that the step sees.
func (s *ingestStage) fill(r *kafka.Record) {
	s.record = mapping.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp.UnixMilli(), Headers: s.record.Headers[:0]}
	for _, h := range r.Headers {
		s.record.Headers = append(s.record.Headers, mapping.Header{Name: h.Key, Value: h.Value})
	}
}

// take does what became of a record, or of one of its elements. Rejects wait until all of the record is known.
func (s *ingestStage) take(ctx context.Context, session *kafka.Session, r *kafka.Record, in *input, t *taken) {
	switch {
	case t.ignored != "":
		s.tally.verdicts[verdictIgnored]++
		s.tally.ignored[[2]string{in.mapping.Source(), t.ignored}]++
		return
	case t.reject != nil:
		s.park(in, t)
		return
	}
	out := s.arena.record(s.topics.keyed)
	out.Key = s.core.normalizer.RecordKey(t.keyed)
	out.Value = s.arena.bytes(len(r.Value)+keyedOverhead, func(b []byte) []byte {
		return schemas.AppendKeyed(s.framing.Append(b, schemas.KindKeyed), t.keyed)
	})
	out.Headers = forwarded(r.Headers, s.forward)
	out.Partition = s.partition(t.keyed.Realm)
	if reject := s.topics.tooLarge(out); reject != nil {
		t.reject = reject
		s.park(in, t)
		return
	}
	session.Produce(ctx, out)
	s.tally.out[out.Topic]++
	if t.keyed.Directive != nil {
		s.tally.verdicts[verdictDirective]++
	} else {
		s.tally.verdicts[verdictEvent]++
	}
}

// park keeps a reject until the record is done. A record is parked once for each reason, however many of its elements have it:
// each copy is the whole record.
func (s *ingestStage) park(in *input, t *taken) {
	s.tally.verdicts[verdictReject]++
	if in.mapping != nil {
		s.tally.mapped[[2]string{in.mapping.Source(), string(t.reject.Reason)}]++
	}
	for i := range s.parked {
		if p := &s.parked[i]; p.reject.Reason == t.reject.Reason {
			p.add(t)
			return
		}
	}
	s.parked = append(s.parked, parked{})
	s.parked[len(s.parked)-1].add(t)
}

func (s *ingestStage) partition(realm string) int32 {
	p, ok := s.realms[realm]
	if !ok {
		p = kafka.PartitionOf(realm, s.topics.keyedPartitions)
		s.realms[realm] = p
	}
	return p
}

func (s *ingestStage) full() bool { return false }

func (s *ingestStage) seal(context.Context, *kafka.Session) error {
	s.tally.normalizer = s.core.normalizer.TakeTallies()
	return nil
}

func (s *ingestStage) apply() error {
	s.metrics.commit(s.tally)
	return nil
}

func (s *ingestStage) drop() {
	s.core.normalizer.TakeTallies()
	s.tally.reset()
}

// keyedOverhead is what a keyed record has beside the bytes of its input, roughly: hashes, origin, realm, framing.
const keyedOverhead = 256

// forwarded keeps the headers that travel on.
func forwarded(headers []kafka.Header, names []string) []kafka.Header {
	var kept []kafka.Header
	for _, h := range headers {
		if slices.Contains(names, h.Key) {
			kept = append(kept, h)
		}
	}
	return kept
}

func newIngestStage(c *config.Config, registry *schemas.Registry, log *slog.Logger, framing schemas.Framing, topics *topicPlan, m *metrics) (*ingestStage, error) {
	s := &ingestStage{
		framing: framing, topics: topics,
		forward: c.ForwardHeaders, metrics: m, tally: newTally(ingestName), realms: map[string]int32{},
	}
	inputs, err := newInputs(c, registry, log)
	if err != nil {
		return nil, err
	}
	s.core = newIngestStep(&c.Identity, inputs)
	return s, nil
}
