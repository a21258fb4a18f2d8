package demo

import (
	"bytes"
	"fmt"
	"strings"
)

// fault spoils what is good: each is a way in which a source once broke.
type fault struct {
	topic string
	spoil func(good []byte, n int) []byte
	// part: one among others in its record is spoilt; else the whole record is.
	part bool
}

var faults = []fault{
	{topic: TopicTills, spoil: cutOff},
	{topic: TopicWeb, spoil: func([]byte, int) []byte { return []byte("<html><body>502 Bad Gateway</body></html>") }}, // a proxy's answer
	{topic: TopicApp, spoil: nothing},
	{topic: TopicApp, spoil: func(good []byte, _ int) []byte { return fmt.Appendf(nil, "[%s]", good) }},               // a list in place of one
	{topic: TopicTills, spoil: func(good []byte, _ int) []byte { return without(good, "type") }},                      // not said what it is
	{topic: TopicApp, spoil: func(good []byte, _ int) []byte { return without(good, "source") }},                      // nor who says it
	{topic: TopicTills, spoil: func(good []byte, n int) []byte { return with(good, "store_code", longStoreCode(n)) }}, // two columns run together
	{topic: TopicTills, spoil: func(good []byte, n int) []byte { return with(good, "occurred_at", dayFirst(n)) }},     // a date for people
	{topic: TopicApp, spoil: func(good []byte, _ int) []byte { return with(good, "identifiers", `"ninguno"`) }},       // a text in place of a list
	{topic: TopicWeb, spoil: nothing}, // somebody tried the topic out
	{topic: TopicWeb, spoil: func([]byte, int) []byte { return []byte(`{"batch":[],"writeKey":"` + serverKey + `"}`) }}, // a library that sends without need
	{topic: TopicMailings, spoil: func([]byte, int) []byte { return []byte("[]\r\n") }},                                 // so does SendGrid
	{topic: TopicMailings, spoil: cutOff}, // its receiver takes 64 KB
	{topic: TopicWeb, part: true, spoil: func(good []byte, _ int) []byte { return with(good, "type", `"heartbeat"`) }},      // a call of a plug-in's own
	{topic: TopicWeb, part: true, spoil: func(good []byte, _ int) []byte { return with(good, "timestamp", `"ayer"`) }},      // somebody's own clock
	{topic: TopicMailings, part: true, spoil: func(good []byte, _ int) []byte { return without(good, "timestamp") }},        // not said when
	{topic: TopicMailings, part: true, spoil: func([]byte, int) []byte { return []byte(`"oops"`) }},                         // no event at all
	{topic: TopicMailings, part: true, spoil: func(good []byte, n int) []byte { return accountStatus(good) }},               // about the retailer's account
	{topic: TopicMailings, part: true, spoil: func(good []byte, _ int) []byte { return with(good, "event", `"whatsnew"`) }}, // news of the version to come
}

func cutOff(good []byte, _ int) []byte { return good[:len(good)*2/3] }

func nothing([]byte, int) []byte { return nil }

// longStoreCode has 31 characters, one more than a StoreCode may have.
func longStoreCode(n int) string { return fmt.Sprintf(`"AR-001 SUCURSAL PALERMO CAJA %02d"`, n%100) }

func dayFirst(n int) string { return fmt.Sprintf(`"%02d/12/2025 10:%02d"`, 1+n%28, n%60) }

func accountStatus(good []byte) []byte {
	return with(with(good, "event", `"account_status_change"`), "type", `"compliance_suspend"`)
}

// dirty makes the i-th piece of dirt, as the faults take turns: a part of a record that is good otherwise, or a whole record.
func (g *generator) dirty(i int) (draft, *Record) {
	f := &faults[i%len(faults)]
	d := g.someDraft(func(d *draft) bool {
		return d.topic == f.topic && (d.event == nil || d.event.OccurredAt == nil) && (!f.part || d.flush != 0)
	})
	switch {
	case d.event != nil:
		e := *d.event
		e.EventID = fmt.Sprintf("%s-x%04d", e.EventID, i)
		d.event = &e
	case d.call != nil:
		c := *d.call
		c.MessageID = g.messageID(&c, d.at)
		d.call = &c
	default:
		m := *d.mailing
		m.EventID = g.eventID()
		d.mailing = &m
	}
	if f.part {
		d.spoil, d.n = f.spoil, i
		return d, nil
	}
	r := Record{Topic: d.topic, Key: []byte(d.key), Time: d.sent, Interactions: 1}
	if d.flush != 0 {
		r = g.together([]*draft{&d})
	} else {
		r.Value = d.encode()
	}
	r.Headers, r.Value = nil, f.spoil(r.Value, i)
	return draft{}, &r
}

// span finds the member of an encoded object, from the first quote of its name to the end of its value. Members before
// the first list or object are simple, so that the value ends at the next comma.
func span(good []byte, name string) (from, to int) {
	from = bytes.Index(good, []byte(`"`+name+`":`))
	if from < 0 {
		return len(good) - 1, len(good) - 1
	}
	value := from + len(name) + 3
	switch good[value] {
	case '"':
		to = value + 1 + bytes.IndexByte(good[value+1:], '"') + 1
	case '[':
		to = value + bytes.IndexByte(good[value:], ']') + 1
	default:
		to = value + bytes.IndexAny(good[value:], ",}")
	}
	return from, to
}

// without takes a member out of an encoded object.
func without(good []byte, name string) []byte {
	from, to := span(good, name)
	before, after := good[:from], good[to:]
	if bytes.HasSuffix(before, []byte(",")) {
		before = before[:from-1]
	} else {
		after = bytes.TrimPrefix(after, []byte(","))
	}
	return append(append([]byte{}, before...), after...)
}

func with(good []byte, name, value string) []byte {
	rest := without(good, name)
	return append([]byte(strings.TrimSuffix(string(rest), "}")), fmt.Sprintf(`,%q:%s}`, name, value)...)
}
