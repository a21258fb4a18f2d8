package schemas

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

// goavro is the judge of the typed codec: what we write it reads back as the same values, and what it writes we read.

func codecOf(t rapid.TB, k Kind) *goavro.Codec {
	t.Helper()
	c, err := goavro.NewCodec(k.Schema())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reencoded is body after the judge has decoded and encoded it. Maps of more than one entry may come back in another order, so
// the generators make at most one.
func reencoded(t rapid.TB, k Kind, body []byte) []byte {
	t.Helper()
	c := codecOf(t, k)
	native, rest, err := c.NativeFromBinary(body)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%s: the judge cannot read it: %v, %d bytes left over", k, err, len(rest))
	}
	again, err := c.BinaryFromNative(nil, native)
	if err != nil {
		t.Fatalf("%s: the judge cannot write it: %v", k, err)
	}
	return again
}

var (
	words    = rapid.StringOfN(rapid.RuneFrom([]rune("abcñçã日\u0000 \"\\%|éß")), 0, 12, -1)
	longs    = rapid.Int64()
	outcomes = rapid.Custom(func(t *rapid.T) interaction.Outcome {
		return interaction.Outcome(rapid.IntRange(0, int(interaction.OutcomeInvalid)).Draw(t, "outcome"))
	})
)

func drawHash(t *rapid.T, name string) (h interaction.Hash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), len(h), len(h)).Draw(t, name))
	return h
}

func drawPayload(t *rapid.T) []byte {
	b := []byte{0}
	if rapid.Bool().Draw(t, "order") {
		b = appendText([]byte{2}, words.Draw(t, "number"))
		b = appendMaybe(b, words.Draw(t, "currency"), true)
		b = append(b, 2, 4, 0x01, byte(rapid.IntRange(0, 255).Draw(t, "amount")))
		n := rapid.IntRange(0, 3).Draw(t, "lines")
		if n > 0 {
			b = appendLong(b, int64(n))
		}
		for range n {
			b = append(appendText(b, words.Draw(t, "sku")), 0, 0, 2, 2, 0x7F)
		}
		b = append(b, 0)
	}
	for range 2 {
		if rapid.Bool().Draw(t, "entry") {
			b = appendText(appendText(append(b, 2), words.Draw(t, "key")), words.Draw(t, "value"))
		}
		b = append(b, 0)
	}
	return b
}

