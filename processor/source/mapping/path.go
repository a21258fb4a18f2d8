package mapping

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kinfold/processor/source"
)

// base is where a path begins.
type base uint8

const (
	fromElement base = iota // a.b: in the element; inside each and lines: in the item
	fromRoot                // /a.b
	fromHeader              // @header.NAME
	fromKey                 // @key
	fromTopic               // @topic
	fromTime                // @timestamp
	fromIndex               // @index
	fromInput               // @input
	fromName                // @name: of the item inside each and lines
	fromLet                 // $name
	fromParent              // a step on from another slot
)

var specialBases = map[string]base{
	"header": fromHeader, "key": fromKey, "topic": fromTopic, "timestamp": fromTime, "index": fromIndex, "input": fromInput, "name": fromName,
}

const knownSpecials = "@header.NAME, @key, @topic, @timestamp, @index, @input, @name"

// step goes into a member, or into an item where name is empty and isIndex is set.
type step struct {
	name    string
	index   int
	isIndex bool
}

// parsedPath is a path as it is written: where it begins, and the steps from there.
type parsedPath struct {
	base  base
	name  string // of a header, in lower case; of a value of let
	steps []step
}

// parsePath reads a path. The error says what is wrong with it.
func parsePath(s string) (parsedPath, error) {
	p := parsedPath{}
	switch {
	case s == "":
		return p, errors.New("an empty path")
	case s == ".":
		return p, nil
	case s[0] == '/':
		p.base = fromRoot
		if s == "/" || s == "/." {
			return p, nil
		}
		s = s[1:]
	case s[0] == '@' || s[0] == '$':
		return parseSpecial(s)
	}
	var err error
	p.steps, err = parseSteps(s)
	return p, err
}

// parseSpecial reads a path that begins with @ or $.
func parseSpecial(s string) (p parsedPath, err error) {
	word, rest := s[1:], ""
	if i := strings.IndexAny(word, ".["); i >= 0 {
		word, rest = word[:i], word[i:]
	}
	if s[0] == '$' {
		if !isName(word) {
			return p, fmt.Errorf("%q names no value of let", "$"+word)
		}
		p.base, p.name = fromLet, word
		if rest != "" {
			p.steps, err = parseSteps(strings.TrimPrefix(rest, "."))
		}
		return p, err
	}
	known := false
	if p.base, known = specialBases[word]; !known {
		return p, fmt.Errorf("@%s does not exist; known: %s", word, knownSpecials)
	}
	switch {
	case p.base == fromHeader:
		steps, err := parseSteps(strings.TrimPrefix(rest, "."))
		if err != nil || len(steps) != 1 || steps[0].isIndex || rest[0] != '.' {
			return p, errors.New(`write @header.NAME, and @header."NAME" for a name with dots`)
		}
		p.name = strings.ToLower(steps[0].name)
	case rest == "":
	case p.base == fromKey:
		p.steps, err = parseSteps(strings.TrimPrefix(rest, "."))
	default:
		return p, fmt.Errorf("nothing is inside @%s", word)
	}
	return p, err
}

// parseSteps reads a.b[0]."c.d".
func parseSteps(s string) (steps []step, err error) {
	for at := 0; at < len(s) || len(steps) == 0; {
		if len(steps) == MaxPathSteps {
			return nil, fmt.Errorf("more than %d steps", MaxPathSteps)
		}
		if at < len(s) && s[at] == '[' {
			n, next, err := parseIndex(s, at)
			if err != nil {
				return nil, err
			}
			steps, at = append(steps, step{index: n, isIndex: true}), next
			continue
		}
		if len(steps) > 0 {
			if s[at] != '.' {
				return nil, fmt.Errorf("a dot or [ expected at %q", s[at:])
			}
			at++
		}
		name, next, err := parseName(s, at)
		if err != nil {
			return nil, err
		}
		steps, at = append(steps, step{name: name}), next
	}
	return steps, nil
}

func parseIndex(s string, at int) (n, next int, err error) {
	digits, _, closed := strings.Cut(s[at+1:], "]")
	n, err = strconv.Atoi(digits)
	if !closed || err != nil || digits[0] < '0' || digits[0] > '9' || n > 1_000_000 {
		return 0, 0, fmt.Errorf("%q is no index such as [0]", s[at:])
	}
	return n, at + len(digits) + 2, nil
}

// parseName reads one name, quoted or not.
func parseName(s string, at int) (name string, next int, err error) {
	if at < len(s) && s[at] == '"' {
		name, _, closed := strings.Cut(s[at+1:], `"`)
		if !closed || name == "" {
			return "", 0, fmt.Errorf("the name that begins at %s is empty or has no closing quote", s[at:])
		}
		return name, at + len(name) + 2, nil
	}
	end := at
	for end < len(s) && s[end] != '.' && s[end] != '[' {
		if strings.IndexByte(`]"@`, s[end]) >= 0 {
			return "", 0, fmt.Errorf(`the name at %q has a %c; quote it: "…"`, s[at:], s[end])
		}
		end++
	}
	if name = s[at:end]; name == "" {
		return "", 0, errors.New("a name is missing between dots")
	}
	if strings.TrimSpace(name) != name {
		return "", 0, fmt.Errorf(`the name %q begins or ends with a space; quote it: "…"`, name)
	}
	return name, end, nil
}

// isName reports a name that a mapping may give: letters, digits, _ and -.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && c != '-' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= MaxNameBytes
}

// path is a compiled path. Those of the record and of the element go through slots, which remember where they led; those inside
// an item are walked each time, since no two items are the same.
type path struct {
	src      string
	slot     int32
	inItem   bool
	itemName bool // @name
	steps    []step
	clock    bool // @timestamp
	let      int  // index of the value of let that it is or begins with, from 1; 0: none
}

// slot is one place of a record or element to which paths lead. Paths with a common beginning share the slots of it.
type slot struct {
	base   base
	parent int32 // of fromParent
	step   step
	name   string // of a header
	let    int    // index of let
}

// into walks one step.
func into(t *source.Tree, n source.Node, s *step) source.Node {
	if s.isIndex {
		return t.Item(n, s.index)
	}
	return t.Member(n, s.name)
}
