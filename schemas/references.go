package schemas

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// maxReferences bounds the schemas that one schema may refer to, itself or through others.
const maxReferences = 100

// inlined puts the schemas that a schema refers to, itself or through others, in the place of the first use of their names: the
// Avro library takes one text.
func (r *Registry) inlined(ctx context.Context, s sr.Schema) (string, error) {
	if len(s.References) == 0 {
		return s.Schema, nil
	}
	refs := references{registry: r, named: map[string]any{}, seen: map[version]bool{}, bytes: len(s.Schema)}
	if err := refs.gather(ctx, s.References); err != nil {
		return "", err
	}
	var parsed any
	if err := json.Unmarshal([]byte(s.Schema), &parsed); err != nil {
		return "", fmt.Errorf("it is no JSON: %w", err)
	}
	text, err := json.Marshal(inline(parsed, "", refs.named))
	return string(text), err
}

// references gathers the schemas that one refers to, each once.
type references struct {
	registry *Registry
	named    map[string]any // definitions by full name
	seen     map[version]bool
	bytes    int // of schema text so far
}

type version struct {
	subject string
	version int
}

func (g *references) gather(ctx context.Context, refs []sr.SchemaReference) error {
	for _, ref := range refs {
		v := version{ref.Subject, ref.Version}
		if g.seen[v] {
			continue
		}
		g.seen[v] = true
		if len(g.seen) > maxReferences {
			return fmt.Errorf("it refers to more than %d schemas", maxReferences)
		}
		referred, err := g.registry.cl.SchemaByVersion(ctx, ref.Subject, ref.Version)
		if notFound(err) {
			return fmt.Errorf("it refers to version %d of subject %s, which does not exist", ref.Version, ref.Subject)
		}
		if err != nil {
			return unreachable(ctx, err)
		}
		if g.bytes += len(referred.Schema.Schema); g.bytes > maxSchemaBytes {
			return fmt.Errorf("with the schemas that it refers to it has more than %d bytes", maxSchemaBytes)
		}
		var parsed any
		if err := json.Unmarshal([]byte(referred.Schema.Schema), &parsed); err != nil {
			return fmt.Errorf("version %d of subject %s is no JSON: %w", ref.Version, ref.Subject, err)
		}
		g.named[definedName(parsed, ref.Name)] = parsed
		if err := g.gather(ctx, referred.Schema.References); err != nil {
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
