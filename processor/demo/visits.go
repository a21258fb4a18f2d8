package demo

import "encoding/json"

// crowd adds people and what they do until there are size drafts.
func (g *generator) crowd(size int) {
	for i := 0; len(g.drafts) < size; i++ {
		switch {
		case i%12 == 3:
			for range 3 {
				g.walkIn()
			}
		case i%40 == 7:
			g.couple()
		case i%13 == 5:
			g.visitor()
		default:
			g.live(g.newPerson())
		}
	}
	g.drafts = g.drafts[:size]
}

// live is a month in the life of one customer.
func (g *generator) live(p person) {
	g.tills(p)
	if p.browser != "" {
		g.web(p)
	}
	if p.appUser != "" {
		g.app(p)
	}
	if p.email != "" && chance(g.rng, 55) {
		g.mailings(p)
	}
}

func (p person) traits() map[string]string {
	return map[string]string{"first_name": p.first, "last_name": p.last}
}

// tills are the visits to the branches. Each brings some of what the till could have asked for.
func (g *generator) tills(p person) {
	if p.code == "" {
		return
	}
	if p.home.store == StoreBuenosAires && chance(g.rng, 12) {
		g.kiosk(p)
	}
	for range 1 + weighted(g.rng, 20, 30, 25, 15, 10) {
		ids := g.tillIdentifiers(p, p.home, 30)
		g.sale(p, p.home, p.code, ids)
	}
	if p.away == nil {
		return
	}
	for range 1 + g.rng.IntN(2) {
		g.sale(p, *p.away, p.awayCode, g.tillIdentifiers(p, *p.away, 75))
	}
}

// tillIdentifiers are what a customer names at a till; each with the given chance in a hundred.
func (g *generator) tillIdentifiers(p person, b branch, percent int) []identifier {
	r := g.rng
	var ids []identifier
	if p.member != "" && chance(r, percent+35) {
		ids = append(ids, identifier{"member_id", p.member, true})
	}
	if p.document != "" && b.store == p.home.store && chance(r, percent) {
		ids = append(ids, identifier{"document", p.document, false})
	}
	switch {
	case p.newEmail != "" && chance(r, percent):
		ids = append(ids, identifier{"email", mixed(r, p.newEmail), false})
	case p.email != "" && chance(r, percent):
		ids = append(ids, identifier{"email", mixed(r, p.email), false})
	case p.email == "" && b.store == StoreMontevideo && chance(r, 9):
		ids = append(ids, identifier{"email", CashierEmail, false})
	case chance(r, 4):
		ids = append(ids, identifier{"email", pick(r, []string{TestEmail, "sincorreo22" + shopMail, "null", "NOTIENE" + shopMail}), false})
	}
	if p.phone.e164 != "" && chance(r, percent) {
		number := pick(r, []string{p.phone.e164, p.phone.national, p.phone.loose})
		if b.store != p.home.store {
			number = p.phone.e164
		}
		ids = append(ids, identifier{"phone", number, false})
	} else if chance(r, 4) {
		ids = append(ids, identifier{"phone", pick(r, []string{"0000000", "00000000", "1111111111", "12345678", "s/n"}), false})
	}
	if chance(r, 2) {
		ids = append(ids, identifier{"document", pick(r, []string{"12345678", "00000000", "N/A"}), false})
	}
	return ids
}

// sale is an order at a till. A few tills have a wrong clock, and a few send the day's sales when they close.
func (g *generator) sale(p person, b branch, code string, ids []identifier) {
	d := draft{topic: TopicTills, key: b.store, at: g.day(9, 20), stamp: stampLocal, event: &event{
		Source: "pos", Channel: "pos", Type: "order.placed", StoreCode: b.store, UserID: g.written(b.store, code),
		Identifiers: ids, Order: newBasket(g.rng, b.currency, b.portuguese).order(),
	}}
	if chance(g.rng, 40) && p.first != "" {
		d.event.Traits = p.traits()
	}
	if chance(g.rng, 30) {
		d.stamp = stampMillis
	}
	g.add(d, chance(g.rng, 2))
	if last := &g.drafts[len(g.drafts)-1]; g.rng.IntN(600) == 0 {
		last.event.OccurredAt = pick(g.rng, []any{"1970-01-01T00:00:00Z", last.at.AddDate(2, 0, 0).UnixMilli()})
	}
}

