package state

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system: the operating system's (nil in Options) or one in memory.
type FS = vfs.FS

// MemoryFS is a file system in memory that knows which bytes were synced. It has the same errors and locks as a disk.
type MemoryFS struct{ *vfs.MemFS }

// NewMemoryFS returns an empty file system.
func NewMemoryFS() MemoryFS { return MemoryFS{vfs.NewCrashableMem()} }

// Crash returns the file system as a disk would have it if the power failed now: what was not synced is gone, and so
// are the locks. The file system itself goes on, so that what still runs on it can be closed.
func (m MemoryFS) Crash() MemoryFS { return MemoryFS{m.CrashClone(vfs.CrashCloneCfg{})} }

// Kill returns the file system as the next process would find it if this process were killed now: everything that was
// written is there, the locks are gone.
func (m MemoryFS) Kill() MemoryFS {
	return MemoryFS{m.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})} // 100 percent: it draws nothing of meaning
}
