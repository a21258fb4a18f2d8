package state

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// FormatVersion is the format version of the stores that this program writes: the last rung of the ladder.
//
// A store of a newer version is refused (NewerFormat), one of an older version is brought up rung by rung when it is
// opened. A rung is never changed once it was released.
const FormatVersion = 1

// pebbleFormat is the newest format of Pebble's own files that is not experimental. Pebble brings older stores up.
const pebbleFormat = pebble.FormatValueSeparation

// rung is a format version. climb writes into the batch what brings a store of the version below to this one; the
// batch also gets the new version, so a crash leaves the store on one rung or the other.
type rung struct {
	version uint16
	what    string
	climb   func(db *pebble.DB, b *pebble.Batch) error // nil for the first
}

var ladder = []rung{
	{version: 1, what: "table byte and row key; meta rows position and identity in layout 1"},
}

// climb brings a store from a version up to the last rung. rewrite writes the position row with the given version.
func climb(db *pebble.DB, rungs []rung, from uint16, rewrite func(b *pebble.Batch, version uint16) error) error {
	for _, r := range rungs {
		if r.version <= from {
			continue
		}
		b := db.NewBatch()
		if err := r.climb(db, b); err != nil {
			b.Close()
			return fmt.Errorf("migrate to format version %d (%s): %w", r.version, r.what, err)
		}
		if err := rewrite(b, r.version); err != nil {
			b.Close()
			return err
		}
		if err := b.Commit(pebble.Sync); err != nil {
			return fmt.Errorf("migrate to format version %d: %w", r.version, err)
		}
	}
	return nil
}
