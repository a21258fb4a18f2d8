package schemas

import (
	"errors"
	"fmt"

	"kinfold/processor/interaction"
)

// DecodeInteraction decodes the body of an Interaction that was written with our schema. Every field of dst is set; Identifiers
// reuses its array, and Payload points into body.
func DecodeInteraction(body []byte, dst *interaction.Interaction) *interaction.Reject {
	c := cursor{in: string(body)}
	c.field = "event_id"
	dst.EventID = c.text()
	c.field = "source"
	dst.Source = c.text()
	c.field = "channel"
	dst.Channel = c.text()
	c.field = "type"
	dst.Type = c.text()
	c.field = "store_code"
	dst.StoreCode = c.text()
	c.field = "user_id"
	dst.UserID, dst.HasUserID = "", c.present()
	if dst.HasUserID {
		dst.UserID = c.text()
	}
	dst.UserIDOverlong = false
	c.field = "occurred_at"
	dst.OccurredAt, dst.TimeStated = c.long(), true
	c.field = "identifiers"
	dst.Identifiers = dst.Identifiers[:0]
	c.blocks(MaxIdentifiers, func() {
		dst.Identifiers = append(dst.Identifiers, interaction.Raw{Namespace: c.text(), Value: c.text(), Verified: c.boolean()})
	})
	payload := c.pos
	c.walkPayload()
	switch {
	case errors.Is(c.err, errTooMany) || errors.Is(c.err, errAmount):
		return &interaction.Reject{Reason: interaction.ReasonInvalidField, Detail: c.err.Error()}
	case c.err != nil:
		return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "not an Interaction: " + c.err.Error()}
	case c.pos < len(body):
		return leftover(len(body)-c.pos, len(body))
	}
	dst.Payload = body[payload:]
	return nil
}

func leftover(n, of int) *interaction.Reject {
	return &interaction.Reject{Reason: interaction.ReasonLeftoverBytes, Detail: fmt.Sprintf("%d of %d bytes are left over after the record", n, of)}
}

// AppendKeyed appends the body of a keyed interaction.
func AppendKeyed(b []byte, k *interaction.Keyed) []byte {
	b = appendText(b, k.Realm)
	b = append(b, k.ID[:]...)
	b = append(b, k.Content[:]...)
	b = appendText(b, k.Source)
	b = appendText(b, k.SourceEventID)
	b = appendText(b, k.Channel)
	b = appendText(b, k.Type)
	b = appendText(b, k.StoreCode)
	b = appendMaybe(b, k.UserID, k.HasUserID)
	b = appendLong(b, k.OccurredAt)
	b = appendLong(b, k.ReceivedAt)
	b = appendOrigin(b, k.Origin)
	if len(k.Identifiers) > 0 {
		b = appendLong(b, int64(len(k.Identifiers)))
		for i := range k.Identifiers {
			id := &k.Identifiers[i]
			b = appendText(b, id.Namespace)
			b = appendText(b, id.Domain)
			b = appendText(b, id.Value)
			b = appendBool(b, id.Verified)
			b = appendText(b, id.Outcome.String())
		}
	}
	b = append(b, 0)
	b = appendOrdered(b, k.Directive)
	return append(b, k.Payload...)
}

func appendOrdered(b []byte, d *interaction.Ordered) []byte {
	if d == nil {
		return append(b, 0)
	}
	b = append(b, 2)
	b = appendText(b, d.ID)
	b = appendText(b, d.Kind)
	b = appendLong(b, d.IssuedAt)
	for _, n := range [2]interaction.Named{d.A, d.B} {
		b = appendText(b, n.Namespace)
		b = appendText(b, n.Domain)
		b = appendText(b, n.Value)
	}
	b = appendText(b, d.Scope)
	b = appendText(b, d.CustomerID)
	b = appendText(b, d.Reason)
	b = appendText(b, d.Author)
	return appendBool(b, d.DryRun)
}

