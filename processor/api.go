package processor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/kafka"
	"kinfold/schemas"
)

const (
	// forwardTimeout bounds a question that is passed on, ownersTimeout the question to Kafka to whom.
	forwardTimeout = 10 * time.Second
	ownersTimeout  = 5 * time.Second
	// maxForwarded bounds the answer that comes back, in bytes.
	maxForwarded = 64 << 20
	// forwardedBy marks a question that was passed on: it is not passed on again.
	forwardedBy = "Kinfold-Forwarded"
)

// api answers questions over HTTP: JSON, read-only. What is asked and answered is about people: it is not logged, and no cache
// keeps it.
type api struct {
	*questions
	c        *config.Config
	instance string // ours
	holdings *holdings
	mux      *http.ServeMux
	client   *http.Client
	reading  chan struct{} // histories under way

	mu      sync.Mutex
	cluster *cluster // nil while the process has not found it; guarded by mu
}

// cluster is what the API asks of Kafka.
type cluster struct {
	admin   *kafka.Admin
	plan    *topicPlan
	framing schemas.Framing
}

func newAPI(c *config.Config, instance string, h *holdings) (*api, error) {
	q, err := newQuestions(&c.Identity, c.Topics.UnifiedCustomerEvents, h)
	if err != nil {
		return nil, err
	}
	a := &api{
		questions: q, c: c, instance: instance, holdings: h, reading: make(chan struct{}, maxHistories),
		// A transport of its own, without kept connections: Close has nothing to wait for.
		client: &http.Client{Timeout: forwardTimeout, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	a.mux = route(a.questions, a.history, a.finish)
	return a, nil
}

func (a *api) setCluster(c *cluster) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cluster = c
	a.holdings.setPartitions(c.plan.keyedPartitions)
}

func (a *api) ofCluster() *cluster {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cluster
}

// answer is what a question comes to: something to be written as JSON, or a *Refusal.
type answer func(r *http.Request) (any, error)

// route lists the questions. It is the same for a running process and for the state of a stopped one, which finish the
// answers in their own way.
func route(q *questions, history answer, finish func(w http.ResponseWriter, r *http.Request, v any, err error)) *http.ServeMux {
	mux := http.NewServeMux()
	on := func(pattern string, ask answer) {
		mux.HandleFunc("GET /v1/"+pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := q.inTurn(r, ask)
			finish(w, r, v, err)
		})
	}
	on("customers/{id}", func(r *http.Request) (any, error) {
		id, err := customerID(r)
		if err != nil {
			return nil, err
		}
		return q.customer(r.FormValue("realm"), id)
	})
	on("customers/{id}/history", history)
	on("identifiers/{namespace}/{value}", func(r *http.Request) (any, error) {
		return q.identifier(r.FormValue("realm"), interaction.Named{
			Namespace: r.PathValue("namespace"), Domain: r.FormValue("store"), Value: r.PathValue("value"),
		})
	})
	on("why", func(r *http.Request) (any, error) {
		x, y, err := pairOf(r)
		if err != nil {
			return nil, err
		}
		return q.why(r.FormValue("realm"), x, y)
	})
	on("why-not", func(r *http.Request) (any, error) {
		x, y, err := pairOf(r)
		if err != nil {
			return nil, err
		}
		return q.whyNot(r.FormValue("realm"), x, y)
	})
	on("directives/{id}", func(r *http.Request) (any, error) { return q.directive(r.FormValue("realm"), r.PathValue("id")) })
	noEvents := func(*http.Request) (any, error) { return nil, q.eventsElsewhere() }
	on("events", noEvents)
	on("events/{id}", noEvents)
	on("", func(*http.Request) (any, error) {
		return nil, refuse(http.StatusNotFound, "GET /v1/customers/ID, /v1/customers/ID/history, /v1/identifiers/NAMESPACE/VALUE?store=STORE, "+
			"/v1/why?a=NAMESPACE:VALUE&b=NAMESPACE@STORE:VALUE, /v1/why-not?a=…&b=…, /v1/directives/ID, each with realm=REALM where there are several",
			"there is no such question")
	})
	return mux
}

func customerID(r *http.Request) (interaction.CustomerID, error) {
	id, err := interaction.ParseCustomerID(r.PathValue("id"))
	if err != nil {
		return "", refuse(http.StatusBadRequest, "copy the customer_id of an event, a change or the map", "%v", err)
	}
	return id, nil
}

func pairOf(r *http.Request) (a, b interaction.Named, err error) {
	for _, of := range []struct {
		name string
		to   *interaction.Named
	}{{"a", &a}, {"b", &b}} {
		var err error
		if *of.to, err = interaction.ParseNamed(r.FormValue(of.name)); err != nil {
			return a, b, refuse(http.StatusBadRequest, "name two identifiers, each in quotes where it has spaces", "%s: %v", of.name, err)
		}
	}
	return a, b, nil
}

