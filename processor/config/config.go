// Package config turns the YAML file into a Config: strict, with every fault reported at once, the defaults in one
// function, and secrets that never print. The fields below are the manual of the file.
//
// Durations are written as Go does (100ms, 15s, 1h30m), with d for days of 24 hours in front (14d, 1d12h).
// Sizes are written with KiB, MiB, GiB or TiB, or as a number of bytes. Relative paths begin at the directory of the file.
// Every value may hold references: ${NAME} stands for an environment variable, ${file:PATH} for the content of a file
// without the line break at its end, and $${ for a plain ${. Fields of type Secret take nothing but references.
package config

import (
	"slices"
	"strings"
	"time"

	"kinfold/processor/normalize"
	"kinfold/processor/source/mapping"
)

// Config is everything that can be set. Its zero value is not valid: begin with Default.
type Config struct {
	// App is the prefix of our own topics, consumer groups and transactional ids. Processes with the same app share the
	// work. Another app is another pipeline with another state. Default: kinfold.
	App string `yaml:"app"`
	// InstanceID tells the processes of one app apart: it is the static member id, and part of the transactional id. It has
	// to stay the same when a process starts again. Default: generated at the first start and kept in StateDir.
	InstanceID string `yaml:"instance_id"`
	// Stages are the stages that run in this process. Default: both, ingest and resolve.
	Stages []Stage `yaml:"stages"`
	// StateDir is the directory of the state, one store for each partition. It is a copy of the changelogs: losing it costs
	// a restore, nothing else. Two processes never share one. Default: /var/lib/kinfold.
	StateDir string `yaml:"state_dir"`
	// CacheBytes is the memory for blocks and memtables that all stores of the process share; the rows of busy customers take up
	// to half as much again. Default: 512MiB.
	CacheBytes Bytes `yaml:"cache_bytes"`

	Kafka    Kafka    `yaml:"kafka"`
	Registry Registry `yaml:"registry"`
	// Sources are the inputs. A list in the file replaces the default: one topic, interactions, in format avro.
	Sources []Source `yaml:"sources"`
	Topics  Topics   `yaml:"topics"`
	// ForwardHeaders are the headers of an input record that travel to its unified event. Default: traceparent, tracestate.
	ForwardHeaders []string `yaml:"forward_headers"`
	// OnLostInput says what happens when records are gone before they were read, because retention was too short or a topic
	// was created anew. stop: the process ends and names what is lost. skip: it goes on behind the gap, counted and logged.
	// Default: stop.
	OnLostInput OnLostInput `yaml:"on_lost_input"`
	Commit      Commit      `yaml:"commit"`
	HTTP        HTTP        `yaml:"http"`
	Log         Log         `yaml:"log"`
	// Identity holds the rules that decide which customer an interaction belongs to.
	Identity normalize.Rules `yaml:"identity"`
}

// Stage names a part of the pipeline.
type Stage string

// The stages.
const (
	StageIngest  Stage = "ingest"  // inputs → keyed topic; stateless
	StageResolve Stage = "resolve" // keyed topic → outputs; stateful
)

// Runs reports whether this process runs the stage.
func (c *Config) Runs(s Stage) bool { return slices.Contains(c.Stages, s) }

// Kafka says how to reach the cluster.
type Kafka struct {
	// Brokers are addresses, host:port, of some brokers; the others are found through them. Default: 127.0.0.1:9092.
	Brokers []string `yaml:"brokers"`
	// ClientID is how we appear in the brokers' logs and quotas. Default: kinfold.
	ClientID string   `yaml:"client_id"`
	TLS      KafkaTLS `yaml:"tls"`
	SASL     SASL     `yaml:"sasl"`
}

// KafkaTLS is the encryption of the connections to the brokers.
type KafkaTLS struct {
	// Enabled turns TLS on. Default: false.
	Enabled bool `yaml:"enabled"`
	TLS     `yaml:",inline"`
}

// TLS names the files of an encrypted connection, in PEM form. The other side is always verified.
type TLS struct {
	// CAFile holds the authorities that may sign the server's certificate. Default: those of the system.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile are our own certificate and its key, where the server asks for one. Default: none.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ServerName is the name that the server's certificate must carry. Default: the host that we connect to.
	ServerName string `yaml:"server_name"`
}

// SASL says who we are to the brokers.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER. Default: empty, no authentication.
	Mechanism Mechanism `yaml:"mechanism"`
	// User and Password are for PLAIN and SCRAM.
	User     string `yaml:"user"`
	Password Secret `yaml:"password"`
	// TokenFile is for OAUTHBEARER: it holds the token, and is read anew for each connection, so that a token can be
	// replaced while we run.
	TokenFile string `yaml:"token_file"`
}

// Mechanism is a way to authenticate, by Kafka's name.
type Mechanism string

