package source

import (
	"strconv"
	"strings"
)

// MaxNumberDigits is how many digits a number may have, written out (identity.md section 7).
const MaxNumberDigits = 500

// Decimal amounts of the contract.
const (
	amountDigits = 18
	amountScale  = 4
)

// numberLen returns how many bytes of s are a number by the grammar of JSON; 0: none.
func numberLen(s string) int {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	switch {
	case i == len(s):
		return 0
	case s[i] == '0':
		i++
	case '1' <= s[i] && s[i] <= '9':
		i += digitsLen(s[i:])
	default:
		return 0
	}
	if i < len(s) && s[i] == '.' {
		n := digitsLen(s[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		n := digitsLen(s[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	return i
}

func digitsLen(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// wholeNumber reports whether all of s is a number, zeros at the beginning and space around it aside.
func wholeNumber(s string) (string, bool) {
	s = strings.TrimSpace(s)
	digits, negative := strings.CutPrefix(s, "-")
	for len(digits) > 1 && digits[0] == '0' && '0' <= digits[1] && digits[1] <= '9' {
		digits = digits[1:]
	}
	if negative {
		digits = "-" + digits
	}
	return digits, digits != "" && numberLen(digits) == len(digits)
}

// decimalText writes a number of the grammar of JSON out exactly: no exponent, no zeros behind the last digit after
// the point, no point if there is nothing behind it, no minus before zero. False: more than MaxNumberDigits digits.
func decimalText(literal string) (string, bool) {
	if len(literal) <= MaxNumberDigits && plainNumber(literal) {
		return literal, true
	}
	s, negative := strings.CutPrefix(literal, "-")
	exponent := 0
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		exponent = boundedInt(s[e+1:])
		s = s[:e]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	digits := whole + fraction
	point := len(whole) // of digits, before the exponent
	trimmed := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(trimmed)
	digits = strings.TrimRight(trimmed, "0")
	if digits == "" {
		return "0", true
	}
	point += exponent
	if max(point, len(digits), 1-point+len(digits)) > MaxNumberDigits {
		return "", false
	}
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	switch {
	case point <= 0:
		b.WriteString("0.")
		b.WriteString(strings.Repeat("0", -point))
		b.WriteString(digits)
	case point >= len(digits):
		b.WriteString(digits)
		b.WriteString(strings.Repeat("0", point-len(digits)))
	default:
		b.WriteString(digits[:point])
		b.WriteByte('.')
		b.WriteString(digits[point:])
	}
	return b.String(), true
}

// DecimalText is the text of a JSON number (identity.md section 7): see decimalText.
func DecimalText(literal string) (string, bool) { return decimalText(literal) }

// plainNumber reports a number that is its own text: without exponent, without zeros at the end of the fraction, not minus zero.
func plainNumber(s string) bool {
	s, negative := strings.CutPrefix(s, "-")
	n := digitsLen(s)
	if n == len(s) {
		return !negative || s != "0"
	}
	return s[n] == '.' && n > 0 && digitsLen(s[n+1:]) == len(s)-n-1 && s[len(s)-1] != '0'
}

// boundedInt reads an exponent. Beyond a billion it only matters that it is large.
func boundedInt(s string) int {
	const bound = 1_000_000_000
	s, negative := strings.CutPrefix(strings.TrimPrefix(s, "+"), "-")
	v := 0
	for i := 0; i < len(s) && v < bound; i++ {
		v = v*10 + int(s[i]-'0')
	}
	if negative {
		return -v
	}
	return v
}

// unscaled makes the bytes of an Avro decimal of a text that decimalText wrote: the two's complement of the number
// without its point, big-endian, as short as can be. False: too many digits before or behind the point.
func unscaled(text string) ([]byte, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(strings.TrimPrefix(whole, "-")) > amountDigits-amountScale || len(fraction) > amountScale {
		return nil, false
	}
	v, err := strconv.ParseInt(whole+fraction+"0000"[:amountScale-len(fraction)], 10, 64)
	if err != nil {
		return nil, false
	}
	return appendTwos(make([]byte, 0, 8), v), true
}

// appendTwos appends the two's complement of v, big-endian, as short as can be.
func appendTwos(b []byte, v int64) []byte {
	start := len(b)
	for shift := 56; shift >= 0; shift -= 8 {
		c := byte(v >> shift)
		// A byte of the sign alone says nothing if the next one begins with the same bit.
		if len(b) == start && shift > 0 && c == byte(v>>63) && byte(v>>(shift-8))>>7 == byte(v>>63)>>7 {
			continue
		}
		b = append(b, c)
	}
	return b
}
