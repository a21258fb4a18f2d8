package processortest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kinfold/processor/interaction"
	"kinfold/schemas"
)

// The oracle works out from the input log, and from the order and the append times of the keyed log, what has to be in every
// output, and compares. What it knows of identity is in reference.go, what it knows of duplicates is below; nothing of it is the
// code under test but the codecs of the records.
type oracle struct {
	*Traces
	report *report

	input map[origin]*said // nil: nonsense
	graph *graph
	told  []told // one for each keyed record, partition by partition
}

type origin struct {
	partition int32
	offset    int64
}

// told is a keyed record as the reference sees it.
type told struct {
	partition int32
	record    *kgo.Record
	origin    origin
	said      *said
	nodes     []node
	id        string // event_id
	verdict   string // event, duplicate, conflict
	customer  string
	status    string
}

// report collects what is wrong, not more of one kind than a reader can use.
type report struct {
	problems []string
	count    map[string]int
}

const mostOfAKind = 3

func (r *report) add(kind, format string, args ...any) {
	if r.count == nil {
		r.count = map[string]int{}
	}
	r.count[kind]++
	switch n := r.count[kind]; {
	case n <= mostOfAKind:
		r.problems = append(r.problems, kind+": "+fmt.Sprintf(format, args...))
	case n == mostOfAKind+1:
		r.problems = append(r.problems, kind+": and more")
	}
}

// Check returns what is wrong with what a run left behind; nothing at all when it is as it has to be. replay makes the pure
// step for one keyed partition.
func Check(tr *Traces, replay Replayer) []string {
	o := &oracle{Traces: tr, report: &report{}, input: map[origin]*said{}, graph: newGraph(tr.Config.Identity.IDKey)}
	o.readInput()
	o.checkEpochs()
	o.checkIngest()
	o.tellAll()
	o.checkOffsets()
	o.checkEvents()
	o.checkRejects()
	o.checkMap()
	o.checkReplay(replay)
	return o.report.problems
}

func (o *oracle) readInput() {
	for _, log := range o.Logs[inputTopic] {
		for _, r := range log {
			s := &said{}
			if json.Unmarshal(r.Value, s) != nil {
				s = nil
			}
			o.input[origin{r.Partition, r.Offset}] = s
		}
	}
}

// checkEpochs expects of every partition of ours that no producer is heard of in an epoch once it wrote in a later one: a broker lets
// the newest life write only.
func (o *oracle) checkEpochs() {
	for _, topic := range sortedKeys(o.Logs) {
		if topic == inputTopic {
			continue
		}
		for p, log := range o.Logs[topic] {
			epochs := map[int64]int16{}
			for _, r := range log {
				if was, ok := epochs[r.ProducerID]; ok && r.ProducerEpoch < was {
					o.report.add("epochs", "%s partition %d offset %d: producer %d writes in epoch %d, and wrote in epoch %d before", topic, p, r.Offset, r.ProducerID, r.ProducerEpoch, was)
				}
				epochs[r.ProducerID] = r.ProducerEpoch
			}
		}
	}
}

// checkIngest compares the input with what stage 1 made of it: each record is one keyed record or one reject, and records of
// one partition that went to one partition kept their order.
func (o *oracle) checkIngest() {
	keyed, rejected := map[origin]int{}, map[origin]int{}
	homes := map[string]int32{}
	for p, log := range o.Logs[o.Config.KeyedTopic()] {
		last := map[int32]int64{}
		for _, r := range log {
			k := decodeKeyed(r, o.report)
			at := origin{k.Origin.Partition, k.Origin.Offset}
			keyed[at]++
			if was, ok := last[at.partition]; ok && at.offset <= was {
				o.report.add("keyed order", "partition %d has input %v behind offset %d", p, at, was)
			}
			last[at.partition] = at.offset
			if home, ok := homes[k.Realm]; ok && home != int32(p) {
				o.report.add("keyed home", "realm %s is in partitions %d and %d", k.Realm, home, p)
			}
			homes[k.Realm] = int32(p)
			o.told = append(o.told, told{partition: int32(p), record: r, origin: at, said: o.input[at]})
		}
	}
	for _, r := range o.rejects("ingest") {
		h := headersOf(r)
		at := origin{int32(number(h["reject.partition"])), number(h["reject.offset"])}
		rejected[at]++
		if in := o.inputRecord(at); in == nil || string(in.Value) != string(r.Value) || string(in.Key) != string(r.Key) {
			o.report.add("reject bytes", "the reject of input %v has other bytes", at)
		}
	}
	for at, s := range o.input {
		want, wantRejects := 1, 0
		if s == nil {
			want, wantRejects = 0, 1
		}
		if keyed[at] != want || rejected[at] != wantRejects {
			o.report.add("ingest", "input %v is in %d keyed records and %d rejects, not in %d and %d", at, keyed[at], rejected[at], want, wantRejects)
		}
		delete(keyed, at)
		delete(rejected, at)
	}
	for at := range keyed {
		o.report.add("ingest", "a keyed record comes from input %v, which is not there", at)
	}
	for at := range rejected {
		o.report.add("ingest", "a reject comes from input %v, which is not there", at)
	}
}

