package mapping

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
	"kinfold/schemas"
)

// TestStories runs the story files. Commands:
//
//	file name=N         a mapping that others may extend
//	mapping             a mapping: ok, or its faults; the commands below use it
//	apply               a record → what becomes of it. Arguments: topic, key, at (timestamp), header=(name,value) any number of
//	                    times; null: no value; quoted: the value is a Go string; trace: which rule and expression made it
//	time                a spelling of a time and its zone (or -), then texts → times
//	amount              a scale, then texts → amounts
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{files: map[string]string{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "file":
				var name string
				d.ScanArgs(t, "name", &name)
				s.files[name] = d.Input
				return ""
			case "mapping":
				return s.compile(d.Input)
			case "apply":
				return s.apply(t, d)
			case "time":
				return times(d.Input)
			case "amount":
				return amountsOf(d.Input)
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

type story struct {
	files map[string]string
	m     *Mapping
	out   Result
}

func (s *story) compile(text string) string {
	m, err := Compile("m", []byte(text), func(name string) ([]byte, error) {
		if text, ok := s.files[name]; ok {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("there is no mapping %s", name)
	})
	if s.m = m; err != nil {
		return err.Error() + "\n"
	}
	return "ok\n"
}

func (s *story) apply(t *testing.T, d *datadriven.TestData) string {
	rec := &Record{Topic: "topic", Timestamp: 1772445600000, Value: []byte(strings.TrimSuffix(d.Input, "\n"))}
	s.out.Trace = false
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "topic":
			rec.Topic = arg.Vals[0]
		case "key":
			rec.Key = []byte(arg.Vals[0])
		case "at":
			rec.Timestamp, _ = strconv.ParseInt(arg.Vals[0], 10, 64)
		case "header":
			rec.Headers = append(rec.Headers, Header{arg.Vals[0], []byte(arg.Vals[1])})
		case "null":
			rec.Value = nil
		case "quoted":
			value, err := strconv.Unquote(string(rec.Value))
			if err != nil {
				t.Fatalf("%s: %v", d.Pos, err)
			}
			rec.Value = []byte(value)
		case "trace":
			s.out.Trace = true
		default:
			t.Fatalf("%s: unknown argument %s", d.Pos, arg.Key)
		}
	}
	if s.m == nil {
		return "no mapping\n"
	}
	s.m.Apply(rec, &s.out)
	var b strings.Builder
	for i := range s.out.Items {
		show(&b, &s.out.Items[i])
	}
	return b.String()
}

func show(b *strings.Builder, it *Item) {
	if it.Index != WholeRecord {
		fmt.Fprintf(b, "%d: ", it.Index)
	}
	switch it.Kind {
	case Interaction:
		showInteraction(b, &it.Interaction)
	case Directive:
		d := it.Directive
		fmt.Fprintf(b, "directive %s %s at %s a=%s b=%s scope=%s author=%s realm of %q", d.ID, d.Kind, clock(d.IssuedAt), shownTarget(d.A), shownTarget(d.B),
			d.Scope, d.Author, it.StoreCode)
	default:
		b.WriteString(describe(it))
	}
	b.WriteString("\n")
	if it.Trace != nil {
		showTrace(b, it.Trace)
	}
}

func showTrace(b *strings.Builder, t *Trace) {
	if t.Rule == 0 {
		fmt.Fprintf(b, "  no rule, input %q\n", t.Input)
	} else {
		fmt.Fprintf(b, "  rule %d at %s:%d, input %q\n", t.Rule, t.File, t.Line, t.Input)
	}
	for _, f := range t.Fields {
		fmt.Fprintf(b, "  %s: %s = %q at %s:%d:%d\n", f.Field, f.Expr, f.Value, f.File, f.Line, f.Column)
	}
	for _, f := range t.Absent {
		fmt.Fprintf(b, "  absent %s at %s:%d:%d%s\n", f.Field, f.File, f.Line, f.Column, shownLooks(f.Looks))
	}
	if f := t.Unread; f != nil {
		fmt.Fprintf(b, "  unread %s: %s = %q at %s:%d:%d%s\n", f.Field, f.Expr, f.Value, f.File, f.Line, f.Column, shownLooks(f.Looks))
	}
	if len(t.Looks) > 0 {
		fmt.Fprintf(b, "  looked%s\n", shownLooks(t.Looks))
	}
}

func shownLooks(looks []Look) string {
	var b strings.Builder
	for _, l := range looks {
		fmt.Fprintf(&b, "; %s %q %s", l.Path, l.Value, l.Why)
	}
	return b.String()
}

func showInteraction(b *strings.Builder, in *interaction.Interaction) {
	fmt.Fprintf(b, "%s %s at %s", in.Type, in.Channel, clock(in.OccurredAt))
	if !in.TimeStated {
		b.WriteString(" (not stated)")
	}
	for _, f := range [][2]string{{"event", in.EventID}, {"store", in.StoreCode}, {"user", in.UserID}} {
		if f[1] != "" {
			fmt.Fprintf(b, " %s=%s", f[0], f[1])
		}
	}
	for _, id := range in.Identifiers {
		fmt.Fprintf(b, " %s:%s", id.Namespace, id.Value)
		if id.Verified {
			b.WriteString("!")
		}
	}
	text, err := schemas.AppendPayloadJSON(nil, in.Payload)
	if err != nil {
		fmt.Fprintf(b, " %v", err)
	}
	if s := string(text); s != `"order":null,"traits":{},"properties":{}` {
		b.WriteString(" " + strings.TrimSuffix(strings.TrimPrefix(s, `"order":null,`), `,"properties":{}`))
	}
}

func shownTarget(t *interaction.Target) string {
	if t == nil {
		return "-"
	}
	return t.Namespace + ":" + t.StoreCode + ":" + t.Value
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000") }

func times(input string) string {
	lines := strings.Split(strings.TrimSuffix(input, "\n"), "\n")
	spelling, zone, _ := strings.Cut(lines[0], " in ")
	f, err := parseTimeFormat(spelling)
	if err == nil && zone != "-" {
		var errZone error
		f.location, errZone = loadZone(zone)
		err = errors.Join(err, errZone)
	}
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, line := range lines[1:] {
		if ms, ok := f.parse(line); ok {
			fmt.Fprintf(&b, "%s → %s\n", line, clock(ms))
		} else {
			fmt.Fprintf(&b, "%s → invalid\n", line)
		}
	}
	return b.String()
}

func amountsOf(input string) string {
	lines := strings.Split(strings.TrimSuffix(input, "\n"), "\n")
	scale, _ := strconv.Atoi(lines[0])
	var b strings.Builder
	for _, line := range lines[1:] {
		if a, ok := parseAmount(line, scale); ok {
			fmt.Fprintf(&b, "%s → %s\n", line, amountText(a))
		} else {
			fmt.Fprintf(&b, "%s → invalid\n", line)
		}
	}
	return b.String()
}

// amountText is an amount as decimal text.
func amountText(a source.Amount) string {
	return new(big.Rat).SetFrac64(a.Unscaled, 10_000).FloatString(amountScale)
}
