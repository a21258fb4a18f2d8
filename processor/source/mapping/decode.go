package mapping

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// format is what a value is written in. It is declared, never guessed.
type format uint8

const (
	formatJSON format = iota
	formatDelimited
	formatForm
	formatCloudEvents
)

var formatNames = []string{"json", "delimited", "form", "cloudevents"}

func (f format) String() string { return formatNames[f] }

// encoding is how bytes are read as text.
type encoding uint8

const (
	encodingUTF8 encoding = iota
	encodingWindows1252
)

var encodingNames = []string{"utf-8", "windows-1252"}

// input is one way in which values of the source are written.
type input struct {
	name      string
	at        *value
	when      *cond
	format    format
	encodings []encoding

	delimiter string
	columns   []column
	trailing  bool // one empty cell more may follow

	unwrap   [][]step
	explodes bool
	explode  []step
}

// column is one cell of a row. Cells that no path of the mapping asks for are counted and not kept.
type column struct {
	name string
	used bool
}

func unparsable(format string, args ...any) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: fmt.Sprintf(format, args...)}
}

// decode turns the value into a tree and returns its root. The reject emptyText: there is no text in it.
func (x *run) decode(in *input) (source.Node, *interaction.Reject) {
	if len(x.rec.Value) > MaxRecordBytes {
		return 0, tooLarge(fmt.Sprintf("%d bytes, more than %d", len(x.rec.Value), MaxRecordBytes))
	}
	if in.format == formatCloudEvents {
		return x.cloudEvent(in)
	}
	text, rej := in.text(x.rec.Value)
	if rej != nil {
		return 0, rej
	}
	switch in.format {
	case formatDelimited:
		return x.row(in, text)
	case formatForm:
		return x.form(text)
	}
	root, rej := x.tree.AddJSON(text)
	if rej == nil && x.tree.Kind(root) < source.ArrayNode {
		return 0, notAnObject
	}
	return root, rej
}

var byteOrderMark = []byte("\uFEFF")

// text reads bytes by the first encoding that decodes all of them. A byte-order mark is dropped.
func (in *input) text(b []byte) (string, *interaction.Reject) {
	for _, e := range in.encodings {
		s, ok := "", false
		switch e {
		case encodingUTF8:
			if ok = utf8.Valid(b); ok {
				s = string(bytes.TrimPrefix(b, byteOrderMark))
			}
		case encodingWindows1252:
			s, ok = fromWindows1252(b)
		}
		if !ok {
			continue
		}
		if strings.TrimSpace(s) == "" {
			return "", emptyText
		}
		return s, nil
	}
	return "", unparsable("not %s", in.encodingList())
}

func (in *input) encodingList() string {
	names := make([]string, len(in.encodings))
	for i, e := range in.encodings {
		names[i] = encodingNames[e]
	}
	return strings.Join(names, " or ")
}

// fromWindows1252 decodes Windows-1252. Five bytes stand for nothing in it.
func fromWindows1252(b []byte) (string, bool) {
	out := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		switch {
		case c < utf8.RuneSelf:
			out = append(out, c)
		case c == 0x81 || c == 0x8D || c == 0x8F || c == 0x90 || c == 0x9D:
			return "", false
		default:
			out = utf8.AppendRune(out, charmap.Windows1252.DecodeByte(c))
		}
	}
	return string(out), true
}

// row reads one row of cells. There is no quoting: a delimiter always delimits, so the number of cells tells a row that has one
// in its text.
func (x *run) row(in *input, text string) (source.Node, *interaction.Reject) {
	text = strings.TrimRight(text, "\r\n")
	if strings.IndexByte(text, '\n') >= 0 {
		return 0, unparsable("more than one row")
	}
	cells := strings.Count(text, in.delimiter) + 1
	if in.trailing && cells == len(in.columns)+1 {
		if last := strings.LastIndex(text, in.delimiter); trim(text[last+len(in.delimiter):]) == "" {
			text, cells = text[:last], cells-1
		}
	}
	if cells != len(in.columns) {
		return 0, unparsable("%d cells, want %d", cells, len(in.columns))
	}
	root := x.tree.Add(0, "", source.ObjectNode, "")
	for i := range in.columns {
		cell, rest, _ := strings.Cut(text, in.delimiter)
		if in.columns[i].used {
			x.tree.Add(root, in.columns[i].name, source.TextNode, cell)
		}
		text = rest
	}
	return root, nil
}

// form reads an application/x-www-form-urlencoded value. Bracketed names nest: data[merges][FNAME].
func (x *run) form(text string) (source.Node, *interaction.Reject) {
	text = strings.TrimRight(text, "\r\n")
	root := x.tree.Add(0, "", source.ObjectNode, "")
	pairs := 0
	for pair := range strings.SplitSeq(text, "&") {
		if pairs++; pairs > MaxFormPairs {
			return 0, tooLarge(fmt.Sprintf("more than %d pairs", MaxFormPairs))
		}
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return 0, unparsable("pair %d has no =", pairs)
		}
		name, ok1 := unescapeForm(name)
		value, ok2 := unescapeForm(value)
		if !ok1 || !ok2 {
			return 0, unparsable("pair %d has a broken %% or is not UTF-8", pairs)
		}
		if rej := x.formPair(root, name, value); rej != nil {
			return 0, rej
		}
	}
	return root, nil
}

