package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/normalize"
	"kinfold/processor/source"
	"kinfold/processor/table"
)

type mem struct{ t [8]map[string][]byte }

func (m *mem) Get(t table.ID, key []byte) ([]byte, error) { return m.t[t][string(key)], nil }
func (m *mem) Scan(t table.ID, prefix []byte, fn func(k, v []byte) bool) error {
	var keys []string
	for k := range m.t[t] {
		if strings.HasPrefix(k, string(prefix)) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		if !fn([]byte(k), m.t[t][k]) {
			return nil
		}
	}
	return nil
}

func TestZZ(t *testing.T) {
	rules := normalize.DefaultRules()
	rules.Regions, rules.Countries = Regions, Countries
	n := normalize.New(rules)
	ns := []identity.Namespace{
		{Name: "member_id", Rank: 10, Class: identity.Anchor, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "user", Rank: 20, Class: identity.Anchor, StoreScoped: true, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "document", Rank: 30, Class: identity.Anchor, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "tax_id", Rank: 35, Class: identity.Anchor, AtMost: 1, SharedAnchors: 5, SharedContacts: 10},
		{Name: "email", Rank: 40, Class: identity.Contact, AtMost: 5, SharedAnchors: 3, SharedContacts: -1},
		{Name: "phone", Rank: 50, Class: identity.Contact, AtMost: 5, SharedAnchors: 3, SharedContacts: 5},
		{Name: "device_id", Rank: 60, Class: identity.Device, AtMost: 50, SharedAnchors: 1, SharedContacts: 3},
		{Name: "anonymous_id", Rank: 70, Class: identity.Device, AtMost: 200, SharedAnchors: 1, SharedContacts: 3},
	}
	g, err := identity.New(identity.Rules{Namespaces: ns, AnchorsInAll: 8, StoreCodesTied: 5, CustomerLimit: 500, ComponentLimit: 2000, IDKey: []byte("kinfold-development-key")})
	if err != nil {
		t.Fatal(err)
	}
	m := &mem{}
	for i := range m.t {
		m.t[i] = map[string][]byte{}
	}
	r := g.NewResolver()
	var s Seen
	s.In = map[string]int64{}
	seen := map[interaction.Hash]interaction.Hash{}
	recs := Retailer(seedOf(), DefaultSize, start)
	if n, _ := strconv.Atoi(os.Getenv("CHUNK")); n > 0 {
		for c := range slices.Chunk(recs, n) {
			slices.SortStableFunc(c, func(a, b Record) int { return strings.Compare(b.Topic, a.Topic) })
		}
	}
	invalid := map[string]int{}
	for seq, rec := range recs {
		s.In[rec.Topic]++
		org := interaction.Origin{Topic: rec.Topic, Offset: s.In[rec.Topic] - 1}
		var in interaction.Interaction
		var k interaction.Keyed
		rej := source.DecodeJSON(rec.Value, rec.Time.UnixMilli(), &in)
		if rej == nil {
			rej = n.Interaction(&in, rec.Time.UnixMilli(), org, &k)
		}
		if rej != nil {
			s.Reject(rej.Reason, rej.Detail, rec.Topic)
			continue
		}
		dup := false
		if c, ok := seen[k.ID]; ok {
			if c != k.Content {
				s.Reject(interaction.ReasonDuplicateConflict, "", rec.Topic)
				continue
			}
			dup = true
			s.Duplicates++
		}
		seen[k.ID] = k.Content
		res, err := r.Apply(m, &identity.Evidence{Realm: k.Realm, Identifiers: k.Usable(), At: identity.DefaultClock.At(k.OccurredAt, k.ReceivedAt),
			Source: k.Source, SourceEventID: k.SourceEventID, Origin: org, Seq: uint64(seq), Duplicate: dup})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range res.Rows {
			if row.Value == nil {
				delete(m.t[row.Table], string(row.Key))
			} else {
				m.t[row.Table][string(row.Key)] = row.Value
			}
		}
		for _, c := range res.Changes {
			s.Change(c)
		}
		for _, mr := range res.MapRows {
			if err := s.MapRow(mr); err != nil {
				t.Fatal(err)
			}
		}
		if dup {
			continue
		}
		ids := slices.Clone(k.Identifiers)
		for i, o := range res.Outcomes {
			ids[i].Outcome = o
		}
		for i := range ids {
			ids[i].Domain = ""
			if ids[i].Outcome == interaction.OutcomeInvalid {
				invalid[ids[i].Namespace+" "+ids[i].Value]++
			}
		}
		var e event
		json.Unmarshal(rec.Value, &e)
		d := Details{Traits: e.Traits, Properties: e.Properties}
		if e.Order != nil {
			d.Order = Order{e.Order.Number, e.Order.Currency, e.Order.Total}
		}
		kk := k
		s.Event(&interaction.Unified{Keyed: &kk, CustomerID: res.CustomerID, CustomerVersion: res.CustomerVersion, IdentityStatus: res.Status, Ambiguous: res.Ambiguous,
			MergedCustomerIDs: res.Merged, Identifiers: ids}, d)
	}
	i := 0
	for k, c := range invalid {
		if i++; i < 15 {
			fmt.Println("invalid", k, c)
		}
	}
	s.Summary(os.Stdout, false)
	s.Stories(os.Stdout, false, Protagonists)
	s.Stories(os.Stdout, false, nil)
}

func seedOf() uint64 { n, _ := strconv.Atoi(os.Getenv("SEED")); return uint64(max(n, 1)) }
