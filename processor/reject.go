package processor

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
)

const (
	// maxDetail bounds the header reject.detail, in bytes.
	maxDetail = 1 << 10
	// recordOverhead is what a record takes on the wire beside key, value and headers, its batch included.
	recordOverhead = 128
	// headerOverhead is what a header takes beside key and value.
	headerOverhead = 10
)

// rejectRecord parks a record: original key, value and headers untouched, with what happened in further headers.
func rejectRecord(a *arena, topic string, r *kafka.Record, stage string, reject *interaction.Reject) *kafka.Record {
	out := a.record(topic)
	out.Key, out.Value = r.Key, r.Value
	out.Headers = make([]kafka.Header, 0, len(r.Headers)+10)
	out.Headers = append(out.Headers, r.Headers...)
	add := func(key, value string) {
		out.Headers = append(out.Headers, kafka.Header{Key: key, Value: []byte(value)})
	}
	add("reject.reason", string(reject.Reason))
	add("reject.detail", shortened(reject.Detail, maxDetail))
	add("reject.stage", stage)
	add("reject.topic", r.Topic)
	add("reject.partition", itoa(r.Partition))
	add("reject.offset", strconv.FormatInt(r.Offset, 10))
	add("reject.timestamp", strconv.FormatInt(r.Timestamp.UnixMilli(), 10))
	return out
}

// parked is a reject of stage 1, of a record or of those of its elements that have one reason.
type parked struct {
	reject   interaction.Reject // of the first
	elements []int              // their places, from 0; none: the record as a whole
	more     int                // elements beyond maxElements
}

// maxElements is how many elements of a record the header reject.elements names.
const maxElements = 100

func (p *parked) add(t *taken) {
	if p.reject.Reason == "" {
		p.reject = *t.reject
	}
	switch {
	case t.element < 0:
	case len(p.elements) < maxElements:
		p.elements = append(p.elements, t.element)
	default:
		p.more++
	}
}

// record parks the record. Its elements without this reject went their way: when it is sent again, those are duplicates.
func (p *parked) record(a *arena, topic string, r *kafka.Record) *kafka.Record {
	out := rejectRecord(a, topic, r, ingestName, &p.reject)
	if len(p.elements) == 0 {
		return out
	}
	var list []byte
	for i, e := range p.elements {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, int64(e), 10)
	}
	if p.more > 0 {
		list = fmt.Appendf(list, " and %d more", p.more)
	}
	out.Headers = append(out.Headers, kafka.Header{Key: "reject.elements", Value: list})
	return out
}

// addOrigin tells of a keyed record where its interaction was read.
func addOrigin(r *kafka.Record, o interaction.Origin) {
	r.Headers = append(r.Headers,
		kafka.Header{Key: "reject.origin.topic", Value: []byte(o.Topic)},
		kafka.Header{Key: "reject.origin.partition", Value: []byte(itoa(o.Partition))},
		kafka.Header{Key: "reject.origin.offset", Value: strconv.AppendInt(nil, o.Offset, 10)})
}

// shortened cuts text to at most limit bytes, between characters.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// topicPlan is what the stages know of the topics that they write.
type topicPlan struct {
	keyed, seen, identity            string // ours
	unified, changes, idmap, rejects string // public
	keyedPartitions                  int
	keyedID                          [16]byte
	limits                           map[string]int // max.message.bytes by topic
}

func newTopicPlan(c *config.Config) *topicPlan {
	return &topicPlan{
		keyed: c.KeyedTopic(), seen: c.SeenChangelog(), identity: c.IdentityChangelog(),
		unified: c.Topics.UnifiedCustomerEvents, changes: c.Topics.IdentityChanges, idmap: c.Topics.IdentityMap, rejects: c.Topics.Rejects,
		limits: map[string]int{},
	}
}

// ingestOutputs are the topics that stage 1 writes to.
func (p *topicPlan) ingestOutputs() []string { return []string{p.keyed, p.rejects} }

// resolveOutputs are the topics that stage 2 writes to.
func (p *topicPlan) resolveOutputs() []string {
	return []string{p.seen, p.identity, p.unified, p.changes, p.idmap, p.rejects}
}

// limit is the largest record that a topic takes, in bytes on the wire.
func (p *topicPlan) limit(topic string) int {
	if n, ok := p.limits[topic]; ok {
		return n
	}
	return kafkaMaxMessageBytes
}

// tooLarge says why a record does not fit its topic; nil where it does.
func (p *topicPlan) tooLarge(r *kafka.Record) *interaction.Reject {
	size := recordOverhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += headerOverhead + len(h.Key) + len(h.Value)
	}
	if limit := p.limit(r.Topic); size > limit {
		return &interaction.Reject{
			Reason: interaction.ReasonTooLarge,
			Detail: fmt.Sprintf("a record of %d bytes for topic %s exceeds its max.message.bytes of %d", size, r.Topic, limit),
		}
	}
	return nil
}
