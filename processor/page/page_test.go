package page

import "testing"

func TestWidthsOfAccentsWideAndForeignLetters(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"", 0}, {"abc", 3}, {"Núñez", 5}, {"Nu\u0301n\u0303ez", 5}, {"Conceição", 9}, {"山田", 4}, {"ﾔﾏﾀﾞ", 4}, {"한국", 4}, {"Ａ", 2},
		{"🙂", 2}, {"a\u200db", 2}, {"“…”", 3}, {"─┏", 2}, {"\u00ad", 0},
	} {
		if got := Width(c.text); got != c.want {
			t.Errorf("Width(%q) = %d, want %d", c.text, got, c.want)
		}
	}
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"Conceição", 9, "Conceição"}, {"Conceição", 8, "Conceiç…"}, {"山田太郎", 5, "山田…"}, {"山田太郎", 4, "山…"}, {"a\x1b[31mb", 9, "a[31mb"}, {"N\u0303andu\u0301", 5, "N\u0303andu\u0301"},
	} {
		if got := Clip(c.text, c.n); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
		if got := Width(Left(c.text, 12)); got != 12 {
			t.Errorf("Left(%q, 12) takes %d columns", c.text, got)
		}
	}
	for _, l := range Wrap("João levou uma luminária e 山田 levou outra, e um-nome-que-nao-cabe-em-lugar-nenhum", 20) {
		if Width(l) > 20 {
			t.Errorf("wrapped line takes %d columns: %s", Width(l), l)
		}
	}
}
