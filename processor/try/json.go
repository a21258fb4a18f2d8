package try

import (
	"bytes"
	"encoding/json"
	"time"

	"kinfold/processor/interaction"
	"kinfold/processor/source/mapping"
	"kinfold/schemas"
)

// The members of a line of JSON: what a record becomes before duplicates are removed and customers are found.
type (
	lineJSON struct {
		Interactions []interactionJSON `json:"interactions"`
		Directives   []directiveJSON   `json:"directives,omitempty"`
		Rejects      []reasonJSON      `json:"rejects,omitempty"`
		Ignores      []reasonJSON      `json:"ignores,omitempty"`
	}
	wholeJSON struct {
		Reject string `json:"reject,omitempty"`
		Ignore string `json:"ignore,omitempty"`
	}
	reasonJSON struct {
		Index  int    `json:"index"`
		Reason string `json:"reason"`
	}
	interactionJSON struct {
		EventID     *string           `json:"event_id"`
		Source      string            `json:"source"`
		Channel     string            `json:"channel"`
		Type        string            `json:"type"`
		StoreCode   string            `json:"store_code"`
		UserID      *string           `json:"user_id"`
		OccurredAt  string            `json:"occurred_at"`
		Identifiers []identifierJSON  `json:"identifiers"`
		Order       *orderJSON        `json:"order"`
		Traits      map[string]string `json:"traits"`
		Properties  map[string]string `json:"properties"`
	}
	identifierJSON struct {
		Namespace string `json:"namespace"`
		Value     string `json:"value"`
		Verified  bool   `json:"verified"`
	}
	orderJSON struct {
		Number   string          `json:"order_number"`
		Currency *string         `json:"currency"`
		Total    *amountJSON     `json:"total_amount"`
		Lines    []orderLineJSON `json:"lines"`
	}
	orderLineJSON struct {
		SKU         string      `json:"sku"`
		Description *string     `json:"description"`
		Quantity    *amountJSON `json:"quantity"`
		UnitPrice   *amountJSON `json:"unit_price"`
	}
	directiveJSON struct {
		ID       string      `json:"directive_id"`
		Kind     string      `json:"kind"`
		IssuedAt string      `json:"issued_at"`
		A        *targetJSON `json:"a,omitempty"`
		B        *targetJSON `json:"b,omitempty"`
		Scope    string      `json:"scope,omitempty"`
		Author   string      `json:"author"`
	}
	targetJSON struct {
		Namespace string `json:"namespace"`
		StoreCode string `json:"store_code"`
		Value     string `json:"value"`
	}
)

// amountJSON is a number in the payload and a text in a line: readers of JSON lose digits of numbers.
type amountJSON string

func (a *amountJSON) UnmarshalJSON(b []byte) error {
	*a = amountJSON(b)
	return nil
}

// linePart is a field of a line of an order; a nil value is not there.
type linePart struct {
	name  string
	value *string
}

// parts are the fields of a line, in the order in which a mapping fills them.
func (l *orderLineJSON) parts() [4]linePart {
	return [...]linePart{{"sku", &l.SKU}, {"description", l.Description}, {"quantity", (*string)(l.Quantity)}, {"unit_price", (*string)(l.UnitPrice)}}
}

// payloadJSON is order, traits and properties of an interaction.
type payloadJSON struct {
	Order      *orderJSON        `json:"order"`
	Traits     map[string]string `json:"traits"`
	Properties map[string]string `json:"properties"`
}

func readPayload(payload []byte) (p payloadJSON, err error) {
	text, err := schemas.AppendPayloadJSON([]byte("{"), payload)
	if err == nil {
		err = json.Unmarshal(append(text, '}'), &p)
	}
	return p, err
}

// appendJSON writes what a record became, as one line.
func appendJSON(to *bytes.Buffer, items []mapping.Item) error {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	if len(items) == 1 && items[0].Index == mapping.WholeRecord {
		switch it := &items[0]; it.Kind {
		case mapping.Reject:
			return e.Encode(wholeJSON{Reject: mapping.ReasonText(it.Reject)})
		case mapping.Ignore:
			return e.Encode(wholeJSON{Ignore: it.Ignore})
		}
	}
	line := lineJSON{Interactions: []interactionJSON{}}
	for i := range items {
		switch it := &items[i]; it.Kind {
		case mapping.Interaction:
			in, err := interactionOf(&it.Interaction)
			if err != nil {
				return err
			}
			line.Interactions = append(line.Interactions, in)
		case mapping.Directive:
			line.Directives = append(line.Directives, directiveOf(it.Directive))
		case mapping.Reject:
			line.Rejects = append(line.Rejects, reasonJSON{it.Index, mapping.ReasonText(it.Reject)})
		case mapping.Ignore:
			line.Ignores = append(line.Ignores, reasonJSON{it.Index, it.Ignore})
		}
	}
	return e.Encode(line)
}

func interactionOf(in *interaction.Interaction) (interactionJSON, error) {
	payload, err := readPayload(in.Payload)
	out := interactionJSON{
		Source: in.Source, Channel: in.Channel, Type: in.Type, StoreCode: in.StoreCode, OccurredAt: instant(in.OccurredAt),
		Identifiers: make([]identifierJSON, len(in.Identifiers)),
		Order:       payload.Order, Traits: payload.Traits, Properties: payload.Properties,
	}
	if in.EventID != "" {
		out.EventID = &in.EventID
	}
	if in.HasUserID {
		out.UserID = &in.UserID
	}
	for i, id := range in.Identifiers {
		out.Identifiers[i] = identifierJSON{id.Namespace, id.Value, id.Verified}
	}
	return out, err
}

func directiveOf(d *interaction.Directive) directiveJSON {
	return directiveJSON{
		ID: d.ID, Kind: string(d.Kind), IssuedAt: instant(d.IssuedAt), A: targetOf(d.A), B: targetOf(d.B),
		Scope: string(d.Scope), Author: d.Author,
	}
}

func targetOf(t *interaction.Target) *targetJSON {
	if t == nil {
		return nil
	}
	return &targetJSON{t.Namespace, t.StoreCode, t.Value}
}

// instant is RFC 3339 in UTC with milliseconds.
func instant(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
