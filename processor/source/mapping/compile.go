package mapping

import (
	"fmt"
	"slices"
	"strings"

	"kinfold/processor/interaction"
)

// Compile checks a mapping and makes it ready to be applied. name stands for the file in faults; resolve finds the text behind
// extends: NAME, and may be nil where no file has one. A mapping with faults is returned as a *FaultsError that holds all of
// them.
func Compile(name string, text []byte, resolve func(name string) ([]byte, error)) (*Mapping, error) {
	c := &compiler{faults: &faults{}, m: &Mapping{}, lets: map[string]int{}, places: map[slotPlan]int32{}, inputNames: map[string]bool{}}
	merged := c.merge(name, text, resolve)
	if merged != nil {
		c.mapping(merged)
	}
	if err := faultsError(c.files, c.faults.list); err != nil {
		return nil, err
	}
	c.arrange()
	return c.m, nil
}

// compiler fills a Mapping. It goes on after a fault, so that all of them are reported at once.
type compiler struct {
	*faults
	m     *Mapping
	files []string // in the order in which extends names them

	slots      []slotPlan
	places     map[slotPlan]int32
	paths      []*path
	lets       map[string]int // place in m.lets, from 0
	letRecord  []bool         // the value is the same for all elements of a record
	inputNames map[string]bool
	inputsFile string // the file that declares the inputs
}

// slotPlan is a slot while its place is not known yet.
type slotPlan struct {
	slot
	ofRecord bool
}

// document is what a mapping and the files that it extends say together.
type document struct {
	whole    *value
	source   *value
	inputs   *value
	lets     []member
	defaults []member
	rules    []*value
}

var topWords = []string{"source", "extends", "inputs", "let", "defaults", "rules"}

// merge reads the file and what it extends, and lays the files over each other, the last base first.
func (c *compiler) merge(name string, text []byte, resolve func(string) ([]byte, error)) *document {
	var layers []*value
	seen := map[string]bool{}
	for {
		c.files = append(c.files, name)
		v := c.load(name, text)
		if v == nil {
			return nil
		}
		c.words(v, "", topWords)
		layers = append(layers, v)
		base := v.member("extends")
		if base == nil {
			break
		}
		var err error
		switch {
		case base.kind != isText || !isName(base.text):
			c.add(base, "extends", "want the name of a mapping")
			return nil
		case seen[base.text]:
			c.add(base, "extends", "%s extends itself", base.text)
			return nil
		case len(layers) > MaxExtends:
			c.add(base, "extends", "goes through more than %d files", MaxExtends)
			return nil
		case resolve == nil:
			c.add(base, "extends", "there is no mapping to extend here")
			return nil
		}
		seen[base.text] = true
		if name, text = base.text, nil; name == c.files[0] {
			name += " (extended)"
		}
		if text, err = resolve(base.text); err != nil {
			c.add(base, "extends", "%v", err)
			return nil
		}
	}
	d := &document{whole: layers[0]}
	for _, v := range slices.Backward(layers) {
		c.lay(d, v)
	}
	return d
}

// lay puts one file over what the files below it say.
func (c *compiler) lay(d *document, v *value) {
	if s := v.member("source"); s != nil {
		d.source = s
	}
	if in := v.member("inputs"); in != nil {
		d.inputs = in
	}
	d.lets = overlay(d.lets, c.membersOf(v.member("let"), "let"))
	d.defaults = overlay(d.defaults, c.membersOf(v.member("defaults"), "defaults"))
	if rules := v.member("rules"); rules != nil {
		switch {
		case rules.kind != isList:
			c.add(rules, "rules", "is %s; want a list of rules", rules.kind)
		default:
			d.rules = append(slices.Clone(rules.items), d.rules...)
		}
	}
}

