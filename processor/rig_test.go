package processor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
	"kinfold/processor/state"
	"kinfold/schemas"
)

// patience bounds every wait of a test. Nothing depends on its length but the time that a failing test takes.
const patience = 90 * time.Second

// rig is a broker with the topics of one app, and the means to feed and read them.
type rig struct {
	t     *testing.T
	kafka *kafka.Config
	admin *kafka.Admin
	app   string
	input string
	// configure changes the configuration of the processes that start after it is set.
	configure func(*config.Config)
}

// onEachBroker runs a test on the embedded broker and on the one that KINFOLD_TEST_BROKERS names.
func onEachBroker(t *testing.T, run func(r *rig)) {
	t.Parallel()
	for name, broker := range map[string]func(*testing.T) []string{"embedded": embeddedBroker, "real": realBroker} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(newRig(t, broker(t)))
		})
	}
}

func embeddedBroker(t *testing.T) []string {
	b, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.Addrs()
}

func realBroker(t *testing.T) []string {
	addrs := os.Getenv("KINFOLD_TEST_BROKERS")
	if addrs == "" {
		t.Skip("KINFOLD_TEST_BROKERS names no broker")
	}
	return strings.Split(addrs, ",")
}

// apps counts the apps of this run. Tests that run side by side share a real broker.
var apps atomic.Int64

func newRig(t *testing.T, brokers []string) *rig {
	return rigOn(t, &kafka.Config{Brokers: brokers, ClientID: "test"})
}

func rigOn(t *testing.T, k *kafka.Config) *rig {
	app := fmt.Sprintf("t%d-%d", time.Now().UnixNano(), apps.Add(1))
	r := &rig{t: t, app: app, input: app + "-interactions", kafka: k}
	var err error
	if r.admin, err = kafka.NewAdmin(r.kafka); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.admin.Close)
	r.create(r.input, 3, nil)
	// One partition, so that a test can read the changes in the order in which they were made.
	r.create(app+"-changes", 1, map[string]string{"retention.ms": "-1"})
	return r
}

