// Command bench runs kinfold as a contestant of a benchmark: it takes BROKERS, APP_ID, STATE_DIR and UNTIL from its environment,
// reads the topic interactions, and exits with 0 once UNTIL of its records, and all that follows from them, are committed.
// A schema registry inside the process serves the two schema ids of the benchmark: 1 for interactions, 2 for unified events.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/schemas"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	until, err := strconv.ParseInt(os.Getenv("UNTIL"), 10, 64)
	if err != nil {
		return fmt.Errorf("UNTIL: %w", err)
	}
	registry, closeRegistry := schemas.StartRegistry(
		schemas.Seed{Subject: "interactions-value", ID: 1, Kind: schemas.KindInteraction},
		schemas.Seed{Subject: "unified-customer-events-value", ID: 2, Kind: schemas.KindUnified})
	defer closeRegistry()
	if address := os.Getenv("PPROF"); address != "" {
		go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil)) }()
	}
	c := benchConfig(registry)
	processor.TuneGC()
	began := time.Now()
	p, err := processor.Open(c, processor.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	defer p.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(running) }()
	if err := processor.AwaitDrained(running, c, until); err != nil {
		return err
	}
	stop()
	err = <-ended
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	cpu := time.Duration(use.Utime.Nano() + use.Stime.Nano())
	t := p.Totals()
	fmt.Printf("records=%d events=%d wall=%.3f cpu=%.3f rss_mib=%d\n", t.Accepted, t.Events, time.Since(began).Seconds(), cpu.Seconds(), use.Maxrss/1024)
	return err
}

// benchConfig is a platform of 64 retailers, each a realm, whose store codes begin with R and its number.
func benchConfig(registry string) *config.Config {
	const realms = 64
	c := config.Default()
	c.App = os.Getenv("APP_ID")
	c.StateDir = os.Getenv("STATE_DIR")
	c.Kafka.Brokers = strings.Split(os.Getenv("BROKERS"), ",")
	c.Registry.URLs = []string{registry}
	c.Sources = []config.Source{{Topics: []string{"interactions"}, Format: config.FormatAvro}}
	// The benchmark removes the topics that begin with the name of the application.
	c.Topics.IdentityChanges = c.App + "-identity-changes"
	c.Topics.IdentityMap = c.App + "-identity-map"
	c.Topics.Rejects = c.App + "-rejects"
	c.HTTP.Listen = "127.0.0.1:0"
	// The other contestants commit every 100 ms, whatever the lag.
	c.Commit.LagInterval = c.Commit.Interval
	c.Identity.Realms = map[string]string{"*": "default"}
	for i := range realms {
		c.Identity.Realms[fmt.Sprintf("R%02d-*", i)] = fmt.Sprintf("R%02d", i)
	}
	return c
}
