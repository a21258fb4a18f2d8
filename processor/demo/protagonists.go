package demo

import (
	"encoding/json"
	"fmt"
	"time"
)

// Protagonist is a customer whose story is told, named by identifiers (normalised values) that only she has.
type Protagonist struct {
	Name string
	// Namespace and Value are looked up in the identity map that was read back.
	Namespace, Value string
}

// Protagonists are the two whose stories are woven into every Retailer.
var Protagonists = []Protagonist{
	{Name: "Ana Núñez", Namespace: "member_id", Value: anaCard},
	{Name: "João Conceição", Namespace: "document", Value: "52998224725"},
}

// What the protagonists are known by. Nobody of the crowd has any of it.
const (
	anaCode     = "00417"
	anaAway     = "MV-000882"
	anaCard     = "LUM-204171"
	anaDocument = "27.418.902"
	anaEmail    = "ana.nunez@correo.example"
	anaPhone    = "+54 9 11 4321-8765"
	anaPhoneAt  = "011 15-4321-8765"
	anaApp      = "usr_a9a70417"
	anaHandset  = "5d1c33f0-27b4-4f6e-a0c2-4e8e7f1b9a17"
	anaLaptop   = "c0ffee17-9a41-4d2b-a7e5-0417ab3c5d6e"

	joaoCode     = "7004512"
	joaoDocument = "529.982.247-25"
	joaoEmail    = "joao.conceicao@correio.example"
	joaoNewEmail = "j.conceicao@lar-mail.example"
	joaoPhone    = "+55 51 99876-5412"
	joaoPhoneAt  = "(51) 99876-5412"
	joaoApp      = "usr_10a0c0de"
	joaoHandset  = "8e2f61b4-5c07-4b93-a1d8-7f40c9e2a6b5"
)

// play adds the fixed scripts. Their events lie days apart, so that they are handled in the order in which they happen
// even where topics are read at different speed.
func (g *generator) play() {
	g.ana()
	g.joao()
}

// ana shops in two branches, in the web shop and with the app, each of which knows her by something else. A link in a letter
// tells the web shop whose browser it is.
func (g *generator) ana() {
	ana := map[string]string{"first_name": "Ana", "last_name": "Núñez"}
	laptop, manta := visit{browser: anaLaptop, scripted: true}, article("MAN-007")
	letter := newMail(anaEmail, campaignNamed("Semana de las mantas"))
	letter.scripted = true

	g.act(1, "11:20", TopicTills, StoreBuenosAires, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreBuenosAires, UserID: anaCode + "   ",
		Identifiers: []identifier{{"member_id", anaCard, true}, {"document", anaDocument, false}}, Order: bought("ARS", "LAM-014").order(), Traits: ana})
	g.looked(&laptop, g.on(3, "21:40"), manta, false)
	g.looked(&laptop, g.on(4, "22:05"), manta, true)
	g.act(7, "08:15", TopicApp, anaHandset, event{
		Source: "app", Channel: "mobile_app", Type: "customer.logged_in", StoreCode: StoreApp, UserID: anaApp,
		Identifiers: []identifier{{"email", anaEmail, true}, {"device_id", anaHandset, false}}, Traits: ana})
	g.mail(letter, "delivered", g.sent(letter.campaign).Add(2*time.Minute), nil)
	g.mail(letter, "open", g.on(10, "09:03"), nil)
	clicked := g.on(12, "20:31")
	laptop.campaign = letter.campaign.name
	g.arrive(&laptop, anaEmail, clicked.Add(6*time.Second), g.follow(letter, clicked))
	g.act(15, "17:48", TopicTills, StoreMontevideo, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreMontevideo, UserID: anaAway,
		Identifiers: []identifier{{"phone", anaPhone, false}}, Order: bought("UYU", "MAT-001", "TER-100").order()})
	g.act(18, "18:22", TopicTills, StoreMontevideo, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreMontevideo, UserID: anaAway,
		Identifiers: []identifier{{"email", "Ana.Nunez@Correo.example", false}}, Order: bought("UYU", "MAN-007").order(), Traits: ana})
	g.act(22, "12:10", TopicTills, StoreBuenosAires, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreBuenosAires, UserID: anaCode,
		Identifiers: []identifier{{"phone", anaPhoneAt, false}}, Order: bought("ARS", "SAR-026").order()})
	server := visit{browser: anaLaptop, user: anaEmail, flush: g.newFlush(), server: true, scripted: true}
	g.call(&server, g.on(25, "21:15"), call{Type: "track", Event: orderCompleted, Properties: bought("ARS", "ALM-045").properties(false)})
	g.act(27, "08:40", TopicApp, anaHandset, event{Source: "app", Channel: "mobile_app", Type: "app.opened", StoreCode: StoreApp,
		Identifiers: []identifier{{"device_id", anaHandset, false}}})
}

