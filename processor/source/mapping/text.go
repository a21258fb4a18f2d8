package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"kinfold/processor/source"
)

// trim takes Unicode White_Space, Cc and Cf off both ends.
func trim(s string) string {
	if s == "" || plainEnd(s[0]) && plainEnd(s[len(s)-1]) {
		return s
	}
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) })
}

// plainEnd reports a byte of ASCII that trim does not take.
func plainEnd(c byte) bool { return ' ' < c && c < 0x7F }

// isBlank reports bytes that are UTF-8 and nothing but white space.
func isBlank(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 || !unicode.IsSpace(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

// textOf is a value as text, trimmed. False: it has none, because it is absent, null, empty, an object or array, or a number of
// more than MaxNumberChars. A text that is longer than MaxTextBytes even before it is trimmed comes as it is.
func (x *run) textOf(n source.Node) (string, bool) {
	switch x.tree.Kind(n) {
	case source.TextNode:
		raw := x.tree.Text(n)
		if len(raw) > MaxTextBytes+maxPadding {
			return raw, true
		}
		s := trim(raw)
		x.output += len(raw) - len(s)
		return s, s != ""
	case source.NumberNode:
		literal := x.tree.Text(n)
		if len(literal) > maxNumberLiteral {
			return "", false
		}
		s, ok := source.DecimalText(literal)
		return s, ok && len(s) <= MaxNumberChars
	case source.TrueNode:
		return "true", true
	case source.FalseNode:
		return "false", true
	}
	return "", false
}

const (
	// maxPadding is how much space around a text is looked at when its length is judged.
	maxPadding = 1 << 10
	// maxNumberLiteral is the length of a number above which it is not written out: nearly all of it would be zeros.
	maxNumberLiteral = 1 << 10
)

// exists is what a condition asks: there, not null, not empty. Objects and arrays are empty without a child.
func exists(t *source.Tree, n source.Node) bool {
	switch t.Kind(n) {
	case source.AbsentNode, source.NullNode:
		return false
	case source.TextNode:
		return len(t.Text(n)) > maxPadding || trim(t.Text(n)) != ""
	case source.ArrayNode, source.ObjectNode:
		return t.First(n) != 0
	}
	return true
}

// snake makes a safe name of free text: lower case, each run of other than letters and digits one _, none at the ends.
func snake(s string) string {
	if isSnake(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	gap := false
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// isSnake reports a text that snake leaves as it is: the common case.
func isSnake(s string) bool {
	under := true
	for _, c := range []byte(s) {
		if c == '_' {
			if under {
				return false
			}
			under = true
			continue
		}
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
		under = false
	}
	return !under || s == ""
}

// appendEscaped appends a part of a key: % and | become %25 and %7C, so that no two lists of parts make one key.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '%':
			b = append(b, "%25"...)
		case '|':
			b = append(b, "%7C"...)
		default:
			b = append(b, c)
		}
	}
	return b
}
