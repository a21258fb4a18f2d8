package processortest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Network is a network inside the process. Brokers listen on it; each process under test dials through a Host of its own,
// which can be cut off or held up. Latencies come from the seed, so that frames of different connections arrive at different
// instants of the fake clock: whatever reacts to one is done before the next arrives.
type Network struct {
	seed  uint64
	judge Judge

	mu        sync.Mutex
	listeners map[string]*listener
	ports     int
	dials     uint64
	downUntil time.Time
	links     map[*link]struct{}
}

// The latency of one frame, one way.
const (
	minLatency = 20 * time.Microsecond
	maxLatency = 600 * time.Microsecond
)

// dialLatency is what it takes to connect, or to be refused.
const dialLatency = time.Millisecond

// firstPort is that of the first listener.
const firstPort = 10_000

// NewNetwork returns an empty network. judge, which may be nil, is asked about every request on it.
func NewNetwork(seed uint64, judge Judge) *Network {
	return &Network{seed: seed, judge: judge, listeners: map[string]*listener{}, ports: firstPort, links: map[*link]struct{}{}}
}

// Listen is for kfake.ListenFn and processor.Options: it opens a listener on a port that is free.
func (n *Network) Listen(_, _ string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports++
	l := &listener{net: n, addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.ports}, accepted: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[l.addr.String()] = l
	return l, nil
}

// Down ends every connection and refuses new ones until d has passed: the brokers are away.
func (n *Network) Down(d time.Duration) {
	n.mu.Lock()
	n.downUntil = time.Now().Add(d)
	links := make([]*link, 0, len(n.links))
	for l := range n.links {
		links = append(links, l)
	}
	n.mu.Unlock()
	for _, l := range links {
		l.end(syscall.ECONNRESET)
	}
}

type listener struct {
	net      *Network
	addr     *net.TCPAddr
	accepted chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		delete(l.net.listeners, l.addr.String())
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// Host is one process's side of the network.
type Host struct {
	Name string
	net  *Network

	mu        sync.Mutex
	dead      bool
	heldUntil time.Time
	links     map[*link]struct{}
}

// Host returns a new host.
func (n *Network) Host(name string) *Host {
	return &Host{Name: name, net: n, links: map[*link]struct{}{}}
}

// Dial is for kafka.Config and processor.Options.
func (h *Host) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	// Being refused takes time, too: a client that tries again at once must not stop the clock.
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Until(h.arrival(dialLatency))):
	}
	l, id, err := h.net.find(address)
	if err != nil {
		return nil, err
	}
	k := newLink(h, id, rand.New(rand.NewPCG(h.net.seed, id)))
	if !h.keep(k) {
		return nil, refused(address)
	}
	select {
	case l.accepted <- k.server:
		return k.client, nil
	case <-l.closed:
		k.end(syscall.ECONNRESET)
		return nil, refused(address)
	case <-ctx.Done():
		k.end(syscall.ECONNRESET)
		return nil, ctx.Err()
	}
}

func (n *Network) find(address string) (*listener, uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	l := n.listeners[address]
	if l == nil || time.Now().Before(n.downUntil) {
		return nil, 0, refused(address)
	}
	return l, n.dials, nil
}

func refused(address string) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)}
}

func (h *Host) keep(k *link) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		return false
	}
	h.links[k] = struct{}{}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.net.links[k] = struct{}{}
	return true
}

func (h *Host) forget(k *link) {
	h.mu.Lock()
	delete(h.links, k)
	h.mu.Unlock()
	h.net.mu.Lock()
	delete(h.net.links, k)
	h.net.mu.Unlock()
}

func (h *Host) all() []*link {
	links := make([]*link, 0, len(h.links))
	for k := range h.links {
		links = append(links, k)
	}
	return links
}

// Cut ends every connection for good: to the cluster this process is dead. What it has sent is still under way and arrives,
// unless it is lost, too.
func (h *Host) Cut(lost bool) {
	h.mu.Lock()
	h.dead = true
	links := h.all()
	h.mu.Unlock()
	for _, k := range links {
		if lost {
			k.toServer.lose()
		}
		k.end(net.ErrClosed)
	}
}

// Hold lets nothing reach or leave the process until d has passed, as if it, or the machine it runs on, were stopped.
func (h *Host) Hold(d time.Duration) {
	h.mu.Lock()
	h.heldUntil = time.Now().Add(d)
	until, links := h.heldUntil, h.all()
	h.mu.Unlock()
	for _, k := range links {
		k.toServer.hold(until)
		k.toClient.hold(until)
	}
}

// arrival is when a frame that is sent now arrives.
func (h *Host) arrival(latency time.Duration) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := time.Now().Add(latency)
	if at.Before(h.heldUntil) {
		at = h.heldUntil
	}
	return at
}
