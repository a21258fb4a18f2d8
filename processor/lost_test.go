package processor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
)

// deleteTo deletes the records of a partition before an offset, as retention does.
func (r *rig) deleteTo(topic string, partition int32, offset int64) {
	r.t.Helper()
	var before kadm.Offsets
	before.AddOffset(topic, partition, offset, -1)
	answers, err := kadm.NewClient(r.client()).DeleteRecords(r.context(), before)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) bounds(topic string, partition int32) kafka.Bounds {
	r.t.Helper()
	b, err := r.admin.Bounds(r.context(), kafka.TopicPartition{Topic: topic, Partition: partition})
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// While the process was away, retention took the oldest records of what it had not read. It says which, and stops; told to go on
// behind the gap, it does, and counts what is lost.
func TestInputThatIsGoneStopsTheProcessUnlessItIsToBeSkipped(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		lines := retailer(11, 300)
		fs := state.NewMemoryFS()
		p := r.start(fs)
		r.feed(lines[:100]...)
		r.finish(p)
		from := r.bounds(r.input, 1).End
		r.feed(lines[100:]...)
		to := r.bounds(r.input, 1).End - 5
		var gone []string
		err := r.admin.ReadRange(r.context(), kafka.TopicPartition{Topic: r.input, Partition: 1}, from, to, func(rec *kafka.Record) error {
			gone = append(gone, string(rec.Value))
			return nil
		})
		if err != nil || len(gone) < 10 {
			r.t.Fatalf("%d records are to be lost, %v: the story does not happen", len(gone), err)
		}
		r.deleteTo(r.input, 1, to)

		err = r.start(fs).ended()
		where := fmt.Sprintf("%s partition 1: offsets %d to %d are gone before they were read", r.input, from, to-1)
		if err == nil || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), "on_lost_input: skip") {
			r.t.Errorf("error = %v; want one that says %q and what to do", err, where)
		}

		r.configure = func(c *config.Config) { c.OnLostInput = config.LostInputSkip }
		p = r.start(fs)
		r.drained()
		counted := fmt.Sprintf("kinfold_input_skipped_total{topic=%q} %d\n", r.input, len(gone))
		if got := string(p.ask("", "/metrics").body); !strings.Contains(got, counted) {
			r.t.Errorf("the metrics do not say %s", counted)
		}
		if err := p.stop(); err != nil {
			r.t.Fatal(err)
		}
		lost := map[string]int{}
		for _, l := range gone {
			lost[l]++
		}
		var left []string
		for _, l := range lines[100:] {
			if lost[l]--; lost[l] < 0 {
				left = append(left, l)
			}
		}
		r.expectOnce(append(left, lines[:100]...))
	})
}

// A log that was truncated ends before what the group has committed: what is written there next is not what was read.
func TestInputThatEndsBeforeTheCommittedOffsetStopsTheProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	fs := state.NewMemoryFS()
	p := r.start(fs)
	r.feed(retailer(12, 100)...)
	r.finish(p)
	group, end := r.app+".ingest", r.bounds(r.input, 2).End
	var beyond kadm.Offsets
	beyond.AddOffset(r.input, 2, end+10, -1)
	if err := kadm.NewClient(r.client()).CommitAllOffsets(r.context(), group, beyond); err != nil {
		t.Fatal(err)
	}
	err := r.start(fs).ended()
	for _, want := range []string{
		fmt.Sprintf("%s partition 2 ends at offset %d, but group %s has committed %d", r.input, end, group, end+10), "reset the offsets of group " + group,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v; want one that says %q", err, want)
		}
	}
}

// Somebody deletes the input topic and makes it anew, while the process is stopped or while it runs. The broker forgets the offsets
// with the topic, and the new one is read from its start.
func TestInputThatWasMadeAnew(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running=%t", running), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, embeddedBroker(t))
			fs := state.NewMemoryFS()
			p := r.start(fs)
			lines := retailer(12, 100)
			r.feed(lines...)
			r.drained()
			if !running {
				p.stop()
			}
			if _, err := kadm.NewClient(r.client()).DeleteTopics(r.context(), r.input); err != nil {
				t.Fatal(err)
			}
			r.create(r.input, 3, nil)
			nuevo := line("pos", "nuevo", "S01", "María", noon)
			r.feed(nuevo)
			if !running {
				p = r.start(fs)
			}
			r.finish(p)
			r.expectOnce(append(lines, nuevo))
		})
	}
}

// A disk comes back that is older than what the identity changelog still holds. It is put aside, and the state is restored anew.
func TestAStoreThatTheChangelogNoLongerReachesIsSetAside(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	r.configure = func(c *config.Config) { c.Topics.Partitions = 1 }
	lines := retailer(13, 300)
	disk := state.NewMemoryFS()
	p := r.start(disk)
	r.feed(lines[:10]...)
	r.finish(p)
	old := disk.Kill()
	p = r.start(disk)
	r.feed(lines[10:100]...)
	r.finish(p)
	before := r.outputs()

	// Everything is written once more behind what is to be deleted: what compaction leaves, with a log that begins later.
	changelog := r.app + ".identity-changelog"
	end := r.bounds(changelog, 0).End
	var rows []*kafka.Record
	if err := r.admin.ReadRange(r.context(), kafka.TopicPartition{Topic: changelog}, 0, end, func(rec *kafka.Record) error {
		rows = append(rows, &kafka.Record{Topic: changelog, Key: rec.Key, Value: rec.Value})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r.write(rows...)
	r.deleteTo(changelog, 0, end)

	p = r.start(old)
	r.feed(lines[100:]...)
	r.finish(p)
	if _, err := old.Stat(dir + "/" + r.app + "/0.aside-1"); err != nil {
		t.Errorf("the old store is not set aside: %v", err)
	}
	after := r.expectOnce(lines)
	for key, row := range before.idmap {
		if _, ok := after.idmap[key]; !ok && row.Status != interaction.MapEnded { // an ended customer may live again
			t.Errorf("%s of customer %s is lost", key, row.CustomerID)
		}
	}
	straight := newRig(t, r.kafka.Brokers)
	q := straight.start(state.NewMemoryFS())
	straight.feed(lines...)
	straight.finish(q)
	want := straight.outputs()
	if d := cmp.Diff(want.customers(), after.customers()); d != "" {
		t.Errorf("map without (-) and with (+) the old disk:\n%s", d)
	}
}
