//go:build !synctests

package processor_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

// racedSeeds are simulated with the race detector unless -sim.seeds says how many.
const racedSeeds = 20

// TestSimulation runs the simulation, its stories and its matrix in a test binary of its own: a bubble's clock goes on only when
// every goroutine waits for something that the bubble knows, and the Kafka client's locks are that under a build tag only.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs a test binary")
	}
	which, seeds := bubbles, *simSeeds
	if raced() { // some seeds go through all that is concurrent; matrix and stories would take ten times as long
		which = "^TestSimulation$"
		set := false
		flag.Visit(func(f *flag.Flag) { set = set || f.Name == "sim.seeds" })
		if !set {
			seeds = racedSeeds
		}
	}
	out, err := simulate(t, "-v", "-run", which, ".", fmt.Sprint("-sim.seeds=", seeds), fmt.Sprint("-sim.first=", *simFirst), fmt.Sprint("-sim.seed=", *simSeed),
		fmt.Sprint("-sim.failfast=", *simFast))
	if err != nil {
		t.Fatalf("%v\n%s", err, failuresOf(out))
	}
	t.Log(summaryOf(out))
}

// failuresOf leaves out the tests that passed, of which there are hundreds.
func failuresOf(out string) string {
	return linesOf(out, func(l string) bool {
		return !strings.HasPrefix(l, "=== ") && !strings.Contains(l, "--- PASS") && !strings.Contains(l, "--- SKIP")
	})
}

// summaryOf is what the tests in bubbles log.
func summaryOf(out string) string {
	return linesOf(out, func(l string) bool { return strings.HasPrefix(l, "    sim_") })
}

func linesOf(text string, keep func(string) bool) string {
	var kept []string
	for l := range strings.Lines(text) {
		if keep(l) {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "")
}
