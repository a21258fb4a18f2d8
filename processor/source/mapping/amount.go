package mapping

import (
	"strings"

	"kinfold/processor/source"
)

// Amounts of the contract are decimal(18,4).
const (
	amountScale   = 4
	amountDigits  = 18
	amountHighest = 999_999_999_999_999_999
	// maxAmountChars bounds the text of an amount: beyond it no digit counts that a source could mean.
	maxAmountChars = 256
)

// parseAmount reads a plain or exponent decimal, with sign or not, moves its point by scale digits and rounds half-even to four
// places. False: it is none, or has fifteen digits and more before the point. Thousands, decimal commas and currencies are none:
// 15.000,50 must not become 15.
func parseAmount(s string, scale int) (source.Amount, bool) {
	if len(s) > maxAmountChars {
		return source.Amount{}, false
	}
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative, s = s[0] == '-', s[1:]
	}
	mantissa, exponent, ok := splitExponent(s)
	if !ok {
		return source.Amount{}, false
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if !allDigits(whole) || !allDigits(fraction) || fraction == "" && (point || whole == "") {
		return source.Amount{}, false
	}
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return source.Amount{Set: true}, true
	}
	v, ok := shift(digits, exponent+scale-len(fraction)+amountScale)
	if negative {
		v = -v
	}
	return source.Amount{Unscaled: v, Set: true}, ok
}

// splitExponent cuts 1.5e-3 into 1.5 and -3. An exponent beyond a thousand is as good as one of a thousand.
func splitExponent(s string) (mantissa string, exponent int, ok bool) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, 0, true
	}
	mantissa, s = s[:i], s[i+1:]
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative, s = s[0] == '-', s[1:]
	}
	if s == "" || !allDigits(s) {
		return "", 0, false
	}
	for i := 0; i < len(s) && exponent < 1_000; i++ {
		exponent = exponent*10 + int(s[i]-'0')
	}
	if negative {
		exponent = -exponent
	}
	return mantissa, exponent, true
}

// shift is digits × 10^power as a whole number, rounded half-even. False: more than 18 digits.
func shift(digits string, power int) (int64, bool) {
	switch {
	case len(digits)+power > amountDigits:
		return 0, false
	case power >= 0:
		return atoi(digits) * pow10(power), true
	case len(digits)+power < 0:
		return 0, true // less than a tenth of the last place
	}
	cut := len(digits) + power
	v, rest := atoi(digits[:cut]), digits[cut:]
	switch half := rest[0]; {
	case half > '5', half == '5' && strings.Trim(rest[1:], "0") != "", half == '5' && v%2 == 1:
		v++
	}
	return v, v <= amountHighest
}

func atoi(s string) (v int64) {
	for i := range len(s) {
		v = v*10 + int64(s[i]-'0')
	}
	return v
}

func pow10(n int) (v int64) {
	v = 1
	for range n {
		v *= 10
	}
	return v
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
