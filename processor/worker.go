package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"kinfold/processor/kafka"
)

// stage is what the loop drives: the effects of one of the two stages. All methods run in the loop's goroutine.
type stage interface {
	// assign brings what the stage holds in line with the partitions that it owns. It runs outside of transactions.
	assign(ctx context.Context, s *kafka.Session) error
	// prepare does everything slow that the records need, before a transaction is open.
	prepare(ctx context.Context, batch []*kafka.Record) error
	// step takes one record through the stage's pure step and produces what follows from it.
	step(ctx context.Context, s *kafka.Session, r *kafka.Record) error
	// full reports that the transaction has grown to its bound.
	full() bool
	// seal produces what belongs to the transaction as a whole: the changelog records.
	seal(ctx context.Context, s *kafka.Session) error
	// apply makes the transaction's rows durable locally. The transaction is known to be committed.
	apply() error
	// drop forgets everything that is not known to be committed.
	drop()
}

// limits say when a transaction ends.
type limits struct {
	interval    time.Duration // the normal case
	lagInterval time.Duration // while more than largeLag records wait
	records     int
	bytes       int
}

const (
	// largeLag is the number of waiting records from which commits are made at the longer interval.
	largeLag = 50_000
	// pollRecords is the greatest number of records taken from the client at once.
	pollRecords = 5_000
	// drainTimeout bounds finishing and committing the batch in hand at shutdown.
	drainTimeout = 6 * time.Second
	// recoveries back off from the first to the second.
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
	// unreadyAfter is how long a stage may be in recovery before the process says that it is not ready.
	unreadyAfter = 30 * time.Second
	// restAfter is how long nothing comes before a stage asks whether anything is left.
	restAfter = 2 * time.Second
	// slowAfter is how long records may wait for what they need before the process says so. It stays ready: what it has is right.
	slowAfter = 5 * time.Second
)

// worker runs one stage: THE LOOP. It is the only place where effects are ordered.
type worker struct {
	name    string
	stage   stage
	kafka   *kafka.Config
	options kafka.SessionOptions
	lost    lostInput
	limits  limits
	log     *slog.Logger
	metrics *stageMetrics

	batch  []*kafka.Record                // the records of one poll; reused
	held   map[kafka.TopicPartition]int64 // records that were polled and are not committed yet
	ready  atomic.Bool                    // partitions assigned and restored at least once in this life
	sick   atomic.Int64                   // unix nanoseconds since when recoveries have followed each other; 0: well
	joined atomic.Int64                   // unix nanoseconds since when this session has what the group gave it, restored; 0: not yet
	slow   atomic.Int64                   // unix nanoseconds since when records in hand wait for what they need; 0: they do not
	done   chan struct{}                  // closed when run has returned
}

