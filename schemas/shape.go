package schemas

// shape is a writer's schema as decoding into a tree needs it: kinds are numbers, logical types are resolved.
type shape struct {
	kind     shapeKind
	fields   []shapeField // of a record
	item     *shape       // of an array or map
	branches []*shape     // of a union
	symbols  []string     // of an enum
	size     int          // of a fixed type, in bytes
	scale    int          // of a decimal
	unit     int64        // of a moment: how many make a second
}

type shapeField struct {
	name string
	*shape
}

type shapeKind uint8

const (
	shapeNull shapeKind = iota
	shapeBoolean
	shapeInt
	shapeLong
	shapeFloat
	shapeDouble
	shapeBytes
	shapeString
	shapeFixed
	shapeEnum
	shapeUnion
	shapeArray
	shapeMap
	shapeRecord

	shapeDate
	shapeTimeMillis
	shapeTimeMicros
	shapeMoment
	shapeLocalMoment
	shapeDecimal
	shapeFixedDecimal
	shapeBigDecimal
	shapeFixedUUID
	shapeDuration
)

var plainShapes = map[string]shapeKind{
	"null": shapeNull, "boolean": shapeBoolean, "int": shapeInt, "long": shapeLong, "float": shapeFloat, "double": shapeDouble,
	"bytes": shapeBytes, "string": shapeString, "fixed": shapeFixed, "enum": shapeEnum, "union": shapeUnion, "array": shapeArray,
	"map": shapeMap, "record": shapeRecord,
}

// logical names a logical type on the type that carries it; on any other it means nothing, by Avro's specification.
type logical struct{ kind, name string }

// logicalShapes are the logical types of Avro's specification (1.12, Logical Types) that change how a value reads. A uuid in a
// string is that string.
var logicalShapes = map[logical]shape{
	{"int", "date"}:                    {kind: shapeDate},
	{"int", "time-millis"}:             {kind: shapeTimeMillis},
	{"long", "time-micros"}:            {kind: shapeTimeMicros},
	{"long", "timestamp-millis"}:       {kind: shapeMoment, unit: 1_000},
	{"long", "timestamp-micros"}:       {kind: shapeMoment, unit: 1_000_000},
	{"long", "timestamp-nanos"}:        {kind: shapeMoment, unit: 1_000_000_000},
	{"long", "local-timestamp-millis"}: {kind: shapeLocalMoment, unit: 1_000},
	{"long", "local-timestamp-micros"}: {kind: shapeLocalMoment, unit: 1_000_000},
	{"long", "local-timestamp-nanos"}:  {kind: shapeLocalMoment, unit: 1_000_000_000},
	{"bytes", "decimal"}:               {kind: shapeDecimal},
	{"bytes", "big-decimal"}:           {kind: shapeBigDecimal},
	{"fixed", "decimal"}:               {kind: shapeFixedDecimal},
	{"fixed", "uuid"}:                  {kind: shapeFixedUUID, size: 16},
	{"fixed", "duration"}:              {kind: shapeDuration, size: 12},
}

// shapeOf compiles a schema. made keeps a type that is used several times one shape.
func shapeOf(n *schemaNode, made map[*schemaNode]*shape) *shape {
	if s, ok := made[n]; ok {
		return s
	}
	s := &shape{kind: plainShapes[n.kind], symbols: n.symbols, size: n.size, scale: n.scale}
	made[n] = s
	if l, ok := logicalShapes[logical{n.kind, n.logical}]; ok && (l.size == 0 || l.size == n.size) {
		s.kind, s.unit = l.kind, l.unit
	}
	for _, f := range n.fields {
		s.fields = append(s.fields, shapeField{f.name, shapeOf(f.node, made)})
	}
	if n.items != nil {
		s.item = shapeOf(n.items, made)
	}
	for _, b := range n.branches {
		s.branches = append(s.branches, shapeOf(b, made))
	}
	return s
}
