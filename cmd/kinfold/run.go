package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
)

func runCommand() *cobra.Command {
	var file string
	var stages []string
	cmd := &cobra.Command{
		Use:   "run --config FILE [--stages STAGES]",
		Short: "Run the processor against a Kafka cluster",
		Long: `Runs the stages that the configuration names, until it is asked to stop (SIGTERM or Ctrl-C) or meets an error that
an operator has to look at. Topics of ours that are missing are created; those that exist are never altered.

Stopping takes at most 10 s: the batch in hand is finished and committed, the stores are closed, the groups are left.
Killing it at any moment loses and doubles nothing.`,
		Example: `  kinfold check-config kinfold.yaml
  kinfold topics --config kinfold.yaml --create
  kinfold run --config kinfold.yaml
  kinfold run --config kinfold.yaml --stages ingest`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "config"); err != nil {
				return err
			}
			named, err := stagesOf(stages)
			if err != nil {
				return err
			}
			c, err := config.Load(file, os.LookupEnv, func(c *config.Config) {
				if named != nil {
					c.Stages = named
				}
			})
			if err != nil {
				return err
			}
			log := logger(c.Log, cmd.ErrOrStderr())
			for _, w := range c.Warnings() {
				log.Warn(w)
			}
			processor.TuneGC()
			p, err := processor.Open(c, processor.Options{Logger: log})
			if err != nil {
				return err
			}
			defer p.Close()
			err = p.Run(cmd.Context())
			if err != nil && !isTerminal(cmd.ErrOrStderr()) {
				return loggedError{err}
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `FILE` (YAML)")
	cmd.Flags().StringSliceVar(&stages, "stages", nil, "`STAGES` of this process, ingest, resolve or both: wins over stages in the file")
	return cmd
}

// stagesOf reads the stages of the command line; nil: it names none.
func stagesOf(names []string) (stages []config.Stage, _ error) {
	known := config.Default().Stages
	for _, name := range names {
		s := config.Stage(name)
		switch {
		case !slices.Contains(known, s):
			return nil, usageError{fmt.Errorf("--stages: %q is not known; one of %s, %s, or both with a comma", name, config.StageIngest, config.StageResolve)}
		case slices.Contains(stages, s):
			return nil, usageError{fmt.Errorf("--stages: %s is named twice", name)}
		}
		stages = append(stages, s)
	}
	return stages, nil
}

// logger writes to w as the configuration says.
func logger(c config.Log, w io.Writer) *slog.Logger {
	level := map[config.LogLevel]slog.Level{
		config.LogDebug: slog.LevelDebug, config.LogInfo: slog.LevelInfo, config.LogWarn: slog.LevelWarn, config.LogError: slog.LevelError,
	}[c.Level]
	options := &slog.HandlerOptions{Level: level}
	if c.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
