package schemas

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

const (
	registryTimeout = 5 * time.Second
	// unknownFor is how long an id that the registry did not know stays unknown without being asked for again.
	unknownFor = 30 * time.Second
	// maxReaders, and maxReaderBytes of schema text, bound each of the two generations of writer schemas that are kept.
	maxReaders     = 1_000
	maxReaderBytes = 64 << 20
	// maxUnknown bounds the ids that the registry did not know: bytes that only look like an id must not push out the schemas in
	// use. Beyond it the registry is asked again.
	maxUnknown = 10_000
	// maxReason bounds what a reject says of a schema, in bytes.
	maxReason = 500
)

// ErrRegistryUnreachable says that the registry gave no answer about a schema. Nothing is wrong with the record: it has to wait.
var ErrRegistryUnreachable = errors.New("the schema registry gives no answer")

// RegistryConfig says how to reach a registry with Confluent's interface.
type RegistryConfig struct {
	URLs           []string // tried in order; a path is kept
	User, Password string   // basic authentication; empty: none
	TLS            *tls.Config
	Logger         *slog.Logger
}

// Registry is a schema registry, with what it said so far. It may be used by several goroutines.
type Registry struct {
	urls     []string
	cl       *sr.Client
	apicurio *sr.Client // the same registry by Apicurio's own interface, for ids that Confluent's does not know
	log      *slog.Logger

	mu sync.RWMutex
	// known are the schemas in use since the last change of generations, older those before: what Known is asked for goes over.
	// What it has affirmed is therefore found until as many others as a generation holds were asked for after it.
	known, older map[SchemaKey]*verdict
	bytes        int                     // of schema text in known
	unknown      map[SchemaKey]time.Time // until when a key is not asked for again
	// last is the schema that was decoded with last: most topics have one. Knows does not look at it, so it keeps nothing alive.
	last atomic.Pointer[verdict]
}

// verdict is what is known of a schema id: its reader, or why records with it are rejects.
type verdict struct {
	key    SchemaKey
	reader *Reader
	reject *interaction.Reject
	bytes  int // of schema text
}

// OpenRegistry makes a client. It asks nothing yet.
func OpenRegistry(c RegistryConfig) (*Registry, error) {
	httpClient := &http.Client{Timeout: registryTimeout}
	if c.TLS != nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = c.TLS
		httpClient.Transport = t
	}
	opts := []sr.ClientOpt{sr.HTTPClient(httpClient), sr.URLs(c.URLs...), sr.UserAgent("kinfold")}
	if c.User != "" {
		opts = append(opts, sr.BasicAuth(c.User, c.Password))
	}
	cl, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	apicurio, err := sr.NewClient(append(opts, sr.URLs(apicurioURLs(c.URLs)...), sr.PreReq(acceptJSON))...)
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Registry{urls: c.URLs, cl: cl, apicurio: apicurio, log: log, known: map[SchemaKey]*verdict{}, unknown: map[SchemaKey]time.Time{}}, nil
}

// String tells which registry it is: its URLs.
func (r *Registry) String() string { return strings.Join(r.urls, ", ") }

// Known reports whether records with the id can be decoded or rejected without asking the registry.
func (r *Registry) Known(id int) bool { return r.Knows(ByID(id)) }

// Knows is Known for any key.
func (r *Registry) Knows(key SchemaKey) bool {
	r.mu.RLock()
	_, known := r.known[key]
	if known { // nearly always
		r.mu.RUnlock()
		return true
	}
	v, older := r.older[key]
	until, unknown := r.unknown[key]
	r.mu.RUnlock()
	if older {
		r.mu.Lock()
		r.keep(v)
		r.mu.Unlock()
	}
	return older || key.impossible() || unknown && time.Now().Before(until)
}

// keep puts a verdict into the present generation, and begins another when it is full. The lock is held.
func (r *Registry) keep(v *verdict) {
	if len(r.known) >= maxReaders || r.bytes+v.bytes > maxReaderBytes && len(r.known) > 0 {
		r.known, r.older, r.bytes = map[SchemaKey]*verdict{}, r.known, 0
	}
	if _, ok := r.known[v.key]; !ok {
		r.bytes += v.bytes
	}
	r.known[v.key] = v
}

// Fetch asks for the schema of an id. That the registry does not know it, or that it is unusable, is an answer, too; the only
// errors are ErrRegistryUnreachable and the end of ctx.
func (r *Registry) Fetch(ctx context.Context, id int) error { return r.Learn(ctx, ByID(id)) }

