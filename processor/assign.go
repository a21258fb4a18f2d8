package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"kinfold/processor/dedup"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/processor/table"
)

// assigner opens, restores and closes the stores of keyed partitions as they come and go.
type assigner struct {
	group    string
	topics   *topicPlan
	stores   *state.Stores
	holdings *holdings
	identity state.Identity // of every partition's store; the partition is filled in
	admin    *kafka.Admin
	window   *dedup.Window
	metrics  *metrics
	log      *slog.Logger
	purged   map[int32]time.Time // when the files of a partition were last rewritten, see purge.go
}

// bring makes open what the session owns: it works from the difference of assignments, not from counting callbacks.
func (a *assigner) bring(ctx context.Context, s *kafka.Session, open map[int32]*partition) error {
	owned, changed := s.Assigned()
	if !changed {
		return nil
	}
	for id, p := range open {
		if owned[p.tp] == p.assignment {
			continue
		}
		p.close(a.log)
		delete(open, id)
		a.metrics.forget(p.label)
	}
	for tp := range owned {
		if open[tp.Partition] != nil {
			delete(owned, tp)
		}
	}
	gained, err := a.openAll(ctx, owned)
	if err != nil {
		return err
	}
	for _, p := range gained {
		if !s.Owns(p.tp, p.assignment) { // it went while we restored it: what is on disk serves the next time
			p.close(a.log)
			continue
		}
		open[p.tp.Partition] = p
		a.holdings.put(p.tp.Partition, p.store)
		s.Resume(p.tp)
	}
	return nil
}

// openAtOnce is how many partitions are opened side by side: most of it is waiting, for the disk or for brokers. A full restore of
// each takes the memory of a sort.
const openAtOnce = 4

// openAll opens partitions, in their order. The first error ends it, and nothing stays open.
func (a *assigner) openAll(ctx context.Context, of map[kafka.TopicPartition]uint64) ([]*partition, error) {
	all := slices.SortedFunc(maps.Keys(of), func(a, b kafka.TopicPartition) int { return cmp.Compare(a.Partition, b.Partition) })
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	opened := make([]*partition, len(all))
	places := make(chan struct{}, openAtOnce)
	var wg sync.WaitGroup
	for i, tp := range all {
		places <- struct{}{}
		if work.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			p, err := a.openPartition(work, tp, of[tp])
			if err != nil {
				stop(err)
				return
			}
			opened[i] = p
		})
	}
	wg.Wait()
	if work.Err() == nil {
		return opened, nil
	}
	for _, p := range opened {
		if p != nil {
			p.close(a.log)
		}
	}
	return nil, context.Cause(work)
}

// openPartition opens the store of a partition and rolls it forward to what is committed. The session has fenced its former
// life already. The order matters: the committed offset is fetched stable, and only then the changelogs' ends are asked for,
// so that everything that belongs to the offset lies before them.
func (a *assigner) openPartition(ctx context.Context, tp kafka.TopicPartition, assignment uint64) (_ *partition, err error) {
	began := time.Now()
	id := a.identity
	id.Partition = tp.Partition
	store, err := a.stores.Open(tp.Partition, id)
	if err != nil {
		return nil, stopState(err)
	}
	p := &partition{tp: tp, assignment: assignment, store: store, holdings: a.holdings, label: itoa(tp.Partition), syncedAt: began}
	defer func() {
		if err != nil {
			p.close(a.log)
		}
	}()
	committed, err := a.admin.CommittedOffset(ctx, a.group, tp)
	if err != nil {
		return nil, err
	}
	r := &restore{assigner: a, p: p, committed: committed}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	p.overlay = p.store.NewOverlay()
	if p.recent, err = a.window.NewRecent(p.overlay, p.store.Position().StreamTime, dedup.DefaultRecentBytes); err != nil {
		return nil, stopState(err)
	}
	position := p.store.Position()
	a.log.Info("partition is open", "partition", tp.Partition, "position", position.KeyedNext, "restored_rows", r.rows,
		"took", time.Since(began).Round(time.Millisecond))
	a.metrics.customers.WithLabelValues(p.label).Set(float64(position.Customers))
	a.metrics.stateBytes.WithLabelValues(p.label).Set(float64(p.store.Stats().DiskBytes))
	return p, nil
}

// restore rolls one store forward.
type restore struct {
	*assigner
	p         *partition
	committed int64
	rows      int64
	logged    *state.LoggedPosition // the last position record read
}

