package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kinfold/processor/config"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
	"kinfold/schemas"
)

// fetchMaxBytes bounds what one fetch of a stage brings.
const fetchMaxBytes = 16 << 20

// The names of the stages in metrics, logs and rejects.
const (
	ingestName  = string(config.StageIngest)
	resolveName = string(config.StageResolve)
)

// Options are what a caller may give beside the configuration.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged
	// FS holds the state; nil is the operating system's file system.
	FS state.FS
	// Dial replaces the dialer of Kafka's connections; nil is the network.
	Dial func(ctx context.Context, network, host string) (net.Conn, error)
	// Listen replaces the listener of health and metrics; nil is the network.
	Listen func(network, address string) (net.Listener, error)
	// Ready, when set, is called once, when every stage of this process works.
	Ready func()
}

// gcPercent lets the heap grow further between two collections than Go's default of 100: the caches make most of it, and
// collecting costs more than the memory.
const gcPercent = 200

// TuneGC sets the garbage collector for a process that runs a processor, unless the environment (GOGC) does.
func TuneGC() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}

// InMemory is a file system for a state that is gone with the process.
func InMemory() state.FS { return state.NewMemoryFS() }

// Processor is one process of an app. Open, Run and Close are called once each, in this order.
type Processor struct {
	c       *config.Config
	options Options
	log     *slog.Logger
	kafka   *kafka.Config
	metrics *metrics
	stores  *state.Stores
	http    *server
	api     *api

	mu      sync.Mutex
	workers []*worker               // guarded by mu
	cancel  context.CancelCauseFunc // of Run; nil before; guarded by mu
}

// Open takes the state directory and the HTTP address. It starts no goroutine and asks nobody on the network.
func Open(c *config.Config, o Options) (_ *Processor, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Processor{c: c, options: o, log: o.Logger, metrics: newMetrics(Version())}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.kafka, err = kafkaConfig(c, o.Logger); err != nil {
		return nil, err
	}
	p.kafka.Metrics, p.kafka.Dial = p.metrics.registry, o.Dial
	p.stores, err = state.OpenStores(state.Options{
		Dir: filepath.Join(c.StateDir, c.App), FS: o.FS, CacheBytes: int64(c.CacheBytes), Logger: o.Logger, Failed: p.storeFailed,
	})
	if err != nil {
		return nil, stopState(err)
	}
	if p.api, err = newAPI(c, p.instance(), newHoldings()); err != nil {
		return nil, err
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if p.http, err = listen(o.Listen, c.HTTP.Listen, p.metrics, p.health, p.api); err != nil {
		return nil, err
	}
	return p, nil
}

// Close gives back what Open took. It may be called after an Open that failed, and more than once.
func (p *Processor) Close() {
	if p.http != nil {
		p.http.close()
	}
	if p.stores != nil {
		if err := p.stores.Close(); err != nil {
			p.log.Error("close the state directory", "error", err)
		}
		p.stores = nil
	}
}

// HTTPAddr is the address at which health and metrics are served.
func (p *Processor) HTTPAddr() string { return p.http.listener.Addr().String() }

// Run works until ctx ends, then stops in good order and returns nil; or until an error that an operator has to look at.
func (p *Processor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.mu.Lock()
	p.cancel = cancel
	p.mu.Unlock()
	var wg sync.WaitGroup
	start := func(run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				cancel(err)
			}
		})
	}
	p.log.Info("kinfold starts", "version", Version(), "app", p.c.App, "stages", p.c.Stages, "instance_id", p.instance(),
		"brokers", p.c.Kafka.Brokers, "state_dir", p.c.StateDir, "rules_version", p.c.Identity.Version())
	p.log.Info("health and metrics are served", "address", p.HTTPAddr())
	start(p.http.run)
	err := p.work(ctx, start)
	if err != nil {
		cancel(err)
	}
	<-ctx.Done()
	if p.workersDone(&wg); err == nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		err = context.Cause(ctx)
	}
	if err != nil {
		attrs := []any{"error", err}
		if s := (*StopError)(nil); errors.As(err, &s) && s.Hint != "" {
			attrs = []any{"error", s.Err, "what_to_do", s.Hint}
		}
		p.log.Error("stopped by an error; nothing is lost, but somebody has to look", attrs...)
	} else {
		p.log.Info("stopped")
	}
	return err
}

// storeFailed stops the process: the stage that owns the store may have nothing to write that would show it.
func (p *Processor) storeFailed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel(stopState(err))
}

// workersDone waits for the stages first, so that health and metrics answer while they stop.
func (p *Processor) workersDone(wg *sync.WaitGroup) {
	p.mu.Lock()
	workers := slices.Clone(p.workers)
	p.mu.Unlock()
	for _, w := range workers {
		<-w.done
	}
	p.http.close()
	wg.Wait()
}