// overlay replaces members by those of the same name, in their place, and adds the others at the end.
func overlay(below, above []member) []member {
	out := slices.Clone(below)
	for _, m := range above {
		if i := slices.IndexFunc(out, func(b member) bool { return b.name == m.name }); i >= 0 {
			out[i] = m
		} else {
			out = append(out, m)
		}
	}
	return out
}

// membersOf returns the members of a map; none where it is absent or null.
func (c *compiler) membersOf(v *value, path string) []member {
	if v == nil || v.kind == isNull {
		return nil
	}
	if v.kind != isMap {
		c.add(v, path, "is %s; want names and values", v.kind)
		return nil
	}
	return v.members
}

// words reports the members of a map that are not known there.
func (c *compiler) words(v *value, path string, known []string) {
	for _, m := range v.members {
		if !slices.Contains(known, m.name) {
			c.add(m.at, join(path, m.name), "unknown word; known here: %s", strings.Join(known, ", "))
		}
	}
}

// asMap reports what is no map.
func (c *compiler) asMap(v *value, path string) bool {
	if v.kind != isMap {
		c.add(v, path, "is %s; want members", v.kind)
		return false
	}
	return true
}

// mapping compiles the parts in the order in which they may name each other.
func (c *compiler) mapping(d *document) {
	c.sourceName(d)
	switch {
	case d.inputs == nil:
		c.add(d.whole, "inputs", "missing word")
	case d.inputs.kind != isList || len(d.inputs.items) == 0:
		c.add(d.inputs, "inputs", "want a list of one input or more")
	default:
		c.inputsFile = d.inputs.file
		for i, v := range d.inputs.items {
			c.input(v, fmt.Sprintf("inputs[%d]", i))
		}
		c.unreachableInputs()
	}
	for _, l := range d.lets {
		c.let(l)
	}
	defaults := fields{}
	for _, m := range d.defaults {
		if !c.field(&defaults, m, "defaults") {
			c.add(m.at, join("defaults", m.name), "unknown word; known here: %s", strings.Join(fieldWords, ", "))
		}
	}
	if len(d.rules) == 0 {
		c.add(d.whole, "rules", "missing word: without a rule nothing comes of a record")
	}
	number := map[string]int{}
	for i, v := range d.rules {
		place := fmt.Sprintf("rules[%d]", number[v.file])
		number[v.file]++
		if r := c.rule(v, place, i+1, defaults); r != nil {
			c.unreachable(r, place)
			c.m.rules = append(c.m.rules, r)
		}
	}
}

func (c *compiler) sourceName(d *document) {
	switch s := d.source; {
	case s == nil:
		c.add(d.whole, "source", "missing word")
	case s.kind == isText && isName(s.text):
		c.m.source = s.text
	default:
		c.add(s, "source", "want a name of letters, digits, - and _, at most %d", MaxNameBytes)
	}
}

var ruleWords = append([]string{"when", "ignore", "reject", "directive"}, fieldWords...)

// rule compiles one rule; nil: it has no form at all.
func (c *compiler) rule(v *value, path string, number int, defaults fields) *rule {
	if !c.asMap(v, path) {
		return nil
	}
	c.words(v, path, ruleWords)
	r := &rule{number: number, at: v, fields: defaults}
	if w := v.member("when"); w != nil {
		r.when = c.condition(w, path+".when", inElement)
	}
	actions := 0
	for _, m := range v.members {
		below := join(path, m.name)
		switch m.name {
		case "when":
		case "ignore":
			r.action, actions = actIgnore, actions+1
			r.reason = c.reason(m.value, below)
		case "reject":
			r.action, actions = actReject, actions+1
			r.reject = c.rejectReason(m.value, below)
		case "directive":
			r.action, actions = actDirective, actions+1
			r.order = c.directive(m.value, below)
		default:
			c.field(&r.fields, m, path)
		}
	}
	if actions > 1 {
		c.add(v, path, "has more than one of ignore, reject and directive")
		return r
	}
	c.complete(r, v, path)
	return r
}