// Learn is Fetch for any key.
func (r *Registry) Learn(ctx context.Context, key SchemaKey) error {
	v, err := r.ask(ctx, key)
	if err != nil {
		return r.named(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v == nil {
		if len(r.unknown) >= maxUnknown {
			clear(r.unknown)
		}
		r.unknown[key] = time.Now().Add(unknownFor)
		return nil
	}
	r.keep(v)
	r.last.Store(nil) // it may be what was known of the key before it was forgotten
	return nil
}

// ask returns nil without an error where the registry does not know the key.
func (r *Registry) ask(ctx context.Context, key SchemaKey) (*verdict, error) {
	held, err := r.definitionOf(ctx, key)
	switch {
	case errors.Is(err, errUnknownSchema):
		return nil, nil
	case err != nil:
		return nil, unreachable(ctx, err)
	case held.kind != sr.TypeAvro:
		return &verdict{key: key, reject: &interaction.Reject{Reason: interaction.ReasonUnsupportedType, Detail: fmt.Sprintf("%s is of type %s, not AVRO", key, held.kind)}}, nil
	case held.text == "":
		return nil, unreachable(ctx, fmt.Errorf("its answer for %s holds no schema", key))
	}
	text, err := inlined(ctx, held)
	var reader *Reader
	if err == nil {
		reader, err = NewReader(text)
	}
	switch {
	case errors.Is(err, ErrRegistryUnreachable) || ctx.Err() != nil:
		return nil, unreachable(ctx, err)
	case err != nil:
		reason := err.Error()
		reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
		return &verdict{key: key, reject: &interaction.Reject{Reason: interaction.ReasonBadSchema, Detail: fmt.Sprintf("%s: %s", key, reason)}}, nil
	}
	return &verdict{key: key, reader: reader, bytes: len(text)}, nil
}

// Interaction decodes the body of a record that was written with the schema of that id.
func (r *Registry) Interaction(id int, body []byte, dst *interaction.Interaction) *interaction.Reject {
	reader, reject := r.Reader(ByID(id))
	if reject != nil {
		return reject
	}
	return reader.Interaction(body, dst)
}

// Directive decodes the body of a directive, which must be written with our schema.
func (r *Registry) Directive(id int, body []byte, dst *interaction.Directive) *interaction.Reject {
	reader, reject := r.Reader(ByID(id))
	if reject != nil {
		return reject
	}
	return reader.Directive(body, dst)
}

// Tree decodes the body of a record that was written with the schema of that id.
func (r *Registry) Tree(id int, body []byte, to *source.Tree) (source.Node, *interaction.Reject) {
	reader, reject := r.Reader(ByID(id))
	if reject != nil {
		return 0, reject
	}
	return reader.Tree(body, to)
}

// Reader returns what decodes records with the key; it asks nothing. A key that was not learned is as one that the registry does
// not know.
func (r *Registry) Reader(key SchemaKey) (*Reader, *interaction.Reject) {
	if v := r.last.Load(); v != nil && v.key == key {
		return v.reader, v.reject
	}
	r.mu.RLock()
	v, ok := r.known[key]
	if !ok {
		v, ok = r.older[key]
	}
	r.mu.RUnlock()
	if !ok {
		return nil, &interaction.Reject{Reason: interaction.ReasonUnknownSchema, Detail: fmt.Sprintf("the registry does not know %s", key)}
	}
	r.last.Store(v)
	return v.reader, v.reject
}

// Register registers our schemas under TopicNameStrategy, <topic>-value, with the compatibility BACKWARD_TRANSITIVE, and returns
// the framing that carries their ids.
func (r *Registry) Register(ctx context.Context, topics map[Kind]string) (Framing, error) {
	ids := map[Kind]int{}
	for _, k := range Kinds {
		topic, ok := topics[k]
		if !ok {
			continue
		}
		subject := topic + "-value"
		if res := r.cl.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatBackwardTransitive}, subject); len(res) == 1 && res[0].Err != nil {
			if status(res[0].Err) == 0 {
				return Framing{}, r.named(unreachable(ctx, res[0].Err))
			}
			r.log.Warn("the registry keeps its own compatibility level for a subject", "subject", subject, "error", res[0].Err)
		}
		registered, err := r.cl.CreateSchema(ctx, subject, sr.Schema{Schema: k.Schema(), Type: sr.TypeAvro})
		switch answer := status(err); {
		case answer == http.StatusConflict || answer == http.StatusUnprocessableEntity:
			return Framing{}, fmt.Errorf("subject %s holds a schema that %s is not compatible with; another program or a newer version wrote it: %w", subject, k, err)
		case err != nil:
			return Framing{}, r.named(unreachable(ctx, err))
		}
		ids[k] = registered.ID
	}
	return Confluent(ids), nil
}

// status is the HTTP status of an answer; 0: there was none.
func status(err error) int {
	var answer *sr.ResponseError
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// code is the error code within an answer.
func code(err error) int {
	var answer *sr.ResponseError
	if errors.As(err, &answer) {
		return answer.ErrorCode
	}
	return 0
}

func notFound(err error) bool { return status(err) == http.StatusNotFound }

// named says in an error which registry it is that gives no answer: what it answers itself does not.
func (r *Registry) named(err error) error {
	if errors.Is(err, ErrRegistryUnreachable) {
		return fmt.Errorf("%s: %w", r, err)
	}
	return err
}

func unreachable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrRegistryUnreachable):
		return err
	case status(err) == http.StatusUnauthorized || status(err) == http.StatusForbidden:
		return fmt.Errorf("%w: it refuses us (check registry.user and registry.password): %w", ErrRegistryUnreachable, err)
	}
	return fmt.Errorf("%w: %w", ErrRegistryUnreachable, err)
}
