package processor

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/source/mapping"
	"kinfold/processor/try"
	"kinfold/schemas"
)

// TrialOptions say how the records of a trial are read, where that is not as the configuration says of their topics.
type TrialOptions struct {
	// Mapping takes the place of what the sources say, and may order an erase; nil: each source's own.
	Mapping *mapping.Mapping
	// Topic takes every record for one of this topic; empty: each is one of its own.
	Topic string
	// Framing says that all records are in Avro, and where each names its schema; empty: as the configuration says.
	Framing string
}

// trialReader reads the records of a trial by the code that reads them in a run. It is for one goroutine.
type trialReader struct {
	options TrialOptions
	inputs  map[string]*input
	other   *input // of topics that no source reads; nil: there is no reading them
}

// NewTrialReader makes what reads the records of a trial as the sources of a configuration do; c may be nil where the options name
// a mapping. The schema registry is that of the configuration, and asked where a record needs it.
func NewTrialReader(c *config.Config, o TrialOptions) (try.Reader, error) {
	log := slog.New(slog.DiscardHandler)
	r := &trialReader{options: o, inputs: map[string]*input{}}
	var registry *schemas.Registry
	if c != nil {
		var err error
		if registry, err = openRegistry(c, log); err != nil {
			return nil, err
		}
		if r.inputs, err = newInputs(c, registry, log); err != nil {
			return nil, err
		}
	}
	if o.Mapping != nil {
		for topic, of := range r.inputs {
			r.inputs[topic] = &input{mapping: o.Mapping, allowErase: true, tree: of.tree, avro: of.avro}
		}
		r.other = &input{mapping: o.Mapping, allowErase: true}
	}
	return r, r.framed(registry, log)
}

// framed makes all inputs read Avro in the framing of the options.
func (r *trialReader) framed(registry *schemas.Registry, log *slog.Logger) error {
	if r.options.Framing == "" {
		return nil
	}
	all := slices.Collect(maps.Values(r.inputs))
	if r.other != nil {
		all = append(all, r.other)
	}
	for _, in := range all {
		if err := in.inAvro(config.Framing(r.options.Framing), nil, registry, log); err != nil {
			return err
		}
	}
	return nil
}

// Read implements try.Reader.
func (r *trialReader) Read(ctx context.Context, rec *mapping.Record, out *mapping.Result) error {
	topic := rec.Topic
	if r.options.Topic != "" {
		topic = r.options.Topic
	}
	in := r.inputs[topic]
	if in == nil {
		in = r.other
	}
	if in == nil {
		return fmt.Errorf("no source of the configuration reads topic %q; there are %s: name one of them, or a mapping, as SOURCE",
			topic, strings.Join(slices.Sorted(maps.Keys(r.inputs)), ", "))
	}
	if in.avro != nil {
		if err := in.avro.ask(ctx, rec.Value, valueOf(rec.Headers)); err != nil {
			return stop("see that it runs, and that registry.urls of the configuration names it", "%w", err)
		}
	}
	in.items(rec, out)
	return nil
}

// items is what a record becomes before the identity rules, whatever kind of input it is.
func (in *input) items(rec *mapping.Record, out *mapping.Result) {
	if in.mapping != nil {
		in.apply(rec, out)
		return
	}
	item := mapping.Item{Index: mapping.WholeRecord}
	if in.directive != nil {
		item.Kind, item.Directive = mapping.Directive, &interaction.Directive{}
		item.Reject = in.order(rec, item.Directive)
	} else {
		item.Reject = in.decode(rec, &item.Interaction)
	}
	if item.Reject != nil {
		item.Kind = mapping.Reject
	}
	out.Items = append(out.Items[:0], item)
}
