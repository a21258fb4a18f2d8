package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size. It is written as 64MiB, or as a plain number of bytes.
type Bytes int64

// The units of a size.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

var byteUnits = []struct {
	name string
	size Bytes
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalYAML writes the size with the greatest unit that divides it.
func (b Bytes) MarshalYAML() (any, error) { return b.String(), nil }

const wantBytes = "a size such as 64MiB (KiB, MiB, GiB, TiB) or a number of bytes"

// ParseBytes is the inverse of Bytes.String.
func ParseBytes(s string) (Bytes, error) {
	unit := Bytes(1)
	digits := s
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimRight(rest, " "), u.size
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not %s", s, wantBytes)
	}
	if Bytes(n) > (1<<63-1)/unit {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return Bytes(n) * unit, nil
}

const (
	day = 24 * time.Hour
	// maxDays is the longest span, in days, that a duration can hold.
	maxDays = int64(1<<63-1) / int64(day)
)

const wantDuration = "a duration such as 100ms, 15s, 1h30m or 14d"

// ParseDuration reads a Go duration, with whole days in front of it where there are any: 14d, 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	var days time.Duration
	rest := s
	if number, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || int64(n) >= maxDays {
			return 0, fmt.Errorf("%q is not %s", s, wantDuration)
		}
		days, rest = time.Duration(n)*day, after
		if rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || days > 0 && (d < 0 || rest[0] == '+') {
		return 0, fmt.Errorf("%q is not %s", s, wantDuration)
	}
	return days + d, nil
}

// FormatDuration writes d so that ParseDuration reads it back, without the parts that are zero: 336h, 1h30m, 100ms.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
