package mapping

import (
	"strconv"
	"unicode/utf8"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// run is the work on one record. It lives in a Result and is used again for the next.
type run struct {
	m    *Mapping
	rec  *Record
	out  *Result
	tree source.Tree

	input   string // name of the input that holds
	root    source.Node
	element source.Node
	index   int
	// item and itemName are those of the each or lines that is gone through.
	item, itemName source.Node

	// slots remember where paths lead: the node plus one, 0 not yet known. Those of the record come first.
	slots    []source.Node
	letFacts []letFacts

	// Facts about the evaluation of a field.
	stated   bool  // false: the value came from the timestamp of the record
	overlong bool  // a text was too long
	from     *expr // what filled it

	crowded   bool // the tree is full: what is absent may be there
	output    int  // bytes that the record made or had searched: see MaxOutputBytes
	keyBuffer []byte
	payload   []byte
	traits    []source.Entry
	props     []source.Entry
	order     source.Order
	trace     *Trace // of the item under way; nil: none is asked for
}

func (x *run) begin(m *Mapping, rec *Record, out *Result) {
	x.m, x.rec, x.out = m, rec, out
	out.Items = out.Items[:0]
	if cap(x.slots) < len(m.slots) {
		x.slots = make([]source.Node, len(m.slots))
	}
	x.slots = x.slots[:len(m.slots)]
	clear(x.slots)
	if len(x.letFacts) < len(m.lets) {
		x.letFacts = make([]letFacts, len(m.lets))
	}
	x.input, x.root, x.element, x.item, x.itemName, x.index = "", 0, 0, 0, 0, 0
	x.output, x.crowded, x.trace, x.from = 0, false, nil, nil
}

// letFacts is what the evaluation of a value of let found out beside the value.
type letFacts struct {
	clock    bool // it came from the timestamp of the record
	overlong bool // it was too long
}

// newNode appends a value of our own to the tree.
func (x *run) newNode(kind source.NodeKind, text string) source.Node {
	n := x.tree.Add(0, "", kind, text)
	x.crowded = x.crowded || n == 0
	return n
}

// newJSON appends what a text holds; broken JSON is absent.
func (x *run) newJSON(text string) source.Node {
	n, rej := x.tree.AddJSON(text)
	if rej != nil {
		x.crowded = x.crowded || rej.Reason == interaction.ReasonTooLarge
		return 0
	}
	return n
}

// add makes room for an item. What an earlier record left in it is kept only as far as it can be used again.
func (x *run) add(kind ItemKind, index int) *Item {
	items := x.out.Items
	if len(items) < cap(items) {
		items = items[:len(items)+1]
	} else {
		items = append(items, Item{})
	}
	it := &items[len(items)-1]
	identifiers := it.Interaction.Identifiers[:0]
	*it = Item{Kind: kind, Index: index, Trace: x.trace}
	it.Interaction.Identifiers = identifiers
	x.out.Items = items
	return it
}

func (x *run) ignore(index int, reason string) { x.add(Ignore, index).Ignore = reason }

func (x *run) reject(index int, rej *interaction.Reject) { x.add(Reject, index).Reject = rej }

// choose returns the first input whose condition holds; nil: none.
func (x *run) choose() *input {
	for _, in := range x.m.inputs {
		if in.when == nil || x.holds(in.when) {
			x.input = in.name
			if x.out.Trace {
				x.trace = newTrace(nil, x.input)
			}
			return in
		}
	}
	x.unwanted()
	return nil
}

// elements opens the envelope and goes through the elements.
func (x *run) elements(in *input, root source.Node) {
	for i := range in.unwrap {
		if n := x.walk(root, in.unwrap[i]); x.tree.Kind(n) >= source.ArrayNode {
			root = n
			break
		}
	}
	x.root = root
	list := source.Node(0)
	if in.explodes {
		list = x.walk(root, in.explode)
	}
	if x.tree.Kind(list) != source.ArrayNode {
		if x.tree.Kind(root) != source.ObjectNode {
			x.reject(WholeRecord, notAnObject)
			return
		}
		x.one(root, WholeRecord)
		return
	}
	n := x.tree.First(list)
	if n == 0 {
		x.ignore(WholeRecord, "empty")
		return
	}
	for i := 0; n != 0; i, n = i+1, x.tree.Next(n) {
		if i == MaxElements {
			x.out.Items = x.out.Items[:0]
			x.reject(WholeRecord, tooLarge("more than "+strconv.Itoa(MaxElements)+" elements"))
			return
		}
		x.one(n, i)
	}
}

func tooLarge(detail string) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonTooLarge, Detail: detail}
}

func outOfBounds() *interaction.Reject {
	return tooLarge("its record made more than " + strconv.Itoa(MaxOutputBytes) + " bytes")
}

func (x *run) walk(n source.Node, steps []step) source.Node {
	for i := range steps {
		n = into(&x.tree, n, &steps[i])
	}
	return n
}

