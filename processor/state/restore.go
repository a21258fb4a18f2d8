package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"kinfold/processor/table"
)

const (
	lowestLevel     = 6       // the level that the tables are written for
	maxRestoreBytes = 1 << 30 // greatest memory of a restore, and greatest row: places in memory have 32 bits
)

// ErrNotEmpty is returned by NewRestorer for a store that has rows.
var ErrNotEmpty = errors.New("state is not empty")

// Progress is how far a full restore has come.
type Progress struct {
	Read    int64 // rows put
	Written int64 // rows written to tables, after Finish was called; less than Read where keys came several times
}

// Restorer fills an empty store with the rows of the changelogs. They are sorted into tables that Pebble takes in at
// once: until Finish has returned the store is empty, and stays so if the process is killed.
type Restorer struct {
	store    *Store
	dir      string
	sort     sorter
	progress func(Progress)
	done     Progress
	files    []string
	out      *sstable.Writer
	last     byte // table's byte of the row written last
	closed   bool
}

func restoreDir(dir string) string { return dir + ".restore" }

// NewRestorer begins a full restore. progress may be nil; it is called every 65,536 rows from within Put and Finish.
// Close the Restorer in the end, whether Finish was called or not.
func (s *Store) NewRestorer(progress func(Progress)) (*Restorer, error) {
	empty, err := s.Empty()
	if err != nil {
		return nil, err
	}
	if !empty {
		return nil, fmt.Errorf("restore state directory %s: %w", s.dir, ErrNotEmpty)
	}
	r := &Restorer{store: s, dir: restoreDir(s.dir), progress: progress}
	if r.progress == nil {
		r.progress = func(Progress) {}
	}
	fs := s.stores.fs
	if err := errors.Join(fs.RemoveAll(r.dir), fs.MkdirAll(r.dir, 0o755)); err != nil {
		return nil, wrap(s.dir, "restore", err)
	}
	r.sort = sorter{fs: fs, dir: r.dir, limit: int(min(s.stores.opts.RestoreBytes, maxRestoreBytes))}
	return r, nil
}

// Put adds rows in the order of the changelog: of several versions of a key the last one stays, and a nil value
// deletes. Rows of tables with different changelogs may come in any order. Keys and values are copied.
func (r *Restorer) Put(rows []table.Row) error {
	for _, row := range rows {
		if row.Table == table.Meta || int(row.Table) >= table.Count {
			return fmt.Errorf("restore state directory %s: row of table %d: stages have no rows there", r.store.dir, row.Table)
		}
		if len(row.Key)+len(row.Value) >= maxRestoreBytes {
			return fmt.Errorf("restore state directory %s: row of table %d has %d bytes", r.store.dir, row.Table, len(row.Key)+len(row.Value))
		}
		if err := r.sort.add(byte(row.Table), row.Key, row.Value); err != nil {
			return wrap(r.store.dir, "restore", err)
		}
		if r.done.Read++; r.done.Read%cancelEvery == 0 {
			r.progress(r.done)
		}
	}
	return nil
}

// Finish writes the tables and has Pebble take them in, together with the position row. After it the store is at p.
// It may be called once.
func (r *Restorer) Finish(ctx context.Context, p Position) error {
	s := r.store
	if field := p.before(s.pos); field != "" {
		return fmt.Errorf("restore state directory %s: %s goes back: position is (%v), would be (%v)", s.dir, field, s.pos, p)
	}
	if err := r.finish(ctx, p); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("restore state directory %s: %w", s.dir, err)
		}
		return wrap(s.dir, "restore", err)
	}
	s.pos = p
	r.progress(r.done)
	return nil
}

func (r *Restorer) finish(ctx context.Context, p Position) error {
	s := r.store
	if err := r.sort.merge(ctx, r.write); err != nil {
		return err
	}
	// The position row has a table of its own: Pebble has to put it above the row of the new store, and the others
	// need not go there with it.
	if err := r.endTable(); err != nil {
		return err
	}
	if err := r.set(positionKey, appendPosition(nil, FormatVersion, p)); err != nil {
		return err
	}
	if err := r.endTable(); err != nil {
		return err
	}
	if err := syncDir(s.stores.fs, r.dir); err != nil {
		return err
	}
	if err := s.watch.err(); err != nil {
		return err
	}
	if err := s.release(); err != nil {
		return err
	}
	if err := s.run(func() error { return s.db.Ingest(ctx, r.files) }); err != nil {
		return s.watch.fail("restore", err)
	}
	return s.watch.err()
}

// write adds a row to the table under way. Deletions end here: below them is nothing.
func (r *Restorer) write(key, value []byte) error {
	if value == nil {
		return nil
	}
	if r.out != nil && (r.out.Raw().EstimatedSize() >= tableBytes || key[0] != r.last) {
		if err := r.endTable(); err != nil {
			return err
		}
	}
	r.last = key[0]
	if r.done.Written++; r.done.Written%cancelEvery == 0 {
		r.progress(r.done)
	}
	return r.set(key, value)
}

func (r *Restorer) set(key, value []byte) error {
	if r.out == nil {
		fs := r.store.stores.fs
		name := fs.PathJoin(r.dir, fmt.Sprintf("table-%06d.sst", len(r.files)+1))
		file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		options := r.store.opts.MakeWriterOptions(lowestLevel, r.store.db.TableFormat())
		r.out = sstable.NewWriter(objstorageprovider.NewFileWritable(file), options)
		r.files = append(r.files, name)
	}
	return r.out.Set(key, value)
}

// endTable writes the rest of the table and syncs it.
func (r *Restorer) endTable() error {
	if r.out == nil {
		return nil
	}
	out := r.out
	r.out = nil
	return out.Close()
}

// Close deletes the files of the restore. It may be called again.
func (r *Restorer) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.endTable()
	r.sort.data, r.sort.rows = nil, nil
	return wrap(r.store.dir, "restore", errors.Join(err, r.store.stores.fs.RemoveAll(r.dir)))
}
