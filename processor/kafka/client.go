package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/plugin/kprom"
	"github.com/twmb/franz-go/plugin/kslog"
)

// Record is a Kafka record. Offset and Partition of a produced one are set once Flush has returned.
type Record = kgo.Record

// Header is a header of a record.
type Header = kgo.RecordHeader

// Config says how to reach a cluster.
type Config struct {
	Brokers  []string    // host:port
	ClientID string      // shown in the broker's logs and quotas
	TLS      *tls.Config // nil: plain text
	SASL     *SASL       // nil: no authentication
	Logger   *slog.Logger
	// Metrics, when set, gets the metrics of each client that stays (bytes, latencies, buffered records), prefixed kafka_client_.
	Metrics prometheus.Registerer
	// Dial replaces the dialer in tests.
	Dial func(ctx context.Context, network, host string) (net.Conn, error)
}

// SASL says who we are. Mechanism is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.
type SASL struct {
	Mechanism      string
	User, Password string
	Token          func(context.Context) (string, error) // OAUTHBEARER: read anew for each connection
}

const (
	dialTimeout = 5 * time.Second
	// retryTimeout bounds how long one request is retried before its error comes back and the session is opened anew.
	retryTimeout = 10 * time.Second
)

func (c *Config) opts(role string) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.ClientID),
		kgo.RetryTimeout(retryTimeout),
		kgo.MetadataMinAge(250 * time.Millisecond),
	}
	if c.Logger != nil {
		opts = append(opts, kgo.WithLogger(quiet{kslog.New(c.Logger.With("client", role))}))
	}
	if c.Metrics != nil {
		m := kprom.NewMetrics("kafka_client", kprom.Registerer(prometheus.WrapRegistererWith(prometheus.Labels{"role": role}, c.Metrics)))
		opts = append(opts, kgo.WithHooks(m))
	}
	switch {
	case c.Dial != nil:
		opts = append(opts, kgo.Dialer(c.Dial))
	case c.TLS != nil:
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: c.TLS}
		opts = append(opts, kgo.Dialer(d.DialContext))
	default:
		opts = append(opts, kgo.Dialer((&net.Dialer{Timeout: dialTimeout}).DialContext))
	}
	if c.SASL != nil {
		m, err := c.SASL.option()
		if err != nil {
			return nil, err
		}
		opts = append(opts, m)
	}
	return opts, nil
}

func (s *SASL) option() (kgo.Opt, error) {
	switch s.Mechanism {
	case "PLAIN":
		return kgo.SASL(plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()), nil
	case "SCRAM-SHA-256":
		return kgo.SASL(scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism()), nil
	case "SCRAM-SHA-512":
		return kgo.SASL(scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism()), nil
	case "OAUTHBEARER":
		return kgo.SASL(oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
			token, err := s.Token(ctx)
			if err != nil {
				return oauth.Auth{}, fmt.Errorf("read the OAUTHBEARER token: %w", err)
			}
			return oauth.Auth{Token: token}, nil
		})), nil
	}
	return nil, fmt.Errorf("sasl mechanism %q is not known; use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", s.Mechanism)
}

// quiet lowers the client's own messages by one level: what it calls information repeats with every transaction.
type quiet struct{ kgo.Logger }

func (q quiet) Level() kgo.LogLevel {
	if q.Logger.Level() == kgo.LogLevelDebug {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelWarn
}
