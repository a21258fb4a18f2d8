package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// TestDemoStopsWheneverItIsAsked interrupts the demo before and while it starts: that is no failure.
func TestDemoStopsWheneverItIsAsked(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond, 150 * time.Millisecond} {
		ctx, cancel := context.WithCancel(t.Context())
		if after == 0 {
			cancel()
		}
		timer := time.AfterFunc(after, cancel)
		var out bytes.Buffer
		cmd := root()
		cmd.SetArgs([]string{"demo", "--size", "500", "--pace", "1h"})
		cmd.SetOut(&out)
		err := cmd.ExecuteContext(ctx)
		timer.Stop()
		cancel()
		if err != nil || !strings.HasSuffix(out.String(), "\nStopped before the end.\n") {
			t.Errorf("stopped after %s: error %v, and it says\n%s", after, err, out.String())
		}
	}
}
