package identity

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// The commands of the story files in testdata/explain are rules and tell of TestStories, and
//
//	direct id=ID [issued=MIN] [dry_run]   one directive: KIND namespace[@store]:value [namespace[@store]:value]
//	identifier NAME                       what is known of it
//	customer FOUNDER | ID                 the customer whose mark a value is
//	why A B, why-not A B                  what joins two identifiers, what keeps them apart
//	directive ID                          what became of it
func TestExplanations(t *testing.T) {
	datadriven.Walk(t, "testdata/explain", func(t *testing.T, path string) {
		s := &questions{story: story{t: t}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
	})
}

type questions struct{ story }

func (s *questions) run(d *datadriven.TestData) string {
	var b strings.Builder
	switch d.Cmd {
	case "direct":
		s.direct(d, &b)
	case "identifier":
		a, err := s.explain().Identifier(s.parse(d.CmdArgs[0].Key))
		s.check(err, a)
		s.identifier(&b, a)
	case "customer":
		s.customer(&b, d.CmdArgs[0].Key)
	case "why":
		a, err := s.explain().Why(s.parse(d.CmdArgs[0].Key), s.parse(d.CmdArgs[1].Key))
		s.check(err, a)
		fmt.Fprintln(&b, a.Says)
		s.ties(&b, "", a.Chain)
		s.ties(&b, "also ", a.Also)
	case "why-not":
		a, err := s.explain().WhyNot(s.parse(d.CmdArgs[0].Key), s.parse(d.CmdArgs[1].Key))
		s.check(err, a)
		s.whyNot(&b, a)
	case "directive":
		a, err := s.explain().Directive(d.CmdArgs[0].Key)
		if a == nil && err == nil {
			return "unknown\n"
		}
		s.check(err, a)
		fmt.Fprintf(&b, "%s %s, %d changes, %d erased\n%s\n", a.Kind, a.Effect, a.Total, a.Erased, a.Says)
	default:
		return s.story.run(d)
	}
	return s.calledByName(b.String())
}

func (s *questions) explain() *Explainer { return s.w.graph.Explain(s.w.mem, "default") }

// check fails on an error, and where the answer is not the same after it was JSON.
func (s *questions) check(err error, answer any) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := json.Marshal(answer); err != nil {
		s.t.Fatal(err)
	}
}

func (s *questions) parse(text string) interaction.Named {
	s.t.Helper()
	n, err := interaction.ParseNamed(text)
	if err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return n
}

// calledByName puts the values of founders in the place of customer ids.
func (s *questions) calledByName(text string) string {
	for id, name := range s.names {
		text = strings.ReplaceAll(text, string(id), "<"+name+">")
	}
	return text
}

func (s *questions) direct(d *datadriven.TestData, b *strings.Builder) {
	o := Order{IssuedAt: 1767225600000}
	d.ScanArgs(s.t, "id", &o.ID)
	minute := int64(100)
	d.MaybeScanArgs(s.t, "issued", &minute)
	o.IssuedAt += 60000 * minute
	words := strings.Fields(d.Input)
	o.Kind = interaction.DirectiveKind(words[0])
	for i, to := range []*interaction.Key{&o.A, &o.B} {
		if i+1 < len(words) {
			*to = s.parse(words[i+1]).In("default")
			s.learn(interaction.Identifier{Namespace: to.Namespace, Domain: to.Domain, Value: to.Value})
		}
	}
	if o.Kind == interaction.DirectiveErase {
		o.Scope = interaction.ScopeIdentifier
	}
	ordered := &interaction.Ordered{Kind: o.Kind, IssuedAt: o.IssuedAt, DryRun: d.HasArg("dry_run")}
	var res *Result
	if ordered.DryRun {
		o.Realm = "default"
		var err error
		if res, err = s.w.r.Direct(s.w.mem, &o); err != nil {
			s.t.Fatal(err)
		}
	} else {
		o.Realm = "default"
		res = s.w.direct(o)
		s.ordered = s.ordered || o.Kind == interaction.DirectiveErase
		s.o.order(o)
		s.did(func(w *world) { w.direct(o) })
	}
	report := NewReport(ordered, res)
	s.w.mem.apply([]table.Row{report.Row("default", o.ID)})
	fmt.Fprintf(b, "%s\n", res.Effect)
	for _, c := range res.Changes {
		fmt.Fprintf(b, "  %s %d %s\n", c.CustomerID, c.Version, c.Kind)
	}
}

func (s *questions) ties(b *strings.Builder, head string, ties []Tie) {
	for _, t := range ties {
		by := t.Source + "/" + t.EventID
		if t.DirectiveID != "" {
			by = "directive " + t.DirectiveID
		}
		status := string(t.Status)
		if t.Refused != "" {
			status += " " + t.Refused
		}
		if t.Verified {
			status += ", verified"
		}
		fmt.Fprintf(b, "  %s%s -- %s: %s, %s of %s (%s)\n", head, t.Root, t.Other, status, t.Rule, by, t.FirstSeen)
	}
}

func (s *questions) notes(b *strings.Builder, notes []DirectiveNote) {
	for _, d := range notes {
		with := ""
		if d.With != nil {
			with = " with " + d.With.String()
		}
		fmt.Fprintf(b, "  directive %s, %s%s: %s\n", d.ID, d.Kind, with, d.State)
	}
}

func (s *questions) identifier(b *strings.Builder, a *IdentifierAnswer) {
	fmt.Fprintf(b, "%s: %s\n%s\n", a.Key, a.Status, a.Says)
	if len(a.Counts) > 0 {
		fmt.Fprintf(b, "  counts: %s\n", figures(a.Counts))
	}
	for _, n := range a.Neighbours {
		fmt.Fprintf(b, "  neighbour %s, %s of %s:", n.Identifier, n.Status, n.CustomerID)
		s.ties(b, "", []Tie{n.Tie})
	}
	if more := a.Number - len(a.Neighbours); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	s.notes(b, a.Directives)
}

func (s *questions) customer(b *strings.Builder, who string) {
	id := interaction.CustomerID(who)
	for known, name := range s.names {
		if name == who {
			id = known
		}
	}
	a, err := s.explain().Customer(id)
	if a == nil && err == nil {
		b.WriteString("unknown\n")
		return
	}
	s.check(err, a)
	fmt.Fprintf(b, "%s, version %d\n%s\n", a.Customer.ID, a.Customer.Version, a.Says)
	for _, m := range a.Members {
		fmt.Fprintf(b, "  %s, %s since %s\n", m.Identifier, m.Status, m.FirstSeen)
	}
	s.ties(b, "the way there: ", a.Way)
	for _, f := range a.Former {
		fmt.Fprintf(b, "  ended in it: %s, the mark of %s\n", f.ID, f.Founder)
	}
	s.ties(b, "", a.Refused)
	if more := a.RefusedCount - len(a.Refused); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

func (s *questions) whyNot(b *strings.Builder, a *WhyNotAnswer) {
	fmt.Fprintln(b, a.Says)
	for _, o := range a.Reasons {
		fmt.Fprintf(b, "  %s: %s\n", o.Kind, o.Says)
	}
	for i, r := range a.Routes {
		var kinds []string
		for _, o := range r.Obstacles {
			kinds = append(kinds, string(o.Kind))
		}
		fmt.Fprintf(b, "way %s, %s:\n", strconv.Itoa(i+1), strings.Join(kinds, " "))
		s.ties(b, "", r.Ties)
	}
}
