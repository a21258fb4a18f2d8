package processortest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Action is what becomes of one request.
type Action uint8

// The actions. Refuse, Drop and Late leave the broker as it is, at first; with the others the request takes effect at once.
const (
	Pass    Action = iota
	Refuse         // answered with an error; the broker never sees it
	Drop           // the connection ends before the request arrives
	Late           // the request arrives after Hold, whether the one who sent it still waits for it or not
	Lie            // applied, but answered with an error
	Swallow        // applied, but the connection ends before the answer arrives
	Delay          // applied, and the answer arrives after Hold
	Forget         // of OffsetFetch: answered as if nothing had ever been committed
)

var actionNames = [...]string{"pass", "refuse", "drop", "late", "lie", "swallow", "delay", "forget"}

func (a Action) String() string { return actionNames[a] }

// Verdict is what a Judge decides about a request.
type Verdict struct {
	Action Action
	Err    *kerr.Error   // of Refuse and Lie
	Hold   time.Duration // of Late and Delay
	// After, when set, is called when the request is on its way and before anything can be answered.
	After func()
}

// Request is a request on the wire.
type Request struct {
	Host     *Host
	Key      kmsg.Key
	Version  int16
	ClientID string

	correlation int32
	body        []byte
}

// Parse decodes the request.
func (r *Request) Parse() (kmsg.Request, error) {
	req := kmsg.RequestForKey(int16(r.Key))
	if req == nil {
		return nil, fmt.Errorf("request of unknown key %d", r.Key)
	}
	req.SetVersion(r.Version)
	reader := kbin.Reader{Src: r.body}
	if req.IsFlexible() {
		kmsg.SkipTags(&reader)
	}
	return req, req.ReadFrom(reader.Src)
}

// Judge decides about each request. It is called in the goroutine that sends it, and must not wait.
type Judge func(*Request) Verdict

// link is a connection between a host and a broker. It reads the frames on it: requests go past the judge, and answers are
// matched with what was decided about their requests.
type link struct {
	host               *Host
	client, server     *conn
	toServer, toClient *stream

	mu        sync.Mutex
	rng       *rand.Rand
	up, down  []byte // incomplete frames
	exchanges []*exchange
	ended     error
}

// exchange is a request under way. One that the broker never sees has its answer already.
type exchange struct {
	request *Request
	verdict Verdict
	answer  []byte
}

func newLink(h *Host, id uint64, rng *rand.Rand) *link {
	k := &link{host: h, toServer: newStream(), toClient: newStream(), rng: rng}
	at := func(last byte, port uint64) net.Addr {
		return &net.TCPAddr{IP: net.IPv4(127, 0, 0, last), Port: int(port)}
	}
	client, server := at(2, 20_000+id), at(1, firstPort)
	k.client = &conn{local: client, remote: server, in: k.toClient, write: k.fromClient, close: func() { k.end(net.ErrClosed) }}
	k.server = &conn{local: server, remote: client, in: k.toServer, write: k.fromServer, close: func() { k.end(syscall.ECONNRESET) }}
	return k
}

// end ends the connection. The client notices at once; the broker reads first what is under way to it.
func (k *link) end(why error) {
	k.mu.Lock()
	first := k.ended == nil
	if first {
		k.ended = why
	}
	k.mu.Unlock()
	if !first {
		return
	}
	k.toClient.breakWith(why)
	k.toServer.send(nil, time.Now())
	k.host.forget(k)
}

// arrival draws the latency of one frame.
func (k *link) arrival(extra time.Duration) time.Time {
	return k.host.arrival(minLatency + time.Duration(k.rng.Int64N(int64(maxLatency-minLatency))) + extra)
}

// cutFrame takes a whole frame off the front of b, where there is one.
func cutFrame(b []byte) (frame, rest []byte) {
	const sizeLen = 4
	if len(b) < sizeLen {
		return nil, b
	}
	n := sizeLen + int(binary.BigEndian.Uint32(b))
	if len(b) < n {
		return nil, b
	}
	return b[:n:n], b[n:]
}

func (k *link) fromClient(p []byte) error {
	k.mu.Lock()
	if k.ended != nil {
		defer k.mu.Unlock()
		return k.ended
	}
	k.up = append(k.up, p...)
	var frames [][]byte
	for {
		frame, rest := cutFrame(k.up)
		if frame == nil {
			break
		}
		frames, k.up = append(frames, frame), rest
	}
	k.mu.Unlock()
	for _, frame := range frames {
		k.ask(frame)
	}
	return nil
}

// ask takes a request past the judge.
func (k *link) ask(frame []byte) {
	r := k.parse(frame)
	var v Verdict
	if k.host.net.judge != nil {
		v = k.host.net.judge(r)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended != nil { // by the judge
		return
	}
	e := &exchange{request: r, verdict: v}
	switch v.Action {
	case Drop:
		k.mu.Unlock()
		k.end(syscall.ECONNRESET)
		k.mu.Lock()
		return
	case Refuse:
		if e.answer = refusal(r, v.Err); e.answer != nil {
			k.exchanges = append(k.exchanges, e)
			k.deliverReady()
			return
		}
		e.verdict = Verdict{} // there is no such answer
	}
	hold := time.Duration(0)
	if v.Action == Late {
		hold = v.Hold
	}
	k.exchanges = append(k.exchanges, e)
	k.toServer.send(frame, k.arrival(hold))
	if v.After != nil {
		k.mu.Unlock()
		v.After()
		k.mu.Lock()
	}
}

func (k *link) parse(frame []byte) *Request {
	reader := kbin.Reader{Src: frame[4:]}
	r := &Request{Host: k.host}
	r.Key, r.Version, r.correlation = kmsg.Key(reader.Int16()), reader.Int16(), reader.Int32()
	if id := reader.NullableString(); id != nil {
		r.ClientID = *id
	}
	r.body = reader.Src
	return r
}

// deliverReady sends the answers of requests that the broker never saw, once it is their turn.
func (k *link) deliverReady() {
	for len(k.exchanges) > 0 && k.exchanges[0].answer != nil {
		k.toClient.send(k.exchanges[0].answer, k.arrival(0))
		k.exchanges = k.exchanges[1:]
	}
}

func (k *link) fromServer(p []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended != nil {
		return k.ended
	}
	k.down = append(k.down, p...)
	for {
		frame, rest := cutFrame(k.down)
		if frame == nil {
			return nil
		}
		k.down = rest
		if !k.answer(frame) {
			k.mu.Unlock()
			k.end(syscall.ECONNRESET)
			k.mu.Lock()
			return nil
		}
	}
}

// answer hands an answer of the broker on, as the judge has decided; false ends the connection.
func (k *link) answer(frame []byte) bool {
	if len(k.exchanges) == 0 {
		return false
	}
	e := k.exchanges[0]
	k.exchanges = k.exchanges[1:]
	hold := time.Duration(0)
	switch e.verdict.Action {
	case Swallow:
		return false
	case Lie:
		if lie := falsified(e.request, frame, e.verdict.Err); lie != nil {
			frame = lie
		}
	case Delay:
		hold = e.verdict.Hold
	case Forget:
		if f := forgotten(e.request, frame); f != nil {
			frame = f
		}
	}
	k.toClient.send(append([]byte{}, frame...), k.arrival(hold))
	k.deliverReady()
	return true
}
