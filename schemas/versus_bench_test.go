package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"kinfold/processor/interaction"
)

// visitBody is a page view of 479 bytes: two identifiers, no order, four properties.
func visitBody() []byte {
	body := appendText(nil, "5f0c6a1e-8a41-4a53-9f1a-0d5b3c2e7a10")
	for _, s := range []string{"web", "web", "page.viewed", "R01-S004"} {
		body = appendText(body, s)
	}
	body = appendLong(appendMaybe(body, "0001234567", true), 1_795_478_400_000)
	body = appendLong(body, 2)
	body = appendBool(appendText(appendText(body, "email"), "ana.nunez@correo.example"), true)
	body = appendBool(appendText(appendText(body, "device_id"), "c0ffee17-9a41-4d2b-a7e5-0417ab3c5d6e"), false)
	body = append(body, 0, 0, 0) // end of identifiers, no order, no traits
	body = appendLong(body, 4)
	for _, p := range []struct {
		key  string
		size int
	}{{"url", 62}, {"user_agent", 120}, {"referrer", 62}, {"campaign", 24}} {
		body = appendText(appendText(body, p.key), strings.Repeat("x", p.size))
	}
	return append(body, 0)
}

// visit is that page view as both stages have it.
func visit(t testing.TB) (*interaction.Keyed, *interaction.Unified) {
	t.Helper()
	var in interaction.Interaction
	if r := DecodeInteraction(visitBody(), &in); r != nil {
		t.Fatal(r)
	}
	k := &interaction.Keyed{
		Realm: "default", ID: interaction.Hash{1, 2, 3}, Content: interaction.Hash{4, 5, 6}, Source: in.Source, SourceEventID: in.EventID,
		Channel: in.Channel, Type: in.Type, StoreCode: in.StoreCode, UserID: in.UserID, HasUserID: true, OccurredAt: in.OccurredAt,
		ReceivedAt: in.OccurredAt + 1500, Origin: interaction.Origin{Topic: "web", Partition: 3, Offset: 123_456}, Payload: in.Payload,
		Identifiers: []interaction.Identifier{
			{Namespace: "user", Domain: "R01-S004", Value: in.UserID},
			{Namespace: "email", Value: "ana.nunez@correo.example", Verified: true},
			{Namespace: "device_id", Value: "c0ffee17-9a41-4d2b-a7e5-0417ab3c5d6e"},
		},
	}
	u := &interaction.Unified{Keyed: k, CustomerID: "cabcdefghijklmnopqrstuvwxy", CustomerVersion: 7, IdentityStatus: interaction.StatusKnown, RulesVersion: "0123456789abcdef"}
	for _, id := range k.Identifiers {
		id.Outcome = interaction.OutcomeLinked
		u.Identifiers = append(u.Identifiers, id)
	}
	return k, u
}

// What the benchmark measures is what it says it measures.
func TestTheVisitOfTheBenchmarkIsAnOrdinaryRecord(t *testing.T) {
	if n := len(visitBody()); n < 450 || n > 510 {
		t.Errorf("the interaction has %d bytes, want about 480", n)
	}
	k, u := visit(t)
	var keyed interaction.Keyed
	if err := DecodeKeyed(AppendKeyed(nil, k), &keyed); err != nil || !cmp.Equal(*k, keyed) {
		t.Errorf("keyed: %v\n%s", err, cmp.Diff(*k, keyed))
	}
	if _, rest, err := codecOf(t, KindUnified).NativeFromBinary(AppendUnified(nil, u)); err != nil || len(rest) > 0 {
		t.Errorf("unified: %v, %d bytes left over", err, len(rest))
	}
}

// BenchmarkTypedCodecVersusGoavro does the work of the hot path on one record, each kind by us and by the Avro library.
func BenchmarkTypedCodecVersusGoavro(b *testing.B) {
	k, u := visit(b)
	body, keyed, unified := visitBody(), AppendKeyed(nil, k), AppendUnified(nil, u)
	buf := make([]byte, 0, 4096)
	var in interaction.Interaction
	var got interaction.Keyed
	measure := func(name string, size int, run func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	library := func(kind Kind, record []byte) (decode, encode func() error) {
		c, err := goavro.NewCodec(kind.Schema())
		if err != nil {
			b.Fatal(err)
		}
		native, _, err := c.NativeFromBinary(record)
		if err != nil {
			b.Fatal(err)
		}
		return func() error { _, _, err := c.NativeFromBinary(record); return err },
			func() error { _, err := c.BinaryFromNative(buf[:0], native); return err }
	}
	decodeInteraction, _ := library(KindInteraction, body)
	decodeKeyed, encodeKeyed := library(KindKeyed, keyed)
	_, encodeUnified := library(KindUnified, unified)

	measure("DecodeInteraction/typed", len(body), func() error {
		if r := DecodeInteraction(body, &in); r != nil {
			return r
		}
		return nil
	})
	measure("DecodeInteraction/goavro", len(body), decodeInteraction)
	measure("AppendKeyed/typed", len(keyed), func() error { AppendKeyed(buf[:0], k); return nil })
	measure("AppendKeyed/goavro", len(keyed), encodeKeyed)
	measure("DecodeKeyed/typed", len(keyed), func() error { return DecodeKeyed(keyed, &got) })
	measure("DecodeKeyed/goavro", len(keyed), decodeKeyed)
	measure("AppendUnified/typed", len(unified), func() error { AppendUnified(buf[:0], u); return nil })
	measure("AppendUnified/goavro", len(unified), encodeUnified)
}
