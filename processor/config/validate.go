package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kinfold/processor/normalize"
	"kinfold/schemas"
)

// Bounds of the settings. Where Kafka has a limit of its own, ours is the same.
const (
	maxTopicName = 249 // characters
	// maxPartitions bounds the stores that one process may have to open.
	maxPartitions  = 1024
	maxReplication = 1024
	// minMessageBytes is Kafka's default for max.message.bytes: the limit of an input topic that nobody configured.
	minMessageBytes Bytes = 1048588
	maxMessageBytes Bytes = 64 * MiB
	minCacheBytes   Bytes = 8 * MiB

	minCommitInterval = 5 * time.Millisecond
	maxCommitInterval = 10 * time.Second
	minTimeout        = time.Second
	// minSessionTimeout and maxSessionTimeout are the brokers' default group.min and group.max.session.timeout.ms.
	minSessionTimeout = 6 * time.Second
	maxSessionTimeout = 30 * time.Minute
	// maxTransactionTimeout is the brokers' default transaction.max.timeout.ms.
	maxTransactionTimeout = 15 * time.Minute
	// minBytesOfCommit leaves room for one record of the largest size on its way through both forms.
	minBytesOfCommit Bytes = 4 * MiB
	maxRecords             = 1_000_000
	minRetention           = time.Hour
	maxRetention           = 100 * 365 * day
)

// Validate reports everything that is wrong, without looking at files or the network.
func (c *Config) Validate() []Fault {
	v := &validator{}
	c.validateProcess(v)
	c.Kafka.validate(v)
	c.Registry.validate(v)
	c.validateTopics(v)
	c.Commit.validate(v)
	for _, err := range c.Identity.Validate() {
		v.rule("identity", err)
	}
	return v.faults
}

// Warnings reports what is allowed and yet hardly meant.
func (c *Config) Warnings() []string {
	if c.Identity.IDKey == normalize.DevelopmentIDKey && slices.ContainsFunc(c.Kafka.Brokers, notLoopback) {
		return []string{"identity.id_key is the development key, which everybody knows; set a secret of your own before the first record: changing it later is a migration"}
	}
	return nil
}

func notLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

type validator struct{ faults []Fault }

func (v *validator) fault(path, want, format string, args ...any) {
	v.faults = append(v.faults, Fault{Path: path, Problem: fmt.Sprintf(format, args...), Want: want})
}

// rule takes over a fault of the identity rules, whose text begins with its key below path.
func (v *validator) rule(path string, err error) {
	key, text, ok := strings.Cut(err.Error(), ": ")
	switch {
	case !ok:
		text = err.Error()
	case path == "":
		path = key
	default:
		path += "." + key
	}
	v.fault(path, "", "%s", text)
}

func (v *validator) oneOf(path, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	v.fault(path, "one of "+strings.Join(allowed, ", "), "%s", quoteOrEmpty(value))
}

func quoteOrEmpty(value string) string {
	if value == "" {
		return "is missing"
	}
	return strconv.Quote(value) + " is not known"
}

func (v *validator) duration(path string, d, least, greatest time.Duration) {
	if d < least || d > greatest {
		v.fault(path, fmt.Sprintf("from %s to %s", FormatDuration(least), FormatDuration(greatest)), "%s is out of range", FormatDuration(d))
	}
}

func (v *validator) size(path string, b, least, greatest Bytes) {
	if b < least || b > greatest {
		v.fault(path, fmt.Sprintf("from %s to %s", least, greatest), "%s is out of range", b)
	}
}

func (v *validator) number(path string, n, least, greatest int) {
	if n < least || n > greatest {
		v.fault(path, fmt.Sprintf("from %d to %d", least, greatest), "%d is out of range", n)
	}
}

// hostPort checks an address. Only a listener may leave the host empty, and take port 0 for any free one.
func (v *validator) hostPort(path, address, example string, listener bool) {
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || n < 0 || n > 65535 || (host == "" || n == 0) && !listener {
		v.fault(path, "host:port, such as "+example, "%q is no address", address)
	}
}

func (v *validator) topic(path, name string) bool {
	if problem := topicNameProblem(name); problem != "" {
		v.fault(path, fmt.Sprintf("1 to %d of the characters a-z A-Z 0-9 . _ -", maxTopicName), "%s", problem)
		return false
	}
	return true
}