func (o *oracle) inputRecord(at origin) *kgo.Record {
	if logs := o.Logs[inputTopic]; int(at.partition) < len(logs) {
		i, ok := slices.BinarySearchFunc(logs[at.partition], at.offset, func(r *kgo.Record, offset int64) int { return cmp.Compare(r.Offset, offset) })
		if ok {
			return logs[at.partition][i]
		}
	}
	return nil
}

// rejects are the rejects of one stage.
func (o *oracle) rejects(stage string) (out []*kgo.Record) {
	for _, log := range o.Logs[o.Config.Topics.Rejects] {
		for _, r := range log {
			if headersOf(r)["reject.stage"] == stage {
				out = append(out, r)
			}
		}
	}
	return out
}

// accepted is what the reference remembers of an interaction for the duplicate window.
type accepted struct {
	at      int64
	content string
}

// clockAhead is how far occurred_at may be ahead of the record: identity.md 3.5.
const clockAhead = 10 * time.Minute

// tellAll takes the keyed records in their order through the reference.
func (o *oracle) tellAll() {
	window := o.Config.Identity.DuplicateWindow.Milliseconds()
	stream := map[int32]int64{}
	seen := map[string]accepted{}
	for i := range o.told {
		t := &o.told[i]
		if t.said == nil {
			continue // reported already
		}
		now := max(stream[t.partition], t.record.Timestamp.UnixMilli())
		stream[t.partition] = now
		realm := realmOf(t.said.Store)
		sum := sha256.Sum256([]byte(realm + "\x1f" + t.said.Source + "\x1f" + t.said.EventID))
		t.id, t.nodes = hex.EncodeToString(sum[:16]), nodesOf(realm, t.said)
		content := t.said.content()
		was, ok := seen[t.id]
		switch {
		case !ok || was.at < now-window:
			t.verdict = "event"
			seen[t.id] = accepted{now, content}
		case was.content == content:
			t.verdict = "duplicate"
		default:
			t.verdict = "conflict"
			continue
		}
		at, received := t.said.OccurredAt, o.inputRecord(t.origin).Timestamp.UnixMilli()
		if at > received+clockAhead.Milliseconds() {
			at = received
		}
		o.graph.tell(t.nodes, at)
		if t.verdict == "event" {
			t.customer, t.status = o.graph.event(t.nodes)
		}
	}
}

// nodesOf are the identifiers of an interaction in the order of identity.md 3.3.
func nodesOf(realm string, s *said) []node {
	var nodes []node
	if s.User != "" {
		nodes = append(nodes, node{realm, "user", s.Store, s.User})
	}
	for _, id := range s.Identifiers {
		nodes = append(nodes, node{realm, id.Namespace, "", id.Value})
	}
	slices.SortFunc(nodes, byRank)
	return slices.Compact(nodes)
}

// content is what two interactions of one event id must have in common to be the same.
func (s said) content() string {
	s.OccurredAt = 0
	return s.line()
}

// checkOffsets compares what the groups have committed with the ends of what they read.
func (o *oracle) checkOffsets() {
	for group, topics := range o.Committed {
		for topic, offsets := range topics {
			for p, at := range offsets {
				log := o.Logs[topic][p]
				if len(log) == 0 {
					continue
				}
				if end := log[len(log)-1].Offset + 1; at < end {
					o.report.add("offsets", "group %s has committed %d of %s partition %d, whose last record is %d", group, at, topic, p, end-1)
				}
			}
		}
	}
}

// checkEvents compares the unified events: which there are, whose they are, and in which order for each customer.
func (o *oracle) checkEvents() {
	type fact struct{ customer, status string }
	want, got := map[string][]fact{}, map[string][]fact{}
	wantOrder, gotOrder := map[string][]string{}, map[string][]string{}
	for _, t := range o.told {
		if t.verdict == "event" {
			want[t.id] = append(want[t.id], fact{t.customer, t.status})
			wantOrder[t.customer] = append(wantOrder[t.customer], t.id)
		}
	}
	for _, log := range o.Logs[o.Config.Topics.UnifiedCustomerEvents] {
		for _, r := range log {
			var u interaction.Unified
			decode(r, schemas.KindUnified, o.report, func(b []byte) error { return schemas.DecodeUnified(b, &u) })
			id := u.Keyed.ID.String()
			got[id] = append(got[id], fact{string(u.CustomerID), string(u.IdentityStatus)})
			gotOrder[string(u.CustomerID)] = append(gotOrder[string(u.CustomerID)], id)
		}
	}
	for id, facts := range want {
		if len(got[id]) != len(facts) {
			o.report.add("events", "event %s is there %d times, not %d", id, len(got[id]), len(facts))
		} else if !sameSet(facts, got[id], func(a, b fact) int {
			return cmp.Or(cmp.Compare(a.customer, b.customer), cmp.Compare(a.status, b.status))
		}) {
			o.report.add("customers", "event %s belongs to %v, not to %v", id, got[id], facts)
		}
	}
	for id := range got {
		if want[id] == nil {
			o.report.add("events", "event %s is there, and nothing was accepted under it", id)
		}
	}
	for customer, order := range wantOrder {
		if customer != "" && sameSet(order, gotOrder[customer], cmp.Compare) && !slices.Equal(order, gotOrder[customer]) {
			o.report.add("event order", "events of customer %s are in another order than in the keyed topic", customer)
		}
	}
}

