package processor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// only says which packages may import a path, and what the others do instead.
var only = []struct {
	path    string // import path or prefix that ends in /
	allowed []string
	instead string
}{
	{"github.com/cockroachdb/pebble/v2", []string{"processor/state", "processor/processortest"}, "read state through table.View, open stores through processor/state"},
	{"github.com/twmb/franz-go/pkg/sr", []string{"schemas"}, "ask schemas.Registry"},
	{"github.com/twmb/franz-go/", []string{"processor/kafka", "processor/kafka/embedded", "processor/processortest", "schemas"}, "use the types of processor/kafka"},
	{"github.com/linkedin/goavro/v2", []string{"schemas"}, "use the codecs of schemas"},
	{"github.com/goccy/go-yaml", []string{"processor/config", "processor/normalize", "processor/source/mapping", "deploy"}, "take a config.Config"},
	{"kinfold/processor/kafka", []string{"processor", "processor/kafka", "processor/kafka/embedded", "processor/processortest", "processor/demo/live", "cmd/kinfold"}, "stages return effects; processor does them"},
	{"kinfold/processor/state", []string{"processor", "processor/state", "processor/processortest"}, "stages read a table.View; processor opens stores"},
}

// chance is what a pure package does not import.
var chance = []string{"math/rand", "math/rand/v2", "crypto/rand"}

// words are the packages that know the standard library only.
var words = []string{"processor/interaction", "processor/table"}

// pure are the packages without clock, chance, effect or goroutine: their answers depend on their arguments alone.
var pure = []string{"processor/interaction", "processor/table", "processor/source", "processor/source/mapping", "processor/normalize", "processor/dedup", "processor/identity"}

// starters are the packages that may start goroutines; processor/state for a write that Pebble may never end.
var starters = []string{"processor", "processor/state", "processor/kafka", "processor/kafka/embedded", "processor/processortest", "processor/demo/live", "cmd/kinfold", "deploy/bench"}

// forbidden names calls that a pure package does not make.
var forbidden = map[string]string{
	"time.Now": "take the time from the record", "time.Since": "take the time from the record", "time.Sleep": "return, the loop waits",
	"os.Getenv": "take a setting", "os.Open": "take the bytes", "fmt.Println": "return the text", "log.Printf": "return an error",
}

const maxLines = 800

func TestTheHouseKeepsItsRules(t *testing.T) {
	for _, file := range goFiles(t) {
		dir := filepath.ToSlash(filepath.Dir(file))
		test := strings.HasSuffix(file, "_test.go")
		src, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(src), "\n"); n > maxLines {
			t.Errorf("%s has %d lines, more than %d: a second subject hides in it, give it a file of its own", file, n, maxLines)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !test {
			checkImports(t, file, dir, f)
			checkCalls(t, fset, dir, f)
		}
		if base := filepath.Base(dir); slices.Contains([]string{"util", "common", "types", "helper", "manager", "internal", "pkg"}, base) {
			t.Errorf("%s: a package named %s cannot be explained in one sentence", file, base)
		}
	}
}

func checkImports(t *testing.T, file, dir string, f *ast.File) {
	for _, imp := range f.Imports {
		path, _ := strconv.Unquote(imp.Path.Value)
		if slices.Contains(pure, dir) && slices.Contains(chance, path) {
			t.Errorf("%s imports %s into a pure package: its answers depend on its arguments alone", file, path)
		}
		if slices.Contains(words, dir) && strings.Contains(strings.Split(path, "/")[0], ".") {
			t.Errorf("%s imports %s: the words know the standard library only", file, path)
		}
		for _, rule := range only {
			match := path == rule.path || strings.HasPrefix(path, strings.TrimSuffix(rule.path, "/")+"/")
			if match && !slices.Contains(rule.allowed, dir) {
				t.Errorf("%s imports %s, which belongs to %s: %s", file, path, strings.Join(rule.allowed, ", "), rule.instead)
			}
			if match {
				break
			}
		}
	}
}

func checkCalls(t *testing.T, fset *token.FileSet, dir string, f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if !slices.Contains(starters, dir) {
				t.Errorf("%s starts a goroutine: only %s do, so that Stop can wait for them", fset.Position(n.Pos()), strings.Join(starters, ", "))
			}
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				t.Errorf("%s: init() hides an order; list it in a table", fset.Position(n.Pos()))
			}
		case *ast.RangeStmt:
			if lit, ok := n.X.(*ast.CompositeLit); ok {
				if _, ok := lit.Type.(*ast.MapType); ok {
					t.Errorf("%s: the order in which a literal map is gone through is chance: range over a slice of structs", fset.Position(n.Pos()))
				}
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(pure, dir) {
				if instead := forbidden[x.Name+"."+n.Sel.Name]; instead != "" {
					t.Errorf("%s: %s.%s in a pure package: %s", fset.Position(n.Pos()), x.Name, n.Sel.Name, instead)
				}
			}
		}
		return true
	})
}

func TestNothingIsLeftToDoInTheCode(t *testing.T) {
	for _, file := range goFiles(t) {
		src, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(src), "\n") {
			for _, mark := range []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"} {
				if strings.Contains(line, mark) {
					t.Errorf("%s:%d: %s: do it, or take it out", file, i+1, mark)
				}
			}
		}
	}
}

// goFiles lists the Go files of the repository, relative to its root.
func goFiles(t *testing.T) []string {
	var files []string
	for _, top := range []string{"cmd", "processor", "schemas", "deploy"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") {
				rel, _ := filepath.Rel("..", path)
				files = append(files, filepath.ToSlash(rel))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 10 {
		t.Fatalf("found only %d Go files: the test looks in the wrong place", len(files))
	}
	return files
}
