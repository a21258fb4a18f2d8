package interaction

// DirectiveKind names what a directive orders.
type DirectiveKind string

// The kinds of identity.md 4.1.
const (
	DirectiveLink     DirectiveKind = "link"
	DirectiveSeparate DirectiveKind = "separate"
	DirectiveReplace  DirectiveKind = "replace"
	DirectiveRetract  DirectiveKind = "retract"
	DirectiveRestore  DirectiveKind = "restore"
	DirectiveErase    DirectiveKind = "erase"
)

// DirectiveKinds lists every kind once, in the order of the documentation.
var DirectiveKinds = []DirectiveKind{
	DirectiveLink, DirectiveSeparate, DirectiveReplace, DirectiveRetract, DirectiveRestore, DirectiveErase,
}

// Scope is how far an erase by identifier reaches.
type Scope string

// The scopes of identity.md section 8; the empty one is that of the identifier alone.
const (
	ScopeIdentifier Scope = "identifier"
	ScopeCustomer   Scope = "customer"
)

// Target is an identifier as a directive names it, not yet normalised.
type Target struct {
	Namespace string
	StoreCode string // empty where the namespace needs none
	Value     string
	// Overlong is Raw.Overlong of Value.
	Overlong bool
}

// Directive is an order of a data steward or of a source to the identity rules, as it was sent: nothing of it is checked.
type Directive struct {
	ID          string // directive_id
	Kind        DirectiveKind
	Realm       string
	IssuedAt    int64 // epoch milliseconds, UTC
	HasIssuedAt bool
	A, B        *Target // in replace A is the old identifier and B the new one
	Scope       Scope
	CustomerID  string
	Reason      string
	Author      string
	DryRun      bool
}

// Ordered is a directive between the two stages: checked, its identifiers normalised.
type Ordered struct {
	ID         string
	Kind       DirectiveKind
	IssuedAt   int64 // epoch milliseconds
	A, B       Named // zero where the kind has none
	Scope      Scope // of an erase by identifier, never empty there
	CustomerID CustomerID
	Reason     string // as sent
	Author     string // as sent
	DryRun     bool
}
