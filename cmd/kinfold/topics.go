package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
)

// topicsTimeout bounds the whole command: a cluster that does not answer is said so.
const topicsTimeout = 30 * time.Second

func topicsCommand() *cobra.Command {
	var file string
	var create bool
	cmd := &cobra.Command{
		Use:   "topics --config FILE [--create]",
		Short: "Show the topics that kinfold needs, and create those that are missing",
		Long: `Lists every topic of the configuration: whether it exists, its partitions, and each setting that differs from what
kinfold needs, with what the difference risks. With --create, the missing topics of ours are made;
inputs are their producers' to create, and a topic that exists is never altered.

The exit status is 1 when something is missing or would keep "kinfold run" from starting.`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "config"); err != nil {
				return err
			}
			c, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), topicsTimeout)
			defer cancel()
			reports, err := processor.CheckTopics(ctx, c, create)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "TOPIC\tSTATE\tPARTITIONS\tREPLICATION\tCLEANUP\tRETENTION")
			faults, missing := 0, 0
			for _, r := range reports {
				state := "exists"
				switch {
				case r.Created:
					state = "created"
				case !r.State.Exists:
					state = "MISSING"
				case len(r.Differences) > 0:
					state = "DIFFERS"
				}
				if r.Input {
					state += " (input)"
				}
				if !r.State.Exists {
					fmt.Fprintf(w, "%s\t%s\t\t\t\t\n", r.Name, state)
					continue
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", r.Name, state, r.State.Partitions, r.State.Replication,
					r.State.Configs["cleanup.policy"], retention(r.State.Configs))
			}
			if err := w.Flush(); err != nil {
				return err
			}
			for _, r := range reports {
				for _, d := range r.Differences {
					mark := "warning"
					switch {
					case !r.State.Exists:
						mark = "missing"
						missing++
					case d.Refuse:
						mark = "fault"
						faults++
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", mark, d)
				}
			}
			return topicsVerdict(faults, missing)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `FILE` (YAML)")
	cmd.Flags().BoolVar(&create, "create", false, "create the topics of ours that are missing")
	return cmd
}

// topicsVerdict says whether `kinfold run` would start, and what to do where not.
func topicsVerdict(faults, missing int) error {
	var said []string
	if missing > 0 {
		said = append(said, count(missing, "topic")+" missing, which the lines above say who makes")
	}
	if faults > 0 {
		said = append(said, count(faults, "fault")+" in topics that exist; kinfold never alters them: change them with your Kafka tools")
	}
	if said == nil {
		return nil
	}
	return errors.New(strings.Join(said, "; "))
}

// retention is how long a topic keeps its records, in words. One that is compacted only keeps the last of each key.
func retention(configs map[string]string) string {
	ms := configs["retention.ms"]
	switch {
	case configs["cleanup.policy"] == "compact":
		return "last of each key"
	case ms == "-1":
		return "no limit"
	}
	d, err := time.ParseDuration(ms + "ms")
	if err != nil {
		return ms
	}
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}
