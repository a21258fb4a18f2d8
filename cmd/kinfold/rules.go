package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
)

func rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "See what identity rules do to your data before they are in force",
		Long: `Asks what identity rules make of evidence that is there: that of a state directory, or of a file of interactions. Nothing is
written, and nothing is connected to.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(rulesDiffCommand(), rulesLintCommand())
	return cmd
}

// evidenceFlags say where the evidence comes from.
type evidenceFlags struct {
	stateDir, input string
	json            bool
	examples        int
}

func (f *evidenceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "state `DIR` of a stopped process: <state_dir>/<app>, or a state_dir that holds one app")
	cmd.Flags().StringVarP(&f.input, "input", "i", "", "`FILE` of interactions and directives, one JSON object a line; - is standard input")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the report as JSON")
	cmd.Flags().IntVar(&f.examples, "examples", 5, "print up to `N` examples of each kind; 0: no identifier is printed")
}

func (f *evidenceFlags) check(cmd *cobra.Command) error {
	switch {
	case (f.stateDir == "") == (f.input == ""):
		return usageError{fmt.Errorf("give --state-dir or --input, one of them; see %s --help", cmd.CommandPath())}
	case f.examples < 0:
		return usageError{fmt.Errorf("--examples is %d, must be 0 or more", f.examples)}
	}
	return nil
}

// report gets an answer from where the flags say that the evidence is, and prints it: as JSON, or as text writes it.
func report[R any](cmd *cobra.Command, f *evidenceFlags, ofState func(context.Context, string) (R, error),
	ofInput func(context.Context, string, io.Reader) (R, error), text func(io.Writer, R) error) (answer R, err error) {
	if f.stateDir != "" {
		answer, err = ofState(cmd.Context(), f.stateDir)
	} else {
		var in io.ReadCloser
		if in, err = openInput(cmd, f.input); err != nil {
			return answer, err
		}
		defer in.Close()
		answer, err = ofInput(cmd.Context(), f.input, in)
	}
	switch {
	case err != nil:
		return answer, err
	case f.json:
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return answer, e.Encode(answer)
	}
	return answer, text(cmd.OutOrStdout(), answer)
}

func progressTo(cmd *cobra.Command) func(string) {
	return func(what string) { fmt.Fprintln(cmd.ErrOrStderr(), what) }
}

func rulesFile(name string) (processor.RulesFile, error) {
	rules, err := config.LoadIdentity(name, os.LookupEnv)
	return processor.RulesFile{Name: name, Rules: rules}, err
}

func rulesDiffCommand() *cobra.Command {
	var configs []string
	var flags evidenceFlags
	cmd := &cobra.Command{
		Use:   "diff --config OLD --config NEW (--state-dir DIR | --input FILE|-)",
		Short: "Show what new identity rules would change: customers merged, split, renamed",
		Long: `Applies two sets of identity rules to the same evidence and reports how their customers differ: merged, split, renamed,
unchanged, by customers and identifiers; identifiers that become shared or stop being it; edges that are newly refused or
accepted, with the reason; and examples. Each FILE is a whole configuration, of which only the identity section counts, or
that section alone.

With --input both rules are applied to the lines of the file, as "kinfold dry-run" does: the answer is exact. It needs
about 5 KB of memory for each identifier.

With --state-dir the evidence is that of a stopped process; nothing in the directory changes. First OLD has to make of it
exactly the customers that are stored: if it does not, the report says so and the exit status is 1. Then the stored values
are judged by NEW: blocked, invalid, other domains and realms, thresholds and limits. What a state does not hold cannot be
judged, and the report lists it: values that OLD blocked or called invalid, what was sent before it was normalised, the
StoreCode of an interaction where no identifier holds it, edges that the component cap refused. It needs about 1.5 KB of
memory for each identifier of the largest realm.

