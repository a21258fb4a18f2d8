package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// where says from which place of a mapping a path looks at the record.
type where uint8

const (
	inInput   where = iota // before the value is read
	inElement              // in the element
	inItem                 // in an item of each or lines
)

// path compiles a path; nil: it is none.
func (c *compiler) path(v *value, place string, from where) *path {
	if v.kind != isText {
		c.add(v, place, "is %s; want a path", v.kind)
		return nil
	}
	return c.pathText(v, v.text, place, from)
}

// pathText compiles a path that stands at v, as a value or as a name.
func (c *compiler) pathText(at *value, text, place string, from where) *path {
	parsed, err := parsePath(text)
	if err != nil {
		c.add(at, place, "%v", err)
		return nil
	}
	p := &path{src: text, steps: parsed.steps, clock: parsed.base == fromTime}
	switch {
	case from == inInput && (parsed.base < fromHeader || parsed.base > fromTime):
		c.add(at, place, "%s is not known before the value is read; an input sees @header.NAME, @key, @topic and @timestamp", text)
		return nil
	case parsed.base == fromName && from != inItem:
		c.add(at, place, "@name does not exist outside of each and lines")
		return nil
	case parsed.base == fromName:
		p.itemName = true
		return p
	case parsed.base == fromElement && from == inItem:
		p.inItem = true
		return p
	}
	first := slotPlan{slot: slot{base: parsed.base, name: parsed.name}}
	first.ofRecord = parsed.base != fromElement && parsed.base != fromIndex
	switch parsed.base {
	case fromLet:
		i, defined := c.lets[parsed.name]
		if !defined {
			c.add(at, place, "$%s is not defined; let defines values in their order", parsed.name)
			return nil
		}
		first.let, first.name, first.ofRecord, p.let = i, "", c.letRecord[i], i+1
	case fromKey:
		if len(parsed.steps) > 0 {
			first.name = "json"
		}
	}
	p.slot = c.slot(first)
	for _, s := range parsed.steps {
		p.slot = c.slot(slotPlan{slot: slot{base: fromParent, parent: p.slot, step: s}, ofRecord: c.slots[p.slot].ofRecord})
	}
	c.paths = append(c.paths, p)
	return p
}

// slot returns the place of a slot; equal ones are one.
func (c *compiler) slot(s slotPlan) int32 {
	i, known := c.places[s]
	if !known {
		i = int32(len(c.slots))
		c.slots, c.places[s] = append(c.slots, s), i
	}
	return i
}

// pathList compiles a path or a list of paths.
func (c *compiler) pathList(v *value, place string, from where) (list []*path) {
	items := v.items
	if v.kind == isText {
		items = []*value{v}
	}
	if len(items) == 0 {
		c.add(v, place, "is %s; want a path or a list of paths", v.kind)
	}
	for _, item := range items {
		if p := c.path(item, place, from); p != nil {
			list = append(list, p)
		}
	}
	return list
}

var exprWords = []string{"when", "path", "const", "key", "match", "none", "as", "map", "prefix"}

// expr compiles an expression; nil: it is none. more are words that it may have beside its own, for the caller to read.
func (c *compiler) expr(v *value, place string, from where, more ...string) *expr {
	switch v.kind {
	case isText:
		if p := c.path(v, place, from); p != nil {
			return &expr{kind: exprPath, path: p, at: v}
		}
	case isList:
		e := &expr{kind: exprList, at: v}
		for i, item := range v.items {
			if alternative := c.expr(item, fmt.Sprintf("%s[%d]", place, i), from); alternative != nil {
				e.list = append(e.list, alternative)
			}
		}
		if len(v.items) > 0 {
			return e
		}
		c.add(v, place, "an empty list; want a path, a list of expressions, or words")
	case isMap:
		return c.exprObject(v, place, from, more)
	default:
		c.add(v, place, "is %s; want a path, a list of expressions, or words", v.kind)
	}
	return nil
}

func (c *compiler) exprObject(v *value, place string, from where, more []string) *expr {
	c.words(v, place, slices.Concat(exprWords, more))
	e := &expr{at: v}
	origins := 0
	for _, m := range v.members {
		below := join(place, m.name)
		switch m.name {
		case "path":
			origins++
			c.origin(e, m.value, below, from)
		case "const":
			origins++
			e.kind, e.text = exprConst, c.constant(m.value, below)
		case "key":
			origins++
			e.kind = exprKey
			c.keyParts(e, m.value, below, from)
		case "when":
			e.when = c.condition(m.value, below, from)
		default:
			c.step(e, m, below)
		}
	}
	if origins != 1 {
		c.add(v, place, "want exactly one of path, const and key")
	}
	return e
}

// origin compiles the word path, which takes any expression.
func (c *compiler) origin(e *expr, v *value, place string, from where) {
	sub := c.expr(v, place, from)
	switch {
	case sub == nil:
	case sub.kind == exprPath && sub.when == nil && !sub.steps:
		e.kind, e.path, e.at = exprPath, sub.path, v
	default:
		e.kind, e.sub = exprSub, sub
	}
}

