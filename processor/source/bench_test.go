package source

import (
	"encoding/json"
	"testing"

	"kinfold/processor/interaction"
)

const (
	plainLine = `{"event_id": "e000075", "source": "pos", "channel": "pos", "type": "order.placed", "store_code": "S01", "user_id": "01-0", ` +
		`"occurred_at": 1767539573157, "identifiers": [{"namespace": "email", "value": "fabio0@example.com", "verified": false}, ` +
		`{"namespace": "phone", "value": "+5491120000000", "verified": false}], "traits": {"first_name": "Fábio"}, "properties": {"k": "75"}}`
	orderLine = `{"event_id": "e000076", "source": "vtex", "channel": "ecommerce", "type": "order.placed", "store_code": "BR-1", "user_id": null, ` +
		`"occurred_at": "2026-01-04T15:12:53.157-03:00", "identifiers": [{"namespace": "email", "value": "joão@example.com"}], ` +
		`"order": {"order_number": "A-1", "currency": "BRL", "total_amount": 129.90, "lines": [{"sku": 77, "description": "Pão", "quantity": 2, ` +
		`"unit_price": "64.95"}, {"sku": "78", "quantity": 1, "unit_price": 0}]}, "properties": {"url": "https://loja.example.com/", "n": 3}}`
)

func benchmark(b *testing.B, line string) {
	value := []byte(line)
	var in interaction.Interaction
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if rej := DecodeJSON(value, 0, &in); rej != nil {
			b.Fatal(rej)
		}
	}
}

func BenchmarkDecodeJSON(b *testing.B)      { benchmark(b, plainLine) }
func BenchmarkDecodeJSONOrder(b *testing.B) { benchmark(b, orderLine) }

// BenchmarkEncodingJSON is what the standard library takes to read the same line into maps.
func BenchmarkEncodingJSON(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var v map[string]any
		if err := json.Unmarshal([]byte(plainLine), &v); err != nil {
			b.Fatal(err)
		}
	}
}
