package processortest

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/kafka"
)

const (
	// drainPatience is how long, on the fake clock, the processes may take to work off everything once nothing is broken any more.
	drainPatience = 10 * time.Minute
	drainPause    = 300 * time.Millisecond
	// idleTime is how long the processes run on when everything is worked off: whatever they write then is too much.
	idleTime = 5 * time.Second
	// readyPatience is how long it may take until a process that recovered calls itself ready.
	readyPatience = 2 * time.Minute
	// maxStacks bounds the account of a run that hangs.
	maxStacks = 4 << 20
)

// Result is what became of one run.
type Result struct {
	Problems []string
	Faults   map[string]int // what was broken, and how often
	Lines    int            // of input
	Lived    time.Duration  // on the fake clock
}

// Probe is how a world looks into the code under test beyond what that shows to everybody.
type Probe struct {
	Replay Replayer
	Ready  func(*processor.Processor) bool
}

// Simulate takes a plan through a world of its own and has the oracle judge. It belongs into a bubble.
func Simulate(t testing.TB, plan *Plan, probe Probe) *Result {
	w := NewWorld(t, plan, probe)
	w.Run()
	if !w.failed() {
		tr, err := w.Traces()
		if err != nil {
			w.problem("what the run left behind cannot be read: %v", err)
		} else {
			w.problems = append(w.problems, Check(tr, probe.Replay)...)
		}
	}
	lived := time.Since(epoch)
	w.Close()
	for _, p := range w.procs {
		for range p.bad.failed() {
			w.faults.counted("disk fault")
		}
	}
	return &Result{Problems: w.problems, Faults: w.faults.counts(), Lines: w.fed, Lived: lived}
}

// Run carries out the plan of a world: its steps, with its rules in force; then everything is made whole, must drain, and a last
// feed is read by processes one of which has lost its disk.
func (w *World) Run() {
	for _, s := range w.plan.Steps {
		if s.Do == BadDisk && s.At == 0 { // it fails from the first operation on
			w.procs[s.Process].bad.begin(s.Disk)
		}
	}
	for _, p := range w.procs {
		w.start(p)
	}
	began := time.Now()
	for _, s := range w.plan.Steps {
		time.Sleep(s.At - time.Since(began))
		w.do(s)
	}
	w.faults.heal()
	for _, p := range w.procs {
		p.bad.begin(nil)
	}
	if !w.drain() {
		return
	}
	if len(w.plan.Tail) > 0 {
		w.lastFeed()
	}
	w.mu.Lock()
	w.stopping = true // nobody who crashed comes back now
	w.mu.Unlock()
	for _, p := range w.procs {
		w.stop(p)
	}
	time.Sleep(2 * w.plan.TransactionTimeout) // what somebody left open is aborted by then
}

// lastFeed restores one process from nothing and feeds the tail.
func (w *World) lastFeed() {
	p := w.procs[w.plan.Seed%uint64(len(w.procs))]
	w.stop(p)
	w.mu.Lock()
	p.wipe()
	w.mu.Unlock()
	w.start(p)
	w.feed(w.plan.Tail)
	if w.drain() {
		time.Sleep(idleTime)
		w.awaitReady()
	}
}

// awaitReady expects every process to call itself ready, now that nothing is broken and nothing is left to do.
func (w *World) awaitReady() {
	unready := func() *proc {
		for _, p := range w.procs {
			if l := w.lifeOf(p); l == nil || !w.probe.Ready(l.p) {
				return p
			}
		}
		return nil
	}
	for began := time.Now(); time.Since(began) < readyPatience; time.Sleep(drainPause) {
		if unready() == nil {
			return
		}
	}
	if p := unready(); p != nil {
		w.problem("process %d does not call itself ready %s after everything was worked off", p.index, readyPatience)
	}
}

func (w *World) do(s Step) {
	w.faults.counted(s.Do.String())
	switch s.Do {
	case Feed:
		w.feed(s.Lines)
	case Kill:
		w.crashed(w.procs[s.Process], s.Crash)
	case Stop:
		w.stop(w.procs[s.Process])
	case Start:
		w.start(w.procs[s.Process])
	case Hold:
		if l := w.lifeOf(w.procs[s.Process]); l != nil {
			l.host.Hold(s.For)
		}
	case BadDisk:
		if s.At > 0 {
			w.procs[s.Process].bad.begin(s.Disk)
		}
	case Outage:
		w.net.Down(s.For)
	case Move:
		w.cluster.RehashCoordinators()
		w.cluster.ShufflePartitionLeaders()
	}
}

// feed writes lines to the input, and waits until they are there.
func (w *World) feed(lines []string) {
	p, err := kafka.NewProducer(w.kafka)
	if err != nil {
		w.t.Fatal(err)
	}
	defer p.Close()
	for _, l := range lines {
		w.fed++
		p.Produce(context.Background(), &kafka.Record{
			Topic: inputTopic, Partition: kafka.Unassigned, Key: fmt.Appendf(nil, "k%d", w.fed), Value: []byte(l),
			Timestamp: time.Now().Add(w.plan.InputClock),
		})
	}
	if err := p.Flush(context.Background()); err != nil {
		w.problem("the world itself cannot feed: %v", err)
	}
}

// drain starts whatever does not run and waits until both stages have committed all that is there.
func (w *World) drain() bool {
	c := &coordinator{World: w, began: time.Now(), well: time.Now()}
	for began := time.Now(); time.Since(began) < drainPatience; time.Sleep(drainPause) {
		for _, p := range w.procs {
			w.start(p)
		}
		if w.failed() {
			return false
		}
		if w.drained() {
			return true
		}
		c.look()
	}
	w.problem("the input is not worked off %s after everything was made whole", drainPatience)
	if w.plan.Log {
		c.log()
		stacks := make([]byte, maxStacks)
		w.t.Logf("where everybody waits:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
	return false
}

func (w *World) drained() bool {
	ctx, c := context.Background(), w.config(nil)
	if in, err := w.admin.Drained(ctx, c.Group(config.StageIngest), inputTopic); err != nil || !in {
		return false
	}
	keyed, err := w.admin.Drained(ctx, c.Group(config.StageResolve), c.KeyedTopic())
	return err == nil && keyed
}
