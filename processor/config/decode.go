package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder fills a Config from the syntax tree. It goes on after a fault, so that all of them are reported at once;
// the library's own decoder stops at the first.
type decoder struct {
	references
	faults []Fault
	// where holds the position of every value of the file by its path.
	where map[string]*token.Position
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	bytesType       = reflect.TypeFor[Bytes]()
	secretType      = reflect.TypeFor[Secret]()
	timeType        = reflect.TypeFor[time.Time]()
	unmarshalerType = reflect.TypeFor[yaml.InterfaceUnmarshaler]()
)

func (d *decoder) fault(path string, n ast.Node, want, format string, args ...any) {
	f := Fault{Path: path, Problem: fmt.Sprintf(format, args...), Want: want}
	if p := position(n); p != nil {
		f.Line, f.Column = p.Line, p.Column
	}
	d.faults = append(d.faults, f)
}

// position is where a node begins. The library gives a mapping the place of its first colon.
func position(n ast.Node) *token.Position {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	if t := n.GetToken(); t != nil {
		return t.Position
	}
	return nil
}

// value decodes one node into v, which holds the default.
func (d *decoder) value(path string, n ast.Node, v reflect.Value) {
	if t, ok := n.(*ast.TagNode); ok {
		n = t.Value
	}
	d.where[path] = position(n)
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.fault(path, n, "write the value out", "anchors and aliases are not supported")
		return
	case *ast.NullNode:
		d.null(path, n, v)
		return
	}
	switch {
	case v.Type() == durationType, v.Type() == bytesType, v.Type() == secretType, v.Type() == timeType:
		d.scalar(path, n, v)
		return
	case v.Addr().Type().Implements(unmarshalerType):
		d.custom(path, n, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(path, n, v)
	case reflect.Slice:
		d.list(path, n, v)
	case reflect.Map:
		d.dictionary(path, n, v)
	default:
		d.scalar(path, n, v)
	}
}

// null leaves the default of a section or list whose keys are all commented out.
func (d *decoder) null(path string, n ast.Node, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Map:
	case v.Kind() == reflect.Struct && v.Type() != secretType && v.Type() != timeType:
	default:
		d.fault(path, n, "remove the key for its default, or give "+wantOf(v.Type()), "has no value")
	}
}

// entries returns the keys and values of a mapping, and reports keys that are no plain text or come twice.
func (d *decoder) entries(path string, n ast.Node) (entries []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		d.fault(path, n, "", "is %s, not a section of keys and values", nodeKind(n))
		return nil, false
	}
	first := map[string]int{}
	return slices.DeleteFunc(slices.Clone(entries), func(e *ast.MappingValueNode) bool {
		key, ok := scalarText(e.Key)
		if !ok || e.Key.IsMergeKey() {
			d.fault(path, e.Key, "", "a key is not a plain text")
			return true
		}
		if line, twice := first[key]; twice {
			d.fault(join(path, key), e.Key, "", "is given twice; first in line %d", line)
			return true
		}
		first[key] = e.Key.GetToken().Position.Line
		return false
	}), true
}

func (d *decoder) structure(path string, n ast.Node, v reflect.Value) {
	entries, ok := d.entries(path, n)
	if !ok {
		return
	}
	fields := map[string]reflect.Value{}
	var names []string
	collectFields(v, fields, &names)
	for _, e := range entries {
		key, _ := scalarText(e.Key)
		field, known := fields[key]
		if !known {
			hint := "known here: " + strings.Join(names, ", ")
			if s := suggest(key, names); s != "" {
				hint = "did you mean " + s + "?"
			}
			d.fault(join(path, key), e.Key, hint, "unknown key")
			continue
		}
		d.value(join(path, key), e.Value, field)
	}
}

// collectFields lists the fields of a struct by their yaml names, those of inline structs included.
func collectFields(v reflect.Value, fields map[string]reflect.Value, names *[]string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-":
		case slices.Contains(strings.Split(options, ","), "inline"):
			collectFields(v.Field(i), fields, names)
		default:
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			fields[name] = v.Field(i)
			*names = append(*names, name)
		}
	}
}

func (d *decoder) list(path string, n ast.Node, v reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.commaList(path, n, v)
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(seq.Values))
	for i, item := range seq.Values {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(fmt.Sprintf("%s[%d]", path, i), item, elem)
		out = reflect.Append(out, elem)
	}
	v.Set(out)
}

// commaList lets one reference bring a list of texts: brokers: ${KAFKA_BROKERS}.
func (d *decoder) commaList(path string, n ast.Node, v reflect.Value) {
	text, isScalar := scalarText(n)
	if !isScalar || v.Type().Elem().Kind() != reflect.String {
		d.fault(path, n, "", "is %s, not a list", nodeKind(n))
		return
	}
	x, err := d.expand(text)
	switch {
	case err != nil:
		d.fault(path, n, "", "%v", err)
	case !x.referenced:
		d.fault(path, n, "write ["+text+"]", "is a single value, not a list")
	default:
		out := reflect.MakeSlice(v.Type(), 0, 1)
		for part := range strings.SplitSeq(x.text, ",") {
			out = reflect.Append(out, reflect.ValueOf(strings.TrimSpace(part)).Convert(v.Type().Elem()))
		}
		v.Set(out)
	}
}

