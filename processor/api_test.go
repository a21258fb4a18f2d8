package processor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/identity"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/processor/state"
)

const apiToken = "0123456789abcdef-token"

// asked is what a question came to.
type asked struct {
	status int
	header http.Header
	body   []byte
}

// ask puts a question to a process, with the token unless it is empty.
func (q *process) ask(shown, target string) asked {
	q.rig.t.Helper()
	got, err := askAt(q.p.HTTPAddr(), shown, target)
	if err != nil {
		q.rig.t.Fatal(err)
	}
	return got
}

var plainClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func askAt(address, shown, target string) (asked, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+address+target, nil)
	if err != nil {
		return asked{}, err
	}
	if shown != "" {
		req.Header.Set("Authorization", "Bearer "+shown)
	}
	resp, err := plainClient.Do(req)
	if err != nil {
		return asked{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return asked{resp.StatusCode, resp.Header, body}, err
}

// as decodes an answer with a status.
func as[T any](t *testing.T, a asked, status int) (v T) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return v
}

// family is two customers, one of whom was two at first, and an address that belongs to too many.
func family(r *rig) []string {
	lines := []string{
		line("pos", "e1", "S01", "17", noon, "email", "Ana@Correo.Example"),
		line("web", "e2", "", "", noon.Add(time.Minute), "email", "ana@correo.example", "device_id", "dispositivo-1"),
		line("web", "e3", "", "", noon.Add(2*time.Minute), "device_id", "dispositivo-1", "anonymous_id", "navegador-1"),
		line("pos", "e4", "S02", "99", noon.Add(3*time.Minute), "email", "beto@correo.example"),
		line("web", "e5", "", "", noon.Add(4*time.Minute), "email", "beto@correo.example", "device_id", "dispositivo-1"),
		line("pos", "e6", "S03", "55", noon.Add(9*time.Minute), "document", "12345678X"),
		line("pos", "e7", "S03", "", noon.Add(-time.Hour), "member_id", "M-5", "document", "12345678X"),
	}
	for i := range 5 {
		lines = append(lines, line("pos", fmt.Sprintf("c%d", i), "S04", fmt.Sprint(i), noon, "email", "caja@tienda.example"))
	}
	return lines
}

func pair(path, a, b string) string {
	return "/v1/" + path + "?a=" + url.QueryEscape(a) + "&b=" + url.QueryEscape(b)
}

