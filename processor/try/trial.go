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
	// Deployed says that the reader allows what the deployment does: so do the rules then. Else an erase that a source orders is
	// told as one, whoever may allow it later.
	Deployed bool
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

// Reader makes of a record what its source says.
type Reader interface {
	// Read sets the Items of out, which always has at least one. Items without a trace are told as records that no mapping made.
	// An error says that nothing can be said of the record, for a reason that is not in it: it ends the trial.
	Read(ctx context.Context, rec *mapping.Record, out *mapping.Result) error
}

// Mapped reads records by a mapping alone.
func Mapped(m *mapping.Mapping) Reader { return mapped{m} }

type mapped struct{ *mapping.Mapping }

func (m mapped) Read(_ context.Context, rec *mapping.Record, out *mapping.Result) error {
	m.Apply(rec, out)
	return nil
}

// Trial tells what becomes of records. It is for one goroutine.
type Trial struct {
	reader   Reader
	rules    *normalize.Rules
	deployed bool
	json     bool
	out      *bytes.Buffer // what is not yet written
	to       io.Writer
	broken   io.Writer
	page     *page.Page

	normalizer *normalize.Normalizer
	result     mapping.Result
	keyed      interaction.Keyed
	counts     Counts
	noteWidth  int // of the labels of the notes below an item: that of its fields
}

// New returns a Trial that writes to out. Broken lines are told where the records are, but for JSON, whose readers want nothing
// else: there they go to broken.
func New(r Reader, o Options, out, broken io.Writer) *Trial {
	rules := *o.Rules
	rules.EraseEnabled = rules.EraseEnabled || !o.Deployed
	t := &Trial{
		reader: r, rules: o.Rules, deployed: o.Deployed, json: o.JSON, out: &bytes.Buffer{}, to: out, broken: broken, normalizer: normalize.New(&rules),
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
			err = t.record(ctx, rec)
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

// record reads one record, and tells or encodes what became of it.
func (t *Trial) record(ctx context.Context, rec *Record) error {
	if err := t.reader.Read(ctx, &rec.Record, &t.result); err != nil {
		return fmt.Errorf("%s: %w", rec.Place, err)
	}
	t.counts.Records++
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
