package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// SessionOptions describe one stage's membership.
type SessionOptions struct {
	Group      string
	InstanceID string // static member and, with Group, the transactional id: the same at every start of this process
	Topics     []string
	// Outputs are the topics that a session writes to: what former lives left open there is ended, see markers.go.
	Outputs []string
	// TransactionTimeout is when the broker aborts a transaction whose owner went silent.
	TransactionTimeout time.Duration
	// SessionTimeout is when the group gives a silent member's partitions to another. It is longer than
	// TransactionTimeout, so that a transaction is decided before its partitions have another owner.
	SessionTimeout time.Duration
	// MaxMessageBytes is the limit of one batch on a topic, its max.message.bytes.
	MaxMessageBytes func(topic string) int32
	// FetchMaxBytes bounds what one fetch brings.
	FetchMaxBytes int32
	// SkipTo lets a partition whose committed offset is smaller begin at that offset, over records that are gone.
	SkipTo map[TopicPartition]int64
	// HoldAssigned keeps newly assigned partitions paused until Resume: a stateful stage restores them first.
	HoldAssigned bool
}

const (
	producerLinger     = 5 * time.Millisecond
	maxBufferedRecords = 200_000
	// settleTimeout bounds how long Close waits for a rebalance under way: leaving in the middle of one would start another.
	settleTimeout = 3 * time.Second
	leaveTimeout  = 3 * time.Second
)

// Session is one life of one stage. All methods are for the one goroutine that runs the stage's loop.
type Session struct {
	opt SessionOptions
	gts *kgo.GroupTransactSession

	produceErr atomic.Pointer[error]
	adm        *kadm.Client // of the same connections

	wroteMu sync.Mutex
	wrote   kadm.TopicsSet // where the transaction under way has records; guarded by wroteMu
	last    TopicPartition // the latest of them; guarded by wroteMu

	mu          sync.Mutex
	assigned    map[TopicPartition]uint64 // to the number of the assignment that brought it
	assignments uint64
	read        map[TopicPartition]span // from behind the last polled record to the end, as of its fetch
	changed     bool                    // assignment changed since the last Assigned
	woken       bool                    // see Wake; guarded by mu
	rebalancing bool                    // revoked, not yet assigned
	revoked     bool                    // see Settle
	wantCommit  bool                    // a rebalance waits for this transaction to end
	lost        bool
	cancelPoll  context.CancelFunc
}

