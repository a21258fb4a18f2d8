//go:build synctests

package processor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kinfold/processor/config"
	"kinfold/processor/processortest"
)

// quiet is a plan in which nothing breaks: some processes with both stages, and two feeds.
func quiet(processes int) *processortest.Plan {
	both := []config.Stage{config.StageIngest, config.StageResolve}
	lines := processortest.Lines(1, 60)
	return &processortest.Plan{
		Seed: 1, Brokers: 1, InputPartitions: 2, Partitions: 2, Processes: slices.Repeat([][]config.Stage{both}, processes),
		Interval: 20 * time.Millisecond, MaxRecords: 1000, MaxBytes: 32 << 20, Window: 7 * 24 * time.Hour,
		TransactionTimeout: 4 * time.Second, SessionTimeout: 6 * time.Second,
		Steps: []processortest.Step{
			{At: 100 * time.Millisecond, Do: processortest.Feed, Lines: lines[:10]},
			{At: time.Second, Do: processortest.Feed, Lines: lines[10:]},
		},
		Tail: processortest.Lines(2, 20),
	}
}

func ofResolve(r kmsg.Request) bool {
	switch r := r.(type) {
	case *kmsg.HeartbeatRequest:
		return strings.HasSuffix(r.Group, string(config.StageResolve))
	case *kmsg.ProduceRequest:
		return r.TransactionID != nil && strings.Contains(*r.TransactionID, string(config.StageResolve))
	}
	return false
}

func TestSimulatedQuietDeploymentHasNothingToReport(t *testing.T) { simulated(t, quiet(2)) }

// A member is told that the group does not know it any more while its transaction waits for the broker. The client's commit then
// waits for a heartbeat, and the loop that sends heartbeats waits for the commit to allow a rebalance.
func TestSimulatedCommitThatWaitsForAHeartbeatEndsWithItsTransaction(t *testing.T) {
	plan := quiet(1)
	produced := 0
	plan.Rules = []processortest.Rule{
		{Key: kmsg.Produce, Times: 1, Verdict: processortest.Verdict{Action: processortest.Delay, Hold: 3 * time.Second}, Only: func(r kmsg.Request) bool {
			if ofResolve(r) {
				produced++
			}
			return produced > 1
		}},
		{Key: kmsg.Heartbeat, Times: 1, Verdict: processortest.Verdict{Action: processortest.Refuse, Err: kerr.UnknownMemberID}, Only: func(r kmsg.Request) bool {
			return ofResolve(r) && produced > 1
		}},
	}
	r := simulated(t, plan)
	if r.Faults["Heartbeat refuse"] != 1 || r.Faults["Produce delay"] != 1 {
		t.Errorf("faults %v: the story did not happen", r.Faults)
	}
}

// The brokers are away for a while; when they come back there is nothing to commit that would show that all is well.
func TestSimulatedStageThatRecoveredAndHasNothingToDoIsReady(t *testing.T) {
	plan := quiet(2)
	plan.Partitions, plan.InputPartitions = 1, 1 // the second process owns nothing
	plan.Steps = append(plan.Steps, processortest.Step{At: 5 * time.Second, Do: processortest.Outage, For: 40 * time.Second})
	simulated(t, plan)
}

// A process is cut off between two looks at Kafka: it has asked for the offset of a partition that nobody had written, and asks for
// the end of its changelog only after another process has taken over and committed. That is no other history, it is only late.
func TestSimulatedMemberThatIsLateTakesTheWorkOfOthersForNoOtherHistory(t *testing.T) {
	late := func(r kmsg.Request) bool {
		l, ok := r.(*kmsg.ListOffsetsRequest)
		return ok && len(l.Topics) > 0 && strings.HasSuffix(l.Topics[0].Topic, "-changelog")
	}
	// The first process asks for the end of a changelog, and both the question and its heartbeats arrive late.
	story := func(t *testing.T, heartbeats int, steps ...processortest.Step) {
		plan := quiet(2)
		plan.Rules = []processortest.Rule{
			{Process: 0, Key: kmsg.ListOffsets, Only: late, Times: 1, Verdict: processortest.Verdict{Action: processortest.Late, Hold: 9 * time.Second}},
			{Process: 0, Key: kmsg.Heartbeat, Only: ofResolve, Skip: heartbeats, Times: 1, Verdict: processortest.Verdict{Action: processortest.Late, Hold: 20 * time.Second}},
		}
		plan.Steps = append(plan.Steps, steps...)
		// Faults last until the last step.
		plan.Steps = append(plan.Steps, processortest.Step{At: 15 * time.Second, Do: processortest.Feed, Lines: processortest.Lines(4, 10)})
		slices.SortStableFunc(plan.Steps, func(a, b processortest.Step) int { return int(a.At - b.At) })
		r := simulated(t, plan)
		if r.Faults["ListOffsets late"] != 1 || r.Faults["Heartbeat late"] != 1 {
			t.Errorf("faults %v: the story did not happen", r.Faults)
		}
	}
	t.Run("nothing was written before", func(t *testing.T) { story(t, 0) })
	t.Run("something was written before", func(t *testing.T) {
		story(t, 1,
			processortest.Step{At: 0, Do: processortest.Stop, Process: 0},
			processortest.Step{At: 2 * time.Second, Do: processortest.Start, Process: 0},
			processortest.Step{At: 5 * time.Second, Do: processortest.Feed, Lines: processortest.Lines(3, 30)})
	})
}

