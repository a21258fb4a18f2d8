package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxReferencedFile is the greatest size, in bytes, of a file that a value refers to.
const maxReferencedFile = 64 << 10

// references replaces ${NAME} and ${file:PATH} in values.
type references struct {
	dir string // where relative paths begin
	env func(string) (string, bool)
}

// expanded is a value after its references were replaced.
type expanded struct {
	text string
	// referenced: at least one reference was replaced. literal: there was text outside of references.
	referenced, literal bool
}

// expand replaces the references of one value. What they bring is text: it is not looked at for YAML or for more references.
func (r *references) expand(s string) (expanded, error) {
	var out expanded
	var b strings.Builder
	var problems []string
	for s != "" {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		if i > 0 && s[i-1] == '$' { // $${ is a plain ${
			b.WriteString(s[:i-1] + "${")
			s, out.literal = s[i+2:], true
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return out, errors.New("a reference begins with ${ and has no }; a plain ${ is written $${")
		}
		if i > 0 {
			b.WriteString(s[:i])
			out.literal = true
		}
		text, err := r.lookup(s[i+2 : i+end])
		if err != nil {
			problems = append(problems, err.Error())
		}
		b.WriteString(text)
		out.referenced = true
		s = s[i+end+1:]
	}
	if s != "" {
		b.WriteString(s)
		out.literal = true
	}
	out.text = b.String()
	if len(problems) > 0 {
		return out, errors.New(strings.Join(problems, ", and "))
	}
	return out, nil
}

func (r *references) lookup(name string) (string, error) {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		return r.read(path)
	}
	if !isEnvName(name) {
		return "", fmt.Errorf("${%s} is no reference: ${NAME} is an environment variable, ${file:PATH} the content of a file", name)
	}
	text, ok := r.env(name)
	if !ok {
		return "", fmt.Errorf("environment variable %s is not set", name)
	}
	return text, nil
}

func (r *references) read(path string) (string, error) {
	if path == "" {
		return "", errors.New("${file:} names no file")
	}
	path = r.path(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("file %s does not exist", path)
	case err != nil:
		return "", fmt.Errorf("look at the file that the value refers to: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxReferencedFile:
		return "", fmt.Errorf("file %s has %d bytes, more than the %d that a value may have", path, info.Size(), maxReferencedFile)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the file that the value refers to: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

// path makes a path of the file absolute or relative to the working directory.
func (r *references) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}

func isEnvName(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c == '_', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		case i > 0 && c >= '0' && c <= '9':
		default:
			return false
		}
	}
	return s != ""
}
