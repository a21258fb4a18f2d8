package processortest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor/config"
	"kinfold/processor/dedup"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/processor/table"
)

// Replayer makes the pure step of stage 2 for one keyed partition: what a record causes, with no transaction, overlay, store or
// Kafka around it. A row without value is deleted.
type Replayer func(c *config.Config) (func(*kafka.Record) ([]*kafka.Record, []table.Row, error), error)

// checkReplay compares, byte for byte, what the steps give one after the other with what the effects around them have made of
// it: the outputs, the rows in the changelogs, and the rows in every store, each at its own position.
func (o *oracle) checkReplay(replay Replayer) {
	want := map[string]map[string][]string{} // topic, key, values in order
	for partition, log := range o.Logs[o.Config.KeyedTopic()] {
		step, err := replay(o.Config)
		if err != nil {
			o.report.add("replay", "%v", err)
			return
		}
		o.replayPartition(int32(partition), log, step, func(r *kafka.Record) {
			if want[r.Topic] == nil {
				want[r.Topic] = map[string][]string{}
			}
			want[r.Topic][string(r.Key)] = append(want[r.Topic][string(r.Key)], bytesOf(r))
		})
	}
	for _, topic := range []string{o.Config.Topics.UnifiedCustomerEvents, o.Config.Topics.IdentityChanges, o.Config.Topics.IdentityMap, o.Config.Topics.Rejects} {
		got := map[string][]string{}
		for _, log := range o.Logs[topic] {
			for _, r := range log {
				if topic != o.Config.Topics.Rejects || headersOf(r)["reject.stage"] == "resolve" {
					got[string(r.Key)] = append(got[string(r.Key)], bytesOf(r))
				}
			}
		}
		o.compareKeys(topic, want[topic], got)
	}
}

// bytesOf are value and headers: what byte-identical means.
func bytesOf(r *kgo.Record) string {
	b := fmt.Appendf(nil, "%t", r.Value == nil)
	b = append(b, r.Value...)
	for _, h := range r.Headers {
		b = fmt.Appendf(b, "|%s=%s", h.Key, h.Value)
	}
	return string(b)
}

func (o *oracle) compareKeys(topic string, want, got map[string][]string) {
	ordered := topic != o.Config.Topics.Rejects // whose key is the producer's, across partitions
	for _, key := range sortedKeys(want) {
		w, g := want[key], got[key]
		if len(w) != len(g) {
			o.report.add("replay", "%s has %d records of key %q, not %d", topic, len(g), key, len(w))
		} else if ordered && key != "" && !slices.Equal(w, g) || !sameSet(w, g, cmp.Compare) {
			o.report.add("replay", "%s has other records of key %q than the replay of the keyed topic gives", topic, key)
		}
	}
	for key := range got {
		if want[key] == nil {
			o.report.add("replay", "%s has records of key %q, which the replay does not give", topic, key)
		}
	}
}

// replayPartition replays one partition, and looks at each store of it when the replay is where the store is.
func (o *oracle) replayPartition(partition int32, log []*kgo.Record, step func(*kafka.Record) ([]*kafka.Record, []table.Row, error), each func(*kafka.Record)) {
	var stores []StoreTrace
	furthest := int64(0)
	for _, s := range o.Stores {
		if s.Partition == partition && s.Position.Transaction > 0 {
			stores = append(stores, s)
			furthest = max(furthest, s.Position.KeyedNext)
		}
	}
	slices.SortFunc(stores, func(a, b StoreTrace) int { return cmp.Compare(a.Position.KeyedNext, b.Position.KeyedNext) })
	rows := map[string]string{}
	stream, end := int64(0), int64(0)
	reached := func(next int64) {
		for len(stores) > 0 && stores[0].Position.KeyedNext < next {
			o.compareStore(&stores[0], rows, stream, end)
			stores = stores[1:]
		}
	}
	for _, r := range log {
		reached(r.Offset + 1)
		out, changed, err := step(r)
		if err != nil {
			o.report.add("replay", "keyed partition %d offset %d: %v", partition, r.Offset, err)
			return
		}
		for _, rec := range out {
			each(rec)
		}
		for _, row := range changed {
			if row.Value == nil {
				delete(rows, rowKey(row.Table, row.Key))
			} else {
				rows[rowKey(row.Table, row.Key)] = string(row.Value)
			}
		}
		stream, end = max(stream, r.Timestamp.UnixMilli()), r.Offset+1
	}
	reached(1 << 62)
	if furthest < end {
		o.report.add("stores", "no disk has partition %d up to offset %d: the furthest is at %d", partition, end, furthest)
	}
	o.checkChangelogs(partition, rows, end)
}

// compareStore compares a store with the rows of the replay at its position. end is the offset after the last record before it.
func (o *oracle) compareStore(s *StoreTrace, rows map[string]string, stream, end int64) {
	name := fmt.Sprintf("the store of process %d for partition %d at offset %d", s.Process, s.Partition, s.Position.KeyedNext)
	if s.Position.KeyedNext != end {
		o.report.add("stores", "%s is between records: the last before it ends at %d", name, end)
	}
	if s.Position.StreamTime != stream {
		o.report.add("stores", "%s has stream time %d, not %d", name, s.Position.StreamTime, stream)
	}
	o.compareRows(name, o.live(rows, stream), o.live(s.Rows, stream))
}

