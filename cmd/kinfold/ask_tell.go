package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"kinfold/processor"
	"kinfold/processor/identity"
	"kinfold/processor/interaction"
)

// plain takes out what a terminal would obey: event ids and values come from sources.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// teller writes an answer as text: sentences and tables.
type teller struct {
	w *tabwriter.Writer
}

func newTeller(out io.Writer) *teller { return &teller{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)} }

// row writes the cells of a table's row.
func (t *teller) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = plain(fmt.Sprint(c))
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(texts, "\t"), "\t"))
}

// say writes a line that is no part of a table, and ends the table before it.
func (t *teller) say(format string, args ...any) {
	_ = t.w.Flush()
	fmt.Fprintln(t.w, plain(fmt.Sprintf(format, args...)))
	_ = t.w.Flush()
}

func (t *teller) space() { t.say("") }

func (t *teller) end() error { return t.w.Flush() }

// by names the cause of a tie or a change.
func by(source, eventID, directiveID string) string {
	if directiveID != "" {
		return "directive " + directiveID
	}
	return "event " + eventID + " of " + source
}

func rule(tie *identity.Tie) string {
	if tie.Verified {
		return tie.Rule + ", verified"
	}
	return tie.Rule
}

func effect(tie *identity.Tie) string {
	if tie.Refused != "" {
		return string(tie.Status) + ": " + tie.Refused
	}
	return string(tie.Status)
}

// way writes ties that lead from an identifier to another, one after the other.
func (t *teller) way(from interaction.Named, ties []identity.Tie) {
	t.row("FROM", "TO", "TIME", "BY", "RULE", "EFFECT")
	for i := range ties {
		tie := &ties[i]
		to := tie.Other
		if from == tie.Other {
			to = tie.Root
		}
		t.row(from, to, tie.FirstSeen, by(tie.Source, tie.EventID, tie.DirectiveID), rule(tie), effect(tie))
		from = to
	}
}

func tellWhy(out io.Writer, a *identity.WhyAnswer) error {
	t := newTeller(out)
	t.say("%s", a.Says)
	if len(a.Chain) > 0 {
		t.space()
		t.way(a.A, a.Chain)
	}
	if len(a.Also) > 0 {
		t.space()
		t.say("What ties them directly, and was not needed:")
		for i := range a.Also {
			t.way(a.A, a.Also[i:i+1])
		}
	}
	return t.end()
}

func tellWhyNot(out io.Writer, a *identity.WhyNotAnswer) error {
	t := newTeller(out)
	t.say("%s", a.Says)
	t.space()
	for _, side := range []struct {
		name interaction.Named
		of   *identity.CustomerRef
	}{{a.A, a.CustomerA}, {a.B, a.CustomerB}} {
		if side.of == nil {
			t.row(side.name, "has not occurred")
		} else {
			t.row(side.name, "is of customer "+string(side.of.ID))
		}
	}
	if len(a.Reasons) > 0 {
		t.space()
		t.row("OBSTACLE", "WHAT IT IS")
		for _, o := range a.Reasons {
			t.row(o.Kind, o.Says)
		}
	}
	for i, r := range a.Routes {
		t.space()
		t.say("Way %d of %d", i+1, a.RouteCount)
		t.way(a.A, r.Ties)
	}
	if left := a.RouteCount - len(a.Routes); left > 0 {
		t.space()
		t.say("and %d more", left)
	}
	return t.end()
}

func (t *teller) ref(c *identity.CustomerRef, realm string) {
	t.row("customer", c.ID)
	t.row("version", c.Version)
	t.row("founder", c.Founder)
	t.row("realm", realm)
}

func tellCustomer(out io.Writer, a *identity.CustomerAnswer) error {
	t := newTeller(out)
	t.say("%s", a.Says)
	t.space()
	if a.Ended {
		t.row("asked for", a.Asked, "ended")
		t.row("its founder", a.Founder)
	}
	t.ref(a.Customer, a.Realm)
	if len(a.Way) > 0 {
		t.space()
		t.say("The way there, from the founder of the id that ended to the founder of the customer:")
		t.way(a.Founder, a.Way)
	}
	if len(a.Former) > 0 {
		t.space()
		t.row("ENDED IN IT", "FOUNDER")
		for _, f := range a.Former {
			t.row(f.ID, f.Founder)
		}
	}
	t.space()
	t.row("IDENTIFIER", "SINCE", "STATUS")
	for _, m := range a.Members {
		t.row(m.Identifier, m.FirstSeen, m.Status)
	}
	if len(a.Refused) > 0 {
		t.space()
		t.say("Ties to other customers that did not join (kinfold ask why-not A B says more):")
		t.row("A", "B", "TIME", "BY", "EFFECT")
		for i := range a.Refused {
			tie := &a.Refused[i]
			t.row(tie.Root, tie.Other, tie.FirstSeen, by(tie.Source, tie.EventID, tie.DirectiveID), effect(tie))
		}
		if left := a.RefusedCount - len(a.Refused); left > 0 {
			t.say("and %d more", left)
		}
	}
	return t.end()
}

