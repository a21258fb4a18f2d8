package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

var (
	firstES = []string{"María", "José", "Lucía", "Martín", "Sofía", "Joaquín", "Inés", "Andrés", "Begoña", "Nicolás", "Camila",
		"Sebastián", "Agustina", "Matías", "Rocío", "Germán", "Belén", "Tomás", "Julieta", "Íñigo", "Valentina", "Óscar", "Pilar",
		"Ramón", "Mónica", "Ángel", "Carla", "Raúl", "Zoé", "Gastón"}
	lastES = []string{"Muñoz", "Peña", "Ibáñez", "Fernández", "González", "Rodríguez", "Yáñez", "Gómez", "Pérez", "Sánchez",
		"Álvarez", "Domínguez", "Castro", "Sosa", "Ordóñez", "Cáceres", "Benítez", "Quiñones", "Acuña", "Ríos", "Giménez", "Vázquez",
		"Núñez de Arce", "Bermúdez", "Larrañaga", "Rivero", "Suárez", "Agüero", "Zúñiga", "Olivera"}
	firstPT = []string{"Antônio", "Conceição", "Luís", "Inês", "Letícia", "Márcio", "Patrícia", "Sérgio", "Júlia", "Vinícius",
		"Gonçalo", "Natália", "Caio", "Mônica", "Beatriz", "Otávio", "Érica", "Fabrício", "Lívia", "Estêvão"}
	lastPT = []string{"Gonçalves", "Simões", "Magalhães", "Araújo", "Guimarães", "Assunção", "Brandão", "Leitão", "França",
		"Mendonça", "Falcão", "Paixão", "Sebastião", "Vergueiro", "Lourenço", "Antunes", "Galvão", "Teixeira", "Damasceno", "Peçanha"}
	mailES = []string{"correo.example", "buzon.example", "ejemplo-mail.example", "hogar.example"}
	mailPT = []string{"correio.example", "caixa.example", "lar-mail.example"}
)

// person is a customer as the retailer's systems know her. Empty fields are what she never gave.
type person struct {
	n           int // from 1, unique: what codes and numbers are made of
	first, last string
	home        branch
	code        string // UserId at home
	away        *branch
	awayCode    string
	member      string
	email       string // also the UserId in the web shop
	newEmail    string // what she changed it to
	phone       phone
	document    string
	appUser     string
	device      string
	browser     string
	shopper     bool // buys in the web shop
}

// phone is a number in the forms in which it is written down.
type phone struct{ e164, national, loose string }

// newPerson draws a person. Nothing of hers belongs to anybody else; see couple.
func (g *generator) newPerson() person {
	g.people++
	r, n := g.rng, g.people
	p := person{n: n, home: branches[weighted(r, 50, 30, 20)]}
	if p.home.portuguese {
		p.first, p.last = pick(r, firstPT), pick(r, lastPT)
	} else {
		p.first, p.last = pick(r, firstES), pick(r, lastES)
	}
	if chance(r, 70) {
		p.code = codeAt(p.home.store, n)
		if chance(r, 9) {
			away := branches[r.IntN(len(branches))]
			if away.store != p.home.store {
				p.away, p.awayCode = &away, codeAt(away.store, n)
			}
		}
		if chance(r, 35) {
			p.member = memberID(n)
		}
		if chance(r, 40) {
			p.document = documentOf(p.home.store, n)
		}
	}
	if chance(r, 62) {
		p.email = g.newEmail(p)
		p.shopper = chance(r, 55)
		if p.shopper && chance(r, 12) {
			p.newEmail = g.newEmail(p)
		}
		if chance(r, 35) {
			p.appUser, p.device = fmt.Sprintf("usr_%08x", r.Uint32()), g.uuid()
		}
	}
	if chance(r, 45) {
		p.phone = phoneOf(p.home.store, n)
	}
	if p.shopper || chance(r, 35) || p.code == "" {
		p.browser = g.uuid()
	}
	return p
}