// The mechanisms.
const (
	MechanismNone        Mechanism = ""
	MechanismPlain       Mechanism = "PLAIN"
	MechanismScramSHA256 Mechanism = "SCRAM-SHA-256"
	MechanismScramSHA512 Mechanism = "SCRAM-SHA-512"
	MechanismOAuthBearer Mechanism = "OAUTHBEARER"
)

// Registry is a schema registry with Confluent's interface. With one, values are written in its framing and our schemas
// are registered at start; without one, in Avro's single-object encoding.
type Registry struct {
	// URLs are tried in order. A path is kept: Apicurio's is /apis/ccompat/v7. Default: none, no registry.
	URLs []string `yaml:"urls"`
	// User and Password are for basic authentication. Default: none.
	User     string `yaml:"user"`
	Password Secret `yaml:"password"`
	// TLS is for URLs that begin with https.
	TLS TLS `yaml:"tls"`
}

// Source is one or more input topics that hold records of one format.
type Source struct {
	// Topics are the topics to read. They must exist.
	Topics []string `yaml:"topics"`
	// Format is avro (an Interaction in a registry's framing or in single-object encoding, told apart by its first bytes)
	// or json (an Interaction as plain JSON). Without a mapping each source states it. With one, the mapping says how the
	// values are written, and only records in Avro have to be called so here.
	Format Format `yaml:"format,omitempty"`
	// AvroFraming is where a record in Avro names its schema: avro (a registry's prefix or a single object, told apart by their
	// first bytes), confluent, single_object, confluent_guid (header), apicurio, apicurio_content, apicurio_header.
	// Default: avro.
	AvroFraming Framing `yaml:"avro_framing,omitempty"`
	// AvroSchemas are files of the schemas with which producers write single objects, which name their schema by its fingerprint;
	// no registry is asked for it. Ours need not be listed. Default: none.
	AvroSchemas []string `yaml:"avro_schemas,omitempty"`
	// Mapping says what the records of another system mean: the name of a mapping that comes with kinfold (kinfold sources
	// lists them), or a file in the same language. Default: none, the records are interactions.
	Mapping string `yaml:"mapping,omitempty"`
	// AllowErase lets the source order an erase (a privacy request of a shop system). Else such a record is a reject,
	// erase_not_enabled, which an operator can confirm. identity.erase_enabled has to be true, too. Default: false.
	AllowErase bool `yaml:"allow_erase,omitempty"`

	compiled *mapping.Mapping
	declared []string // the texts of AvroSchemas
}

// Compiled is the mapping of the source after Load or Compile; nil where it has none.
func (s *Source) Compiled() *mapping.Mapping { return s.compiled }

// DeclaredSchemas are the texts of AvroSchemas after Load or Compile.
func (s *Source) DeclaredSchemas() []string { return s.declared }

// Format is the encoding of a source's records.
type Format string

// The formats.
const (
	FormatAvro Format = "avro"
	FormatJSON Format = "json"
)

// Framing is where a value names the Avro schema that it was written with.
type Framing string

// FramingAvro is the default: a registry's prefix, or a single object.
const FramingAvro Framing = "avro"

// Topics names the topics that we write, and says how missing ones are created. A topic that exists is never altered.
type Topics struct {
	// UnifiedCustomerEvents is the main output. Default: unified-customer-events.
	UnifiedCustomerEvents string `yaml:"unified_customer_events"`
	// IdentityChanges tells how the identifiers of each customer changed. Default: identity-changes.
	IdentityChanges string `yaml:"identity_changes"`
	// IdentityMap is the compacted map from identifier to customer. Default: identity-map.
	IdentityMap string `yaml:"identity_map"`
	// Rejects parks the records that became no unified event. Default: rejects.
	Rejects string `yaml:"rejects"`
	// IdentityDirectives is read, not written: the directives that data stewards give to the identity rules. Empty: none are
	// read. Default: identity-directives.
	IdentityDirectives string `yaml:"identity_directives"`
	// IdentityDirectivesFormat is json or avro (an IdentityDirective in a registry's framing or in single-object encoding).
	// Default: json.
	IdentityDirectivesFormat Format `yaml:"identity_directives_format"`

	// Partitions is the number of partitions of the topics that we create. That of the keyed topic is the number of stores
	// and the greatest number of processes that share the resolve stage; it cannot be changed later without a migration.
	// Default: 8.
	Partitions int32 `yaml:"partitions"`
	// Replication is the replication factor of the topics that we create; -1 leaves it to the brokers. Default: -1.
	Replication int16 `yaml:"replication"`
	// MinInsyncReplicas is min.insync.replicas of the topics that we create; 0 leaves it to the brokers. Default: 0.
	MinInsyncReplicas int `yaml:"min_insync_replicas"`
	// MaxMessageBytes is max.message.bytes of the topics that we create. It has to exceed that of every input (Kafka's
	// default is 1048588), so that a record can always be parked with its headers. Default: 2MiB.
	MaxMessageBytes Bytes `yaml:"max_message_bytes"`
	// KeyedRetention is how long the keyed topic keeps its records. Default: 336h (14 days).
	KeyedRetention time.Duration `yaml:"keyed_retention"`
	// RejectsRetention is how long rejects are kept. Default: 720h (30 days).
	RejectsRetention time.Duration `yaml:"rejects_retention"`
}

