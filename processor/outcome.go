package processor

import (
	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// verdict is what became of one keyed interaction.
type verdict uint8

const (
	verdictEvent     verdict = iota // accepted: a unified event follows
	verdictDuplicate                // seen before: its evidence counts, no event follows
	verdictReject                   // parked: nothing of it counts
	verdictDirective                // a directive was taken in
	verdictIgnored                  // a mapping has no use for it
	verdicts                        // how many there are
)

func (v verdict) String() string {
	return [verdicts]string{"event", "duplicate", "reject", "directive", "ignored"}[v]
}

// directive is what became of a directive.
type directive struct {
	kind   interaction.DirectiveKind
	effect identity.Effect
	dryRun bool
	report identity.Report
}

// outcome is everything that one keyed interaction or directive causes, as values: the step returns effects and does none.
//
// All of it belongs to one Kafka transaction with the offset of the interaction, and order within it is
// changes and map rows, then the event, then rejects. Rows are durable first as records of the changelogs in that
// transaction; the store gets them only after the transaction is known to be committed.
type outcome struct {
	verdict verdict
	rows    []table.Row // identity's rows; logged one by one, the last value of a key within a transaction
	seen    []table.Row // dedup's row; logged together, one record a partition and transaction
	changes []interaction.Change
	mapRows []interaction.MapRow
	unified interaction.Unified // valid with verdictEvent
	rejects []interaction.Reject
	tallies identity.Tallies

	directive directive // valid with verdictDirective
}

func (o *outcome) reset() {
	o.verdict, o.tallies = verdictEvent, identity.Tallies{}
	o.rows, o.seen, o.changes, o.mapRows, o.rejects = o.rows[:0], o.seen[:0], o.changes[:0], o.mapRows[:0], o.rejects[:0]
	o.directive = directive{}
	o.unified = interaction.Unified{Identifiers: o.unified.Identifiers[:0]}
}

// park turns the outcome into a reject of which nothing else remains.
func (o *outcome) park(reason interaction.Reason, detail string) {
	o.reset()
	o.verdict = verdictReject
	o.rejects = append(o.rejects, interaction.Reject{Reason: reason, Detail: detail})
}
