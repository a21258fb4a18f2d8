package demo

import (
	"fmt"
	"strings"
	"time"

	"kinfold/processor/page"
)

// Progress is how far the work has come.
type Progress struct {
	In, Out int64 // records taken in, and unified events read back
	Total   int64 // of In; 0: not known
	Elapsed time.Duration
}

// barWidth is the width of the bar in columns.
const barWidth = 24

// Line formats the progress: for a terminal a line that takes the place of the one before it, for a pipe a line of its own.
func (p Progress) Line(terminal bool) string {
	text := count(p.In) + " in, " + count(p.Out) + " out"
	if p.Total > 0 {
		text = fmt.Sprintf("%s of %s in, %s out", count(p.In), count(p.Total), count(p.Out))
	}
	if seconds := p.Elapsed.Seconds(); seconds > 0 {
		text += fmt.Sprintf(", %s a second", count(int64(float64(p.In)/seconds)))
	}
	if !terminal {
		return text + "\n"
	}
	bar := ""
	if p.Total > 0 {
		full := int(min(p.In, p.Total) * barWidth / p.Total)
		bar = strings.Repeat("━", full) + strings.Repeat("·", barWidth-full) + "  "
	}
	// Return to the first column and clear the line: the next one may be shorter.
	return "\r\x1b[K  " + page.Clip(bar+text, page.Columns-2)
}
