package interaction

import "testing"

func TestNamedIsWrittenAndRead(t *testing.T) {
	for text, want := range map[string]Named{
		"email:ana@correo.example": {"email", "", "ana@correo.example"},
		"user@AR-001:00417":        {"user", "AR-001", "00417"},
		"user@a%3Ab%25@c:x:y@z":    {"user", "a:b%@c", "x:y@z"},
	} {
		got, err := ParseNamed(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%+v is written %s, was read from %s", got, got, text)
		}
	}
	for _, text := range []string{"", "email", "email:", ":x", "@S:x", "user@%:x", "user@%zz:x"} {
		if got, err := ParseNamed(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}
