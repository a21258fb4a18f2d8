package processor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/schemas"
)

const (
	// MaxHistory is how many changes of a customer are told, the latest.
	MaxHistory = 500
	// historyTimeout bounds how long the topic is read: it is read from its start, for nothing says where a customer's changes
	// are.
	historyTimeout = 30 * time.Second
	// maxHistories are read at a time.
	maxHistories = 2
)

// History is what happened to a customer, from the topic of the changes.
type History struct {
	CustomerID interaction.CustomerID `json:"customer_id"`
	Topic      string                 `json:"topic"`
	Partition  int32                  `json:"partition"`
	Changes    []HistoryChange        `json:"changes"` // the latest last
	Count      int                    `json:"change_count"`
	// Incomplete: time was over at offset ReadTo, before TopicEnd. What is told is the beginning then.
	Incomplete bool        `json:"incomplete,omitempty"`
	ReadTo     int64       `json:"read_to"`
	TopicEnd   int64       `json:"end"`
	End        *HistoryEnd `json:"ended,omitempty"` // nil: the id has not ended, or the process does not know
	Says       string      `json:"says"`
}

// HistoryChange is a record of the topic, by the names of its fields, and when it was written.
type HistoryChange struct {
	WrittenAt     identity.Time            `json:"written_at"`
	Version       int64                    `json:"customer_version"`
	Kind          interaction.ChangeKind   `json:"kind"`
	Added         []string                 `json:"identifiers_added,omitempty"`
	Removed       []string                 `json:"identifiers_removed,omitempty"`
	RemovedHMAC   []string                 `json:"identifiers_removed_hmac,omitempty"`
	Merged        []interaction.CustomerID `json:"merged_customer_ids,omitempty"`
	Split         []interaction.CustomerID `json:"split_customer_ids,omitempty"`
	Rule          interaction.Rule         `json:"rule"`
	Source        string                   `json:"source,omitempty"`
	SourceEventID string                   `json:"event_id,omitempty"`
	DirectiveID   string                   `json:"directive_id,omitempty"`
	Origin        string                   `json:"origin"` // topic/partition/offset of the cause
}

// HistoryEnd is what became of an id that ended. It has no change of its own that says so.
type HistoryEnd struct {
	CustomerID interaction.CustomerID `json:"customer_id"` // who stands for it now
	// Change is the one of CustomerID in which the id ended. None: it ended in another id, which ended in its turn.
	Change *HistoryChange `json:"change,omitempty"`
}

// changesTopic is the topic of the changes, which has the history.
type changesTopic struct {
	admin   *kafka.Admin
	name    string
	framing schemas.Framing
}

// history answers a question from the topic of the changes.
func (a *api) history(r *http.Request) (any, error) {
	id, err := customerID(r)
	if err != nil {
		return nil, err
	}
	cl := a.ofCluster()
	if cl == nil {
		return nil, refuse(http.StatusServiceUnavailable, "wait until /readyz is true", "the process has not found its cluster yet")
	}
	select {
	case a.reading <- struct{}{}:
		defer func() { <-a.reading }()
	default:
		return nil, refuse(http.StatusServiceUnavailable, "ask again in a while", "%d histories are being read already", maxHistories)
	}
	return (&changesTopic{cl.admin, cl.plan.changes, cl.framing}).history(r.Context(), a.questions, id)
}

// history tells the changes of a customer, and where an id ended.
func (c *changesTopic) history(ctx context.Context, q *questions, id interaction.CustomerID) (*History, error) {
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	h, err := c.read(ctx, id)
	if err != nil {
		return nil, c.unreadable(err)
	}
	// The state knows whether the id has ended, if its realm is here.
	if now, err := q.customer("", id); err == nil && now.Ended {
		h.End, err = c.end(ctx, id, now.Customer.ID)
		if err != nil {
			return nil, c.unreadable(err)
		}
	}
	if h.Count == 0 && h.End == nil && !h.Incomplete {
		return nil, refuse(http.StatusNotFound, "check the id; changes from before the topic's retention are gone", "topic %s has no change of customer %s", h.Topic, id)
	}
	h.say()
	return h, nil
}

func (c *changesTopic) unreadable(err error) *Refusal {
	return refuse(http.StatusBadGateway, "who reads it needs Read and Describe on the topic; kinfold topics --config FILE says whether a broker answers", "topic %s: %v", c.name, err)
}

