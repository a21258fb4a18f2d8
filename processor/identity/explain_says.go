package identity

import (
	"fmt"
	"strings"

	"kinfold/processor/interaction"
)

// The sentences of the answers, for people who do not know the words of identity.md.

// kindText names a kind of identifiers: a namespace, with its domain where it has one.
func kindText(of interaction.Named) string {
	if of.Domain == "" {
		return of.Namespace
	}
	return strings.TrimSuffix(of.String(), ":")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func list(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

// figures are counts as "5 user@S01, at most 3".
func figures(counts []Count) string {
	var parts []string
	for _, c := range counts {
		text := fmt.Sprintf("%d %s", c.Count, c.Of)
		if c.AtMost != nil {
			text += fmt.Sprintf(" (at most %d)", *c.AtMost)
		}
		parts = append(parts, text)
	}
	return list(parts)
}

func notTogether(a *WhyAnswer, noA, noB bool) string {
	switch {
	case noA && noB:
		return "Neither identifier has occurred in this realm."
	case noA:
		return a.A.String() + " has not occurred in this realm."
	case noB:
		return a.B.String() + " has not occurred in this realm."
	}
	return "They are not one customer: ask why-not."
}

func together(a *WhyAnswer) string {
	if len(a.Chain) == 0 {
		return "They are one identifier, of customer " + string(a.Customer.ID) + "."
	}
	if len(a.Chain) == 1 {
		return fmt.Sprintf("They are one customer, %s: one tie joins them.", a.Customer.ID)
	}
	return fmt.Sprintf("They are one customer, %s: %d ties lead from one to the other.", a.Customer.ID, len(a.Chain))
}

func identifierSays(a *IdentifierAnswer) string {
	var b strings.Builder
	switch a.Status {
	case Unknown:
		fmt.Fprintf(&b, "It has not occurred in realm %s", a.Realm)
		if a.IgnoredUntil != nil {
			fmt.Fprintf(&b, " since it was erased: what occurred until %s is ignored", a.IgnoredUntil)
		}
		b.WriteByte('.')
	case Retracted:
		b.WriteString("A directive retracted it: it is a customer of its own, and its evidence counts for nobody.")
	case Shared:
		fmt.Fprintf(&b, "Too many people have it, so that it names nobody: %s. It is a customer of its own, and its evidence joins nobody.", overText(a.Counts))
	default:
		fmt.Fprintf(&b, "It belongs to customer %s, with %s in all.", a.Customer.ID, plural(a.Customer.Size, "identifier", "identifiers"))
	}
	for _, d := range a.Directives {
		if d.Waiting {
			fmt.Fprintf(&b, " Directive %s waits.", d.ID)
		}
	}
	return b.String()
}

func overText(counts []Count) string {
	var over []Count
	for _, c := range counts {
		if c.Over {
			over = append(over, c)
		}
	}
	return "it occurred with " + figures(over)
}

func customerSays(a *CustomerAnswer) string {
	who := "a customer known by a code, card, document or address"
	switch {
	case len(a.Members) == 1 && a.Members[0].Status == Shared:
		who = "a shared identifier, which stands for itself"
	case len(a.Members) == 1 && a.Members[0].Status == Retracted:
		who = "a retracted identifier, which stands for itself"
	case !a.Customer.Known:
		who = "a visitor known by devices only"
	}
	if a.Ended {
		return fmt.Sprintf("This id has ended. It was the mark of %s, which belongs to customer %s now: %s, with %s.",
			a.Founder, a.Customer.ID, who, plural(a.Customer.Size, "identifier", "identifiers"))
	}
	return fmt.Sprintf("It is %s, with %s. Its id is the mark of %s.", who, plural(a.Customer.Size, "identifier", "identifiers"), a.Founder)
}

func directiveSays(a *DirectiveAnswer) string {
	changes := plural(a.Total, "customer", "customers")
	switch {
	case a.Effect == Superseded.String():
		return "It has no effect: a directive about the same identifiers was issued later, and counts instead."
	case a.Effect == Ignored.String():
		return "It has no effect: it names an identifier that was erased after it was issued."
	case a.DryRun:
		return fmt.Sprintf("It was a dry run. It would have changed %s, and done nothing else.", changes)
	case a.Total == 0:
		return "It counts, and changed no customer when it arrived: the identifiers had not occurred, or it ordered what was so already."
	}
	return fmt.Sprintf("It counts, and changed %s when it arrived.", changes)
}

func unknownSays(name interaction.Named, erased bool, until Time, notes []DirectiveNote) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has not occurred in this realm", name)
	if erased {
		fmt.Fprintf(&b, " since it was erased: what occurred until %s is ignored", until)
	}
	b.WriteByte('.')
	for _, d := range notes {
		if d.Waiting {
			fmt.Fprintf(&b, " Directive %s (%s) waits for it.", d.ID, d.Kind)
		}
	}
	return b.String()
}

func apartSays(o *Obstacle) string {
	if o.Kind == ByRetracted {
		var ids []string
		for _, d := range o.Directives {
			ids = append(ids, d.ID)
		}
		return fmt.Sprintf("%s is retracted by directive %s: its evidence counts for nobody.", o.At, list(ids))
	}
	return fmt.Sprintf("%s is shared by too many: it occurred with %s. Its evidence joins nobody.", o.At, figures(o.Counts))
}

func refusedSays(o *Obstacle) string {
	if o.Kind == ByDevice {
		var both []string
		for _, c := range o.Counts {
			both = append(both, c.Of)
		}
		return fmt.Sprintf("A device alone does not join two known customers: %s and %s both have %s of their own.",
			o.Customers[0], o.Customers[1], list(both))
	}
	return fmt.Sprintf("Together, customers %s and %s would have %s.", o.Customers[0], o.Customers[1], figures(o.Counts))
}

func separatedSays(o *Obstacle) string {
	var ids []string
	for _, d := range o.Directives {
		ids = append(ids, fmt.Sprintf("%s of %s", d.ID, d.IssuedAt))
	}
	return fmt.Sprintf("Directive %s keeps the two apart, whatever the evidence says.", list(ids))
}

func cappedSays(o *Obstacle) string {
	return fmt.Sprintf("What surrounds the two is %s. Evidence that would have tied them together was not stored: look for rejects with reason component_cap.", figures(o.Counts))
}

func whyNotSays(a *WhyNotAnswer) string {
	if a.Together {
		return "They are one customer: ask why."
	}
	var b strings.Builder
	switch {
	case a.RouteCount == 0 && len(a.Reasons) > 0:
		b.WriteString("They are not one customer, and no evidence connects them.")
	case a.RouteCount == 0:
		fmt.Fprintf(&b, "They are not one customer: no evidence connects them, not even over %d ties that do not join.", MaxCrossings)
	case a.RouteCount == 1:
		b.WriteString("They are not one customer. Evidence leads from one to the other on one way, and something keeps it from joining.")
	default:
		fmt.Fprintf(&b, "They are not one customer. Evidence leads from one to the other on %d ways, and on each of them something keeps it from joining.",
			a.RouteCount)
	}
	if a.Incomplete {
		b.WriteString(" There was more than one answer can look at: other ways may exist.")
	}
	return b.String()
}