// complete reports the fields that a rule has to have, and those that it has no use for.
func (c *compiler) complete(r *rule, v *value, path string) {
	f := &r.fields
	missing := func(word string, absent bool) {
		if absent {
			c.add(v, join(path, word), "missing word, here and in defaults")
		}
	}
	switch r.action {
	case actMap:
		missing("type", f.kind == nil && !c.named(v, "type"))
		missing("channel", f.channel == nil && !c.named(v, "channel"))
		missing("occurred_at", f.occurredAt == nil && !c.named(v, "occurred_at"))
	case actDirective:
		missing("event_id", f.eventID == nil && !c.named(v, "event_id"))
		missing("occurred_at", f.occurredAt == nil && !c.named(v, "occurred_at"))
	default:
		for _, m := range v.members {
			if slices.Contains(fieldWords, m.name) {
				c.add(m.at, join(path, m.name), "has no use beside ignore or reject")
			}
		}
	}
}

// named reports a field that is given and not null: what is wrong with it has been told.
func (c *compiler) named(v *value, name string) bool {
	m := v.member(name)
	return m != nil && m.kind != isNull && !(m.kind == isList && len(m.items) == 0)
}

// reason reads the name of an ignore. It becomes a label of a metric, so it is a plain word.
func (c *compiler) reason(v *value, path string) string {
	if v.kind != isText || !isWord(v.text) {
		c.add(v, path, "want a name of small letters, digits and _, at most %d", MaxNameBytes)
	}
	return v.text
}

// isWord reports small letters, digits and _, beginning with a letter.
func isWord(s string) bool {
	for _, b := range []byte(s) {
		if b != '_' && (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			return false
		}
	}
	return s != "" && 'a' <= s[0] && s[0] <= 'z' && len(s) <= MaxNameBytes
}

// rejectReason reads unknown_event, missing:FIELD or invalid:FIELD.
func (c *compiler) rejectReason(v *value, path string) *interaction.Reject {
	kind, field, _ := strings.Cut(v.text, ":")
	switch {
	case v.kind == isText && v.text == "unknown_event":
		return unknownEvent
	case v.kind == isText && kind == "missing" && isName(field):
		return missingField(field)
	case v.kind == isText && kind == "invalid" && isName(field):
		return invalidField(field)
	}
	c.add(v, path, "want unknown_event, missing:FIELD or invalid:FIELD")
	return unknownEvent
}

var inputWords = []string{"name", "when", "format", "encoding", "delimiter", "columns", "trailing_delimiter", "unwrap", "explode"}

func (c *compiler) input(v *value, path string) {
	if !c.asMap(v, path) {
		return
	}
	c.words(v, path, inputWords)
	in := &input{at: v, encodings: []encoding{encodingUTF8}}
	c.m.inputs = append(c.m.inputs, in)
	if n := v.member("name"); n != nil {
		switch {
		case n.kind != isText || !isName(n.text):
			c.add(n, path+".name", "want a name of letters, digits, - and _, at most %d", MaxNameBytes)
		case c.inputNames[n.text]:
			c.add(n, path+".name", "is the name of another input")
		}
		in.name = n.text
		c.inputNames[n.text] = true
	}
	if w := v.member("when"); w != nil {
		in.when = c.condition(w, path+".when", inInput)
	}
	f := v.member("format")
	switch {
	case f == nil:
		c.add(v, path+".format", "missing word; known: %s", strings.Join(formatNames, ", "))
		return
	case f.kind != isText || !slices.Contains(formatNames, f.text):
		c.add(f, path+".format", "unknown format; known: %s", strings.Join(formatNames, ", "))
		return
	}
	in.format = format(slices.Index(formatNames, f.text))
	if e := v.member("encoding"); e != nil {
		in.encodings = c.encodings(e, path+".encoding")
	}
	c.shape(in, v, path)
}

