package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
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

var (
	errNoSource     = errors.New("which source? kinfold sources lists them")
	errNothingToTry = errors.New("which source? kinfold sources lists those that come with kinfold; with --config, those of the configuration are taken")
)

type tryOptions struct {
	input, topic, config, rules, framing string
	last                                 int
	json, strict, noColor                bool
}

func tryCommand() *cobra.Command {
	var o tryOptions
	cmd := &cobra.Command{
		Use:   "try [SOURCE] [--config FILE] --input FILE|- | --from-topic TOPIC",
		Short: "Show what becomes of records, field by field",
		Long: `SOURCE is a mapping that comes with kinfold (kinfold sources lists them) or the path of a mapping file of yours. For each
record you see what became of it: the fields of the interaction, each with the path that filled it and the line of the
mapping, what the identity rules make of each identifier, and the key under which it travels; or why it was ignored or
rejected, what was looked at, and what to do.

With --config and without SOURCE, each record is read as the source of its topic says: mapping, format, avro_framing and
allow_erase, as kinfold run reads it; sources without a mapping and the topic of the directives, too. SOURCE may also be
a topic of the configuration: then all records are read as those of that topic. A mapping as SOURCE takes the place of
the source's own; how the values are written stays.

The input has one record a line:

  {"topic": "shop.orders", "key": "7", "headers": {"X-Event": "paid"}, "timestamp": 1772445600000, "value_text": "{…}"}

with value_base64 in place of value_text for values that are no UTF-8, and null for a tombstone. A line that is no record
is told with its number. With --from-topic, the newest records of a topic take the place of the input: those of committed
transactions, without a consumer group and without a trace in the cluster.

Schemas of Avro come from the registry of --config. A topic that is in Avro, and not in the configuration yet, needs
--avro-framing. The identity rules are those of --rules, else those of --config, else the defaults. Values of identifiers
are shown.

Exit status: 0, also where records are rejected; 1 when the mapping has faults, each told with its line and column, when
the cluster or the registry does not answer, or with --strict when a record was rejected or a line was no record.`,
		Example: `  kinfold try segment --input records.jsonl
  kinfold try my-shopify.yaml --input - --json < records.jsonl
  kinfold try my-shopify.yaml --from-topic shop.orders --config kinfold.yaml --last 50
  kinfold try --from-topic shop.orders --config kinfold.yaml
  kinfold try shop.orders --input records.jsonl --config kinfold.yaml`,
		Args:              atMostOne("SOURCE"),
		ValidArgsFunction: completeSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			source := ""
			if len(args) > 0 {
				source = args[0]
			}
			if err := o.check(cmd, source); err != nil {
				return err
			}
			return runTry(cmd, source, &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.input, "input", "i", "", "`FILE` of records, one JSON object a line; - is standard input")
	f.StringVar(&o.topic, "from-topic", "", "take the newest records of this `TOPIC` of the cluster of --config")
	f.IntVar(&o.last, "last", 10, "`NUMBER` of records that --from-topic takes")
	f.StringVarP(&o.config, "config", "c", "", "configuration `FILE` (YAML): its sources, cluster, registry and identity rules")
	f.StringVar(&o.framing, "avro-framing", "", "the records are in Avro and name their schema by this `FRAMING`: avro (prefix or fingerprint), confluent,\nsingle_object, confluent_guid, apicurio, apicurio_content, apicurio_header")
	f.StringVar(&o.rules, "rules", "", "identity rules `FILE` (YAML or JSON): the content of the identity section")
	f.BoolVar(&o.json, "json", false, "one line of JSON a record, and nothing else")
	f.BoolVar(&o.strict, "strict", false, "exit status 1 when a record was rejected or a line was no record")
	f.BoolVar(&o.noColor, "no-color", false, "plain text, also on a terminal")
	return cmd
}

// check refuses calls that do not say what is to be tried.
func (o *tryOptions) check(cmd *cobra.Command, source string) error {
	switch {
	case source == "" && o.config == "":
		return usageError{errNothingToTry}
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
	c, rules, err := o.settings()
	if err != nil {
		return err
	}
	readAs, err := o.readAs(cmd, source, c)
	if err != nil {
		return err
	}
	reader, err := processor.NewTrialReader(c, readAs)
	if err != nil {
		return err
	}
	records, done, err := o.records(cmd, c)
	if err != nil {
		return err
	}
	defer done()
	out := cmd.OutOrStdout()
	options := try.Options{Rules: rules, Deployed: readAs.Mapping == nil, JSON: o.json, Colour: wantsColour(out, o.noColor)}
	counts, err := try.New(reader, options, out, cmd.ErrOrStderr()).Run(cmd.Context(), records)
	if err != nil {
		return err
	}
	if n := counts.Rejected(); o.strict && n > 0 {
		return fmt.Errorf("%s rejected or broken, and --strict allows none", count(n, "record"))
	}
	return nil
}

// readAs finds out what SOURCE names: nothing, a topic of the configuration, or a mapping, whose faults it tells.
func (o *tryOptions) readAs(cmd *cobra.Command, source string, c *config.Config) (processor.TrialOptions, error) {
	as := processor.TrialOptions{Framing: o.framing}
	isMapping := sources.IsFile(source) || slices.Contains(sources.Names(), source)
	switch {
	case source == "":
		return as, nil
	case !isMapping && c != nil && slices.Contains(c.InputTopics(), source):
		as.Topic = source
		return as, nil
	case !isMapping && c != nil:
		return as, fmt.Errorf("no mapping %q comes with kinfold, and no source of %s reads a topic of this name; kinfold sources lists the mappings, and a file ends in .yaml", source, o.config)
	}
	m, err := sources.Load(source)
	var faults *mapping.FaultsError
	if errors.As(err, &faults) {
		fmt.Fprintln(cmd.ErrOrStderr(), faults)
		return as, fmt.Errorf("%s has %s", source, count(len(faults.Faults), "fault"))
	}
	as.Mapping = m
	return as, err
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
