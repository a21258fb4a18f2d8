package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A transaction ends on a partition with a marker that its coordinator has the partition's leader write. A coordinator that finds no
// leader (Apache Kafka 4.3.1 just after a broker was killed and came back) takes the partition for deleted, passes over it, and calls
// the transaction ended. What the transaction wrote there stays open: readers wait at it, and the marker of the next transaction of the
// same producer decides over it. Aborted records would become committed, twice what they should be; committed ones lost.
//
// So a commit waits until the transaction is over on each partition that it wrote to (KIP-664). And before a session writes anything,
// what its former lives left open is looked for and ended as it was decided: by a transaction that adds these partitions and the
// group's offsets, writes no record, and commits or aborts. Whether offsets are open nobody can see; so they always are in it.

const (
	endTries      = 10
	endBackoff    = 100 * time.Millisecond
	maxEndBackoff = 5 * time.Second
	overTimeout   = 5 * time.Second // for markers that are on their way
	// The time between two looks whether a transaction is over grows from the first to the second.
	overBackoff    = time.Millisecond
	maxOverBackoff = 50 * time.Millisecond
)

// UndecidedError is about records of former transactions that are open on partitions, and nothing says whether they were committed.
type UndecidedError struct {
	TransactionalID string
	Open            []string // partitions, with the offset at which they are open
}

func (e *UndecidedError) Error() string {
	return fmt.Sprintf("Kafka lost the end of a transaction of %s, and with it whether it was committed: its records are still open in %s", e.TransactionalID, strings.Join(e.Open, ", "))
}

// verdict says how a former transaction ended.
type verdict uint8

const (
	undecided verdict = iota
	committed
	aborted
)

// judge says how the transaction ended that wrote with an epoch, by what the coordinator says of the latest transaction of the
// transactional id. With every end the epoch may be raised by one (KIP-890), so that records have it or the one before. A session that
// has begun another transaction had committed the one before; and when it was opened nothing was open.
func judge(state string, of, wrote int16) verdict {
	latest, before := wrote == of, wrote == of-1
	switch state {
	case "PrepareCommit", "CompleteCommit":
		if latest || before {
			return committed
		}
	case "PrepareAbort", "CompleteAbort", "PrepareEpochFence":
		if latest || before {
			return aborted
		}
	case "Ongoing": // whoever fences it aborts it
		switch {
		case latest:
			return aborted
		case before:
			return committed
		}
	}
	return undecided
}

// fencer ends the former life of a transactional id.
type fencer struct {
	cl      *kgo.Client
	adm     *kadm.Client
	id      string
	group   string
	outputs []string
	log     *slog.Logger
}

// oldEnds are the versions of the requests of a transaction in which partitions can be added without a record.
func oldEnds() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(kmsg.AddPartitionsToTxn.Int16(), 3)
	v.SetMaxKeyVersion(kmsg.AddOffsetsToTxn.Int16(), 3)
	v.SetMaxKeyVersion(kmsg.EndTxn.Int16(), 4)
	return v
}

// fence aborts what is open by the coordinator's account, and ends what is open although it was decided. From the moment at which it
// has a new epoch the coordinator has forgotten how the former transaction ended: what cannot be looked for or ended then is tried again
// until ctx ends.
func (f *fencer) fence(ctx context.Context) error {
	before, err := f.describe(ctx)
	if err != nil {
		return err
	}
	pid, epoch, err := f.cl.ProducerID(ctx)
	if err != nil || before.State == "" {
		return err
	}
	left := &leftovers{before: before, pid: pid, epoch: epoch, offsets: judge(before.State, before.ProducerEpoch, before.ProducerEpoch)}
	for backoff := endBackoff; ; backoff = min(2*backoff, maxEndBackoff) {
		err := f.endAll(ctx, left)
		if err == nil || final(err) {
			return err
		}
		f.log.Warn("what a former transaction may have left open cannot be ended yet; trying again", "transactional_id", f.id, "error", err, "backoff", backoff)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(backoff):
		}
	}
}

// final reports whether trying again is of no use: somebody else has the transactional id, a permission is missing, or nobody knows.
func final(err error) bool {
	var u *UndecidedError
	return errors.As(err, &u) || Denied(err) || errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch)
}

// leftovers are what the coordinator said of the former transaction, under which epoch it is ended, and how its offsets are.
type leftovers struct {
	before  kadm.DescribedTransaction
	pid     int64
	epoch   int16
	offsets verdict // undecided: nothing is to be done for them, or it is done
}

// endAll ends whatever is open, and waits until it is over.
func (f *fencer) endAll(ctx context.Context, l *leftovers) error {
	open, err := f.open(ctx, l.before.ProducerID)
	if err != nil || len(open) == 0 && l.offsets == undecided {
		return err
	}
	by, err := f.decided(l.before, l.pid, open)
	if err != nil {
		return err
	}
	for _, v := range []verdict{committed, aborted} {
		if len(by[v]) == 0 && l.offsets != v {
			continue
		}
		if err := f.endAs(ctx, l.pid, l.epoch, by[v], l.offsets == v, v == committed); err != nil {
			return err
		}
	}
	l.offsets = undecided
	ctx, cancel := context.WithTimeout(ctx, overTimeout)
	defer cancel()
	return over(ctx, f.adm, partitionsOf(open), l.pid)
}

// describe is what the coordinator says of the transactional id; its State is empty where it never was there, or where brokers of
// before Kafka 3.0 cannot say.
func (f *fencer) describe(ctx context.Context) (kadm.DescribedTransaction, error) {
	all, err := f.adm.DescribeTransactions(ctx, f.id)
	t := all[f.id]
	if err == nil {
		err = t.Err
	}
	switch {
	case unsupported(err), errors.Is(err, kerr.TransactionalIDNotFound):
		return kadm.DescribedTransaction{}, nil
	case err != nil:
		return t, fmt.Errorf("describe the former transaction: %w", err)
	}
	return t, nil
}

