package schemas

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/linkedin/goavro/v2"

	"kinfold/processor/interaction"
)

// Bounds of what a foreign schema may cost.
const (
	maxSchemaBytes = 1 << 20
	maxSchemaDepth = 64
	maxLeaves      = 100_000 // values that the types of a schema multiply to
	maxDigits      = 1_000   // precision and scale of a decimal
	// maxValues bounds the values of one record, nulls included: each costs the Avro library a hundred bytes or so, however few
	// it takes in the record. The largest order and maps of ours have half of it.
	maxValues = 250_000
	// maxFixed is the size of a fixed type in bytes.
	maxFixed = 64 << 20
)

// The library's bounds are those of the process. It has none by default; a record is walked within ours before it is decoded.
var _ = func() bool {
	goavro.MaxBlockCount, goavro.MaxBlockSize = maxValues, maxFixed
	return true
}()

// Reader decodes what was written with one schema, whatever it is. As an interaction, the fields of a record are taken over by
// name, with aliases, promotions and our defaults; a schema that is ours but for documentation is read by the typed codec. As a
// tree, every value is there under its own name. A Reader may be used by several goroutines.
type Reader struct {
	codec  *goavro.Codec // nil: the schema is ours
	schema *schemaNode
	shape  *shape
	fields [fieldCount]*writerField
	orders bool // the schema is that of our directives
	bare   bool // the schema is a union, array or map: it has no fields that could be taken over
}

// NewReader compiles a writer's schema. The error says what is wrong with the schema, in words fit for reject.detail.
func NewReader(schema string) (*Reader, error) {
	node, err := parseSchema(schema)
	if err != nil {
		return nil, err
	}
	r := &Reader{schema: node, shape: shapeOf(node, map[*schemaNode]*shape{})}
	if node.equal(ours) {
		return r, nil
	}
	switch node.kind {
	case "record":
	case "union", "array", "map":
		r.bare = true
	default:
		return nil, fmt.Errorf("it describes a %s, not a record", node.kind)
	}
	if r.codec, err = newCodec(schema); err != nil {
		return nil, err
	}
	r.orders = node.equal(oursDirective)
	for i, name := range fieldNames {
		r.fields[i] = node.field(name)
	}
	return r, nil
}

// newCodec compiles the layout of a schema, and shields us from what makes the library panic.
func newCodec(schema string) (codec *goavro.Codec, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Avro library cannot compile it: %v", p)
		}
	}()
	text, err := layout(schema)
	if err != nil {
		return nil, err
	}
	codec, err = goavro.NewCodec(text)
	if err != nil {
		return nil, fmt.Errorf("the Avro library does not accept it: %w", err)
	}
	return codec, nil
}

// The fields of an Interaction.
const (
	fieldEventID = iota
	fieldSource
	fieldChannel
	fieldType
	fieldStoreCode
	fieldUserID
	fieldOccurredAt
	fieldIdentifiers
	fieldOrder
	fieldTraits
	fieldProperties
	fieldCount
)

var fieldNames = [fieldCount]string{"event_id", "source", "channel", "type", "store_code", "user_id", "occurred_at", "identifiers", "order", "traits", "properties"}

// Interaction decodes a body. Every field of dst is set.
func (r *Reader) Interaction(body []byte, dst *interaction.Interaction) *interaction.Reject {
	if r.codec == nil {
		return DecodeInteraction(body, dst)
	}
	if r.bare {
		return &interaction.Reject{Reason: interaction.ReasonBadSchema, Detail: fmt.Sprintf("it describes a %s, not a record", r.schema.kind)}
	}
	if reject := r.walk(body); reject != nil {
		return reject
	}
	native, rest, err := decodeNative(r.codec, body)
	if err != nil {
		return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "not a record of its writer's schema: " + err.Error()}
	}
	if len(rest) > 0 {
		return leftover(len(rest), len(body))
	}
	record, ok := native.(map[string]any)
	if !ok {
		return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "not a record"}
	}
	return r.project(record, dst)
}

// Directive decodes a body that must be written with our schema of directives.
func (r *Reader) Directive(body []byte, dst *interaction.Directive) *interaction.Reject {
	if !r.orders {
		return &interaction.Reject{Reason: interaction.ReasonBadSchema, Detail: "it is not the schema of an IdentityDirective"}
	}
	return DecodeDirective(body, dst)
}

// project shields us from records whose shape is not that of their schema.
func (r *Reader) project(record map[string]any, dst *interaction.Interaction) (reject *interaction.Reject) {
	defer func() {
		if p := recover(); p != nil {
			reject = &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "the record does not have the shape of its schema"}
		}
	}()
	p := projection{reader: r, record: record}
	p.interaction(dst)
	return p.reject
}

// decodeNative shields us from bytes on which the library panics.
func decodeNative(codec *goavro.Codec, body []byte) (native any, rest []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Avro library cannot decode it: %v", p)
		}
	}()
	return codec.NativeFromBinary(body)
}

// projection takes one record over. The first field that does not fit makes the reject.
type projection struct {
	reader *Reader
	record map[string]any
	reject *interaction.Reject
}

