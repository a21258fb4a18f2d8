package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a configuration.
type Fault struct {
	// Path names the key: kafka.brokers, sources[1].format. Empty: the file as a whole.
	Path string
	// File is where it stands, where that is not the configuration: a mapping.
	File string
	// Line and Column are where the key's value stands in the file, from 1; 0 where it is not written there.
	Line, Column int
	// Problem says what is wrong, Want what is allowed, with its unit.
	Problem, Want string
}

func (f Fault) String() string {
	var b strings.Builder
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Problem)
	if f.Want != "" {
		b.WriteString("; " + f.Want)
	}
	return b.String()
}

// FaultsError is every fault of one file, in the order of its lines.
type FaultsError struct {
	File   string
	Faults []Fault
}

// Error has a line for each fault: file:line:column: key: what is wrong; what is allowed.
func (e *FaultsError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		if f.Line > 0 {
			lines[i] = fmt.Sprintf("%s:%d:%d: %s", cmp.Or(f.File, e.File), f.Line, f.Column, f)
		} else {
			lines[i] = fmt.Sprintf("%s: %s", e.File, f)
		}
	}
	return strings.Join(lines, "\n")
}

// faultsError returns nil where there are no faults.
func faultsError(file string, faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &FaultsError{File: file, Faults: faults}
}

// suggest returns the candidate that s is most likely a misspelling of, or nothing.
func suggest(s string, candidates []string) string {
	best, bestDistance := "", max(1, len(s)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of single-byte insertions, deletions, substitutions and swaps of neighbours between a and b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
