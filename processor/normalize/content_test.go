package normalize

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
)

// avro writes Avro for tests.
type avro []byte

func (b avro) long(v int64) avro    { return binary.AppendVarint(b, v) }
func (b avro) text(s string) avro   { return append(b.long(int64(len(s))), s...) }
func (b avro) option(s string) avro { return b.long(1).text(s) }
func (b avro) null() avro           { return b.long(0) }

// entries writes map entries in one block without its end; sized: with a negative count.
func (b avro) entries(sized bool, kv ...string) avro {
	var body avro
	for _, s := range kv {
		body = body.text(s)
	}
	if sized {
		b = b.long(-int64(len(kv) / 2)).long(int64(len(body)))
	} else {
		b = b.long(int64(len(kv) / 2))
	}
	return append(b, body...)
}

func (b avro) end() avro { return b.long(0) }

func keyed(t *testing.T, in *interaction.Interaction) *interaction.Keyed {
	t.Helper()
	var out interaction.Keyed
	if rej := New(DefaultRules()).Interaction(in, 1, interaction.Origin{}, &out); rej != nil {
		t.Fatal(rej)
	}
	return &out
}

// TestContentBytesAreThoseOfTheDescription pins the bytes: a change would make conflicts of resent events.
func TestContentBytesAreThoseOfTheDescription(t *testing.T) {
	in := typical()
	in.EventID = ""
	in.Identifiers = append(in.Identifiers, interaction.Raw{Namespace: "email", Value: " null ", Verified: true})
	n := New(DefaultRules())
	n.collect(in, n.store(in.StoreCode))
	hash, ok := n.contentHash(in, n.store(in.StoreCode))
	if !ok {
		t.Fatal("payload not well formed")
	}
	want := "kinfold content 1\n" +
		"\x0corder.placed" + "\x09ecommerce" + "\x06MX-014" +
		"\x01" + "\x00\x00\x01\x9b\x76\xda\xa8\x00" +
		"\x04" +
		"\x09device_id" + "\x248f14e45f-ceea-467f-a0e6-1b2c3d4e5f60" + "\x00" +
		"\x05email" + "\x04null" + "\x01" +
		"\x05email" + "\x15rosa.diaz@example.com" + "\x00" +
		"\x04user" + "\x0800012345" + "\x00" +
		"\x01" + "\x06A-7001" + "\x01\x03MXN" + "\x01\x03\x12\x34\x56" +
		"\x01" + "\x05SKU-1" + "\x01\x12Café molido 500 g" + "\x01\x03\x01\x86\xa0" + "\x01\x03\x12\x34\x56" +
		"\x00" +
		"\x01" + "\x0afirst_name" + "\x04Rosa" +
		"\x02" + "\x08campaign" + "\x08buen-fin" + "\x03url" + "\x1fhttps://tienda.example.com/cafe"
	if diff := cmp.Diff(hex.Dump([]byte(want)), hex.Dump(n.layout)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const golden = "204db468b2cf17aa1b0ee929496840e58d7ecc45321838452ab645783352d562"
	if got := hex.EncodeToString(hash[:]); got != golden {
		t.Errorf("hash %s, want %s", got, golden)
	}
	out := keyed(t, in)
	if want := "content:" + golden[:32]; out.SourceEventID != want {
		t.Errorf("source_event_id %s, want %s", out.SourceEventID, want)
	}
}

func TestContentIsWhatTheSpecificationSays(t *testing.T) {
	base := keyed(t, typical()).Content
	for name, c := range map[string]struct {
		change func(*interaction.Interaction)
		same   bool
	}{
		"type":           {func(in *interaction.Interaction) { in.Type = "order.paid" }, false},
		"channel":        {func(in *interaction.Interaction) { in.Channel = "web" }, false},
		"store":          {func(in *interaction.Interaction) { in.StoreCode = "MX-015" }, false},
		"padded store":   {func(in *interaction.Interaction) { in.StoreCode = " MX-014  " }, true},
		"user id":        {func(in *interaction.Interaction) { in.UserID = "12345" }, false},
		"padded user id": {func(in *interaction.Interaction) { in.UserID = "00012345  " }, true},
		"no user id":     {func(in *interaction.Interaction) { in.HasUserID = false }, false},
		"verified":       {func(in *interaction.Interaction) { in.Identifiers[0].Verified = true }, false},
		"capitals":       {func(in *interaction.Interaction) { in.Identifiers[0].Value = "ROSA.diaz@example.com." }, true},
		"repeated":       {func(in *interaction.Interaction) { in.Identifiers = append(in.Identifiers, in.Identifiers[0]) }, true},
		"empty": {func(in *interaction.Interaction) {
			in.Identifiers = append(in.Identifiers, interaction.Raw{Namespace: "phone"})
		}, true},
		"blocked": {func(in *interaction.Interaction) {
			in.Identifiers = append(in.Identifiers, interaction.Raw{Namespace: "phone", Value: "null"})
		}, false},
		"user_id elsewhere": {func(in *interaction.Interaction) {
			in.HasUserID = false
			in.Identifiers = append(in.Identifiers, interaction.Raw{Namespace: "user", Value: in.UserID})
		}, true},
		"time":     {func(in *interaction.Interaction) { in.OccurredAt++ }, true},
		"source":   {func(in *interaction.Interaction) { in.Source = "app" }, true},
		"event id": {func(in *interaction.Interaction) { in.EventID = "other" }, true},
		"payload":  {func(in *interaction.Interaction) { in.Payload = []byte{0, 0, 0} }, false},
	} {
		in := typical()
		c.change(in)
		if same := keyed(t, in).Content == base; same != c.same {
			t.Errorf("%s: same content %t, want %t", name, same, c.same)
		}
	}
}

func TestTimeIsContentOnlyWhereItNamesTheEvent(t *testing.T) {
	content := func(eventID string, at int64, stated bool) interaction.Hash {
		in := typical()
		in.EventID, in.OccurredAt, in.TimeStated = eventID, at, stated
		return keyed(t, in).Content
	}
	if content("", 1, true) == content("", 2, true) {
		t.Error("without event_id a stated time is content")
	}
	if content("", 1, false) != content("", 2, false) {
		t.Error("a time that was not stated is no content")
	}
	if content("a", 1, true) != content("a", 2, true) {
		t.Error("with event_id the time is no content")
	}
}

func TestLayoutOfMapsAndArraysLeavesNoTrace(t *testing.T) {
	line := func(b avro, sku string) avro { return b.text(sku).null().null().null() }
	var one, other avro
	one = one.long(1).text("A").null().null()
	one = line(line(one.long(2), "x"), "y").end()
	one = one.entries(false, "a", "1", "b", "2", "c", "3").end().end()

	other = other.long(1).text("A").null().null()
	other = line(other.long(-1).long(5), "x")
	other = line(other.long(1), "y").end()
	other = other.entries(true, "c", "3", "a", "0").entries(false, "b", "2").entries(true, "a", "1").end().end()

	hash := func(b avro) interaction.Hash {
		in := typical()
		in.Payload = b
		return keyed(t, in).Content
	}
	if hash(one) != hash(other) {
		t.Error("blocks, order of entries or an overwritten entry changed the content")
	}
	swapped := line(line(avro{}.long(1).text("A").null().null().long(2), "y"), "x").end()
	swapped = swapped.entries(false, "a", "1", "b", "2", "c", "3").end().end()
	if hash(one) == hash(swapped) {
		t.Error("the order of lines is content")
	}
	moved := avro{}.null().end().entries(false, "a", "1").end()
	if hash(moved) == hash(avro{}.null().entries(false, "a", "1").end().end()) {
		t.Error("a trait is no property")
	}
}

func TestEqualAmountsAreEqualContent(t *testing.T) {
	hash := func(amount string) interaction.Hash {
		in := typical()
		in.Payload = avro{}.long(1).text("A").null().option(amount).end().end().end()
		return keyed(t, in).Content
	}
	for _, pair := range [][2]string{{"\x00\x05", "\x05"}, {"\xff\x80", "\x80"}, {"", "\x00"}, {"\x00\x00", "\x00"}, {"\xff\xff", "\xff"}} {
		if hash(pair[0]) != hash(pair[1]) {
			t.Errorf("%x and %x are one number", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"\x00\x80", "\x80"}, {"\xff\x7f", "\x7f"}, {"\x01", "\x02"}} {
		if hash(pair[0]) == hash(pair[1]) {
			t.Errorf("%x and %x are two numbers", pair[0], pair[1])
		}
	}
}

func TestPayloadThatIsNoAvroIsARejectNotACrash(t *testing.T) {
	whole := samplePayload()
	bad := [][]byte{nil, {0}, append(bytes.Clone(whole), 0), {4}, {0, 1, 1}, bytes.Repeat([]byte{0xFF}, 12)}
	for i := range whole {
		bad = append(bad, whole[:i])
	}
	n := New(DefaultRules())
	for _, payload := range bad {
		in := typical()
		in.Payload = payload
		var out interaction.Keyed
		rej := n.Interaction(in, 1, interaction.Origin{}, &out)
		if rej == nil || rej.Reason != interaction.ReasonInvalidField {
			t.Errorf("payload %x: got %v", payload, rej)
		}
	}
}

func TestLimitsOfAnInteraction(t *testing.T) {
	many := func(n int) []interaction.Raw {
		ids := make([]interaction.Raw, n)
		for i := range ids {
			ids[i] = interaction.Raw{Namespace: "email", Value: "ana" + strings.Repeat("a", i%50) + "@example.com"}
		}
		return ids
	}
	for name, c := range map[string]struct {
		change func(*interaction.Interaction)
		detail string
	}{
		"longest event id":   {func(in *interaction.Interaction) { in.EventID = strings.Repeat("x", MaxEventIDBytes) }, ""},
		"event id":           {func(in *interaction.Interaction) { in.EventID = strings.Repeat("x", MaxEventIDBytes+1) }, "event_id is 1025 bytes long, more than 1024"},
		"source":             {func(in *interaction.Interaction) { in.Source = strings.Repeat("x", MaxNameBytes+1) }, "source is 257 bytes long, more than 256"},
		"namespace":          {func(in *interaction.Interaction) { in.Identifiers[1].Namespace = strings.Repeat("x", MaxNameBytes+1) }, "identifiers[1].namespace is 257 bytes long, more than 256"},
		"most identifiers":   {func(in *interaction.Interaction) { in.Identifiers = many(MaxIdentifiers) }, ""},
		"identifiers":        {func(in *interaction.Interaction) { in.Identifiers = many(MaxIdentifiers + 1) }, "identifiers has 1001 entries, more than 1000"},
		"UTF-8 of a value":   {func(in *interaction.Interaction) { in.Identifiers[0].Value = "a\xff" }, "identifiers[0] is not UTF-8"},
		"UTF-8 of user_id":   {func(in *interaction.Interaction) { in.UserID = "a\xff" }, "user_id is not UTF-8"},
		"UTF-8 of the store": {func(in *interaction.Interaction) { in.StoreCode = "a\xff" }, "store_code is not UTF-8"},
	} {
		in := typical()
		c.change(in)
		var out interaction.Keyed
		rej := New(DefaultRules()).Interaction(in, 1, interaction.Origin{}, &out)
		detail := ""
		if rej != nil {
			detail = rej.Detail
		}
		if detail != c.detail {
			t.Errorf("%s: got %q, want %q", name, detail, c.detail)
		}
	}
}

func TestLongestAddressHas254Bytes(t *testing.T) {
	n := New(DefaultRules())
	domain := strings.Repeat(strings.Repeat("a", 60)+".", 3) + "com"
	for bytes, want := range map[int]interaction.Outcome{254: interaction.OutcomeNone, 255: interaction.OutcomeInvalid} {
		address := strings.Repeat("x", bytes-len(domain)-2) + "y@" + domain
		if _, _, got, _ := n.Value("email", "", address); got != want {
			t.Errorf("%d bytes: %s", len(address), got)
		}
	}
}

func TestLongValuesAreShownCutAndComparedWhole(t *testing.T) {
	in := typical()
	long := strings.Repeat("ñ", MaxShownValue)
	in.Identifiers = []interaction.Raw{{Namespace: "member_id", Value: long + "1"}, {Namespace: "member_id", Value: long + "2"}}
	out := keyed(t, in)
	want := interaction.Identifier{Namespace: "member_id", Value: long, Outcome: interaction.OutcomeInvalid}
	if diff := cmp.Diff([]interaction.Identifier{want, want}, out.Identifiers[1:]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeyedCarriesTheInteraction(t *testing.T) {
	in := typical()
	origin := interaction.Origin{Topic: "web.events", Partition: 3, Offset: 77}
	var out interaction.Keyed
	out.Identifiers = make([]interaction.Identifier, 5) // of an earlier call
	if rej := New(DefaultRules()).Interaction(in, 99, origin, &out); rej != nil {
		t.Fatal(rej)
	}
	want := interaction.Keyed{
		Realm: "default", ID: out.ID, Content: out.Content, Source: "web", SourceEventID: "e-0001-2026", Channel: "ecommerce",
		Type: "order.placed", StoreCode: "MX-014", UserID: "00012345", HasUserID: true, OccurredAt: 1767225600000, ReceivedAt: 99,
		Origin: origin, Payload: in.Payload,
		Identifiers: []interaction.Identifier{
			{Namespace: "user", Domain: "MX-014", Value: "00012345"},
			{Namespace: "email", Value: "rosa.diaz@example.com"},
			{Namespace: "device_id", Value: "8f14e45f-ceea-467f-a0e6-1b2c3d4e5f60"},
		},
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
