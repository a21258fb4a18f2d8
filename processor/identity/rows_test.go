package identity

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
	"kinfold/processor/table"
)

// goldenWorld has a row of each kind.
func goldenWorld(t testing.TB) *world {
	w := newWorld(t, defaults())
	at := int64(1767225600000)
	person := func(store, code string, more ...interaction.Identifier) {
		at += 60000
		ids := append([]interaction.Identifier{{Namespace: "user", Domain: store, Value: code}}, more...)
		w.tell(Evidence{At: at, Source: "caja", SourceEventID: fmt.Sprintf("e%d", w.seq), Identifiers: ids})
	}
	email := interaction.Identifier{Namespace: "email", Value: "uno@correo.example", Verified: true}
	tablet := interaction.Identifier{Namespace: "device_id", Value: "kiosco-01"}
	person("S01", "ñ", email)
	person("S02", "b")
	person("S02", "b", email)
	person("S01", "c", email, tablet)
	person("S01", "ñ", tablet)
	person("S03", "d", interaction.Identifier{Namespace: "member_id", Value: "socio-01"})
	key := func(space, domain, value string) interaction.Key {
		return interaction.Key{Realm: "default", Namespace: space, Domain: domain, Value: value}
	}
	issued := at + 60000
	w.direct(Order{ID: "d1", Kind: interaction.DirectiveReplace, IssuedAt: issued, A: key("user", "S01", "ñ"), B: key("user", "S01", "nuevo")})
	w.direct(Order{ID: "d2", Kind: interaction.DirectiveRetract, IssuedAt: issued, A: key("user", "S02", "b")})
	w.direct(Order{ID: "d3", Kind: interaction.DirectiveErase, IssuedAt: issued, A: key("member_id", "", "socio-01")})
	return w
}

// TestRowsStayAsTheyAre holds the layout of every row: a change of it needs a new version.
func TestRowsStayAsTheyAre(t *testing.T) {
	w := goldenWorld(t)
	var got []string
	for _, info := range table.All {
		for _, k := range w.mem.keys(info.ID, nil) {
			got = append(got, fmt.Sprintf("%s %s\n  %s", info.Name, hex.EncodeToString([]byte(k)), hex.EncodeToString(w.mem.tables[info.ID][k])))
		}
	}
	want := strings.Split(strings.TrimSpace(goldenRows), "\n\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rows (-want +got):\n%s\n%s", d, strings.Join(got, "\n\n"))
	}
}

