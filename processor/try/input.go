package try

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"kinfold/processor/lines"
	"kinfold/processor/source/mapping"
)

// Record is a record to be tried.
type Record struct {
	mapping.Record
	// Place says where it comes from: "line 3", "partition 1 offset 7".
	Place string
}

// Records hands out records, and io.EOF behind the last. A *BrokenLine stands for a record that cannot be read; more may follow.
type Records interface {
	Next() (*Record, error)
	// Idle reports that the next record may have to be waited for.
	Idle() bool
}

// BrokenLine is a line of the input that is no record.
type BrokenLine struct {
	Line    int
	Problem string
}

func (b *BrokenLine) Error() string {
	return fmt.Sprintf("line %d is no record: %s", b.Line, b.Problem)
}

// maxLine bounds a line in bytes: a value of the greatest size that a mapping takes fits, in Base64 or with many escapes.
const maxLine = 3 * mapping.MaxRecordBytes

// Lines reads records from a file, one JSON object a line, with the members topic, key, headers, timestamp, and value_text or
// value_base64. It holds one line in memory.
type Lines struct{ r *lines.Reader }

// NewLines returns the records of a file.
func NewLines(r io.Reader) *Lines { return &Lines{lines.NewReader(r, maxLine)} }

// Idle implements Records.
func (l *Lines) Idle() bool { return l.r.Idle() }

// Next implements Records. Blank lines are passed over.
func (l *Lines) Next() (*Record, error) {
	line, err := l.r.Next()
	if err != nil {
		return nil, err
	}
	if line.Cut {
		return nil, &BrokenLine{line.Number, fmt.Sprintf("it is longer than %d bytes", maxLine)}
	}
	text := line.Text
	if line.Number == 1 {
		text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	}
	rec, problem := parseRecord(text)
	if problem != "" {
		return nil, &BrokenLine{line.Number, problem}
	}
	rec.Place = fmt.Sprintf("line %d", line.Number)
	return rec, nil
}

// lineFormat is what a line looks like, for those whose line does not.
const lineFormat = `want {"topic": "…", "key": "…", "headers": {}, "timestamp": 1772445600000, "value_text": "…"}`

// parseRecord reads a line. The problem never holds a value.
func parseRecord(line []byte) (rec *Record, problem string) {
	if !utf8.Valid(line) {
		return nil, "it is not UTF-8; a value of other bytes goes into value_base64"
	}
	var m struct {
		Topic     string          `json:"topic"`
		Key       *string         `json:"key"`
		Headers   json.RawMessage `json:"headers"`
		Timestamp int64           `json:"timestamp"`
		Text      json.RawMessage `json:"value_text"`
		Base64    json.RawMessage `json:"value_base64"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, describeJSON(err)
	}
	rec = &Record{Record: mapping.Record{Topic: m.Topic, Timestamp: m.Timestamp}}
	if m.Key != nil {
		rec.Key = []byte(*m.Key)
	}
	if rec.Headers, problem = parseHeaders(m.Headers); problem != "" {
		return nil, problem
	}
	rec.Value, problem = parseValue(m.Text, m.Base64)
	return rec, problem
}

// describeJSON is the message of the library, without what the line holds.
func describeJSON(err error) string {
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) && typed.Field != "" {
		return fmt.Sprintf("the member %s is of another type; %s", typed.Field, lineFormat)
	}
	if errors.As(err, &typed) {
		return "it is no JSON object; " + lineFormat
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("no valid JSON at byte %d; %s", syntax.Offset, lineFormat)
	}
	return "no valid JSON; " + lineFormat
}

// parseHeaders reads an object of texts and keeps its order: of two names that differ in case only the last counts.
func parseHeaders(raw json.RawMessage) (headers []mapping.Header, problem string) {
	if raw == nil || string(raw) == "null" {
		return nil, ""
	}
	const want = "headers has to be an object of texts"
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, want
	}
	for d.More() {
		name, _ := d.Token()
		value, err := d.Token()
		switch v := value.(type) {
		case string:
			headers = append(headers, mapping.Header{Name: name.(string), Value: []byte(v)})
		case nil:
			if err != nil {
				return nil, want
			}
			headers = append(headers, mapping.Header{Name: name.(string)})
		default:
			return nil, want
		}
	}
	return headers, ""
}

// parseValue reads the one of the two members that is there. A null is a tombstone.
func parseValue(text, b64 json.RawMessage) (value []byte, problem string) {
	switch {
	case text != nil && b64 != nil:
		return nil, "it has both value_text and value_base64"
	case text == nil && b64 == nil:
		return nil, "it has no value_text and no value_base64; " + lineFormat
	}
	name, raw := "value_text", text
	if text == nil {
		name, raw = "value_base64", b64
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, name + " is no text: write the value as a JSON string"
	}
	if s == nil {
		return nil, ""
	}
	if text != nil {
		return append([]byte{}, *s...), ""
	}
	value, err := base64.StdEncoding.DecodeString(*s)
	if err != nil {
		return nil, "value_base64 is no Base64"
	}
	if value == nil {
		value = []byte{}
	}
	return value, ""
}