// joao is known to the web shop by his address, which he changes, and to the till by his code. His browser refuses cookies,
// so that only the shop's server tells of him.
func (g *generator) joao() {
	joao := map[string]string{"first_name": "João", "last_name": "Conceição"}
	letter := newMail(joaoEmail, campaignNamed("Mesa de inverno"))
	letter.scripted = true
	shop := func(day int, clock, user string, c call) {
		v := visit{user: user, flush: g.newFlush(), server: true, scripted: true}
		g.call(&v, g.on(day, clock), c)
	}
	order := func(sku, phone string) call {
		c := call{Type: "track", Event: orderCompleted, Properties: bought("BRL", sku).properties(false)}
		if phone != "" {
			c.Context.Traits = &traits{Phone: phone}
		}
		return c
	}

	shop(2, "19:12", joaoEmail, order("JAR-003", ""))
	g.mail(letter, "delivered", g.sent(letter.campaign).Add(3*time.Minute), nil)
	g.mail(letter, "open", g.on(5, "07:55"), nil)
	g.act(8, "15:30", TopicTills, StorePortoAlegre, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StorePortoAlegre, UserID: json.Number(joaoCode + ".0"),
		Identifiers: []identifier{{"document", joaoDocument, false}}, Order: bought("BRL", "TAZ-006").order()})
	shop(11, "22:47", joaoNewEmail, call{Type: "identify", Traits: &traits{Email: joaoNewEmail, FirstName: "João", LastName: "Conceição"}})
	shop(14, "20:05", joaoNewEmail, order("ESP-080", ""))
	g.act(19, "10:44", TopicTills, StorePortoAlegre, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StorePortoAlegre, UserID: joaoCode,
		Identifiers: []identifier{{"email", "JOAO.CONCEICAO@correio.example", false}}, Order: bought("BRL", "TER-100").order(), Traits: joao})
	g.act(23, "16:18", TopicTills, StorePortoAlegre, event{
		Source: "pos", Channel: "pos", Type: "customer.updated", StoreCode: StorePortoAlegre, UserID: joaoCode,
		Identifiers: []identifier{{"email", joaoNewEmail, false}, {"phone", joaoPhoneAt, false}}, Traits: joao})
	g.act(26, "13:02", TopicApp, joaoHandset, event{
		Source: "app", Channel: "mobile_app", Type: "customer.logged_in", StoreCode: StoreApp, UserID: joaoApp,
		Identifiers: []identifier{{"email", joaoNewEmail, true}, {"phone", joaoPhone, true}, {"device_id", joaoHandset, false}}, Traits: joao})
	shop(28, "19:30", joaoNewEmail, order("ALM-045", joaoPhone))
}

// on is a moment of a script: the day counts from the first of the period, the clock is UTC.
func (g *generator) on(day int, clock string) time.Time {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		panic(fmt.Sprintf("demo: script: %v", err)) // the scripts above are constants
	}
	return g.from.AddDate(0, 0, day).Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute)
}

// act adds a step of a script at a till or in the app.
func (g *generator) act(day int, clock, topic, key string, e event) {
	at := g.on(day, clock)
	d := draft{topic: topic, key: key, at: at, sent: at.Add(2 * time.Second), event: &e, scripted: true}
	if topic == TopicTills {
		d.stamp = stampLocal
	}
	g.drafts = append(g.drafts, d)
}
