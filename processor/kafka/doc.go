// Package kafka is the world's side of the processor: sessions that read, write and commit in one transaction,
// topics and their settings, offsets and replays. It is the only package that knows franz-go.
//
// A Session is one life of one stage in its consumer group. Its rule is invariant I4: when a commit is answered with
// anything but success, the outcome is unknown, the session is closed, and a new one is opened from what Kafka holds.
package kafka