func TestQuestionsAreAnsweredByARunningProcess(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		t := r.t
		fs := state.NewMemoryFS()
		p := r.start(fs)
		p.isReady()
		r.feed(family(r)...)
		r.drained()
		r.until(func() bool { return p.p.Totals().Events == 12 })
		r.until(func() bool { return p.ask("", "/v1/identifiers/email/caja@tienda.example").status == http.StatusOK })

		id := as[identity.IdentifierAnswer](t, p.ask("", "/v1/identifiers/email/"+url.PathEscape("ANA@correo.example ")), 200)
		if id.Status != identity.Linked || id.Identifier.Value != "ana@correo.example" || id.Customer == nil || id.Customer.Size != 4 {
			t.Errorf("identifier: %+v", id)
		}
		user := as[identity.IdentifierAnswer](t, p.ask("", "/v1/identifiers/user/17?store=S01"), 200)
		if user.Customer.ID != id.Customer.ID {
			t.Errorf("user 17 is %s, the address %s", user.Customer.ID, id.Customer.ID)
		}
		c := as[identity.CustomerAnswer](t, p.ask("", "/v1/customers/"+string(id.Customer.ID)), 200)
		if c.Ended || len(c.Members) != 4 || c.Founder.String() != "user@S01:17" {
			t.Errorf("customer: %+v", c)
		}
		why := as[identity.WhyAnswer](t, p.ask("", pair("why", "user@S01:17", "anonymous_id:navegador-1")), 200)
		if !why.Together || len(why.Chain) != 3 || why.Chain[0].Source != "pos" || why.Chain[0].EventID != "e1" || why.Chain[2].EventID != "e3" {
			t.Errorf("why: %+v", why)
		}
		not := as[identity.WhyNotAnswer](t, p.ask("", pair("why-not", "user@S01:17", "user@S02:99")), 200)
		if not.Together || len(not.Reasons) != 1 || not.Reasons[0].Kind != identity.ByDevice {
			t.Errorf("why-not: %+v", not)
		}
		not = as[identity.WhyNotAnswer](t, p.ask("", pair("why-not", "user@S04:1", "user@S04:2")), 200)
		if len(not.Reasons) != 1 || not.Reasons[0].Kind != identity.ByShared {
			t.Errorf("why-not: %+v", not)
		}
		// What the topics say of every customer, living and ended.
		out := r.outputs()
		versions := map[string][]int64{}
		for _, ch := range out.changes {
			versions[string(ch.CustomerID)] = append(versions[string(ch.CustomerID)], ch.Version)
		}
		for id, want := range versions {
			h := as[processor.History](t, p.ask("", "/v1/customers/"+id+"/history"), 200)
			var got []int64
			for _, ch := range h.Changes {
				got = append(got, ch.Version)
			}
			if d := cmp.Diff(want, got); d != "" || h.Count != len(want) || h.Incomplete {
				t.Errorf("history of %s: %+v (-topic +answer):\n%s", id, h, d)
			}
		}
		ended, histories := 0, map[string]processor.History{}
		for key, row := range out.idmap {
			if row.Status == interaction.MapEnded {
				ended++
				c := as[identity.CustomerAnswer](t, p.ask("", "/v1/customers/"+key[strings.LastIndexByte(key, '|')+1:]), 200)
				if !c.Ended || c.Customer.ID != row.CustomerID || len(c.Way) == 0 {
					t.Errorf("%s: %+v, the map says %s", key, c, row.CustomerID)
				}
				target := "/v1/customers/" + string(c.Asked) + "/history"
				histories[target] = as[processor.History](t, p.ask("", target), 200)
				if h := histories[target]; h.End == nil || h.End.CustomerID != row.CustomerID || h.End.Change == nil || !slices.Contains(h.End.Change.Merged, c.Asked) {
					t.Errorf("history of %s, which ended: %+v", c.Asked, h)
				}
			}
		}
		if ended == 0 {
			t.Error("no customer id ended: the test shows little")
		}

		for target, status := range map[string]int{
			"/v1/customers/caaaaaaaaaaaaaaaaaaaaaaaaa": 404, "/v1/customers/caaaaaaaaaaaaaaaaaaaaaaaaa/history": 404, "/v1/customers/x": 400,
			"/v1/identifiers/email/nadie@correo.example": 200, "/v1/identifiers/email/nadie": 400, "/v1/identifiers/mail/x": 400,
			"/v1/identifiers/email/ana@correo.example?realm=otro": 400, "/v1/events": 501, "/v1/events/1": 501, "/v1/why?a=email:x": 400,
			"/v1/directives/d1": 404, "/v1/": 404, "/v1/whatever": 404,
		} {
			got := p.ask("", target)
			if got.status != status || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: status %d, want %d; %v: %s", target, got.status, status, got.header, got.body)
			}
			if status != 200 {
				var refusal processor.Refusal
				if err := json.Unmarshal(got.body, &refusal); err != nil || refusal.Problem == "" || refusal.WhatToDo == "" {
					t.Errorf("%s: %s", target, got.body)
				}
			}
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}

		// The state of the stopped process answers the same.
		a, err := processor.OpenArchive(r.config(), fs)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		status, body, err := a.Ask(context.Background(), pair("why", "user@S01:17", "anonymous_id:navegador-1"))
		same := as[identity.WhyAnswer](t, asked{status: status, body: body}, 200)
		if err != nil || len(same.Chain) != 3 {
			t.Errorf("archive: %v %s", err, body)
		}
		for target, want := range histories {
			status, body, err := a.Ask(context.Background(), target)
			if d := cmp.Diff(want, as[processor.History](t, asked{status: status, body: body}, 200)); d != "" || err != nil {
				t.Errorf("archive: %v, (-running +stopped):\n%s", err, d)
			}
		}
	})
}

