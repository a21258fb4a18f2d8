package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/demo"
	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
)

const (
	demoApp        = "demo"
	demoInputTopic = "interactions" // of --input
	demoPartitions = 4
	// The time between two lines of progress, on a terminal and elsewhere.
	demoEvery     = 100 * time.Millisecond
	demoEveryPipe = time.Second
	// demoTick is the time between two portions of interactions.
	demoTick = 25 * time.Millisecond
)

type demoOptions struct {
	pace    time.Duration
	seed    uint64
	size    int
	input   string
	keep    bool
	noColor bool
}

func demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a small retailer's interactions become unified customer events",
		Long: `Starts a Kafka broker inside this process, fills it with the interactions of a small retailer (three branches with UserIds of
their own, a web shop that speaks Segment, an app, mailings through SendGrid, and all the dirt that real data has), runs the
very code of "kinfold run" on it, and tells what became of them: in figures, and as the story of two customers. Nothing is
installed and nothing is left behind.

With --input, your own interactions take the retailer's place: one plain JSON interaction a line, as for dry-run.`,
		Example: `  kinfold demo
  kinfold demo --seed 7 --keep
  kinfold demo --input interactions.jsonl`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.size < 1 || o.pace < 0 {
				return usageError{fmt.Errorf("--size must be 1 or more, and --pace not negative")}
			}
			return runDemo(cmd, o)
		},
	}
	cmd.Flags().Uint64Var(&o.seed, "seed", 1, "another `NUMBER` is another retailer")
	cmd.Flags().IntVar(&o.size, "size", 20_000, "`NUMBER` of interactions of the retailer")
	cmd.Flags().DurationVar(&o.pace, "pace", 6*time.Second, "`TIME` over which the interactions come in; 0: all at once")
	cmd.Flags().StringVarP(&o.input, "input", "i", "", "`FILE` of your own interactions, one JSON object a line")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "stay up afterwards, with the broker, the topics and the metrics, until Ctrl-C")
	cmd.Flags().BoolVar(&o.noColor, "no-color", false, "plain text, also on a terminal")
	return cmd
}

func runDemo(cmd *cobra.Command, o demoOptions) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	d := &demoRun{out: out, terminal: isTerminal(out), colour: wantsColour(out, o.noColor)}
	err := d.run(ctx, o)
	if ctx.Err() != nil && !d.told { // what was seen is a part only, and no account of it would add up
		fmt.Fprintln(out, "\nStopped before the end.")
		if errors.Is(err, context.Canceled) {
			return nil
		}
	}
	return err
}

// run does all of the demo in a broker of its own. It ends early when ctx does.
func (d *demoRun) run(ctx context.Context, o demoOptions) error {
	records, err := demoRecords(o)
	if err != nil {
		return err
	}
	broker, err := embedded.Start(embedded.Options{})
	if err != nil {
		return err
	}
	defer broker.Close()
	d.kafka = &kafka.Config{Brokers: broker.Addrs(), ClientID: "demo"}
	c, err := demoConfig(d.kafka.Brokers, o.input != "")
	if err != nil {
		return err
	}
	if err := d.makeInputs(ctx, c); err != nil {
		return err
	}
	ready := make(chan struct{})
	p, err := processor.Open(c, processor.Options{FS: processor.InMemory(), Ready: func() { close(ready) }})
	if err != nil {
		return err
	}
	defer p.Close()
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(running) }()
	select {
	case <-ready:
	case err := <-ended:
		return err
	}
	d.count(c, records)
	d.began = time.Now()
	d.introduce(o, c)
	fed := make(chan error, 1)
	go func() { fed <- d.feed(running, records, o.pace) }()
	defer func() { cancel(); <-fed }()
	if err := d.watch(running, c, p, ended); err != nil {
		return err
	}
	if ctx.Err() == nil {
		if err := d.tell(o.input != "", p.Ignored()); err != nil {
			return err
		}
		if o.keep {
			fmt.Fprintf(d.out, "\nStill up until Ctrl-C: Kafka at %[1]s, metrics at http://%[2]s/metrics\n"+
				"Ask it about a customer: kinfold ask customer ID --api http://%[2]s\n", d.kafka.Brokers[0], p.HTTPAddr())
			<-ctx.Done()
		}
	}
	cancel()
	return <-ended
}

