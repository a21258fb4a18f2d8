package mapping

import (
	"slices"

	"kinfold/processor/interaction"
	"kinfold/processor/source"
)

// action says what a rule does.
type action uint8

const (
	actMap action = iota
	actIgnore
	actReject
	actDirective
)

// rule is a compiled rule, with the fields of defaults that it does not replace.
type rule struct {
	number int // from 1, in the order in which rules are tried
	at     *value
	when   *cond
	action action
	reason string // of an ignore
	reject *interaction.Reject
	order  *directive
	fields fields
}

// fields say how each field is made; nil: it is not.
type fields struct {
	eventID, channel, kind, storeCode, userID *expr
	occurredAt                                []timeSpec
	identifiers                               []identifierSpec
	order                                     *orderSpec
	traits, properties                        []namedExpr // by name
}

// timeSpec is one alternative of a time.
type timeSpec struct {
	expr   *expr
	format *timeFormat
}

// amountSpec is one alternative of an amount.
type amountSpec struct {
	expr  *expr
	scale int
}

type namedExpr struct {
	name string
	expr *expr
}

type identifierSpec struct {
	name      string // of the namespace; empty: namespace makes it
	namespace *expr
	value     *expr
	verified  *cond
	when      *cond
	each      []*path
}

type orderSpec struct {
	number, currency *expr
	total            []amountSpec
	each             []*path // of the lines; empty: none
	self             bool    // the element is the line
	line             lineSpec
}

type lineSpec struct {
	when                *cond
	sku, description    *expr
	quantity, unitPrice []amountSpec
}

// text evaluates a field that is a text; empty: absent.
func (x *run) text(field string, e *expr) (string, *interaction.Reject) {
	return x.textIn("", field, e)
}

// textIn does so for a field that a trace names with what it is part of.
func (x *run) textIn(of, field string, e *expr) (string, *interaction.Reject) {
	if e == nil {
		return "", nil
	}
	x.overlong = false
	s, ok := x.eval(e)
	switch {
	case x.overlong:
		x.unread(of, field, e, "")
		return "", invalidField(field)
	case ok:
		x.filled(of, field, s)
	case of != ofLines:
		x.absent(of, field, e)
	}
	return s, nil
}

// What the fields of an order and of its lines are part of, in a trace.
const (
	ofOrder = "order."
	ofLines = "order.lines."
)

// interaction makes one of an element: what must be there first, in the order in which it is asked for.
func (x *run) interaction(f *fields, in *interaction.Interaction) (rej *interaction.Reject) {
	in.Source = x.m.source
	if in.Type, rej = x.text("type", f.kind); rej != nil {
		return rej
	}
	if in.Type == "" {
		return missingField("type")
	}
	if in.Channel, rej = x.text("channel", f.channel); rej != nil {
		return rej
	}
	if in.Channel == "" {
		return missingField("channel")
	}
	if in.OccurredAt, in.TimeStated, rej = x.time(f.occurredAt); rej != nil {
		return rej
	}
	if in.EventID, rej = x.text("event_id", f.eventID); rej != nil {
		return rej
	}
	if in.StoreCode, rej = x.text("store_code", f.storeCode); rej != nil {
		return rej
	}
	if in.UserID, rej = x.text("user_id", f.userID); rej != nil {
		return rej
	}
	in.HasUserID = in.UserID != ""
	if in.Identifiers, rej = x.identifiers(f.identifiers, in.Identifiers[:0]); rej != nil {
		return rej
	}
	in.Payload, rej = x.payloadOf(f)
	return rej
}

// time reads the first alternative that is present. stated is false for a time that the record's own timestamp gave.
func (x *run) time(alternatives []timeSpec) (ms int64, stated bool, _ *interaction.Reject) {
	const field = "occurred_at"
	x.overlong = false
	for i := range alternatives {
		x.stated = true
		s, ok := x.eval(alternatives[i].expr)
		if x.overlong {
			x.unread("", field, alternatives[i].expr, "")
			return 0, false, invalidField(field)
		}
		if !ok {
			continue
		}
		stated = x.stated
		if ms, ok = alternatives[i].format.parse(s); !ok {
			x.unread("", field, alternatives[i].expr, s)
			return 0, false, invalidField(field)
		}
		x.filled("", field, s)
		return ms, stated, nil
	}
	if x.trace != nil {
		x.absent("", field, expressionsOf(alternatives, func(s *timeSpec) *expr { return s.expr })...)
	}
	return 0, false, missingField(field)
}

