package identity

import (
	"encoding/binary"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// MaxReported is how many changes of a directive its report lists; the rest is only counted.
const MaxReported = 100

// Report is what became of a directive, a dry run included: what it changed, or would have. It is kept by directive_id, with
// customer ids and without identifiers, so that it may outlive those that were erased.
type Report struct {
	Kind     interaction.DirectiveKind
	IssuedAt int64 // epoch ms
	DryRun   bool
	Effect   Effect
	Total    int              // changes of customers
	Erased   int              // identifiers deleted
	Changes  []ReportedChange // the first MaxReported
}

// ReportedChange is a change of one customer.
type ReportedChange struct {
	CustomerID             interaction.CustomerID
	Version                int64
	Kind                   interaction.ChangeKind
	Added, Removed, Erased int // identifiers
}

// NewReport sums up the result of a directive.
func NewReport(d *interaction.Ordered, r *Result) Report {
	report := Report{Kind: d.Kind, IssuedAt: d.IssuedAt, DryRun: d.DryRun, Effect: r.Effect, Total: len(r.Changes)}
	for i := range r.Changes {
		c := &r.Changes[i]
		report.Erased += len(c.RemovedHMAC)
		if i < MaxReported {
			report.Changes = append(report.Changes, ReportedChange{c.CustomerID, c.Version, c.Kind, len(c.Added), len(c.Removed), len(c.RemovedHMAC)})
		}
	}
	return report
}

// The row of a report:
//
//	1 version | 1 flags: bit 0 dry run | 1 effect | str kind | v issued_at | uv total | uv erased
//	uv n | n × str customer id | uv version | str kind | uv added | uv removed | uv erased
const flagDryRun = 1

func reportKey(realm, id string) []byte {
	name := append(append([]byte(realm), interaction.Sep), id...)
	return append(appendStr(nil, name), reported)
}

// Row is the row that keeps the report.
func (r *Report) Row(realm, directiveID string) table.Row {
	var flags byte
	if r.DryRun {
		flags = flagDryRun
	}
	b := []byte{rowVersion, flags, byte(r.Effect)}
	b = appendStr(b, r.Kind)
	b = binary.AppendVarint(b, r.IssuedAt)
	b = binary.AppendUvarint(b, uint64(r.Total))
	b = binary.AppendUvarint(b, uint64(r.Erased))
	b = binary.AppendUvarint(b, uint64(len(r.Changes)))
	for i := range r.Changes {
		c := &r.Changes[i]
		b = appendStr(b, c.CustomerID)
		b = binary.AppendUvarint(b, uint64(c.Version))
		b = appendStr(b, c.Kind)
		for _, n := range [3]int{c.Added, c.Removed, c.Erased} {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return table.Row{Table: table.Directives, Key: reportKey(realm, directiveID), Value: b}
}

// ReadReport returns what became of a directive; false where none with this id arrived.
func ReadReport(view table.View, realm, directiveID string) (report Report, found bool, err error) {
	b, err := view.Get(table.Directives, reportKey(realm, directiveID))
	if b == nil || err != nil {
		return report, false, err
	}
	report, err = decodeReport(b)
	return report, err == nil, err
}

func decodeReport(value []byte) (report Report, err error) {
	if err := checkVersion(value); err != nil {
		return report, err
	}
	const limit = 1 << 30
	r := reader{b: value[1:]}
	report.DryRun = r.byte()&flagDryRun != 0
	if report.Effect = Effect(r.byte()); report.Effect > Ignored {
		r.fail()
	}
	report.Kind = interaction.DirectiveKind(r.str())
	report.IssuedAt = r.varint()
	report.Total, report.Erased = int(r.below(limit)), int(r.below(limit))
	for n := r.count(6); n > 0 && !r.bad; n-- {
		c := ReportedChange{CustomerID: interaction.CustomerID(r.str()), Version: r.version(), Kind: interaction.ChangeKind(r.str())}
		c.Added, c.Removed, c.Erased = int(r.below(limit)), int(r.below(limit)), int(r.below(limit))
		report.Changes = append(report.Changes, c)
	}
	return report, r.end()
}
