package memcached

import (
	"fmt"
	"time"

	"holdfast/quorum"
)

// maxSeconds is the longest TTL that memcached takes as one. Above, it is a
// date: long past, so that the copy would be gone at once.
//
// Source: memcached's doc/protocol.txt, on expiration times.
const maxSeconds = 30 * 24 * 60 * 60

// seconds returns how long the server is asked to keep a copy for ttl: rounded
// up, and one more, because its clock ticks once a second and the first tick
// may come at once.
func seconds(ttl time.Duration) (int64, error) {
	if ttl < quorum.MinTTL {
		return 0, fmt.Errorf("a ttl of %v is below the least, %v", ttl, quorum.MinTTL)
	}
	n := int64((ttl-1)/time.Second) + 2
	if n > maxSeconds {
		return 0, fmt.Errorf("a ttl of %v is above the most that memcached takes, %v",
			ttl, (maxSeconds-1)*time.Second)
	}
	return n, nil
}

// left returns what is left of the item's TTL, 0 if it has none.
func (it *item) left() time.Duration {
	if it == nil || it.seconds < 0 {
		return 0
	}
	// An item in its last second still has a TTL.
	return time.Duration(max(it.seconds, 1)) * time.Second
}
