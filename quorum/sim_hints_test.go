package quorum

// simHints is where the search for broken rules begins, by the rules' names. Where histories
// have changed since, it goes on from there. This file is written by
// go test ./quorum -run TestEachBrokenRuleIsNoticed -sim.search -timeout 1h
var simHints = map[string]hint{
	"grant before the journal has it":                                          {30, 30},
	"take a pending lease for none":                                            {1, 1},
	"let ops run on names that are being changed":                              {2, 2},
	"give out numbers that the journal did not allow":                          {1, 1},
	"let the end of a lease erase the change that follows":                     {360, 360},
	"let an undecided copy end before what it replaces":                        {2121, 0},
	"grant what has no validity left":                                          {2, 2},
	"rule 1: count votes whatever the book says":                               {71, 0},
	"rule 2: count what an older epoch said":                                   {452, 0},
	"rule 3: sign before every lease is back":                                  {654, 0},
	"rule 3: take a store's word on what its signatures leave out":             {3140, 0},
	"rule 4: put our lease over somebody else's":                               {3403, 3047},
	"rule 5: ask a store that not every peer has signed":                       {117, 0},
	"rule 5: take a silent peer for dead at once":                              {61, 61},
	"rule 5: believe in peers that may have missed a jump":                     {667178, 504},
	"rule 6: believe in signatures of an earlier incarnation":                  {461, 430},
	"rule 6: let a signature stand whose store's clock may have jumped unseen": {573578, 0},
	"rule 7: sign with an empty journal":                                       {2132, 96},
	"rule 8: take numbers that others may have passed":                         {2, 2},
	"rule 8: let a lease go when a newer copy is seen":                         {48, 0},
	"rule 9: serve beside those who are not on the list":                       {502, 0},
	"rule 10: put back without looking for a notice":                           {1, 1},
	"rule 10: deny by the own table":                                           {2, 2},
	"rule 11: take up another list of stores at once":                          {36, 18},
	"section 3: let an extension keep its version":                             {3, 2},
	"rule 1: let votes stand of a store that forgot since":                     {500, 271},
	"section 3: undo late by taking out, not by putting back":                  {137216, 0},
	"section 3: answer by one of two possible leases":                          {1310, 0},
	"section 3: swap where there is no copy, or an older one":                  {8384, 0},
	"section 3: take a copy that was seen for the lease, though we have that":  {265379, 0},
	"rule 10: leave notices of what may never have been granted":               {359842, 0},
	"section 3: make anew what a peer went on from":                            {711010880, 0},
}
