package schemas

import (
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

// Bytes that survive the judge do not show that two fields of one type stand in each other's place. Here it is asked for each
// field under its name, in both directions.

func maybe(s string, present bool) any {
	if !present {
		return nil
	}
	return goavro.Union("string", s)
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func list[T ~string](of []T) []any {
	out := []any{}
	for _, s := range of {
		out = append(out, string(s))
	}
	return out
}

func nativeOrigin(o interaction.Origin) map[string]any {
	return map[string]any{"topic": o.Topic, "partition": o.Partition, "offset": o.Offset}
}

func nativeKeyed(k *interaction.Keyed, order any, traits, properties map[string]any) map[string]any {
	ids := []any{}
	for _, id := range k.Identifiers {
		ids = append(ids, map[string]any{"namespace": id.Namespace, "domain": id.Domain, "value": id.Value, "verified": id.Verified, "outcome": id.Outcome.String()})
	}
	return map[string]any{
		"realm": k.Realm, "id": k.ID[:], "content": k.Content[:], "source": k.Source, "source_event_id": k.SourceEventID,
		"channel": k.Channel, "type": k.Type, "store_code": k.StoreCode, "user_id": maybe(k.UserID, k.HasUserID),
		"occurred_at": moment(k.OccurredAt), "received_at": moment(k.ReceivedAt), "origin": nativeOrigin(k.Origin), "identifiers": ids,
		"directive": nativeOrdered(k.Directive), "order": order, "traits": traits, "properties": properties,
	}
}

func nativeOrdered(d *interaction.Ordered) any {
	if d == nil {
		return nil
	}
	named := func(n interaction.Named) map[string]any {
		return map[string]any{"namespace": n.Namespace, "domain": n.Domain, "value": n.Value}
	}
	return map[string]any{"kinfold.v1.KeyedDirective": map[string]any{
		"directive_id": d.ID, "kind": string(d.Kind), "issued_at": moment(d.IssuedAt), "a": named(d.A), "b": named(d.B), "scope": string(d.Scope),
		"customer_id": string(d.CustomerID), "reason": d.Reason, "author": d.Author, "dry_run": d.DryRun,
	}}
}

func nativeDirective(d *interaction.Directive) map[string]any {
	target := func(t *interaction.Target) any {
		if t == nil {
			return nil
		}
		return map[string]any{"kinfold.v1.DirectiveTarget": map[string]any{"namespace": t.Namespace, "store_code": t.StoreCode, "value": t.Value}}
	}
	return map[string]any{
		"directive_id": d.ID, "kind": string(d.Kind), "realm": d.Realm, "issued_at": moment(d.IssuedAt), "a": target(d.A), "b": target(d.B),
		"scope": string(d.Scope), "customer_id": d.CustomerID, "reason": d.Reason, "author": d.Author, "dry_run": d.DryRun,
	}
}

func drawOrdered(t *rapid.T) *interaction.Ordered {
	if !rapid.Bool().Draw(t, "directive") {
		return nil
	}
	named := func() interaction.Named {
		return interaction.Named{Namespace: words.Draw(t, "namespace"), Domain: words.Draw(t, "domain"), Value: words.Draw(t, "value")}
	}
	return &interaction.Ordered{
		ID: words.Draw(t, "id"), Kind: interaction.DirectiveKind(words.Draw(t, "kind")), IssuedAt: drawTime(t), A: named(), B: named(),
		Scope: interaction.Scope(words.Draw(t, "scope")), CustomerID: drawID(t), Reason: words.Draw(t, "reason"), Author: words.Draw(t, "author"),
		DryRun: rapid.Bool().Draw(t, "dry run"),
	}
}

func drawDirective(t *rapid.T) *interaction.Directive {
	target := func() *interaction.Target {
		if rapid.Bool().Draw(t, "no target") {
			return nil
		}
		return &interaction.Target{Namespace: words.Draw(t, "namespace"), StoreCode: words.Draw(t, "store"), Value: words.Draw(t, "value")}
	}
	return &interaction.Directive{
		ID: words.Draw(t, "id"), Kind: interaction.DirectiveKind(words.Draw(t, "kind")), Realm: words.Draw(t, "realm"), IssuedAt: drawTime(t),
		HasIssuedAt: true, A: target(), B: target(), Scope: interaction.Scope(words.Draw(t, "scope")), CustomerID: words.Draw(t, "customer"),
		Reason: words.Draw(t, "reason"), Author: words.Draw(t, "author"), DryRun: rapid.Bool().Draw(t, "dry run"),
	}
}

func nativeUnified(u *interaction.Unified, order any, traits, properties map[string]any) map[string]any {
	ids := []any{}
	for _, id := range u.Identifiers {
		ids = append(ids, map[string]any{"namespace": id.Namespace, "value": id.Value, "verified": id.Verified, "outcome": id.Outcome.String()})
	}
	k := u.Keyed
	return map[string]any{
		"event_id": k.ID.String(), "realm": k.Realm, "customer_id": maybe(string(u.CustomerID), !u.CustomerID.IsZero()),
		"customer_version": u.CustomerVersion, "identity_status": string(u.IdentityStatus), "ambiguous": u.Ambiguous,
		"merged_customer_ids": list(u.MergedCustomerIDs), "source": k.Source, "source_event_id": k.SourceEventID,
		"channel": k.Channel, "type": k.Type, "store_code": k.StoreCode, "user_id": maybe(k.UserID, k.HasUserID),
		"occurred_at": moment(k.OccurredAt), "received_at": moment(k.ReceivedAt), "identifiers": ids, "origin": nativeOrigin(k.Origin),
		"rules_version": u.RulesVersion, "order": order, "traits": traits, "properties": properties,
	}
}

func nativeChange(ch *interaction.Change) map[string]any {
	return map[string]any{
		"realm": ch.Realm, "customer_id": string(ch.CustomerID), "customer_version": ch.Version, "kind": string(ch.Kind),
		"identifiers_added": list(ch.Added), "identifiers_removed": list(ch.Removed), "identifiers_removed_hmac": list(ch.RemovedHMAC), "identifiers_left": list(ch.Left),
		"merged_customer_ids": list(ch.MergedCustomerIDs), "split_customer_ids": list(ch.SplitCustomerIDs), "rule": string(ch.Rule),
		"source": ch.Source, "event_id": ch.SourceEventID, "directive_id": maybe(ch.DirectiveID, ch.DirectiveID != ""),
		"topic": ch.Origin.Topic, "partition": ch.Origin.Partition, "offset": ch.Origin.Offset,
	}
}

func drawUnified(t *rapid.T) *interaction.Unified {
	k := drawKeyed(t)
	u := &interaction.Unified{
		Keyed: k, CustomerID: drawID(t), CustomerVersion: longs.Draw(t, "version"), IdentityStatus: interaction.IdentityStatus(words.Draw(t, "status")),
		Ambiguous: rapid.Bool().Draw(t, "ambiguous"), MergedCustomerIDs: drawIDs(t, "merged"), Identifiers: k.Identifiers, RulesVersion: words.Draw(t, "rules"),
	}
	return u
}

func drawChange(t *rapid.T) *interaction.Change {
	keys := rapid.SliceOfN(words, 0, 3)
	return &interaction.Change{
		Realm: words.Draw(t, "realm"), CustomerID: drawID(t), Version: longs.Draw(t, "version"), Kind: interaction.ChangeKind(words.Draw(t, "kind")),
		Added: keys.Draw(t, "added"), Removed: keys.Draw(t, "removed"), MergedCustomerIDs: drawIDs(t, "merged"), SplitCustomerIDs: drawIDs(t, "split"),
		RemovedHMAC: keys.Draw(t, "hmacs"), Left: keys.Draw(t, "left"), DirectiveID: words.Draw(t, "directive"),
		Rule: interaction.Rule(words.Draw(t, "rule")), Source: words.Draw(t, "source"), SourceEventID: words.Draw(t, "event"),
		Origin: interaction.Origin{Topic: words.Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"), Offset: longs.Draw(t, "offset")},
	}
}

func drawID(t *rapid.T) interaction.CustomerID {
	return interaction.CustomerID(words.Draw(t, "customer"))
}

func drawIDs(t *rapid.T, name string) (ids []interaction.CustomerID) {
	for range rapid.IntRange(0, 3).Draw(t, name) {
		ids = append(ids, drawID(t))
	}
	return ids
}

// drawnInteraction is an interaction with the head and payload of a keyed one, and its body.
func drawnInteraction(k *interaction.Keyed) (interaction.Interaction, []byte) {
	in := interaction.Interaction{
		EventID: k.SourceEventID, Source: k.Source, Channel: k.Channel, Type: k.Type, StoreCode: k.StoreCode,
		UserID: k.UserID, HasUserID: k.HasUserID, OccurredAt: k.OccurredAt, TimeStated: true, Payload: k.Payload,
	}
	var body []byte
	for _, s := range []string{in.EventID, in.Source, in.Channel, in.Type, in.StoreCode} {
		body = appendText(body, s)
	}
	body = appendLong(appendMaybe(body, in.UserID, in.HasUserID), in.OccurredAt)
	if n := len(k.Identifiers); n > 0 {
		body = appendLong(body, int64(n))
	}
	for _, id := range k.Identifiers {
		in.Identifiers = append(in.Identifiers, interaction.Raw{Namespace: id.Namespace, Value: id.Value, Verified: id.Verified})
		body = appendBool(appendText(appendText(body, id.Namespace), id.Value), id.Verified)
	}
	return in, append(append(body, 0), in.Payload...)
}

func nativeInteraction(in *interaction.Interaction, order any, traits, properties map[string]any) map[string]any {
	ids := []any{}
	for _, id := range in.Identifiers {
		ids = append(ids, map[string]any{"namespace": id.Namespace, "value": id.Value, "verified": id.Verified})
	}
	return map[string]any{
		"event_id": in.EventID, "source": in.Source, "channel": in.Channel, "type": in.Type, "store_code": in.StoreCode,
		"user_id": maybe(in.UserID, in.HasUserID), "occurred_at": moment(in.OccurredAt), "identifiers": ids,
		"order": order, "traits": traits, "properties": properties,
	}
}

// payloadOf is the judge's reading of a payload.
func payloadOf(t rapid.TB, judge *goavro.Codec, body []byte) (order any, traits, properties map[string]any) {
	t.Helper()
	native, _, err := judge.NativeFromBinary(body)
	if err != nil {
		t.Fatal(err)
	}
	m := native.(map[string]any)
	return m["order"], m["traits"].(map[string]any), m["properties"].(map[string]any)
}

// judged compares what we wrote with what the judge reads, and what the judge writes with what we read.
func judged(t rapid.TB, judges map[Kind]*goavro.Codec, k Kind, want map[string]any, ours []byte, decode func([]byte) string) {
	t.Helper()
	c := judges[k]
	got, rest, err := c.NativeFromBinary(ours)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%s: the judge cannot read ours: %v, %d bytes left over", k, err, len(rest))
	}
	if d := cmp.Diff(any(want), got, cmp.Comparer(func(a, b *big.Rat) bool { return a.Cmp(b) == 0 })); d != "" {
		t.Fatalf("%s as the judge reads it (-want +got):\n%s", k, d)
	}
	theirs, err := c.BinaryFromNative(nil, want)
	if err != nil {
		t.Fatalf("%s: the judge cannot write it: %v", k, err)
	}
	if d := decode(theirs); d != "" {
		t.Fatalf("%s as we read the judge's (-want +got):\n%s", k, d)
	}
}

func TestTheJudgeFindsEveryFieldUnderItsName(t *testing.T) {
	judges := map[Kind]*goavro.Codec{}
	for _, k := range Kinds {
		judges[k] = codecOf(t, k)
	}
	rapid.Check(t, func(t *rapid.T) {
		u, ch := drawUnified(t), drawChange(t)
		k := u.Keyed
		in, body := drawnInteraction(k)
		order, traits, properties := payloadOf(t, judges[KindInteraction], body)

		judged(t, judges, KindInteraction, nativeInteraction(&in, order, traits, properties), body, func(b []byte) string {
			got := interaction.Interaction{UserID: "of the record before", HasUserID: true, UserIDOverlong: true, Identifiers: []interaction.Raw{{Value: "of the record before"}}}
			if r := DecodeInteraction(b, &got); r != nil {
				return r.Error()
			}
			return cmp.Diff(in, got, cmpopts.EquateEmpty())
		})
		k.Directive = drawOrdered(t)
		judged(t, judges, KindKeyed, nativeKeyed(k, order, traits, properties), AppendKeyed(nil, k), func(b []byte) string {
			got := interaction.Keyed{UserID: "of the record before", HasUserID: true, Identifiers: []interaction.Identifier{{Value: "of the record before"}}}
			if err := DecodeKeyed(b, &got); err != nil {
				return err.Error()
			}
			return cmp.Diff(*k, got, cmpopts.EquateEmpty())
		})
		judged(t, judges, KindUnified, nativeUnified(u, order, traits, properties), AppendUnified(nil, u), func(b []byte) string {
			got := interaction.Unified{Keyed: &interaction.Keyed{Realm: "of the record before"}, CustomerID: "of the record before"}
			if err := DecodeUnified(b, &got); err != nil {
				return err.Error()
			}
			// The content hash and the domains are not in the event, and its identifiers are not the keyed record's.
			want, keyed := *u, *k
			keyed.Content, keyed.Identifiers, keyed.Directive = interaction.Hash{}, nil, nil
			want.Keyed, want.Identifiers = &keyed, nil
			for _, id := range u.Identifiers {
				id.Domain = ""
				want.Identifiers = append(want.Identifiers, id)
			}
			return cmp.Diff(want, got, cmpopts.EquateEmpty())
		})
		judged(t, judges, KindChange, nativeChange(ch), AppendChange(nil, ch), func(b []byte) string {
			got := interaction.Change{Realm: "of the record before", Added: []string{"of the record before"}}
			if err := DecodeChange(b, &got); err != nil {
				return err.Error()
			}
			return cmp.Diff(*ch, got, cmpopts.EquateEmpty())
		})
		d := drawDirective(t)
		judged(t, judges, KindDirective, nativeDirective(d), AppendDirective(nil, d), func(b []byte) string {
			var got interaction.Directive
			if r := DecodeDirective(b, &got); r != nil {
				return r.Error()
			}
			return cmp.Diff(*d, got)
		})
		row := interaction.MapRow{CustomerID: u.CustomerID, Version: u.CustomerVersion, Status: interaction.MapStatus(u.IdentityStatus)}
		want := map[string]any{"customer_id": string(row.CustomerID), "version": row.Version, "status": string(row.Status)}
		judged(t, judges, KindMapRow, want, AppendMapRow(nil, &row), func(b []byte) string {
			got := interaction.MapRow{Key: "that of the record"}
			if err := DecodeMapRow(b, &got); err != nil {
				return err.Error()
			}
			wanted := row
			wanted.Key = "that of the record"
			return cmp.Diff(wanted, got)
		})
	})
}

// A payload was checked before and is carried as it is: a keyed interaction that is cut within it decodes.
func TestEveryCutOfARecordIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, ch := drawUnified(t), drawChange(t)
		_, body := drawnInteraction(u.Keyed)
		keyed := AppendKeyed(nil, u.Keyed)
		for name, c := range map[string]struct {
			body   []byte
			from   int // the cuts before this byte are refused
			decode func([]byte) bool
		}{
			"interaction": {body, len(body), func(b []byte) bool { return DecodeInteraction(b, &interaction.Interaction{}) == nil }},
			"keyed":       {keyed, len(keyed) - len(u.Keyed.Payload), func(b []byte) bool { return DecodeKeyed(b, &interaction.Keyed{}) == nil }},
			"unified":     {AppendUnified(nil, u), -1, func(b []byte) bool { return DecodeUnified(b, &interaction.Unified{}) == nil }},
			"change":      {AppendChange(nil, ch), -1, func(b []byte) bool { return DecodeChange(b, &interaction.Change{}) == nil }},
			"map row": {AppendMapRow(nil, &interaction.MapRow{CustomerID: u.CustomerID, Version: 1, Status: interaction.MapLinked}), -1,
				func(b []byte) bool { return DecodeMapRow(b, &interaction.MapRow{}) == nil }},
		} {
			if c.from < 0 {
				c.from = len(c.body)
			}
			for cut := range c.from {
				if c.decode(c.body[:cut:cut]) {
					t.Fatalf("%s: %d of %d bytes are taken for a record", name, cut, len(c.body))
				}
			}
			if !c.decode(c.body) {
				t.Fatalf("%s: the whole record is refused", name)
			}
		}
	})
}
