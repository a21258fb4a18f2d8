package config

import (
	"errors"
	"fmt"
	"slices"

	"kinfold/processor/source/mapping"
	"kinfold/schemas/sources"
)

// Compile compiles the mapping of a source; Load does so by itself.
func (s *Source) Compile() (err error) {
	if s.Mapping == "" || s.compiled != nil {
		return nil
	}
	if !sources.IsFile(s.Mapping) && !slices.Contains(sources.Names(), s.Mapping) {
		hint := "kinfold sources lists them; a file ends in .yaml"
		if near := suggest(s.Mapping, sources.Names()); near != "" {
			hint = fmt.Sprintf("did you mean %s? %s", near, hint)
		}
		return fmt.Errorf("no mapping %q comes with kinfold; %s", s.Mapping, hint)
	}
	s.compiled, err = sources.Load(s.Mapping)
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
