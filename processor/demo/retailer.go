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
	DefaultSize = 20000 // interactions, of about 2,000 customers
)

// period is how far back the interactions reach.
const period = 30 * 24 * time.Hour

// MinSize is the least number of records in which the protagonists and every kind of fault have room.
const MinSize = 400

// Record is an input record to be produced. Time is its timestamp: when the source sent it.
type Record struct {
	Topic   string
	Key     []byte // what the source keys by: branch, browser, device
	Value   []byte
	Headers []Header
	Time    time.Time
	// Interactions is how many the record stands for: each becomes an event, a repeat, a reject, or is ignored. A record that is
	// empty or broken as a whole stands for one.
	Interactions int
}

// Header is a header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Retailer makes up about a month of Casa Lumbre before start: size interactions (at least MinSize), in records in order of time.
// The same arguments give the same bytes. The two Protagonists live the same life whatever the seed.
func Retailer(seed uint64, size int, start time.Time) []Record {
	size = max(size, MinSize)
	end := start.UTC().Truncate(24 * time.Hour)
	g := &generator{
		rng:    rand.New(rand.NewPCG(seed, 0x6b696e666f6c64)),
		from:   end.Add(-period),
		end:    end,
		emails: map[string]bool{},
		ticket: map[string]int{},
		nights: map[string]int{},
	}
	repeats, conflicts, dirt := size/20, max(3, size/2500), max(2*len(faults), size/200)
	g.play()
	g.crowd(size - repeats - conflicts - dirt)
	g.number()
	g.post()
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

// draft is an interaction on its way to become a record, or a part of one. One of event, call and mailing is what happened.
type draft struct {
	topic, key string
	at, sent   time.Time // when it happened, and when the source sent it
	stamp      stamp     // of an event
	event      *event    // the tills and the app speak our own language
	call       *call     // the web shop speaks Segment
	mailing    *mailing  // the mailing speaks SendGrid
	flush      int       // drafts of one topic with the same number, other than 0, are sent in one record
	refundOf   *orderProperties
	spoil      func(good []byte, n int) []byte // dirt
	n          int                             // of the dirt
	scripted   bool                            // of a protagonist: left as it is
}

// encode is the draft as it stands in its record.
func (d *draft) encode() []byte {
	var text []byte
	switch {
	case d.call != nil:
		text = d.encodeCall()
	case d.mailing != nil:
		text = d.encodeMailing()
	default:
		text = d.encodeEvent()
	}
	if d.spoil != nil {
		return d.spoil(text, d.n)
	}
	return text
}

func (d *draft) encodeEvent() []byte {
	e := *d.event
	switch {
	case e.OccurredAt != nil:
	case d.stamp == stampMillis:
		e.OccurredAt = d.at.UnixMilli()
	case d.stamp == stampUTC:
		e.OccurredAt = d.at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	default:
		e.OccurredAt = d.at.In(local).Format(time.RFC3339)
	}
	return encode(&e)
}

func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("demo: encode interaction: %v", err)) // strings, numbers and lists of them always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

type generator struct {
	rng       *rand.Rand
	from, end time.Time // whole days
	people    int
	flushes   int
	nights    map[string]int // the flush of each night of the shop's server
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

// newFlush numbers the drafts that a source sends together.
func (g *generator) newFlush() int {
	g.flushes++
	return g.flushes
}

// number gives events and orders their numbers, in the order in which each system saw them.
func (g *generator) number() {
	slices.SortStableFunc(g.drafts, func(a, b draft) int { return a.at.Compare(b.at) })
	for i := range g.drafts {
		switch d := &g.drafts[i]; {
		case d.call != nil:
			g.ticket[TopicWeb]++
			d.call.MessageID = g.messageID(d.call, d.at)
			if o, is := d.call.Properties.(*orderProperties); is && d.refundOf == nil {
				o.OrderID = fmt.Sprintf("W-%05d", 40000+g.ticket[TopicWeb])
			}
		case d.mailing != nil:
			d.mailing.EventID = g.eventID()
		default:
			g.numberEvent(d.event)
		}
	}
	for i := range g.drafts {
		if d := &g.drafts[i]; d.refundOf != nil {
			d.call.Properties.(*orderProperties).OrderID = d.refundOf.OrderID
		}
	}
}

func (g *generator) numberEvent(e *event) {
	where := cmp.Or(e.StoreCode, e.Source)
	g.ticket[where]++
	e.EventID = fmt.Sprintf("%s-%06d", where, g.ticket[where])
	for _, b := range branches {
		if e.Order != nil && b.store == e.StoreCode {
			e.Order.Number = fmt.Sprintf("%s-%05d", b.ticket, 40000+g.ticket[where])
		}
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
