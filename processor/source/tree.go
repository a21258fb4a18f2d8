package source

import (
	"fmt"

	"kinfold/processor/interaction"
)

// MaxTreeNodes is how many values a tree holds at most, those of text within text included. A value takes some sixty bytes,
// however few it takes in the record, so this bounds the memory that a record can ask for.
const MaxTreeNodes = 250_000

// NodeKind says what a value of a tree is.
type NodeKind uint8

// The kinds of value. Absent is the kind of node 0: where a path leads nowhere.
const (
	AbsentNode NodeKind = iota
	NullNode
	FalseNode
	TrueNode
	NumberNode
	TextNode
	ArrayNode
	ObjectNode
)

// Node names a value of a Tree; 0 is none.
type Node int32

// node is one value. Children are linked in both directions: forward is the order of the record, backward finds the last of
// several members with one name, which is the one that counts.
type node struct {
	text                    string // of a text; of a number: its literal
	name                    string // of a member of an object
	first, last, next, prev Node
	kind                    NodeKind
}

// Tree is a decoded record, whatever it was written in: the values that a mapping walks. JSON fills it through AddJSON, any
// other decoder through Add. Numbers keep their literal, so that none loses a digit, decimals of a binary format too; its times
// come as text. A Tree is for one goroutine and is used again after Reset; its strings are those of the record.
type Tree struct {
	nodes []node
}

// keptNodes is the capacity above which Reset gives memory back: one huge record should not cost it for ever.
const keptNodes = 1 << 14

// Reset empties the tree.
func (t *Tree) Reset() {
	if cap(t.nodes) > keptNodes {
		t.nodes = nil
	}
	if t.nodes == nil {
		t.nodes = make([]node, 1, 256)
		return
	}
	t.nodes = t.nodes[:1]
}

// Add appends a value as the last child of an object (with its name) or of an array; parent 0 makes a root. text is that of a
// text or a number. It returns 0 when the tree is full, which the caller rejects with TooManyValues.
func (t *Tree) Add(parent Node, name string, kind NodeKind, text string) Node {
	if len(t.nodes) == 0 {
		t.Reset()
	}
	if len(t.nodes) > MaxTreeNodes {
		return 0
	}
	n := Node(len(t.nodes))
	t.nodes = append(t.nodes, node{text: text, name: name, kind: kind})
	if parent != 0 {
		t.link(parent, n)
	}
	return n
}

// AddAlias appends a value that stands elsewhere in the tree under another name. They share their children.
func (t *Tree) AddAlias(parent Node, name string, of Node) Node {
	n := t.Add(parent, name, t.nodes[of].kind, t.nodes[of].text)
	if n != 0 {
		t.nodes[n].first, t.nodes[n].last = t.nodes[of].first, t.nodes[of].last
	}
	return n
}

func (t *Tree) link(parent, n Node) {
	p := &t.nodes[parent]
	if p.last == 0 {
		p.first = n
	} else {
		t.nodes[p.last].next = n
		t.nodes[n].prev = p.last
	}
	p.last = n
}

// TooManyValues is the reject of a record that does not fit into a tree.
func TooManyValues() *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonTooLarge, Detail: fmt.Sprintf("more than %d values", MaxTreeNodes)}
}

// Kind returns what n is.
func (t *Tree) Kind(n Node) NodeKind {
	if n == 0 {
		return AbsentNode
	}
	return t.nodes[n].kind
}

// Text returns a text as it is, or the literal of a number; empty for everything else.
func (t *Tree) Text(n Node) string { return t.nodes[n].text }

// Name returns the name of a member.
func (t *Tree) Name(n Node) string { return t.nodes[n].name }

// First returns the first child; 0: none.
func (t *Tree) First(n Node) Node { return t.nodes[n].first }

// Next returns the child behind n; 0: none.
func (t *Tree) Next(n Node) Node { return t.nodes[n].next }

// Member returns the member of an object; of several with one name the last. 0: none, or n is no object.
func (t *Tree) Member(n Node, name string) Node {
	if n == 0 || t.nodes[n].kind != ObjectNode {
		return 0
	}
	for c := t.nodes[n].last; c != 0; c = t.nodes[c].prev {
		if t.nodes[c].name == name {
			return c
		}
	}
	return 0
}

// Item returns the item of an array, from 0. 0: none, or n is no array.
func (t *Tree) Item(n Node, i int) Node {
	if n == 0 || t.nodes[n].kind != ArrayNode {
		return 0
	}
	c := t.nodes[n].first
	for ; c != 0 && i > 0; i-- {
		c = t.nodes[c].next
	}
	return c
}

// Size returns how many values the tree holds.
func (t *Tree) Size() int { return max(len(t.nodes)-1, 0) }

