package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// yamlKind says what a value of a file is.
type yamlKind uint8

const (
	isNull yamlKind = iota
	isText
	isNumber
	isBool
	isList
	isMap
)

func (k yamlKind) String() string {
	return [...]string{"null", "a text", "a number", "true or false", "a list", "members"}[k]
}

// value is one value of a file, with its place. The compiler sees these and nothing of the YAML library.
type value struct {
	kind         yamlKind
	text         string // of a scalar, as it is written, without quotes
	file         string
	line, column int
	items        []*value // of a list
	members      []member // of a map, each name once
}

type member struct {
	name  string
	at    *value // where the name stands
	value *value
}

// member returns the value of a member; nil: none.
func (v *value) member(name string) *value {
	for i := range v.members {
		if v.members[i].name == name {
			return v.members[i].value
		}
	}
	return nil
}

// colon stands for a colon inside a plain scalar while the library reads the file: it takes xdm:id in a flow list for a name
// and its value, which YAML 1.2 does not. The character is of the same width, and no file may have it.
const colon = '\uE0F3'

// hideColons replaces the colons that YAML reads as part of a plain scalar: those with something behind them.
func hideColons(text []byte) []byte {
	out := make([]byte, 0, len(text)+64)
	for i, c := range text {
		if c == ':' && i > 0 && i+1 < len(text) && !strings.ContainsRune(" \t\r\n\"',[]{}", rune(text[i-1])) &&
			!strings.ContainsRune(" \t\r\n,[]{}", rune(text[i+1])) {
			out = utf8.AppendRune(out, colon)
			continue
		}
		out = append(out, c)
	}
	return out
}

func showColons(s string) string { return strings.ReplaceAll(s, string(colon), ":") }

// loader turns one file into values.
type loader struct {
	*faults
	file    string
	nodes   int
	full    bool
	anchors map[string]ast.Node
	inside  map[string]bool // anchors that are being read: an alias of one would have no end
}

// load reads a file of one document. It returns nil where there is nothing to go on with; the faults say why.
func (f *faults) load(file string, text []byte) *value {
	l := &loader{faults: f, file: file, anchors: map[string]ast.Node{}, inside: map[string]bool{}}
	whole := &value{file: file}
	switch {
	case len(text) > MaxMappingBytes:
		l.add(whole, "", "%d bytes, more than %d", len(text), MaxMappingBytes)
		return nil
	case !utf8.Valid(text):
		l.add(whole, "", "not UTF-8")
		return nil
	case bytes.ContainsRune(text, colon):
		l.add(whole, "", "holds the character %U, which means nothing", colon)
		return nil
	case tooNested(text):
		l.add(whole, "", "nested deeper than %d", MaxMappingDepth)
		return nil
	}
	body := l.parse(whole, hideColons(text))
	if body == nil {
		return nil
	}
	v := l.value(body, "", 0)
	if v.kind != isMap {
		l.add(v, "", "is %s; a mapping has members: source, inputs, rules", v.kind)
		return nil
	}
	return v
}

// tooNested keeps from the library what would make it recurse without end. Brackets in texts count, too, so the bound is wide.
func tooNested(text []byte) bool {
	const bound = 1_000
	open := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open--
		}
		if open > bound {
			return true
		}
	}
	for line := range bytes.Lines(text) {
		if n := len(line) - len(bytes.TrimLeft(line, " \t-?:")); n > bound {
			return true
		}
	}
	return false
}

// parse calls the library, and shields us from files on which it panics.
func (l *loader) parse(whole *value, text []byte) (body ast.Node) {
	defer func() {
		if p := recover(); p != nil {
			l.add(whole, "", "not valid YAML: the YAML library cannot read it")
			body = nil
		}
	}()
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.library(whole, err)
		return nil
	}
	for _, doc := range file.Docs {
		switch {
		case doc == nil || doc.Body == nil:
		case doc.Body.Type() == ast.CommentType:
		case body != nil:
			l.add(l.place(doc.Body), "", "a second YAML document begins here; a mapping is one document")
			return body
		default:
			body = doc.Body
		}
	}
	if body == nil {
		l.add(whole, "", "empty")
	}
	return body
}