func (r *rig) create(topic string, partitions int32, configs map[string]string) {
	r.t.Helper()
	if _, err := r.admin.Create(r.context(), kafka.TopicSpec{Name: topic, Partitions: partitions, Replication: -1, Configs: configs}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

// config is that of one process of the app.
func (r *rig) config() *config.Config {
	c := config.Default()
	c.App, c.StateDir = r.app, dir
	c.Kafka.Brokers = r.kafka.Brokers
	c.Sources = []config.Source{{Topics: []string{r.input}, Format: config.FormatJSON}}
	c.Topics.Partitions = 4
	c.Topics.UnifiedCustomerEvents = r.app + "-events"
	c.Topics.IdentityChanges = r.app + "-changes"
	c.Topics.IdentityMap = r.app + "-map"
	c.Topics.Rejects = r.app + "-rejects"
	c.Topics.IdentityDirectives = r.app + "-directives"
	c.Commit.Interval = 20 * time.Millisecond
	c.HTTP.Listen = "127.0.0.1:0"
	c.CacheBytes = 8 << 20
	if r.configure != nil {
		r.configure(c)
	}
	return c
}

// process is one running processor.
type process struct {
	rig    *rig
	p      *processor.Processor
	cancel context.CancelFunc
	done   chan error
	ready  chan struct{}
}

// start runs a processor whose state is in fs.
func (r *rig) start(fs state.FS) *process { return r.startWith(processor.Options{FS: fs}) }

// dir is where the state is in every file system of a test.
const dir = "/state"

func (r *rig) startWith(o processor.Options) *process {
	r.t.Helper()
	ready := make(chan struct{})
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(r.t.Output(), nil))
	}
	o.Logger, o.Ready = log, func() { close(ready) }
	p, err := processor.Open(r.config(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &process{rig: r, p: p, cancel: cancel, done: make(chan error, 1), ready: ready}
	go func() {
		err := p.Run(ctx)
		p.Close()
		q.done <- err
	}()
	r.t.Cleanup(func() { q.stop() })
	return q
}

// stop asks the process to stop and returns the error with which it ended. It may be called again.
func (q *process) stop() error {
	q.cancel()
	return q.ended()
}

// ended waits for the process to end by itself.
func (q *process) ended() error {
	q.rig.t.Helper()
	select {
	case err := <-q.done:
		q.done <- err
		return err
	case <-time.After(patience):
		q.rig.t.Fatal("the process does not end")
		return nil
	}
}

func (q *process) isReady() {
	q.rig.t.Helper()
	select {
	case <-q.ready:
	case err := <-q.done:
		q.done <- err
		q.rig.t.Fatalf("the process ended before it was ready: %v", err)
	case <-time.After(patience):
		q.rig.t.Fatal("the process is not ready")
	}
}

// feed writes values to the input topic, each under a key of its own.
func (r *rig) feed(values ...string) {
	r.t.Helper()
	r.feedTo(r.input, values...)
}

// direct writes directives to their topic, which a process must have created, and waits until both stages have taken them in.
func (r *rig) direct(values ...string) {
	r.t.Helper()
	r.feedTo(r.config().Topics.IdentityDirectives, values...)
	r.drained()
}

func (r *rig) feedTo(topic string, values ...string) {
	r.t.Helper()
	var records []*kafka.Record
	for i, v := range values {
		records = append(records, &kafka.Record{Topic: topic, Partition: kafka.Unassigned, Key: fmt.Appendf(nil, "%d", i), Value: []byte(v)})
	}
	r.write(records...)
}

func (r *rig) write(records ...*kafka.Record) {
	r.t.Helper()
	p, err := kafka.NewProducer(r.kafka)
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	for _, rec := range records {
		p.Produce(r.context(), rec)
	}
	if err := p.Flush(r.context()); err != nil {
		r.t.Fatal(err)
	}
}

// finish waits until everything is worked off, and stops a process in good order.
func (r *rig) finish(p *process) {
	r.t.Helper()
	r.drained()
	if err := p.stop(); err != nil {
		r.t.Fatal(err)
	}
}

// drained waits until everything that was fed has been committed by both stages.
func (r *rig) drained() {
	r.t.Helper()
	ctx := r.context()
	c := r.config()
	for ctx.Err() == nil {
		in, err := r.admin.Drained(ctx, c.Group(config.StageIngest), c.InputTopics()...)
		if err == nil && in {
			if keyed, err := r.admin.Drained(ctx, c.Group(config.StageResolve), c.KeyedTopic()); err == nil && keyed {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Fatal("the input is not drained")
}

// outputs is everything that a read_committed reader sees.
type outputs struct {
	events  []event
	changes []interaction.Change
	idmap   map[string]interaction.MapRow // by key; tombstones removed
	rejects []*kafka.Record
}

// event is a unified event, as much as tests look at.
type event struct {
	ID, Source, SourceEventID, Customer, Status string
	Version                                     int64
}

func (r *rig) outputs() outputs {
	r.t.Helper()
	c := r.config()
	out := outputs{idmap: map[string]interaction.MapRow{}}
	r.read(c.Topics.UnifiedCustomerEvents, func(rec *kafka.Record) {
		var u interaction.Unified
		r.decode(rec, schemas.KindUnified, func(b []byte) error { return schemas.DecodeUnified(b, &u) })
		out.events = append(out.events, event{u.Keyed.ID.String(), u.Keyed.Source, u.Keyed.SourceEventID, string(u.CustomerID), string(u.IdentityStatus), u.CustomerVersion})
	})
	r.read(c.Topics.IdentityChanges, func(rec *kafka.Record) {
		var ch interaction.Change
		r.decode(rec, schemas.KindChange, func(b []byte) error { return schemas.DecodeChange(b, &ch) })
		out.changes = append(out.changes, ch)
	})
	r.read(c.Topics.IdentityMap, func(rec *kafka.Record) {
		if rec.Value == nil {
			delete(out.idmap, string(rec.Key))
			return
		}
		row := interaction.MapRow{Key: string(rec.Key)}
		r.decode(rec, schemas.KindMapRow, func(b []byte) error { return schemas.DecodeMapRow(b, &row) })
		out.idmap[row.Key] = row
	})
	r.read(c.Topics.Rejects, func(rec *kafka.Record) { out.rejects = append(out.rejects, rec) })
	return out
}

func (r *rig) decode(rec *kafka.Record, kind schemas.Kind, decode func([]byte) error) {
	r.t.Helper()
	if err := schemas.SingleObject().Decode(rec.Value, kind, decode); err != nil {
		r.t.Fatalf("%s partition %d offset %d: %v", rec.Topic, rec.Partition, rec.Offset, err)
	}
}

// decided waits until all that was written to a partition before the call is decided: the markers of a transaction that is
// committed reach its partitions one after the other.
func (r *rig) decided(tp kafka.TopicPartition) (kafka.Bounds, error) {
	r.t.Helper()
	first, err := r.admin.Bounds(r.context(), tp)
	b := first
	if err == nil {
		r.until(func() bool {
			b, err = r.admin.Bounds(r.context(), tp)
			return err != nil || b.Stable >= first.End
		})
	}
	return b, err
}

// read hands out every committed record of a topic, partition by partition.
func (r *rig) read(topic string, each func(*kafka.Record)) {
	r.t.Helper()
	states, err := r.admin.Describe(r.context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	for p := range states[topic].Partitions {
		tp := kafka.TopicPartition{Topic: topic, Partition: p}
		b, err := r.decided(tp)
		if err == nil {
			err = r.admin.ReadRange(r.context(), tp, b.Start, b.Stable, func(rec *kafka.Record) error { each(rec); return nil })
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// customers is the map without pointers and versions: identifier → customer.
func (o *outputs) customers() map[string]string {
	m := map[string]string{}
	for key, row := range o.idmap {
		if row.Status != interaction.MapEnded {
			m[key] = string(row.CustomerID)
		}
	}
	return m
}

// distinct counts the events by event id; more than one of an id is a double.
func (o *outputs) distinct() map[string]int {
	m := map[string]int{}
	for _, e := range o.events {
		m[e.Source+"/"+e.SourceEventID]++
	}
	return m
}

// foldedChanges is the map that the changes give when they are folded in the order of each customer.
func (o *outputs) foldedChanges() map[string]string {
	m := map[string]string{}
	for _, c := range o.changes {
		for _, id := range c.Removed {
			if m[id] == string(c.CustomerID) {
				delete(m, id)
			}
		}
		for _, id := range c.Added {
			m[id] = string(c.CustomerID)
		}
	}
	return m
}

func headers(r *kafka.Record) map[string]string {
	m := map[string]string{}
	for _, h := range r.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

// wire is a process's connection to the brokers, which a test can cut for good: to the cluster the process is dead.
type wire struct {
	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

func (w *wire) dial(ctx context.Context, network, host string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, host)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead && err == nil {
		c.Close()
		return nil, net.ErrClosed
	}
	w.conns = append(w.conns, c)
	return c, err
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
	for _, c := range w.conns {
		if c != nil {
			c.Close()
		}
	}
}

// line makes an interaction in plain JSON. Pairs are namespace, value.
func line(source, id, store, user string, at time.Time, pairs ...string) string {
	type identifier struct {
		Namespace string `json:"namespace"`
		Value     string `json:"value"`
	}
	m := map[string]any{
		"event_id": id, "source": source, "channel": source, "type": "thing.done", "store_code": store, "occurred_at": at.UnixMilli(),
	}
	if user != "" {
		m["user_id"] = user
	}
	ids := []identifier{}
	for i := 0; i+1 < len(pairs); i += 2 {
		ids = append(ids, identifier{pairs[i], pairs[i+1]})
	}
	m["identifiers"] = ids
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func mustUnmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition of the processes.
func (r *rig) until(holds func() bool) {
	r.t.Helper()
	for ctx := r.context(); !holds(); {
		select {
		case <-ctx.Done():
			r.t.Fatal("the condition does not come true")
		case <-time.After(2 * time.Millisecond):
		}
	}
}
