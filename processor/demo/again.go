package demo

// repeat sends n interactions again: alone, half of the tills' and the app's with the time written in another form, or with
// all that were in their record.
func (g *generator) repeat(n int) {
	flushed := map[flushOf][]int{}
	for i := range g.drafts {
		if d := &g.drafts[i]; d.flush != 0 {
			flushed[d.flushOf()] = append(flushed[d.flushOf()], i)
		}
	}
	for n > 0 {
		d := g.someDraft(func(*draft) bool { return true })
		together := flushed[d.flushOf()]
		if len(together) > 1 && len(together) <= n && chance(g.rng, 50) {
			flush, late := g.newFlush(), g.seconds(1, 3600)
			for _, i := range together {
				one := g.drafts[i]
				one.flush, one.sent = flush, one.sent.Add(late)
				g.repeats = append(g.repeats, one)
			}
			n -= len(together)
			continue
		}
		if d.event != nil && chance(g.rng, 50) {
			d.stamp = (d.stamp + 1) % stampKinds
		}
		g.sendAgain(d, 1, 3600)
		n--
	}
}

// sendAgain sends a draft alone, some seconds after it was sent.
func (g *generator) sendAgain(d draft, from, to int) {
	d.sent = d.sent.Add(g.seconds(from, to))
	if d.flush != 0 {
		d.flush = g.newFlush()
	}
	g.repeats = append(g.repeats, d)
}

// contradict sends n orders again with another total: by turns of a till and of the web shop.
func (g *generator) contradict(n int) {
	for i := range n {
		d := g.someDraft(func(d *draft) bool { return d.orders() && (d.call != nil) == (i%2 == 1) })
		if d.event != nil {
			e, o := *d.event, *d.event.Order
			o.Total = "1" + o.Total
			e.Order = &o
			d.event = &e
		} else {
			c, o := *d.call, *d.call.Properties.(*orderProperties)
			o.Total = "1" + o.Total
			c.Properties = &o
			d.call = &c
		}
		g.sendAgain(d, 600, 7200)
	}
}

// orders reports whether the draft has an order.
func (d *draft) orders() bool {
	if d.call != nil {
		_, is := d.call.Properties.(*orderProperties)
		return is
	}
	return d.event != nil && d.event.Order != nil
}
