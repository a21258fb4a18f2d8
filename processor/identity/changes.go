package identity

import (
	"cmp"
	"slices"

	"kinfold/processor/interaction"
)

// freshComponent is a component after the rebuild.
type freshComponent struct {
	id      componentID
	old     int32 // component whose id it goes on with, or none
	members []int32
	edges   []int32
}

// rebuild makes the customers of everything that changed, and says how they differ from those before (identity.md
// sections 4.6 and 6). Components that did not change are left alone: they hold no customer that did.
func (w *work) rebuild(c *cause, out *Result) {
	for i := range w.nodes {
		n := &w.nodes[i]
		if n.isNew || n.erased || n.shared != n.wasShared || n.retracted != n.wasRetracted || n.comp != none && w.comps[n.comp].dirty {
			w.affected = append(w.affected, int32(i))
		}
	}
	old := len(w.customers)
	w.regroup(out)
	w.compare(old)
	w.report(old, c, out)
}

// regroup makes the customers of all that is affected, and finds their founders.
func (w *work) regroup(out *Result) {
	slices.SortFunc(w.affected, w.compareBytes)
	for _, n := range w.affected {
		switch {
		case w.nodes[n].erased:
			w.nodes[n].customer = none
		case w.nodes[n].apart():
			w.nodes[n].customer = w.addCustomer(n)
		case w.nodes[n].fresh == none:
			w.buildComponent(n, out)
		}
	}
	for _, n := range w.affected {
		c := w.nodes[n].customer
		if c == none {
			continue
		}
		if w.olderFounder(n, w.customers[c].founder) {
			w.customers[c].founder = n
		}
		if w.class(n) != Device {
			w.customers[c].known = true
		}
	}
}

func (w *work) addCustomer(founder int32) int32 {
	w.customers = append(w.customers, customer{founder: founder})
	return int32(len(w.customers) - 1)
}

// buildComponent gathers the component of n and builds its customers.
func (w *work) buildComponent(n int32, out *Result) {
	k := int32(len(w.fresh))
	if len(w.fresh) < cap(w.fresh) {
		w.fresh = w.fresh[:k+1]
	} else {
		w.fresh = append(w.fresh, freshComponent{})
	}
	f := &w.fresh[k]
	f.old, f.members, f.edges = none, append(f.members[:0], n), f.edges[:0]
	w.nodes[n].fresh = k
	for at := 0; at < len(f.members); at++ {
		x := f.members[at]
		for i := w.nodes[x].edges; i != none; {
			e := &w.edges[i]
			next, y := e.next(x)
			if w.active(e) {
				if e.root == x {
					f.edges = append(f.edges, i)
				}
				if w.nodes[y].fresh == none {
					w.nodes[y].fresh = k
					f.members = append(f.members, y)
				}
			}
			i = next
		}
	}
	slices.SortFunc(f.members, w.compareBytes)
	w.build(f.members, f.edges)
	for _, x := range f.members {
		top := w.top(x)
		if w.groups[w.nodes[top].slot].customer == none {
			w.groups[w.nodes[top].slot].customer = w.addCustomer(x)
		}
		w.nodes[x].customer = w.groups[w.nodes[top].slot].customer
	}
	if len(f.members) > w.g.rules.ComponentLimit {
		out.Tallies.Oversized++
	}
}

// compare strings the affected identifiers to lists by customer, new and old, finds for each new customer its id and
// the old customer of that id, and gives it its version.
func (w *work) compare(old int) {
	for i := range w.customers {
		c := &w.customers[i]
		c.first, c.count, c.same = none, 0, none
	}
	// Backwards: each list is then in byte order.
	for i := len(w.affected) - 1; i >= 0; i-- {
		n := &w.nodes[w.affected[i]]
		if n.customer != none {
			n.next, w.customers[n.customer].first = w.customers[n.customer].first, w.affected[i]
			w.customers[n.customer].count++
		}
		if n.oldCustomer != none {
			n.nextOld, w.customers[n.oldCustomer].first = w.customers[n.oldCustomer].first, w.affected[i]
			w.customers[n.oldCustomer].count++
		}
	}
	for i := old; i < len(w.customers); i++ {
		c := &w.customers[i]
		f := &w.nodes[c.founder]
		if was := f.oldCustomer; was != none && w.customers[was].founder == c.founder {
			c.same, w.customers[was].same = was, int32(i)
			c.id = *w.customerID(was)
		} else {
			c.id = w.idOf(c.founder)
		}
		c.version = w.versionOf(c)
		f.ownVersion = c.version
	}
}

