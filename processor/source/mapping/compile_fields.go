package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

var fieldWords = []string{"event_id", "channel", "type", "store_code", "user_id", "occurred_at", "identifiers", "order", "traits", "properties"}

// field compiles one field into f, over what defaults put there. null and [] take it away. False: no field has this name.
func (c *compiler) field(f *fields, m member, place string) bool {
	place = join(place, m.name)
	v := m.value
	gone := v.kind == isNull || v.kind == isList && len(v.items) == 0
	text := func(to **expr) {
		if *to = nil; !gone {
			*to = c.expr(v, place, inElement)
		}
	}
	switch m.name {
	case "event_id":
		text(&f.eventID)
	case "channel":
		text(&f.channel)
	case "type":
		text(&f.kind)
	case "store_code":
		text(&f.storeCode)
	case "user_id":
		text(&f.userID)
	case "occurred_at":
		if f.occurredAt = nil; !gone {
			f.occurredAt = c.times(v, place)
		}
	case "identifiers":
		if f.identifiers = nil; !gone {
			f.identifiers = c.identifiers(v, place)
		}
	case "order":
		if f.order = nil; !gone {
			f.order = c.order(v, place)
		}
	case "traits":
		if f.traits = nil; !gone {
			f.traits = c.entries(v, place)
		}
	case "properties":
		if f.properties = nil; !gone {
			f.properties = c.entries(v, place)
		}
	default:
		return false
	}
	return true
}

// entries compiles names and expressions, in the order of the names.
func (c *compiler) entries(v *value, place string) (list []namedExpr) {
	for _, m := range c.membersOf(v, place) {
		if m.value.kind == isNull {
			continue
		}
		if e := c.expr(m.value, join(place, m.name), inElement); e != nil {
			list = append(list, namedExpr{m.name, e})
		}
	}
	slices.SortFunc(list, func(a, b namedExpr) int { return cmp.Compare(a.name, b.name) })
	return list
}

// alternatives calls one for an expression, or for each of a list: those that may be spelled differently.
func alternatives(v *value, place string, one func(v *value, place string)) {
	if v.kind != isList {
		one(v, place)
		return
	}
	for i, item := range v.items {
		alternatives(item, place+"["+strconv.Itoa(i)+"]", one)
	}
}

func (c *compiler) times(v *value, place string) (list []timeSpec) {
	alternatives(v, place, func(v *value, place string) {
		spec := timeSpec{expr: c.expr(v, place, inElement, "time", "zone"), format: &timeFormat{}}
		if t := v.member("time"); t != nil {
			format, err := parseTimeFormat(t.text)
			if t.kind != isText || err != nil {
				c.add(t, place+".time", "%v", cmp.Or(err, fmt.Errorf("unknown time; known: %s", knownTimes)))
			}
			spec.format = format
		}
		z := v.member("zone")
		switch {
		case z != nil:
			location, err := loadZone(z.text)
			if err != nil {
				c.add(z, place+".zone", "%v", err)
			}
			spec.format.location = location
		case spec.format.kind == timeLayout && len(spec.format.layout) > 0:
			c.add(v, place+".zone", "missing word: a layout has no offset")
		}
		if spec.expr != nil {
			list = append(list, spec)
		}
	})
	return list
}

func (c *compiler) amounts(v *value, place string, from where) (list []amountSpec) {
	alternatives(v, place, func(v *value, place string) {
		spec := amountSpec{expr: c.expr(v, place, from, "scale")}
		if s := v.member("scale"); s != nil {
			var err error
			if spec.scale, err = strconv.Atoi(s.text); s.kind != isNumber || err != nil || max(spec.scale, -spec.scale) > amountDigits {
				c.add(s, place+".scale", "want a whole number from -%d to %d", amountDigits, amountDigits)
			}
		}
		if spec.expr != nil {
			list = append(list, spec)
		}
	})
	return list
}

var identifierWords = []string{"namespace", "value", "verified", "when", "each"}

