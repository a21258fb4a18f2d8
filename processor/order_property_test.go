package processor_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/normalize"
	"kinfold/processor/state"
)

// TestThePipelineAgreesWithTheDryRun takes random people through the whole pipeline: shuffled, some twice, over any number
// of partitions of the inputs and of the keyed topic, in transactions of any size, by processes that are killed, stopped, or lose
// their disk. The map, its statuses and what was accepted are those of a dry run of the same in its first order, and the folded
// changes give the map.
//
// By default it makes a few runs; go test ./processor -run PipelineAgrees -rapid.checks=2000 -timeout 1h takes minutes: a
// run for each 50 checks.
func TestThePipelineAgreesWithTheDryRun(t *testing.T) {
	t.Parallel()
	checks, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String())
	if err != nil {
		t.Fatal(err)
	}
	brokers := embeddedBroker(t)
	scenarios := rapid.Custom(drawScenario)
	for seed := range max(1, checks/50) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			s := scenarios.Example(seed)
			want := dryRunLines(t, s.rules, s.lines())
			b := &trial{rig: newRig(t, brokers), chance: rand.New(rand.NewPCG(uint64(seed), 3)), scenario: &s}
			got := b.run()
			if d := cmp.Diff(want.customers, got.customers()); d != "" {
				t.Errorf("%s\nmap (-dry run +pipeline):\n%s", b.how, d)
			}
			status := func(of interaction.MapStatus) (keys []string) {
				for key, row := range got.idmap {
					if row.Status == of {
						keys = append(keys, key)
					}
				}
				slices.Sort(keys)
				return keys
			}
			if d := cmp.Diff([][]string{want.shared, want.retracted}, [][]string{status(interaction.MapShared), status(interaction.MapRetracted)}); d != "" {
				t.Errorf("%s\nshared and retracted (-dry run +pipeline):\n%s", b.how, d)
			}
			if len(got.events) != want.result.Interactions || len(got.rejects) > 0 {
				t.Errorf("%s\n%d events and %d rejects, %d interactions in the dry run", b.how, len(got.events), len(got.rejects), want.result.Interactions)
			}
			if d := cmp.Diff(got.customers(), foldErased(t, got.changes, want.rules)); d != "" {
				t.Errorf("%s\nidentity-map (-) and folded identity-changes (+) differ:\n%s", b.how, d)
			}
		})
	}
}

// trial is one run of the pipeline.
type trial struct {
	*rig
	*scenario
	chance *rand.Rand
	how    string // the run in words, for a failure

	fs  state.MemoryFS
	p   *process
	cut *wire
}

func (b *trial) run() outputs {
	t := b.rig.t
	pick := func(of ...int) int { return of[b.chance.IntN(len(of))] }
	rules, err := config.ReadRules("rules", []byte(b.rules), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	inputs, keyed, records := pick(1, 2, 5), pick(1, 2, 4, 8), pick(1, 3, 10, 20000)
	b.how = fmt.Sprintf("%d partitions of the input, %d keyed, at most %d records a transaction", inputs, keyed, records)
	b.input = b.app + "-in"
	directives := b.app + "-directives"
	b.create(b.input, int32(inputs), nil)
	b.create(directives, int32(pick(1, 3)), map[string]string{"retention.ms": "-1"})
	b.configure = func(c *config.Config) {
		c.Identity = *rules
		c.Topics.Partitions, c.Topics.IdentityDirectives = int32(keyed), directives
		c.Commit.MaxRecords, c.Commit.Interval = records, 5*time.Millisecond
	}
	b.fs = state.NewMemoryFS()
	b.begin()
	b.tell(b.first)
	b.settled()
	for _, e := range b.erases { // one after the other: which of two comes first counts
		b.tell([]happening{{e, true}})
		b.settled()
		b.maybeEnd()
	}
	b.tell(b.late)
	b.settled()
	if err := b.p.stop(); err != nil {
		t.Fatal(err)
	}
	return b.outputs()
}

func (b *trial) begin() {
	b.cut = &wire{}
	b.p = b.startWith(processor.Options{FS: b.fs, Dial: b.cut.dial})
	b.p.isReady()
}

// maybeEnd ends the process in some way, and begins another one; or it does not.
func (b *trial) maybeEnd() {
	switch b.chance.IntN(4) {
	case 0: // to the cluster it is dead in whatever it was doing
		b.how += ", killed"
		b.cut.cut()
		b.fs = b.fs.Kill()
		b.p.cancel()
	case 1:
		b.how += ", stopped"
		if err := b.p.stop(); err != nil {
			b.rig.t.Fatal(err)
		}
	case 2:
		b.how += ", stopped without its disk"
		if err := b.p.stop(); err != nil {
			b.rig.t.Fatal(err)
		}
		b.fs = state.NewMemoryFS()
	default:
		return
	}
	b.begin()
}

// tell writes what happens, shuffled and some of it twice, to the two topics, part by part.
func (b *trial) tell(list []happening) {
	list = slices.Clone(list)
	for _, h := range list {
		if b.chance.IntN(3) == 0 {
			list = append(list, h)
		}
	}
	b.chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for part := range slices.Chunk(list, 1+b.chance.IntN(30)) {
		p, err := kafka.NewProducer(b.kafka)
		if err != nil {
			b.rig.t.Fatal(err)
		}
		for i, h := range part {
			topic := b.input
			if h.directive {
				topic = b.config().Topics.IdentityDirectives
			}
			p.Produce(b.context(), &kafka.Record{Topic: topic, Partition: kafka.Unassigned, Key: fmt.Appendf(nil, "%d", i), Value: []byte(h.text)})
		}
		if err := p.Flush(b.context()); err != nil {
			b.rig.t.Fatal(err)
		}
		p.Close()
		if len(part) > 1 {
			b.maybeEnd()
		}
	}
}

// settled waits until both stages have committed all that was told.
func (b *trial) settled() {
	c, ctx := b.config(), b.context()
	b.until(func() bool {
		in, err := b.admin.Drained(ctx, c.Group(config.StageIngest), c.InputTopics()...)
		if err != nil || !in {
			return false
		}
		out, err := b.admin.Drained(ctx, c.Group(config.StageResolve), c.KeyedTopic())
		return err == nil && out
	})
}

// foldErased folds changes as a consumer does that has the key: what an erased record names by its HMAC goes.
func foldErased(t *testing.T, changes []interaction.Change, rules *normalize.Rules) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, c := range changes {
		for key, id := range m {
			if id != string(c.CustomerID) || len(c.RemovedHMAC) == 0 {
				continue
			}
			k, err := interaction.ParseKey(key)
			if err != nil {
				t.Fatal(err)
			}
			mac := hmac.New(sha256.New, []byte(rules.IDKey))
			mac.Write(k.AppendBytes(nil))
			named := slices.Contains(c.RemovedHMAC, hex.EncodeToString(mac.Sum(nil)))
			if left := slices.Contains(c.Left, key) || slices.Contains(c.Removed, key); named == left {
				t.Errorf("%s of %s is named by its HMAC (%v) and left (%v)", key, id, named, left)
			}
			if named {
				delete(m, key)
			}
		}
		for _, key := range c.Removed {
			if m[key] == string(c.CustomerID) {
				delete(m, key)
			}
		}
		for _, key := range c.Added {
			m[key] = string(c.CustomerID)
		}
	}
	return m
}
