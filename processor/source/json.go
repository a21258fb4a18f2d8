package source

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"kinfold/processor/interaction"
)

// Limits of a plain JSON interaction.
const (
	// MaxJSONBytes is the size of a record above which it is a reject too_large.
	MaxJSONBytes = 16 << 20
	// MaxDepth is how deep objects and arrays may be nested; deeper is unparsable.
	MaxDepth = 32
	// maxTimeChars is the length of a text that can be a time.
	maxTimeChars = 64
	// MaxTime bounds a time in epoch milliseconds on either side of 1970: beyond it JSON numbers lose their last digits.
	MaxTime = 1 << 53
)

// DecodeJSON reads a plain JSON Interaction: unions unwrapped, absent and null fields have their defaults, occurred_at
// is epoch milliseconds or RFC 3339. It is a Decode; recordTime is not used, since this format has to state its time.
//
//   - Ids, codes and free text may be strings or numbers, which become exact decimal text; user_id and the value of an
//     identifier may be true or false, too, as some systems write nobody.
//   - Amounts are numbers or strings of one, with 14 digits before the point and 4 behind it at most.
//   - Entries of traits and properties are strings, numbers, true or false; one that is null is dropped.
//   - Members that the contract does not know are skipped. Of two members with one name the last counts.
//
// Rejects: unparsable for what is no JSON object in UTF-8, half a surrogate pair included; bad_time; missing_field and
// invalid_field with the path of the field.
func DecodeJSON(value []byte, recordTime int64, dst *interaction.Interaction) *interaction.Reject {
	r, rej := newReader(value)
	if rej != nil {
		return rej
	}
	*dst = interaction.Interaction{Identifiers: dst.Identifiers[:0]}
	d := decoder{reader: r, dst: dst}
	if rej := d.document(d.member); rej != nil {
		return d.firstOfAll(rej)
	}
	if !dst.TimeStated {
		return missing("occurred_at")
	}
	dst.Payload = d.payload.encode()
	return nil
}

// ReceivedAt reads the member received_at that a line of a file may have beside those of an interaction, in epoch
// milliseconds. False without a reject: there is none, or the line is no JSON object, which DecodeJSON reports.
func ReceivedAt(value []byte) (ms int64, ok bool, _ *interaction.Reject) {
	if !bytes.Contains(value, []byte(`"received_at"`)) {
		return 0, false, nil
	}
	r, rej := newReader(value)
	if rej != nil {
		return 0, false, nil
	}
	d := decoder{reader: r}
	rej = d.document(func(name string) *interaction.Reject {
		if name != "received_at" {
			return d.skip()
		}
		var rej *interaction.Reject
		ms, ok, rej = d.time("received_at")
		return rej
	})
	if rej != nil {
		if rej = d.firstOfAll(rej); rej.Reason != interaction.ReasonBadTime {
			return 0, false, nil
		}
	}
	return ms, ok, rej
}

func missing(path string) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonMissingField, Detail: path + " is missing"}
}

func wrong(path, format string, args ...any) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonInvalidField, Detail: path + " " + fmt.Sprintf(format, args...)}
}

// decoder reads one record.
type decoder struct {
	reader
	dst     *interaction.Interaction
	payload payload
}

// document reads the one object of a record and what may stand around it.
func (d *decoder) document(member func(name string) *interaction.Reject) *interaction.Reject {
	d.space()
	if d.peek() != '{' {
		return d.unparsable("a record must be one JSON object")
	}
	if rej := d.object(member); rej != nil {
		return rej
	}
	d.space()
	if d.at < len(d.text) {
		return d.unparsable("something follows the object")
	}
	return nil
}

// firstOfAll returns rej, or that the record is unparsable: a field is wrong only in what is JSON to its end.
func (d *decoder) firstOfAll(rej *interaction.Reject) *interaction.Reject {
	if rej.Reason == interaction.ReasonUnparsable {
		return rej
	}
	d.at, d.depth = 0, 0
	if worse := d.document(func(string) *interaction.Reject { return d.skip() }); worse != nil {
		return worse
	}
	return rej
}

