package schemas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Bounds of one record. They keep a hostile one from costing more than its bytes are worth; more is a reject invalid_field.
const (
	MaxIdentifiers = 1_000  // of an interaction, beside user_id
	MaxOrderLines  = 10_000 // of an order
	MaxMapEntries  = 10_000 // of traits, and of properties
)

var (
	errShort   = errors.New("the bytes end too early")
	errVarint  = errors.New("a number is longer than 64 bits")
	errLength  = errors.New("a length is negative")
	errBranch  = errors.New("a union or enum has no such branch")
	errBool    = errors.New("a boolean is neither 0 nor 1")
	errInt     = errors.New("an int is longer than 32 bits")
	errUTF8    = errors.New("a string is not UTF-8")
	errTooMany = errors.New("more entries than allowed")
	errAmount  = errors.New("an amount has no byte, or more than 18 digits")
)

// cursor reads Avro's binary encoding from a string, so that what it hands out needs no copy. The first error stays, with the
// field in which it occurred; after it, everything reads as zero.
type cursor struct {
	in    string
	pos   int
	field string
	err   error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = fmt.Errorf("field %s, byte %d: %w", c.field, c.pos, err)
	}
	c.pos = len(c.in)
}

func (c *cursor) long() int64 {
	var u uint64
	for shift := uint(0); ; shift += 7 {
		if c.pos >= len(c.in) {
			c.fail(errShort)
			return 0
		}
		b := c.in[c.pos]
		c.pos++
		if shift == 63 && b > 1 {
			c.fail(errVarint)
			return 0
		}
		u |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int64(u>>1) ^ -int64(u&1)
		}
	}
}

func (c *cursor) int() int32 {
	v := c.long()
	if int64(int32(v)) != v {
		c.fail(errInt)
		return 0
	}
	return int32(v)
}

// bytes is a length and as many bytes.
func (c *cursor) bytes() string {
	n := c.long()
	switch {
	case n < 0:
		c.fail(errLength)
		return ""
	case n > int64(len(c.in)-c.pos):
		c.fail(errShort)
		return ""
	}
	s := c.in[c.pos : c.pos+int(n)]
	c.pos += int(n)
	return s
}

func (c *cursor) text() string {
	s := c.bytes()
	if !utf8.ValidString(s) {
		c.fail(errUTF8)
		return ""
	}
	return s
}

func (c *cursor) fixed(n int) string {
	if n > len(c.in)-c.pos {
		c.fail(errShort)
		return ""
	}
	s := c.in[c.pos : c.pos+n]
	c.pos += n
	return s
}

func (c *cursor) boolean() bool {
	if c.pos >= len(c.in) {
		c.fail(errShort)
		return false
	}
	b := c.in[c.pos]
	c.pos++
	if b > 1 {
		c.fail(errBool)
	}
	return b == 1
}

// present reads the branch of a union of null and something.
func (c *cursor) present() bool {
	switch c.long() {
	case 0:
		return false
	case 1:
		return c.err == nil
	}
	c.fail(errBranch)
	return false
}

// blocks reads an array or a map: blocks of items, each block with their number and, where that is negative, its size in bytes.
func (c *cursor) blocks(limit int, item func()) {
	for seen := 0; c.err == nil; {
		n := c.long()
		if n == 0 {
			return
		}
		if n < 0 {
			if n = -n; n < 0 {
				c.fail(errLength)
				return
			}
			if c.long() < 0 {
				c.fail(errLength)
				return
			}
		}
		if n > int64(limit-seen) {
			c.fail(errTooMany)
			return
		}
		seen += int(n)
		for ; n > 0 && c.err == nil; n-- {
			item()
		}
	}
}

// walkPayload reads order, traits and properties for their form alone.
func (c *cursor) walkPayload() {
	c.field = "order"
	if c.present() {
		c.text()
		c.maybeText()
		c.maybeAmount()
		c.blocks(MaxOrderLines, func() {
			c.text()
			c.maybeText()
			c.maybeAmount()
			c.maybeAmount()
		})
	}
	c.field = "traits"
	c.walkMap()
	c.field = "properties"
	c.walkMap()
}

func (c *cursor) walkMap() {
	c.blocks(MaxMapEntries, func() {
		c.text()
		c.text()
	})
}

func (c *cursor) maybeText() {
	if c.present() {
		c.text()
	}
}

// maybeAmount reads a union of null and decimal(18,4). Consumers trust an amount to have a byte and to fit its precision.
func (c *cursor) maybeAmount() {
	if !c.present() {
		return
	}
	b := c.bytes()
	if c.err == nil && !isAmount(b) {
		c.fail(errAmount)
	}
}

// isAmount reports whether a two's complement has a byte, and at most amountPrecision digits.
func isAmount(b string) bool {
	if len(b) == 0 {
		return false
	}
	sign := int64(int8(b[0]) >> 7)
	for ; len(b) > 8; b = b[1:] {
		if b[0] != byte(sign) {
			return false
		}
	}
	v := sign
	for i := range len(b) {
		v = v<<8 | int64(b[i])
	}
	return v>>63 == sign && -amountLimit < v && v < amountLimit
}

func appendLong(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

func appendText[T ~string](b []byte, s T) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendMaybe appends a union of null and string.
func appendMaybe(b []byte, s string, present bool) []byte {
	if !present {
		return append(b, 0)
	}
	return appendText(append(b, 2), s)
}

func appendTexts[T ~string](b []byte, list []T) []byte {
	if len(list) > 0 {
		b = appendLong(b, int64(len(list)))
		for _, s := range list {
			b = appendText(b, s)
		}
	}
	return append(b, 0)
}
