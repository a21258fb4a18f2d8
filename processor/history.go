package processor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	// Incomplete: time was over at offset ReadTo, before End. What is told is the beginning then.
	Incomplete bool   `json:"incomplete,omitempty"`
	ReadTo     int64  `json:"read_to"`
	End        int64  `json:"end"`
	Says       string `json:"says"`
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
	h, err := cl.history(r.Context(), id)
	if err != nil {
		return nil, refuse(http.StatusBadGateway, "the user of this process needs Read and Describe on the topic; kinfold topics says whether a broker answers",
			"topic %s: %v", cl.plan.changes, err)
	}
	if h.Count == 0 && !h.Incomplete {
		return nil, refuse(http.StatusNotFound, "check the id; changes from before the topic's retention are gone", "topic %s has no change of customer %s", h.Topic, id)
	}
	return h, nil
}

func (c *cluster) history(ctx context.Context, id interaction.CustomerID) (*History, error) {
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	states, err := c.admin.Describe(ctx, c.plan.changes)
	if err != nil {
		return nil, err
	}
	tp := kafka.TopicPartition{Topic: c.plan.changes, Partition: kafka.PartitionOf(string(id), int(states[c.plan.changes].Partitions))}
	bounds, err := c.admin.Bounds(ctx, tp)
	if err != nil {
		return nil, err
	}
	h := &History{CustomerID: id, Topic: tp.Topic, Partition: tp.Partition, Changes: []HistoryChange{}, ReadTo: bounds.Start, End: bounds.Stable}
	err = c.admin.ReadRange(ctx, tp, bounds.Start, bounds.Stable, func(r *kafka.Record) error {
		h.ReadTo = r.Offset + 1
		if string(r.Key) != string(id) {
			return nil
		}
		return h.add(c.framing, r)
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		h.Incomplete = true
	case err != nil:
		return nil, err
	default:
		h.ReadTo = h.End
	}
	h.say()
	return h, nil
}

func (h *History) add(framing schemas.Framing, r *kafka.Record) error {
	var c interaction.Change
	body, err := framing.Body(r.Value, schemas.KindChange)
	if err == nil {
		err = schemas.DecodeChange(body, &c)
	}
	if err != nil {
		return fmt.Errorf("offset %d: %w", r.Offset, err)
	}
	h.Count++
	if len(h.Changes) == MaxHistory {
		h.Changes = h.Changes[1:]
	}
	h.Changes = append(h.Changes, HistoryChange{
		WrittenAt: identity.Time(r.Timestamp.UnixMilli()), Version: c.Version, Kind: c.Kind, Added: c.Added, Removed: c.Removed, RemovedHMAC: c.RemovedHMAC,
		Merged: c.MergedCustomerIDs, Split: c.SplitCustomerIDs, Rule: c.Rule, Source: c.Source, SourceEventID: c.SourceEventID, DirectiveID: c.DirectiveID,
		Origin: fmt.Sprintf("%s/%d/%d", c.Origin.Topic, c.Origin.Partition, c.Origin.Offset),
	})
	return nil
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
		h.Says += fmt.Sprintf(" Time was over at offset %d of %d: there may be later ones.", h.ReadTo, h.End)
	}
	h.Says += " An id that ended has no change of its own that says so: ask for the customer."
}
