package demo

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// flushOf names the record that drafts share.
type flushOf struct {
	topic string
	flush int
}

func (d *draft) flushOf() flushOf { return flushOf{d.topic, d.flush} }

// post puts the events of the mailing into the arrays in which SendGrid posts them: those that happen at about the same time.
func (g *generator) post() {
	var first time.Time
	flush, n := 0, 0
	for i := range g.drafts { // in order of time
		d := &g.drafts[i]
		switch {
		case d.mailing == nil:
			continue
		case d.scripted:
			d.flush = g.newFlush()
			continue
		case flush == 0 || n == webhookEvents || d.at.Sub(first) > webhookWindow:
			flush, n, first = g.newFlush(), 0, d.at
		}
		d.flush = flush
		n++
	}
}

// records encodes everything, with dirt that no source should have sent, and puts it in the order of time.
func (g *generator) records(dirt int) []Record {
	var records []Record
	parts, drafts := map[flushOf][]*draft{}, append(g.drafts, g.repeats...)
	for i := range dirt {
		d, whole := g.dirty(i)
		if whole != nil {
			records = append(records, *whole)
		} else {
			drafts = append(drafts, d)
		}
	}
	for i := range drafts {
		d := &drafts[i]
		if d.flush == 0 {
			r := Record{Topic: d.topic, Key: []byte(d.key), Value: d.encode(), Time: d.sent, Interactions: 1}
			r.Headers = g.headers(d)
			records = append(records, r)
			continue
		}
		parts[d.flushOf()] = append(parts[d.flushOf()], d)
	}
	for i := range drafts {
		if d := &drafts[i]; d.flush != 0 && parts[d.flushOf()][0] == d {
			records = append(records, g.together(parts[d.flushOf()]))
		}
	}
	return g.inOrder(records)
}

// together makes one record of drafts that were sent together, when the last of them was.
func (g *generator) together(list []*draft) Record {
	first := list[0]
	r := Record{Topic: first.topic, Key: []byte(first.key), Interactions: len(list)}
	var bodies []json.RawMessage
	for _, d := range list {
		bodies = append(bodies, d.encode())
		if d.sent.After(r.Time) {
			r.Time = d.sent
		}
	}
	if first.topic == TopicMailings {
		r.Value = encodeWebhook(bodies)
	} else {
		r.Value = encodeBatch(bodies, first.key == serverRecords, r.Time)
	}
	r.Headers = g.headers(first)
	return r
}

func (g *generator) headers(d *draft) []Header {
	switch d.topic {
	case TopicWeb, TopicApp:
		return []Header{{"traceparent", fmt.Appendf(nil, "00-%016x%016x-%016x-01", g.rng.Uint64(), g.rng.Uint64(), g.rng.Uint64())}}
	case TopicMailings:
		return []Header{{"X-Twilio-Email-Event-Webhook-Timestamp", fmt.Appendf(nil, "%d", d.sent.Unix())}}
	}
	return nil
}

func (g *generator) inOrder(records []Record) []Record {
	last := g.end.Add(-time.Second)
	for i := range records {
		if records[i].Time.After(last) {
			records[i].Time = last
		}
	}
	slices.SortStableFunc(records, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return records
}
