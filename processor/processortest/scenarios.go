package processortest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kinfold/processor/config"
	"kinfold/processor/kafka"
)

// scenarios are what goes wrong in ways that chance alone seldom brings together. A seed has one of them, or none.
var scenarios = []func(p *Plan, r *rand.Rand, horizon time.Duration){
	nothing, (*Plan).storm, (*Plan).lateCommit, (*Plan).lateCommit, (*Plan).expelled, (*Plan).amnesia, (*Plan).liar, (*Plan).lateLook, (*Plan).lateLook, (*Plan).slowRead, (*Plan).slowRead,
	(*Plan).wander, (*Plan).backlog,
}

func nothing(*Plan, *rand.Rand, time.Duration) {}

// storm lets processes come and go every few seconds, so that partitions wander and come back.
func (p *Plan) storm(r *rand.Rand, horizon time.Duration) {
	p.atLeast(2)
	running := make([]bool, len(p.Processes))
	for i := range running {
		running[i] = true
	}
	for at := within(r, time.Second); at < horizon; at += 2*time.Second + within(r, 3*time.Second) {
		i := r.IntN(len(running))
		if running[i] && !slices.Contains(slices.Concat(running[:i], running[i+1:]), true) {
			continue // somebody works
		}
		deed := Start
		if running[i] {
			deed = Stop
		}
		running[i] = !running[i]
		p.Steps = append(p.Steps, Step{At: at, Do: deed, Process: i})
	}
}

// lateCommit lets a process die whose last request is still under way when its partitions have a new owner. The configuration
// refuses time-outs with which that happens; the order of the steps at an assignment holds all the same.
func (p *Plan) lateCommit(r *rand.Rand, _ time.Duration) {
	p.atLeast(2)
	p.TransactionTimeout, p.SessionTimeout = 15*time.Second, 6*time.Second
	p.Rules = append(p.Rules, Rule{
		Process: r.IntN(len(p.Processes)), Key: kmsg.EndTxn, Skip: r.IntN(6), Times: 1, Only: func(r kmsg.Request) bool {
			e, ok := r.(*kmsg.EndTxnRequest)
			return ok && strings.Contains(e.TransactionalID, "."+string(config.StageResolve)+".")
		},
		Verdict: Verdict{Action: Late, Hold: 6*time.Second + within(r, 6*time.Second)},
		Crash:   &Crash{Kept: 100, Back: 14 * time.Second},
	})
}

// expelled tells a member that the group does not know it any more while a transaction of its waits for a broker. The client's commit
// then waits for a heartbeat, and the loop that sends heartbeats waits for the commit to allow a rebalance.
func (p *Plan) expelled(r *rand.Rand, _ time.Duration) {
	i, after, writes := r.IntN(len(p.Processes)), 1+r.IntN(6), 0
	p.Rules = append(p.Rules,
		Rule{Process: i, Key: kmsg.Produce, Times: 1, Verdict: Verdict{Action: Delay, Hold: 3*time.Second + within(r, time.Second)}, Only: func(r kmsg.Request) bool {
			if writesOfResolve(r) {
				writes++
			}
			return writes > after
		}},
		Rule{Process: i, Key: kmsg.Heartbeat, Times: 1, Verdict: Verdict{Action: Refuse, Err: kerr.UnknownMemberID}, Only: func(r kmsg.Request) bool {
			return heartbeatOfResolve(r) && writes > after
		}})
}

// amnesia lets the coordinator say that stage 2 has no offsets, to a process that lost its disk or has an old one.
func (p *Plan) amnesia(r *rand.Rand, horizon time.Duration) {
	i := r.IntN(len(p.Processes))
	for range 2 {
		p.Steps = append(p.Steps, Step{At: within(r, horizon), Do: Kill, Process: i, Crash: &Crash{Wiped: r.IntN(2) == 0, Back: within(r, time.Second)}})
	}
	p.Rules = append(p.Rules, Rule{
		Process: i, Key: kmsg.OffsetFetch, Skip: r.IntN(12), Times: 1 + r.IntN(6), Verdict: Verdict{Action: Forget},
		Only: func(r kmsg.Request) bool { return offsetsOf(r, config.StageResolve) },
	})
}

// liar lets commits take effect that are answered with an error. What the client makes of it differs from error to error.
func (p *Plan) liar(r *rand.Rand, _ time.Duration) {
	err := kerr.UnknownServerError
	if r.IntN(3) == 0 {
		err = pick(r, Plausible[kmsg.EndTxn]...)
	}
	p.Rules = append(p.Rules, Rule{Process: anyProcess, Key: kmsg.EndTxn, Skip: r.IntN(10), Times: 1 + r.IntN(3), Verdict: Verdict{Action: Lie, Err: err}})
}

