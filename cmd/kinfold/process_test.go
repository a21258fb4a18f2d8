package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
	"kinfold/schemas"
)

// These tests run the program as processes of their own and end them as an operator or the kernel would. The load comes from the
// generator beside the repository, and its checker, an independent read_committed consumer, judges the output.
const benchDir = "../../../shared/bench/gen"

const (
	patience      = 5 * time.Minute // bounds every wait; nothing depends on its length
	stopWithin    = 10 * time.Second
	smallLoad     = 6_000   // on the embedded broker
	realLoad      = 200_000 // on a real one; KINFOLD_TEST_RECORDS is another number
	killsExpected = 2
	comeBack      = 500 // customers who come back after the loss of a disk
	plainTopic    = "-plain"
)

// cluster is a broker with one app on it.
type cluster struct {
	t                  *testing.T
	brokers            string
	app, config        string
	records            int
	kinfold, gen, prob string
	c                  *config.Config
	admin              *kafka.Admin
}

func TestProcesses(t *testing.T) {
	if _, err := os.Stat(benchDir); err != nil {
		t.Skipf("%s is not there: no load generator", benchDir)
	}
	bin := t.TempDir()
	build(t, ".", filepath.Join(bin, "kinfold"), ".")
	build(t, benchDir, bin+string(filepath.Separator), "./cmd/gen", "./cmd/probe")
	t.Run("embedded", func(t *testing.T) {
		b, err := embedded.Start(embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		story(newCluster(t, bin, strings.Join(b.Addrs(), ","), smallLoad))
	})
	t.Run("real", func(t *testing.T) {
		addrs := os.Getenv("KINFOLD_TEST_BROKERS")
		if addrs == "" {
			t.Skip("KINFOLD_TEST_BROKERS names no broker")
		}
		n := realLoad
		if s := os.Getenv("KINFOLD_TEST_RECORDS"); s != "" {
			var err error
			if n, err = strconv.Atoi(s); err != nil {
				t.Fatalf("KINFOLD_TEST_RECORDS: %v", err)
			}
		}
		story(newCluster(t, bin, addrs, n))
	})
}

// story is the life of one app: killed twice in the middle of a load, its disk lost, a second process beside it, the first stopped.
func story(c *cluster) {
	t := c.t
	c.load(0, c.records)
	stateDir := filepath.Join(t.TempDir(), "state")
	for i := range killsExpected {
		p := c.start("one", stateDir)
		c.eventsReach(c.records * (i + 1) / (killsExpected + 2))
		p.kill()
	}
	p := c.start("one", stateDir)
	c.drained(c.records)
	c.check(c.records, fmt.Sprintf("after %d kills", killsExpected))

	p.kill()
	if err := os.RemoveAll(stateDir); err != nil {
		t.Fatal(err)
	}
	more := c.records + c.records/20
	p = c.start("one", stateDir)
	c.load(c.records, more)
	c.drained(more)
	c.check(more, "after the loss of the disk")

	second := c.start("two", filepath.Join(t.TempDir(), "state"))
	second.logs("partition is open")
	took := p.stop()
	if took > stopWithin {
		t.Errorf("stopping took %s, more than %s", took, stopWithin)
	}
	last := more + c.records/20
	c.load(more, last)
	c.drained(last)
	c.check(last, "after the other process took over")
	second.stop()
	c.restoredKnows(last)
}

// restoredKnows starts a process without a disk, has customers come back that were known before, each by one code alone, and expects
// the events to carry the customers that the map had given them.
func (c *cluster) restoredKnows(read int) {
	t := c.t
	t.Helper()
	known := map[string]interaction.CustomerID{} // by event id, which is the key
	c.read(c.c.Topics.IdentityMap, func(r *kafka.Record) {
		key, err := interaction.ParseKey(string(r.Key))
		if err != nil {
			t.Fatal(err)
		}
		delete(known, string(r.Key))
		if r.Value == nil || key.Namespace != "user" {
			return
		}
		var row interaction.MapRow
		c.decode(r, schemas.KindMapRow, func(b []byte) error { return schemas.DecodeMapRow(b, &row) })
		if row.Status == interaction.MapLinked {
			known[string(r.Key)] = row.CustomerID
		}
	})
	for key := range known { // any of them
		if len(known) <= comeBack {
			break
		}
		delete(known, key)
	}
	if len(known) < comeBack/2 {
		t.Fatalf("the map has only %d customers with a code", len(known))
	}
	p := c.start("three", filepath.Join(t.TempDir(), "state"))
	p.logs("partition is open")
	producer, err := kafka.NewProducer(&kafka.Config{Brokers: strings.Split(c.brokers, ","), ClientID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for id := range known {
		key, _ := interaction.ParseKey(id)
		producer.Produce(c.ctx(), &kafka.Record{Topic: c.app + plainTopic, Partition: kafka.Unassigned, Value: fmt.Appendf(nil,
			`{"event_id": %q, "source": "vuelta", "channel": "pos", "type": "order.placed", "store_code": %q, "user_id": %q, "occurred_at": %d}`,
			id, key.Domain, key.Value, time.Now().UnixMilli())})
	}
	if err := producer.Flush(c.ctx()); err != nil {
		t.Fatal(err)
	}
	c.drained(read + len(known))
	p.stop()
	found := 0
	c.read(c.c.Topics.UnifiedCustomerEvents, func(r *kafka.Record) {
		var u interaction.Unified
		c.decode(r, schemas.KindUnified, func(b []byte) error { return schemas.DecodeUnified(b, &u) })
		if u.Keyed.Source != "vuelta" {
			return
		}
		found++
		if want := known[u.Keyed.SourceEventID]; u.CustomerID != want {
			t.Errorf("%s came back as %s, the map said %s", u.Keyed.SourceEventID, u.CustomerID, want)
		}
	})
	if found != len(known) {
		t.Errorf("%d events of %d who came back", found, len(known))
	}
	t.Logf("%d customers came back to a process that lost its disk", found)
}

func build(t *testing.T, dir, out string, packages ...string) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", out}, packages...)...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %v in %s: %v\n%s", packages, dir, err, text)
	}
}