func (p *projection) fail(reason interaction.Reason, path, format string, args ...any) {
	if p.reject == nil {
		p.reject = &interaction.Reject{Reason: reason, Detail: path + ": " + fmt.Sprintf(format, args...)}
	}
}

func (p *projection) invalid(path, format string, args ...any) {
	p.fail(interaction.ReasonInvalidField, path, format, args...)
}

// value is a field of the record without its union; nil where it is absent or null.
func (p *projection) value(field int) (*schemaNode, any) {
	f := p.reader.fields[field]
	if f == nil {
		return nil, nil
	}
	return unwrap(f.node, p.record[f.name])
}

func (p *projection) interaction(dst *interaction.Interaction) {
	dst.EventID = p.fieldText(fieldEventID)
	dst.Source = p.fieldText(fieldSource)
	dst.Channel = p.fieldText(fieldChannel)
	dst.Type = p.fieldText(fieldType)
	dst.StoreCode = p.fieldText(fieldStoreCode)
	_, user := p.value(fieldUserID)
	dst.HasUserID, dst.UserIDOverlong = user != nil, false
	dst.UserID = p.fieldText(fieldUserID)
	dst.OccurredAt, dst.TimeStated = p.time(), true
	p.identifiers(dst)
	payload := p.order(nil)
	payload = p.texts(payload, fieldTraits)
	dst.Payload = p.texts(payload, fieldProperties)
}

func (p *projection) fieldText(field int) string {
	_, v := p.value(field)
	return p.text(fieldNames[field], v)
}

// text takes a string; bytes are promoted, a symbol of an enum stands for its name.
func (p *projection) text(path string, v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		s = v
	case []byte:
		s = string(v)
	default:
		p.invalid(path, "%T is no string", v)
		return ""
	}
	if !utf8.ValidString(s) {
		p.invalid(path, "it is not UTF-8")
		return ""
	}
	return s
}

func (p *projection) time() int64 {
	node, v := p.value(fieldOccurredAt)
	if v == nil {
		p.fail(interaction.ReasonMissingField, "occurred_at", "the record has none")
		return 0
	}
	var t int64
	switch v := v.(type) {
	case int64:
		t = v
	case int32:
		t = int64(v)
	default:
		p.fail(interaction.ReasonBadTime, "occurred_at", "Avro type %s is no time in milliseconds", node.kind)
		return 0
	}
	switch node.logical { // a plain number is milliseconds
	case "", "timestamp-millis":
		return t
	case "timestamp-micros":
		return floor(t, 1_000)
	case "timestamp-nanos":
		return floor(t, 1_000_000)
	}
	p.fail(interaction.ReasonBadTime, "occurred_at", "logical type %s is no moment of UTC", node.logical)
	return 0
}

// floor divides towards the past.
func floor(t, unit int64) int64 {
	q := t / unit
	if t%unit < 0 {
		q--
	}
	return q
}

func (p *projection) identifiers(dst *interaction.Interaction) {
	dst.Identifiers = dst.Identifiers[:0]
	node, v := p.value(fieldIdentifiers)
	if v == nil {
		return
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		p.invalid("identifiers", "%T is no array", v)
		return
	case len(list) > MaxIdentifiers:
		p.invalid("identifiers", "%d of them, at most %d", len(list), MaxIdentifiers)
		return
	}
	for i, item := range list {
		path := "identifiers[" + strconv.Itoa(i) + "]"
		itemNode, record := unwrap(node.items, item)
		m, ok := record.(map[string]any)
		if !ok || itemNode.kind != "record" {
			p.invalid(path, "it is no record")
			return
		}
		id := interaction.Raw{Namespace: p.member(path, itemNode, m, "namespace"), Value: p.member(path, itemNode, m, "value")}
		if f := itemNode.field("verified"); f != nil {
			_, flag := unwrap(f.node, m[f.name])
			verified, ok := flag.(bool)
			if flag != nil && !ok {
				p.invalid(path+".verified", "%T is no boolean", flag)
			}
			id.Verified = verified
		}
		dst.Identifiers = append(dst.Identifiers, id)
	}
}

// member is a text member of a nested record, empty where it is absent.
func (p *projection) member(path string, node *schemaNode, m map[string]any, name string) string {
	f := node.field(name)
	if f == nil {
		return ""
	}
	_, v := unwrap(f.node, m[f.name])
	return p.text(path+"."+name, v)
}

