package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

// adminLine is how the program says where operators may ask.
var adminLine = regexp.MustCompile(`admin\.listening.* address=(\S+)`)

// admin returns the URL that the program answers operators at.
func (p *program) admin() string {
	p.t.Helper()
	var found []string
	storetest.Eventually(p.t, "it says where it answers operators", func() bool {
		found = adminLine.FindStringSubmatch(p.logs.String())
		return found != nil
	})
	return "http://" + found[1]
}

// fetch returns the status and the body of a page.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatalf("get %s: %v", url, err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("get %s: %v", url, err)
	}
	return r.StatusCode, string(b)
}

func TestOperatorsSeeWhetherLocksCanBeGranted(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	p := startHoldfast(t, flags(all, "--admin", "127.0.0.1:0")...)
	c, at := strict(t, p.addr), p.admin()
	warmUp(t, c, all)
	wantPage := func(path string, want int, words ...string) {
		t.Helper()
		var status int
		var body string
		storetest.Eventually(t, path+" is as it should be", func() bool { // a store's death is noticed in a moment
			status, body = fetch(t, at+path)
			return status == want
		})
		wantWords(t, path, body, words...)
	}
	if ok, err := acquire(t.Context(), c, "warm-up", newToken(), time.Minute); ok || err != nil {
		t.Fatalf("acquire what is held: %t, %v, want it denied", ok, err)
	}
	wantPage("/healthz", 200, "ok")
	wantPage("/readyz", 200, "ok")
	wantPage("/metrics", 200, "\nholdfast_leases 1\n", `holdfast_store_up{store="`+all[0].url()+`"} 1`,
		`holdfast_changes_total{deed="acquire",outcome="granted"} 1`, `holdfast_changes_total{deed="acquire",outcome="held"} 1`, "holdfast_journal_sync_seconds_count ", "holdfast_commands_total ",
		`holdfast_votes_total{store="`+all[0].url()+`",verdict="granted"} 1`)
	all[0].Kill()
	storetest.Eventually(t, "one store's death is noticed", func() bool {
		_, body := fetch(t, at+"/metrics")
		return strings.Contains(body, `holdfast_store_up{store="`+all[0].url()+`"} 0`)
	})
	wantPage("/readyz", 200, "ok")
	all[1].Kill()
	wantPage("/readyz", 503, "1 of 3 stores are up, need 2")
	wantPage("/healthz", 200, "ok")
	all[0].Start()
	wantPage("/readyz", 200, "ok")
	if status, _ := fetch(t, at+"/"); status != 404 {
		t.Errorf("a page that there is not: status %d, want 404", status)
	}
}

func TestStatusTellsWhatARunningOneSees(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	p := startHoldfast(t, flags(all)...)
	c := strict(t, p.addr)
	warmUp(t, c, all)
	token := mustAcquire(t, c, "orders", time.Minute)
	all[2].Kill()
	mustAcquire(t, c, "later", time.Minute)
	var o outcome
	storetest.Eventually(t, "the death of a store is told", func() bool {
		o = holdfast(t, "status", "--listen", p.addr)
		return strings.Contains(o.out, "DOWN")
	})
	if o.status != 0 {
		t.Errorf("status %d, want 0: %s", o.status, o.err)
	}
	wantWords(t, "status", o.out, p.addr, "3 leases", "majority of 3 stores", "2 votes needed",
		all[0].url(), all[2].url(), `"orders"`, token)

	o = holdfast(t, "status", "--listen", p.addr, "--json")
	var told struct {
		Stores []struct {
			Name string
			Up   bool
		}
		Locks []struct{ Name, Token string }
	}
	if err := json.Unmarshal([]byte(o.out), &told); err != nil || o.status != 0 {
		t.Fatalf("status --json: status %d, %v\n%s", o.status, err, o.out)
	}
	if len(told.Stores) != 3 || !told.Stores[0].Up || told.Stores[2].Up || told.Stores[2].Name != all[2].url() {
		t.Errorf("status --json tells of %+v, want three stores, the last one %s and down", told.Stores, all[2].url())
	}
	if len(told.Locks) != 3 || told.Locks[1].Name != "orders" || told.Locks[1].Token != token {
		t.Errorf("status --json tells of %+v, want three locks, sorted, orders by %s", told.Locks, token)
	}

	p.kill()
	o = holdfast(t, "status", "--listen", p.addr)
	if o.status != 1 {
		t.Errorf("status of one that does not run: status %d, want 1\n%s", o.status, o.out)
	}
	wantWords(t, "status of one that does not run", o.err, p.addr, "refused")
}
