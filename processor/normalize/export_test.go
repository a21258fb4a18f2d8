package normalize

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

// UnmarshalYAML lays what is given over the defaults.
func (r *Rules) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Rules
	*r = *DefaultRules()
	return unmarshal((*plain)(r))
}

// ParseRules reads the content of the `identity` section, YAML or JSON. Unknown and repeated keys are errors.
// It does not Validate.
func ParseRules(text []byte) (*Rules, error) {
	r := DefaultRules()
	d := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := d.Decode(r); err != nil {
		if errors.Is(err, io.EOF) { // nothing but comments
			return DefaultRules(), nil
		}
		// Without the excerpt of the text that the library adds: the id_key may stand in it.
		return nil, fmt.Errorf("read identity rules: %s", yaml.FormatError(err, false, false))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("read identity rules: more than one YAML document; put all rules into one")
	}
	return r, nil
}
