package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Producer writes records outside of any transaction. The demo and tests fill input topics with it.
type Producer struct {
	cl  *kgo.Client
	mu  sync.Mutex
	err error
}

// NewProducer returns a producer.
func NewProducer(c *Config) (*Producer, error) {
	opts, err := c.opts("producer")
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(opts, kgo.RecordPartitioner(partitioner{}), kgo.ProducerLinger(producerLinger))...)
	if err != nil {
		return nil, fmt.Errorf("open a producer: %w", err)
	}
	return &Producer{cl: cl}, nil
}

// Produce sends a record in the background.
func (p *Producer) Produce(ctx context.Context, r *Record) {
	p.cl.Produce(ctx, r, func(r *Record, err error) {
		if err != nil {
			p.mu.Lock()
			p.err = errors.Join(p.err, fmt.Errorf("produce to %s: %w", r.Topic, err))
			p.mu.Unlock()
		}
	})
}

// Flush waits for all records and returns the errors since the last Flush.
func (p *Producer) Flush(ctx context.Context) error {
	if err := p.cl.Flush(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.err
	p.err = nil
	return err
}

// Close ends the producer.
func (p *Producer) Close() { p.cl.Close() }

// Reader reads topics from their start, without a group, and sees committed records only.
type Reader struct{ cl *kgo.Client }

// NewReader returns a reader of all partitions of the topics.
func NewReader(c *Config, topics ...string) (*Reader, error) {
	opts, err := c.opts("reader")
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("open a reader: %w", err)
	}
	return &Reader{cl}, nil
}

// Poll hands out what has come, in the order of each partition, and waits for something until ctx ends. The end of ctx is no error.
func (r *Reader) Poll(ctx context.Context, each func(*Record)) error {
	fetches := r.cl.PollFetches(ctx)
	var errs []error
	fetches.EachError(func(t string, p int32, err error) {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, fmt.Errorf("read %s partition %d: %w", t, p, err))
		}
	})
	fetches.EachRecord(each)
	return errors.Join(errs...)
}

// Close ends the reader.
func (r *Reader) Close() { r.cl.Close() }
