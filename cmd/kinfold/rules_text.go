package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"kinfold/processor"
)

// page writes a report as text: sections of aligned columns.
type page struct {
	w   *tabwriter.Writer
	err error
}

func newPage(out io.Writer) *page { return &page{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)} }

func (p *page) line(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format+"\n", args...); p.err == nil {
		p.err = err
	}
}

// section begins a section; columns of different sections are not aligned.
func (p *page) section(title string) {
	p.line("")
	p.end()
	p.line("%s", title)
}

func (p *page) end() {
	if err := p.w.Flush(); p.err == nil {
		p.err = err
	}
}

// source says where the evidence comes from.
func (p *page) source(s processor.Source) {
	switch s.Kind {
	case "input":
		p.line("evidence\t%s, %s, %s", s.Name, count(s.Lines, "line"), count(s.Realms, "realm"))
	default:
		p.line("evidence\tstate directory %s, %s, %s", s.Name, count(s.Partitions, "partition"), count(s.Realms, "realm"))
	}
}

func writeDiff(out io.Writer, d *processor.RulesDiff) error {
	p := newPage(out)
	p.source(d.Source)
	p.line("old rules\t%s, version %s", d.Old.File, d.Old.RulesVersion)
	p.line("new rules\t%s, version %s", d.New.File, d.New.RulesVersion)
	switch {
	case d.Mismatches.Any():
		p.line("check\tFAILED: the old rules do not make the stored customers of this evidence: %d ids, %d identifiers, %d edges differ",
			d.Mismatches.CustomerIDs, d.Mismatches.Identifiers, d.Mismatches.Edges)
	case d.Source.Kind == "state":
		p.line("check\tthe old rules make exactly the stored customers of this evidence")
	}
	if d.Same() {
		p.line("result\tnothing differs")
	}
	p.totals(d)
	p.cases(d)
	p.changes(d)
	if len(d.Limits) > 0 {
		p.section("What this answer does not cover")
		for _, text := range d.Limits {
			p.line("- %s", text)
		}
	}
	p.examples(d)
	p.end()
	return p.err
}

func (p *page) totals(d *processor.RulesDiff) {
	p.section("In all\told\tnew")
	row := func(name string, old, new int, always bool) {
		if always || old+new > 0 {
			p.line("  %s\t%d\t%d", name, old, new)
		}
	}
	row("customers", d.Old.Customers, d.New.Customers, true)
	row("identifiers", d.Old.Identifiers, d.New.Identifiers, true)
	row("shared identifiers", d.Old.Shared, d.New.Shared, true)
	row("retracted identifiers", d.Old.Retracted, d.New.Retracted, false)
	row("edges", d.Old.Edges, d.New.Edges, true)
	row("refused edges", d.Old.Conflicts, d.New.Conflicts, true)
	row("directives in force", d.Old.Directives, d.New.Directives, false)
	row("components above component_limit", d.Old.Oversized, d.New.Oversized, false)
	row("events", d.Old.Events, d.New.Events, false)
	row("ambiguous events", d.Old.Ambiguous, d.New.Ambiguous, false)
	reasons := map[string]bool{}
	for r := range d.Old.Rejects {
		reasons[string(r)] = true
	}
	for r := range d.New.Rejects {
		reasons[string(r)] = true
	}
	for r := range d.Old.Rejects {
		row("rejects "+string(r), d.Old.Rejects[r], d.New.Rejects[r], false)
		delete(reasons, string(r))
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		for r, n := range d.New.Rejects {
			if string(r) == reason {
				row("rejects "+reason, 0, n, false)
			}
		}
	}
}

// caseMeanings explains the kinds of cases to who sees them for the first time.
var caseMeanings = map[processor.CaseKind]string{
	processor.CaseUnchanged: "the same id, the same identifiers",
	processor.CaseChanged:   "the same id, other identifiers",
	processor.CaseRenamed:   "another id",
	processor.CaseMerged:    "several become one",
	processor.CaseSplit:     "one becomes several",
	processor.CaseRegrouped: "several become several others",
	processor.CaseEnded:     "none of its identifiers names a customer any more",
	processor.CaseCreated:   "none of its identifiers named a customer before",
}

func (p *page) cases(d *processor.RulesDiff) {
	p.section("Customers\tcases\tcustomers\tidentifiers\t")
	for _, c := range d.Customers {
		p.line("  %s\t%d\t%s\t%s\t%s", c.Kind, c.Cases, arrow(c.CustomersBefore, c.CustomersAfter), arrow(c.IdentifiersBefore, c.IdentifiersAfter), caseMeanings[c.Kind])
	}
}

