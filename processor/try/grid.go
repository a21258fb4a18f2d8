package try

import (
	"fmt"
	"path/filepath"
	"strings"

	"kinfold/processor/page"
	"kinfold/processor/source/mapping"
)

// The columns of what is told of an item.
const (
	indent     = 4
	labelWidth = 14 // of notes
	maxField   = 28
	maxValue   = 50
	maxVerdict = 24
	maxExpr    = 32
)

// grid is a table of fields whose columns are as wide as what they hold.
type grid struct {
	page *page.Page
	rows []gridRow
}

type gridRow struct {
	field, value, verdict, expr, at string
	more                            []string // lines below the value
}

// add appends a row: a field, its value, what the rules say, and what filled it.
func (g *grid) add(field, value, verdict string, f mapping.FieldTrace) {
	at := ""
	if f.File != "" {
		at = fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
	}
	g.rows = append(g.rows, gridRow{field, value, verdict, f.Expr, at, nil})
}

// more appends a line below the last row.
func (g *grid) more(text string) {
	last := &g.rows[len(g.rows)-1]
	last.more = append(last.more, text)
}

// print writes the table and returns the width of its first column.
func (g *grid) print() int {
	var field, value, verdict, expr int
	for _, r := range g.rows {
		field = max(field, min(page.Width(r.field), maxField))
		value = max(value, min(page.Width(r.value), maxValue))
		verdict = max(verdict, min(page.Width(r.verdict), maxVerdict))
		expr = max(expr, min(page.Width(r.expr), maxExpr))
	}
	field = max(field, labelWidth)
	for _, r := range g.rows {
		line := strings.Repeat(" ", indent) + page.Left(r.field, field) + "  " + page.Left(r.value, value) + "  "
		if verdict > 0 {
			line += g.page.Paint(colourOf(r.verdict), page.Left(r.verdict, verdict)) + "  "
		}
		g.page.Line("%s", line+g.page.Paint(page.Dim, page.Left(r.expr, expr)+"  "+r.at))
		for _, m := range r.more {
			for _, l := range page.Wrap(m, page.Columns-indent-field-2) {
				g.page.Line("%s", strings.Repeat(" ", indent+field+2)+g.page.Paint(page.Dim, l))
			}
		}
	}
	return field
}

func colourOf(verdict string) page.Colour {
	if verdict == "usable" {
		return page.Green
	}
	return page.Yellow
}

// note is a line with a label, broken where it is longer than the page.
func (t *Trial) note(label, text string) { t.labelled(label, text, "") }

func (t *Trial) dimNote(label, text string) { t.labelled(label, text, page.Dim) }

func (t *Trial) labelled(label, text string, c page.Colour) {
	width := max(labelWidth, t.noteWidth, page.Width(label))
	for i, l := range page.Wrap(text, page.Columns-indent-width-2) {
		if i > 0 {
			label = ""
		}
		if c != "" {
			t.page.Line("%s", t.page.Paint(c, strings.Repeat(" ", indent)+page.Left(label, width)+"  "+l))
			continue
		}
		t.page.Line("%s%s  %s", strings.Repeat(" ", indent), page.Left(label, width), l)
	}
}
