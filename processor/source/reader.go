package source

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"kinfold/processor/interaction"
)

const byteOrderMark = "\uFEFF"

// reader reads JSON (RFC 8259) in one pass. Its methods expect to stand at the first byte of what they read, and leave
// off right behind it.
type reader struct {
	text  string
	at    int
	depth int
}

// newReader copies value once: every string without an escape is then a part of that copy. A byte order mark before the value, as
// programs of Windows write it, is passed over (RFC 8259 section 8.1).
func newReader(value []byte) (reader, *interaction.Reject) {
	r := reader{}
	switch {
	case len(value) > MaxJSONBytes:
		return r, &interaction.Reject{Reason: interaction.ReasonTooLarge,
			Detail: fmt.Sprintf("%d bytes, more than %d", len(value), MaxJSONBytes)}
	case !utf8.Valid(value):
		return r, r.unparsable("not UTF-8")
	}
	r.text = string(bytes.TrimPrefix(value, []byte(byteOrderMark)))
	return r, nil
}

// unparsable says where, never what: it may be somebody's address.
func (r *reader) unparsable(what string) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: what + " (at byte " + strconv.Itoa(r.at) + ")"}
}

// peek returns the next byte, or 0 at the end.
func (r *reader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// object reads an object; member is called at the value of each member and must read it.
func (r *reader) object(member func(name string) *interaction.Reject) *interaction.Reject {
	if rej := r.enter(); rej != nil {
		return rej
	}
	if r.peek() == '}' {
		return r.leave()
	}
	for {
		if r.peek() != '"' {
			return r.unparsable("the name of a member expected")
		}
		name, rej := r.string()
		if rej != nil {
			return rej
		}
		r.space()
		if r.peek() != ':' {
			return r.unparsable("a colon expected")
		}
		r.at++
		r.space()
		if rej := member(name); rej != nil {
			return rej
		}
		if done, rej := r.next('}'); done || rej != nil {
			return rej
		}
	}
}

// items reads an array; item is called at each item and must read it.
func (r *reader) items(item func(i int) *interaction.Reject) *interaction.Reject {
	if rej := r.enter(); rej != nil {
		return rej
	}
	if r.peek() == ']' {
		return r.leave()
	}
	for i := 0; ; i++ {
		if rej := item(i); rej != nil {
			return rej
		}
		if done, rej := r.next(']'); done || rej != nil {
			return rej
		}
	}
}

func (r *reader) enter() *interaction.Reject {
	if r.depth++; r.depth > MaxDepth {
		return r.unparsable("nested deeper than " + strconv.Itoa(MaxDepth))
	}
	r.at++
	r.space()
	return nil
}

func (r *reader) leave() *interaction.Reject {
	r.depth--
	r.at++
	return nil
}

// next reads a comma, or the closing bracket.
func (r *reader) next(closing byte) (done bool, _ *interaction.Reject) {
	r.space()
	switch r.peek() {
	case closing:
		return true, r.leave()
	case ',':
		r.at++
		r.space()
		return false, nil
	}
	return false, r.unparsable("a comma or " + string(rune(closing)) + " expected")
}

// null reads null if it comes, and reports it.
func (r *reader) null() bool { return r.peek() == 'n' && r.literal("null") == nil }

func (r *reader) literal(word string) *interaction.Reject {
	if len(r.text)-r.at < len(word) || r.text[r.at:r.at+len(word)] != word {
		return r.unparsable("a value expected")
	}
	r.at += len(word)
	return nil
}

// skip reads any value.
func (r *reader) skip() *interaction.Reject {
	switch c := r.peek(); {
	case c == '{':
		return r.object(func(string) *interaction.Reject { return r.skip() })
	case c == '[':
		return r.items(func(int) *interaction.Reject { return r.skip() })
	case c == '"':
		_, rej := r.string()
		return rej
	case c == 't':
		return r.literal("true")
	case c == 'f':
		return r.literal("false")
	case c == '-' || '0' <= c && c <= '9':
		_, rej := r.number()
		return rej
	}
	return r.literal("null")
}

// number reads a number and returns it as it stands.
func (r *reader) number() (string, *interaction.Reject) {
	n := numberLen(r.text[r.at:])
	if n == 0 {
		return "", r.unparsable("bad number")
	}
	s := r.text[r.at : r.at+n]
	r.at += n
	return s, nil
}

// string reads a string.
func (r *reader) string() (string, *interaction.Reject) {
	start := r.at + 1
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.at = i + 1
			return r.text[start:i], nil
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.at = i
			return "", r.unparsable("a control character in a string")
		}
	}
	r.at = len(r.text)
	return "", r.unparsable("the end of a string is missing")
}

// escaped reads on from the first backslash.
func (r *reader) escaped(start, i int) (string, *interaction.Reject) {
	b := append(make([]byte, 0, i-start+32), r.text[start:i]...)
	r.at = i
	for r.at < len(r.text) {
		c := r.text[r.at]
		switch {
		case c == '"':
			r.at++
			return string(b), nil
		case c < ' ':
			return "", r.unparsable("a control character in a string")
		case c != '\\':
			b = append(b, c)
			r.at++
		default:
			char, n := unescape(r.text[r.at:])
			if n == 0 {
				return "", r.unparsable("bad escape")
			}
			b = utf8.AppendRune(b, char)
			r.at += n
		}
	}
	return "", r.unparsable("the end of a string is missing")
}

// unescape reads the escape at the beginning of s. A length of 0: it is none, or half a surrogate pair. Half a pair is
// no character, and a replacement for it would make one of values that differ.
func unescape(s string) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		first, ok := hex4(s)
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(first) {
			return first, 6
		}
		second, ok := hex4(s[6:])
		if char := utf16.DecodeRune(first, second); ok && char != utf8.RuneError {
			return char, 12
		}
	}
	return 0, 0
}

// hex4 reads \uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var v rune
	for i := 2; i < 6; i++ {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | rune(c)
	}
	return v, true
}
