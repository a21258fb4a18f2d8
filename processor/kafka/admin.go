package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Admin asks the cluster about topics and offsets. It starts no background work until it is first used.
type Admin struct {
	cl  *kgo.Client
	adm *kadm.Client
	cfg *Config
}

// NewAdmin returns an Admin; Close ends its connections.
func NewAdmin(c *Config) (*Admin, error) {
	opts, err := c.opts("admin")
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("open an admin client: %w", err)
	}
	return &Admin{cl: cl, adm: kadm.NewClient(cl), cfg: c}, nil
}

// Close ends the connections.
func (a *Admin) Close() { a.cl.Close() }

// Ping reports whether a broker answers.
func (a *Admin) Ping(ctx context.Context) error { return a.cl.Ping(ctx) }

// CommittedOffset returns the group's committed offset of a partition, waiting until no transaction is about to change it. It is -1
// where nothing was ever committed.
func (a *Admin) CommittedOffset(ctx context.Context, group string, tp TopicPartition) (int64, error) {
	offsets, err := stableOffsets(ctx, a.cl, group, tp)
	if err != nil {
		return 0, fmt.Errorf("fetch the committed offset of group %s for %s partition %d: %w", group, tp.Topic, tp.Partition, err)
	}
	if offset, ok := offsets[tp]; ok {
		return offset, nil
	}
	return -1, nil
}

// stableOffsets fetches committed offsets of a group, waiting until no transaction is about to change any of them (OffsetFetch with
// require_stable). What was never committed is -1 or absent: brokers differ.
func stableOffsets(ctx context.Context, cl *kgo.Client, group string, of ...TopicPartition) (map[TopicPartition]int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	// Version 8 and later ask by group, earlier ones by the top-level fields; the client picks the version.
	req.Group = group
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	asked := kadm.TopicsSet{}
	for _, tp := range of {
		asked.Add(tp.Topic, tp.Partition)
	}
	for _, t := range asked.Sorted() {
		top := kmsg.NewOffsetFetchRequestTopic()
		top.Topic, top.Partitions = t.Topic, t.Partitions
		req.Topics = append(req.Topics, top)
		gt := kmsg.NewOffsetFetchRequestGroupTopic()
		gt.Topic, gt.Partitions = t.Topic, t.Partitions
		g.Topics = append(g.Topics, gt)
	}
	req.Groups = append(req.Groups, g)
	for backoff := time.Millisecond; ; backoff = min(2*backoff, 500*time.Millisecond) {
		offsets, err := offsetsIn(req.RequestWith(ctx, cl))
		switch {
		case err == nil:
			return offsets, nil
		case errors.Is(err, kerr.GroupIDNotFound):
			return nil, nil
		case !errors.Is(err, kerr.UnstableOffsetCommit) && !kerr.IsRetriable(err):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", ctx.Err(), err)
		case <-time.After(backoff):
		}
	}
}

func offsetsIn(resp *kmsg.OffsetFetchResponse, err error) (map[TopicPartition]int64, error) {
	if err != nil {
		return nil, err
	}
	err = kerr.ErrorForCode(resp.ErrorCode)
	offsets := map[TopicPartition]int64{}
	for _, g := range resp.Groups {
		err = errors.Join(err, kerr.ErrorForCode(g.ErrorCode))
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				offsets[TopicPartition{t.Topic, p.Partition}] = p.Offset
				err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			offsets[TopicPartition{t.Topic, p.Partition}] = p.Offset
			err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return offsets, err
}

// Bounds are the offsets of a partition: its first record, its last stable offset and its high watermark.
type Bounds struct{ Start, Stable, End int64 }

// Bounds asks for the three offsets of a partition. The high watermark is asked for first, so that
// Stable >= End means that everything written before the call is decided.
func (a *Admin) Bounds(ctx context.Context, tp TopicPartition) (b Bounds, err error) {
	get := func(list func(context.Context, ...string) (kadm.ListedOffsets, error)) int64 {
		if err != nil {
			return 0
		}
		listed, e := list(ctx, tp.Topic)
		if e == nil {
			o, ok := listed.Lookup(tp.Topic, tp.Partition)
			if ok && o.Err == nil {
				return o.Offset
			}
			if e = o.Err; !ok {
				e = kerr.UnknownTopicOrPartition
			}
		}
		err = fmt.Errorf("list the offsets of %s partition %d: %w", tp.Topic, tp.Partition, e)
		return 0
	}
	b.Start = get(a.adm.ListStartOffsets)
	b.End = get(a.adm.ListEndOffsets)
	b.Stable = get(a.adm.ListCommittedOffsets)
	return b, err
}

// Leave takes a static member out of its group, so that the others get its partitions at once.
func (a *Admin) Leave(ctx context.Context, group, instanceID string) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	_, err := a.adm.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs(instanceID).Reason("stopped"))
	if err != nil {
		return fmt.Errorf("leave group %s: %w", group, err)
	}
	return nil
}

// errFound ends a replay early.
var errFound = errors.New("found")

// Drained reports whether the group has committed everything that was written to the topics before the call. Control records and
// what was aborted do not count: they are never handed out. Records of a transaction whose markers are still on their way do:
// they cannot be read yet, but they will be.
func (a *Admin) Drained(ctx context.Context, group string, topics ...string) (bool, error) {
	committed, err := a.adm.FetchOffsetsForTopics(ctx, group, topics...)
	if err != nil {
		return false, fmt.Errorf("fetch the offsets of group %s: %w", group, err)
	}
	written, err := a.adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return false, fmt.Errorf("list the ends of topics: %w", err)
	}
	ends, err := a.adm.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return false, fmt.Errorf("list the stable ends of topics: %w", err)
	}
	starts, err := a.adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return false, fmt.Errorf("list the starts of topics: %w", err)
	}
	drained := true
	ends.Each(func(end kadm.ListedOffset) {
		if w, ok := written.Lookup(end.Topic, end.Partition); !ok || end.Offset < w.Offset {
			drained = false
			return
		}
		start, _ := starts.Lookup(end.Topic, end.Partition)
		at := start.Offset
		if c, ok := committed.Lookup(end.Topic, end.Partition); ok && c.At >= 0 {
			at = max(at, c.At)
		}
		if err != nil || !drained || at >= end.Offset {
			return
		}
		err = a.ReadRange(ctx, TopicPartition{end.Topic, end.Partition}, at, end.Offset, func(*Record) error { return errFound })
		if errors.Is(err, errFound) {
			drained, err = false, nil
		}
	})
	return drained, err
}

// Committed is the number of records of the topics that the group has committed, counted from offset 0.
func (a *Admin) Committed(ctx context.Context, group string, topics ...string) (n int64, err error) {
	offsets, err := a.adm.FetchOffsetsForTopics(ctx, group, topics...)
	if err != nil {
		return 0, fmt.Errorf("fetch the offsets of group %s: %w", group, err)
	}
	offsets.Each(func(o kadm.OffsetResponse) { n += max(0, o.At) })
	return n, nil
}
