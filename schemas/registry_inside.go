package schemas

import (
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// Seed is a contract that a registry has from its start, under an id of the caller's choice.
type Seed struct {
	Subject string
	ID      int
	Kind    Kind
}

// StartRegistry starts a schema registry inside this process, on a free loopback port, for demonstrations, benchmarks and tests.
func StartRegistry(seeds ...Seed) (url string, stop func()) {
	r := srfake.New()
	for _, s := range seeds {
		r.SeedSchema(s.Subject, 1, s.ID, sr.Schema{Schema: s.Kind.Schema(), Type: sr.TypeAvro})
	}
	return r.URL(), r.Close
}
