// Package lines reads a file line by line, whatever the length of its lines, and holds one of them in memory.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Line is one line that is not blank.
type Line struct {
	Number int    // from 1; blank lines count
	Text   []byte // without its end, \n or \r\n; valid until the next call of Next
	Cut    bool   // it is longer than the reader's limit, and Text holds its beginning
}

// Reader hands out the lines of a file that are not blank.
type Reader struct {
	r      *bufio.Reader
	limit  int // bytes
	number int
	long   []byte
	end    bool
}

// bufferBytes is what is read at a time, and the length up to which a line is not copied.
const bufferBytes = 1 << 18

// NewReader returns a reader of r that cuts lines to limit bytes.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, bufferBytes), limit: limit}
}

// Idle reports that the next line may have to be waited for.
func (r *Reader) Idle() bool { return r.r.Buffered() == 0 }

// Next returns the next line, and io.EOF behind the last. Other errors are those of the file, with the number of the line.
func (r *Reader) Next() (Line, error) {
	for !r.end {
		text, err := r.line()
		switch {
		case errors.Is(err, io.EOF):
			r.end = true
		case err != nil:
			return Line{}, fmt.Errorf("read line %d of the input: %w", r.number, err)
		}
		if text = bytes.TrimRight(text, "\r\n"); len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		l := Line{Number: r.number, Text: text}
		if len(text) > r.limit {
			l.Text, l.Cut = text[:r.limit], true
		}
		return l, nil
	}
	return Line{}, io.EOF
}

// line reads a line with its end. What is far beyond the limit is read and left out.
func (r *Reader) line() ([]byte, error) {
	r.number++
	line, err := r.r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	r.long = append(r.long[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if line, err = r.r.ReadSlice('\n'); len(r.long) <= r.limit+len("\r\n") {
			r.long = append(r.long, line...)
		}
	}
	return r.long, err
}
