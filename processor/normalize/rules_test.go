package normalize

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
)

func parse(t *testing.T, text string) *Rules {
	t.Helper()
	r, err := ParseRules([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDefaultRulesAreValid(t *testing.T) {
	if f := DefaultRules().Validate(); len(f) > 0 {
		t.Error(f)
	}
}

func TestEveryNamespaceHasAStory(t *testing.T) {
	stories := ""
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			text, _ := os.ReadFile("testdata/" + e.Name())
			stories += string(text)
		}
	}
	for _, b := range builtins {
		if !strings.Contains(stories, "value ns="+b.Name+"\n") && !strings.Contains(stories, "value ns="+b.Name+" ") {
			t.Errorf("no story in testdata shows the values of namespace %s", b.Name)
		}
	}
}

func TestPartialRulesLieOverTheDefaults(t *testing.T) {
	want := DefaultRules()
	want.Realms = map[string]string{"AR-*": "argentina"}
	want.DuplicateWindow = 30 * time.Hour
	want.Block.Values = []string{"nadie"}
	want.Block.EmailNames = []string{}
	want.Namespaces[4].AtMost = 9
	want.Namespaces[5].SharedContacts = NoThreshold
	want.Namespaces = slices.Insert(want.Namespaces, 2,
		Namespace{"club_id", 25, Anchor, DomainNone, 1, 5, 10, "member_id"},
		Namespace{"card", 26, Anchor, DomainStore, 1, 5, NoThreshold, "document"})
	for name, text := range map[string]string{
		"YAML": `
realms: {"AR-*": argentina}
regions: null
customer_limit:
duplicate_window: 30h
block:
  values: [nadie]
  email_names: []
namespaces:
  email: {at_most: 9}
  phone: {shared_contacts: null}
  device_id:
  club_id: {rank: 25, class: anchor}
  card: {rank: 26, class: anchor, domain: store, shared_contacts: null, like: document}
`,
		"JSON": `{"realms": {"AR-*": "argentina"}, "duplicate_window": "30h", "block": {"values": ["nadie"], "email_names": []},
			"namespaces": {"email": {"at_most": 9}, "phone": {"shared_contacts": null}, "club_id": {"rank": 25, "class": "anchor"},
			"card": {"rank": 26, "class": "anchor", "domain": "store", "shared_contacts": null, "like": "document"}}}`,
	} {
		if diff := cmp.Diff(want, parse(t, text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRulesAreStrictAsAPartOfAConfiguration(t *testing.T) {
	type config struct {
		Identity Rules `yaml:"identity"`
	}
	decode := func(text string) (config, error) {
		c := config{Identity: *DefaultRules()}
		err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(&c)
		return c, err
	}
	c, err := decode("identity:\n  anchors_in_all: 9\n")
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultRules()
	want.AnchorsInAll = 9
	if diff := cmp.Diff(*want, c.Identity); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{
		"identity: {anchor_in_all: 9}",
		"identity: {block: {value: []}}",
		"identity: {namespaces: {email: {atmost: 9}}}",
	} {
		if _, err := decode(text); err == nil || !strings.Contains(err.Error(), "unknown field") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestRulesWrittenAndReadAreTheSame(t *testing.T) {
	r := parse(t, `{"namespaces": {"club_id": {"rank": 25, "class": "anchor", "domain": "store"}}, "earliest": "2010-06-01T00:00:00Z"}`)
	text, err := yaml.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, parse(t, string(text))); diff != "" {
		t.Errorf("%s(-want +got):\n%s", text, diff)
	}
}

func TestVersionChangesWithEveryRule(t *testing.T) {
	base := DefaultRules().Version()
	seen := map[string]string{base: "defaults"}
	for _, text := range []string{
		`id_key: other`, `realms: {"A": b}`, `realms: {"*": b}`, `regions: {"*": AR}`, `countries: {"*": AR}`, `user_id: {web: email}`,
		`anchors_in_all: 9`, `store_codes_tied: 6`, `devices_join_known: true`, `customer_limit: 501`, `component_limit: 2001`,
		`duplicate_window: 169h`, `clock_ahead: 11m`, `earliest: "2000-01-02T00:00:00Z"`,
		`block: {values: []}`, `block: {email_names: []}`, `block: {email_domains: []}`,
		`namespaces: {email: {rank: 41}}`, `namespaces: {email: {at_most: 6}}`, `namespaces: {email: {domain: store}}`,
		`namespaces: {email: {shared_anchors: 4}}`, `namespaces: {email: {shared_contacts: 4}}`, `namespaces: {phone: {shared_contacts: null}}`,
		`namespaces: {email: {like: user}}`, `namespaces: {club: {rank: 25, class: anchor}}`,
	} {
		v := parse(t, text).Version()
		if other, ok := seen[v]; ok {
			t.Errorf("%s has the version of %s", text, other)
		}
		seen[v] = text
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(v) {
			t.Errorf("version %q", v)
		}
	}
}

func TestVersionIgnoresHowTheRulesAreWritten(t *testing.T) {
	base := DefaultRules().Version()
	for _, text := range []string{
		`erase_enabled: true`, // a permission, which an operator gives over an existing state
		`realms: {}`, `user_id: {web: auto}`, `namespaces: {email: {rank: 40}}`, `earliest: "1999-12-31T21:00:00-03:00"`,
		`block: {email_domains: [MARKETPLACE.amazon.*, ct.vtex.com.br, ct.vtex.com.br]}`,
	} {
		if v := parse(t, text).Version(); v != base {
			t.Errorf("%s: version %s, want that of the defaults, %s", text, v, base)
		}
	}
}

// The versions of rules are kept in stores; one that changes by accident would ask every deployment for a migration.
func TestVersionOfTheDefaultsIsPinned(t *testing.T) {
	const want = "b98efd1ce9d7a829"
	if got := DefaultRules().Version(); got != want {
		t.Errorf("version %s, want %s: raise rulesFormat or phoneMetadata if and only if decisions change, and write down the new one here", got, want)
	}
}

func TestPhoneMetadataIsThatOfTheLibrary(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`github\.com/nyaruka/phonenumbers ` + regexp.QuoteMeta(phoneMetadata) + `\s`).Match(mod) {
		t.Errorf("phoneMetadata is %s, go.mod has another version: set the constant to it, so that rules_version tells", phoneMetadata)
	}
}

func TestRealmNamesAreAllThatAStoreCanHave(t *testing.T) {
	for text, want := range map[string][]string{
		``:                                 {"default"},
		`realms: {"A-*": a, "B": b}`:       {"a", "b", "default"},
		`realms: {"A-*": a, "*": a}`:       {"a"},
		`realms: {"A-*": x, "*": y}`:       {"x", "y"},
		`realms: {"A-*": default, "B": b}`: {"b", "default"},
	} {
		if diff := cmp.Diff(want, parse(t, text).RealmNames()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestBlockRuleNamesAreDifferent(t *testing.T) {
	names := map[string]bool{}
	for _, n := range blockRuleNames {
		names[n] = true
	}
	if len(names) != BlockRules {
		t.Errorf("%d names of %d rules: %v", len(names), BlockRules, slices.Sorted(maps.Keys(names)))
	}
}

// What a question names is normalised like what a source sends, and what an answer shows can be asked for.
func TestNamedOfAQuestion(t *testing.T) {
	r := DefaultRules()
	r.Realms = map[string]string{"AR-*": "norte", "*": "resto"}
	r.Regions, r.Countries = map[string]string{"AR-*": "AR"}, map[string]string{"AR-*": "AR"}
	n := New(r)
	for text, want := range map[string]string{
		"email: ANA@Correo.example ":   "email:ana@correo.example in ",
		"user@AR-001:00417":            "user@AR-001:00417 in norte",
		"user@UY-001:7":                "user@UY-001:7 in resto",
		"phone@AR-001:11 4321-8765":    "phone:+541143218765 in norte",
		"phone:+54 11 4321-8765":       "phone:+541143218765 in ",
		"document@AR-001:27.418.902":   "document@AR:27418902 in norte",
		"document@AR:27418902":         "document@AR:27418902 in ",
		"document:27418902":            "document:27418902 in ",
		"phone:11 4321-8765":           "error",
		"email:sinmail@correo.example": "error",
		"mail:x":                       "error",
	} {
		in, err := interaction.ParseNamed(text)
		if err != nil {
			t.Fatal(err)
		}
		got := "error"
		if name, realm, err := n.Named(in); err == nil {
			got = name.String() + " in " + realm
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if n.Realm() != "resto" || !n.HasRealm("norte") || n.HasRealm("otro") {
		t.Errorf("realm is %s", n.Realm())
	}
}
