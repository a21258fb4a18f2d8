package mapping

import (
	"slices"

	"kinfold/processor/source"
)

// Trace says which rule made an item, and what filled each field. It is for people who try a mapping; without it Apply does
// nothing more than look at a flag.
type Trace struct {
	// Rule is the number of the rule, from 1, in the order in which rules are tried: those of a file before those of what it
	// extends. File and Line are where it begins. 0: no rule, or no input, wants the element.
	Rule int
	File string
	Line int
	// ByRule says that the rule is one of reject or ignore: it decides so, whatever the fields are.
	ByRule bool
	// Input is the name of the input that held; empty: it has none.
	Input string
	// Fields are in the order in which they were read; a field of lines comes once for each line.
	Fields []FieldTrace
	// Absent are the fields that the rule makes and that came out empty, but for those of lines and of what each goes through.
	Absent []FieldTrace
	// Unread is the field whose text could not be read, or was too long; nil: there was none.
	Unread *FieldTrace
	// Looks are what the conditions looked at, where no rule or no input holds.
	Looks []Look
}

// FieldTrace says what filled one field, or what did not.
type FieldTrace struct {
	Field string // occurred_at, identifiers.email, traits.first_name, order.lines.sku
	// Expr is what filled it: a path as it is written, const or key.
	Expr string
	// Value is the text that it gave, before it is read as a time or an amount.
	Value        string
	File         string
	Line, Column int
	// Looks are the paths that were tried where the field is absent.
	Looks []Look
}

// Look is a path that was looked at.
type Look struct {
	Path  string
	Value string // what is there, as text; empty where Why says that there is none
	// Why says why nothing came of it; empty: it was only looked at.
	Why string
}

// maxLooks bounds the looks of a field or of conditions: who tries a mapping reads them.
const maxLooks = 24

func newTrace(r *rule, input string) *Trace {
	if r == nil {
		return &Trace{Input: input}
	}
	return &Trace{Rule: r.number, File: r.at.file, Line: r.at.line, Input: input,
		ByRule: r.action == actIgnore || r.action == actReject}
}

// fieldTrace names the place of an expression; nil: of nothing.
func fieldTrace(field string, e *expr, value string) FieldTrace {
	f := FieldTrace{Field: field, Value: value}
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
	return f
}

// filled notes the expression that gave a field its text. Of is what the field is part of, here and below: joined to its name
// only where somebody reads it.
func (x *run) filled(of, field, value string) {
	if x.trace != nil {
		x.trace.Fields = append(x.trace.Fields, fieldTrace(of+field, x.from, value))
	}
}

// unmarked looks at a record again and leaves no mark on the run: a traced record becomes what it would become without.
func (x *run) unmarked(look func()) {
	stated, overlong, from, output, crowded := x.stated, x.overlong, x.from, x.output, x.crowded
	look()
	x.stated, x.overlong, x.from, x.output, x.crowded = stated, overlong, from, output, crowded
}

// unread notes a text that is there and no good; e is the expression of the field.
func (x *run) unread(of, field string, e *expr, value string) {
	if x.trace == nil {
		return
	}
	f := fieldTrace(of+field, x.from, value)
	if x.overlong {
		f = FieldTrace{Field: of + field, File: e.at.file, Line: e.at.line, Column: e.at.column}
		x.unmarked(func() { f.Looks = x.looks(e, nil) })
	}
	x.trace.Unread = &f
}

// absent notes a field of which nothing came.
func (x *run) absent(of, field string, expressions ...*expr) {
	if x.trace == nil || len(expressions) == 0 {
		return
	}
	at := expressions[0].at
	f := FieldTrace{Field: of + field, File: at.file, Line: at.line, Column: at.column}
	x.unmarked(func() {
		for _, e := range expressions {
			for _, l := range x.looks(e, nil) {
				if len(f.Looks) < maxLooks && !slices.Contains(f.Looks, l) {
					f.Looks = append(f.Looks, l)
				}
			}
		}
	})
	x.trace.Absent = append(x.trace.Absent, f)
}

func expressionsOf[T any](alternatives []T, of func(*T) *expr) []*expr {
	list := make([]*expr, len(alternatives))
	for i := range alternatives {
		list[i] = of(&alternatives[i])
	}
	return list
}

// looks tells what an expression found at its paths.
func (x *run) looks(e *expr, to []Look) []Look {
	if len(to) >= maxLooks {
		return to
	}
	unmet := e.when != nil && !x.holds(e.when)
	switch {
	case unmet && e.kind == exprPath:
		return append(to, Look{Path: e.path.src, Why: "its when does not hold"})
	case unmet:
		return to
	}
	switch e.kind {
	case exprPath:
		look := x.look(e.path)
		if look.Why == "" {
			look.Why = x.refusal(e, look.Value)
		}
		return append(to, look)
	case exprSub:
		before := len(to)
		to = x.looks(e.sub, to)
		if s, ok := x.eval(e.sub); ok && len(to) > before {
			to[len(to)-1].Why = x.refusal(e, s)
		}
	case exprList, exprKey:
		for _, part := range e.list {
			if e.kind == exprKey && part.optional {
				continue
			}
			to = x.looks(part, to)
		}
	}
	return to
}

// refusal says which word of an expression takes a text out; empty: none.
func (x *run) refusal(e *expr, s string) string {
	if _, ok := x.work(e, s); ok {
		return ""
	}
	without := *e
	without.table = nil
	if _, ok := x.work(&without, s); ok {
		return "is not in map"
	}
	without.none = nil
	if _, ok := x.work(&without, s); ok {
		return "none takes it out"
	}
	without.match = nil
	if _, ok := x.work(&without, s); ok {
		return "match does not find anything"
	}
	return "nothing is left of it"
}

// look tells what a path leads to.
func (x *run) look(p *path) Look {
	n := x.node(p)
	if s, ok := x.textOf(n); ok {
		if len(s) > MaxTextBytes {
			return Look{Path: p.src, Why: "is too long"}
		}
		return Look{Path: p.src, Value: s}
	}
	why := "is not there"
	switch x.tree.Kind(n) {
	case source.NullNode:
		why = "is null"
	case source.TextNode:
		why = "is empty"
	case source.NumberNode:
		why = "is a number of too many digits"
	case source.ArrayNode:
		why = "is an array"
	case source.ObjectNode:
		why = "is an object"
	}
	return Look{Path: p.src, Why: why}
}

// unwanted notes what the conditions of the inputs or of the rules looked at, none of which holds.
func (x *run) unwanted() {
	if !x.out.Trace {
		return
	}
	t := newTrace(nil, x.input)
	x.trace = t
	x.unmarked(func() {
		if x.root == 0 {
			for _, in := range x.m.inputs {
				t.Looks = x.condLooks(in.when, t.Looks)
			}
			return
		}
		for _, r := range x.m.rules {
			t.Looks = x.condLooks(r.when, t.Looks)
		}
	})
}

// condLooks appends the paths of a condition, each once.
func (x *run) condLooks(c *cond, to []Look) []Look {
	if c == nil {
		return to
	}
	for i := range c.tests {
		t := &c.tests[i]
		switch {
		case len(to) >= maxLooks:
		case t.path == nil:
			for _, of := range append(slices.Clone(t.anyOf), t.not) {
				to = x.condLooks(of, to)
			}
		case !slices.ContainsFunc(to, func(l Look) bool { return l.Path == t.path.src }):
			to = append(to, x.look(t.path))
		}
	}
	return to
}
