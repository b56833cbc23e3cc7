package quorum

import (
	"os"
	"time"
)

var reviewStorms = map[string]*storm{
	"crowd": {name: "wrecks of a crowd", every: 700 * time.Millisecond, blow: (*world).wreckSome, slow: 0.3, lag: 0.15, crowd: true},
	"lone":  {name: "wrecks", every: 700 * time.Millisecond, blow: (*world).wreckSome, slow: 0.4, lag: 0.1},
	"away":  {name: "wrecks, and one away", every: 900 * time.Millisecond, blow: (*world).wreckAway, slow: 0.3, lag: 0.1, crowd: true},
	"old":   {name: "old data and crashes", every: 900 * time.Millisecond, blow: (*world).wreckOld, slow: 0.3, lag: 0.1, crowd: true},
	"jump":  {name: "jumps, some unseen", every: 900 * time.Millisecond, blow: (*world).wreckJump, slow: 0.4, lag: 0.1},
}

func init() {
	if s := reviewStorms[os.Getenv("HF_STORM")]; s != nil {
		for i := range uint64(100) {
			rareStorms[i] = s
		}
	}
}

func (w *world) wreckSome() {
	if w.chance(0.7) {
		w.after(w.upTo(50*time.Millisecond), w.crashOne)
	}
	p := w.rng.Float64()
	for _, s := range w.stores {
		if w.chance(p) {
			w.after(w.upTo(400*time.Millisecond), func() { w.flush(s) })
		}
	}
	if w.chance(0.3) {
		w.after(w.upTo(600*time.Millisecond), w.cutOne)
	}
}

func (w *world) wreckAway() {
	w.wreckSome()
	if w.chance(0.3) {
		w.cutOne()
	}
	n := w.nodes[len(w.nodes)-1]
	if w.chance(0.3) && n.proxy != nil {
		n.paused = w.now.Add(w.upTo(2 * w.cfg.MaxTTL))
	}
	w.crash(n)
}

func (w *world) wreckOld() {
	if w.chance(0.6) {
		w.after(w.upTo(50*time.Millisecond), w.crashOne)
	}
	for _, s := range w.stores {
		switch w.rng.IntN(6) {
		case 0:
			w.after(w.upTo(100*time.Millisecond), func() { w.restart(s, s.saved.clone()) })
		case 1:
			w.after(w.upTo(100*time.Millisecond), func() { w.flush(s) })
		case 2, 3:
			w.after(w.upTo(300*time.Millisecond), func() { s.saved = s.clone() })
		}
	}
}

func (w *world) wreckJump() {
	for _, n := range w.nodes {
		if w.chance(0.7) {
			w.crash(n)
		}
	}
	for _, s := range w.stores {
		if w.chance(0.6) {
			w.after(w.upTo(100*time.Millisecond), func() { w.setClock(s, time.Duration((w.rng.Float64()*1.5-0.5)*float64(w.cfg.MaxTTL))) })
		}
	}
}
