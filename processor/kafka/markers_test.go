package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
)

// forgetful is a broker that has a transaction open on a partition by what it answers first, although its coordinator calls it ended.
// The embedded broker does not remember how the last one ended, as Kafka's does: that is added, too.
type forgetful struct {
	mu   sync.Mutex
	said kmsg.DescribeTransactionsResponseTransactionState
	open *kmsg.DescribeProducersResponseTopicPartitionActiveProducer // on partition 1; nil: none
	ends []string                                                    // what ended the transaction: partitions, and how
	sick int                                                         // how often it cannot say what is open
}

func (f *forgetful) on(b *embedded.Broker, topic string) {
	b.Cluster().ControlKey(kmsg.DescribeProducers.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.open == nil {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
		for _, t := range req.(*kmsg.DescribeProducersRequest).Topics {
			rt := kmsg.NewDescribeProducersResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewDescribeProducersResponseTopicPartition()
				rp.Partition = p
				if f.sick > 0 {
					rp.ErrorCode = kerr.UnknownServerError.Code
				}
				if t.Topic == topic && p == 1 {
					rp.ActiveProducers = append(rp.ActiveProducers, *f.open)
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		f.sick = max(0, f.sick-1)
		return resp, nil, true
	})
	b.Cluster().ControlKey(kmsg.DescribeTransactions.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.said.State == "" {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		resp.TransactionStates = append(resp.TransactionStates, f.said)
		return resp, nil, true
	})
	b.Cluster().ControlKey(kmsg.AddPartitionsToTxn.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, t := range req.(*kmsg.AddPartitionsToTxnRequest).Topics {
			f.ends = append(f.ends, fmt.Sprint("partitions ", t.Partitions))
		}
		return nil, nil, false
	})
	b.Cluster().ControlKey(kmsg.AddOffsetsToTxn.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ends = append(f.ends, "offsets")
		return nil, nil, false
	})
	b.Cluster().ControlKey(kmsg.EndTxn.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ends = append(f.ends, map[bool]string{true: "commit", false: "abort"}[req.(*kmsg.EndTxnRequest).Commit])
		f.open = nil
		return nil, nil, false
	})
}