// read collects the changes of a customer.
func (c *changesTopic) read(ctx context.Context, id interaction.CustomerID) (*History, error) {
	h := &History{CustomerID: id, Topic: c.name, Changes: []HistoryChange{}}
	err := c.each(ctx, id, func(b kafka.Bounds, partition int32) {
		h.Partition, h.ReadTo, h.TopicEnd = partition, b.Start, b.Stable
	}, func(r *kafka.Record, change HistoryChange) {
		h.ReadTo = r.Offset + 1
		h.Count++
		if len(h.Changes) == MaxHistory {
			h.Changes = h.Changes[1:]
		}
		h.Changes = append(h.Changes, change)
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		h.Incomplete = true
	case err != nil:
		return nil, err
	default:
		h.ReadTo = h.TopicEnd
	}
	return h, nil
}

// end looks for the change of a customer in which an id ended.
func (c *changesTopic) end(ctx context.Context, id, now interaction.CustomerID) (*HistoryEnd, error) {
	end := &HistoryEnd{CustomerID: now}
	err := c.each(ctx, now, func(kafka.Bounds, int32) {}, func(_ *kafka.Record, change HistoryChange) {
		if slices.Contains(change.Merged, id) {
			end.Change = &change
		}
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return end, nil
}

// each hands out the changes of a customer, after what the topic has of his partition.
func (c *changesTopic) each(ctx context.Context, id interaction.CustomerID, begin func(kafka.Bounds, int32), change func(*kafka.Record, HistoryChange)) error {
	states, err := c.admin.Describe(ctx, c.name)
	if err != nil {
		return err
	}
	if !states[c.name].Exists {
		return errors.New("it does not exist")
	}
	tp := kafka.TopicPartition{Topic: c.name, Partition: kafka.PartitionOf(string(id), int(states[c.name].Partitions))}
	bounds, err := c.admin.Bounds(ctx, tp)
	if err != nil {
		return err
	}
	begin(bounds, tp.Partition)
	return c.admin.ReadRange(ctx, tp, bounds.Start, bounds.Stable, func(r *kafka.Record) error {
		if string(r.Key) != string(id) {
			return nil
		}
		made, err := c.change(r)
		if err == nil {
			change(r, made)
		}
		return err
	})
}

func (c *changesTopic) change(r *kafka.Record) (HistoryChange, error) {
	var ch interaction.Change
	err := c.framing.Decode(r.Value, schemas.KindChange, func(b []byte) error { return schemas.DecodeChange(b, &ch) })
	if err != nil {
		return HistoryChange{}, fmt.Errorf("offset %d: %w", r.Offset, err)
	}
	return HistoryChange{
		WrittenAt: identity.Time(r.Timestamp.UnixMilli()), Version: ch.Version, Kind: ch.Kind, Added: ch.Added, Removed: ch.Removed, RemovedHMAC: ch.RemovedHMAC,
		Merged: ch.MergedCustomerIDs, Split: ch.SplitCustomerIDs, Rule: ch.Rule, Source: ch.Source, SourceEventID: ch.SourceEventID, DirectiveID: ch.DirectiveID,
		Origin: fmt.Sprintf("%s/%d/%d", ch.Origin.Topic, ch.Origin.Partition, ch.Origin.Offset),
	}, nil
}

func (h *History) say() {
	h.Says = fmt.Sprintf("%d changes, the latest last.", h.Count)
	if h.Count == 1 {
		h.Says = "One change."
	}
	if left := h.Count - len(h.Changes); left > 0 {
		h.Says += fmt.Sprintf(" The first %d are left out: read topic %s for them.", left, h.Topic)
	}
	if h.Incomplete {
		h.Says += fmt.Sprintf(" Time was over at offset %d of %d: there may be later ones.", h.ReadTo, h.TopicEnd)
	}
	if h.End == nil {
		return
	}
	h.Says += fmt.Sprintf(" The id has ended: customer %s stands for it now, ", h.End.CustomerID)
	if c := h.End.Change; c != nil {
		h.Says += fmt.Sprintf("since its version %d of %s.", c.Version, c.WrittenAt)
	} else {
		h.Says += "by way of others; ask for the customer with this id to see the way."
	}
}
