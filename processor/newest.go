package processor

import (
	"context"
	"fmt"
	"io"

	"kinfold/processor/config"
	"kinfold/processor/kafka"
	"kinfold/processor/source/mapping"
	"kinfold/processor/try"
)

// NewestRecords reads the n newest committed records of a topic by their timestamps, the oldest of them first, for a trial of a
// mapping. It leaves no trace in the cluster: no group, no offset.
func NewestRecords(ctx context.Context, c *config.Config, topic string, n int) (try.Records, error) {
	admin, err := openAdmin(c)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	states, err := admin.Describe(ctx, topic)
	if err != nil {
		return nil, err
	}
	if !states[topic].Exists {
		return nil, fmt.Errorf("there is no topic %s, or this user may not describe it", topic)
	}
	found, err := admin.Newest(ctx, topic, states[topic].Partitions, n)
	if err != nil {
		return nil, fmt.Errorf("read the newest records of %s: %w", topic, err)
	}
	records := &newestRecords{}
	for _, r := range found {
		records.list = append(records.list, triedRecord(r))
	}
	return records, nil
}

func triedRecord(r *kafka.Record) *try.Record {
	out := &try.Record{
		Record: mapping.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp.UnixMilli()},
		Place:  fmt.Sprintf("partition %d offset %d", r.Partition, r.Offset),
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, mapping.Header{Name: h.Key, Value: h.Value})
	}
	return out
}

// newestRecords hands out records that are at hand.
type newestRecords struct{ list []*try.Record }

func (r *newestRecords) Next() (*try.Record, error) {
	if len(r.list) == 0 {
		return nil, io.EOF
	}
	next := r.list[0]
	r.list = r.list[1:]
	return next, nil
}

func (r *newestRecords) Idle() bool { return false }
