package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"holdfast/conf"
)

// statusLocks is how many locks status prints: the rest is what LOCKS is for.
const statusLocks = 50

// A report is what a running holdfast said of itself.
type report struct {
	Listen string            `json:"listen"`
	Info   map[string]string `json:"info"`
	Stores []map[string]any  `json:"stores"`
	Locks  []map[string]any  `json:"locks"`
}

// status asks a running holdfast, over its own port, what it sees.
func status(ctx context.Context, c conf.Config, asJSON bool, out io.Writer) error {
	r, err := ask(ctx, c)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.Listen, err)
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.print(out)
}

func ask(ctx context.Context, c conf.Config) (report, error) {
	r := report{Listen: c.Listen}
	client := goredis.NewClient(&goredis.Options{
		Addr: c.Listen, Password: c.RequirePass, Protocol: 3, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 2 * time.Second, ReadTimeout: 10 * time.Second,
	})
	defer func() { _ = client.Close() }()
	text, err := client.Info(ctx).Result()
	if err != nil {
		return r, err
	}
	r.Info = fields(text)
	if r.Stores, err = maps(client.Do(ctx, "STORES")); err != nil {
		return r, err
	}
	r.Locks, err = maps(client.Do(ctx, "LOCKS", "COUNT", statusLocks))
	return r, err
}

// fields reads the lines "key:value" of INFO.
func fields(info string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(k, "#") {
			m[k] = v
		}
	}
	return m
}

// maps reads a reply that is an array of maps.
func maps(cmd *goredis.Cmd) ([]map[string]any, error) {
	items, err := cmd.Slice()
	if err != nil {
		return nil, err
	}
	all := make([]map[string]any, 0, len(items))
	for _, item := range items {
		pairs, ok := item.(map[any]any)
		if !ok {
			return nil, fmt.Errorf("%v: a reply of %T, want a map: is that a holdfast?", cmd.Args()[0], item)
		}
		m := make(map[string]any, len(pairs))
		for k, v := range pairs {
			m[fmt.Sprint(k)] = v
		}
		all = append(all, m)
	}
	return all, nil
}

func (r report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "holdfast on %s, %s s up, %s clients, %s leases\n", r.Listen,
		r.Info["uptime_in_seconds"], r.Info["connected_clients"], r.Info["leases"])
	if len(r.Stores) == 0 {
		fmt.Fprintln(w, "no stores: the journal alone decides")
	} else {
		fmt.Fprintf(w, "%s of %d stores, %s votes needed\n", r.Info["strategy"], len(r.Stores), r.Info["stores_needed"])
		r.printPeers(w)
		fmt.Fprintln(w, "STORE\tSTATE\tFOR\tGRANTED\tREFUSED\tSILENT\tQUEUED\tMISSING\tBOOK\tLAST EVENT")
	}
	for _, s := range r.Stores {
		state := "DOWN"
		if s["up"] == true {
			state = "up"
		}
		lasted, _ := s["for-ms"].(int64)
		event := "none"
		if ago, _ := s["event-ms-ago"].(int64); ago >= 0 {
			event = fmt.Sprintf("%v ago %v: %v", (time.Duration(ago) * time.Millisecond).Round(time.Second), s["event"], s["event-text"])
		}
		fmt.Fprintf(w, "%v\t%s\t%v\t%v\t%v\t%v\t%v\t%v\t%s\t%v\n", s["name"], state,
			(time.Duration(lasted) * time.Millisecond).Round(time.Second),
			s["granted"], s["refused"], s["silent"], s["queued"], s["missing"], bookOf(s), event)
	}
	if len(r.Locks) > 0 {
		fmt.Fprintln(w, "\nLOCK\tTOKEN\tFENCE\tLEFT")
	}
	for _, l := range r.Locks {
		left, _ := l["pttl"].(int64)
		fmt.Fprintf(w, "%q\t%q\t%v\t%v\n", l["name"], l["token"], l["fence"], time.Duration(left)*time.Millisecond)
	}
	if len(r.Locks) == statusLocks {
		fmt.Fprintf(w, "... the first %d; LOCKS tells of the others\n", statusLocks)
	}
	return w.Flush()
}

// A peerLine is what a running holdfast says of one of its peers.
type peerLine struct {
	id, state, instance string
	moved               time.Duration // since its beat moved
}

// peers reads the lines "peer0:id=...,state=..." of INFO.
func (r report) peers() (peers []peerLine) {
	count, _ := strconv.Atoi(r.Info["peers"])
	for i := range count {
		m := map[string]string{}
		for pair := range strings.SplitSeq(r.Info[fmt.Sprintf("peer%d", i)], ",") {
			k, v, _ := strings.Cut(pair, "=")
			m[k] = v
		}
		millis, _ := strconv.ParseInt(m["moved_ms_ago"], 10, 64)
		peers = append(peers, peerLine{m["id"], m["state"], m["instance"], time.Duration(millis) * time.Millisecond})
	}
	return peers
}

// printPeers says who shares the stores.
func (r report) printPeers(w io.Writer) {
	if why := r.Info["refused"]; why != "" {
		fmt.Fprintf(w, "NOTHING IS SERVED: %s\n", why)
	}
	peers := r.peers()
	switch {
	case r.Info["proxy_id"] == "":
		fmt.Fprintln(w)
		return
	case len(peers) == 0:
		fmt.Fprintf(w, "it is %s, without peers\n\n", r.Info["proxy_id"])
		return
	}
	fmt.Fprintf(w, "it is %s, with %d peers\n\nPEER\tSTATE\tINSTANCE\tMOVED\n", r.Info["proxy_id"], len(peers))
	for _, p := range peers {
		moved := "never"
		if p.instance != "" {
			moved = fmt.Sprintf("%v ago", p.moved.Round(time.Second))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.id, p.state, p.instance, moved)
	}
	fmt.Fprintln(w)
}

// bookOf says how a store's book stands, and whether its votes count.
func bookOf(store map[string]any) string {
	phase, _ := store["phase"].(string)
	if phase == "" {
		phase = "unsigned"
	}
	waits, _ := store["waits-for"].(string)
	switch {
	case store["whole"] == true && waits != "":
		return phase + ", votes, but " + waits
	case store["whole"] == true:
		return phase + ", whole"
	case waits == "":
		return phase
	}
	return phase + ", waits: " + waits
}
