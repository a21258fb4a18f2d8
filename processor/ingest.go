package processor

import (
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source/mapping"
)

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
	taken  taken                   // reused
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
	t := &s.taken
	*t = taken{keyed: &s.keyed, element: mapping.WholeRecord}
	if in.directive != nil {
		t.reject = s.direct(in, rec, origin)
	} else {
		t.reject = s.take(in, rec, origin, &s.keyed)
	}
	if t.reject != nil {
		t.keyed = nil
	}
	each(t)
}

// take decodes and normalises a native interaction.
func (s *ingestStep) take(in *input, rec *mapping.Record, origin interaction.Origin, out *interaction.Keyed) *interaction.Reject {
	if r := in.decode(rec, &s.raw); r != nil {
		return r
	}
	return s.normalizer.Interaction(&s.raw, rec.Timestamp, origin, out)
}

func (s *ingestStep) direct(in *input, rec *mapping.Record, origin interaction.Origin) *interaction.Reject {
	var d interaction.Directive
	if r := in.order(rec, &d); r != nil {
		return r
	}
	return s.normalizer.Directive(&d, rec.Timestamp, origin, &s.keyed)
}

func (s *ingestStep) mapRecord(in *input, rec *mapping.Record, origin interaction.Origin, each func(*taken)) {
	in.apply(rec, &s.mapped)
	for i := range s.mapped.Items {
		item, t := &s.mapped.Items[i], &s.taken
		*t = taken{element: item.Index}
		switch item.Kind {
		case mapping.Interaction:
			t.reject = s.normalizer.Interaction(&item.Interaction, rec.Timestamp, origin, &s.keyed)
		case mapping.Directive:
			t.reject = s.directMapped(item, rec.Timestamp, origin)
		case mapping.Reject:
			t.reject = item.Reject
		case mapping.Ignore:
			t.ignored = item.Ignore
		}
		if t.reject == nil && t.ignored == "" {
			t.keyed = &s.keyed
		}
		each(t)
	}
}

// directMapped takes in a directive that a source orders: its realm is that of its StoreCode.
func (s *ingestStep) directMapped(item *mapping.Item, recordTime int64, origin interaction.Origin) *interaction.Reject {
	d := *item.Directive
	realm, ok := s.normalizer.RealmOf(item.StoreCode)
	if !ok {
		return &interaction.Reject{Reason: interaction.ReasonBadDirective, Detail: "the store_code of the record is none"}
	}
	d.Realm = realm
	return s.normalizer.Directive(&d, recordTime, origin, &s.keyed)
}