// tooOld is how the client words that a broker does not know a request. It has no sentinel for it.
const tooOld = "broker is too old"

func unsupported(err error) bool {
	return err != nil && (errors.Is(err, kerr.UnsupportedVersion) || strings.Contains(err.Error(), tooOld))
}

// open are the partitions of the outputs on which the producer has a transaction open.
func (f *fencer) open(ctx context.Context, pid int64) ([]kadm.DescribedProducer, error) {
	topics := kadm.TopicsSet{}
	if len(f.outputs) == 0 {
		return nil, nil
	}
	m, err := f.adm.Metadata(ctx, f.outputs...)
	if err != nil {
		return nil, fmt.Errorf("look for the partitions of what is written: %w", err)
	}
	for _, t := range f.outputs { // a broker that has just come back may not know all of them: that is not nothing open
		if err := m.Topics[t].Err; err != nil || len(m.Topics[t].Partitions) == 0 {
			return nil, fmt.Errorf("look for the partitions of topic %s: %w", t, cmp.Or(err, error(kerr.UnknownTopicOrPartition)))
		}
		for p := range m.Topics[t].Partitions {
			topics.Add(t, p)
		}
	}
	return openOn(ctx, f.adm, topics, pid)
}

// openOn are those of the partitions on which a producer has a transaction open. Brokers of before Kafka 3.0 cannot say.
func openOn(ctx context.Context, adm *kadm.Client, on kadm.TopicsSet, pid int64) (open []kadm.DescribedProducer, _ error) {
	if len(on) == 0 {
		return nil, nil
	}
	all, err := adm.DescribeProducers(ctx, on)
	if err != nil && !unsupported(err) {
		return nil, fmt.Errorf("look for transactions that are open: %w", err)
	}
	for _, p := range all.SortedPartitions() {
		if p.Err != nil && !unsupported(p.Err) {
			return nil, fmt.Errorf("look for transactions that are open in %s partition %d: %w", p.Topic, p.Partition, p.Err)
		}
		if w, ok := p.ActiveProducers[pid]; ok && w.CurrentTxnStartOffset >= 0 {
			open = append(open, w)
		}
	}
	return open, nil
}

// over waits until a transaction of a producer is over on all partitions that it wrote to.
func over(ctx context.Context, adm *kadm.Client, on kadm.TopicsSet, pid int64) error {
	for backoff := overBackoff; ; backoff = min(2*backoff, maxOverBackoff) {
		open, err := openOn(ctx, adm, on, pid)
		if err != nil || len(open) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a transaction that was ended is still open on %d partitions, such as %s partition %d: %w", len(open), open[0].Topic, open[0].Partition, ctx.Err())
		case <-time.After(backoff):
		}
		on = partitionsOf(open)
	}
}

func partitionsOf(open []kadm.DescribedProducer) kadm.TopicsSet {
	on := kadm.TopicsSet{}
	for _, p := range open {
		on.Add(p.Topic, p.Partition)
	}
	return on
}

// decided sorts what is open by how it was decided.
func (f *fencer) decided(before kadm.DescribedTransaction, pid int64, open []kadm.DescribedProducer) (map[verdict][]kadm.DescribedProducer, error) {
	by := map[verdict][]kadm.DescribedProducer{}
	for _, p := range open {
		v := judge(before.State, before.ProducerEpoch, p.ProducerEpoch)
		if p.ProducerID != pid { // its epochs are used up, and the markers of its successor say nothing of it
			v = undecided
		}
		by[v] = append(by[v], p)
		if v != undecided {
			f.log.Warn("Kafka lost the end of a transaction; it is ended as it was decided", "transactional_id", f.id, "topic", p.Topic,
				"partition", p.Partition, "from_offset", p.CurrentTxnStartOffset, "epoch", p.ProducerEpoch, "committed", v == committed, "decided", before.State)
		}
	}
	if list := by[undecided]; list != nil {
		e := &UndecidedError{TransactionalID: f.id}
		for _, p := range list {
			e.Open = append(e.Open, fmt.Sprintf("%s partition %d from offset %d", p.Topic, p.Partition, p.CurrentTxnStartOffset))
		}
		return nil, e
	}
	return by, nil
}

// endAs has markers written on partitions and, with offsets, for the offsets of the group.
func (f *fencer) endAs(ctx context.Context, pid int64, epoch int16, on []kadm.DescribedProducer, offsets, commit bool) error {
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = f.id, pid, epoch
	for _, of := range partitionsOf(on).Sorted() {
		t := kmsg.NewAddPartitionsToTxnRequestTopic()
		t.Topic, t.Partitions = of.Topic, of.Partitions
		add.Topics = append(add.Topics, t)
	}
	if len(on) > 0 {
		err := f.retry(ctx, func() error {
			resp, err := add.RequestWith(ctx, f.cl)
			if err != nil {
				return err
			}
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if offsets {
		add := kmsg.NewPtrAddOffsetsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = f.id, pid, epoch, f.group
		err := f.retry(ctx, func() error {
			resp, err := add.RequestWith(ctx, f.cl)
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = f.id, pid, epoch, commit
	return f.retry(ctx, func() error {
		resp, err := end.RequestWith(ctx, f.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		return err
	})
}

// retry repeats what meets a transaction that is not quite ended, or a broker that is not quite there.
func (f *fencer) retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == endTries || !kerr.IsRetriable(err) && !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(endBackoff):
		}
	}
}
