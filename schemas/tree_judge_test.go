package schemas

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// number is a number of a tree as a fraction, so that 1e3 and 1000 are one.
type number string

func numberOf(r *big.Rat) number { return number(r.RatString()) }

// plain is a tree as Go values.
func plain(t rapid.TB, tree *source.Tree, n source.Node) any {
	switch tree.Kind(n) {
	case source.NullNode:
		return nil
	case source.TrueNode, source.FalseNode:
		return tree.Kind(n) == source.TrueNode
	case source.NumberNode:
		r, ok := new(big.Rat).SetString(tree.Text(n))
		if !ok || !json.Valid([]byte(tree.Text(n))) {
			t.Fatalf("%q is no number of JSON", tree.Text(n))
		}
		return numberOf(r)
	case source.TextNode:
		return tree.Text(n)
	case source.ArrayNode:
		list := []any{}
		for c := tree.First(n); c != 0; c = tree.Next(c) {
			list = append(list, plain(t, tree, c))
		}
		return list
	}
	m := map[string]any{}
	for c := tree.First(n); c != 0; c = tree.Next(c) {
		m[tree.Name(c)] = plain(t, tree, c)
	}
	return m
}

// anyType is a type of Avro that a test has drawn, with its values and what a tree makes of them.
type anyType struct {
	schema any
	branch string               // what the library calls it in a union
	value  func(t *rapid.T) any // as the library takes it
	want   func(native any) any // of what the library has decoded, without logical types
	weighs bool                 // takes a byte at least
}

func simpleType(kind string, value func(*rapid.T) any, want func(any) any) anyType {
	return anyType{kind, kind, value, want, kind != "null"}
}

func whole(v any) any {
	switch v := v.(type) {
	case int32:
		return numberOf(new(big.Rat).SetInt64(int64(v)))
	case int64:
		return numberOf(new(big.Rat).SetInt64(v))
	}
	panic(fmt.Sprintf("%T", v))
}

func fraction(f float64, shortest string) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	r, _ := new(big.Rat).SetString(shortest)
	return numberOf(r)
}

func same(v any) any { return v }

func inBase64(v any) any { return base64.StdEncoding.EncodeToString(v.([]byte)) }

// unscaledBy is the judge of decimals.
func unscaledBy(scale int) func(any) any {
	return func(v any) any {
		b := v.([]byte)
		n := new(big.Int)
		for _, c := range b {
			n.Or(n.Lsh(n, 8), big.NewInt(int64(c)))
		}
		if b[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Exp(big.NewInt(256), big.NewInt(int64(len(b))), nil))
		}
		return numberOf(new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	}
}

// moments is the judge of times: layout of what t makes of a number, and the number where the year has not four digits.
func moments(t func(int64) time.Time, layout string) func(any) any {
	return func(v any) any {
		var n int64
		switch v := v.(type) {
		case int32:
			n = int64(v)
		case int64:
			n = v
		}
		if at := t(n).UTC(); at.Year() >= 0 && at.Year() <= 9999 {
			return at.Format(layout)
		}
		return whole(v)
	}
}

func logicalType(kind, name string, value func(*rapid.T) any, want func(any) any) anyType {
	return anyType{map[string]any{"type": kind, "logicalType": name}, kind, value, want, true}
}

// typeDrawer draws types whose names are all different.
type typeDrawer struct{ names int }

func (d *typeDrawer) name() string {
	d.names++
	return fmt.Sprintf("T%d", d.names)
}

func (d *typeDrawer) named(m map[string]any) (schema map[string]any, name string) {
	name = d.name()
	m["name"] = name
	return m, "tienda.v2." + name
}

