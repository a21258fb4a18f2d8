package processor

import (
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"kinfold/processor/interaction"
)

// metrics is every figure that the processor publishes; each has its help text here and nowhere else.
type metrics struct {
	registry *prometheus.Registry

	totalsMu  sync.Mutex
	totals    Totals
	ignoredBy map[[2]string]int64 // part of totals, by source and reason

	recordsIn     *prometheus.CounterVec // stage, topic
	recordsOut    *prometheus.CounterVec // topic
	outcomes      *prometheus.CounterVec // stage, outcome
	rejects       *prometheus.CounterVec // stage, reason
	duplicates    prometheus.Counter
	directives    *prometheus.CounterVec // kind, effect
	ignored       *prometheus.CounterVec // source, reason
	elements      *prometheus.CounterVec // source, reason
	identifiers   *prometheus.CounterVec // outcome
	blocked       *prometheus.CounterVec // rule
	empty         prometheus.Counter
	merges        prometheus.Counter
	splits        prometheus.Counter
	created       prometheus.Counter
	ended         prometheus.Counter
	commits       *prometheus.CounterVec   // stage, result
	commitSeconds *prometheus.HistogramVec // stage
	recoveries    *prometheus.CounterVec   // stage, cause
	lag           *prometheus.GaugeVec     // stage, topic, partition
	skipped       *prometheus.CounterVec   // topic
	restoreRows   *prometheus.CounterVec   // partition
	restoreLeft   *prometheus.GaugeVec     // partition
	stateBytes    *prometheus.GaugeVec     // partition
	customers     *prometheus.GaugeVec     // partition
	ready         *prometheus.GaugeVec     // stage
}

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), ignoredBy: map[[2]string]int64{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "kinfold", Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	single := func(name, help string) prometheus.Counter { return counter(name, help).WithLabelValues() }
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "kinfold", Name: name, Help: help}, labels)
		m.registry.MustRegister(g)
		return g
	}
	m.recordsIn = counter("records_in_total", "Records read, by committed transactions.", "stage", "topic")
	m.recordsOut = counter("records_out_total", "Records written to the public and the keyed topics, by committed transactions.", "topic")
	m.outcomes = counter("outcomes_total", "What became of the records: event, duplicate, reject, directive or ignored; those of a mapping by element.", "stage", "outcome")
	m.rejects = counter("rejects_total", "Records parked in the rejects topic.", "stage", "reason")
	m.duplicates = single("duplicates_total", "Interactions that had been accepted before within the window.")
	m.directives = counter("directives_total", "Directives taken in, by what they did: effective, superseded, ignored or dry_run.", "kind", "effect")
	m.ignored = counter("ignored_total", "Records and elements for which a mapping has no use.", "source", "reason")
	m.elements = counter("mapped_rejects_total", "Records and elements that a mapping or what follows it rejected; elements of one record and reason are parked together.", "source", "reason")
	m.identifiers = counter("identifiers_total", "Identifiers of unified events.", "outcome")
	m.blocked = counter("blocked_total", "Identifiers that a rule of the block list kept out.", "rule")
	m.empty = single("identifiers_empty_total", "Identifiers of which nothing was left after trimming; they have no row in the event.")
	m.merges = single("merges_total", "Customer ids that ended because their customer became part of another.")
	m.splits = single("splits_total", "Customers that lost identifiers to a new customer.")
	m.created = single("customers_created_total", "Customer ids that came into being, again included.")
	m.ended = single("customers_ended_total", "Customer ids that ended.")
	m.commits = counter("commits_total", "Transactions by result: committed, or unknown (recovered from).", "stage", "result")
	m.commitSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "kinfold", Name: "commit_seconds", Help: "Time from the last record of a transaction to its commit.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"stage"})
	m.registry.MustRegister(m.commitSeconds)
	m.recoveries = counter("recoveries_total", "Sessions that ended early and were opened anew from the last commit.", "stage", "cause")
	m.lag = gauge("input_lag_records", "Records behind the last one committed, as of the last fetch.", "stage", "topic", "partition")
	m.skipped = counter("input_skipped_total", "Records that were gone before they were read and were skipped as configured.", "topic")
	m.restoreRows = counter("restore_rows_total", "Rows read back from the changelogs.", "partition")
	m.restoreLeft = gauge("restore_remaining_records", "Changelog records that a restore under way has not read yet.", "partition")
	m.stateBytes = gauge("state_bytes", "Size of a partition's store on disk.", "partition")
	m.customers = gauge("customers", "Customers of a partition that is open here.", "partition")
	m.ready = gauge("ready", "1 when the stage owns its partitions and has restored them.", "stage")
	info := gauge("build_info", "The running version.", "version")
	info.WithLabelValues(version).Set(1)
	for _, r := range interaction.Reasons {
		for _, s := range []string{ingestName, resolveName} {
			m.rejects.WithLabelValues(s, string(r))
		}
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// stageMetrics are the figures of the loop with the stage's label filled in.
type stageMetrics struct {
	commits       *prometheus.CounterVec // result
	commitSeconds prometheus.Observer
	recoveries    *prometheus.CounterVec // cause
	lag           *prometheus.GaugeVec   // topic, partition
}

func (m *metrics) stage(name string) *stageMetrics {
	l := prometheus.Labels{"stage": name}
	return &stageMetrics{
		commits:       m.commits.MustCurryWith(l),
		commitSeconds: m.commitSeconds.WithLabelValues(name),
		recoveries:    m.recoveries.MustCurryWith(l),
		lag:           m.lag.MustCurryWith(l),
	}
}

func (m *metrics) setReady(stage string, ready bool) {
	value := 0.0
	if ready {
		value = 1
	}
	m.ready.WithLabelValues(stage).Set(value)
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// linkedVersion is set by the linker where the build has no checkout, as in an image:
// -ldflags "-X kinfold/processor.linkedVersion=v1.2.3".
var linkedVersion string

// Version is the module version of the running program, with the commit where it was built from a checkout.
func Version() string {
	if linkedVersion != "" {
		return linkedVersion
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version, revision, dirty := info.Main.Version, "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = "-" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-modified"
		}
	}
	if version == "" || version == "(devel)" {
		version = "devel"
		return version + revision + dirty
	}
	return version
}
