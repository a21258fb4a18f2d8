package demo

import (
	"fmt"
	"math/rand/v2"
)

// product is an article; its price is in tenths of a unit that each currency multiplies.
type product struct {
	sku, es, pt, page string
	price             int
}

var catalogue = []product{
	{"VEL-200", "Vela de soja 200 g", "Vela de soja 200 g", "velas", 12},
	{"LAM-014", "Lámpara de mesa Ñandú", "Luminária de mesa Ñandú", "lamparas", 96},
	{"LAM-022", "Lámpara de pie Otoño", "Luminária de chão Outono", "lamparas", 148},
	{"MAN-007", "Manta de alpaca", "Manta de alpaca", "textiles", 110},
	{"SAR-026", "Sartén de hierro 26 cm", "Frigideira de ferro 26 cm", "cocina", 74},
	{"JAR-003", "Jarra de cerámica", "Jarra de cerâmica", "mesa", 38},
	{"TAZ-006", "Juego de tazas, 6 piezas", "Jogo de xícaras, 6 peças", "mesa", 45},
	{"ALM-045", "Almohadón de algodón", "Almofada de algodão", "textiles", 29},
	{"ESP-080", "Espejo redondo 80 cm", "Espelho redondo 80 cm", "deco", 132},
	{"MAT-001", "Mate de calabaza", "Cuia de chimarrão", "cocina", 21},
	{"TER-100", "Termo de acero 1 l", "Garrafa térmica de aço 1 l", "cocina", 62},
	{"PER-012", "Perchero de lapacho", "Cabideiro de ipê", "deco", 88},
}

// units turns a price of the catalogue into hundredths of a currency.
var units = map[string]int{"ARS": 900000, "UYU": 25000, "BRL": 3500}

// basket is what somebody buys at once, whatever the form in which a system tells of it.
type basket struct {
	currency   string
	portuguese bool
	items      []item
}

type item struct {
	product
	quantity int
}

// newBasket draws one to four articles.
func newBasket(r *rand.Rand, currency string, portuguese bool) *basket {
	b := &basket{currency: currency, portuguese: portuguese}
	for range 1 + weighted(r, 45, 30, 15, 10) {
		b.items = append(b.items, item{pick(r, catalogue), 1 + weighted(r, 75, 18, 7)})
	}
	return b
}

// bought is the basket of a script: one of each article.
func bought(currency string, skus ...string) *basket {
	b := &basket{currency: currency, portuguese: currency == "BRL"}
	for _, sku := range skus {
		b.items = append(b.items, item{article(sku), 1})
	}
	return b
}

func article(sku string) product {
	for _, p := range catalogue {
		if p.sku == sku {
			return p
		}
	}
	panic("demo: no article " + sku) // the scripts name what is in the catalogue
}

func (p *product) name(portuguese bool) string {
	if portuguese {
		return p.pt
	}
	return p.es
}

// unitPrice is what one of an item costs, in hundredths.
func (b *basket) unitPrice(p *product) int { return p.price * units[b.currency] / 10 }

// total is in hundredths.
func (b *basket) total() int {
	sum := 0
	for i := range b.items {
		sum += b.items[i].quantity * b.unitPrice(&b.items[i].product)
	}
	return sum
}

// order is the basket as tills write it. Its number is given later, in the order of time.
func (b *basket) order() *order {
	o := &order{Currency: b.currency, Total: hundredths(b.total())}
	for i := range b.items {
		it := &b.items[i]
		o.Lines = append(o.Lines, line{it.sku, it.name(b.portuguese), fmt.Sprint(it.quantity), hundredths(b.unitPrice(&it.product))})
	}
	return o
}

func hundredths(v int) string { return fmt.Sprintf("%d.%02d", v/100, v%100) }
