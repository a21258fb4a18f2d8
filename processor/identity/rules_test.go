package identity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

func TestRulesWithAFaultAreRefused(t *testing.T) {
	for want, spoil := range map[string]func(r *Rules){
		"id_key":          func(r *Rules) { r.IDKey = nil },
		"0 namespaces":    func(r *Rules) { r.Namespaces = nil },
		"65 namespaces":   func(r *Rules) { r.Namespaces = make([]Namespace, MaxNamespaces+1) },
		"customer_limit":  func(r *Rules) { r.CustomerLimit = 0 },
		"component_limit": func(r *Rules) { r.ComponentLimit = 0 },
		"declared twice":  func(r *Rules) { r.Namespaces[1].Name = "member_id" },
		"one rank":        func(r *Rules) { r.Namespaces[1].Rank = 10 },
		"order of the classes": func(r *Rules) {
			r.Namespaces = append(r.Namespaces, Namespace{Name: "late_card", Rank: 90, Class: Anchor})
		},
		"unknown class": func(r *Rules) { r.Namespaces[7].Class = Device + 1 },
	} {
		r := defaults()
		spoil(&r)
		if _, err := New(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestClockTakesTheRecordsTimeWhereItsOwnCannotBe(t *testing.T) {
	const now = int64(1767225600000)
	for _, c := range []struct{ occurred, want int64 }{
		{now, now}, {now - 1, now - 1}, {now + 600000, now + 600000}, {now + 600001, now}, {946684800000, 946684800000}, {946684799999, now}, {0, now}, {-1, now},
	} {
		if got := DefaultClock.At(c.occurred, now); got != c.want {
			t.Errorf("occurred %d: %d, want %d", c.occurred, got, c.want)
		}
	}
}

// TestEvidenceThatBreaksItsContractIsAnError: a stage before this one is at fault, not the data.
func TestEvidenceThatBreaksItsContractIsAnError(t *testing.T) {
	user := interaction.Identifier{Namespace: "user", Domain: "S01", Value: "a"}
	email := interaction.Identifier{Namespace: "email", Value: "a@correo.example"}
	for name, ids := range map[string][]interaction.Identifier{
		"out of order":         {email, user},
		"twice":                {user, user},
		"undeclared namespace": {{Namespace: "apodo", Value: "a"}},
	} {
		w := newWorld(t, defaults())
		for range 2 {
			if res, err := w.r.Apply(w.mem, &Evidence{Realm: "default", Identifiers: ids}); err == nil {
				t.Errorf("%s: %+v", name, res)
			}
		}
	}
}

// TestSameLogWritesSameRows: a replay writes the same rows.
func TestSameLogWritesSameRows(t *testing.T) {
	a, b := goldenWorld(t), goldenWorld(t)
	for i := range a.mem.tables {
		for k, v := range a.mem.tables[i] {
			if string(b.mem.tables[i][k]) != string(v) {
				t.Errorf("table %d, key %x: %x and %x", i, k, v, b.mem.tables[i][k])
			}
		}
	}
}

// TestAnotherKeyMakesOtherCustomers: ids do not tell who is who without the key.
func TestAnotherKeyMakesOtherCustomers(t *testing.T) {
	other := defaults()
	other.IDKey = []byte("another secret")
	e := Evidence{Identifiers: []interaction.Identifier{{Namespace: "email", Value: "á@correo.example"}}}
	a, b := newWorld(t, defaults()).tell(e).CustomerID, newWorld(t, other).tell(e).CustomerID
	if a == b {
		t.Errorf("both %s", a)
	}
	for _, id := range []interaction.CustomerID{a, b} {
		if _, err := interaction.ParseCustomerID(string(id)); err != nil {
			t.Error(err)
		}
	}
}

// TestRealmsDoNotMeet: the same identifiers in two realms are two customers.
func TestRealmsDoNotMeet(t *testing.T) {
	w := newWorld(t, defaults())
	e := Evidence{Identifiers: []interaction.Identifier{{Namespace: "user", Domain: "S01", Value: "a"}, {Namespace: "email", Value: "a@correo.example"}}}
	a := w.tell(e).CustomerID
	e.Realm = "otro"
	b := w.tell(e)
	if b.CustomerID == a || b.CustomerVersion != 1 || len(b.Changes) != 1 {
		t.Errorf("%+v", b)
	}
}

// TestEdgeToASharedIdentifierWritesAFewSmallRows: neither the customer nor what else hangs on the identifier is written again.
func TestEdgeToASharedIdentifierWritesAFewSmallRows(t *testing.T) {
	w := newWorld(t, defaults())
	kiosk := interaction.Identifier{Namespace: "device_id", Value: "kiosco-01"}
	user := func(code string) interaction.Identifier {
		return interaction.Identifier{Namespace: "user", Domain: "S01", Value: code}
	}
	for _, code := range []string{"a", "b", "c", "d"} {
		w.tell(Evidence{Identifiers: []interaction.Identifier{user(code), {Namespace: "email", Value: code + "@correo.example"}}})
	}
	for _, code := range []string{"a", "b", "c"} {
		w.tell(Evidence{Identifiers: []interaction.Identifier{user(code), kiosk}})
	}
	res := w.tell(Evidence{Identifiers: []interaction.Identifier{user("d"), kiosk}})
	got := map[table.ID]int{}
	for _, r := range res.Rows {
		got[r.Table]++
	}
	// The edge in both directions and the count of codes; the kiosk's own row.
	if d := cmp.Diff(map[table.ID]int{table.Edges: 3, table.Identifiers: 1}, got); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
}
