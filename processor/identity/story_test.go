package identity

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// The commands of the story files in testdata/stories:
//
//	rules [customer_limit=N component_limit=N devices_join_known store_codes_tied=N]   a new world
//	tell [at=MIN] [duplicate] [quiet]      an interaction a line: namespace[@store]:value[!] ..., ! is verified;
//	                                       a line may begin with at=MIN. Prints the event and the changes; quiet: neither
//	map                                    identifiers by customer, then pointers
//	conflicts                              refused edges
//	stored                                 how many rows there are of each table
//
// Customers are called by the value of their founder. Minute 0 is 2026-01-01; without at= each interaction is a minute later.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
	})
}

type story struct {
	t      *testing.T
	w      *world
	minute int64
	names  map[interaction.CustomerID]string
}

func (s *story) run(d *datadriven.TestData) string {
	var b strings.Builder
	switch d.Cmd {
	case "rules":
		s.begin(d)
	case "tell":
		for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
			s.tell(&b, line, d.HasArg("duplicate"), d.HasArg("quiet"))
		}
	case "map":
		s.printMap(&b)
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
	rules := defaults()
	for name, field := range map[string]*int{
		"customer_limit": &rules.CustomerLimit, "component_limit": &rules.ComponentLimit, "store_codes_tied": &rules.StoreCodesTied,
	} {
		d.MaybeScanArgs(s.t, name, field)
	}
	rules.DevicesJoinKnown = d.HasArg("devices_join_known")
	s.w, s.minute, s.names = newWorld(s.t, rules), 0, map[interaction.CustomerID]string{}
}

// tell reads an interaction a line. {a..b} in it stands for as many lines.
func (s *story) tell(b *strings.Builder, line string, duplicate, quiet bool) {
	if before, rest, ok := strings.Cut(line, "{"); ok {
		span, after, _ := strings.Cut(rest, "}")
		from, to, _ := strings.Cut(span, "..")
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil {
			s.t.Fatalf("no range: %s", line)
		}
		for i := first; i <= last; i++ {
			s.tell(b, strings.ReplaceAll(before+strconv.Itoa(i)+after, "{"+span+"}", strconv.Itoa(i)), duplicate, quiet)
		}
		return
	}
	s.minute++
	e := Evidence{
		At: 1767225600000 + 60000*s.minute, Source: "caja", SourceEventID: fmt.Sprintf("e%03d", s.w.seq), Duplicate: duplicate,
	}
	for _, word := range strings.Fields(line) {
		if at, ok := strings.CutPrefix(word, "at="); ok {
			minute, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			e.At = 1767225600000 + 60000*minute
			continue
		}
		word, verified := strings.CutSuffix(word, "!")
		space, value, _ := strings.Cut(word, ":")
		space, store, _ := strings.Cut(space, "@")
		e.Identifiers = append(e.Identifiers, interaction.Identifier{Namespace: space, Domain: store, Value: value, Verified: verified})
	}
	res := s.w.tell(e)
	s.learn(e)
	if !quiet {
		s.print(b, e, res)
	}
}

// learn keeps the names of customers: the values of their founders.
func (s *story) learn(e Evidence) {
	for _, id := range e.Identifiers {
		s.w.r.w.reset(s.w.mem, "default")
		key := keyIn("default", id).AppendBytes(nil)
		w := &s.w.r.w
		n := w.addNew(key, w.g.index[id.Namespace], []byte(id.Domain), []byte(id.Value), 0)
		raw := w.idOf(n)
		s.names[raw.text()] = id.Value
	}
}

func (s *story) name(id interaction.CustomerID) string {
	if n, ok := s.names[id]; ok {
		return n
	}
	return string(id)
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
	fmt.Fprintf(b, "%s: %s of %s, version %d", e.SourceEventID, res.Status, s.name(res.CustomerID), res.CustomerVersion)
	if res.Ambiguous {
		b.WriteString(", ambiguous")
	}
	for i, id := range s.w.graph.sorted(e.Identifiers) {
		if res.Outcomes[i] != interaction.OutcomeLinked {
			fmt.Fprintf(b, ", %s %s", id.Value, res.Outcomes[i])
		}
	}
	b.WriteByte('\n')
	if res.Reject != nil {
		fmt.Fprintf(b, "  reject %v\n", res.Reject)
	}
	changes := slices.Clone(res.Changes)
	slices.SortFunc(changes, func(x, y interaction.Change) int {
		return strings.Compare(s.name(x.CustomerID), s.name(y.CustomerID))
	})
	for _, c := range changes {
		fmt.Fprintf(b, "  %s %d %s (%s)", s.name(c.CustomerID), c.Version, c.Kind, c.Rule)
		for _, k := range c.Added {
			fmt.Fprintf(b, " +%s", k[strings.LastIndexByte(k, '|')+1:])
		}
		for _, k := range c.Removed {
			fmt.Fprintf(b, " -%s", k[strings.LastIndexByte(k, '|')+1:])
		}
		if len(c.MergedCustomerIDs) > 0 {
			fmt.Fprintf(b, " from %s", s.list(c.MergedCustomerIDs))
		}
		if len(c.SplitCustomerIDs) > 0 {
			fmt.Fprintf(b, " to %s", s.list(c.SplitCustomerIDs))
		}
		b.WriteByte('\n')
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