// A process restores its disk, and the broker's answer to a read of one of the changelogs takes half a minute. What it has not read
// yet is there all the same: without it, duplicates would be taken for new.
func TestSimulatedRestoreWaitsForAnAnswerThatTakesLong(t *testing.T) {
	for read := range 2 {
		t.Run(fmt.Sprintf("read %d", read+1), func(t *testing.T) {
			plan := quiet(1)
			plan.Partitions = 1
			lines := plan.Steps[1].Lines
			plan.Rules = []processortest.Rule{{Key: kmsg.Fetch, Only: processortest.OfReplay, Skip: read, Times: 1, Verdict: processortest.Verdict{Action: processortest.Late, Hold: 30 * time.Second}}}
			plan.Steps = append(plan.Steps,
				processortest.Step{At: 3 * time.Second, Do: processortest.Kill, Process: 0, Crash: &processortest.Crash{Wiped: true, Back: time.Second}},
				processortest.Step{At: time.Minute, Do: processortest.Feed, Lines: lines})
			r := simulated(t, plan)
			if r.Faults["Fetch late"] != 1 {
				t.Errorf("faults %v: the story did not happen", r.Faults)
			}
		})
	}
}

// For a minute processes come and go every few seconds: one, four, one again. Whatever a partition's changelog holds was written by
// one epoch at a time, and no member that stays loses its session for it.
func TestSimulatedRebalanceStorm(t *testing.T) {
	plan := quiet(4)
	plan.Partitions, plan.InputPartitions = 8, 4
	plan.Steps = nil
	lines := processortest.Lines(5, 400)
	at := time.Duration(0)
	step := func(do processortest.Deed, process int) {
		plan.Steps = append(plan.Steps, processortest.Step{At: at, Do: do, Process: process})
	}
	for i := range 3 {
		step(processortest.Stop, i+1)
	}
	for at < time.Minute {
		for _, do := range []processortest.Deed{processortest.Start, processortest.Stop} {
			for i := range 3 {
				n := min(10, len(lines))
				plan.Steps = append(plan.Steps, processortest.Step{At: at, Do: processortest.Feed, Lines: lines[:n]})
				lines = lines[n:]
				step(do, i+1)
				at += 2500 * time.Millisecond
			}
		}
	}
	r := simulated(t, plan)
	if r.Faults["start"] < 12 || r.Faults["stop"] < 12 || r.Lines < 250 {
		t.Errorf("faults %v, %d lines: no storm", r.Faults, r.Lines)
	}
}

// The clock of the machines is an hour ahead of, or behind, that of whoever wrote the input. Time comes from the records.
func TestSimulatedClocksThatAreWrong(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			plan := quiet(2)
			plan.InputClock = off
			plan.Window = 20 * time.Second
			plan.Steps = append(plan.Steps,
				processortest.Step{At: 2 * time.Second, Do: processortest.Kill, Process: 0, Crash: &processortest.Crash{Back: time.Second}},
				processortest.Step{At: 30 * time.Second, Do: processortest.Feed, Lines: plan.Steps[1].Lines})
			simulated(t, plan)
		})
	}
}

// Nothing comes for longer than sessions, transactions, connections and metadata last. Then it goes on as if nothing had been.
func TestSimulatedIdleDeploymentGoesOn(t *testing.T) {
	const idle = 40 * time.Minute // connections end after 20 seconds, metadata is fetched anew after 5 minutes
	plan := quiet(2)
	plan.Steps = append(plan.Steps, processortest.Step{At: idle, Do: processortest.Feed, Lines: processortest.Lines(6, 40)})
	if r := simulated(t, plan); r.Lived < idle {
		t.Errorf("it lived for %s", r.Lived)
	}
}
