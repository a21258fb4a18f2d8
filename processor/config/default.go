package config

import (
	"time"

	"kinfold/processor/normalize"
)

// Default is the configuration of an empty file.
func Default() *Config {
	return &Config{
		App:        "kinfold",
		Stages:     []Stage{StageIngest, StageResolve},
		StateDir:   "/var/lib/kinfold",
		CacheBytes: 512 * MiB,
		Kafka:      Kafka{Brokers: []string{"127.0.0.1:9092"}, ClientID: "kinfold"},
		Sources:    []Source{{Topics: []string{"interactions"}, Format: FormatAvro}},
		Topics: Topics{
			UnifiedCustomerEvents: "unified-customer-events",
			IdentityChanges:       "identity-changes",
			IdentityMap:           "identity-map",
			Rejects:               "rejects",

			IdentityDirectives:       "identity-directives",
			IdentityDirectivesFormat: FormatJSON,

			Partitions:       8,
			Replication:      -1,
			MaxMessageBytes:  2 * MiB,
			KeyedRetention:   14 * day,
			RejectsRetention: 30 * day,
		},
		ForwardHeaders: []string{"traceparent", "tracestate"},
		OnLostInput:    LostInputStop,
		Commit: Commit{
			Interval:           100 * time.Millisecond,
			LagInterval:        time.Second,
			MaxRecords:         20_000,
			MaxBytes:           32 * MiB,
			TransactionTimeout: 15 * time.Second,
			SessionTimeout:     20 * time.Second,
		},
		HTTP:     HTTP{Listen: "127.0.0.1:9464"},
		Log:      Log{Level: LogInfo, Format: LogText},
		Identity: *normalize.DefaultRules(),
	}
}