// OpenSession fences the former life of this member and joins the group.
func OpenSession(ctx context.Context, c *Config, o SessionOptions) (*Session, error) {
	s := &Session{opt: o, assigned: map[TopicPartition]uint64{}, read: map[TopicPartition]span{}}
	opts, err := c.opts(o.Group)
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		kgo.TransactionalID(o.TransactionalID()),
		kgo.TransactionTimeout(o.TransactionTimeout),
		kgo.ConsumerGroup(o.Group),
		kgo.InstanceID(o.InstanceID),
		kgo.SessionTimeout(o.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, o.SessionTimeout/4)),
		kgo.ConsumeTopics(o.Topics...),
		// A partition without a commit is read from its start; an offset that is gone is an error, never a silent reset.
		kgo.ConsumeResetOffset(kgo.NoResetOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(o.FetchMaxBytes),
		kgo.FetchMaxPartitionBytes(max(o.FetchMaxBytes/4, 1<<20)),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsCallbackBlocked(func(context.Context, *kgo.Client) { s.rebalanceWaits() }),
		kgo.OnPartitionsAssigned(s.onAssigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { s.onRevoked(p, false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { s.onRevoked(p, true) }),
		kgo.AdjustFetchOffsetsFn(s.onFetched),
		kgo.RecordPartitioner(partitioner{}),
		kgo.ProducerLinger(producerLinger),
		kgo.MaxBufferedRecords(maxBufferedRecords),
		kgo.ProducerBatchMaxBytesFn(o.MaxMessageBytes),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
	)
	// The group client fetches its offsets as soon as it exists, so the former life is fenced by a client of its own first:
	// what it left undecided is aborted, and the offsets that are read then are stable.
	if err := Fence(ctx, c, o); err != nil {
		return nil, err
	}
	if s.gts, err = kgo.NewGroupTransactSession(opts...); err != nil {
		return nil, fmt.Errorf("open a session of group %s: %w", o.Group, err)
	}
	s.adm = kadm.NewClient(s.gts.Client())
	if _, _, err := s.gts.Client().ProducerID(ctx); err != nil {
		s.gts.CloseAllowingRebalance()
		return nil, fmt.Errorf("begin as transactional id %s: %w", o.TransactionalID(), err)
	}
	return s, nil
}

func (s *Session) onAssigned(_ context.Context, cl *kgo.Client, added map[string][]int32) {
	if s.opt.HoldAssigned {
		cl.PauseFetchPartitions(added)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assignments++
	for t, ps := range added {
		for _, p := range ps {
			s.assigned[TopicPartition{t, p}] = s.assignments
		}
	}
	s.changed, s.rebalancing, s.wantCommit = true, false, false
	s.interruptPoll()
}

func (s *Session) onRevoked(gone map[string][]int32, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, ps := range gone {
		for _, p := range ps {
			delete(s.assigned, TopicPartition{t, p})
			delete(s.read, TopicPartition{t, p})
			s.revoked = true
		}
	}
	s.changed, s.rebalancing, s.wantCommit = true, true, false
	s.lost = s.lost || lost
	s.interruptPoll()
}

// onFetched moves the beginning of partitions whose committed offset lies before records that are gone.
func (s *Session) onFetched(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for t, ps := range offsets {
		for p, o := range ps {
			at := o.EpochOffset().Offset
			if to, ok := s.opt.SkipTo[TopicPartition{t, p}]; ok && at >= 0 && at < to {
				ps[p] = kgo.NoResetOffset().At(to)
			}
		}
	}
	return offsets, nil
}

func (s *Session) rebalanceWaits() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wantCommit = true
	s.interruptPoll()
}

func (s *Session) interruptPoll() {
	if s.cancelPoll != nil {
		s.cancelPoll()
	}
}

// Assigned returns the partitions that this member owns, each with the number of the assignment that brought it, and
// whether that changed since the last call. A partition with another number than before was somebody else's in between.
func (s *Session) Assigned() (owned map[TopicPartition]uint64, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, s.changed = s.changed, false
	return maps.Clone(s.assigned), changed
}

// Joined reports whether the group has told this member what it owns, be it nothing.
func (s *Session) Joined() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.assignments > 0
}

// Settle ends a revocation that the caller has carried out: nothing of what was revoked is open any more. Without it the client
// would abort the next transaction, because it cannot know. It belongs where nothing is polled and no transaction has begun, after
// Assigned.
func (s *Session) Settle(ctx context.Context) error {
	s.mu.Lock()
	settle := s.revoked && !s.changed && !s.lost // who was thrown out of the group begins a new life
	if settle {
		s.revoked = false
	}
	s.mu.Unlock()
	if !settle {
		return nil
	}
	if _, err := s.gts.End(ctx, kgo.TryAbort); err != nil { // of nothing: it resets what the client remembers
		return fmt.Errorf("settle a revocation: %w", err)
	}
	return nil
}

// RebalanceWaits reports that a rebalance is held up by the records polled since the last AllowRebalance.
func (s *Session) RebalanceWaits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wantCommit
}

// Resume lets a held partition deliver records.
func (s *Session) Resume(tp TopicPartition) {
	s.gts.Client().ResumeFetchPartitions(map[string][]int32{tp.Topic: {tp.Partition}})
}

// Owns reports whether a partition is still ours by the assignment of that number.
func (s *Session) Owns(tp TopicPartition, assignment uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.assigned[tp] == assignment
}

