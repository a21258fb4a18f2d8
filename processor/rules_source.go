package processor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/lines"
	"kinfold/processor/normalize"
	"kinfold/processor/state"
	"kinfold/processor/table"
)

// RulesFile is rules and the name by which a report calls them.
type RulesFile struct {
	Name  string
	Rules *normalize.Rules
}

func (f RulesFile) side() (*side, error) {
	g, err := newGraph(f.Rules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return &side{graph: g, namer: g.NewNamer()}, nil
}

// evidence is everything that one or several stores hold, found and not yet read.
type evidence struct {
	surveys  []identity.RealmSurvey // in byte order
	archives map[string]*identity.Archive
}

func (e *evidence) add(a *identity.Archive) error {
	for _, r := range a.Realms() {
		if e.archives[r.Name] != nil {
			return fmt.Errorf("realm %q is in two partitions: the stores are not of one app", r.Name)
		}
		e.archives[r.Name] = a
		e.surveys = append(e.surveys, r)
	}
	slices.SortFunc(e.surveys, func(a, b identity.RealmSurvey) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return nil
}

// read loads realms, in byte order, and holds what the store made of their evidence against what the rules of s make of it, which
// it builds.
func (e *evidence) read(s *side, realms []string, wrong *Mismatches) error {
	s.body = &identity.Body{}
	var stored identity.People
	for _, realm := range realms {
		if e.archives[realm] == nil {
			continue
		}
		body, people, err := e.archives[realm].Read(realm, func(founder interaction.Key, id interaction.CustomerID) {
			if s.namer.CustomerID(founder) != id {
				wrong.CustomerIDs++
			}
		})
		if err != nil {
			return err
		}
		from := int32(len(s.body.Identifiers))
		for i := range body.Edges {
			body.Edges[i].Root += from
			body.Edges[i].Other += from
		}
		for i := range people.Founder {
			people.Founder[i] += from
		}
		s.body.Identifiers = append(s.body.Identifiers, body.Identifiers...)
		s.body.Edges = append(s.body.Edges, body.Edges...)
		s.body.Slots = append(s.body.Slots, body.Slots...)
		stored.Founder = append(stored.Founder, people.Founder...)
		stored.Shared = append(stored.Shared, people.Shared...)
		stored.Retracted = append(stored.Retracted, people.Retracted...)
		stored.Edges = append(stored.Edges, people.Edges...)
	}
	var err error
	if s.people, err = s.graph.Build(s.body); err != nil {
		return err
	}
	for i := range stored.Founder {
		if stored.Founder[i] != s.people.Founder[i] || stored.Shared[i] != s.people.Shared[i] || stored.Retracted[i] != s.people.Retracted[i] {
			wrong.Identifiers++
		}
	}
	for i := range stored.Edges {
		if stored.Edges[i] != s.people.Edges[i] {
			wrong.Edges++
		}
	}
	return nil
}

// stopped is the state directory of a stopped process.
type stopped struct {
	evidence
	archive   *state.Archive
	snapshots []*state.Snapshot
	source    Source
}

// openStopped surveys all partitions of a state directory.
func openStopped(ctx context.Context, dir string, fs state.FS, progress func(string)) (_ *stopped, err error) {
	a, err := state.OpenArchive(dir, fs)
	switch {
	case errors.Is(err, state.ErrNoState):
		return nil, stop("give <state_dir>/<app> of the configuration of a process that has run", "%w", err)
	case err != nil:
		return nil, err
	}
	s := &stopped{evidence: evidence{archives: map[string]*identity.Archive{}}, archive: a, source: Source{Kind: "state", Name: a.Dir()}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	partitions, err := a.Partitions()
	if err != nil {
		return nil, err
	}
	for _, p := range partitions {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := s.survey(p, progress); err != nil && !errors.Is(err, state.ErrNoState) {
			return nil, err
		}
	}
	s.source.Realms = len(s.surveys)
	return s, nil
}

// survey looks through the store of a partition; state.ErrNoState where nothing was ever written.
func (s *stopped) survey(partition int32, progress func(string)) error {
	id, _, err := s.archive.Identity(partition)
	switch {
	case err != nil:
		return err
	case s.source.RulesVersion == "":
		s.source.RulesVersion = id.RulesVersion
	case id.RulesVersion != s.source.RulesVersion:
		return fmt.Errorf("state directory %s: its partitions were written under different rules, %s and %s", s.archive.Dir(), s.source.RulesVersion, id.RulesVersion)
	}
	snap, err := s.archive.Snapshot(partition)
	if err != nil {
		return err
	}
	s.snapshots = append(s.snapshots, snap)
	found, err := identity.OpenArchive(snap)
	if err != nil {
		return fmt.Errorf("state directory %s, partition %d: %w", s.archive.Dir(), partition, err)
	}
	if err := s.add(found); err != nil {
		return err
	}
	s.source.Partitions++
	progress(fmt.Sprintf("partition %d: realms found: %d", partition, len(found.Realms())))
	return nil
}

// close closes the stores and gives the lock back.
func (s *stopped) close() error {
	var errs []error
	for _, snap := range s.snapshots {
		errs = append(errs, snap.Close())
	}
	return errors.Join(append(errs, s.archive.Close())...)
}

// replay takes the lines of an input through dry runs side by side, in memory.
func replay(ctx context.Context, input io.Reader, progress func(string), runs ...*dryRun) (read int, err error) {
	err = eachLine(ctx, input, func(l lines.Line) error {
		read++
		for _, d := range runs {
			if err := d.line(l); err != nil {
				return err
			}
		}
		return nil
	}, func(number int) {
		progress(fmt.Sprintf("%d lines", number))
		for _, d := range runs {
			d.expire()
		}
	})
	return read, err
}

// evidence finds what a dry run stored.
func (d *dryRun) evidence() (*evidence, error) {
	d.view.order(table.Identifiers)
	a, err := identity.OpenArchive(d.view)
	if err != nil {
		return nil, err
	}
	e := &evidence{archives: map[string]*identity.Archive{}}
	return e, e.add(a)
}

// counted puts what a dry run counted into a side of a report.
func (d *dryRun) counted(to *RulesSide) {
	to.Events, to.Ambiguous, to.Rejects = d.result.Interactions, d.result.Ambiguous, d.result.Rejects
}