// lateLook holds up a process between two looks at Kafka while it restores, for so long that the group gives up on it.
func (p *Plan) lateLook(r *rand.Rand, _ time.Duration) {
	p.atLeast(2)
	p.TransactionTimeout, p.SessionTimeout = 4*time.Second, 6*time.Second
	i := r.IntN(len(p.Processes))
	p.Rules = append(p.Rules,
		Rule{Process: i, Key: kmsg.ListOffsets, Skip: r.IntN(3), Times: 1, Only: ofChangelog, Verdict: Verdict{Action: Late, Hold: 9 * time.Second}},
		Rule{Process: i, Key: kmsg.Heartbeat, Skip: r.IntN(3), Times: 1, Only: heartbeatOfResolve, Verdict: Verdict{Action: Late, Hold: 20 * time.Second}})
}

// slowRead takes the disk of a process and holds up a read with which it restores, for longer than anybody expects a broker to take.
func (p *Plan) slowRead(r *rand.Rand, horizon time.Duration) {
	i := r.IntN(len(p.Processes))
	p.Steps = append(p.Steps, Step{At: horizon/2 + within(r, horizon/2), Do: Kill, Process: i, Crash: &Crash{Wiped: true, Back: within(r, time.Second)}})
	p.Rules = append(p.Rules, Rule{
		Process: i, Key: kmsg.Fetch, Only: OfReplay, Skip: r.IntN(4), Times: 1,
		Verdict: Verdict{Action: pick(r, Late, Delay), Hold: 10*time.Second + within(r, 30*time.Second)},
	})
}

// wander lets one process come and go while another stays: partitions leave it and come back within one session, and what happened
// to them meanwhile is in the feeds before and after.
func (p *Plan) wander(r *rand.Rand, _ time.Duration) {
	both := []config.Stage{config.StageIngest, config.StageResolve}
	p.Processes = [][]config.Stage{both, both}
	p.Partitions = max(p.Partitions, 2)
	people := newPeople(r)
	p.Steps = nil
	at := time.Duration(0)
	for range 3 + r.IntN(4) {
		for _, deed := range []Deed{Stop, Start} {
			p.Steps = append(p.Steps, Step{At: at, Do: Feed, Lines: people.talk(10 + r.IntN(10))}, Step{At: at + time.Second, Do: deed, Process: 1})
			at += 4*time.Second + within(r, 4*time.Second)
		}
	}
	p.Steps = append(p.Steps, Step{At: at, Do: Feed, Lines: people.talk(20)})
}

// backlog lets stage 2 be away for longer than the duplicate window, which counts in the time of the records: what is repeated
// within it is a duplicate, whenever somebody comes to look.
func (p *Plan) backlog(r *rand.Rand, _ time.Duration) {
	p.Processes = [][]config.Stage{{config.StageIngest}, {config.StageResolve}}
	p.Window, p.MaxRecords = 20*time.Second, pick(r, 3, 10)
	people := newPeople(r)
	lines := people.talk(20)
	p.Steps = []Step{
		{At: time.Second, Do: Feed, Lines: lines},
		{At: 4 * time.Second, Do: Kill, Process: 1, Crash: &Crash{Kept: pick(r, 0, 100), Wiped: r.IntN(4) == 0, Back: 25*time.Second + within(r, 40*time.Second)}},
		{At: 5 * time.Second, Do: Feed, Lines: append(people.talk(10), lines...)},
		{At: 80 * time.Second, Do: Feed, Lines: people.talk(10)},
	}
}

// OfReplay reports whether a request reads a changelog.
func OfReplay(r kmsg.Request) bool {
	f, ok := r.(*kmsg.FetchRequest)
	return ok && f.MaxBytes == kafka.ReplayMaxBytes
}

func ofChangelog(r kmsg.Request) bool {
	l, ok := r.(*kmsg.ListOffsetsRequest)
	return ok && len(l.Topics) > 0 && strings.HasSuffix(l.Topics[0].Topic, "-changelog")
}

func writesOfResolve(r kmsg.Request) bool {
	w, ok := r.(*kmsg.ProduceRequest)
	return ok && w.TransactionID != nil && strings.Contains(*w.TransactionID, "."+string(config.StageResolve)+".")
}

func heartbeatOfResolve(r kmsg.Request) bool {
	h, ok := r.(*kmsg.HeartbeatRequest)
	return ok && strings.HasSuffix(h.Group, string(config.StageResolve))
}

// offsetsOf reports whether a request asks for the offsets of a stage's group.
func offsetsOf(r kmsg.Request, stage config.Stage) bool {
	o, ok := r.(*kmsg.OffsetFetchRequest)
	if !ok {
		return false
	}
	group := o.Group
	if len(o.Groups) > 0 {
		group = o.Groups[0].Group
	}
	return strings.HasSuffix(group, string(stage))
}

// atLeast gives a plan a number of processes, all with both stages where it has too few.
func (p *Plan) atLeast(n int) {
	for len(p.Processes) < n {
		p.Processes = append(p.Processes, []config.Stage{config.StageIngest, config.StageResolve})
	}
}
