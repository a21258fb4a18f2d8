package try

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// read takes all lines and describes each record or what is wrong.
func read(t *testing.T, l *Lines) (out []string) {
	t.Helper()
	for {
		rec, err := l.Next()
		var broken *BrokenLine
		switch {
		case err == io.EOF:
			return out
		case errors.As(err, &broken):
			out = append(out, broken.Error())
		case err != nil:
			t.Fatal(err)
		default:
			value := "null"
			if rec.Value != nil {
				value = fmt.Sprintf("%q", rec.Value)
			}
			out = append(out, fmt.Sprintf("%s: %s %q %v %d %s", rec.Place, rec.Topic, rec.Key, rec.Headers, rec.Timestamp, value))
		}
	}
}

func TestLinesOfRecords(t *testing.T) {
	const want = `; want {"topic": "…", "key": "…", "headers": {}, "timestamp": 1772445600000, "value_text": "…"}`
	for _, c := range []struct{ line, want string }{
		{`{"topic":"t","key":"k","headers":{"B":"2","A":"1","b":"3"},"timestamp":5,"value_text":"v"}`, `line 1: t "k" [{B [50]} {A [49]} {b [51]}] 5 "v"`},
		{`{"topic":"t","key":null,"headers":null,"value_text":null}`, `line 1: t "" [] 0 null`},
		{`{"value_text":""}`, `line 1:  "" [] 0 ""`},
		{`{"value_base64":""}`, `line 1:  "" [] 0 ""`},
		{`{"value_base64":"AP8="}`, `line 1:  "" [] 0 "\x00\xff"`},
		{`{"value_base64":null}`, `line 1:  "" [] 0 null`},
		{"\uFEFF" + `{"value_text":"v"}`, `line 1:  "" [] 0 "v"`},
		{`{"value_base64":"%"}`, `line 1 is no record: value_base64 is no Base64`},
		{`{"value_base64":"AA==","value_text":"x"}`, `line 1 is no record: it has both value_text and value_base64`},
		{`{"value_text":{"type":"track"}}`, `line 1 is no record: value_text is no text: write the value as a JSON string`},
		{`{"type":"track"}`, `line 1 is no record: it has no value_text and no value_base64` + want},
		{`{"key":5,"value_text":"v"}`, `line 1 is no record: the member key is of another type` + want},
		{`{"headers":{"a":["b"]},"value_text":"v"}`, `line 1 is no record: headers has to be an object of texts`},
		{`{"headers":{"a":1},"value_text":"v"}`, `line 1 is no record: headers has to be an object of texts`},
		{`{"headers":[],"value_text":"v"}`, `line 1 is no record: headers has to be an object of texts`},
		{`"v"`, `line 1 is no record: it is no JSON object` + want},
		{`{"value_text":"v"`, `line 1 is no record: no valid JSON at byte 17` + want},
		{`{"value_text":"v"} x`, `line 1 is no record: no valid JSON at byte 20` + want},
		{"{\"value_text\":\"\xff\"}", `line 1 is no record: it is not UTF-8; a value of other bytes goes into value_base64`},
	} {
		if got := read(t, NewLines(strings.NewReader(c.line))); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.line, got, c.want)
		}
	}
}

func TestBrokenAndEmptyLinesDoNotEndTheInput(t *testing.T) {
	got := read(t, NewLines(strings.NewReader("\n{\"value_text\":\"a\"}\r\n \n{\n{\"value_text\":\"b\"}")))
	if len(got) != 3 || !strings.HasPrefix(got[0], "line 2: ") || !strings.HasPrefix(got[1], "line 4 is no record") || !strings.HasPrefix(got[2], "line 5: ") {
		t.Errorf("got %q", got)
	}
}

// endless is a line that does not end before n bytes.
func endless(n int) io.Reader {
	return io.MultiReader(strings.NewReader(`{"value_text":"`), io.LimitReader(xs{}, int64(n)), strings.NewReader("\"}\n{\"value_text\":\"b\"}\n"))
}

type xs struct{}

func (xs) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{'x'}, len(p)))
	return len(p), nil
}

func TestALineThatIsTooLongIsPassedOver(t *testing.T) {
	l := NewLines(endless(maxLine))
	got := read(t, l)
	if len(got) != 2 || got[0] != fmt.Sprintf("line 1 is no record: it is longer than %d bytes", maxLine) || !strings.HasPrefix(got[1], "line 2: ") {
		t.Errorf("got %q", got)
	}
}

func TestAnErrorOfTheInputIsNoBrokenLine(t *testing.T) {
	_, err := NewLines(io.MultiReader(strings.NewReader("{"), failing{})).Next()
	var broken *BrokenLine
	if err == nil || errors.As(err, &broken) || !strings.Contains(err.Error(), "read line 1 of the input: no more") {
		t.Errorf("got %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no more") }