func (d *typeDrawer) draw(t *rapid.T, depth int) anyType {
	most := 24
	if depth == 0 {
		most = 19
	}
	small := rapid.IntRange(1, 12).Draw(t, "size")
	someBytes := func(t *rapid.T) any { return rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes") }
	sized := func(t *rapid.T) any { return rapid.SliceOfN(rapid.Byte(), small, small).Draw(t, "fixed") }
	int32s := func(t *rapid.T) any { return rapid.Int32().Draw(t, "int") }
	int64s := func(t *rapid.T) any { return rapid.Int64().Draw(t, "long") }
	recent := func(unit int64) func(*rapid.T) any { // the years from 1800 to 2140, in a unit
		return func(t *rapid.T) any { return rapid.Int64Range(-5e9*unit, 5e9*unit).Draw(t, "time") }
	}
	switch kind := rapid.IntRange(0, most).Draw(t, "kind"); kind {
	case 0:
		return simpleType("null", func(*rapid.T) any { return nil }, same)
	case 1:
		return simpleType("boolean", func(t *rapid.T) any { return rapid.Bool().Draw(t, "bool") }, same)
	case 2:
		return simpleType("int", int32s, whole)
	case 3:
		return simpleType("long", int64s, whole)
	case 4:
		return simpleType("float", func(t *rapid.T) any { return rapid.Float32().Draw(t, "float") }, func(v any) any { return fraction(float64(v.(float32)), fmt.Sprint(v)) })
	case 5:
		return simpleType("double", func(t *rapid.T) any { return rapid.Float64().Draw(t, "double") }, func(v any) any { return fraction(v.(float64), fmt.Sprint(v)) })
	case 6:
		return simpleType("bytes", func(t *rapid.T) any { return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes") }, inBase64)
	case 7:
		return simpleType("string", func(t *rapid.T) any { return rapid.String().Draw(t, "text") }, same)
	case 8:
		schema, name := d.named(map[string]any{"type": "fixed", "size": small})
		return anyType{schema, name, sized, inBase64, true}
	case 9:
		schema, name := d.named(map[string]any{"type": "enum", "symbols": []any{"web", "pos", "app"}})
		return anyType{schema, name, func(t *rapid.T) any { return rapid.SampledFrom([]string{"web", "pos", "app"}).Draw(t, "symbol") }, same, true}
	case 10:
		return logicalType("int", "date", int32s, moments(func(n int64) time.Time { return time.Unix(n*86_400, 0) }, "2006-01-02"))
	case 11:
		return logicalType("int", "time-millis", func(t *rapid.T) any { return rapid.Int32Range(0, 86_399_999).Draw(t, "clock") },
			moments(time.UnixMilli, "15:04:05.999999999"))
	case 12:
		return logicalType("long", "timestamp-millis", recent(1_000), moments(time.UnixMilli, time.RFC3339Nano))
	case 13:
		return logicalType("long", "timestamp-micros", int64s, moments(time.UnixMicro, time.RFC3339Nano))
	case 14:
		return logicalType("long", "timestamp-nanos", int64s, moments(func(n int64) time.Time { return time.Unix(0, n) }, time.RFC3339Nano))
	case 15:
		return logicalType("long", "local-timestamp-micros", recent(1_000_000), moments(time.UnixMicro, "2006-01-02T15:04:05.999999999"))
	case 16:
		scale := rapid.IntRange(0, 60).Draw(t, "scale")
		return anyType{map[string]any{"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": scale}, "bytes", someBytes, unscaledBy(scale), true}
	case 17:
		scale := rapid.IntRange(0, 20).Draw(t, "scale")
		schema, name := d.named(map[string]any{"type": "fixed", "size": small, "logicalType": "decimal", "precision": 20, "scale": scale})
		return anyType{schema, name, sized, unscaledBy(scale), true}
	case 18:
		schema, name := d.named(map[string]any{"type": "fixed", "size": 12, "logicalType": "duration"})
		return anyType{schema, name, func(t *rapid.T) any { return rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "duration") }, func(v any) any {
			n := func(i int) uint32 { return binary.LittleEndian.Uint32(v.([]byte)[4*i:]) }
			seconds := strings.TrimSuffix(fmt.Sprintf("%d.%03d", n(2)/1_000, n(2)%1_000), ".000")
			return fmt.Sprintf("P%dM%dDT%sS", n(0), n(1), seconds)
		}, true}
	case 19:
		schema, name := d.named(map[string]any{"type": "fixed", "size": 16, "logicalType": "uuid"})
		return anyType{schema, name, func(t *rapid.T) any { return rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid") }, func(v any) any {
			b := v.([]byte)
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		}, true}
	case 20, 21:
		return d.union(t, depth)
	case 22:
		return d.record(t, depth)
	default:
		return d.several(t, depth, kind == 23)
	}
}

func (d *typeDrawer) union(t *rapid.T, depth int) anyType {
	branches := map[string]anyType{}
	var schema, order []any
	for range rapid.IntRange(1, 4).Draw(t, "branches") {
		b := d.draw(t, depth-1)
		if _, ok := branches[b.branch]; ok || b.branch == "" { // none twice, and no union in a union
			continue
		}
		branches[b.branch] = b
		schema, order = append(schema, b.schema), append(order, b.branch)
	}
	if len(schema) == 0 {
		return simpleType("boolean", func(*rapid.T) any { return true }, same)
	}
	return anyType{schema, "", func(t *rapid.T) any {
		name := rapid.SampledFrom(order).Draw(t, "branch").(string)
		if name == "null" {
			return nil
		}
		return goavro.Union(name, branches[name].value(t))
	}, func(native any) any {
		m, _ := native.(map[string]any)
		for name, v := range m {
			return branches[name].want(v)
		}
		return nil
	}, true}
}

func (d *typeDrawer) record(t *rapid.T, depth int) anyType {
	var fields []any
	var types []anyType
	weighs := false
	for i := range rapid.IntRange(0, 5).Draw(t, "fields") {
		f := d.draw(t, depth-1)
		types, weighs = append(types, f), weighs || f.weighs
		fields = append(fields, map[string]any{"name": fmt.Sprintf("f%d", i), "type": f.schema})
	}
	schema, name := d.named(map[string]any{"type": "record", "fields": fields})
	if len(fields) == 0 {
		schema["fields"] = []any{}
	}
	return anyType{schema, name, func(t *rapid.T) any {
		m := map[string]any{}
		for i, f := range types {
			m[fmt.Sprintf("f%d", i)] = f.value(t)
		}
		return m
	}, func(native any) any {
		m := map[string]any{}
		for i, f := range types {
			m[fmt.Sprintf("f%d", i)] = f.want(native.(map[string]any)[fmt.Sprintf("f%d", i)])
		}
		return m
	}, weighs}
}

// several is an array or a map.
func (d *typeDrawer) several(t *rapid.T, depth int, array bool) anyType {
	item := d.draw(t, depth-1)
	if !item.weighs {
		item = simpleType("int", func(t *rapid.T) any { return rapid.Int32().Draw(t, "item") }, whole)
	}
	if array {
		return anyType{map[string]any{"type": "array", "items": item.schema}, "array", func(t *rapid.T) any {
			list := []any{}
			for range rapid.IntRange(0, 4).Draw(t, "items") {
				list = append(list, item.value(t))
			}
			return list
		}, func(native any) any {
			list := []any{}
			for _, v := range native.([]any) {
				list = append(list, item.want(v))
			}
			return list
		}, true}
	}
	return anyType{map[string]any{"type": "map", "values": item.schema}, "map", func(t *rapid.T) any {
		m := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "entries") {
			m[rapid.String().Draw(t, "key")] = item.value(t)
		}
		return m
	}, func(native any) any {
		m := map[string]any{}
		for key, v := range native.(map[string]any) {
			m[key] = item.want(v)
		}
		return m
	}, true}
}

// The library decodes a record of any schema; what a tree holds of it is what the specification makes of that.
func TestTreeAndAvroLibraryAgreeOnEverySchema(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := typeDrawer{}
		drawn := d.record(t, rapid.IntRange(1, 4).Draw(t, "depth"))
		schema := drawn.schema.(map[string]any)
		schema["namespace"] = "tienda.v2"
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(string(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		body, err := r.codec.BinaryFromNative(nil, drawn.value(t))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		native, _, err := r.codec.NativeFromBinary(body)
		if err != nil {
			t.Fatal(err)
		}
		var tree source.Tree
		root, reject := r.Tree(body, &tree)
		if reject != nil {
			t.Fatalf("%s: % x: %v", text, body, reject)
		}
		if diff := cmp.Diff(drawn.want(native), plain(t, &tree, root)); diff != "" {
			t.Fatalf("%s (-library +tree):\n%s", text, diff)
		}
		if len(body) == 0 {
			return
		}
		cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
		tree.Reset()
		if _, reject := r.Tree(body[:cut], &tree); reject == nil || reject.Reason != interaction.ReasonUnparsable {
			t.Fatalf("%s: %d of %d bytes: reject %v, want unparsable", text, cut, len(body), reject)
		}
		hurt := append([]byte(nil), body...)
		hurt[rapid.IntRange(0, len(hurt)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		agreeOnVerdict(t, r, hurt)
	})
}

// agreeOnVerdict holds the tree against the walk that guards the library: what one takes, the other takes, but for what only a
// tree looks at.
func agreeOnVerdict(t rapid.TB, r *Reader, body []byte) {
	var tree source.Tree
	_, reject := r.Tree(body, &tree)
	walked := r.walk(body)
	if reject == nil && walked != nil {
		t.Fatalf("%x: a tree, but the walk says %v", body, walked)
	}
	if reject != nil && walked == nil && !strings.Contains(reject.Detail, errUTF8.Error()) && !strings.Contains(reject.Detail, "decimal") &&
		!strings.Contains(reject.Detail, errDeep.Error()) && reject.Reason != interaction.ReasonTooLarge {
		t.Fatalf("%x: the walk takes it, the tree says %v", body, reject)
	}
	if tree.Size() > source.MaxTreeNodes {
		t.Fatalf("%x: %d values", body, tree.Size())
	}
}

// Whatever a schema and a body are, decoding ends in a tree of sound texts and numbers, or in a reject.
func FuzzTree(f *testing.F) {
	f.Add(interactionSchema, visitBody())
	f.Add(unifiedSchema, []byte{2, 'a'})
	f.Add(record(`{"name":"a","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]},{"name":"b","type":{"type":"long","logicalType":"timestamp-micros"}}`), []byte{2, 4, 7, 0xcf, 2})
	f.Add(record(`{"name":"a","type":{"type":"map","values":["double","bytes",{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}]}}`), []byte{2, 2, 'k', 2, 2, 1, 0})
	f.Add(record(`{"name":"a","type":{"type":"array","items":"int"}}`), appendLong(nil, 1<<31))
	f.Add(record(`{"name":"a","type":{"type":"bytes","logicalType":"big-decimal"}}`), []byte{6, 2, 1, 4})
	f.Add(`{"type":"array","items":["null","string",{"type":"enum","name":"E","symbols":["x"]}]}`, []byte{6, 0, 2, 2, 0xff, 4, 0, 0})
	f.Add(`{"type":"record","name":"A","fields":[{"name":"a","type":["null","A"]}]}`, []byte{2, 2, 2})
	f.Add(doubling(3), []byte{0, 1, 2})
	f.Fuzz(func(t *testing.T, schema string, body []byte) {
		r, err := NewReader(schema)
		if err != nil {
			return
		}
		var tree source.Tree
		if root, reject := r.Tree(body, &tree); reject == nil {
			plain(t, &tree, root)
			if !json.Valid([]byte(shown(&tree, root))) {
				t.Errorf("the tree is not sound: %.200s", shown(&tree, root))
			}
		}
		if !r.bare && r.codec != nil {
			agreeOnVerdict(t, r, body)
		}
	})
}
