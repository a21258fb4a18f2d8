package processor

import (
	"context"
	"log/slog"
	"time"

	"kinfold/processor/kafka"
)

// purgeEvery bounds how often the files of a partition are rewritten for what was erased: it costs reading and writing all that
// is known of its identifiers. The first erase after a start does not wait.
const purgeEvery = 10 * time.Minute

// purge rewrites the files of one partition in the background, so that nothing erased is left in them.
type purge struct {
	erasures uint64
	began    time.Time
	cancel   context.CancelFunc
	done     chan struct{} // closed when err is set
	err      error
}

// purgeErased begins to rewrite the files of partitions with erasures, and opens those anew of which it is done: between two
// transactions, when nobody reads them.
func (a *assigner) purgeErased(ctx context.Context, s *kafka.Session, open map[int32]*partition) error {
	for id, p := range open {
		switch {
		case p.purge != nil && p.purge.finished():
			if err := a.finishPurge(ctx, s, id, p, open); err != nil {
				return err
			}
		case p.purge == nil && p.store.Erasures() > 0 && time.Since(a.purged[id]) >= purgeEvery:
			p.beginPurge(s)
		}
	}
	return nil
}

func (p *partition) beginPurge(s *kafka.Session) {
	ctx, cancel := context.WithCancel(context.Background())
	work := &purge{erasures: p.store.Erasures(), began: time.Now(), cancel: cancel, done: make(chan struct{})}
	store := p.store
	go func() {
		work.err = store.Compact(ctx)
		close(work.done)
		s.Wake()
	}()
	p.purge = work
}

func (w *purge) finished() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (a *assigner) finishPurge(ctx context.Context, s *kafka.Session, id int32, p *partition, open map[int32]*partition) error {
	work := p.purge
	a.purged[id] = time.Now()
	if work.err != nil {
		a.log.Warn("files still hold what was erased; the next attempt comes by itself", "partition", id, "error", work.err, "in", purgeEvery)
		p.purge = nil
		return nil
	}
	p.close(a.log)
	delete(open, id)
	next, err := a.openPartition(ctx, p.tp, p.assignment)
	if err != nil {
		return err
	}
	if err := next.store.Purged(work.erasures); err != nil {
		next.close(a.log)
		return stopState(err)
	}
	a.log.Info("what was erased is gone from the files", "partition", id, "erasures", work.erasures, "took", time.Since(work.began).Round(time.Millisecond))
	if !s.Owns(p.tp, p.assignment) {
		next.close(a.log)
		return nil
	}
	open[id] = next
	a.holdings.put(id, next.store)
	return nil
}

// stopPurge ends a purge that is under way: the store is about to be closed.
func (p *partition) stopPurge(log *slog.Logger) {
	if p.purge == nil {
		return
	}
	p.purge.cancel()
	<-p.purge.done
	if p.purge.err != nil {
		log.Debug("rewriting the files of a store ended early; its next life begins again", "partition", p.tp.Partition, "error", p.purge.err)
	}
	p.purge = nil
}
