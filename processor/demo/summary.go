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
	s.foreign(p)
	s.customers(p)
	s.sharedIdentifiers(p)
	s.secondLook(p)
	s.setAside(p)
	return p.Err()
}

// row is what became of the interactions of a topic.
type row struct{ in, repeats, parked, ignored, unified int64 }

func (r *row) add(o row) {
	r.in, r.repeats, r.parked, r.ignored, r.unified = r.in+o.in, r.repeats+o.repeats, r.parked+o.parked, r.ignored+o.ignored, r.unified+o.unified
}

// traffic is the table of what came in, by topic, and what each interaction became.
func (s *Seen) traffic(p *page.Page) {
	p.Title("What came in, and what became of it")
	out, channelsOf, byChannel := map[string]int64{}, map[string]map[string]bool{}, map[string]int64{}
	for i := range s.events {
		e := &s.events[i]
		name := channelName(e.source, e.channel)
		out[e.topic]++
		if channelsOf[e.topic] == nil {
			channelsOf[e.topic] = map[string]bool{}
		}
		channelsOf[e.topic][name] = true
		byChannel[name]++
	}
	show := func(code page.Colour, topic, from string, r row) {
		text := "  " + page.Left(topic, 15) + " " + page.Left(from, 15)
		for _, n := range []int64{r.in, r.repeats, r.parked, r.ignored, r.unified} {
			text += page.Right(count(n), 13)
		}
		p.Line("%s", p.Paint(code, text))
	}
	p.Line("%s", p.Paint(page.Dim, "  "+page.Left("topic", 15)+" "+page.Left("from", 15)+page.Right("interactions", 13)+page.Right("repeats", 13)+page.Right("set aside", 13)+
		page.Right("ignored", 13)+page.Right("unified", 13)))
	var sum row
	for _, t := range s.topics(out) {
		in := s.In[t]
		r := row{in: in.Interactions, parked: s.parkedIn[t], ignored: in.ignored(), unified: out[t]}
		r.repeats = r.in - r.unified - r.parked - r.ignored
		show("", t, strings.Join(slices.Sorted(maps.Keys(channelsOf[t])), ", "), r)
		sum.add(r)
	}
	show(page.Bold, "together", "", sum)
	s.balance(p, sum)
	names := slices.SortedFunc(maps.Keys(byChannel), func(a, b string) int {
		return cmp.Or(cmp.Compare(byChannel[b], byChannel[a]), cmp.Compare(a, b))
	})
	for i, n := range names {
		names[i] = n + " " + count(byChannel[n])
	}
	if len(names) > 0 {
		s.paragraph(p, "Unified events by channel: "+strings.Join(names, ", ")+".")
	}
}

// topics are those that anything is known of.
func (s *Seen) topics(out map[string]int64) []string {
	topics := map[string]bool{}
	for t := range s.In {
		topics[t] = true
	}
	for _, m := range []map[string]int64{out, s.parkedIn} {
		for t := range m {
			topics[t] = true
		}
	}
	return slices.Sorted(maps.Keys(topics))
}

// balance says whether every interaction is accounted for. What is counted as repeats has to be what is missing elsewhere.
func (s *Seen) balance(p *page.Page, sum row) {
	became := fmt.Sprintf("%s unified + %s + %s set aside", count(sum.unified), Counted(s.Duplicates, "repeat", "repeats"), count(sum.parked))
	if sum.ignored > 0 {
		became += " + " + count(sum.ignored) + " ignored"
	}
	text, code := fmt.Sprintf("Every one is accounted for: %s = %s.", count(sum.in), became), page.Green
	if sum.repeats != s.Duplicates {
		text, code = fmt.Sprintf("%s in, yet %s: %s not accounted for.", count(sum.in), became, count(sum.repeats-s.Duplicates)), page.Yellow
	}
	p.Line("")
	for _, l := range page.Wrap(text, page.Columns-2) {
		p.Line("  %s", p.Paint(code, l))
	}
}

// mapped reports whether a mapping reads any of the topics.
func (s *Seen) mapped() bool {
	for _, in := range s.In {
		if in.Mapping != "" {
			return true
		}
	}
	return false
}

// foreign tells of the topics that a mapping reads: what their records held, and what was of no use.
func (s *Seen) foreign(p *page.Page) {
	if !s.mapped() {
		return
	}
	p.Title("Said in other systems' words")
	for _, t := range slices.Sorted(maps.Keys(s.In)) {
		in := s.In[t]
		if in.Mapping == "" {
			continue
		}
		tongue, known := tongues[in.Mapping]
		if !known {
			tongue = in.Mapping
		}
		text := fmt.Sprintf("%s speaks %s: %s held %s.", t, tongue, Counted(in.Records, "record", "records"), Counted(in.Interactions, "interaction", "interactions"))
		if n := in.ignored(); n > 0 {
			text += fmt.Sprintf(" Mapping %s ignored %s:", in.Mapping, count(n))
		} else {
			text += fmt.Sprintf(" Mapping %s ignored none.", in.Mapping)
		}
		s.paragraph(p, text)
		for _, reason := range slices.Sorted(maps.Keys(in.Ignored)) {
			p.Line("  %s  %s  %s", p.Paint(page.Bold, page.Right(count(in.Ignored[reason]), 8)), page.Left(reason, reasonWidth), p.Paint(page.Dim, ignoredMeanings[reason]))
		}
	}
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
	text := "These records are kept whole in the rejects topic with the reason: nothing is dropped in silence."
	if s.mapped() {
		text += " Where a record holds several interactions, the good ones among them went their way."
	}
	s.paragraph(p, text)
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
