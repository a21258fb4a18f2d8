package schemas

import (
	"math/big"
	"strconv"
	"time"

	"kinfold/processor/source"
)

// maxPlainScale is how many digits behind the point are written out. A decimal of more has an exponent: its zeros would cost
// more than its bytes are worth.
const maxPlainScale = 40

// decimal is a two's complement, big-endian, divided by ten to the power of scale.
func (w *treeWalker) decimal(b string, scale int) string {
	if w.err != nil {
		return ""
	}
	if len(b) == 0 || len(b) > maxDecimalBytes {
		w.fail(errDecimal)
		return ""
	}
	negative := b[0] >= 0x80
	var room [64]byte
	digits := room[:0]
	if len(b) <= 8 {
		v := uint64(int64(int8(b[0]) >> 7))
		for i := range len(b) {
			v = v<<8 | uint64(b[i])
		}
		if negative {
			v = -v
		}
		digits = strconv.AppendUint(digits, v, 10)
	} else {
		v := new(big.Int).SetBytes([]byte(b))
		if negative {
			v.Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))), v)
		}
		digits = v.Append(digits, 10)
	}
	start := w.made.Len()
	w.pointed(digits, negative, scale)
	return w.made.String()[start:]
}

// pointed writes digits with the point in its place.
func (w *treeWalker) pointed(digits []byte, negative bool, scale int) {
	if negative {
		w.made.WriteByte('-')
	}
	switch {
	case scale < 0 || scale > maxPlainScale:
		w.made.Write(digits)
		w.made.WriteByte('e')
		var b [8]byte
		w.made.Write(strconv.AppendInt(b[:0], -int64(scale), 10))
	case scale == 0:
		w.made.Write(digits)
	case len(digits) > scale:
		w.made.Write(digits[:len(digits)-scale])
		w.made.WriteByte('.')
		w.made.Write(digits[len(digits)-scale:])
	default:
		w.made.WriteString("0.")
		for range scale - len(digits) {
			w.made.WriteByte('0')
		}
		w.made.Write(digits)
	}
}

// bigDecimal is a decimal that brings its scale with it: a two's complement as bytes, then the scale as an int.
func (w *treeWalker) bigDecimal(b string) string {
	if w.err != nil {
		return ""
	}
	inner := cursor{in: b}
	unscaled, scale := inner.bytes(), int(inner.int())
	switch {
	case inner.err != nil || inner.pos < len(b):
		w.fail(errDecimal)
		return ""
	case scale < -maxDigits || scale > maxDigits:
		w.fail(errScale)
		return ""
	}
	return w.decimal(unscaled, scale)
}

// Seconds since 1970 at which the years begin and end that have four digits.
const (
	firstSecond = -62_167_219_200
	lastSecond  = 253_402_300_799
)

const daySeconds = 86_400

// time reads a date, a time of the day, a moment or a duration.
func (w *treeWalker) time(s *shape) (source.NodeKind, string) {
	var b [64]byte
	var text []byte
	var number int64
	switch s.kind {
	case shapeDate:
		number = int64(w.int())
		if t := number * daySeconds; firstSecond <= t && t <= lastSecond {
			text = time.Unix(t, 0).UTC().AppendFormat(b[:0], time.DateOnly)
		}
	case shapeTimeMillis:
		number = int64(w.int())
		text = clock(b[:0], number, time.Millisecond)
	case shapeTimeMicros:
		number = w.long()
		text = clock(b[:0], number, time.Microsecond)
	case shapeDuration:
		text = w.duration(b[:0])
	default:
		number = w.long()
		seconds := floor(number, s.unit)
		if firstSecond <= seconds && seconds <= lastSecond {
			t := time.Unix(seconds, (number-seconds*s.unit)*(1_000_000_000/s.unit)).UTC()
			text = t.AppendFormat(b[:0], time.RFC3339Nano)
			if s.kind == shapeLocalMoment {
				text = text[:len(text)-len("Z")]
			}
		}
	}
	if text == nil {
		return source.NumberNode, w.whole(number)
	}
	return source.TextNode, w.keep(text)
}

// clock appends a time of the day; nil: a day has no such time.
func clock(b []byte, n int64, unit time.Duration) []byte {
	if n < 0 || n >= int64(24*time.Hour/unit) {
		return nil
	}
	return time.Unix(0, n*int64(unit)).UTC().AppendFormat(b, "15:04:05.999999999")
}

// duration appends months, days and milliseconds, which Avro keeps apart: no month has a fixed number of days.
func (w *treeWalker) duration(b []byte) []byte {
	months, days, millis := w.little(4), w.little(4), w.little(4)
	b = strconv.AppendUint(append(b, 'P'), months, 10)
	b = strconv.AppendUint(append(b, 'M'), days, 10)
	b = strconv.AppendUint(append(b, "DT"...), millis/1_000, 10)
	if rest := millis % 1_000; rest > 0 {
		b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return append(b, 'S')
}
