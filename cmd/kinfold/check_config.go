package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kinfold/processor/config"
)

func checkConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check-config FILE",
		Short: "Check a configuration and print what is in force",
		Long: `Reads a configuration file and prints the effective configuration, defaults included and secrets hidden, on
standard output. With faults, all of them are listed, each with its line, and the exit status is 1.
Nothing is connected to.`,
		Example: "  kinfold check-config deploy/kinfold.yaml",
		Args:    exactly(1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(args[0], os.LookupEnv)
			var faults *config.FaultsError
			if errors.As(err, &faults) {
				fmt.Fprintln(cmd.ErrOrStderr(), faults)
				return fmt.Errorf("%s has %s", args[0], count(len(faults.Faults), "fault"))
			}
			if err != nil {
				return err
			}
			for _, w := range c.Warnings() {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
			}
			text, err := config.Effective(c)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: no faults. The effective configuration, secrets hidden:\n", args[0])
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
