package processor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	readHeaderTimeout = 5 * time.Second
	httpShutdown      = 2 * time.Second
)

// server answers /healthz, /readyz and /metrics, and hands questions to the API.
type server struct {
	listener net.Listener
	http     *http.Server
	cancel   context.CancelFunc // ends the questions under way
}

// listen binds the address, so that a port in use is known before anything else begins.
func listen(open func(network, address string) (net.Listener, error), address string, m *metrics, health func() (ready bool, detail map[string]string), questions http.Handler) (*server, error) {
	l, err := open("tcp", address)
	if err != nil {
		return nil, stop("set http.listen to a free port, or end the process that has it", "listen on %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		ready, detail := health()
		w.Header().Set("Content-Type", "application/json")
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": ready, "stages": detail})
	})
	mux.Handle("/v1/", questions)
	ctx, cancel := context.WithCancel(context.Background())
	return &server{l, &http.Server{
		Handler: mux, ReadHeaderTimeout: readHeaderTimeout, BaseContext: func(net.Listener) context.Context { return ctx },
	}, cancel}, nil
}

func (s *server) run() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

func (s *server) close() {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), httpShutdown)
	defer cancel()
	_ = s.http.Shutdown(ctx)
	_ = s.listener.Close()
}
