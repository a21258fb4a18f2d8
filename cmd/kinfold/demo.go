package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"kinfold/processor/demo"
	"kinfold/processor/demo/live"
)

func demoCommand() *cobra.Command {
	var o live.Options
	var input string
	var noColour bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a small retailer's interactions become unified customer events",
		Long: `Starts a Kafka broker inside this process, fills it with the interactions of a small retailer (three branches with UserIds of
their own, a web shop that speaks Segment, an app, mailings through SendGrid, and all the dirt that real data has), runs the
very code of "kinfold run" on it, and tells what became of them: in figures, and as the story of two customers. Nothing is
installed and nothing is left behind.

With --input, your own interactions take the retailer's place: one plain JSON interaction a line, as for dry-run. Directives
are for dry-run.`,
		Example: `  kinfold demo
  kinfold demo --seed 7 --keep
  kinfold demo --input interactions.jsonl`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Size < demo.MinSize:
				return usageError{fmt.Errorf("--size must be %d or more: in less there is no room for the people and the faults of the retailer", demo.MinSize)}
			case o.Pace < 0:
				return usageError{fmt.Errorf("--pace must not be negative")}
			}
			if input != "" {
				in, err := openInput(cmd, input)
				if err != nil {
					return err
				}
				defer in.Close()
				o.Input, o.InputName = in, input
				if input == "-" {
					o.InputName = "standard input"
				}
			}
			out := cmd.OutOrStdout()
			o.Terminal = isTerminal(out)
			o.Colour = wantsColour(out, noColour)
			return live.Run(cmd.Context(), out, o)
		},
	}
	cmd.Flags().Uint64Var(&o.Seed, "seed", demo.DefaultSeed, "another `NUMBER` is another retailer")
	cmd.Flags().IntVar(&o.Size, "size", demo.DefaultSize, fmt.Sprintf("`NUMBER` of interactions of the retailer, %d or more", demo.MinSize))
	cmd.Flags().DurationVar(&o.Pace, "pace", 6*time.Second, "`TIME` over which the interactions come in; 0: all at once, and chance says whose are read first")
	cmd.Flags().StringVarP(&input, "input", "i", "", "`FILE` of your own interactions, one JSON object a line; - is standard input")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "stay up afterwards, with the broker, the topics and the metrics, until Ctrl-C")
	cmd.Flags().BoolVar(&noColour, "no-color", false, "plain text, also on a terminal")
	return cmd
}

// wantsColour reports a terminal whose user has not asked for plain text.
func wantsColour(w io.Writer, noColour bool) bool {
	return !noColour && os.Getenv("NO_COLOR") == "" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
