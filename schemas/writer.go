package schemas

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// schemaNode is what the projection needs of a writer's schema: where unions are, which fields there are and their aliases.
type schemaNode struct {
	kind     string // record, enum, array, map, fixed, union, or a primitive type
	name     string // full name of a named type
	logical  string
	fields   []*writerField
	items    *schemaNode // of an array or map
	branches []*schemaNode
	detail   string // symbols, size, precision and scale: what else makes two schemas differ
}

type writerField struct {
	name    string
	aliases []string
	node    *schemaNode
}

// field finds a field by the name that we know it by: its own, or one of its aliases.
func (n *schemaNode) field(name string) *writerField {
	for _, f := range n.fields {
		if f.name == name {
			return f
		}
	}
	for _, f := range n.fields {
		if slices.Contains(f.aliases, name) {
			return f
		}
	}
	return nil
}

// equal reports whether two schemas give every record the same bytes and the same meaning.
func (n *schemaNode) equal(o *schemaNode) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.kind == o.kind && n.name == o.name && n.logical == o.logical && n.detail == o.detail && n.items.equal(o.items) &&
		slices.EqualFunc(n.branches, o.branches, (*schemaNode).equal) &&
		slices.EqualFunc(n.fields, o.fields, func(a, b *writerField) bool { return a.name == b.name && a.node.equal(b.node) })
}

// ours is the schema that the typed codec reads.
var ours = func() *schemaNode {
	n, err := parseSchema(interactionSchema)
	if err != nil {
		panic(err) // the contract is part of the program
	}
	return n
}()

// parseSchema reads a schema's structure. A schema that refers to itself is refused: the Avro library would follow it until the
// process dies.
func parseSchema(text string) (*schemaNode, error) {
	if len(text) > maxSchemaBytes {
		return nil, fmt.Errorf("it has %d bytes, at most %d", len(text), maxSchemaBytes)
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	p := schemaParser{named: map[string]*schemaNode{}, open: map[string]bool{}}
	return p.parse(v, "", 0)
}

type schemaParser struct {
	named map[string]*schemaNode
	open  map[string]bool // records whose fields are being read
}

var primitives = []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string"}

func (p *schemaParser) parse(v any, namespace string, depth int) (*schemaNode, error) {
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", maxSchemaDepth)
	}
	switch v := v.(type) {
	case string:
		return p.reference(v, namespace)
	case []any:
		n := &schemaNode{kind: "union"}
		for _, b := range v {
			branch, err := p.parse(b, namespace, depth+1)
			if err != nil {
				return nil, err
			}
			n.branches = append(n.branches, branch)
		}
		return n, nil
	case map[string]any:
		return p.complex(v, namespace, depth)
	}
	return nil, fmt.Errorf("%v stands where a type should be", v)
}

func (p *schemaParser) reference(name, namespace string) (*schemaNode, error) {
	if slices.Contains(primitives, name) {
		return &schemaNode{kind: name}, nil
	}
	full := fullName(name, namespace)
	if p.open[full] {
		return nil, fmt.Errorf("type %s refers to itself", full)
	}
	if n, ok := p.named[full]; ok {
		return n, nil
	}
	return nil, fmt.Errorf("type %s is not defined", full)
}

func (p *schemaParser) complex(v map[string]any, namespace string, depth int) (*schemaNode, error) {
	kind, ok := v["type"].(string)
	if !ok { // {"type": {…}} stands for what is in it
		return p.parse(v["type"], namespace, depth+1)
	}
	n := &schemaNode{kind: kind}
	n.logical, _ = v["logicalType"].(string)
	if n.logical == "decimal" {
		n.detail = fmt.Sprint(v["precision"], ",", v["scale"])
	}
	var err error
	switch kind {
	case "array":
		n.items, err = p.parse(v["items"], namespace, depth+1)
	case "map":
		n.items, err = p.parse(v["values"], namespace, depth+1)
	case "record", "error", "enum", "fixed":
		name, _ := v["name"].(string)
		if ns, ok := v["namespace"].(string); ok {
			namespace = ns
		}
		n.name = fullName(name, namespace)
		if i := strings.LastIndexByte(n.name, '.'); i >= 0 {
			namespace = n.name[:i]
		}
		n.detail += fmt.Sprint(v["symbols"], v["size"])
		if kind == "record" || kind == "error" {
			n.kind = "record"
			p.open[n.name] = true
			err = p.recordFields(n, v["fields"], namespace, depth)
			delete(p.open, n.name)
		}
		p.named[n.name] = n
	default:
		var named *schemaNode
		if named, err = p.reference(kind, namespace); err == nil && named.kind != kind {
			return named, nil
		}
	}
	if err == nil && n.items != nil && n.items.weightless() {
		return nil, fmt.Errorf("the items of an %s take no bytes: a short record could claim any number of them", kind)
	}
	return n, err
}

// weightless reports whether a value may be encoded in no bytes at all.
func (n *schemaNode) weightless() bool {
	switch n.kind {
	case "null":
		return true
	case "fixed":
		return strings.HasSuffix(n.detail, " 0") || n.detail == "<nil> 0"
	case "record":
		for _, f := range n.fields {
			if !f.node.weightless() {
				return false
			}
		}
		return true
	}
	return false
}

func (p *schemaParser) recordFields(n *schemaNode, v any, namespace string, depth int) error {
	fields, _ := v.([]any)
	for _, f := range fields {
		m, ok := f.(map[string]any)
		if !ok {
			return fmt.Errorf("a field of %s is no object", n.name)
		}
		name, _ := m["name"].(string)
		node, err := p.parse(m["type"], namespace, depth+1)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		field := &writerField{name: name, node: node}
		aliases, _ := m["aliases"].([]any)
		for _, a := range aliases {
			if s, ok := a.(string); ok {
				field.aliases = append(field.aliases, s)
			}
		}
		n.fields = append(n.fields, field)
	}
	return nil
}

func fullName(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return namespace + "." + name
}

// unwrap takes a value out of its union. The library gives a union's value as a map from the branch's name, null as nil.
func unwrap(n *schemaNode, v any) (*schemaNode, any) {
	if n.kind != "union" || v == nil {
		return n, v
	}
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return n, v
	}
	for name, value := range m {
		for _, b := range n.branches {
			if b.kind != "null" && (b.branchName() == name || len(n.branches) == 2) {
				return unwrap(b, value)
			}
		}
	}
	return n, v
}

// branchName is what the library calls a branch of a union.
func (n *schemaNode) branchName() string {
	switch {
	case n.name != "" && n.logical == "":
		return n.name
	case n.logical != "":
		return n.kind + "." + n.logical
	}
	return n.kind
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