func sameSet[T any](a, b []T, compare func(a, b T) int) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, compare)
	slices.SortFunc(b, compare)
	return slices.EqualFunc(a, b, func(x, y T) bool { return compare(x, y) == 0 })
}

// checkRejects compares the rejects of stage 2 with the conflicts that the reference found.
func (o *oracle) checkRejects() {
	got := map[origin]int{}
	for _, r := range o.rejects("resolve") {
		h := headersOf(r)
		got[origin{int32(number(h["reject.partition"])), number(h["reject.offset"])}]++
		if reason := h["reject.reason"]; reason != string(interaction.ReasonDuplicateConflict) {
			o.report.add("rejects", "a keyed record was rejected as %s", reason)
		}
	}
	for _, t := range o.told {
		want, at := 0, origin{t.partition, t.record.Offset}
		if t.verdict == "conflict" {
			want = 1
		}
		if got[at] != want {
			o.report.add("rejects", "keyed record %v is in %d rejects, not %d", at, got[at], want)
		}
	}
}

// checkMap compares three maps of identifiers to customers: the reference's, that of the compacted topic, and the folded changes.
func (o *oracle) checkMap() {
	want := o.graph.all()
	compareMaps(o.report, "identity-map", want, o.mapTopic())
	compareMaps(o.report, "folded changes", want, o.foldedChanges())
}

func (o *oracle) mapTopic() map[string]string {
	m := map[string]string{}
	for _, log := range o.Logs[o.Config.Topics.IdentityMap] {
		for _, r := range log {
			if r.Value == nil {
				delete(m, string(r.Key))
				continue
			}
			var row interaction.MapRow
			decode(r, schemas.KindMapRow, o.report, func(b []byte) error { return schemas.DecodeMapRow(b, &row) })
			if row.Status == interaction.MapEnded {
				delete(m, string(r.Key))
			} else {
				m[string(r.Key)] = string(row.CustomerID)
			}
		}
	}
	return m
}

// foldedChanges folds the changes in the order of their topic, which has one partition here.
func (o *oracle) foldedChanges() map[string]string {
	m, version := map[string]string{}, map[string]int64{}
	for _, log := range o.Logs[o.Config.Topics.IdentityChanges] {
		for _, r := range log {
			var c interaction.Change
			decode(r, schemas.KindChange, o.report, func(b []byte) error { return schemas.DecodeChange(b, &c) })
			id := string(c.CustomerID)
			if c.Version <= version[id] {
				o.report.add("changes", "version of customer %s goes from %d to %d", id, version[id], c.Version)
			}
			version[id] = c.Version
			for _, k := range c.Removed {
				if m[k] == id {
					delete(m, k)
				}
			}
			for _, k := range c.Added {
				if m[k] == id {
					o.report.add("changes", "%s is added to customer %s, which had it", k, id)
				}
				m[k] = id
			}
		}
	}
	return m
}

func compareMaps(r *report, what string, want, got map[string]string) {
	for _, k := range sortedKeys(want) {
		if got[k] != want[k] {
			r.add(what, "%s belongs to %q, not to %q", k, got[k], want[k])
		}
	}
	for k := range maps.Keys(got) {
		if _, ok := want[k]; !ok {
			r.add(what, "%s is there, and never occurred", k)
		}
	}
}

func decodeKeyed(r *kgo.Record, rep *report) *interaction.Keyed {
	k := &interaction.Keyed{}
	decode(r, schemas.KindKeyed, rep, func(b []byte) error { return schemas.DecodeKeyed(b, k) })
	return k
}

func decode(r *kgo.Record, kind schemas.Kind, rep *report, body func([]byte) error) {
	if err := schemas.SingleObject().Decode(r.Value, kind, body); err != nil {
		rep.add("decode", "%s partition %d offset %d: %v", r.Topic, r.Partition, r.Offset, err)
	}
}

func headersOf(r *kgo.Record) map[string]string {
	m := make(map[string]string, len(r.Headers))
	for _, h := range r.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}
