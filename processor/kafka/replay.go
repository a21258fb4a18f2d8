package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// ReplayMaxBytes is the most that one fetch of a replay asks for.
	ReplayMaxBytes          = 32 << 20
	replayPartitionMaxBytes = 8 << 20
	// replayQuiet is how long a replay waits for the next record before it asks the leader whether there is one. The client passes
	// in silence over what compaction took and what was aborted.
	replayQuiet = time.Second
	// replayAsks bounds that question.
	replayAsks = 5 * time.Second
	// replayPatience is how long a replay goes on without a record that is there.
	replayPatience = time.Minute
)

// ReadRange hands out the committed records of [from, to) of one partition, in order. It reads with read_committed: to must not lie
// beyond the last stable offset. nil means that all of them were handed out; what does not answer in time is an error, and what is
// gone an *OffsetGoneError.
func (a *Admin) ReadRange(ctx context.Context, tp TopicPartition, from, to int64, each func(*Record) error) error {
	if from >= to {
		return nil
	}
	cfg := *a.cfg
	cfg.Metrics = nil // they are of clients that stay: a second one of a role could not register its own
	opts, err := cfg.opts("replay")
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{tp.Topic: {tp.Partition: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(ReplayMaxBytes), kgo.FetchMaxPartitionBytes(replayPartitionMaxBytes),
	)...)
	if err != nil {
		return fmt.Errorf("read %s partition %d: %w", tp.Topic, tp.Partition, err)
	}
	defer cl.Close()
	moved := time.Now()
	for next := from; next < to; {
		pollCtx, cancel := context.WithTimeout(ctx, replayQuiet)
		fetches := cl.PollFetches(pollCtx)
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		var stepErr error
		fetches.EachRecord(func(r *kgo.Record) {
			switch {
			case stepErr != nil || r.Offset < next: // what comes again was handed out
			case r.Offset >= to:
				next = to
			default:
				next = r.Offset + 1
				if !r.Attrs.IsControl() {
					stepErr = each(r)
				}
			}
		})
		if stepErr != nil {
			return stepErr
		}
		if fetches.NumRecords() > 0 { // whatever error came with them comes again, should it last
			moved = time.Now()
			continue
		}
		for _, e := range fetches.Errors() {
			switch {
			case errors.Is(e.Err, kerr.OffsetOutOfRange):
				return &OffsetGoneError{tp, e.Err}
			case !errors.Is(e.Err, context.DeadlineExceeded):
				return fmt.Errorf("read %s partition %d: %w", tp.Topic, tp.Partition, e.Err)
			}
		}
		more, err := a.anyBetween(ctx, tp, next, to)
		switch {
		case err == nil && !more:
			return nil
		case time.Since(moved) > replayPatience:
			return errors.Join(fmt.Errorf("read %s partition %d: nothing was delivered for %s, at offset %d of %d", tp.Topic, tp.Partition, replayPatience, next, to), err)
		}
	}
	return nil
}

// anyBetween asks the leader of a partition whether there is a committed record in [from, to).
func (a *Admin) anyBetween(ctx context.Context, tp TopicPartition, from, to int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, replayAsks)
	defer cancel()
	topics, err := a.adm.Metadata(ctx, tp.Topic)
	if err != nil {
		return false, err
	}
	topic := topics.Topics[tp.Topic]
	leader, ok := topic.Partitions[tp.Partition]
	if err := errors.Join(topic.Err, leader.Err); err != nil || !ok {
		return false, errors.Join(err, kerr.UnknownTopicOrPartition)
	}
	for from < to {
		part, err := a.fetchOne(ctx, leader.Leader, topic.ID, tp, from)
		if err != nil {
			return false, err
		}
		if len(part.RecordBatches) == 0 { // there is none from here to the last stable offset
			if part.LastStableOffset < to {
				return false, fmt.Errorf("the last stable offset is %d, below %d", part.LastStableOffset, to)
			}
			return false, nil
		}
		read, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
			Offset: from, IsolationLevel: kgo.ReadCommitted(), Topic: tp.Topic, Partition: tp.Partition,
		}, part, kgo.DefaultDecompressor(), nil)
		switch {
		case read.Err != nil:
			return false, read.Err
		case len(read.Records) > 0:
			return read.Records[0].Offset < to, nil
		case next <= from:
			return false, fmt.Errorf("the batch at offset %d cannot be passed", from)
		}
		from = next
	}
	return false, nil
}

// fetchOne reads what a broker has of a partition from an offset on, outside of any fetch session.
func (a *Admin) fetchOne(ctx context.Context, broker int32, topicID [16]byte, tp TopicPartition, from int64) (*kmsg.FetchResponseTopicPartition, error) {
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = tp.Partition, from, replayPartitionMaxBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = tp.Topic, topicID, append(topic.Partitions, part)
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.IsolationLevel, req.SessionEpoch, req.Topics = replayPartitionMaxBytes, 1, -1, append(req.Topics, topic)
	answer, err := a.cl.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("a fetch of one partition is answered with %d topics", len(resp.Topics))
	}
	got := &resp.Topics[0].Partitions[0]
	if len(got.RecordBatches) == 0 && resp.ThrottleMillis > 0 { // a quota was exceeded: that nothing came means nothing
		return nil, fmt.Errorf("the broker delays fetches for %d ms: a quota is exceeded", resp.ThrottleMillis)
	}
	return got, kerr.ErrorForCode(got.ErrorCode)
}
