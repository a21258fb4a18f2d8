package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"kinfold/processor/interaction"
	"kinfold/processor/page"
)

// The columns of a timeline.
const (
	dateWidth    = 12
	channelWidth = 9
	placeWidth   = 14
	whatColumn   = 2 + dateWidth + 2 + channelWidth + 1 + placeWidth + 1
	whatWidth    = page.Columns - whatColumn - 4
	maxStory     = 40 // events of one story; the middle of a longer one is left out
)

// Stories writes the timelines of the given customers: what they did across the channels, as whom they were known at
// each step, and which event joined them and why. Where none of them was seen, those two are told of whom most was
// joined. Plain text of at most 100 columns, times in UTC, with ANSI colours if wanted.
func (s *Seen) Stories(w io.Writer, colour bool, who []Protagonist) error {
	p := page.New(w, colour)
	told := false
	for _, t := range who {
		if id := s.find(t); !id.IsZero() {
			s.story(p, t.Name, id)
			told = true
		}
	}
	if !told {
		for _, id := range s.mostJoined(2) {
			s.story(p, "", id)
		}
	}
	return p.Err()
}

// find is the customer that has a protagonist's identifier at the end; zero if nobody has it.
func (s *Seen) find(t Protagonist) interaction.CustomerID {
	var found interaction.CustomerID
	for k, m := range s.owner {
		// Of the same value in several stores any would do; the least keeps the answer the same.
		if k.namespace == t.Namespace && k.value == t.Value && m.status == interaction.MapLinked && (found.IsZero() || m.customer < found) {
			found = m.customer
		}
	}
	return found
}

// mostJoined finds the n customers who came from most others.
func (s *Seen) mostJoined(n int) []interaction.CustomerID {
	merged := map[interaction.CustomerID]int{}
	for _, c := range s.changes {
		if c.Kind == interaction.ChangeMerged {
			merged[s.now(c.CustomerID)] += len(c.MergedCustomerIDs)
		}
	}
	ids := slices.SortedFunc(maps.Keys(merged), func(a, b interaction.CustomerID) int {
		return cmp.Or(cmp.Compare(merged[b], merged[a]), cmp.Compare(a, b))
	})
	ids = slices.DeleteFunc(ids, func(id interaction.CustomerID) bool { return merged[id] == 0 })
	return ids[:min(n, len(ids))]
}

// chapter is what a story is made of.
type chapter struct {
	id      interaction.CustomerID
	past    map[interaction.CustomerID]bool // the id and all that ended into it
	changes map[interaction.CustomerID][]*interaction.Change
	joins   []*interaction.Change // by version
	events  []*seenEvent          // in time
	letters map[interaction.CustomerID]int
	order   []interaction.CustomerID // by letter
}

func (s *Seen) chapter(id interaction.CustomerID) *chapter {
	c := &chapter{id: id, past: map[interaction.CustomerID]bool{id: true}, changes: map[interaction.CustomerID][]*interaction.Change{},
		letters: map[interaction.CustomerID]int{}}
	for grown := true; grown; {
		grown = false
		for i := range s.changes {
			for _, m := range s.changes[i].MergedCustomerIDs {
				if c.past[s.changes[i].CustomerID] && !c.past[m] {
					c.past[m], grown = true, true
				}
			}
		}
	}
	for i := range s.changes {
		ch := &s.changes[i]
		if !c.past[ch.CustomerID] {
			continue
		}
		c.changes[ch.CustomerID] = append(c.changes[ch.CustomerID], ch)
		if len(ch.MergedCustomerIDs) > 0 {
			c.joins = append(c.joins, ch)
		}
	}
	slices.SortStableFunc(c.joins, func(a, b *interaction.Change) int { return cmp.Compare(a.Version, b.Version) })
	for i := range s.events {
		if c.past[s.events[i].customer] {
			c.events = append(c.events, &s.events[i])
		}
	}
	slices.SortStableFunc(c.events, func(a, b *seenEvent) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.version, b.version), strings.Compare(a.sourceEventID, b.sourceEventID))
	})
	name := func(id interaction.CustomerID) {
		if _, ok := c.letters[id]; !ok {
			c.letters[id] = len(c.order)
			c.order = append(c.order, id)
		}
	}
	for _, e := range c.events {
		name(e.customer)
	}
	for _, j := range c.joins { // a customer whose events all belong to somebody else by now
		for _, m := range j.MergedCustomerIDs {
			name(m)
		}
	}
	name(id)
	return c
}

// letterColours tell the customers of a story apart.
var letterColours = []page.Colour{page.Cyan, page.Magenta, page.Yellow, page.Blue, page.Green, page.Red}

// letter names a customer within a story: A, B, … Z, A2 and so on.
func (c *chapter) letter(p *page.Page, id interaction.CustomerID) string {
	n := c.letters[id]
	text := string(rune('A' + n%26))
	if n >= 26 {
		text += fmt.Sprint(n/26 + 1)
	}
	return p.Paint(letterColours[n%len(letterColours)], text)
}

