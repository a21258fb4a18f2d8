// Package page lays out text for a terminal: columns of a known width, lines that are broken at spaces, colours where they are
// wanted.
package page

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Columns is the width of all that is printed.
const Columns = 100

// wide lists the blocks whose characters take two columns in a terminal: East Asian wide and full-width forms, and emoji.
var wide = []struct{ from, to rune }{
	{0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0x33FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xA000, 0xA4CF}, {0xAC00, 0xD7A3},
	{0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD},
}

// Width is the number of columns that a text takes in a terminal. Accents that stand for themselves take none.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if r < 0x300 {
		if r < 0x20 || r >= 0x7F && r < 0xA0 || r == 0xAD {
			return 0
		}
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	for _, b := range wide {
		if b.from <= r && r <= b.to {
			return 2
		}
	}
	return 1
}

// Clip shortens a text to at most n columns, with an ellipsis in place of what is gone. Control characters go, too:
// values come from the world, and a terminal obeys them.
func Clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	if Width(s) <= n {
		return s
	}
	w := 0
	for i, r := range s {
		if w += runeWidth(r); w > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// Left pads a text to n columns on its right, clipping it where it is longer.
func Left(s string, n int) string {
	s = Clip(s, n)
	return s + strings.Repeat(" ", n-Width(s))
}

// Right pads a text to n columns on its left.
func Right(s string, n int) string { return strings.Repeat(" ", max(0, n-Width(s))) + s }

// Wrap breaks a text at spaces into lines of at most n columns. A word that is longer is clipped.
func Wrap(s string, n int) []string {
	var lines []string
	line, w := "", 0
	for _, word := range strings.Fields(s) {
		word = Clip(word, n)
		ww := Width(word)
		if line != "" && w+1+ww > n {
			lines = append(lines, line)
			line, w = "", 0
		}
		if line != "" {
			line, w = line+" ", w+1
		}
		line, w = line+word, w+ww
	}
	return append(lines, line)
}

// WrapList puts parts, with commas between them, into lines of at most n columns; a part stays in one line.
func WrapList(parts []string, n int) []string {
	var lines []string
	line := ""
	for i, part := range parts {
		if i < len(parts)-1 {
			part = Clip(part, n-1) + ","
		}
		part = Clip(part, n)
		switch {
		case line == "":
			line = part
		case Width(line)+1+Width(part) > n:
			lines = append(lines, line)
			line = part
		default:
			line += " " + part
		}
	}
	return append(lines, line)
}

// Page writes lines, in colours where they are wanted, and keeps the first error.
type Page struct {
	w      io.Writer
	colour bool
	err    error
}

// New returns a page that is written to w.
func New(w io.Writer, colour bool) *Page { return &Page{w: w, colour: colour} }

// Err is the first error of writing.
func (p *Page) Err() error { return p.err }

// Line writes a line, without spaces at its end.
func (p *Page) Line(format string, args ...any) {
	if p.err == nil {
		text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
		_, p.err = io.WriteString(p.w, text+"\n")
	}
}

// Colour is an ANSI code.
type Colour string

// The colours in use.
const (
	Bold    Colour = "1"
	Dim     Colour = "2"
	Red     Colour = "31"
	Green   Colour = "32"
	Yellow  Colour = "33"
	Blue    Colour = "34"
	Magenta Colour = "35"
	Cyan    Colour = "36"
)

// Paint puts a text into a colour, if it is given one. Pad first: the codes have no width.
func (p *Page) Paint(c Colour, s string) string {
	if !p.colour || c == "" || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// Title writes a line and a rule below it, after an empty line.
func (p *Page) Title(s string) {
	p.Line("")
	p.Line("%s", p.Paint(Bold, s))
	p.Line("%s", p.Paint(Dim, strings.Repeat("─", Columns)))
}
