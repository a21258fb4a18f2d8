package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

var start = time.Date(2026, 3, 2, 15, 4, 5, 0, time.UTC)

func TestRetailerIsAFunctionOfItsArguments(t *testing.T) {
	a, b := Retailer(7, 3000, start), Retailer(7, 3000, start)
	if len(a) != len(b) {
		t.Fatalf("%d and %d records of one seed", len(a), len(b))
	}
	for i := range a {
		if a[i].Topic != b[i].Topic || !a[i].Time.Equal(b[i].Time) || !bytes.Equal(a[i].Key, b[i].Key) || !bytes.Equal(a[i].Value, b[i].Value) {
			t.Fatalf("record %d differs:\n%s\n%s", i, a[i].Value, b[i].Value)
		}
		for j := range a[i].Headers {
			if !bytes.Equal(a[i].Headers[j].Value, b[i].Headers[j].Value) {
				t.Fatalf("record %d: header differs", i)
			}
		}
	}
	c := Retailer(8, 3000, start)
	same := 0
	for i := range min(len(a), len(c)) {
		if bytes.Equal(a[i].Value, c[i].Value) {
			same++
		}
	}
	if same > 50 {
		t.Errorf("%d of %d records are the same under another seed", same, len(a))
	}
}

func TestRetailerHasTheSizeAskedForInOrderOfTime(t *testing.T) {
	for _, size := range []int{0, 1000, 5000} {
		records := Retailer(DefaultSeed, size, start)
		interactions := 0
		for _, r := range records {
			interactions += r.Interactions
		}
		if want := max(size, MinSize); interactions != want {
			t.Errorf("size %d: %d interactions, want %d", size, interactions, want)
		}
		for i, r := range records {
			if i > 0 && r.Time.Before(records[i-1].Time) {
				t.Fatalf("size %d: record %d is earlier than the one before it", size, i)
			}
			if r.Time.After(start) || r.Time.Before(start.Add(-period-24*time.Hour)) {
				t.Fatalf("size %d: record %d is of %s, want the month before %s", size, i, r.Time, start)
			}
		}
	}
}

var retailer = sync.OnceValue(func() []Record { return Retailer(DefaultSeed, DefaultSize, start) })

var read []parsed

// month is the default retailer, read once for all tests.
func month(t testing.TB) []parsed {
	t.Helper()
	if read == nil {
		r := newReader(t)
		for _, rec := range retailer() {
			read = append(read, r.parse(t, rec)...)
		}
	}
	return read
}

// patterns keeps what has been compiled: the tests match every record with each.
var patterns = map[string]*regexp.Regexp{}

func (p *parsed) has(namespace, pattern string) bool {
	re := patterns[pattern]
	if re == nil {
		re = regexp.MustCompile(pattern)
		patterns[pattern] = re
	}
	for _, id := range p.Identifiers {
		if id.Namespace == namespace && re.MatchString(id.Value) {
			return true
		}
	}
	return false
}

func (p *parsed) user() string {
	s, _ := p.UserID.(string)
	return s
}

