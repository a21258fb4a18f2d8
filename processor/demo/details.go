package demo

import (
	"encoding/json"
	"fmt"

	"kinfold/schemas"
)

// DetailsOf reads what a story tells of an event's payload.
func DetailsOf(payload []byte) (Details, error) {
	text, err := schemas.AppendPayloadJSON([]byte("{"), payload)
	if err != nil {
		return Details{}, err
	}
	var p struct {
		Order *struct {
			Number   string      `json:"order_number"`
			Currency string      `json:"currency"`
			Total    json.Number `json:"total_amount"`
		} `json:"order"`
		Traits     map[string]string `json:"traits"`
		Properties map[string]string `json:"properties"`
	}
	if err := json.Unmarshal(append(text, '}'), &p); err != nil {
		return Details{}, fmt.Errorf("payload of an event: %w", err)
	}
	d := Details{Traits: p.Traits, Properties: p.Properties}
	if p.Order != nil {
		d.Order = Order{Number: p.Order.Number, Currency: p.Order.Currency, Total: p.Order.Total.String()}
	}
	return d, nil
}
