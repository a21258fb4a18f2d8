package processor

import (
	"cmp"
	"log/slog"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/source"
	"kinfold/processor/source/mapping"
	"kinfold/schemas"
)

// input is how the records of one topic are read: interaction, directive or mapping is set.
type input struct {
	interaction func(rec *mapping.Record, dst *interaction.Interaction) *interaction.Reject
	directive   func(rec *mapping.Record, dst *interaction.Directive) *interaction.Reject
	mapping     *mapping.Mapping // what it makes of a record
	// tree decodes the value for the mapping, which reads the bytes itself where it is nil.
	tree       func(rec *mapping.Record, to *source.Tree) (source.Node, *interaction.Reject)
	allowErase bool        // the source may order an erase
	avro       *avroFormat // nil: the source is not in Avro
}

// newInputs makes the inputs of a configuration, by topic: those of its sources, and that of the directives.
func newInputs(c *config.Config, registry *schemas.Registry, log *slog.Logger) (map[string]*input, error) {
	inputs := map[string]*input{}
	for i := range c.Sources {
		src := &c.Sources[i]
		in := &input{interaction: jsonInteraction, mapping: src.Compiled(), allowErase: src.AllowErase}
		if src.Format == config.FormatAvro {
			if err := in.inAvro(src.AvroFraming, src.DeclaredSchemas(), registry, log); err != nil {
				return nil, err
			}
		}
		for _, t := range src.Topics {
			inputs[t] = in
		}
	}
	if t := c.Topics.IdentityDirectives; t != "" {
		in := &input{directive: jsonDirective}
		if c.Topics.IdentityDirectivesFormat == config.FormatAvro {
			if err := in.inAvro(config.FramingAvro, nil, registry, log); err != nil {
				return nil, err
			}
		}
		inputs[t] = in
	}
	return inputs, nil
}

// inAvro makes an input read its records as Avro. Declared are schemas that single objects name by their fingerprint.
func (in *input) inAvro(framing config.Framing, declared []string, registry *schemas.Registry, log *slog.Logger) error {
	avro, err := newAvroFormat(cmp.Or(framing, config.FramingAvro), declared, registry, log)
	if err != nil {
		return err
	}
	in.avro, in.tree = avro, avro.tree
	if in.directive != nil {
		in.directive = avro.directive
	} else {
		in.interaction = avro.interaction
	}
	return nil
}

func jsonInteraction(rec *mapping.Record, dst *interaction.Interaction) *interaction.Reject {
	return source.DecodeJSON(rec.Value, rec.Timestamp, dst)
}

func jsonDirective(rec *mapping.Record, dst *interaction.Directive) *interaction.Reject {
	return source.DecodeDirective(rec.Value, dst)
}

// decode reads a record that is an interaction.
func (in *input) decode(rec *mapping.Record, dst *interaction.Interaction) *interaction.Reject {
	if rec.Value == nil {
		return noValue()
	}
	return in.interaction(rec, dst)
}

// order reads a record that is a directive.
func (in *input) order(rec *mapping.Record, dst *interaction.Directive) *interaction.Reject {
	if rec.Value == nil {
		return noValue()
	}
	return in.directive(rec, dst)
}

func noValue() *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "the record has no value (a tombstone)"}
}

// apply makes of a record what the input's mapping says. An erase that the source may not order is a reject.
func (in *input) apply(rec *mapping.Record, out *mapping.Result) {
	if in.tree == nil || rec.Value == nil {
		in.mapping.Apply(rec, out)
	} else {
		root, reject := in.tree(rec, out.Tree())
		if reject != nil {
			out.Items = append(out.Items[:0], mapping.Item{Kind: mapping.Reject, Index: mapping.WholeRecord, Reject: reject})
			return
		}
		in.mapping.ApplyTree(rec, root, out)
	}
	for i := range out.Items {
		item := &out.Items[i]
		if item.Kind == mapping.Directive && item.Directive.Kind == interaction.DirectiveErase && !in.allowErase {
			item.Kind, item.Reject = mapping.Reject, &interaction.Reject{Reason: interaction.ReasonEraseNotEnabled,
				Detail: "the source orders an erase, and its allow_erase is false: confirm it by a directive of your own, or set it and send the record again"}
		}
	}
}
