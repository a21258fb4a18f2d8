package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
)

// TestTryTakesTheNewestRecordsOfATopic runs the command against a broker, as an operator does who writes a mapping.
func TestTryTakesTheNewestRecordsOfATopic(t *testing.T) {
	b, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	const topic = "shop.web"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	k := &kafka.Config{Brokers: b.Addrs(), ClientID: "test"}
	admin, err := kafka.NewAdmin(k)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Create(ctx, kafka.TopicSpec{Name: topic, Partitions: 3, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	p, err := kafka.NewProducer(k)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	begin := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for i := range 20 {
		p.Produce(ctx, &kafka.Record{
			Topic: topic, Partition: kafka.Unassigned, Key: fmt.Appendf(nil, "k%d", i), Timestamp: begin.Add(time.Duration(i) * time.Second),
			Headers: []kafka.Header{{Key: "X", Value: []byte("y")}},
			Value:   fmt.Appendf(nil, `{"type":"page","messageId":"m-%d","userId":"c-%d","timestamp":"2026-03-02T10:00:00Z"}`, i, i),
		})
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}

	config := filepath.Join(t.TempDir(), "kinfold.yaml")
	text := fmt.Sprintf("app: tried\nkafka: {brokers: [%q]}\nsources: [{topics: [other], format: json}]\nidentity: {realms: {\"*\": sur}}\n", b.Addrs()[0])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := root()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append([]string{"try", "segment", "--config", config, "--from-topic"}, args...))
		err := cmd.ExecuteContext(ctx)
		return out.String(), err
	}
	told, err := call(topic, "--last", "2")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"topic shop.web, key k18, 2026-03-02T10:00:18.000Z", "record 2   partition ", "key k19", "realm sur", "  records              2\n"} {
		if !strings.Contains(told, want) {
			t.Errorf("the text does not have %q:\n%s", want, told)
		}
	}
	lines, err := call(topic, "--json")
	if err != nil || strings.Count(lines, "\n") != 10 || !strings.HasPrefix(lines, `{"interactions":[{"event_id":"m-10",`) {
		t.Errorf("the newest ten as JSON: %v\n%s", err, lines)
	}
	if _, err := call("none"); err == nil || !strings.Contains(err.Error(), "there is no topic none") {
		t.Errorf("a topic that is not there: %v", err)
	}
}
