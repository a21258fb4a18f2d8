// Package table lists the state tables as data, and the view through which a pure step reads them.
package table

// ID names a table. It is the first byte of every row's key in the store, and of every record's key in the identity changelog.
type ID uint8

// The tables. A number is never used again for another table.
const (
	Seen        ID = 1 // dedup: time bucket and event hash → content hash and time
	Identifiers ID = 2 // identity: identifier → its component, or its own row where it is shared or retracted
	Components  ID = 3 // identity: component → members, active edges, customers
	Edges       ID = 4 // identity: inactive edges, a row for each direction
	Founders    ID = 5 // identity: customer id → the identifier that founds it
	Meta        ID = 6 // state: position, versions
	Directives  ID = 7 // identity: identifier or pair of them → the directive that counts
	Suppressed  ID = 8 // identity: HMAC of an erased identifier → until when it is ignored
)

// Count is one more than the greatest number of a table.
const Count = int(Suppressed) + 1

// Log says where the changes of a table are logged.
type Log uint8

// The changelogs.
const (
	LogNone     Log = iota // not logged
	LogSeen                // <app>.seen-changelog, one record a partition and transaction
	LogIdentity            // <app>.identity-changelog, one record a changed row, compacted
)

// Info describes a table.
type Info struct {
	ID   ID
	Name string
	Log  Log
}

// All is the list of tables, in key order.
var All = []Info{
	{Seen, "seen", LogSeen},
	{Identifiers, "identifiers", LogIdentity},
	{Components, "components", LogIdentity},
	{Edges, "edges", LogIdentity},
	{Founders, "founders", LogIdentity},
	{Meta, "meta", LogNone},
	{Directives, "directives", LogIdentity},
	{Suppressed, "suppressed", LogIdentity},
}

// Row is a row to write; a nil Value deletes it. Key is without the table's byte.
type Row struct {
	Table ID
	Key   []byte
	Value []byte
}

// Range is the half-open range of keys [From, To) of a table to be deleted. It is not logged: what a range
// deletion removes means nothing any more, and the changelog's retention removes it there.
type Range struct {
	Table    ID
	From, To []byte
}

// View reads rows. A step sees its own transaction's rows first, then the store's.
type View interface {
	// Get returns the value of a row, or nil where there is none. The value is read-only
	// and valid until the next call on the view.
	Get(t ID, key []byte) ([]byte, error)
	// Scan calls fn for each row whose key begins with prefix, in byte order of the keys, until fn returns false.
	// Key (without the table's byte) and value are read-only and valid until fn returns. fn must not call the view.
	Scan(t ID, prefix []byte, fn func(key, value []byte) bool) error
}