// unchanged reports whether a new customer is an old one: the same id and the same members.
func (w *work) unchanged(c *customer) bool {
	if c.same == none || w.customers[c.same].count != c.count {
		return false
	}
	for n := c.first; n != none; n = w.nodes[n].next {
		if w.nodes[n].oldCustomer != c.same {
			return false
		}
	}
	return true
}

// versionOf is one more than the greatest version among the customers that c came from, the last one of its own id included.
func (w *work) versionOf(c *customer) int64 {
	if w.unchanged(c) {
		return w.customers[c.same].version
	}
	version := w.nodes[c.founder].oldOwn
	for n := c.first; n != none; n = w.nodes[n].next {
		if was := w.nodes[n].oldCustomer; was != none {
			version = max(version, w.customers[was].version)
		}
	}
	return version + 1
}

// ended reports whether the customer that n founded is gone: into another one, unless n is erased.
func (w *work) ended(n int32) bool {
	x := &w.nodes[n]
	return x.oldCustomer != none && w.customers[x.oldCustomer].founder == n && w.customers[x.oldCustomer].same == none
}

// report makes the change records, the rows of the map and the tallies.
func (w *work) report(old int, cause *cause, out *Result) {
	rule := interaction.RuleEvidence
	if cause.directiveID != "" {
		rule = interaction.RuleDirective
	}
	for _, i := range w.affected {
		n := &w.nodes[i]
		if n.shared && !n.wasShared {
			if rule == interaction.RuleEvidence {
				rule = interaction.RuleShared
			}
			out.Tallies.Shared++
		} else if n.wasShared && !n.shared {
			out.Tallies.Unshared++
		}
		if w.ended(i) {
			out.Tallies.Ended++
			if n.erased {
				continue
			}
			out.Merged = append(out.Merged, w.customerID(n.oldCustomer).text())
		}
	}
	slices.Sort(out.Merged)
	blank := interaction.Change{
		Realm: w.realm, Rule: rule, Source: cause.source, SourceEventID: cause.eventID, DirectiveID: cause.directiveID, Origin: cause.origin,
	}
	for i := range old {
		w.reportErased(int32(i), blank, out)
	}
	for i := old; i < len(w.customers); i++ {
		c := &w.customers[i]
		if c.same == none {
			out.Tallies.Created++
		}
		if w.unchanged(c) {
			continue
		}
		change := blank
		change.CustomerID, change.Version = c.id.text(), c.version
		w.describe(int32(i), &change)
		switch change.Kind {
		case interaction.ChangeMerged:
			out.Tallies.Merges++
		case interaction.ChangeSplit:
			out.Tallies.Splits++
		}
		out.Changes = append(out.Changes, change)
	}
	slices.SortFunc(out.Changes, func(a, b interaction.Change) int { return cmp.Compare(a.CustomerID, b.CustomerID) })
	w.mapRows(out)
}

// reportErased makes the record of an id that lost its founder or all its members, and with them one that was erased.
func (w *work) reportErased(i int32, change interaction.Change, out *Result) {
	c := &w.customers[i]
	if c.same != none {
		return
	}
	for n := c.first; n != none; n = w.nodes[n].nextOld {
		if w.nodes[n].erased {
			change.RemovedHMAC = append(change.RemovedHMAC, w.hmacText(n))
		} else {
			change.Removed = append(change.Removed, w.keyText(n))
		}
	}
	if len(change.RemovedHMAC) == 0 {
		return
	}
	slices.Sort(change.RemovedHMAC)
	change.Kind, change.CustomerID, change.Version = interaction.ChangeErased, w.customerID(i).text(), c.version+1
	w.nodes[c.founder].ownVersion = change.Version
	out.Changes = append(out.Changes, change)
}

