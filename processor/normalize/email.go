package normalize

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Limits of the DNS, in bytes.
const (
	maxDomain = 253
	maxLabel  = 63
)

// newDomains returns the mapping of domain names, UTS 46 with the options of identity.md section 7.
func newDomains() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true), idna.CheckHyphens(true),
		idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(true))
}

// newLower returns Unicode's default mapping to lower case, which tells the final sigma.
func newLower() cases.Caser { return cases.Lower(language.Und) }

// email is the rule of e-mail addresses. Gmail's dots and plus tags are kept: they are the provider's affair.
func email(n *Normalizer, text, _ string) form {
	if strings.HasSuffix(text, ">") {
		if i := strings.LastIndexByte(text, '<'); i >= 0 {
			text = trim(text[i+1 : len(text)-1]) // Name <address>
		}
	}
	if isASCII(text) {
		text = strings.ToLower(text)
	} else {
		text = norm.NFC.String(n.lower.String(text))
	}
	text = strings.TrimSuffix(text, ".")
	at := strings.IndexByte(text, '@')
	if at < 0 || !validLocal(text[:at]) {
		return form{}
	}
	domain := text[at+1:]
	if strings.IndexByte(domain, '@') >= 0 {
		return form{}
	}
	if !plainDomain(domain) {
		mapped, err := n.domains.ToASCII(domain)
		// The library lets a dot at the end pass, which has been dropped where it may stand.
		if err != nil || strings.HasSuffix(mapped, ".") {
			return form{}
		}
		if mapped != domain {
			text = text[:at+1] + mapped
			domain = mapped
		}
	}
	if strings.IndexByte(domain, '.') < 0 || len(text) > maxEmailBytes {
		return form{}
	}
	return form{value: text, ok: true}
}

func validLocal(s string) bool {
	for _, r := range s {
		switch {
		case r == ',' || r == ';' || r == '<' || r == '>' || r == '(' || r == ')':
			return false
		case r <= ' ' || r >= 0x7F && (unicode.IsSpace(r) || unicode.IsControl(r)):
			return false
		}
	}
	return s != ""
}

// plainDomain reports a name of ASCII letters, digits and hyphens that UTS 46 returns as it is.
// False only means that the mapping must be asked.
func plainDomain(s string) bool {
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
			continue
		}
		if !plainLabel(s[start:i]) {
			return false
		}
		start = i + 1
	}
	return len(s) <= maxDomain
}

func plainLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && s[0] != '-' && s[len(s)-1] != '-' &&
		(len(s) < 4 || s[2] != '-' || s[3] != '-') // xn-- and its like
}
