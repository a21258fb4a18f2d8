// Package mapping says in a file what a source means, and makes interactions, directives, rejects and ignores of its records.
//
// # The file
//
// One YAML file a source, checked as a whole before anything runs: every fault is told at once, with line and column.
//
//	source: NAME
//	extends: NAME                           # see below
//	inputs:   [ {name, when, format, …} ]   # in which ways its values are written; the first whose when holds
//	let:      {name: …}                     # values that the rest may name as $name
//	defaults: {FIELD: …}                    # for every rule
//	rules:    [ {when, FIELD: …} | {when, ignore: reason} | {when, reject: reason} | {when, directive: …, FIELD: …} ]
//
// The first rule whose condition holds makes the interaction. An expression is a path into the record, a list of which the first
// that is there counts, or an object with the words when, path, const, key, match, none, as, map and prefix. There are no
// scripts, no arithmetic but the word scale, and no loops but explode, each and lines. Nothing is guessed: what a value is
// written in is declared.
//
// The mappings in schemas/sources are the examples, and testdata/stories shows every word at work.
//
// # extends
//
// A file with extends: NAME lays itself over another, a preset or a file of the same folder, which may lie over a third:
//
//   - source and inputs replace those of the base, inputs as a whole.
//   - let and defaults replace by name: a value of let takes the place of that with the same name, a field of defaults replaces
//     that field as a whole; what is new comes behind. The fields of defaults hold for the rules of the base, too.
//   - rules come before those of the base. So a rule can take records away from the base, and every other goes on to it. A rule
//     of the base that is never reached for that reason is no fault.
//
// A file that extends itself, by whatever way, is refused.
//
// # Reading the file, applying the mapping
//
// Compile turns the file into values with their places (yaml.go), lays the files over each other and compiles them
// (compile.go, compile_expr.go, compile_fields.go), and looks for rules that are never reached (reach.go). Apply decodes the
// value into a tree (decode.go, package source), goes through its elements and finds their rules (run.go), and makes the fields
// (fields.go) by expressions and conditions (expr.go). A path is a slot: it is walked once for a record or an element, however
// many expressions ask for it.
//
// Nothing in a record stops the program, and none takes more than the bounds of limits.go allow: what exceeds one is a reject.
package mapping
