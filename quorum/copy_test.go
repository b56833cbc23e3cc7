package quorum

import (
	"bytes"
	"strings"
	"testing"
)

func TestACopyComesBackAsItWas(t *testing.T) {
	long := strings.Repeat("~0123456789abcdef.0123456789abcde", MaxValue/32)[:MaxValue]
	for _, value := range []string{
		"", "1", "token", "~", "~~", "a~b", "with\x00zero", "\xff\xfe", ".",
		"token~0000000000000001.0000000000000002", // looks like what we append
		"~0000000000000001.0000000000000002",
		long,
	} {
		c := &Copy{Value: []byte(value), Fence: MakeNumber(5, 7), Version: MakeNumber(9, 7)}
		encoded := c.Encode()
		if want := value + "~0000000000000507.0000000000000907"; string(encoded) != want {
			t.Errorf("encoded as %.80q, want %.80q", encoded, want)
		}
		if got := DecodeCopy(encoded); !got.Equal(c) {
			t.Errorf("%.80q came back as %.80q %v.%v", value, got.Value, got.Fence, got.Version)
		}
	}
}

func TestBytesWithoutOurSuffixAreSomebodyElsesValue(t *testing.T) {
	for _, b := range []string{
		"", "token", "1", "~", "0000000000000001.0000000000000002",
		"t~0000000000000001.00000000000000F2", // upper case is not ours
		"t~000000000000000A.0000000000000002",
		"t~0000000000000001.0000000000000000", // zero is no number
		"t~0000000000000001,0000000000000002",
		"t-0000000000000001.0000000000000002",
		"t~000000000000001.0000000000000002",
		"t~0000000000000001.000000000000002",
		"t~0000000000000001.0000000000000002 ",
		"t~00000000000000-1.0000000000000002",
	} {
		c := DecodeCopy([]byte(b))
		if c.Version != 0 || c.Fence != 0 || c.Opaque || string(c.Value) != b {
			t.Errorf("%q is taken for %q %v.%v, want all of it as a value", b, c.Value, c.Fence, c.Version)
		}
		if got := c.Encode(); string(got) != b {
			t.Errorf("%q is kept as %q, want it as it is", b, got)
		}
	}
}

func TestADecodedValueCannotGrowIntoItsSuffix(t *testing.T) {
	b := (&Copy{Value: []byte("token"), Fence: 1, Version: 2}).Encode()
	whole := bytes.Clone(b)
	_ = append(DecodeCopy(b).Value, "overwritten"...)
	if !bytes.Equal(b, whole) {
		t.Errorf("appending to the value made the copy %q, want %q", b, whole)
	}
}

func TestEqualCopies(t *testing.T) {
	ours := &Copy{Value: []byte("a"), Fence: 1, Version: 2}
	for _, c := range []struct {
		what  string
		other *Copy
		want  bool
	}{
		{"itself", &Copy{Value: []byte("a"), Fence: 1, Version: 2}, true},
		{"another version", &Copy{Value: []byte("a"), Fence: 1, Version: 3}, false},
		{"another fence", &Copy{Value: []byte("a"), Fence: 2, Version: 2}, false},
		{"another value", &Copy{Value: []byte("b"), Fence: 1, Version: 2}, false},
		{"somebody else's with the same value", &Copy{Value: []byte("a")}, false},
		{"none", nil, false},
		{"something opaque", &Copy{Opaque: true}, false},
	} {
		if got := ours.Equal(c.other); got != c.want {
			t.Errorf("equal to %s: %t, want %t", c.what, got, c.want)
		}
		if got := c.other.Equal(ours); got != c.want {
			t.Errorf("%s is equal: %t, want %t", c.what, got, c.want)
		}
	}
	opaque := &Copy{Opaque: true}
	if opaque.Equal(opaque) {
		t.Error("something opaque is equal to itself: nobody can know that")
	}
	if !(*Copy)(nil).Equal(nil) || !foreignCopy("").Equal(&Copy{}) {
		t.Error("none and none, or two empty values, are not equal")
	}
}

func FuzzDecodeCopy(f *testing.F) {
	f.Add([]byte("token~0000000000000507.0000000000000907"))
	f.Add([]byte("token"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		c := DecodeCopy(b)
		if got := c.Encode(); !bytes.Equal(got, before) {
			t.Errorf("%q is decoded as %q %v.%v and kept as %q", before, c.Value, c.Fence, c.Version, got)
		}
		if c.Version == 0 && c.Fence != 0 {
			t.Errorf("%q: a fence without a version", before)
		}
		// Whatever the value, a copy of ours with it can be told from the value.
		ours := &Copy{Value: before, Fence: 3, Version: 4}
		if got := DecodeCopy(ours.Encode()); !got.Equal(ours) {
			t.Errorf("a copy with the value %q came back as %q %v.%v", before, got.Value, got.Fence, got.Version)
		}
	})
}
