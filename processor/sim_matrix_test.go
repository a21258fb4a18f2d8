//go:build synctests

package processor_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kinfold/processor/processortest"
)

// cell is one way in which one request of a transaction goes wrong.
type cell struct {
	key    kmsg.Key
	action processortest.Action
	err    *kerr.Error
	old    bool // a broker from before KIP-890
}

func (c cell) row() string {
	row := c.key.Name()
	if c.err != nil {
		row += " " + c.err.Message
	}
	return row
}

// The columns of the table, and how long what is held is held: shorter and longer than the time-out of a transaction.
var (
	columns = []processortest.Action{processortest.Refuse, processortest.Lie, processortest.Drop, processortest.Swallow, processortest.Late, processortest.Delay}
	held    = 5 * time.Second
)

// cells are all there are: errors with and without effect, and requests and answers that get lost or come late.
func cells() (all []cell) {
	for _, old := range []bool{true, false} {
		for _, key := range processortest.Transactional {
			if !old && (key == kmsg.AddPartitionsToTxn || key == kmsg.AddOffsetsToTxn) {
				continue // part of Produce and TxnOffsetCommit since KIP-890
			}
			for _, action := range columns {
				if action != processortest.Refuse && action != processortest.Lie {
					all = append(all, cell{key, action, nil, old})
					continue
				}
				for _, err := range processortest.Plausible[key] {
					all = append(all, cell{key, action, err, old})
				}
			}
		}
	}
	return all
}

// plan hits the request in both stages, at its second occurrence and the one after: whoever tries again meets it again. Many
// small feeds make many transactions.
func (c cell) plan() *processortest.Plan {
	plan := quiet(1)
	plan.OldTransactions, plan.Steps = c.old, nil
	for i, lines := range slices.Collect(slices.Chunk(processortest.Lines(7, 60), 10)) {
		plan.Steps = append(plan.Steps, processortest.Step{At: 200*time.Millisecond + time.Duration(i)*500*time.Millisecond, Do: processortest.Feed, Lines: lines})
	}
	for _, stage := range []string{".ingest.", ".resolve."} {
		plan.Rules = append(plan.Rules, processortest.Rule{
			Key: c.key, Skip: 1, Times: 2, Verdict: processortest.Verdict{Action: c.action, Err: c.err, Hold: held},
			Only: func(r kmsg.Request) bool { return strings.Contains(transactionOf(r), stage) },
		})
	}
	return plan
}

// transactionOf is the transactional id in a request.
func transactionOf(r kmsg.Request) string {
	var id *string
	switch r := r.(type) {
	case *kmsg.InitProducerIDRequest:
		id = r.TransactionalID
	case *kmsg.ProduceRequest:
		id = r.TransactionID
	case *kmsg.AddPartitionsToTxnRequest:
		return r.TransactionalID
	case *kmsg.AddOffsetsToTxnRequest:
		return r.TransactionalID
	case *kmsg.TxnOffsetCommitRequest:
		return r.TransactionalID
	case *kmsg.EndTxnRequest:
		return r.TransactionalID
	}
	if id == nil {
		return ""
	}
	return *id
}

// TestSimulatedMatrixOfTransactionRequests lets each request of a transaction fail in each way, with and without effect.
func TestSimulatedMatrixOfTransactionRequests(t *testing.T) {
	var mu sync.Mutex
	bad, runs, hits := map[string]map[processortest.Action]int{}, map[string]map[processortest.Action]int{}, 0
	t.Run("cells", func(t *testing.T) {
		for _, c := range cells() {
			t.Run(fmt.Sprintf("%s/%s/old=%t", strings.ReplaceAll(c.row(), " ", "/"), c.action, c.old), func(t *testing.T) {
				t.Parallel()
				r := simulated(t, c.plan())
				mu.Lock()
				defer mu.Unlock()
				n := r.Faults[c.key.Name()+" "+c.action.String()]
				if hits += n; n == 0 {
					t.Error("the fault did not happen")
				}
				for _, m := range []map[string]map[processortest.Action]int{bad, runs} {
					if m[c.row()] == nil {
						m[c.row()] = map[processortest.Action]int{}
					}
				}
				runs[c.row()][c.action]++
				bad[c.row()][c.action] += len(r.Problems)
			})
		}
	})
	var table strings.Builder
	fmt.Fprintf(&table, "%-62s", "problems found in runs, by request and fault")
	for _, a := range columns {
		fmt.Fprintf(&table, "%10s", a)
	}
	rows := make([]string, 0, len(runs))
	for row := range runs {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	for _, row := range rows {
		fmt.Fprintf(&table, "\n%-62s", row)
		for _, a := range columns {
			if runs[row][a] == 0 {
				fmt.Fprintf(&table, "%10s", "-")
			} else {
				fmt.Fprintf(&table, "%10s", fmt.Sprintf("%d in %d", bad[row][a], runs[row][a]))
			}
		}
	}
	for l := range strings.Lines(table.String()) {
		t.Log(strings.TrimRight(l, "\n"))
	}
	t.Logf("%d cells, %d requests hit", len(cells()), hits)
}
