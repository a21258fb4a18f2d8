package processortest

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// DiskFault is a disk that begins to fail, as the processes see it.
type DiskFault struct {
	Skip  int // operations that go well first
	Times int // how many then fail; 0: all, until somebody looks after it
	Kind  errorfs.OpReadWrite
	Err   syscall.Errno
}

func (f *DiskFault) String() string {
	times := "all"
	if f.Times > 0 {
		times = fmt.Sprint(f.Times)
	}
	kind := "reads"
	if f.Kind == errorfs.OpIsWrite {
		kind = "writes"
	}
	return fmt.Sprintf("%s %s after %d: %s", times, kind, f.Skip, f.Err)
}

// Full and Broken are what a disk answers.
const (
	Full   = syscall.ENOSPC
	Broken = syscall.EIO
)

// disk decides for one life of a process which operations on its disk fail. It implements errorfs.Injector.
type disk struct {
	mu    sync.Mutex
	fault *DiskFault // guarded by mu
	seen  int        // operations of the fault's kind; guarded by mu
	hits  int        // guarded by mu
}

func (d *disk) String() string { return "disk" }

func (d *disk) begin(f *DiskFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.seen = f, 0
}

// state is how many operations of the fault's kind there were, and how many failed.
func (d *disk) state() (seen, hits int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen, d.hits
}

func (d *disk) MaybeError(op errorfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault == nil || op.Kind.ReadOrWrite() != d.fault.Kind {
		return nil
	}
	d.seen++
	if at := d.seen - d.fault.Skip; at <= 0 || d.fault.Times > 0 && at > d.fault.Times {
		return nil
	}
	d.hits++
	return &os.PathError{Op: "disk", Path: op.Path, Err: d.fault.Err}
}

// tellsOfTheDisk reports whether an error says which directory it is about, and what to do.
func tellsOfTheDisk(err error) bool {
	text := err.Error()
	return strings.Contains(text, stateDir) && (strings.Contains(text, "start again") || strings.Contains(text, "mv "))
}
