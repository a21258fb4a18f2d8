package state

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Kind says what is wrong with a state directory. The list is closed, and all of it stops the process
// (runtime.md 4): retrying does not help, and going on could lose or double records.
type Kind uint8

// The kinds.
const (
	Failed         Kind = iota + 1 // the disk or Pebble answered with an error that is none of the others
	Locked                         // another process uses the directory
	DiskFull                       // no space left
	Denied                         // the user of the process may not read or write there
	Corrupt                        // the bytes are not what we wrote
	OtherHistory                   // the store belongs to another app, topic or partition, or claims what was never committed
	PartitionCount                 // the keyed topic had another number of partitions
	RulesChanged                   // the rows were written under other identity rules
	NewerFormat                    // a newer version of the program wrote the store
)

// migration is the way to a state that an old one cannot become (runtime.md 4).
const migration = "set another app name, then run `kinfold topics --config FILE --create` and `kinfold run --config FILE`: " +
	"a new state is built from the inputs (deploy/README.md, Migration)"

var kinds = [...]struct{ what, hint string }{
	Failed: {"state cannot be used", "look at the disk and the kernel's log, then start again: nothing is lost"},
	Locked: {"another process uses this directory",
		"stop it, or give this process a state_dir of its own"},
	DiskFull: {"disk full", "free or add space, then start again: nothing is lost"},
	Denied: {"no permission",
		"let the user that this process runs as read and write there, and in all that is below: it was made by another one, or is mounted read-only"},
	Corrupt: {"state is corrupt",
		"run `mv %[1]s %[1]s.bad` and start again: the state is restored from the changelog"},
	OtherHistory: {"state is of another history",
		"if the topics or the offsets were changed on purpose run `mv %[1]s %[1]s.old` and start again: the state is restored from the changelog"},
	PartitionCount: {"partition count of the keyed topic changed",
		"rows cannot move between partitions, and Kafka takes none away: " + migration},
	RulesChanged: {"identity rules changed, or id_key",
		"put the old rules and the old id_key back; or, if it was on purpose, " + migration},
	NewerFormat: {"state was written by a newer version", "run that version or a later one"},
}

func (k Kind) String() string {
	if k == 0 || int(k) >= len(kinds) {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kinds[k].what
}

// Error is an error about a state directory. It names the directory and what an operator can do.
type Error struct {
	Kind Kind
	Dir  string // the directory of the app or of the partition
	Do   string // what was being done; may be empty
	Err  error  // the cause
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state directory %s: ", e.Dir)
	if e.Do != "" {
		fmt.Fprintf(&b, "%s: ", e.Do)
	}
	b.WriteString(e.Kind.String())
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if hint := e.Hint(); hint != "" {
		fmt.Fprintf(&b, "; %s", hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what an operator can do, with the command to run where there is one.
func (e *Error) Hint() string {
	if e.Kind == 0 || int(e.Kind) >= len(kinds) {
		return ""
	}
	return strings.ReplaceAll(kinds[e.Kind].hint, "%[1]s", e.Dir)
}

// KindOf returns the kind of the *Error in err's chain, and 0 where there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// unknownFormat is how Pebble's Open words a format major version that it does not know. It has no sentinel for it.
const unknownFormat = "written in unknown format major version"

// wrap makes an *Error of an error of Pebble or of the file system. An *Error stays as it is.
func wrap(dir, do string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	kind := Failed
	switch {
	case vfs.IsNoSpaceError(err):
		kind = DiskFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		kind = Denied
	case pebble.IsCorruptionError(err):
		kind = Corrupt
	case strings.Contains(err.Error(), unknownFormat):
		kind = NewerFormat
	}
	return &Error{Kind: kind, Dir: dir, Do: do, Err: err}
}