// work checks the cluster, makes what is missing, and starts the stages.
func (p *Processor) work(ctx context.Context, start func(func() error)) error {
	admin, err := kafka.NewAdmin(p.kafka)
	if err != nil {
		return err
	}
	plan, err := retried(ctx, p.log, "prepare topics", func() (*topicPlan, error) { return p.prepareTopics(ctx, admin) })
	if err != nil {
		admin.Close()
		return ignoreCanceled(ctx, err)
	}
	framing, registry, err := p.prepareSchemas(ctx, plan)
	if err != nil {
		admin.Close()
		return ignoreCanceled(ctx, err)
	}
	workers, err := p.makeWorkers(plan, framing, registry, admin)
	if err != nil {
		admin.Close()
		return err
	}
	p.api.setCluster(&cluster{admin: admin, plan: plan, framing: framing})
	for _, w := range workers {
		_, err := retried(ctx, p.log, "begin as transactional id "+w.options.TransactionalID(), func() (struct{}, error) {
			return struct{}{}, stopUndecided(kafka.Fence(ctx, p.kafka, w.options))
		})
		if err != nil {
			admin.Close()
			return ignoreCanceled(ctx, err)
		}
	}
	p.mu.Lock()
	p.workers = workers
	p.mu.Unlock()
	var running sync.WaitGroup
	for _, w := range workers {
		running.Add(1)
		start(func() error {
			defer running.Done()
			defer close(w.done)
			err := w.run(ctx)
			if ctx.Err() != nil || err != nil {
				p.leave(admin, w)
			}
			return err
		})
	}
	start(func() error { running.Wait(); admin.Close(); return nil })
	start(func() error { p.watch(ctx); return nil })
	return nil
}

// leave gives the partitions of a stage to the other processes at once.
func (p *Processor) leave(admin *kafka.Admin, w *worker) {
	if err := admin.Leave(context.Background(), w.options.Group, w.options.InstanceID); err != nil {
		p.log.Warn("leave the group", "stage", w.name, "error", err)
	}
}

// watch reports readiness when it changes, and the size of the state now and then.
func (p *Processor) watch(ctx context.Context) {
	const every = 250 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	was := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ready, detail := p.health()
		if ready != was {
			p.log.Info("readiness changed", "ready", ready, "stages", detail)
			if ready && p.options.Ready != nil {
				p.options.Ready()
				p.options.Ready = nil
			}
		}
		was = ready
	}
}

// health says whether every stage of this process works, and for each what it does.
func (p *Processor) health() (ready bool, detail map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	detail = map[string]string{}
	ready = len(p.workers) > 0
	if !ready {
		detail["cluster"] = "waiting for Kafka or the schema registry"
	}
	for _, w := range p.workers {
		ok, what := w.health(time.Now())
		detail[w.name] = what
		p.metrics.setReady(w.name, ok)
		ready = ready && ok
	}
	return ready, detail
}

// prepareTopics creates what is missing, and refuses what would break a promise.
func (p *Processor) prepareTopics(ctx context.Context, admin *kafka.Admin) (*topicPlan, error) {
	reports, err := Topics(ctx, p.c, admin, true)
	if err != nil {
		return nil, err
	}
	var faults []string
	plan := newTopicPlan(p.c)
	for _, r := range reports {
		if r.Created {
			p.log.Info("topic created", "topic", r.Name, "partitions", r.State.Partitions)
		}
		for _, d := range r.Differences {
			if d.Refuse {
				faults = append(faults, d.String())
			} else {
				p.log.Warn("a topic differs from what it should be", "topic", d.Topic, "what", d.What, "is", d.Is, "want", d.Want, "risk", d.Risk)
			}
		}
		if n, err := strconv.Atoi(r.State.Configs["max.message.bytes"]); err == nil {
			plan.limits[r.Name] = n
		}
		if r.Name == plan.keyed {
			plan.keyedPartitions, plan.keyedID = int(r.State.Partitions), r.State.ID
		}
	}
	if len(faults) > 0 {
		return nil, stop("kinfold topics --config FILE shows all topics; with --create it makes ours that are missing",
			"the topics are not as they have to be:\n  %s", strings.Join(faults, "\n  "))
	}
	return plan, p.checkPermissions(ctx, admin, plan)
}

// checkPermissions refuses to start without a permission that the work would miss later.
func (p *Processor) checkPermissions(ctx context.Context, admin *kafka.Admin, plan *topicPlan) error {
	topics, groups := map[string][]string{}, map[string][]string{}
	if p.c.Runs(config.StageIngest) {
		for _, t := range p.c.InputTopics() {
			topics[t] = append(topics[t], "READ")
		}
		for _, t := range plan.ingestOutputs() { // READ finds what Kafka left open there
			topics[t] = append(topics[t], "READ", "WRITE")
		}
		groups[p.c.Group(config.StageIngest)] = []string{"READ"}
	}
	if p.c.Runs(config.StageResolve) {
		topics[plan.keyed] = append(topics[plan.keyed], "READ")
		for _, t := range plan.resolveOutputs() {
			topics[t] = append(topics[t], "READ", "WRITE")
		}
		groups[p.c.Group(config.StageResolve)] = []string{"READ"}
	}
	missing, err := admin.MissingPermissions(ctx, topics, groups)
	if err != nil || len(missing) == 0 {
		return err
	}
	lines := make([]string, len(missing))
	for i, m := range missing {
		lines[i] = fmt.Sprintf("operation %s on %s", m.Operation, m.Resource)
	}
	return stop("grant them to the user of this process; deploy/README.md lists all that are needed",
		"permissions are missing:\n  %s", strings.Join(lines, "\n  "))
}

