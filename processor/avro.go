package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
	"kinfold/processor/source/mapping"
	"kinfold/schemas"
)

// avroFormat reads Interactions in Avro: behind a registry's prefix, with any writer schema, or in single-object encoding.
type avroFormat struct {
	registry *schemas.Registry // nil: none is configured
	log      *slog.Logger
}

func (a *avroFormat) decode(value []byte, _ int64, dst *interaction.Interaction) *interaction.Reject {
	return schemas.DecodeFramed(value, a.registry, dst)
}

func (a *avroFormat) directive(value []byte, dst *interaction.Directive) *interaction.Reject {
	return schemas.DecodeFramedDirective(value, a.registry, dst)
}

// tree decodes a record of any writer schema for a mapping.
func (a *avroFormat) tree(value []byte, _ []mapping.Header, to *source.Tree) (source.Node, *interaction.Reject) {
	return 0, &interaction.Reject{Reason: interaction.ReasonUnsupportedType, Detail: "Avro for mappings"}
}

// learn makes sure that the schema of a value is known, or known to be unknown. With a ctx that is over it does not wait.
func (a *avroFormat) learn(ctx context.Context, value []byte) error {
	if a.registry == nil {
		return nil
	}
	id, ok := schemas.RegistryID(value)
	if !ok || a.registry.Known(id) {
		return nil
	}
	if ctx.Err() != nil {
		return &recovery{"schema", fmt.Errorf("schema %d has to be fetched before the transaction begins", id)}
	}
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := a.registry.Fetch(ctx, id)
		if err == nil || !errors.Is(err, schemas.ErrRegistryUnreachable) {
			return err
		}
		a.log.Warn("schema registry does not answer; waiting, nothing is rejected", "schema_id", id, "error", err, "backoff", backoff)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backoff):
		}
	}
}
