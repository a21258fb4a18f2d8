package demo

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/page"
)

// place names a StoreCode.
func place(store string) string {
	if p, ok := places[store]; ok {
		return p
	}
	return store
}

var channels = map[string]string{
	"pos": "till", "web": "web", "ecommerce": "web shop", "mobile_app": "app", "email": "mail", "call_center": "call",
}

func channelName(source, channel string) string {
	if source == "segment" && channel == "server" {
		return "web shop" // its server tells of what its pages do not see, such as orders
	}
	if n, ok := channels[channel]; ok {
		return n
	}
	return channel
}

var nouns = map[string]string{
	"member_id": "card", "document": "document", "tax_id": "tax number", "email": "e-mail", "phone": "phone",
	"device_id": "device", "anonymous_id": "browser",
}

// The greatest widths of an identifier's value in a story. Ids of devices are long and say nothing.
const (
	maxShown       = 40
	maxDeviceShown = 14
)

// words names an identifier: card LUM-204171, code 00417 in Buenos Aires.
func (k known) words() string {
	if k.namespace == "anonymous_id" || k.namespace == "device_id" {
		return k.wordsWithin(maxDeviceShown)
	}
	return k.wordsWithin(maxShown)
}

// wordsWithin is words with a value of at most n columns.
func (k known) wordsWithin(n int) string {
	value := page.Clip(k.value, n)
	if k.namespace == "user" {
		if k.store == "" {
			return "code " + value
		}
		return "code " + value + " in " + place(k.store)
	}
	noun, ok := nouns[k.namespace]
	if !ok {
		noun = k.namespace
	}
	return noun + " " + value
}

// words names an identifier of an event, with what became of it unless it counted.
func (id *seenIdentifier) words() string {
	w := id.known.words()
	if id.verified {
		w += " (verified)"
	}
	switch id.outcome {
	case interaction.OutcomeShared:
		w += " (many people's)"
	case interaction.OutcomeConflict:
		w += " (somebody else's)"
	case interaction.OutcomeBlocked:
		w += " (a placeholder)"
	case interaction.OutcomeInvalid:
		w += " (unreadable)"
	case interaction.OutcomeRetracted:
		w += " (withdrawn)"
	}
	return w
}

// subject is what an event is about: a product, a page, a mailing.
func subject(typ string, properties map[string]string) string {
	p := properties
	switch page := cmp.Or(p["page"], path(p["url"])); {
	case strings.HasPrefix(typ, "email."):
		return cmp.Or(p["campaign"], p["category"])
	case typ == "page.viewed":
		return cmp.Or(p["product"], p["name"], page)
	default:
		return cmp.Or(p["product"], page, p["campaign"])
	}
}

// path is what a reader needs of an address in the web.
func path(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path == "" || u.Path == "/" {
		return address
	}
	return u.Path
}

// doings says of a type of event what a customer did: with its subject in place of %s, and without one.
var doings = map[string]struct{ with, without string }{
	"page.viewed":         {"looked at %s", "looked at a page"},
	"product.viewed":      {"looked at %s", "looked at a product"},
	"product.added":       {"put into the basket: %s", "put something into the basket"},
	"products.searched":   {"searched the web shop", "searched the web shop"},
	"email.delivered":     {"was sent the mailing “%s”", "was sent a mailing"},
	"email.opened":        {"opened the mailing “%s”", "opened a mailing"},
	"email.clicked":       {"followed the link in “%s”", "followed a link in a mailing"},
	"email.bounced":       {"could not be reached with “%s”", "could not be reached with a mailing"},
	"email.unsubscribed":  {"unsubscribed after “%s”", "unsubscribed from the mailings"},
	"customer.identified": {"was recognised", "was recognised"},
	"customer.logged_in":  {"logged in", "logged in"},
	"customer.registered": {"signed up", "signed up"},
	"customer.updated":    {"had the account data changed", "had the account data changed"},
	"app.opened":          {"opened the app", "opened the app"},
}

