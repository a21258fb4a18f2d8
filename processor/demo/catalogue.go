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

var campaigns = []string{"Otoño en casa", "Semana da luz", "Días de cocina", "Liquidación de mantas", "Coleção São João"}

// units turns a price of the catalogue into hundredths of a currency.
var units = map[string]int{"ARS": 90000, "UYU": 2500, "BRL": 350}

// newOrder draws an order of one to four lines. Its number is given later, in the order of time.
func newOrder(r *rand.Rand, currency string, portuguese bool) *order {
	o := &order{Currency: currency}
	total := 0
	for range 1 + weighted(r, 45, 30, 15, 10) {
		p := pick(r, catalogue)
		quantity, price := 1+weighted(r, 75, 18, 7), p.price*units[currency]/10
		name := p.es
		if portuguese {
			name = p.pt
		}
		o.Lines = append(o.Lines, line{p.sku, name, fmt.Sprint(quantity), hundredths(price)})
		total += quantity * price
	}
	o.Total = hundredths(total)
	return o
}

func hundredths(v int) string { return fmt.Sprintf("%d.%02d", v/100, v%100) }
