package mapping

// Trace says which rule made an item, and what filled each field. It is for people who try a mapping; without it Apply does
// nothing more than look at a flag.
type Trace struct {
	// Rule is the number of the rule, from 1, in the order in which rules are tried: those of a file before those of what it
	// extends. File and Line are where it begins.
	Rule int
	File string
	Line int
	// Input is the name of the input that held; empty: it has none.
	Input string
	// Fields are in the order in which they were read; a field of lines comes once for each line.
	Fields []FieldTrace
}

// FieldTrace says what filled one field.
type FieldTrace struct {
	Field string // occurred_at, identifiers.email, traits.first_name, order.lines.sku
	// Expr is what filled it: a path as it is written, const or key.
	Expr         string
	File         string
	Line, Column int
}

func newTrace(r *rule, input string) *Trace {
	return &Trace{Rule: r.number, File: r.at.file, Line: r.at.line, Input: input}
}

func (t *Trace) add(field string, e *expr) {
	f := FieldTrace{Field: field}
	if e != nil {
		f.File, f.Line, f.Column = e.at.file, e.at.line, e.at.column
		switch e.kind {
		case exprPath:
			f.Expr = e.path.src
		case exprConst:
			f.Expr = "const"
		default:
			f.Expr = "key"
		}
	}
	t.Fields = append(t.Fields, f)
}
