package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TopicSpec is a topic of ours as it should be.
type TopicSpec struct {
	Name       string
	Partitions int32
	// Replication is the replication factor; -1 is the broker's default.
	Replication int16
	// Configs are the settings that we give it, by Kafka's names.
	Configs map[string]string
	// Required settings are checked on a topic that exists already: a difference is reported with what it risks.
	Required []Requirement
}

// Requirement is a setting whose value matters for what we promise.
type Requirement struct {
	Config string
	// OK reports whether a value will do.
	OK func(value string) bool
	// Want says in words what will do, Risk what happens otherwise.
	Want, Risk string
	// Refuse: the processor does not start on it. Otherwise it is a warning.
	Refuse bool
}

// TopicState is a topic as it is.
type TopicState struct {
	Exists      bool
	Partitions  int32
	Replication int16
	ID          [16]byte
	Configs     map[string]string
}

// Describe returns the state of each named topic.
func (a *Admin) Describe(ctx context.Context, names ...string) (map[string]TopicState, error) {
	details, err := a.adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	states := make(map[string]TopicState, len(names))
	var existing []string
	for _, n := range names {
		d, ok := details[n]
		switch {
		case !ok || errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			states[n] = TopicState{}
		case d.Err != nil:
			return nil, fmt.Errorf("describe topic %s: %w", n, d.Err)
		default:
			states[n] = TopicState{Exists: true, Partitions: int32(len(d.Partitions)), Replication: int16(d.Partitions.NumReplicas()), ID: d.ID}
			existing = append(existing, n)
		}
	}
	if len(existing) == 0 {
		return states, nil
	}
	configs, err := a.adm.DescribeTopicConfigs(ctx, existing...)
	if err != nil {
		return nil, fmt.Errorf("describe the settings of topics: %w", err)
	}
	for _, c := range configs {
		if c.Err != nil {
			return nil, fmt.Errorf("describe the settings of topic %s (operation DescribeConfigs on the topic): %w", c.Name, c.Err)
		}
		s := states[c.Name]
		s.Configs = map[string]string{}
		for _, kv := range c.Configs {
			if kv.Value != nil {
				s.Configs[kv.Key] = *kv.Value
			}
		}
		states[c.Name] = s
	}
	return states, nil
}

// Create makes a topic and waits until the brokers know it and each partition has a leader: the controller answers before the
// other brokers have heard of it. One that exists already is left as it is.
func (a *Admin) Create(ctx context.Context, spec TopicSpec) (created bool, err error) {
	configs := map[string]*string{}
	for k, v := range spec.Configs {
		configs[k] = kadm.StringPtr(v)
	}
	_, err = a.adm.CreateTopic(ctx, spec.Partitions, spec.Replication, configs, spec.Name)
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("create topic %s (operation Create on the topic or the cluster): %w", spec.Name, err)
	}
	return true, a.awaitTopic(ctx, spec.Name)
}

// How long a new topic may take until it is known everywhere, and how often we look.
const (
	topicPatience = 30 * time.Second
	topicPause    = 20 * time.Millisecond
)

func (a *Admin) awaitTopic(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, topicPatience)
	defer cancel()
	for {
		topics, err := a.adm.ListTopics(ctx, name)
		if err != nil {
			return fmt.Errorf("topic %s was created, but is not seen yet: %w", name, err)
		}
		if d, ok := topics[name]; ok && d.Err == nil && len(d.Partitions) > 0 && allLed(d.Partitions) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("topic %s was created, but the brokers do not show it with a leader for each partition: %w", name, ctx.Err())
		case <-time.After(topicPause):
		}
	}
}

func allLed(partitions kadm.PartitionDetails) bool {
	for _, p := range partitions {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

// Difference is one way in which a topic is not as it should be.
type Difference struct {
	Topic  string
	What   string // what differs: missing, partitions, or the name of a setting
	Is     string
	Want   string
	Risk   string
	Refuse bool
}

func (d Difference) String() string {
	return fmt.Sprintf("topic %s: %s is %s, should be %s: %s", d.Topic, d.What, d.Is, d.Want, d.Risk)
}

// Compare lists the differences of a topic that exists, the setting names in order.
func Compare(spec TopicSpec, s TopicState) []Difference {
	var diffs []Difference
	if s.Partitions != spec.Partitions && spec.Partitions > 0 {
		diffs = append(diffs, Difference{spec.Name, "partitions", strconv.Itoa(int(s.Partitions)), strconv.Itoa(int(spec.Partitions)), "", false})
	}
	for _, r := range spec.Required {
		value, ok := s.Configs[r.Config]
		if ok && !r.OK(value) {
			diffs = append(diffs, Difference{spec.Name, r.Config, value, r.Want, r.Risk, r.Refuse})
		}
	}
	return diffs
}

// ConfigNames returns the settings of a spec in order.
func (t TopicSpec) ConfigNames() []string { return slices.Sorted(maps.Keys(t.Configs)) }

// Permission is an operation that a principal must be allowed on a resource.
type Permission struct {
	Operation string // Read, Write, Describe, …, as the broker names them
	Resource  string // topic NAME or group NAME
}

// MissingPermissions asks the broker which of the wanted operations on topics and groups we lack. Brokers without an
// authorizer allow everything. Operations are given as in Kafka's ACLs: Read, Write, Describe.
func (a *Admin) MissingPermissions(ctx context.Context, topics, groups map[string][]string) ([]Permission, error) {
	var missing []Permission
	details, err := a.adm.ListTopics(kadm.WithAuthorizedOps(ctx), slices.Sorted(maps.Keys(topics))...)
	if err != nil {
		return nil, fmt.Errorf("ask for permissions on topics: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		d := details[name]
		if errors.Is(d.Err, kerr.TopicAuthorizationFailed) {
			missing = append(missing, Permission{"DESCRIBE", "topic " + name})
			continue
		}
		missing = append(missing, lacking(topics[name], d.AuthorizedOperations, "topic "+name)...)
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		described, err := a.adm.DescribeGroups(ctx, name)
		if errors.Is(err, kerr.GroupAuthorizationFailed) {
			missing = append(missing, Permission{"READ", "group " + name})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("ask for permissions on group %s: %w", name, err)
		}
		d := described[name]
		if errors.Is(d.Err, kerr.GroupAuthorizationFailed) {
			missing = append(missing, Permission{"READ", "group " + name})
			continue
		}
		missing = append(missing, lacking(groups[name], d.AuthorizedOperations, "group "+name)...)
	}
	return missing, nil
}

func lacking(want []string, have []kadm.ACLOperation, resource string) []Permission {
	if len(have) == 0 { // the broker does not say
		return nil
	}
	var missing []Permission
	for _, w := range want {
		if !slices.ContainsFunc(have, func(o kadm.ACLOperation) bool { return o.String() == w || o.String() == "ALL" }) {
			missing = append(missing, Permission{w, resource})
		}
	}
	return missing
}
