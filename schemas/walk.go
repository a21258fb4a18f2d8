package schemas

import (
	"encoding/json"
	"errors"

	"kinfold/processor/interaction"
)

// layout is what of a schema makes the bytes. The Avro library sees neither logical types, on which it may panic and whose
// patterns it keeps for all goroutines alike, nor defaults and documentation, which say nothing about a record that is written.
func layout(schema string) (string, error) {
	var v any
	if err := json.Unmarshal([]byte(schema), &v); err != nil {
		return "", err
	}
	text, err := json.Marshal(stripped(v))
	return string(text), err
}

func stripped(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = stripped(v[i])
		}
	case map[string]any:
		for key, value := range v {
			switch key {
			case "type", "items", "values", "fields":
				v[key] = stripped(value)
			case "name", "namespace", "symbols", "size":
			default:
				delete(v, key)
			}
		}
	}
	return v
}

// walk checks a record against its schema within our bounds, before the Avro library makes values of it.
func (r *Reader) walk(body []byte) *interaction.Reject {
	w := walker{cursor: cursor{in: string(body)}, left: maxValues}
	for _, f := range r.schema.fields {
		w.field = f.name
		w.value(f.node)
	}
	switch {
	case errors.Is(w.err, errTooMany):
		return &interaction.Reject{Reason: interaction.ReasonInvalidField, Detail: w.err.Error()}
	case w.err != nil:
		return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "not a record of its writer's schema: " + w.err.Error()}
	case w.pos < len(body):
		return leftover(len(body)-w.pos, len(body))
	}
	return nil
}

// walker reads a value of any schema and counts what it is made of.
type walker struct {
	cursor
	left int // how many values more there may be
}

// value reads one value. Schemas do not refer to themselves, so the recursion ends with the schema.
func (w *walker) value(n *schemaNode) {
	if w.err != nil {
		return
	}
	if w.left--; w.left < 0 {
		w.fail(errTooMany)
		return
	}
	switch n.kind {
	case "boolean":
		w.boolean()
	case "int":
		w.int()
	case "long":
		w.long()
	case "float":
		w.fixed(4)
	case "double":
		w.fixed(8)
	case "bytes", "string":
		w.bytes()
	case "fixed":
		w.fixed(n.size)
	case "enum":
		w.index(len(n.symbols))
	case "union":
		if i := w.index(len(n.branches)); w.err == nil {
			w.value(n.branches[i])
		}
	case "array":
		w.items(func() { w.value(n.items) })
	case "map":
		w.items(func() {
			w.bytes()
			w.value(n.items)
		})
	case "record":
		for _, f := range n.fields {
			w.value(f.node)
		}
	}
}

// index reads the number of a symbol or a branch.
func (c *cursor) index(n int) int {
	i := c.long()
	if i < 0 || i >= int64(n) {
		c.fail(errBranch)
		return 0
	}
	return int(i)
}

// items reads an array or a map. An item takes a byte at least: more items than bytes is a lie that need not be followed.
func (w *walker) items(item func()) {
	w.blocks(len(w.in)-w.pos, item)
}