// order appends the union of null and Order.
func (p *projection) order(b []byte) []byte {
	node, v := p.value(fieldOrder)
	if v == nil {
		return append(b, 0)
	}
	m, ok := v.(map[string]any)
	if !ok || node.kind != "record" {
		p.invalid("order", "%T is no record", v)
		return b
	}
	b = appendText(append(b, 2), p.member("order", node, m, "order_number"))
	b = p.maybeText(b, "order", node, m, "currency")
	b = p.maybeAmount(b, "order", node, m, "total_amount")
	f := node.field("lines")
	if f == nil {
		return append(b, 0)
	}
	linesNode, lines := unwrap(f.node, m[f.name])
	list, ok := lines.([]any)
	switch {
	case lines == nil:
		return append(b, 0)
	case !ok:
		p.invalid("order.lines", "%T is no array", lines)
		return b
	case len(list) > MaxOrderLines:
		p.invalid("order.lines", "%d of them, at most %d", len(list), MaxOrderLines)
		return b
	}
	if len(list) > 0 {
		b = appendLong(b, int64(len(list)))
	}
	for i, item := range list {
		path := "order.lines[" + strconv.Itoa(i) + "]"
		itemNode, record := unwrap(linesNode.items, item)
		line, ok := record.(map[string]any)
		if !ok || itemNode.kind != "record" {
			p.invalid(path, "it is no record")
			return b
		}
		b = appendText(b, p.member(path, itemNode, line, "sku"))
		b = p.maybeText(b, path, itemNode, line, "description")
		b = p.maybeAmount(b, path, itemNode, line, "quantity")
		b = p.maybeAmount(b, path, itemNode, line, "unit_price")
	}
	return append(b, 0)
}

func (p *projection) maybeText(b []byte, path string, node *schemaNode, m map[string]any, name string) []byte {
	f := node.field(name)
	if f == nil {
		return append(b, 0)
	}
	_, v := unwrap(f.node, m[f.name])
	return appendMaybe(b, p.text(path+"."+name, v), v != nil)
}

func (p *projection) maybeAmount(b []byte, path string, node *schemaNode, m map[string]any, name string) []byte {
	f := node.field(name)
	if f == nil {
		return append(b, 0)
	}
	amountNode, v := unwrap(f.node, m[f.name])
	if v == nil {
		return append(b, 0)
	}
	amount, err := exact(amountNode, v)
	if err == nil {
		var unscaled []byte
		if unscaled, err = scaled(amount); err == nil {
			return appendText(append(b, 2), string(unscaled))
		}
	}
	p.invalid(path+"."+name, "%v", err)
	return b
}

// exact is a number as a fraction.
func exact(n *schemaNode, v any) (*big.Rat, error) {
	switch v := v.(type) {
	case []byte:
		return decimal(n, v)
	case int32:
		return new(big.Rat).SetInt64(int64(v)), nil
	case int64:
		return new(big.Rat).SetInt64(v), nil
	case float32:
		return shortest(float64(v), 32)
	case float64:
		return shortest(v, 64)
	}
	return nil, fmt.Errorf("%T is no number", v)
}

// maxDecimalBytes bounds the bytes of a decimal: more than twice what maxDigits digits take.
const maxDecimalBytes = maxDigits

// decimal reads a two's complement with the scale of its schema.
func decimal(n *schemaNode, b []byte) (*big.Rat, error) {
	switch {
	case n.logical != "decimal":
		return nil, fmt.Errorf("%s without the logical type decimal is no number", n.kind)
	case len(b) == 0:
		return nil, errors.New("a decimal without a byte")
	case len(b) > maxDecimalBytes:
		return nil, fmt.Errorf("a decimal of %d bytes, at most %d", len(b), maxDecimalBytes)
	}
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.scale)), nil)
	return new(big.Rat).SetFrac(v, unit), nil
}

// shortest is the shortest decimal that stands for a float: 0.1 is a tenth.
func shortest(f float64, bits int) (*big.Rat, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("not a finite number")
	}
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'f', -1, bits))
	return r, nil
}

var (
	amountUnit = big.NewInt(10_000) // 10^amountScale
	amountMax  = big.NewInt(amountLimit)
)

// scaled is the unscaled value of a decimal(18,4): two's complement, big-endian, as few bytes as hold it.
func scaled(r *big.Rat) ([]byte, error) {
	v := new(big.Rat).Mul(r, new(big.Rat).SetInt(amountUnit))
	if !v.IsInt() {
		return nil, fmt.Errorf("more than %d digits after the point", amountScale)
	}
	n := v.Num()
	if n.CmpAbs(amountMax) >= 0 {
		return nil, fmt.Errorf("more than %d digits", amountPrecision)
	}
	i := n.Int64()
	b := []byte{byte(i >> 56), byte(i >> 48), byte(i >> 40), byte(i >> 32), byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xFF && b[1] >= 0x80) {
		b = b[1:]
	}
	return b, nil
}

// texts appends a map of strings, its keys in order.
func (p *projection) texts(b []byte, field int) []byte {
	name := fieldNames[field]
	node, v := p.value(field)
	m, ok := v.(map[string]any)
	switch {
	case v == nil:
		return append(b, 0)
	case !ok || node.kind != "map":
		p.invalid(name, "%T is no map", v)
		return b
	case len(m) > MaxMapEntries:
		p.invalid(name, "%d entries, at most %d", len(m), MaxMapEntries)
		return b
	}
	var entries []string
	for _, key := range sortedKeys(m) {
		_, value := unwrap(node.items, m[key])
		if value != nil { // an entry without value says nothing
			entries = append(entries, p.text(name, key), p.text(name+" value", value))
		}
	}
	if len(entries) > 0 {
		b = appendLong(b, int64(len(entries)/2))
	}
	for _, s := range entries {
		b = appendText(b, s)
	}
	return append(b, 0)
}
