package commands

import "testing"

func TestIntegersAreReadAsStrictlyAsByRedis(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1": 1, "999": 999, "1000": 1000, "-1": -1, "2147483648": 1 << 31,
		"9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63,
	} {
		if got, ok := parseInt([]byte(in)); !ok || got != want {
			t.Errorf("parseInt(%q) = %d, %t, want %d", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "1e3", "0x10", "a", "--1",
		"9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999",
	} {
		if got, ok := parseInt([]byte(in)); ok {
			t.Errorf("parseInt(%q) = %d, want a refusal", in, got)
		}
	}
}

func TestPatternsMatchAsInRedis(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", false}, {"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "b", false}, {"*", "abc", true},
		{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "axxcyyb", false},
		{"a**c", "ac", true}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"?", "", false},
		{"[abc]", "b", true}, {"[abc]", "d", false}, {"[a-c]", "b", true}, {"[c-a]", "b", true}, {"[a-c]", "d", false},
		{"[^a]", "b", true}, {"[^a]", "a", false}, {"[\\]]", "]", true}, {"[a", "a", true}, {"[a", "b", false},
		{"\\*", "*", true}, {"\\*", "a", false}, {"a\\", "a\\", true}, {"lock:*:x", "lock:1:x", true}, {"*a*a*a*b", "aaaaaaaaaa", false},
	} {
		if got := glob(c.pattern, c.name); got != c.want {
			t.Errorf("glob(%q, %q) = %t, want %t", c.pattern, c.name, got, c.want)
		}
	}
}

func TestValuesOfAnyBytesAreKept(t *testing.T) {
	for _, text := range []string{"", "a", "\x00", "\x00s", "\x00h1", "\x00\x00", "a\x00", "\xff\x00s"} {
		got, ok := decode(encode([]byte(text)))
		if !ok || string(got) != text {
			t.Errorf("decode(encode(%q)) = %q, %t", text, got, ok)
		}
	}
	for _, value := range []string{"\x00", "\x00h", "\x00zxx"} {
		if got, ok := decode([]byte(value)); ok {
			t.Errorf("decode(%q) = %q, want no string", value, got)
		}
	}
}

func TestRepliesInBothProtocols(t *testing.T) {
	for _, c := range []struct {
		reply        Reply
		resp2, resp3 string
	}{
		{Reply{}, "$-1\r\n", "_\r\n"},
		{Reply{kind: nullArray}, "*-1\r\n", "_\r\n"},
		{sayOK(), "+OK\r\n", "+OK\r\n"},
		{sayStatus("a\r\nb"), "+a  b\r\n", "+a  b\r\n"},
		{sayFailure("ERR x\ny"), "-ERR x y\r\n", "-ERR x y\r\n"},
		{sayInt(-5), ":-5\r\n", ":-5\r\n"},
		{sayBool(true), ":1\r\n", "#t\r\n"},
		{sayBool(false), ":0\r\n", "#f\r\n"},
		{Reply{kind: double, float: 2.5}, "$3\r\n2.5\r\n", ",2.5\r\n"},
		{sayText("hé"), "$3\r\nhé\r\n", "$3\r\nhé\r\n"},
		{sayBytes(nil), "$0\r\n\r\n", "$0\r\n\r\n"},
		{Reply{kind: verbatim, text: "x\n"}, "$2\r\nx\n\r\n", "=6\r\ntxt:x\n\r\n"},
		{sayArray(), "*0\r\n", "*0\r\n"},
		{sayArray(sayInt(1), Reply{}), "*2\r\n:1\r\n$-1\r\n", "*2\r\n:1\r\n_\r\n"},
		{saySet(sayInt(1)), "*1\r\n:1\r\n", "~1\r\n:1\r\n"},
		{sayPairs(sayText("a"), sayArray()), "*2\r\n$1\r\na\r\n*0\r\n", "%1\r\n$1\r\na\r\n*0\r\n"},
	} {
		if got := string(c.reply.appendTo(nil, 2)); got != c.resp2 {
			t.Errorf("%+v in RESP2 = %q, want %q", c.reply, got, c.resp2)
		}
		if got := string(c.reply.appendTo(nil, 3)); got != c.resp3 {
			t.Errorf("%+v in RESP3 = %q, want %q", c.reply, got, c.resp3)
		}
	}
}

func TestNumbersAreWrittenAsByC(t *testing.T) {
	for _, c := range []struct {
		v      float64
		digits int
		want   string
	}{
		{10.0 / 3, 14, "3.3333333333333"}, {10.0 / 3, 17, "3.3333333333333335"}, {1e15, 14, "1e+15"}, {1e15, 17, "1000000000000000"},
		{3, 14, "3"}, {0.1, 14, "0.1"}, {-0.5, 17, "-0.5"}, {1e20, 17, "1e+20"}, {0.0001, 14, "0.0001"}, {0.00001, 14, "1e-05"}, {1700000000000, 14, "1700000000000"},
	} {
		if got := formatNumber(c.v, c.digits); got != c.want {
			t.Errorf("formatNumber(%v, %d) = %s, want %s", c.v, c.digits, got, c.want)
		}
	}
}
