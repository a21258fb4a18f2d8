package processortest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// stream carries bytes one way over the virtual network. What is sent has a time at which it arrives; the order is kept.
// The reader waits for both, the bytes and the time, in a way that lets the clock of a synctest bubble go on.
type stream struct {
	mu       sync.Mutex
	wake     chan struct{} // tells the reader that something below has changed
	queue    []chunk
	latest   time.Time // arrival of the last chunk
	broken   error     // what every later read returns, whatever is queued
	deadline time.Time
}

// chunk is bytes under way; a nil one is the end of the stream.
type chunk struct {
	at   time.Time
	data []byte
}

func newStream() *stream { return &stream{wake: make(chan struct{}, 1)} }

func (s *stream) changed() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// send lets data arrive at a time, or right after what was sent before. Nil ends the stream.
func (s *stream) send(data []byte, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.Before(s.latest) {
		at = s.latest
	}
	s.latest = at
	s.queue = append(s.queue, chunk{at, data})
	s.changed()
}

// hold lets nothing arrive before a time.
func (s *stream) hold(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.queue {
		if s.queue[i].at.Before(until) {
			s.queue[i].at = until
		}
	}
	if s.latest.Before(until) {
		s.latest = until
	}
	s.changed()
}

// lose forgets what is under way.
func (s *stream) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
}

func (s *stream) breakWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = err
	}
	s.changed()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.changed()
}

func (s *stream) read(p []byte) (int, error) {
	for {
		n, wait, err := s.take(p)
		if n > 0 || err != nil {
			return n, err
		}
		if wait == 0 {
			<-s.wake
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take copies what has arrived. Where that is nothing it says how long to wait at most, zero being for ever.
func (s *stream) take(p []byte) (n int, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.broken != nil:
		return 0, 0, s.broken
	case !s.deadline.IsZero() && !now.Before(s.deadline):
		return 0, 0, os.ErrDeadlineExceeded
	}
	if len(s.queue) > 0 && !now.Before(s.queue[0].at) {
		head := &s.queue[0]
		if head.data == nil {
			return 0, 0, io.EOF
		}
		n = copy(p, head.data)
		if head.data = head.data[n:]; len(head.data) == 0 {
			s.queue = s.queue[1:]
		}
		return n, 0, nil
	}
	if len(s.queue) > 0 {
		wait = s.queue[0].at.Sub(now)
	}
	if !s.deadline.IsZero() && (wait == 0 || s.deadline.Sub(now) < wait) {
		wait = s.deadline.Sub(now)
	}
	return 0, wait, nil
}

// conn is one end of a connection.
type conn struct {
	local, remote net.Addr
	in            *stream
	write         func([]byte) error
	close         func()
}

func (c *conn) Read(p []byte) (int, error) { return c.in.read(p) }

func (c *conn) Write(p []byte) (int, error) {
	if err := c.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *conn) Close() error {
	c.in.breakWith(net.ErrClosed)
	c.close()
	return nil
}

func (c *conn) LocalAddr() net.Addr               { return c.local }
func (c *conn) RemoteAddr() net.Addr              { return c.remote }
func (c *conn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error { c.in.setDeadline(t); return nil }

// SetWriteDeadline does nothing: a write never waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
