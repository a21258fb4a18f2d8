package demo

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"kinfold/processor/interaction"
	"kinfold/processor/page"
)

// cid makes an id of the right length out of a word.
func cid(word string) interaction.CustomerID {
	return interaction.CustomerID("c" + word + strings.Repeat("x", interaction.CustomerIDLen-1-len(word)))
}

// id writes an identifier of a test: namespace:value, with * behind it when verified, and the outcome unless linked.
func id(text string) interaction.Identifier {
	text, outcome, _ := strings.Cut(text, "=")
	namespace, value, _ := strings.Cut(text, ":")
	v := interaction.Identifier{Namespace: namespace, Value: strings.TrimSuffix(value, "*"), Verified: strings.HasSuffix(value, "*"), Outcome: interaction.OutcomeLinked}
	if o, ok := interaction.ParseOutcome(outcome); ok && outcome != "" {
		v.Outcome = o
	}
	return v
}

// handmade is what the tests read back: Ana's life, a kiosk, a couple, faults.
func handmade(t *testing.T) *Seen {
	t.Helper()
	s := &Seen{In: map[string]Input{TopicTills: {Records: 9, Interactions: 9}, TopicApp: {Records: 1, Interactions: 1},
		TopicWeb:      {Records: 4, Interactions: 6, Mapping: "segment", Ignored: map[string]int64{"empty": 1, "tombstone": 1}},
		TopicMailings: {Records: 1, Interactions: 2, Mapping: "sendgrid"}}, Duplicates: 1}
	at := time.Date(2026, 2, 1, 11, 20, 0, 0, time.UTC)
	event := func(topic, source, eventID, channel, typ, store string, customer interaction.CustomerID, version int64, d Details, ids ...string) *interaction.Unified {
		at = at.Add(29 * time.Hour)
		u := &interaction.Unified{Keyed: &interaction.Keyed{Realm: "default", Source: source, SourceEventID: eventID, Channel: channel, Type: typ, StoreCode: store,
			OccurredAt: at.UnixMilli(), Origin: interaction.Origin{Topic: topic}}, CustomerID: customer, CustomerVersion: version, IdentityStatus: interaction.StatusKnown}
		for _, text := range ids {
			u.Identifiers = append(u.Identifiers, id(text))
		}
		return u
	}
	change := func(kind interaction.ChangeKind, source, eventID string, customer interaction.CustomerID, version int64, merged []interaction.CustomerID, added ...string) {
		s.Change(interaction.Change{Realm: "default", CustomerID: customer, Version: version, Kind: kind, Added: added, MergedCustomerIDs: merged,
			Rule: interaction.RuleEvidence, Source: source, SourceEventID: eventID})
	}
	row := func(customer interaction.CustomerID, status interaction.MapStatus, keys ...string) {
		for _, k := range keys {
			if err := s.MapRow(interaction.MapRow{Key: k, CustomerID: customer, Version: 1, Status: status}); err != nil {
				t.Fatal(err)
			}
		}
	}
	const (
		card, code, away    = "default|member_id||LUM-204171", "default|user|AR-001|00417", "default|user|UY-001|MV-000882"
		mail, phone, laptop = "default|email||ana.nunez@correo.example", "default|phone||+541143218765", "default|anonymous_id||c0ffee17-9a41-4d2b"
		kiosk, app          = "default|device_id||" + KioskTablet, "default|user|APP|usr_a9a70417"
	)
	a, b, c, d := cid("ana"), cid("browser"), cid("mail"), cid("app")
	lamp := Details{Order: Order{"A-40082", "ARS", "86400"}, Traits: map[string]string{"first_name": "Ana", "last_name": "Núñez"}}

	change(interaction.ChangeCreated, "pos", "p1", a, 1, nil, card, code)
	s.Event(event(TopicTills, "pos", "p1", "pos", "order.placed", StoreBuenosAires, a, 1, lamp, "member_id:LUM-204171*", "user:00417"), lamp)
	change(interaction.ChangeCreated, "web", "w1", b, 1, nil, laptop)
	page := Details{Properties: map[string]string{"page": "/textiles"}}
	s.Event(event(TopicWeb, "web", "w1", "web", "page.viewed", "", b, 1, page, "anonymous_id:c0ffee17-9a41-4d2b"), page)
	change(interaction.ChangeCreated, "mailing", "m1", c, 1, nil, mail)
	campaign := Details{Properties: map[string]string{"campaign": "Liquidación de mantas"}}
	s.Event(event(TopicMailings, "mailing", "m1", "email", "email.opened", "", c, 1, campaign, "email:ana.nunez@correo.example"), campaign)
	change(interaction.ChangeMerged, "mailing", "m2", c, 2, []interaction.CustomerID{b}, laptop)
	s.Event(event(TopicMailings, "mailing", "m2", "email", "email.clicked", "", c, 2, campaign, "email:ana.nunez@correo.example", "anonymous_id:c0ffee17-9a41-4d2b"), campaign)
	change(interaction.ChangeRenamed, "app", "a1", d, 3, []interaction.CustomerID{c}, mail, laptop, app)
	s.Event(event(TopicApp, "app", "a1", "mobile_app", "customer.logged_in", StoreApp, d, 3, Details{}, "user:usr_a9a70417", "email:ana.nunez@correo.example*"), Details{})
	change(interaction.ChangeMerged, "pos", "p2", a, 4, []interaction.CustomerID{d}, mail, laptop, app, phone)
	pan := Details{Order: Order{"A-41760", "ARS", "66600.5"}}
	s.Event(event(TopicTills, "pos", "p2", "pos", "order.placed", StoreBuenosAires, a, 4, pan, "user:00417", "email:ana.nunez@correo.example", "phone:+541143218765", "document:12345678=blocked"), pan)
	change(interaction.ChangeCreated, "pos", "p0", cid("away"), 1, nil, away)
	change(interaction.ChangeMerged, "pos", "repeat", a, 5, []interaction.CustomerID{cid("away")}, away)
	s.Event(event(TopicTills, "pos", "p3", "pos", "order.placed", StoreMontevideo, a, 5, pan, "user:MV-000882", "phone:s/n=invalid"), pan)

	row(b, interaction.MapLinked, laptop)
	row(a, interaction.MapLinked, card, code, away, mail, laptop, app, phone)
	row(a, interaction.MapEnded, "default|customer||"+string(b), "default|customer||"+string(c), "default|customer||"+string(d), "default|customer||"+string(cid("away")))

	row(cid("kiosk"), interaction.MapShared, kiosk)
	for i := range 3 {
		n := fmt.Sprint(i)
		row(cid("k"+n), interaction.MapLinked, "default|user|AR-001|0100"+n)
		u := event(TopicTills, "kiosk", "k"+n, "kiosk", "customer.registered", StoreBuenosAires, cid("k"+n), 1, Details{}, "user:0100"+n, "device_id:"+KioskTablet+"=shared")
		u.Ambiguous = i == 2
		s.Event(u, Details{})
	}
	s.Event(event(TopicTills, "pos", "walk-in", "pos", "order.placed", StorePortoAlegre, "", 0, pan), pan)
	row(cid("visitor"), interaction.MapLinked, "default|anonymous_id||9d1e77aa-0001")
	s.Event(event(TopicWeb, "web", "w9", "web", "page.viewed", "", cid("visitor"), 1, page, "anonymous_id:9d1e77aa-0001"), page)
	row(cid("tomb"), interaction.MapLinked, "default|email||gone@correo.example")
	row("", "", "default|email||gone@correo.example")

	s.Reject(interaction.ReasonUnparsable, "no object", TopicWeb, 2)
	s.Reject(interaction.ReasonBadStoreCode, "store_code is longer than 30 characters", TopicTills, 1)
	s.Reject(interaction.ReasonComponentCap, "", TopicTills, 1)
	return s
}

