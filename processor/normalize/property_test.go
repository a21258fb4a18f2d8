package normalize

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

// The characters that rules treat in their own ways: case pairs of odd lengths, marks, jamo, digits of other scripts,
// quotes, invisible ones.
var oddRunes = []rune("aAzZ0159@.-+_ <>()\"'`“”‘’«»,;\t\x00\x07\u0085\u00a0\u00ad\u200b\u200d\u202e\ufeff" +
	"ñÑçßẞſKÅİıΣσςΐŉﬁǅÀ\u0301\u0303\u0327\u0307\u0345각１９Ａ＠。．٣आ日ا😀\u1fef\u037e")

func valueText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOf(rapid.SampledFrom(oddRunes)),
		rapid.StringOfN(rapid.SampledFrom(oddRunes), 5, 20, -1),
		rapid.String(),
		rapid.StringMatching(`[+]?(52|54|55)?[ 019]{0,3}[0-9]{2}[ -]?[0-9]{4}[ -]?[0-9]{4}`),
		rapid.StringMatching(`[a-zA-ZñÑß0-9.]{1,8}@[a-zA-ZñÑß0-9-]{1,8}\.(com|es|MX)\.?`),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom(oddRunes), 0, 6), func(r []rune) string { return "Ana <ana" + string(r) + "@exämple" + string(r) + ".com>" }),
	)
}

func rulesForProperties() *Rules {
	r := DefaultRules()
	r.Regions = map[string]string{"MX-*": "MX", "AR-*": "AR", "US": "US"}
	r.Countries = map[string]string{"*": "UY"}
	return r
}

func namespaceName() *rapid.Generator[string] {
	names := []string{"twitter_id"}
	for _, b := range builtins {
		names = append(names, b.Name)
	}
	return rapid.SampledFrom(names)
}

var storeCodes = rapid.SampledFrom([]string{"", "MX-1", "AR-1", "US", " MX-1 "})

func TestNormalisedValueIsItsOwnNormalForm(t *testing.T) {
	n := New(rulesForProperties())
	rapid.Check(t, func(t *rapid.T) {
		checkIdempotent(t, n, namespaceName().Draw(t, "namespace"), storeCodes.Draw(t, "store"), valueText().Draw(t, "value"))
	})
}

func checkIdempotent(t interface{ Fatalf(string, ...any) }, n *Normalizer, namespace, store, value string) {
	v, domain, outcome, _ := n.Value(namespace, store, value)
	if outcome != interaction.OutcomeNone {
		if v != "" {
			t.Fatalf("%s %+q is %s and has the value %+q", namespace, value, outcome, v)
		}
		return
	}
	if v == "" || hasControl(v) || trim(v) != v {
		t.Fatalf("%s %+q became %+q", namespace, value, v)
	}
	again, domainAgain, outcome, rule := n.Value(namespace, store, v)
	if again != v || domainAgain != domain {
		t.Fatalf("%s %+q became %+q and that %+q (%s %s)", namespace, value, v, again, outcome, rule)
	}
}

func rawIdentifier() *rapid.Generator[interaction.Raw] {
	return rapid.Custom(func(t *rapid.T) interaction.Raw {
		value := rapid.OneOf(
			rapid.SampledFrom([]string{"ana@example.com", "ANA@example.com", " b ", "b", "null", "", "30222333", "30.222.333", "+525598765432", "+52 1 55 9876 5432"}),
			valueText(),
		).Draw(t, "value")
		return interaction.Raw{Namespace: namespaceName().Draw(t, "namespace"), Value: value, Verified: rapid.Bool().Draw(t, "verified")}
	})
}

func TestOrderOfIdentifiersChangesNothingButTheOrderOfUselessOnes(t *testing.T) {
	n := New(rulesForProperties())
	rapid.Check(t, func(t *rapid.T) {
		in := typical()
		in.EventID = rapid.SampledFrom([]string{"", "e1"}).Draw(t, "event_id")
		in.Identifiers = rapid.SliceOfN(rawIdentifier(), 0, 8).Draw(t, "identifiers")
		var one, other interaction.Keyed
		if rej := n.Interaction(in, 1, interaction.Origin{}, &one); rej != nil {
			t.Fatal(rej)
		}
		in.Identifiers = rapid.Permutation(in.Identifiers).Draw(t, "permuted")
		in.Identifiers = append(in.Identifiers, in.Identifiers...)
		if rej := n.Interaction(in, 1, interaction.Origin{}, &other); rej != nil {
			t.Fatal(rej)
		}
		if one.Content != other.Content || one.ID != other.ID || one.SourceEventID != other.SourceEventID {
			t.Fatalf("another content")
		}
		if diff := cmp.Diff(one.Usable(), other.Usable()); diff != "" {
			t.Fatalf("%s", diff)
		}
		if len(one.Identifiers) != len(other.Identifiers) {
			t.Fatalf("%d identifiers, then %d", len(one.Identifiers), len(other.Identifiers))
		}
		if string(n.RecordKey(&one)) != string(n.RecordKey(&other)) {
			t.Fatalf("another key")
		}
		checkOrder(t, n, &one)
	})
}

