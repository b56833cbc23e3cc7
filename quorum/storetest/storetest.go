// Package storetest holds what every store driver is tested by: one conformance
// suite, [Run]; real servers to run it against, [StartRedis], [StartShiftedRedis]
// and [StartMemcached]; and [Fake], a store in memory that passes the same suite,
// for tests of what is built on stores.
//
// A fake behaves instead of replaying calls: it keeps time by the clock it is
// given, forgets when it is restarted, carries out what it was sent although
// nobody waits for the answer any more, and loses answers after acting. It
// starts no goroutine and never polls, so it may live in a testing/synctest
// bubble.
//
// The package knows nothing of any driver: drivers' tests import it.
package storetest

import (
	"testing"
	"time"

	"holdfast/quorum"
)

// A Rig is one store under test and the hands that reach it past its driver.
// Plant and Fetch are handed plain names only, letters and digits.
type Rig struct {
	Store quorum.Store // not connected yet; whoever made it closes it
	// Another makes one more store of the same server, not connected either.
	Another func() quorum.Store

	Restart func() // kills the server and starts it again, empty, at the same address
	Flush   func() // empties it, and leaves it running
	Pause   func() // it stops in its tracks; the kernel still takes what is sent to it
	Resume  func() // it goes on where it stopped

	// Plant puts value under name as somebody who locks directly would. A ttl of
	// 0 is none.
	Plant func(name string, value []byte, ttl time.Duration)
	// Fetch returns what is there, and what is left of its TTL, 0 if it has none.
	Fetch func(name string) (value []byte, left time.Duration, ok bool)
}

// Run tests that a driver keeps the promises of [quorum.Store]. It calls fresh
// for a new, empty store as often as it needs one.
func Run(t *testing.T, fresh func(t *testing.T) Rig) {
	for _, promise := range []struct {
		name string
		test func(*testing.T, Rig)
	}{
		{"AnUnconnectedStoreIsSentNothing", testUnconnected},
		{"SwapIsStrict", testStrict},
		{"SwapIsGrantedWhereExactlyPrevIs", testSwap},
		{"OrNoneTellsWhatWasThere", testOrNone},
		{"NextNilDeletes", testDelete},
		{"ACopyStaysForItsTTL", testStays},
		{"TTLIsNeverShorterThanAsked", testTTL},
		{"ReadTellsOursFromForeign", testRead},
		{"AnyValueComesBackAsItWas", testValues},
		{"NoTwoNamesShareACopy", testNames},
		{"ABatchIsCarriedOutInOrder", testOrder},
		{"ABigBatchIsAnsweredInFull", testBigBatch},
		{"AnEmptyBatchIsNoError", testEmptyBatch},
		{"ADeadlineEndsTheWaitForAPausedStore", testDeadline},
		{"ACancelEndsTheWaitForAPausedStore", testCancel},
		{"ADoneContextSendsNothing", testDoneContext},
		{"NothingOfAnEarlierConnectionComesLate", testLate},
		{"ARestartIsAnotherIncarnation", testRestart},
		{"AFlushTakesEveryCopy", testFlush},
		{"CheckTellsWhetherExactlyPrevIsThere", testCheck},
		{"AGuardedSwapIsStrictToo", testGuarded},
		{"ANoticeStopsWhatHasEnded", testHeed},
		{"ANoticeIsLeftWhateverComesOfTheSwap", testNotice},
		{"ALaterNoticeStays", testLaterNotice},
		{"ANoticeStaysForItsTime", testNoticeTTL},
		{"NoTwoNamesShareANotice", testNoticeNames},
		{"AMarkIsPassedUpwardsOnly", testMark},
		{"ARefusedSwapLeavesNoMark", testRefusedMark},
		{"EachBucketHasItsMark", testBuckets},
		{"SignReplacesExactlyWas", testSign},
		{"OnlyKeepsStrangersOut", testOnly},
		{"OneOfTwoSignersWins", testSignRace},
		{"AFlushVoidsAPendingSignature", testVoided},
		{"TheBookShowsWhatItsBatchSigned", testReadBookLast},
		{"TearTakesTheBookAlone", testTear},
		{"BookNoticesAndMarksAreForgottenToo", testForgets},
		{"NamesOfOurOwnAreNoLocks", testReserved},
		{"FactsArePlausible", testFacts},
		{"AClosedStoreStaysClosed", testClosed},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.test(t, fresh(t)) })
	}
}

// Eventually waits until done returns true, and fails the test when that takes
// longer than ten seconds.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	if !poll(10*time.Second, done) {
		t.Fatalf("%s: not within 10s", what)
	}
}

// poll asks done every few milliseconds until it returns true or patience ends.
func poll(patience time.Duration, done func() bool) bool {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end.C:
			return false
		}
	}
	return true
}