func drawKeyed(t *rapid.T) *interaction.Keyed {
	k := &interaction.Keyed{
		Realm: words.Draw(t, "realm"), ID: drawHash(t, "id"), Content: drawHash(t, "content"), Source: words.Draw(t, "source"),
		SourceEventID: words.Draw(t, "event"), Channel: words.Draw(t, "channel"), Type: words.Draw(t, "type"), StoreCode: words.Draw(t, "store"),
		HasUserID: rapid.Bool().Draw(t, "has"), OccurredAt: drawTime(t), ReceivedAt: drawTime(t),
		Origin:  interaction.Origin{Topic: words.Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"), Offset: longs.Draw(t, "offset")},
		Payload: drawPayload(t),
	}
	if k.HasUserID {
		k.UserID = words.Draw(t, "user")
	}
	for range rapid.IntRange(0, 4).Draw(t, "identifiers") {
		k.Identifiers = append(k.Identifiers, interaction.Identifier{
			Namespace: words.Draw(t, "namespace"), Domain: words.Draw(t, "domain"), Value: words.Draw(t, "value"),
			Verified: rapid.Bool().Draw(t, "verified"), Outcome: outcomes.Draw(t, "outcome"),
		})
	}
	return k
}

// drawTime stays within the years that the judge's time type can hold in milliseconds.
func drawTime(t *rapid.T) int64 { return rapid.Int64Range(-1<<45, 1<<45).Draw(t, "time") }

func TestKeyedIsWhatTheJudgeReadsAndWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKeyed(t)
		body := AppendKeyed(nil, k)
		if again := reencoded(t, KindKeyed, body); !bytes.Equal(body, again) {
			t.Fatalf("ours  %x\njudge %x", body, again)
		}
		var got interaction.Keyed
		if err := DecodeKeyed(body, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(k, &got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

func TestUnifiedIsWhatTheJudgeReadsAndWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKeyed(t)
		u := &interaction.Unified{
			Keyed: k, CustomerID: interaction.CustomerID(words.Draw(t, "customer")), CustomerVersion: longs.Draw(t, "version"),
			IdentityStatus: interaction.IdentityStatus(words.Draw(t, "status")), Ambiguous: rapid.Bool().Draw(t, "ambiguous"),
			Identifiers: k.Identifiers, RulesVersion: words.Draw(t, "rules"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "merged") {
			u.MergedCustomerIDs = append(u.MergedCustomerIDs, interaction.CustomerID(words.Draw(t, "merged")))
		}
		body := AppendUnified(nil, u)
		if again := reencoded(t, KindUnified, body); !bytes.Equal(body, again) {
			t.Fatalf("ours  %x\njudge %x", body, again)
		}
		var got interaction.Unified
		if err := DecodeUnified(body, &got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(AppendUnified(nil, &got), body) {
			t.Fatal("decoded and encoded again it is another event")
		}
	})
}

func TestChangesAndMapRowsAreWhatTheJudgeReadsAndWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(words, 0, 3)
		ch := &interaction.Change{
			Realm: words.Draw(t, "realm"), CustomerID: "c1", Version: longs.Draw(t, "version"), Kind: interaction.ChangeMerged,
			Added: list.Draw(t, "added"), Removed: list.Draw(t, "removed"), MergedCustomerIDs: []interaction.CustomerID{"c2"},
			Rule: interaction.RuleShared, Source: words.Draw(t, "source"), SourceEventID: words.Draw(t, "event"),
			Origin: interaction.Origin{Topic: "in", Partition: 3, Offset: longs.Draw(t, "offset")},
		}
		body := AppendChange(nil, ch)
		if again := reencoded(t, KindChange, body); !bytes.Equal(body, again) {
			t.Fatalf("ours  %x\njudge %x", body, again)
		}
		var got interaction.Change
		if err := DecodeChange(body, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ch, &got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		row := &interaction.MapRow{CustomerID: "c1", Version: longs.Draw(t, "version"), Status: interaction.MapEnded}
		body = AppendMapRow(nil, row)
		if again := reencoded(t, KindMapRow, body); !bytes.Equal(body, again) {
			t.Fatalf("ours  %x\njudge %x", body, again)
		}
		var back interaction.MapRow
		if err := DecodeMapRow(body, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(row, &back); d != "" {
			t.Fatal(d)
		}
	})
}

// native is an interaction as the judge takes it.
func native(t *rapid.T) map[string]any {
	m := map[string]any{
		"event_id": words.Draw(t, "event"), "source": words.Draw(t, "source"), "channel": words.Draw(t, "channel"), "type": words.Draw(t, "type"),
		"store_code": words.Draw(t, "store"), "user_id": nil, "occurred_at": drawTime(t), "order": nil,
		"traits": map[string]any{words.Draw(t, "trait"): words.Draw(t, "value")}, "properties": map[string]any{},
	}
	if rapid.Bool().Draw(t, "user") {
		m["user_id"] = map[string]any{"string": words.Draw(t, "user_id")}
	}
	ids := []any{}
	for range rapid.IntRange(0, 3).Draw(t, "identifiers") {
		ids = append(ids, map[string]any{"namespace": words.Draw(t, "namespace"), "value": words.Draw(t, "value"), "verified": rapid.Bool().Draw(t, "verified")})
	}
	m["identifiers"] = ids
	return m
}

func TestInteractionOfTheJudgeIsDecodedAndEveryCutOfItRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := native(t)
		body, err := codecOf(t, KindInteraction).BinaryFromNative(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		var got interaction.Interaction
		if r := DecodeInteraction(body, &got); r != nil {
			t.Fatal(r)
		}
		if got.EventID != m["event_id"] || got.Source != m["source"] || got.OccurredAt != m["occurred_at"] || len(got.Identifiers) != len(m["identifiers"].([]any)) {
			t.Fatalf("decoded %+v from %v", got, m)
		}
		cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
		if r := DecodeInteraction(body[:cut], &got); r == nil {
			t.Fatalf("%d of %d bytes are taken for an interaction", cut, len(body))
		}
		if r := DecodeInteraction(append(body, 0), &got); r == nil || r.Reason != interaction.ReasonLeftoverBytes {
			t.Fatalf("a byte left over gives %v", r)
		}
		hurt := bytes.Clone(body)
		hurt[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		_ = DecodeInteraction(hurt, &got) // whatever it is, it must not panic
	})
}

func head(n int64) []byte {
	b := appendText(nil, "e1")
	for range 4 {
		b = appendText(b, "x")
	}
	b = append(b, 0)        // user_id
	b = appendLong(b, 1)    // occurred_at
	return appendLong(b, n) // a block of identifiers
}

func TestHostileInteractionsAreRejectsWithinTheirBytes(t *testing.T) {
	for name, c := range map[string]struct {
		body   []byte
		reason interaction.Reason
	}{
		"block of 2^31 identifiers":     {head(1 << 31), interaction.ReasonInvalidField},
		"block of -2^63 identifiers":    {head(-1 << 63), interaction.ReasonUnparsable},
		"more identifiers than allowed": {append(head(MaxIdentifiers+1), bytes.Repeat([]byte{0, 0, 0}, MaxIdentifiers+1)...), interaction.ReasonInvalidField},
		"negative length":               {appendLong(nil, -5), interaction.ReasonUnparsable},
		"number of 11 bytes":            {bytes.Repeat([]byte{0xFF}, 11), interaction.ReasonUnparsable},
		"text that is not UTF-8":        {append(appendLong(nil, 2), 0xC3, 0x28), interaction.ReasonUnparsable},
		"length beyond the record":      {binary.AppendVarint(nil, 1<<40), interaction.ReasonUnparsable},
		"nothing":                       {nil, interaction.ReasonUnparsable},
	} {
		t.Run(name, func(t *testing.T) {
			var got interaction.Interaction
			if r := DecodeInteraction(c.body, &got); r == nil || r.Reason != c.reason {
				t.Errorf("reject %v, want %s", r, c.reason)
			}
		})
	}
}
