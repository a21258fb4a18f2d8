package processortest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor/config"
	"kinfold/processor/state"
	"kinfold/processor/table"
)

// Traces is all that a run left behind: the logs as a read_committed reader sees them, the offsets, and the disks.
type Traces struct {
	Config *config.Config
	Logs   map[string][][]*kgo.Record // by topic and partition
	// Committed is the offset that each group has committed, by topic and partition; -1 where it has none.
	Committed map[string]map[string][]int64
	Stores    []StoreTrace
}

// StoreTrace is what one process's disk holds of one keyed partition.
type StoreTrace struct {
	Process   int
	Partition int32
	Position  state.Position
	Rows      map[string]string // by the table's byte and the key
}

// readPatience bounds how long, on the fake clock, the reading of a topic may take.
const readPatience = time.Minute

// Traces reads what is there. No process may run.
func (w *World) Traces() (*Traces, error) {
	c := w.config(nil)
	tr := &Traces{Config: c, Logs: map[string][][]*kgo.Record{}, Committed: map[string]map[string][]int64{}}
	adm := w.groups
	topics := []string{inputTopic, c.KeyedTopic(), c.SeenChangelog(), c.IdentityChangelog(), c.Topics.UnifiedCustomerEvents,
		c.Topics.IdentityChanges, c.Topics.IdentityMap, c.Topics.Rejects}
	var err error
	for _, topic := range topics {
		if tr.Logs[topic], err = w.readTopic(adm, topic); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
	}
	for _, stage := range []struct {
		name  config.Stage
		topic string
	}{{config.StageIngest, inputTopic}, {config.StageResolve, c.KeyedTopic()}} {
		group, topic := c.Group(stage.name), stage.topic
		offsets, err := adm.FetchOffsets(context.Background(), group)
		if err != nil {
			return nil, fmt.Errorf("read the offsets of %s: %w", group, err)
		}
		at := make([]int64, len(tr.Logs[topic]))
		for p := range at {
			at[p] = -1
			if o, ok := offsets.Lookup(topic, int32(p)); ok {
				at[p] = o.At
			}
		}
		tr.Committed[group] = map[string][]int64{topic: at}
	}
	tr.Stores, err = w.readStores(c)
	return tr, err
}

// readTopic reads every committed record of a topic with a client of its own: the code under test has no part in it.
func (w *World) readTopic(adm *kadm.Client, topic string) ([][]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	stable, err := adm.ListCommittedOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...), kgo.Dialer(w.kafka.Dial), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	logs := make([][]*kgo.Record, len(ends[topic]))
	next := map[int32]int64{}
	left := func() bool {
		for p, o := range ends[topic] {
			if next[p] < o.Offset {
				return true
			}
		}
		return false
	}
	for p, o := range ends[topic] {
		if s := stable[topic][p]; s.Offset != o.Offset {
			return nil, fmt.Errorf("partition %d ends at %d, but a transaction is open from %d on", p, o.Offset, s.Offset)
		}
	}
	for left() {
		fetches := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("at %v of %v: %w", next, ends[topic], err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				logs[r.Partition] = append(logs[r.Partition], r)
			}
		})
	}
	return logs, nil
}

// readStores opens every store that is on a disk and reads its rows.
func (w *World) readStores(c *config.Config) ([]StoreTrace, error) {
	topics, err := w.admin.Describe(context.Background(), c.KeyedTopic())
	if err != nil {
		return nil, err
	}
	keyed := topics[c.KeyedTopic()]
	var traces []StoreTrace
	for _, p := range w.procs {
		fs := p.disk
		stores, err := state.OpenStores(state.Options{Dir: fs.PathJoin(stateDir, app), FS: fs, CacheBytes: cacheBytes})
		if err != nil {
			return nil, err
		}
		for partition := range keyed.Partitions {
			if _, err := fs.Stat(stores.Dir(partition)); err != nil {
				continue // never there
			}
			store, err := stores.Open(partition, state.Identity{App: app, Topic: c.KeyedTopic(), TopicID: keyed.ID, Partition: partition,
				PartitionCount: keyed.Partitions, RulesVersion: c.Identity.Version()})
			if err != nil {
				return nil, err
			}
			tr := StoreTrace{Process: p.index, Partition: partition, Position: store.Position(), Rows: map[string]string{}}
			if err := readRows(store, tr.Rows); err != nil {
				return nil, err
			}
			if err := store.Close(); err != nil {
				return nil, err
			}
			traces = append(traces, tr)
		}
		if err := stores.Close(); err != nil {
			return nil, err
		}
	}
	return traces, nil
}

func readRows(store *state.Store, rows map[string]string) error {
	view := store.NewOverlay()
	for _, t := range table.All {
		if t.Log == table.LogNone {
			continue
		}
		err := view.Scan(t.ID, nil, func(key, value []byte) bool {
			rows[rowKey(t.ID, key)] = string(value)
			return true
		})
		if err != nil {
			return err
		}
	}
	return view.Reset()
}

func rowKey(t table.ID, key []byte) string { return string(rune(t)) + string(key) }

// sortedKeys is for reports that read the same each time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