func (d *decoder) member(name string) (rej *interaction.Reject) {
	dst := d.dst
	switch name {
	case "event_id":
		dst.EventID, rej = d.code(name)
	case "source":
		dst.Source, rej = d.word(name)
	case "channel":
		dst.Channel, rej = d.word(name)
	case "type":
		dst.Type, rej = d.word(name)
	case "store_code":
		dst.StoreCode, rej = d.code(name)
	case "user_id":
		var s scalar
		s, rej = d.scalar(name)
		dst.UserID, dst.HasUserID, dst.UserIDOverlong = s.text, s.kind != isNull, s.kind == isOverlong
	case "occurred_at":
		dst.OccurredAt, dst.TimeStated, rej = d.time(name)
	case "identifiers":
		dst.Identifiers, rej = d.identifiers(dst.Identifiers[:0])
	case "order":
		d.payload.order, rej = d.order()
	case "traits":
		d.payload.traits, rej = d.entries(name, d.payload.traits[:0])
	case "properties":
		d.payload.properties, rej = d.entries(name, d.payload.properties[:0])
	default:
		rej = d.skip()
	}
	return rej
}

func (d *decoder) identifiers(to []interaction.Raw) ([]interaction.Raw, *interaction.Reject) {
	rej := d.array("identifiers", func() *interaction.Reject {
		var id interaction.Raw
		named, valued := false, false
		rej := d.objectAt("identifiers[]", func(name string) (rej *interaction.Reject) {
			switch name {
			case "namespace":
				id.Namespace, rej = d.word("identifiers[].namespace")
				named = id.Namespace != ""
			case "value":
				var s scalar
				s, rej = d.scalar("identifiers[].value")
				id.Value, id.Overlong, valued = s.text, s.kind == isOverlong, true
			case "verified":
				id.Verified, rej = d.boolean("identifiers[].verified")
			default:
				rej = d.skip()
			}
			return rej
		})
		switch {
		case rej != nil:
			return rej
		case !named:
			return missing("identifiers[].namespace")
		case !valued:
			return missing("identifiers[].value")
		}
		to = append(to, id)
		return nil
	})
	return to, rej
}

// order reads an order into its Avro encoding; nil: null.
func (d *decoder) order() ([]byte, *interaction.Reject) {
	if d.null() {
		return nil, nil
	}
	var number, currency, total []byte
	var lines [][]byte
	rej := d.objectAt("order", func(name string) (rej *interaction.Reject) {
		switch name {
		case "order_number":
			number, rej = d.avroText("order.order_number")
		case "currency":
			var s string
			if s, rej = d.word("order.currency"); s != "" || rej != nil {
				currency = appendText(nil, s)
			} else {
				currency = nil
			}
		case "total_amount":
			total, rej = d.amount("order.total_amount")
		case "lines":
			lines = lines[:0]
			rej = d.array("order.lines", func() *interaction.Reject {
				line, rej := d.line()
				lines = append(lines, line)
				return rej
			})
		default:
			rej = d.skip()
		}
		return rej
	})
	switch {
	case rej != nil:
		return nil, rej
	case number == nil:
		return nil, missing("order.order_number")
	}
	b := append([]byte(nil), number...)
	b = appendOption(b, currency)
	b = appendOption(b, total)
	if len(lines) > 0 {
		b = appendLong(b, int64(len(lines)))
		for _, l := range lines {
			b = append(b, l...)
		}
	}
	return append(b, 0), nil
}

