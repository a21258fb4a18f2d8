package schemas

import (
	"encoding/binary"
	"errors"
	"math/big"
	"unicode/utf8"
)

// The decimals of the payload.
const (
	amountScale     = 4                         // digits after the point
	amountPrecision = 18                        // digits in all
	amountLimit     = 1_000_000_000_000_000_000 // 10^amountPrecision: without its point, the least that is too large
)

var errPayload = errors.New("payload is no well-formed order, traits and properties")

// AppendPayloadJSON appends the payload as members of a JSON object: "order":…,"traits":…,"properties":…. Amounts are
// numbers with their exact digits, without trailing zeros.
func AppendPayloadJSON(dst, payload []byte) ([]byte, error) {
	p := payloadJSON{dst: dst, in: payload}
	p.raw(`"order":`)
	p.nullable(p.order)
	p.raw(`,"traits":`)
	p.texts()
	p.raw(`,"properties":`)
	p.texts()
	if p.bad || len(p.in) > 0 {
		return dst, errPayload
	}
	return p.dst, nil
}

type payloadJSON struct {
	dst, in []byte
	bad     bool
}

func (p *payloadJSON) raw(s string) { p.dst = append(p.dst, s...) }

func (p *payloadJSON) long() int64 {
	v, n := binary.Varint(p.in)
	if n <= 0 {
		p.bad, p.in = true, nil
		return 0
	}
	p.in = p.in[n:]
	return v
}

func (p *payloadJSON) bytes() []byte {
	n := p.long()
	if n < 0 || n > int64(len(p.in)) {
		p.bad, p.in = true, nil
		return nil
	}
	b := p.in[:n]
	p.in = p.in[n:]
	return b
}

func (p *payloadJSON) text() { p.dst = AppendJSONString(p.dst, string(p.bytes())) }

func (p *payloadJSON) nullable(value func()) {
	switch p.long() {
	case 0:
		p.raw("null")
	case 1:
		value()
	default:
		p.bad, p.in = true, nil
	}
}

func (p *payloadJSON) order() {
	p.raw(`{"order_number":`)
	p.text()
	p.raw(`,"currency":`)
	p.nullable(p.text)
	p.raw(`,"total_amount":`)
	p.nullable(p.amount)
	p.raw(`,"lines":[`)
	p.blocks(func() {
		p.raw(`{"sku":`)
		p.text()
		p.raw(`,"description":`)
		p.nullable(p.text)
		p.raw(`,"quantity":`)
		p.nullable(p.amount)
		p.raw(`,"unit_price":`)
		p.nullable(p.amount)
		p.raw("}")
	})
	p.raw("]}")
}

// texts writes a map. Of entries with one key the last counts for every reader, and all are shown.
func (p *payloadJSON) texts() {
	p.raw("{")
	p.blocks(func() {
		p.text()
		p.raw(":")
		p.text()
	})
	p.raw("}")
}

func (p *payloadJSON) blocks(item func()) {
	first := true
	for !p.bad {
		n := p.long()
		if n == 0 {
			return
		}
		if n < 0 {
			n = -n
			p.long() // size of the block in bytes
		}
		for ; n > 0 && !p.bad; n-- {
			if !first {
				p.raw(",")
			}
			first = false
			item()
		}
	}
}

func (p *payloadJSON) amount() {
	b := p.bytes()
	unscaled := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	p.dst = appendDecimal(p.dst, unscaled)
}

// appendDecimal writes unscaled × 10^-amountScale.
func appendDecimal(dst []byte, unscaled *big.Int) []byte {
	if unscaled.Sign() < 0 {
		dst = append(dst, '-')
	}
	digits := new(big.Int).Abs(unscaled).Append(nil, 10)
	for len(digits) <= amountScale {
		digits = append([]byte{'0'}, digits...)
	}
	whole, fraction := digits[:len(digits)-amountScale], digits[len(digits)-amountScale:]
	dst = append(dst, whole...)
	for len(fraction) > 0 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst
}

// AppendJSONString appends a JSON string. Invalid UTF-8 is replaced, as encoding/json does.
func AppendJSONString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendEscapedJSON(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

func appendEscapedJSON(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}
