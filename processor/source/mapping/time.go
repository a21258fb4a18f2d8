package mapping

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on the machine
)

// Times outside are invalid: a wrong unit must never become the earliest first_seen of a customer. Epoch milliseconds.
const (
	earliestTime = 788_918_400_000   // 1995-01-01T00:00:00Z
	latestTime   = 4_102_444_800_000 // 2100-01-01T00:00:00Z, itself too late
)

const (
	dayMillis = 86_400_000
	// maxTimeChars is the length of a text that can be a time.
	maxTimeChars = 64
)

// timeKind says how a time is spelled.
type timeKind uint8

const (
	timeISO timeKind = iota
	timeUnix
	timeLayout
)

// timeFormat reads one spelling of a time.
type timeFormat struct {
	kind     timeKind
	unit     int64 // of timeUnix: milliseconds in one, negative: so many make a millisecond
	layout   []layoutOp
	location *time.Location // for texts without offset; nil: such texts are invalid
}

// layoutOp reads one part of a layout.
type layoutOp struct {
	field byte // y M d H m s S; 0: literal
	width int
	text  string
}

const knownTimes = "iso, unix_s, unix_ms, unix_us, unix_days, or a layout of yyyy MM dd HH mm ss SSS"

// parseTimeFormat reads the word time.
func parseTimeFormat(s string) (*timeFormat, error) {
	switch s {
	case "iso":
		return &timeFormat{kind: timeISO}, nil
	case "unix_s":
		return &timeFormat{kind: timeUnix, unit: 1_000}, nil
	case "unix_ms":
		return &timeFormat{kind: timeUnix, unit: 1}, nil
	case "unix_us":
		return &timeFormat{kind: timeUnix, unit: -1_000}, nil
	case "unix_days":
		return &timeFormat{kind: timeUnix, unit: dayMillis}, nil
	}
	ops, err := parseLayout(s)
	return &timeFormat{kind: timeLayout, layout: ops}, err
}

var layoutFields = []string{"yyyy", "SSS", "MM", "dd", "HH", "mm", "ss"}

func parseLayout(s string) (ops []layoutOp, err error) {
	seen := ""
next:
	for s != "" {
		for _, f := range layoutFields {
			if !strings.HasPrefix(s, f) {
				continue
			}
			if strings.Contains(seen, f) {
				return nil, fmt.Errorf("%s comes twice in the layout", f)
			}
			seen += f + " "
			ops = append(ops, layoutOp{field: f[0], width: len(f)})
			s = s[len(f):]
			continue next
		}
		if c := s[0]; c != 'T' && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') || '0' <= c && c <= '9' {
			return nil, fmt.Errorf("unknown time at %q; known: %s", s, knownTimes)
		}
		ops = append(ops, layoutOp{text: s[:1]})
		s = s[1:]
	}
	for _, f := range []string{"yyyy", "MM", "dd"} {
		if !strings.Contains(seen, f) {
			return nil, fmt.Errorf("the layout has no %s; known: %s", f, knownTimes)
		}
	}
	return ops, nil
}

// loadZone reads the word zone: an IANA name, never the zone of the machine.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, errors.New("not the name of a time zone such as America/Argentina/Buenos_Aires")
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("unknown zone %q; want an IANA name such as America/Argentina/Buenos_Aires", name)
	}
	return location, nil
}

// parse reads a time in epoch milliseconds; finer digits are cut. False: it cannot be read, or lies outside of what is credible.
func (f *timeFormat) parse(s string) (ms int64, ok bool) {
	if len(s) > maxTimeChars {
		return 0, false
	}
	switch f.kind {
	case timeUnix:
		ms, ok = f.parseUnix(s)
	case timeISO:
		ms, ok = f.parseISO(s)
	default:
		ms, ok = f.parseLayout(s)
	}
	return ms, ok && earliestTime <= ms && ms < latestTime
}

// parseUnix reads a decimal number of units since 1970. Before 1970 is out of range anyway, so no sign is read.
func (f *timeFormat) parseUnix(s string) (int64, bool) {
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || len(whole) > 18 || !allDigits(whole) || !allDigits(fraction) || point && fraction == "" {
		return 0, false
	}
	v := atoi(whole)
	if f.unit < 0 {
		return v / -f.unit, true
	}
	if v > latestTime/f.unit {
		return 0, false
	}
	fraction = fraction[:min(len(fraction), 9)]
	return v*f.unit + atoi(fraction)*f.unit/pow10(len(fraction)), true
}

// civil is a time as a calendar and a clock show it.
type civil struct {
	year, month, day, hour, minute, second, millis int
}

func (c *civil) valid() bool {
	return 1 <= c.month && c.month <= 12 && 1 <= c.day && c.day <= daysIn(c.year, c.month) && c.hour <= 23 && c.minute <= 59 && c.second <= 59
}

