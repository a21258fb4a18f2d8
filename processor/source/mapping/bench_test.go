package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kinfold/processor/source"
)

// preset compiles a mapping of schemas/sources.
func preset(t testing.TB, name string) *Mapping {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../schemas/sources", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(name, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// example is a record of a format that becomes interactions and nothing else.
type example struct {
	name, preset string
	rec          Record
}

// examples are those of testdata/examples.jsonl, which the benchmark of the formats (BenchmarkFormats) takes, too.
var examples = readExamples()

func readExamples() (all []example) {
	text, err := os.ReadFile("testdata/examples.jsonl")
	if err != nil {
		panic(err)
	}
	for line := range bytes.Lines(text) {
		var e struct {
			Name, Preset, Topic string
			Key                 *string
			Headers             map[string]string
			Value               string `json:"value_text"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			panic(err)
		}
		rec := Record{Topic: e.Topic, Value: []byte(e.Value)}
		if e.Key != nil {
			rec.Key = []byte(*e.Key)
		}
		for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
			rec.Headers = append(rec.Headers, Header{name, []byte(e.Headers[name])})
		}
		all = append(all, example{e.Name, e.Preset, rec})
	}
	return all
}

func TestApplyMakesInteractionsOfTheExamples(t *testing.T) {
	for _, e := range examples {
		var out Result
		preset(t, e.preset).Apply(&e.rec, &out)
		for i := range out.Items {
			if it := &out.Items[i]; it.Kind != Interaction || it.Interaction.Type == "" {
				t.Errorf("%s: item %d is %s", e.name, i, describe(it))
			}
		}
	}
}

// describe names what an item is.
func describe(it *Item) string {
	switch it.Kind {
	case Reject:
		return fmt.Sprintf("reject %s (%s)", ReasonText(it.Reject), it.Reject.Detail)
	case Ignore:
		return "ignore " + it.Ignore
	case Directive:
		return "directive " + string(it.Directive.Kind)
	}
	return "interaction " + it.Interaction.Type
}

func BenchmarkTree(b *testing.B) {
	var tree source.Tree
	b.ReportAllocs()
	segmentCall := string(examples[0].rec.Value)
	b.SetBytes(int64(len(segmentCall)))
	for b.Loop() {
		tree.Reset()
		if _, rej := tree.AddJSON(segmentCall); rej != nil {
			b.Fatal(rej)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	text, err := os.ReadFile("../../../schemas/sources/shopify.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Compile("shopify", text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