func (c *cursor) ordered() *interaction.Ordered {
	c.field = "directive"
	if !c.present() {
		return nil
	}
	named := func() interaction.Named {
		return interaction.Named{Namespace: c.bytes(), Domain: c.bytes(), Value: c.bytes()}
	}
	return &interaction.Ordered{
		ID: c.bytes(), Kind: interaction.DirectiveKind(c.bytes()), IssuedAt: c.long(), A: named(), B: named(),
		Scope: interaction.Scope(c.bytes()), CustomerID: interaction.CustomerID(c.bytes()), Reason: c.bytes(), Author: c.bytes(), DryRun: c.boolean(),
	}
}

// DecodeKeyed decodes the body of a keyed interaction. Every field of k is set; Identifiers reuses its array, and Payload, which
// was checked when the interaction was decoded, is the rest of body.
func DecodeKeyed(body []byte, k *interaction.Keyed) error {
	c := cursor{in: string(body), field: "head"}
	k.Realm = c.bytes()
	copy(k.ID[:], c.fixed(len(k.ID)))
	copy(k.Content[:], c.fixed(len(k.Content)))
	k.Source, k.SourceEventID, k.Channel, k.Type, k.StoreCode = c.bytes(), c.bytes(), c.bytes(), c.bytes(), c.bytes()
	k.UserID, k.HasUserID = "", c.present()
	if k.HasUserID {
		k.UserID = c.bytes()
	}
	k.OccurredAt, k.ReceivedAt = c.long(), c.long()
	k.Origin = c.origin()
	c.field = "identifiers"
	k.Identifiers = k.Identifiers[:0]
	// user_id is one more than the source's own.
	c.blocks(MaxIdentifiers+1, func() {
		id := interaction.Identifier{Namespace: c.bytes(), Domain: c.bytes(), Value: c.bytes(), Verified: c.boolean()}
		id.Outcome = c.outcome()
		k.Identifiers = append(k.Identifiers, id)
	})
	k.Directive = c.ordered()
	k.Payload = body[c.pos:]
	return c.err
}

// AppendUnified appends the body of a unified event.
func AppendUnified(b []byte, u *interaction.Unified) []byte {
	k := u.Keyed
	b = appendHash(b, k.ID)
	b = appendText(b, k.Realm)
	b = appendMaybe(b, string(u.CustomerID), !u.CustomerID.IsZero())
	b = appendLong(b, u.CustomerVersion)
	b = appendText(b, u.IdentityStatus)
	b = appendBool(b, u.Ambiguous)
	b = appendTexts(b, u.MergedCustomerIDs)
	b = appendText(b, k.Source)
	b = appendText(b, k.SourceEventID)
	b = appendText(b, k.Channel)
	b = appendText(b, k.Type)
	b = appendText(b, k.StoreCode)
	b = appendMaybe(b, k.UserID, k.HasUserID)
	b = appendLong(b, k.OccurredAt)
	b = appendLong(b, k.ReceivedAt)
	if len(u.Identifiers) > 0 {
		b = appendLong(b, int64(len(u.Identifiers)))
		for i := range u.Identifiers {
			id := &u.Identifiers[i]
			b = appendText(b, id.Namespace)
			b = appendText(b, id.Value)
			b = appendBool(b, id.Verified)
			b = appendText(b, id.Outcome.String())
		}
	}
	b = append(b, 0)
	b = appendOrigin(b, k.Origin)
	b = appendText(b, u.RulesVersion)
	return append(b, k.Payload...)
}

