package commands

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// tracking is what a session wants to be told of.
type tracking struct {
	tracks       atomic.Bool // changed with tracker.mu held, by the session's commands
	trackingMode             // guarded by tracker.mu: whoever closes the session ends it
	caching      caching     // of the next command; only the session's commands know it

	read      map[string]*interest // guarded by tracker.mu
	readBytes int                  // guarded by tracker.mu; what they count for
}

type trackingMode struct {
	bcast, optIn, optOut, noLoop bool
	redirect                     uint64 // who is told instead; 0: itself
	broken                       bool   // that one is gone
	prefixes                     []string
}

// caching is what CLIENT CACHING said of the next command.
type caching uint8

const (
	cachingUnsaid caching = iota
	cachingYes
	cachingNo
)

// tracksNext reports whether what the command under way reads is to be tracked.
func (s *Session) tracksNext() bool {
	if !s.tracks.Load() {
		return false
	}
	t := s.engine.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case s.bcast:
		return false
	case s.optIn:
		return s.caching == cachingYes
	case s.optOut:
		return s.caching != cachingNo
	}
	return true
}

// spendCaching ends CLIENT CACHING with the command that it was about: the next
// one, or all of the next transaction.
func (s *Session) spendCaching(c *command) {
	if s.caching != cachingUnsaid && !s.open && (c == nil || !strings.HasPrefix(c.name, "client|")) {
		s.caching = cachingUnsaid
	}
}

// clientTracking is CLIENT TRACKING. No push comes before its reply.
func clientTracking(s *Session, _ *command, r request) {
	t := s.engine.tracker
	t.mu.Lock()
	on, mode, bad := s.parseTracking(r.args[2:])
	t.mu.Unlock()
	if bad != nil {
		r.answer(*bad, s.protocol())
		return
	}
	begin := on
	if begin {
		t.start()
		t.listen(1) // before anything is tracked
	}
	t.mu.Lock()
	was := s.tracks.Load()
	switch {
	case s.isClosed(): // it was forgotten, or will be
		on = false
	case on:
		t.onLocked(s, mode)
	default:
		t.offLocked(s)
	}
	tracks := s.tracks.Load()
	r.answer(sayOK(), s.protocol())
	t.mu.Unlock()
	if was && !tracks || begin && (was || !tracks) {
		t.listen(-1)
	}
	if on && s.isClosed() {
		t.forget(s)
	}
}

// onLocked begins to track, or goes on with more prefixes.
func (t *tracker) onLocked(s *Session, mode trackingMode) {
	for _, prefix := range mode.prefixes {
		if t.prefixes[prefix] == nil {
			t.prefixes[prefix] = map[*Session]struct{}{}
		}
		t.prefixes[prefix][s] = struct{}{}
	}
	mode.prefixes = append(s.prefixes, mode.prefixes...)
	slices.Sort(mode.prefixes)
	s.trackingMode = mode
	if s.read == nil {
		s.read = map[string]*interest{}
	}
	s.tracks.Store(true)
}

// parseTracking reads on|off and the options, and checks them against each other
// and what is tracked already. The tracker's mutex is held.
//
// Source: Redis, clientCommand, for the order of the checks.
func (s *Session) parseTracking(args [][]byte) (on bool, mode trackingMode, bad *Reply) {
	fail := func(text string) (bool, trackingMode, *Reply) {
		return false, mode, &Reply{kind: failure, text: text}
	}
	for i := 1; i < len(args); i++ {
		more := i+1 < len(args)
		switch {
		case is(args[i], "redirect") && more:
			i++
			if mode.redirect != 0 {
				return fail("ERR A client can only redirect to a single other client")
			}
			id, ok := parseInt(args[i])
			if !ok {
				return fail(errNotInteger)
			}
			if id < 1 || s.engine.session(uint64(id)) == nil {
				return fail("ERR The client ID you want redirect to does not exist")
			}
			mode.redirect = uint64(id)
		case is(args[i], "bcast"):
			mode.bcast = true
		case is(args[i], "optin"):
			mode.optIn = true
		case is(args[i], "optout"):
			mode.optOut = true
		case is(args[i], "noloop"):
			mode.noLoop = true
		case is(args[i], "prefix") && more:
			i++
			mode.prefixes = append(mode.prefixes, string(args[i]))
		default:
			return fail(errSyntax)
		}
	}
	switch {
	case is(args[0], "off"):
		return false, mode, nil
	case !is(args[0], "on"):
		return fail(errSyntax)
	}
	if why := s.checkTracking(&mode); why != "" {
		return fail(why)
	}
	return true, mode, nil
}