// dictionary replaces the default, as a list does.
func (d *decoder) dictionary(path string, n ast.Node, v reflect.Value) {
	entries, ok := d.entries(path, n)
	if !ok {
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, e := range entries {
		text, _ := scalarText(e.Key)
		key := reflect.ValueOf(text).Convert(v.Type().Key())
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(join(path, text), e.Value, elem)
		out.SetMapIndex(key, elem)
	}
	v.Set(out)
}

// custom decodes a type that knows how to read itself. The library stops at its first fault.
func (d *decoder) custom(path string, n ast.Node, v reflect.Value) {
	ast.Walk(visitor(func(n ast.Node) {
		if s, ok := n.(*ast.StringNode); ok {
			x, err := d.expand(s.Value)
			if err != nil {
				d.fault(path, s, "", "%v", err)
			}
			s.Value = x.text
		}
	}), n)
	err := yaml.NodeToValue(n, v.Addr().Interface(), yaml.Strict())
	if err == nil {
		return
	}
	f := Fault{Path: path}
	if p := position(n); p != nil {
		f.Line, f.Column = p.Line, p.Column
	}
	f.fromLibrary(err)
	d.faults = append(d.faults, f)
}

// visitor calls a function for every node of a tree.
type visitor func(ast.Node)

func (f visitor) Visit(n ast.Node) ast.Visitor {
	f(n)
	return f
}

func (d *decoder) scalar(path string, n ast.Node, v reflect.Value) {
	raw, ok := scalarText(n)
	if !ok {
		d.fault(path, n, "give "+wantOf(v.Type()), "is %s", nodeKind(n))
		return
	}
	x, err := d.expand(raw)
	if err != nil {
		d.fault(path, n, "", "%v", err)
		return
	}
	if v.Type() == secretType {
		if raw == "" {
			return
		}
		d.secret(path, n, x, v)
		return
	}
	if err := setScalar(v, x.text); err != nil {
		// The text of the file is shown, not what a reference brought: that could be a secret in the wrong place.
		d.fault(path, n, "", "%q is not %s", raw, wantOf(v.Type()))
	}
}

func (d *decoder) secret(path string, n ast.Node, x expanded, v reflect.Value) {
	name := strings.ReplaceAll(path, ".", "_")
	switch {
	case x.literal || !x.referenced:
		d.fault(path, n, fmt.Sprintf("a secret comes from the environment, ${%s}, or from a file, ${file:/run/secrets/%s}",
			strings.ToUpper(name), name), "is written in the file")
	case x.text == "":
		d.fault(path, n, "remove the key where no secret is needed", "what it refers to is empty")
	default:
		v.Set(reflect.ValueOf(Secret{x.text}))
	}
}

func setScalar(v reflect.Value, text string) (err error) {
	switch v.Type() {
	case durationType:
		var x time.Duration
		if x, err = ParseDuration(text); err == nil {
			v.SetInt(int64(x))
		}
		return err
	case bytesType:
		var x Bytes
		if x, err = ParseBytes(text); err == nil {
			v.SetInt(int64(x))
		}
		return err
	case timeType:
		var x time.Time
		if x, err = time.Parse(time.RFC3339, text); err == nil {
			v.Set(reflect.ValueOf(x))
		}
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return strconv.ErrSyntax
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var x int64
		if x, err = strconv.ParseInt(text, 10, v.Type().Bits()); err == nil {
			v.SetInt(x)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var x uint64
		if x, err = strconv.ParseUint(text, 10, v.Type().Bits()); err == nil {
			v.SetUint(x)
		}
	default:
		panic(fmt.Sprintf("config: a field of type %s cannot be decoded", v.Type()))
	}
	return err
}

func wantOf(t reflect.Type) string {
	switch t {
	case durationType:
		return wantDuration
	case bytesType:
		return wantBytes
	case timeType:
		return "a time such as 2000-01-01T00:00:00Z"
	}
	switch t.Kind() {
	case reflect.String, reflect.Struct:
		return "a text"
	case reflect.Bool:
		return "true or false"
	}
	return fmt.Sprintf("a whole number of at most %d bits", t.Bits())
}

// scalarText returns the text of a scalar as it is written, without quotes.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.NullNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func nodeKind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section of keys and values"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// join adds a key to a path. A key that is no plain name is quoted: identity.realms."AR-*".
func join(path, key string) string {
	for _, c := range []byte(key) {
		if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			key = strconv.Quote(key)
			break
		}
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
