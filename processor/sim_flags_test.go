package processor_test

import "flag"

// The flags of the simulation. They are the same with and without the build tag synctests.
var (
	simSeeds   = flag.Int("sim.seeds", 200, "how many `seeds` the simulation runs")
	simFirst   = flag.Uint64("sim.first", 0, "the first `seed`")
	simSeed    = flag.Int64("sim.seed", -1, "run this `seed` only, with the log of its processes")
	simFast    = flag.Bool("sim.failfast", false, "stop at the first seed that fails")
	simMutants = flag.Bool("sim.mutants", false, "plant each bug of testdata/mutants.txt and expect the simulation to find it")
)

// caughtMark begins the line that says in which of the seeds that ran a problem was found first.
const caughtMark = "caught by seed number"

// bubbles matches the tests that run in bubbles.
const bubbles = "^(TestSimulation|TestSimulated.*)$"