// write writes an answer, or why there is none.
func write(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	var r *Refusal
	switch {
	case errors.As(err, &r):
		v, status = r, r.Status
	case err != nil:
		v, status = refuse(http.StatusInternalServerError, "look at the log and at /readyz", "%v", err), http.StatusInternalServerError
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// ServeHTTP lets in who may ask, answers from what is here, and passes on what is elsewhere.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if refusal := a.admit(r); refusal != nil {
		if refusal.Status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="kinfold"`)
		}
		write(w, nil, refusal)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// finish writes an answer, or finds it elsewhere.
func (a *api) finish(w http.ResponseWriter, r *http.Request, v any, err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) && len(refusal.notHere) > 0 {
		a.elsewhere(w, r, refusal)
		return
	}
	write(w, v, err)
}

// admit refuses who does not show the token. Without one the address is loopback: only the machine itself gets here, and a
// name that leads to it from a page in a browser is not taken for it.
func (a *api) admit(r *http.Request) *Refusal {
	if a.c.HTTP.Token.IsZero() {
		if !isLoopback(r.Host) {
			return refuse(http.StatusForbidden, "ask at 127.0.0.1, or set http.token", "host %q is not this machine", r.Host)
		}
		return nil
	}
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	given, want := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(a.c.HTTP.Token.Reveal()))
	if !ok || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return refuse(http.StatusUnauthorized, "send the header Authorization: Bearer TOKEN, with the token of http.token; kinfold ask takes it from --token-file",
			"the question needs a token")
	}
	return nil
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// elsewhere answers a question about partitions that are not here: by passing it on, or by saying where they are.
func (a *api) elsewhere(w http.ResponseWriter, r *http.Request, refusal *Refusal) {
	ctx, cancel := context.WithTimeout(r.Context(), ownersTimeout)
	defer cancel()
	cl := a.ofCluster()
	if cl == nil {
		write(w, nil, refuse(http.StatusServiceUnavailable, "wait until /readyz is true", "the process has not found its cluster yet"))
		return
	}
	owners, err := cl.admin.Owners(ctx, a.c.Group(config.StageResolve), cl.plan.keyed)
	if err != nil {
		refusal.WhatToDo = "ask the process that holds it; who that is could not be found out: " + err.Error()
	}
	var addresses []string
	for _, p := range refusal.notHere {
		m := owners[p]
		place := Place{Partition: p, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.Host}
		switch {
		case err != nil:
		case m.InstanceID == "":
			refusal.Status, refusal.WhatToDo = http.StatusServiceUnavailable, "ask again in a few seconds: the partitions are being given out"
		case m.InstanceID == a.instance:
			refusal.Status, refusal.WhatToDo = http.StatusServiceUnavailable, "ask again in a few seconds: this process is restoring it"
		default:
			refusal.WhatToDo = "ask that process; or set http.advertise, so that questions are passed on"
			if place.Address = a.c.HTTP.AddressOf(m.InstanceID); place.Address != "" {
				refusal.WhatToDo = "ask that process"
				addresses = append(addresses, place.Address)
			}
		}
		refusal.Elsewhere = append(refusal.Elsewhere, place)
	}
	if r.Header.Get(forwardedBy) == "" && a.forward(w, r, addresses, refusal) {
		return
	}
	write(w, nil, refusal)
}

// forward passes a question on to others, one after the other, until one of them knows the answer. It reports whether it
// wrote an answer; if not, the refusal says more.
func (a *api) forward(w http.ResponseWriter, r *http.Request, addresses []string, refusal *Refusal) bool {
	var last *passedOn
	for _, address := range slices.Compact(slices.Sorted(slices.Values(addresses))) {
		got, err := a.passOn(r, address)
		if err != nil {
			refusal.WhatToDo = fmt.Sprintf("ask that process; passing the question on to %s failed: %v", address, err)
			return false
		}
		last = got
		if got.status == http.StatusOK {
			break
		}
	}
	if last == nil || last.status == http.StatusMisdirectedRequest {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(last.status)
	_, _ = w.Write(last.body)
	return true
}

// passedOn is the answer of another process.
type passedOn struct {
	status int
	body   []byte
}

func (a *api) passOn(r *http.Request, address string) (*passedOn, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+address+r.URL.RequestURI(), nil)
	if err != nil {
		return nil, errors.New("the address is none")
	}
	req.Header.Set(forwardedBy, a.instance)
	if token := a.c.HTTP.Token; !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxForwarded))
	return &passedOn{resp.StatusCode, body}, err
}

// withoutURL takes the question, which names a person, out of an error of the client.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
