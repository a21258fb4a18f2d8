package try

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/page"
	"kinfold/processor/source/mapping"
)

// tell says what became of a record, item by item.
func (t *Trial) tell(rec *Record) error {
	t.heading(rec)
	for i := range t.result.Items {
		it := &t.result.Items[i]
		var err error
		switch it.Kind {
		case mapping.Interaction:
			err = t.interaction(rec, it)
		case mapping.Directive:
			t.directive(rec, it)
		case mapping.Reject:
			t.count(it)
			t.head(it, page.Red, "rejected", mapping.ReasonText(it.Reject))
			t.rejected(it.Reject, it.Trace)
		case mapping.Ignore:
			t.count(it)
			t.head(it, page.Yellow, "ignored", it.Ignore)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", rec.Place, err)
		}
	}
	t.page.Line("")
	return t.page.Err()
}

// maxKey is how much of the key of a record is shown, in columns.
const maxKey = 40

func (t *Trial) heading(rec *Record) {
	parts := []string{rec.Place}
	if rec.Topic != "" {
		parts = append(parts, "topic "+page.Clip(rec.Topic, maxKey))
	}
	if rec.Key != nil {
		parts = append(parts, "key "+page.Clip(strings.ToValidUTF8(string(rec.Key), "·"), maxKey))
	}
	parts = append(parts, instant(rec.Timestamp))
	if rec.Value != nil {
		parts = append(parts, amount(len(rec.Value), "byte"))
	}
	t.page.Line("%s   %s", t.page.Paint(page.Bold, fmt.Sprintf("record %d", t.counts.Records)), t.page.Paint(page.Dim, strings.Join(parts, ", ")))
}

func amount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// head is the line above an item: what it became, and by which rule.
func (t *Trial) head(it *mapping.Item, c page.Colour, what, detail string) {
	t.noteWidth = 0
	element := ""
	if it.Index != mapping.WholeRecord {
		element = fmt.Sprintf("[%d] ", it.Index)
	}
	rule := ""
	if tr := it.Trace; tr != nil {
		if tr.Rule > 0 {
			rule = fmt.Sprintf("rule %d at %s:%d", tr.Rule, filepath.Base(tr.File), tr.Line)
		}
		if tr.Input != "" {
			rule = strings.TrimPrefix(rule+", input "+tr.Input, ", ")
		}
	}
	t.page.Line("  %s%s %s   %s", element, t.page.Paint(c, what), t.page.Paint(page.Bold, page.Clip(detail, maxValue)), t.page.Paint(page.Dim, rule))
}

// interaction tells the fields of an interaction, what the identity rules make of its identifiers, and under which key it travels.
func (t *Trial) interaction(rec *Record, it *mapping.Item) error {
	in := &it.Interaction
	payload, err := readPayload(in.Payload)
	if err != nil {
		return err
	}
	t.keyed.Identifiers = t.keyed.Identifiers[:0]
	rej := t.normalizer.Interaction(in, rec.Timestamp, interaction.Origin{Topic: rec.Topic}, &t.keyed)
	if rej != nil {
		t.counts.Rejects[mapping.ReasonText(&interaction.Reject{Reason: rej.Reason})]++
		t.head(it, page.Red, "rejected by the identity rules", string(rej.Reason))
	} else {
		t.count(it)
		t.head(it, page.Green, "interaction", in.Type)
	}
	g := &grid{page: t.page}
	t.fields(g, in, fieldsOf(it, &payload), &payload)
	t.noteWidth = g.print()
	if it.Trace != nil {
		t.nothingFor(it.Trace)
	}
	if rej != nil {
		t.note("why", rej.Detail)
		t.note("what to do", adviceOn(rej, it.Trace))
		return nil
	}
	t.note("key", fmt.Sprintf("%s, realm %s", t.normalizer.RecordKey(&t.keyed), t.keyed.Realm))
	if in.EventID == "" {
		t.note("duplicates", "no event_id: its content tells ("+t.keyed.SourceEventID+")")
	}
	if !in.TimeStated {
		t.note("time", "the record states none; its Kafka timestamp stands in")
	}
	return nil
}

