package normalize

import (
	"cmp"
	"slices"
	"strings"
)

// storeCacheSize bounds the StoreCodes that a Normalizer remembers; when it is full all are forgotten.
// An entry takes some 200 bytes, and a retailer has hundreds of stores, not thousands.
const storeCacheSize = 1 << 13

// store is what the rules say about one StoreCode.
type store struct {
	code    string // normalised
	problem string // why the code is none; empty: it is one
	realm   string
	region  string // of national phone numbers; empty: none
	country string
}

// patterns maps StoreCodes by exact code, else by the longest prefix, else by the rest.
type patterns struct {
	exact    map[string]string
	prefixes []prefix // longest first
	rest     string
}

type prefix struct{ head, to string }

func newPatterns(m map[string]string, otherwise string) patterns {
	p := patterns{exact: map[string]string{}, rest: otherwise}
	for k, to := range m {
		head, open := strings.CutSuffix(k, rest)
		switch {
		case !open:
			p.exact[k] = to
		case head == "":
			p.rest = to
		default:
			p.prefixes = append(p.prefixes, prefix{head, to})
		}
	}
	slices.SortFunc(p.prefixes, func(a, b prefix) int {
		return cmp.Or(cmp.Compare(len(b.head), len(a.head)), cmp.Compare(a.head, b.head))
	})
	return p
}

func (p *patterns) of(code string) string {
	if to, ok := p.exact[code]; ok {
		return to
	}
	for _, x := range p.prefixes {
		if strings.HasPrefix(code, x.head) {
			return x.to
		}
	}
	return p.rest
}

// store looks a StoreCode up as it was sent.
func (n *Normalizer) store(raw string) *store {
	if s, ok := n.stores[raw]; ok {
		return s
	}
	s := &store{code: strings.Clone(nfc(trim(raw)))}
	switch {
	case longer(s.code, maxStoreCode):
		s.problem = "store_code is longer than 30 characters"
	case hasControl(s.code):
		s.problem = "store_code has a control character inside"
	}
	if s.problem != "" {
		return s // not remembered: a bad code can be as long as a record
	}
	s.realm, s.region, s.country = n.realms.of(s.code), n.regions.of(s.code), n.countries.of(s.code)
	if len(n.stores) >= storeCacheSize {
		clear(n.stores)
	}
	if len(raw) <= maxCachedStore {
		n.stores[strings.Clone(raw)] = s
	}
	return s
}

// Realm is the realm of a StoreCode; empty where the code is none.
func (n *Normalizer) Realm(storeCode string) string { return n.store(storeCode).realm }

// maxCachedStore is the longest StoreCode, as sent, that is remembered, in bytes: padding may be of any length.
const maxCachedStore = 128
