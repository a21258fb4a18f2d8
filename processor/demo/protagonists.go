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
	joaoLaptop   = "1a2b6c9d-40e8-4c57-a3f1-92d7e05b846c"
)

// play adds the fixed scripts. Their events lie days apart, so that they are handled in the order in which they happen
// even where topics are read at different speed.
func (g *generator) play() {
	g.ana()
	g.joao()
}

// ana shops in two branches, in the web shop and with the app, each of which gives her a code of its own.
func (g *generator) ana() {
	ana := map[string]string{"first_name": "Ana", "last_name": "Núñez"}
	lamp := &order{Currency: "ARS", Total: "86400.00", Lines: []line{{"LAM-014", "Lámpara de mesa Ñandú", "1", "86400.00"}}}
	mug := &order{Currency: "UYU", Total: "3050.00", Lines: []line{{"MAT-001", "Mate de calabaza", "1", "525.00"},
		{"TER-100", "Termo de acero 1 l", "1", "2525.00"}}}
	rug := &order{Currency: "UYU", Total: "2750.00", Lines: []line{{"MAN-007", "Manta de alpaca", "1", "2750.00"}}}
	pan := &order{Currency: "ARS", Total: "66600.00", Lines: []line{{"SAR-026", "Sartén de hierro 26 cm", "1", "66600.00"}}}
	web := &order{Currency: "ARS", Total: "52200.00", Lines: []line{{"ALM-045", "Almohadón de algodón", "2", "26100.00"}}}
	laptop := identifier{"anonymous_id", anaLaptop, false}

	g.act(1, "11:20", TopicTills, StoreBuenosAires, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreBuenosAires, UserID: anaCode + "   ",
		Identifiers: []identifier{{"member_id", anaCard, true}, {"document", anaDocument, false}}, Order: lamp, Traits: ana})
	g.act(3, "21:40", TopicWeb, anaLaptop, event{Source: "web", Channel: "web", Type: "page.viewed", StoreCode: StoreWeb,
		Identifiers: []identifier{laptop}, Properties: map[string]string{"page": "/textiles"}})
	g.act(4, "22:05", TopicWeb, anaLaptop, event{Source: "web", Channel: "web", Type: "product.viewed", StoreCode: StoreWeb,
		Identifiers: []identifier{laptop}, Properties: map[string]string{"page": "/textiles/MAN-007", "product": "Manta de alpaca"}})
	g.act(7, "08:15", TopicApp, anaHandset, event{
		Source: "app", Channel: "mobile_app", Type: "customer.logged_in", StoreCode: StoreApp, UserID: anaApp,
		Identifiers: []identifier{{"email", anaEmail, true}, {"device_id", anaHandset, false}}, Traits: ana})
	g.act(10, "09:03", TopicMailings, anaEmail, event{Source: "mailing", Channel: "email", Type: "email.opened",
		Identifiers: []identifier{{"email", anaEmail, false}}, Properties: map[string]string{"campaign": "Liquidación de mantas"}})
	g.act(12, "20:31", TopicMailings, anaEmail, event{Source: "mailing", Channel: "email", Type: "email.clicked",
		Identifiers: []identifier{{"email", anaEmail, false}, laptop}, Properties: map[string]string{"campaign": "Liquidación de mantas"}})
	g.act(15, "17:48", TopicTills, StoreMontevideo, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreMontevideo, UserID: anaAway,
		Identifiers: []identifier{{"phone", anaPhone, false}}, Order: mug})
	g.act(18, "18:22", TopicTills, StoreMontevideo, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreMontevideo, UserID: anaAway,
		Identifiers: []identifier{{"email", "Ana.Nunez@Correo.example", false}}, Order: rug, Traits: ana})
	g.act(22, "12:10", TopicTills, StoreBuenosAires, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StoreBuenosAires, UserID: anaCode,
		Identifiers: []identifier{{"phone", anaPhoneAt, false}}, Order: pan})
	g.act(25, "21:15", TopicWeb, anaLaptop, event{
		Source: "web", Channel: "ecommerce", Type: "order.placed", StoreCode: StoreWeb, UserID: anaEmail,
		Identifiers: []identifier{laptop}, Order: web, Traits: ana})
	g.act(27, "08:40", TopicApp, anaHandset, event{Source: "app", Channel: "mobile_app", Type: "app.opened", StoreCode: StoreApp,
		Identifiers: []identifier{{"device_id", anaHandset, false}}})

}

