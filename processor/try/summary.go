package try

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/page"
)

// summary tells what became of all records.
func (t *Trial) summary() {
	c, p := &t.counts, t.page
	p.Line("%s", p.Paint(page.Bold, "Summary"))
	t.figure("records", c.Records, "")
	if c.Broken > 0 {
		t.figure("broken lines", c.Broken, "")
	}
	t.figure("interactions", c.Interactions, "")
	t.figure("directives", c.Directives, "")
	t.figure("ignored", total(c.Ignores), byCount(c.Ignores))
	t.figure("rejected", total(c.Rejects), byCount(c.Rejects))
	if len(c.Identifiers) == 0 {
		return
	}
	var parts []string
	n := 0
	for _, o := range []interaction.Outcome{interaction.OutcomeNone, interaction.OutcomeConflict, interaction.OutcomeBlocked, interaction.OutcomeInvalid} {
		if c.Identifiers[o] > 0 {
			n += c.Identifiers[o]
			parts = append(parts, fmt.Sprintf("%s %d", verdictName(o), c.Identifiers[o]))
		}
	}
	t.figure("identifiers", n, strings.Join(parts, ", "))
}

func verdictName(o interaction.Outcome) string { return cmp.Or(o.String(), "usable") }

func (t *Trial) figure(what string, n int, detail string) {
	for i, l := range page.Wrap(detail, page.Columns-28) {
		if i == 0 {
			t.page.Line("  %s %s   %s", page.Left(what, 14), page.Right(fmt.Sprint(n), 7), l)
			continue
		}
		t.page.Line("%s%s", strings.Repeat(" ", 27), l)
	}
}

// byCount lists reasons, the most frequent first.
func byCount(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(names, ", ")
}
