package processor_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
	"kinfold/processor/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// retailer is n interactions of people with codes in three branches, e-mails and phones, every seventh of them sent twice.
func retailer(seed uint64, n int) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	var lines []string
	for i := range n {
		person := r.IntN(n/6 + 1)
		store := fmt.Sprintf("S%02d", 1+r.IntN(3))
		user := ""
		if r.IntN(3) > 0 {
			user = fmt.Sprintf("%s-%d", store, person)
		}
		var ids []string
		if r.IntN(2) == 0 {
			ids = append(ids, "email", fmt.Sprintf("persona.%d@correio.example", person))
		}
		if r.IntN(4) == 0 {
			ids = append(ids, "phone", fmt.Sprintf("+5511%09d", 900_000_000+person))
		}
		if r.IntN(12) == 0 {
			ids = append(ids, "email", "caja@tienda.example")
		}
		l := line([]string{"pos", "web", "app"}[r.IntN(3)], fmt.Sprintf("e%d", i), store, user, noon.Add(time.Duration(r.IntN(n))*time.Minute), ids...)
		lines = append(lines, l)
		if i%7 == 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// expectEach fails unless every distinct interaction of lines became exactly one event.
func expectEach(t *testing.T, lines []string, out *outputs) {
	t.Helper()
	want := map[string]int{}
	for _, l := range lines {
		var v struct{ Source, Event_id string }
		mustUnmarshal(t, l, &v)
		want[v.Source+"/"+v.Event_id] = 1
	}
	if d := cmp.Diff(want, out.distinct()); d != "" {
		t.Errorf("events by interaction (-want +got):\n%s", d)
	}
}

// expectOnce fails unless every distinct interaction of lines became exactly one event, and the changes make up the map.
func (r *rig) expectOnce(lines []string) outputs {
	r.t.Helper()
	out := r.outputs()
	expectEach(r.t, lines, &out)
	expectFolded(r.t, &out)
	return out
}

func expectFolded(t *testing.T, out *outputs) {
	t.Helper()
	if d := cmp.Diff(out.customers(), out.foldedChanges()); d != "" {
		t.Errorf("identity-map (-) and the folded identity-changes (+) differ:\n%s", d)
	}
}

var lagging = regexp.MustCompile(`(?m)^kinfold_input_lag_records\{.*\} [1-9]`)

func TestEveryDistinctInteractionBecomesOneEvent(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		lines := retailer(1, 400)
		r.feed(lines...)
		p := r.start(state.NewMemoryFS())
		p.isReady()
		r.drained()
		// Nothing is left but the markers that end the topics, and they are no lag.
		r.until(func() bool { return !lagging.MatchString(p.metrics()) })
		r.finish(p)
		r.expectOnce(lines)
		totals := p.p.Totals()
		want := processor.Totals{Accepted: int64(len(lines)), Events: 400, Duplicate: int64(len(lines) - 400)}
		if d := cmp.Diff(want, totals); d != "" {
			r.t.Errorf("totals (-want +got):\n%s", d)
		}
	})
}

func TestTheMapDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	t.Parallel()
	lines := retailer(2, 300)
	var want map[string]string
	for order := range 10 {
		r := newRig(t, embeddedBroker(t))
		shuffled := slices.Clone(lines)
		rnd := rand.New(rand.NewPCG(uint64(order), 2))
		rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		p := r.start(state.NewMemoryFS())
		for part := range slices.Chunk(shuffled, 97) {
			r.feed(part...)
		}
		r.finish(p)
		out := r.outputs()
		if want == nil {
			want = out.customers()
		}
		if d := cmp.Diff(want, out.customers()); d != "" {
			t.Fatalf("order %d gives another map (-first +this):\n%s", order, d)
		}
		expectFolded(t, &out)
	}
	if len(want) < 100 {
		t.Errorf("the map has %d identifiers only: the test shows little", len(want))
	}
}

func TestKilledInTheMiddleLosesAndDoublesNothing(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		r.configure = func(c *config.Config) { c.Commit.MaxRecords = 50 }
		lines := retailer(3, 1500)
		fs := state.NewMemoryFS()
		for part := range slices.Chunk(lines, len(lines)/3+1) {
			w := &wire{}
			p := r.startWith(processor.Options{FS: fs, Dial: w.dial})
			p.isReady()
			r.feed(part...)
			r.until(func() bool { return p.p.Totals().Events > 100 })
			w.cut() // to the cluster this process is dead in whatever it was doing
			fs = fs.Kill()
			p.cancel()
		}
		last := r.start(fs)
		last.isReady()
		r.finish(last)
		r.expectOnce(lines)
	})
}

