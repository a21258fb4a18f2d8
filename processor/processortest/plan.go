package processortest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kinfold/processor/config"
)

// Plan is all that a seed decides about one run: the deployment, what is fed, and what is broken when. The order in which the
// goroutines of one instant run is not part of it: nothing in Go fixes that. Faults are placed by counting requests and by the
// fake clock, and latencies are drawn, so that two runs of a seed take the same way up to such instants.
type Plan struct {
	Seed            uint64
	Brokers         int
	OldTransactions bool // a broker from before KIP-890: partitions are added to transactions by requests
	InputPartitions int32
	Partitions      int32 // of the keyed topic
	Processes       [][]config.Stage

	Interval           time.Duration // of commits
	MaxRecords         int
	MaxBytes           int
	Window             time.Duration // of duplicates
	TransactionTimeout time.Duration
	SessionTimeout     time.Duration

	// InputClock is by how much the clock of whoever writes the input is ahead of that of the processes.
	InputClock time.Duration

	Rules []Rule
	Steps []Step
	// Tail is fed when all else is over, to processes of which one has lost its disk: duplicates among it show whether the
	// state came back.
	Tail []string

	Log bool // the processes write their log into the test's output
}

// Step is something that happens at a time.
type Step struct {
	At      time.Duration
	Do      Deed
	Process int
	Lines   []string      // of Feed
	For     time.Duration // of Hold and Outage
	Crash   *Crash        // of Kill
	Disk    *DiskFault    // of BadDisk
}

// Deed is what a step does.
type Deed uint8

// The deeds.
const (
	Feed    Deed = iota // write Lines to the input
	Kill                // Crash a process
	Stop                // stop a process in good order
	Start               // start a process that does not run
	Hold                // nothing reaches or leaves a process for a while
	Outage              // the brokers are away for a while
	Move                // partitions and coordinators move to other brokers
	BadDisk             // the disk of a process begins to fail
)

var deedNames = [...]string{"feed", "kill", "stop", "start", "hold", "outage", "move", "bad disk"}

func (d Deed) String() string { return deedNames[d] }

// String describes the plan for a failure's report.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d brokers (old transactions %t), %d+%d partitions, processes %v, commit %s or %d records, window %s, timeouts %s %s",
		p.Seed, p.Brokers, p.OldTransactions, p.InputPartitions, p.Partitions, p.Processes, p.Interval, p.MaxRecords, p.Window,
		p.TransactionTimeout, p.SessionTimeout)
	for i := range p.Rules {
		fmt.Fprintf(&b, "\n  rule: %s", p.Rules[i].String())
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "\n  %7.3fs %s", s.At.Seconds(), s.Do)
		switch s.Do {
		case Feed:
			fmt.Fprintf(&b, " %d", len(s.Lines))
		case Outage, Move:
		default:
			fmt.Fprintf(&b, " process %d", s.Process)
		}
		if s.For > 0 {
			fmt.Fprintf(&b, " for %s", s.For)
		}
		if s.Crash != nil {
			fmt.Fprintf(&b, " %s", s.Crash)
		}
		if s.Disk != nil {
			fmt.Fprintf(&b, " %s", s.Disk)
		}
	}
	return b.String()
}

// config is the configuration of each process.
func (p *Plan) config() *config.Config {
	c := config.Default()
	c.App, c.StateDir = app, stateDir
	c.Sources = []config.Source{{Topics: []string{inputTopic}, Format: config.FormatJSON}}
	c.Topics.Partitions = p.Partitions
	c.Topics.UnifiedCustomerEvents = app + "-events"
	c.Topics.IdentityChanges = app + "-changes"
	c.Topics.IdentityMap = app + "-map"
	c.Topics.Rejects = app + "-rejects"
	c.Commit.Interval, c.Commit.LagInterval = p.Interval, p.Interval
	c.Commit.MaxRecords, c.Commit.MaxBytes = p.MaxRecords, config.Bytes(p.MaxBytes)
	c.Commit.TransactionTimeout, c.Commit.SessionTimeout = p.TransactionTimeout, p.SessionTimeout
	c.HTTP.Listen = "health:0"
	c.CacheBytes = cacheBytes
	c.Identity.Realms = realms
	c.Identity.DuplicateWindow = p.Window
	return c
}

// cacheBytes of a process: enough for what it holds.
const cacheBytes = 4 << 20