func (d *demoRun) introduce(o demoOptions, c *config.Config) {
	topics := strings.Join(c.SourceTopics(), ", ")
	if o.input != "" {
		fmt.Fprintf(d.out, "%s of %s,\nthrough an embedded Kafka at %s, from the topic %s.\n\n", demo.Counted(d.total, "line", "lines"), o.input, d.kafka.Brokers[0], topics)
		return
	}
	fmt.Fprintf(d.out, `30 days of Casa Lumbre, a retailer with three branches, a web shop, an app and mailings:
%s in %s. The web shop speaks Segment, the mailings SendGrid,
tills and app plain JSON. All of it goes through an embedded Kafka at %s,
from the topics %s.

`, demo.Counted(d.total, "interaction", "interactions"), demo.Counted(d.records, "record", "records"), d.kafka.Brokers[0], topics)
}

// demoConfig is the configuration of `kinfold run` for the embedded broker.
func demoConfig(brokers []string, own bool) (*config.Config, error) {
	c := config.Default()
	c.App, c.StateDir = demoApp, "/demo"
	c.Kafka.Brokers = brokers
	c.HTTP.Listen = "127.0.0.1:0"
	c.Topics.Partitions = demoPartitions
	if own {
		c.Sources = []config.Source{{Topics: []string{demoInputTopic}, Format: config.FormatJSON}}
		return c, nil
	}
	c.Sources, c.Identity.Regions, c.Identity.Countries = nil, demo.Regions, demo.Countries
	for _, t := range demo.Topics {
		s := config.Source{Topics: []string{t}, Format: config.FormatJSON}
		if m := demo.Mappings[t]; m != "" {
			s = config.Source{Topics: []string{t}, Mapping: m}
		}
		if err := s.Compile(); err != nil {
			return nil, err
		}
		c.Sources = append(c.Sources, s)
	}
	return c, nil
}

// demoRecords are the retailer's, or the lines of the user's file.
func demoRecords(o demoOptions) ([]demo.Record, error) {
	if o.input == "" {
		return demo.Retailer(o.seed, o.size, time.Now()), nil
	}
	f, err := os.Open(o.input)
	if err != nil {
		return nil, fmt.Errorf("open the input: %w", err)
	}
	defer f.Close()
	var records []demo.Record
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if trimmed := trimLine(line); len(trimmed) > 0 {
			records = append(records, demo.Record{Topic: demoInputTopic, Value: trimmed, Time: time.Now(), Interactions: 1})
		}
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the input: %w", err)
		}
	}
}

func trimLine(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}

// demoRun is one run of the demo: it fills the inputs, reads the outputs back, and tells.
type demoRun struct {
	out              io.Writer
	terminal, colour bool
	kafka            *kafka.Config
	began            time.Time
	total, records   int64 // interactions, and the records that hold them
	told             bool

	mu     sync.Mutex
	seen   demo.Seen
	events int64
	parked int64 // interactions that were rejected and became no event
}

