package processor

import (
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source"
	"kinfold/processor/source/mapping"
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

func jsonInteraction(rec *mapping.Record, dst *interaction.Interaction) *interaction.Reject {
	return source.DecodeJSON(rec.Value, rec.Timestamp, dst)
}

func jsonDirective(rec *mapping.Record, dst *interaction.Directive) *interaction.Reject {
	return source.DecodeDirective(rec.Value, dst)
}

// taken is what became of a record, or of one of its elements: keyed, reject or ignored is set. It is valid until the next.
type taken struct {
	keyed   *interaction.Keyed
	reject  *interaction.Reject
	ignored string
	element int // from 0; mapping.WholeRecord where the record has none
}

// ingestStep is the step of stage 1: a record in, keyed interactions and directives, rejects and what is ignored out. It keeps no
// state.
type ingestStep struct {
	inputs     map[string]*input // by topic
	normalizer *normalize.Normalizer

	raw    interaction.Interaction // decoded, reused
	mapped mapping.Result          // reused
	keyed  interaction.Keyed       // reused
}

func newIngestStep(r *normalize.Rules, inputs map[string]*input) *ingestStep {
	return &ingestStep{inputs: inputs, normalizer: normalize.New(r)}
}

// step takes a record of one of the input topics in, and tells each what became of it: once, or once for each of its elements, in
// their order.
func (s *ingestStep) step(rec *mapping.Record, origin interaction.Origin, each func(*taken)) {
	in := s.inputs[rec.Topic]
	if in.mapping != nil {
		s.mapRecord(in, rec, origin, each)
		return
	}
	t := taken{keyed: &s.keyed, element: mapping.WholeRecord}
	if in.directive != nil {
		t.reject = s.direct(in, rec, origin)
	} else {
		t.reject = s.take(in, rec, origin, &s.keyed)
	}
	if t.reject != nil {
		t.keyed = nil
	}
	each(&t)
}

// take decodes and normalises a native interaction.
func (s *ingestStep) take(in *input, rec *mapping.Record, origin interaction.Origin, out *interaction.Keyed) *interaction.Reject {
	if rec.Value == nil {
		return noValue()
	}
	if r := in.interaction(rec, &s.raw); r != nil {
		return r
	}
	return s.normalizer.Interaction(&s.raw, rec.Timestamp, origin, out)
}

func (s *ingestStep) direct(in *input, rec *mapping.Record, origin interaction.Origin) *interaction.Reject {
	if rec.Value == nil {
		return noValue()
	}
	var d interaction.Directive
	if r := in.directive(rec, &d); r != nil {
		return r
	}
	return s.normalizer.Directive(&d, rec.Timestamp, origin, &s.keyed)
}

func noValue() *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "the record has no value (a tombstone)"}
}

func (s *ingestStep) mapRecord(in *input, rec *mapping.Record, origin interaction.Origin, each func(*taken)) {
	if in.tree == nil || rec.Value == nil {
		in.mapping.Apply(rec, &s.mapped)
	} else {
		root, reject := in.tree(rec, s.mapped.Tree())
		if reject != nil {
			each(&taken{reject: reject, element: mapping.WholeRecord})
			return
		}
		in.mapping.ApplyTree(rec, root, &s.mapped)
	}
	for i := range s.mapped.Items {
		item := &s.mapped.Items[i]
		t := taken{element: item.Index}
		switch item.Kind {
		case mapping.Interaction:
			t.reject = s.normalizer.Interaction(&item.Interaction, rec.Timestamp, origin, &s.keyed)
		case mapping.Directive:
			t.reject = s.directMapped(in, item, rec.Timestamp, origin)
		case mapping.Reject:
			t.reject = item.Reject
		case mapping.Ignore:
			t.ignored = item.Ignore
		}
		if t.reject == nil && t.ignored == "" {
			t.keyed = &s.keyed
		}
		each(&t)
	}
}

// directMapped takes in a directive that a source orders: its realm is that of its StoreCode.
func (s *ingestStep) directMapped(in *input, item *mapping.Item, recordTime int64, origin interaction.Origin) *interaction.Reject {
	d := *item.Directive
	if d.Kind == interaction.DirectiveErase && !in.allowErase {
		return &interaction.Reject{Reason: interaction.ReasonEraseNotEnabled,
			Detail: "the source orders an erase, and its allow_erase is false: confirm it by a directive of your own, or set it and send the record again"}
	}
	realm, ok := s.normalizer.RealmOf(item.StoreCode)
	if !ok {
		return &interaction.Reject{Reason: interaction.ReasonBadDirective, Detail: "the store_code of the record is none"}
	}
	d.Realm = realm
	return s.normalizer.Directive(&d, recordTime, origin, &s.keyed)
}
