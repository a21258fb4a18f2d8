package live

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kinfold/processor/config"
	"kinfold/processor/demo"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/schemas"
)

// read takes in what the processor writes, as any read_committed consumer would.
func (r *run) read(ctx context.Context, c *config.Config) error {
	if err := awaitTopics(ctx, r.kafka, c); err != nil {
		return err
	}
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

// awaitTopics waits until the processor has created its topics.
func awaitTopics(ctx context.Context, k *kafka.Config, c *config.Config) error {
	admin, err := kafka.NewAdmin(k)
	if err != nil {
		return err
	}
	defer admin.Close()
	names := []string{c.Topics.UnifiedCustomerEvents, c.Topics.IdentityChanges, c.Topics.IdentityMap, c.Topics.Rejects}
	for {
		states, err := admin.Describe(ctx, names...)
		if err != nil {
			return err
		}
		missing := false
		for _, n := range names {
			missing = missing || !states[n].Exists
		}
		if !missing {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *run) take(c *config.Config, rec *kafka.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	framing := schemas.SingleObject()
	switch rec.Topic {
	case c.Topics.UnifiedCustomerEvents:
		var u interaction.Unified
		body, err := framing.Body(rec.Value, schemas.KindUnified)
		if err == nil {
			err = schemas.DecodeUnified(body, &u)
		}
		if err != nil {
			return err
		}
		details, err := detailsOf(u.Keyed.Payload)
		if err != nil {
			return err
		}
		r.seen.Event(&u, details)
		r.events++
	case c.Topics.IdentityChanges:
		var ch interaction.Change
		body, err := framing.Body(rec.Value, schemas.KindChange)
		if err == nil {
			err = schemas.DecodeChange(body, &ch)
		}
		if err != nil {
			return err
		}
		r.seen.Change(ch)
	case c.Topics.IdentityMap:
		row := interaction.MapRow{Key: string(rec.Key)}
		if rec.Value != nil {
			body, err := framing.Body(rec.Value, schemas.KindMapRow)
			if err == nil {
				err = schemas.DecodeMapRow(body, &row)
			}
			if err != nil {
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

// detailsOf reads what a story tells of an event's payload.
func detailsOf(payload []byte) (demo.Details, error) {
	text, err := schemas.AppendPayloadJSON([]byte("{"), payload)
	if err != nil {
		return demo.Details{}, err
	}
	var p struct {
		Order *struct {
			Number   string      `json:"order_number"`
			Currency string      `json:"currency"`
			Total    json.Number `json:"total_amount"`
		} `json:"order"`
		Traits     map[string]string `json:"traits"`
		Properties map[string]string `json:"properties"`
	}
	if err := json.Unmarshal(append(text, '}'), &p); err != nil {
		return demo.Details{}, fmt.Errorf("payload of an event: %w", err)
	}
	d := demo.Details{Traits: p.Traits, Properties: p.Properties}
	if p.Order != nil {
		d.Order = demo.Order{Number: p.Order.Number, Currency: p.Order.Currency, Total: p.Order.Total.String()}
	}
	return d, nil
}
