package identity

import (
	"fmt"
	"testing"

	"kinfold/processor/interaction"
)

func person(i int) []interaction.Identifier {
	return []interaction.Identifier{
		{Namespace: "user", Domain: "S01", Value: fmt.Sprintf("cliente-%06d", i)},
		{Namespace: "email", Value: fmt.Sprintf("begoña%06d@correo.example", i)},
		{Namespace: "phone", Value: fmt.Sprintf("+5411%08d", i)},
		{Namespace: "anonymous_id", Value: fmt.Sprintf("visita-%08d", i)},
	}
}

// BenchmarkKnownEvidence is an interaction of a known customer with four identifiers: nothing is written.
func BenchmarkKnownEvidence(b *testing.B) {
	w := newWorld(b, defaults())
	const people = 1000
	events := make([]Evidence, people)
	for i := range events {
		events[i] = Evidence{Realm: "default", At: 1767225600000, Source: "caja", SourceEventID: fmt.Sprint(i), Identifiers: person(i)}
		w.tell(events[i])
	}
	w.mem.reads = 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		res, err := w.r.Apply(w.mem, &events[i%people])
		if err != nil || len(res.Rows) > 0 {
			b.Fatal(err, res.Rows)
		}
	}
	b.ReportMetric(float64(w.mem.reads)/float64(b.N), "reads/op")
}

// BenchmarkKnownEvidenceOfShared is a sale under a walk-in code with a known address.
func BenchmarkKnownEvidenceOfShared(b *testing.B) {
	w := newWorld(b, defaults())
	var e Evidence
	for i := range 1000 {
		e = Evidence{Realm: "default", At: 1767225600000, Source: "caja", SourceEventID: fmt.Sprint(i), Identifiers: []interaction.Identifier{
			{Namespace: "user", Domain: "S01", Value: "CF"}, {Namespace: "email", Value: fmt.Sprintf("visitante%d@correo.example", i)},
		}}
		w.tell(e)
	}
	b.ReportAllocs()
	for b.Loop() {
		if res, err := w.r.Apply(w.mem, &e); err != nil || len(res.Rows) > 0 {
			b.Fatal(err, res.Rows)
		}
	}
}

// BenchmarkNewCustomer is the first interaction of a customer with four identifiers.
func BenchmarkNewCustomer(b *testing.B) {
	w := newWorld(b, defaults())
	e := Evidence{Realm: "default", At: 1767225600000, Source: "caja", SourceEventID: "e", Identifiers: person(0)}
	b.ReportAllocs()
	for b.Loop() {
		if res, err := w.r.Apply(w.mem, &e); err != nil || len(res.Rows) != 6 {
			b.Fatal(err, len(res.Rows))
		}
	}
}

// BenchmarkWalkIn is a new address under a walk-in code that already has 10,000.
func BenchmarkWalkIn(b *testing.B) {
	w := newWorld(b, defaults())
	event := func(i int) *Evidence {
		return &Evidence{Realm: "default", At: 1767225600000, Source: "caja", SourceEventID: "e", Identifiers: []interaction.Identifier{
			{Namespace: "user", Domain: "S01", Value: "CF"}, {Namespace: "email", Value: fmt.Sprintf("visitante%d@correo.example", i)},
		}}
	}
	for i := range 10000 {
		w.r.Apply(w.mem, event(i))
		res, err := w.r.Apply(w.mem, event(i))
		if err != nil {
			b.Fatal(err)
		}
		w.mem.apply(res.Rows)
	}
	e := event(10000)
	b.ReportAllocs()
	for b.Loop() {
		if res, err := w.r.Apply(w.mem, e); err != nil || len(res.Rows) == 0 {
			b.Fatal(err)
		}
	}
}

// BenchmarkComponentSize is one more visit of a customer whose component has the given size, and a known one.
func BenchmarkComponentSize(b *testing.B) {
	for _, size := range []int{4, 16, 64, 256, 1024, 1999} {
		w := newWorld(b, defaults())
		event := func(i int) *Evidence {
			return &Evidence{Realm: "default", At: 1767225600000, Source: "web", SourceEventID: fmt.Sprint(i), Identifiers: []interaction.Identifier{
				{Namespace: "user", Domain: "S01", Value: "cliente"}, {Namespace: "anonymous_id", Value: fmt.Sprintf("visita-%08d", i)},
			}}
		}
		for i := range size - 1 {
			res, err := w.r.Apply(w.mem, event(i))
			if err != nil {
				b.Fatal(err)
			}
			w.mem.apply(res.Rows)
		}
		for name, e := range map[string]*Evidence{"known": event(0), "new": event(size)} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := w.r.Apply(w.mem, e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
