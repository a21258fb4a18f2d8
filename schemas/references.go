package schemas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// maxReferences bounds the schemas that one schema may refer to, itself or through others.
const maxReferences = 100

// definition is a schema as a registry holds it.
type definition struct {
	text string
	kind sr.SchemaType
	refs []reference
}

// reference is what a schema says of another that it takes types from.
type reference struct {
	name  string // what it calls it
	place string // where the other is: version 4 of subject clientes
	fetch func(context.Context) (definition, error)
}

// inlined puts the schemas that a schema refers to, itself or through others, in the place of the first use of their names: the
// Avro library takes one text.
func inlined(ctx context.Context, d definition) (string, error) {
	if len(d.refs) == 0 {
		return d.text, nil
	}
	refs := references{named: map[string]any{}, seen: map[string]bool{}, bytes: len(d.text)}
	if err := refs.gather(ctx, d.refs); err != nil {
		return "", err
	}
	var parsed any
	if err := json.Unmarshal([]byte(d.text), &parsed); err != nil {
		return "", fmt.Errorf("it is no JSON: %w", err)
	}
	text, err := json.Marshal(inline(parsed, "", refs.named))
	return string(text), err
}

// references gathers the schemas that one refers to, each once.
type references struct {
	named map[string]any  // definitions by full name
	seen  map[string]bool // by place
	bytes int             // of schema text so far
}

func (g *references) gather(ctx context.Context, refs []reference) error {
	for _, ref := range refs {
		if g.seen[ref.place] {
			continue
		}
		g.seen[ref.place] = true
		if len(g.seen) > maxReferences {
			return fmt.Errorf("it refers to more than %d schemas", maxReferences)
		}
		referred, err := ref.fetch(ctx)
		if errors.Is(err, errUnknownSchema) {
			return fmt.Errorf("it refers to %s, which does not exist", ref.place)
		}
		if err != nil {
			return unreachable(ctx, err)
		}
		if g.bytes += len(referred.text); g.bytes > maxSchemaBytes {
			return fmt.Errorf("with the schemas that it refers to it has more than %d bytes", maxSchemaBytes)
		}
		var parsed any
		if err := json.Unmarshal([]byte(referred.text), &parsed); err != nil {
			return fmt.Errorf("%s is no JSON: %w", ref.place, err)
		}
		g.named[definedName(parsed, ref.name)] = parsed
		if err := g.gather(ctx, referred.refs); err != nil {
			return err
		}
	}
	return nil
}

// definedName is the full name of the type that a schema defines: what others call it by, whatever the reference is called.
func definedName(schema any, reference string) string {
	m, _ := schema.(map[string]any)
	name, _ := m["name"].(string)
	namespace, _ := m["namespace"].(string)
	if name == "" {
		return reference
	}
	return fullName(name, namespace)
}

// inline replaces the first use of each name, in the order of the text; later uses find it defined.
func inline(node any, namespace string, named map[string]any) any {
	switch n := node.(type) {
	case string:
		for _, name := range []string{fullName(n, namespace), n} {
			if definition, ok := named[name]; ok {
				delete(named, name)
				return inline(definition, namespace, named)
			}
		}
	case []any:
		for i := range n {
			n[i] = inline(n[i], namespace, named)
		}
	case map[string]any:
		if ns, ok := n["namespace"].(string); ok {
			namespace = ns
		}
		if name, ok := n["name"].(string); ok {
			if i := strings.LastIndexByte(name, '.'); i >= 0 {
				namespace = name[:i]
			}
		}
		for _, key := range []string{"type", "items", "values", "fields"} {
			if child, ok := n[key]; ok {
				n[key] = inline(child, namespace, named)
			}
		}
	}
	return node
}
