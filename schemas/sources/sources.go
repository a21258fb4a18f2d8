// Package sources holds the mappings of sources that retailers have, one YAML file each, in the language of package mapping.
// README.md says what each makes of its source, and what to watch.
package sources

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names lists the mappings in the order of the alphabet.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(fmt.Sprintf("sources: the embedded files cannot be listed: %v", err)) // only a broken build does that
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// Read returns the text of a mapping. The error names those that there are.
func Read(name string) ([]byte, error) {
	text, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no mapping %q; known: %s", name, strings.Join(Names(), ", "))
	}
	return text, nil
}