// Kafka calls a transaction ended and has not ended it on a partition. The next life of the member ends it there as it was decided,
// before it writes anything; what nobody knows the end of stops it.
func TestWhatKafkaLeftOpenIsEndedAsItWasDecided(t *testing.T) {
	for _, c := range []struct {
		former string // how the former life's last transaction ended
		behind int16  // how many epochs the records on the partition are behind what the coordinator says
		want   string
		sick   int
	}{
		{"committed", 0, "partitions [1]; offsets; commit", 0},
		{"committed", 1, "partitions [1]; offsets; commit", 0},
		{"aborted", 0, "partitions [1]; offsets; abort", 0},
		{"aborted", 1, "partitions [1]; offsets; abort", 0},
		{"ongoing", 0, "partitions [1]; offsets; abort", 0},
		{"ongoing", 1, "partitions [1]; commit; offsets; abort", 0}, // it is of the transaction before, after which the session went on
		{"committed", 2, "undecided", 0},
		{"ongoing", 2, "undecided", 0},
		{"fenced", 0, "undecided", 0},                          // a life that died between fencing the one before and ending what it left
		{"committed", 1, "partitions [1]; offsets; commit", 4}, // it had a new epoch by then, and the coordinator had forgotten
		{"none", 0, "", 0},
		{"nothing open", 0, "offsets; commit", 0},
	} {
		t.Run(fmt.Sprint(c.former, " ", c.behind, " ", c.sick), func(t *testing.T) {
			b, err := embedded.Start(embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			cfg := &kafka.Config{Brokers: b.Addrs(), ClientID: "test"}
			a := admin(t, cfg)
			create(t, a, "out", 2)
			create(t, a, "in", 1)
			create(t, a, "more", 1)
			o := kafka.SessionOptions{
				Group: "g", InstanceID: "one", Topics: []string{"in"}, Outputs: []string{"out", "more"},
				TransactionTimeout: 15 * time.Second, SessionTimeout: 20 * time.Second,
				MaxMessageBytes: func(string) int32 { return 1 << 20 }, FetchMaxBytes: 16 << 20,
			}
			if c.former != "none" {
				formerLife(t, cfg, o.TransactionalID(), c.former)
			}
			cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			said, err := kadm.NewClient(cl).DescribeTransactions(within(t), o.TransactionalID())
			if err != nil {
				t.Fatal(err)
			}
			f := &forgetful{sick: c.sick}
			if state := map[string]string{"committed": "CompleteCommit", "nothing open": "CompleteCommit", "aborted": "CompleteAbort"}[c.former]; state != "" {
				d := said[o.TransactionalID()]
				f.said = kmsg.NewDescribeTransactionsResponseTransactionState()
				f.said.TransactionalID, f.said.State, f.said.ProducerID, f.said.ProducerEpoch = d.TxnID, state, d.ProducerID, d.ProducerEpoch
			}
			if c.former != "nothing open" {
				f.open = &kmsg.DescribeProducersResponseTopicPartitionActiveProducer{
					ProducerID: said[o.TransactionalID()].ProducerID, ProducerEpoch: int32(said[o.TransactionalID()].ProducerEpoch - c.behind), CurrentTxnStartOffset: 7,
				}
			}
			f.on(b, "out")
			s, err := kafka.OpenSession(within(t), cfg, o)
			got := strings.Join(f.ends, "; ")
			var u *kafka.UndecidedError
			if errors.As(err, &u) {
				got = "undecided"
				if !slices.Equal(u.Open, []string{"out partition 1 from offset 7"}) {
					t.Errorf("open: %v", u.Open)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				s.Close()
			}
			if got != c.want {
				t.Errorf("it did %q, want %q", got, c.want)
			}
		})
	}
}

// formerLife writes a transaction as a member that dies.
func formerLife(t *testing.T, c *kafka.Config, id, ending string) {
	t.Helper()
	open := func() *kgo.Client {
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.TransactionalID(id), kgo.TransactionTimeout(15*time.Second), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	cl := open()
	end := func(how kgo.TransactionEndTry, close bool) {
		t.Helper()
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(within(t), &kgo.Record{Topic: "out", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if !close {
			return
		}
		if err := cl.EndTransaction(within(t), how); err != nil {
			t.Fatal(err)
		}
	}
	switch ending {
	case "committed", "nothing open":
		end(kgo.TryCommit, true)
	case "aborted":
		end(kgo.TryAbort, true)
	case "ongoing":
		end(kgo.TryCommit, true)
		end(kgo.TryCommit, false)
	case "fenced":
		end(kgo.TryCommit, true)
		if _, _, err := open().ProducerID(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// A real broker that does not ask the coordinator whether a partition is part of a transaction has records of one open on a partition
// that the coordinator does not know of, and ends the transaction without it: as if it had lost the marker there.
func TestARealBrokerEndsWhatItLeftOpen(t *testing.T) {
	addrs := os.Getenv("KINFOLD_TEST_BROKERS")
	if addrs == "" {
		t.Skip("KINFOLD_TEST_BROKERS names no broker")
	}
	c := &kafka.Config{Brokers: strings.Split(addrs, ","), ClientID: "test"}
	trusting(t, c)
	a := admin(t, c)
	for _, commit := range []bool{true, false} {
		in, out, group := copyFrom(t, a, 2)
		o := kafka.SessionOptions{
			Group: group, InstanceID: "one", Topics: []string{in}, Outputs: []string{out}, TransactionTimeout: 15 * time.Second, SessionTimeout: 20 * time.Second,
			MaxMessageBytes: func(string) int32 { return 1 << 20 }, FetchMaxBytes: 16 << 20,
		}
		leaveOpen(t, c, o.TransactionalID(), out, commit)
		tp := kafka.TopicPartition{Topic: out, Partition: 1}
		if b, err := a.Bounds(within(t), tp); err != nil || b.Stable != 0 || b.End != 1 {
			t.Fatalf("%+v %v: nothing is open", b, err)
		}
		s, err := kafka.OpenSession(within(t), c, o)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		b, err := a.Bounds(within(t), tp)
		for err == nil && b.Stable < b.End {
			b, err = a.Bounds(within(t), tp)
		}
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		if err := a.ReadRange(within(t), tp, 0, b.Stable, func(*kafka.Record) error { read++; return nil }); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 1, false: 0}[commit]; read != want {
			t.Errorf("committed is %t, and %d records are there, not %d", commit, read, want)
		}
	}
}

// trusting lets the brokers take records of a transaction on partitions that it does not have, until the test ends.
func trusting(t *testing.T, c *kafka.Config) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(cl)
	set := func(ctx context.Context, value string) {
		t.Helper()
		answers, err := adm.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "transaction.partition.verification.enable", Value: &value}})
		if err == nil {
			for _, r := range answers {
				err = errors.Join(err, r.Err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set(within(t), "false")
	t.Cleanup(func() {
		set(context.Background(), "true")
		cl.Close()
	})
}

// leaveOpen ends a transaction that has partition 0 of a topic, and a record on partition 1.
func leaveOpen(t *testing.T, c *kafka.Config, id, topic string, commit bool) {
	t.Helper()
	old := kversion.Stable()
	old.SetMaxKeyVersion(kmsg.Produce.Int16(), 11)
	old.SetMaxKeyVersion(kmsg.AddPartitionsToTxn.Int16(), 3)
	old.SetMaxKeyVersion(kmsg.EndTxn.Int16(), 4)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.TransactionalID(id), kgo.TransactionTimeout(15*time.Second), kgo.MaxVersions(old))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	pid, epoch, err := cl.ProducerID(within(t))
	if err != nil {
		t.Fatal(err)
	}
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = id, pid, epoch
	add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	added, err := add.RequestWith(within(t), cl)
	if err == nil {
		err = kerr.ErrorForCode(added.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	produce := kmsg.NewPtrProduceRequest()
	produce.TransactionID, produce.Acks, produce.TimeoutMillis = &id, -1, 10_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = 1, batchOf(pid, epoch, "left open")
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{p}}}
	made, err := produce.RequestWith(within(t), cl)
	for err == nil && errors.Is(kerr.ErrorForCode(made.Topics[0].Partitions[0].ErrorCode), kerr.InvalidTxnState) { // it has not heard of the setting yet
		made, err = produce.RequestWith(within(t), cl)
	}
	if err == nil {
		err = kerr.ErrorForCode(made.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = id, pid, epoch, commit
	ended, err := end.RequestWith(within(t), cl)
	if err == nil {
		err = kerr.ErrorForCode(ended.ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// batchOf is one record of a transaction, as it goes over the wire.
func batchOf(pid int64, epoch int16, value string) []byte {
	rec := kmsg.NewRecord()
	rec.Value = []byte(value)
	body := rec.AppendTo(nil)
	rec.Length = int32(len(body) - 1) // the length itself is one byte
	batch := kmsg.NewRecordBatch()
	batch.PartitionLeaderEpoch, batch.Magic, batch.Attributes = -1, 2, 0x10
	batch.FirstTimestamp, batch.MaxTimestamp = time.Now().UnixMilli(), time.Now().UnixMilli()
	batch.ProducerID, batch.ProducerEpoch, batch.NumRecords, batch.Records = pid, epoch, 1, rec.AppendTo(nil)
	raw := batch.AppendTo(nil)
	batch.Length = int32(len(raw) - 12)
	batch.CRC = int32(crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch.AppendTo(nil)
}