// library takes over the message of the YAML library, without its excerpt of the file.
func (l *loader) library(whole *value, err error) {
	at, problem := whole, err.Error()
	var y yaml.Error
	if errors.As(err, &y) {
		problem = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			at = &value{file: l.file, line: t.Position.Line, column: t.Position.Column}
		}
	}
	l.add(at, "", "not valid YAML: %s", showColons(problem))
}

// place is an empty value where a node begins. The library gives a mapping the place of its first colon.
func (l *loader) place(n ast.Node) *value {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	v := &value{file: l.file}
	if t := n.GetToken(); t != nil && t.Position != nil {
		v.line, v.column = t.Position.Line, t.Position.Column
	}
	return v
}

// value takes over one node and what is in it.
func (l *loader) value(n ast.Node, path string, depth int) *value {
	v := l.place(n)
	if l.nodes++; l.nodes > MaxMappingNodes || depth > MaxMappingDepth {
		if !l.full {
			l.full = true
			l.add(v, path, "too large: more than %d values, or nested deeper than %d", MaxMappingNodes, MaxMappingDepth)
		}
		return v
	}
	switch n := n.(type) {
	case *ast.AnchorNode:
		return l.anchor(n, path, depth)
	case *ast.AliasNode:
		return l.alias(v, n, path, depth)
	case *ast.TagNode:
		l.add(v, path, "tags are not supported")
	case *ast.MappingNode:
		v.kind = isMap
		l.members(v, n.Values, path, depth)
	case *ast.MappingValueNode:
		v.kind = isMap
		l.members(v, []*ast.MappingValueNode{n}, path, depth)
	case *ast.SequenceNode:
		v.kind = isList
		for i, item := range n.Values {
			v.items = append(v.items, l.value(item, path+"["+strconv.Itoa(i)+"]", depth+1))
		}
	default:
		l.scalar(v, n, path)
	}
	return v
}

func (l *loader) anchor(n *ast.AnchorNode, path string, depth int) *value {
	name := n.Name.GetToken().Value
	l.anchors[name] = n.Value
	l.inside[name] = true
	defer delete(l.inside, name)
	return l.value(n.Value, path, depth)
}

func (l *loader) alias(v *value, n *ast.AliasNode, path string, depth int) *value {
	name := n.Value.GetToken().Value
	of := l.anchors[name]
	switch {
	case of == nil:
		l.add(v, path, "alias of %s, which is not defined above", name)
		return v
	case l.inside[name]:
		l.add(v, path, "alias of %s, inside of which it stands", name)
		return v
	}
	return l.value(of, path, depth+1)
}

func (l *loader) members(v *value, entries []*ast.MappingValueNode, path string, depth int) {
	first := map[string]int{}
	for _, e := range entries {
		at := l.place(e.Key)
		if e.Key.IsMergeKey() {
			l.add(at, path, "merge keys are not supported")
			continue
		}
		l.scalar(at, e.Key, path)
		if at.kind == isNull && at.text == "" || at.kind > isBool {
			l.add(at, path, "a name must be a text")
			continue
		}
		below := join(path, at.text)
		if line, twice := first[at.text]; twice {
			l.add(at, below, "is given twice; first in line %d", line)
			continue
		}
		first[at.text] = at.line
		v.members = append(v.members, member{at.text, at, l.value(e.Value, below, depth+1)})
	}
}

// scalar reads a single value. Numbers and booleans keep the text that they are written with.
func (l *loader) scalar(v *value, n ast.Node, path string) {
	switch n := n.(type) {
	case *ast.StringNode:
		v.kind, v.text = isText, showColons(n.Value)
	case *ast.LiteralNode:
		v.kind, v.text = isText, showColons(n.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		v.kind, v.text = isNumber, n.GetToken().Value
	case *ast.BoolNode:
		v.kind, v.text = isBool, n.GetToken().Value
	case *ast.NullNode:
	default:
		v.kind = isList // whatever it is, it is no scalar
		l.add(v, path, "a name or value that a mapping has no use for")
	}
}

// join adds a name to a path. A name that is no plain word is quoted.
func join(path, name string) string {
	for _, c := range []byte(name) {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			name = strconv.Quote(name)
			break
		}
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// faults gathers what is wrong.
type faults struct {
	list []Fault
}

func (f *faults) add(at *value, path, format string, args ...any) {
	f.list = append(f.list, Fault{File: at.file, Line: at.line, Column: at.column, Path: path, Problem: fmt.Sprintf(format, args...)})
}