// AddJSON reads a JSON text (RFC 8259) and appends its value as a root; it rejects as unparsable what is none, or is nested
// deeper than MaxTreeDepth. text must be UTF-8. After a reject the tree is as it was before.
func (t *Tree) AddJSON(text string) (Node, *interaction.Reject) {
	if len(t.nodes) == 0 {
		t.Reset()
	}
	before := len(t.nodes)
	r := treeReader{reader: reader{text: text}, tree: t}
	root, rej := r.document()
	if rej != nil {
		clear(t.nodes[before:])
		t.nodes = t.nodes[:before]
		return 0, rej
	}
	return root, nil
}

// MaxTreeDepth is how deep the values of a tree may be nested; deeper is unparsable. Envelopes of real sources have ten levels.
const MaxTreeDepth = 64

// treeReader reads one JSON text into a tree. It keeps its own stack, so that no text makes it recurse.
type treeReader struct {
	reader
	tree *Tree
	open [MaxTreeDepth]Node
}

func (r *treeReader) document() (Node, *interaction.Reject) {
	r.space()
	root, rej := r.values()
	if rej != nil {
		return 0, rej
	}
	r.space()
	if r.at < len(r.text) {
		return 0, r.unparsable("something follows the value")
	}
	return root, nil
}

// values reads a value and everything in it.
func (r *treeReader) values() (root Node, _ *interaction.Reject) {
	parent, depth, name := Node(0), 0, ""
	for {
		n, rej := r.one(parent, name)
		if rej != nil {
			return 0, rej
		}
		if root == 0 {
			root = n
		}
		// Into an object or array that is not empty: its first value comes next.
		if kind := r.tree.nodes[n].kind; kind >= ArrayNode {
			closing := byte(']')
			if kind == ObjectNode {
				closing = '}'
			}
			if depth == MaxTreeDepth {
				return 0, r.unparsable(fmt.Sprintf("nested deeper than %d", MaxTreeDepth))
			}
			if r.at++; r.skipTo(closing) {
				r.at++
			} else {
				r.open[depth] = n
				depth++
				if name, rej = r.memberName(n); rej != nil {
					return 0, rej
				}
				parent = n
				continue
			}
		}
		// Behind a value: a comma, or the ends of what is open.
		for {
			if depth == 0 {
				return root, nil
			}
			parent = r.open[depth-1]
			more, rej := r.after(parent)
			if rej != nil {
				return 0, rej
			}
			if more {
				break
			}
			depth--
		}
		if name, rej = r.memberName(parent); rej != nil {
			return 0, rej
		}
	}
}

// skipTo skips space and reports whether c comes.
func (r *treeReader) skipTo(c byte) bool {
	r.space()
	return r.peek() == c
}

// memberName reads a name and its colon if parent is an object.
func (r *treeReader) memberName(parent Node) (string, *interaction.Reject) {
	if r.tree.nodes[parent].kind == ArrayNode {
		return "", nil
	}
	if r.peek() != '"' {
		return "", r.unparsable("the name of a member expected")
	}
	name, rej := r.string()
	if rej != nil {
		return "", rej
	}
	if !r.skipTo(':') {
		return "", r.unparsable("a colon expected")
	}
	r.at++
	r.space()
	return name, nil
}

// after reads what stands behind a value: a comma, or the closing bracket of parent.
func (r *treeReader) after(parent Node) (more bool, _ *interaction.Reject) {
	closing := byte(']')
	if r.tree.nodes[parent].kind == ObjectNode {
		closing = '}'
	}
	r.space()
	switch r.peek() {
	case ',':
		r.at++
		r.space()
		return true, nil
	case closing:
		r.at++
		return false, nil
	}
	return false, r.unparsable("a comma or " + string(rune(closing)) + " expected")
}

// one reads a scalar, or stops at the bracket of an object or array.
func (r *treeReader) one(parent Node, name string) (Node, *interaction.Reject) {
	kind, text := NullNode, ""
	var rej *interaction.Reject
	switch c := r.peek(); {
	case c == '"':
		kind = TextNode
		text, rej = r.string()
	case c == '{':
		kind = ObjectNode
	case c == '[':
		kind = ArrayNode
	case c == '-' || '0' <= c && c <= '9':
		kind = NumberNode
		text, rej = r.number()
	case c == 't':
		kind, rej = TrueNode, r.literal("true")
	case c == 'f':
		kind, rej = FalseNode, r.literal("false")
	default:
		rej = r.literal("null")
	}
	if rej != nil {
		return 0, rej
	}
	n := r.tree.Add(parent, name, kind, text)
	if n == 0 {
		return 0, TooManyValues()
	}
	return n, nil
}
