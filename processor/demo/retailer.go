package demo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// The defaults of Retailer.
const (
	DefaultSeed = 1
	DefaultSize = 20000 // interactions, of about 2,500 people
)

// period is how far back the interactions reach.
const period = 30 * 24 * time.Hour

// minSize is the least number of records in which the protagonists and every kind of fault have room.
const minSize = 400

// Record is an input record to be produced. Time is its timestamp: when the source sent it.
type Record struct {
	Topic   string
	Key     []byte // what the source keys by: branch, browser, device, address
	Value   []byte
	Headers []Header
	Time    time.Time
}

// Header is a header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Retailer makes up about a month of Casa Lumbre before start: size records (at least 400), in order of time.
// The same arguments give the same bytes. The two Protagonists live the same life whatever the seed.
func Retailer(seed uint64, size int, start time.Time) []Record {
	size = max(size, minSize)
	end := start.UTC().Truncate(24 * time.Hour)
	g := &generator{
		rng:    rand.New(rand.NewPCG(seed, 0x6b696e666f6c64)),
		from:   end.Add(-period),
		end:    end,
		emails: map[string]bool{},
		ticket: map[string]int{},
	}
	repeats, conflicts, dirt := size/20, max(3, size/2500), max(2*len(faults), size/200)
	g.play()
	g.crowd(size - repeats - conflicts - dirt)
	g.number()
	g.repeat(repeats)
	g.contradict(conflicts)
	return g.records(dirt)
}

// interaction in plain JSON, as the sources write it.
type event struct {
	EventID     string            `json:"event_id"`
	Source      string            `json:"source"`
	Channel     string            `json:"channel"`
	Type        string            `json:"type"`
	StoreCode   string            `json:"store_code,omitempty"`
	UserID      any               `json:"user_id"`     // nil, a string, or a json.Number
	OccurredAt  any               `json:"occurred_at"` // epoch milliseconds, or RFC 3339
	Identifiers []identifier      `json:"identifiers,omitempty"`
	Order       *order            `json:"order,omitempty"`
	Traits      map[string]string `json:"traits,omitempty"`
	Properties  map[string]string `json:"properties,omitempty"`
}

type identifier struct {
	Namespace string `json:"namespace"`
	Value     string `json:"value"`
	Verified  bool   `json:"verified,omitempty"`
}

type order struct {
	Number   string `json:"order_number"`
	Currency string `json:"currency"`
	Total    string `json:"total_amount"`
	Lines    []line `json:"lines"`
}

type line struct {
	SKU         string `json:"sku"`
	Description string `json:"description"`
	Quantity    string `json:"quantity"`
	UnitPrice   string `json:"unit_price"`
}

// stamp is a form in which a source writes time.
type stamp uint8

const (
	stampMillis stamp = iota // 1767225600000
	stampUTC                 // 2026-01-01T00:00:00.000Z
	stampLocal               // 2025-12-31T21:00:00-03:00: all three branches are three hours behind
	stampKinds  = 3
)

var local = time.FixedZone("", -3*60*60)

// draft is an interaction on its way to become a record.
type draft struct {
	topic, key string
	at, sent   time.Time // when it happened, and when the source sent it
	stamp      stamp
	event      event
	scripted   bool // of a protagonist: left as it is
}

