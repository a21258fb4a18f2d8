package processor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kinfold/processor/config"
	"kinfold/processor/kafka"
)

const (
	// rejectHeadroom is what the reject.* headers may add to a record: the limit of the rejects topic exceeds that of every
	// input by it, so that a reject always fits. The longest header value is maxDetail.
	rejectHeadroom = 4 << 10
	// kafkaMaxMessageBytes is Kafka's own default of max.message.bytes.
	kafkaMaxMessageBytes = 1_048_588
	// seenSlack is how much longer than the duplicate window the seen changelog is kept.
	seenSlack = 24 * time.Hour
	// compactionLag is how long a compacted topic of ours may hold a value after its tombstone: that of an erased identifier.
	compactionLag = 24 * time.Hour
)

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// topicSpecs lists the topics that kinfold creates where they are missing, with what it checks on those that exist.
// inputLimit is the greatest max.message.bytes of the inputs.
func topicSpecs(c *config.Config, inputLimit int) []kafka.TopicSpec {
	limit := max(int(c.Topics.MaxMessageBytes), inputLimit+rejectHeadroom)
	spec := func(name, cleanup string, configs map[string]string, required ...kafka.Requirement) kafka.TopicSpec {
		configs["cleanup.policy"] = cleanup
		configs["message.timestamp.type"] = "LogAppendTime"
		configs["max.message.bytes"] = strconv.Itoa(limit)
		if c.Topics.MinInsyncReplicas > 0 {
			configs["min.insync.replicas"] = strconv.Itoa(c.Topics.MinInsyncReplicas)
		}
		policy := kafka.Requirement{
			Config: "cleanup.policy", Want: cleanup, Refuse: cleanup == "delete",
			OK:   func(v string) bool { return v == cleanup },
			Risk: "compaction would delete records that are not superseded",
		}
		if cleanup == "compact" {
			configs["max.compaction.lag.ms"] = millis(compactionLag)
			policy.Risk = "rows that have not changed for longer than the retention would be lost"
			policy.Refuse = true
			policy.OK = func(v string) bool { return v == "compact" }
		}
		return kafka.TopicSpec{
			Name: name, Partitions: c.Topics.Partitions, Replication: c.Topics.Replication, Configs: configs,
			Required: append([]kafka.Requirement{policy}, required...),
		}
	}
	atLeast := func(config string, d time.Duration, risk string) kafka.Requirement {
		return kafka.Requirement{
			Config: config, Want: fmt.Sprintf("at least %s (%s)", millis(d), d), Risk: risk,
			OK: func(v string) bool {
				n, err := strconv.ParseInt(v, 10, 64)
				return err != nil || n < 0 || n >= d.Milliseconds()
			},
		}
	}
	appendTime := kafka.Requirement{
		Config: "message.timestamp.type", Want: "LogAppendTime", Refuse: true,
		OK:   func(v string) bool { return v == "LogAppendTime" },
		Risk: "a producer's clock would move the duplicate window",
	}
	fits := func(least int, risk string) kafka.Requirement {
		return kafka.Requirement{
			Config: "max.message.bytes", Want: "at least " + strconv.Itoa(least), Risk: risk, Refuse: true,
			OK: func(v string) bool {
				n, err := strconv.Atoi(v)
				return err != nil || n >= least
			},
		}
	}
	window := time.Duration(c.Identity.DuplicateWindow)
	keyed := spec(c.KeyedTopic(), "delete", map[string]string{"retention.ms": millis(c.Topics.KeyedRetention)},
		appendTime, fits(inputLimit, "interactions that fit their input would be rejected as too_large"),
		atLeast("retention.ms", time.Hour, "interactions would be deleted before a processor that is down for an hour has resolved them"))
	seen := spec(c.SeenChangelog(), "delete", map[string]string{"retention.ms": millis(window + seenSlack)},
		atLeast("retention.ms", window, "after a loss of the disk, duplicates older than the retention would be accepted again"))
	identity := spec(c.IdentityChangelog(), "compact", map[string]string{})
	unified := spec(c.Topics.UnifiedCustomerEvents, "delete", map[string]string{})
	changes := spec(c.Topics.IdentityChanges, "delete", map[string]string{"retention.ms": "-1"},
		kafka.Requirement{
			Config: "retention.ms", Want: "-1 (without limit)", Risk: "folding the changes from the start no longer gives the map",
			OK: func(v string) bool { return v == "-1" },
		})
	idmap := spec(c.Topics.IdentityMap, "compact", map[string]string{})
	rejects := spec(c.Topics.Rejects, "delete", map[string]string{"retention.ms": millis(c.Topics.RejectsRetention)},
		fits(inputLimit+rejectHeadroom, fmt.Sprintf("a reject of the largest input record (%d bytes) would not fit with its headers", inputLimit)))
	specs := []kafka.TopicSpec{keyed, seen, identity, unified, changes, idmap, rejects}
	if name := c.Topics.IdentityDirectives; name != "" {
		specs = append(specs, spec(name, "delete", map[string]string{"retention.ms": "-1"},
			kafka.Requirement{
				Config: "retention.ms", Want: "-1 (without limit)", Risk: "a replay from the inputs would lack the directives that are gone",
				OK: func(v string) bool { return v == "-1" },
			}))
	}
	return specs
}

