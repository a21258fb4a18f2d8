// Package processortest is a deployment in a bubble of fake time: an embedded broker on a virtual network, processes with the
// real code, disks in memory that lose what was not synced, and a clock that jumps when everybody waits. A seed decides what is
// said and what breaks; an oracle decides whether the outputs are what the input says.
//
//	plan.go       what a seed decides: deployment, steps, faults
//	people.go     what is said: interactions, repeated, contradicted, nonsense
//	world.go      brokers, network and processes; how a process lives and dies
//	run.go        a plan carried out, and judged
//	faults.go     which request is hit by what; disk.go, which operation of a disk
//	network.go    hosts and listeners; link.go, a connection whose requests pass a judge; stream.go, bytes one way;
//	              answer.go, answers that no broker gave
//	traces.go     what a run leaves behind: logs, offsets, rows on the disks
//	oracle.go     what has to be in them; reference.go, identity once more; replay.go, byte for byte
//
// It runs under the build tag synctests, which makes the Kafka client wait in a way that a bubble understands.
package processortest
