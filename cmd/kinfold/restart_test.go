package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"kinfold/processor"
	"kinfold/processor/kafka"
)

var warmIdentifiers = flag.Int("warm", 0, "identifiers in the state of the warm restart against KINFOLD_TEST_BROKERS; 0 leaves it out")

// perWarmRecord is how many identifiers a record of the warm restart brings: each is a customer of its own.
const perWarmRecord = 4

// TestWarmRestart builds a state of so many identifiers, kills the process under load, and measures how long the next one takes to
// its first commit with the disk, and how fast a store is restored without it.
func TestWarmRestart(t *testing.T) {
	addrs := os.Getenv("KINFOLD_TEST_BROKERS")
	if *warmIdentifiers == 0 || addrs == "" {
		t.Skip("-warm is 0, or KINFOLD_TEST_BROKERS names no broker")
	}
	bin := t.TempDir()
	build(t, ".", filepath.Join(bin, "kinfold"), ".")
	s := newSoak(t, bin, addrs)
	s.processes = []*child{s.begin(0)}
	s.processes[0].logs("readiness changed")
	began := time.Now()
	s.fill(0, *warmIdentifiers/perWarmRecord)
	if err := processor.AwaitDrained(s.ctxQuiet(), s.c, int64(s.said)); err != nil {
		t.Fatal(err)
	}
	built := time.Since(began)
	stop := make(chan struct{})
	trickled := make(chan struct{})
	go func() {
		defer close(trickled)
		s.trickle(stop)
	}()
	for range 3 {
		time.Sleep(2 * time.Second)
		s.processes[0].kill()
		began := time.Now()
		s.processes[0] = s.begin(0)
		s.waits.Add(1)
		s.awaitCommit(s.processes[0], began)
		t.Logf("began %s, first commit seen %s:\n%s", began.Format(time.StampMilli), time.Now().Format(time.StampMilli), s.processes[0].log)
	}
	close(stop)
	<-trickled
	warm := s.waited
	s.processes[0].kill()
	if err := os.RemoveAll(filepath.Join(s.dir, "state-0")); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	s.processes[0] = s.begin(0)
	s.processes[0].logs("readiness changed")
	cold := time.Since(began)
	rows := 0
	for _, m := range regexp.MustCompile(`restored_rows=(\d+)`).FindAllStringSubmatch(s.processes[0].log.String(), -1) {
		n, _ := strconv.Atoi(m[1])
		rows += n
	}
	s.processes[0].stop()
	if len(warm) == 0 {
		t.Fatal("no restarted process committed anything")
	}
	fmt.Printf("restart with %d identifiers (built in %s): first commit after SIGKILL %v; cold restore of %d rows in %s (%.0f rows/s)\n",
		*warmIdentifiers, built.Round(time.Second), warm, rows, cold.Round(time.Millisecond), float64(rows)/cold.Seconds())
}

// fill says records from one number to another, each a person of perWarmRecord identifiers.
func (s *soak) fill(from, to int) {
	s.t.Helper()
	p, err := kafka.NewProducer(&kafka.Config{Brokers: s.c.Kafka.Brokers, ClientID: "load"})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer p.Close()
	for i := from; i < to; i++ {
		value := fmt.Appendf(nil, `{"event_id": "w%[1]d", "source": "caja", "channel": "pos", "type": "order.placed", "store_code": "R%02[2]d-1", "user_id": "%[1]d", "occurred_at": %[3]d, "identifiers": [{"namespace": "email", "value": "persona.%[1]d@correo.example"}, {"namespace": "phone", "value": "+54911%08[1]d"}, {"namespace": "device_id", "value": "dispositivo-%[1]d"}]}`,
			i, i%soakRealms, 1767225600000+int64(i))
		p.Produce(s.ctxQuiet(), &kafka.Record{Topic: s.app + "-in", Partition: kafka.Unassigned, Key: strconv.AppendInt(nil, int64(i), 10), Value: value})
	}
	if err := p.Flush(s.ctxQuiet()); err != nil {
		s.t.Error(err)
		return
	}
	s.said += to - from
}

// trickle keeps a little load, so that there is something to commit after a restart.
func (s *soak) trickle(stop <-chan struct{}) {
	for next := *warmIdentifiers; ; next += 10 {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
			s.fill(next, next+10)
		}
	}
}