func (d *decoder) line() ([]byte, *interaction.Reject) {
	var sku, description, quantity, price []byte
	rej := d.objectAt("order.lines[]", func(name string) (rej *interaction.Reject) {
		switch name {
		case "sku":
			sku, rej = d.avroText("order.lines[].sku")
		case "description":
			description, rej = d.avroText("order.lines[].description")
		case "quantity":
			quantity, rej = d.amount("order.lines[].quantity")
		case "unit_price":
			price, rej = d.amount("order.lines[].unit_price")
		default:
			rej = d.skip()
		}
		return rej
	})
	switch {
	case rej != nil:
		return nil, rej
	case sku == nil:
		return nil, missing("order.lines[].sku")
	}
	b := append(make([]byte, 0, len(sku)+len(description)+len(quantity)+len(price)+3), sku...)
	b = appendOption(b, description)
	b = appendOption(b, quantity)
	return appendOption(b, price), nil
}

// entries reads a map of texts.
func (d *decoder) entries(path string, to []entry) ([]entry, *interaction.Reject) {
	if d.null() {
		return to, nil
	}
	rej := d.objectAt(path, func(name string) *interaction.Reject {
		s, rej := d.scalar(path + "." + shown(name))
		switch {
		case rej != nil:
			return rej
		case s.kind == isOverlong:
			return tooManyDigits(path + "." + shown(name))
		}
		// A null takes part until the last of equal names is known, and goes then.
		to = append(to, entry{name, s.text, s.kind == isNull})
		return nil
	})
	return to, rej
}

func tooManyDigits(path string) *interaction.Reject {
	return wrong(path, "is a number of more than %d digits", MaxNumberDigits)
}

// maxShownName is how much of a name that a source chose stands in a message, in bytes.
const maxShownName = 64

