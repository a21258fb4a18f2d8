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

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

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
	registry := srfake.New()
	t.Cleanup(registry.Close)
	const callSchema = `{"type":"record","name":"Call","fields":[{"name":"type","type":"string"},{"name":"messageId","type":"string"},{"name":"userId","type":["null","string"]},
		{"name":"timestamp","type":{"type":"long","logicalType":"timestamp-millis"}}]}`
	registry.SeedSchema("shop.avro-value", 1, 7, sr.Schema{Schema: callSchema, Type: sr.TypeAvro})
	const topic, inAvro = "shop.web", "shop.avro"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	k := &kafka.Config{Brokers: b.Addrs(), ClientID: "test"}
	admin, err := kafka.NewAdmin(k)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, name := range []string{topic, inAvro} {
		if _, err := admin.Create(ctx, kafka.TopicSpec{Name: name, Partitions: 3, Replication: 1}); err != nil {
			t.Fatal(err)
		}
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
	codec, err := goavro.NewCodec(callSchema)
	if err != nil {
		t.Fatal(err)
	}
	value, err := codec.BinaryFromNative([]byte("\x00\x00\x00\x00\x07"), map[string]any{
		"type": "page", "messageId": "m-avro", "userId": goavro.Union("string", "c-7"), "timestamp": begin,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Produce(ctx, &kafka.Record{Topic: inAvro, Partition: kafka.Unassigned, Value: value, Timestamp: begin})
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}

	config := filepath.Join(t.TempDir(), "kinfold.yaml")
	text := fmt.Sprintf("app: tried\nkafka: {brokers: [%q]}\nregistry: {urls: [%q]}\n"+
		"sources: [{topics: [other], format: json}, {topics: [shop.avro], format: avro, mapping: segment}]\nidentity: {realms: {\"*\": sur}}\n", b.Addrs()[0], registry.URL())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := root()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append([]string{"try", "--config", config, "--from-topic"}, args...))
		err := cmd.ExecuteContext(ctx)
		return out.String(), err
	}
	told, err := call(topic, "segment", "--last", "2")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"topic shop.web, key k18, 2026-03-02T10:00:18.000Z", "record 2   partition ", "key k19", "realm sur", "  records              2\n"} {
		if !strings.Contains(told, want) {
			t.Errorf("the text does not have %q:\n%s", want, told)
		}
	}
	lines, err := call(topic, "segment", "--json")
	if err != nil || strings.Count(lines, "\n") != 10 || !strings.HasPrefix(lines, `{"interactions":[{"event_id":"m-10",`) {
		t.Errorf("the newest ten as JSON: %v\n%s", err, lines)
	}
	const inJSON = `{"interactions":[{"event_id":"m-avro","source":"segment","channel":"server","type":"page.viewed","store_code":"","user_id":"c-7",`
	for _, args := range [][]string{{inAvro}, {topic, "shop.avro", "--last", "1"}, {inAvro, "segment"}} {
		lines, err := call(append(args, "--json")...)
		switch {
		case args[0] == topic && (err != nil || lines != `{"reject":"unparsable"}`+"\n"):
			t.Errorf("JSON read as a topic in Avro: %v\n%s", err, lines)
		case args[0] == inAvro && (err != nil || !strings.HasPrefix(lines, inJSON)):
			t.Errorf("%q: the record in Avro is not read as the configuration says: %v\n%s", args, err, lines)
		}
	}
	if _, err := call(topic); err == nil || !strings.Contains(err.Error(), `no source of the configuration reads topic "shop.web"`) {
		t.Errorf("a topic that is not in the configuration, without a mapping: %v", err)
	}
	if _, err := call("none"); err == nil || !strings.Contains(err.Error(), "there is no topic none") {
		t.Errorf("a topic that is not there: %v", err)
	}
}
