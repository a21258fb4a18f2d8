package sources

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kinfold/processor/source/mapping"
)

// Load compiles the mapping that a word names: one of ours by its name, or a file of the user by its path, which ends in .yaml or
// .yml or has a / in it. What the file extends is one of ours, or NAME.yaml beside it. A mapping with faults comes back as a
// *mapping.FaultsError that holds all of them, each with the file as it was named here.
func Load(word string) (*mapping.Mapping, error) {
	if !IsFile(word) {
		text, err := Read(word)
		if err != nil {
			return nil, fmt.Errorf("%w; the path of a mapping file ends in .yaml", err)
		}
		return mapping.Compile(word, text, Read)
	}
	text, err := readFile(word)
	if err != nil {
		return nil, fmt.Errorf("read the mapping: %w", err)
	}
	return mapping.Compile(word, text, beside(filepath.Dir(word)))
}

// IsFile tells the path of a mapping from the name of one that comes with kinfold.
func IsFile(word string) bool {
	ext := filepath.Ext(word)
	return ext == ".yaml" || ext == ".yml" || strings.ContainsAny(word, `/\`)
}

// beside finds what a file of a folder extends. Ours go before files, so that a file may have the name of what it extends.
func beside(dir string) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		text, notOurs := Read(name)
		if notOurs == nil {
			return text, nil
		}
		path := filepath.Join(dir, name+".yaml")
		text, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w; and there is no file %s", notOurs, path)
		}
		return text, err
	}
}

// readFile reads a file, but no more of it than the compiler needs to see that it is too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, mapping.MaxMappingBytes+1))
}
