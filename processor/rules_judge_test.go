package processor_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/normalize"
)

func parseRules(t *testing.T, text string) *normalize.Rules {
	t.Helper()
	r, err := config.ReadRules("rules", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	if errs := r.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return r
}

// summary is a report in a few words: the cases that are not unchanged, what changed for identifiers, and directives.
func summary(d *processor.RulesDiff) string {
	var parts []string
	for _, c := range d.Customers {
		if c.Cases > 0 {
			parts = append(parts, fmt.Sprintf("%s %d→%d", c.Kind, c.CustomersBefore, c.CustomersAfter))
		}
	}
	for _, c := range d.Changed {
		parts = append(parts, fmt.Sprintf("%d %s %s", c.Count, c.Namespace, c.Change))
	}
	for reason, n := range d.Directives {
		parts = append(parts, fmt.Sprintf("%d directive: %s", n, reason))
	}
	return strings.Join(parts, "; ")
}

// TestStoredEvidenceIsJudgedByNewRules tells what each change of the rules does to a state, and what the report admits.
func TestStoredEvidenceIsJudgedByNewRules(t *testing.T) {
	at := noon
	for _, c := range []struct {
		what, old, new string
		lines          []string
		want           string
		admits         string // a part of one of the limits; empty: only what always holds
	}{
		{
			what: "a blocked address ties nobody, and a customer that had nothing else ends",
			new:  "block: {values: [relleno@tienda.example]}",
			lines: []string{
				line("caja", "1", "S1", "07", at, "email", "relleno@tienda.example"), line("web", "2", "S2", "08", at, "email", "relleno@tienda.example"),
				line("caja", "3", "S3", "", at, "email", "ana@tienda.example"),
			},
			want: "unchanged 1→1; split 1→2; 1 email takes part no more: blocked",
		},
		{
			what: "what occurred with a blocked code in one interaction is still known to belong together",
			new:  "block: {values: [consumidor-final]}",
			lines: []string{
				line("caja", "1", "S1", "consumidor-final", at, "email", "ana@correo.example", "phone", "+541144448800"),
			},
			want:   "renamed 1→1; 1 user takes part no more: blocked",
			admits: "1 interactions lost their first identifier",
		},
		{
			what:   "codes that were of a store each are one where the namespace has no domain",
			new:    "namespaces: {user: {domain: none}}",
			lines:  []string{line("caja", "1", "S1", "07", at), line("caja", "2", "S2", "07", at, "email", "ana@correo.example")},
			want:   "merged 2→1; 2 user gets another normal form, domain or realm",
			admits: "",
		},
		{
			what:   "a realm that is renamed takes everything along, and its directives name one that is not there",
			new:    `realms: {"*": tienda}`,
			lines:  []string{line("caja", "1", "S1", "07", at, "email", "ana@correo.example"), line("web", "2", "", "", at, "device_id", "dispositivo-1"), `{"directive":{"directive_id":"d","kind":"retract","realm":"default","issued_at":1772452800000,"a":{"namespace":"phone","value":"+541144448800"}}}`},
			want:   "renamed 2→2; 1 device_id gets another normal form, domain or realm; 1 email gets another normal form, domain or realm; 1 user gets another normal form, domain or realm; 1 directive: unknown realm",
			admits: "0 edges without one went where their identifiers are, 0 were left out",
		},
		{
			what: "of a realm that is split, evidence without StoreCode goes where its identifiers are, and is left out where they are nowhere",
			new:  `realms: {"AR*": argentina, "UY*": uruguay, "*": otro}`,
			lines: []string{
				line("caja", "1", "AR1", "07", at, "email", "ana@correo.example"), line("caja", "2", "UY1", "07", at, "email", "joao@correio.example"),
				line("web", "3", "", "", at, "email", "ana@correo.example", "device_id", "dispositivo-1"),
				line("web", "4", "", "", at, "phone", "+541144448800", "device_id", "dispositivo-2"),
			},
			want:   "renamed 2→2; ended 1→0; 1 device_id gets another normal form, domain or realm; 2 email gets another normal form, domain or realm; 2 user gets another normal form, domain or realm; 1 device_id takes part no more: realm not known; 1 phone takes part no more: realm not known",
			admits: "1 edges without one went where their identifiers are, 1 were left out",
		},
		{
			what:   "a namespace that is not declared any more takes its edges along",
			old:    "namespaces: {club: {rank: 15, class: anchor}}",
			lines:  []string{line("caja", "1", "S1", "07", at, "club", "socio-9")},
			want:   "renamed 1→1; 1 club takes part no more: undeclared namespace",
			admits: "1 interactions lost their first identifier",
		},
		{
			what:   "a document's country is known where its interaction held a code",
			new:    `countries: {"*": AR}`,
			lines:  []string{line("caja", "1", "S1", "07", at, "document", "27418902"), line("web", "2", "S1", "", at, "document", "30111222")},
			want:   "unchanged 1→1; changed 1→1; 1 document gets another normal form, domain or realm",
			admits: "countries differ",
		},
		{
			what:   "another order of ranks roots an interaction elsewhere, and ties the same",
			new:    "namespaces: {member_id: {rank: 25}}",
			lines:  []string{line("caja", "1", "S1", "07", at, "member_id", "7001", "email", "ana@correo.example")},
			want:   "renamed 1→1",
			admits: "ranks differ",
		},
		{
			what:   "another id_key is another name for everybody",
			new:    "id_key: otra",
			lines:  []string{line("caja", "1", "S1", "07", at)},
			want:   "renamed 1→1",
			admits: "id_key differs",
		},
		{
			what:   "a namespace that becomes an anchor makes two of them in one interaction a conflict",
			new:    "namespaces: {phone: {rank: 37, class: anchor}}",
			lines:  []string{line("caja", "1", "S1", "07", at, "phone", "+541144448800", "phone", "+541144448801")},
			want:   "split 1→3",
			admits: "ranks differ",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := diffState(t, question(parseRules(t, c.old), parseRules(t, c.new)), strings.Join(c.lines, "\n"))
			if got := summary(d); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if d.Mismatches.Any() {
				t.Errorf("the old rules do not make the stored customers: %+v", d.Mismatches)
			}
			if c.admits != "" && !slices.ContainsFunc(d.Limits, func(l string) bool { return strings.Contains(l, c.admits) }) {
				t.Errorf("no limit says %q: %q", c.admits, d.Limits)
			}
			if c.admits == "" && len(d.Limits) != 1 {
				t.Errorf("limits: %q", d.Limits)
			}
		})
	}
}

