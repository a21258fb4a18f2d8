package schemas

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
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
	size     int      // of a fixed, in bytes
	symbols  []string // of an enum
	scale    int      // of a decimal
	leaves   int      // see countLeaves; 0 for a primitive
	weighs   bool     // every value takes at least a byte
	detail   string   // symbols, size, precision and scale: what else makes two schemas differ
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

// ours and oursDirective are the schemas that the typed codec reads.
var (
	ours          = mustParse(interactionSchema)
	oursDirective = mustParse(directiveSchema)
)

func mustParse(schema string) *schemaNode {
	n, err := parseSchema(schema)
	if err != nil {
		panic(err) // the contract is part of the program
	}
	return n
}

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

// reserved are names that no type may have as its last part: the library would take them for the built-in type, and follow a
// recursion that is none.
var reserved = append([]string{"array", "map", "record", "error", "enum", "fixed", "union", "decimal"}, primitives...)

// leaves counts the values that a record of the type has at least, up to one more than maxLeaves. A type that is used twice in
// each of a chain of types doubles with each of them: a few bytes would take for ever to decode.
func (n *schemaNode) countLeaves() int {
	n.leaves = 1
	for _, f := range n.fields {
		n.leaves = min(n.leaves+f.node.leaves, maxLeaves+1)
	}
	if n.items != nil {
		n.leaves = min(n.leaves+n.items.leaves, maxLeaves+1)
	}
	for _, b := range n.branches {
		n.leaves = min(n.leaves+b.leaves, maxLeaves+1)
	}
	return n.leaves
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
		n.weighs = true
		if n.countLeaves() > maxLeaves {
			return nil, fmt.Errorf("its types multiply to more than %d values", maxLeaves)
		}
		return n, nil
	case map[string]any:
		return p.complex(v, namespace, depth)
	}
	return nil, fmt.Errorf("%v stands where a type should be", v)
}

func (p *schemaParser) reference(name, namespace string) (*schemaNode, error) {
	if slices.Contains(primitives, name) {
		return &schemaNode{kind: name, weighs: name != "null"}, nil
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
		if _, err := digitsOf(v, "precision"); err != nil {
			return nil, err
		}
		scale, err := digitsOf(v, "scale")
		if err != nil {
			return nil, err
		}
		n.scale = scale
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
		if last := n.name[strings.LastIndexByte(n.name, '.')+1:]; slices.Contains(reserved, last) || n.logicalName() {
			return nil, fmt.Errorf("a type is named %s, like one of Avro's own", n.name)
		}
		if i := strings.LastIndexByte(n.name, '.'); i >= 0 {
			namespace = n.name[:i]
		}
		n.detail += fmt.Sprint(v["symbols"], v["size"])
		symbols, _ := v["symbols"].([]any)
		for _, symbol := range symbols {
			text, _ := symbol.(string)
			n.symbols = append(n.symbols, text)
		}
		if kind == "fixed" {
			size, _ := v["size"].(float64)
			if n.size = int(size); size < 1 || size > maxFixed {
				return nil, fmt.Errorf("type %s has a size of %v bytes, at least 1 and at most %d", n.name, v["size"], maxFixed)
			}
		}
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
	if err != nil {
		return nil, err
	}
	n.weighs = n.takesBytes()
	if n.countLeaves() > maxLeaves {
		return nil, fmt.Errorf("its types multiply to more than %d values", maxLeaves)
	}
	if n.items != nil && !n.items.weighs {
		return nil, fmt.Errorf("the items of an %s take no bytes: a short record could claim any number of them", kind)
	}
	return n, nil
}

// digitsOf is the precision or scale of a decimal; 0 where it has none, as Avro's specification has it. One that cannot be read is
// an error: every amount would be wrong by some power of ten.
func digitsOf(decimal map[string]any, key string) (int, error) {
	v, ok := decimal[key]
	if !ok {
		return 0, nil
	}
	digits, ok := v.(float64)
	if !ok || digits < 0 || digits > maxDigits || digits != math.Trunc(digits) {
		return 0, fmt.Errorf("a decimal has a %s of %v, not a whole number of at most %d", key, v, maxDigits)
	}
	return int(digits), nil
}

// takesBytes reports whether every value of the type is encoded in at least one byte. Its parts are known already.
func (n *schemaNode) takesBytes() bool {
	switch n.kind {
	case "null":
		return false
	case "record":
		return slices.ContainsFunc(n.fields, func(f *writerField) bool { return f.node.weighs })
	}
	return true
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

// logicalName reports whether a named type is called like a primitive with a logical type: long.foo.
func (n *schemaNode) logicalName() bool {
	first, _, dotted := strings.Cut(n.name, ".")
	return dotted && slices.Contains(primitives, first)
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
			if b.isNamed(name) || n.nullable() == b {
				return unwrap(b, value)
			}
		}
	}
	return n, v
}

// nullable is the one branch beside null, where there is just one.
func (n *schemaNode) nullable() *schemaNode {
	if len(n.branches) != 2 {
		return nil
	}
	for i, b := range n.branches {
		if b.kind == "null" {
			return n.branches[1-i]
		}
	}
	return nil
}

// isNamed reports whether the library calls a branch of a union so: by its full name or its kind, with the logical type where
// it knows it.
func (n *schemaNode) isNamed(name string) bool {
	if n.name != "" {
		return n.name == name
	}
	return n.kind == name || n.logical != "" && n.kind+"."+n.logical == name
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
