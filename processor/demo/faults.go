package demo

import (
	"bytes"
	"fmt"
	"strings"
)

// fault spoils a good record: each is a way in which a source once broke.
type fault struct {
	topic string
	spoil func(good []byte, n int) []byte
}

var faults = []fault{
	{TopicTills, func(good []byte, _ int) []byte { return good[:len(good)*2/3] }},                              // cut off in the middle
	{TopicWeb, func([]byte, int) []byte { return []byte("<html><body>502 Bad Gateway</body></html>") }},        // a proxy's answer
	{TopicWeb, func([]byte, int) []byte { return nil }},                                                        // nothing at all
	{TopicApp, func(good []byte, _ int) []byte { return fmt.Appendf(nil, "[%s]", good) }},                      // a list in place of one
	{TopicTills, func(good []byte, _ int) []byte { return without(good, "type") }},                             // not said what it is
	{TopicWeb, func(good []byte, _ int) []byte { return without(good, "source") }},                             // nor who says it
	{TopicMailings, func(good []byte, _ int) []byte { return without(good, "occurred_at") }},                   // nor when
	{TopicTills, func(good []byte, n int) []byte { return with(good, "store_code", longStoreCode(n)) }},        // two columns run together
	{TopicTills, func(good []byte, n int) []byte { return with(good, "occurred_at", dayFirst(n)) }},            // a date for people
	{TopicMailings, func(good []byte, _ int) []byte { return with(good, "occurred_at", `"ayer a la tarde"`) }}, // and one for friends
	{TopicApp, func(good []byte, _ int) []byte { return with(good, "identifiers", `"ninguno"`) }},              // a text in place of a list
}

// longStoreCode has 31 characters, one more than a StoreCode may have.
func longStoreCode(n int) string { return fmt.Sprintf(`"AR-001 SUCURSAL PALERMO CAJA %02d"`, n%100) }

func dayFirst(n int) string { return fmt.Sprintf(`"%02d/12/2025 10:%02d"`, 1+n%28, n%60) }

// dirty makes the i-th dirty record: the faults take turns.
func (g *generator) dirty(i int) Record {
	f := faults[i%len(faults)]
	d := g.someDraft(func(d *draft) bool { return d.topic == f.topic && d.event.OccurredAt == nil })
	d.event.EventID = fmt.Sprintf("%s-x%04d", d.event.EventID, i)
	return Record{Topic: f.topic, Key: []byte(d.key), Value: f.spoil(d.encode(), i), Time: d.sent}
}

// span finds the member of an encoded event, from the first quote of its name to the end of its value. Members before
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

func without(good []byte, name string) []byte {
	from, to := span(good, name)
	out := append([]byte{}, good[:from]...)
	return append(bytes.TrimSuffix(out, []byte(",")), good[to:]...)
}

func with(good []byte, name, value string) []byte {
	rest := without(good, name)
	return append([]byte(strings.TrimSuffix(string(rest), "}")), fmt.Sprintf(`,%q:%s}`, name, value)...)
}
