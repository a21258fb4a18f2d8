package processortest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
)

// The names of the one app of a world.
const (
	app        = "sim"
	inputTopic = "sim-interactions"
	stateDir   = "/state"
)

// restartAfter is when somebody starts a process again that stopped with good reason.
const restartAfter = time.Second

// epoch is when a world begins. A synctest bubble begins at 2000-01-01, before which a time counts as wrong.
var epoch = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// World is a deployment in a synctest bubble: brokers, a network, processes with disks, and a clock that nobody waits for.
type World struct {
	t       testing.TB
	plan    *Plan
	probe   Probe
	net     *Network
	cluster *kfake.Cluster
	kafka   *kafka.Config // the way of the world itself to the brokers: nothing happens to it
	admin   *kafka.Admin
	client  *kgo.Client // of groups
	groups  *kadm.Client
	faults  *faultBook

	mu       sync.Mutex
	rng      *rand.Rand // guarded by mu
	procs    []*proc
	problems []string
	lives    sync.WaitGroup
	stopping bool

	fed int // lines
}

// proc is a process that can live more than once. Its disk outlives it.
type proc struct {
	index  int
	stages []config.Stage
	disk   state.MemoryFS
	bad    disk  // what of the disk fails
	disks  int   // how many it had before
	life   *life // nil: it does not run
	lives  int
}

// life is one life of a process.
type life struct {
	host    *Host
	p       *processor.Processor
	cancel  context.CancelFunc
	ended   chan struct{}
	crashed bool // guarded by World.mu
	forgot  bool // it was told that its group has no offsets; guarded by World.mu
}

// NewWorld starts the brokers and makes the topics. It belongs into a bubble; Close ends what it started.
func NewWorld(t testing.TB, plan *Plan, probe Probe) *World {
	time.Sleep(time.Until(epoch))
	w := &World{t: t, plan: plan, probe: probe, rng: rand.New(rand.NewPCG(plan.Seed, 3))}
	w.faults = newFaultBook(w, plan.Rules)
	w.net = NewNetwork(plan.Seed, w.faults.judge)
	opts := []kfake.Opt{
		kfake.NumBrokers(plan.Brokers), kfake.ListenFn(w.net.Listen), kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
	}
	if plan.OldTransactions {
		opts = append(opts, kfake.MaxVersions(kversion.V3_8_0()))
	}
	var err error
	if w.cluster, err = kfake.NewCluster(opts...); err != nil {
		t.Fatal(err)
	}
	w.kafka = &kafka.Config{Brokers: w.cluster.ListenAddrs(), ClientID: "world", Dial: w.net.Host("world").Dial}
	if w.admin, err = kafka.NewAdmin(w.kafka); err != nil {
		t.Fatal(err)
	}
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...), kgo.Dialer(w.kafka.Dial)); err != nil {
		t.Fatal(err)
	}
	w.groups = kadm.NewClient(w.client)
	w.create(inputTopic, plan.InputPartitions)
	w.create(plan.config().Topics.IdentityChanges, 1) // so that the changes of all customers have one order
	for i, stages := range plan.Processes {
		w.procs = append(w.procs, &proc{index: i, stages: stages, disk: state.NewMemoryFS()})
	}
	return w
}