func (r *restore) changelogs() (seen, identity kafka.TopicPartition) {
	return kafka.TopicPartition{Topic: r.topics.seen, Partition: r.p.tp.Partition},
		kafka.TopicPartition{Topic: r.topics.identity, Partition: r.p.tp.Partition}
}

func (r *restore) run(ctx context.Context) error {
	position := r.p.store.Position()
	if err := r.sameHistory(position); err != nil {
		return err
	}
	seenTP, identityTP := r.changelogs()
	seen, err := r.decided(ctx, seenTP)
	if err != nil {
		return err
	}
	identity, err := r.decided(ctx, identityTP)
	if err != nil {
		return err
	}
	switch {
	case r.committed < 0:
		return r.nothingWritten(ctx, identityTP, identity)
	case position.Transaction > 0 && position.IdentityNext < identity.Start:
		if err := r.setAside(identityTP, position.IdentityNext, identity.Start); err != nil {
			return err
		}
		position = r.p.store.Position()
	}
	if position.Transaction == 0 {
		err = r.full(ctx, seen, identity)
	} else {
		err = r.tail(ctx, position, seen, identity)
	}
	return r.unlessLate(ctx, err)
}

// nothingWritten refuses a changelog with committed rows where no offset was ever committed. What was aborted does not count.
func (r *restore) nothingWritten(ctx context.Context, tp kafka.TopicPartition, b kafka.Bounds) error {
	err := r.admin.ReadRange(ctx, tp, b.Start, b.End, func(*kafka.Record) error {
		return stop(fmt.Sprintf("if the offsets of group %s were deleted on purpose, choose another app name; otherwise restore them", r.group),
			"group %s has no committed offset for %s partition %d, but %s is not empty", r.group, r.p.tp.Topic, r.p.tp.Partition, tp.Topic)
	})
	return r.unlessLate(ctx, err)
}

// unlessLate looks once more at the committed offset before it lets an error stop the process: a member that was held up between
// two looks at Kafka, and lost its partitions meanwhile, sees the work of their new owner. That is no other history.
func (r *restore) unlessLate(ctx context.Context, err error) error {
	if !isStop(err) {
		return err
	}
	now, askErr := r.admin.CommittedOffset(ctx, r.group, r.p.tp)
	switch {
	case askErr != nil:
		return askErr
	case now != r.committed:
		return &recovery{"late", fmt.Errorf("the committed offset of %s partition %d went from %d to %d while it was restored: another member has it",
			r.p.tp.Topic, r.p.tp.Partition, r.committed, now)}
	}
	return err
}

// sameHistory refuses a store that claims what was never committed.
func (r *restore) sameHistory(position state.Position) error {
	if position.Transaction == 0 || position.KeyedNext <= r.committed {
		return nil
	}
	return stopState(&state.Error{Kind: state.OtherHistory, Dir: r.p.store.Dir(), Do: "compare with Kafka", Err: fmt.Errorf(
		"the store is at offset %d, but group %s has committed %d for %s partition %d (the offsets were reset, or the directory is a copy from elsewhere)",
		position.KeyedNext, r.group, r.committed, r.p.tp.Topic, r.p.tp.Partition)})
}

// decided waits until every transaction that wrote to the partition before now is decided, and returns its bounds. The markers
// of one transaction reach its partitions one after the other, so a committed offset may be there before the rows are.
func (r *restore) decided(ctx context.Context, tp kafka.TopicPartition) (kafka.Bounds, error) {
	first, err := r.admin.Bounds(ctx, tp)
	bounds := first
	for backoff := 5 * time.Millisecond; err == nil && bounds.Stable < first.End; backoff = min(2*backoff, 200*time.Millisecond) {
		select {
		case <-ctx.Done():
			return bounds, ctx.Err()
		case <-time.After(backoff):
		}
		bounds, err = r.admin.Bounds(ctx, tp)
	}
	bounds.End = first.End
	return bounds, err
}

// setAside puts a store away that the changelog no longer reaches back to, and opens an empty one.
func (r *restore) setAside(tp kafka.TopicPartition, at, start int64) error {
	if err := r.p.store.Close(); err != nil {
		return stopState(err)
	}
	dir, err := r.stores.SetAside(r.p.tp.Partition)
	if err != nil {
		return stopState(err)
	}
	r.log.Warn("the changelog no longer reaches back to the store's position: the store is set aside and restored in full",
		"topic", tp.Topic, "partition", tp.Partition, "position", at, "changelog_start", start, "set_aside", dir)
	id := r.identity
	id.Partition = r.p.tp.Partition
	if r.p.store, err = r.stores.Open(r.p.tp.Partition, id); err != nil {
		return stopState(err)
	}
	return nil
}

