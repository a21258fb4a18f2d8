package normalize

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// BlockRule names a rule of the block list: values that systems send for nobody (identity.md section 7).
type BlockRule uint8

// The rules, in the order in which they are asked.
const (
	BlockNone      BlockRule = iota
	BlockValue               // a word of nobody
	BlockEmptyHash           // a digest of the empty text
	BlockZeros               // only 0, - and spaces
	BlockRepeated            // one character, 6 times or more
	BlockQuotes              // the empty text in quotes
	BlockEmailName           // noreply, sinmail and their like
	BlockEmailHost           // an address made for one order
	BlockSequence            // 1234567890 and so on

	// BlockRules is the number of values of BlockRule.
	BlockRules = iota
)

var blockRuleNames = [BlockRules]string{"", "value", "empty_hash", "zeros", "repeated", "empty_quotes", "email_name",
	"email_domain", "digit_sequence"}

// String is the name of the rule in metrics and messages; empty for BlockNone.
func (r BlockRule) String() string { return blockRuleNames[r] }

const (
	minRepeated = 6 // characters
	minSequence = 8 // digits
	quotes      = "\"'`“”‘’«»"

	// maxWord is the length in bytes up to which words of the list are told apart by length before they are looked up.
	maxWord = 64
)

// blockList is the block list, compiled. Not for concurrent use.
type blockList struct {
	folder  *folder
	words   map[string]BlockRule // folded
	lengths [maxWord + 1]bool    // lengths in bytes that words have
	names   map[string]bool      // local parts
	hosts   map[string]bool      // whole domains
	heads   []string             // beginnings of domains, with their dot
}

func newBlockList(b Block) *blockList {
	l := &blockList{folder: newFolder(), words: map[string]BlockRule{}, names: map[string]bool{}, hosts: map[string]bool{}}
	for _, h := range emptyHashes() {
		l.words[l.folder.fold(h)] = BlockEmptyHash
	}
	for _, v := range b.Values {
		l.words[l.folder.fold(trim(v))] = BlockValue
	}
	for w := range l.words {
		l.lengths[min(len(w), maxWord)] = true
	}
	for _, v := range b.EmailNames {
		l.names[l.folder.fold(v)] = true
	}
	domains := newDomains()
	for _, v := range b.EmailDomains {
		name, open := strings.CutSuffix(v, "."+rest)
		name, _ = domains.ToASCII(name)
		if open {
			l.heads = append(l.heads, name+".")
		} else {
			l.hosts[name] = true
		}
	}
	return l
}

// emptyHashes are the digests of the empty text as programs write them.
func emptyHashes() []string {
	m, s1, s2 := md5.Sum(nil), sha1.Sum(nil), sha256.Sum256(nil)
	var all []string
	for _, d := range [][]byte{m[:], s1[:], s2[:]} {
		all = append(all, hex.EncodeToString(d))
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			all = append(all, e.EncodeToString(d))
		}
	}
	return all
}

// generic asks the rules that hold in every namespace, within as many pairs of quotes as there are.
func (l *blockList) generic(text string) BlockRule {
	for {
		if r := l.bare(text); r != BlockNone {
			return r
		}
		inner, ok := unquote(text)
		if !ok {
			return BlockNone
		}
		if text = trim(inner); text == "" {
			return BlockQuotes
		}
	}
}

func (l *blockList) bare(text string) BlockRule {
	if r := l.word(text); r != BlockNone {
		return r
	}
	if onlyZeros(text) {
		return BlockZeros
	}
	if l.repeated(text) {
		return BlockRepeated
	}
	return BlockNone
}

func (l *blockList) word(text string) BlockRule {
	if !isASCII(text) {
		return l.words[l.folder.fold(text)]
	}
	if !l.lengths[min(len(text), maxWord)] {
		return BlockNone
	}
	var buf [maxWord]byte
	lower := buf[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower = append(lower, c)
	}
	return l.words[string(lower)]
}

func onlyZeros(s string) bool {
	for _, r := range s {
		if r != '0' && r != '-' && !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

// repeated reports a text of one character, case aside.
func (l *blockList) repeated(s string) bool {
	if len(s) < minRepeated || s[0]|0x20 != s[1]|0x20 && s[0] < utf8.RuneSelf && s[1] < utf8.RuneSelf {
		return false // nearly always
	}
	first, _ := utf8.DecodeRuneInString(s)
	first = unicode.ToLower(first)
	n := 0
	for _, r := range s {
		if unicode.ToLower(r) != first {
			return false
		}
		n++
	}
	return n >= minRepeated
}

// unquote takes off a quotation mark at either end. Languages pair them in their own ways («a», »a«, ’a’), so any two do.
func unquote(s string) (string, bool) {
	if s == "" || isQuoteless(s[0]) {
		return "", false
	}
	first, n := utf8.DecodeRuneInString(s)
	last, m := utf8.DecodeLastRuneInString(s)
	if n+m > len(s) || !strings.ContainsRune(quotes, first) || !strings.ContainsRune(quotes, last) {
		return "", false
	}
	return s[n : len(s)-m], true
}

// isQuoteless reports a first byte with which no quotation mark begins.
func isQuoteless(c byte) bool { return c != '"' && c != '\'' && c != '`' && c < utf8.RuneSelf }

// address asks the rules for e-mail addresses.
func (l *blockList) address(f form) BlockRule {
	local, host, _ := strings.Cut(f.value, "@")
	if !isASCII(local) {
		local = l.folder.fold(local)
	}
	for name := local; name != ""; name = name[:len(name)-1] {
		if l.names[name] {
			return BlockEmailName
		}
		if c := name[len(name)-1]; c < '0' || c > '9' {
			break
		}
	}
	if l.hosts[host] {
		return BlockEmailHost
	}
	for _, head := range l.heads {
		if strings.HasPrefix(host, head) {
			return BlockEmailHost
		}
	}
	return BlockNone
}

// digits asks the rule for documents and tax ids.
func (l *blockList) digits(f form) BlockRule {
	if sequence(f.national) || strings.HasPrefix(f.national, "0") && sequence(f.national[1:]) {
		return BlockSequence
	}
	return BlockNone
}

// number asks the rules for phone numbers, where the calling code is no part of what is looked at.
func (l *blockList) number(f form) BlockRule {
	if l.repeated(f.national) {
		return BlockRepeated
	}
	return l.digits(f)
}

// sequence reports the first 8 or more digits of 1234567890 repeated.
func sequence(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '0'+byte((i+1)%10) {
			return false
		}
	}
	return len(s) >= minSequence
}
