package normalize

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Calling codes with a fold of their own.
const (
	mexico    = 52
	argentina = 54
)

// phoneCacheSize bounds the numbers that a Normalizer remembers, half of them possibly old ones. The library takes
// tens of microseconds for a number; an entry takes some 150 bytes.
const phoneCacheSize = 1 << 16

// maxCachedPhone is the longest text that is remembered, in bytes. Longer ones are hardly ever numbers.
const maxCachedPhone = 64

// phone is the rule of phone numbers, from memory where the text was seen of late.
func phone(n *Normalizer, text, region string) form {
	if len(text) > maxCachedPhone {
		return parsePhone(text, region)
	}
	key := phoneKey{text, region}
	if f, ok := n.phones.get(key); ok {
		return f
	}
	f := parsePhone(text, region)
	key.text = strings.Clone(text) // the text may be part of a whole record
	n.phones.put(key, f)
	return f
}

// supportedRegion reports a region whose national numbers are known.
func supportedRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// parsePhone makes an E.164 number of a text. Without a region only + forms are numbers.
func parsePhone(text, region string) form {
	parsed, err := phonenumbers.Parse(foldDigits(text), region)
	if err != nil {
		return form{}
	}
	calling := int(parsed.GetCountryCode())
	national := phonenumbers.GetNationalSignificantNumber(parsed)
	if folded := foldMobile(calling, national); folded != national {
		number, err := strconv.ParseUint(folded, 10, 64)
		if err != nil || folded[0] == '0' { // a leading zero is part of no number in these two countries
			return form{}
		}
		national = folded
		parsed = &phonenumbers.PhoneNumber{CountryCode: parsed.CountryCode, NationalNumber: &number}
	}
	if !phonenumbers.IsValidNumber(parsed) {
		return form{}
	}
	value := "+" + strconv.Itoa(calling) + national
	return form{value: value, national: value[len(value)-len(national):], ok: true}
}

// foldDigits makes ASCII digits of full-width ones.
func foldDigits(s string) string {
	if isASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if '０' <= r && r <= '９' {
			return r - '０' + '0'
		}
		return r
	}, s)
}

// foldMobile drops what some write between the calling code and the number of a mobile phone, and others do not.
func foldMobile(calling int, national string) string {
	switch {
	case calling == mexico && len(national) == 11 && national[0] == '1':
		return national[1:]
	case calling == mexico && len(national) == 13 && (national[:3] == "044" || national[:3] == "045"):
		return national[3:]
	case calling == argentina && len(national) == 11 && national[0] == '9':
		return national[1:]
	}
	return national
}

type phoneKey struct{ text, region string }

// phoneCache keeps two generations: when the young one is full it becomes the old one, which is forgotten.
// What is in it never changes a result.
type phoneCache struct{ young, old map[phoneKey]form }

func (c *phoneCache) get(k phoneKey) (form, bool) {
	if f, ok := c.young[k]; ok {
		return f, true
	}
	f, ok := c.old[k]
	if ok {
		k.text = strings.Clone(k.text)
		c.put(k, f)
	}
	return f, ok
}

func (c *phoneCache) put(k phoneKey, f form) {
	if c.young == nil || len(c.young) >= phoneCacheSize/2 {
		c.young, c.old = make(map[phoneKey]form), c.young
	}
	c.young[k] = f
}
