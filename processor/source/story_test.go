package source

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"kinfold/processor/interaction"
)

// TestStories runs the story files. Commands:
//
//	decode     JSON, one record a line → the interaction, or the reject
//	received   JSON, one record a line → the received_at beside it
//	directive  JSON, one record a line → the directive, or the reject
//	line       JSON, one line of a file a line → the directive in it, or the reject; "no directive"
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var b strings.Builder
			for line := range strings.Lines(d.Input) {
				line = strings.TrimSuffix(line, "\n")
				switch d.Cmd {
				case "decode":
					decode(&b, line)
				case "received":
					ms, ok, rej := ReceivedAt([]byte(line))
					fmt.Fprintln(&b, ms, ok, rejected(rej))
				case "directive":
					var order interaction.Directive
					directive(&b, &order, DecodeDirective([]byte(line), &order))
				case "line":
					var order interaction.Directive
					if found, rej := LineDirective([]byte(line), &order); found || rej != nil {
						directive(&b, &order, rej)
					} else {
						fmt.Fprintln(&b, "no directive")
					}
				default:
					t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
				}
			}
			return strings.ReplaceAll(b.String(), " \n", "\n")
		})
	})
}

func rejected(rej *interaction.Reject) string {
	if rej == nil {
		return ""
	}
	return rej.Error()
}

func decode(b *strings.Builder, line string) {
	in := interaction.Interaction{Identifiers: []interaction.Raw{{Value: "of an earlier call"}}, UserID: "x", Payload: []byte{1}}
	if rej := DecodeJSON([]byte(line), 0, &in); rej != nil {
		fmt.Fprintln(b, "reject", rej)
		return
	}
	fmt.Fprintf(b, "%q %q %q %q store %q at %d", in.EventID, in.Source, in.Channel, in.Type, in.StoreCode, in.OccurredAt)
	if in.HasUserID {
		fmt.Fprintf(b, " user %q%s", in.UserID, overlong(in.UserIDOverlong))
	}
	fmt.Fprintln(b)
	for _, id := range in.Identifiers {
		fmt.Fprintf(b, "  %s %q%s", id.Namespace, id.Value, overlong(id.Overlong))
		if id.Verified {
			b.WriteString(" verified")
		}
		fmt.Fprintln(b)
	}
	if string(in.Payload) != "\x00\x00\x00" {
		fmt.Fprintf(b, "  payload %q\n", in.Payload)
	}
}

func directive(b *strings.Builder, d *interaction.Directive, rej *interaction.Reject) {
	if rej != nil {
		fmt.Fprintln(b, "reject", rej)
		return
	}
	fmt.Fprintf(b, "%s %s", d.Kind, d.ID)
	for _, of := range []*interaction.Target{d.A, d.B} {
		if of != nil {
			fmt.Fprintf(b, " %s %q %q", of.Namespace, of.StoreCode, of.Value)
		}
	}
	if d.CustomerID != "" {
		fmt.Fprintf(b, " customer %s", d.CustomerID)
	}
	if d.DryRun {
		b.WriteString(" dry run")
	}
	fmt.Fprintln(b)
}

func overlong(is bool) string {
	if is {
		return " overlong"
	}
	return ""
}