// prepareSchemas registers our schemas where a registry is configured. While it does not answer, we wait.
func (p *Processor) prepareSchemas(ctx context.Context, plan *topicPlan) (schemas.Framing, *schemas.Registry, error) {
	registry, err := openRegistry(p.c, p.log)
	switch {
	case err != nil:
		return schemas.Framing{}, nil, err
	case registry == nil:
		return schemas.SingleObject(), nil, nil
	}
	framing, err := retried(ctx, p.log, "register schemas", func() (schemas.Framing, error) {
		framing, err := registry.Register(ctx, map[schemas.Kind]string{
			schemas.KindKeyed: plan.keyed, schemas.KindUnified: plan.unified, schemas.KindChange: plan.changes, schemas.KindMapRow: plan.idmap,
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, schemas.ErrRegistryUnreachable) {
			err = stop("use the version of kinfold that wrote it, other topic names, or another registry", "register schemas: %w", err)
		}
		return framing, err
	})
	return framing, registry, err
}

// instance tells this process from the others of the app.
func (p *Processor) instance() string {
	if p.c.InstanceID != "" {
		return p.c.InstanceID
	}
	return p.stores.InstanceID()
}

func (p *Processor) makeWorkers(plan *topicPlan, framing schemas.Framing, registry *schemas.Registry, admin *kafka.Admin) ([]*worker, error) {
	instance := p.instance()
	make := func(stageName config.Stage, topics, outputs []string, st stage) *worker {
		name := string(stageName)
		m := p.metrics.stage(name)
		return &worker{
			name: name, stage: st, kafka: p.kafka, log: p.log, metrics: m, done: make(chan struct{}), held: map[kafka.TopicPartition]int64{},
			options: kafka.SessionOptions{
				Group: p.c.Group(stageName), InstanceID: instance, Topics: topics, Outputs: outputs,
				TransactionTimeout: p.c.Commit.TransactionTimeout, SessionTimeout: p.c.Commit.SessionTimeout,
				MaxMessageBytes: func(topic string) int32 { return int32(plan.limit(topic)) },
				FetchMaxBytes:   fetchMaxBytes, HoldAssigned: stageName == config.StageResolve,
				SkipTo: map[kafka.TopicPartition]int64{},
			},
			lost: lostInput{skip: p.c.OnLostInput == config.LostInputSkip, group: p.c.Group(stageName), admin: admin, log: p.log, counter: p.metrics.skipped},
			limits: limits{
				interval: p.c.Commit.Interval, lagInterval: p.c.Commit.LagInterval,
				records: p.c.Commit.MaxRecords, bytes: int(p.c.Commit.MaxBytes),
			},
		}
	}
	var workers []*worker
	if p.c.Runs(config.StageIngest) {
		st, err := newIngestStage(p.c, registry, p.log, framing, plan, p.metrics)
		if err != nil {
			return nil, err
		}
		workers = append(workers, make(config.StageIngest, p.c.InputTopics(), plan.ingestOutputs(), st))
	}
	if p.c.Runs(config.StageResolve) {
		core, err := newResolveStep(&p.c.Identity)
		if err != nil {
			return nil, err
		}
		st := &resolveStage{
			core: core, framing: framing, topics: plan, metrics: p.metrics, maximum: int(p.c.Commit.MaxBytes), open: map[int32]*partition{}, tally: newTally(resolveName),
			assigns: &assigner{
				group: p.c.Group(config.StageResolve), topics: plan, stores: p.stores, holdings: p.api.holdings, admin: admin, window: core.seen, metrics: p.metrics, log: p.log,
				identity: state.Identity{App: p.c.App, Topic: plan.keyed, TopicID: plan.keyedID, PartitionCount: int32(plan.keyedPartitions), RulesVersion: core.rulesVersion},
				purged:   map[int32]time.Time{},
			},
		}
		workers = append(workers, make(config.StageResolve, []string{plan.keyed}, plan.resolveOutputs(), st))
	}
	return workers, nil
}

// retried repeats what Kafka or the registry did not answer, until ctx ends or an error stops the process.
func retried[T any](ctx context.Context, log *slog.Logger, what string, try func() (T, error)) (T, error) {
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		v, err := try()
		if kafka.Denied(err) {
			return v, stop("check kafka.sasl and the permissions of its user; deploy/README.md lists those that are needed", "%s: the cluster refuses us: %w", what, err)
		}
		if err == nil || isStop(err) || ctx.Err() != nil {
			return v, err
		}
		log.Warn(what+": no answer yet; trying again", "error", err, "backoff", backoff)
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(backoff):
		}
	}
}

func ignoreCanceled(ctx context.Context, err error) error {
	if ctx.Err() != nil && !isStop(err) {
		return nil
	}
	return err
}
