package normalize

import (
	"testing"

	"kinfold/processor/interaction"
)

func typical() *interaction.Interaction {
	return &interaction.Interaction{
		EventID: "e-0001-2026", Source: "web", Channel: "ecommerce", Type: "order.placed", StoreCode: "MX-014",
		UserID: "00012345", HasUserID: true, OccurredAt: 1767225600000, TimeStated: true,
		Identifiers: []interaction.Raw{
			{Namespace: "email", Value: "rosa.diaz@example.com"},
			{Namespace: "device_id", Value: "8f14e45f-ceea-467f-a0e6-1b2c3d4e5f60"},
		},
		Payload: samplePayload(),
	}
}

func samplePayload() []byte {
	text := func(b []byte, s string) []byte { return append(append(b, byte(2*len(s))), s...) }
	b := []byte{2}
	b = text(b, "A-7001")
	b = text(append(b, 2), "MXN")
	b = append(b, 2, 6, 0x12, 0x34, 0x56)
	b = append(b, 2) // one line
	b = text(b, "SKU-1")
	b = text(append(b, 2), "Café molido 500 g")
	b = append(b, 2, 6, 0x01, 0x86, 0xA0, 2, 6, 0x12, 0x34, 0x56, 0)
	b = append(b, 2)
	b = text(b, "first_name")
	b = append(text(b, "Rosa"), 0)
	b = append(b, 4)
	b = text(b, "campaign")
	b = text(b, "buen-fin")
	b = text(b, "url")
	return append(text(b, "https://tienda.example.com/cafe"), 0)
}

func benchmark(b *testing.B, in *interaction.Interaction) {
	r := DefaultRules()
	r.Regions = map[string]string{"MX-*": "MX"}
	n := New(r)
	var out interaction.Keyed
	b.ReportAllocs()
	for b.Loop() {
		if rej := n.Interaction(in, 1767225600000, interaction.Origin{}, &out); rej != nil {
			b.Fatal(rej)
		}
	}
}

func BenchmarkInteraction(b *testing.B) {
	in := typical()
	in.Payload = []byte{0, 0, 0}
	benchmark(b, in)
}

func BenchmarkInteractionWithOrderAndProperties(b *testing.B) { benchmark(b, typical()) }

func BenchmarkInteractionWithCapitalsAndCachedPhone(b *testing.B) {
	in := typical()
	in.Identifiers[0].Value = "Rosa.Diaz@Example.COM"
	in.Identifiers = append(in.Identifiers, interaction.Raw{Namespace: "phone", Value: "044 55 9876 5432"})
	benchmark(b, in)
}

func BenchmarkInteractionWithUnicode(b *testing.B) {
	in := typical()
	in.UserID = "Muñoz-7"
	in.Identifiers[0].Value = "iñaki@münchen.example"
	benchmark(b, in)
}

func BenchmarkPhoneNotCached(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !parsePhone("+525598765432", "").ok {
			b.Fatal("no number")
		}
	}
}