// kinds lists what the demo promises to hold, each with the least number of records of it at the defaults.
var kinds = []struct {
	name  string
	least int
	is    func(p *parsed) bool
}{
	{"till sale in Buenos Aires with a padded code", 500, func(p *parsed) bool {
		return p.ok && p.StoreCode == StoreBuenosAires && strings.HasSuffix(p.user(), "   ")
	}},
	{"till sale in Buenos Aires with the padding missing", 200, func(p *parsed) bool { return p.ok && p.StoreCode == StoreBuenosAires && len(p.user()) == 5 }},
	{"till sale in Montevideo", 500, func(p *parsed) bool { return p.ok && strings.HasPrefix(p.user(), "MV-") }},
	{"UserId as a number with a decimal point", 50, func(p *parsed) bool {
		n, is := p.UserID.(json.Number)
		return p.ok && is && strings.HasSuffix(n.String(), ".0")
	}},
	{"UserId as a number", 50, func(p *parsed) bool {
		n, is := p.UserID.(json.Number)
		return p.ok && is && !strings.Contains(n.String(), ".")
	}},
	{"web page without a login", 2000, func(p *parsed) bool { return p.ok && p.Channel == "web" && p.UserID == nil }},
	{"web page with a login", 100, func(p *parsed) bool { return p.ok && p.Type == "page.viewed" && strings.Contains(p.user(), "@") }},
	{"web login", 200, func(p *parsed) bool {
		return p.ok && p.Channel == "web" && p.Type == "customer.identified" && p.user() != ""
	}},
	{"web visitor named by a letter's link", 50, func(p *parsed) bool {
		return p.ok && p.Type == "customer.identified" && p.UserID == nil && p.has("email", "@")
	}},
	{"product in the web shop", 1000, func(p *parsed) bool {
		return p.Type == "product.viewed" && strings.HasPrefix(p.Properties["url"], shopURL)
	}},
	{"web order of the shop's server", 200, func(p *parsed) bool {
		return p.ok && p.Channel == "server" && p.Type == "order.placed" && p.Order != nil
	}},
	{"web order without a browser", 20, func(p *parsed) bool {
		return p.Channel == "server" && p.Type == "order.placed" && !p.has("anonymous_id", ".")
	}},
	{"web order that is a gift to another address", 5, func(p *parsed) bool {
		return p.Type == "order.placed" && bytes.Contains(p.Value, []byte(`"email":"regalo@`)) && !p.has("email", "^regalo@")
	}},
	{"web order given back", 10, func(p *parsed) bool { return p.Type == "order.refunded" && strings.HasPrefix(p.Order.Number, "W-") }},
	{"call in a batch of several customers", 5, func(p *parsed) bool { return p.Type == "order.refunded" && p.among > 1 }},
	{"call alone", 2000, func(p *parsed) bool {
		return p.Topic == TopicWeb && p.ok && !bytes.HasPrefix(p.Value, []byte(`{"batch":`))
	}},
	{"call in a batch of several", 2000, func(p *parsed) bool { return p.Topic == TopicWeb && p.ok && p.among > 1 }},
	{"placeholder as Segment's userId", 20, func(p *parsed) bool { return p.Topic == TopicWeb && (p.user() == "undefined" || p.user() == "null") }},
	{"browser id of nobody", 5, func(p *parsed) bool { return p.has("anonymous_id", "^[0-]+$") }},
	{"app login with a verified address", 100, func(p *parsed) bool { return p.ok && p.Channel == "mobile_app" && p.has("email", "@") }},
	{"app without a login", 100, func(p *parsed) bool { return p.ok && p.Channel == "mobile_app" && p.UserID == nil }},
	{"mailing delivered", 500, func(p *parsed) bool { return p.ok && p.Type == "email.delivered" }},
	{"mailing opened", 300, func(p *parsed) bool { return p.ok && p.Type == "email.opened" }},
	{"mailing opened by a machine", 50, func(p *parsed) bool { return p.Properties["machine_open"] == "true" }},
	{"mailing followed", 50, func(p *parsed) bool { return p.ok && p.Type == "email.clicked" && p.Properties["url"] != "" }},
	{"mailing bounced", 20, func(p *parsed) bool { return p.Type == "email.bounced" && p.Properties["reason"] != "" }},
	{"mailing blocked", 3, func(p *parsed) bool { return p.Type == "email.blocked" }},
	{"mailing unsubscribed", 3, func(p *parsed) bool { return p.Type == "email.unsubscribed" }},
	{"mailing with the code of a branch", 100, func(p *parsed) bool { return p.Topic == TopicMailings && p.StoreCode != "" && len(p.user()) > 1 }},
	{"mailing with a placeholder for it", 20, func(p *parsed) bool { return p.Topic == TopicMailings && p.user() == "0" }},
	{"mailing event among several", 500, func(p *parsed) bool { return p.Topic == TopicMailings && p.ok && p.among > 3 }},
	{"time in epoch milliseconds", 2000, func(p *parsed) bool { _, is := p.OccurredAt.(json.Number); return p.ok && is }},
	{"time in RFC 3339", 2000, func(p *parsed) bool { _, is := p.OccurredAt.(string); return p.ok && is }},
	{"Spanish name with accents", 300, func(p *parsed) bool { return strings.ContainsAny(p.Traits["last_name"], "ñáéíóú") }},
	{"Portuguese name with accents", 300, func(p *parsed) bool {
		return strings.ContainsAny(p.Traits["first_name"]+p.Traits["last_name"], "ãõç")
	}},
	{"phone in E.164", 200, func(p *parsed) bool { return p.has("phone", `^\+`) }},
	{"phone in a national form", 200, func(p *parsed) bool { return p.has("phone", `^(0\d|\()`) }},
	{"address in capitals", 50, func(p *parsed) bool { return p.has("email", "^[A-Z.@0-9_-]+$") }},
	{"document", 200, func(p *parsed) bool { return p.has("document", `\d\.\d`) }},
	{"walk-in without a UserId", 100, func(p *parsed) bool { return p.ok && p.Channel == "pos" && p.UserID == nil && len(p.Identifiers) == 0 }},
	{"code for walk-in customers", 12, func(p *parsed) bool { return p.user() == WalkInCode && p.has("email", "@") }},
	{"kiosk tablet", 20, func(p *parsed) bool { return p.has("device_id", "^"+KioskTablet+"$") }},
	{"cashier's e-mail", 20, func(p *parsed) bool { return p.has("email", "^"+regexp.QuoteMeta(CashierEmail)+"$") }},
	{"placeholder as UserId", 5, func(p *parsed) bool { return p.user() == placeholderID }},
	{"placeholder address", 20, func(p *parsed) bool { return p.has("email", `^(sinmail|sincorreo22|NOTIENE)@|^null$`) }},
	{"placeholder phone", 15, func(p *parsed) bool { return p.has("phone", `^0+$`) }},
	{"placeholder document", 5, func(p *parsed) bool { return p.has("document", `^(12345678|0+)$`) }},
	{"late by days", 50, func(p *parsed) bool { return p.ok && p.at.Year() >= 2020 && p.Time.Sub(p.at) > 24*time.Hour }},
	{"till with a wrong clock", 2, func(p *parsed) bool { return p.ok && (p.at.Year() < 2000 || p.at.After(start)) }},
	{"cut off", 5, func(p *parsed) bool {
		return len(p.Value) > 0 && !json.Valid(p.Value) && p.Value[0] == '{'
	}},
	{"answer of a proxy", 5, func(p *parsed) bool { return bytes.HasPrefix(p.Value, []byte("<html>")) }},
	{"empty record", 5, func(p *parsed) bool { return len(p.Value) == 0 }},
	{"list in place of an object", 5, func(p *parsed) bool { return p.Topic == TopicApp && json.Valid(p.Value) && p.Value[0] == '[' }},
	{"record without a value in the web shop", 5, func(p *parsed) bool { return p.Topic == TopicWeb && p.ignored == "tombstone" }},
	{"batch without a call", 5, func(p *parsed) bool { return p.Topic == TopicWeb && p.ignored == "empty" }},
	{"post without an event", 5, func(p *parsed) bool { return p.Topic == TopicMailings && p.ignored == "empty" }},
	{"event that is about no customer", 5, func(p *parsed) bool { return p.ignored == "not_customer_data" }},
	{"call of an unknown kind among others", 5, func(p *parsed) bool { return p.Topic == TopicWeb && p.reject == "unknown_event" && p.among > 1 }},
	{"call with an unreadable time among others", 5, func(p *parsed) bool { return p.Topic == TopicWeb && p.reject == "invalid:occurred_at" && p.among > 1 }},
	{"event without a time among others", 5, func(p *parsed) bool {
		return p.Topic == TopicMailings && p.reject == "missing:occurred_at" && p.among > 1
	}},
	{"event of an unknown kind among others", 5, func(p *parsed) bool { return p.Topic == TopicMailings && p.reject == "unknown_event" && p.among > 1 }},
	{"text among events", 5, func(p *parsed) bool { return p.Topic == TopicMailings && p.reject == "unparsable" && p.among > 1 }},
	{"post cut off", 5, func(p *parsed) bool {
		return p.Topic == TopicMailings && p.reject == "unparsable" && !json.Valid(p.Value)
	}},
	{"no type", 5, func(p *parsed) bool { return json.Valid(p.Value) && p.Source != "" && p.Type == "" }},
	{"no source", 5, func(p *parsed) bool { return json.Valid(p.Value) && p.Source == "" && p.Type != "" }},
	{"StoreCode of 31 characters", 5, func(p *parsed) bool { return utf8.RuneCountInString(p.StoreCode) == 31 }},
	{"unreadable time", 5, func(p *parsed) bool { return p.OccurredAt != nil && !p.clear }},
	{"text in place of a list", 5, func(p *parsed) bool { return bytes.Contains(p.Value, []byte(`"identifiers":"`)) }},
}