// one makes an item of an element.
func (x *run) one(element source.Node, index int) {
	x.trace = nil
	switch {
	case x.tree.Kind(element) != source.ObjectNode:
		x.reject(index, notAnObject)
		return
	case x.output > MaxOutputBytes:
		x.reject(index, outOfBounds())
		return
	}
	clear(x.slots[x.m.ofRecord:])
	x.element, x.index, x.item, x.itemName = element, max(index, 0), 0, 0
	before := len(x.out.Items)
	x.match(index)
	if x.crowded {
		x.out.Items = x.out.Items[:before]
		x.reject(index, source.TooManyValues())
	}
}

// match finds the rule of the element.
func (x *run) match(index int) {
	for _, r := range x.m.rules {
		if r.when == nil || x.holds(r.when) {
			if x.out.Trace {
				x.trace = newTrace(r, x.input)
			}
			x.rule(r, index)
			return
		}
	}
	x.unwanted()
	x.reject(index, unknownEvent)
}

// rule does what a rule says.
func (x *run) rule(r *rule, index int) {
	switch r.action {
	case actIgnore:
		x.ignore(index, r.reason)
		return
	case actReject:
		x.reject(index, r.reject)
		return
	case actDirective:
		x.directive(r, index)
		return
	}
	it := x.add(Interaction, index)
	if rej := x.interaction(&r.fields, &it.Interaction); rej != nil {
		it.Kind, it.Reject = Reject, rej
	}
}

// special makes a value of what stands beside the value of the record, or of the place of the element.
func (x *run) special(s *slot) source.Node {
	text := ""
	switch s.base {
	case fromHeader:
		text = x.header(s.name)
	case fromKey:
		return x.recordKey(s.name != "")
	case fromTopic:
		text = x.rec.Topic
	case fromTime:
		return x.newNode(source.NumberNode, strconv.FormatInt(x.rec.Timestamp, 10))
	case fromIndex:
		return x.newNode(source.NumberNode, strconv.Itoa(x.index))
	case fromInput:
		text = x.input
	}
	if text == "" {
		return 0
	}
	return x.newNode(source.TextNode, text)
}

// header is the last header of a name, which is in lower case; one that is not UTF-8 is absent.
func (x *run) header(name string) string {
	for i := len(x.rec.Headers) - 1; i >= 0; i-- {
		if h := &x.rec.Headers[i]; equalFold(h.Name, name) {
			if !utf8.Valid(h.Value) {
				return ""
			}
			return string(h.Value)
		}
	}
	return ""
}

// equalFold compares a header name with one in lower case; names are ASCII.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// recordKey is the key as text, or as the JSON that it holds.
func (x *run) recordKey(asJSON bool) source.Node {
	if x.rec.Key == nil || len(x.rec.Key) > MaxRecordBytes || !utf8.Valid(x.rec.Key) {
		return 0
	}
	if !asJSON {
		return x.newNode(source.TextNode, string(x.rec.Key))
	}
	return x.newJSON(string(x.rec.Key))
}

// let is one value that a mapping names.
type let struct {
	name string
	expr *expr   // an expression: a text
	node []*path // a path or a list of paths: where it leads
	// index turns a list of objects into an object.
	index, by, value *path
	parse            *path
}

// let makes a value of let when it is first asked for. Values are defined in order, so none asks for itself.
func (x *run) let(i int) source.Node {
	l := x.m.lets[i]
	stated, overlong, from := x.stated, x.overlong, x.from
	x.stated, x.overlong = true, false
	var n source.Node
	switch {
	case l.parse != nil:
		n = x.parseText(l.parse)
	case l.index != nil:
		n = x.indexList(l)
	case l.expr != nil:
		if s, ok := x.eval(l.expr); ok {
			n = x.newNode(source.TextNode, s)
		}
	default:
		for _, p := range l.node {
			if n = x.node(p); x.tree.Kind(n) > source.NullNode && exists(&x.tree, n) {
				x.stated = !p.clock && (p.let == 0 || !x.letFacts[p.let-1].clock)
				break
			}
			n = 0
		}
	}
	x.letFacts[i] = letFacts{clock: !x.stated, overlong: x.overlong}
	x.stated, x.overlong, x.from = stated, overlong, from
	return n
}

// parseText reads a text as JSON; broken JSON is absent.
func (x *run) parseText(p *path) source.Node {
	n := x.node(p)
	if x.tree.Kind(n) != source.TextNode {
		return 0
	}
	text := trim(x.tree.Text(n))
	if text == "" {
		return 0
	}
	return x.newJSON(text)
}

// indexList makes an object of a list of objects: by gives the names, of which the first counts, value what they hold.
func (x *run) indexList(l *let) source.Node {
	list := x.node(l.index)
	if x.tree.Kind(list) != source.ArrayNode {
		return 0
	}
	object := x.newNode(source.ObjectNode, "")
	seen := map[string]struct{}{}
	item := x.item
	defer func() { x.item = item }()
	for n := x.tree.First(list); n != 0; n = x.tree.Next(n) {
		x.item = n
		name, ok := x.textOf(x.node(l.by))
		if _, taken := seen[name]; !ok || taken || object == 0 {
			continue
		}
		seen[name] = struct{}{}
		of := n
		if l.value != nil {
			of = x.node(l.value)
		}
		if of != 0 && x.tree.AddAlias(object, name, of) == 0 {
			x.crowded = true
		}
	}
	return object
}
