package quorum

import (
	"fmt"
	"testing"
	"time"
)

// An echo answers the core at once: every store grants, and the disk is there.
type echo struct {
	asks  []*Ask
	wants []*Want
}

func (e *echo) Ask(ask *Ask) { e.asks = append(e.asks, ask) }

func (e *echo) Full() bool { return false }

func (e *echo) Write(_ Record, _ bool, want *Want) {
	if want != nil {
		e.wants = append(e.wants, want)
	}
}

func (e *echo) answer(c *Core, now Time) {
	for len(e.asks)+len(e.wants) > 0 {
		asks, wants := e.asks, e.wants
		e.asks, e.wants = nil, nil
		for _, ask := range asks {
			c.Voted(now, ask, Vote{Verdict: Granted})
		}
		for _, want := range wants {
			c.Written(now, want, nil)
		}
	}
}

func BenchmarkCore(b *testing.B) {
	for _, stores := range []int{0, 3} {
		b.Run(fmt.Sprintf("stores=%d", stores), func(b *testing.B) {
			e := &echo{}
			now := Time(time.Hour)
			c := NewCore(deskConfig(stores), e, History{Birth: deskBirth, Limit: deskBirth}, now)
			do := func(op *Op) {
				c.Submit(now, op)
				e.answer(c, now)
				if len(c.finished) != 1 || c.finished[0].result.Outcome != Changed {
					b.Fatalf("ended %+v, want one change", c.finished)
				}
				c.finished = c.finished[:0]
			}
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Microsecond)
				do(acquiring("token", time.Minute, "orders"))
				do(releasing("orders", "token"))
				c.Tick(now)
				for i := range stores {
					c.Chores(now, i, laneChores)
				}
			}
		})
	}
}
