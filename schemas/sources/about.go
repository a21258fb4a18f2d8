package sources

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed README.md
var readme string

// About is what people should know of a mapping. It comes from README.md and from the comment at the head of its file.
type About struct {
	Name       string
	System     string // the first words of the comment, up to a colon, a comma or a full stop
	Head       string // the whole comment, as one paragraph
	Record     string // in what form its records come
	Duplicates string // by what a repeated record is known
	Customer   string // which of its fields name the customer
	Own        string // what each user has to put in place of the preset's; empty: nothing
	Watch      string // what goes wrong with this source
}

// Describe returns what README.md and the file say of a mapping. The error names those that there are.
func Describe(name string) (About, error) {
	text, err := Read(name)
	if err != nil {
		return About{}, err
	}
	a := About{Name: name, Head: head(string(text))}
	a.System = a.Head
	for _, end := range []string{": ", ". ", ", "} {
		a.System, _, _ = strings.Cut(a.System, end)
	}
	a.System = strings.TrimSuffix(a.System, ".")
	for line := range strings.Lines(readme) {
		if watch, ok := strings.CutPrefix(line, "- **"+name+"**: "); ok {
			a.Watch = strings.TrimSpace(watch)
		}
		if !strings.HasPrefix(line, "| ["+name+"](") {
			continue
		}
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) == 7 {
			for i, to := range []*string{&a.Record, &a.Duplicates, &a.Customer, &a.Own} {
				*to = strings.TrimSpace(cells[i+2])
			}
		}
	}
	return a, nil
}

// head is the comment at the beginning of a file, without its marks.
func head(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(comment))
	}
	return strings.Join(words, " ")
}

// Example is a file that lays itself over a mapping: that of README.md, with another name in extends.
func Example(name string) string {
	_, text, _ := strings.Cut(readme, "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	_, text, _ = strings.Cut(text, "\n")
	return fmt.Sprintf("extends: %s\n%s", name, text)
}
