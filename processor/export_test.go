package processor

import (
	"context"
	"errors"
	"io"

	"kinfold/processor/normalize"
	"kinfold/processor/state"
	"kinfold/processor/table"
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
