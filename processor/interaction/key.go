package interaction

import (
	"fmt"
	"strings"
)

// Sep joins the parts of an identifier in its byte form. It is a control character and no part may contain one.
const Sep = 0x1F

// Key names an identifier: realm, namespace, domain and normalised value.
type Key struct {
	Realm, Namespace, Domain, Value string
}

// AppendBytes appends the byte form, realm 0x1F namespace 0x1F domain 0x1F value: what is hashed, sorted and stored.
func (k Key) AppendBytes(b []byte) []byte {
	b = append(b, k.Realm...)
	b = append(b, Sep)
	b = append(b, k.Namespace...)
	b = append(b, Sep)
	b = append(b, k.Domain...)
	b = append(b, Sep)
	return append(b, k.Value...)
}

// ParseKeyBytes is the inverse of AppendBytes.
func ParseKeyBytes(b []byte) (Key, error) {
	parts := strings.SplitN(string(b), string(rune(Sep)), 4)
	if len(parts) != 4 {
		return Key{}, fmt.Errorf("identifier in byte form has %d parts, want 4", len(parts))
	}
	return Key{parts[0], parts[1], parts[2], parts[3]}, nil
}

// String is the text form: the parts percent-encoded and joined by |. It is the key of the identity-map topic.
func (k Key) String() string {
	b := make([]byte, 0, len(k.Realm)+len(k.Namespace)+len(k.Domain)+len(k.Value)+3)
	b = AppendEscaped(b, k.Realm)
	b = append(b, '|')
	b = AppendEscaped(b, k.Namespace)
	b = append(b, '|')
	b = AppendEscaped(b, k.Domain)
	b = append(b, '|')
	return string(AppendEscaped(b, k.Value))
}

// ParseKey is the inverse of String.
func ParseKey(s string) (Key, error) {
	parts := strings.Split(s, "|")
	if len(parts) != 4 {
		return Key{}, fmt.Errorf("identifier key %q has %d parts, want realm|namespace|domain|value", s, len(parts))
	}
	for i, p := range parts {
		u, err := unescape(p)
		if err != nil {
			return Key{}, fmt.Errorf("identifier key %q: %w", s, err)
		}
		parts[i] = u
	}
	return Key{parts[0], parts[1], parts[2], parts[3]}, nil
}

// IsZero reports whether k names nothing.
func (k Key) IsZero() bool { return k == Key{} }

const hexDigits = "0123456789ABCDEF"

// AppendEscaped appends s with %, | and control characters percent-encoded (UTF-8, upper-case hex).
func AppendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' || c == '|' || c < 0x20 || c == 0x7F:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		case c == 0xC2 && i+1 < len(s) && s[i+1] < 0xA0: // U+0080 to U+009F
			b = append(b, '%', 'C', '2', '%', hexDigits[s[i+1]>>4], hexDigits[s[i+1]&15])
			i++
		default:
			b = append(b, c)
		}
	}
	return b
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("truncated escape %q", s[i:])
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("bad escape %q", s[i:i+3])
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), nil
}

// RecordKey is the key of a keyed record: StoreCode|UserId, each percent-encoded.
func RecordKey(storeCode, userID string) []byte {
	b := make([]byte, 0, len(storeCode)+len(userID)+1)
	b = AppendEscaped(b, storeCode)
	b = append(b, '|')
	return AppendEscaped(b, userID)
}

// CustomerID names a customer: "c" and 25 characters of lower-case base32. The zero value is nobody.
type CustomerID string

// CustomerIDLen is the length of every customer id in bytes.
const CustomerIDLen = 26

// IsZero reports whether the id names nobody.
func (c CustomerID) IsZero() bool { return c == "" }

func (c CustomerID) String() string { return string(c) }

// ParseCustomerID checks the form of a customer id.
func ParseCustomerID(s string) (CustomerID, error) {
	if len(s) != CustomerIDLen || s[0] != 'c' {
		return "", fmt.Errorf("customer id %q: want c and %d characters of lower-case base32", s, CustomerIDLen-1)
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return "", fmt.Errorf("customer id %q: %q is not lower-case base32", s, c)
		}
	}
	return CustomerID(s), nil
}

// PointerKey is the identity-map key of an ended customer id.
func PointerKey(realm string, id CustomerID) Key {
	return Key{Realm: realm, Namespace: "customer", Value: string(id)}
}
