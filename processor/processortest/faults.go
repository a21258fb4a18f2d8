package processortest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kinfold/processor/kafka"
)

// anyProcess as the Process of a Rule means each of them.
const anyProcess = -1

// Rule is one fault of a plan: what happens to certain requests. Places are counted in requests, not in time, so that a fault
// hits the same point of the protocol whatever else goes on.
type Rule struct {
	Process int      // index, or anyProcess
	Key     kmsg.Key // which requests
	// Only, when set, narrows them further.
	Only func(kmsg.Request) bool
	// Fencing counts the transactions with which a session ends those of former lives; else only its own are counted.
	Fencing bool
	Skip    int // how many of them pass before the first fault
	Times   int // how many are hit
	Verdict
	// Crash ends the process that sends the request: before it arrives, or when it is on its way.
	Crash *Crash

	seen int // guarded by faultBook.mu
}

func (r *Rule) String() string {
	what := r.Action.String()
	if r.Err != nil {
		what += " " + r.Err.Message
	}
	if r.Hold > 0 {
		what += " " + r.Hold.String()
	}
	if r.Crash != nil {
		what = r.Crash.String()
	}
	return fmt.Sprintf("process %d, %s %d to %d: %s", r.Process, r.Key.Name(), r.Skip+1, r.Skip+r.Times, what)
}

// Crash is how a process ends, and when it comes back.
type Crash struct {
	Before bool // the request at which it happens never arrives
	Lost   bool // nor does anything else that is under way
	Kept   int  // percent of what was not synced that the disk keeps: 100 is SIGKILL, less is a loss of power
	Wiped  bool // the disk is gone
	Back   time.Duration
}

func (c *Crash) String() string {
	return fmt.Sprintf("crash (before %t, lost %t, kept %d%%, wiped %t) back after %s", c.Before, c.Lost, c.Kept, c.Wiped, c.Back)
}

// faultBook applies the rules of a plan and counts what they did.
type faultBook struct {
	world *World

	mu    sync.Mutex
	rules []Rule
	procs map[*Host]*proc
	over  bool
	count map[string]int
}

func newFaultBook(w *World, rules []Rule) *faultBook {
	return &faultBook{world: w, rules: slices.Clone(rules), procs: map[*Host]*proc{}, count: map[string]int{}}
}

func (f *faultBook) born(h *Host, p *proc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.procs[h] = p
}

// heal ends all faults.
func (f *faultBook) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

// counted adds to the figures of the run.
func (f *faultBook) counted(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count[what]++
}

func (f *faultBook) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.count)
}

// judge is the Judge of the world's network.
func (f *faultBook) judge(r *Request) Verdict {
	f.mu.Lock()
	p := f.procs[r.Host]
	rule := f.match(r, p)
	if rule == nil {
		f.mu.Unlock()
		return Verdict{}
	}
	v, crash := rule.Verdict, rule.Crash
	what := v.Action.String()
	if crash != nil {
		what = "crash"
	}
	f.count[r.Key.Name()+" "+what]++
	f.mu.Unlock()
	if v.Action == Forget {
		f.world.forgets(p)
	}
	if crash == nil {
		return v
	}
	if crash.Before {
		f.world.crashed(p, crash)
		return Verdict{Action: Drop}
	}
	v.After = func() { f.world.crashed(p, crash) }
	return v
}

// match finds the rule that hits a request now.
func (f *faultBook) match(r *Request, p *proc) *Rule {
	if f.over || p == nil {
		return nil
	}
	for i := range f.rules {
		rule := &f.rules[i]
		if rule.Key != r.Key || rule.Process != anyProcess && rule.Process != p.index || rule.seen >= rule.Skip+rule.Times {
			continue
		}
		if ends[r.Key] && rule.Fencing != strings.HasSuffix(r.ClientID, kafka.FencerSuffix) {
			continue
		}
		if rule.Only != nil {
			if req, err := r.Parse(); err != nil || !rule.Only(req) {
				continue
			}
		}
		rule.seen++
		if rule.seen > rule.Skip {
			return rule
		}
	}
	return nil
}

// Plausible lists the errors that a broker may give to a request, right or wrong.
var Plausible = map[kmsg.Key][]*kerr.Error{
	kmsg.InitProducerID: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.ConcurrentTransactions,
		kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.RequestTimedOut, kerr.UnknownServerError},
	kmsg.AddPartitionsToTxn: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.ConcurrentTransactions, kerr.ProducerFenced,
		kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.InvalidProducerIDMapping, kerr.UnknownTopicOrPartition, kerr.RequestTimedOut, kerr.UnknownServerError},
	kmsg.AddOffsetsToTxn: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.ConcurrentTransactions, kerr.ProducerFenced,
		kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.InvalidProducerIDMapping, kerr.RequestTimedOut, kerr.UnknownServerError},
	kmsg.Produce: {kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.KafkaStorageError,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.UnknownTopicOrPartition, kerr.UnknownServerError},
	kmsg.TxnOffsetCommit: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID,
		kerr.FencedInstanceID, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.RequestTimedOut, kerr.UnknownServerError},
	kmsg.EndTxn: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.ConcurrentTransactions, kerr.InvalidTxnState,
		kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.RequestTimedOut, kerr.UnknownServerError},
	kmsg.OffsetFetch: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnstableOffsetCommit, kerr.RequestTimedOut, kerr.UnknownServerError},
	kmsg.Fetch: {kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.KafkaStorageError, kerr.OffsetNotAvailable, kerr.FencedLeaderEpoch,
		kerr.UnknownLeaderEpoch, kerr.CorruptMessage, kerr.UnknownServerError},
	kmsg.ListOffsets: {kerr.NotLeaderForPartition, kerr.OffsetNotAvailable, kerr.UnknownServerError},
	kmsg.JoinGroup: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnknownMemberID, kerr.RebalanceInProgress,
		kerr.FencedInstanceID, kerr.UnknownServerError},
	kmsg.SyncGroup: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration,
		kerr.RebalanceInProgress, kerr.FencedInstanceID, kerr.UnknownServerError},
	kmsg.Heartbeat: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration,
		kerr.FencedInstanceID, kerr.UnknownServerError},
	kmsg.DescribeTransactions: {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnknownServerError},
	kmsg.DescribeProducers:    {kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.UnknownServerError},
	kmsg.LeaveGroup:           {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.UnknownMemberID, kerr.UnknownServerError},
}

// ends are the requests that a session also makes to end transactions of former lives.
var ends = map[kmsg.Key]bool{kmsg.AddPartitionsToTxn: true, kmsg.AddOffsetsToTxn: true, kmsg.EndTxn: true}

// Transactional are the requests of a transaction, in the order in which they are made.
var Transactional = []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn}

// others are the requests of reading and of the group.
var others = []kmsg.Key{kmsg.OffsetFetch, kmsg.Fetch, kmsg.ListOffsets, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.LeaveGroup,
	kmsg.DescribeTransactions, kmsg.DescribeProducers}
