package config

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what every secret looks like.
const hidden = "********"

// Secret is a text that prints as asterisks wherever it is formatted, logged or encoded. Reveal is the only way to it.
type Secret struct{ value string }

// NewSecret wraps a text.
func NewSecret(s string) Secret { return Secret{s} }

// Reveal returns the text.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is none.
func (s Secret) IsZero() bool { return s.value == "" }

// Equal makes secrets comparable for tests that print differences.
func (s Secret) Equal(o Secret) bool { return s == o }

func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return hidden
}

// Format hides the secret from every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides the secret from package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML hides the secret from the effective configuration.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }
