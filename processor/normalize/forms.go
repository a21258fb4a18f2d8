package normalize

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Lengths of identity.md section 7, in characters after NFC, except for maxEmailBytes.
const (
	maxCode         = 50
	maxStoreCode    = 30
	minDocument     = 5
	maxDocument     = 20
	minDocumentNums = 4
	minDevice       = 8
	maxDevice       = 200
	minDeviceKinds  = 3 // distinct characters
	maxEmailBytes   = 254
)

// form is what a rule makes of a text. The zero value: the text fails the rule.
type form struct {
	value string
	// national is the part of value that the digit rules of the block list look at: all of a document, the national
	// significant number of a phone.
	national string
	ok       bool
}

// code is the rule of user and member_id: any text of 1 to 50 characters, as it is.
func code(_ *Normalizer, text, _ string) form {
	return form{value: text, ok: !longer(text, maxCode)}
}

// device is the rule of device_id and anonymous_id: 8 to 200 characters, three of them different.
func device(_ *Normalizer, text, _ string) form {
	if !longer(text, minDevice-1) || longer(text, maxDevice) || !variedText(text) {
		return form{}
	}
	return form{value: text, ok: true}
}

func variedText(s string) bool {
	var seen [minDeviceKinds]rune
	n := 0
next:
	for _, r := range s {
		for _, q := range seen[:n] {
			if q == r {
				continue next
			}
		}
		if seen[n] = r; n+1 == minDeviceKinds {
			return true
		}
		n++
	}
	return false
}

// document is the rule of document and tax_id: the letters and digits in upper case, at least 4 digits among them.
func document(_ *Normalizer, text, _ string) form {
	if !isASCII(text) {
		text = cases.Upper(language.Und).String(text)
	}
	plain, digits := true, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			digits++
		case c < 'A' || c > 'Z':
			plain = false
		}
	}
	if !plain {
		if text, digits = lettersAndDigits(text); text == "" {
			return form{}
		}
	}
	if !longer(text, minDocument-1) || longer(text, maxDocument) || digits < minDocumentNums {
		return form{}
	}
	return form{value: text, national: text, ok: true}
}

// lettersAndDigits drops all else, and counts the digits. Without what stood between them letters may compose
// (Hangul does), hence NFC once more.
func lettersAndDigits(s string) (kept string, digits int) {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case '0' <= r && r <= '9':
			digits++
			b.WriteRune(r)
		case 'a' <= r && r <= 'z':
			b.WriteRune(r - 'a' + 'A')
		case unicode.IsDigit(r):
			digits++
			b.WriteRune(r)
		case unicode.IsLetter(r):
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String()), digits
}
