package storetest

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/quorum"
)

func testValues(t *testing.T, rig Rig) {
	b := connected(t, rig)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, value := range []string{
		"",
		"1",
		"\x00",
		"\r\n",
		"END\r\nSTORED\r\n",
		string(every),
		"~",
		"a~b.c",
		"token~0000000000000107.0000000000000207",
		"~0000000000000107.0000000000000207",
		strings.Repeat("~0000000000000107.0000000000000207", 3),
		strings.Repeat("x", 16<<10),
		strings.Repeat(string(every), 256), // 64 KiB
	} {
		name := fmt.Sprintf("value%d", i)
		first, second := mine(value, 5, 5), mine(value, 5, 6)
		b.must(quorum.Granted, swap(name, nil, first))
		b.find(name, first)
		b.holds(name, first)
		b.must(quorum.Granted, swap(name, first, second))
		if v := b.must(quorum.Refused, swap(name, first, nil)); !v.Found.Equal(second) {
			t.Errorf("value %.40q: found %s, want %s", value, showCopy(v.Found), showCopy(second))
		}
		b.must(quorum.Granted, swap(name, second, nil))
	}
}

// testNames gives every name a copy of its own in one batch: two names that the
// driver took for one would refuse each other.
func testNames(t *testing.T, rig Rig) {
	b := connected(t, rig)
	long := strings.Repeat("n", 64<<10)
	names := []string{
		"a", "A", "a ", " a", "a a", "aa", "a\n", "a\r\n", "a\t", "\n", "\r\n", " ", "\x00", "a\x00", "a\x00b", "\x7f",
		"é", "e\u0301", "日本語", "\xff", "\xff\xfe", "a\xff",
		"a%20", "a%20a", "a:b", "a/b", "{a}b", "a*", "a?", "[a]", `"a"`, `\n`, "-1", "0", "h:a", "noreply", "get a",
		long[:249], long[:250], long[:251], long[:252], long[:250] + " ", long[:250] + "\n",
		long[:1024], long[:len(long)-1], long, long[:len(long)-1] + " ",
		strings.Repeat("é", 125), strings.Repeat("é", 126), strings.Repeat(" ", 250), strings.Repeat(" ", 251),
	}
	var puts, reads, takes []quorum.Request
	for i, name := range names {
		c := mine(fmt.Sprint("value", i), uint64(i+1), uint64(i+1))
		puts = append(puts, swap(name, nil, c))
		reads = append(reads, read(name))
		takes = append(takes, swap(name, c, nil))
	}
	for i, v := range b.do(puts...) {
		if v.Verdict != quorum.Granted {
			t.Errorf("%s: %s by %s (error %v)", show(puts[i]), v.Verdict, showCopy(v.Found), v.Err)
		}
	}
	for i, v := range b.do(reads...) {
		if !v.Found.Equal(puts[i].Next) {
			t.Errorf("%s: found %s, want %s (error %v)", show(reads[i]), showCopy(v.Found), showCopy(puts[i].Next), v.Err)
		}
	}
	for i, v := range b.do(takes...) {
		if v.Verdict != quorum.Granted {
			t.Errorf("%s: %s by %s (error %v)", show(takes[i]), v.Verdict, showCopy(v.Found), v.Err)
		}
	}
}
