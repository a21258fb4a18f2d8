package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
)

func runCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run the processor against a Kafka cluster",
		Long: `Runs the stages that the configuration names, until it is asked to stop (SIGTERM or Ctrl-C) or meets an error that
an operator has to look at. Topics of ours that are missing are created; those that exist are never altered.

Stopping takes at most 10 s: the batch in hand is finished and committed, the stores are closed, the groups are left.
Killing it at any moment loses and doubles nothing.`,
		Example: `  kinfold check-config kinfold.yaml
  kinfold topics --config kinfold.yaml --create
  kinfold run --config kinfold.yaml`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "config"); err != nil {
				return err
			}
			c, err := config.Load(file, os.LookupEnv)
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
			return p.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `FILE` (YAML)")
	return cmd
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
