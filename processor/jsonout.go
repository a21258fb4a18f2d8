package processor

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"kinfold/processor/interaction"
	"kinfold/schemas"
)

// jsonOutputs are the four files of a dry run. Members have the names of the schemas' fields; unions are unwrapped.
type jsonOutputs struct {
	events, changes, idmap, rejects *jsonFile
}

// jsonFile is one file, a JSON object a line.
type jsonFile struct {
	file *os.File
	w    *bufio.Writer
	buf  []byte
}

// openJSONOutputs creates the files, unless the input, of which it looks at the file, is one of them.
func openJSONOutputs(dir string, input io.Reader) (o jsonOutputs, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return o, fmt.Errorf("make the output directory: %w", err)
	}
	outputs := []struct {
		name string
		to   **jsonFile
	}{{dryRunEvents, &o.events}, {dryRunChanges, &o.changes}, {dryRunMap, &o.idmap}, {dryRunRejects, &o.rejects}}
	for _, f := range outputs {
		if isFile(input, filepath.Join(dir, f.name)) {
			return o, fmt.Errorf("the input is %s of the output directory %s, which would be replaced: give another --output-dir", f.name, dir)
		}
	}
	for _, f := range outputs {
		file, e := os.Create(filepath.Join(dir, f.name))
		if e != nil {
			err = errors.Join(err, fmt.Errorf("create an output file: %w", e))
			continue
		}
		*f.to = &jsonFile{file: file, w: bufio.NewWriterSize(file, 1<<20)}
	}
	return o, err
}

// isFile reports whether r reads the file at path.
func isFile(r io.Reader, path string) bool {
	f, ok := r.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	read, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(read, there)
}