// run lives one session after the other until ctx ends or an error stops the process.
func (w *worker) run(ctx context.Context) error {
	backoff := minBackoff
	for {
		began := time.Now()
		committed, err := w.live(ctx)
		switch {
		case ctx.Err() != nil && (err == nil || !isStop(err)):
			return nil
		case isStop(err):
			return err
		}
		if committed {
			backoff = minBackoff
		}
		ended := time.Now()
		if w.settled(ended) {
			w.sick.Store(0)
		}
		w.joined.Store(0)
		w.sick.CompareAndSwap(0, ended.UnixNano())
		w.metrics.recoveries.WithLabelValues(causeOf(err)).Inc()
		w.log.Warn("session ended; a new one begins from the last commit", "stage", w.name, "cause", causeOf(err), "error", err, "after", time.Since(began).Round(time.Millisecond), "backoff", backoff)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// live is one session, from fencing the former life to the first error. It reports whether anything was committed.
func (w *worker) live(ctx context.Context) (committed bool, err error) {
	s, err := kafka.OpenSession(ctx, w.kafka, w.options)
	if err != nil {
		return false, stopUndecided(err)
	}
	defer s.Close()
	defer w.stage.drop()
	defer w.released(s)
	for ctx.Err() == nil {
		joined := s.Joined()
		// A crash here or in assign leaves committed state only.
		if err := w.stage.assign(ctx, s); err != nil {
			return committed, err
		}
		if err := s.Settle(ctx); err != nil {
			return committed, err
		}
		if joined { // before assign looked: so what it owns is restored
			w.ready.Store(true)
			w.joined.CompareAndSwap(0, time.Now().UnixNano())
		}
		n, quiet, err := w.await(ctx, s)
		if err != nil {
			return committed, err
		}
		if n == 0 {
			s.AllowRebalance()
			if quiet {
				s.Rest(ctx, w.lost.admin)
				w.reportLag(s)
			}
			continue
		}
		w.slow.Store(time.Now().UnixNano())
		err = w.stage.prepare(ctx, w.batch)
		w.slow.Store(0)
		if err != nil {
			return committed, err
		}
		if err := w.transaction(ctx, s); err != nil {
			return committed, err
		}
		committed = true
		w.released(s)
		w.sick.Store(0)
		s.AllowRebalance()
	}
	return committed, nil
}

// transaction takes the polled batch, and what arrives until the commit is due, through one Kafka transaction.
func (w *worker) transaction(ctx context.Context, s *kafka.Session) error {
	// At shutdown the batch in hand is finished, within a bound. And no transaction outlives the time after which the brokers
	// abort it: the client can wait in End for a heartbeat that waits, in turn, until End allows a rebalance.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.options.TransactionTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })()

	began := time.Now()
	// Begin is local: a crash after it leaves nothing behind.
	if err := s.Begin(); err != nil {
		return err
	}
	if err := w.fill(ctx, work, s, began); err != nil {
		_ = s.Abort(work) // best effort: the next life fences this one in any case
		return err
	}
	if err := w.stage.seal(work, s); err != nil {
		_ = s.Abort(work)
		return err
	}
	// A crash up to here leaves an open transaction: the next life's fence aborts it, and all is read again.
	flushed := time.Now()
	if err := s.Flush(work); err != nil {
		_ = s.Abort(work)
		return err
	}
	// A crash between here and the answer leaves a transaction that the broker decides. Either its offsets, outputs and
	// changelog records are all there, or none is; the store knows of neither.
	if err := s.Commit(work); err != nil {
		w.metrics.commits.WithLabelValues("unknown").Inc()
		return &recovery{"commit", err}
	}
	w.metrics.commits.WithLabelValues("committed").Inc()
	w.metrics.commitSeconds.Observe(time.Since(flushed).Seconds())
	// A crash here leaves the store behind the commit: the next life reads the changelog's tail.
	return w.stage.apply()
}

// fill steps through the batch in hand and polls for more until the commit is due.
func (w *worker) fill(ctx, work context.Context, s *kafka.Session, began time.Time) error {
	records, bytes := 0, 0
	for {
		for _, r := range w.batch {
			if err := w.stage.step(work, s, r); err != nil {
				return err
			}
			bytes += len(r.Key) + len(r.Value)
		}
		records += len(w.batch)
		left := w.due(s) - time.Since(began)
		if left <= 0 || records >= w.limits.records || bytes >= w.limits.bytes || w.stage.full() || s.RebalanceWaits() || ctx.Err() != nil {
			return nil
		}
		wait, cancel := context.WithTimeout(ctx, left)
		_, err := w.poll(wait, s, w.limits.records-records)
		cancel()
		if err != nil {
			return err
		}
		if len(w.batch) == 0 {
			return nil // the interval is over, or the assignment is about to change
		}
		if err := w.stage.prepare(noWait, w.batch); err != nil {
			return err
		}
	}
}

// noWait makes prepare refuse whatever it would have to wait for: nothing slow happens inside a transaction.
var noWait = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (w *worker) due(s *kafka.Session) time.Duration {
	var lag int64
	for _, n := range s.Lag() {
		lag += n
	}
	if lag > largeLag {
		return w.limits.lagInterval
	}
	return w.limits.interval
}

// poll fills w.batch, with no more than a number of records. Records that are gone are the stage's to decide on.
func (w *worker) poll(ctx context.Context, s *kafka.Session, most int) (int, error) {
	clear(w.batch)
	w.batch = w.batch[:0]
	n, err := s.Poll(ctx, min(pollRecords, most), func(r *kafka.Record) { w.batch = append(w.batch, r) })
	w.hold()
	w.reportLag(s)
	var gone *kafka.OffsetGoneError
	if errors.As(err, &gone) {
		return 0, w.lost.decide(ctx, gone, w.options.SkipTo)
	}
	return n, err
}

// await polls between two transactions. It is quiet where something should come and nothing does.
func (w *worker) await(ctx context.Context, s *kafka.Session) (n int, quiet bool, err error) {
	if s.AtRest() {
		n, err = w.poll(ctx, s, w.limits.records)
		return n, false, err
	}
	wait, cancel := context.WithTimeout(ctx, restAfter)
	defer cancel()
	n, err = w.poll(wait, s, w.limits.records)
	return n, wait.Err() != nil, err
}

// hold counts the records of a poll as held. Those of a partition come one behind the other.
func (w *worker) hold() {
	for begin, end := 0, 0; begin < len(w.batch); begin = end {
		r := w.batch[begin]
		for end < len(w.batch) && w.batch[end].Partition == r.Partition && w.batch[end].Topic == r.Topic {
			end++
		}
		w.held[kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}] += int64(end - begin)
	}
}

// released says that no record is held any more: they are committed, or will be read again.
func (w *worker) released(s *kafka.Session) {
	clear(w.held)
	w.reportLag(s)
}

// reportLag publishes how far the stage is behind. Records in hand count: they may wait for a schema as long as the registry is away,
// and whoever looks has to see that.
func (w *worker) reportLag(s *kafka.Session) {
	for tp, behind := range s.Lag() {
		w.metrics.lag.WithLabelValues(tp.Topic, itoa(tp.Partition)).Set(float64(behind + w.held[tp]))
	}
}

// settled reports whether the session has lasted for longer than a transaction that fails can. A stage that owns nothing, or has
// nothing to read, commits nothing that would show that it works again.
func (w *worker) settled(now time.Time) bool {
	joined := w.joined.Load()
	return joined != 0 && now.Sub(time.Unix(0, joined)) > 2*w.options.TransactionTimeout
}

// health reports whether the stage works, or has only just stopped to, and says in words what it does.
func (w *worker) health(now time.Time) (ok bool, what string) {
	since := w.sick.Load()
	switch sick := now.Sub(time.Unix(0, since)); {
	case !w.ready.Load():
		return false, "waiting for partitions and restoring them"
	case w.slowFor(now) > slowAfter:
		return true, fmt.Sprintf("waiting for the schema registry for %s", w.slowFor(now).Round(time.Second))
	case since == 0, w.settled(now):
		return true, "running"
	case sick < unreadyAfter:
		return true, "recovering"
	default:
		return false, fmt.Sprintf("recovering since %s", sick.Round(time.Second))
	}
}

// slowFor is how long the records in hand have waited for what they need.
func (w *worker) slowFor(now time.Time) time.Duration {
	since := w.slow.Load()
	if since == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, since))
}