// DecodeUnified decodes the body of a unified event. Every field of u is set, Keyed anew: of it the content hash and the domains
// of identifiers are not in the event, and stay empty. Payload points into body.
func DecodeUnified(body []byte, u *interaction.Unified) error {
	c := cursor{in: string(body), field: "head"}
	k := &interaction.Keyed{}
	*u = interaction.Unified{Keyed: k}
	k.ID = c.hash()
	k.Realm = c.text()
	if c.present() {
		u.CustomerID = interaction.CustomerID(c.text())
	}
	u.CustomerVersion, u.IdentityStatus, u.Ambiguous = c.long(), interaction.IdentityStatus(c.text()), c.boolean()
	c.blocks(MaxIdentifiers+1, func() { u.MergedCustomerIDs = append(u.MergedCustomerIDs, interaction.CustomerID(c.text())) })
	k.Source, k.SourceEventID, k.Channel, k.Type, k.StoreCode = c.text(), c.text(), c.text(), c.text(), c.text()
	if k.HasUserID = c.present(); k.HasUserID {
		k.UserID = c.text()
	}
	k.OccurredAt, k.ReceivedAt = c.long(), c.long()
	c.field = "identifiers"
	c.blocks(MaxIdentifiers+1, func() {
		id := interaction.Identifier{Namespace: c.text(), Value: c.text(), Verified: c.boolean()}
		id.Outcome = c.outcome()
		u.Identifiers = append(u.Identifiers, id)
	})
	k.Origin = c.origin()
	u.RulesVersion = c.text()
	payload := c.pos
	c.walkPayload()
	k.Payload = body[min(payload, len(body)):]
	return c.done()
}

// AppendChange appends the body of an identity change.
func AppendChange(b []byte, ch *interaction.Change) []byte {
	b = appendText(b, ch.Realm)
	b = appendText(b, ch.CustomerID)
	b = appendLong(b, ch.Version)
	b = appendText(b, ch.Kind)
	b = appendTexts(b, ch.Added)
	b = appendTexts(b, ch.Removed)
	b = appendTexts(b, ch.RemovedHMAC)
	b = appendTexts(b, ch.Left)
	b = appendTexts(b, ch.MergedCustomerIDs)
	b = appendTexts(b, ch.SplitCustomerIDs)
	b = appendText(b, ch.Rule)
	b = appendText(b, ch.Source)
	b = appendText(b, ch.SourceEventID)
	b = appendMaybe(b, ch.DirectiveID, ch.DirectiveID != "")
	return appendOrigin(b, ch.Origin)
}

// maxListed bounds the lists of a change: more than any component has members.
const maxListed = 1 << 20

// DecodeChange decodes the body of an identity change.
func DecodeChange(body []byte, ch *interaction.Change) error {
	c := cursor{in: string(body), field: "head"}
	*ch = interaction.Change{Realm: c.text(), CustomerID: interaction.CustomerID(c.text()), Version: c.long(), Kind: interaction.ChangeKind(c.text())}
	ch.Added = texts[string](&c, "identifiers_added")
	ch.Removed = texts[string](&c, "identifiers_removed")
	ch.RemovedHMAC = texts[string](&c, "identifiers_removed_hmac")
	ch.Left = texts[string](&c, "identifiers_left")
	ch.MergedCustomerIDs = texts[interaction.CustomerID](&c, "merged_customer_ids")
	ch.SplitCustomerIDs = texts[interaction.CustomerID](&c, "split_customer_ids")
	c.field = "cause"
	ch.Rule, ch.Source, ch.SourceEventID = interaction.Rule(c.text()), c.text(), c.text()
	if c.present() {
		ch.DirectiveID = c.text()
	}
	ch.Origin = c.origin()
	return c.done()
}