func arrow(before, after int) string {
	if before == after {
		return fmt.Sprint(before)
	}
	return fmt.Sprintf("%d → %d", before, after)
}

func (p *page) changes(d *processor.RulesDiff) {
	if len(d.Changed) > 0 {
		p.section("Identifiers\tnamespace\tcount")
		for _, c := range d.Changed {
			p.line("  %s\t%s\t%d", c.Change, c.Namespace, c.Count)
		}
	}
	if len(d.Edges) > 0 {
		p.section("Edges before\tafter\tcount")
		for _, c := range d.Edges {
			p.line("  %s\t%s\t%d", standing(c.Before), standing(c.After), c.Count)
		}
	}
	if len(d.Directives) > 0 {
		p.section("Directives that the new rules reject\tcount")
		for _, reason := range slices.Sorted(maps.Keys(d.Directives)) {
			p.line("  %s\t%d", reason, d.Directives[reason])
		}
	}
}

// standing puts what became of an edge into words.
func standing(name string) string {
	switch name {
	case "accepted", "absent":
		return name
	case "shared", "retracted":
		return "inactive: an end is " + name
	}
	return "refused: " + name
}

func (p *page) examples(d *processor.RulesDiff) {
	if len(d.Examples.Customers) > 0 {
		p.section("Examples of customers")
		for _, e := range d.Examples.Customers {
			p.end()
			p.line("  %s", e.Kind)
			p.customers("before", e.Before, e.CustomersBefore)
			p.customers("after", e.After, e.CustomersAfter)
		}
	}
	if len(d.Examples.Identifiers) > 0 {
		p.section("Examples of identifiers")
		for _, e := range d.Examples.Identifiers {
			switch {
			case e.Now != "":
				p.line("  %s\t%s\t→ %s", e.Identifier, e.Change, e.Now)
			default:
				p.line("  %s\t%s\t%s", e.Identifier, e.Change, list(e.Counts))
			}
		}
	}
	if len(d.Examples.Edges) > 0 {
		p.section("Examples of edges")
		for _, e := range d.Examples.Edges {
			p.line("  %s\t%s\t%s → %s\tevent %s of %s", e.Root, e.Other, standing(e.Before), standing(e.After), e.EventID, e.Source)
		}
	}
}

func (p *page) customers(when string, customers []processor.CustomerExample, total int) {
	for _, c := range customers {
		for i, m := range c.Members {
			id := string(c.CustomerID)
			if i > 0 {
				when, id = "", ""
			}
			p.line("    %s\t%s\t%s", when, id, m)
		}
		if more := c.Total - len(c.Members); more > 0 {
			p.line("    \t\tand %s more", count(more, "identifier"))
		}
		when = ""
	}
	if more := total - len(customers); more > 0 {
		p.line("    \tand %s more", count(more, "customer"))
	}
}

func writeLint(out io.Writer, l *processor.RulesLint) error {
	p := newPage(out)
	p.source(l.Source)
	p.line("rules\t%s, version %s", l.Rules.File, l.Rules.RulesVersion)
	p.line("found\t%s, %s, %s, %s", count(l.Rules.Customers, "customer"), count(l.Rules.Identifiers, "identifier"), count(l.Rules.Edges, "edge"),
		count(len(l.Findings), "finding"))
	p.section("What customers hold\tidentifiers\tshared\talone\tcustomers\thalf up to\t99 % up to\tat most\tallowed\tfull")
	for _, s := range l.Namespaces {
		if s.Identifiers > 0 {
			p.line("  %s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d", s.Namespace, s.Identifiers, s.Shared, s.Alone, s.Customers, s.P50, s.P99, s.Max, s.AtMost, s.Full)
		}
	}
	for _, f := range l.Findings {
		mark := "note"
		if f.Matters {
			mark = "MATTERS"
		}
		p.section(fmt.Sprintf("%s: %s: %s", mark, f.Check, f.What))
		for _, e := range f.Examples {
			p.line("    %s", e)
		}
		if more := f.Count - len(f.Examples); more > 0 && len(f.Examples) > 0 {
			p.line("    and %d more", more)
		}
		p.line("  next: %s", f.Next)
	}
	if len(l.Limits) > 0 {
		p.section("What this answer does not cover")
		for _, text := range l.Limits {
			p.line("- %s", text)
		}
	}
	p.end()
	return p.err
}

func list(texts []string) string {
	out := ""
	for i, t := range texts {
		if i > 0 {
			out += "; "
		}
		out += t
	}
	return out
}
