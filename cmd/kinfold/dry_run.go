package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/normalize"
)

func dryRunCommand() *cobra.Command {
	var rulesFile, input, dir string
	cmd := &cobra.Command{
		Use:   "dry-run [--rules FILE] --input FILE|- --output-dir DIR",
		Short: "Resolve a file of interactions without Kafka",
		Long: `Takes interactions, one plain JSON object a line, through the same steps as "kinfold run", in memory and in the order of
the file, and writes what the topics would get:

  unified-customer-events.jsonl  one line for each distinct interaction
  identity-changes.jsonl         how the identifiers of each customer changed
  identity-map.jsonl             identifier to customer, a line for each change; the last one of a key counts
  rejects.jsonl                  the lines that became no event, with the reason

A line may hold a directive instead: {"directive": {…}}, with the members of the topic identity-directives. Of one with
"dry_run": true the summary tells what it would do.

The Kafka timestamp of a line is its member received_at where it has one, else its occurred_at, of a directive its issued_at.
The rules are the "identity" part of the configuration; without --rules the defaults are in force. No state is left behind.`,
		Example: `  kinfold dry-run --input interactions.jsonl --output-dir out
  zcat export.jsonl.gz | kinfold dry-run --rules identity.yaml --input - --output-dir out`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "input", "output-dir"); err != nil {
				return err
			}
			rules, err := readRules(rulesFile)
			if err != nil {
				return err
			}
			in, err := openInput(cmd, input)
			if err != nil {
				return err
			}
			defer in.Close()
			began := time.Now()
			result, err := processor.DryRun(cmd.Context(), rules, in, dir, func(lines int) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d lines, %.0f a second\n", lines, float64(lines)/time.Since(began).Seconds())
			})
			if err != nil {
				return err
			}
			return dryRunSummary(cmd.OutOrStdout(), result, dir)
		},
	}
	cmd.Flags().StringVar(&rulesFile, "rules", "", "identity rules `FILE` (YAML or JSON): the content of the identity section")
	cmd.Flags().StringVarP(&input, "input", "i", "", "`FILE` of interactions, one JSON object a line; - is standard input")
	cmd.Flags().StringVarP(&dir, "output-dir", "o", "", "`DIR` for the four files; made if missing, files in it are replaced")
	return cmd
}

func readRules(file string) (*normalize.Rules, error) {
	if file == "" {
		return normalize.DefaultRules(), nil
	}
	return config.LoadRules(file, os.LookupEnv)
}

func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return interruptible(cmd.Context(), cmd.InOrStdin()), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the input: %w", err)
	}
	return f, nil
}

// interruptible reads from in until ctx ends. A read of a terminal or a pipe may wait for ever, and nothing else ends it.
func interruptible(ctx context.Context, in io.Reader) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })
	if file, ok := in.(*os.File); ok {
		return &fileInput{r, file}
	}
	return r
}

// fileInput is a file that is read through a pipe, and still says which one it is.
type fileInput struct {
	io.ReadCloser
	file *os.File
}

// Stat describes the file.
func (f *fileInput) Stat() (os.FileInfo, error) { return f.file.Stat() }

func dryRunSummary(out io.Writer, r *processor.DryRunResult, dir string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "lines read\t%d\tin %s\n", r.Lines, r.Elapsed.Round(time.Millisecond))
	fmt.Fprintf(w, "unified events\t%d\tone for each distinct interaction\n", r.Interactions)
	fmt.Fprintf(w, "duplicates\t%d\tdropped: the same interaction had been accepted before\n", r.Duplicates)
	if r.Directives > 0 {
		fmt.Fprintf(w, "directives\t%d\ttaken in\n", r.Directives)
	}
	if r.DryRuns > 0 {
		fmt.Fprintf(w, "  dry_run\t%d\tchanged nothing; what they would do stands below\n", r.DryRuns)
	}
	fmt.Fprintf(w, "rejects\t%d\tsee rejects.jsonl\n", r.RejectCount())
	for _, reason := range slices.Sorted(maps.Keys(r.Rejects)) {
		fmt.Fprintf(w, "  %s\t%d\t\n", reason, r.Rejects[reason])
	}
	fmt.Fprintf(w, "customers\t%d\tat the end\n", r.Customers)
	fmt.Fprintf(w, "merges\t%d\tcustomer ids that ended in another customer\n", r.Merges)
	fmt.Fprintf(w, "splits\t%d\tcustomers that lost identifiers to a new one\n", r.Splits)
	fmt.Fprintf(w, "written to\t%s\t\n", dir)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, report := range r.Reports {
		fmt.Fprintln(out)
		if err := tellDirective(out, report); err != nil {
			return err
		}
	}
	if left := r.DryRuns - len(r.Reports); left > 0 {
		fmt.Fprintf(out, "\nand %s of directives more; take them out into a file of fewer to read them\n", count(left, "dry run"))
	}
	return nil
}
