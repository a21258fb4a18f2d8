package processor_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor/state"
)

// Somebody adds partitions to the keyed topic while no process runs: the rows of a realm would be in one partition and its records in
// another. The next start is refused, whether the changelogs follow or not, and whether the disk is there or not.
func TestAPartitionCountThatChangedIsRefusedAtStart(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		fs := state.NewMemoryFS()
		p := r.start(fs)
		r.feed(retailer(8, 50)...)
		r.drained()
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		c := r.config()
		r.addPartitions(6, c.KeyedTopic())
		err := r.start(fs).ended()
		if err == nil || !strings.Contains(err.Error(), "is cut in the same way as "+c.KeyedTopic()) || !strings.Contains(err.Error(), "kinfold topics") {
			r.t.Errorf("with another count of the keyed topic only: %v", err)
		}
		r.addPartitions(6, c.SeenChangelog(), c.IdentityChangelog())
		for what, fs := range map[string]state.MemoryFS{"on the same disk": fs, "on an empty disk": state.NewMemoryFS()} {
			err := r.start(fs).ended()
			if state.KindOf(err) != state.PartitionCount || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "set another app name") {
				r.t.Errorf("%s, with another count of all three topics: %v", what, err)
			}
		}
	})
}

// addPartitions gives topics n partitions in all.
func (r *rig) addPartitions(n int, topics ...string) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.Brokers...))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	answers, err := kadm.NewClient(cl).UpdatePartitions(r.context(), n, topics...)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}
