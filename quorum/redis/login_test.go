package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// mustGrant connects and takes a lock.
func mustGrant(t *testing.T, store *Store) {
	t.Helper()
	mustConnect(t, store)
	votes := make([]quorum.Vote, 1)
	err := store.Do(t.Context(), []quorum.Request{swap("orders", nil, version(1))}, votes)
	if err != nil || votes[0].Verdict != quorum.Granted {
		t.Fatalf("swap: %s (%v), error %v, want granted", votes[0].Verdict, votes[0].Err, err)
	}
}

func TestPasswordsOpenTheServer(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	for _, command := range [][]any{
		{"ACL", "SETUSER", "locker", "on", ">p@ss", "~*", "&*", "+@all"},
		{"ACL", "SETUSER", "reader", "on", ">p@ss", "~*", "+@read", "+info", "+client", "+hello", "+select"},
		{"ACL", "SETUSER", "illiterate", "on", ">p@ss", "~*", "&*", "+@all", "-hgetall"},
		{"CONFIG", "SET", "requirepass", "se/cret"},
	} {
		if err := direct.Do(t.Context(), command...).Err(); err != nil {
			t.Fatalf("%v: %v", command, err)
		}
	}
	mustGrant(t, mustOpen(t, "redis://:se%2Fcret@"+server.Addr()))
	mustGrant(t, mustOpen(t, "redis://default:se%2Fcret@"+server.Addr()+"/1"))
	mustGrant(t, mustOpen(t, "redis://locker:p%40ss@"+server.Addr()+"/2"))
	for url, want := range map[string]string{
		"redis://" + server.Addr():                  "NOAUTH",
		"redis://:wrongword@" + server.Addr():       "WRONGPASS",
		"redis://locker:wrongword@" + server.Addr(): "WRONGPASS",
		"redis://reader:p%40ss@" + server.Addr():    "NOPERM",

		"redis://illiterate:p%40ss@" + server.Addr(): "read holdfast:book: NOPERM",
	} {
		_, err := mustOpen(t, url).Connect(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("connect to %s: %v, want %s", url, err, want)
		} else if strings.Contains(err.Error(), "wrongword") {
			t.Errorf("connect to %s: the error shows the password: %v", url, err)
		}
	}
}

func TestDatabasesAreApart(t *testing.T) {
	server := storetest.StartRedis(t)
	for _, path := range []string{"", "/1", "/15"} {
		mustGrant(t, mustOpen(t, "redis://"+server.Addr()+path))
	}
	if _, err := mustOpen(t, "redis://"+server.Addr()+"/999").Connect(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "out of range") {
		t.Errorf("connect to database 999: %v, want out of range", err)
	}
}

func TestTLSIsVerifiedUnlessToldOtherwise(t *testing.T) {
	server := storetest.StartRedis(t)
	certificate := selfSigned(t)
	addr := forwardTLS(t, server.Addr(), certificate)
	mustGrant(t, mustOpen(t, "rediss://"+addr+"?insecure_skip_verify=true"))
	store := mustOpen(t, "rediss://"+addr+"/1")
	if _, err := store.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("connect to a server with a certificate of its own making: %v, want a word about that", err)
	}
	store.target.tls.RootCAs = x509.NewCertPool()
	store.target.tls.RootCAs.AddCert(certificate.Leaf)
	mustGrant(t, store)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := mustOpen(t, "rediss://"+server.Addr()).Connect(ctx); err == nil {
		t.Error("connected with TLS to a server without")
	}
	if _, err := mustOpen(t, "redis://"+addr).Connect(ctx); err == nil {
		t.Error("connected without TLS to a server with it")
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("read a certificate: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// forwardTLS takes TLS connections, passes on what is in them, and returns where.
func forwardTLS(t *testing.T, to string, certificate tls.Certificate) string {
	return serve(t, func(conn net.Conn) {
		secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		upstream, err := net.Dial("tcp", to)
		if err != nil {
			t.Errorf("forward to %s: %v", to, err)
			return
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer upstream.Close()
		wg.Go(func() {
			io.Copy(secure, upstream) // until either side hangs up
			secure.Close()
		})
		io.Copy(upstream, secure)
	})
}
