package processortest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// realms of the stores. Four of them spread over the keyed partitions.
var realms = map[string]string{"S01": "uno", "S02": "dos", "S03": "tres", "*": "outro"}

// realmOf is the realm of a store by the map above, for the reference.
func realmOf(store string) string {
	if realm, ok := realms[store]; ok {
		return realm
	}
	return realms["*"]
}

// said is an interaction as its source writes it. Every value is in its normal form already, so that the reference needs
// no normaliser: who normalises well is not the question here.
type said struct {
	EventID     string       `json:"event_id,omitempty"`
	Source      string       `json:"source"`
	Channel     string       `json:"channel"`
	Type        string       `json:"type"`
	Store       string       `json:"store_code"`
	User        string       `json:"user_id,omitempty"`
	OccurredAt  int64        `json:"occurred_at"`
	Identifiers []identifier `json:"identifiers,omitempty"`
}

type identifier struct {
	Namespace string `json:"namespace"`
	Value     string `json:"value"`
}

func (s said) line() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// people says things, now and then twice, seldom nonsense.
type people struct {
	r      *rand.Rand
	number int
	events int
	said   []said
}

func newPeople(r *rand.Rand) *people { return &people{r: r, number: 6 + r.IntN(30)} }

// talk returns the next n lines.
func (p *people) talk(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = p.line()
	}
	return lines
}

// How often, of a hundred lines, something else than a new interaction is said.
const (
	poisonShare    = 3
	duplicateShare = 22
	conflictShare  = 3
	// recentShare of the duplicates repeat one of the last recentLines.
	recentShare = 70
	recentLines = 40
)

func (p *people) line() string {
	switch n := p.r.IntN(100); {
	case n < poisonShare:
		p.events++
		return fmt.Sprintf("this is no interaction, number %d", p.events)
	case n < poisonShare+duplicateShare && len(p.said) > 0:
		return p.again().line()
	case n < poisonShare+duplicateShare+conflictShare && len(p.said) > 0:
		s := p.again()
		s.Type = "thing.changed"
		return s.line()
	}
	s := p.interaction()
	p.said = append(p.said, s)
	return s.line()
}

func (p *people) again() said {
	if n := len(p.said); n > recentLines && p.r.IntN(100) < recentShare {
		return p.said[n-1-p.r.IntN(recentLines)]
	}
	return p.said[p.r.IntN(len(p.said))]
}

func (p *people) interaction() said {
	p.events++
	person := p.r.IntN(p.number)
	s := said{
		EventID: fmt.Sprintf("e%d", p.events), Source: pick(p.r, "pos", "web", "app"), Channel: "store", Type: "thing.done",
		Store: fmt.Sprintf("S%02d", 1+(person+p.r.IntN(2))%5), OccurredAt: epoch.Add(-within(p.r, 30*24*time.Hour)).UnixMilli(),
	}
	switch p.r.IntN(30) {
	case 0:
		s.OccurredAt = epoch.Add(24 * time.Hour).UnixMilli() // a clock that is wrong
	case 1:
		return s // nobody we know
	}
	if p.r.IntN(3) > 0 {
		s.User = fmt.Sprintf("c%03d", person)
	}
	add := func(of int, namespace, format string, n int) {
		if p.r.IntN(of) == 0 {
			s.Identifiers = append(s.Identifiers, identifier{namespace, fmt.Sprintf(format, n)})
		}
	}
	add(2, "email", "persona.%d@correio.example", person)
	add(4, "phone", "+5511%09d", 987_600_000+person)
	add(5, "device_id", "device-%08d", person/2)
	add(12, "email", "caja.%d@tienda.example", person%2)
	add(15, "member_id", "member-%d", person)
	return s
}

// Lines are n lines that people say, drawn from a seed.
func Lines(seed uint64, n int) []string {
	return newPeople(rand.New(rand.NewPCG(seed, 5))).talk(n)
}
