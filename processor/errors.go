package processor

import (
	"errors"
	"fmt"

	"kinfold/processor/kafka"
)

// There are three classes of error, and this file is the one place that tells them apart:
//
//   - park: the record is at fault. It is an *interaction.Reject, it goes to the rejects topic, and the pipeline goes on.
//   - retry: the world is at fault (broker, registry, a rebalance). The session is closed and a new one begins from what
//     Kafka holds. Every error that is not one of the others is of this class.
//   - stop: our own state or the configuration is at fault, and going on could lose or double output. A *StopError.

// StopError ends the process. Hint is what an operator does next.
type StopError struct {
	Err  error
	Hint string
}

func (e *StopError) Error() string {
	if e.Hint == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%v\n  what to do: %s", e.Err, e.Hint)
}

func (e *StopError) Unwrap() error { return e.Err }

// stop makes an error one that ends the process.
func stop(hint, format string, args ...any) error {
	return &StopError{Err: fmt.Errorf(format, args...), Hint: hint}
}

func isStop(err error) bool {
	var s *StopError
	return errors.As(err, &s)
}

// recovery is an error with which a stage asks for a new session on purpose; cause is its label in the metrics.
type recovery struct {
	cause string
	err   error
}

func (r *recovery) Error() string { return r.cause + ": " + r.err.Error() }
func (r *recovery) Unwrap() error { return r.err }

func causeOf(err error) string {
	var r *recovery
	if errors.As(err, &r) {
		return r.cause
	}
	return "broker"
}

// stopUndecided ends the process where going on would decide over records of which nobody knows whether they were committed.
func stopUndecided(err error) error {
	var u *kafka.UndecidedError
	if errors.As(err, &u) {
		return stop("look whether readers had these records, then follow \"Transactions that Kafka left open\" in deploy/README.md", "%w", err)
	}
	return err
}
