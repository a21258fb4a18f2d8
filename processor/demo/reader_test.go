package demo

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"kinfold/processor/source/mapping"
	"kinfold/schemas/sources"
)

// parsed is an interaction of a record as a reader sees it: of the tills and the app by its JSON, of the others by what the
// mapping makes of it. ok is false where it lacks what an interaction must have.
type parsed struct {
	Record
	event
	among   int // how many interactions the record has
	at      time.Time
	clear   bool // the time could be read
	ok      bool
	ignored string // why the mapping has no use for it
	reject  string // why the mapping rejects it
}

// reader reads records of every topic.
type reader struct {
	mappings map[string]*mapping.Mapping
	result   mapping.Result
}

func newReader(t testing.TB) *reader {
	t.Helper()
	r := &reader{mappings: map[string]*mapping.Mapping{}}
	for topic, name := range Mappings {
		m, err := sources.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		r.mappings[topic] = m
	}
	return r
}

// parse takes the interactions out of a record: as many as the generator says, or the test fails.
func (r *reader) parse(t testing.TB, rec Record) []parsed {
	t.Helper()
	list := []parsed{native(rec)}
	if m := r.mappings[rec.Topic]; m != nil {
		list = r.mapped(t, m, rec)
	}
	if len(list) != rec.Interactions {
		t.Fatalf("%d interactions, and the generator says %d:\n%s", len(list), rec.Interactions, rec.Value)
	}
	return list
}

func native(rec Record) parsed {
	p := parsed{Record: rec, among: 1}
	d := json.NewDecoder(bytes.NewReader(rec.Value))
	d.UseNumber()
	if err := d.Decode(&p.event); err != nil {
		return p
	}
	switch v := p.OccurredAt.(type) {
	case json.Number:
		ms, err := v.Int64()
		p.at, p.clear = time.UnixMilli(ms), err == nil
	case string:
		at, err := time.Parse(time.RFC3339, v)
		p.at, p.clear = at, err == nil
	}
	p.ok = p.Source != "" && p.Type != "" && p.Channel != "" && p.clear && utf8.RuneCountInString(p.StoreCode) <= 30
	return p
}

func (r *reader) mapped(t testing.TB, m *mapping.Mapping, rec Record) []parsed {
	t.Helper()
	var headers []mapping.Header
	for _, h := range rec.Headers {
		headers = append(headers, mapping.Header{Name: h.Key, Value: h.Value})
	}
	m.Apply(&mapping.Record{Topic: rec.Topic, Key: rec.Key, Value: rec.Value, Headers: headers, Timestamp: rec.Time.UnixMilli()}, &r.result)
	var list []parsed
	for i := range r.result.Items {
		item := &r.result.Items[i]
		p := parsed{Record: rec, among: len(r.result.Items)}
		switch item.Kind {
		case mapping.Ignore:
			p.ignored = item.Ignore
		case mapping.Reject:
			p.reject = mapping.ReasonText(item.Reject)
		case mapping.Interaction:
			p.ok = true
			p.take(t, item)
		default:
			t.Fatalf("a record of %s became a directive", rec.Topic)
		}
		list = append(list, p)
	}
	return list
}

func (p *parsed) take(t testing.TB, item *mapping.Item) {
	t.Helper()
	in := &item.Interaction
	details, err := DetailsOf(in.Payload)
	if err != nil {
		t.Fatal(err)
	}
	p.event = event{EventID: in.EventID, Source: in.Source, Channel: in.Channel, Type: in.Type, StoreCode: in.StoreCode,
		Traits: details.Traits, Properties: details.Properties}
	if in.HasUserID {
		p.UserID = in.UserID
	}
	for _, id := range in.Identifiers {
		p.Identifiers = append(p.Identifiers, identifier{id.Namespace, id.Value, id.Verified})
	}
	if o := details.Order; o != (Order{}) {
		p.Order = &order{Number: o.Number, Currency: o.Currency, Total: o.Total}
	}
	p.at, p.clear = time.UnixMilli(in.OccurredAt), in.TimeStated
}
