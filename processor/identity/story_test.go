package identity

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// The commands of the story files in testdata/stories:
//
//	rules [customer_limit=N component_limit=N devices_join_known store_codes_tied=N]   a new world
//	tell [at=MIN] [duplicate] [quiet]      an interaction a line: namespace[@store]:value[!] ..., ! is verified;
//	                                       a line may begin with at=MIN. Prints the event and the changes; quiet: neither
//	direct [dry_run] [quiet]               a directive a line: link|separate|replace A B, retract|restore|erase A, restore A B,
//	                                       erase customer=NAME; then at=MIN, id=ID, scope=SCOPE where they are needed. Prints what it
//	                                       did and the changes; a dry run prints its report and changes nothing
//	map                                    identifiers by customer, then pointers
//	changes                                the changes since the last time, whole, with their cause
//	conflicts                              refused edges
//	stored                                 how many rows there are of each table
//
// Customers are called by the value of their founder. Minute 0 is 2026-01-01; without at= each line is a minute later.
//
// Behind each story two things are checked that it does not print. After each line the world is held against the oracle,
// which knows the rules and nothing else. And each world without erase and without the component cap is told once
// more from its end to its beginning, with every other line twice: it must have the same map and the same refused edges.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
		s.t = t
		s.backwards()
	})
}

type story struct {
	t      *testing.T
	w      *world
	rules  Rules
	minute int64
	names  map[interaction.CustomerID]string
	hmacs  map[string]string // value of an identifier by its HMAC
	log    []interaction.Change

	o       *oracle
	ever    map[interaction.CustomerID]interaction.Key
	steps   []func(*world)
	ordered bool // the order of the steps counts
}

func (s *story) run(d *datadriven.TestData) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	switch d.Cmd {
	case "rules":
		s.begin(d)
	case "tell":
		for _, line := range lines {
			s.tell(&b, line, d.HasArg("duplicate"), d.HasArg("quiet"))
		}
	case "direct":
		for _, line := range lines {
			s.direct(&b, line, d.HasArg("dry_run"), d.HasArg("quiet"))
		}
	case "map":
		s.printMap(&b)
	case "changes":
		for i := range s.log {
			s.printWhole(&b, &s.log[i])
		}
		s.log = nil
	case "conflicts":
		for _, c := range s.w.conflicts() {
			fmt.Fprintln(&b, c)
		}
	case "stored":
		for _, i := range table.All {
			if n := len(s.w.mem.keys(i.ID, nil)); n > 0 {
				fmt.Fprintf(&b, "%s: %d\n", i.Name, n)
			}
		}
	default:
		d.Fatalf(s.t, "unknown command %s", d.Cmd)
	}
	return b.String()
}

func (s *story) begin(d *datadriven.TestData) {
	s.backwards()
	s.rules = defaults()
	for name, field := range map[string]*int{
		"customer_limit": &s.rules.CustomerLimit, "component_limit": &s.rules.ComponentLimit, "store_codes_tied": &s.rules.StoreCodesTied,
	} {
		d.MaybeScanArgs(s.t, name, field)
	}
	s.rules.DevicesJoinKnown = d.HasArg("devices_join_known")
	s.w, s.minute, s.names = newWorld(s.t, s.rules), 0, map[interaction.CustomerID]string{}
	s.hmacs, s.log = map[string]string{}, nil
	s.o, s.ever, s.steps, s.ordered = newOracle(s.rules), map[interaction.CustomerID]interaction.Key{}, nil, false
}

// backwards tells the world that ends once more from its end, with every other line twice and a restart in the middle.
func (s *story) backwards() {
	if s.w == nil || s.ordered {
		return
	}
	back := newWorld(s.t, s.rules)
	for i, step := range slices.Backward(s.steps) {
		step(back)
		if i%2 == 0 {
			step(back)
		}
		if i == len(s.steps)/2 {
			back.restart()
		}
	}
	if d := cmp.Diff(s.w.folded, back.folded); d != "" {
		s.t.Errorf("map (-as told +backwards):\n%s", d)
	}
	if d := cmp.Diff(s.w.conflicts(), back.conflicts()); d != "" {
		s.t.Errorf("refused edges (-as told +backwards):\n%s", d)
	}
}

