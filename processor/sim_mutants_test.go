package processor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutantSeeds is within how many seeds a mutant has to be found.
const mutantSeeds = 200

// mutant is a deliberate bug.
type mutant struct {
	name  string
	edits []edit
}

type edit struct{ file, was, is string }

// readMutants reads testdata/mutants.txt.
func readMutants(t *testing.T) (all []mutant) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "mutants.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "\n=== ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		m := mutant{name: name}
		for _, e := range strings.Split("\n"+body, "\n--- ")[1:] {
			file, rest, _ := strings.Cut(e, "\n")
			was, is, ok := strings.Cut(rest, "\n+++\n")
			if !ok {
				t.Fatalf("mutant %s: an edit of %s has no +++", name, file)
			}
			m.edits = append(m.edits, edit{file, strings.TrimRight(was, "\n"), strings.TrimRight(is, "\n")})
		}
		all = append(all, m)
	}
	return all
}

// mutate returns the files of the repository as the mutant has them.
func (m *mutant) mutate(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, e := range m.edits {
		text, ok := files[e.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(e.file)))
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.was+"\n"); n != 1 {
			t.Errorf("mutant %s: the text that it replaces is in %s %d times, not once:\n%s", m.name, e.file, n, e.was)
		}
		files[e.file] = strings.Replace(text, e.was+"\n", e.is+"\n", 1)
	}
	return files
}

func TestMutantsStillFitTheCode(t *testing.T) {
	all := readMutants(t)
	if len(all) < 10 {
		t.Fatalf("%d mutants; want at least 10", len(all))
	}
	for _, m := range all {
		if len(m.edits) == 0 {
			t.Errorf("mutant %s changes nothing", m.name)
		}
		m.mutate(t)
	}
}

// TestMutantsAreFoundByTheSimulation plants one bug after the other, and expects the simulation to fail.
func TestMutantsAreFoundByTheSimulation(t *testing.T) {
	if !*simMutants {
		t.Skip("runs with -sim.mutants")
	}
	var table strings.Builder
	for _, m := range readMutants(t) {
		t.Run(m.name, func(t *testing.T) {
			began := time.Now()
			found := m.run(t)
			fmt.Fprintf(&table, "\n%-60s %-24s %s", m.name, found, time.Since(began).Round(time.Second))
		})
	}
	t.Logf("mutants:%s", table.String())
}

var caughtAt = regexp.MustCompile(caughtMark + ` (\d+): (.*)`)

// run simulates the mutant and says in which seed it was found.
func (m *mutant) run(t *testing.T) string {
	dir := t.TempDir()
	overlay := map[string]map[string]string{"Replace": {}}
	for file, text := range m.mutate(t) {
		real, err := filepath.Abs(filepath.Join("..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		planted := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(planted, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay["Replace"][real] = planted
	}
	index := filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(index, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := simulate(t, "-overlay", index, "-run", "^TestSimulation$", "-timeout", "10m", ".", "-sim.failfast", fmt.Sprint("-sim.seeds=", mutantSeeds))
	var exit *exec.ExitError
	switch found := caughtAt.FindStringSubmatch(out); {
	case err == nil:
		t.Errorf("mutant %s lives: %d seeds found nothing", m.name, mutantSeeds)
		return "not found"
	case found != nil:
		t.Logf("%s: %s", m.name, found[2])
		return "seed number " + found[1]
	case errors.As(err, &exit) && strings.Contains(out, "test timed out"):
		return "hangs"
	}
	t.Errorf("mutant %s: %v\n%s", m.name, err, out)
	return "broken"
}

// simulate runs tests of this package under the build tag that the simulation needs, with the race detector if this binary has it.
func simulate(t *testing.T, args ...string) (string, error) {
	t.Helper()
	flags := []string{"test", "-tags", "synctests", "-vet=off", "-count=1"}
	if raced() {
		flags = append(flags, "-race")
	}
	args = append(flags, args...)
	out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	return string(out), err
}

// raced reports whether this binary has the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
