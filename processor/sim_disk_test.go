//go:build synctests

package processor_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"kinfold/processor/processortest"
)

// stride is how many operations lie between two places at which the disk fails; each kind of fault begins at another.
const stride = 5

// TestSimulatedDiskThatFailsAtEveryPlace lets one operation on the disk fail, at places all over the life of a process that starts,
// works, is killed with its disk, restores, and works on. Where that stops it, it has said which directory and what to do, and
// starts again; nothing is lost and nothing doubled, whether it stopped or not.
func TestSimulatedDiskThatFailsAtEveryPlace(t *testing.T) {
	var mu sync.Mutex
	places, hit, stopped := 0, 0, 0
	t.Run("places", func(t *testing.T) {
		for i, fault := range []processortest.DiskFault{
			{Kind: errorfs.OpIsWrite, Err: processortest.Broken, Times: 1, Skip: 0},
			{Kind: errorfs.OpIsWrite, Err: processortest.Full, Times: 1, Skip: 4},
			{Kind: errorfs.OpIsWrite, Err: processortest.Full, Times: 5, Skip: 7},
			{Kind: errorfs.OpIsRead, Err: processortest.Broken, Times: 1, Skip: 2},
		} {
			for at := fault.Skip; at < lastPlace; at += stride {
				fault := fault
				fault.Skip = at
				t.Run(fmt.Sprintf("%d/%s", i, &fault), func(t *testing.T) {
					t.Parallel()
					plan := quiet(1)
					plan.Steps = append(plan.Steps,
						processortest.Step{Do: processortest.BadDisk, Disk: &fault},
						processortest.Step{At: 2 * time.Second, Do: processortest.Kill, Crash: &processortest.Crash{Wiped: true, Back: time.Second}},
						processortest.Step{At: 8 * time.Second, Do: processortest.Feed, Lines: processortest.Lines(3, 20)})
					r := simulated(t, plan)
					mu.Lock()
					defer mu.Unlock()
					places++
					hit += min(1, r.Faults["disk fault"])
					stopped += r.Faults["disk failed"]
				})
			}
		}
	})
	t.Logf("%d places, %d of them reached, %d times a process stopped", places, hit, stopped)
	if hit < places/2 || stopped == 0 {
		t.Error("the disk hardly ever failed")
	}
}

// lastPlace is beyond the operations of such a life.
const lastPlace = 180