func (c *compiler) constant(v *value, place string) string {
	if v.kind == isNull || v.kind > isBool || trim(v.text) == "" {
		c.add(v, place, "want a text that is not empty")
	}
	return trim(v.text)
}

func (c *compiler) keyParts(e *expr, v *value, place string, from where) {
	if v.kind != isList || len(v.items) == 0 {
		c.add(v, place, "is %s; want a list of expressions", v.kind)
		return
	}
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", place, i)
		part := c.expr(item, at, from, "optional")
		if part == nil {
			continue
		}
		if o := item.member("optional"); o != nil {
			if part.optional = o.kind == isBool && o.text == "true"; !part.optional {
				c.add(o, at+".optional", "want true")
			}
		}
		e.list = append(e.list, part)
	}
}

// step compiles one of the words that change a text.
func (c *compiler) step(e *expr, m member, place string) {
	v := m.value
	switch m.name {
	case "match":
		e.match = c.regexp(v, place)
		if e.match != nil {
			e.group = min(e.match.NumSubexp(), 1)
		}
	case "none":
		e.none = c.texts(v, place)
	case "as":
		switch v.text {
		case "snake":
			e.as = asSnake
		case "lower":
			e.as = asLower
		default:
			c.add(v, place, "want snake or lower")
		}
	case "map":
		e.table = c.table(v, place)
	case "prefix":
		if v.kind == isNull || v.kind > isBool || v.text == "" {
			c.add(v, place, "want a text")
		}
		e.prefix = v.text
	default:
		return
	}
	e.steps = true
}