// did keeps a step, and holds the world against the oracle.
func (s *story) did(step func(*world)) {
	s.steps = append(s.steps, step)
	compare(s.t, s.w, s.o, s.ever)
}

// span returns the lines for which {a..b} in a line stands, and whether there is one.
func (s *story) span(line string) (lines []string, ok bool) {
	before, rest, ok := strings.Cut(line, "{")
	if !ok {
		return nil, false
	}
	span, after, _ := strings.Cut(rest, "}")
	from, to, _ := strings.Cut(span, "..")
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if err1 != nil || err2 != nil {
		s.t.Fatalf("no range: %s", line)
	}
	for i := first; i <= last; i++ {
		lines = append(lines, strings.ReplaceAll(before+strconv.Itoa(i)+after, "{"+span+"}", strconv.Itoa(i)))
	}
	return lines, true
}

func (s *story) at(minute int64) int64 { return 1767225600000 + 60000*minute }

// minuteOf reads at=MIN.
func (s *story) minuteOf(word string) (at int64, ok bool) {
	text, ok := strings.CutPrefix(word, "at=")
	if !ok {
		return 0, false
	}
	minute, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.at(minute), true
}

// identifier reads namespace[@store]:value[!].
func identifier(word string) interaction.Identifier {
	word, verified := strings.CutSuffix(word, "!")
	space, value, _ := strings.Cut(word, ":")
	space, store, _ := strings.Cut(space, "@")
	return interaction.Identifier{Namespace: space, Domain: store, Value: value, Verified: verified}
}

// tell reads an interaction a line. {a..b} in it stands for as many lines.
func (s *story) tell(b *strings.Builder, line string, duplicate, quiet bool) {
	if lines, ok := s.span(line); ok {
		for _, l := range lines {
			s.tell(b, l, duplicate, quiet)
		}
		return
	}
	s.minute++
	e := Evidence{
		Realm: "default", At: s.at(s.minute), Source: "caja", SourceEventID: fmt.Sprintf("e%03d", s.w.seq), Duplicate: duplicate,
	}
	for _, word := range strings.Fields(line) {
		if at, ok := s.minuteOf(word); ok {
			e.At = at
			continue
		}
		e.Identifiers = append(e.Identifiers, identifier(word))
	}
	e.Identifiers = s.w.graph.sorted(e.Identifiers)
	res := s.w.tell(e)
	for _, id := range e.Identifiers {
		s.learn(id)
	}
	s.log = append(s.log, res.Changes...)
	s.ordered = s.ordered || len(res.Capped) > 0
	s.o.tell(e)
	s.did(func(w *world) { w.tell(e) })
	if !quiet {
		s.print(b, e, res)
	}
}

// direct reads a directive a line.
func (s *story) direct(b *strings.Builder, line string, dryRun, quiet bool) {
	if lines, ok := s.span(line); ok {
		for _, l := range lines {
			s.direct(b, l, dryRun, quiet)
		}
		return
	}
	s.minute++
	words := strings.Fields(line)
	o := Order{Realm: "default", Kind: interaction.DirectiveKind(words[0]), IssuedAt: s.at(s.minute), ID: fmt.Sprintf("d%03d", s.w.seq)}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch at, ok := s.minuteOf(word); {
		case ok:
			o.IssuedAt = at
		case name == "id":
			o.ID = value
		case name == "scope":
			o.Scope = interaction.Scope(value)
		case name == "customer":
			o.CustomerID = s.called(value)
		default:
			id := identifier(word)
			s.learn(id)
			if k := keyIn(o.Realm, id); o.A.IsZero() {
				o.A = k
			} else {
				o.B = k
			}
		}
	}
	if dryRun {
		s.dryRun(b, &o)
		return
	}
	res := s.w.direct(o)
	s.log = append(s.log, res.Changes...)
	s.ordered = s.ordered || o.Kind == interaction.DirectiveErase
	if res.Reject == nil {
		s.o.order(o)
	}
	s.did(func(w *world) { w.direct(o) })
	if quiet {
		return
	}
	if res.Reject != nil {
		fmt.Fprintf(b, "%s: %s\n  reject %v\n", o.ID, o.Kind, res.Reject)
		return
	}
	fmt.Fprintf(b, "%s: %s, %s\n", o.ID, o.Kind, res.Effect)
	s.printChanges(b, res)
}