func TestAStoreThatIsBehindCatchesUpFromTheChangelog(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	lines := retailer(4, 600)
	fs := state.NewMemoryFS()
	p := r.start(fs)
	r.feed(lines[:300]...)
	r.finish(p)
	old := fs.Kill() // a copy of the store as it is now: later transactions are missing in it
	p = r.start(fs)
	r.feed(lines[300:500]...)
	r.finish(p)
	p = r.start(old)
	r.feed(lines[500:]...)
	r.finish(p)
	r.expectOnce(lines)
}

func TestStateIsRestoredFromTheChangelogAfterLossOfTheDisk(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		lines := retailer(5, 600)
		p := r.start(state.NewMemoryFS())
		r.feed(lines[:400]...)
		r.finish(p)
		p = r.start(state.NewMemoryFS())
		r.feed(lines[400:]...)
		r.feed(lines[:50]...) // duplicates of what only the changelog remembers
		r.finish(p)
		out := r.expectOnce(lines)

		straight := newRig(r.t, r.kafka.Brokers)
		q := straight.start(state.NewMemoryFS())
		straight.feed(lines...)
		straight.finish(q)
		want := straight.outputs()
		if d := cmp.Diff(want.customers(), out.customers()); d != "" {
			r.t.Errorf("map without (-) and with (+) the loss of the disk:\n%s", d)
		}
	})
}

func TestAnUnknownCommitIsRecoveredFromTheChangelog(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]kfake.Fault{
		"not applied":     {Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.UnknownServerError, Count: 3},
		"applied":         {Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.RequestTimedOut, Count: 3},
		"offsets refused": {Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.UnknownServerError, Count: 3},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := embedded.Start(embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			r := newRig(t, b.Addrs())
			lines := retailer(6, 500)
			p := r.start(state.NewMemoryFS())
			r.feed(lines[:200]...)
			r.drained()
			handle := b.Cluster().Fault(fault)
			r.feed(lines[200:]...)
			r.until(func() bool { return handle.Hits() >= 3 })
			r.finish(p)
			r.expectOnce(lines)
		})
	}
}

func TestAnAbortedFirstTransactionIsNoLostHistory(t *testing.T) {
	t.Parallel()
	b, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	r := newRig(t, b.Addrs())
	lines := retailer(9, 100)
	p := r.start(state.NewMemoryFS())
	p.isReady()
	// Records and an abort marker are in the changelog, but nothing was ever committed.
	b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Group: r.config().Group(config.StageResolve), Err: kerr.UnknownServerError, Count: 2})
	r.feed(lines...)
	r.finish(p)
	out := r.outputs()
	expectEach(t, lines, &out)
}

func TestTwoProcessesShareThePartitionsAndOneTakesOver(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		r.configure = func(c *config.Config) {
			c.Identity.Realms = map[string]string{"S01": "uno", "S02": "dos", "S03": "tres", "*": "outro"}
		}
		lines := retailer(7, 900)
		one := r.start(state.NewMemoryFS())
		one.isReady()
		r.feed(lines[:300]...)
		two := r.start(state.NewMemoryFS())
		two.isReady()
		r.feed(lines[300:600]...)
		r.finish(one)
		r.feed(lines[600:]...)
		r.finish(two)
		if n := two.p.Totals().Events; n == 0 {
			r.t.Error("the second process resolved nothing")
		}
		r.expectOnce(lines)
	})
}

func TestAStoreOfAnotherHistoryStopsTheProcess(t *testing.T) {
	t.Parallel()
	fs := state.NewMemoryFS()
	first := newRig(t, embeddedBroker(t))
	p := first.start(fs)
	first.feed(retailer(8, 50)...)
	first.drained()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	second := newRig(t, embeddedBroker(t)) // the same app on another cluster
	second.app, second.input = first.app, first.input
	second.create(second.input, 3, nil)
	err := second.start(fs).ended()
	if state.KindOf(err) != state.OtherHistory || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "mv ") {
		t.Errorf("error = %v; want one that names the directory and the command", err)
	}
}