// amount reads the first alternative that is present.
func (x *run) amount(of, field string, alternatives []amountSpec) (a source.Amount, _ *interaction.Reject) {
	x.overlong = false
	for i := range alternatives {
		s, ok := x.eval(alternatives[i].expr)
		if x.overlong {
			x.unread(of, field, alternatives[i].expr, "")
			return a, invalidField(field)
		}
		if !ok {
			continue
		}
		if a, ok = parseAmount(s, alternatives[i].scale); !ok {
			x.unread(of, field, alternatives[i].expr, s)
			return a, invalidField(field)
		}
		x.filled(of, field, s)
		return a, nil
	}
	if x.trace != nil && of != ofLines && len(alternatives) > 0 {
		x.absent(of, field, expressionsOf(alternatives, func(s *amountSpec) *expr { return s.expr })...)
	}
	return a, nil
}

// identifiers appends those of all entries. Equal ones fall together, verified if one is.
func (x *run) identifiers(specs []identifierSpec, to []interaction.Raw) ([]interaction.Raw, *interaction.Reject) {
	asked := 0
	for i := range specs {
		spec := &specs[i]
		if spec.each == nil {
			var rej *interaction.Reject
			if to, rej = x.identifier(spec, to); rej != nil {
				return to, rej
			}
			asked++
			continue
		}
		rej := x.each("identifiers", spec.each, func() (rej *interaction.Reject) {
			if asked++; asked > MaxIdentifiers {
				return invalidField("identifiers")
			}
			to, rej = x.identifier(spec, to)
			return rej
		})
		if rej != nil {
			return to, rej
		}
	}
	return to, nil
}

// identifierBytes is what an identifier counts in MaxOutputBytes: more than its memory, for each is compared with the others.
const identifierBytes = 256

func (x *run) identifier(spec *identifierSpec, to []interaction.Raw) ([]interaction.Raw, *interaction.Reject) {
	if spec.when != nil && !x.holds(spec.when) {
		return to, nil
	}
	x.overlong = false
	name, ok := spec.name, true
	if spec.namespace != nil {
		name, ok = x.eval(spec.namespace)
	}
	value := ""
	if ok {
		value, ok = x.eval(spec.value)
	}
	switch {
	case x.overlong:
		x.unread("identifiers.", name, spec.value, "")
		return to, invalidField("identifiers")
	case !ok:
		if spec.each == nil {
			x.absent("identifiers.", name, spec.value)
		}
		return to, nil
	}
	verified := spec.verified != nil && x.holds(spec.verified)
	for i := range to {
		if to[i].Value == value && to[i].Namespace == name {
			to[i].Verified = to[i].Verified || verified
			return to, nil
		}
	}
	x.filled("identifiers.", name, value)
	x.output += identifierBytes
	return append(to, interaction.Raw{Namespace: name, Value: value, Verified: verified}), nil
}

// each goes through the first of the paths that is there: an array, or an object of values or arrays, whose member names are
// @name. do is called with the item set.
func (x *run) each(field string, paths []*path, do func() *interaction.Reject) *interaction.Reject {
	list := source.Node(0)
	for _, p := range paths {
		if n := x.node(p); x.tree.Kind(n) > source.NullNode {
			list = n
			break
		}
	}
	defer func() { x.item, x.itemName = 0, 0 }()
	if x.tree.Kind(list) == source.ArrayNode {
		return x.items(list, do)
	}
	if x.tree.Kind(list) != source.ObjectNode {
		return nil
	}
	members := 0
	for n := x.tree.First(list); n != 0; n = x.tree.Next(n) {
		if members++; members > MaxIdentifiers {
			return invalidField(field)
		}
		if x.tree.Member(list, x.tree.Name(n)) != n {
			continue // of a member given twice the last counts
		}
		name := x.newNode(source.TextNode, x.tree.Name(n))
		x.itemName = name
		if x.tree.Kind(n) == source.ArrayNode {
			if rej := x.items(n, do); rej != nil {
				return rej
			}
			continue
		}
		x.item = n
		if rej := do(); rej != nil {
			return rej
		}
	}
	return nil
}

// itemBytes is what an item that is gone through counts in MaxOutputBytes.
const itemBytes = 16

func (x *run) items(list source.Node, do func() *interaction.Reject) *interaction.Reject {
	for n := x.tree.First(list); n != 0; n = x.tree.Next(n) {
		if x.output += itemBytes; x.output > MaxOutputBytes {
			return outOfBounds()
		}
		x.item = n
		if rej := do(); rej != nil {
			return rej
		}
	}
	return nil
}

// payloadOf makes order, traits and properties and encodes them.
func (x *run) payloadOf(f *fields) ([]byte, *interaction.Reject) {
	order, rej := x.orderOf(f.order)
	if rej != nil {
		return nil, rej
	}
	if x.traits, rej = x.entries("traits.", f.traits, x.traits[:0]); rej != nil {
		return nil, rej
	}
	if x.props, rej = x.entries("properties.", f.properties, x.props[:0]); rej != nil {
		return nil, rej
	}
	x.payload = source.AppendPayload(x.payload[:0], order, x.traits, x.props)
	x.output += len(x.payload)
	return slices.Clone(x.payload), nil
}

