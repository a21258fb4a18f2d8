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
	Times int // how many then fail. Pebble tries a flush again at once: without an end to it a bubble's clock would stand still
	Kind  errorfs.OpReadWrite
	Err   syscall.Errno
}

func (f *DiskFault) String() string {
	kind := "reads"
	if f.Kind == errorfs.OpIsWrite {
		kind = "writes"
	}
	return fmt.Sprintf("%d %s after %d: %s", f.Times, kind, f.Skip, f.Err)
}

// Full and Broken are what a disk answers.
const (
	Full   = syscall.ENOSPC
	Broken = syscall.EIO
)

// disk decides which operations on the disk of a process fail. It implements errorfs.Injector.
type disk struct {
	mu     sync.Mutex
	tables int        // that a restore has written and Pebble not taken in; guarded by mu
	fault  *DiskFault // guarded by mu
	seen   int        // operations of the fault's kind; guarded by mu
	hits   int        // operations that failed, of this fault and before; guarded by mu
}

func (d *disk) String() string { return "disk" }

func (d *disk) begin(f *DiskFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.seen = f, 0
}

// failed is how many operations failed.
func (d *disk) failed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hits
}

// blamed reports whether the disk failed, and an error that ended a process says so: which directory it is about, and what to do.
func (d *disk) blamed(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := err.Error()
	return d.hits > 0 && strings.Contains(text, stateDir) && (strings.Contains(text, "start again") || strings.Contains(text, "mv "))
}

func (d *disk) MaybeError(op errorfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch(op)
	if d.fault == nil || op.Kind.ReadOrWrite() != d.fault.Kind || d.tables > 0 && strings.HasSuffix(op.Path, ".log") || leavesSomething(op) {
		return nil
	}
	d.seen++
	if at := d.seen - d.fault.Skip; at <= 0 || at > d.fault.Times {
		return nil
	}
	d.hits++
	return &os.PathError{Op: "disk", Path: op.Path, Err: d.fault.Err}
}

// watch follows the tables of a restore. When Pebble takes them in it leaves its log for a new one, and panics where it cannot:
// what it has not written could be lost. The process dies of it, after it has said what the disk answered, but a bubble would, too.
func (d *disk) watch(op errorfs.Op) {
	restore := strings.Contains(op.Path, ".restore")
	switch {
	case restore && op.Kind == errorfs.OpCreate:
		d.tables++
	case restore && op.Kind == errorfs.OpRemoveAll:
		d.tables = 0
	}
}

// leavesSomething reports what is, or may be, done last when a store is opened, and what is done to the manifest. Where that fails,
// Pebble leaves goroutines behind, and with them a bubble that does not end: TestAStoreIsOpenedOrSaysWhyNot of package state lets
// these fail.
func leavesSomething(op errorfs.Op) bool {
	name := op.Path[strings.LastIndexByte(op.Path, '/')+1:]
	file := strings.HasSuffix(name, ".log") && (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite || op.Kind == errorfs.OpRename)
	directory := op.Kind == errorfs.OpFileSync && !strings.Contains(name, ".")
	look := op.Kind.ReadOrWrite() == errorfs.OpIsRead && op.Kind != errorfs.OpFileRead && op.Kind != errorfs.OpFileReadAt
	return file || directory || look || strings.HasSuffix(name, ".dbtmp") || strings.HasPrefix(name, "OPTIONS-") || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker.")
}