func TestAPoisonRecordEndsInRejectsAndTheNextIsProcessed(t *testing.T) {
	long := strings.Repeat("S", 31)
	poison := map[string]interaction.Reason{
		"not json at all\x00\xff":            interaction.ReasonUnparsable,
		`{"event_id": "a1", "source": "pos"`: interaction.ReasonUnparsable,
		`[1, 2]`:                             interaction.ReasonUnparsable,
		`{"event_id": "a2", "channel": "pos", "type": "x.y", "occurred_at": 1}`:                                                          interaction.ReasonMissingField,
		`{"event_id": "a3", "source": "pos", "channel": "pos", "type": "x.y", "occurred_at": "ayer"}`:                                    interaction.ReasonBadTime,
		`{"event_id": "a4", "source": "pos", "channel": "pos", "type": "x.y", "occurred_at": 1, "store_code": "` + long + `"}`:           interaction.ReasonBadStoreCode,
		`{"event_id": 7, "source": "pos", "channel": {"a": 1}, "type": "x.y", "occurred_at": 1}`:                                         interaction.ReasonInvalidField,
		`{"event_id": "good", "source": "pos", "channel": "web", "type": "thing.done", "occurred_at": 1772452800000, "user_id": "otro"}`: interaction.ReasonDuplicateConflict,
	}
	onEachBroker(t, func(r *rig) {
		p := r.start(state.NewMemoryFS())
		r.feed(line("pos", "good", "S01", "María", noon))
		r.drained()
		r.feed(slices.Sorted(maps.Keys(poison))...)
		r.feed(line("pos", "after", "S01", "María", noon))
		r.finish(p)
		out := r.outputs()
		if d := cmp.Diff(map[string]int{"pos/good": 1, "pos/after": 1}, out.distinct()); d != "" {
			r.t.Errorf("events (-want +got):\n%s", d)
		}
		got := map[string]interaction.Reason{}
		for _, rec := range out.rejects {
			h := headers(rec)
			value := string(rec.Value)
			if h["reject.stage"] == "resolve" { // the keyed record: its bytes are not those of the input
				value = `{"event_id": "good", "source": "pos", "channel": "web", "type": "thing.done", "occurred_at": 1772452800000, "user_id": "otro"}`
			} else if h["reject.topic"] != r.input || h["reject.timestamp"] == "" {
				r.t.Errorf("reject headers %v do not say where the record was", h)
			}
			got[value] = interaction.Reason(h["reject.reason"])
			if h["reject.detail"] == "" {
				r.t.Errorf("reject %s has no detail", h["reject.reason"])
			}
		}
		if d := cmp.Diff(poison, got); d != "" {
			r.t.Errorf("rejects by bytes (-want +got):\n%s", d)
		}
	})
}

// Records as large as the broker takes them in become an event or a reject, whichever of our topics they would fit.
func TestTheLargestRecordsThatABrokerTakesGoSomewhere(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		p := r.start(state.NewMemoryFS())
		cl := r.client(kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(2<<20))
		const limit = 1_048_588 // the brokers' default max.message.bytes
		noise := rand.New(rand.NewPCG(1, 1))
		taken := 0
		for size := limit - 1_500; size <= limit+100; size += 100 {
			head := strings.TrimSuffix(line("pos", fmt.Sprintf("grande-%d", size), "S01", "Ana", noon), "}") + `, "traits": {"note": "`
			note := make([]byte, size-len(head)-3)
			for i := range note {
				note[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[noise.IntN(64)]
			}
			err := cl.ProduceSync(r.context(), &kgo.Record{Topic: r.input, Partition: 0, Value: []byte(head + string(note) + `"}}`)}).FirstErr()
			switch {
			case err == nil:
				taken++
			case !errors.Is(err, kerr.MessageTooLarge):
				r.t.Fatal(err)
			}
		}
		r.feed(line("pos", "small", "S01", "Ana", noon))
		r.finish(p)
		out := r.outputs()
		if taken < 10 || len(out.events)+len(out.rejects) != taken+1 {
			r.t.Errorf("%d large records were taken and one small one; %d events and %d rejects", taken, len(out.events), len(out.rejects))
		}
		for _, rec := range out.rejects {
			if h := headers(rec); h["reject.reason"] != "too_large" || len(rec.Value) < limit-2_000 {
				r.t.Errorf("a reject of %d bytes: %v", len(rec.Value), h)
			}
		}
	})
}

