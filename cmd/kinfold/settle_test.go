package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/kafka"
	"kinfold/processor/kafka/embedded"
)

// settle is `settle CONFIG INPUT`: runs the processor of a configuration on an embedded broker until it has taken in the lines of the
// input, directives among them, and stops it. What stays is its state directory.
func settle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: settle config input")
	}
	c, err := config.Load(ts.MkAbs(args[0]), os.LookupEnv)
	ts.Check(err)
	broker, err := embedded.Start(embedded.Options{})
	ts.Check(err)
	defer broker.Close()
	c.Kafka.Brokers, c.HTTP.Listen = broker.Addrs(), "127.0.0.1:0"
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience/2)
	defer cancel()
	fed, err := feedLines(ctx, c, ts.ReadFile(args[1]))
	ts.Check(err)
	p, err := processor.Open(c, processor.Options{Logger: slog.New(slog.DiscardHandler)})
	ts.Check(err)
	defer p.Close()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(running) }()
	for done := int64(0); done < fed && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		t := p.Totals()
		done = t.Events + t.Duplicate + t.Directive + t.Rejected + t.Parked
	}
	stop()
	ts.Check(<-ended)
	ts.Check(ctx.Err())
}

// feedLines makes the input topics, one partition each, and fills them: a line that holds a directive goes to their topic.
func feedLines(ctx context.Context, c *config.Config, text string) (fed int64, err error) {
	k := &kafka.Config{Brokers: c.Kafka.Brokers, ClientID: "test"}
	admin, err := kafka.NewAdmin(k)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	for _, topic := range c.InputTopics() {
		if _, err := admin.Create(ctx, kafka.TopicSpec{Name: topic, Partitions: 1, Replication: -1}); err != nil {
			return 0, err
		}
	}
	producer, err := kafka.NewProducer(k)
	if err != nil {
		return 0, err
	}
	defer producer.Close()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		r := &kafka.Record{Topic: c.SourceTopics()[0], Partition: kafka.Unassigned, Value: []byte(line)}
		var wrapped struct{ Directive json.RawMessage }
		if err := json.Unmarshal([]byte(line), &wrapped); err == nil && wrapped.Directive != nil {
			r.Topic, r.Value = c.Topics.IdentityDirectives, wrapped.Directive
		}
		producer.Produce(ctx, r)
		fed++
	}
	return fed, producer.Flush(ctx)
}