// describe fills in what became of the members of a customer, and the kind that sums it up.
func (w *work) describe(i int32, change *interaction.Change) {
	c := &w.customers[i]
	others := false // a customer lives on from which a member came
	for n := c.first; n != none; n = w.nodes[n].next {
		x := &w.nodes[n]
		if x.oldCustomer == none || x.oldCustomer != c.same {
			change.Added = append(change.Added, w.keyText(n))
		}
		if x.oldCustomer == none {
			continue
		}
		if w.ended(n) {
			change.MergedCustomerIDs = append(change.MergedCustomerIDs, w.customerID(x.oldCustomer).text())
		}
		if was := w.customers[x.oldCustomer]; was.same != none || w.nodes[was.founder].customer != i {
			others = true
		}
	}
	if c.same != none {
		for n := w.customers[c.same].first; n != none; n = w.nodes[n].nextOld {
			to := w.nodes[n].customer
			if to == none {
				change.RemovedHMAC = append(change.RemovedHMAC, w.hmacText(n))
			} else if to != i {
				change.Removed = append(change.Removed, w.keyText(n))
				if w.customers[to].same == none {
					change.SplitCustomerIDs = append(change.SplitCustomerIDs, w.customers[to].id.text())
				}
			}
		}
	}
	if len(change.RemovedHMAC) > 0 {
		slices.Sort(change.RemovedHMAC)
		for n := c.first; n != none; n = w.nodes[n].next {
			change.Left = append(change.Left, w.keyText(n))
		}
	}
	slices.Sort(change.MergedCustomerIDs)
	slices.Sort(change.SplitCustomerIDs)
	change.SplitCustomerIDs = slices.Compact(change.SplitCustomerIDs)
	change.Kind = kindOfChange(c.same != none, others, change)
	if change.Kind != interaction.ChangeSplit {
		change.SplitCustomerIDs = nil
	}
}

// kindOfChange is the first kind that applies.
func kindOfChange(existed, others bool, c *interaction.Change) interaction.ChangeKind {
	switch {
	case len(c.RemovedHMAC) > 0:
		return interaction.ChangeErased
	case !existed && len(c.MergedCustomerIDs) == 1 && !others:
		return interaction.ChangeRenamed
	case len(c.MergedCustomerIDs) > 0:
		return interaction.ChangeMerged
	case existed && len(c.SplitCustomerIDs) > 0:
		return interaction.ChangeSplit
	case existed && len(c.Added) == 0:
		return interaction.ChangeReduced
	case !existed:
		return interaction.ChangeCreated
	}
	return interaction.ChangeExtended
}

// mapRows makes the rows of identity-map that differ, pointers of ended ids included.
func (w *work) mapRows(out *Result) {
	for _, i := range w.affected {
		n := &w.nodes[i]
		if n.erased {
			w.eraseRows(i, out)
			continue
		}
		c := &w.customers[n.customer]
		moved := n.oldCustomer == none || n.oldCustomer != c.same
		if moved {
			n.mapVersion = c.version
		}
		status := statusOf(n.shared, n.retracted)
		if moved || status != statusOf(n.wasShared, n.wasRetracted) {
			out.MapRows = append(out.MapRows, interaction.MapRow{
				Key: w.keyText(i), CustomerID: c.id.text(), Version: n.mapVersion, Status: status,
			})
		}
		if founds := c.founder == i; founds && n.oldOwn == 0 || n.isNew && n.oldOwn > 0 {
			id := w.idOf(i)
			w.putFounder(out, id.text(), w.keyOf(i))
		}
		w.pointer(i, moved, out)
	}
	slices.SortFunc(out.MapRows, func(a, b interaction.MapRow) int { return cmp.Compare(a.Key, b.Key) })
}

func statusOf(shared, retracted bool) interaction.MapStatus {
	switch {
	case retracted:
		return interaction.MapRetracted
	case shared:
		return interaction.MapShared
	}
	return interaction.MapLinked
}

// pointer keeps the pointer of the id that i founded: it exists while the id is ended, and names the customer of i.
func (w *work) pointer(i int32, moved bool, out *Result) {
	n := &w.nodes[i]
	if n.oldOwn == 0 {
		return
	}
	was := n.oldCustomer != none && w.customers[n.oldCustomer].founder == i
	is := w.customers[n.customer].founder == i
	if was && is || !was && !is && !moved || is && n.isNew { // a new one that was erased before has no pointer yet
		return
	}
	var id rawID
	if was {
		id = *w.customerID(n.oldCustomer)
	} else {
		id = w.idOf(i)
	}
	row := interaction.MapRow{Key: interaction.PointerKey(w.realm, id.text()).String()}
	if !is {
		c := &w.customers[n.customer]
		row.CustomerID, row.Version, row.Status = c.id.text(), c.version, interaction.MapEnded
	}
	out.MapRows = append(out.MapRows, row)
}
