// Package interaction holds the words of the domain: what a source reports, how it travels between the stages,
// and what comes out. It knows the standard library only, and every other package speaks in these words.
package interaction

// Raw is an identifier as the source has it.
type Raw struct {
	Namespace string
	Value     string
	Verified  bool
	// Overlong marks a number of more than 500 digits. Value is its literal, and the identifier is invalid (identity.md section 7).
	Overlong bool
}

// Interaction is one thing a customer did, decoded from its source and not yet normalised.
type Interaction struct {
	EventID   string // as sent; empty where the source has none
	Source    string
	Channel   string
	Type      string
	StoreCode string
	UserID    string // as sent; see HasUserID
	HasUserID bool   // false: the source sent null or nothing
	// UserIDOverlong is Raw.Overlong of UserID.
	UserIDOverlong bool
	OccurredAt     int64 // epoch milliseconds, UTC
	TimeStated     bool  // the source stated the time; false: it was taken from the record's timestamp
	// Identifiers are those of the record beside UserID, in the order of the record.
	Identifiers []Raw
	// Payload is the Avro encoding of order, traits and properties, in the order of the contract.
	// It has been walked once and is well formed; nothing reads it again until a consumer does.
	Payload []byte
}

// Outcome says what became of one identifier of an event. Usable identifiers have the zero value until stage 2 sets it.
type Outcome uint8

// The outcomes of identity.md section 5.
const (
	OutcomeNone Outcome = iota // usable, not yet resolved
	OutcomeLinked
	OutcomeConflict
	OutcomeRetracted
	OutcomeShared
	OutcomeBlocked
	OutcomeInvalid
)

var outcomeNames = [...]string{"", "linked", "conflict", "retracted", "shared", "blocked", "invalid"}

func (o Outcome) String() string { return outcomeNames[o] }

// ParseOutcome is the inverse of String.
func ParseOutcome(s string) (Outcome, bool) {
	for i, n := range outcomeNames {
		if n == s {
			return Outcome(i), true
		}
	}
	return 0, false
}

// Identifier is an identifier of an event after normalisation. Usable ones have the normalised value;
// blocked, invalid and conflicting ones have the value as sent, trimmed, at most 256 characters.
type Identifier struct {
	Namespace string
	Domain    string // StoreCode, country, or empty, as the namespace says
	Value     string
	Verified  bool
	Outcome   Outcome
}

// Origin is where an interaction was read.
type Origin struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Hash is the first half of a SHA-256 digest.
type Hash [16]byte

// EmptyPayload is the payload of an interaction without order, traits and properties.
var EmptyPayload = []byte{0, 0, 0}

// Keyed is an interaction or a directive between the two stages: normalised, with its realm and its hashes.
type Keyed struct {
	Realm         string
	ID            Hash   // event_id of the unified event: SHA-256(realm 0x1F source 0x1F source_event_id)
	Content       Hash   // content hash, identity.md section 9
	Source        string // as sent
	SourceEventID string // as sent, or "content:" and 32 hex digits
	Channel       string
	Type          string
	StoreCode     string // normalised
	UserID        string // as sent
	HasUserID     bool
	OccurredAt    int64 // epoch milliseconds, as sent
	ReceivedAt    int64 // epoch milliseconds, timestamp of the input record
	Origin        Origin
	// Identifiers are the usable ones (OutcomeNone) in the order of identity.md 3.3, then the others in input order.
	Identifiers []Identifier
	// Directive is what the record orders, instead of being an interaction: Channel, Type and what follows them in it are
	// empty then, but for the times, the origin and the payload, which is that of nothing.
	Directive *Ordered
	Payload   []byte
}

// Usable returns the identifiers that take part in identity: a prefix of Identifiers.
func (k *Keyed) Usable() []Identifier {
	n := 0
	for n < len(k.Identifiers) && k.Identifiers[n].Outcome == OutcomeNone {
		n++
	}
	return k.Identifiers[:n]
}

// IdentityStatus says how an event found its customer.
type IdentityStatus string

// The statuses of identity.md section 5.
const (
	StatusUnidentified IdentityStatus = "unidentified"
	StatusShared       IdentityStatus = "shared"
	StatusKnown        IdentityStatus = "known"
	StatusAnonymous    IdentityStatus = "anonymous"
)

// Unified is the main output: an interaction with the customer that it belongs to.
type Unified struct {
	Keyed             *Keyed
	CustomerID        CustomerID // zero: unidentified
	CustomerVersion   int64
	IdentityStatus    IdentityStatus
	Ambiguous         bool
	MergedCustomerIDs []CustomerID // in byte order
	// Identifiers parallel Keyed.Identifiers, with every outcome set.
	Identifiers  []Identifier
	RulesVersion string
}

// String is the hash in lower-case hex: the form of event_id.
func (h Hash) String() string {
	const digits = "0123456789abcdef"
	var b [2 * len(h)]byte
	for i, c := range h {
		b[2*i], b[2*i+1] = digits[c>>4], digits[c&15]
	}
	return string(b[:])
}