// shape compiles what an input says about the inside of its format.
func (c *compiler) shape(in *input, v *value, path string) {
	for _, m := range v.members {
		below := path + "." + m.name
		delimited := m.name == "delimiter" || m.name == "columns" || m.name == "trailing_delimiter"
		envelope := m.name == "unwrap" || m.name == "explode"
		switch {
		case delimited && in.format != formatDelimited, envelope && in.format == formatDelimited:
			c.add(m.at, below, "has no use in format %s", in.format)
		case m.name == "delimiter":
			in.delimiter = c.delimiter(m.value, below)
		case m.name == "columns":
			in.columns = c.columns(m.value, below)
		case m.name == "trailing_delimiter":
			if in.trailing = m.value.text == "allow"; !in.trailing {
				c.add(m.value, below, "want allow")
			}
		case m.name == "unwrap":
			if m.value.kind != isList || len(m.value.items) == 0 {
				c.add(m.value, below, "is %s; want a list of paths", m.value.kind)
			}
			for i, item := range m.value.items {
				if steps, ok := c.envelopePath(item, fmt.Sprintf("%s[%d]", below, i)); ok {
					in.unwrap = append(in.unwrap, steps)
				}
			}
		case m.name == "explode":
			in.explode, in.explodes = c.envelopePath(m.value, below)
		}
	}
	if in.format == formatDelimited {
		for _, word := range []string{"delimiter", "columns"} {
			if v.member(word) == nil {
				c.add(v, path+"."+word, "missing word")
			}
		}
	}
}

func (c *compiler) encodings(v *value, path string) (list []encoding) {
	items := v.items
	if v.kind == isText {
		items = []*value{v}
	}
	if len(items) == 0 {
		c.add(v, path, "is %s; want a list of encodings", v.kind)
	}
	for _, item := range items {
		i := slices.Index(encodingNames, item.text)
		switch {
		case item.kind != isText || i < 0:
			c.add(item, path, "unknown encoding; known: %s", strings.Join(encodingNames, ", "))
		case slices.Contains(list, encoding(i)):
			c.add(item, path, "%s is given twice", item.text)
		default:
			list = append(list, encoding(i))
		}
	}
	return list
}

// maxDelimiterBytes is the length of a delimiter.
const maxDelimiterBytes = 8

func (c *compiler) delimiter(v *value, path string) string {
	if v.kind != isText || v.text == "" || len(v.text) > maxDelimiterBytes || strings.ContainsAny(v.text, "\r\n") {
		c.add(v, path, "want a text of 1 to %d bytes within a line, such as \"|\" or \"\\t\"", maxDelimiterBytes)
	}
	return v.text
}

func (c *compiler) columns(v *value, path string) (list []column) {
	if v.kind != isList || len(v.items) == 0 || len(v.items) > MaxColumns {
		c.add(v, path, "want a list of 1 to %d names", MaxColumns)
		return nil
	}
	seen := map[string]bool{}
	for i, item := range v.items {
		switch {
		case item.kind == isNull || item.kind > isBool || item.text == "":
			c.add(item, fmt.Sprintf("%s[%d]", path, i), "want the name of a column")
		case seen[item.text]:
			c.add(item, fmt.Sprintf("%s[%d]", path, i), "%s is given twice", item.text)
		}
		seen[item.text] = true
		list = append(list, column{name: item.text})
	}
	return list
}

// envelopePath reads a path from the root of the value.
func (c *compiler) envelopePath(v *value, path string) ([]step, bool) {
	if v.kind != isText {
		c.add(v, path, "is %s; want a path", v.kind)
		return nil, false
	}
	p, err := parsePath(v.text)
	switch {
	case err != nil:
		c.add(v, path, "%v", err)
	case p.base > fromRoot:
		c.add(v, path, "%s stands beside the value; want a path in it", v.text)
	default:
		return p.steps, true
	}
	return nil, false
}