// DecodeDirective decodes the body of an IdentityDirective that was written with our schema. Every field of dst is set.
func DecodeDirective(body []byte, dst *interaction.Directive) *interaction.Reject {
	c := cursor{in: string(body), field: "directive"}
	*dst = interaction.Directive{ID: c.text(), Kind: interaction.DirectiveKind(c.text()), Realm: c.text(), IssuedAt: c.long(), HasIssuedAt: true}
	for _, to := range [2]**interaction.Target{&dst.A, &dst.B} {
		if c.present() {
			*to = &interaction.Target{Namespace: c.text(), StoreCode: c.text(), Value: c.text()}
		}
	}
	dst.Scope, dst.CustomerID = interaction.Scope(c.text()), c.text()
	dst.Reason, dst.Author, dst.DryRun = c.text(), c.text(), c.boolean()
	switch {
	case c.err != nil:
		return &interaction.Reject{Reason: interaction.ReasonUnparsable, Detail: "not an IdentityDirective: " + c.err.Error()}
	case c.pos < len(body):
		return leftover(len(body)-c.pos, len(body))
	}
	return nil
}

// AppendDirective appends the body of an IdentityDirective.
func AppendDirective(b []byte, d *interaction.Directive) []byte {
	b = appendText(b, d.ID)
	b = appendText(b, d.Kind)
	b = appendText(b, d.Realm)
	b = appendLong(b, d.IssuedAt)
	for _, t := range [2]*interaction.Target{d.A, d.B} {
		if t == nil {
			b = append(b, 0)
			continue
		}
		b = append(b, 2)
		b = appendText(b, t.Namespace)
		b = appendText(b, t.StoreCode)
		b = appendText(b, t.Value)
	}
	b = appendText(b, d.Scope)
	b = appendText(b, d.CustomerID)
	b = appendText(b, d.Reason)
	b = appendText(b, d.Author)
	return appendBool(b, d.DryRun)
}

// AppendMapRow appends the body of a row of the identity map. A tombstone has none: its record has no value.
func AppendMapRow(b []byte, m *interaction.MapRow) []byte {
	b = appendText(b, m.CustomerID)
	b = appendLong(b, m.Version)
	return appendText(b, m.Status)
}

// DecodeMapRow decodes the body of a row of the identity map. Its key is that of the record and stays as it is.
func DecodeMapRow(body []byte, m *interaction.MapRow) error {
	c := cursor{in: string(body), field: "row"}
	m.CustomerID, m.Version, m.Status = interaction.CustomerID(c.text()), c.long(), interaction.MapStatus(c.text())
	return c.done()
}

// done is the error of a decoder: the first one met, or bytes left over.
func (c *cursor) done() error {
	if c.err == nil && c.pos < len(c.in) {
		return fmt.Errorf("%d of %d bytes are left over after the record", len(c.in)-c.pos, len(c.in))
	}
	return c.err
}

func texts[T ~string](c *cursor, field string) (list []T) {
	c.field = field
	c.blocks(maxListed, func() { list = append(list, T(c.text())) })
	return list
}

var errOutcome = errors.New("no such outcome")

func (c *cursor) outcome() interaction.Outcome {
	o, ok := interaction.ParseOutcome(c.text())
	if !ok {
		c.fail(errOutcome)
	}
	return o
}

var errHash = errors.New("not 32 hex digits")

// hash reads 32 hex digits.
func (c *cursor) hash() (h interaction.Hash) {
	s := c.text()
	if len(s) != 2*len(h) {
		c.fail(errHash)
		return h
	}
	for i := range h {
		hi, lo := unhex(s[2*i]), unhex(s[2*i+1])
		if hi|lo > 0xF {
			c.fail(errHash)
			return h
		}
		h[i] = hi<<4 | lo
	}
	return h
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xFF
}

// appendHash writes 32 hex digits.
func appendHash(b []byte, h interaction.Hash) []byte {
	b = appendLong(b, int64(2*len(h)))
	for _, x := range h {
		b = append(b, hexDigits[x>>4], hexDigits[x&15])
	}
	return b
}

func appendOrigin(b []byte, o interaction.Origin) []byte {
	b = appendText(b, o.Topic)
	b = appendLong(b, int64(o.Partition))
	return appendLong(b, o.Offset)
}

func (c *cursor) origin() interaction.Origin {
	c.field = "origin"
	return interaction.Origin{Topic: c.text(), Partition: c.int(), Offset: c.long()}
}
