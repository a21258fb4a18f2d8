//go:build synctests

package processor_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/kafka"
	"kinfold/processor/processortest"
	"kinfold/processor/table"
)

// replayed is the pure step of stage 2, for the oracle.
func replayed(c *config.Config) (func(*kafka.Record) ([]*kafka.Record, []table.Row, error), error) {
	r, err := processor.NewReplay(c)
	if err != nil {
		return nil, err
	}
	return r.Step, nil
}

var probe = processortest.Probe{Replay: replayed, Ready: (*processor.Processor).Ready}

// simulated runs a plan in a bubble of its own and reports what the oracle found.
func simulated(t *testing.T, plan *processortest.Plan) *processortest.Result {
	t.Helper()
	var result *processortest.Result
	synctest.Test(t, func(t *testing.T) { result = processortest.Simulate(t, plan, probe) })
	if len(result.Problems) > 0 {
		t.Errorf("%s", plan)
		for _, p := range result.Problems {
			t.Error(p)
		}
	}
	return result
}

func TestSimulation(t *testing.T) {
	if *simSeed >= 0 {
		plan := processortest.NewPlan(uint64(*simSeed))
		plan.Log = true
		simulated(t, plan)
		return
	}
	var mu sync.Mutex
	faults, lines, lived := map[string]int{}, 0, time.Duration(0)
	began, ran, failed := time.Now(), 0, false
	t.Run("seeds", func(t *testing.T) {
		for seed := *simFirst; seed < *simFirst+uint64(*simSeeds); seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				mu.Lock()
				skip := failed && *simFast
				ran++
				mu.Unlock()
				if skip {
					t.SkipNow()
				}
				r := simulated(t, processortest.NewPlan(seed))
				mu.Lock()
				defer mu.Unlock()
				if t.Failed() && !failed {
					failed = true
					fmt.Printf("%s %d: %s\n", caughtMark, ran, r.Problems[0])
				}
				lines, lived = lines+r.Lines, lived+r.Lived
				for what, n := range r.Faults {
					faults[what] += n
				}
			})
		}
	})
	took := time.Since(began)
	t.Logf("%d seeds in %s, %.1f a second; %d input records, %s of fake time", *simSeeds, took.Round(time.Second/10), float64(*simSeeds)/took.Seconds(), lines, lived.Round(time.Second))
	for _, what := range slices.Sorted(maps.Keys(faults)) {
		t.Logf("%6d %s", faults[what], what)
	}
}
