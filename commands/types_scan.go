package commands

import (
	"math"
	"strconv"
)

// HSCAN, SSCAN and ZSCAN. A collection is small enough to be told at once, as Redis
// tells those that are small there too: the cursor that comes back is always 0, and
// whatever cursor it is asked with means the same.

func hscan(tx *Tx, args [][]byte) Reply { return tx.scanItems(args, hashShape) }
func sscan(tx *Tx, args [][]byte) Reply { return tx.scanItems(args, setShape) }
func zscan(tx *Tx, args [][]byte) Reply { return tx.scanItems(args, zsetShape) }

func (tx *Tx) scanItems(args [][]byte, of shape) Reply {
	if _, err := strconv.ParseUint(string(args[2]), 10, 64); err != nil {
		return sayFailure("ERR invalid cursor")
	}
	s := tx.at(args[1])
	items, ok := tx.open(s, of)
	if !ok {
		return sayFailure(errWrongType)
	}
	o, bad := parseScanItems(args[3:], of)
	if s.held && bad != nil { // Redis reads no further where there is nothing
		return *bad
	}
	page, small := sayArray(), of == zsetShape && encodingOf(of, items) == "listpack"
	for _, it := range items {
		if !matches(o.pattern, string(it.key)) {
			continue
		}
		page.items = append(page.items, sayBytes(it.key))
		switch {
		case of == hashShape && !o.bare:
			page.items = append(page.items, sayBytes(it.value))
		case of == zsetShape: // a text in RESP3 too
			page.items = append(page.items, sayText(scannedScore(it.score, small)))
		}
	}
	return sayArray(sayText("0"), page)
}

// scannedScore is a score as ZSCAN tells it: of a small set whole ones have no exponent.
//
// Source: Redis 7.0, double2ll.
func scannedScore(score float64, small bool) string {
	const most = 1 << 62
	if small && -most <= score && score <= most && score == math.Trunc(score) {
		return strconv.FormatInt(int64(score), 10)
	}
	return formatNumber(score, 17)
}

// itemScanning is what follows the cursor.
type itemScanning struct {
	pattern string
	bare    bool // without the values of fields
}

// parseScanItems reads MATCH, COUNT, which makes no difference, and NOVALUES.
func parseScanItems(args [][]byte, of shape) (o itemScanning, bad *Reply) {
	o.pattern = everything
	for i := 0; i < len(args); i++ {
		switch {
		case is(args[i], "count") && i+1 < len(args):
			i++
			if n, ok := parseInt(args[i]); !ok {
				return o, &Reply{kind: failure, text: errNotInteger}
			} else if n < 1 {
				return o, &Reply{kind: failure, text: errSyntax}
			}
		case is(args[i], "match") && i+1 < len(args):
			i++
			o.pattern = string(args[i])
		case of == hashShape && is(args[i], "novalues"):
			o.bare = true
		default:
			return o, &Reply{kind: failure, text: errSyntax}
		}
	}
	return o, nil
}
