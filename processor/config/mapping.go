package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kinfold/processor/source/mapping"
	"kinfold/schemas/sources"
)

// CompileMapping compiles a mapping by its name, as those that come with kinfold have one, or by the path of its file. Files that it
// extends lie beside it. The error is a *mapping.FaultsError where the text has faults.
func CompileMapping(name string) (*mapping.Mapping, error) {
	if !isFile(name) {
		text, err := sources.Read(name)
		if err != nil {
			return nil, unknownMapping(name)
		}
		return mapping.Compile(name+".yaml", text, sources.Read)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the mapping: %w", err)
	}
	return mapping.Compile(name, text, func(base string) ([]byte, error) {
		if !isFile(base) {
			return sources.Read(base)
		}
		return os.ReadFile(filepath.Join(filepath.Dir(name), base))
	})
}

// isFile tells the path of a mapping from the name of one that comes with kinfold.
func isFile(name string) bool {
	return strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

func unknownMapping(name string) error {
	hint := "kinfold sources lists them; a file ends in .yaml"
	if s := suggest(name, sources.Names()); s != "" {
		hint = fmt.Sprintf("did you mean %s? %s", s, hint)
	}
	return fmt.Errorf("no mapping %q comes with kinfold; %s", name, hint)
}

// Compile compiles the mapping of a source; Load does so by itself.
func (s *Source) Compile() (err error) {
	if s.Mapping == "" || s.compiled != nil {
		return nil
	}
	s.compiled, err = CompileMapping(s.Mapping)
	return err
}

// compile compiles the mappings of all sources. Faults of a mapping keep their place in its file.
func (c *Config) compile() (faults []Fault) {
	for i := range c.Sources {
		err := c.Sources[i].Compile()
		var of *mapping.FaultsError
		switch path := fmt.Sprintf("sources[%d].mapping", i); {
		case err == nil:
		case errors.As(err, &of):
			for _, f := range of.Faults {
				faults = append(faults, Fault{Path: f.Path, File: f.File, Line: f.Line, Column: f.Column, Problem: f.Problem})
			}
		default:
			faults = append(faults, Fault{Path: path, Problem: err.Error()})
		}
	}
	return slices.Clip(faults)
}
