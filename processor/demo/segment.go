package demo

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The web shop speaks Segment. Its pages carry analytics.js, which sends call by call or, where the shop asked for it, in
// batches; its server sends batches only, through Segment's library for Node. The shop's collector takes both over HTTP and
// puts every body into the topic as it came.
const (
	shopURL        = "https://www.casalumbre.example"
	pagesKey       = "wk_casalumbre_pages" // of the pages at Segment
	serverKey      = "wk_casalumbre_server"
	serverRecords  = "shop-server" // what the collector keys the server's batches by
	orderCompleted = "Order Completed"
)

// call is a call of Segment's spec, with the members that its libraries write.
type call struct {
	Type        string      `json:"type"`
	Event       string      `json:"event,omitempty"`
	Name        string      `json:"name,omitempty"` // of a page
	MessageID   string      `json:"messageId"`
	AnonymousID string      `json:"anonymousId,omitempty"`
	UserID      *string     `json:"userId"`
	Timestamp   string      `json:"timestamp"`
	Traits      *traits     `json:"traits,omitempty"`
	Properties  any         `json:"properties,omitempty"`
	Context     callContext `json:"context"`
	// A call that is sent alone says when, and by whom; else its batch does.
	SentAt   string `json:"sentAt,omitempty"`
	WriteKey string `json:"writeKey,omitempty"`
}

type traits struct {
	Email     string `json:"email,omitempty"`
	Phone     string `json:"phone,omitempty"`
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
}

type callContext struct {
	Library   library           `json:"library"`
	Page      *pageContext      `json:"page,omitempty"`
	Campaign  map[string]string `json:"campaign,omitempty"`
	Traits    *traits           `json:"traits,omitempty"`
	UserAgent string            `json:"userAgent,omitempty"`
	Locale    string            `json:"locale,omitempty"`
	IP        string            `json:"ip,omitempty"`
}

type library struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

var (
	pagesLibrary  = library{"analytics.js", "next-1.72.0"}
	serverLibrary = library{"@segment/analytics-node", "2.1.3"}
)

type pageContext struct {
	Path  string `json:"path"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// batch is the body of several calls in Segment's HTTP API.
type batch struct {
	Batch    []json.RawMessage `json:"batch"`
	SentAt   string            `json:"sentAt"`
	WriteKey string            `json:"writeKey"`
}

// The properties of Segment's e-commerce spec. Amounts are numbers, as JavaScript writes them.
type (
	productProperties struct {
		ProductID string      `json:"product_id"`
		SKU       string      `json:"sku"`
		Category  string      `json:"category"`
		Name      string      `json:"name"`
		Price     json.Number `json:"price,omitempty"`
		Quantity  int         `json:"quantity,omitempty"`
	}
	orderProperties struct {
		OrderID  string              `json:"order_id"`
		Total    json.Number         `json:"total"`
		Revenue  json.Number         `json:"revenue,omitempty"` // the total without shipping and tax
		Shipping json.Number         `json:"shipping,omitempty"`
		Tax      json.Number         `json:"tax,omitempty"`
		Currency string              `json:"currency"`
		Email    string              `json:"email,omitempty"` // whom a gift goes to
		Products []productProperties `json:"products"`
	}
	searchProperties struct {
		Query string `json:"query"`
	}
)

// shipping is what the web shop takes for a parcel, in hundredths of each currency.
var shipping = map[string]int{"ARS": 450000, "UYU": 19000, "BRL": 2490}

// taxOf is the tax within a price, of 21 in a hundred.
func taxOf(price int) int { return price * 21 / 121 }

// properties is the basket as the web shop tells of it. Small baskets pay for their parcel.
func (b *basket) properties(parcel bool) *orderProperties {
	goods, carried := b.total(), 0
	if parcel {
		carried = shipping[b.currency]
	}
	o := &orderProperties{Total: scriptNumber(goods + carried), Revenue: scriptNumber(goods - taxOf(goods)),
		Shipping: scriptNumber(carried), Tax: scriptNumber(taxOf(goods)), Currency: b.currency}
	for i := range b.items {
		it := &b.items[i]
		p := it.properties(b.portuguese)
		p.Price, p.Quantity = scriptNumber(b.unitPrice(&it.product)), it.quantity
		o.Products = append(o.Products, p)
	}
	return o
}

func (p *product) properties(portuguese bool) productProperties {
	return productProperties{ProductID: strings.ToLower(p.sku), SKU: p.sku, Category: p.page, Name: p.name(portuguese)}
}

// scriptNumber writes hundredths as JavaScript does: 26100, 101.5.
func scriptNumber(v int) json.Number {
	text := strings.TrimRight(hundredths(v), "0")
	return json.Number(strings.TrimSuffix(text, "."))
}

// slug is a name as it stands in an address of the shop: manta-de-alpaca.
func slug(name string) string {
	return strings.ReplaceAll(ascii(strings.ToLower(strings.ReplaceAll(name, ",", ""))), " ", "-")
}

// pageOf is the page of a category, or of a product.
func pageOf(path, title string) *pageContext {
	return &pageContext{Path: path, Title: title + " | Casa Lumbre", URL: shopURL + path}
}

func (p *product) landing() *pageContext {
	return pageOf("/"+p.page+"/"+slug(p.es), p.es)
}

// shopTime is how JavaScript writes a moment.
func shopTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// encodeCall is the call as it stands in a body: alone, or in a batch that says when it was sent.
func (d *draft) encodeCall() []byte {
	c := *d.call
	c.Timestamp = shopTime(d.at)
	if d.flush == 0 {
		c.SentAt, c.WriteKey = shopTime(d.sent), pagesKey
	}
	return encode(&c)
}

// encodeBatch puts calls into the body of a batch.
func encodeBatch(calls []json.RawMessage, server bool, sent time.Time) []byte {
	key := pagesKey
	if server {
		key = serverKey
	}
	return encode(&batch{Batch: calls, SentAt: shopTime(sent), WriteKey: key})
}

// messageID is an id as the library makes it: its name, the clock, and chance.
func (g *generator) messageID(c *call, at time.Time) string {
	if c.Context.Library == serverLibrary {
		return fmt.Sprintf("node-next-%d-%s", at.UnixMilli(), g.uuid())
	}
	return fmt.Sprintf("ajs-next-%d-%s", at.UnixMilli(), g.uuid())
}