// joao is known to the web shop by his address, which he changes, and to the till by his code.
func (g *generator) joao() {
	joao := map[string]string{"first_name": "João", "last_name": "Conceição"}
	jug := &order{Currency: "BRL", Total: "133.00", Lines: []line{{"JAR-003", "Jarra de cerâmica", "1", "133.00"}}}
	cups := &order{Currency: "BRL", Total: "157.50", Lines: []line{{"TAZ-006", "Jogo de xícaras, 6 peças", "1", "157.50"}}}
	mirror := &order{Currency: "BRL", Total: "462.00", Lines: []line{{"ESP-080", "Espelho redondo 80 cm", "1", "462.00"}}}
	flask := &order{Currency: "BRL", Total: "217.00", Lines: []line{{"TER-100", "Garrafa térmica de aço 1 l", "1", "217.00"}}}
	cushion := &order{Currency: "BRL", Total: "203.00", Lines: []line{{"ALM-045", "Almofada de algodão", "2", "101.50"}}}

	g.act(2, "19:12", TopicWeb, joaoLaptop, event{
		Source: "web", Channel: "ecommerce", Type: "order.placed", StoreCode: StoreWeb, UserID: joaoEmail, Order: jug, Traits: joao,
	})
	g.act(5, "07:55", TopicMailings, joaoEmail, event{Source: "mailing", Channel: "email", Type: "email.opened",
		Identifiers: []identifier{{"email", joaoEmail, false}}, Properties: map[string]string{"campaign": "Coleção São João"}})
	g.act(8, "15:30", TopicTills, StorePortoAlegre, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StorePortoAlegre, UserID: json.Number(joaoCode + ".0"),
		Identifiers: []identifier{{"document", joaoDocument, false}}, Order: cups})
	g.act(11, "22:47", TopicWeb, joaoLaptop, event{
		Source: "web", Channel: "web", Type: "customer.updated", StoreCode: StoreWeb, UserID: joaoNewEmail, Traits: joao,
	})
	g.act(14, "20:05", TopicWeb, joaoLaptop, event{
		Source: "web", Channel: "ecommerce", Type: "order.placed", StoreCode: StoreWeb, UserID: joaoNewEmail, Order: mirror, Traits: joao,
	})
	g.act(19, "10:44", TopicTills, StorePortoAlegre, event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: StorePortoAlegre, UserID: joaoCode,
		Identifiers: []identifier{{"email", "JOAO.CONCEICAO@correio.example", false}}, Order: flask, Traits: joao})
	g.act(23, "16:18", TopicTills, StorePortoAlegre, event{
		Source: "pos", Channel: "pos", Type: "customer.updated", StoreCode: StorePortoAlegre, UserID: joaoCode,
		Identifiers: []identifier{{"email", joaoNewEmail, false}, {"phone", joaoPhoneAt, false}}, Traits: joao})
	g.act(26, "13:02", TopicApp, joaoHandset, event{
		Source: "app", Channel: "mobile_app", Type: "customer.logged_in", StoreCode: StoreApp, UserID: joaoApp,
		Identifiers: []identifier{{"email", joaoNewEmail, true}, {"phone", joaoPhone, true}, {"device_id", joaoHandset, false}}, Traits: joao})
	g.act(28, "19:30", TopicWeb, joaoLaptop, event{
		Source: "web", Channel: "ecommerce", Type: "order.placed", StoreCode: StoreWeb, UserID: joaoNewEmail,
		Identifiers: []identifier{{"phone", joaoPhone, false}}, Order: cushion, Traits: joao})
}

// act adds a step of a script: the day counts from the first of the period, the clock is UTC.
func (g *generator) act(day int, clock, topic, key string, e event) {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		panic(fmt.Sprintf("demo: script: %v", err)) // the scripts above are constants
	}
	at := g.from.AddDate(0, 0, day).Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute)
	d := draft{topic: topic, key: key, at: at, sent: at.Add(2 * time.Second), event: e, scripted: true}
	if topic == TopicTills {
		d.stamp = stampLocal
	}
	g.drafts = append(g.drafts, d)
}