// NewPlan draws a plan.
func NewPlan(seed uint64) *Plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := &Plan{
		Seed: seed, Brokers: 1, OldTransactions: r.IntN(2) == 0,
		InputPartitions: 1 + r.Int32N(3), Partitions: 1 + r.Int32N(4),
		Interval: pick[time.Duration](r, 5, 20, 100, 400) * time.Millisecond, MaxRecords: pick(r, 3, 10, 50, 1000), MaxBytes: pick(r, 4<<10, 32<<20),
		Window: pick(r, 20*time.Second, 60*time.Second, 7*24*time.Hour), TransactionTimeout: 4 * time.Second, SessionTimeout: 6 * time.Second,
	}
	if r.IntN(3) == 0 {
		p.Brokers = 2 + r.IntN(2)
	}
	if r.IntN(4) == 0 {
		p.TransactionTimeout, p.SessionTimeout = 15*time.Second, 20*time.Second
	}
	p.Processes = drawProcesses(r)
	horizon := time.Duration(5+r.IntN(35)) * time.Second
	people := newPeople(r)
	for range 3 + r.IntN(8) {
		p.Steps = append(p.Steps, Step{At: within(r, horizon), Do: Feed, Lines: people.talk(5 + r.IntN(25))})
	}
	p.Tail = people.talk(20)
	p.drawDeeds(r, horizon)
	pick(r, scenarios...)(p, r, horizon)
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return int(a.At - b.At) })
	for range r.IntN(7) {
		p.Rules = append(p.Rules, drawRule(r, len(p.Processes)))
	}
	return p
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func within(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

func drawProcesses(r *rand.Rand) [][]config.Stage {
	both, ingest, resolve := []config.Stage{config.StageIngest, config.StageResolve}, []config.Stage{config.StageIngest}, []config.Stage{config.StageResolve}
	n := 1 + r.IntN(4)
	if n > 1 && r.IntN(4) == 0 {
		split := [][]config.Stage{ingest, resolve}
		for len(split) < n {
			split = append(split, pick(r, both, ingest, resolve))
		}
		return split
	}
	return slices.Repeat([][]config.Stage{both}, n)
}

func (p *Plan) drawDeeds(r *rand.Rand, horizon time.Duration) {
	any := func() int { return r.IntN(len(p.Processes)) }
	add := func(most int, draw func() Step) {
		for range r.IntN(most + 1) {
			p.Steps = append(p.Steps, draw())
		}
	}
	add(4, func() Step { return Step{At: within(r, horizon), Do: Kill, Process: any(), Crash: drawCrash(r)} })
	add(2, func() Step { return Step{At: within(r, horizon), Do: Stop, Process: any()} })
	add(3, func() Step { return Step{At: within(r, horizon), Do: Start, Process: any()} })
	add(2, func() Step {
		return Step{At: within(r, horizon), Do: Hold, Process: any(), For: within(r, 2*p.SessionTimeout)}
	})
	add(1, func() Step { return Step{At: within(r, horizon), Do: Outage, For: within(r, 8*time.Second)} })
	if p.Brokers > 1 {
		add(3, func() Step { return Step{At: within(r, horizon), Do: Move} })
	}
	if r.IntN(4) == 0 {
		p.Steps = append(p.Steps, Step{At: within(r, horizon), Do: BadDisk, Process: any(), Disk: drawDiskFault(r)})
	}
}

// drawCrash draws the end of a process. Most come back soon, some when the group has given up on them, and some when a short
// duplicate window has passed.
func drawCrash(r *rand.Rand) *Crash {
	c := &Crash{Before: r.IntN(2) == 0, Lost: r.IntN(3) == 0, Kept: pick(r, 0, 50, 100, 100), Wiped: r.IntN(8) == 0}
	switch r.IntN(6) {
	case 0:
		c.Back = within(r, 30*time.Second)
	case 1:
		c.Back = within(r, 90*time.Second)
	default:
		c.Back = within(r, time.Second)
	}
	return c
}

func drawDiskFault(r *rand.Rand) *DiskFault {
	return &DiskFault{Skip: r.IntN(200), Times: pick(r, 1, 1, 3), Kind: pick(r, errorfs.OpIsRead, errorfs.OpIsWrite, errorfs.OpIsWrite), Err: pick(r, Full, Broken)}
}

func drawRule(r *rand.Rand, processes int) Rule {
	keys := Transactional
	if r.IntN(3) == 0 {
		keys = others
	}
	rule := Rule{Process: r.IntN(processes), Key: pick(r, keys...), Skip: r.IntN(20), Times: 1}
	if rule.Skip >= 18 { // that many are made in long lives only
		rule.Fencing, rule.Skip = ends[rule.Key], rule.Skip-18
	}
	if r.IntN(4) == 0 {
		rule.Process = anyProcess
	}
	if r.IntN(4) == 0 {
		rule.Times = 2 + r.IntN(4)
	}
	if r.IntN(4) == 0 {
		rule.Crash, rule.Times = drawCrash(r), 1
		return rule
	}
	if rule.Key == kmsg.OffsetFetch && r.IntN(2) == 0 {
		// Of stage 2 only: stage 1 has no state that could tell it from a start.
		rule.Action, rule.Only = Forget, func(r kmsg.Request) bool { return offsetsOf(r, config.StageResolve) }
		return rule
	}
	rule.Action = pick(r, Refuse, Refuse, Lie, Lie, Lie, Drop, Swallow, Swallow, Late, Delay)
	switch rule.Action {
	case Refuse, Lie:
		rule.Err = pick(r, Plausible[rule.Key]...)
	case Late, Delay:
		rule.Hold = within(r, 12*time.Second)
	}
	return rule
}
