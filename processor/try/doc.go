// Package try tells people what a mapping does: of a mapping that comes with kinfold in words (List, Explain), of records field by
// field (Trial), those that no mapping reads included. For programs a Trial prints one line of JSON a record instead.
//
// A Trial takes records through the same reading, the same mapping and the same identity rules as the service and keeps nothing:
// what depends on earlier records (duplicates, customers) is not decided here. Values of identifiers are shown on purpose; they
// go to the writer of the caller and nowhere else.
package try