Identifiers stand in the examples only, on standard output; progress on standard error names none. The exit status is 0
whether or not something differs.`,
		Example: `  kinfold rules diff --config kinfold.yaml --config new.yaml --state-dir /var/lib/kinfold/kinfold
  zcat export.jsonl.gz | kinfold rules diff --config kinfold.yaml --config new.yaml --input - --json`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(configs) != 2 {
				return usageError{fmt.Errorf("give --config twice: the old rules, then the new ones; see %s --help", cmd.CommandPath())}
			}
			if err := flags.check(cmd); err != nil {
				return err
			}
			old, err := rulesFile(configs[0])
			if err != nil {
				return err
			}
			new, err := rulesFile(configs[1])
			if err != nil {
				return err
			}
			return rulesDiff(cmd, &flags, &processor.RulesQuestion{Old: old, New: new, Examples: flags.examples, Progress: progressTo(cmd)})
		},
	}
	cmd.Flags().StringArrayVarP(&configs, "config", "c", nil, "`FILE` with the rules, given twice: OLD, then NEW")
	flags.add(cmd)
	return cmd
}

func rulesDiff(cmd *cobra.Command, flags *evidenceFlags, q *processor.RulesQuestion) error {
	diff, err := report(cmd, flags, q.DiffState, q.DiffInput, writeDiff)
	if err != nil {
		return err
	}
	if m := diff.Mismatches; m.Any() {
		return fmt.Errorf("the stored customers are not those that %s makes of the evidence: %d customer ids, %d identifiers and %d edges differ. "+
			"Give the configuration that the process ran with, its id_key included; if it is that one, keep a copy of the directory and report it",
			diff.Old.File, m.CustomerIDs, m.Identifiers, m.Edges)
	}
	return nil
}

func rulesLintCommand() *cobra.Command {
	var file string
	var flags evidenceFlags
	cmd := &cobra.Command{
		Use:   "lint --config FILE (--state-dir DIR | --input FILE|-)",
		Short: "Find what looks wrong in your data under some identity rules",
		Long: `Looks at evidence under identity rules and lists what looks wrong, how much of it there is, examples, and what to do next:

  full customers             1 % or more hold as many identifiers of a namespace as at_most allows
  ties nothing               90 % or more of a namespace never came with another identifier
  shared identifiers         those that are shared, the most shared ones first; matters for codes and documents, and
                             for a namespace of which 5 % or more are shared
  customers near the limit   80 % or more of customer_limit
  components near the limit  80 % or more of component_limit
  case twins                 codes of one store that differ in upper and lower case only, and are of different customers
  refused edges              by reason; matters from 5 % of all edges for limit, always for size
  ambiguous                  5 % or more of the events; in a state directory, which keeps no events, of the identifiers
                             that have a refused edge

FILE is a whole configuration, of which only the identity section counts, or that section alone. Shares of fewer than 20
never matter. Nothing is written. Identifiers stand in the examples only, on standard output.

The exit status is 0 when nothing that matters was found, 1 when something was or the work failed, 2 when the command was
called the wrong way.`,
		Example: `  kinfold rules lint --config kinfold.yaml --state-dir /var/lib/kinfold/kinfold
  kinfold rules lint --config kinfold.yaml --input interactions.jsonl --json`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "config"); err != nil {
				return err
			}
			if err := flags.check(cmd); err != nil {
				return err
			}
			rules, err := rulesFile(file)
			if err != nil {
				return err
			}
			return rulesLint(cmd, &flags, &processor.LintQuestion{Rules: rules, Examples: flags.examples, Progress: progressTo(cmd)})
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "`FILE` with the rules")
	flags.add(cmd)
	return cmd
}

func rulesLint(cmd *cobra.Command, flags *evidenceFlags, q *processor.LintQuestion) error {
	lint, err := report(cmd, flags, q.State, q.Input, writeLint)
	if err != nil {
		return err
	}
	if n := lint.Matters(); n > 0 {
		return fmt.Errorf("%s", findings(n))
	}
	return nil
}

func findings(n int) string {
	if n == 1 {
		return "1 finding matters"
	}
	return fmt.Sprintf("%d findings matter", n)
}
