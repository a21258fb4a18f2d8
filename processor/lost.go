package processor

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"kinfold/processor/kafka"
)

// lostInput decides what happens when records are gone before they were read: retention passed us, or a topic was made
// anew. Never a silent reset.
type lostInput struct {
	skip    bool // on_lost_input: skip
	group   string
	admin   *kafka.Admin
	log     *slog.Logger
	counter *prometheus.CounterVec // records skipped, by topic
}

// decide returns an error in any case: either it stops the process, or the next session begins behind the gap,
// whose end it has put into skipTo.
func (l *lostInput) decide(ctx context.Context, gone *kafka.OffsetGoneError, skipTo map[kafka.TopicPartition]int64) error {
	tp := gone.TopicPartition
	committed, err := l.admin.CommittedOffset(ctx, l.group, tp)
	if err != nil {
		return err
	}
	bounds, err := l.admin.Bounds(ctx, tp)
	if err != nil {
		return err
	}
	switch {
	case committed < 0: // the topic was deleted, and the offsets with it: its successor is read from its start
		return &recovery{"lost_input", gone}
	case committed > bounds.End:
		return stop("its log was truncated (an unclean leader election), or the offsets were set by hand: check what happened; "+
			"to begin again from its start, reset the offsets of group "+l.group+" while no process runs",
			"%s partition %d ends at offset %d, but group %s has committed %d", tp.Topic, tp.Partition, bounds.End, l.group, committed)
	case !l.skip:
		return stop("set on_lost_input: skip to go on behind the gap (it is counted in kinfold_input_skipped_total), or restore the topic",
			"%s partition %d: offsets %d to %d are gone before they were read (the topic's retention is shorter than the processor was away)",
			tp.Topic, tp.Partition, committed, bounds.Start-1)
	}
	skipTo[tp] = bounds.Start
	l.counter.WithLabelValues(tp.Topic).Add(float64(bounds.Start - committed))
	l.log.Error("input is gone and skipped", "topic", tp.Topic, "partition", tp.Partition, "from", committed, "to", bounds.Start-1)
	return &recovery{"lost_input", gone}
}
