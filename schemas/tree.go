package schemas

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

var (
	errFull    = errors.New("more values than a tree holds")
	errDeep    = fmt.Errorf("its values are nested deeper than %d", source.MaxTreeDepth)
	errDecimal = fmt.Errorf("a decimal has no byte, or more than %d", maxDecimalBytes)
	errScale   = fmt.Errorf("a decimal has a scale beyond %d", maxDigits)
)

// Tree decodes a body and appends it to a tree as a root, as a mapping reads it:
//
//	null                        null; a union is the value of its branch, whatever the branch is called
//	boolean                     true, false
//	int, long                   a number
//	float, double               the shortest number that stands for it; NaN and the infinities are null, as nothing is known
//	string, enum                text
//	bytes, fixed                text in Base64, as Kafka Connect and Debezium write them in JSON
//	array                       an array
//	map, record                 an object; of several entries with one key the last counts
//	decimal, big-decimal        a number with all its digits; without a scale, scale 0
//	uuid                        text, of a fixed type too: 123e4567-e89b-12d3-a456-426614174000
//	date                        text: 2026-01-31
//	time-millis, -micros        text: 10:30:00.123
//	timestamp-millis, …-nanos   text in RFC 3339: 2026-01-31T10:30:00.123Z
//	local-timestamp-…           the same without the Z: it wants a zone
//	duration                    text of ISO 8601: P1M2DT3.004S
//
// Times are text because the schema knows their unit, and a mapping would have to be told: so a field reads the same, with the
// word iso that needs not be written, when its producer goes over from milliseconds to microseconds. A long without a logical
// type is a number, whatever its producer counts in it: unix_ms and its kin are for those. A time that has no such text (a year
// beyond 9999, a clock beyond 24 hours) is the number that was written.
//
// Bytes are in Base64 whatever they hold: nothing says that they are text, and a number among them would lose its zeros where a
// mapping trims. A producer who goes over from bytes to string therefore changes what is mapped, other than in an Interaction,
// whose fields are known to be text.
//
// A body costs at most MaxTreeNodes values, and as text at most three times its bytes and forty for each value. A string that is
// not UTF-8, values nested deeper than MaxTreeDepth and whatever else is no record of the schema are rejects, as are bytes left
// over; the tree is then undefined until it is reset. Nothing in the tree points into body.
func (r *Reader) Tree(body []byte, to *source.Tree) (source.Node, *interaction.Reject) {
	w := treeWalker{cursor: cursor{in: string(body)}, tree: to}
	root := w.value(r.shape, 0, "")
	switch {
	case errors.Is(w.err, errFull):
		return 0, source.TooManyValues()
	case w.err != nil:
		return 0, &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "not a record of its writer's schema: " + w.err.Error()}
	case w.pos < len(body):
		return 0, leftover(len(body)-w.pos, len(body))
	}
	return root, nil
}

// treeWalker appends values of any schema to a tree.
type treeWalker struct {
	cursor
	tree  *source.Tree
	depth int
	// made holds the texts that are not in the record, one behind the other: it saves an allocation each.
	made strings.Builder
}

// value reads one value. Schemas do not refer to themselves, so the recursion ends with the schema.
func (w *treeWalker) value(s *shape, parent source.Node, name string) source.Node {
	if w.err != nil {
		return 0
	}
	switch s.kind {
	case shapeUnion:
		i := w.index(len(s.branches))
		if w.err != nil {
			return 0
		}
		return w.value(s.branches[i], parent, name)
	case shapeRecord, shapeArray, shapeMap:
		return w.values(s, parent, name)
	}
	kind, text := w.scalar(s)
	return w.add(parent, name, kind, text)
}

func (w *treeWalker) add(parent source.Node, name string, kind source.NodeKind, text string) source.Node {
	if w.err != nil {
		return 0
	}
	n := w.tree.Add(parent, name, kind, text)
	if n == 0 {
		w.fail(errFull)
	}
	return n
}

