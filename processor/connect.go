package processor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"kinfold/processor/config"
	"kinfold/processor/kafka"
	"kinfold/schemas"
)

// kafkaConfig turns the configuration into a way to reach the cluster. Files are read here, so that a missing one stops the start.
func kafkaConfig(c *config.Config, log *slog.Logger) (*kafka.Config, error) {
	k := &kafka.Config{Brokers: c.Kafka.Brokers, ClientID: c.Kafka.ClientID, Logger: log}
	if c.Kafka.TLS.Enabled {
		t, err := tlsConfig(&c.Kafka.TLS.TLS)
		if err != nil {
			return nil, stop("check kafka.tls in the configuration", "kafka.tls: %w", err)
		}
		k.TLS = t
	}
	if s := c.Kafka.SASL; s.Mechanism != config.MechanismNone {
		k.SASL = &kafka.SASL{
			Mechanism: string(s.Mechanism), User: s.User, Password: s.Password.Reveal(),
			Token: func(context.Context) (string, error) {
				token, err := os.ReadFile(s.TokenFile)
				return strings.TrimSpace(string(token)), err
			},
		}
	}
	return k, nil
}

// openAdmin connects to the cluster of a configuration, for somebody who asks once.
func openAdmin(c *config.Config) (*kafka.Admin, error) {
	k, err := kafkaConfig(c, nil)
	if err != nil {
		return nil, err
	}
	return kafka.NewAdmin(k)
}

func tlsConfig(c *config.TLS) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s holds no certificate in PEM form", c.CAFile)
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

// openRegistry makes a client of the registry of a configuration; nil: none is configured.
func openRegistry(c *config.Config, log *slog.Logger) (*schemas.Registry, error) {
	if len(c.Registry.URLs) == 0 {
		return nil, nil
	}
	t, err := tlsConfig(&c.Registry.TLS)
	if err != nil {
		return nil, stop("check registry.tls in the configuration", "registry.tls: %w", err)
	}
	return schemas.OpenRegistry(schemas.RegistryConfig{
		URLs: c.Registry.URLs, User: c.Registry.User, Password: c.Registry.Password.Reveal(), TLS: t, Logger: log,
	})
}