// membersBefore folds the changes of one customer up to a version of his or of the customer he became.
func (c *chapter) membersBefore(id interaction.CustomerID, version int64) []known {
	set := map[known]bool{}
	for _, ch := range c.changes[id] {
		if ch.Version >= version {
			continue
		}
		for _, text := range ch.Removed {
			if key, err := interaction.ParseKey(text); err == nil {
				delete(set, knownOf(key))
			}
		}
		for _, text := range ch.Added {
			if key, err := interaction.ParseKey(text); err == nil {
				set[knownOf(key)] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(set), compareKnown)
}

func (s *Seen) story(p *page.Page, name string, id interaction.CustomerID) {
	c := s.chapter(id)
	for _, e := range c.events {
		name = cmp.Or(name, e.name)
	}
	p.Title(page.Clip(cmp.Or(name, "Customer "+string(id)), page.Columns))
	c.cast(p)
	c.timeline(p)
	c.ending(p, s.members(id), firstName(name))
}

// cast lists the customers that the systems took one person for: the ids that were somebody before their first join.
func (c *chapter) cast(p *page.Page) {
	if len(c.joins) == 0 {
		p.Line("  One customer from the start: %s  %s", c.letter(p, c.id), c.id)
		p.Line("")
		return
	}
	p.Line("  %s at first, one in the end:", counted(c.atFirst(), "customer", "customers"))
	for _, id := range c.order {
		if ids := c.beforeJoins(id); len(ids) > 0 {
			c.member(p, id, ids)
		}
	}
	p.Line("")
}

// atFirst counts the customers that became one.
func (c *chapter) atFirst() int {
	n := 0
	for _, id := range c.order {
		if len(c.beforeJoins(id)) > 0 {
			n++
		}
	}
	return max(n, 1)
}

// beforeJoins is what a customer was known by before the first join that he took part in.
func (c *chapter) beforeJoins(id interaction.CustomerID) []known {
	for _, j := range c.joins {
		if j.CustomerID == id || slices.Contains(j.MergedCustomerIDs, id) {
			return c.membersBefore(id, j.Version)
		}
	}
	return c.membersBefore(id, math.MaxInt64)
}

// member writes a customer's letter and id, and beside them what he is known by.
func (c *chapter) member(p *page.Page, id interaction.CustomerID, ids []known) {
	const indent = 4 + 1 + 2 + interaction.CustomerIDLen + 2
	parts := make([]string, len(ids))
	for i, k := range ids {
		parts[i] = k.words()
	}
	for i, l := range page.WrapList(parts, page.Columns-indent) {
		if i == 0 {
			p.Line("    %s  %s  %s", c.letter(p, id), page.Left(string(id), interaction.CustomerIDLen), l)
		} else {
			p.Line("%s%s", strings.Repeat(" ", indent), l)
		}
	}
}

// timeline writes the events, each join below the event that brought it about.
func (c *chapter) timeline(p *page.Page) {
	p.Line("%s", p.Paint(page.Dim, "  "+page.Left("when (UTC)", dateWidth)+"  "+page.Left("channel", channelWidth)+" "+page.Left("where", placeWidth)+" "+
		page.Left("what happened, and what it came with", whatWidth)+" "+"as"))
	type eventID struct{ source, id string }
	events := map[eventID]bool{}
	for _, e := range c.events {
		events[eventID{e.source, e.sourceEventID}] = true
	}
	told := map[*interaction.Change]bool{}
	last, otherwise := int64(0), false // the joins were made in another order than that of the events
	join := func(j *interaction.Change, e *seenEvent) {
		if !told[j] {
			told[j] = true
			otherwise = otherwise || j.Version < last
			last = j.Version
			c.join(p, j, e)
		}
	}
	skip := len(c.events) - maxStory
	for i, e := range c.events {
		// A join whose event is not among these, such as one that a repeat brought about, stands before what follows it.
		for _, j := range c.joins {
			if j.CustomerID == e.customer && j.Version <= e.version && !events[eventID{j.Source, j.SourceEventID}] {
				join(j, nil)
			}
		}
		var brings []*interaction.Change
		for _, j := range c.joins {
			if j.Source == e.source && j.SourceEventID == e.sourceEventID {
				brings = append(brings, j)
			}
		}
		if i >= maxStory/2 && i < maxStory/2+skip && len(brings) == 0 {
			if i == maxStory/2 {
				p.Line("  %s", p.Paint(page.Dim, "…  some of what happened is left out here"))
			}
			continue
		}
		c.event(p, e)
		for _, j := range brings {
			join(j, e)
		}
	}
	for _, j := range c.joins {
		join(j, nil)
	}
	if otherwise {
		p.Line("")
		p.Line("  %s", p.Paint(page.Dim, "Told by when things happened. They were read in another order, in which the versions count."))
	}
}

func (c *chapter) event(p *page.Page, e *seenEvent) {
	where := place(e.store)
	if e.channel != "pos" && e.channel != "kiosk" {
		where = "" // the channel says it
	}
	p.Line("  %s  %s %s %s %s", page.Left(time.UnixMilli(e.at).UTC().Format("02 Jan 15:04"), dateWidth), page.Left(channelName(e.source, e.channel), channelWidth),
		page.Left(where, placeWidth), page.Left(e.happened(), whatWidth), c.letter(p, e.customer))
	parts := make([]string, len(e.ids))
	for i := range e.ids {
		parts[i] = e.ids[i].words()
	}
	if len(parts) == 0 {
		return
	}
	parts[0] = "with " + parts[0]
	lines := page.WrapList(parts, whatWidth)
	if e.ambiguous {
		lines = append(lines, "several customers claim this")
	}
	for _, l := range lines {
		p.Line("%s%s", strings.Repeat(" ", whatColumn), p.Paint(page.Dim, l))
	}
}

// join tells the moment at which customers turned out to be one, and what showed it.
func (c *chapter) join(p *page.Page, j *interaction.Change, e *seenEvent) {
	var names, owners []string
	ids := append([]interaction.CustomerID{j.CustomerID}, j.MergedCustomerIDs...)
	slices.SortFunc(ids, func(a, b interaction.CustomerID) int { return c.letters[a] - c.letters[b] })
	plain := &page.Page{} // the sentences are painted as a whole
	for _, id := range ids {
		before := c.membersBefore(id, j.Version)
		if len(before) == 0 && id == j.CustomerID {
			continue // the id is new with this change
		}
		names = append(names, c.letter(plain, id))
		if e == nil {
			continue
		}
		var brought []string
		for i := range e.ids {
			if e.ids[i].outcome == interaction.OutcomeLinked && slices.Contains(before, e.ids[i].known) {
				brought = append(brought, e.ids[i].words())
			}
		}
		if len(brought) > 0 {
			owners = append(owners, fmt.Sprintf("%s (so far %s)", list(brought), c.letter(plain, id)))
		}
	}
	head := fmt.Sprintf("%s are one customer: from here on %s.", list(names), c.letter(plain, j.CustomerID))
	why := "No event of theirs shows it: a repeat, or what was learnt of somebody else, ties them together."
	switch {
	case j.Kind == interaction.ChangeRenamed:
		head = fmt.Sprintf("%s is %s from here on.", list(names), c.letter(plain, j.CustomerID))
		why = "A customer is named after its oldest code; after its oldest address while it has no code; else after its oldest device."
	case len(owners) > 1:
		why = "This interaction came with " + strings.Join(owners, " together with ") + "."
	}
	bar := strings.Repeat(" ", dateWidth+4)
	p.Line("%s%s %s", bar, p.Paint(page.Green, "┏"), p.Paint(page.Bold, head))
	for _, l := range page.Wrap(why, page.Columns-len(bar)-2) {
		p.Line("%s%s %s", bar, p.Paint(page.Green, "┃"), l)
	}
	origin := fmt.Sprintf("%s, version %d, rule %s, by %s event %s", j.Kind, j.Version, j.Rule, j.Source, j.SourceEventID)
	p.Line("%s%s %s", bar, p.Paint(page.Green, "┗"), p.Paint(page.Dim, page.Clip(origin, page.Columns-len(bar)-2)))
}

// ending says who the customer is at the end.
func (c *chapter) ending(p *page.Page, members []known, first string) {
	version, channels, stores := int64(0), map[string]bool{}, map[string]bool{}
	for _, ch := range c.changes[c.id] {
		version = max(version, ch.Version)
	}
	for _, e := range c.events {
		channels[channelName(e.source, e.channel)] = true
		if e.channel == "pos" {
			stores[e.store] = true
		}
	}
	p.Line("")
	whose := "The"
	if first != "" {
		whose = first + "'s"
	}
	tail := ""
	if n := c.atFirst(); n > 1 {
		tail = fmt.Sprintf(" Apart, the systems took them for those of %d.", n)
	}
	summary := fmt.Sprintf("%s %s in %s", whose, counted(len(c.events), "event", "events"), counted(len(channels), "channel", "channels"))
	if len(stores) > 0 {
		summary += " and " + counted(len(stores), "branch", "branches")
	}
	for _, l := range page.Wrap(summary+" belong to one customer."+tail, page.Columns-2) {
		p.Line("  %s", p.Paint(page.Bold, l))
	}
	p.Line("  In the end, version %d:", version)
	c.member(p, c.id, members)
}

func firstName(name string) string {
	first, _, _ := strings.Cut(name, " ")
	return first
}
