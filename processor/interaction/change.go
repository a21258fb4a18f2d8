package interaction

// ChangeKind names what happened to a customer. The first that applies, in the order of identity.md section 6.
type ChangeKind string

// The kinds of change.
const (
	ChangeErased   ChangeKind = "erased"
	ChangeRenamed  ChangeKind = "renamed"
	ChangeMerged   ChangeKind = "merged"
	ChangeSplit    ChangeKind = "split"
	ChangeReduced  ChangeKind = "reduced"
	ChangeCreated  ChangeKind = "created"
	ChangeExtended ChangeKind = "extended"
)

// Rule names the kind of reason behind a change.
type Rule string

// The rules of identity.md section 6.
const (
	RuleEvidence  Rule = "evidence"
	RuleShared    Rule = "shared"
	RuleDirective Rule = "directive"
)

// Change is one record of identity-changes: how the set of identifiers of one customer changed.
type Change struct {
	Realm             string
	CustomerID        CustomerID
	Version           int64
	Kind              ChangeKind
	Added, Removed    []string     // identifier keys in text form, in byte order of their byte form
	RemovedHMAC       []string     // of kind erased: HMACs of the identifiers that were deleted, in hex
	Left              []string     // of kind erased: all identifiers of the customer afterwards
	MergedCustomerIDs []CustomerID // ids that ended into this one
	SplitCustomerIDs  []CustomerID // ids that came into being from this one
	Rule              Rule
	Source            string // of the causing interaction
	SourceEventID     string
	DirectiveID       string // of the causing directive; empty where an interaction is the cause
	Origin            Origin
}

// MapStatus is the status column of identity-map.
type MapStatus string

// The statuses of identity.md section 6.
const (
	MapLinked    MapStatus = "linked"
	MapShared    MapStatus = "shared"
	MapRetracted MapStatus = "retracted"
	MapEnded     MapStatus = "ended"
)

// MapRow is one record of the compacted identity-map topic.
type MapRow struct {
	Key        string     // identifier key in text form, or that of an ended customer id
	CustomerID CustomerID // zero: tombstone
	Version    int64
	Status     MapStatus
}

// Reason is why a record became no unified event.
type Reason string

// The closed list of identity.md section 10.
const (
	ReasonUnparsable        Reason = "unparsable"
	ReasonUnsupportedType   Reason = "unsupported_content_type"
	ReasonUnknownSchema     Reason = "unknown_schema"
	ReasonBadSchema         Reason = "bad_schema"
	ReasonLeftoverBytes     Reason = "leftover_bytes"
	ReasonTooLarge          Reason = "too_large"
	ReasonUnknownEvent      Reason = "unknown_event"
	ReasonMissingField      Reason = "missing_field"
	ReasonInvalidField      Reason = "invalid_field"
	ReasonBadStoreCode      Reason = "bad_store_code"
	ReasonBadTime           Reason = "bad_time"
	ReasonBadDirective      Reason = "bad_directive"
	ReasonDuplicateConflict Reason = "duplicate_conflict"
	ReasonComponentCap      Reason = "component_cap"
	ReasonEraseNotEnabled   Reason = "erase_not_enabled"
)

// Reasons lists every reason once, in the order of the documentation.
var Reasons = []Reason{
	ReasonUnparsable, ReasonUnsupportedType, ReasonUnknownSchema, ReasonBadSchema, ReasonLeftoverBytes, ReasonTooLarge,
	ReasonUnknownEvent, ReasonMissingField, ReasonInvalidField, ReasonBadStoreCode, ReasonBadTime, ReasonBadDirective,
	ReasonDuplicateConflict, ReasonComponentCap, ReasonEraseNotEnabled,
}

// Reject says why a record is parked and, in Detail, what an operator needs to mend it.
// Detail never holds the value of an identifier.
type Reject struct {
	Reason Reason
	Detail string
}

// Error makes a Reject usable as an error: the park class of the three classes of error.
func (r *Reject) Error() string {
	if r.Detail == "" {
		return string(r.Reason)
	}
	return string(r.Reason) + ": " + r.Detail
}