// formPair adds a value at its place. Of two values in one place the last counts, as in JSON.
func (x *run) formPair(parent source.Node, name, value string) *interaction.Reject {
	first, rest, _ := strings.Cut(name, "[")
	names := []string{name}
	if rest != "" && first != "" && strings.HasSuffix(rest, "]") {
		if inner := strings.Split(rest[:len(rest)-1], "]["); !strings.ContainsAny(strings.Join(inner, ""), "[]") {
			names = append([]string{first}, inner...)
		}
	}
	if len(names) > MaxFormDepth {
		return unparsable("a name nested deeper than %d", MaxFormDepth)
	}
	for _, n := range names[:len(names)-1] {
		object := x.tree.Member(parent, n)
		if x.tree.Kind(object) != source.ObjectNode {
			object = x.tree.Add(parent, n, source.ObjectNode, "")
		}
		parent = object
	}
	x.tree.Add(parent, names[len(names)-1], source.TextNode, value)
	return nil
}

// unescapeForm decodes + and %XX. False: a % without two hex digits, or what comes out is not UTF-8.
func unescapeForm(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return strings.ReplaceAll(s, "+", " "), true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			high, ok1 := fromHex(s[i+1])
			low, ok2 := fromHex(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			b = append(b, high<<4|low)
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b), utf8.Valid(b)
}

func fromHex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// cloudEvent reads a CloudEvent 1.x. The header content-type says in which mode it came: structured, with the attributes as
// members of a JSON object, or binary, with the attributes in headers and the value as data. Both become one object: the
// attributes by their names, and data.
func (x *run) cloudEvent(in *input) (source.Node, *interaction.Reject) {
	mediaType, _, _ := strings.Cut(x.header("content-type"), ";")
	mediaType = strings.ToLower(trim(mediaType))
	read := x.binary
	switch {
	case mediaType == "application/cloudevents+json":
		read = x.structured
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return 0, unsupported(mediaType)
	case mediaType == "", mediaType == "application/json",
		strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"):
	default:
		return 0, unsupported(mediaType)
	}
	text, rej := in.text(x.rec.Value)
	if rej != nil {
		return 0, rej
	}
	root, rej := read(text)
	if rej != nil {
		return 0, rej
	}
	version, ok := x.textOf(x.tree.Member(root, "specversion"))
	switch {
	case !ok:
		return 0, missingField("specversion")
	case !strings.HasPrefix(version, "1."):
		return 0, invalidField("specversion")
	}
	return root, nil
}

func unsupported(mediaType string) *interaction.Reject {
	if len(mediaType) > MaxNameBytes {
		mediaType = mediaType[:MaxNameBytes] + "…"
	}
	return &interaction.Reject{Reason: interaction.ReasonUnsupportedType, Detail: fmt.Sprintf("content type %q", mediaType)}
}

// structured reads the JSON object of an event. data_base64 is decoded and read as JSON, and becomes data.
func (x *run) structured(text string) (source.Node, *interaction.Reject) {
	root, rej := x.tree.AddJSON(text)
	switch {
	case rej != nil:
		return 0, rej
	case x.tree.Kind(root) != source.ObjectNode:
		return 0, notAnObject
	}
	encoded := x.tree.Member(root, "data_base64")
	if x.tree.Kind(encoded) <= source.NullNode {
		return root, nil
	}
	data, err := base64.StdEncoding.DecodeString(trim(x.tree.Text(encoded)))
	if err != nil || x.tree.Kind(encoded) != source.TextNode || !utf8.Valid(data) {
		return 0, unparsable("data_base64 is no Base64 of a text")
	}
	value, rej := x.tree.AddJSON(string(data))
	if rej != nil {
		return 0, rej
	}
	if x.tree.AddAlias(root, "data", value) == 0 {
		return 0, source.TooManyValues()
	}
	return root, nil
}

// binary makes the object of an event of headers and value.
func (x *run) binary(text string) (source.Node, *interaction.Reject) {
	data, rej := x.tree.AddJSON(text)
	if rej != nil {
		return 0, rej
	}
	root := x.tree.Add(0, "", source.ObjectNode, "")
	for i := range x.rec.Headers {
		h := &x.rec.Headers[i]
		name := strings.ToLower(h.Name)
		switch attribute, found := strings.CutPrefix(name, "ce_"); {
		case !utf8.Valid(h.Value):
		case found && attribute != "data" && attribute != "":
			x.tree.Add(root, attribute, source.TextNode, string(h.Value))
		case name == "content-type":
			x.tree.Add(root, "datacontenttype", source.TextNode, string(h.Value))
		}
	}
	if root == 0 || x.tree.AddAlias(root, "data", data) == 0 {
		return 0, source.TooManyValues()
	}
	return root, nil
}