func daysIn(year, month int) int {
	if month == 2 && (year%4 == 0 && year%100 != 0 || year%400 == 0) {
		return 29
	}
	return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// utc is the time in epoch milliseconds, read as UTC.
func (c *civil) utc() int64 {
	// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March.
	y, m := int64(c.year), int64(c.month)
	if m <= 2 {
		y--
		m += 12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + int64(c.day) - 1 - 719_468
	return ((days*24+int64(c.hour))*60+int64(c.minute))*60_000 + int64(c.second)*1_000 + int64(c.millis)
}

// digitsAt reads n digits at s[at]. False: they are not there.
func digitsAt(s string, at, n int) (v int, ok bool) {
	if at+n > len(s) {
		return 0, false
	}
	for i := at; i < at+n; i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = v*10 + int(s[i]-'0')
	}
	return v, true
}

// parseISO reads yyyy-MM-dd, and with T or a space HH:mm[:ss[.digits]] and nothing, Z, UTC or an offset.
func (f *timeFormat) parseISO(s string) (int64, bool) {
	var c civil
	var ok1, ok2, ok3 bool
	c.year, ok1 = digitsAt(s, 0, 4)
	c.month, ok2 = digitsAt(s, 5, 2)
	c.day, ok3 = digitsAt(s, 8, 2)
	if !ok1 || !ok2 || !ok3 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	rest := s[10:]
	if rest != "" {
		if rest[0] != 'T' && rest[0] != ' ' {
			return 0, false
		}
		var ok bool
		if rest, ok = c.clock(rest[1:]); !ok {
			return 0, false
		}
	}
	if !c.valid() {
		return 0, false
	}
	if rest == "" {
		return f.local(&c)
	}
	offset, ok := parseOffset(rest)
	return c.utc() - offset*60_000, ok
}

// clock reads HH:mm[:ss[.digits]] and returns what follows.
func (c *civil) clock(s string) (rest string, ok bool) {
	var ok1, ok2 bool
	c.hour, ok1 = digitsAt(s, 0, 2)
	c.minute, ok2 = digitsAt(s, 3, 2)
	if !ok1 || !ok2 || s[2] != ':' {
		return "", false
	}
	s = s[5:]
	if s == "" || s[0] != ':' {
		return s, true
	}
	if c.second, ok = digitsAt(s, 1, 2); !ok {
		return "", false
	}
	s = s[3:]
	if s == "" || s[0] != '.' {
		return s, true
	}
	n := 1
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	kept := s[1:min(n, 4)]
	c.millis = int(atoi(kept) * pow10(3-len(kept)))
	return s[n:], n > 1
}

// parseOffset reads Z, UTC, ±hh, ±hhmm or ±hh:mm as minutes east of UTC.
func parseOffset(s string) (minutes int64, ok bool) {
	if s == "Z" || s == " UTC" {
		return 0, true
	}
	if s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	h, ok := digitsAt(s, 1, 2)
	m := 0
	switch {
	case !ok:
		return 0, false
	case len(s) == 3:
	case len(s) == 5:
		m, ok = digitsAt(s, 3, 2)
	case len(s) == 6 && s[3] == ':':
		m, ok = digitsAt(s, 4, 2)
	default:
		return 0, false
	}
	if !ok || h > 23 || m > 59 {
		return 0, false
	}
	minutes = int64(h*60 + m)
	if s[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

func (f *timeFormat) parseLayout(s string) (int64, bool) {
	var c civil
	for _, op := range f.layout {
		if op.field == 0 {
			if !strings.HasPrefix(s, op.text) {
				return 0, false
			}
			s = s[len(op.text):]
			continue
		}
		v, ok := digitsAt(s, 0, op.width)
		if !ok {
			return 0, false
		}
		s = s[op.width:]
		switch op.field {
		case 'y':
			c.year = v
		case 'M':
			c.month = v
		case 'd':
			c.day = v
		case 'H':
			c.hour = v
		case 'm':
			c.minute = v
		case 's':
			c.second = v
		case 'S':
			c.millis = v
		}
	}
	if s != "" || !c.valid() {
		return 0, false
	}
	return f.local(&c)
}

// local reads a time of the zone. One that a change of the clock skips is read with the offset before it; of one that occurs
// twice the first counts. The offsets in question are those a day before and a day after, since no zone changes twice in two days.
func (f *timeFormat) local(c *civil) (int64, bool) {
	if f.location == nil {
		return 0, false
	}
	utc := c.utc()
	before, after := f.offset(utc-dayMillis), f.offset(utc+dayMillis)
	first, second := utc-max(before, after), utc-min(before, after)
	switch {
	case f.offset(first) == utc-first:
		return first, true
	case f.offset(second) == utc-second:
		return second, true
	}
	return utc - before, true
}

// offset is that of the zone at a moment, in milliseconds east of UTC.
func (f *timeFormat) offset(ms int64) int64 {
	_, seconds := time.UnixMilli(ms).In(f.location).Zone()
	return int64(seconds) * 1_000
}
