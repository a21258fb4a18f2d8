//go:build synctests

package processor_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor/config"
	"kinfold/processor/processortest"
)

// TestSimulatedOracleSeesWhatIsPlanted changes what a good run left behind, in one way after the other.
func TestSimulatedOracleSeesWhatIsPlanted(t *testing.T) {
	var tr *processortest.Traces
	synctest.Test(t, func(t *testing.T) {
		w := processortest.NewWorld(t, quiet(2), probe)
		w.Run()
		var err error
		if tr, err = w.Traces(); err != nil {
			t.Fatal(err)
		}
		w.Close()
	})
	c := tr.Config
	events, changes, idmap := c.Topics.UnifiedCustomerEvents, c.Topics.IdentityChanges, c.Topics.IdentityMap
	// of finds the partition of a topic that has most to change.
	of := func(tr *processortest.Traces, topic string) *[]*kgo.Record {
		logs := tr.Logs[topic]
		longest := 0
		for p := range logs {
			if len(logs[p]) > len(logs[longest]) {
				longest = p
			}
		}
		return &logs[longest]
	}
	lose := func(topic string, at func(n int) int) func(*processortest.Traces) {
		return func(tr *processortest.Traces) {
			log := of(tr, topic)
			i := at(len(*log))
			*log = slices.Delete(*log, i, i+1)
		}
	}
	double := func(topic string) func(*processortest.Traces) {
		return func(tr *processortest.Traces) {
			log := of(tr, topic)
			last := *(*log)[len(*log)-1]
			last.Offset++
			*log = append(*log, &last)
		}
	}
	firstOf := func(int) int { return 0 }
	middleOf := func(n int) int { return n / 2 }
	lastOf := func(n int) int { return n - 1 }
	// altered gives a copy of the last record of a topic to a function, in its place.
	altered := func(topic string, alter func(*kgo.Record)) func(*processortest.Traces) {
		return func(tr *processortest.Traces) {
			log := of(tr, topic)
			last := *(*log)[len(*log)-1]
			alter(&last)
			(*log)[len(*log)-1] = &last
		}
	}
	for name, plant := range map[string]func(*processortest.Traces){
		"first event lost":             lose(events, firstOf),
		"event in the middle lost":     lose(events, middleOf),
		"last event lost":              lose(events, lastOf),
		"last event doubled":           double(events),
		"last keyed record doubled":    double(c.KeyedTopic()),
		"keyed record lost":            lose(c.KeyedTopic(), middleOf),
		"last keyed record lost":       lose(c.KeyedTopic(), lastOf),
		"change lost":                  lose(changes, middleOf),
		"last change doubled":          double(changes),
		"map row lost":                 lose(idmap, middleOf),
		"reject lost":                  lose(c.Topics.Rejects, firstOf),
		"reject doubled":               double(c.Topics.Rejects),
		"row of the changelog lost":    lose(c.IdentityChangelog(), firstOf),
		"last position lost":           lose(c.IdentityChangelog(), lastOf),
		"position doubled":             double(c.IdentityChangelog()),
		"seen rows lost":               lose(c.SeenChangelog(), middleOf),
		"seen rows doubled":            double(c.SeenChangelog()),
		"position of another writer":   altered(c.IdentityChangelog(), func(r *kgo.Record) { r.ProducerID++ }),
		"position of an earlier epoch": altered(c.IdentityChangelog(), func(r *kgo.Record) { r.ProducerEpoch -= 100 }),
		"seen rows of another writer":  altered(c.SeenChangelog(), func(r *kgo.Record) { r.ProducerID++ }),
		"event of an earlier epoch":    altered(events, func(r *kgo.Record) { r.ProducerEpoch -= 100 }),
		"event with other bytes":       altered(events, func(r *kgo.Record) { r.Value = append(slices.Clone(r.Value), 0) }),
		"two events of a customer change places": func(tr *processortest.Traces) {
			log := *of(tr, events)
			for i := range log {
				for j := i + 1; j < len(log); j++ {
					if len(log[i].Key) > 0 && string(log[i].Key) == string(log[j].Key) {
						log[i], log[j] = log[j], log[i]
						return
					}
				}
			}
			t.Fatal("no customer has two events")
		},
		"offset committed too early": func(tr *processortest.Traces) {
			for _, at := range tr.Committed[c.Group(config.StageResolve)] {
				at[slices.IndexFunc(at, func(o int64) bool { return o > 0 })]--
			}
		},
		"row of a store lost": func(tr *processortest.Traces) {
			for i := range tr.Stores {
				for k := range tr.Stores[i].Rows {
					delete(tr.Stores[i].Rows, k)
					return
				}
			}
		},
	} {
		planted := *tr
		planted.Logs, planted.Committed = map[string][][]*kgo.Record{}, map[string]map[string][]int64{}
		for topic, logs := range tr.Logs {
			for _, log := range logs {
				planted.Logs[topic] = append(planted.Logs[topic], slices.Clone(log))
			}
		}
		for group, topics := range tr.Committed {
			planted.Committed[group] = map[string][]int64{}
			for topic, at := range topics {
				planted.Committed[group][topic] = slices.Clone(at)
			}
		}
		planted.Stores = slices.Clone(tr.Stores)
		for i := range planted.Stores {
			rows := map[string]string{}
			for k, v := range tr.Stores[i].Rows {
				rows[k] = v
			}
			planted.Stores[i].Rows = rows
		}
		plant(&planted)
		problems := processortest.Check(&planted, probe.Replay)
		if len(problems) == 0 {
			t.Errorf("%s: nothing is reported", name)
		}
		if who := strings.Contains(name, "writer") || strings.Contains(name, "epoch"); who && !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "producer") }) {
			t.Errorf("%s: the writer is not reported: %v", name, problems)
		}
	}
	if problems := processortest.Check(tr, probe.Replay); len(problems) > 0 {
		t.Errorf("nothing is planted: %v", problems)
	}
}
