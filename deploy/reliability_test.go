package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	claimed = regexp.MustCompile("`(?:[a-z]+ )?(Test[A-Za-z0-9]+)`")
	defined = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	named   = regexp.MustCompile("`((?:processor|schemas|cmd|deploy)/[^` ]*)`")
)

// No claim without its test: each test that RELIABILITY.md names is there, and each file.
func TestClaimsOfReliabilityHaveTheirTests(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range defined.FindAllSubmatch(b, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, "RELIABILITY.md")
	claims := claimed.FindAllStringSubmatch(text, -1)
	if len(claims) < 30 {
		t.Errorf("%d tests are named", len(claims))
	}
	for _, m := range claims {
		if !there[m[1]] {
			t.Errorf("RELIABILITY.md names %s, which is not there", m[1])
		}
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("RELIABILITY.md names %s: %v", m[1], err)
		}
	}
}
