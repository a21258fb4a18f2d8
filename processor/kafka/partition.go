package kafka

import (
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Unassigned as a record's Partition leaves the choice to the key.
const Unassigned int32 = -1

// partitioner honours a partition that the producer chose, and otherwise places a record by murmur2 of its key, as every
// Kafka client does. A record without key goes where the CRC-32 of its value says, so that the same log gives the same topic.
type partitioner struct{}

func (partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{kgo.StickyKeyPartitioner(nil).ForTopic(topic)}
}

type topicPartitioner struct{ byKey kgo.TopicPartitioner }

func (topicPartitioner) RequiresConsistency(*kgo.Record) bool { return true }

func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	switch {
	case r.Partition >= 0:
		return int(r.Partition)
	case r.Key == nil:
		return int(crc32.ChecksumIEEE(r.Value) % uint32(n))
	}
	return p.byKey.Partition(r, n)
}

// PartitionOf is the partition of the keyed topic in which a realm lives: murmur2 of its name, modulo n.
func PartitionOf(realm string, n int) int32 {
	return int32(kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: []byte(realm)}, n))
}