func TestQuestionsNeedTheTokenAndHealthDoesNot(t *testing.T) {
	r := newRig(t, embeddedBroker(t))
	open := r.start(state.NewMemoryFS())
	open.isReady()
	rebound, err := http.NewRequest(http.MethodGet, "http://"+open.p.HTTPAddr()+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	rebound.Host = "attacker.example:9464"
	resp, err := plainClient.Do(rebound)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page that rebinds its name to loopback is answered with %d", resp.StatusCode)
	}
	if err := open.stop(); err != nil {
		t.Fatal(err)
	}

	r.configure = func(c *config.Config) { c.HTTP.Token = config.NewSecret(apiToken) }
	p := r.start(state.NewMemoryFS())
	for _, target := range []string{"/healthz", "/metrics"} {
		if got := p.ask("", target); got.status != http.StatusOK {
			t.Errorf("%s without token: status %d", target, got.status)
		}
	}
	p.ask("", "/readyz")
	for _, wrong := range []string{"", apiToken[1:], apiToken + "x", "Bearer " + apiToken} {
		got := p.ask(wrong, "/v1/events")
		if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" || strings.Contains(string(got.body), apiToken) {
			t.Errorf("token %q: status %d: %s", wrong, got.status, got.body)
		}
	}
	if got := p.ask(apiToken, "/v1/events"); got.status != http.StatusNotImplemented {
		t.Errorf("with the token: status %d: %s", got.status, got.body)
	}
}

// realms are names that live on different partitions, so that two processes share them.
func realms(c *config.Config) {
	c.Identity.Realms = map[string]string{}
	for i := range 8 {
		c.Identity.Realms[fmt.Sprintf("R%d", i)] = fmt.Sprintf("r%d", i)
	}
	c.Identity.Realms["*"] = "rest"
}

// sharedByTwo starts a process, lets it see a customer in each of eight realms, and starts another that takes some of them over.
func (r *rig) sharedByTwo(start func(name string) *process, one, other string) (a, b *process) {
	r.t.Helper()
	a = start(one)
	a.isReady()
	var lines []string
	for i := range 8 {
		lines = append(lines, line("pos", fmt.Sprintf("e%d", i), fmt.Sprintf("R%d", i), "1", noon, "email", "ana@correo.example"))
	}
	r.feed(lines...)
	r.drained()
	b = start(other)
	b.isReady()
	return a, b
}