const goldenRows = `
identifiers 64656661756c741f6465766963655f69641f1f6b696f73636f2d3031
  01020480c6f2edee6602020201

identifiers 64656661756c741f656d61696c1f1f756e6f40636f7272656f2e6578616d706c65
  010100000000000000000000

identifiers 64656661756c741f757365721f5330311f63
  010100000000000000000000

identifiers 64656661756c741f757365721f5330311fc3b1
  010100000000000000000000

identifiers 64656661756c741f757365721f5330321f62
  01020880f3e3edee6603030000

identifiers 64656661756c741f757365721f5330331f64
  010100000000000000050000

components 00000000000000000000
  010764656661756c740505656d61696c000475736572035330310463616a61025f167fe4282c5c6cee2187d2dcf43c5803021a38f313420a24062d9dfb9297330ef0020103000112756e6f40636f7272656f2e6578616d706c65c0c9dcedee660001000002030163c0fc1502010400020302c3b1bffc15030101000201000780c6f2edee6604026533020001bffc1504026530

components 00000000000000050000
  010764656661756c74020475736572035330330133314d2e2da4e16f07b02396dde47f9802000100010164809981eeee660202000000

edges 1264656661756c741f757365721f5330311f630164656661756c741f6465766963655f69641f1f6b696f73636f2d3031
  010080c6f2edee660463616a61026533

edges 1264656661756c741f757365721f5330321f6200656d61696c1f
  0101

edges 1264656661756c741f757365721f5330321f620164656661756c741f656d61696c1f1f756e6f40636f7272656f2e6578616d706c65
  0101c09cebedee660463616a61026532

edges 1364656661756c741f757365721f5330311fc3b10164656661756c741f6465766963655f69641f1f6b696f73636f2d3031
  0100c0eff9edee660463616a61026534

edges 1c64656661756c741f6465766963655f69641f1f6b696f73636f2d303100757365721f533031
  0102

edges 1c64656661756c741f6465766963655f69641f1f6b696f73636f2d30310164656661756c741f757365721f5330311f63
  01

edges 1c64656661756c741f6465766963655f69641f1f6b696f73636f2d30310164656661756c741f757365721f5330311fc3b1
  01

edges 2164656661756c741f656d61696c1f1f756e6f40636f7272656f2e6578616d706c650164656661756c741f757365721f5330321f62
  01

founders 63616a636d77746336717a63737676353464636f61736a657a32
  0164656661756c741f6465766963655f69641f1f6b696f73636f2d3031

founders 63616c626e696577663774696b626734786d6b6a703374696871
  0164656661756c741f757365721f5330321f62

founders 636469347067653263626973616d6c6d35376f6a6a6f6d796f36
  0164656661756c741f757365721f5330311f63

founders 63676d7975326c726e7574717736623571656f6c6e337a643774
  0164656661756c741f757365721f5330331f64

founders 636c346c68377a626966726f677a33726271376a6e7a3562346c
  0164656661756c741f757365721f5330311fc3b1

directives 1264656661756c741f757365721f5330321f6201
  0184c0c288eeee66026432

directives 1364656661756c741f757365721f5330311fc3b10264656661756c741f757365721f5330311f6e7565766f
  0182c0c288eeee66026431

directives 1664656661756c741f757365721f5330311f6e7565766f0264656661756c741f757365721f5330311fc3b1
  0102c0c288eeee66026431

suppressed 3af7748b6326f1702b2d01230c81a4d235d57111f4fe6739e5bfa1f9d507019a
  01c0c288eeee6602
`

// TestComponentComesBack encodes what was decoded, a dictionary too long to be searched included.
func TestComponentComesBack(t *testing.T) {
	c := componentRow{realm: []byte("default"), customers: []customerRow{{id: rawID{1}, version: 300, founder: 3}}}
	for i := range 300 {
		c.members = append(c.members, memberRow{
			namespace: []byte("user"), domain: fmt.Appendf(nil, "S%03d", i), value: []byte("código"), firstSeen: int64(1767225600000 - i*i*i),
			ownVersion: int64(i), mapVersion: 7, counts: []countRow{{[]byte("document"), nil, int32(i + 1)}},
		})
		if i > 0 {
			c.edges = append(c.edges, edgeRow{
				root: 0, other: int32(i), verified: i%2 == 0, refused: Refusal(i % 5), firstSeen: int64(i), source: fmt.Appendf(nil, "fuente %d", i%40), eventID: []byte("é"),
			})
		}
	}
	value := c.appendTo(nil)
	var d componentRow
	if err := d.decode(value); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(value), string(d.appendTo(nil))); diff != "" {
		t.Error(diff)
	}
	if len(d.members) != 300 || d.members[299].firstSeen != c.members[299].firstSeen || string(d.edges[298].source) != "fuente 19" {
		t.Errorf("came back otherwise: %+v", d.members[299])
	}
}

// TestRowsThatAreCutOrNewerAreRefused cuts every row of a world at every place, and gives it another version.
func TestRowsThatAreCutOrNewerAreRefused(t *testing.T) {
	w := goldenWorld(t)
	decode := map[table.ID]func(b []byte) error{
		table.Components:  func(b []byte) error { return new(componentRow).decode(b) },
		table.Identifiers: func(b []byte) error { _, _, _, err := decodeIdentifier(b); return err },
	}
	for id, fn := range decode {
		for _, k := range w.mem.keys(id, nil) {
			value := w.mem.tables[id][k]
			if err := fn(value); err != nil {
				t.Fatal(err)
			}
			for n := range value {
				if err := fn(value[:n]); !errors.Is(err, errCorrupt) {
					t.Errorf("table %d cut to %d of %d bytes: %v", id, n, len(value), err)
				}
			}
			if err := fn(append([]byte{rowVersion + 1}, value[1:]...)); err == nil || errors.Is(err, errCorrupt) {
				t.Errorf("table %d with a newer version: %v", id, err)
			}
			if err := fn(append(append([]byte(nil), value...), 0)); !errors.Is(err, errCorrupt) {
				t.Errorf("table %d with a byte left over: %v", id, err)
			}
		}
	}
}

