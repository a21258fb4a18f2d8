package sources_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kinfold/processor/source/mapping"
	"kinfold/schemas/sources"
)

func TestEveryMappingIsDescribed(t *testing.T) {
	for _, name := range sources.Names() {
		a, err := sources.Describe(name)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{
			"a comment at the head of its file": a.Head, "a system in that comment": a.System,
			"a record in the table of README.md": a.Record, "duplicates in the table of README.md": a.Duplicates,
			"a customer in the table of README.md": a.Customer, "an entry under What to watch in README.md": a.Watch,
		} {
			if text == "" || strings.ContainsAny(text, "\n|") {
				t.Errorf("%s needs %s, has %q", name, what, text)
			}
		}
		if len(a.System) > 30 {
			t.Errorf("%s: the head of the file does not begin with the name of the system: %q", name, a.System)
		}
	}
	if _, err := sources.Describe("none"); err == nil || !strings.Contains(err.Error(), "known: adobe-xdm, ") {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestTheExampleExtendsEveryMapping(t *testing.T) {
	for _, name := range sources.Names() {
		text := sources.Example(name)
		m, err := mapping.Compile("example", []byte(text), sources.Read)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var out mapping.Result
		m.Apply(&mapping.Record{Topic: "in.returns", Value: []byte(`{"a":1}`)}, &out)
		if m.Source() != name {
			t.Errorf("%s calls itself %s", name, m.Source())
		}
	}
}

// folder makes a folder of mapping files and returns its path.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAMappingIsNamedOrLiesInAFile(t *testing.T) {
	dir := folder(t, map[string]string{
		"segment.yaml": "extends: segment\nsource: mine\n",
		"top.yml":      "extends: base\nsource: top\n",
		"base.yaml":    "extends: vtex\n",
		"bad.yaml":     "extends: nothing\n",
		"faults.yaml":  "source: a b\nextends: broken\n",
		"broken.yaml":  "inputs: []\nrules: 5\n",
		"large.yaml":   strings.Repeat("# long\n", mapping.MaxMappingBytes),
	})
	for word, want := range map[string]string{
		"segment": "segment", dir + "/segment.yaml": "mine", dir + "/top.yml": "top",
	} {
		m, err := sources.Load(word)
		if err != nil || m.Source() != want {
			t.Errorf("%s: %v", word, err)
		}
	}
	for word, want := range map[string]string{
		"segmnt":             `there is no mapping "segmnt"; known: adobe-xdm, `,
		dir + "/none.yaml":   "no such file",
		dir + "/bad.yaml":    "bad.yaml:1:10: extends: there is no mapping \"nothing\"; known: ",
		dir + "/faults.yaml": "broken:1:9: inputs: ",
		dir + "/large.yaml":  "bytes, more than",
		dir + "/":            "is a directory",
	} {
		if _, err := sources.Load(word); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", word, err, want)
		}
	}
	var faults *mapping.FaultsError
	if _, err := sources.Load(dir + "/faults.yaml"); !errors.As(err, &faults) || len(faults.Faults) < 3 || faults.Faults[0].File != dir+"/faults.yaml" {
		t.Errorf("the faults of two files: %v", err)
	}
}
