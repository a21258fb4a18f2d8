package try

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/page"
	"kinfold/processor/source/mapping"
)

// Options say how a Trial tells what it finds.
type Options struct {
	// Rules are the identity rules in force.
	Rules *normalize.Rules
	// JSON prints one line of JSON a record, and nothing else.
	JSON bool
	// Colour paints the text.
	Colour bool
}

// Counts are what became of the records of a Trial.
type Counts struct {
	Records      int // read
	Broken       int // lines that were no record
	Interactions int
	Directives   int
	Ignores      map[string]int // by reason
	Rejects      map[string]int // by reason, the field included
	// Identifiers are those of the interactions, by outcome; usable ones have the empty one.
	Identifiers map[interaction.Outcome]int
}

// Rejected is the number of rejects of all reasons, and of broken lines.
func (c *Counts) Rejected() int { return c.Broken + total(c.Rejects) }

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// Trial tells what a mapping makes of records. It is for one goroutine.
type Trial struct {
	mapping *mapping.Mapping
	rules   *normalize.Rules
	json    bool
	out     *bytes.Buffer // what is not yet written
	to      io.Writer
	broken  io.Writer
	page    *page.Page

	normalizer *normalize.Normalizer
	result     mapping.Result
	keyed      interaction.Keyed
	counts     Counts
	noteWidth  int // of the labels of the notes below an item: that of its fields
}

// New returns a Trial that writes to out. Broken lines are told where the records are, but for JSON, whose readers want nothing
// else: there they go to broken.
func New(m *mapping.Mapping, o Options, out, broken io.Writer) *Trial {
	rules := *o.Rules
	rules.EraseEnabled = true // whether an erase is allowed is for the deployment; here it is told what the source orders
	t := &Trial{
		mapping: m, rules: o.Rules, json: o.JSON, out: &bytes.Buffer{}, to: out, broken: broken, normalizer: normalize.New(&rules),
		counts: Counts{Ignores: map[string]int{}, Rejects: map[string]int{}, Identifiers: map[interaction.Outcome]int{}},
	}
	t.page = page.New(t.out, o.Colour)
	t.result.Trace = !o.JSON
	return t
}

// flushBytes is how much is kept before it is written, while the next record is at hand.
const flushBytes = 1 << 16

// Run takes the records one after the other until there are no more or ctx ends, and returns what became of them.
func (t *Trial) Run(ctx context.Context, records Records) (*Counts, error) {
	for ctx.Err() == nil {
		rec, err := records.Next()
		var broken *BrokenLine
		switch {
		case err == io.EOF:
			if !t.json {
				t.summary()
			}
			return &t.counts, t.flush()
		case errors.As(err, &broken):
			err = t.brokenLine(broken)
		case err == nil:
			err = t.record(rec)
		}
		if err == nil && (t.out.Len() > flushBytes || records.Idle()) {
			err = t.flush()
		}
		if err != nil {
			return &t.counts, errors.Join(err, t.flush())
		}
	}
	return &t.counts, errors.Join(fmt.Errorf("stopped after %d records: %w", t.counts.Records, context.Cause(ctx)), t.flush())
}

func (t *Trial) flush() error {
	_, err := t.out.WriteTo(t.to)
	if err != nil {
		return fmt.Errorf("write what became of the records: %w", err)
	}
	return nil
}

func (t *Trial) brokenLine(b *BrokenLine) error {
	t.counts.Broken++
	if t.json {
		_, err := fmt.Fprintln(t.broken, b)
		return err
	}
	t.page.Line("%s", t.page.Paint(page.Red, b.Error()))
	t.page.Line("")
	return nil
}

// record takes one record through the mapping, and tells or encodes what became of it.
func (t *Trial) record(rec *Record) error {
	t.counts.Records++
	t.mapping.Apply(&rec.Record, &t.result)
	if t.json {
		for i := range t.result.Items {
			t.count(&t.result.Items[i])
		}
		return appendJSON(t.out, t.result.Items)
	}
	return t.tell(rec)
}

func (t *Trial) count(it *mapping.Item) {
	switch it.Kind {
	case mapping.Interaction:
		t.counts.Interactions++
	case mapping.Directive:
		t.counts.Directives++
	case mapping.Ignore:
		t.counts.Ignores[it.Ignore]++
	case mapping.Reject:
		t.counts.Rejects[mapping.ReasonText(it.Reject)]++
	}
}
