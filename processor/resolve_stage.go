package processor

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"kinfold/processor/dedup"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/processor/table"
	"kinfold/schemas"
)

// syncEvery is how often a busy store is synced to disk. What is not synced when the machine fails is read from the
// changelog again.
const syncEvery = 3 * time.Second

// partition is one keyed partition that is open here: its store, and the transaction under way.
type partition struct {
	tp         kafka.TopicPartition
	assignment uint64 // number of the assignment that brought it
	store      *state.Store
	overlay    *state.Overlay
	holdings   *holdings // where others find the store

	// The transaction under way; position is where the store will be once it is committed.
	touched  bool
	position state.Position
	seen     []table.Row
	lastSeen *kafka.Record // the last record of the transaction in each changelog: its offset is known after the flush
	lastRow  *kafka.Record

	recent   *dedup.Recent
	expired  string // end of the last range of seen rows that was deleted
	syncedAt time.Time
	purge    *purge // under way, or nil
	label    string
}

// resolveStage holds the effects of stage 2.
type resolveStage struct {
	core    *resolveStep
	framing schemas.Framing
	topics  *topicPlan
	metrics *metrics
	assigns *assigner
	maximum int // bytes of overlay at which the transaction ends

	open  map[int32]*partition
	tally *tally

	arena   arena
	keyed   interaction.Keyed
	outcome outcome
	out     []*kafka.Record // what the record at hand produces, until all of it is known to fit
}

func (s *resolveStage) assign(ctx context.Context, session *kafka.Session) error {
	if err := s.assigns.bring(ctx, session, s.open); err != nil {
		return err
	}
	return s.assigns.purgeErased(ctx, session, s.open)
}

func (s *resolveStage) prepare(context.Context, []*kafka.Record) error { return nil }

func (s *resolveStage) step(ctx context.Context, session *kafka.Session, r *kafka.Record) error {
	s.tally.in[r.Topic]++
	p := s.open[r.Partition]
	if p == nil {
		return fmt.Errorf("record of %s partition %d, which is not open here", r.Topic, r.Partition)
	}
	p.begin()
	if r.Offset < p.position.KeyedNext { // the client began before what the store holds: never resolve a record twice
		return &recovery{"rewound", fmt.Errorf("%s partition %d hands out offset %d, the store is at %d", r.Topic, r.Partition, r.Offset, p.position.KeyedNext)}
	}
	p.position.KeyedNext = r.Offset + 1
	p.position.StreamTime = max(p.position.StreamTime, r.Timestamp.UnixMilli())
	body, err := s.framing.Body(r.Value, schemas.KindKeyed)
	if err == nil {
		err = schemas.DecodeKeyed(body, &s.keyed)
	}
	if err != nil {
		s.keyed.Origin = interaction.Origin{}
		s.outcome.park(interaction.ReasonUnparsable, fmt.Sprintf("not a keyed interaction of ours: %v", err))
	} else if err := s.core.step(p.overlay, &s.keyed, moment{p.position.StreamTime, uint64(r.Offset), p.recent, p.position.Directives > 0}, &s.outcome); err != nil {
		return stopState(err)
	}
	s.encode(r)
	for _, out := range s.out {
		if reject := s.topics.tooLarge(out); reject != nil {
			s.outcome.park(reject.Reason, reject.Detail)
			s.encode(r)
			break
		}
	}
	p.overlay.Put(s.outcome.rows)
	p.overlay.Put(s.outcome.seen)
	p.keepSeen(s.outcome.seen)
	if len(s.outcome.seen) > 0 {
		p.recent.Add(s.core.seen, s.keyed.ID, p.position.StreamTime)
	}
	for _, out := range s.out {
		session.Produce(ctx, out)
	}
	if s.outcome.verdict == verdictDirective {
		s.tellDirective(p)
	}
	s.count(p)
	return nil
}

// tellDirective counts a directive, and tells the operator: what it names stays out of the log.
func (s *resolveStage) tellDirective(p *partition) {
	d := &s.outcome.directive
	effect := d.effect.String()
	if d.dryRun {
		effect = "dry_run"
	} else {
		p.position.Directives++
	}
	s.tally.directives[[2]string{string(d.kind), effect}]++
	s.assigns.log.Info("directive taken in", "directive_id", s.keyed.Directive.ID, "kind", d.kind, "effect", effect,
		"changes", d.report.Total, "erased", d.report.Erased, "partition", p.tp.Partition, "offset", p.position.KeyedNext-1)
}

// encode makes the records of the outcome, in the order in which they are produced: changes and map rows before the event
// that they explain.
func (s *resolveStage) encode(r *kafka.Record) {
	o := &s.outcome
	s.out = s.out[:0]
	for i := range o.changes {
		c := &o.changes[i]
		s.add(s.topics.changes, []byte(c.CustomerID), schemas.KindChange, 256, func(b []byte) []byte { return schemas.AppendChange(b, c) })
	}
	for i := range o.mapRows {
		m := &o.mapRows[i]
		if m.CustomerID.IsZero() {
			out := s.arena.record(s.topics.idmap)
			out.Key = []byte(m.Key)
			s.out = append(s.out, out)
			continue
		}
		s.add(s.topics.idmap, []byte(m.Key), schemas.KindMapRow, 64, func(b []byte) []byte { return schemas.AppendMapRow(b, m) })
	}
	if o.verdict == verdictEvent {
		var key []byte
		if !o.unified.CustomerID.IsZero() {
			key = []byte(o.unified.CustomerID)
		}
		s.add(s.topics.unified, key, schemas.KindUnified, len(r.Value)+keyedOverhead, func(b []byte) []byte { return schemas.AppendUnified(b, &o.unified) })
		s.out[len(s.out)-1].Headers = r.Headers
	}
	for i := range o.rejects {
		out := rejectRecord(&s.arena, s.topics.rejects, r, resolveName, &o.rejects[i])
		if s.keyed.Origin.Topic != "" {
			addOrigin(out, s.keyed.Origin)
		}
		s.out = append(s.out, out)
	}
}