func (s *Session) checkTracking(mode *trackingMode) (why string) {
	tracks := s.tracks.Load()
	switch {
	case !mode.bcast && len(mode.prefixes) > 0:
		return "ERR PREFIX option requires BCAST mode to be enabled"
	case tracks && s.bcast != mode.bcast:
		return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	case mode.bcast && (mode.optIn || mode.optOut):
		return "ERR OPTIN and OPTOUT are not compatible with BCAST"
	case mode.optIn && mode.optOut:
		return "ERR You can't specify both OPTIN mode and OPTOUT mode"
	case tracks && (mode.optIn && s.optOut || mode.optOut && s.optIn):
		return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
	case !mode.bcast:
		return ""
	}
	if len(mode.prefixes) == 0 && len(s.prefixes) == 0 {
		mode.prefixes = []string{""}
	}
	bytes := 0
	for i, prefix := range mode.prefixes {
		bytes += len(prefix) + interestCost
		if other, ok := overlapping(prefix, s.prefixes); ok {
			return fmt.Sprintf("ERR Prefix '%s' overlaps with an existing prefix '%s'. Prefixes for a single client must not overlap.", prefix, other)
		}
		if other, ok := overlapping(prefix, mode.prefixes[i+1:]); ok {
			return fmt.Sprintf("ERR Prefix '%s' overlaps with another provided prefix '%s'. Prefixes for a single client must not overlap.", prefix, other)
		}
	}
	if bytes > 64<<10 || len(s.prefixes) > 256 {
		return "ERR the prefixes of one connection may take 64 KiB"
	}
	return ""
}

// overlapping returns one of others that begins as prefix does, or the other way
// round.
func overlapping(prefix string, others []string) (other string, found bool) {
	i := slices.IndexFunc(others, func(other string) bool {
		return strings.HasPrefix(prefix, other) || strings.HasPrefix(other, prefix)
	})
	if i < 0 {
		return "", false
	}
	return others[i], true
}

func clientCaching(s *Session, args [][]byte) Reply {
	t := s.engine.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	tracks := s.tracks.Load()
	switch {
	case !tracks:
		return sayFailure("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	case is(args[2], "yes") && s.optIn:
		s.caching = cachingYes
	case is(args[2], "yes"):
		return sayFailure("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
	case is(args[2], "no") && s.optOut:
		s.caching = cachingNo
	case is(args[2], "no"):
		return sayFailure("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	default:
		return sayFailure(errSyntax)
	}
	return sayOK()
}

// redirected returns whom a session has told instead: 0 for nobody, -1 if it does
// not track.
func (t *tracker) redirected(s *Session) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.redirectedLocked()
}

// redirectedLocked is redirected with the tracker's mutex held.
func (s *Session) redirectedLocked() int64 {
	if !s.tracks.Load() {
		return -1
	}
	return int64(s.redirect)
}

func clientGetRedir(s *Session, _ [][]byte) Reply { return sayInt(s.engine.tracker.redirected(s)) }

func clientTrackingInfo(s *Session, _ [][]byte) Reply {
	t := s.engine.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	tracks := s.tracks.Load()
	var flags, prefixes []Reply
	for _, f := range []struct {
		is   bool
		name string
	}{
		{!tracks, "off"}, {tracks, "on"}, {s.bcast, "bcast"}, {s.optIn, "optin"}, {s.caching == cachingYes, "caching-yes"},
		{s.optOut, "optout"}, {s.caching == cachingNo, "caching-no"}, {s.noLoop, "noloop"}, {s.broken, "broken_redirect"},
	} {
		if f.is {
			flags = append(flags, sayText(f.name))
		}
	}
	for _, prefix := range s.prefixes {
		prefixes = append(prefixes, sayText(prefix))
	}
	return sayPairs(sayText("flags"), saySet(flags...), sayText("redirect"), sayInt(s.redirectedLocked()), sayText("prefixes"), sayArray(prefixes...))
}