func topicNameProblem(name string) string {
	switch {
	case name == "":
		return "is missing"
	case name == "." || name == "..":
		return strconv.Quote(name) + " is not a name that Kafka allows"
	case len(name) > maxTopicName:
		return fmt.Sprintf("has %d characters", len(name))
	case strings.IndexFunc(name, func(r rune) bool { return !isNameRune(r) }) >= 0:
		return strconv.Quote(name) + " has characters that Kafka does not allow"
	}
	return ""
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}

func (c *Config) validateProcess(v *validator) {
	if topicNameProblem(c.App) != "" || len(c.App)+len(identityChangelogSuffix) > maxTopicName {
		v.fault("app", fmt.Sprintf("1 to %d of the characters a-z A-Z 0-9 . _ -: topics and groups begin with it",
			maxTopicName-len(identityChangelogSuffix)), "%q is no prefix", c.App)
	}
	if c.InstanceID != "" && (topicNameProblem(c.InstanceID) != "") {
		v.fault("instance_id", fmt.Sprintf("1 to %d of the characters a-z A-Z 0-9 . _ -, or no key at all", maxTopicName),
			"%q is no instance id", c.InstanceID)
	}
	if len(c.Stages) == 0 {
		v.fault("stages", "ingest, resolve, or both", "names no stage")
	}
	for i, s := range c.Stages {
		path := fmt.Sprintf("stages[%d]", i)
		v.oneOf(path, string(s), string(StageIngest), string(StageResolve))
		if slices.Contains(c.Stages[:i], s) {
			v.fault(path, "", "%s is named twice", s)
		}
	}
	if c.StateDir == "" {
		v.fault("state_dir", "a directory", "is missing")
	}
	v.size("cache_bytes", c.CacheBytes, minCacheBytes, TiB)
	v.oneOf("on_lost_input", string(c.OnLostInput), string(LostInputStop), string(LostInputSkip))
	for i, h := range c.ForwardHeaders {
		if h == "" {
			v.fault(fmt.Sprintf("forward_headers[%d]", i), "the name of a header", "is empty")
		}
	}
	c.HTTP.validate(v, c.InstanceID)
	v.oneOf("log.level", string(c.Log.Level), string(LogDebug), string(LogInfo), string(LogWarn), string(LogError))
	v.oneOf("log.format", string(c.Log.Format), string(LogText), string(LogJSON))
}

// minToken is the least length of http.token.
const minToken = 16

func (h *HTTP) validate(v *validator, instanceID string) {
	v.hostPort("http.listen", h.Listen, "127.0.0.1:9464", true)
	token := h.Token.Reveal()
	switch {
	case token == "" && notLoopback(h.Listen):
		v.fault("http.token", "a secret that whoever asks must show, such as ${file:/run/secrets/http_token}; or http.listen: 127.0.0.1:9464",
			"is missing, and http.listen %s is reachable from other machines: answers about people are not given to everybody", h.Listen)
	case token != "" && (len(token) < minToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7F })):
		v.fault("http.token", fmt.Sprintf("%d or more ASCII characters without spaces, such as `openssl rand -hex 32` makes", minToken), "is no token")
	}
	if h.Advertise == "" {
		return
	}
	v.hostPort("http.advertise", h.AddressOf("instance"), InstancePlaceholder+".kinfold:9464", false)
	if !strings.Contains(h.Advertise, InstancePlaceholder) {
		v.fault("http.advertise", "such as "+InstancePlaceholder+".kinfold:9464", "names one process for all: it holds no %s", InstancePlaceholder)
	}
	if instanceID == "" {
		v.fault("instance_id", "the name by which http.advertise finds this process", "is missing while http.advertise is set")
	}
}

func (k *Kafka) validate(v *validator) {
	if len(k.Brokers) == 0 {
		v.fault("kafka.brokers", "at least one host:port", "names no broker")
	}
	for i, b := range k.Brokers {
		v.hostPort(fmt.Sprintf("kafka.brokers[%d]", i), b, "kafka-1.example:9092", false)
	}
	if k.ClientID == "" {
		v.fault("kafka.client_id", "a name", "is empty")
	}
	k.TLS.validate(v, "kafka.tls")
	if !k.TLS.Enabled && k.TLS.TLS != (TLS{}) {
		v.fault("kafka.tls.enabled", "set it to true, or remove the other keys of kafka.tls", "is false while the section has other keys")
	}
	k.SASL.validate(v, k.TLS.Enabled)
}