// TestAStateOfOtherRulesIsSaid gives an old configuration that did not write the state.
func TestAStateOfOtherRulesIsSaid(t *testing.T) {
	lines := line("caja", "1", "S1", "07", noon, "email", "ana@correo.example")
	ran := parseRules(t, "")
	fs := newStateFS(t, ran, lines)
	for _, c := range []struct {
		old  string
		want processor.Mismatches
	}{
		{"", processor.Mismatches{}},
		{"duplicate_window: 24h", processor.Mismatches{}},
		{"id_key: otra", processor.Mismatches{CustomerIDs: 1}},
		{"customer_limit: 1", processor.Mismatches{Identifiers: 1, Edges: 1}},
	} {
		q := question(parseRules(t, c.old), ran)
		q.FS = fs
		d, err := q.DiffState(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if d.Mismatches != c.want {
			t.Errorf("%s: mismatches %+v, want %+v", c.old, d.Mismatches, c.want)
		}
		said := slices.ContainsFunc(d.Limits, func(l string) bool { return strings.Contains(l, "was written under rules version") })
		if said != (c.old != "") {
			t.Errorf("%s: limits %q", c.old, d.Limits)
		}
	}
	if _, err := question(parseRules(t, "namespaces: {email: {rank: 45}, phone: {rank: 50}}"), ran).DiffState(t.Context(), "/nada"); err == nil {
		t.Error("no directory is no fault")
	}
}
