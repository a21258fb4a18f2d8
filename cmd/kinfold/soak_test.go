package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/normalize"
	"kinfold/schemas"
)

// The soak: three processes share eight partitions of a real broker under a steady load, while processes are killed and frozen
// and the broker is killed, too. What a dry run makes of the same lines, in whatever order, must be in the topics: each event
// once, each reject once, and the same customer for each identifier.
var (
	soakFor  = flag.Duration("soak", 0, "how long the soak goes on against KINFOLD_TEST_BROKERS; 0 leaves it out")
	soakRate = flag.Int("soak.rate", 5500, "interactions a second of the soak")
	soakSeed = flag.Uint64("soak.seed", 1, "decides what is said and what is killed")

	soakEvery   = flag.Duration("soak.every", 10*time.Second, "time between two acts of violence of the soak")
	brokerEvery = flag.Int("soak.broker", 5, "every how many acts of the soak the broker is killed")
	freezeEvery = flag.Int("soak.freeze", 3, "of the others, every how many a process is frozen instead of killed")
)

const (
	soakProcesses  = 3
	soakRealms     = 16
	soakPeople     = 40_000
	soakFrozen     = 9 * time.Second  // longer than soakTransaction and soakSession
	soakSettles    = 3 * time.Second  // after the load began, before the first act
	soakPatience   = 10 * time.Second // for the first commit of a process that was killed
	soakTimeoutsMS = 6000
)

// TestSoak needs -soak and a broker. KINFOLD_TEST_KAFKA is the script that kills the broker and starts it again; without it the
// broker is left alone.
func TestSoak(t *testing.T) {
	addrs := os.Getenv("KINFOLD_TEST_BROKERS")
	if *soakFor == 0 || addrs == "" {
		t.Skip("-soak is 0, or KINFOLD_TEST_BROKERS names no broker")
	}
	bin := t.TempDir()
	build(t, ".", filepath.Join(bin, "kinfold"), ".")
	s := newSoak(t, bin, addrs)
	for i := range soakProcesses {
		s.processes = append(s.processes, s.begin(i))
	}
	for i := range s.processes {
		s.processes[i].logs("readiness changed")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.load()
	}()
	s.violence(done)
	<-done
	if t.Failed() {
		return
	}
	s.settle()
	s.judge()
	s.report()
}

// soak is one run.
type soak struct {
	cluster
	dir       string
	lines     string // file of what was said
	said      int
	processes []*child
	all       []*child // those that were killed, too
	acts      map[string]int
	waited    []time.Duration // from the start of a killed process to its first commit
	took      time.Duration   // of the load
	waits     sync.WaitGroup
	mu        sync.Mutex
}

