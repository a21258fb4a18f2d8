package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/source"
	"kinfold/processor/source/mapping"
	"kinfold/schemas"
)

// avroFormat reads the Avro records of one source: interactions and directives with any writer schema, and trees for a mapping.
type avroFormat struct {
	registry *schemas.Registry // nil: none is configured
	decoder  *schemas.ValueDecoder
	log      *slog.Logger
}

func newAvroFormat(framing config.Framing, declared []string, registry *schemas.Registry, log *slog.Logger) (*avroFormat, error) {
	f, err := schemas.ParseValueFraming(string(framing))
	if err != nil {
		return nil, err
	}
	decoder, err := schemas.NewValueDecoder(f, registry, declared...)
	if err != nil {
		return nil, stop("set registry.urls", "sources: %w", err)
	}
	return &avroFormat{registry, decoder, log}, nil
}

// valueOf finds a header of a record, without case; of several with one name the last counts.
func valueOf(headers []mapping.Header) func(name string) []byte {
	return func(name string) []byte {
		for i := len(headers) - 1; i >= 0; i-- {
			if strings.EqualFold(headers[i].Name, name) {
				return headers[i].Value
			}
		}
		return nil
	}
}

func (a *avroFormat) interaction(rec *mapping.Record, dst *interaction.Interaction) *interaction.Reject {
	return a.decoder.Interaction(rec.Value, valueOf(rec.Headers), dst)
}

func (a *avroFormat) directive(rec *mapping.Record, dst *interaction.Directive) *interaction.Reject {
	return a.decoder.Directive(rec.Value, valueOf(rec.Headers), dst)
}

func (a *avroFormat) tree(rec *mapping.Record, to *source.Tree) (source.Node, *interaction.Reject) {
	return a.decoder.Tree(rec.Value, valueOf(rec.Headers), to)
}

// unlearned is the key of the schema that has to be asked for before a value can be decoded; false: none.
func (a *avroFormat) unlearned(value []byte, headers func(name string) []byte) (schemas.SchemaKey, bool) {
	if value == nil {
		return schemas.SchemaKey{}, false
	}
	return a.decoder.Unlearned(value, headers)
}

// ask makes sure that the schema of a value is known, or known to be unknown. It asks the registry once.
func (a *avroFormat) ask(ctx context.Context, value []byte, headers func(name string) []byte) error {
	key, unlearned := a.unlearned(value, headers)
	if !unlearned {
		return nil
	}
	if err := a.registry.Learn(ctx, key); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// learn is ask until there is an answer. With a ctx that is over it does not wait.
func (a *avroFormat) learn(ctx context.Context, value []byte, headers func(name string) []byte) error {
	key, unlearned := a.unlearned(value, headers)
	if !unlearned {
		return nil
	}
	if ctx.Err() != nil {
		return &recovery{"schema", fmt.Errorf("%s has to be fetched before the transaction begins", key)}
	}
	began, waited := time.Now(), false
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := a.registry.Learn(ctx, key)
		if err == nil && waited {
			a.log.Info("schema registry answers again; going on", "schema", key.String(), "after", time.Since(began).Round(time.Millisecond))
		}
		if err == nil || !errors.Is(err, schemas.ErrRegistryUnreachable) {
			return err
		}
		waited = true
		a.log.Warn("schema registry does not answer; waiting, nothing is rejected", "schema", key.String(), "error", err, "backoff", backoff)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backoff):
		}
	}
}
