package demo

import "time"

// campaign is a mailing: to whom it goes, the addresses say.
type campaign struct {
	name string
	day  int // of the period on which it is sent
	hour int // UTC
}

// SendGrid's categories, which hold the name of the campaign, take ASCII only: accents are lost there.
var campaigns = []campaign{
	{"Otoño en casa", 2, 13},
	{"Mesa de inverno", 4, 21},
	{"Semana de las mantas", 9, 14},
	{"Estação da luz", 16, 12},
	{"Días de cocina", 21, 15},
}

func campaignNamed(name string) campaign {
	for _, c := range campaigns {
		if c.name == name {
			return c
		}
	}
	panic("demo: no campaign " + name) // the scripts name what is above
}

// sent is the moment at which the first mails of a campaign leave.
func (g *generator) sent(c campaign) time.Time {
	return g.from.AddDate(0, 0, c.day).Add(time.Duration(c.hour) * time.Hour)
}
