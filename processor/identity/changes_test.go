package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/interaction"
)

// told is what a change says of identity.md section 6, without its cause.
type told struct {
	Kind                   interaction.ChangeKind
	Version                int64
	Added, Removed, Erased []string
	Left                   []string
	Merged, Split          []interaction.CustomerID
}

// mark is the HMAC of an identifier, in hex and as the id of the customer that it founds.
func (w *world) mark(text string) (hmacText string, id interaction.CustomerID) {
	if m, ok := w.marks[text]; ok {
		return m.hmac, m.id
	}
	k, err := interaction.ParseKey(text)
	if err != nil {
		w.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, w.graph.rules.IDKey)
	mac.Write(k.AppendBytes(nil))
	sum := mac.Sum(nil)
	m := mark{hex.EncodeToString(sum), interaction.CustomerID("c" + strings.ToLower(base32.StdEncoding.EncodeToString(sum))[:25])}
	w.marks[text] = m
	return m.hmac, m.id
}

type mark struct {
	hmac string
	id   interaction.CustomerID
}

// expectChanges works out section 6 once more, from the map before and after and nothing else, and holds what was told against it.
func (w *world) expectChanges(before, after map[string]interaction.CustomerID, last map[interaction.CustomerID]int64, res *Result) {
	w.t.Helper()
	was, is := members(before), members(after)
	intoOf := map[interaction.CustomerID]interaction.CustomerID{} // ended ids, and into what
	var ended []interaction.CustomerID
	for k, c := range before {
		if _, id := w.mark(k); id != c {
			continue
		}
		if now, there := after[k]; there && now != c {
			intoOf[c] = now
			ended = append(ended, c)
		}
	}
	want := map[interaction.CustomerID]told{}
	ids := maps.Clone(was)
	maps.Copy(ids, is)
	for id := range ids {
		if t, differs := w.tellOf(id, was, is, before, after, last, intoOf); differs {
			want[id] = t
		}
	}
	got := map[interaction.CustomerID]told{}
	for _, c := range res.Changes {
		got[c.CustomerID] = told{c.Kind, c.Version, c.Added, c.Removed, c.RemovedHMAC, c.Left, c.MergedCustomerIDs, c.SplitCustomerIDs}
	}
	if d := cmp.Diff(want, got, cmp.Transformer("", func(s []string) []string { return slices.Clip(append([]string{}, s...)) }),
		cmp.Transformer("", func(s []interaction.CustomerID) []string {
			out := []string{}
			for _, id := range s {
				out = append(out, string(id))
			}
			return out
		})); d != "" {
		w.t.Fatalf("changes (-by section 6 +graph):\n%s", d)
	}
	slices.Sort(ended)
	if !slices.Equal(ended, res.Merged) {
		w.t.Fatalf("ids that ended: %v by section 6, %v by the graph", ended, res.Merged)
	}
}

func members(m map[string]interaction.CustomerID) map[interaction.CustomerID][]string {
	out := map[interaction.CustomerID][]string{}
	bytesOrder := func(a, b string) int {
		// No part of a key has a character as small as the separator; in the text it stands for, | would be greater than most.
		return strings.Compare(strings.ReplaceAll(a, "|", "\x1f"), strings.ReplaceAll(b, "|", "\x1f"))
	}
	for _, k := range slices.SortedFunc(maps.Keys(m), bytesOrder) {
		out[m[k]] = append(out[m[k]], k)
	}
	return out
}

// tellOf works out the record of one id, and whether there is one.
func (w *world) tellOf(id interaction.CustomerID, was, is map[interaction.CustomerID][]string, before, after map[string]interaction.CustomerID,
	last map[interaction.CustomerID]int64, intoOf map[interaction.CustomerID]interaction.CustomerID) (t told, differs bool) {
	existed, lives := len(was[id]) > 0, len(is[id]) > 0
	t.Version = last[id]
	others := false
	for _, k := range is[id] {
		from, there := before[k]
		if there {
			t.Version = max(t.Version, last[from])
			others = others || intoOf[from] != id
		}
		if from != id {
			t.Added = append(t.Added, k)
		}
	}
	t.Version++
	for _, k := range was[id] {
		if to, there := after[k]; !there {
			h, _ := w.mark(k)
			t.Erased = append(t.Erased, h)
		} else if to != id {
			t.Removed = append(t.Removed, k)
			if len(was[to]) == 0 && !slices.Contains(t.Split, to) {
				t.Split = append(t.Split, to)
			}
		}
	}
	slices.Sort(t.Erased)
	for from, into := range intoOf {
		if into == id {
			t.Merged = append(t.Merged, from)
		}
	}
	slices.Sort(t.Merged)
	slices.Sort(t.Split)
	switch {
	case len(t.Erased) > 0:
		t.Kind, t.Left = interaction.ChangeErased, is[id]
	case !existed && len(t.Merged) == 1 && !others:
		t.Kind = interaction.ChangeRenamed
	case len(t.Merged) > 0:
		t.Kind = interaction.ChangeMerged
	case existed && len(t.Split) > 0:
		t.Kind = interaction.ChangeSplit
	case existed && len(t.Added) == 0:
		t.Kind = interaction.ChangeReduced
	case !existed:
		t.Kind = interaction.ChangeCreated
	default:
		t.Kind = interaction.ChangeExtended
	}
	if t.Kind != interaction.ChangeSplit {
		t.Split = nil
	}
	return t, len(t.Erased) > 0 || lives && len(t.Added)+len(t.Removed) > 0
}
