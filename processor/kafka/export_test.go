package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// AnyBetween is what a replay asks when nothing is delivered.
func (a *Admin) AnyBetween(ctx context.Context, tp TopicPartition, from, to int64) (bool, error) {
	return a.anyBetween(ctx, tp, from, to)
}

// Rewind has the client hand out a partition from an offset on once more.
func (s *Session) Rewind(tp TopicPartition, at int64) {
	s.gts.Client().SetOffsets(map[string]map[int32]kgo.EpochOffset{tp.Topic: {tp.Partition: {Epoch: -1, Offset: at}}})
}
