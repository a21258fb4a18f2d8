package processor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/normalize"
	"kinfold/processor/source/mapping"
	"kinfold/processor/state"
	"kinfold/processor/table"
	"kinfold/schemas"
)

// WriteState leaves the state directory that a process would leave which resolved the lines of an input in one partition.
func WriteState(ctx context.Context, rules *normalize.Rules, input io.Reader, fs state.FS, dir string) (err error) {
	d, err := newDryRun(rules)
	if err != nil {
		return err
	}
	if _, err := replay(ctx, input, func(string) {}, d); err != nil {
		return err
	}
	stores, err := state.OpenStores(state.Options{Dir: dir, FS: fs})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	store, err := stores.Open(0, state.Identity{App: "tienda", Topic: "tienda.keyed", PartitionCount: 1, RulesVersion: rules.Version()})
	if err != nil {
		return err
	}
	o := store.NewOverlay()
	for id := range d.view.tables {
		for key, value := range d.view.tables[id].rows {
			o.Put([]table.Row{{Table: table.ID(id), Key: []byte(key), Value: value}})
		}
	}
	if err := store.Apply(o, state.Position{Transaction: 1, KeyedNext: 1}, nil); err != nil {
		return err
	}
	return store.Close()
}

// Ingest takes records through stage 1 up to its effects: it prepares them and steps through them. It returns what became of each,
// in their order: the event id, or the reason of a reject or ignore.
func Ingest(ctx context.Context, c *config.Config, log *slog.Logger, batch []*kafka.Record) (became []string, err error) {
	registry, err := openRegistry(c, log)
	if err != nil {
		return nil, err
	}
	s, err := newIngestStage(c, registry, log, schemas.SingleObject(), newTopicPlan(c), newMetrics("test"))
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, batch); err != nil {
		return nil, err
	}
	for _, r := range batch {
		s.fill(r)
		s.core.step(&s.record, interaction.Origin{}, func(t *taken) {
			switch {
			case t.reject != nil:
				became = append(became, string(t.reject.Reason))
			case t.ignored != "":
				became = append(became, t.ignored)
			default:
				became = append(became, t.keyed.SourceEventID)
			}
		})
	}
	return became, nil
}

// HealthOfWaiting is what a stage says of itself whose records in hand have waited that long for what they need.
func HealthOfWaiting(waited time.Duration) (ok bool, what string) {
	now := time.Unix(1_000, 0)
	var w worker
	w.ready.Store(true)
	w.slow.Store(now.Add(-waited).UnixNano())
	return w.health(now)
}

// Step returns the step of stage 1, for records whose schemas are known from the one that is given. It says how many interactions
// came of a record, and how many rejects.
func Step(c *config.Config, of *mapping.Record) (func(rec *mapping.Record) (keyed, rejects int), error) {
	log := slog.New(slog.DiscardHandler)
	registry, err := openRegistry(c, log)
	if err != nil {
		return nil, err
	}
	inputs, err := newInputs(c, registry, log)
	if err != nil {
		return nil, err
	}
	if avro := inputs[of.Topic].avro; avro != nil {
		if err := avro.ask(context.Background(), of.Value, valueOf(of.Headers)); err != nil {
			return nil, err
		}
	}
	s := newIngestStep(&c.Identity, inputs)
	return func(rec *mapping.Record) (keyed, rejects int) {
		s.step(rec, interaction.Origin{}, func(t *taken) {
			switch {
			case t.reject != nil:
				rejects++
			case t.keyed != nil:
				keyed++
			}
		})
		return keyed, rejects
	}, nil
}
