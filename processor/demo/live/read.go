package live

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"kinfold/processor/config"
	"kinfold/processor/demo"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/schemas"
)

// read takes in what the processor writes, as any read_committed consumer would.
func (r *run) read(ctx context.Context, c *config.Config) error {
	reader, err := kafka.NewReader(r.kafka, c.Topics.UnifiedCustomerEvents, c.Topics.IdentityChanges, c.Topics.IdentityMap, c.Topics.Rejects)
	if err != nil {
		return err
	}
	defer reader.Close()
	for ctx.Err() == nil {
		var failed error
		err := reader.Poll(ctx, func(rec *kafka.Record) {
			if err := r.take(c, rec); err != nil {
				failed = err
			}
		})
		if err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

func (r *run) take(c *config.Config, rec *kafka.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	framing := schemas.SingleObject()
	switch rec.Topic {
	case c.Topics.UnifiedCustomerEvents:
		var u interaction.Unified
		if err := framing.Decode(rec.Value, schemas.KindUnified, func(b []byte) error { return schemas.DecodeUnified(b, &u) }); err != nil {
			return err
		}
		details, err := demo.DetailsOf(u.Keyed.Payload)
		if err != nil {
			return err
		}
		r.seen.Event(&u, details)
		r.events++
	case c.Topics.IdentityChanges:
		var ch interaction.Change
		if err := framing.Decode(rec.Value, schemas.KindChange, func(b []byte) error { return schemas.DecodeChange(b, &ch) }); err != nil {
			return err
		}
		r.seen.Change(ch)
	case c.Topics.IdentityMap:
		row := interaction.MapRow{Key: string(rec.Key)}
		if rec.Value != nil {
			if err := framing.Decode(rec.Value, schemas.KindMapRow, func(b []byte) error { return schemas.DecodeMapRow(b, &row) }); err != nil {
				return err
			}
			row.Key = string(rec.Key)
		}
		return r.seen.MapRow(row)
	case c.Topics.Rejects:
		h := map[string]string{}
		for _, kv := range rec.Headers {
			h[kv.Key] = string(kv.Value)
		}
		reason := interaction.Reason(h["reject.reason"])
		n := rejected(h["reject.elements"])
		r.seen.Reject(reason, h["reject.detail"], cmp.Or(h["reject.origin.topic"], h["reject.topic"]), n)
		if reason != interaction.ReasonComponentCap {
			r.parked += n
		}
	}
	return nil
}

// rejected counts the interactions of a record that were rejected, by its header reject.elements, such as 0,3 or 1,4 and 7 more.
// A record as a whole has none.
func rejected(elements string) int64 {
	list, more, _ := strings.Cut(elements, " and ")
	n, _ := strconv.ParseInt(strings.TrimSuffix(more, " more"), 10, 64)
	return n + int64(strings.Count(list, ",")) + 1
}
