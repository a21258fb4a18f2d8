package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"kinfold/processor/config"
	"kinfold/processor/demo"
	"kinfold/processor/kafka"
	"kinfold/processor/lines"
)

// maxLine is the length in bytes up to which a line is a record of the demo's broker, which takes as much as Kafka does by default.
const maxLine = 1_000_000

// source is where the records come from: the retailer, or the user's lines.
func (r *run) source() ([]demo.Record, error) {
	if r.Input == nil {
		return demo.Retailer(r.Seed, r.Size, time.Now()), nil
	}
	var records []demo.Record
	in := lines.NewReader(r.Input, maxLine)
	for {
		line, err := in.Next()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		if line.Cut {
			return nil, fmt.Errorf("line %d of %s is longer than the %d bytes that a record of the demo's broker holds: leave it out, or give the file to kinfold dry-run",
				line.Number, r.InputName, maxLine)
		}
		records = append(records, demo.Record{Topic: ownTopic, Value: bytes.Clone(line.Text), Time: time.Now(), Interactions: 1})
	}
}

func (r *run) count(c *config.Config, records []demo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.In = map[string]demo.Input{}
	for i := range c.Sources {
		for _, t := range c.Sources[i].Topics {
			r.seen.In[t] = demo.Input{Mapping: c.Sources[i].Mapping}
		}
	}
	for _, rec := range records {
		in := r.seen.In[rec.Topic]
		in.Records++
		in.Interactions += int64(rec.Interactions)
		r.seen.In[rec.Topic] = in
		r.total += int64(rec.Interactions)
	}
	r.records = int64(len(records))
}

// feed writes the records in their order, spread evenly over the pace, as if the days of the retailer went by in seconds.
func (r *run) feed(ctx context.Context, records []demo.Record) error {
	producer, err := kafka.NewProducer(r.kafka)
	if err != nil {
		return err
	}
	defer producer.Close()
	began := time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for sent := 0; sent < len(records); {
		due := len(records)
		if passed := time.Since(began); passed < r.Pace {
			due = int(int64(len(records)) * int64(passed) / int64(r.Pace))
		}
		for ; sent < due; sent++ {
			from := &records[sent]
			rec := &kafka.Record{Topic: from.Topic, Partition: kafka.Unassigned, Key: from.Key, Value: from.Value, Timestamp: from.Time}
			for _, h := range from.Headers {
				rec.Headers = append(rec.Headers, kafka.Header{Key: h.Key, Value: h.Value})
			}
			producer.Produce(ctx, rec)
		}
		if err := producer.Flush(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