func newCluster(t *testing.T, bin, brokers string, records int) *cluster {
	c := &cluster{
		t: t, brokers: brokers, app: fmt.Sprintf("p%d", time.Now().UnixNano()), records: records,
		kinfold: filepath.Join(bin, "kinfold"), gen: filepath.Join(bin, "gen"), prob: filepath.Join(bin, "probe"),
	}
	registry, stop := schemas.StartRegistry(
		schemas.Seed{Subject: "interactions-value", ID: 1, Kind: schemas.KindInteraction},
		schemas.Seed{Subject: c.app + "-events-value", ID: 2, Kind: schemas.KindUnified})
	t.Cleanup(stop)
	c.config = filepath.Join(t.TempDir(), "kinfold.yaml")
	text := fmt.Sprintf(`app: %[1]s
instance_id: ${INSTANCE}
state_dir: ${STATE_DIR}
kafka: {brokers: ["%[2]s"]}
registry: {urls: [%[3]q]}
sources: [{topics: [%[1]s-interactions], format: avro}, {topics: [%[1]s-plain], format: json}]
topics:
  unified_customer_events: %[1]s-events
  identity_changes: %[1]s-changes
  identity_map: %[1]s-map
  rejects: %[1]s-rejects
http: {listen: "127.0.0.1:0"}
identity:
  realms: {"R00-*": r00, "R01-*": r01, "R02-*": r02, "R03-*": r03, "*": other}
`, c.app, strings.ReplaceAll(brokers, ",", `", "`), registry)
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STATE_DIR", t.TempDir())
	t.Setenv("INSTANCE", "test")
	var err error
	if c.c, err = config.Load(c.config, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	if c.admin, err = kafka.NewAdmin(&kafka.Config{Brokers: strings.Split(brokers, ","), ClientID: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.admin.Close)
	for _, topic := range []string{c.c.InputTopics()[0], c.app + plainTopic} {
		if _, err := c.admin.Create(c.ctx(), kafka.TopicSpec{Name: topic, Partitions: 4, Replication: -1, Configs: map[string]string{"retention.ms": "-1"}}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *cluster) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.t.Cleanup(cancel)
	return ctx
}

// ctxQuiet ends with the test, and with nothing before.
func (c *cluster) ctxQuiet() context.Context { return c.t.Context() }

func (c *cluster) run(name string, args ...string) string {
	c.t.Helper()
	out, err := exec.CommandContext(c.ctx(), name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, out)
	}
	return string(out)
}

func (c *cluster) genArgs(events int, more ...string) []string {
	return append([]string{"-brokers", c.brokers, "-topic", c.c.InputTopics()[0], "-partitions", "4", "-customers", strconv.Itoa(c.records / 10), "-realms", "5",
		"-dup", "0.10", "-seed", "1", "-events", strconv.Itoa(events)}, more...)
}

// load writes the records of the load from one number to another.
func (c *cluster) load(from, to int) { c.run(c.gen, c.genArgs(to, "-skip", strconv.Itoa(from))...) }

// check lets the independent reader compare the output with what the first records of the load must give.
func (c *cluster) check(records int, when string) {
	c.t.Helper()
	want := c.run(c.gen, c.genArgs(records, "-dry")...)
	got := c.run(c.prob, "check", "-brokers", c.brokers, "-topic", c.c.Topics.UnifiedCustomerEvents, "-distinct", field(want, "distinct"), "-fingerprint", field(want, "fingerprint"))
	if !strings.Contains(got, "check=ok") || field(got, "repeated") != "0" {
		c.t.Fatalf("%s the output is wrong:\nexpected %s\nfound    %s", when, want, got)
	}
	c.t.Logf("%s: %s", when, strings.TrimSpace(got))
}

func field(text, name string) string {
	m := regexp.MustCompile(`\b` + name + `=(\S+)`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// eventsReach waits until so many records are in the output.
func (c *cluster) eventsReach(n int) {
	c.t.Helper()
	for ctx := c.ctx(); ; {
		var events int64
		for p := range c.c.Topics.Partitions {
			if b, err := c.admin.Bounds(ctx, kafka.TopicPartition{Topic: c.c.Topics.UnifiedCustomerEvents, Partition: p}); err == nil {
				events += b.Stable
			}
		}
		if events >= int64(n) {
			return
		}
		if ctx.Err() != nil {
			c.t.Fatalf("%d records in the output, waiting for %d", events, n)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *cluster) decode(r *kafka.Record, kind schemas.Kind, decode func([]byte) error) {
	if err := schemas.Any().Decode(r.Value, kind, decode); err != nil {
		c.t.Fatalf("%s partition %d offset %d: %v", r.Topic, r.Partition, r.Offset, err)
	}
}

// read hands out every committed record of a topic.
func (c *cluster) read(topic string, each func(*kafka.Record)) {
	c.t.Helper()
	ctx := c.ctx()
	states, err := c.admin.Describe(ctx, topic)
	if err != nil {
		c.t.Fatal(err)
	}
	for p := range states[topic].Partitions {
		tp := kafka.TopicPartition{Topic: topic, Partition: p}
		b, err := c.admin.Bounds(ctx, tp)
		for err == nil && b.Stable < b.End { // markers that are still on their way
			time.Sleep(10 * time.Millisecond)
			b, err = c.admin.Bounds(ctx, tp)
		}
		if err == nil {
			err = c.admin.ReadRange(ctx, tp, b.Start, b.Stable, func(r *kafka.Record) error { each(r); return nil })
		}
		if err != nil {
			c.t.Fatalf("read %s partition %d: %v", topic, p, err)
		}
	}
}

func (c *cluster) drained(records int) {
	c.t.Helper()
	if err := processor.AwaitDrained(c.ctx(), c.c, int64(records)); err != nil {
		c.t.Fatal(err)
	}
}

// child is a running process.
type child struct {
	c     *cluster
	cmd   *exec.Cmd
	log   *syncBuffer
	ended chan error
}

// start runs a process. A named instance keeps its place in the groups even where its disk is lost.
func (c *cluster) start(instance, stateDir string) *child {
	c.t.Helper()
	p := &child{c: c, cmd: exec.Command(c.kinfold, "run", "--config", c.config), log: &syncBuffer{}, ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "STATE_DIR="+stateDir, "INSTANCE="+instance)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	c.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if c.t.Failed() {
			c.t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, p.log)
		}
	})
	return p
}

func (p *child) kill() {
	p.c.t.Helper()
	select {
	case err := <-p.ended:
		p.c.t.Fatalf("the process ended by itself: %v\n%s", err, p.log)
	default:
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop asks the process to stop and returns how long that took.
func (p *child) stop() time.Duration {
	p.c.t.Helper()
	began := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		if err != nil {
			p.c.t.Errorf("the process ended with %v:\n%s", err, p.log)
		}
	case <-time.After(patience):
		p.c.t.Fatal("the process does not stop")
	}
	return time.Since(began)
}

// logs waits for a line of the process's log.
func (p *child) logs(text string) {
	p.c.t.Helper()
	for ctx := p.c.ctx(); !strings.Contains(p.log.String(), text); time.Sleep(10 * time.Millisecond) {
		if ctx.Err() != nil {
			p.c.t.Fatalf("the log has no %q", text)
		}
	}
}

// syncBuffer is a buffer that a process writes to while a test reads it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