func TestRetailerHoldsEveryKindOfInput(t *testing.T) {
	n := make([]int, len(kinds))
	topics := map[string]int{}
	for _, p := range month(t) {
		topics[p.Topic]++
		for i, k := range kinds {
			if k.is(&p) {
				n[i]++
			}
		}
	}
	for i, k := range kinds {
		t.Logf("%6d %s", n[i], k.name)
		if n[i] < k.least {
			t.Errorf("%s: %d interactions, want at least %d", k.name, n[i], k.least)
		}
	}
	for _, topic := range Topics {
		if t.Logf("%6d %s", topics[topic], topic); topics[topic] < 500 {
			t.Errorf("topic %s: %d interactions, want at least 500", topic, topics[topic])
		}
	}
}

func TestRetailerSendsAboutOneInTwentyAgainAndAFewWithOtherContent(t *testing.T) {
	type content struct{ user, order, ids, rest string }
	first := map[[2]string]content{}
	var again, other int
	for _, p := range month(t) {
		if !p.ok {
			continue
		}
		text := func(v any) string {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		key := [2]string{p.Source, p.EventID}
		c := content{text(p.UserID), text(p.Order), text(p.Identifiers), text([]any{p.Type, p.Channel, p.StoreCode, p.Traits, p.Properties})}
		before, seen := first[key]
		switch {
		case !seen:
			first[key] = c
		case before == c:
			again++
		default:
			other++
		}
	}
	if again < DefaultSize*4/100 || again > DefaultSize*6/100 {
		t.Errorf("%d repeats of %d, want about 5 %%", again, DefaultSize)
	}
	if other < 3 || other > 30 {
		t.Errorf("%d repeats with other content, want a few", other)
	}
}

func TestRetailerHasCouplesAndChangesOfAddress(t *testing.T) {
	codes, browsers := map[string]map[string]bool{}, map[string]map[string]bool{}
	put := func(m map[string]map[string]bool, k, v string) {
		if m[k] == nil {
			m[k] = map[string]bool{}
		}
		m[k][v] = true
	}
	customers := map[string]bool{}
	for _, p := range month(t) {
		if !p.ok {
			continue
		}
		if p.user() != "" {
			customers[p.StoreCode+strings.ToLower(strings.TrimSpace(p.user()))] = true
		}
		for _, id := range p.Identifiers {
			if id.Namespace == "email" && p.Channel == "pos" && p.user() != "" && !strings.HasSuffix(id.Value, shopMail) {
				put(codes, strings.ToLower(strings.TrimSpace(id.Value)), p.StoreCode+strings.TrimSpace(p.user()))
			}
			if id.Namespace == "anonymous_id" && p.user() != "" {
				put(browsers, id.Value, strings.ToLower(strings.TrimSpace(p.user())))
			}
		}
	}
	many := func(m map[string]map[string]bool) (n int) {
		for _, set := range m {
			if len(set) > 1 {
				n++
			}
		}
		return n
	}
	if n := many(codes); n < 20 {
		t.Errorf("%d addresses were given with two codes, want at least 20", n)
	}
	if n := many(browsers); n < 5 {
		t.Errorf("%d browsers logged in with two addresses, want at least 5", n)
	}
	if len(customers) < 1500 || len(customers) > 4000 {
		t.Errorf("%d customer codes and accounts, want about 2,500", len(customers))
	}
}

func TestProtagonistsLiveTheSameLifeWhateverTheSeed(t *testing.T) {
	r := newReader(t)
	life := func(seed uint64) string {
		var b strings.Builder
		for _, rec := range Retailer(seed, MinSize, start) {
			for _, p := range r.parse(t, rec) {
				if !p.protagonist() {
					continue
				}
				p.EventID = "" // counted among the crowd's, as orders are
				if p.Order != nil {
					p.Order.Number = ""
				}
				p.OccurredAt = p.at.UnixMilli()
				fmt.Fprintf(&b, "%s %s %s\n", p.Topic, p.Time, encode(&p.event))
			}
		}
		return b.String()
	}
	one := life(1)
	if n := strings.Count(one, "\n"); n != 24 {
		t.Fatalf("%d events of the protagonists, want 24:\n%s", n, one)
	}
	for _, seed := range []uint64{2, 99} {
		if two := life(seed); one != two {
			t.Errorf("seed %d tells another life:\n%s\nwant\n%s", seed, two, one)
		}
	}
}

// protagonist reports whether the interaction names Ana or João by anything of theirs.
func (p *parsed) protagonist() bool {
	text := string(encode(&p.event))
	for _, mark := range []string{anaCode + `   "`, anaCode + `"`, anaAway, anaLaptop, anaHandset, anaEmail, joaoCode, joaoEmail, joaoNewEmail} {
		if strings.Contains(text, mark) {
			return true
		}
	}
	return false
}

func BenchmarkRetailer(b *testing.B) {
	for b.Loop() {
		Retailer(DefaultSeed, DefaultSize, start)
	}
}