// fields adds a row for each field, in their order; those of lines stand behind the order.
func (t *Trial) fields(g *grid, in *interaction.Interaction, fields []mapping.FieldTrace, payload *payloadJSON) {
	var ofLines []mapping.FieldTrace
	for _, f := range fields {
		if strings.HasPrefix(f.Field, linePrefix) {
			ofLines = append(ofLines, f)
		}
	}
	for _, f := range fields {
		name, isIdentifier := strings.CutPrefix(f.Field, "identifiers.")
		switch {
		case strings.HasPrefix(f.Field, linePrefix):
			if ofLines != nil {
				lineRows(g, payload.Order.Lines, ofLines)
				ofLines = nil
			}
		case f.Field == "user_id":
			namespace := t.normalizer.UserNamespace(in)
			t.identifierRow(g, f, "user_id ("+namespace+")", namespace, in.StoreCode)
		case isIdentifier:
			t.identifierRow(g, f, name+verifiedMark(in.Identifiers, name, f.Value), name, in.StoreCode)
		case f.Field == "occurred_at":
			g.add(f.Field, instant(in.OccurredAt), "", f)
			if !strings.HasPrefix(instant(in.OccurredAt), strings.TrimSuffix(f.Value, "Z")) {
				g.more("read from " + f.Value)
			}
		case f.Field == "order.total_amount":
			g.add(f.Field, amountText(payload.Order.Total), "", f)
		default:
			g.add(f.Field, f.Value, "", f)
		}
	}
}

func verifiedMark(all []interaction.Raw, namespace, value string) string {
	for _, id := range all {
		if id.Namespace == namespace && id.Value == value && id.Verified {
			return " (verified)"
		}
	}
	return ""
}

const (
	linePrefix = "order.lines."
	// maxLines is how many lines of an order are told.
	maxLines = 3
)

// lineRows adds the fields of an order's lines. A trace has those that are there, line by line.
func lineRows(g *grid, lines []orderLineJSON, traces []mapping.FieldTrace) {
	next := 0
	for i := range lines {
		for _, f := range lines[i].parts() {
			if f.value == nil || next == len(traces) || traces[next].Field != linePrefix+f.name {
				continue
			}
			if i < maxLines {
				g.add(fmt.Sprintf("lines[%d].%s", i, f.name), *f.value, "", traces[next])
			}
			next++
		}
	}
	if len(lines) > maxLines {
		g.more(fmt.Sprintf("… and %s more", amount(len(lines)-maxLines, "line")))
	}
}

func amountText(a *amountJSON) string {
	if a == nil {
		return ""
	}
	return string(*a)
}

// identifierRow adds an identifier with what the rules make of it.
func (t *Trial) identifierRow(g *grid, f mapping.FieldTrace, label, namespace, store string) {
	value, domain, outcome, rule := t.normalizer.Value(namespace, store, f.Value)
	if outcome == interaction.OutcomeNone && slices.ContainsFunc(t.keyed.Identifiers, func(id interaction.Identifier) bool {
		return id.Namespace == namespace && id.Outcome == interaction.OutcomeConflict
	}) {
		outcome = interaction.OutcomeConflict
	}
	t.counts.Identifiers[outcome]++
	g.add(label, f.Value, verdict(outcome, rule), f)
	as := namespace
	if domain != "" {
		as += " of " + domain
	}
	switch {
	case outcome == interaction.OutcomeConflict:
		g.more("two different ones in one interaction: none counts")
	case outcome == interaction.OutcomeInvalid:
		g.more(t.whyInvalid(namespace, store, f.Value, rule))
	case outcome == interaction.OutcomeNone && value != f.Value:
		g.more("as " + as + " " + value)
	case outcome == interaction.OutcomeNone && domain != "":
		g.more("as " + as)
	}
}

func verdict(o interaction.Outcome, rule string) string {
	switch o {
	case interaction.OutcomeNone:
		return "usable"
	case interaction.OutcomeBlocked:
		return "blocked: " + rule
	}
	return o.String()
}

// whyInvalid says what is wrong with a value, as far as it can be told.
func (t *Trial) whyInvalid(namespace, store, value, rule string) string {
	ns, _ := t.rules.Namespaces.Lookup(namespace)
	switch {
	case rule == normalize.RuleUndeclared:
		return "no such namespace; declare it in identity.namespaces"
	case rule == normalize.RuleBadStoreCode:
		return "the StoreCode is none"
	case ns.Like == "phone" && !strings.HasPrefix(strings.TrimSpace(value), "+"):
		return fmt.Sprintf("no international number, and no number of the region that identity.regions gives store %q", store)
	}
	return "no " + namespace + " has this form"
}

