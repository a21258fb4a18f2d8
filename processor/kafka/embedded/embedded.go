// Package embedded is a Kafka broker inside the process: for the demo, and for tests that need no real one.
// What is written to it is gone when it is closed.
package embedded

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is a running broker on a free loopback port.
type Broker struct{ cluster *kfake.Cluster }

// Options change what a broker is; the zero value is right for the demo.
type Options struct {
	// Listen replaces the listener, for a virtual network.
	Listen func(network, address string) (net.Listener, error)
	// Partitions of a topic that is created without a number.
	Partitions int
}

// Start starts a broker.
func Start(o Options) (*Broker, error) {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
	}
	if o.Partitions > 0 {
		opts = append(opts, kfake.DefaultNumPartitions(o.Partitions))
	}
	if o.Listen != nil {
		opts = append(opts, kfake.ListenFn(o.Listen))
	} else {
		opts = append(opts, kfake.Ports(0))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	return &Broker{cluster}, nil
}

// Addrs are the bootstrap addresses.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// Close stops the broker and forgets its records.
func (b *Broker) Close() { b.cluster.Close() }

// Cluster gives tests the means to inject faults.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }
