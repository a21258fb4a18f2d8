package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// watcher hears what Pebble says of a store: it is its logger and its event listener. The first error that Pebble meets
// by itself, in a flush or a compaction, stays: every later call that writes returns it.
type watcher struct {
	dir     string
	log     *slog.Logger
	failure atomic.Pointer[Error]
	failed  chan struct{} // closed when failure is set
	tell    func(error)   // told the failure; may be nil
	once    sync.Once
	stalls  atomic.Int64
	stalled atomic.Bool
}

func newWatcher(dir string, log *slog.Logger) *watcher {
	return &watcher{dir: dir, log: log, failed: make(chan struct{})}
}

// fail keeps the first error and returns the one that is kept.
func (w *watcher) fail(do string, err error) error {
	w.once.Do(func() {
		var e *Error
		if !errors.As(wrap(w.dir, do, err), &e) {
			e = &Error{Kind: Failed, Dir: w.dir, Do: do, Err: err}
		}
		w.failure.Store(e)
		close(w.failed)
		w.log.Error("state store has failed", "error", e)
		if w.tell != nil {
			w.tell(e)
		}
	})
	return w.err()
}

// err is the error that was kept, or nil.
func (w *watcher) err() error {
	if e := w.failure.Load(); e != nil {
		return e
	}
	return nil
}

// bounded does what may wait for a flush: Pebble tries a flush that fails again and again, and who waits for it waits for ever. Once
// the store has failed, what does not end within failedWait is left to itself: the error is then the store's, and late hands out
// what do says should it end after all.
func (w *watcher) bounded(do func() error) (late <-chan error, err error) {
	done := make(chan error, 1)
	go func() {
		defer close(done) // where do ended by Fatalf it says nothing
		done <- do()
	}()
	failed := w.failed
	var left <-chan time.Time // nil until the store has failed
	for {
		select {
		case err, said := <-done:
			if !said {
				err = w.err()
			}
			return nil, err
		case <-failed:
			failed, left = nil, time.After(failedWait)
		case <-left:
			return done, w.err()
		}
	}
}

// Infof is part of pebble.Logger.
func (w *watcher) Infof(format string, args ...any) { w.debug(format, args) }

// Errorf is part of pebble.Logger. Whatever matters of it comes through an error or an event, too.
func (w *watcher) Errorf(format string, args ...any) { w.debug(format, args) }

func (w *watcher) debug(format string, args []any) {
	if w.log.Enabled(context.Background(), slog.LevelDebug) {
		w.log.Debug("pebble", "directory", w.dir, "message", fmt.Sprintf(format, args...))
	}
}

// Fatalf is part of pebble.Logger; Pebble's own exits the process. Where Pebble calls it for an error of the disk (log or manifest
// not written), what it holds in memory is no longer what is on the disk, and nothing may be written any more: the error is kept,
// and the goroutine ends here, with the locks that it holds. Everybody else meets the error or is left behind by bounded, and the
// process stops. Without an error Pebble has found a fault in itself: it panics.
func (w *watcher) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			w.fail("", fmt.Errorf("%s%w", prefix(message, err), err))
			runtime.Goexit()
		}
	}
	panic(fmt.Sprintf("state directory %s: pebble: %s", w.dir, message))
}

// prefix is a message without the error at its end.
func prefix(message string, err error) string {
	if cut := len(message) - len(err.Error()); cut > 0 && message[cut:] == err.Error() {
		return message[:cut]
	}
	return ""
}

func (w *watcher) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if !errors.Is(err, pebble.ErrCancelledCompaction) {
				w.fail("flush or compact", err)
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			w.fail("read", &Error{Kind: Corrupt, Dir: w.dir, Do: "read " + info.Path, Err: info.Details})
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			w.stalls.Add(1)
			w.stalled.Store(true)
			w.log.Warn("writes to the state store wait", "directory", w.dir, "reason", info.Reason)
		},
		WriteStallEnd: func() {
			w.stalled.Store(false)
			w.log.Info("writes to the state store go on", "directory", w.dir)
		},
	}
}