func (t *TLS) validate(v *validator, path string) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		missing := "cert_file"
		if t.KeyFile == "" {
			missing = "key_file"
		}
		v.fault(path+"."+missing, "cert_file and key_file go together", "is missing")
	}
}

func (s *SASL) validate(v *validator, encrypted bool) {
	const path = "kafka.sasl"
	if s.Mechanism != MechanismNone {
		v.oneOf(path+".mechanism", string(s.Mechanism), string(MechanismPlain), string(MechanismScramSHA256),
			string(MechanismScramSHA512), string(MechanismOAuthBearer))
	}
	need := func(key string, missing bool) {
		if missing {
			v.fault(path+"."+key, "", "is missing; mechanism %s needs it", s.Mechanism)
		}
	}
	refuse := func(key string, given bool) {
		if given {
			v.fault(path+"."+key, "", "is given; mechanism %s has no use for it", s.Mechanism)
		}
	}
	switch s.Mechanism {
	case MechanismNone:
		if s.User != "" || !s.Password.IsZero() || s.TokenFile != "" {
			v.fault(path+".mechanism", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", "is missing while the section has other keys")
		}
	case MechanismPlain, MechanismScramSHA256, MechanismScramSHA512:
		need("user", s.User == "")
		need("password", s.Password.IsZero())
		refuse("token_file", s.TokenFile != "")
	case MechanismOAuthBearer:
		need("token_file", s.TokenFile == "")
		refuse("user", s.User != "")
		refuse("password", !s.Password.IsZero())
	}
	if !encrypted && (s.Mechanism == MechanismPlain || s.Mechanism == MechanismOAuthBearer) {
		v.fault(path+".mechanism", "set kafka.tls.enabled: true, or use SCRAM-SHA-256 or SCRAM-SHA-512",
			"%s without TLS sends the secret in plain text", s.Mechanism)
	}
}

func (r *Registry) validate(v *validator) {
	encrypted := true
	for i, text := range r.URLs {
		path := fmt.Sprintf("registry.urls[%d]", i)
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			v.fault(path, "such as https://registry.example:8081", "is no http or https URL")
		case u.User != nil:
			v.fault(path, "use registry.user and registry.password", "holds a user name or password")
		case u.Scheme == "http":
			encrypted = false
		}
	}
	r.TLS.validate(v, "registry.tls")
	if len(r.URLs) == 0 {
		if r.User != "" || !r.Password.IsZero() || r.TLS != (TLS{}) {
			v.fault("registry.urls", "at least one URL, or no section registry", "is missing while the section has other keys")
		}
		return
	}
	if r.User == "" && !r.Password.IsZero() {
		v.fault("registry.user", "user and password go together", "is missing")
	}
	if r.User != "" && r.Password.IsZero() {
		v.fault("registry.password", "user and password go together", "is missing")
	}
	if !encrypted && r.TLS != (TLS{}) {
		v.fault("registry.tls", "URLs that begin with https://", "has no use for a URL that begins with http://")
	}
}