// Poll waits for records until ctx ends, the assignment changes or Wake is called; then it returns nothing. A nil error with no records
// is no news. An *OffsetGoneError names a partition whose next record no longer exists.
func (s *Session) Poll(ctx context.Context, maxRecords int, each func(*Record)) (n int, err error) {
	pollCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	if s.changed || s.woken {
		cancel()
	}
	s.woken = false
	s.cancelPoll = cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.cancelPoll = nil
		s.mu.Unlock()
	}()
	fetches := s.gts.PollRecords(pollCtx, maxRecords)
	if fetches.IsClientClosed() {
		return 0, kgo.ErrClientClosed
	}
	var errs []error
	fetches.EachError(func(t string, p int32, err error) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if errors.Is(err, kerr.OffsetOutOfRange) {
			err = &OffsetGoneError{TopicPartition{t, p}, err}
		}
		errs = append(errs, fmt.Errorf("fetch %s partition %d: %w", t, p, err))
	})
	if len(errs) > 0 {
		return 0, errors.Join(errs...)
	}
	s.mu.Lock()
	revoked := s.revoked
	s.mu.Unlock()
	if revoked && fetches.NumRecords() > 0 { // the client aborts a transaction that these would be in
		return 0, errors.New("partitions were revoked while records were fetched")
	}
	if err := s.rewound(fetches); err != nil {
		return 0, err
	}
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 {
			return
		}
		for _, r := range f.Records {
			each(r)
		}
		n += len(f.Records)
		s.mu.Lock()
		s.read[TopicPartition{f.Topic, f.Partition}] = span{f.Records[len(f.Records)-1].Offset + 1, f.LastStableOffset}
		s.mu.Unlock()
	})
	return n, nil
}

// rewound refuses records that come again within a session, or lie before what the group had committed when their partition came: to
// work on them would double them.
func (s *Session) rewound(fetches kgo.Fetches) error {
	var err error
	var committed map[string]map[int32]kgo.EpochOffset // asked for with the first partition that is new
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 || err != nil {
			return
		}
		s.mu.Lock()
		last, known := s.read[TopicPartition{f.Topic, f.Partition}]
		s.mu.Unlock()
		from := last.from
		if !known {
			if committed == nil {
				committed = s.gts.Client().CommittedOffsets()
			}
			from = committed[f.Topic][f.Partition].Offset
		}
		if at := f.Records[0].Offset; at < from {
			err = fmt.Errorf("%s partition %d hands out offset %d again, it was at %d", f.Topic, f.Partition, at, from)
		}
	})
	return err
}

// Wake has the Poll under way, or else the next one, return without waiting. It may be called from any goroutine.
func (s *Session) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = true
	if s.cancelPoll != nil {
		s.woken = false
		s.cancelPoll()
	}
}

// OffsetGoneError says that the next record of a partition no longer exists: retention passed us, or the topic was made anew.
type OffsetGoneError struct {
	TopicPartition
	err error
}

func (e *OffsetGoneError) Error() string {
	return fmt.Sprintf("the next record of %s partition %d is gone: %v", e.Topic, e.Partition, e.err)
}

func (e *OffsetGoneError) Unwrap() error { return e.err }

// AllowRebalance ends the hold that a non-empty Poll puts on rebalances. It belongs after the commit has been applied.
func (s *Session) AllowRebalance() {
	s.mu.Lock()
	s.wantCommit = false
	s.mu.Unlock()
	s.gts.AllowRebalance()
}

