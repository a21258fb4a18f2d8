package processor

import (
	"context"

	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/processor/table"
)

// tailBatch is the number of rows that a roll-forward writes at once.
const tailBatch = 5_000

// tail rolls a store forward that has most of it already. Rows may be written twice without harm. The position moves only
// when both changelogs are read: a crash in between repeats the work.
func (r *restore) tail(ctx context.Context, position state.Position, seen, identity kafka.Bounds) error {
	var batch []table.Row
	flush := func(p state.Position) error {
		err := r.p.store.ApplyLogged(batch, p)
		batch = batch[:0]
		return stopState(err)
	}
	collect := func(rows []table.Row) error {
		batch = append(batch, rows...)
		if len(batch) >= tailBatch {
			return flush(position)
		}
		return nil
	}
	// Seen rows whose records are gone have left the window, too.
	if err := r.readSeen(ctx, max(position.SeenNext, seen.Start), seen.End, collect); err != nil {
		return err
	}
	if err := r.readIdentity(ctx, position.IdentityNext, identity.End, collect); err != nil {
		return err
	}
	target := r.target(position, seen, identity)
	if err := r.complete(target.KeyedNext); err != nil {
		return err
	}
	return flush(target)
}

// full fills an empty store: all rows are sorted into tables and taken in at once.
func (r *restore) full(ctx context.Context, seen, identity kafka.Bounds) error {
	r.log.Info("restoring a partition from its changelogs", "partition", r.p.tp.Partition,
		"records", seen.End-seen.Start+identity.End-identity.Start)
	fill, err := r.p.store.NewRestorer(nil)
	if err != nil {
		return stopState(err)
	}
	defer fill.Close()
	add := func(rows []table.Row) error { return stopState(fill.Put(rows)) }
	if err := r.readSeen(ctx, seen.Start, seen.End, add); err != nil {
		return err
	}
	if err := r.readIdentity(ctx, identity.Start, identity.End, add); err != nil {
		return err
	}
	target := r.target(r.p.store.Position(), seen, identity)
	if err := r.complete(target.KeyedNext); err != nil {
		return err
	}
	return stopState(fill.Finish(ctx, target))
}
