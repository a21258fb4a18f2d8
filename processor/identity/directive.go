package identity

import (
	"bytes"
	"fmt"
	"slices"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// Order is a directive that has been checked and normalised (identity.md 4.1).
type Order struct {
	ID       string
	Kind     interaction.DirectiveKind
	Realm    string
	IssuedAt int64           // epoch ms
	A, B     interaction.Key // zero where the kind has none
	// Of an erase: how far it reaches, or the customer instead of A.
	Scope      interaction.Scope
	CustomerID interaction.CustomerID
	Origin     interaction.Origin
	Seq        uint64 // offset in the keyed topic
}

// Effect says what a directive did.
type Effect uint8

// The effects.
const (
	Effective  Effect = iota // it counts, whether or not that changes anything now
	Superseded               // one of the same slot that was issued later counts
	Ignored                  // it names an identifier that was erased since
)

var effectNames = [...]string{"effective", "superseded", "ignored"}

func (e Effect) String() string { return effectNames[e] }

var orderKinds = map[interaction.DirectiveKind]orderKind{
	interaction.DirectiveLink: orderLink, interaction.DirectiveReplace: orderReplace, interaction.DirectiveRestore: orderRestore,
	interaction.DirectiveRetract: orderRetract, interaction.DirectiveSeparate: orderSeparate,
}

// Direct applies a directive to the graph that view shows and returns what that changes, as Apply does for evidence. Of
// the result Rows, Changes, MapRows, Merged, Effect, Tallies and Reject (bad_directive: the customer is unknown) are set.
// A directive that names an unknown identifier waits for it.
func (r *Resolver) Direct(view table.View, o *Order) (*Result, error) {
	w, out := &r.w, &r.result
	*out = Result{Outcomes: out.Outcomes[:0], Capped: out.Capped[:0]}
	w.reset(view, o.Realm)
	if err := w.linkAll(); err != nil {
		return nil, err
	}
	err := w.direct(o, out)
	if err != nil {
		return nil, fmt.Errorf("identity: directive of kind %s: %w", o.Kind, err)
	}
	return out, nil
}

func (w *work) direct(o *Order, out *Result) error {
	c := &cause{directiveID: o.ID, origin: o.Origin, seq: o.Seq}
	if o.Kind == interaction.DirectiveErase {
		return w.erase(o, c, out)
	}
	a, err := w.target(o.A)
	if err != nil {
		return err
	}
	ignored := a.suppressedUntil(o)
	var b target
	if !o.B.IsZero() {
		if b, err = w.target(o.B); err != nil {
			return err
		}
		ignored = ignored || b.suppressedUntil(o)
	}
	if ignored {
		out.Effect = Ignored
		return nil
	}
	slot := order{kind: orderKinds[o.Kind], issuedAt: o.IssuedAt, id: []byte(o.ID)}
	if o.B.IsZero() {
		err = w.orderOne(&a, &slot, out)
	} else {
		err = w.orderPair(&a, &b, &slot, out)
	}
	if err != nil || out.Effect == Superseded {
		return err
	}
	if err := w.settle(); err != nil {
		return err
	}
	if a.node != none && w.nodes[a.node].wasRetracted && !w.nodes[a.node].apart() {
		if err := w.rejoin(a.node); err != nil {
			return err
		}
	}
	w.rebuild(c, out)
	w.write(c, out)
	return nil
}

// target is an identifier that a directive names.
type target struct {
	key        []byte
	node       int32 // none: it has not occurred
	suppressed bool
	until      int64
}

func (t *target) suppressedUntil(o *Order) bool { return t.suppressed && o.IssuedAt <= t.until }

func (w *work) target(k interaction.Key) (t target, err error) {
	space, ok := w.g.index[k.Namespace]
	if !ok {
		return t, fmt.Errorf("namespace %q is not declared", k.Namespace)
	}
	var domain, value []byte
	t.key, domain, value = w.keepKey(k)
	if t.node, err = w.find(t.key, space, domain, value); err != nil {
		return t, err
	}
	if t.node == none || w.nodes[t.node].flags&flagSuppressed != 0 {
		t.until, _, t.suppressed, err = w.suppression(t.key)
	}
	return t, err
}

// suppression reads until when an identifier that was erased is ignored, and the last version of the customer it founded.
func (w *work) suppression(key []byte) (until, version int64, there bool, err error) {
	b, err := w.view.Get(table.Suppressed, w.hmacOf(key))
	if b == nil || err != nil {
		return 0, 0, false, err
	}
	until, version, err = decodeSuppressed(b)
	return until, version, err == nil, err
}

// orderOne enters a retract or restore into the slot of an identifier.
func (w *work) orderOne(a *target, o *order, out *Result) error {
	held, err := w.ordersOf(a.key, slotOwn)
	if err != nil {
		return err
	}
	if len(held) > 0 && !o.later(&held[0].order, a.key, nil) {
		out.Effect = Superseded
		return nil
	}
	w.putSlot(out, a.key, slotOwn, nil, o, true)
	retracted := o.kind == orderRetract
	if a.node == none || w.nodes[a.node].retracted == retracted {
		return nil
	}
	return w.change([]int32{a.node}, func() error {
		w.nodes[a.node].retracted = retracted
		w.dirtyPairs(a.node)
		return nil
	})
}

// orderPair enters a directive into the slot of two identifiers.
func (w *work) orderPair(a, b *target, o *order, out *Result) error {
	held, err := w.heldPair(a.key, b.key)
	if err != nil {
		return err
	}
	if held != nil && !o.later(held, a.key, b.key) {
		out.Effect = Superseded
		return nil
	}
	w.putSlot(out, a.key, slotPair, b.key, o, true)
	w.putSlot(out, b.key, slotPair, a.key, o, false)
	for _, n := range [2]int32{a.node, b.node} {
		if n != none && w.nodes[n].flags&flagPaired == 0 {
			w.nodes[n].flags |= flagPaired
			w.dirty(n)
		}
	}
	if a.node == none || b.node == none {
		return nil
	}
	at := w.pairOf(a.node, b.node)
	if at == none {
		at = w.addPair(a.node, b.node, order{first: true})
		w.retie()
	}
	return w.change([]int32{a.node, b.node}, func() error {
		p := &w.pairs[at]
		if p.a != a.node {
			p.a, p.b, p.nextA, p.nextB = p.b, p.a, p.nextB, p.nextA
		}
		p.order = *o
		w.edges[p.edge].firstSeen, w.edges[p.edge].eventID = o.issuedAt, o.id
		w.dirty(a.node)
		w.dirty(b.node)
		return nil
	})
}

func (w *work) heldPair(a, b []byte) (*order, error) {
	from := len(w.text)
	w.text = append(appendEdgePrefix(w.text, a, slotPair), b...)
	value, err := w.view.Get(table.Directives, w.text[from:])
	if value == nil || err != nil {
		return nil, err
	}
	o, err := decodeOrder(value)
	o.id = w.keep(o.id)
	return &o, err
}

func (w *work) putSlot(out *Result, key []byte, slot byte, other []byte, o *order, first bool) {
	row := table.Row{Table: table.Directives, Key: slotKey(key, slot, other)}
	if o != nil {
		row.Value = appendOrder(nil, o, first)
	}
	out.Rows = append(out.Rows, row)
}

func slotKey(key []byte, slot byte, other []byte) []byte {
	return append(appendEdgePrefix(make([]byte, 0, len(key)+len(other)+4), key, slot), other...)
}

// erase deletes identifiers and all that came of them (identity.md section 8).
func (w *work) erase(o *Order, c *cause, out *Result) error {
	targets, err := w.eraseTargets(o, out)
	if err != nil || out.Reject != nil || out.Effect != Effective {
		return err
	}
	var nodes []int32
	for i := range targets {
		if n := targets[i].node; n != none {
			nodes = append(nodes, n)
			if err := w.loadInactive(n, false, true); err != nil {
				return err
			}
			if err := w.touch(n); err != nil {
				return err
			}
			if w.nodes[n].wasApart() {
				if err := w.loadCounts(n); err != nil {
					return err
				}
			}
		}
	}
	if len(nodes) > 0 {
		if err := w.change(nodes, func() error { return w.forget(nodes) }); err != nil {
			return err
		}
	}
	if err := w.settle(); err != nil {
		return err
	}
	for i := range targets {
		if err := w.eraseOrders(o, &targets[i], out); err != nil {
			return err
		}
	}
	w.rebuild(c, out)
	w.write(c, out)
	return w.suppress(o, targets, out)
}

// eraseTargets finds what a directive erases, in byte order.
func (w *work) eraseTargets(o *Order, out *Result) ([]target, error) {
	var list []target
	customer := int32(none)
	if o.CustomerID.IsZero() {
		a, err := w.target(o.A)
		if err != nil {
			return nil, err
		}
		if a.suppressedUntil(o) {
			out.Effect = Ignored
			return nil, nil
		}
		list = append(list, a)
		if o.Scope == interaction.ScopeCustomer && a.node != none {
			customer = w.nodes[a.node].customer
		}
	} else {
		n, err := w.findFounder(o.CustomerID)
		if err != nil {
			return nil, err
		}
		if n == none {
			out.Reject = &interaction.Reject{Reason: interaction.ReasonBadDirective, Detail: "customer_id names no customer of this realm, neither a living nor an ended one"}
			return nil, nil
		}
		customer = w.nodes[n].customer
	}
	if customer != none {
		for i := range w.nodes {
			n := int32(i)
			if w.nodes[i].customer != customer || w.nodes[i].shared || len(list) > 0 && list[0].node == n {
				continue
			}
			t := target{key: w.keyOf(n), node: n}
			if w.nodes[i].flags&flagSuppressed != 0 {
				var err error
				if t.until, _, t.suppressed, err = w.suppression(t.key); err != nil {
					return nil, err
				}
			}
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b target) int { return bytes.Compare(a.key, b.key) })
	return list, nil
}

// findFounder returns the node of the identifier that founds a customer id, also one that ended, or none.
func (w *work) findFounder(id interaction.CustomerID) (int32, error) {
	b, err := w.view.Get(table.Founders, []byte(id))
	if b == nil || err != nil {
		return none, err
	}
	key, err := decodeFounder(b)
	if err != nil {
		return none, fmt.Errorf("founder of a customer: %w", err)
	}
	key = w.keep(key)
	if !bytes.HasPrefix(key, append([]byte(w.realm), interaction.Sep)) {
		return none, nil
	}
	space, domain, value, err := w.split(key)
	if err != nil {
		return none, err
	}
	return w.find(key, space, domain, value)
}

// forget takes identifiers and their evidence out of the loaded graph.
func (w *work) forget(nodes []int32) error {
	for _, n := range nodes {
		w.nodes[n].erased = true
		w.dirty(n)
		for i := w.nodes[n].edges; i != none; {
			e := &w.edges[i]
			i, _ = e.next(n)
			e.gone = true
		}
		w.dirtyPairs(n)
	}
	return nil
}

// eraseOrders deletes the directives that name an erased identifier and were issued before.
func (w *work) eraseOrders(o *Order, t *target, out *Result) error {
	for _, slot := range [2]byte{slotOwn, slotPair} {
		held, err := w.ordersOf(t.key, slot)
		if err != nil {
			return err
		}
		for i := range held {
			if held[i].issuedAt > o.IssuedAt {
				continue
			}
			w.putSlot(out, t.key, slot, held[i].other, nil, false)
			if slot == slotPair {
				w.putSlot(out, held[i].other, slot, t.key, nil, false)
			}
		}
	}
	return nil
}

// suppress writes until when erased identifiers are ignored, and what their ids must go on with.
func (w *work) suppress(o *Order, targets []target, out *Result) error {
	for i := range targets {
		t := &targets[i]
		until, version, _, err := w.suppression(t.key)
		if err != nil {
			return err
		}
		if t.node != none {
			version = max(version, w.nodes[t.node].ownVersion)
		}
		if !t.suppressed || o.IssuedAt > until {
			until = o.IssuedAt
		}
		out.Rows = append(out.Rows, table.Row{
			Table: table.Suppressed, Key: slices.Clone(w.hmacOf(t.key)), Value: appendSuppressed(nil, until, version),
		})
	}
	return nil
}

// eraseRows deletes the row of an erased identifier, and tells the world: its row of the map, and the pointer of the id it
// founded, where that had ended.
func (w *work) eraseRows(i int32, out *Result) {
	n := &w.nodes[i]
	key := w.keyOf(i)
	out.Rows = append(out.Rows, table.Row{Table: table.Identifiers, Key: slices.Clone(key)})
	out.MapRows = append(out.MapRows, interaction.MapRow{Key: w.keyText(i)})
	if n.oldOwn == 0 {
		return
	}
	id := w.idOf(i)
	out.Rows = append(out.Rows, table.Row{Table: table.Founders, Key: []byte(id.text())})
	if w.customers[n.oldCustomer].founder != i {
		out.MapRows = append(out.MapRows, interaction.MapRow{Key: interaction.PointerKey(w.realm, id.text()).String()})
	}
}
