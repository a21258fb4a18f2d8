package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/page"
)

// maxSharedShown is the greatest number of shared identifiers that the summary lists.
const maxSharedShown = 6

// reasonWidth is that of the longest reason of identity.md section 10.
const reasonWidth = 24

// Summary writes what came in and what became of it, for a shop owner: plain text of at most 100 columns, with ANSI
// colours if wanted.
func (s *Seen) Summary(w io.Writer, colour bool) error {
	p := page.New(w, colour)
	s.traffic(p)
	s.customers(p)
	s.sharedIdentifiers(p)
	s.secondLook(p)
	s.setAside(p)
	return p.Err()
}

// traffic is the table of what came in, by topic, and what each record became.
func (s *Seen) traffic(p *page.Page) {
	p.Title("What came in, and what became of it")
	out, channelsOf, byChannel := map[string]int64{}, map[string]map[string]bool{}, map[string]int64{}
	for i := range s.events {
		e := &s.events[i]
		out[e.topic]++
		if channelsOf[e.topic] == nil {
			channelsOf[e.topic] = map[string]bool{}
		}
		channelsOf[e.topic][channelName(e.channel)] = true
		byChannel[channelName(e.channel)]++
	}
	topics := map[string]bool{}
	for _, m := range []map[string]int64{s.In, out, s.parkedIn} {
		for t := range m {
			topics[t] = true
		}
	}
	row := func(topic, from string, figures ...string) string {
		text := "  " + page.Left(topic, 18) + " " + page.Left(from, 22)
		for _, f := range figures {
			text += page.Right(f, 14)
		}
		return text
	}
	p.Line("%s", p.Paint(page.Dim, row("topic", "from", "interactions", "repeats", "set aside", "unified")))
	var in, repeats, parked, unified int64
	for _, t := range slices.Sorted(maps.Keys(topics)) {
		again := s.In[t] - out[t] - s.parkedIn[t]
		p.Line("%s", row(t, strings.Join(slices.Sorted(maps.Keys(channelsOf[t])), ", "), count(s.In[t]), count(again), count(s.parkedIn[t]), count(out[t])))
		in, repeats, parked, unified = in+s.In[t], repeats+again, parked+s.parkedIn[t], unified+out[t]
	}
	p.Line("%s", p.Paint(page.Bold, row("together", "", count(in), count(repeats), count(parked), count(unified))))
	p.Line("")
	text, code := fmt.Sprintf("Every interaction is accounted for: %s = %s unified + %s repeats + %s set aside.",
		count(in), count(unified), count(s.Duplicates), count(parked)), page.Green
	if repeats != s.Duplicates {
		text, code = fmt.Sprintf("%s in, yet %s unified + %s repeats + %s set aside: %s not accounted for.",
			count(in), count(unified), count(s.Duplicates), count(parked), count(repeats-s.Duplicates)), page.Yellow
	}
	for _, l := range page.Wrap(text, page.Columns-2) {
		p.Line("  %s", p.Paint(code, l))
	}
	names := slices.SortedFunc(maps.Keys(byChannel), func(a, b string) int {
		return cmp.Or(cmp.Compare(byChannel[b], byChannel[a]), cmp.Compare(a, b))
	})
	for i, n := range names {
		names[i] = n + " " + count(byChannel[n])
	}
	s.paragraph(p, "Unified events by channel: "+strings.Join(names, ", ")+".")
}

func (s *Seen) paragraph(p *page.Page, text string) {
	for _, l := range page.Wrap(text, page.Columns-2) {
		p.Line("  %s", l)
	}
}

// figure is a line of a list of figures.
func figure(p *page.Page, n int, text, note string) {
	p.Line("  %s  %s  %s", p.Paint(page.Bold, page.Right(count(int64(n)), 8)), page.Left(text, 36), p.Paint(page.Dim, page.Clip(note, page.Columns-52)))
}

// customers counts whom the identity map knows at the end.
func (s *Seen) customers(p *page.Page) {
	class := map[interaction.CustomerID]bool{} // true: known by more than a device
	for k, m := range s.owner {
		if m.status == interaction.MapLinked {
			class[m.customer] = class[m.customer] || k.namespace != "device_id" && k.namespace != "anonymous_id"
		}
	}
	named := 0
	for _, is := range class {
		if is {
			named++
		}
	}
	stores, ways := map[interaction.CustomerID]map[string]bool{}, map[interaction.CustomerID]map[string]bool{}
	note := func(m map[interaction.CustomerID]map[string]bool, id interaction.CustomerID, what string) {
		if m[id] == nil {
			m[id] = map[string]bool{}
		}
		m[id][what] = true
	}
	nobody := 0
	for i := range s.events {
		e := &s.events[i]
		id := s.whose(e)
		if id.IsZero() {
			nobody++
			continue
		}
		note(ways, id, e.channel)
		if e.channel == "pos" {
			note(stores, id, e.store)
		}
	}
	many := func(m map[interaction.CustomerID]map[string]bool) int {
		n := 0
		for _, set := range m {
			if len(set) > 1 {
				n++
			}
		}
		return n
	}
	var joined, split, renamed int
	for _, c := range s.changes {
		switch c.Kind {
		case interaction.ChangeMerged:
			joined += len(c.MergedCustomerIDs)
		case interaction.ChangeRenamed:
			renamed++
		case interaction.ChangeSplit:
			split += len(c.SplitCustomerIDs)
		}
	}
	p.Title("Customers")
	figure(p, named, "customers known by name", "by a code, card, document or address")
	figure(p, len(class)-named, "visitors", "known by a browser or device only")
	figure(p, many(ways), "seen in more than one channel", "one customer where each system saw its own")
	figure(p, many(stores), "seen in more than one branch", "one customer, however many codes")
	figure(p, joined, "joins", "two customers turned out to be one")
	figure(p, split, "splits", "what tied them turned out to be many people's")
	if renamed > 0 {
		figure(p, renamed, "new ids", "a stronger mark gave a customer another id")
	}
	figure(p, nobody, "events of nobody in particular", "walk-ins, and what only names many people")
}

