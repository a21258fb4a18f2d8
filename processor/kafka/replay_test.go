package kafka_test

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor/kafka"
)

// A replay that hears nothing for a while asks the leader whether anything is left. What was aborted, and markers, are nothing;
// a record that is only slow to come is.
func TestTheLeaderSaysWhetherAnythingIsLeftToRead(t *testing.T) {
	onEachBroker(t, func(t *testing.T, c *kafka.Config) {
		a, topic := admin(t, c), unique(t, "log")
		create(t, a, topic, 1)
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.TransactionalID(topic))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		write := func(values ...string) {
			t.Helper()
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if err := cl.ProduceSync(within(t), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		end := func(how kgo.TransactionEndTry) {
			t.Helper()
			if err := cl.EndTransaction(within(t), how); err != nil {
				t.Fatal(err)
			}
		}
		// Offsets: 0 1 committed, 2 marker, 3 4 aborted, 5 marker, 6 committed, 7 marker, 8 undecided.
		write("a", "b")
		end(kgo.TryCommit)
		write("c", "d")
		end(kgo.TryAbort)
		write("e")
		end(kgo.TryCommit)
		write("f")
		defer end(kgo.TryAbort)

		tp := kafka.TopicPartition{Topic: topic}
		for _, r := range []struct {
			from, to int64
			any      bool
		}{{0, 8, true}, {1, 2, true}, {2, 6, false}, {2, 7, true}, {3, 5, false}, {5, 6, false}, {7, 8, false}, {8, 8, false}} {
			if any, err := a.AnyBetween(within(t), tp, r.from, r.to); err != nil || any != r.any {
				t.Errorf("in [%d, %d): %t, %v; want %t", r.from, r.to, any, err, r.any)
			}
			var got int
			if err := a.ReadRange(within(t), tp, r.from, r.to, func(*kafka.Record) error { got++; return nil }); err != nil || got > 0 != r.any {
				t.Errorf("read [%d, %d): %d records, %v", r.from, r.to, got, err)
			}
		}
		if _, err := a.AnyBetween(within(t), tp, 8, 9); err == nil {
			t.Error("what is undecided is nothing")
		}
		if _, err := a.AnyBetween(within(t), kafka.TopicPartition{Topic: topic, Partition: 7}, 0, 1); err == nil {
			t.Error("a partition that is not there is empty")
		}

		var before kadm.Offsets
		before.AddOffset(topic, 0, 6, -1)
		if _, err := kadm.NewClient(cl).DeleteRecords(within(t), before); err != nil {
			t.Fatal(err)
		}
		if _, err := a.AnyBetween(within(t), tp, 0, 8); !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Errorf("what is gone is nothing: %v", err)
		}
		var gone *kafka.OffsetGoneError
		if err := a.ReadRange(within(t), tp, 0, 8, func(*kafka.Record) error { return nil }); !errors.As(err, &gone) {
			t.Errorf("read what is gone: %v", err)
		}
	})
}

// A restore reads several partitions at once, and somebody asks for a history meanwhile: each is a client of its own.
func TestSeveralReplaysAtOnceDoNotMeetInTheMetrics(t *testing.T) {
	onEachBroker(t, func(t *testing.T, plain *kafka.Config) {
		c := *plain
		c.Metrics = prometheus.NewRegistry()
		a, topic := admin(t, &c), unique(t, "log")
		create(t, a, topic, 1)
		fill(t, plain, topic, 0, 1)
		tp := kafka.TopicPartition{Topic: topic}
		var inner error
		err := a.ReadRange(within(t), tp, 0, 1, func(*kafka.Record) error {
			inner = a.ReadRange(within(t), tp, 0, 1, func(*kafka.Record) error { return nil })
			return nil
		})
		if err := errors.Join(err, inner); err != nil {
			t.Error(err)
		}
	})
}
