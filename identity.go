package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast/conf"
	"holdfast/persist"
	"holdfast/quorum"
)

// identify returns what this proxy signs books with. Without stores there are no
// books, and it has no id.
func identify(journal *persist.Journal, c conf.Config, now configuration) (quorum.Identity, error) {
	id, err := ownName(journal, c)
	if err != nil || len(now.Stores) == 0 {
		return quorum.Identity{}, err
	}
	boot, err := quorum.BootID()
	if err != nil {
		return quorum.Identity{}, err
	}
	return quorum.Identity{
		ID: id, Instance: journal.Instance(), Peers: now.Peers, Print: now.print(), New: c.New, Boot: boot, Nonce: nonce,
	}, nil
}

// ownName returns the name that is kept with the journal. It is what --id said at
// the first start, or made then; later another one is refused, since the books
// and the peers know what this journal granted by its name.
func ownName(journal *persist.Journal, c conf.Config) (string, error) {
	kept := journal.Label()
	switch {
	case kept != "" && (c.ID == "" || c.ID == kept):
		return kept, nil
	case kept != "":
		return "", fmt.Errorf("--id says %q, and the data folder %s is that of proxy %q: start it by that name, or give %q a folder of its own", c.ID, c.DataDir, kept, c.ID)
	}
	name := c.ID
	if name == "" {
		name = madeName()
	}
	return name, journal.SetLabel(name)
}

// madeName returns a random name that can be said aloud: two words of 16 bits.
//
// Source: Wilkerson, "A Proposal for Proquints", arXiv:0901.4016.
func madeName() string {
	const consonants, vowels = "bdfghjklmnprstvz", "aiou"
	var random [4]byte
	rand.Read(random[:]) // never fails
	word := func(n uint16) string {
		return string([]byte{
			consonants[n>>12], vowels[n>>10&3], consonants[n>>6&15], vowels[n>>4&3], consonants[n&15],
		})
	}
	return word(binary.BigEndian.Uint16(random[:2])) + "-" + word(binary.BigEndian.Uint16(random[2:]))
}

// nonce returns 16 hex digits that nobody ever had.
func nonce() string {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// author returns by which byte a proxy's numbers are told from those of its peers.
func author(c conf.Config) uint8 {
	if len(c.Peers) == 0 {
		return 0
	}
	n, _ := slices.BinarySearch(c.Peers, c.ID)
	return uint8(1 + n)
}

// A configuration is what leases are granted by. The journal keeps the last one.
type configuration struct {
	Stores   []string `json:"stores"` // names, sorted
	Strategy string   `json:"strategy"`
	MaxTTL   string   `json:"max_ttl"`
	Peers    []string `json:"peers,omitempty"` // sorted
}

func newConfiguration(c conf.Config, stores []quorum.Member) configuration {
	return configuration{slices.Sorted(slices.Values(names(stores))), c.Strategy, c.MaxTTL.String(), c.Peers}
}

// print says it in words: the same ones for all proxies that may share stores.
func (c configuration) print() string {
	return c.list() + printTTL + c.MaxTTL
}

// list is the part of it that decides which votes make a quorum.
func (c configuration) list() string {
	if len(c.Stores) == 0 {
		return "no stores"
	}
	return c.Strategy + " of " + strings.Join(c.Stores, ", ")
}

const printTTL = "; max-ttl "

// printedTTL returns the max-ttl of a printed configuration, 0 if it has none.
func printedTTL(print string) time.Duration {
	_, text, _ := strings.Cut(print, printTTL)
	ttl, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return ttl
}

func (c configuration) equal(d configuration) bool {
	return c.print() == d.print() && slices.Equal(c.Peers, d.Peers)
}

func (c configuration) encode() ([]byte, error) { return json.Marshal(c) }

// lastConfiguration returns what the journal's leases were granted by; false if
// it has none yet.
func lastConfiguration(journal *persist.Journal) (configuration, bool, error) {
	text := journal.Configuration()
	if len(text) == 0 {
		return configuration{}, false, nil
	}
	var c configuration
	if err := json.Unmarshal(text, &c); err != nil {
		return c, false, fmt.Errorf("the journal's last configuration: %w", err)
	}
	for i, name := range c.Stores {
		if u, err := url.Parse(name); err == nil {
			c.Stores[i] = storeName(u) // an earlier version may have written it in another form
		}
	}
	slices.Sort(c.Stores)
	return c, true, nil
}
