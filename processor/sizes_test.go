package processor_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kinfold/processor/kafka"
	"kinfold/processor/state"
)

// noted are interactions with a note of each length in [from, to), which no compression makes smaller. Their ids have one length.
func noted(from, to int) (lines, ids []string) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := from; n < to; n++ {
		note := make([]byte, n)
		for i := range note {
			note[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[r.IntN(64)]
		}
		id := fmt.Sprintf("e%07d", n)
		lines = append(lines, fmt.Sprintf(`%s, "traits": {"note": "%s"}}`, strings.TrimSuffix(line("pos", id, "S01", "Ana", noon), "}"), note))
		ids = append(ids, id)
	}
	return lines, ids
}

// expectBoundary expects that the shorter interactions are one event each and the longer ones one reject each, and returns how
// many are events.
func (r *rig) expectBoundary(ids []string, stage string) int {
	r.t.Helper()
	out := r.outputs()
	events := map[string]int{}
	for _, e := range out.events {
		events[e.SourceEventID]++
	}
	n := 0
	for n < len(ids) && events[ids[n]] > 0 {
		n++
	}
	for i, id := range ids {
		if want := min(1, max(0, n-i)); events[id] != want {
			r.t.Errorf("%s is there %d times, not %d: the last that fits is %s", id, events[id], want, ids[max(0, n-1)])
		}
	}
	if len(out.rejects) != len(ids)-n {
		r.t.Errorf("%d rejects, not %d", len(out.rejects), len(ids)-n)
	}
	for _, rej := range out.rejects {
		if h := headers(rej); h["reject.reason"] != "too_large" || h["reject.stage"] != stage {
			r.t.Errorf("reject %s of stage %s: %s", h["reject.reason"], h["reject.stage"], h["reject.detail"])
		}
	}
	return n
}

// Interactions grow byte by byte beyond what the topic of the events takes. None is refused by the broker, which would hold up all
// that come after it, and none that fits is rejected.
func TestAnEventAsLargeAsItsTopicTakesIsThereAndOneByteMoreIsAReject(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		r.create(r.app+"-events", 4, map[string]string{"max.message.bytes": "2000"})
		lines, ids := noted(1000, 1900)
		r.feed(lines...)
		p := r.start(state.NewMemoryFS())
		r.drained()
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if n := r.expectBoundary(ids, "resolve"); n == 0 || n == len(ids) {
			r.t.Errorf("%d of %d are events: the boundary is not among them", n, len(ids))
		}
	})
}

// Records grow byte by byte until the broker takes no more of them from their producer. Each that it took is an event, or a reject
// of stage 1 where the keyed record is larger than the topic takes, which has the limit of the input.
func TestARecordAsLargeAsTheInputTakesIsAnEventOrAReject(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		r.input = r.app + "-small"
		r.create(r.input, 1, map[string]string{"max.message.bytes": "4000"})
		lines, ids := noted(3200, 4000)
		taken := 0
		for ; taken < len(lines) && r.takes(lines[taken]); taken++ {
		}
		if taken == 0 || taken == len(lines) {
			t.Fatalf("the broker takes %d of %d records", taken, len(lines))
		}
		p := r.start(state.NewMemoryFS())
		r.drained()
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		n := r.expectBoundary(ids[:taken], "ingest")
		t.Logf("of %d records %d are events", taken, n)
	})
}

// takes feeds a record in a batch of its own and reports whether the broker takes it.
func (r *rig) takes(value string) bool {
	r.t.Helper()
	p, err := kafka.NewProducer(r.kafka)
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	p.Produce(r.context(), &kafka.Record{Topic: r.input, Partition: kafka.Unassigned, Key: []byte("k"), Value: []byte(value)})
	return p.Flush(r.context()) == nil
}