// written is a UserId as a branch's export has it: padded or not, a number or a text.
func (g *generator) written(store, code string) any {
	switch {
	case code == "":
		return nil
	case code == placeholderID:
		return code
	case store == StoreBuenosAires && chance(g.rng, 70):
		return code + "   " // CHAR(8)
	case store == StorePortoAlegre && chance(g.rng, 25):
		return json.Number(code + ".0")
	case store == StorePortoAlegre && chance(g.rng, 20):
		return json.Number(code)
	}
	return code
}

// kiosk is a customer who signs up at the tablet in Buenos Aires, which so many others use.
func (g *generator) kiosk(p person) {
	ids := []identifier{{"device_id", KioskTablet, false}}
	if p.member != "" {
		ids = append(ids, identifier{"member_id", p.member, true})
	}
	if p.email != "" {
		ids = append(ids, identifier{"email", p.email, false})
	}
	g.add(draft{topic: TopicTills, key: KioskTablet, at: g.day(9, 20), stamp: stampUTC, event: &event{
		Source: "kiosk", Channel: "kiosk", Type: "customer.registered", StoreCode: StoreBuenosAires, UserID: g.written(StoreBuenosAires, p.code),
		Identifiers: ids, Traits: p.traits(),
	}}, false)
}

// walkIn is a sale to nobody known: without a UserId, or with what the till writes in its place.
func (g *generator) walkIn() {
	b := branches[weighted(g.rng, 50, 30, 20)]
	var code string
	var ids []identifier
	switch {
	case b.store == StoreMontevideo && chance(g.rng, 40):
		code = WalkInCode
		if chance(g.rng, 80) {
			ids = []identifier{{"email", g.newEmail(person{first: pick(g.rng, firstES), last: pick(g.rng, lastES)}), false}}
		}
	case chance(g.rng, 15):
		code = placeholderID
	}
	g.sale(person{}, b, code, ids)
}

// couple is two people of one household: one address, one browser, two codes.
func (g *generator) couple() {
	a, b := g.newPerson(), g.newPerson()
	for _, p := range []*person{&a, &b} {
		if p.code == "" {
			p.code = codeAt(p.home.store, p.n)
		}
	}
	if a.email == "" {
		a.email = g.newEmail(a)
	}
	b.home, b.code, b.away, b.document = a.home, codeAt(a.home.store, b.n), nil, ""
	b.last, b.email, b.newEmail, b.browser, b.phone = a.last, a.email, "", a.browser, phone{}
	b.shopper, b.appUser = a.shopper, ""
	for _, p := range []person{a, b} {
		// Both give the address at the till, so that both claim it.
		g.sale(p, p.home, p.code, []identifier{{"email", mixed(g.rng, p.email), false}})
	}
	g.live(a)
	g.tills(b)
}

// app is the use of the app: by a device first, then by an account that confirmed its address. Phones without a network
// send what happened days later.
func (g *generator) app(p person) {
	device := []identifier{{"device_id", p.device, false}}
	for i := range 1 + weighted(g.rng, 40, 40, 20) {
		at := g.day(6, 23)
		g.add(draft{topic: TopicApp, key: p.device, at: at, stamp: stampUTC, event: &event{Source: "app", Channel: "mobile_app", Type: "app.opened",
			StoreCode: StoreApp, Identifiers: device, Properties: map[string]string{"device_model": pick(g.rng, []string{"Moto G54", "Galaxy A15", "iPhone 13"})}}},
			chance(g.rng, 6))
		if i > 0 && chance(g.rng, 50) {
			continue
		}
		known := append([]identifier{{"email", p.email, true}}, device...)
		g.add(draft{topic: TopicApp, key: p.device, at: at.Add(g.seconds(5, 90)), stamp: stampUTC, event: &event{Source: "app", Channel: "mobile_app",
			Type: "customer.logged_in", StoreCode: StoreApp, UserID: p.appUser, Identifiers: known, Traits: p.traits()}}, chance(g.rng, 6))
		product := pick(g.rng, catalogue)
		g.add(draft{topic: TopicApp, key: p.device, at: at.Add(g.seconds(100, 400)), event: &event{Source: "app", Channel: "mobile_app", Type: "product.viewed",
			StoreCode: StoreApp, UserID: p.appUser, Identifiers: device, Properties: map[string]string{"product": product.es}}}, chance(g.rng, 6))
	}
}
