package kafka

import "context"

// AnyBetween is what a replay asks when nothing is delivered.
func (a *Admin) AnyBetween(ctx context.Context, tp TopicPartition, from, to int64) (bool, error) {
	return a.anyBetween(ctx, tp, from, to)
}