func (s *resolveStage) add(topic string, key []byte, kind schemas.Kind, size int, fill func([]byte) []byte) {
	out := s.arena.record(topic)
	out.Key = key
	out.Value = s.arena.bytes(size, func(b []byte) []byte { return fill(s.framing.Append(b, kind)) })
	s.out = append(s.out, out)
}

func (s *resolveStage) count(p *partition) {
	o := &s.outcome
	for _, out := range s.out {
		if out.Topic != s.topics.rejects {
			s.tally.out[out.Topic]++
		}
	}
	for i := range o.rejects {
		s.tally.reject(o.rejects[i].Reason, s.topics.rejects)
	}
	s.tally.verdicts[o.verdict]++
	if o.verdict == verdictEvent {
		for i := range o.unified.Identifiers {
			s.tally.identifiers[o.unified.Identifiers[i].Outcome]++
		}
	}
	s.tally.addGraph(o.tallies)
	p.position.Customers += int64(o.tallies.Created - o.tallies.Ended)
}

func (s *resolveStage) full() bool {
	bytes := 0
	for _, p := range s.open {
		if p.touched {
			bytes += p.overlay.Bytes()
		}
	}
	return bytes >= s.maximum
}

// seal produces the changelog records of the transaction: for each partition the seen rows together, the changed rows of
// identity one by one, and last the position.
func (s *resolveStage) seal(ctx context.Context, session *kafka.Session) error {
	for _, p := range s.open {
		if !p.touched {
			continue
		}
		s.sealSeen(ctx, session, p)
		err := p.overlay.Rows(table.LogIdentity, func(row table.Row) error {
			out := s.logged(s.topics.identity, p)
			out.Key = s.arena.bytes(1+len(row.Key), func(b []byte) []byte { return state.AppendRowKey(b, row.Table, row.Key) })
			if row.Value != nil {
				out.Value = s.arena.bytes(len(row.Value), func(b []byte) []byte { return append(b, row.Value...) })
			}
			if reject := s.topics.tooLarge(out); reject != nil {
				return stop("raise max.message.bytes of the topic", "a row of the state does not fit its changelog: %s", reject.Detail)
			}
			session.Produce(ctx, out)
			return nil
		})
		if err != nil {
			return err
		}
		p.lastRow = s.logged(s.topics.identity, p)
		p.lastRow.Key = state.AppendPositionKey(nil)
		p.lastRow.Value = p.store.Logged(p.position).AppendValue(nil)
		session.Produce(ctx, p.lastRow)
	}
	return nil
}

func (s *resolveStage) sealSeen(ctx context.Context, session *kafka.Session, p *partition) {
	perRecord := max(1, (s.topics.limit(s.topics.seen)-2*recordOverhead)/dedup.MaxLogged)
	for rows := p.seen; len(rows) > 0; {
		n := min(len(rows), perRecord)
		p.lastSeen = s.logged(s.topics.seen, p)
		p.lastSeen.Key = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, uint32(p.tp.Partition)), p.position.Transaction)
		p.lastSeen.Value = dedup.AppendLogged(nil, rows[:n])
		session.Produce(ctx, p.lastSeen)
		rows = rows[n:]
	}
}

// logged is a record for a changelog: it is cut like the keyed topic.
func (s *resolveStage) logged(topic string, p *partition) *kafka.Record {
	r := s.arena.record(topic)
	r.Partition = p.tp.Partition
	return r
}

// apply gives the stores the rows of a transaction that is known to be committed (invariants I2 and I3).
func (s *resolveStage) apply() error {
	now := time.Now()
	for _, p := range s.open {
		if !p.touched {
			continue
		}
		if err := p.apply(s.core.seen, now, s.metrics); err != nil {
			return stopState(err)
		}
		s.metrics.customers.WithLabelValues(p.label).Set(float64(p.position.Customers))
	}
	s.metrics.commit(s.tally)
	return nil
}

func (s *resolveStage) drop() {
	for id, p := range s.open {
		p.close(s.assigns.log)
		delete(s.open, id)
		s.metrics.forget(p.label)
	}
	s.tally.reset()
}

// begin opens the partition's part of the transaction under way.
func (p *partition) begin() {
	if p.touched {
		return
	}
	p.touched = true
	p.position = p.store.Position()
	p.position.Transaction++
	p.seen, p.lastSeen, p.lastRow = p.seen[:0], nil, nil
}

// keepSeen holds on to the rows for the changelog record of the transaction.
func (p *partition) keepSeen(rows []table.Row) {
	p.seen = append(p.seen, rows...)
}

func (p *partition) apply(window *dedup.Window, now time.Time, m *metrics) error {
	p.position.IdentityNext = p.lastRow.Offset + 1
	if p.lastSeen != nil {
		p.position.SeenNext = p.lastSeen.Offset + 1
	}
	var expire []table.Range
	if r := window.Expired(p.position.StreamTime); string(r.To) != p.expired {
		expire = append(expire, r)
	}
	if err := p.store.Apply(p.overlay, p.position, expire); err != nil {
		return err
	}
	if expire != nil {
		p.expired = string(expire[0].To)
	}
	p.touched = false
	if now.Sub(p.syncedAt) >= syncEvery {
		if err := p.store.Sync(); err != nil {
			return err
		}
		p.syncedAt = now
		m.stateBytes.WithLabelValues(p.label).Set(float64(p.store.Stats().DiskBytes))
	}
	return p.overlay.Reset()
}
