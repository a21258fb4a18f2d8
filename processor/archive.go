package processor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"kinfold/processor/config"
	"kinfold/processor/state"
	"kinfold/processor/table"
	"kinfold/schemas"
)

// Archive answers the questions of the API from the state directory of a process that does not run. It reads only: nothing
// in the directory is changed.
type Archive struct {
	questions *questions
	mux       *http.ServeMux
	state     *state.Archive
}

// OpenArchive opens <StateDir>/<App> of the configuration, whose rules must be those of the state; StateDir may be that directory, too.
func OpenArchive(c *config.Config, fs state.FS) (*Archive, error) {
	dir := filepath.Join(c.StateDir, c.App)
	s, err := state.OpenArchive(dir, fs)
	if errors.Is(err, state.ErrNoState) && filepath.Base(c.StateDir) == c.App { // it was named as other commands take it
		dir = c.StateDir
		s, err = state.OpenArchive(dir, fs)
	}
	switch {
	case state.KindOf(err) == state.Locked:
		return nil, stop("ask the running process instead: --api http://HOST:PORT; or stop it first", "state directory %s: a process uses it", dir)
	case errors.Is(err, state.ErrNoState):
		return nil, stop("--state-dir is the setting state_dir, the directory that has one of the app's name in it", "%w", err)
	case err != nil:
		return nil, err
	}
	a := &Archive{state: s}
	shelf := &archiveShelf{state: s}
	if shelf.here, err = s.Partitions(); err == nil {
		err = shelf.check(c)
	}
	if err == nil {
		a.questions, err = newQuestions(&c.Identity, c.Topics.UnifiedCustomerEvents, shelf)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	a.mux = route(a.questions, func(r *http.Request) (any, error) { return a.history(r, c) }, func(w http.ResponseWriter, _ *http.Request, v any, err error) { shelf.finish(w, v, err) })
	return a, nil
}

// history reads the topic of the changes: the state does not have it. Kafka may well run while the processor does not.
func (a *Archive) history(r *http.Request, c *config.Config) (any, error) {
	id, err := customerID(r)
	if err != nil {
		return nil, err
	}
	admin, err := openAdmin(c)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(r.Context(), ownersTimeout)
	defer cancel()
	if err := admin.Ping(ctx); err != nil {
		return nil, refuse(http.StatusBadGateway, "ask again when a broker answers; what the state alone knows is in `kinfold ask customer`",
			"the history is in topic %s, and no broker of %s answers: %v", c.Topics.IdentityChanges, strings.Join(c.Kafka.Brokers, ", "), err)
	}
	return (&changesTopic{admin, c.Topics.IdentityChanges, schemas.Any()}).history(r.Context(), a.questions, id)
}

// Ask answers a question: target is what a client of the API would ask for, such as /v1/why?a=…&b=….
func (a *Archive) Ask(ctx context.Context, target string) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, nil, err
	}
	w := &written{header: http.Header{}, status: http.StatusOK}
	a.mux.ServeHTTP(w, r)
	return w.status, w.body.Bytes(), nil
}

// Close gives the lock back.
func (a *Archive) Close() error { return a.state.Close() }

// written keeps an answer in memory.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) WriteHeader(status int)      { w.status = status }
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }

// archiveShelf is the stores of an archive.
type archiveShelf struct {
	state *state.Archive
	here  []int32
	count int
}

// check makes sure that the stores were written under the rules of the configuration: others would explain something else.
func (s *archiveShelf) check(c *config.Config) error {
	for _, p := range s.here {
		id, _, err := s.state.Identity(p)
		switch {
		case errors.Is(err, state.ErrNoState):
			continue
		case err != nil:
			return stopState(err)
		case id.RulesVersion != c.Identity.Version():
			return stop("give the configuration with which the process ran, its id_key included",
				"the state was written under rules %s, those of the configuration are %s", id.RulesVersion, c.Identity.Version())
		}
		s.count = int(id.PartitionCount)
	}
	if s.count == 0 {
		return stop("--state-dir is the setting state_dir, the directory that has one of the app's name in it", "%w", state.ErrNoState)
	}
	return nil
}

func (s *archiveShelf) partitions() int { return s.count }
func (s *archiveShelf) held() []int32   { return s.here }

func (s *archiveShelf) lend(partition int32) (table.View, func(), error) {
	snap, err := s.state.Snapshot(partition)
	if errors.Is(err, state.ErrNoState) {
		return nil, nil, errNotHere
	}
	if err != nil {
		return nil, nil, err
	}
	return snap, func() { _ = snap.Close() }, nil
}

func (s *archiveShelf) finish(w http.ResponseWriter, v any, err error) {
	var r *Refusal
	if errors.As(err, &r) && len(r.notHere) > 0 {
		var held []string
		for _, p := range s.here {
			held = append(held, itoa(p))
		}
		for _, p := range r.notHere {
			r.Elsewhere = append(r.Elsewhere, Place{Partition: p})
		}
		r.WhatToDo = fmt.Sprintf("this state directory holds partition %s of %d; ask with that of the process that has the other, or a running process with --api",
			strings.Join(held, ", "), s.count)
	}
	write(w, v, err)
}
