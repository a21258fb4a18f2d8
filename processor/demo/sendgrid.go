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