func TestARecordThatWouldNotFitItsTopicIsARejectOfItsOwn(t *testing.T) {
	r := newRig(t, embeddedBroker(t))
	r.create(r.app+"-events", 4, map[string]string{"max.message.bytes": "2000"})
	p := r.start(state.NewMemoryFS())
	big := strings.TrimSuffix(line("pos", "big", "S01", "Ana", noon), "}") + `, "traits": {"note": "` + strings.Repeat("ñ", 1000) + `"}}`
	r.feed(big, line("pos", "small", "S01", "Ana", noon))
	r.finish(p)
	out := r.outputs()
	if d := cmp.Diff(map[string]int{"pos/small": 1}, out.distinct()); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if len(out.rejects) != 1 || headers(out.rejects[0])["reject.reason"] != "too_large" {
		t.Fatalf("%d rejects; want one with reason too_large", len(out.rejects))
	}
	if h := headers(out.rejects[0]); h["reject.stage"] != "resolve" || h["reject.origin.topic"] != r.input {
		t.Errorf("headers %v do not say where the interaction came from", h)
	}
}

func TestAMissingPermissionIsRefusedAtStartByItsName(t *testing.T) {
	allow := func(resource kmsg.ACLResourceType, ops ...kmsg.ACLOperation) (acls []kfake.ACL) {
		for _, op := range ops {
			acls = append(acls, kfake.ACL{Resource: resource, Name: "*", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true})
		}
		return acls
	}
	topics := allow(kmsg.ACLResourceTypeTopic, kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationCreate)
	groups := allow(kmsg.ACLResourceTypeGroup, kmsg.ACLOperationRead, kmsg.ACLOperationDescribe)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "pw"),
		kfake.User("PLAIN", "ana", "pw", append(topics, groups...)...),
		kfake.User("PLAIN", "zoe", "pw", topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for _, c := range []struct{ user, password, want string }{
		{"ana", "pw", "transactional id"},
		{"zoe", "pw", "READ on group"},
	} {
		r := rigOn(t, &kafka.Config{Brokers: cluster.ListenAddrs(), ClientID: "test", SASL: &kafka.SASL{Mechanism: "PLAIN", User: "admin", Password: "pw"}})
		r.configure = func(cfg *config.Config) {
			cfg.Kafka.SASL = config.SASL{Mechanism: config.MechanismPlain, User: c.user, Password: config.NewSecret(c.password)}
		}
		if err := r.start(state.NewMemoryFS()).ended(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("user %s: error %v; want one with %q", c.user, err, c.want)
		}
	}
}

func TestHeadersNamedInTheConfigurationTravelToTheEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	p := r.start(state.NewMemoryFS())
	producer, err := kafka.NewProducer(r.kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	producer.Produce(r.context(), &kafka.Record{
		Topic: r.input, Partition: kafka.Unassigned, Value: []byte(line("web", "w1", "S01", "João", noon)),
		Headers: []kafka.Header{{Key: "traceparent", Value: []byte("00-abc")}, {Key: "secret", Value: []byte("x")}},
	})
	if err := producer.Flush(r.context()); err != nil {
		t.Fatal(err)
	}
	r.finish(p)
	var got []map[string]string
	r.read(r.config().Topics.UnifiedCustomerEvents, func(rec *kafka.Record) { got = append(got, headers(rec)) })
	if d := cmp.Diff([]map[string]string{{"traceparent": "00-abc"}}, got); d != "" {
		t.Errorf("headers of the events (-want +got):\n%s", d)
	}
}

// commit.max_records bounds a transaction, also where more waits than a poll would bring.
func TestATransactionHasNoMoreRecordsThanItMay(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		const records, most = 20, 3
		r.configure = func(c *config.Config) { c.Commit.MaxRecords = most }
		lines := retailer(1, records)[:records]
		r.feed(lines...)
		p := r.start(state.NewMemoryFS())
		r.finish(p)
		transactions := 0
		r.read(r.config().IdentityChangelog(), func(rec *kafka.Record) {
			if state.IsPositionKey(rec.Key) {
				transactions++
			}
		})
		if transactions < (records+most-1)/most {
			r.t.Errorf("%d records went through stage 2 in %d transactions, of %d at most", records, transactions, most)
		}
	})
}
