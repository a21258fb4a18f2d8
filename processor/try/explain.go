package try

import (
	"fmt"
	"io"
	"strings"

	"kinfold/processor/page"
	"kinfold/schemas/sources"
)

// List tells which mappings there are, a line each.
func List(w io.Writer, colour bool) error {
	rows := [][4]string{{"NAME", "SYSTEM", "RECORD", "DUPLICATES BY"}}
	for _, name := range sources.Names() {
		a, err := sources.Describe(name)
		if err != nil {
			return err
		}
		rows = append(rows, [4]string{name, a.System, plain(a.Record), plain(a.Duplicates)})
	}
	var widths [4]int
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], page.Width(cell))
		}
	}
	p := page.New(w, colour)
	for i, row := range rows {
		var cells [4]string
		for j, cell := range row {
			switch cells[j] = page.Left(cell, widths[j]); {
			case i == 0:
				cells[j] = p.Paint(page.Dim, cells[j])
			case j == 0:
				cells[j] = p.Paint(page.Bold, cells[j])
			}
		}
		p.Line("%s", strings.Join(cells[:], "  "))
	}
	p.Line("")
	p.Line("kinfold sources NAME explains one, kinfold try NAME --input FILE shows what it makes of your records.")
	return p.Err()
}

// plain is a text without the marks of Markdown.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// Explain tells what a mapping is, what to watch with its source, and how to make it one's own; then it prints the file, with the
// numbers of its lines, which a Trial names.
func Explain(w io.Writer, name string, colour bool) error {
	a, err := sources.Describe(name)
	if err != nil {
		return err
	}
	text, err := sources.Read(name)
	if err != nil {
		return err
	}
	p := page.New(w, colour)
	paragraph := func(text string) {
		for _, l := range page.Wrap(plain(text), page.Columns) {
			p.Line("%s", l)
		}
		p.Line("")
	}
	p.Line("%s", p.Paint(page.Bold, name))
	paragraph(a.Head)
	for _, f := range [][2]string{{"Record", a.Record}, {"Duplicates by", a.Duplicates}, {"Customer by", a.Customer}, {"Put your own", a.Own}} {
		if f[1] != "" {
			p.Line("%s  %s", p.Paint(page.Dim, page.Left(f[0], labelWidth)), plain(f[1]))
		}
	}
	p.Line("")
	p.Line("%s", p.Paint(page.Bold, "What to watch"))
	paragraph(strings.ToUpper(a.Watch[:1]) + a.Watch[1:])

	p.Line("%s", p.Paint(page.Bold, "Make it your own"))
	paragraph("Write what differs into a file. inputs replace as a whole, values of let and defaults by name, and rules come before those below.")
	file := "my-" + name + ".yaml"
	p.Line("%s", p.Paint(page.Dim, "    # "+file))
	for line := range strings.Lines(sources.Example(name)) {
		p.Line("    %s", strings.TrimSuffix(line, "\n"))
	}
	p.Line("")
	p.Line("    kinfold try %s --input records.jsonl", file)
	p.Title(name + ".yaml")
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		p.Line("%s  %s", p.Paint(page.Dim, page.Right(fmt.Sprint(n), 4)), strings.TrimSuffix(line, "\n"))
	}
	return p.Err()
}