func TestQuestionsFindTheProcessThatHoldsTheRealm(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	start := func(name string) *process {
		r.configure = func(c *config.Config) {
			realms(c)
			c.InstanceID = name
			c.HTTP.Token = config.NewSecret(apiToken)
		}
		return r.start(state.NewMemoryFS())
	}
	a, b := r.sharedByTwo(start, "a", "b")
	partition := map[int]int32{}
	for i := range 8 {
		partition[i] = kafka.PartitionOf(fmt.Sprintf("r%d", i), 4)
	}
	target := func(i int) string { return fmt.Sprintf("/v1/identifiers/user/1?store=R%d", i) }
	// Each realm is answered by one of the two; the other says where it is.
	r.until(func() bool {
		for i := range 8 {
			if x, y := a.ask(apiToken, target(i)).status, b.ask(apiToken, target(i)).status; x+y != 200+421 {
				return false
			}
		}
		return true
	})
	shared := map[string]int{}
	var customer identity.CustomerRef
	for i := range 8 {
		here, there, name := a, b, "a"
		if a.ask(apiToken, target(i)).status != http.StatusOK {
			here, there, name = b, a, "b"
		}
		shared[name]++
		got := as[identity.IdentifierAnswer](t, here.ask(apiToken, target(i)), 200)
		refusal := as[processor.Refusal](t, there.ask(apiToken, target(i)), 421)
		if len(refusal.Elsewhere) != 1 || refusal.Elsewhere[0].Partition != partition[i] || refusal.Elsewhere[0].InstanceID != name || refusal.WhatToDo == "" {
			t.Errorf("realm r%d: %+v, want partition %d of %s", i, refusal, partition[i], name)
		}
		// A customer id does not say its realm: all processes that hold partitions may have it.
		customer = *got.Customer
		refusal = as[processor.Refusal](t, there.ask(apiToken, "/v1/customers/"+string(customer.ID)), 421)
		if len(refusal.Elsewhere) == 0 {
			t.Errorf("customer of realm r%d: %+v", i, refusal)
		}
	}
	if len(shared) != 2 {
		t.Fatalf("the realms are shared as %v: the test shows nothing", shared)
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	// What the other one held is here now; nobody has to ask elsewhere.
	r.until(func() bool {
		for i := range 8 {
			if a.ask(apiToken, target(i)).status != http.StatusOK {
				return false
			}
		}
		return true
	})
	if got := as[identity.CustomerAnswer](t, a.ask(apiToken, "/v1/customers/"+string(customer.ID)), 200); got.Customer.ID != customer.ID {
		t.Errorf("customer: %+v", got)
	}
}

func TestQuestionsArePassedOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	// The instance ids are the ends of loopback addresses, 127.0.0.2 and 127.0.0.3, on one port.
	port := freePort(t)
	start := func(name string) *process {
		r.configure = func(c *config.Config) {
			realms(c)
			c.InstanceID = name
			c.HTTP.Token = config.NewSecret(apiToken)
			c.HTTP.Listen = "127.0.0." + name + ":" + port
			c.HTTP.Advertise = "127.0.0." + config.InstancePlaceholder + ":" + port
		}
		return r.start(state.NewMemoryFS())
	}
	a, b := r.sharedByTwo(start, "2", "3")
	r.until(func() bool {
		for _, p := range []*process{a, b} {
			for i := range 8 {
				got := p.ask(apiToken, fmt.Sprintf("/v1/identifiers/user/1?store=R%d", i))
				if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
					return false
				}
				id := as[identity.IdentifierAnswer](t, got, 200)
				for _, other := range []*process{a, b} {
					if other.ask(apiToken, "/v1/customers/"+string(id.Customer.ID)).status != http.StatusOK {
						return false
					}
				}
			}
		}
		return true
	})
	if got := a.ask(apiToken, "/v1/customers/caaaaaaaaaaaaaaaaaaaaaaaaa"); got.status != http.StatusNotFound && got.status != http.StatusMisdirectedRequest {
		t.Errorf("nobody's id: status %d: %s", got.status, got.body)
	}
}

func TestQuestionsAreAnsweredWhilePartitionsComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	r.configure = func(c *config.Config) { realms(c); c.InstanceID = "a" }
	a := r.start(state.NewMemoryFS())
	a.isReady()
	stop := make(chan struct{})
	var askers sync.WaitGroup
	for n := range 4 {
		askers.Go(func() {
			for i := n; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				got, err := askAt(a.p.HTTPAddr(), "", pair("why-not", fmt.Sprintf("user@R%d:1", i%8), "email:ana@correo.example"))
				if err != nil || got.status != 200 && got.status != 421 && got.status != 503 {
					t.Errorf("status %d, %v: %s", got.status, err, got.body)
					return
				}
			}
		})
	}
	for round := range 3 {
		var lines []string
		for i := range 8 {
			lines = append(lines, line("pos", fmt.Sprintf("e%d-%d", round, i), fmt.Sprintf("R%d", i), "1", noon, "email", "ana@correo.example", "device_id", fmt.Sprintf("dispositivo-%d", round)))
		}
		r.feed(lines...)
		r.configure = func(c *config.Config) { realms(c); c.InstanceID = "b" }
		b := r.start(state.NewMemoryFS())
		b.isReady()
		r.finish(b)
	}
	close(stop)
	askers.Wait()
}

// freePort is a port at which nothing listens on any loopback address that the test uses.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("this machine has one loopback address only: %v", err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