func (o *jsonOutputs) close() error {
	var errs []error
	for _, f := range []*jsonFile{o.events, o.changes, o.idmap, o.rejects} {
		if err := errors.Join(f.w.Flush(), f.file.Close()); err != nil {
			errs = append(errs, fmt.Errorf("write %s: %w", f.file.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// outcome writes the changes and map rows of an outcome, and its event.
func (o *jsonOutputs) outcome(from *outcome) error {
	for i := range from.changes {
		if err := o.change(&from.changes[i]); err != nil {
			return err
		}
	}
	for i := range from.mapRows {
		if err := o.mapRow(&from.mapRows[i]); err != nil {
			return err
		}
	}
	if from.verdict == verdictEvent {
		return o.event(&from.unified)
	}
	return nil
}

// The builders below begin a member with its name; the first one opens the object.

func (f *jsonFile) begin() *jsonFile {
	f.buf = append(f.buf[:0], '{')
	return f
}

func (f *jsonFile) name(name string) *jsonFile {
	if len(f.buf) > 1 {
		f.buf = append(f.buf, ',')
	}
	f.buf = append(f.buf, '"')
	f.buf = append(f.buf, name...)
	f.buf = append(f.buf, '"', ':')
	return f
}

func (f *jsonFile) raw(s string) *jsonFile {
	f.buf = append(f.buf, s...)
	return f
}

func (f *jsonFile) text(name, value string) *jsonFile {
	f.name(name)
	f.buf = schemas.AppendJSONString(f.buf, value)
	return f
}

// textOrNull writes null where there is none.
func (f *jsonFile) textOrNull(name, value string, present bool) *jsonFile {
	if present {
		return f.text(name, value)
	}
	return f.name(name).raw("null")
}

func (f *jsonFile) number(name string, value int64) *jsonFile {
	f.name(name)
	f.buf = strconv.AppendInt(f.buf, value, 10)
	return f
}

func (f *jsonFile) flag(name string, value bool) *jsonFile {
	f.name(name)
	f.buf = strconv.AppendBool(f.buf, value)
	return f
}

func texts[T ~string](f *jsonFile, name string, values []T) {
	f.name(name)
	f.buf = append(f.buf, '[')
	for i, v := range values {
		if i > 0 {
			f.buf = append(f.buf, ',')
		}
		f.buf = schemas.AppendJSONString(f.buf, string(v))
	}
	f.buf = append(f.buf, ']')
}

func (f *jsonFile) end() error {
	f.buf = append(f.buf, '}', '\n')
	_, err := f.w.Write(f.buf)
	return err
}

func (o *jsonOutputs) event(u *interaction.Unified) (err error) {
	k, f := u.Keyed, o.events.begin()
	f.text("event_id", k.ID.String()).text("realm", k.Realm)
	f.textOrNull("customer_id", string(u.CustomerID), !u.CustomerID.IsZero()).number("customer_version", u.CustomerVersion)
	f.text("identity_status", string(u.IdentityStatus)).flag("ambiguous", u.Ambiguous)
	texts(f, "merged_customer_ids", u.MergedCustomerIDs)
	f.text("source", k.Source).text("source_event_id", k.SourceEventID).text("channel", k.Channel).text("type", k.Type)
	f.text("store_code", k.StoreCode).textOrNull("user_id", k.UserID, k.HasUserID)
	f.number("occurred_at", k.OccurredAt).number("received_at", k.ReceivedAt)
	f.name("identifiers").raw("[")
	for i := range u.Identifiers {
		id := &u.Identifiers[i]
		if i > 0 {
			f.buf = append(f.buf, ',')
		}
		f.raw(`{"namespace":`)
		f.buf = schemas.AppendJSONString(f.buf, id.Namespace)
		f.text("value", id.Value).flag("verified", id.Verified).text("outcome", id.Outcome.String())
		f.raw("}")
	}
	f.raw("]")
	origin(f, k.Origin)
	f.text("rules_version", u.RulesVersion)
	f.raw(",")
	if f.buf, err = schemas.AppendPayloadJSON(f.buf, k.Payload); err != nil {
		return err
	}
	return f.end()
}

func origin(f *jsonFile, o interaction.Origin) {
	f.name("origin").raw(`{"topic":`)
	f.buf = schemas.AppendJSONString(f.buf, o.Topic)
	f.number("partition", int64(o.Partition)).number("offset", o.Offset).raw("}")
}

func (o *jsonOutputs) change(c *interaction.Change) error {
	f := o.changes.begin()
	f.text("realm", c.Realm).text("customer_id", string(c.CustomerID)).number("customer_version", c.Version).text("kind", string(c.Kind))
	texts(f, "identifiers_added", c.Added)
	texts(f, "identifiers_removed", c.Removed)
	texts(f, "identifiers_removed_hmac", c.RemovedHMAC)
	texts(f, "identifiers_left", c.Left)
	texts(f, "merged_customer_ids", c.MergedCustomerIDs)
	texts(f, "split_customer_ids", c.SplitCustomerIDs)
	f.text("rule", string(c.Rule)).text("source", c.Source).text("event_id", c.SourceEventID).textOrNull("directive_id", c.DirectiveID, c.DirectiveID != "")
	f.text("topic", c.Origin.Topic).number("partition", int64(c.Origin.Partition)).number("offset", c.Origin.Offset)
	return f.end()
}

func (o *jsonOutputs) mapRow(m *interaction.MapRow) error {
	f := o.idmap.begin().text("key", m.Key)
	f.textOrNull("customer_id", string(m.CustomerID), !m.CustomerID.IsZero())
	if !m.CustomerID.IsZero() {
		f.number("version", m.Version).text("status", string(m.Status))
	}
	return f.end()
}

// reject keeps the bytes of the line: as text where it is UTF-8, else in Base64, too.
func (o *jsonOutputs) reject(number int, line []byte, r *interaction.Reject) error {
	f := o.rejects.begin().text("reason", string(r.Reason)).text("detail", r.Detail)
	f.number("line_number", int64(number)).text("line", string(line))
	if !utf8.Valid(line) {
		f.text("line_base64", base64.StdEncoding.EncodeToString(line))
	}
	return f.end()
}