// happened says what a customer did.
func (e *seenEvent) happened() string {
	switch e.typ {
	case "order.placed":
		return e.order.words("bought", "for")
	case "order.refunded":
		return e.order.words("gave back", "for")
	case "order.cancelled":
		return e.order.words("cancelled", "worth")
	}
	what, known := doings[e.typ]
	switch {
	case !known && e.subject == "":
		return e.typ
	case !known:
		return e.typ + ": " + e.subject
	case e.subject == "":
		return what.without
	}
	return strings.Replace(what.with, "%s", e.subject, 1)
}

// words tells an order as far as it is known: bought for ARS 86,400.00, order A-40097.
func (o *Order) words(did, amount string) string {
	if o.Total != "" {
		did += " " + amount + " " + strings.TrimSpace(o.Currency+" "+money(o.Total))
	}
	if o.Number != "" {
		did += ", order " + o.Number
	}
	return did
}

// money writes a decimal number with two places at least, and thousands apart: 86,400.00.
func money(decimal string) string {
	whole, cents, _ := strings.Cut(decimal, ".")
	cents = strings.TrimRight(cents, "0")
	for len(cents) < 2 {
		cents += "0"
	}
	return grouped(whole) + "." + cents
}

// grouped puts a comma between thousands.
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

func count(n int64) string { return grouped(fmt.Sprint(n)) }

// Counted is a number with its noun: 1 repeat, 1,000 repeats.
func Counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

func counted(n int, one, many string) string { return Counted(int64(n), one, many) }

// list joins parts the way people do: a, b and c.
func list(parts []string) string {
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// meaning explains a reason to park a record, and where to look.
type meaning struct{ means, look string }

var meanings = map[interaction.Reason]meaning{
	interaction.ReasonUnparsable:        {"not readable at all: cut off, or not an interaction", "the sender's connection or a proxy in between"},
	interaction.ReasonUnsupportedType:   {"written in a form that its source does not announce", "the format of the source in the configuration"},
	interaction.ReasonUnknownSchema:     {"its schema is not in the registry", "the registry, and how the sender registers"},
	interaction.ReasonBadSchema:         {"its schema cannot be used", "the sender's schema in the registry"},
	interaction.ReasonLeftoverBytes:     {"more bytes than its schema describes", "whether the sender writes with the schema it names"},
	interaction.ReasonTooLarge:          {"larger than a topic of ours takes", "max_message_bytes of the topics"},
	interaction.ReasonUnknownEvent:      {"an event that its source's mapping does not know", "the mapping of the source"},
	interaction.ReasonMissingField:      {"lacks what every interaction must say", "the sender's export: source, type, channel, time"},
	interaction.ReasonInvalidField:      {"a field is of the wrong kind", "the sender's export: the detail names the field"},
	interaction.ReasonBadStoreCode:      {"the StoreCode is longer than 30 characters", "the column that the till exports as StoreCode"},
	interaction.ReasonBadTime:           {"its time cannot be read", "the sender's date format: epoch ms or RFC 3339"},
	interaction.ReasonBadDirective:      {"a correction that makes no sense", "who wrote the correction"},
	interaction.ReasonDuplicateConflict: {"sent before under this event id with another content", "why the sender uses an event id twice; the first one stands"},
	interaction.ReasonComponentCap:      {"would tie too many identifiers together", "an identifier that is many people's; the event itself is out"},
	interaction.ReasonEraseNotEnabled:   {"asks to forget a customer where that is off", "erase_enabled in the configuration"},
}

// tongues names the systems whose records mappings read; a mapping that is not here stands for itself.
var tongues = map[string]string{"segment": "Segment", "sendgrid": "SendGrid"}

// ignoredMeanings explains the reasons for which mappings ignore.
var ignoredMeanings = map[string]string{
	"empty":             "nothing in it, such as a list without events",
	"tombstone":         "a record without a value",
	"not_customer_data": "about the account at the sender, not about a customer",
}