// live leaves out what no lookup asks for any more: a store drops it a bucket at a time, the changelog later still.
func (o *oracle) live(rows map[string]string, stream int64) map[string]string {
	window, err := dedup.New(o.Config.Identity.DuplicateWindow)
	if err != nil {
		o.report.add("replay", "%v", err)
		return rows
	}
	expired := rowKey(table.Seen, window.Expired(stream).To)
	live := make(map[string]string, len(rows))
	for k, v := range rows {
		if table.ID(k[0]) != table.Seen || k >= expired {
			live[k] = v
		}
	}
	return live
}

func (o *oracle) compareRows(name string, want, got map[string]string) {
	for _, k := range sortedKeys(want) {
		if v, ok := got[k]; !ok {
			o.report.add("rows", "%s lacks row %q of table %d", name, k[1:], k[0])
		} else if v != want[k] {
			o.report.add("rows", "%s has another value in row %q of table %d", name, k[1:], k[0])
		}
	}
	for _, k := range sortedKeys(got) {
		if _, ok := want[k]; !ok {
			o.report.add("rows", "%s has row %q of table %d, which should not be there", name, k[1:], k[0])
		}
	}
}

// checkChangelogs folds both changelogs of a partition. The position records in them must be a chain: transaction after
// transaction, each the next one and further than the one before, and all of its rows of one epoch of one producer. Two writers at a
// time, or one with an old state, would break it.
func (o *oracle) checkChangelogs(partition int32, want map[string]string, end int64) {
	got := map[string]string{}
	var last state.LoggedPosition
	var writer *kgo.Record // of the transaction under way
	writers := map[uint64]*kgo.Record{}
	for _, r := range o.Logs[o.Config.IdentityChangelog()][partition] {
		if writer == nil {
			writer = r
		}
		if r.ProducerID != writer.ProducerID || r.ProducerEpoch != writer.ProducerEpoch {
			o.report.add("changelog", "identity changelog partition %d offset %d: producer %d epoch %d writes into a transaction of producer %d epoch %d",
				partition, r.Offset, r.ProducerID, r.ProducerEpoch, writer.ProducerID, writer.ProducerEpoch)
		}
		if !state.IsPositionKey(r.Key) {
			if row, err := state.ParseRow(r.Key, r.Value); err != nil {
				o.report.add("changelog", "identity changelog partition %d offset %d: %v", partition, r.Offset, err)
			} else if row.Value == nil {
				delete(got, rowKey(row.Table, row.Key))
			} else {
				got[rowKey(row.Table, row.Key)] = string(row.Value)
			}
			continue
		}
		at, err := state.ParseLoggedPosition(r.Value)
		writers[at.Transaction], writer = writer, nil
		switch {
		case err != nil:
			o.report.add("changelog", "identity changelog partition %d offset %d: %v", partition, r.Offset, err)
		case at.Transaction != last.Transaction+1 || at.KeyedNext <= last.KeyedNext:
			o.report.add("changelog", "partition %d: transaction %d at offset %d follows transaction %d at offset %d",
				partition, at.Transaction, at.KeyedNext, last.Transaction, last.KeyedNext)
		}
		last = at
	}
	if last.KeyedNext != end {
		o.report.add("changelog", "the changelog of partition %d ends at offset %d, the keyed topic at %d", partition, last.KeyedNext, end)
	}
	o.foldSeen(partition, writers, got)
	o.compareRows(fmt.Sprintf("the changelog of partition %d", partition), want, got)
}

// foldSeen adds the rows of the seen changelog, each of which was written once, by the writer of its transaction.
func (o *oracle) foldSeen(partition int32, writers map[uint64]*kgo.Record, got map[string]string) {
	var transaction uint64
	for _, r := range o.Logs[o.Config.SeenChangelog()][partition] {
		rows, err := dedup.DecodeLogged(r.Value)
		if err != nil {
			o.report.add("changelog", "seen changelog partition %d offset %d: %v", partition, r.Offset, err)
		}
		for _, row := range rows {
			key := rowKey(row.Table, row.Key)
			if _, twice := got[key]; twice {
				o.report.add("changelog", "seen changelog partition %d offset %d repeats a row", partition, r.Offset)
			}
			got[key] = string(row.Value)
		}
		of := binary.BigEndian.Uint64(r.Key[4:])
		if w := writers[of]; w == nil || w.ProducerID != r.ProducerID || w.ProducerEpoch != r.ProducerEpoch {
			o.report.add("changelog", "seen changelog partition %d offset %d: producer %d epoch %d writes into transaction %d, which is not its own",
				partition, r.Offset, r.ProducerID, r.ProducerEpoch, of)
		}
		if of < transaction {
			o.report.add("changelog", "seen changelog partition %d: transaction %d follows %d", partition, of, transaction)
		} else {
			transaction = of
		}
	}
}