// directive tells what a directive orders, and whether the identity rules take it.
func (t *Trial) directive(rec *Record, it *mapping.Item) {
	d, fields := *it.Directive, directiveFields(it)
	if it.Trace != nil {
		d.Realm, _ = t.normalizer.RealmOf(it.StoreCode)
	}
	t.keyed.Identifiers = t.keyed.Identifiers[:0]
	rej := t.normalizer.Directive(&d, rec.Timestamp, interaction.Origin{Topic: rec.Topic}, &t.keyed)
	if rej != nil {
		t.counts.Rejects[string(rej.Reason)]++
		t.head(it, page.Red, "rejected by the identity rules", string(rej.Reason))
	} else {
		t.count(it)
		t.head(it, page.Green, "directive", string(d.Kind))
	}
	g := &grid{page: t.page}
	for _, f := range fields {
		switch target := map[string]*interaction.Target{"directive.a.value": d.A, "directive.b.value": d.B}[f.Field]; {
		case target != nil:
			t.identifierRow(g, f, strings.TrimSuffix(f.Field, ".value"), target.Namespace, target.StoreCode)
		case f.Field == "occurred_at":
			g.add("issued_at", instant(d.IssuedAt), "", f)
		default:
			g.add(f.Field, f.Value, "", f)
		}
	}
	t.noteWidth = g.print()
	t.note("directive_id", d.ID+", realm "+d.Realm)
	switch {
	case rej != nil:
		t.note("why", rej.Detail)
		t.note("what to do", adviceOn(rej, it.Trace))
	case d.Kind == interaction.DirectiveErase:
		t.note("scope", string(d.Scope))
		if t.deployed {
			break
		}
		t.note("mind", "it is a reject erase_not_enabled until the source may erase (allow_erase in its configuration)")
	}
}

// rejected tells why, and what to do.
func (t *Trial) rejected(rej *interaction.Reject, tr *mapping.Trace) {
	switch {
	case tr != nil && tr.ByRule:
		t.note("why", "the rule says so")
		t.note("what to do", "nothing, if it is right; else a rule of yours goes before it, in a file with extends")
		return
	case tr == nil || rej.Reason != interaction.ReasonMissingField && rej.Reason != interaction.ReasonInvalidField:
		t.note("why", rej.Detail)
	}
	if tr != nil {
		t.looked(rej, tr)
	}
	t.note("what to do", adviceOn(rej, tr))
}

// looked tells what the mapping looked at before it gave up.
func (t *Trial) looked(rej *interaction.Reject, tr *mapping.Trace) {
	if f := tr.Unread; f != nil {
		g := &grid{page: t.page}
		if f.Value == "" {
			g.add(f.Field, "longer than a field may be", "", *f)
		} else {
			g.add(f.Field, f.Value, "not readable", *f)
		}
		t.noteWidth = g.print()
		return
	}
	for _, f := range tr.Absent {
		isField := f.Field == rej.Detail
		if isField || rej.Reason == interaction.ReasonBadDirective {
			t.note(strings.TrimSuffix(f.Field, ".value"), fmt.Sprintf("%s (%s:%d)", looksText(f.Looks), filepath.Base(f.File), f.Line))
		}
	}
	if len(tr.Looks) > 0 {
		t.note("looked at", looksText(tr.Looks))
	}
}

func looksText(looks []mapping.Look) string {
	parts := make([]string, len(looks))
	for i, l := range looks {
		parts[i] = l.Path
		if l.Value != "" {
			parts[i] += fmt.Sprintf(" = %q", page.Clip(l.Value, maxValue))
		}
		if l.Why != "" {
			parts[i] += " " + l.Why
		}
	}
	return strings.Join(parts, "; ")
}

// mainFields are those whose absence is told one by one; of the others the names do.
var mainFields = []string{"event_id", "store_code", "user_id", "order.order_number"}

// nothingFor tells the fields that the rule makes and that are empty.
func (t *Trial) nothingFor(tr *mapping.Trace) {
	var others []string
	for _, f := range tr.Absent {
		if slices.Contains(mainFields, f.Field) {
			t.dimNote("no "+f.Field, fmt.Sprintf("%s (%s:%d)", looksText(f.Looks), filepath.Base(f.File), f.Line))
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(f.Field, "identifiers."), "properties.")
		if !slices.Contains(others, name) {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		t.dimNote("not there", strings.Join(others, ", "))
	}
}
