package processor

import (
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source"
)

// decoders is the closed list of formats. A source names its format, it is never guessed. Avro needs the writers' schemas.
func decoders(avro source.Decode) map[config.Format]source.Decode {
	return map[config.Format]source.Decode{
		config.FormatJSON: source.DecodeJSON,
		config.FormatAvro: avro,
	}
}

// decodeDirective reads the value of a record of the topic of directives.
type decodeDirective func(value []byte, dst *interaction.Directive) *interaction.Reject

// ingestStep is the step of stage 1: the value of a record in, a keyed interaction or directive or a reject out. It keeps no
// state.
type ingestStep struct {
	byTopic    map[string]source.Decode
	directives map[string]decodeDirective // by topic
	normalizer *normalize.Normalizer

	raw interaction.Interaction // decoded, reused
}

func newIngestStep(r *normalize.Rules, byTopic map[string]source.Decode, directives map[string]decodeDirective) *ingestStep {
	return &ingestStep{byTopic: byTopic, directives: directives, normalizer: normalize.New(r)}
}

// step decodes and normalises a record of one of the input topics. Out refers to value until the next step.
func (s *ingestStep) step(value []byte, recordTime int64, origin interaction.Origin, out *interaction.Keyed) *interaction.Reject {
	if decode, ok := s.directives[origin.Topic]; ok {
		return s.direct(decode, value, recordTime, origin, out)
	}
	return s.take(s.byTopic[origin.Topic], value, recordTime, origin, out)
}

func (s *ingestStep) take(decode source.Decode, value []byte, recordTime int64, origin interaction.Origin, out *interaction.Keyed) *interaction.Reject {
	if value == nil {
		return noValue()
	}
	if r := decode(value, recordTime, &s.raw); r != nil {
		return r
	}
	return s.normalizer.Interaction(&s.raw, recordTime, origin, out)
}

func (s *ingestStep) direct(decode decodeDirective, value []byte, recordTime int64, origin interaction.Origin, out *interaction.Keyed) *interaction.Reject {
	if value == nil {
		return noValue()
	}
	var d interaction.Directive
	if r := decode(value, &d); r != nil {
		return r
	}
	return s.normalizer.Directive(&d, recordTime, origin, out)
}

func noValue() *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "the record has no value (a tombstone)"}
}