// readSeen hands out the rows of the seen changelog in [from, to).
func (r *restore) readSeen(ctx context.Context, from, to int64, each func([]table.Row) error) error {
	tp, _ := r.changelogs()
	left := r.metrics.restoreLeft.WithLabelValues(r.p.label)
	return r.admin.ReadRange(ctx, tp, from, to, func(rec *kafka.Record) error {
		rows, err := dedup.DecodeLogged(rec.Value)
		if err != nil {
			return stop("the changelog is damaged: restore the topic from a backup, or choose another app name", "%s partition %d offset %d: %w", tp.Topic, tp.Partition, rec.Offset, err)
		}
		r.counted(len(rows))
		left.Set(float64(to - rec.Offset - 1))
		return each(rows)
	})
}

// readIdentity hands out the rows of the identity changelog in [from, to), and keeps the last position record.
func (r *restore) readIdentity(ctx context.Context, from, to int64, each func([]table.Row) error) error {
	_, tp := r.changelogs()
	left := r.metrics.restoreLeft.WithLabelValues(r.p.label)
	one := make([]table.Row, 1)
	return r.admin.ReadRange(ctx, tp, from, to, func(rec *kafka.Record) (err error) {
		left.Set(float64(to - rec.Offset - 1))
		if state.IsPositionKey(rec.Key) {
			var logged state.LoggedPosition
			if logged, err = state.ParseLoggedPosition(rec.Value); err == nil {
				err = r.p.store.CheckLogged(logged)
				r.logged = &logged
			}
			return stopState(err)
		}
		if one[0], err = state.ParseRow(rec.Key, rec.Value); err != nil {
			return stop("the changelog is damaged: restore the topic from a backup, or choose another app name", "%s partition %d offset %d: %w", tp.Topic, tp.Partition, rec.Offset, err)
		}
		r.counted(1)
		return each(one)
	})
}

func (r *restore) counted(rows int) {
	r.rows += int64(rows)
	r.metrics.restoreRows.WithLabelValues(r.p.label).Add(float64(rows))
}

// complete checks that the changelogs lead exactly to the committed offset, before the store says that it is there: the ends of the
// two are looked up one after the other, so where others commit meanwhile the one may have what the other has not.
func (r *restore) complete(at int64) error {
	if at != r.committed {
		return stop("the changelog lost records (unclean leader election, deletion by hand), or the offsets were set by hand: restore them, or choose another app name to build a new state from the inputs",
			"after reading the changelogs of %s partition %d the state is at offset %d, but group %s has committed %d",
			r.p.tp.Topic, r.p.tp.Partition, at, r.group, r.committed)
	}
	return nil
}

// target is the position that the changelogs lead to.
func (r *restore) target(was state.Position, seen, identity kafka.Bounds) state.Position {
	if r.logged != nil {
		was.Transaction, was.KeyedNext, was.StreamTime = r.logged.Transaction, r.logged.KeyedNext, max(was.StreamTime, r.logged.StreamTime)
		was.Customers, was.Directives = r.logged.Customers, r.logged.Directives
	}
	was.SeenNext, was.IdentityNext = max(was.SeenNext, seen.End), max(was.IdentityNext, identity.End)
	return was
}

// close syncs and closes the store. What it could not sync is read from the changelog again.
func (p *partition) close(log *slog.Logger) {
	if p.store == nil {
		return
	}
	p.holdings.takeOut(p.tp.Partition)
	p.stopPurge(log)
	if err := p.store.Close(); err != nil {
		log.Error("close the store", "partition", p.tp.Partition, "error", err)
	}
	p.store = nil
}

// stopState makes an error about the state one that ends the process; the state's errors carry their own hint.
func stopState(err error) error {
	var s *StopError
	if err == nil || errors.As(err, &s) {
		return err
	}
	return &StopError{Err: err}
}

func (m *metrics) forget(partition string) {
	m.customers.DeleteLabelValues(partition)
	m.stateBytes.DeleteLabelValues(partition)
	m.restoreLeft.DeleteLabelValues(partition)
}
