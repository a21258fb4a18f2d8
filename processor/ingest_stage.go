package processor

import (
	"context"
	"slices"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/source"
	"kinfold/schemas"
)

// ingestStage holds the effects of stage 1: it has no state of its own, so there is nothing to restore or to apply.
type ingestStage struct {
	core    *ingestStep
	avro    *avroFormat
	isAvro  map[string]bool // by input topic
	framing schemas.Framing
	topics  *topicPlan
	forward []string
	metrics *metrics
	tally   *tally
	arena   arena
	keyed   interaction.Keyed // reused
	realms  map[string]int32  // partition by realm
}

func (s *ingestStage) assign(_ context.Context, session *kafka.Session) error {
	session.Assigned() // what is assigned is read at once
	return nil
}

// prepare makes the schemas known that the batch was written with. While the registry is away it waits: lag grows, nothing
// is rejected or reordered.
func (s *ingestStage) prepare(ctx context.Context, batch []*kafka.Record) error {
	for _, r := range batch {
		if s.isAvro[r.Topic] {
			if err := s.avro.learn(ctx, r.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *ingestStage) step(ctx context.Context, session *kafka.Session, r *kafka.Record) error {
	s.tally.in[r.Topic]++
	origin := interaction.Origin{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	if reject := s.core.step(r.Value, r.Timestamp.UnixMilli(), origin, &s.keyed); reject != nil {
		s.park(ctx, session, r, reject)
		return nil
	}
	out := s.arena.record(s.topics.keyed)
	out.Key = s.core.normalizer.RecordKey(&s.keyed)
	out.Value = s.arena.bytes(len(r.Value)+keyedOverhead, func(b []byte) []byte {
		return schemas.AppendKeyed(s.framing.Append(b, schemas.KindKeyed), &s.keyed)
	})
	out.Headers = forwarded(r.Headers, s.forward)
	out.Partition = s.partition(s.keyed.Realm)
	if reject := s.topics.tooLarge(out); reject != nil {
		s.park(ctx, session, r, reject)
		return nil
	}
	session.Produce(ctx, out)
	s.tally.out[out.Topic]++
	s.tally.verdicts[verdictEvent]++
	return nil
}

func (s *ingestStage) park(ctx context.Context, session *kafka.Session, r *kafka.Record, reject *interaction.Reject) {
	session.Produce(ctx, rejectRecord(&s.arena, s.topics.rejects, r, ingestName, reject))
	s.tally.reject(reject.Reason, s.topics.rejects)
	s.tally.verdicts[verdictReject]++
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

func newIngestStage(c *config.Config, avro *avroFormat, framing schemas.Framing, topics *topicPlan, m *metrics) *ingestStage {
	s := &ingestStage{
		avro: avro, isAvro: map[string]bool{}, framing: framing, topics: topics,
		forward: c.ForwardHeaders, metrics: m, tally: newTally(ingestName), realms: map[string]int32{},
	}
	formats := decoders(avro.decode)
	byTopic := map[string]source.Decode{}
	for _, src := range c.Sources {
		for _, t := range src.Topics {
			byTopic[t] = formats[src.Format]
			s.isAvro[t] = src.Format == config.FormatAvro
		}
	}
	directives := map[string]decodeDirective{}
	if t := c.Topics.IdentityDirectives; t != "" {
		s.isAvro[t] = c.Topics.IdentityDirectivesFormat == config.FormatAvro
		directives[t] = source.DecodeDirective
		if s.isAvro[t] {
			directives[t] = avro.directive
		}
	}
	s.core = newIngestStep(&c.Identity, byTopic, directives)
	return s
}