// TopicReport is what `kinfold topics` shows of one topic.
type TopicReport struct {
	Name        string
	Input       bool
	State       kafka.TopicState
	Created     bool
	Differences []kafka.Difference
}

// mustMatch names the topics whose partition count is part of the protocol: they are cut in the same way.
func mustMatch(c *config.Config, name string) bool {
	return name == c.KeyedTopic() || name == c.SeenChangelog() || name == c.IdentityChangelog()
}

// Topics compares the topics of a configuration with those of the cluster and, with create, makes those that are missing.
// A topic that exists is never altered.
func Topics(ctx context.Context, c *config.Config, admin *kafka.Admin, create bool) ([]TopicReport, error) {
	inputs, err := admin.Describe(ctx, c.SourceTopics()...)
	if err != nil {
		return nil, err
	}
	var reports []TopicReport
	for _, name := range c.SourceTopics() {
		r := TopicReport{Name: name, Input: true, State: inputs[name]}
		if !r.State.Exists {
			r.Differences = []kafka.Difference{{Topic: name, What: "the topic", Is: "missing", Want: "there", Risk: "it is an input; its producer creates it", Refuse: true}}
		}
		reports = append(reports, r)
	}
	specs := topicSpecs(c, inputLimit(inputs))
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	states, err := admin.Describe(ctx, names...)
	if err != nil {
		return nil, err
	}
	keyedPartitions := c.Topics.Partitions
	if s := states[c.KeyedTopic()]; s.Exists {
		keyedPartitions = s.Partitions
	}
	for _, spec := range specs {
		r := TopicReport{Name: spec.Name, State: states[spec.Name]}
		if mustMatch(c, spec.Name) {
			spec.Partitions = keyedPartitions
		}
		switch {
		case !r.State.Exists && create:
			if r.Created, err = admin.Create(ctx, spec); err != nil {
				return reports, err
			}
			if r.State, err = awaitTopic(ctx, admin, spec.Name); err != nil {
				return reports, err
			}
		case !r.State.Exists:
			r.Differences = []kafka.Difference{{Topic: spec.Name, What: "the topic", Is: "missing", Want: "there", Risk: "kinfold run creates it, as does kinfold topics --create", Refuse: true}}
		default:
			r.Differences = compare(c, spec, r.State)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// CheckTopics is what `kinfold topics` shows.
func CheckTopics(ctx context.Context, c *config.Config, create bool) ([]TopicReport, error) {
	admin, err := openAdmin(c)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	if err := admin.Ping(ctx); err != nil {
		return nil, fmt.Errorf("no broker of %s answers: %w", strings.Join(c.Kafka.Brokers, ", "), err)
	}
	return Topics(ctx, c, admin, create)
}

// awaitTopic waits until the brokers know of a topic that was just created: they hear of it one after the other.
func awaitTopic(ctx context.Context, admin *kafka.Admin, name string) (kafka.TopicState, error) {
	for backoff := 10 * time.Millisecond; ; backoff = min(2*backoff, time.Second) {
		states, err := admin.Describe(ctx, name)
		if err != nil || states[name].Partitions > 0 {
			return states[name], err
		}
		select {
		case <-ctx.Done():
			return kafka.TopicState{}, fmt.Errorf("wait for topic %s: %w", name, ctx.Err())
		case <-time.After(backoff):
		}
	}
}

// compare adds what a different number of partitions means for the topic.
func compare(c *config.Config, spec kafka.TopicSpec, state kafka.TopicState) []kafka.Difference {
	diffs := kafka.Compare(spec, state)
	for i := range diffs {
		if diffs[i].What != "partitions" {
			continue
		}
		diffs[i].Risk = "events of one customer stay in order all the same; only the parallelism of consumers differs"
		if mustMatch(c, spec.Name) {
			diffs[i].Refuse = true
			diffs[i].Risk = "it is cut in the same way as " + c.KeyedTopic() + ". Where it is empty, delete it and let kinfold topics --create make it anew; " +
				"otherwise one of the two was enlarged, which rows do not follow: see Migration in deploy/README.md"
		}
	}
	return diffs
}

func inputLimit(inputs map[string]kafka.TopicState) int {
	limit := kafkaMaxMessageBytes
	for _, s := range inputs {
		if n, err := strconv.Atoi(s.Configs["max.message.bytes"]); err == nil {
			limit = max(limit, n)
		}
	}
	return limit
}
