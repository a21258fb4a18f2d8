package config

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml"

	"kinfold/processor/normalize"
)

// Effective returns the whole configuration as YAML, defaults filled in and secrets hidden.
func Effective(c *Config) ([]byte, error) {
	shown := *c
	if shown.Identity.IDKey != "" && shown.Identity.IDKey != normalize.DevelopmentIDKey {
		shown.Identity.IDKey = hidden
	}
	out, err := yaml.MarshalWithOptions(&shown,
		yaml.IndentSequence(true),
		yaml.CustomMarshaler(func(d time.Duration) ([]byte, error) { return []byte(FormatDuration(d)), nil }),
	)
	if err != nil {
		return nil, fmt.Errorf("write the effective configuration: %w", err)
	}
	return out, nil
}
