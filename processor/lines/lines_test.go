package lines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// reading returns what a reader with the limit hands out of a text, in a form for comparison.
func reading(t *testing.T, in io.Reader, limit int) (got []string) {
	t.Helper()
	r := NewReader(in, limit)
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: %v", err)
			}
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %q %v", l.Number, l.Text, l.Cut))
	}
}

func TestLinesAreThoseThatAreNotBlank(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"\n\r\n \t\n", ""},
		{"a", `1 "a" false`},
		{"a\n", `1 "a" false`},
		{"a\r\n\r\nb \r\nc", `1 "a" false; 3 "b " false; 4 "c" false`},
		{"a\rb\n", `1 "a\rb" false`},
		{"12345678\n123456789\r\n1234567\r\n", `1 "12345678" false; 2 "12345678" true; 3 "1234567" false`},
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(c.text), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text))} {
			if got := strings.Join(reading(t, in, 8), "; "); got != c.want {
				t.Errorf("%q %s:\n got %s\nwant %s", c.text, name, got, c.want)
			}
		}
	}
}

// A line is what strings.Lines makes of it, cut at the limit, whether it is shorter or longer than the buffer, and wherever it ends.
func TestLinesOfAnyLengthAreReadWhole(t *testing.T) {
	const limit = 2*bufferBytes + 3
	chance := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	for _, n := range []int{1, bufferBytes - 2, bufferBytes - 1, bufferBytes, bufferBytes + 1, limit - 1, limit, limit + 1, limit + bufferBytes, 3, 5 * bufferBytes, 1} {
		for range n {
			text.WriteByte('a' + byte(chance.IntN(26)))
		}
		text.WriteString([]string{"\n", "\r\n"}[chance.IntN(2)])
	}
	var want []string
	number := 0
	for l := range strings.Lines(text.String()) {
		number++
		l = strings.TrimRight(l, "\r\n")
		want = append(want, fmt.Sprintf("%d %q %v", number, l[:min(len(l), limit)], len(l) > limit))
	}
	got := reading(t, &text, limit)
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("line %d: %d bytes, want %d", i+1, len(got[i]), len(want[i]))
		}
	}
}

func TestOfALineThatIsTooLongItsBeginningIsKept(t *testing.T) {
	const limit = 4 * bufferBytes
	r := NewReader(strings.NewReader(strings.Repeat("x", 40*bufferBytes)+"\ny"), limit)
	if l, err := r.Next(); err != nil || !l.Cut || len(l.Text) != limit {
		t.Fatal(l.Number, len(l.Text), l.Cut, err)
	}
	if cap(r.long) > 3*limit {
		t.Errorf("%d bytes are held", cap(r.long))
	}
	if l, err := r.Next(); err != nil || string(l.Text) != "y" || l.Number != 2 {
		t.Error(l, err)
	}
}

func TestAnErrorNamesTheLineItCameIn(t *testing.T) {
	broken := errors.New("the disk is gone")
	r := NewReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 8)
	if l, err := r.Next(); err != nil || string(l.Text) != "a" {
		t.Fatal(l, err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) || err.Error() != "read line 2 of the input: the disk is gone" {
		t.Error(err)
	}
}
