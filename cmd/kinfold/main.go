// Command kinfold unifies the interactions of a retailer's customers: it reads them from Kafka, decides which customer each
// belongs to, and writes one unified customer event for each distinct interaction, exactly once.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses, documented in the help of the root command.
const (
	exitError = 1
	exitUsage = 2
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

// loggedError is one that the log has told already, to a machine: only a person on a terminal is told again.
type loggedError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	var logged loggedError
	if !errors.As(err, &logged) {
		fmt.Fprintf(os.Stderr, "kinfold: %v\n", err)
	}
	var usage usageError
	if errors.As(err, &usage) {
		os.Exit(exitUsage)
	}
	os.Exit(exitError)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kinfold",
		Short: "Unify customer interactions from Kafka, exactly once",
		Long: `kinfold reads interactions (till receipts, web visits, app logins, opened e-mails) from Kafka topics, drops
duplicates, decides which customer each belongs to, and writes one unified customer event for each
distinct interaction, exactly once.

New here? Run: kinfold demo

Exit status: 0 when the work was done or the process was asked to stop, 1 when it failed, 2 when it was
called the wrong way.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	cmd.AddCommand(runCommand(), askCommand(), demoCommand(), dryRunCommand(), rulesCommand(), sourcesCommand(), tryCommand(), checkConfigCommand(), topicsCommand(), versionCommand())
	strictBuiltins(cmd)
	onceEach(cmd)
	return cmd
}

// onceEach refuses a flag that is given twice and takes one value: of two configurations the first would not count, in silence.
func onceEach(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		_, several := f.Value.(pflag.SliceValue)
		if _, done := f.Value.(*once); !done && !several && f.NoOptDefVal == "" {
			f.Value = &once{Value: f.Value}
		}
	})
	for _, of := range cmd.Commands() {
		onceEach(of)
	}
}

// once is the value of a flag that may be given once.
type once struct {
	pflag.Value
	given bool
}

// Set implements pflag.Value.
func (o *once) Set(text string) error {
	if o.given {
		return fmt.Errorf("it was given before, as %q", o.String())
	}
	o.given = true
	return o.Value.Set(text)
}

// strictBuiltins makes the commands that cobra brings answer a mistake in the call as ours do: they would print a help or end with
// another status.
func strictBuiltins(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				of, rest, err := root.Find(args)
				if err != nil {
					return usageError{err}
				}
				return noSuchCommand(of, rest)
			}
		case "completion":
			cmd.Args, cmd.RunE = noSuchCommand, root.RunE
			for _, shell := range cmd.Commands() {
				shell.Args = exactly(0, "")
			}
		}
	}
}

// noSuchCommand refuses any word after a command that has subcommands only.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q; see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}

// exactly refuses any other number of arguments, with the usage line.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			if n == 0 {
				return usageError{fmt.Errorf("%s takes no argument, got %q", cmd.CommandPath(), args)}
			}
			return usageError{fmt.Errorf("%s takes %s; usage: %s", cmd.CommandPath(), what, cmd.UseLine())}
		}
		return nil
	}
}

// atMostOne refuses more than one argument, with the usage line.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("%s takes one %s; usage: %s", cmd.CommandPath(), what, cmd.UseLine())}
		}
		return nil
	}
}

// required refuses missing flags, naming all of them in the order given.
func required(cmd *cobra.Command, names ...string) error {
	var missing []string
	for _, name := range names {
		if cmd.Flags().Lookup(name).Value.String() == "" {
			missing = append(missing, "--"+name)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return usageError{fmt.Errorf("%s is missing; see %s --help", missing[0], cmd.CommandPath())}
	default:
		return usageError{fmt.Errorf("%s are missing; see %s --help", strings.Join(missing, " and "), cmd.CommandPath())}
	}
}
