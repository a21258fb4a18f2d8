package demo

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"
)

// mailing is an event of SendGrid's webhook, which posts arrays of them.
type mailing struct {
	Email     string `json:"email"`
	Timestamp int64  `json:"timestamp"` // seconds
	Event     string `json:"event"`
	Category  string `json:"category,omitempty"`
	EventID   string `json:"sg_event_id"`
	MessageID string `json:"sg_message_id"` // of the mail: all its events have it

	Response    string `json:"response,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Status      string `json:"status,omitempty"`
	Type        string `json:"type,omitempty"`
	URL         string `json:"url,omitempty"`
	UserAgent   string `json:"useragent,omitempty"`
	IP          string `json:"ip,omitempty"`
	MachineOpen bool   `json:"sg_machine_open,omitempty"`

	// Custom arguments, which SendGrid lays beside its own. The list of a branch has its customers' codes.
	CustomerID string  `json:"customer_id,omitempty"`
	StoreCode  *string `json:"store_code,omitempty"`
}

const (
	webhookRecords = "sendgrid" // what the receiver of the webhook keys its records by
	// Events that happen within webhookWindow of each other come together, webhookEvents at most.
	webhookWindow = 45 * time.Second
	webhookEvents = 20
)

// mail is one letter of a mailing on its way.
type mail struct {
	to, code, store string // code and store: none, or what the list says
	campaign        campaign
	messageID       string
	scripted        bool
}

// newMail is a letter of a campaign. Its id is made of both, so that scripts have the same in every run.
func newMail(to string, c campaign) mail {
	id := sha256.Sum256([]byte(to + c.name))
	return mail{to: to, campaign: c, messageID: base64.RawURLEncoding.EncodeToString(id[:16]) + ".recvd-7d9f8c6b5-x2k4m-1-65E2F1A0-3C.0"}
}

// mail adds what became of a letter.
func (g *generator) mail(m mail, event string, at time.Time, more func(*mailing)) {
	e := &mailing{Email: m.to, Event: event, Category: ascii(m.campaign.name), MessageID: m.messageID, CustomerID: m.code}
	if m.code != "" {
		e.StoreCode = &m.store
	}
	if more != nil {
		more(e)
	}
	d := draft{topic: TopicMailings, key: webhookRecords, at: at, mailing: e, scripted: m.scripted}
	if m.scripted {
		d.sent = at.Add(2 * time.Second)
		g.drafts = append(g.drafts, d)
		return
	}
	g.add(d, false)
}

// mailings are the letters to one address: they arrive or not, are opened, and sometimes followed into the web shop.
func (g *generator) mailings(p person) {
	for range 1 + g.rng.IntN(3) {
		m := newMail(p.email, pick(g.rng, campaigns))
		switch {
		case p.code != "" && chance(g.rng, 40):
			m.code, m.store = p.code, p.home.store // the list is that of her branch
		case chance(g.rng, 8):
			m.code = "0" // the list has a column for it, and nothing in it
		}
		at := g.sent(m.campaign).Add(g.seconds(2, 600))
		if chance(g.rng, 4) {
			g.mail(m, "bounce", at, func(e *mailing) {
				e.Type, e.Status, e.Reason = "bounce", "5.1.1", "550 5.1.1 User unknown"
				if chance(g.rng, 30) {
					e.Type, e.Status, e.Reason = "blocked", "5.7.1", "550 5.7.1 Blocked"
				}
			})
			continue
		}
		g.mail(m, "delivered", at, func(e *mailing) { e.Response = "250 OK" })
		if !chance(g.rng, 65) {
			continue
		}
		at = at.Add(g.seconds(600, 2*24*3600))
		g.mail(m, "open", at, func(e *mailing) {
			e.UserAgent, e.IP, e.MachineOpen = "Mozilla/5.0", "192.0.2.44", chance(g.rng, 20)
		})
		switch {
		case chance(g.rng, 30):
			at = at.Add(g.seconds(3, 120))
			page := g.follow(m, at)
			if p.browser != "" {
				g.arrive(&visit{browser: p.browser, portuguese: p.home.portuguese, campaign: m.campaign.name}, p.email, at.Add(g.seconds(2, 9)), page)
			}
		case chance(g.rng, 3):
			g.mail(m, "unsubscribe", at.Add(g.seconds(3, 120)), nil)
		}
	}
}

// follow is a click on the link in a letter. It returns what it leads to.
func (g *generator) follow(m mail, at time.Time) *pageContext {
	page := pageOf("/novedades/"+slug(m.campaign.name), m.campaign.name)
	g.mail(m, "click", at, func(e *mailing) {
		e.URL, e.UserAgent, e.IP = page.URL+"?utm_source=sendgrid&utm_medium=email", "Mozilla/5.0", "192.0.2.44"
	})
	return page
}

func (d *draft) encodeMailing() []byte {
	m := *d.mailing
	m.Timestamp = d.at.Unix()
	return encode(&m)
}

// encodeWebhook is the body that SendGrid posts.
func encodeWebhook(events []json.RawMessage) []byte {
	return append(encode(events), '\r', '\n')
}

// eventID is an id as SendGrid makes it.
func (g *generator) eventID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], g.rng.Uint64())
	binary.BigEndian.PutUint64(b[8:], g.rng.Uint64())
	return base64.RawURLEncoding.EncodeToString(b[:])
}
