package schemas

import (
	"encoding/json"
	"testing"

	"github.com/linkedin/goavro/v2"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// foreignVisit is the interaction of the other benchmarks, written with a schema that has one more field, and that schema.
func foreignVisit(b *testing.B) (schema string, body []byte) {
	var s map[string]any
	if err := json.Unmarshal([]byte(interactionSchema), &s); err != nil {
		b.Fatal(err)
	}
	s["fields"] = append([]any{map[string]any{"name": "caja", "type": "int"}}, s["fields"].([]any)...)
	text, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	return string(text), append([]byte{14}, visitBody()...)
}

// BenchmarkForeignAvro reads one record of a foreign schema: into a tree for a mapping, and through the Avro library into an
// interaction.
func BenchmarkForeignAvro(b *testing.B) {
	schema, body := foreignVisit(b)
	r := readerOf(b, schema)
	measure := func(name string, run func() *interaction.Reject) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if reject := run(); reject != nil {
					b.Fatal(reject)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	var tree source.Tree
	measure("tree", func() *interaction.Reject {
		tree.Reset()
		_, reject := r.Tree(body, &tree)
		return reject
	})
	var in interaction.Interaction
	measure("projection", func() *interaction.Reject { return r.Interaction(body, &in) })
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		b.Fatal(err)
	}
	measure("goavro", func() *interaction.Reject {
		if _, _, err := codec.NativeFromBinary(body); err != nil {
			b.Fatal(err)
		}
		return nil
	})
	text := shown(&tree, func() source.Node { tree.Reset(); n, _ := r.Tree(body, &tree); return n }())
	measure("the same as JSON", func() *interaction.Reject {
		tree.Reset()
		_, reject := tree.AddJSON(text)
		return reject
	})
}
