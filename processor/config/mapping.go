package config

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"kinfold/processor/source/mapping"
	"kinfold/schemas"
	"kinfold/schemas/sources"
)

// Compile compiles the mapping of a source and reads its schemas; Load does so by itself.
func (s *Source) Compile() error {
	for i := range s.AvroSchemas {
		if err := s.declare(i); err != nil {
			return err
		}
	}
	return s.compile()
}

// declare reads the schema file of a place.
func (s *Source) declare(i int) error {
	text, err := os.ReadFile(s.AvroSchemas[i])
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if _, err := schemas.NewReader(string(text)); err != nil {
		return fmt.Errorf("%s is no Avro schema that can be read: %w", s.AvroSchemas[i], err)
	}
	s.declared = append(s.declared[:min(i, len(s.declared))], string(text))
	return nil
}

func (s *Source) compile() (err error) {
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

// compile compiles the mappings of all sources, and reads their schemas. Faults of a mapping keep their place in its file.
func (c *Config) compile() (faults []Fault) {
	for i := range c.Sources {
		for j := range c.Sources[i].AvroSchemas {
			if err := c.Sources[i].declare(j); err != nil {
				faults = append(faults, Fault{Path: fmt.Sprintf("sources[%d].avro_schemas[%d]", i, j), Problem: err.Error()})
			}
		}
		err := c.Sources[i].compile()
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
