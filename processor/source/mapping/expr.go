package mapping

import (
	"regexp"
	"slices"
	"strings"
	"unsafe"

	"kinfold/processor/source"
)

// exprKind says what an expression begins with.
type exprKind uint8

const (
	exprPath exprKind = iota
	exprConst
	exprKey
	exprList // the first that is not absent
	exprSub  // path: expression
)

// letterCase is the word as.
type letterCase uint8

const (
	asIs letterCase = iota
	asSnake
	asLower
)

// expr is a compiled expression: where it gets a text, and what it does to it.
type expr struct {
	kind     exprKind
	path     *path
	text     string  // of a const
	list     []*expr // alternatives, or parts of a key
	sub      *expr
	optional bool // of a part of a key
	at       *value

	when   *cond
	steps  bool // one of those below is set
	match  *regexp.Regexp
	group  int
	none   []string
	as     letterCase
	table  map[string]string
	prefix string
}

// eval returns the text of an expression, trimmed and not empty; false: absent.
func (x *run) eval(e *expr) (string, bool) {
	if e.when != nil && !x.holds(e.when) {
		return "", false
	}
	s, ok := "", false
	switch e.kind {
	case exprPath:
		s, ok = x.leaf(e)
	case exprConst:
		s, ok = e.text, true
		x.from = e
	case exprKey:
		s, ok = x.key(e)
	case exprSub:
		s, ok = x.eval(e.sub)
	case exprList:
		for _, alternative := range e.list {
			x.stated = true
			if s, ok = x.eval(alternative); ok {
				break
			}
		}
	}
	if ok && e.steps {
		return x.work(e, s)
	}
	return s, ok
}

// leaf reads a path.
func (x *run) leaf(e *expr) (string, bool) {
	s, ok := x.textOf(x.node(e.path))
	if e.path.let != 0 {
		facts := x.letFacts[e.path.let-1]
		x.overlong = x.overlong || facts.overlong
		if ok && facts.clock {
			x.stated = false
		}
	}
	switch {
	case !ok:
		return "", false
	case len(s) > MaxTextBytes:
		x.overlong = true
		return "", false
	case e.path.clock:
		x.stated = false
	}
	x.from = e
	return s, true
}

// key joins the parts. One that is absent makes all absent, unless it is optional.
func (x *run) key(e *expr) (string, bool) {
	b := x.keyBuffer[:0]
	stated := true
	for i, part := range e.list {
		if i > 0 {
			b = append(b, '|')
		}
		x.stated = true
		s, ok := x.eval(part)
		stated = stated && x.stated
		if !ok && !part.optional {
			return "", false
		}
		b = appendEscaped(b, s)
		if len(b) > MaxKeyBytes {
			x.overlong = true
			return "", false
		}
	}
	x.keyBuffer, x.from, x.stated = b, e, stated
	return x.keep(b), len(b) > 0
}

// work takes a text through match, none, as, map and prefix.
func (x *run) work(e *expr, s string) (string, bool) {
	if e.match != nil {
		x.output += len(s)
		at := e.match.FindStringSubmatchIndex(s)
		if at == nil || at[2*e.group] < 0 {
			return "", false
		}
		if s = trim(s[at[2*e.group]:at[2*e.group+1]]); s == "" {
			return "", false
		}
	}
	if e.none != nil && slices.Contains(e.none, s) {
		return "", false
	}
	switch e.as {
	case asSnake:
		s = x.made(s, snake(s))
	case asLower:
		s = x.made(s, strings.ToLower(s))
	}
	if s == "" {
		return "", false
	}
	if e.table != nil {
		to, ok := e.table[s]
		if !ok {
			return "", false
		}
		s = to
	}
	if e.prefix != "" {
		s = x.made(s, e.prefix+s)
	}
	return s, true
}

// searchable reports a text in which a regular expression may look, and counts it.
func (x *run) searchable(s string) bool {
	x.output += min(len(s), MaxTextBytes)
	return len(s) <= MaxTextBytes
}

// made counts a text that is new.
func (x *run) made(from, to string) string {
	if len(to) != len(from) || unsafe.StringData(to) != unsafe.StringData(from) {
		x.output += len(to)
	}
	return to
}

// keep copies bytes into a text of its own.
func (x *run) keep(b []byte) string {
	x.output += len(b)
	return string(b)
}

// node returns where a path leads; 0: nowhere.
func (x *run) node(p *path) source.Node {
	switch {
	case p.itemName:
		return x.itemName
	case p.inItem:
		n := x.item
		for i := range p.steps {
			n = into(&x.tree, n, &p.steps[i])
		}
		return n
	}
	if n := x.slots[p.slot]; n != 0 {
		return n - 1
	}
	return x.fill(p.slot)
}

// fill finds where a slot leads and remembers it: the node, plus one.
func (x *run) fill(i int32) source.Node {
	s := &x.m.slots[i]
	var n source.Node
	switch s.base {
	case fromParent:
		n = x.slots[s.parent] - 1
		if n < 0 {
			n = x.fill(s.parent)
		}
		n = into(&x.tree, n, &s.step)
	case fromElement:
		n = x.element
	case fromRoot:
		n = x.root
	case fromLet:
		n = x.let(s.let)
	default:
		n = x.special(s)
	}
	x.slots[i] = n + 1
	return n
}

// cond is a compiled condition: all tests must hold.
type cond struct {
	tests []test
}

type testKind uint8

const (
	testEquals testKind = iota
	testOneOf
	testExists
	testMatch
	testAny
	testNot
)

type test struct {
	kind   testKind
	path   *path
	text   string
	texts  []string
	want   bool
	match  *regexp.Regexp
	anyOf  []*cond
	not    *cond
	source string // a spelling that equal tests share
}

func (x *run) holds(c *cond) bool {
	for i := range c.tests {
		if !x.test(&c.tests[i]) {
			return false
		}
	}
	return true
}

func (x *run) test(t *test) bool {
	switch t.kind {
	case testEquals:
		s, ok := x.textOf(x.node(t.path))
		return ok && s == t.text
	case testOneOf:
		s, ok := x.textOf(x.node(t.path))
		return ok && slices.Contains(t.texts, s)
	case testExists:
		return exists(&x.tree, x.node(t.path)) == t.want
	case testMatch:
		s, ok := x.textOf(x.node(t.path))
		return ok && x.searchable(s) && t.match.MatchString(s)
	case testNot:
		return !x.holds(t.not)
	}
	for _, c := range t.anyOf {
		if x.holds(c) {
			return true
		}
	}
	return false
}
