// Package source turns the bytes of a source into interactions. A format is one function with the signature of
// Decode; which one reads a topic is declared in the configuration.
package source

import "kinfold/processor/interaction"

// Decode reads one record. recordTime is its timestamp in epoch milliseconds, for formats that state no time of their
// own. Every field of dst is set: Identifiers reuses its array, Payload is new, and nothing points into value. A reject
// leaves dst undefined.
//
// Decode judges the form only. Whether the fields hold what an interaction needs is decided in normalize, for all
// formats alike.
type Decode func(value []byte, recordTime int64, dst *interaction.Interaction) *interaction.Reject

var _ Decode = DecodeJSON