// dryRun prints the report of a directive, as it comes back from its row.
func (s *story) dryRun(b *strings.Builder, o *Order) {
	res := s.w.weigh(*o)
	if res.Reject != nil {
		fmt.Fprintf(b, "%s: dry run of %s\n  reject %v\n", o.ID, o.Kind, res.Reject)
		return
	}
	report := NewReport(&interaction.Ordered{ID: o.ID, Kind: o.Kind, IssuedAt: o.IssuedAt, DryRun: true}, res)
	kept := newMemory()
	kept.apply([]table.Row{report.Row(o.Realm, o.ID)})
	r, found, err := ReadReport(kept, o.Realm, o.ID)
	if err != nil || !found {
		s.t.Fatalf("report: found %v, %v", found, err)
	}
	fmt.Fprintf(b, "%s: dry run of %s, %s: %d changes, %d identifiers erased\n", o.ID, r.Kind, r.Effect, r.Total, r.Erased)
	slices.SortFunc(r.Changes, func(x, y ReportedChange) int { return strings.Compare(s.name(x.CustomerID), s.name(y.CustomerID)) })
	for _, c := range r.Changes {
		fmt.Fprintf(b, "  %s %d %s: %d added, %d removed, %d erased\n", s.name(c.CustomerID), c.Version, c.Kind, c.Added, c.Removed, c.Erased)
	}
}

// learn keeps the name of the customer that an identifier founds, its value, and its HMAC.
func (s *story) learn(id interaction.Identifier) {
	s.w.r.w.reset(s.w.mem, "default")
	key := keyIn("default", id).AppendBytes(nil)
	w := &s.w.r.w
	n := w.addNew(key, w.g.index[id.Namespace], []byte(id.Domain), []byte(id.Value), 0)
	raw := w.idOf(n)
	s.names[raw.text()] = id.Value
	s.hmacs[w.hmacText(n)] = id.Value
}

func (s *story) name(id interaction.CustomerID) string {
	if n, ok := s.names[id]; ok {
		return n
	}
	return string(id)
}

// called returns the customer with a name: that of its founder.
func (s *story) called(name string) interaction.CustomerID {
	for _, id := range slices.Sorted(maps.Keys(s.names)) {
		if s.names[id] == name {
			return id
		}
	}
	return interaction.CustomerID(name)
}