// TestTold compares what is told of a hand-made output with testdata; -rewrite writes it.
func TestTold(t *testing.T) {
	datadriven.RunTest(t, "testdata/told", func(t *testing.T, d *datadriven.TestData) string {
		s := handmade(t)
		var b strings.Builder
		var err error
		switch d.Cmd {
		case "summary":
			if d.HasArg("lost") {
				s.In[TopicApp] = Input{Records: 3, Interactions: 3}
			}
			err = s.Summary(&b, d.HasArg("colour"))
		case "stories":
			who := Protagonists
			if d.HasArg("others") {
				who = nil
			}
			err = s.Stories(&b, d.HasArg("colour"), who)
		case "progress":
			var p Progress
			var ms int64
			d.ScanArgs(t, "in", &p.In)
			d.ScanArgs(t, "out", &p.Out)
			d.ScanArgs(t, "total", &p.Total)
			d.ScanArgs(t, "ms", &ms)
			p.Elapsed = time.Duration(ms) * time.Millisecond
			return fmt.Sprintf("%q\n", p.Line(d.HasArg("terminal")))
		default:
			t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(b.String(), "\x1b", "␛")
	})
}

var ansi = regexp.MustCompile("\x1b\\[[0-9]+m")

func TestWhatIsToldFitsItsWidthAndColoursChangeNothing(t *testing.T) {
	tell := func(colour bool) string {
		var b strings.Builder
		s := handmade(t)
		if err := s.Summary(&b, colour); err != nil {
			t.Fatal(err)
		}
		if err := s.Stories(&b, colour, Protagonists); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	plain, coloured := tell(false), tell(true)
	if strings.Contains(plain, "\x1b") || !strings.Contains(coloured, "\x1b") {
		t.Error("colours where none are wanted, or none where they are")
	}
	trimmed := regexp.MustCompile(" +\n").ReplaceAllString(ansi.ReplaceAllString(coloured, ""), "\n")
	if trimmed != plain {
		t.Errorf("without its colours, the text is\n%s\nwant\n%s", trimmed, plain)
	}
	for l := range strings.Lines(plain) {
		if l = strings.TrimSuffix(l, "\n"); page.Width(l) > page.Columns {
			t.Errorf("%d columns: %s", page.Width(l), l)
		}
	}
}

func TestWhatIsToldDoesNotDependOnTheOrderOfTopics(t *testing.T) {
	s := handmade(t)
	for i, j := 0, len(s.events)-1; i < j; i, j = i+1, j-1 {
		s.events[i], s.events[j] = s.events[j], s.events[i]
	}
	var a, b strings.Builder
	for _, x := range []struct {
		s *Seen
		b *strings.Builder
	}{{handmade(t), &a}, {s, &b}} {
		if err := x.s.Summary(x.b, false); err != nil {
			t.Fatal(err)
		}
		if err := x.s.Stories(x.b, false, Protagonists); err != nil {
			t.Fatal(err)
		}
	}
	if a.String() != b.String() {
		t.Errorf("read in another order, it tells\n%s\nwant\n%s", b.String(), a.String())
	}
}

func TestAnEmptyOutputIsToldInPeace(t *testing.T) {
	var s Seen
	var b strings.Builder
	if err := s.Summary(&b, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Stories(&b, false, Protagonists); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "0 = 0 unified") {
		t.Errorf("an empty output tells\n%s", b.String())
	}
}

func TestEveryReasonHasAMeaningThatFits(t *testing.T) {
	for _, r := range interaction.Reasons {
		m := meanings[r]
		if m.means == "" || m.look == "" {
			t.Errorf("reason %s has no meaning for a reader: add it to meanings", r)
		}
		if n := 14 + reasonWidth + page.Width(m.means); n > page.Columns || len(r) > reasonWidth {
			t.Errorf("reason %s: %d columns", r, n)
		}
	}
}

func TestMoneyKeepsItsDigits(t *testing.T) {
	for in, want := range map[string]string{"86400": "86,400.00", "86400.00": "86,400.00", "1.5": "1.50", "0.1250": "0.125", "-1234567.8000": "-1,234,567.80", "999": "999.00"} {
		if got := money(in); got != want {
			t.Errorf("money(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHappenedSaysWhatIsKnown(t *testing.T) {
	for _, c := range []struct {
		typ        string
		order      Order
		properties map[string]string
		want       string
	}{
		{"order.placed", Order{"A-1", "ARS", "86400"}, nil, "bought for ARS 86,400.00, order A-1"},
		{"order.placed", Order{"A-1", "", "12.5"}, nil, "bought for 12.50, order A-1"},
		{"order.placed", Order{"", "ARS", "12.5"}, nil, "bought for ARS 12.50"},
		{"order.placed", Order{"A-1", "ARS", ""}, nil, "bought, order A-1"},
		{"order.placed", Order{}, nil, "bought"},
		{"order.refunded", Order{"W-1", "UYU", "7"}, nil, "gave back for UYU 7.00, order W-1"},
		{"page.viewed", Order{}, map[string]string{"name": "Textiles", "url": "https://tienda.example/textiles"}, "looked at Textiles"},
		{"page.viewed", Order{}, nil, "looked at a page"},
		{"product.viewed", Order{}, map[string]string{"url": "https://tienda.example/textiles/manta?utm=1", "campaign": "Otoño"}, "looked at /textiles/manta"},
		{"product.viewed", Order{}, map[string]string{"url": "https://tienda.example/"}, "looked at https://tienda.example/"},
		{"email.opened", Order{}, map[string]string{"category": "100%s", "url": "https://tienda.example/a"}, "opened the mailing “100%s”"},
		{"track.wishlist", Order{}, map[string]string{"page": "/deco"}, "track.wishlist: /deco"},
		{"track.wishlist", Order{}, nil, "track.wishlist"},
	} {
		e := seenEvent{typ: c.typ, order: c.order, subject: subject(c.typ, c.properties)}
		if got := e.happened(); got != c.want {
			t.Errorf("%s with %v of %v: %q, want %q", c.typ, c.order, c.properties, got, c.want)
		}
	}
}

func TestChannelsHaveNamesOfTheShop(t *testing.T) {
	for _, c := range [][3]string{{"segment", "server", "web shop"}, {"mio", "server", "server"}, {"pos", "pos", "till"}, {"segment", "web", "web"}} {
		if got := channelName(c[0], c[1]); got != c[2] {
			t.Errorf("channel %s of %s is called %q, want %q", c[1], c[0], got, c[2])
		}
	}
}

// A story stands in the order of what happened. Where it was read in another one, versions run back and forth, and the story says why.
func TestAStoryReadInAnotherOrderSaysSo(t *testing.T) {
	tell := func(first, second int64) string {
		s := &Seen{}
		for i, v := range []int64{first, second} {
			name := string(rune('a' + i))
			s.Event(&interaction.Unified{CustomerID: cid("one"), CustomerVersion: v, IdentityStatus: interaction.StatusKnown, Keyed: &interaction.Keyed{
				Realm: "default", Source: "pos", SourceEventID: name, Channel: "pos", Type: "order.placed", OccurredAt: int64(i) * 1000}}, Details{})
			s.Change(interaction.Change{Realm: "default", CustomerID: cid("one"), Version: v, Kind: interaction.ChangeMerged, Source: "pos", SourceEventID: name,
				MergedCustomerIDs: []interaction.CustomerID{cid("other" + name)}, Rule: interaction.RuleEvidence})
		}
		var b strings.Builder
		if err := s.Stories(&b, false, nil); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const said = "They were read in another order"
	if got := tell(2, 3); strings.Contains(got, said) {
		t.Errorf("in order:\n%s", got)
	}
	if got := tell(3, 2); !strings.Contains(got, said) {
		t.Errorf("out of order:\n%s", got)
	}
}
