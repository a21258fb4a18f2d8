package try

import (
	"maps"
	"slices"
	"strconv"

	"kinfold/processor/interaction"
	"kinfold/processor/source/mapping"
)

// fieldsOf are the fields of an interaction and what filled them: those of its trace; without one, what the record holds.
func fieldsOf(it *mapping.Item, payload *payloadJSON) []mapping.FieldTrace {
	if it.Trace != nil {
		return it.Trace.Fields
	}
	in := &it.Interaction
	var f fieldList
	f.add("source", in.Source)
	f.add("type", in.Type)
	f.add("channel", in.Channel)
	f.all = append(f.all, mapping.FieldTrace{Field: "occurred_at", Value: instant(in.OccurredAt)})
	f.add("event_id", in.EventID)
	f.add("store_code", in.StoreCode)
	if in.HasUserID {
		f.add("user_id", in.UserID)
	}
	for _, id := range in.Identifiers {
		f.add("identifiers."+id.Namespace, id.Value)
	}
	if o := payload.Order; o != nil {
		f.add("order.order_number", o.Number)
		f.optional("order.currency", o.Currency)
		f.optional("order.total_amount", (*string)(o.Total))
		for i := range o.Lines {
			for _, part := range o.Lines[i].parts() {
				f.optional(linePrefix+part.name, part.value)
			}
		}
	}
	for _, m := range []struct {
		name string
		of   map[string]string
	}{{"traits.", payload.Traits}, {"properties.", payload.Properties}} {
		for _, name := range slices.Sorted(maps.Keys(m.of)) {
			f.optional(m.name+name, &[]string{m.of[name]}[0])
		}
	}
	return f.all
}

// directiveFields are those of a directive: those of its trace; without one, what the record holds.
func directiveFields(it *mapping.Item) []mapping.FieldTrace {
	if it.Trace != nil {
		return it.Trace.Fields
	}
	d := it.Directive
	var f fieldList
	if d.HasIssuedAt {
		f.all = append(f.all, mapping.FieldTrace{Field: "occurred_at", Value: instant(d.IssuedAt)})
	}
	for _, of := range []struct {
		name   string
		target *interaction.Target
	}{{"directive.a.value", d.A}, {"directive.b.value", d.B}} {
		if of.target != nil {
			f.optional(of.name, &of.target.Value)
		}
	}
	f.add("customer_id", d.CustomerID)
	f.add("author", d.Author)
	f.add("reason", d.Reason)
	if d.DryRun {
		f.add("dry_run", strconv.FormatBool(d.DryRun))
	}
	return f.all
}

// fieldList gathers fields that no mapping filled.
type fieldList struct{ all []mapping.FieldTrace }

// add appends a field; an empty one is not there.
func (l *fieldList) add(field, value string) {
	if value != "" {
		l.optional(field, &value)
	}
}

func (l *fieldList) optional(field string, value *string) {
	if value != nil {
		l.all = append(l.all, mapping.FieldTrace{Field: field, Value: *value})
	}
}
