// Package quorum asks several independent stores one question, and counts.
//
// A lock is granted when enough stores grant it, the journal has it on disk, and
// validity is left once both are true. What holds everywhere in here:
//
//   - A quorum is counted over the stores configured, never those reachable.
//   - Silence is not refusal: a store that did not answer may have granted.
//   - Validity is counted from before the first request left.
//   - Everything that happens to a lock is one [Part] of a change: this lease in
//     the place of that one, if that one is still there. All parts or none.
//   - One change at a time for one name: nothing is built on the undecided.
//   - Numbers never repeat: no two copies, of whatever attempt, are alike.
//   - A store that forgot says nothing of a lock until everybody has put back what
//     he knows of it, and signed for that: its book tells, see book.go and the files
//     beside it. The rules of that are numbered where they are kept.
//
// [Core] decides, and is pure: no goroutine, no clock, no network, no disk. The
// same calls in the same order give the same answers, so one seed replays a
// whole history. [Keeper] is the thin layer that gives it a clock, a [Journal]
// and one lane to each [Store].
//
// The package knows stores, votes, leases and time; nothing of RESP, of clients
// or of what a value means.
package quorum
