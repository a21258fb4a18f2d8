package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptPatience bounds every script: a program that does not end fails its test instead of hanging it. Nothing depends on its length.
const scriptPatience = 3 * time.Minute

// rewrite writes the transcripts that a script compares with anew.
var rewrite = flag.Bool("rewrite", false, "write what scripts compare with anew")

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"kinfold": main}) }

// TestScripts runs the command lines that users type, as they type them. Beside testscript's own commands a script has those below,
// and in $CLOSED the address of a port at which nothing listens.
func TestScripts(t *testing.T) {
	closed := closedPort(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(scriptPatience),
		UpdateScripts:       *rewrite,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CLOSED", closed)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status":    statusOf,
			"await":     await,
			"terminate": terminate,
			"crlf":      crlf,
			"long":      long,
			"settle":    settle,
		},
	})
}

// closedPort takes a port of this machine without listening at it: connections are refused, and nobody else can get the port meanwhile.
func closedPort(t *testing.T) string {
	t.Helper()
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open a socket: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(s) })
	if err := syscall.Bind(s, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("take a port: %v", err)
	}
	name, err := syscall.Getsockname(s)
	if err != nil {
		t.Fatalf("name of the port: %v", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// statusOf is `status N PROGRAM [ARG...]`: exec that must end with exit status N.
func statusOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
}

// await is `await PATTERN FILE`: waits until the file, which a background command writes, matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await pattern file")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	file := ts.MkAbs(args[1])
	for deadline := time.Now().Add(scriptPatience / 2); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err == nil && pattern.Match(text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not match %q: %v\n%s", args[1], args[0], err, text)
		}
	}
}

// terminate sends SIGTERM, which testscript's kill does not know, to all background commands.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: terminate")
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

// long is `long FROM TO N`: copies a file, with a line of N bytes at its end.
func long(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: long from to bytes")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(ts.ReadFile(args[0])+strings.Repeat("x", n)+"\n"), 0o600))
}

// crlf is `crlf FROM TO`: copies a file with the line endings of Windows.
func crlf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: crlf from to")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\r\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}
