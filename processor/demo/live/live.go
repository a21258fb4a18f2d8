// Package live runs the demo: the processor on a broker inside this process, fed with a retailer's interactions or with one's own,
// read back as any consumer would, and told.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/demo"
	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
)

const (
	app        = "demo"
	ownTopic   = "interactions" // of one's own interactions
	partitions = 4
	// The time between two lines of progress, on a terminal and elsewhere.
	progressEvery     = 100 * time.Millisecond
	progressEveryPipe = time.Second
	// tick is the time between two portions of interactions.
	tick = 25 * time.Millisecond
)

// Options say what is shown, and how.
type Options struct {
	Seed uint64 // another number is another retailer
	Size int    // interactions of the retailer, demo.MinSize at least
	// Pace is the time over which the interactions come in; 0: all at once.
	Pace time.Duration
	// Input are one's own interactions, one plain JSON object a line, in place of the retailer's; nil: the retailer's.
	Input     io.Reader
	InputName string
	// Keep stays up afterwards until the context ends.
	Keep bool
	// Terminal writes progress over itself, Colour paints.
	Terminal, Colour bool
}

// run is one run of the demo: it fills the inputs, reads the outputs back, and tells.
type run struct {
	Options
	out            io.Writer
	kafka          *kafka.Config
	processor      *processor.Processor
	began          time.Time
	total, records int64 // interactions, and the records that hold them
	told           bool

	mu     sync.Mutex
	seen   demo.Seen
	events int64
	parked int64 // interactions that were rejected and became no event
}

// Run shows the demo. It ends early, without an account, when ctx does: that is no error.
func Run(ctx context.Context, out io.Writer, o Options) error {
	r := &run{Options: o, out: out}
	err := r.run(ctx)
	if ctx.Err() != nil && !r.told { // what was seen is a part only, and no account of it would add up
		fmt.Fprintln(out, "\nStopped before the end.")
		if errors.Is(err, context.Canceled) {
			return nil
		}
	}
	return err
}

func (r *run) run(ctx context.Context) error {
	records, err := r.source()
	if err != nil {
		return err
	}
	broker, err := embedded.Start(embedded.Options{})
	if err != nil {
		return err
	}
	defer broker.Close()
	r.kafka = &kafka.Config{Brokers: broker.Addrs(), ClientID: app}
	c, err := r.config()
	if err != nil {
		return err
	}
	if err := r.makeInputs(ctx, c); err != nil {
		return err
	}
	ready := make(chan struct{})
	r.processor, err = processor.Open(c, processor.Options{FS: processor.InMemory(), Ready: func() { close(ready) }})
	if err != nil {
		return err
	}
	defer r.processor.Close()

	// The parts run side by side; the first that fails ends the others.
	running, end := context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	var ran error
	part := func(what string, fn func(context.Context) error) {
		parts.Go(func() {
			if err := fn(running); err != nil {
				end(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	defer func() { end(nil); parts.Wait() }()
	part("the processor", func(ctx context.Context) error {
		if ran = r.processor.Run(ctx); ran == nil && ctx.Err() == nil {
			return errors.New("stopped before the end")
		}
		return ran
	})
	select {
	case <-ready:
	case <-running.Done():
		return context.Cause(running)
	}
	r.count(c, records)
	r.began = time.Now()
	r.introduce(c)
	part("feed the topics", func(ctx context.Context) error { return r.feed(ctx, records) })
	part("read the outputs back", func(ctx context.Context) error { return r.read(ctx, c) })
	r.watch(running)
	if running.Err() != nil {
		return context.Cause(running)
	}
	if err := r.tell(); err != nil {
		return err
	}
	if r.Keep {
		fmt.Fprintf(r.out, "\nStill up until Ctrl-C: Kafka at %[1]s, metrics at http://%[2]s/metrics\n"+
			"Ask it about a customer: kinfold ask customer ID --api http://%[2]s\n", r.kafka.Brokers[0], r.processor.HTTPAddr())
		<-running.Done()
		if ctx.Err() == nil {
			return context.Cause(running)
		}
	}
	end(nil)
	parts.Wait()
	return ran
}

func (r *run) introduce(c *config.Config) {
	topics := strings.Join(c.SourceTopics(), ", ")
	if r.Input != nil {
		fmt.Fprintf(r.out, "%s of %s,\nthrough an embedded Kafka at %s, from the topic %s.\n\n", demo.Counted(r.total, "line", "lines"), r.InputName, r.kafka.Brokers[0], topics)
		return
	}
	fmt.Fprintf(r.out, `30 days of Casa Lumbre, a retailer with three branches, a web shop, an app and mailings:
%s in %s. The web shop speaks Segment, the mailings SendGrid,
tills and app plain JSON. All of it goes through an embedded Kafka at %s,
from the topics %s.

`, demo.Counted(r.total, "interaction", "interactions"), demo.Counted(r.records, "record", "records"), r.kafka.Brokers[0], topics)
}

// config is the configuration of `kinfold run` for the embedded broker.
func (r *run) config() (*config.Config, error) {
	c := config.Default()
	c.App, c.StateDir = app, "/demo"
	c.Kafka.Brokers = r.kafka.Brokers
	c.HTTP.Listen = "127.0.0.1:0"
	c.Topics.Partitions = partitions
	if r.Input != nil {
		c.Sources = []config.Source{{Topics: []string{ownTopic}, Format: config.FormatJSON}}
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

func (r *run) makeInputs(ctx context.Context, c *config.Config) error {
	admin, err := kafka.NewAdmin(r.kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, topic := range c.SourceTopics() {
		if _, err := admin.Create(ctx, kafka.TopicSpec{Name: topic, Partitions: partitions, Replication: -1}); err != nil {
			return err
		}
	}
	return nil
}

// watch shows progress until everything that went in is accounted for, or ctx ends.
func (r *run) watch(ctx context.Context) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	shown := time.Now()
	for {
		done := r.accounted()
		if done || r.Terminal || time.Since(shown) >= progressEveryPipe {
			r.progress(done)
			shown = time.Now()
		}
		if done {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// accounted reports whether every interaction that went in is an event, a duplicate or a reject that was read back, or was
// ignored.
func (r *run) accounted() bool {
	t := r.processor.Totals()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.Duplicates = t.Duplicate
	return r.events == t.Events && r.parked == t.Parked+t.Rejected && t.Events+t.Duplicate+t.Parked+t.Rejected+t.Ignored == r.total
}

func (r *run) progress(last bool) {
	t := r.processor.Totals()
	r.mu.Lock()
	line := demo.Progress{In: t.Accepted + t.Parked + t.Ignored, Out: r.events, Total: r.total, Elapsed: time.Since(r.began)}.Line(r.Terminal)
	r.mu.Unlock()
	fmt.Fprint(r.out, line)
	if last && r.Terminal {
		fmt.Fprintln(r.out)
	}
}

// tell writes the summary and the stories: of the two protagonists, or in the user's own data of those whom most was joined for.
func (r *run) tell() error {
	ignored := r.processor.Ignored()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = true
	for t, in := range r.seen.In {
		in.Ignored = ignored[in.Mapping] // the mappings that come with kinfold name their source as they are called
		r.seen.In[t] = in
	}
	if err := r.seen.Summary(r.out, r.Colour); err != nil {
		return err
	}
	who := demo.Protagonists
	if r.Input != nil {
		who = nil
	}
	return r.seen.Stories(r.out, r.Colour, who)
}
