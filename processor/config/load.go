package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"kinfold/processor/normalize"
	"kinfold/schemas/sources"
)

// Load reads a configuration file over the defaults, replaces its references with the help of env (os.LookupEnv in the
// program), makes its paths relative to the file's directory, lets overrides change what the file says, and validates it. A
// configuration with faults is returned as a *FaultsError that holds all of them.
func Load(path string, env func(string) (string, bool), overrides ...func(*Config)) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	c := Default()
	d := newDecoder(path, env)
	d.document(data, reflect.ValueOf(c).Elem())
	for _, p := range []*string{
		&c.StateDir, &c.Kafka.SASL.TokenFile,
		&c.Kafka.TLS.CAFile, &c.Kafka.TLS.CertFile, &c.Kafka.TLS.KeyFile,
		&c.Registry.TLS.CAFile, &c.Registry.TLS.CertFile, &c.Registry.TLS.KeyFile,
	} {
		*p = d.path(*p)
	}
	for i := range c.Sources {
		s := &c.Sources[i]
		if sources.IsFile(s.Mapping) {
			s.Mapping = d.path(s.Mapping)
		}
		for j, file := range s.AvroSchemas {
			s.AvroSchemas[j] = d.path(file)
		}
	}
	for _, override := range overrides {
		override(c)
	}
	d.add(c.Validate())
	d.add(c.compile())
	if err := faultsError(path, d.faults); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadRules reads a file that holds the content of the section identity, as Load does with a whole configuration.
func LoadRules(path string, env func(string) (string, bool)) (*normalize.Rules, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	return ReadRules(path, data, env)
}

// ReadRules is LoadRules for the content of a file, by whose path faults are told and references are looked up.
func ReadRules(path string, data []byte, env func(string) (string, bool)) (*normalize.Rules, error) {
	rules := normalize.DefaultRules()
	d := newDecoder(path, env)
	d.document(data, reflect.ValueOf(rules).Elem())
	v := &validator{}
	for _, err := range rules.Validate() {
		v.rule("", err)
	}
	d.add(v.faults)
	if err := faultsError(path, d.faults); err != nil {
		return nil, err
	}
	return rules, nil
}

// LoadIdentity reads the identity rules from a whole configuration, of which it looks at nothing else, or from a file for LoadRules.
// The rest of a configuration may hold references that only the machine of the process can follow.
func LoadIdentity(path string, env func(string) (string, bool)) (*normalize.Rules, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	d := newDecoder(path, env)
	section, whole := d.section(data, "identity")
	if !whole {
		return LoadRules(path, env)
	}
	rules := normalize.DefaultRules()
	if section != nil {
		d.value("identity", section, reflect.ValueOf(rules).Elem())
	}
	v := &validator{}
	for _, err := range rules.Validate() {
		v.rule("identity", err)
	}
	d.add(v.faults)
	if err := faultsError(path, d.faults); err != nil {
		return nil, err
	}
	return rules, nil
}

// section finds one section of a configuration; whole is false where the file is none, since it has no key of one. A misspelled key
// of a configuration is a fault: it might be the section.
func (d *decoder) section(data []byte, name string) (section ast.Node, whole bool) {
	file, err := parseYAML(data)
	if err != nil || len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, false
	}
	entries, _ := d.entries("", file.Docs[0].Body)
	fields := map[string]reflect.Value{}
	var names []string
	collectFields(reflect.ValueOf(Default()).Elem(), fields, &names)
	var unknown []Fault
	for _, e := range entries {
		key, _ := scalarText(e.Key)
		if _, known := fields[key]; known {
			whole = true
		} else {
			f := Fault{Path: key, Problem: "unknown key", Want: "known here: " + strings.Join(names, ", ")}
			if s := suggest(key, names); s != "" {
				f.Want = "did you mean " + s + "?"
			}
			if p := position(e.Key); p != nil {
				f.Line, f.Column = p.Line, p.Column
			}
			unknown = append(unknown, f)
		}
		if key == name {
			section = e.Value
		}
	}
	if whole {
		d.faults = append(d.faults, unknown...)
	}
	return section, whole
}

func newDecoder(path string, env func(string) (string, bool)) *decoder {
	return &decoder{references: references{dir: filepath.Dir(path), env: env}, where: map[string]*token.Position{}}
}

// parseYAML parses a file, which may begin with a byte order mark, as programs of Windows write it.
func parseYAML(data []byte) (*ast.File, error) {
	return parser.ParseBytes(bytes.TrimPrefix(data, []byte("\uFEFF")), 0, parser.AllowDuplicateMapKey())
}

// document decodes a file that holds one document or none.
func (d *decoder) document(data []byte, v reflect.Value) {
	file, err := parseYAML(data)
	if err != nil {
		f := Fault{}
		f.fromLibrary(err)
		f.Problem = "not valid YAML: " + f.Problem
		d.faults = append(d.faults, f)
		return
	}
	docs := slices.DeleteFunc(file.Docs, func(doc *ast.DocumentNode) bool { return doc == nil || doc.Body == nil })
	switch {
	case len(docs) == 0:
	case len(docs) > 1:
		d.fault("", docs[1].Body, "", "a second YAML document begins here; a configuration is one document")
	default:
		d.value("", docs[0].Body, v)
	}
}

// fromLibrary takes the message of the YAML library, without its excerpt of the file, and the place where it has one.
func (f *Fault) fromLibrary(err error) {
	f.Problem = err.Error()
	var y yaml.Error
	if !errors.As(err, &y) {
		return
	}
	f.Problem = y.GetMessage()
	if t := y.GetToken(); t != nil && t.Position != nil {
		f.Line, f.Column = t.Position.Line, t.Position.Column
	}
}

// add takes over the faults of Validate, with their position. A value that could not be read has its fault already.
func (d *decoder) add(faults []Fault) {
	unread := map[string]bool{}
	for _, f := range d.faults {
		unread[f.Path] = true
	}
	for _, f := range faults {
		if f.File != "" {
			d.faults = append(d.faults, f)
			continue
		}
		seen := false
		for p := f.Path; ; p = parent(p) {
			seen = seen || unread[p]
			if pos := d.where[p]; pos != nil && f.Line == 0 {
				f.Line, f.Column = pos.Line, pos.Column
			}
			if p == "" {
				break
			}
		}
		if !seen {
			d.faults = append(d.faults, f)
		}
	}
}

// parent is the path without its last key or index.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