func (x *run) entries(of string, specs []namedExpr, to []source.Entry) ([]source.Entry, *interaction.Reject) {
	for i := range specs {
		x.overlong = false
		s, ok := x.eval(specs[i].expr)
		switch {
		case x.overlong:
			x.unread(of, specs[i].name, specs[i].expr, "")
			return to, invalidField(of + specs[i].name)
		case !ok:
			x.absent(of, specs[i].name, specs[i].expr)
			continue
		}
		x.filled(of, specs[i].name, s)
		to = append(to, source.Entry{Name: specs[i].name, Value: s})
	}
	return to, nil
}

// orderOf reads an order. Without its number there is none, and nothing of it is read.
func (x *run) orderOf(spec *orderSpec) (*source.Order, *interaction.Reject) {
	if spec == nil {
		return nil, nil
	}
	o := &x.order
	*o = source.Order{Lines: o.Lines[:0]}
	var rej *interaction.Reject
	if o.Number, rej = x.textIn(ofOrder, "order_number", spec.number); rej != nil || o.Number == "" {
		return nil, rej
	}
	if o.Currency, rej = x.textIn(ofOrder, "currency", spec.currency); rej != nil {
		return nil, rej
	}
	if o.Total, rej = x.amount(ofOrder, "total_amount", spec.total); rej != nil {
		return nil, rej
	}
	switch {
	case spec.self:
		return o, x.line(&spec.line, o)
	case spec.each != nil:
		return o, x.each("lines", spec.each, func() *interaction.Reject { return x.line(&spec.line, o) })
	}
	return o, nil
}

func (x *run) line(spec *lineSpec, o *source.Order) (rej *interaction.Reject) {
	if spec.when != nil && !x.holds(spec.when) {
		return nil
	}
	if len(o.Lines) == MaxLines {
		return invalidField("lines")
	}
	var l source.OrderLine
	if l.SKU, rej = x.textIn(ofLines, "sku", spec.sku); rej != nil {
		return rej
	}
	if l.Description, rej = x.textIn(ofLines, "description", spec.description); rej != nil {
		return rej
	}
	if l.Quantity, rej = x.amount(ofLines, "quantity", spec.quantity); rej != nil {
		return rej
	}
	if l.UnitPrice, rej = x.amount(ofLines, "unit_price", spec.unitPrice); rej != nil {
		return rej
	}
	o.Lines = append(o.Lines, l)
	return nil
}

// directive is what a rule orders: replace with an old and a new identifier, or erase with a scope.
type directive struct {
	kind  interaction.DirectiveKind
	a, b  *targetSpec
	scope interaction.Scope
}

type targetSpec struct {
	name             string // of the namespace; empty: namespace makes it
	namespace, value *expr
	storeCode        *expr // nil: that of the field
}

// directive makes one of an element. Whatever is missing or cannot be read makes it bad.
func (x *run) directive(r *rule, index int) {
	f := &r.fields
	id, rej1 := x.text("event_id", f.eventID)
	store, rej2 := x.text("store_code", f.storeCode)
	at, _, rej3 := x.time(f.occurredAt)
	a, ok := x.target("a", r.order.a, store)
	b, okB := x.target("b", r.order.b, store)
	if id == "" || rej1 != nil || rej2 != nil || rej3 != nil || !ok || !okB {
		x.reject(index, badDirective)
		return
	}
	it := x.add(Directive, index)
	it.StoreCode = store
	it.Directive = &interaction.Directive{ID: x.made("", x.m.source+":"+id), Kind: r.order.kind, IssuedAt: at, HasIssuedAt: true,
		A: a, B: b, Scope: r.order.scope, Author: x.m.source}
}

// target makes one end of a directive; nil without a reject where the directive has none.
func (x *run) target(end string, spec *targetSpec, store string) (*interaction.Target, bool) {
	if spec == nil {
		return nil, true
	}
	t := &interaction.Target{Namespace: spec.name, StoreCode: store}
	var rej *interaction.Reject
	if spec.namespace != nil {
		if t.Namespace, rej = x.text("directive."+end+".namespace", spec.namespace); rej != nil || t.Namespace == "" {
			return nil, false
		}
	}
	if spec.storeCode != nil {
		if t.StoreCode, rej = x.text("directive."+end+".store_code", spec.storeCode); rej != nil {
			return nil, false
		}
	}
	t.Value, rej = x.text("directive."+end+".value", spec.value)
	return t, rej == nil && t.Value != ""
}
