package processor

import (
	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
)

// tally counts what one transaction does. It becomes part of the metrics when the transaction is known to be committed, and
// is forgotten with it otherwise: the figures are exact, recoveries or not.
type tally struct {
	stage       string
	in, out     map[string]int    // records by topic
	verdicts    [verdicts]int     // records by verdict
	directives  map[[2]string]int // by kind and effect
	ignored     map[[2]string]int // elements by source and reason
	mapped      map[[2]string]int // elements that were rejected, by source and reason
	rejects     map[interaction.Reason]int
	identifiers [interaction.OutcomeInvalid + 1]int // of unified events
	graph       identity.Tallies
	normalizer  normalize.Tallies
}

func newTally(stage string) *tally {
	return &tally{stage: stage, in: map[string]int{}, out: map[string]int{}, rejects: map[interaction.Reason]int{}, directives: map[[2]string]int{}, ignored: map[[2]string]int{}, mapped: map[[2]string]int{}}
}

func (t *tally) reject(reason interaction.Reason, topic string) {
	t.rejects[reason]++
	t.out[topic]++
}

func (t *tally) reset() {
	clear(t.in)
	clear(t.out)
	clear(t.rejects)
	clear(t.directives)
	clear(t.ignored)
	clear(t.mapped)
	*t = tally{stage: t.stage, in: t.in, out: t.out, rejects: t.rejects, directives: t.directives, ignored: t.ignored, mapped: t.mapped}
}

// Totals are the committed figures of this process since it started.
type Totals struct {
	Accepted  int64 // interactions of the inputs that were keyed; a record may hold several
	Parked    int64 // rejects before that
	Ignored   int64 // records, or elements of them, for which a mapping has no use
	Events    int64 // unified events
	Duplicate int64
	Directive int64 // directives taken in
	Rejected  int64 // keyed interactions that became no event
}

// commit adds the tally to the metrics and begins anew.
func (m *metrics) commit(t *tally) {
	for topic, n := range t.in {
		m.recordsIn.WithLabelValues(t.stage, topic).Add(float64(n))
	}
	for topic, n := range t.out {
		m.recordsOut.WithLabelValues(topic).Add(float64(n))
	}
	for v, n := range t.verdicts {
		m.outcomes.WithLabelValues(t.stage, verdict(v).String()).Add(float64(n))
	}
	for reason, n := range t.rejects {
		m.rejects.WithLabelValues(t.stage, string(reason)).Add(float64(n))
	}
	for outcome, n := range t.identifiers {
		if outcome != int(interaction.OutcomeNone) {
			m.identifiers.WithLabelValues(interaction.Outcome(outcome).String()).Add(float64(n))
		}
	}
	for rule, n := range t.normalizer.Blocked {
		if n > 0 {
			m.blocked.WithLabelValues(normalize.BlockRule(rule).String()).Add(float64(n))
		}
	}
	for d, n := range t.directives {
		m.directives.WithLabelValues(d[0], d[1]).Add(float64(n))
	}
	for d, n := range t.ignored {
		m.ignored.WithLabelValues(d[0], d[1]).Add(float64(n))
	}
	for d, n := range t.mapped {
		m.elements.WithLabelValues(d[0], d[1]).Add(float64(n))
	}
	m.empty.Add(float64(t.normalizer.Empty))
	m.duplicates.Add(float64(t.verdicts[verdictDuplicate]))
	m.created.Add(float64(t.graph.Created))
	m.ended.Add(float64(t.graph.Ended))
	m.merges.Add(float64(t.graph.Merges))
	m.splits.Add(float64(t.graph.Splits))
	m.total(t)
	t.reset()
}

func (m *metrics) total(t *tally) {
	m.totalsMu.Lock()
	defer m.totalsMu.Unlock()
	if t.stage == ingestName {
		m.totals.Accepted += int64(t.verdicts[verdictEvent])
		m.totals.Ignored += int64(t.verdicts[verdictIgnored])
		for d, n := range t.ignored {
			m.ignoredBy[d] += int64(n)
		}
		m.totals.Parked += int64(t.verdicts[verdictReject])
		return
	}
	m.totals.Events += int64(t.verdicts[verdictEvent])
	m.totals.Duplicate += int64(t.verdicts[verdictDuplicate])
	m.totals.Directive += int64(t.verdicts[verdictDirective])
	m.totals.Rejected += int64(t.verdicts[verdictReject])
}

// Totals returns what this process has committed since it started.
func (p *Processor) Totals() Totals {
	p.metrics.totalsMu.Lock()
	defer p.metrics.totalsMu.Unlock()
	return p.metrics.totals
}

// Ignored splits Totals.Ignored: by the source that a mapping names, and by reason.
func (p *Processor) Ignored() map[string]map[string]int64 {
	p.metrics.totalsMu.Lock()
	defer p.metrics.totalsMu.Unlock()
	by := map[string]map[string]int64{}
	for d, n := range p.metrics.ignoredBy {
		if by[d[0]] == nil {
			by[d[0]] = map[string]int64{}
		}
		by[d[0]][d[1]] = n
	}
	return by
}

// addGraph sums the graph's tallies.
func (t *tally) addGraph(g identity.Tallies) {
	t.graph.Created += g.Created
	t.graph.Ended += g.Ended
	t.graph.Merges += g.Merges
	t.graph.Splits += g.Splits
	t.graph.Shared += g.Shared
	t.graph.Unshared += g.Unshared
	t.graph.Oversized += g.Oversized
}