func newSoak(t *testing.T, bin, addrs string) *soak {
	s := &soak{dir: t.TempDir(), acts: map[string]int{}}
	s.cluster = cluster{t: t, brokers: addrs, app: fmt.Sprintf("soak%d", time.Now().UnixNano()), kinfold: filepath.Join(bin, "kinfold")}
	s.lines = filepath.Join(s.dir, "lines.jsonl")
	s.config = filepath.Join(s.dir, "kinfold.yaml")
	text := fmt.Sprintf(`app: %[1]s
instance_id: ${INSTANCE}
state_dir: ${STATE_DIR}
cache_bytes: 128MiB
kafka: {brokers: ["%[2]s"]}
sources: [{topics: [%[1]s-in], format: json}]
topics:
  unified_customer_events: %[1]s-events
  identity_changes: %[1]s-changes
  identity_map: %[1]s-map
  rejects: %[1]s-rejects
  identity_directives: ""
  partitions: 8
commit: {transaction_timeout: 5s, session_timeout: %[3]dms}
http: {listen: "127.0.0.1:0"}
identity:
  realms: {%[4]s"*": other}
`, s.app, strings.ReplaceAll(addrs, ",", `", "`), soakTimeoutsMS, soakRealmRules())
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STATE_DIR", s.dir)
	t.Setenv("INSTANCE", "test")
	var err error
	if s.c, err = config.Load(s.config, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	if s.admin, err = kafka.NewAdmin(&kafka.Config{Brokers: strings.Split(addrs, ","), ClientID: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.admin.Close)
	for name, partitions := range map[string]int32{s.app + "-in": 8, s.app + "-changes": 1} {
		if _, err := s.admin.Create(s.ctx(), kafka.TopicSpec{Name: name, Partitions: partitions, Replication: -1, Configs: map[string]string{"retention.ms": "-1"}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func soakRealmRules() string {
	var b strings.Builder
	for i := range soakRealms {
		fmt.Fprintf(&b, "\"R%02d-*\": r%02d, ", i, i)
	}
	return b.String()
}

func (s *soak) begin(i int) *child {
	p := s.start(fmt.Sprintf("p%d", i), filepath.Join(s.dir, fmt.Sprintf("state-%d", i)))
	s.all = append(s.all, p)
	return p
}

// load says lines at the rate until the time is over: new interactions, repetitions, and nonsense.
func (s *soak) load() {
	p, err := kafka.NewProducer(&kafka.Config{Brokers: strings.Split(s.brokers, ","), ClientID: "load"})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer p.Close()
	f, err := os.Create(s.lines)
	if err != nil {
		s.t.Error(err)
		return
	}
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(*soakSeed, 1))
	recent := make([][]byte, 0, 4096)
	began := time.Now()
	for tick := time.NewTicker(20 * time.Millisecond); time.Since(began) < *soakFor; <-tick.C {
		for due := int(time.Since(began).Seconds() * float64(*soakRate)); s.said < due; s.said++ {
			line := soakLine(r, s.said)
			switch {
			case r.IntN(10) == 0 && len(recent) > 0:
				line = recent[r.IntN(len(recent))]
			case len(recent) < cap(recent):
				recent = append(recent, line)
			default:
				recent[r.IntN(len(recent))] = line
			}
			w.Write(line)
			w.WriteByte('\n')
			p.Produce(s.ctxQuiet(), &kafka.Record{Topic: s.app + "-in", Partition: kafka.Unassigned, Key: strconv.AppendInt(nil, int64(r.Uint32()), 10), Value: line})
		}
	}
	if err := p.Flush(s.ctxQuiet()); err != nil {
		s.t.Error(err)
	}
	s.took = time.Since(began)
	if err := w.Flush(); err != nil {
		s.t.Error(err)
	}
	if err := f.Close(); err != nil {
		s.t.Error(err)
	}
}

// soakLine is an interaction of one of many people, or now and then a line that is none.
func soakLine(r *rand.Rand, n int) []byte {
	switch r.IntN(400) {
	case 0:
		return fmt.Appendf(nil, "esto no es JSON %d", n)
	case 1:
		return fmt.Appendf(nil, `{"event_id": "x%d", "source": "caja", "channel": "pos", "type": "order.placed"}`, n)
	}
	person := int(float64(soakPeople) * r.Float64() * r.Float64())
	realm := person % soakRealms
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond).UnixMilli()
	var ids []string
	if r.IntN(2) == 0 {
		ids = append(ids, fmt.Sprintf(`{"namespace": "email", "value": "señor.%d@correo.example", "verified": %t}`, person, r.IntN(4) == 0))
	}
	if r.IntN(3) == 0 {
		ids = append(ids, fmt.Sprintf(`{"namespace": "device_id", "value": "dispositivo-%d-%d"}`, person, r.IntN(2)))
	}
	user := "null"
	if r.IntN(3) > 0 {
		user = fmt.Sprintf(`"%d"`, person)
	}
	return fmt.Appendf(nil, `{"event_id": "e%d", "source": "caja", "channel": "pos", "type": "order.placed", "store_code": "R%02d-%d", "user_id": %s, "occurred_at": %d, "identifiers": [%s], "properties": {"n": %d}}`,
		n, realm, r.IntN(3), user, at, strings.Join(ids, ", "), n)
}

// violence kills or freezes something every few seconds, until the load is over.
func (s *soak) violence(done <-chan struct{}) {
	r := rand.New(rand.NewPCG(*soakSeed, 2))
	next := time.NewTimer(soakSettles)
	defer next.Stop()
	for act := 1; ; act++ {
		select {
		case <-done:
			s.waits.Wait()
			return
		case <-next.C:
		}
		i := r.IntN(soakProcesses)
		switch {
		case act%*brokerEvery == 0 && os.Getenv("KINFOLD_TEST_KAFKA") != "":
			s.count("broker killed")
			s.run(os.Getenv("KINFOLD_TEST_KAFKA"), "kill", "1")
			s.run(os.Getenv("KINFOLD_TEST_KAFKA"), "start", "1")
		case act%*freezeEvery == 0:
			s.count("process frozen")
			p := s.processes[i].cmd.Process
			_ = p.Signal(syscall.SIGSTOP)
			time.Sleep(soakFrozen)
			_ = p.Signal(syscall.SIGCONT)
		default:
			s.count("process killed")
			s.processes[i].kill()
			began := time.Now()
			s.processes[i] = s.begin(i)
			s.waits.Add(1)
			go s.awaitCommit(s.processes[i], began)
		}
		next.Reset(*soakEvery)
	}
}

func (s *soak) count(act string) { s.acts[act]++ }

var (
	servedAt      = regexp.MustCompile(`health and metrics are served" address=(\S+)`)
	commitsOfLast = regexp.MustCompile(`kinfold_commits_total\{result="committed",stage="resolve"\} ([0-9]+)`)
)

// awaitCommit notes when a process that was started has committed its first transaction of the resolve stage. One that owns no
// partition has none: then the next act ends the wait.
func (s *soak) awaitCommit(p *child, began time.Time) {
	defer s.waits.Done()
	for time.Since(began) < soakPatience {
		if m := servedAt.FindStringSubmatch(p.log.String()); m != nil {
			if resp, err := http.Get("http://" + m[1] + "/metrics"); err == nil {
				text, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if c := commitsOfLast.FindSubmatch(text); c != nil && string(c[1]) != "0" {
					s.mu.Lock()
					s.waited = append(s.waited, time.Since(began))
					s.mu.Unlock()
					return
				}
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// settle lets everything be worked off.
func (s *soak) settle() {
	s.t.Helper()
	if err := processor.AwaitDrained(s.ctx(), s.c, int64(s.said)); err != nil {
		for _, p := range s.processes {
			s.t.Logf("log:\n%s", p.log)
		}
		s.t.Fatal(err)
	}
	for _, p := range s.processes {
		p.stop()
	}
}

// judge compares the topics with a dry run of the same lines.
func (s *soak) judge() {
	t := s.t
	t.Helper()
	f, err := os.Open(s.lines)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := filepath.Join(s.dir, "dry-run")
	if _, err := processor.DryRun(s.ctx(), s.rules(), f, out, func(int) {}); err != nil {
		t.Fatal(err)
	}
	wantEvents, wantMap, wantRejects := map[string]int{}, map[string]string{}, map[string]int{}
	eachLine(t, filepath.Join(out, "unified-customer-events.jsonl"), func(m map[string]any) { wantEvents[m["event_id"].(string)]++ })
	eachLine(t, filepath.Join(out, "rejects.jsonl"), func(m map[string]any) { wantRejects[m["line"].(string)]++ })
	eachLine(t, filepath.Join(out, "identity-map.jsonl"), func(m map[string]any) {
		if m["status"] != "ended" && !strings.Contains(m["key"].(string), "|customer||") {
			wantMap[m["key"].(string)] = fmt.Sprint(m["customer_id"], " ", m["status"])
		}
	})
	places, told := map[string]string{}, 0
	gotEvents, gotMap, gotRejects, folded := map[string]int{}, map[string]string{}, map[string]int{}, map[string]string{}
	s.read(s.c.Topics.UnifiedCustomerEvents, func(r *kafka.Record) {
		var u interaction.Unified
		s.decode(r, schemas.KindUnified, func(b []byte) error { return schemas.DecodeUnified(b, &u) })
		id := u.Keyed.ID.String()
		if gotEvents[id]++; gotEvents[id] == 2 && told < maxTold {
			told++
			t.Logf("event %s is there again: %s, before: %s; origin %v", id, placeOf(r), places[id], u.Keyed.Origin)
		}
		places[id] = placeOf(r)
	})
	s.read(s.c.Topics.Rejects, func(r *kafka.Record) { gotRejects[string(r.Value)]++ })
	s.read(s.c.Topics.IdentityMap, func(r *kafka.Record) {
		var row interaction.MapRow
		if r.Value == nil {
			delete(gotMap, string(r.Key))
			return
		}
		s.decode(r, schemas.KindMapRow, func(b []byte) error { return schemas.DecodeMapRow(b, &row) })
		if row.Status != interaction.MapEnded {
			gotMap[string(r.Key)] = fmt.Sprint(row.CustomerID, " ", row.Status)
		}
	})
	s.read(s.c.Topics.IdentityChanges, func(r *kafka.Record) {
		var c interaction.Change
		s.decode(r, schemas.KindChange, func(b []byte) error { return schemas.DecodeChange(b, &c) })
		for _, k := range c.Removed {
			if folded[k] == string(c.CustomerID) {
				delete(folded, k)
			}
		}
		for _, k := range c.Added {
			folded[k] = string(c.CustomerID)
		}
	})
	s.same("events", wantEvents, gotEvents)
	s.same("rejects", wantRejects, gotRejects)
	if d := firstDifference(wantMap, gotMap); d != "" {
		t.Errorf("identity-map: %s", d)
	}
	for k, v := range gotMap {
		gotMap[k], _, _ = strings.Cut(v, " ")
	}
	if d := firstDifference(gotMap, folded); d != "" {
		t.Errorf("folded identity-changes against identity-map: %s", d)
	}
}

// maxTold is how many events that are there twice are shown.
const maxTold = 10

// placeOf says where a record is, and who wrote it when.
func placeOf(r *kafka.Record) string {
	return fmt.Sprintf("partition %d offset %d at %s by producer %d epoch %d", r.Partition, r.Offset, r.Timestamp.Format("15:04:05.000"), r.ProducerID, r.ProducerEpoch)
}

func (s *soak) rules() *normalize.Rules {
	rules := s.c.Identity
	return &rules
}

// same reports what is lost, and what is there more often than it must be.
func (s *soak) same(what string, want, got map[string]int) {
	s.t.Helper()
	lost, doubled, strange := 0, 0, 0
	for k, n := range want {
		switch {
		case got[k] < n:
			lost += n - got[k]
		case got[k] > n:
			doubled += got[k] - n
		}
	}
	for k, n := range got {
		if want[k] == 0 {
			strange += n
		}
	}
	if lost+doubled+strange > 0 {
		s.t.Errorf("%s: %d lost, %d doubled, %d that nobody sent", what, lost, doubled, strange)
	}
	s.t.Logf("%s: %d, lost %d, doubled %d", what, len(want), lost, doubled)
}

func firstDifference(want, got map[string]string) string {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if want[k] != got[k] {
			return fmt.Sprintf("%s is %q, want %q (%d and %d entries)", k, got[k], want[k], len(got), len(want))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			return fmt.Sprintf("%s is %q, and should not be there", k, got[k])
		}
	}
	return ""
}

func eachLine(t *testing.T, path string, fn func(map[string]any)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		m := map[string]any{}
		if err := json.Unmarshal(scanner.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		fn(m)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
}

func (s *soak) report() {
	slices.Sort(s.waited)
	at := func(q float64) time.Duration {
		if len(s.waited) == 0 {
			return 0
		}
		return s.waited[min(len(s.waited)-1, int(q*float64(len(s.waited))))].Round(time.Millisecond)
	}
	ends := 0
	for _, p := range s.all {
		ends += strings.Count(p.log.String(), "Kafka lost the end of a transaction")
	}
	fmt.Printf("soak: %d records in %s (%.0f/s); %v; ends of transactions that Kafka lost on a partition: %d; first commit after a kill: n=%d p50=%s p99=%s max=%s\n",
		s.said, s.took.Round(time.Second), float64(s.said)/s.took.Seconds(), s.acts, ends, len(s.waited), at(.5), at(.99), at(1))
}
