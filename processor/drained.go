package processor

import (
	"context"
	"time"

	"kinfold/processor/config"
)

// AwaitDrained waits until the first records of the inputs, as many as are asked for, and all that follows from them, are
// committed by both stages.
func AwaitDrained(ctx context.Context, c *config.Config, records int64) error {
	const every = 100 * time.Millisecond
	admin, err := openAdmin(c)
	if err != nil {
		return err
	}
	defer admin.Close()
	for {
		committed, err := admin.Committed(ctx, c.Group(config.StageIngest), c.InputTopics()...)
		if err == nil && committed >= records {
			if done, err := admin.Drained(ctx, c.Group(config.StageResolve), c.KeyedTopic()); err == nil && done {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}
