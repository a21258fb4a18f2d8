package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Newest returns the n newest committed records of a topic by timestamp, the oldest of them first. It looks at the last n of each
// partition, reads without a group, and commits nothing. What is in transactions under way is not there yet.
func (a *Admin) Newest(ctx context.Context, topic string, partitions int32, n int) ([]*Record, error) {
	var all []*Record
	for p := range partitions {
		last, err := a.lastOf(ctx, TopicPartition{topic, p}, n)
		if err != nil {
			return nil, err
		}
		all = append(all, last...)
		slices.SortFunc(all, func(a, b *Record) int {
			return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
		})
		all = slices.Clone(all[max(0, len(all)-n):])
	}
	return all, nil
}

// lastOf returns the last n committed records of a partition. Markers of transactions, what was aborted and what compaction took
// leave holes, so that it goes further back until it has n or is at the start.
func (a *Admin) lastOf(ctx context.Context, tp TopicPartition, n int) ([]*Record, error) {
	b, err := a.Bounds(ctx, tp)
	if err != nil {
		return nil, err
	}
	end := b.Stable
	var found []*Record // in order; end is where it begins
	for span := int64(n); end > b.Start && len(found) < n; span *= 2 {
		from := max(b.Start, end-span)
		var part []*Record
		err := a.ReadRange(ctx, tp, from, end, func(r *Record) error {
			part = append(part, r)
			if len(part) >= 2*n {
				part = slices.Clone(part[len(part)-n:])
			}
			return nil
		})
		var gone *OffsetGoneError
		if errors.As(err, &gone) {
			// The retention took the start meanwhile.
			again, boundsErr := a.Bounds(ctx, tp)
			if boundsErr != nil || again.Start <= from {
				return nil, errors.Join(err, boundsErr)
			}
			b.Start = again.Start
			continue
		}
		if err != nil {
			return nil, err
		}
		found, end = append(part, found...), from
	}
	return found[max(0, len(found)-n):], nil
}
