package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/normalize"
	"kinfold/processor/source/mapping"
	"kinfold/processor/try"
	"kinfold/schemas/sources"
)

const (
	// topicTimeout bounds the reading of a topic: a cluster that does not answer is said so.
	topicTimeout = time.Minute
	// mostOfTopic is the greatest --last: that many records are held in memory.
	mostOfTopic = 10_000
)

var errNoSource = errors.New("which source? kinfold sources lists them")

type tryOptions struct {
	input, topic, config, rules string
	last                        int
	json, strict, noColor       bool
}

func tryCommand() *cobra.Command {
	var o tryOptions
	cmd := &cobra.Command{
		Use:   "try SOURCE --input FILE|- | --from-topic TOPIC --config FILE",
		Short: "Show what a mapping makes of records, field by field",
		Long: `SOURCE is a mapping that comes with kinfold (kinfold sources lists them) or the path of a mapping file of yours. For each
record you see what became of it: the fields of the interaction, each with the path that filled it and the line of the
mapping, what the identity rules make of each identifier, and the key under which it travels; or why it was ignored or
rejected, what was looked at, and what to do.

The input has one record a line:

  {"topic": "shop.orders", "key": "7", "headers": {"X-Event": "paid"}, "timestamp": 1772445600000, "value_text": "{…}"}

with value_base64 in place of value_text for values that are no UTF-8, and null for a tombstone. A line that is no record
is told with its number. With --from-topic, the newest records of a topic take the place of the input: those of committed
transactions, without a consumer group and without a trace in the cluster.

The identity rules are those of --rules, else those of --config, else the defaults. Values of identifiers are shown.

Exit status: 0, also where records are rejected; 1 when the mapping has faults, each told with its line and column, or
with --strict when a record was rejected or a line was no record.`,
		Example: `  kinfold try segment --input records.jsonl
  kinfold try my-shopify.yaml --input - --json < records.jsonl
  kinfold try my-shopify.yaml --from-topic shop.orders --config kinfold.yaml --last 50`,
		Args:              atMostOne("SOURCE"),
		ValidArgsFunction: completeSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return err
			}
			return runTry(cmd, args[0], &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.input, "input", "i", "", "`FILE` of records, one JSON object a line; - is standard input")
	f.StringVar(&o.topic, "from-topic", "", "take the newest records of this `TOPIC` of the cluster of --config")
	f.IntVar(&o.last, "last", 10, "`NUMBER` of records that --from-topic takes")
	f.StringVarP(&o.config, "config", "c", "", "configuration `FILE` (YAML): its cluster and its identity rules")
	f.StringVar(&o.rules, "rules", "", "identity rules `FILE` (YAML or JSON): the content of the identity section")
	f.BoolVar(&o.json, "json", false, "one line of JSON a record, and nothing else")
	f.BoolVar(&o.strict, "strict", false, "exit status 1 when a record was rejected or a line was no record")
	f.BoolVar(&o.noColor, "no-color", false, "plain text, also on a terminal")
	return cmd
}

// check refuses calls that do not say what is to be tried.
func (o *tryOptions) check(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usageError{errNoSource}
	case o.input == "" && o.topic == "":
		return usageError{fmt.Errorf("--input or --from-topic is missing; see %s --help", cmd.CommandPath())}
	case o.input != "" && o.topic != "":
		return usageError{fmt.Errorf("--input and --from-topic exclude each other; see %s --help", cmd.CommandPath())}
	case o.topic != "":
		if o.last < 1 || o.last > mostOfTopic {
			return usageError{fmt.Errorf("--last must be from 1 to %d", mostOfTopic)}
		}
		return required(cmd, "config")
	case cmd.Flags().Changed("last"):
		return usageError{fmt.Errorf("--last goes with --from-topic only; see %s --help", cmd.CommandPath())}
	}
	return nil
}

func runTry(cmd *cobra.Command, source string, o *tryOptions) error {
	m, err := sources.Load(source)
	var faults *mapping.FaultsError
	if errors.As(err, &faults) {
		fmt.Fprintln(cmd.ErrOrStderr(), faults)
		return fmt.Errorf("%s has %s", source, count(len(faults.Faults), "fault"))
	}
	if err != nil {
		return err
	}
	c, rules, err := o.settings()
	if err != nil {
		return err
	}
	records, done, err := o.records(cmd, c)
	if err != nil {
		return err
	}
	defer done()
	out := cmd.OutOrStdout()
	options := try.Options{Rules: rules, JSON: o.json, Colour: wantsColour(out, o.noColor)}
	counts, err := try.New(m, options, out, cmd.ErrOrStderr()).Run(cmd.Context(), records)
	if err != nil {
		return err
	}
	if n := counts.Rejected(); o.strict && n > 0 {
		return fmt.Errorf("%s rejected or broken, and --strict allows none", count(n, "record"))
	}
	return nil
}

// settings reads the configuration, nil where none is given, and the identity rules in force.
func (o *tryOptions) settings() (c *config.Config, rules *normalize.Rules, err error) {
	if o.config != "" {
		if c, err = config.Load(o.config, os.LookupEnv); err != nil {
			return nil, nil, err
		}
		rules = &c.Identity
	}
	if o.rules != "" || rules == nil {
		rules, err = readRules(o.rules)
	}
	return c, rules, err
}

// records opens the input, or reads the topic.
func (o *tryOptions) records(cmd *cobra.Command, c *config.Config) (try.Records, func(), error) {
	if o.topic == "" {
		in, err := openInput(cmd, o.input)
		if err != nil {
			return nil, nil, err
		}
		return try.NewLines(in), func() { in.Close() }, nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), topicTimeout)
	defer cancel()
	records, err := processor.NewestRecords(ctx, c, o.topic, o.last)
	return records, func() {}, err
}
