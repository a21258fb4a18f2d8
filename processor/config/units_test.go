package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurationsHaveDays(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"14d", 336 * time.Hour}, {"1d12h", 36 * time.Hour}, {"100ms", 100 * time.Millisecond}, {"1h30m", 90 * time.Minute}, {"0s", 0}, {"0d", 0}, {"-5s", -5 * time.Second},
	} {
		if got, err := ParseDuration(c.text); err != nil || got != c.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "d", "14", "1.5d", "-1d", "1d-1h", "1d+1h", "1d1d", "1h1d", "106751d24h", "9999999999d", "14 d", "P1D"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestDurationsRoundTrip(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{336 * time.Hour, "336h"}, {90 * time.Minute, "1h30m"}, {time.Hour + 5*time.Second, "1h0m5s"}, {10 * time.Minute, "10m"}, {0, "0s"}, {100 * time.Millisecond, "100ms"}, {20 * time.Second, "20s"},
	} {
		if got := FormatDuration(c.d); got != c.want {
			t.Errorf("FormatDuration(%v) = %q, want %q", c.d, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		if rapid.Bool().Draw(t, "round") {
			d = d.Truncate(time.Minute)
		}
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Fatalf("%v became %q, and that %v, %v", int64(d), FormatDuration(d), int64(got), err)
		}
	})
}

func TestSizesHaveUnits(t *testing.T) {
	for _, c := range []struct {
		text string
		want Bytes
	}{{"64MiB", 64 << 20}, {"64 MiB", 64 << 20}, {"1TiB", 1 << 40}, {"1048588", 1048588}, {"0", 0}, {"3KiB", 3072}} {
		if got, err := ParseBytes(c.text); err != nil || got != c.want {
			t.Errorf("ParseBytes(%q) = %v, %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "MiB", "64MB", "64mib", "-1", "1.5GiB", "9999999999TiB", "1e6"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%q) = %v, want an error", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := Bytes(rapid.Int64Min(0).Draw(t, "b"))
		if got, err := ParseBytes(b.String()); err != nil || got != b {
			t.Fatalf("%d became %q, and that %d, %v", int64(b), b, int64(got), err)
		}
	})
}
