package kafka_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
)

// onEachBroker runs a test against the embedded broker, and against the one that KINFOLD_TEST_BROKERS names.
func onEachBroker(t *testing.T, run func(t *testing.T, c *kafka.Config)) {
	t.Run("embedded", func(t *testing.T) {
		b, err := embedded.Start(embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		run(t, &kafka.Config{Brokers: b.Addrs(), ClientID: "test"})
	})
	t.Run("real", func(t *testing.T) {
		addrs := os.Getenv("KINFOLD_TEST_BROKERS")
		if addrs == "" {
			t.Skip("KINFOLD_TEST_BROKERS names no broker")
		}
		run(t, &kafka.Config{Brokers: strings.Split(addrs, ","), ClientID: "test"})
	})
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// unique makes a name that no other run uses.
func unique(t *testing.T, name string) string {
	return fmt.Sprintf("%s-%s-%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), name, time.Now().UnixNano())
}

func create(t *testing.T, a *kafka.Admin, name string, partitions int32) {
	t.Helper()
	if _, err := a.Create(within(t), kafka.TopicSpec{Name: name, Partitions: partitions, Replication: -1}); err != nil {
		t.Fatal(err)
	}
}

func admin(t *testing.T, c *kafka.Config) *kafka.Admin {
	a, err := kafka.NewAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// copyFrom makes the two topics of a copy, and a name for its group.
func copyFrom(t *testing.T, a *kafka.Admin, partitions int32) (in, out, group string) {
	t.Helper()
	in, out, group = unique(t, "in"), unique(t, "out"), unique(t, "group")
	create(t, a, in, partitions)
	create(t, a, out, partitions)
	return in, out, group
}

func fill(t *testing.T, c *kafka.Config, topic string, from, n int) {
	p, err := kafka.NewProducer(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := from; i < from+n; i++ {
		p.Produce(within(t), &kafka.Record{Topic: topic, Partition: kafka.Unassigned, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i)})
	}
	if err := p.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, c *kafka.Config, group, in string) *kafka.Session {
	return openAs(t, c, group, "one", in)
}

func openAs(t *testing.T, c *kafka.Config, group, instance, in string) *kafka.Session {
	s, err := kafka.OpenSession(within(t), c, kafka.SessionOptions{
		Group: group, InstanceID: instance, Topics: []string{in},
		TransactionTimeout: 15 * time.Second, SessionTimeout: 20 * time.Second,
		MaxMessageBytes: func(string) int32 { return 1 << 20 }, FetchMaxBytes: 16 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// copyRecords copies what one transaction brings from in to out; until n records came, or the commit is left open.
func copyRecords(t *testing.T, s *kafka.Session, out string, n int, commit bool) {
	ctx := within(t)
	begun := false
	for got := 0; got < n; {
		k, err := s.Poll(ctx, n-got, func(r *kafka.Record) {
			if !begun {
				if err := s.Begin(); err != nil {
					t.Fatal(err)
				}
				begun = true
			}
			s.Produce(ctx, &kafka.Record{Topic: out, Partition: kafka.Unassigned, Key: r.Key, Value: r.Value})
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Assigned()
		got += k
		if ctx.Err() != nil {
			t.Fatalf("got %d of %d records", got, n)
		}
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if commit {
		if err := s.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		s.AllowRebalance()
	}
}

func values(t *testing.T, a *kafka.Admin, topic string, partitions int32) map[string]int {
	got := map[string]int{}
	for p := range partitions {
		tp := kafka.TopicPartition{Topic: topic, Partition: p}
		b, err := a.Bounds(within(t), tp)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.ReadRange(within(t), tp, b.Start, b.Stable, func(r *kafka.Record) error {
			got[string(r.Value)]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// A member gives a partition to one that joins, between two transactions. Once it has settled that, its next transaction commits.
func TestAMemberThatGivesAPartitionAwayCommitsItsNextTransaction(t *testing.T) {
	onEachBroker(t, func(t *testing.T, c *kafka.Config) {
		a := admin(t, c)
		in, out, group := copyFrom(t, a, 2)
		adm, err := kadm.NewOptClient(kgo.SeedBrokers(c.Brokers...))
		if err != nil {
			t.Fatal(err)
		}
		defer adm.Close()
		// settled waits until each of the members has its share, and the group is at rest.
		settled := func(share int, members ...*kafka.Session) {
			t.Helper()
			for ctx, rest := within(t), false; ; {
				ready := rest
				for _, m := range members {
					owned, changed := m.Assigned()
					ready = ready && len(owned) == share && !changed
					poll, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
					n, err := m.Poll(poll, 1, func(*kafka.Record) {})
					cancel()
					m.AllowRebalance()
					if n > 0 || err != nil || ctx.Err() != nil {
						t.Fatalf("waiting for %d members: %d records, %v, %v", len(members), n, err, ctx.Err())
					}
				}
				if ready {
					return
				}
				groups, err := adm.DescribeGroups(ctx, group)
				rest = err == nil && groups[group].State == "Stable" && len(groups[group].Members) == len(members)
			}
		}
		s := open(t, c, group, in)
		defer s.Close()
		settled(2, s)
		other := openAs(t, c, group, "two", in)
		defer other.Close()
		settled(1, s, other)
		if err := s.Settle(within(t)); err != nil {
			t.Fatal(err)
		}
		fill(t, c, in, 0, 50)
		copyRecords(t, s, out, 10, true)
	})
}

// Whatever makes the client hand out records again, what was committed is not worked on twice.
func TestASessionRefusesRecordsThatComeAgain(t *testing.T) {
	onEachBroker(t, func(t *testing.T, c *kafka.Config) {
		a := admin(t, c)
		in, out, group := copyFrom(t, a, 1)
		fill(t, c, in, 0, 20)
		s := open(t, c, group, in)
		defer s.Close()
		copyRecords(t, s, out, 10, true)
		s.Rewind(kafka.TopicPartition{Topic: in}, 5)
		for ctx := within(t); ; {
			n, err := s.Poll(ctx, 10, func(r *kafka.Record) { t.Errorf("offset %d is handed out again", r.Offset) })
			s.AllowRebalance()
			switch {
			case err != nil && strings.Contains(err.Error(), "hands out offset 5 again, it was at 10"):
				return
			case err != nil || n > 0 || ctx.Err() != nil:
				t.Fatalf("%d records, %v", n, err)
			}
		}
	})
}

func TestNextLifeOfAMemberAbortsWhatTheFormerLeftOpenAndReadsItAgain(t *testing.T) {
	onEachBroker(t, func(t *testing.T, c *kafka.Config) {
		a := admin(t, c)
		in, out, group := copyFrom(t, a, 2)
		fill(t, c, in, 0, 10)
		s := open(t, c, group, in)
		copyRecords(t, s, out, 10, true)
		fill(t, c, in, 10, 10)
		copyRecords(t, s, out, 10, false) // flushed, never committed: the process is gone here
		s.Close()

		again := open(t, c, group, in)
		copyRecords(t, again, out, 10, true)
		again.Close()
		want := map[string]int{}
		for i := range 20 {
			want[fmt.Sprintf("v%d", i)] = 1
		}
		if d := cmp.Diff(want, values(t, a, out, 2)); d != "" {
			t.Errorf("records that a read_committed reader sees (-want +got):\n%s", d)
		}
		var committed int64
		for p := range int32(2) {
			o, err := a.CommittedOffset(within(t), group, kafka.TopicPartition{Topic: in, Partition: p})
			if err != nil {
				t.Fatal(err)
			}
			committed += o
		}
		if committed != 20 {
			t.Errorf("committed offsets add up to %d, want 20", committed)
		}
		if err := a.Leave(within(t), group, "one"); err != nil {
			t.Error(err)
		}
	})
}

func TestAGroupThatNeverCommittedHasNoOffset(t *testing.T) {
	onEachBroker(t, func(t *testing.T, c *kafka.Config) {
		in := unique(t, "in")
		a := admin(t, c)
		create(t, a, in, 1)
		o, err := a.CommittedOffset(within(t), unique(t, "group"), kafka.TopicPartition{Topic: in})
		if err != nil || o != -1 {
			t.Errorf("CommittedOffset = %d, %v; want -1, nil", o, err)
		}
	})
}

func TestRealmsKeepTheirPartitionAndSpread(t *testing.T) {
	counts := make([]int, 8)
	for i := range 800 {
		p := kafka.PartitionOf(fmt.Sprintf("realm-%d", i), 8)
		if q := kafka.PartitionOf(fmt.Sprintf("realm-%d", i), 8); p != q {
			t.Fatalf("realm-%d: partitions %d and %d", i, p, q)
		}
		counts[p]++
	}
	for p, n := range counts {
		if n < 50 {
			t.Errorf("partition %d has %d of 800 realms", p, n)
		}
	}
	if got := kafka.PartitionOf("default", 8); got != 3 {
		t.Errorf("realm default lives in partition %d of 8, was 3: a changed hash loses every store", got)
	}
}