func (c *compiler) regexp(v *value, place string) *regexp.Regexp {
	if v.kind != isText || v.text == "" {
		c.add(v, place, "is %s; want a regular expression", v.kind)
		return nil
	}
	re, err := regexp.Compile(v.text)
	if err != nil {
		c.add(v, place, "%s; regular expressions are those of RE2", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	return re
}

// texts reads a list of texts, or one.
func (c *compiler) texts(v *value, place string) (list []string) {
	items := []*value{v}
	if v.kind == isList {
		items = v.items
	}
	if len(items) == 0 {
		c.add(v, place, "an empty list; want texts")
	}
	for _, item := range items {
		if s, ok := c.scalar(item, place); ok {
			list = append(list, s)
		}
	}
	return list
}

// scalar reads a value that is compared as text. Numbers and booleans stand for their texts, which are those of JSON.
func (c *compiler) scalar(v *value, place string) (string, bool) {
	switch v.kind {
	case isText:
		return trim(v.text), true
	case isBool:
		if v.text == "true" || v.text == "false" {
			return v.text, true
		}
	case isNumber:
		if isPlainNumber(v.text) {
			return v.text, true
		}
	default:
		c.add(v, place, "is %s; want a text", v.kind)
		return "", false
	}
	c.add(v, place, "%s reads in more than one way; quote it", v.text)
	return "", false
}

// isPlainNumber reports a number whose text in YAML is its text in a record.
func isPlainNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits == "0" && digits == s || digits != "" && digits[0] != '0' && allDigits(digits)
}

func (c *compiler) table(v *value, place string) map[string]string {
	if v.kind != isMap || len(v.members) == 0 {
		c.add(v, place, "is %s; want a table of texts", v.kind)
		return nil
	}
	table := make(map[string]string, len(v.members))
	for _, m := range v.members {
		at := join(place, m.name)
		from, ok1 := c.scalar(m.at, at)
		to, ok2 := c.scalar(m.value, at)
		if ok2 && to == "" {
			c.add(m.value, at, "want a text that is not empty")
		}
		if ok1 && ok2 {
			table[from] = to
		}
	}
	return table
}

// condition compiles a condition.
func (c *compiler) condition(v *value, place string, from where) *cond {
	out := &cond{}
	if v.kind != isMap {
		c.add(v, place, "is %s; want a condition: {path: value}", v.kind)
		out.tests = append(out.tests, brokenTest(v))
		return out
	}
	seen := map[string]bool{}
	for _, m := range v.members {
		below := join(place, m.name)
		t, ok := test{}, false
		switch m.name {
		case "any":
			t, ok = c.anyOf(m.value, below, from)
		case "not":
			t, ok = test{kind: testNot, not: c.condition(m.value, below, from)}, true
			t.source = "not(" + t.not.spelling() + ")"
		default:
			t, ok = c.test(m, below, from)
			if ok && seen[t.spellPath()] {
				c.add(m.at, below, "is tested twice; use any or not")
			}
			seen[t.spellPath()] = true
		}
		if !ok {
			t = brokenTest(m.at)
		}
		out.tests = append(out.tests, t)
	}
	return out
}

// brokenTest stands where a test has a fault, so that no other is taken for it.
func brokenTest(at *value) test {
	return test{kind: testAny, source: fmt.Sprint("broken ", at.file, at.line, at.column)}
}

func (c *compiler) anyOf(v *value, place string, from where) (test, bool) {
	t := test{kind: testAny, source: "any("}
	if v.kind != isList || len(v.items) == 0 {
		c.add(v, place, "is %s; want a list of conditions", v.kind)
		return t, false
	}
	for i, item := range v.items {
		one := c.condition(item, fmt.Sprintf("%s[%d]", place, i), from)
		t.anyOf = append(t.anyOf, one)
		t.source += one.spelling() + ";"
	}
	t.source += ")"
	return t, true
}

// test compiles path: value, path: [values], path: {exists: …} and path: {match: …}.
func (c *compiler) test(m member, place string, from where) (_ test, ok bool) {
	t := test{}
	t.path = c.pathText(m.at, m.name, place, from)
	if t.path == nil {
		return t, false
	}
	v := m.value
	switch v.kind {
	case isMap:
		if len(v.members) != 1 {
			c.add(v, place, "want exactly one of exists and match")
			return t, false
		}
		switch word := v.members[0]; word.name {
		case "exists":
			t.kind, t.want = testExists, word.value.text == "true"
			if word.value.kind != isBool || word.value.text != "true" && word.value.text != "false" {
				c.add(word.value, place+".exists", "want true or false")
			}
		case "match":
			t.kind, t.match = testMatch, c.regexp(word.value, place+".match")
			if t.match == nil {
				return t, false
			}
		default:
			c.add(word.at, join(place, word.name), "unknown word; known here: exists, match")
			return t, false
		}
	default:
		t.texts = c.texts(v, place)
		c.inputExists(v, place, t)
		if t.kind = testOneOf; len(t.texts) == 1 {
			t.kind, t.text = testEquals, t.texts[0]
		}
		if len(t.texts) == 0 {
			return t, false
		}
	}
	slices.Sort(t.texts)
	t.source = t.spelling()
	return t, true
}

// inputExists reports a test of @input for a name that no input has.
func (c *compiler) inputExists(v *value, place string, t test) {
	if t.path.src != "@input" || v.file != c.inputsFile {
		return
	}
	for _, name := range t.texts {
		if !c.inputNames[name] {
			c.add(v, place, "no input has the name %s", name)
		}
	}
}

// let compiles one value that others may name.
func (c *compiler) let(m member) {
	place := join("let", m.name)
	if !isName(m.name) {
		c.add(m.at, place, "want a name of letters, digits, - and _, at most %d", MaxNameBytes)
	}
	l := &let{name: m.name}
	v := m.value
	before := len(c.paths)
	switch {
	case v.member("index") != nil:
		c.words(v, place, []string{"index", "by", "value"})
		l.index = c.path(v.member("index"), place+".index", inElement)
		if by := v.member("by"); by == nil {
			c.add(v, place+".by", "missing word")
		} else {
			l.by = c.path(by, place+".by", inItem)
		}
		if value := v.member("value"); value != nil {
			l.value = c.path(value, place+".value", inItem)
		}
	case v.member("parse") != nil:
		c.words(v, place, []string{"parse"})
		l.parse = c.path(v.member("parse"), place+".parse", inElement)
	case v.kind == isText, v.kind == isList && !slices.ContainsFunc(v.items, func(i *value) bool { return i.kind != isText }):
		l.node = c.pathList(v, place, inElement)
	default:
		l.expr = c.expr(v, place, inElement)
	}
	ofRecord := true
	for _, p := range c.paths[before:] {
		ofRecord = ofRecord && c.slots[p.slot].ofRecord
	}
	c.lets[m.name] = len(c.m.lets)
	c.m.lets = append(c.m.lets, l)
	c.letRecord = append(c.letRecord, ofRecord)
}

// directive compiles replace and erase.
func (c *compiler) directive(v *value, place string) *directive {
	d := &directive{}
	if !c.asMap(v, place) {
		return d
	}
	kind := v.member("kind")
	if kind == nil {
		c.add(v, place+".kind", "missing word")
		return d
	}
	switch d.kind = interaction.DirectiveKind(kind.text); d.kind {
	case interaction.DirectiveReplace:
		c.words(v, place, []string{"kind", "a", "b"})
		d.b = c.target(v, place, "b")
	case interaction.DirectiveErase:
		c.words(v, place, []string{"kind", "a", "scope"})
		if s := v.member("scope"); s != nil {
			d.scope = interaction.Scope(s.text)
			if d.scope != interaction.ScopeIdentifier && d.scope != interaction.ScopeCustomer {
				c.add(s, place+".scope", "want identifier or customer")
			}
		}
	default:
		c.add(kind, place+".kind", "want replace or erase")
		return d
	}
	d.a = c.target(v, place, "a")
	return d
}

func (c *compiler) target(of *value, place, end string) *targetSpec {
	v, place := of.member(end), place+"."+end
	if v == nil {
		c.add(of, place, "missing word")
		return nil
	}
	t := &targetSpec{}
	if !c.asMap(v, place) {
		return t
	}
	c.words(v, place, []string{"namespace", "value", "store_code"})
	t.name, t.namespace = c.namespace(v, place, inElement)
	if value := v.member("value"); value != nil {
		t.value = c.expr(value, place+".value", inElement)
	} else {
		c.add(v, place+".value", "missing word")
	}
	if s := v.member("store_code"); s != nil {
		t.storeCode = c.expr(s, place+".store_code", inElement)
	}
	return t
}
