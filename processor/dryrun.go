package processor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"kinfold/processor/dedup"
	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/lines"
	"kinfold/processor/normalize"
	"kinfold/processor/source"
	"kinfold/processor/source/mapping"
)

// The files that a dry run writes into its output directory.
const (
	dryRunEvents  = "unified-customer-events.jsonl"
	dryRunChanges = "identity-changes.jsonl"
	dryRunMap     = "identity-map.jsonl"
	dryRunRejects = "rejects.jsonl"
)

// MaxDryRunReports is how many reports of directives with dry_run a dry run keeps.
const MaxDryRunReports = 20

const (
	// maxLine bounds a line of the input of a dry run. A longer one is a reject.
	maxLine = 16 << 20
	// streamStep is how far one record may advance the stream time of a dry run: one wrong clock must not empty the window
	// (identity.md section 9).
	streamStep = 24 * time.Hour
	// progressEvery is the number of lines between two reports of progress.
	progressEvery = 100_000
)

// DryRunResult is what a dry run counted.
type DryRunResult struct {
	Lines        int
	Interactions int // accepted: unified events
	Ambiguous    int // of these: tie anchors of more than one customer
	Duplicates   int
	Directives   int // accepted, dry runs included
	DryRuns      int // of these: directives that say what they would do
	// Reports are those of the first MaxDryRunReports of DryRuns, in the order of the lines.
	Reports   []*identity.DirectiveAnswer
	Rejects   map[interaction.Reason]int
	Customers int // at the end
	Merges    int
	Splits    int
	Elapsed   time.Duration
}

// RejectCount is the number of rejects of all reasons.
func (r *DryRunResult) RejectCount() (n int) {
	for _, c := range r.Rejects {
		n += c
	}
	return n
}

// DryRun takes the lines of input through both steps, in memory and in order, and writes what the topics would get into
// four files of directory dir, which it creates. An input that is one of these files is refused, if it has Stat. Progress is
// called now and then with the number of lines read.
func DryRun(ctx context.Context, rules *normalize.Rules, input io.Reader, dir string, progress func(lines int)) (*DryRunResult, error) {
	d, err := newDryRun(rules)
	if err != nil {
		return nil, err
	}
	out, err := openJSONOutputs(dir, input)
	if err != nil {
		return nil, err
	}
	d.out = &out
	began := time.Now()
	err = eachLine(ctx, input, d.line, func(lines int) {
		progress(lines)
		d.expire()
	})
	err = errors.Join(err, out.close())
	d.result.Elapsed = time.Since(began)
	return &d.result, err
}

type dryRun struct {
	ingest  *ingestStep
	resolve *resolveStep
	view    *memoryView
	out     *jsonOutputs // nil: only the state is of interest
	result  DryRunResult

	stream   int64 // stream time, epoch ms
	directed bool
	recent   *dedup.Recent
	keyed    interaction.Keyed
	o        outcome
}

func newDryRun(rules *normalize.Rules) (*dryRun, error) {
	d := &dryRun{view: newMemoryView(), result: DryRunResult{Rejects: map[interaction.Reason]int{}}}
	var err error
	if d.resolve, err = newResolveStep(rules); err != nil {
		return nil, err
	}
	if d.recent, err = d.resolve.seen.NewRecent(d.view, 0, dedup.DefaultRecentBytes); err != nil {
		return nil, err
	}
	d.ingest = newIngestStep(rules, nil)
	return d, nil
}

// expire forgets what is behind the duplicate window.
func (d *dryRun) expire() { d.view.drop(d.resolve.seen.Expired(d.stream)) }

// eachLine calls fn for each line of the input that is not blank, and now and then progress with the number of the line.
func eachLine(ctx context.Context, input io.Reader, fn func(lines.Line) error, progress func(lines int)) error {
	r := lines.NewReader(input, maxLine)
	for reported := 0; ; {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(line); err != nil {
			return fmt.Errorf("line %d: %w", line.Number, err)
		}
		if line.Number-reported >= progressEvery {
			reported = line.Number
			progress(line.Number)
			if ctx.Err() != nil {
				return fmt.Errorf("stopped after line %d: %w", line.Number, ctx.Err())
			}
		}
	}
}