func (d *draft) encode() []byte {
	e := d.event
	switch {
	case e.OccurredAt != nil:
	case d.stamp == stampMillis:
		e.OccurredAt = d.at.UnixMilli()
	case d.stamp == stampUTC:
		e.OccurredAt = d.at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	default:
		e.OccurredAt = d.at.In(local).Format(time.RFC3339)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&e); err != nil {
		panic(fmt.Sprintf("demo: encode interaction: %v", err)) // strings, numbers and lists of them always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

type generator struct {
	rng       *rand.Rand
	from, end time.Time // whole days
	people    int
	emails    map[string]bool
	ticket    map[string]int // last number, by source and store
	drafts    []draft
	repeats   []draft
}

// day is a moment on a random day, between two hours of local time.
func (g *generator) day(fromHour, toHour int) time.Time {
	days := int(period / (24 * time.Hour))
	// The last day of UTC ends before the local evening does.
	day := g.from.Add(time.Duration(g.rng.IntN(days-1)) * 24 * time.Hour)
	return day.Add(time.Duration(3+fromHour)*time.Hour + time.Duration(g.rng.Int64N(int64(toHour-fromHour)*int64(time.Hour)))).
		Truncate(time.Millisecond)
}

func (g *generator) seconds(from, to int) time.Duration {
	return time.Duration(from)*time.Second + time.Duration(g.rng.Int64N(int64(to-from)*1000))*time.Millisecond
}

func (g *generator) uuid() string {
	a, b := g.rng.Uint64(), g.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xFFFF, a&0xFFF, b>>48&0xFFF, b&0xFFFFFFFFFFFF)
}

// add takes a draft. What is late is sent days after it happened; the rest within seconds.
func (g *generator) add(d draft, late bool) {
	d.sent = d.at.Add(g.seconds(0, 20))
	if late {
		d.sent = d.at.Add(g.seconds(6*3600, 4*24*3600))
	}
	g.drafts = append(g.drafts, d)
}

// number gives events and orders their numbers, in the order in which each system saw them.
func (g *generator) number() {
	slices.SortStableFunc(g.drafts, func(a, b draft) int { return a.at.Compare(b.at) })
	for i := range g.drafts {
		d := &g.drafts[i]
		where := cmp.Or(d.event.StoreCode, d.event.Source)
		g.ticket[where]++
		n := g.ticket[where]
		if d.event.EventID == "" {
			d.event.EventID = fmt.Sprintf("%s-%06d", where, n)
		}
		if d.event.Order != nil && d.event.Order.Number == "" {
			d.event.Order.Number = fmt.Sprintf("%s-%05d", ticketPrefix(d.event.StoreCode), 40000+n)
		}
	}
}

func ticketPrefix(store string) string {
	for _, b := range branches {
		if b.store == store {
			return b.ticket
		}
	}
	return "W"
}

// repeat sends n interactions again, half of them with the time written in another form.
func (g *generator) repeat(n int) {
	for range n {
		d := g.someDraft(func(*draft) bool { return true })
		if chance(g.rng, 50) {
			d.stamp = (d.stamp + 1) % stampKinds
		}
		d.sent = d.sent.Add(g.seconds(1, 3600))
		g.repeats = append(g.repeats, d)
	}
}

// contradict sends n orders again with another total.
func (g *generator) contradict(n int) {
	for range n {
		d := g.someDraft(func(d *draft) bool { return d.event.Order != nil })
		o := *d.event.Order
		o.Total = "1" + o.Total
		d.event.Order = &o
		d.sent = d.sent.Add(g.seconds(600, 7200))
		g.repeats = append(g.repeats, d)
	}
}

// someDraft copies a random draft of a person out of the crowd. The crowd is large and has orders, so one is found.
func (g *generator) someDraft(ok func(*draft) bool) draft {
	for {
		if d := &g.drafts[g.rng.IntN(len(g.drafts))]; !d.scripted && ok(d) {
			return *d
		}
	}
}

// records encodes everything, with dirt records that no source should have sent, and puts it in the order of time.
func (g *generator) records(dirt int) []Record {
	records := make([]Record, 0, len(g.drafts)+len(g.repeats)+dirt)
	for _, list := range [][]draft{g.drafts, g.repeats} {
		for i := range list {
			d := &list[i]
			r := Record{Topic: d.topic, Key: []byte(d.key), Value: d.encode(), Time: d.sent}
			if d.topic == TopicWeb || d.topic == TopicApp {
				r.Headers = []Header{{"traceparent", fmt.Appendf(nil, "00-%016x%016x-%016x-01", g.rng.Uint64(), g.rng.Uint64(), g.rng.Uint64())}}
			}
			records = append(records, r)
		}
	}
	for i := range dirt {
		records = append(records, g.dirty(i))
	}
	last := g.end.Add(-time.Second)
	for i := range records {
		if records[i].Time.After(last) {
			records[i].Time = last
		}
	}
	slices.SortStableFunc(records, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return records
}