func tellIdentifier(out io.Writer, a *identity.IdentifierAnswer) error {
	t := newTeller(out)
	t.say("%s", a.Says)
	t.space()
	t.row("identifier", a.Identifier)
	t.row("status", a.Status)
	t.row("realm", a.Realm)
	if a.Customer != nil {
		t.row("customer", a.Customer.ID)
		t.row("version", a.Customer.Version)
		t.row("first seen", a.FirstSeen)
	}
	if a.IgnoredUntil != nil {
		t.row("ignored until", a.IgnoredUntil)
	}
	if len(a.Counts) > 0 {
		t.space()
		t.row("OCCURRED WITH", "NUMBER", "AT MOST", "")
		for _, c := range a.Counts {
			atMost, over := "any", ""
			if c.AtMost != nil {
				atMost = fmt.Sprint(*c.AtMost)
			}
			if c.Over {
				over = "too many"
			}
			t.row(c.Of, c.Count, atMost, over)
		}
	}
	t.neighbours(a)
	if len(a.Directives) > 0 {
		t.space()
		t.row("DIRECTIVE", "KIND", "ISSUED", "WITH", "NOW")
		for _, d := range a.Directives {
			with := "-"
			if d.With != nil {
				with = d.With.String()
			}
			t.row(d.ID, d.Kind, d.IssuedAt, with, d.State)
		}
	}
	return t.end()
}

func (t *teller) neighbours(a *identity.IdentifierAnswer) {
	if len(a.Neighbours) == 0 {
		return
	}
	t.space()
	t.row("NEIGHBOUR", "CUSTOMER", "TIME", "BY", "EFFECT")
	for i := range a.Neighbours {
		n := &a.Neighbours[i]
		t.row(n.Identifier, n.CustomerID, n.Tie.FirstSeen, by(n.Tie.Source, n.Tie.EventID, n.Tie.DirectiveID), effect(&n.Tie))
	}
	if left := a.Number - len(a.Neighbours); left > 0 {
		least := ""
		if a.AtLeast {
			least = "at least "
		}
		t.say("and %s%d more", least, left)
	}
}

func tellHistory(out io.Writer, h *processor.History) error {
	t := newTeller(out)
	t.say("%s", h.Says)
	t.space()
	t.row("TIME", "VERSION", "KIND", "RULE", "BY", "WHAT")
	for i := range h.Changes {
		t.change(&h.Changes[i])
	}
	if h.End != nil && h.End.Change != nil {
		t.space()
		t.say("The change of %s in which it ended:", h.End.CustomerID)
		t.change(h.End.Change)
	}
	return t.end()
}

func (t *teller) change(c *processor.HistoryChange) {
	cells := []any{c.WrittenAt, c.Version, c.Kind, c.Rule, by(c.Source, c.SourceEventID, c.DirectiveID)}
	what := changed(c)
	if len(what) == 0 {
		what = []string{""}
	}
	for _, line := range what {
		t.row(append(cells, line)...)
		cells = []any{"", "", "", "", ""}
	}
}

// changed lists what a change did, a line each.
func changed(c *processor.HistoryChange) (lines []string) {
	for _, k := range c.Added {
		lines = append(lines, "+ "+named(k))
	}
	for _, k := range c.Removed {
		lines = append(lines, "- "+named(k))
	}
	if n := len(c.RemovedHMAC); n > 0 {
		lines = append(lines, fmt.Sprintf("- erased: %d", n))
	}
	for _, id := range c.Merged {
		lines = append(lines, "into it ended "+string(id))
	}
	for _, id := range c.Split {
		lines = append(lines, "out of it came "+string(id))
	}
	return lines
}

// named shows the key of an identifier as it is written in a question.
func named(key string) string {
	k, err := interaction.ParseKey(key)
	if err != nil {
		return key
	}
	return k.Named().String()
}

func tellDirective(out io.Writer, a *identity.DirectiveAnswer) error {
	t := newTeller(out)
	t.say("%s", a.Says)
	t.space()
	t.row("directive", a.ID)
	t.row("kind", a.Kind)
	t.row("issued", a.IssuedAt)
	t.row("realm", a.Realm)
	effect := a.Effect
	if a.DryRun {
		effect = "dry run"
	}
	t.row("effect", effect)
	if len(a.Changes) > 0 {
		t.space()
		t.row("CUSTOMER", "VERSION", "KIND", "GAINED", "LOST", "ERASED")
		for _, c := range a.Changes {
			t.row(c.CustomerID, c.Version, c.Kind, c.Added, c.Removed, c.Erased)
		}
		if left := a.Total - len(a.Changes); left > 0 {
			t.say("and %d more", left)
		}
	}
	return t.end()
}
