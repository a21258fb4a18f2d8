package demo

import (
	"fmt"
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

func channelName(channel string) string {
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

// happened says what a customer did.
func (e *seenEvent) happened() string {
	about := func(with, without string) string {
		if e.subject == "" {
			return without
		}
		return fmt.Sprintf(with, e.subject)
	}
	switch e.typ {
	case "order.placed":
		return strings.TrimSpace(fmt.Sprintf("bought for %s %s, order %s", e.order.Currency, money(e.order.Total), e.order.Number))
	case "page.viewed", "product.viewed":
		return about("looked at %s", "looked at a page")
	case "email.opened":
		return about("opened the mailing “%s”", "opened a mailing")
	case "email.clicked":
		return about("followed the link in “%s”", "followed a link in a mailing")
	case "customer.logged_in":
		return "logged in"
	case "customer.registered":
		return "signed up"
	case "customer.updated":
		return "had the account data changed"
	case "app.opened":
		return "opened the app"
	}
	return about(e.typ+": %s", e.typ)
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

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(int64(n)) + " " + many
}

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