func (d *dryRun) line(l lines.Line) error {
	number, text := l.Number, l.Text
	d.result.Lines++
	if l.Cut {
		return d.reject(number, text, &interaction.Reject{Reason: interaction.ReasonTooLarge,
			Detail: fmt.Sprintf("the line is longer than %d bytes, and only its beginning stands here; the rest is in the input", maxLine)})
	}
	received, stated, reject := source.ReceivedAt(text)
	if reject == nil {
		reject = d.decode(text, received, stated, number)
	}
	if reject != nil {
		return d.reject(number, text, reject)
	}
	d.stream = max(d.stream, min(d.keyed.ReceivedAt, d.advance()))
	if err := d.resolve.step(d.view, &d.keyed, moment{d.stream, uint64(number), d.recent, d.directed}, &d.o); err != nil {
		return err
	}
	d.directed = d.directed || d.o.verdict == verdictDirective && !d.o.directive.dryRun
	if len(d.o.seen) > 0 {
		d.recent.Add(d.resolve.seen, d.keyed.ID, d.stream)
	}
	d.view.put(d.o.rows)
	d.view.put(d.o.seen)
	return d.write(number, text)
}

// jsonLines is how the lines of a dry run are read.
var jsonLines = &input{interaction: jsonInteraction}

// decode takes a line through the step of stage 1. Its Kafka timestamp is received_at where it states one, else its occurred_at,
// of a directive its issued_at.
func (d *dryRun) decode(text []byte, received int64, stated bool, number int) *interaction.Reject {
	origin := interaction.Origin{Topic: "input", Offset: int64(number)}
	var order interaction.Directive
	if found, reject := source.LineDirective(text, &order); reject != nil {
		return reject
	} else if found {
		if !stated {
			received = order.IssuedAt
		}
		return d.ingest.normalizer.Directive(&order, received, origin, &d.keyed)
	}
	if r := d.ingest.take(jsonLines, &mapping.Record{Value: text, Timestamp: received}, origin, &d.keyed); r != nil {
		return r
	}
	if !stated {
		d.keyed.ReceivedAt = d.keyed.OccurredAt
	}
	return nil
}

// advance is the latest stream time that the next record may bring.
func (d *dryRun) advance() int64 {
	if d.stream == 0 {
		return d.keyed.ReceivedAt
	}
	return d.stream + streamStep.Milliseconds()
}

func (d *dryRun) write(number int, text []byte) error {
	if d.out != nil {
		if err := d.out.outcome(&d.o); err != nil {
			return err
		}
	}
	d.result.Customers += d.o.tallies.Created - d.o.tallies.Ended
	d.result.Merges += d.o.tallies.Merges
	d.result.Splits += d.o.tallies.Splits
	switch d.o.verdict {
	case verdictEvent:
		d.result.Interactions++
		if d.o.unified.Ambiguous {
			d.result.Ambiguous++
		}
	case verdictDuplicate:
		d.result.Duplicates++
	case verdictDirective:
		d.result.Directives++
		if d.o.directive.dryRun {
			if d.result.DryRuns++; d.result.DryRuns <= MaxDryRunReports {
				d.result.Reports = append(d.result.Reports, d.o.directive.report.Answer(d.keyed.Realm, d.keyed.Directive.ID))
			}
		}
	}
	for i := range d.o.rejects {
		if err := d.reject(number, text, &d.o.rejects[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *dryRun) reject(number int, text []byte, r *interaction.Reject) error {
	d.result.Rejects[r.Reason]++
	if d.out == nil {
		return nil
	}
	return d.out.reject(number, text, r)
}