// sharedIdentifiers lists what belongs to so many people that it joins nobody.
func (s *Seen) sharedIdentifiers(p *page.Page) {
	type use struct {
		known
		events int
		people map[interaction.CustomerID]bool
	}
	uses := map[known]*use{}
	for k, m := range s.owner {
		if m.status == interaction.MapShared {
			uses[k] = &use{known: k, people: map[interaction.CustomerID]bool{}}
		}
	}
	if len(uses) == 0 {
		return
	}
	for i := range s.events {
		e := &s.events[i]
		for j := range e.ids {
			u := uses[e.ids[j].known]
			if u == nil {
				continue
			}
			u.events++
			if id := s.whose(e); !id.IsZero() {
				u.people[id] = true
			}
		}
	}
	list := slices.SortedFunc(maps.Values(uses), func(a, b *use) int {
		_, namedA := labels[identifier{Namespace: a.namespace, Value: a.value}]
		_, namedB := labels[identifier{Namespace: b.namespace, Value: b.value}]
		if namedA != namedB {
			if namedA {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.events, a.events), compareKnown(a.known, b.known))
	})
	p.Title("Kept from gluing people together")
	s.paragraph(p, fmt.Sprintf("Identifiers of too many people to say who somebody is: %s. They stay on their events, and join nobody.",
		count(int64(len(list)))))
	for i, u := range list {
		if i == maxSharedShown {
			p.Line("  %s", p.Paint(page.Dim, fmt.Sprintf("and %s more, such as browsers and addresses of families", count(int64(len(list)-i)))))
			break
		}
		label := u.wordsWithin(maxShown)
		if l, ok := labels[identifier{Namespace: u.namespace, Value: u.value}]; ok {
			label = l + ": " + label
		}
		p.Line("  %s  %s", p.Paint(page.Bold, page.Right(count(int64(u.events)), 8)), page.Clip(label, page.Columns-12))
		note := fmt.Sprintf("%s carried it, of %s who stay apart", counted(u.events, "event", "events"), counted(len(u.people), "customer", "customers"))
		p.Line("%s%s", strings.Repeat(" ", 12), p.Paint(page.Dim, note))
	}
}

// secondLook counts what an owner may want to mend at its source.
func (s *Seen) secondLook(p *page.Page) {
	var ambiguous int
	outcomes := map[interaction.Outcome]int{}
	for i := range s.events {
		e := &s.events[i]
		if e.ambiguous {
			ambiguous++
		}
		for j := range e.ids {
			outcomes[e.ids[j].outcome]++
		}
	}
	if ambiguous+outcomes[interaction.OutcomeBlocked]+outcomes[interaction.OutcomeInvalid]+outcomes[interaction.OutcomeConflict] == 0 {
		return
	}
	p.Title("Worth a second look")
	figure(p, ambiguous, "ambiguous events", "several customers claim them: couples, families")
	figure(p, outcomes[interaction.OutcomeConflict], "identifiers of somebody else", "they stay with the customer who had them")
	figure(p, outcomes[interaction.OutcomeBlocked], "placeholders", "null, sinmail@…, 0000000: ignored")
	figure(p, outcomes[interaction.OutcomeInvalid], "unreadable identifiers", "no valid phone, address or number: ignored")
}

// setAside lists the rejects by reason, in the order of the documentation.
func (s *Seen) setAside(p *page.Page) {
	if len(s.rejects) == 0 {
		return
	}
	p.Title("Set aside")
	s.paragraph(p, "These records are kept whole in the rejects topic with the reason: nothing is dropped in silence.")
	for _, reason := range interaction.Reasons {
		r := s.rejects[reason]
		if r == nil {
			continue
		}
		m := meanings[reason]
		from := "in " + list(slices.Sorted(maps.Keys(r.topics)))
		if r.sample != "" {
			from += "; one of them: " + r.sample
		}
		p.Line("  %s  %s  %s", p.Paint(page.Bold, page.Right(count(r.n), 8)), page.Left(string(reason), reasonWidth), m.means)
		for _, text := range []string{"look at: " + m.look, from} {
			for _, l := range page.Wrap(text, page.Columns-14-reasonWidth) {
				p.Line("%s%s", strings.Repeat(" ", 14+reasonWidth), p.Paint(page.Dim, l))
			}
		}
	}
}