func codeAt(store string, n int) string {
	switch store {
	case StoreBuenosAires:
		return fmt.Sprintf("%05d", 1000+n)
	case StoreMontevideo:
		return fmt.Sprintf("MV-%06d", 10000+n)
	default:
		return fmt.Sprintf("%d", 7010001+3*n)
	}
}

func memberID(n int) string { return fmt.Sprintf("LUM-%06d", 300000+n*7919%600000) }

func documentOf(store string, n int) string {
	switch store {
	case StoreBuenosAires:
		v := 21304117 + n*1009%9000000
		return fmt.Sprintf("%d.%03d.%03d", v/1000000, v/1000%1000, v%1000)
	case StoreMontevideo:
		v := 2130411 + n*1009%2900000
		return fmt.Sprintf("%d.%03d.%03d-%d", v/1000000, v/1000%1000, v%1000, v%9)
	default:
		v := 213041187 + n*10007%700000000
		return fmt.Sprintf("%03d.%03d.%03d-%02d", v/1000000, v/1000%1000, v%1000, v%97)
	}
}

// phoneOf gives a valid mobile number: libphonenumber's metadata accept every value that is drawn here.
func phoneOf(store string, n int) phone {
	v := (n*7919 + 4243) % 9000000
	switch store {
	case StoreBuenosAires:
		a, b := 5000+v/10000%900, v%10000
		return phone{fmt.Sprintf("+54 9 11 %04d-%04d", a, b), fmt.Sprintf("011 15-%04d-%04d", a, b), fmt.Sprintf("(11) %04d %04d", a, b)}
	case StoreMontevideo:
		a, b, c := 91+v/1000000, v/1000%1000, v%1000
		return phone{fmt.Sprintf("+598 %d %03d %03d", a, b, c), fmt.Sprintf("0%d %03d %03d", a, b, c), fmt.Sprintf("0%d-%03d%03d", a, b, c)}
	default:
		a, b := 98000+v/10000%1000, v%10000
		return phone{fmt.Sprintf("+55 51 %05d-%04d", a, b), fmt.Sprintf("(51) %05d-%04d", a, b), fmt.Sprintf("051 %05d %04d", a, b)}
	}
}

// newEmail draws an address that nobody has yet.
func (g *generator) newEmail(p person) string {
	first, last := plain(p.first), plain(p.last)
	domain := pick(g.rng, mailES)
	if p.home.portuguese {
		domain = pick(g.rng, mailPT)
	}
	local := first + "." + last
	switch g.rng.IntN(4) {
	case 0:
		local = first[:1] + last
	case 1:
		local = last + "_" + first
	}
	for try := local; ; try = fmt.Sprintf("%s%d", local, 10+g.rng.IntN(9000)) {
		if address := try + "@" + domain; !g.emails[address] {
			g.emails[address] = true
			return address
		}
	}
}

// mixed writes an address as a hurried hand does.
func mixed(r *rand.Rand, email string) string {
	switch r.IntN(6) {
	case 0:
		return strings.ToUpper(email)
	case 1:
		return strings.ToUpper(email[:1]) + email[1:]
	case 2:
		return email + " "
	default:
		return email
	}
}

var asciiLetters = strings.NewReplacer("á", "a", "à", "a", "ã", "a", "â", "a", "é", "e", "ê", "e", "í", "i", "ó", "o", "õ", "o", "ô", "o",
	"ú", "u", "ü", "u", "ñ", "n", "ç", "c", "Á", "A", "É", "E", "Í", "I", "Ó", "O", "Ú", "U", "Ñ", "N")

// ascii writes a text without its accents.
func ascii(text string) string { return asciiLetters.Replace(text) }

// plain is a name as it stands in an address: lower case, no accents, no spaces.
func plain(name string) string { return strings.ReplaceAll(ascii(strings.ToLower(name)), " ", "") }

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// chance is true in percent of a hundred cases.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// weighted draws an index with the given weights.
func weighted(r *rand.Rand, weights ...int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	x := r.IntN(sum)
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}
