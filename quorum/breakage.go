package quorum

// A breakage leaves rules out, so that the simulation can show that it notices,
// and that each rule is needed.
type breakage uint

const (
	breakJournalFirst breakage = 1 << iota // grant before the journal has it
	breakPendingHeld                       // take a pending lease of the journal for none
	breakOneAtATime                        // let ops run on names that are being changed
	breakReserve                           // give out numbers that the journal did not allow
	breakExpiry                            // let the end of a lease erase the change that follows it
	breakOutlive                           // let the copy of an undecided change end before what it replaces
	breakTooSlow                           // grant what has no validity left

	breakPeers       // nothing: histories with peers only
	breakUnread      // rule 1: count votes whatever the book says
	breakEpoch       // rule 2: count what an older epoch said
	breakReseed      // rule 3: sign before every lease is back
	breakOver        // rule 4: put our lease over somebody else's
	breakWhole       // rule 5: ask a store that not every peer has signed
	breakOutwait     // rule 5: take a peer for dead at once
	breakIncarnation // rule 6: believe in signatures of an earlier incarnation
	breakFresh       // rule 7: sign with an empty journal
	breakMarks       // rule 8: take numbers that others may have passed
	breakSight       // rule 8: let a lease go as soon as a newer copy is seen anywhere
	breakStrangers   // rule 9: serve beside those who are not on the list
	breakNotices     // rule 10: put copies back without looking for a notice
	breakDeny        // rule 10: deny by the own table
	breakMove        // rule 11: take up another list of stores at once
	breakStrict      // swap where there is no copy, or an older one
	breakVersion     // let an extension keep its version
	breakSure        // believe in peers that we did not see look after the store's clock
	breakVoid        // rule 1: let votes stand of a store that has forgotten since
	breakUnsure      // rule 10: leave notices of what may never have been granted
	breakBackfill    // section 3: undo late by taking out, not by putting back
	breakAdopt       // section 3: take a copy that was seen for the lease, though we have that
	breakRivals      // section 3: answer by the one of two possible leases
	breakPace        // rule 6: let a signature stand though the store's clock may have jumped unseen
	breakOwed        // rule 3: take a store's word on locks that its signatures leave out
	breakTwice       // section 3: make anew what a silent store may have made and a peer went on from
)