// values reads a value that has others in it.
func (w *treeWalker) values(s *shape, parent source.Node, name string) source.Node {
	if w.depth == source.MaxTreeDepth {
		w.fail(errDeep)
		return 0
	}
	kind := source.ObjectNode
	if s.kind == shapeArray {
		kind = source.ArrayNode
	}
	n := w.add(parent, name, kind, "")
	w.depth++
	// An item takes a byte at least: more items than bytes is a lie that need not be followed.
	switch s.kind {
	case shapeRecord:
		for i := range s.fields {
			if w.err != nil {
				break
			}
			if w.depth == 1 {
				w.field = s.fields[i].name
			}
			w.value(s.fields[i].shape, n, s.fields[i].name)
		}
	case shapeArray:
		w.blocks(len(w.in)-w.pos, func() { w.value(s.item, n, "") })
	case shapeMap:
		w.blocks(len(w.in)-w.pos, func() {
			key := w.text()
			w.value(s.item, n, key)
		})
	}
	w.depth--
	return n
}

// scalar reads a value that has no others in it.
func (w *treeWalker) scalar(s *shape) (source.NodeKind, string) {
	switch s.kind {
	case shapeNull:
		return source.NullNode, ""
	case shapeBoolean:
		if w.boolean() {
			return source.TrueNode, ""
		}
		return source.FalseNode, ""
	case shapeInt:
		return source.NumberNode, w.whole(int64(w.int()))
	case shapeLong:
		return source.NumberNode, w.whole(w.long())
	case shapeFloat:
		return w.float(float64(math.Float32frombits(uint32(w.little(4)))), 32)
	case shapeDouble:
		return w.float(math.Float64frombits(w.little(8)), 64)
	case shapeString:
		return source.TextNode, w.text()
	case shapeEnum:
		if i := w.index(len(s.symbols)); w.err == nil {
			return source.TextNode, s.symbols[i]
		}
	case shapeBytes:
		return source.TextNode, w.base64(w.bytes())
	case shapeFixed:
		return source.TextNode, w.base64(w.fixed(s.size))
	case shapeFixedUUID:
		return source.TextNode, w.uuid(w.fixed(s.size))
	case shapeDecimal:
		return source.NumberNode, w.decimal(w.bytes(), s.scale)
	case shapeFixedDecimal:
		return source.NumberNode, w.decimal(w.fixed(s.size), s.scale)
	case shapeBigDecimal:
		return source.NumberNode, w.bigDecimal(w.bytes())
	default:
		return w.time(s)
	}
	return source.NullNode, ""
}

// keep makes a text of bytes that are used again.
func (w *treeWalker) keep(b []byte) string {
	start := w.made.Len()
	w.made.Write(b)
	return w.made.String()[start:]
}

func (w *treeWalker) whole(v int64) string {
	if 0 <= v && v < 100 {
		return strconv.FormatInt(v, 10) // takes no memory
	}
	var b [20]byte
	return w.keep(strconv.AppendInt(b[:0], v, 10))
}

// little is a number of n bytes, the least first.
func (w *treeWalker) little(n int) (v uint64) {
	s := w.fixed(n)
	for i := len(s) - 1; i >= 0; i-- {
		v = v<<8 | uint64(s[i])
	}
	return v
}

func (w *treeWalker) float(f float64, bits int) (source.NodeKind, string) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return source.NullNode, ""
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e' // as short as the number is
	}
	var b [32]byte
	return source.NumberNode, w.keep(strconv.AppendFloat(b[:0], f, format, -1, bits))
}

func (w *treeWalker) base64(s string) string {
	start := w.made.Len()
	w.made.Grow(base64.StdEncoding.EncodedLen(len(s)))
	var in, out [base64Chunk * 4]byte
	for len(s) > 0 {
		n := copy(in[:base64Chunk*3], s)
		s = s[n:]
		base64.StdEncoding.Encode(out[:], in[:n])
		w.made.Write(out[:base64.StdEncoding.EncodedLen(n)])
	}
	return w.made.String()[start:]
}

// base64Chunk is how many groups of three bytes are encoded at a time.
const base64Chunk = 64

func (w *treeWalker) uuid(s string) string {
	if s == "" {
		return "" // the bytes have ended
	}
	var b [36]byte
	at := 0
	for i, part := range []string{s[:4], s[4:6], s[6:8], s[8:10], s[10:]} {
		if i > 0 {
			b[at] = '-'
			at++
		}
		at += hex.Encode(b[at:], []byte(part))
	}
	return w.keep(b[:])
}
