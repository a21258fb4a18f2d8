package processortest

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"kinfold/processor/config"
)

// coordinator makes up for two things in which kfake's group coordinator is no broker's. Both keep a group from its work for ever
// once a member is gone, and neither says anything about the code under test:
//
//   - A broker ends a rebalance at its time-out. kfake begins to count again with every member that joins, so that members whose
//     requests time out one after the other keep a rebalance going.
//   - A broker forgets a member that sends no heartbeat. kfake does not where the answer to the member's last request could not be
//     delivered, and its partitions stay with it.
type coordinator struct {
	*World
	began  time.Time
	looked time.Time
	well   time.Time // when no group waited for members last
}

const (
	// lookPause is how often the groups are asked for their state.
	lookPause = 10 * time.Second
	// longestRebalance is longer than a broker lets a group wait for its members.
	longestRebalance = 2 * time.Minute
)

// look ends what a broker would have ended long ago.
func (c *coordinator) look() {
	if time.Since(c.looked) < lookPause {
		return
	}
	c.looked = time.Now()
	waiting := false
	for _, g := range c.describe() {
		waiting = waiting || g.State == "PreparingRebalance"
		if g.State == "Stable" && time.Since(c.began) > longestRebalance {
			c.forgetGhosts(g)
		}
	}
	if !waiting {
		c.well = c.looked
	}
	if time.Since(c.well) > longestRebalance {
		c.well = c.looked
		c.faults.counted("kfake: rebalance without end")
		for _, p := range c.procs {
			c.stop(p)
		}
	}
}

func (c *coordinator) describe() []kadm.DescribedGroup {
	conf := c.config(nil)
	groups, err := c.groups.DescribeGroups(context.Background(), conf.Group(config.StageIngest), conf.Group(config.StageResolve))
	if err != nil {
		return nil
	}
	return groups.Sorted()
}

// forgetGhosts takes members out of a group whose process is gone together with its disk, so that no later life of it took
// their place.
func (c *coordinator) forgetGhosts(g kadm.DescribedGroup) {
	alive := map[string]bool{}
	c.mu.Lock()
	for _, p := range c.procs {
		alive[p.instance()] = true
	}
	c.mu.Unlock()
	for _, m := range g.Members {
		if m.InstanceID == nil || alive[*m.InstanceID] {
			continue
		}
		c.faults.counted("kfake: member that outlives its session")
		if err := c.admin.Leave(context.Background(), g.Group, *m.InstanceID); err != nil {
			c.problem("take ghost %s out of group %s: %v", *m.InstanceID, g.Group, err)
		}
	}
}

// log shows who has what, for a run that hangs.
func (c *coordinator) log() {
	for _, g := range c.describe() {
		c.t.Logf("group %s is %s", g.Group, g.State)
		for _, m := range g.Members {
			assigned, _ := m.Assigned.AsConsumer()
			c.t.Logf("  member %s from %s: %+v", m.MemberID, m.ClientHost, assigned)
		}
		lags, err := c.groups.Lag(context.Background(), g.Group)
		if err != nil {
			c.t.Logf("  lag: %v", err)
			continue
		}
		for _, l := range lags[g.Group].Lag.Sorted() {
			c.t.Logf("  %s partition %d: committed %d of %d", l.Topic, l.Partition, l.Commit.At, l.End.Offset)
		}
	}
}