// Begin begins a transaction.
func (s *Session) Begin() error {
	s.produceErr.Store(nil)
	s.wroteMu.Lock()
	s.wrote, s.last = kadm.TopicsSet{}, TopicPartition{}
	s.wroteMu.Unlock()
	if err := s.gts.Begin(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	return nil
}

// Produce sends a record within the transaction. Its error, if any, is the error of Flush.
func (s *Session) Produce(ctx context.Context, r *Record) {
	s.gts.Produce(ctx, r, s.produced)
}

func (s *Session) produced(r *Record, err error) {
	if err != nil {
		err = fmt.Errorf("produce to %s: %w", r.Topic, err)
		s.produceErr.CompareAndSwap(nil, &err)
		return
	}
	s.wroteMu.Lock()
	defer s.wroteMu.Unlock()
	if tp := (TopicPartition{r.Topic, r.Partition}); tp != s.last { // records of a batch come one after the other
		s.last = tp
		s.wrote.Add(tp.Topic, tp.Partition)
	}
}

// Flush waits until every record of the transaction is acknowledged, or says which is not.
func (s *Session) Flush(ctx context.Context) error {
	if err := s.gts.Client().Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if p := s.produceErr.Load(); p != nil {
		return *p
	}
	return nil
}

// ErrUnknownOutcome says that a commit was answered with anything but success. It may have taken effect.
var ErrUnknownOutcome = errors.New("the outcome of the commit is unknown")

// Commit ends the transaction together with the offsets of all that was polled, and waits until it is over wherever it wrote, see
// markers.go. Only a nil error means that it is committed; with any other the session must be closed and nothing that it holds in
// memory may be believed.
func (s *Session) Commit(ctx context.Context) error {
	pid, _, err := s.gts.Client().ProducerID(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	committed, err := s.gts.End(ctx, kgo.TryCommit)
	if err == nil && committed {
		err = s.over(ctx, pid)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case !committed:
		return ErrUnknownOutcome
	}
	return nil
}

// over waits until a committed transaction is over on the partitions that it wrote to, and until the offsets of this member are what
// it committed.
func (s *Session) over(ctx context.Context, pid int64) error {
	s.wroteMu.Lock()
	wrote := s.wrote
	s.wroteMu.Unlock()
	if err := over(ctx, s.adm, wrote, pid); err != nil {
		return err
	}
	s.mu.Lock()
	owned := slices.Collect(maps.Keys(s.assigned))
	s.mu.Unlock()
	if len(owned) == 0 {
		return nil
	}
	if _, err := stableOffsets(ctx, s.gts.Client(), s.opt.Group, owned...); err != nil {
		return fmt.Errorf("the transaction was committed, and its offsets are still open: %w", err)
	}
	return nil
}

// Abort ends the transaction and forgets what was polled. The session must be closed after it.
func (s *Session) Abort(ctx context.Context) error {
	_, err := s.gts.End(ctx, kgo.TryAbort)
	return err
}

// Close ends this life without leaving the group: the next one of this member gets its partitions back at once.
func (s *Session) Close() {
	s.gts.AllowRebalance()
	deadline := time.Now().Add(settleTimeout)
	for s.inRebalance() && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	s.gts.CloseAllowingRebalance()
}

func (s *Session) inRebalance() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rebalancing && !s.lost
}

// span is offsets, from the first to before the last.
type span struct{ from, to int64 }

// Lag returns how many offsets each owned partition had behind the last polled record, as of its fetch. Markers of transactions and
// what was aborted count until Rest has looked.
func (s *Session) Lag() map[TopicPartition]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	lag := make(map[TopicPartition]int64, len(s.read))
	for tp, left := range s.read {
		lag[tp] = max(0, left.to-left.from)
	}
	return lag
}

// AtRest reports whether everything that was there has been polled.
func (s *Session) AtRest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, left := range s.read {
		if left.from < left.to {
			return false
		}
	}
	return true
}

// Rest asks the brokers what is behind the last polled records, where nothing comes: the markers that end a topic at rest are no lag.
// What they do not answer stays as it is.
func (s *Session) Rest(ctx context.Context, a *Admin) {
	s.mu.Lock()
	asked := maps.Clone(s.read)
	s.mu.Unlock()
	for tp, left := range asked {
		if left.from >= left.to {
			continue
		}
		more, err := a.anyBetween(ctx, tp, left.from, left.to)
		if err != nil {
			return // who does not answer for one would not for the next, and the caller has to go on
		}
		s.mu.Lock()
		if !more && s.read[tp] == left {
			s.read[tp] = span{left.to, left.to}
		}
		s.mu.Unlock()
	}
}
