package mapping

import (
	"fmt"
	"slices"
	"strings"
)

// unreachable reports a rule that an earlier one always keeps from being tried: one whose condition holds wherever this one's
// does. A file may take over all that a rule of its base would get: that is what extends is for.
func (c *compiler) unreachable(r *rule, place string) {
	for _, earlier := range c.m.rules {
		if earlier.at.file == r.at.file && earlier.when.coveredBy(r.when) {
			c.add(r.at, place, "is never reached: the rule in line %d takes all that it would", earlier.at.line)
			return
		}
	}
}

// unreachableInputs does the same for inputs.
func (c *compiler) unreachableInputs() {
	for i, in := range c.m.inputs {
		for _, earlier := range c.m.inputs[:i] {
			if earlier.when.coveredBy(in.when) {
				c.add(in.at, fmt.Sprintf("inputs[%d]", i), "is never reached: the input in line %d takes all that it would", earlier.at.line)
				break
			}
		}
	}
}

// coveredBy reports that c holds wherever narrow does: each test of c follows from one of narrow. It sees what stands in the
// words, not all that follows from them.
func (c *cond) coveredBy(narrow *cond) bool {
	if c == nil || len(c.tests) == 0 {
		return true
	}
	if narrow == nil {
		return false
	}
	for i := range c.tests {
		if !slices.ContainsFunc(narrow.tests, func(t test) bool { return c.tests[i].follows(&t) }) {
			return false
		}
	}
	return true
}

// follows reports that t holds wherever from does.
func (t *test) follows(from *test) bool {
	if t.source == from.source {
		return true
	}
	if t.path == nil || from.path == nil || t.spellPath() != from.spellPath() {
		return false
	}
	values := from.kind == testEquals || from.kind == testOneOf
	switch t.kind {
	case testExists:
		return t.want && (values || from.kind == testMatch)
	case testEquals, testOneOf:
		return values && !slices.ContainsFunc(from.texts, func(s string) bool { return !slices.Contains(t.texts, s) })
	case testMatch:
		return values && t.match != nil && !slices.ContainsFunc(from.texts, func(s string) bool { return !t.match.MatchString(s) })
	}
	return false
}

// spellPath is a spelling that paths to one place share.
func (t *test) spellPath() string {
	if t.path == nil {
		return ""
	}
	return fmt.Sprint(t.path.inItem, t.path.itemName, t.path.slot, t.path.steps)
}

// spelling is one that equal tests share.
func (t *test) spelling() string {
	if t.source != "" {
		return t.source
	}
	match := ""
	if t.match != nil {
		match = t.match.String()
	}
	return fmt.Sprintf("%s %d %q %t %q", t.spellPath(), t.kind, t.texts, t.want, match)
}

func (c *cond) spelling() string {
	parts := make([]string, len(c.tests))
	for i := range c.tests {
		parts[i] = c.tests[i].spelling()
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// arrange gives the slots their places: those of the record first, so that those of an element are forgotten in one stroke. And
// it marks the columns that some path asks for.
func (c *compiler) arrange() {
	m := c.m
	places := make([]int32, len(c.slots))
	for _, ofRecord := range []bool{true, false} {
		for i, s := range c.slots {
			if s.ofRecord == ofRecord {
				places[i] = int32(len(m.slots))
				m.slots = append(m.slots, s.slot)
			}
		}
		if ofRecord {
			m.ofRecord = len(m.slots)
		}
	}
	for i := range m.slots {
		m.slots[i].parent = places[m.slots[i].parent]
	}
	for _, p := range c.paths {
		p.slot = places[p.slot]
	}
	whole := false
	names := map[string]bool{}
	for _, p := range c.paths {
		whole = whole || m.slots[p.slot].base <= fromRoot
	}
	for _, s := range m.slots {
		if s.base == fromParent && m.slots[s.parent].base <= fromRoot {
			names[s.step.name] = true
		}
	}
	for _, in := range m.inputs {
		for i := range in.columns {
			in.columns[i].used = whole || names[in.columns[i].name]
		}
	}
}
