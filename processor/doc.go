// Package processor is the service: it reads interactions from Kafka, resolves which customer each belongs to, and writes
// one unified customer event for each distinct interaction, exactly once.
//
// # The way of a record
//
// In the order of the calls, with the file that makes them:
//
//  1. worker.live opens a session, which fences this member's former life (worker.go, kafka/session.go).
//  2. worker.poll takes records from the client; stage.prepare fetches the schemas they were written with (avro.go).
//  3. worker.transaction begins a Kafka transaction and steps through the records.
//  4. Stage 1, ingestStep.step (ingest.go): source decodes the value, or the source's mapping makes interactions and directives
//     of it (input.go); normalize finds realm, identifiers and hashes. The effects (ingest_stage.go) are records of the keyed topic, key
//     StoreCode|UserId, partition by realm; or rejects (reject.go).
//  5. Stage 2, resolveStep.step (resolve.go): dedup asks whether the interaction was accepted before, identity adds its evidence
//     and answers with the customer; a directive changes the graph itself. The outcome (outcome.go) is rows, changes, map rows,
//     the event, rejects: values, no effects.
//  6. The effects of stage 2 (resolve_stage.go): rows go into the partition's overlay, records to the topics.
//  7. stage.seal adds the changelog records, the session flushes and commits: outputs, rejects, changelogs and offsets in one
//     transaction.
//  8. stage.apply gives the rows to the Pebble stores, only now that the commit is known.
//
// After an erase the files of a store are rewritten in the background, and it is opened anew (purge.go).
//
// When partitions come or go, assigner.bring opens, restores and closes their stores (assign.go, restore.go). Whatever goes
// wrong on the way has one answer: close the session, forget what is not committed, begin again (worker.run).
//
// Beside that way, questions about customers are answered over HTTP (api.go, questions.go) from snapshots of the stores
// (holdings.go), which show what is committed; archive.go answers them from the directory of a process that does not run.
//
// Beside the way of a record, records are tried: trial.go reads those of a file or of a topic (newest.go) by the same inputs, and
// package try tells what became of them. Rules are tried on evidence that is there: rules_source.go finds it, rules_judge.go
// takes it to other rules, rules_compare.go says how the customers differ, rules_lint.go what looks wrong.
//
// # Packages
//
//	interaction    the words of the domain
//	table          the list of state tables, and the view through which a step reads them
//	source         bytes of a source → interaction; source/mapping: a file that says what the records of a source mean
//	normalize      namespaces, normal forms, block list, realm, keys and hashes
//	dedup          accepted before?
//	identity       evidence → customers and changes: the graph
//	state          Pebble stores: the rows, their position, restore
//	kafka          sessions, topics, offsets; kafka/embedded is a broker inside the process
//	config         YAML → Config
//	try            what becomes of records, told field by field
//	lines          the lines of a file, whatever their length
//	page           text laid out for a terminal
//	demo           a believable retailer and its story; demo/live runs it on a broker inside the process
//
// Stages (source, normalize, dedup, identity) know the words and their tables, never the world; the world (kafka, state)
// never knows the stages; only this package knows both.
//
// # Ten words
//
//	interaction    one thing a customer did, as a source reports it
//	identifier     realm, namespace, domain, value: what names a customer somewhere
//	realm          a boundary that no identity crosses: a retailer
//	evidence       two identifiers occurred in one interaction
//	customer       a set of identifiers of one person, named by its founder
//	keyed          normalised and placed by its realm: what travels between the stages
//	stream time    the greatest append time of the keyed topic so far: the clock of the duplicate window
//	overlay        rows of the transaction under way, seen by its own steps only
//	changelog      the topics from which a store can be made again
//	reject         a record that became no event, parked with the reason and its bytes
package processor
