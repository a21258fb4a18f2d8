// Package state keeps the rows of each keyed partition in a Pebble store. It is the only package that imports Pebble.
//
// # Where things are
//
//	<state_dir>/<app>/LOCK          held while a process uses the directory
//	<state_dir>/<app>/instance-id   16 hex characters, drawn once (Stores.InstanceID)
//	<state_dir>/<app>/7/            the store of keyed partition 7
//	<state_dir>/<app>/7.restore/    runs and tables of a restore under way; deleted when the store is opened
//	<state_dir>/<app>/7.aside-1/    a store that was set aside (Stores.SetAside); never touched again
//
// # What is in a store
//
// The key of a row in Pebble is the table's byte and the row's key, so byte order is the order of tables and, within
// a table, of keys. Values pass through unchanged: the stage that owns a table owns their layout, and each value begins
// with its own version byte. Table 6 (meta) belongs to this package, see meta.go.
//
// # What holds
//
//   - Store.Apply writes the rows of a transaction and its Position in one batch. After a crash the store is as it was
//     after one of the calls of Apply, and none before the last Sync is missing.
//   - Apply, ApplyLogged and Restorer.Finish are the only writers. A store is never ahead of what they were told.
//   - A full restore is ingested at once: a crash before Finish has returned leaves an empty store or a full one.
//   - Every error about the disk is an *Error and stops the process: the truth is in Kafka, nothing is lost.
//
// A Store and its Overlay belong to one goroutine. Stats, Err, Failed and Snapshot may be called from others: a Snapshot is
// how everybody else reads a store. An Archive reads the directory of a process that does not run.
package state