func shown(name string) string {
	if len(name) > maxShownName {
		return strconv.Quote(name[:maxShownName]) + "…"
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// objectAt reads an object where the contract has one.
func (d *decoder) objectAt(path string, member func(name string) *interaction.Reject) *interaction.Reject {
	if d.peek() != '{' {
		return d.mistyped(path, "an object")
	}
	return d.object(member)
}

// array reads an array where the contract has one. Null is an empty one. Rejects of an item name it by [], where its
// place is put in.
func (d *decoder) array(path string, item func() *interaction.Reject) *interaction.Reject {
	if d.null() {
		return nil
	}
	if d.peek() != '[' {
		return d.mistyped(path, "an array")
	}
	return d.items(func(i int) *interaction.Reject {
		rej := item()
		if rej != nil {
			rej.Detail = strings.Replace(rej.Detail, "[]", "["+strconv.Itoa(i)+"]", 1)
		}
		return rej
	})
}

// mistyped rejects the value that comes: as unparsable where it is no JSON at all.
func (d *decoder) mistyped(path, want string) *interaction.Reject {
	if rej := d.skip(); rej != nil {
		return rej
	}
	return wrong(path, "must be %s", want)
}

// word reads a string; null is empty.
func (d *decoder) word(path string) (string, *interaction.Reject) {
	switch d.peek() {
	case '"':
		return d.string()
	case 'n':
		return "", d.literal("null")
	}
	return "", d.mistyped(path, "a string")
}

func (d *decoder) boolean(path string) (bool, *interaction.Reject) {
	switch d.peek() {
	case 't':
		return true, d.literal("true")
	case 'f':
		return false, d.literal("false")
	case 'n':
		return false, d.literal("null")
	}
	return false, d.mistyped(path, "true or false")
}

// scalar is a value that has a text.
type scalar struct {
	text string
	kind kind
}

type kind uint8

const (
	isString kind = iota
	isNumber
	isOverlong // a number of more than MaxNumberDigits digits; text is its literal
	isBool
	isNull
)

// scalar reads a string, or the text of a number, true or false.
func (d *decoder) scalar(path string) (s scalar, rej *interaction.Reject) {
	switch c := d.peek(); {
	case c == '"':
		s.text, rej = d.string()
	case c == '-' || '0' <= c && c <= '9':
		var literal string
		if literal, rej = d.number(); rej != nil {
			return s, rej
		}
		if text, ok := decimalText(literal); ok {
			return scalar{text, isNumber}, nil
		}
		return scalar{literal, isOverlong}, nil
	case c == 't':
		return scalar{"true", isBool}, d.literal("true")
	case c == 'f':
		return scalar{"false", isBool}, d.literal("false")
	case c == 'n':
		return scalar{"", isNull}, d.literal("null")
	default:
		rej = d.mistyped(path, "a string or a number")
	}
	return s, rej
}

// coded reads a string or a number.
func (d *decoder) coded(path string) (scalar, *interaction.Reject) {
	s, rej := d.scalar(path)
	switch {
	case rej != nil:
		return s, rej
	case s.kind == isBool:
		return s, wrong(path, "must be a string or a number")
	case s.kind == isOverlong:
		return s, tooManyDigits(path)
	}
	return s, nil
}

// code reads a string or a number; null is empty.
func (d *decoder) code(path string) (string, *interaction.Reject) {
	s, rej := d.coded(path)
	return s.text, rej
}

// avroText reads a string or a number as an Avro string; nil: null.
func (d *decoder) avroText(path string) ([]byte, *interaction.Reject) {
	s, rej := d.coded(path)
	if rej != nil || s.kind == isNull {
		return nil, rej
	}
	return appendText(nil, s.text), nil
}

// amount reads a number, or a string of one, as Avro bytes of a decimal; nil: null.
func (d *decoder) amount(path string) ([]byte, *interaction.Reject) {
	s, rej := d.coded(path)
	if rej != nil || s.kind == isNull {
		return nil, rej
	}
	text := s.text
	if s.kind == isString {
		literal, ok := wholeNumber(text)
		if !ok {
			return nil, wrong(path, "must be a decimal number such as 12.50")
		}
		if text, ok = decimalText(literal); !ok {
			return nil, tooManyDigits(path)
		}
	}
	unscaled, ok := unscaled(text)
	if !ok {
		return nil, wrong(path, "has more than %d digits before the point or %d behind it", amountDigits-amountScale, amountScale)
	}
	return appendText(nil, unscaled), nil
}

// time reads epoch milliseconds or RFC 3339. False: null.
func (d *decoder) time(path string) (int64, bool, *interaction.Reject) {
	if d.null() {
		return 0, false, nil
	}
	c := d.peek()
	number := c == '-' || '0' <= c && c <= '9'
	s, rej := d.scalar(path)
	if rej != nil {
		if rej.Reason == interaction.ReasonInvalidField {
			rej.Reason = interaction.ReasonBadTime
		}
		return 0, false, rej
	}
	var ms int64
	var err error
	if number {
		ms, err = strconv.ParseInt(s.text, 10, 64)
	} else {
		ms, err = parseTime(s.text)
	}
	if err != nil || ms > MaxTime || ms < -MaxTime {
		return 0, false, &interaction.Reject{Reason: interaction.ReasonBadTime,
			Detail: path + " must be whole milliseconds since 1970, or RFC 3339 such as 2026-01-31T10:30:00Z"}
	}
	return ms, true, nil
}

// parseTime reads RFC 3339 in epoch milliseconds; finer digits are cut. As section 5.6 has it, t and z may be small, and a leap second
// is the one that follows. What time.Parse takes beyond that, a comma or an hour of one digit, is refused.
func parseTime(s string) (int64, error) {
	if len(s) < len("2006-01-02T15:04:05Z") || len(s) > maxTimeChars || s[13] != ':' || s[16] != ':' || s[19] == ',' {
		return 0, errors.New("not RFC 3339")
	}
	s = strings.ToUpper(s)
	leap := s[17:19] == "60"
	if leap {
		s = s[:17] + "59" + s[19:]
	}
	t, err := time.Parse(time.RFC3339, s)
	if leap {
		t = t.Add(time.Second)
	}
	return t.UnixMilli(), err
}