// checkOrder holds Usable against identity.md 3.3: by rank, domain, value, and each once; none of it unusable behind.
func checkOrder(t *rapid.T, n *Normalizer, k *interaction.Keyed) {
	usable := k.Usable()
	anchors := map[string]int{}
	for i, id := range usable {
		ns := n.namespaces[id.Namespace]
		if ns.Class == Anchor {
			anchors[id.Namespace+" "+id.Domain]++
		}
		if i > 0 {
			before := usable[i-1]
			if r := n.namespaces[before.Namespace].Rank; r > ns.Rank || r == ns.Rank && before.Value >= id.Value {
				t.Fatalf("%v before %v", before, id)
			}
		}
	}
	for name, count := range anchors {
		if count > 1 {
			t.Fatalf("%d usable %s", count, name)
		}
	}
	for _, id := range k.Identifiers[len(usable):] {
		if id.Outcome == interaction.OutcomeNone {
			t.Fatalf("usable %v behind the others", id)
		}
	}
}

func TestMemoryOfANormalizerChangesNothing(t *testing.T) {
	warm := New(rulesForProperties())
	rapid.Check(t, func(t *rapid.T) {
		ns, store, value := namespaceName().Draw(t, "namespace"), storeCodes.Draw(t, "store"), valueText().Draw(t, "value")
		describe := func(n *Normalizer) string {
			v, domain, outcome, rule := n.Value(ns, store, value)
			return fmt.Sprintf("%q %q %s %s", v, domain, outcome, rule)
		}
		if a, b := describe(warm), describe(New(rulesForProperties())); a != b {
			t.Fatalf("remembered %s, fresh %s", a, b)
		}
	})
}

func TestPhoneCacheStaysBounded(t *testing.T) {
	var c phoneCache
	for i := range 2 * phoneCacheSize {
		c.put(phoneKey{text: fmt.Sprint(i)}, form{value: fmt.Sprint(i)})
	}
	if n := len(c.young) + len(c.old); n > phoneCacheSize {
		t.Errorf("%d numbers, more than %d", n, phoneCacheSize)
	}
	last := phoneKey{text: fmt.Sprint(phoneCacheSize + phoneCacheSize/2)}
	if f, ok := c.get(last); !ok || f.value != last.text {
		t.Errorf("number of the old generation: %v %t", f, ok)
	}
}

func TestStoreMemoryStaysBounded(t *testing.T) {
	n := New(DefaultRules())
	for i := range 3 * storeCacheSize {
		if s := n.store(fmt.Sprint("S", i)); s.code != fmt.Sprint("S", i) {
			t.Fatal(s)
		}
	}
	if len(n.stores) > storeCacheSize {
		t.Errorf("%d stores, more than %d", len(n.stores), storeCacheSize)
	}
}

// The mapping of domains is slow, so names that it returns as they are do not go through it.
func TestPlainDomainsAreThoseThatTheMappingReturnsUnchanged(t *testing.T) {
	domains := newDomains()
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.StringMatching(`[a-z0-9.-]{0,12}|(xn--)?[a-z0-9-]{1,6}\.[a-z0-9-]{1,64}|([a-z]{60}\.){3}[a-z]{50,80}`).Draw(t, "domain")
		mapped, err := domains.ToASCII(d)
		if plainDomain(d) && (err != nil || mapped != d) {
			t.Fatalf("%q is taken as it is, and the mapping says %q, %v", d, mapped, err)
		}
	})
}

func FuzzValue(f *testing.F) {
	for i, seed := range []string{"00123  ", "«’none’»", "Rosa Díaz <rosa.diaz@EXAMPLE.com.>", "044 55 9876 5432", "7.654.321-k", "eva@ΣΑΣ.gr", "\ufeffNULL\u200b", "ᄀ-ᅡ12345"} {
		f.Add(i, seed)
	}
	n := New(rulesForProperties())
	stores := []string{"", "MX-1", "AR-1"}
	f.Fuzz(func(t *testing.T, which int, value string) {
		b := builtins[uint(which)%uint(len(builtins))]
		checkIdempotent(t, n, b.Name, stores[uint(which/8)%3], value)
	})
}

func FuzzPayload(f *testing.F) {
	f.Add(samplePayload())
	f.Add([]byte{0, 0, 0})
	f.Add([]byte{0, 1, 2, 0, 0})
	n := New(DefaultRules())
	f.Fuzz(func(t *testing.T, payload []byte) {
		in := typical()
		in.Payload = payload
		var out interaction.Keyed
		n.Interaction(in, 1, interaction.Origin{}, &out)
	})
}
