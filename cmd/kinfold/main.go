// Command kinfold unifies the interactions of a retailer's customers: it reads them from Kafka, decides which customer each
// belongs to, and writes one unified customer event for each distinct interaction, exactly once.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses, documented in the help of the root command.
const (
	exitError = 1
	exitUsage = 2
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "kinfold: %v\n", err)
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
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; see kinfold --help", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	cmd.AddCommand(runCommand(), demoCommand(), dryRunCommand(), checkConfigCommand(), topicsCommand(), versionCommand())
	return cmd
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

// required refuses a missing flag.
func required(name, value string) error {
	if value == "" {
		return usageError{fmt.Errorf("--%s is missing", name)}
	}
	return nil
}