func (c *compiler) identifiers(v *value, place string) (list []identifierSpec) {
	if v.kind != isList {
		c.add(v, place, "is %s; want a list of identifiers", v.kind)
		return nil
	}
	if len(v.items) > MaxIdentifiers {
		c.add(v, place, "more than %d", MaxIdentifiers)
		return nil
	}
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", place, i)
		if !c.asMap(item, at) {
			continue
		}
		c.words(item, at, identifierWords)
		spec, from := identifierSpec{}, inElement
		if each := item.member("each"); each != nil {
			spec.each, from = c.pathList(each, at+".each", inElement), inItem
		}
		spec.name, spec.namespace = c.namespace(item, at, from)
		if value := item.member("value"); value != nil {
			spec.value = c.expr(value, at+".value", from)
		} else {
			c.add(item, at+".value", "missing word")
		}
		if w := item.member("verified"); w != nil {
			spec.verified = c.condition(w, at+".verified", from)
		}
		if w := item.member("when"); w != nil {
			spec.when = c.condition(w, at+".when", from)
		}
		list = append(list, spec)
	}
	return list
}

// namespace compiles the namespace of an identifier: a name, or an expression that makes one.
func (c *compiler) namespace(of *value, place string, from where) (string, *expr) {
	v := of.member("namespace")
	place += ".namespace"
	if v == nil {
		c.add(of, place, "missing word")
		return "", nil
	}
	if v.kind == isText {
		c.namespaceForm(v, v.text, place)
		return v.text, nil
	}
	e := c.expr(v, place, from)
	if e != nil {
		c.namespaceValues(v, place)
	}
	return "", e
}

// namespaceForm reports what cannot be the name of a namespace. Which of them are declared is known to the configuration only.
func (c *compiler) namespaceForm(at *value, name, place string) {
	if !isWord(name) {
		c.add(at, place, "%q is no namespace: want small letters, digits and _", name)
	}
}

// namespaceValues checks the names that an expression makes, where they stand in it.
func (c *compiler) namespaceValues(v *value, place string) {
	for _, item := range v.items {
		c.namespaceValues(item, place)
	}
	if v.member("prefix") != nil {
		return
	}
	if table := v.member("map"); table != nil {
		for _, m := range table.members {
			c.namespaceForm(m.value, m.value.text, join(place+".map", m.name))
		}
	} else if constant := v.member("const"); constant != nil {
		c.namespaceForm(constant, constant.text, place+".const")
	}
}

var (
	orderWords = []string{"order_number", "currency", "total_amount", "lines", "line"}
	lineWords  = []string{"sku", "description", "quantity", "unit_price"}
)

func (c *compiler) order(v *value, place string) *orderSpec {
	o := &orderSpec{}
	if !c.asMap(v, place) {
		return o
	}
	c.words(v, place, orderWords)
	for _, m := range v.members {
		at := join(place, m.name)
		switch {
		case m.value.kind == isNull:
		case m.name == "order_number":
			o.number = c.expr(m.value, at, inElement)
		case m.name == "currency":
			o.currency = c.expr(m.value, at, inElement)
		case m.name == "total_amount":
			o.total = c.amounts(m.value, at, inElement)
		case m.name == "lines":
			c.lines(o, m.value, at)
		}
	}
	if number := v.member("order_number"); number == nil || number.kind == isNull {
		c.add(v, place+".order_number", "missing word")
	}
	line := v.member("line")
	switch {
	case line == nil && o.self:
		c.add(v, place+".line", "missing word: lines: self says that the element is the line")
	case line != nil && !o.self:
		c.add(line, place+".line", "has no use without lines: self")
	case line != nil && c.asMap(line, place+".line"):
		c.words(line, place+".line", lineWords)
		c.line(&o.line, line, place+".line", inElement)
	}
	return o
}

func (c *compiler) lines(o *orderSpec, v *value, place string) {
	switch {
	case v.kind == isText && v.text == "self":
		o.self = true
		return
	case v.kind != isMap:
		c.add(v, place, "is %s; want self, or each and what a line is made of", v.kind)
		return
	}
	c.words(v, place, append([]string{"each", "when"}, lineWords...))
	if each := v.member("each"); each != nil {
		o.each = c.pathList(each, place+".each", inElement)
	} else {
		c.add(v, place+".each", "missing word")
	}
	if w := v.member("when"); w != nil {
		o.line.when = c.condition(w, place+".when", inItem)
	}
	c.line(&o.line, v, place, inItem)
}

func (c *compiler) line(l *lineSpec, v *value, place string, from where) {
	for _, m := range v.members {
		at := join(place, m.name)
		switch {
		case m.value.kind == isNull:
		case m.name == "sku":
			l.sku = c.expr(m.value, at, from)
		case m.name == "description":
			l.description = c.expr(m.value, at, from)
		case m.name == "quantity":
			l.quantity = c.amounts(m.value, at, from)
		case m.name == "unit_price":
			l.unitPrice = c.amounts(m.value, at, from)
		}
	}
}
