package identity

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var runMutants = flag.Bool("mutants", false, "build every mutant of testdata/mutants and demand that the tests fail")

// mutant is a deliberate bug: text of one file of the package that is replaced.
type mutant struct{ name, file, before, after string }

func readMutants(t *testing.T) (list []mutant) {
	t.Helper()
	text, err := os.ReadFile("testdata/mutants/graph")
	if err != nil {
		t.Fatal(err)
	}
	for number, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "mutant "); ok {
			list = append(list, mutant{name: name})
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		m := &list[len(list)-1]
		sign, rest := line[0], line[1:]+"\n"
		switch {
		case m.file == "":
			m.file = line
		case sign == '-':
			m.before += rest
		case sign == '+':
			m.after += rest
		case sign == ' ':
			m.before += rest
			m.after += rest
		default:
			t.Fatalf("line %d is neither a name nor a change: %s", number+1, line)
		}
	}
	return list
}

// TestMutantsAreCaught holds the tests to their word: each mutant of testdata/mutants/graph has to make some test fail. By default
// it only checks that the text of each is there, once. The whole takes a few minutes:
//
//	go test ./processor/identity -run Mutants -mutants -v -timeout 1h
func TestMutantsAreCaught(t *testing.T) {
	list := readMutants(t)
	if len(list) < 20 {
		t.Errorf("only %d mutants", len(list))
	}
	var names []string
	for _, m := range list {
		if slices.Contains(names, m.name) {
			t.Errorf("two mutants are called %s", m.name)
		}
		names = append(names, m.name)
		t.Run(m.name, func(t *testing.T) {
			src, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count("\n"+string(src), "\n"+m.before); n != 1 || m.before == m.after {
				t.Fatalf("the text is %d times in %s, or does not change:\n%s", n, m.file, m.before)
			}
			if *runMutants {
				m.mustDie(t, src)
			}
		})
	}
}

var failed = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// mustDie runs the tests of the package on the mutant.
func (m *mutant) mustDie(t *testing.T, src []byte) {
	dir := t.TempDir()
	path, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(dir, m.file)
	body := strings.TrimPrefix(strings.Replace("\n"+string(src), "\n"+m.before, "\n"+m.after, 1), "\n")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{changed: []byte(body), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", filepath.Join(dir, "overlay.json"), "-count=1", "-timeout=5m",
		"-skip=Mutants|Fuzz|Rows", ".", "-rapid.shrinktime=1ms", "-rapid.nofailfile")
	out, err := cmd.CombinedOutput()
	var killers []string
	for _, match := range failed.FindAllStringSubmatch(string(out), -1) {
		if name := match[1]; name != "TestStories" && (!strings.Contains(name, "/") || strings.HasPrefix(name, "TestStories/")) {
			killers = append(killers, name)
		}
	}
	slices.Sort(killers)
	switch {
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		t.Fatalf("the mutant does not build:\n%s", out)
	case err == nil:
		t.Fatal("no test notices it")
	case len(killers) == 0:
		t.Logf("killed by a panic:\n%.2000s", out)
	default:
		t.Logf("%s: killed by %s", m.name, strings.Join(killers, " "))
	}
}
