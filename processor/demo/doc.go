// Package demo is a small believable retailer: its interactions, and the story of what became of them.
//
// Retailer makes up the interactions of Casa Lumbre, a shop for the home with three branches, a web shop, an app and
// mailings, with all the faults that such data has. Its tills and its app write our own JSON, its web shop speaks Segment and
// its mailing SendGrid. Seen takes in what comes out of the processor and tells it: Summary to a shop owner in figures,
// Stories as the way of two customers through the channels. What is told comes from what was read back and never from the
// generator, so that it also holds for data that did not come from here.
//
// The package has no clock, no files and no Kafka: times are passed in, records and text are handed out.
package demo