// TestStateThatDoesNotHoldTogetherIsAnError breaks a state in the ways a lost or foreign row would.
func TestStateThatDoesNotHoldTogetherIsAnError(t *testing.T) {
	e := Evidence{Realm: "default", At: 1, Source: "caja", SourceEventID: "x", Identifiers: []interaction.Identifier{
		{Namespace: "user", Domain: "S01", Value: "ñ"}, {Namespace: "device_id", Value: "kiosco-01"},
	}}
	for name, spoil := range map[string]func(m *memory){
		"components lost": func(m *memory) { clear(m.tables[table.Components]) },
		"component of another member": func(m *memory) {
			for k := range m.tables[table.Components] {
				m.tables[table.Components][k] = []byte("\x01\x07default\x00\x00\x00\x00")
			}
		},
		"component of another realm": func(m *memory) {
			for k, v := range m.tables[table.Components] {
				m.tables[table.Components][k] = []byte(strings.Replace(string(v), "default", "defaulT", 1))
			}
		},
		"undeclared namespace": func(m *memory) {
			for k, v := range m.tables[table.Components] {
				m.tables[table.Components][k] = []byte(strings.Replace(string(v), "\x04user", "\x04usar", 1))
			}
		},
		"edges newer": func(m *memory) {
			for k := range m.tables[table.Edges] {
				m.tables[table.Edges][k] = []byte{2}
			}
		},
		"identifiers of an unknown kind": func(m *memory) {
			for k := range m.tables[table.Identifiers] {
				m.tables[table.Identifiers][k] = []byte{1, 9}
			}
		},
	} {
		w := goldenWorld(t)
		spoil(w.mem)
		if _, err := w.r.Apply(w.mem, &e); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzComponentIsReadOrRefused(f *testing.F) {
	w := goldenWorld(f)
	for _, k := range w.mem.keys(table.Components, nil) {
		f.Add(w.mem.tables[table.Components][k])
	}
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c componentRow
		if c.decode(b) != nil {
			return
		}
		for _, m := range c.members {
			_, _ = c.customers[m.customer], m.value
		}
		again := c.appendTo(nil)
		var d componentRow
		if err := d.decode(again); err != nil {
			t.Fatalf("what was read is not read again: %v", err)
		}
	})
}

func FuzzSmallRowsAreReadOrRefused(f *testing.F) {
	w := goldenWorld(f)
	for _, id := range []table.ID{table.Identifiers, table.Edges, table.Directives, table.Suppressed} {
		for _, k := range w.mem.keys(id, nil) {
			f.Add(w.mem.tables[id][k])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, own, member, err := decodeIdentifier(b); err == nil {
			again := appendApart(nil, own)
			if member {
				again = appendMember(nil, id)
			}
			if _, _, _, err := decodeIdentifier(again); err != nil {
				t.Fatal(err)
			}
		}
		if e, err := decodeInactive(b); err == nil {
			if _, err := decodeInactive(appendInactive(nil, &e)); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := decodeOrder(b); err == nil {
			if _, err := decodeOrder(appendOrder(nil, &o, o.first)); err != nil {
				t.Fatal(err)
			}
		}
		if at, version, err := decodeSuppressed(b); err == nil {
			if _, _, err := decodeSuppressed(appendSuppressed(nil, at, version)); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := decodeCount(b); err == nil {
			if _, err := decodeCount(appendCount(nil, n)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