func (s *story) list(ids []interaction.CustomerID) string {
	var names []string
	for _, id := range ids {
		names = append(names, s.name(id))
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

func (s *story) print(b *strings.Builder, e Evidence, res *Result) {
	fmt.Fprintf(b, "%s: %s", e.SourceEventID, res.Status)
	if res.CustomerID != "" {
		fmt.Fprintf(b, " of %s, version %d", s.name(res.CustomerID), res.CustomerVersion)
	}
	if res.Ambiguous {
		b.WriteString(", ambiguous")
	}
	for i, id := range e.Identifiers {
		if res.Outcomes[i] != interaction.OutcomeLinked {
			fmt.Fprintf(b, ", %s %s", id.Value, res.Outcomes[i])
		}
	}
	b.WriteByte('\n')
	if res.Reject != nil {
		fmt.Fprintf(b, "  reject %v\n", res.Reject)
	}
	s.printChanges(b, res)
}

func (s *story) printChanges(b *strings.Builder, res *Result) {
	changes := slices.Clone(res.Changes)
	slices.SortFunc(changes, func(x, y interaction.Change) int {
		return strings.Compare(s.name(x.CustomerID), s.name(y.CustomerID))
	})
	last := func(k string) string { return k[strings.LastIndexByte(k, '|')+1:] }
	for _, c := range changes {
		fmt.Fprintf(b, "  %s %d %s (%s)", s.name(c.CustomerID), c.Version, c.Kind, c.Rule)
		for _, k := range c.Added {
			fmt.Fprintf(b, " +%s", last(k))
		}
		for _, k := range c.Removed {
			fmt.Fprintf(b, " -%s", last(k))
		}
		if len(c.MergedCustomerIDs) > 0 {
			fmt.Fprintf(b, " from %s", s.list(c.MergedCustomerIDs))
		}
		if len(c.SplitCustomerIDs) > 0 {
			fmt.Fprintf(b, " to %s", s.list(c.SplitCustomerIDs))
		}
		s.printErased(b, &c)
		b.WriteByte('\n')
	}
}

// printErased prints what an erased record has beside the rest; the HMACs by the values that they stand for.
func (s *story) printErased(b *strings.Builder, c *interaction.Change) {
	if c.Kind != interaction.ChangeErased {
		return
	}
	var erased []string
	for _, h := range c.RemovedHMAC {
		erased = append(erased, s.hmacs[h])
	}
	sort.Strings(erased)
	fmt.Fprintf(b, " erased %s, left", strings.Join(erased, " "))
	if len(c.Left) == 0 {
		b.WriteString(" nothing")
	}
	for _, k := range c.Left {
		fmt.Fprintf(b, " %s", k[strings.LastIndexByte(k, '|')+1:])
	}
}

// printWhole prints a change with keys and cause.
func (s *story) printWhole(b *strings.Builder, c *interaction.Change) {
	cause := c.Source + " " + c.SourceEventID
	if c.DirectiveID != "" {
		cause = "directive " + c.DirectiveID
	}
	fmt.Fprintf(b, "%s %d %s by %s (%s)\n", s.name(c.CustomerID), c.Version, c.Kind, cause, c.Rule)
	keys := func(what string, keys []string) {
		for _, k := range keys {
			fmt.Fprintf(b, "  %s %s\n", what, strings.TrimPrefix(k, "default|"))
		}
	}
	keys("added", c.Added)
	keys("removed", c.Removed)
	for _, h := range c.RemovedHMAC {
		fmt.Fprintf(b, "  erased %s, HMAC of %s\n", h[:8], s.hmacs[h])
	}
	keys("left", c.Left)
	if len(c.MergedCustomerIDs) > 0 {
		fmt.Fprintf(b, "  merged %s\n", s.list(c.MergedCustomerIDs))
	}
	if len(c.SplitCustomerIDs) > 0 {
		fmt.Fprintf(b, "  split to %s\n", s.list(c.SplitCustomerIDs))
	}
}

func (s *story) printMap(b *strings.Builder) {
	members := map[string][]string{}
	for k, r := range s.w.rows {
		name := s.name(r.CustomerID)
		if r.Status == interaction.MapEnded {
			id := interaction.CustomerID(k[strings.LastIndexByte(k, '|')+1:])
			members["ended, now "+name] = append(members["ended, now "+name], s.name(id))
			continue
		}
		text := strings.TrimPrefix(k, "default|") + fmt.Sprintf(" v%d", r.Version)
		if r.Status != interaction.MapLinked {
			text += " " + string(r.Status)
		}
		members[name] = append(members[name], text)
	}
	var lines []string
	for name, list := range members {
		sort.Strings(list)
		lines = append(lines, name+": "+strings.Join(list, ", "))
	}
	sort.Strings(lines)
	for _, l := range lines {
		fmt.Fprintln(b, l)
	}
}
