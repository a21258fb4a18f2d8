package source

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"kinfold/processor/interaction"
)

// native is a value of a tree as encoding/json has it, with numbers as their literals.
func native(t *Tree, n Node) any {
	switch t.Kind(n) {
	case TextNode:
		return t.Text(n)
	case NumberNode:
		return json.Number(t.Text(n))
	case TrueNode, FalseNode:
		return t.Kind(n) == TrueNode
	case ArrayNode:
		list := []any{}
		for c := t.First(n); c != 0; c = t.Next(c) {
			list = append(list, native(t, c))
		}
		return list
	case ObjectNode:
		object := map[string]any{}
		for c := t.First(n); c != 0; c = t.Next(c) {
			object[t.Name(c)] = native(t, t.Member(n, t.Name(c)))
		}
		return object
	}
	return nil
}

// FuzzTree holds the tree against encoding/json: the same texts are JSON, with the same values.
func FuzzTree(f *testing.F) {
	for _, seed := range []string{plainLine, orderLine, "{}", "[]", " 1.50 ", `"\u00e9\ud83d\ude00"`, `{"a":[1,{"b":null},[]],"a":true}`, "[1,]", `{"a" 1}`, "nul",
		strings.Repeat("[", 70), `[[1,2],{"x":{}},"y"] z`} {
		f.Add(seed)
	}
	var tree Tree
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		tree.Reset()
		other := tree.Add(0, "", TextNode, "what stood before")
		root, rej := tree.AddJSON(text)
		if tree.Text(other) != "what stood before" {
			t.Fatal("the tree lost a value")
		}
		if rej != nil {
			if rej.Reason != interaction.ReasonUnparsable || tree.Size() != 1 {
				t.Fatalf("%v, and %d values are left", rej, tree.Size())
			}
			if json.Valid([]byte(text)) && depth([]byte(text)) <= MaxTreeDepth && !strings.Contains(strings.ToLower(text), `\ud`) {
				t.Fatalf("%v, and encoding/json takes it: %q", rej, text)
			}
			return
		}
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil || decoder.More() {
			t.Fatalf("taken, and encoding/json refuses it: %q: %v", text, err)
		}
		if got := native(&tree, root); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
	})
}

func TestATreeTakesNoMoreThanItsBound(t *testing.T) {
	var tree Tree
	text := "[" + strings.Repeat("0,", MaxTreeNodes) + "0]"
	if _, rej := tree.AddJSON(text); rej == nil || rej.Reason != interaction.ReasonTooLarge || tree.Size() != 0 {
		t.Fatalf("%v, and %d values are left", rej, tree.Size())
	}
	if n, rej := tree.AddJSON("[" + strings.Repeat("0,", MaxTreeNodes-2) + "0]"); rej != nil || n == 0 || tree.Size() != MaxTreeNodes {
		t.Fatal(rej, tree.Size())
	}
	if n := tree.Add(0, "", NullNode, ""); n != 0 {
		t.Fatal("one more than the bound")
	}
}

func TestAnItemOrMemberIsWhereItStands(t *testing.T) {
	var tree Tree
	root, rej := tree.AddJSON(`{"a": [10, 20, {"b": "x", "b": "y"}], "c": 5}`)
	if rej != nil {
		t.Fatal(rej)
	}
	a := tree.Member(root, "a")
	if got := tree.Text(tree.Item(a, 1)); got != "20" {
		t.Error(got)
	}
	if got := tree.Text(tree.Member(tree.Item(a, 2), "b")); got != "y" {
		t.Errorf("of a member given twice %q, not the last", got)
	}
	for what, n := range map[string]Node{"an item behind the end": tree.Item(a, 3), "an item of an object": tree.Item(root, 0), "a member of an array": tree.Member(a, "0"),
		"a member of a number": tree.Member(tree.Member(root, "c"), "x"), "a member of nothing": tree.Member(0, "x"), "an item of nothing": tree.Item(0, 0)} {
		if n != 0 {
			t.Errorf("%s is there", what)
		}
	}
}
