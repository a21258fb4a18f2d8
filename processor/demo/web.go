package demo

import (
	"cmp"
	"time"
)

// visit is what one browser does in the web shop at a time, or what the shop's server does for somebody.
type visit struct {
	browser    string // the anonymousId; empty: it refuses cookies
	user       string // logged in with this address
	flush      int    // 0: call by call
	server     bool
	portuguese bool
	campaign   string // of the mailing whose link led here
	scripted   bool
}

// call adds a call of a visit.
func (g *generator) call(v *visit, at time.Time, c call) {
	c.AnonymousID = v.browser
	if v.user != "" {
		user := v.user // the visit goes on, and may log out
		c.UserID = &user
	}
	d := draft{topic: TopicWeb, key: v.browser, at: at, flush: v.flush, call: &c, scripted: v.scripted}
	if v.server {
		d.key, c.Context.Library = serverRecords, serverLibrary
	} else {
		c.Context.Library, c.Context.UserAgent, c.Context.Locale = pagesLibrary, "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "es-AR"
		if v.portuguese {
			c.Context.Locale = "pt-BR"
		}
	}
	if v.campaign != "" {
		c.Context.Campaign = map[string]string{"name": v.campaign, "source": "sendgrid", "medium": "email"}
	}
	if v.scripted {
		d.sent = at.Add(2 * time.Second)
		g.drafts = append(g.drafts, d)
		return
	}
	g.add(d, false)
}

// looked is a page of a category, or of a product.
func (g *generator) looked(v *visit, at time.Time, p product, near bool) {
	if !near {
		page := pageOf("/"+p.page, p.page)
		g.call(v, at, call{Type: "page", Name: pageNames[p.page], Properties: page, Context: callContext{Page: page}})
		return
	}
	properties := p.properties(v.portuguese)
	g.call(v, at, call{Type: "track", Event: "Product Viewed", Properties: &properties, Context: callContext{Page: p.landing()}})
}

// pageNames are the names of the pages of categories.
var pageNames = map[string]string{
	"velas": "Velas", "lamparas": "Lámparas", "textiles": "Textiles", "cocina": "Cocina", "mesa": "Mesa", "deco": "Decoración",
}

// visitor looks at the web shop and stays unknown.
func (g *generator) visitor() {
	v := visit{browser: g.uuid(), portuguese: chance(g.rng, 20)}
	for range 1 + weighted(g.rng, 60, 30, 10) {
		g.browse(&v, g.day(7, 24))
	}
}

// browse is a walk through the web shop. It returns the time of the last page.
func (g *generator) browse(v *visit, at time.Time) time.Time {
	v.flush = 0
	if chance(g.rng, 40) {
		v.flush = g.newFlush()
	}
	if chance(g.rng, 1) {
		// A template that prints what is not there, and a browser with an id for all.
		broken := visit{browser: pick(g.rng, []string{v.browser, "00000000-0000-0000-0000-000000000000"}), user: pick(g.rng, []string{"undefined", "null"}), flush: v.flush}
		g.looked(&broken, at, pick(g.rng, catalogue), false)
	}
	for range 1 + weighted(g.rng, 25, 35, 25, 15) {
		g.looked(v, at, pick(g.rng, catalogue), chance(g.rng, 50))
		at = at.Add(g.seconds(15, 240))
	}
	if chance(g.rng, 8) {
		g.call(v, at, call{Type: "track", Event: "Products Searched", Properties: searchProperties{pick(g.rng, catalogue).es}, Context: callContext{Page: pageOf("/buscar", "Buscar")}})
	}
	return at
}

// web is what a known browser does in the web shop. A shopper logs in and buys; her address is her UserId there.
func (g *generator) web(p person) {
	account, changed := p.email, g.day(0, 24)
	v := visit{browser: p.browser, portuguese: p.home.portuguese}
	for range 1 + weighted(g.rng, 40, 35, 25) {
		at := g.browse(&v, g.day(7, 23))
		if !p.shopper || chance(g.rng, 35) {
			continue
		}
		if p.newEmail != "" && at.After(changed) {
			account = p.newEmail
		}
		v.user = mixed(g.rng, account)
		g.call(&v, at, call{Type: "identify", Traits: &traits{Email: account, FirstName: p.first, LastName: p.last}})
		if chance(g.rng, 60) {
			at = at.Add(g.seconds(20, 300))
			article := pick(g.rng, catalogue)
			properties := article.properties(v.portuguese)
			g.call(&v, at, call{Type: "track", Event: "Product Added", Properties: &properties, Context: callContext{Page: article.landing()}})
			g.order(p, account, at.Add(g.seconds(60, 900)))
		}
		if chance(g.rng, 60) {
			v.user = "" // logged out
		}
	}
}

// order is what the shop's server tells of an order: the customer, as the form of the order has her, and the order. Some
// orders are given back, which the server tells together in the night.
func (g *generator) order(p person, account string, at time.Time) {
	v := visit{browser: p.browser, user: account, flush: g.newFlush(), server: true}
	if chance(g.rng, 15) {
		v.browser = "" // it refuses the shop's cookies
	}
	who := &traits{Email: account, FirstName: p.first, LastName: p.last, Phone: p.phone.e164}
	if who.Phone != "" && chance(g.rng, 10) {
		who.Phone = p.phone.national // of no use: the web shop is in no region
	} else if who.Phone == "" && chance(g.rng, 5) {
		who.Phone = "0000000" // the form asks for one
	}
	o := newBasket(g.rng, p.home.currency, p.home.portuguese).properties(chance(g.rng, 40))
	if chance(g.rng, 4) {
		o.Email = pick(g.rng, []string{"abuela", "regalo", "presente"}) + "@" + pick(g.rng, mailES)
	}
	g.call(&v, at, call{Type: "identify", Traits: who})
	g.call(&v, at, call{Type: "track", Event: orderCompleted, Properties: o, Context: callContext{IP: "203.0.113.7", Traits: &traits{Email: account, Phone: who.Phone}}})
	night := at.Truncate(24*time.Hour).AddDate(0, 0, 2+g.rng.IntN(5)).Add(6 * time.Hour)
	if !chance(g.rng, 6) || night.After(g.end) {
		return
	}
	v = visit{user: account, flush: g.night(night), server: true}
	g.call(&v, night.Add(g.seconds(0, 20)), call{Type: "track", Event: "Order Refunded", Properties: &orderProperties{Total: o.Total, Currency: o.Currency, Products: o.Products}})
	g.drafts[len(g.drafts)-1].refundOf = o
}

// night numbers what the shop's server sends in one night.
func (g *generator) night(at time.Time) int {
	day := at.Format(time.DateOnly)
	g.nights[day] = cmp.Or(g.nights[day], g.newFlush())
	return g.nights[day]
}

// arrive is the first page after a link in a letter: the link tells the shop to whom the letter went.
func (g *generator) arrive(v *visit, email string, at time.Time, page *pageContext) {
	v.flush = g.newFlush()
	g.call(v, at, call{Type: "page", Name: v.campaign, Properties: page, Context: callContext{Page: page}})
	g.call(v, at.Add(time.Second), call{Type: "identify", Traits: &traits{Email: email}, Context: callContext{Page: page}})
}
