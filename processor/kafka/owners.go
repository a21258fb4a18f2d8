package kafka

import (
	"context"
	"fmt"
)

// Member is a process of a group.
type Member struct {
	InstanceID string // empty where it is no static member
	ClientID   string
	Host       string // where its connections come from, as the broker sees it
}

// Owners says which member of a group has each partition of a topic. Partitions that nobody has, as in the middle of a
// rebalance, are missing.
func (a *Admin) Owners(ctx context.Context, group, topic string) (map[int32]Member, error) {
	described, err := a.adm.DescribeGroups(ctx, group)
	if err == nil {
		err = described[group].Err
	}
	if err != nil {
		return nil, fmt.Errorf("describe group %s: %w", group, err)
	}
	owners := map[int32]Member{}
	for _, m := range described[group].Members {
		assigned, ok := m.Assigned.AsConsumer()
		if !ok {
			continue
		}
		member := Member{ClientID: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			member.InstanceID = *m.InstanceID
		}
		for _, t := range assigned.Topics {
			if t.Topic != topic {
				continue
			}
			for _, p := range t.Partitions {
				owners[p] = member
			}
		}
	}
	return owners, nil
}