// Commit says when a transaction ends. The first of its bounds that is reached ends it; an idle stage does nothing.
type Commit struct {
	// Interval is the greatest time between commits while the stage keeps up: the latency of the output. Default: 100ms.
	Interval time.Duration `yaml:"interval"`
	// LagInterval takes its place while lag is large: longer transactions cost less. Default: 1s.
	LagInterval time.Duration `yaml:"lag_interval"`
	// MaxRecords is the greatest number of input records in a transaction. Default: 20000.
	MaxRecords int `yaml:"max_records"`
	// MaxBytes bounds what a transaction holds in memory: the records read, and the rows not yet in the store.
	// Default: 32MiB.
	MaxBytes Bytes `yaml:"max_bytes"`
	// TransactionTimeout is when the brokers abort a transaction whose owner went silent: the longest time for which readers
	// of the output may have to wait after a crash. Default: 15s.
	TransactionTimeout time.Duration `yaml:"transaction_timeout"`
	// SessionTimeout is when the group gives the partitions of a silent process to another. It is longer than
	// TransactionTimeout, so that a transaction is decided before its partitions have a new owner. Default: 20s.
	SessionTimeout time.Duration `yaml:"session_timeout"`
}

// OnLostInput is what happens when input is gone before it was read.
type OnLostInput string

// The answers.
const (
	LostInputStop OnLostInput = "stop"
	LostInputSkip OnLostInput = "skip"
)

// HTTP is the server of /healthz, /readyz and /metrics, which ask for no token, and of the questions below /v1, whose answers
// are about people.
type HTTP struct {
	// Listen is the address, host:port; port 0 is any free one, which the log names. Default: 127.0.0.1:9464, reachable from
	// this machine only. Any other address needs a Token.
	Listen string `yaml:"listen"`
	// Token is what whoever asks a question has to show, as "Authorization: Bearer TOKEN": 16 characters or more, the same
	// in all processes of an app. Default: none, which is allowed on loopback only.
	Token Secret `yaml:"token"`
	// Advertise is where the processes of an app find each other's questions, host:port: {instance_id} in it stands for the
	// InstanceID of the process that is meant, so the text is the same in all of them. With it, a question about a
	// partition that is elsewhere is passed on; without it, the answer says where that is. Default: empty.
	Advertise string `yaml:"advertise"`
}

// InstancePlaceholder stands in HTTP.Advertise for the instance id of the process that is meant.
const InstancePlaceholder = "{instance_id}"

// AddressOf is where the process with an instance id answers questions; empty where that is not known.
func (h *HTTP) AddressOf(instanceID string) string {
	return strings.ReplaceAll(h.Advertise, InstancePlaceholder, instanceID)
}

// Log is the log on standard error.
type Log struct {
	// Level is the least level that is written: debug, info, warn or error. Default: info.
	Level LogLevel `yaml:"level"`
	// Format is text or json. Default: text.
	Format LogFormat `yaml:"format"`
}

// LogLevel is a level of the log.
type LogLevel string

// The levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat is the form of the log's lines.
type LogFormat string

// The formats of the log.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// The names that follow from App and are no settings.
const (
	keyedSuffix             = ".keyed"
	seenChangelogSuffix     = ".seen-changelog"
	identityChangelogSuffix = ".identity-changelog"
)

// KeyedTopic is the topic between the two stages.
func (c *Config) KeyedTopic() string { return c.App + keyedSuffix }

// SeenChangelog is the topic that the rows of deduplication are restored from.
func (c *Config) SeenChangelog() string { return c.App + seenChangelogSuffix }

// IdentityChangelog is the topic that the rows of identity are restored from.
func (c *Config) IdentityChangelog() string { return c.App + identityChangelogSuffix }

// Group is the consumer group of a stage.
func (c *Config) Group(s Stage) string { return c.App + "." + string(s) }

// SourceTopics lists the topics of all sources, in the order of the file.
func (c *Config) SourceTopics() []string {
	var topics []string
	for _, s := range c.Sources {
		topics = append(topics, s.Topics...)
	}
	return topics
}

// InputTopics lists what the ingest stage reads: the topics of the sources, and that of the directives.
func (c *Config) InputTopics() []string {
	topics := c.SourceTopics()
	if c.Topics.IdentityDirectives != "" {
		topics = append(topics, c.Topics.IdentityDirectives)
	}
	return topics
}
