// Package integration starts the real binary with real servers and real
// clients, and asks as a stranger would: over TCP, by signals and exit statuses,
// and by looking into the stores.
//
// Nothing here knows how the program works inside, so nothing here needs to
// change when that does. Whatever waits for something polls for it; whatever
// measures time counts it on this process's monotonic clock, from before a
// request is sent and after its reply has come.
//
// TORTURE_TIME says how long all scenarios of the torture together go on; without
// it some of them are tried for a few seconds each. TORTURE_OUT names a folder for
// pictures of the histories. COMPAT has lock libraries' own tests run to the last,
// and wants port 6379 for that.
//
// BenchmarkSpeed compares the program with what one would use instead, and
// BenchmarkGrowth measures how its speed changes with connections, stores and
// leases: both by the program's own bench. -speed.time and -growth.time say how
// long they take for one side or one point.
package integration
