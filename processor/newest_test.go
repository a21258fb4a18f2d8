package processor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor"
	"kinfold/processor/kafka"
)

// moment0 is the timestamp of the first record of these tests.
var moment0 = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// client is one of the Kafka library's own, for what the program never does.
func (r *rig) client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(r.kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

// at makes a record of the input whose value tells the seconds of its timestamp.
func (r *rig) at(partition int32, second int) *kgo.Record {
	return &kgo.Record{Topic: r.input, Partition: partition, Timestamp: moment0.Add(time.Duration(second) * time.Second), Value: fmt.Appendf(nil, "%d", second)}
}

// newest reads the newest n records of the input and returns their values.
func (r *rig) newest(n int) (values []string) {
	r.t.Helper()
	records, err := processor.NewestRecords(r.context(), r.config(), r.input, n)
	if err != nil {
		r.t.Fatal(err)
	}
	for {
		rec, err := records.Next()
		if errors.Is(err, io.EOF) {
			return values
		}
		if err != nil {
			r.t.Fatal(err)
		}
		values = append(values, string(rec.Value))
	}
}

func (r *rig) newestAre(n int, want ...string) {
	r.t.Helper()
	if got := r.newest(n); !slices.Equal(got, want) {
		r.t.Errorf("the newest %d are %v, want %v", n, got, want)
	}
}

func TestTheNewestRecordsOfATopicComeFromAllItsPartitionsInTheOrderOfTheirTimestamps(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		r.newestAre(10)
		plain := r.client()
		for second := range 12 {
			if err := plain.ProduceSync(r.context(), r.at(int32(second%2), second)).FirstErr(); err != nil {
				r.t.Fatal(err)
			}
		}
		r.newestAre(3, "9", "10", "11")
		if got := r.newest(100); len(got) != 12 {
			r.t.Errorf("of 12 records the newest 100 are %v", got)
		}
		// One partition has all of the newest.
		for second := 20; second < 24; second++ {
			if err := plain.ProduceSync(r.context(), r.at(2, second)).FirstErr(); err != nil {
				r.t.Fatal(err)
			}
		}
		r.newestAre(4, "20", "21", "22", "23")
		r.newestAre(5, "11", "20", "21", "22", "23")
	})
}

func TestTheNewestRecordsAreCommittedOnesHoweverManyWereAborted(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		cl := r.client(kgo.TransactionalID(r.app+"-tx"), kgo.TransactionTimeout(time.Minute))
		transaction := func(end kgo.TransactionEndTry, seconds ...int) {
			r.t.Helper()
			if err := cl.BeginTransaction(); err != nil {
				r.t.Fatal(err)
			}
			for _, s := range seconds {
				if err := cl.ProduceSync(r.context(), r.at(0, s)).FirstErr(); err != nil {
					r.t.Fatal(err)
				}
			}
			if err := cl.EndTransaction(r.context(), end); err != nil {
				r.t.Fatal(err)
			}
		}
		for s := range 6 {
			transaction(kgo.TryCommit, s)
		}
		for s := 10; s < 30; s++ {
			transaction(kgo.TryAbort, s)
		}
		r.decidedInput()
		r.newestAre(4, "2", "3", "4", "5")
		r.newestAre(10, "0", "1", "2", "3", "4", "5")

		// What is under way is not there yet, and nobody waits for it.
		if err := cl.BeginTransaction(); err != nil {
			r.t.Fatal(err)
		}
		if err := cl.ProduceSync(r.context(), r.at(0, 40)).FirstErr(); err != nil {
			r.t.Fatal(err)
		}
		r.newestAre(2, "4", "5")
		if err := cl.EndTransaction(r.context(), kgo.TryCommit); err != nil {
			r.t.Fatal(err)
		}
		r.decidedInput()
		r.newestAre(2, "5", "40")
	})
}

// decidedInput waits for the markers of the transactions.
func (r *rig) decidedInput() {
	r.t.Helper()
	if _, err := r.decided(kafka.TopicPartition{Topic: r.input, Partition: 0}); err != nil {
		r.t.Fatal(err)
	}
}

func TestReadingTheNewestRecordsLeavesNoGroup(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		cl := r.client()
		if err := cl.ProduceSync(r.context(), r.at(1, 1)).FirstErr(); err != nil {
			r.t.Fatal(err)
		}
		r.newestAre(1, "1")
		groups, err := kadm.NewClient(cl).ListGroups(r.context())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, g := range groups.Groups() {
			if strings.HasPrefix(g, r.app) || g == "" || strings.Contains(g, "kinfold") {
				r.t.Errorf("there is a group %q", g)
			}
		}
	})
}

func TestATopicThatIsNotThereHasNoNewestRecords(t *testing.T) {
	r := newRig(t, embeddedBroker(t))
	_, err := processor.NewestRecords(r.context(), r.config(), "none", 1)
	if err == nil || !strings.Contains(err.Error(), "there is no topic none") {
		t.Errorf("got %v", err)
	}
	states, err := r.admin.Describe(r.context(), "none")
	if err != nil || states["none"].Exists {
		t.Errorf("looking for a topic made it: %v, %v", states, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := processor.NewestRecords(ctx, r.config(), r.input, 1); err == nil {
		t.Error("an ended context gave no error")
	}
}