// validateTopics checks the names, each of which stands for one thing, and the settings of topics that we create.
func (c *Config) validateTopics(v *validator) {
	taken := map[string]string{}
	take := func(path, name string) {
		if other, ok := taken[name]; ok {
			v.fault(path, "each topic has one use", "topic %s is already %s", name, other)
			return
		}
		taken[name] = path
	}
	take("the keyed topic", c.KeyedTopic())
	take("a changelog", c.SeenChangelog())
	take("a changelog", c.IdentityChangelog())
	for _, t := range []struct{ path, name string }{
		{"topics.unified_customer_events", c.Topics.UnifiedCustomerEvents},
		{"topics.identity_changes", c.Topics.IdentityChanges},
		{"topics.identity_map", c.Topics.IdentityMap},
		{"topics.rejects", c.Topics.Rejects},
	} {
		if v.topic(t.path, t.name) {
			take(t.path, t.name)
		}
	}
	if name := c.Topics.IdentityDirectives; name != "" && v.topic("topics.identity_directives", name) {
		take("topics.identity_directives", name)
	}
	v.oneOf("topics.identity_directives_format", string(c.Topics.IdentityDirectivesFormat), string(FormatAvro), string(FormatJSON))
	if len(c.Sources) == 0 {
		v.fault("sources", "at least one source with topics and a format", "is empty")
	}
	for i, s := range c.Sources {
		path := fmt.Sprintf("sources[%d]", i)
		if len(s.Topics) == 0 {
			v.fault(path+".topics", "at least one topic", "is missing")
		}
		for j, name := range s.Topics {
			p := fmt.Sprintf("%s.topics[%d]", path, j)
			if v.topic(p, name) {
				take(p, name)
			}
		}
		switch {
		case s.Mapping == "":
			v.oneOf(path+".format", string(s.Format), string(FormatAvro), string(FormatJSON))
		case s.Format != "" && s.Format != FormatAvro:
			v.fault(path+".format", "leave it out, or avro", "%s beside a mapping: the mapping says how its values are written", s.Format)
		}
		if s.AvroFraming != "" {
			v.oneOf(path+".avro_framing", string(s.AvroFraming), schemas.ValueFramings()...)
			if s.Format != FormatAvro {
				v.fault(path+".avro_framing", "only with format: avro", "the records are not said to be in Avro")
			}
		}
		if len(s.AvroSchemas) > 0 && (s.Format != FormatAvro || s.AvroFraming != "" && s.AvroFraming != FramingAvro && s.AvroFraming != "single_object") {
			v.fault(path+".avro_schemas", "only with format: avro and avro_framing avro or single_object", "the records name no schema by its fingerprint")
		}
		if s.AllowErase && s.Mapping == "" {
			v.fault(path+".allow_erase", "only with a mapping", "the records of the source are interactions, which order nothing")
		}
	}

	t := &c.Topics
	v.number("topics.partitions", int(t.Partitions), 1, maxPartitions)
	if t.Replication != -1 && (t.Replication < 1 || t.Replication > maxReplication) {
		v.fault("topics.replication", "1 or more, or -1 for the brokers' default", "%d is out of range", t.Replication)
	}
	switch {
	case t.MinInsyncReplicas < 0:
		v.fault("topics.min_insync_replicas", "1 or more, or 0 for the brokers' default", "%d is out of range", t.MinInsyncReplicas)
	case t.Replication > 0 && t.MinInsyncReplicas > int(t.Replication):
		v.fault("topics.min_insync_replicas", "at most topics.replication", "%d is more than the %d replicas: nothing could be written",
			t.MinInsyncReplicas, t.Replication)
	}
	v.size("topics.max_message_bytes", t.MaxMessageBytes, minMessageBytes, maxMessageBytes)
	v.duration("topics.keyed_retention", t.KeyedRetention, minRetention, maxRetention)
	v.duration("topics.rejects_retention", t.RejectsRetention, minRetention, maxRetention)
	if least := c.Identity.DuplicateWindow; t.KeyedRetention >= minRetention && t.KeyedRetention < least {
		v.fault("topics.keyed_retention", "at least identity.duplicate_window, "+FormatDuration(least),
			"%s is too short", FormatDuration(t.KeyedRetention))
	}
}

func (c *Commit) validate(v *validator) {
	v.duration("commit.interval", c.Interval, minCommitInterval, maxCommitInterval)
	v.duration("commit.lag_interval", c.LagInterval, minCommitInterval, maxCommitInterval)
	if c.LagInterval < c.Interval {
		v.fault("commit.lag_interval", "at least commit.interval", "%s is less than commit.interval", FormatDuration(c.LagInterval))
	}
	v.number("commit.max_records", c.MaxRecords, 1, maxRecords)
	v.size("commit.max_bytes", c.MaxBytes, minBytesOfCommit, 4*GiB)
	v.duration("commit.transaction_timeout", c.TransactionTimeout, minTimeout, maxTransactionTimeout)
	v.duration("commit.session_timeout", c.SessionTimeout, minSessionTimeout, maxSessionTimeout)
	if c.SessionTimeout <= c.TransactionTimeout {
		v.fault("commit.session_timeout", "longer, so that a transaction is decided before its partitions have a new owner",
			"%s is not longer than commit.transaction_timeout (%s)", FormatDuration(c.SessionTimeout), FormatDuration(c.TransactionTimeout))
	}
	if c.TransactionTimeout < 2*c.LagInterval {
		v.fault("commit.transaction_timeout", "at least twice commit.lag_interval",
			"%s leaves too little time for a transaction", FormatDuration(c.TransactionTimeout))
	}
}