func (w *World) create(topic string, partitions int32) {
	_, err := w.admin.Create(context.Background(), kafka.TopicSpec{
		Name: topic, Partitions: partitions, Replication: -1, Configs: map[string]string{"retention.ms": "-1"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Close ends everything; the bubble is empty after it.
func (w *World) Close() {
	w.mu.Lock()
	w.stopping = true
	w.mu.Unlock()
	for _, p := range w.procs {
		w.crash(p, &Crash{})
	}
	w.lives.Wait()
	w.admin.Close()
	w.client.Close()
	w.cluster.Close()
}

// problem notes what must not be.
func (w *World) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

func (w *World) config(p *proc) *config.Config {
	c := w.plan.config()
	c.Kafka.Brokers = w.kafka.Brokers
	if p != nil {
		c.Stages, c.InstanceID = p.stages, p.instance()
	}
	return c
}

// start begins a life of a process that has none.
func (w *World) start(p *proc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.life != nil || w.stopping {
		return
	}
	p.lives++
	l := &life{host: w.net.Host(fmt.Sprintf("p%d.%d", p.index, p.lives)), ended: make(chan struct{})}
	log := slog.New(slog.DiscardHandler)
	if w.plan.Log {
		log = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("process", l.host.Name)
	}
	w.faults.born(l.host, p)
	var err error
	l.p, err = processor.Open(w.config(p), processor.Options{Logger: log, FS: errorfs.Wrap(p.disk, &p.bad), Dial: l.host.Dial, Listen: w.net.Listen})
	switch {
	case err != nil && p.bad.blamed(err):
		w.repair(p)
		return
	case err != nil:
		w.problems = append(w.problems, fmt.Sprintf("process %s does not open: %v", l.host.Name, err))
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	p.life = l
	w.lives.Add(1)
	go func() {
		defer w.lives.Done()
		err := l.p.Run(ctx)
		l.p.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case l.crashed || err == nil:
		case p.bad.blamed(err):
			w.repair(p)
		case l.forgot && saysForgotten(err): // as it has to; somebody starts it again
			time.AfterFunc(restartAfter, func() { w.start(p) })
		default:
			w.problems = append(w.problems, fmt.Sprintf("process %s ended by itself: %v", l.host.Name, err))
		}
		if p.life == l {
			p.life = nil
		}
		close(l.ended)
	}()
}

// repair looks after the disk of a process that ended because of it, and starts it again. w.mu is held.
func (w *World) repair(p *proc) {
	w.faults.counted("disk failed")
	p.bad.begin(nil)
	p.disk = p.disk.Kill()
	time.AfterFunc(restartAfter, func() { w.start(p) })
}

// stop ends a process in good order.
func (w *World) stop(p *proc) {
	w.mu.Lock()
	l := p.life
	w.mu.Unlock()
	if l != nil {
		l.cancel()
		<-l.ended
	}
}

// crashed ends a process and lets it come back later.
func (w *World) crashed(p *proc, c *Crash) {
	if w.crash(p, c) {
		time.AfterFunc(c.Back, func() { w.start(p) })
	}
}

// saysForgotten reports whether an error is the refusal to take forgotten offsets for a start.
func saysForgotten(err error) bool {
	return strings.Contains(err.Error(), "has no committed offset") || strings.Contains(err.Error(), "has committed -1")
}

// forgets notes that a process was told that its group has no offsets.
func (w *World) forgets(p *proc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.life != nil {
		p.life.forgot = true
	}
}

// crash ends a process at once: to the cluster it is dead, and its disk is as of now, with a share of what was not synced.
// What is left of it winds down where nobody sees it.
func (w *World) crash(p *proc, c *Crash) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := p.life
	if l == nil {
		return false
	}
	p.life, l.crashed = nil, true
	l.host.Cut(c.Lost)
	p.disk = state.MemoryFS{MemFS: p.disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: c.Kept, RNG: rand.New(rand.NewPCG(w.rng.Uint64(), 4)),
	})}
	if c.Wiped {
		p.wipe()
	}
	l.cancel()
	return true
}

// wipe takes the disk of a process. Another one has another name in the group.
func (p *proc) wipe() {
	p.disk = state.NewMemoryFS()
	p.disks++
}

// instance is the name of a process as a static member. It would be drawn by chance for each new disk.
func (p *proc) instance() string { return fmt.Sprintf("process-%d-disk-%d", p.index, p.disks) }

func (w *World) lifeOf(p *proc) *life {
	w.mu.Lock()
	defer w.mu.Unlock()
	return p.life
}

func (w *World) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.problems) > 0
}