func (d *demoRun) makeInputs(ctx context.Context, c *config.Config) error {
	admin, err := kafka.NewAdmin(d.kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, topic := range c.SourceTopics() {
		if _, err := admin.Create(ctx, kafka.TopicSpec{Name: topic, Partitions: demoPartitions, Replication: -1}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demoRun) count(c *config.Config, records []demo.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen.In = map[string]demo.Input{}
	for i := range c.Sources {
		for _, t := range c.Sources[i].Topics {
			d.seen.In[t] = demo.Input{Mapping: c.Sources[i].Mapping}
		}
	}
	for _, r := range records {
		in := d.seen.In[r.Topic]
		in.Records++
		in.Interactions += int64(r.Interactions)
		d.seen.In[r.Topic] = in
		d.total += int64(r.Interactions)
	}
	d.records = int64(len(records))
}

// feed writes the records in their order, spread evenly over pace, as if the days of the retailer went by in seconds.
func (d *demoRun) feed(ctx context.Context, records []demo.Record, pace time.Duration) error {
	producer, err := kafka.NewProducer(d.kafka)
	if err != nil {
		return err
	}
	defer producer.Close()
	began := time.Now()
	ticker := time.NewTicker(demoTick)
	defer ticker.Stop()
	for sent := 0; sent < len(records); {
		due := len(records)
		if passed := time.Since(began); passed < pace {
			due = int(int64(len(records)) * int64(passed) / int64(pace))
		}
		for ; sent < due; sent++ {
			r := &records[sent]
			rec := &kafka.Record{Topic: r.Topic, Partition: kafka.Unassigned, Key: r.Key, Value: r.Value, Timestamp: r.Time}
			for _, h := range r.Headers {
				rec.Headers = append(rec.Headers, kafka.Header{Key: h.Key, Value: h.Value})
			}
			producer.Produce(ctx, rec)
		}
		if err := producer.Flush(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// watch reads the outputs back and shows progress until everything that went in is accounted for.
func (d *demoRun) watch(ctx context.Context, c *config.Config, p *processor.Processor, ended chan error) error {
	reading, stop := context.WithCancel(ctx)
	read := make(chan error, 1)
	go func() { read <- d.read(reading, c, p) }()
	ticker := time.NewTicker(demoEvery)
	defer ticker.Stop()
	defer func() { stop(); <-read }()
	shown := time.Now()
	for {
		done := d.accounted(p)
		if done || d.terminal || time.Since(shown) >= demoEveryPipe {
			d.progress(p, done)
			shown = time.Now()
		}
		if done {
			return nil
		}
		select {
		case err := <-ended:
			ended <- err
			if err == nil && ctx.Err() == nil {
				err = fmt.Errorf("stopped before the end")
			}
			return err
		case <-ctx.Done():
			return nil
		case err := <-read:
			read <- err
			return err
		case <-ticker.C:
		}
	}
}

// accounted reports whether every interaction that went in is an event, a duplicate or a reject that was read back, or was
// ignored.
func (d *demoRun) accounted(p *processor.Processor) bool {
	t := p.Totals()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen.Duplicates = t.Duplicate
	return d.events == t.Events && d.parked == t.Parked+t.Rejected && t.Events+t.Duplicate+t.Parked+t.Rejected+t.Ignored == d.total
}

func (d *demoRun) progress(p *processor.Processor, last bool) {
	t := p.Totals()
	d.mu.Lock()
	line := demo.Progress{In: t.Accepted + t.Parked + t.Ignored, Out: d.events, Total: d.total, Elapsed: time.Since(d.began)}.Line(d.terminal)
	d.mu.Unlock()
	fmt.Fprint(d.out, line)
	if last && d.terminal {
		fmt.Fprintln(d.out)
	}
}

// tell writes the summary and the stories: of the two protagonists, or in the user's own data of those whom most was joined for.
func (d *demoRun) tell(own bool, ignored map[string]map[string]int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = true
	for t, in := range d.seen.In {
		in.Ignored = ignored[in.Mapping] // the mappings that come with kinfold name their source as they are called
		d.seen.In[t] = in
	}
	if err := d.seen.Summary(d.out, d.colour); err != nil {
		return err
	}
	who := demo.Protagonists
	if own {
		who = nil
	}
	return d.seen.Stories(d.out, d.colour, who)
}

// wantsColour reports a terminal whose user has not asked for plain text.
func wantsColour(w io.Writer, noColor bool) bool {
	return !noColor && os.Getenv("NO_COLOR") == "" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
