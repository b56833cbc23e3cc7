package commands

import (
	"bytes"
	"encoding/json"

	"holdfast/quorum"
)

// Channels on which holdfast tells what happened. Nobody else may publish there.
const (
	eventsChannel = reserved + "events"
	lostChannel   = reserved + "lost:" // and the name of the lock
	lostKind      = "lease.lost"
)

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// An eventLine is an event as subscribers get it.
type eventLine struct {
	Kind  string `json:"kind"`
	Store string `json:"store"` // "" if it is about none
	Lock  string `json:"lock"`  // as the stores know it; "" if it is about none
	Why   string `json:"why"`
	Time  string `json:"time"`
}

// Publish sends a message to all who are subscribed to channel, soon. It never
// waits, and costs next to nothing while nobody is subscribed to anything. The
// message must not be changed afterwards.
func (e *Engine) Publish(channel string, message []byte) {
	e.hub.post(post{channels, channel, message})
}

// Tell publishes an event of the keeper as one line of JSON, which happened to the
// store of that name if to any: on holdfast:events and, if a lease was lost, on
// holdfast:lost:<lock> too. It never waits.
func (e *Engine) Tell(ev quorum.Event, store string) {
	if e.hub.total.Load() == 0 {
		return
	}
	line := encodeEvent(eventLine{ev.Kind, store, ev.Name, ev.Text, e.wall().UTC().Format(timeLayout)})
	e.Publish(eventsChannel, line)
	if ev.Kind == lostKind && ev.Name != "" {
		e.Publish(lostChannel+ev.Name, line)
	}
}

// encodeEvent leaves <, > and & as they are: people read this.
func encodeEvent(l eventLine) []byte {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	_ = out.Encode(l) // strings can always be encoded
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
