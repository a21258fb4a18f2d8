package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a mapping file.
type Fault struct {
	// File is the name of the mapping: that given to Compile, or that behind an extends.
	File string
	// Line and Column are where it stands, from 1; 0: the file as a whole.
	Line, Column int
	// Path names the place: rules[3].occurred_at.zone. Empty: the file as a whole.
	Path string
	// Problem says what is wrong, and what is allowed.
	Problem string
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Problem)
	return b.String()
}

// FaultsError is every fault of a mapping, those of what it extends included: by file, then by line.
type FaultsError struct {
	Faults []Fault
}

// Error has a line for each fault: file:line:column: place: what is wrong.
func (e *FaultsError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// faultsError returns nil where there are no faults. A fault that was found twice, through an alias, is told once.
func faultsError(files []string, faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	faults = slices.CompactFunc(faults, func(a, b Fault) bool {
		return a.File == b.File && a.Line == b.Line && a.Column == b.Column && a.Problem == b.Problem
	})
	return &FaultsError{Faults: faults}
}
