package persist

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"holdfast/quorum"
)

// batchSize is how much replay writes at once, in bytes.
const batchSize = 256 << 10

// replay reads the whole journal, so that damage is found now or never, brings
// every record into the current era, and deletes those that are over.
func (j *Journal) replay() (quorum.History, error) {
	birth, err := j.readMeta()
	if err != nil {
		return quorum.History{}, err
	}
	if birth == 0 {
		if birth, err = j.bear(); err != nil {
			return quorum.History{}, err
		}
	}
	seen, err := j.readSeen()
	if err != nil {
		return quorum.History{}, err
	}
	if j.scripts, err = j.readScripts(); err != nil {
		return quorum.History{}, err
	}
	entries, err := j.readLeases()
	h := quorum.History{Entries: entries, Birth: birth, Limit: j.limit, Away: j.eras.away, Seen: seen}
	if j.eras.away == 0 {
		// How long we were away is not known. The wall clock is as good a guess as it was at first.
		h.Limit = max(h.Limit, quorum.FirstNumber(j.opts.Wall(), j.opts.Author))
	}
	return h, err
}

// readSeen returns the proxies that were seen, in the order in which they were.
// None of them may be missing: with one that is forgotten, a proxy whose leases
// live on would be taken for one that never was.
func (j *Journal) readSeen() (seen []string, err error) {
	err = j.scan(seenPrefix, func(key, payload []byte) error {
		n, err := keyNumber(key)
		proxy := string(payload)
		switch {
		case err != nil:
			return err
		case n != uint64(len(seen)+1):
			return fmt.Errorf("number %d follows number %d: %w", n, len(seen), errShape)
		case proxy == "" || j.seen[proxy]:
			return fmt.Errorf("%.100q, and each is another: %w", proxy, errShape)
		}
		j.seen[proxy] = true
		seen = append(seen, proxy)
		return nil
	})
	return seen, err
}

// readMeta reads what is there once. It returns 0 for the birth of a journal
// that is empty.
func (j *Journal) readMeta() (birth quorum.Number, err error) {
	meta := map[string][]byte{}
	if err := j.scan(metaPrefix, func(key, payload []byte) error {
		meta[string(key)] = append([]byte{}, payload...)
		return nil
	}); err != nil {
		return 0, err
	}
	if len(meta) == 0 {
		return 0, j.mustBeEmpty()
	}
	number := func(key string) uint64 {
		n, bad := decodeNumber(meta[key])
		if bad != nil && err == nil {
			err = unreadable([]byte(key), bad)
		}
		return n
	}
	if format := number(metaFormat); err == nil && format != formatNumber {
		return 0, fmt.Errorf("it has format %d, and only %d is known", format, formatNumber)
	}
	birth, j.limit = quorum.Number(number(metaBirth)), quorum.Number(number(metaLimit))
	if err == nil && (birth == 0 || j.limit < birth) {
		err = fmt.Errorf("numbers from %v to %v: %w", birth, j.limit, errShape)
	}
	f := fields{rest: meta[metaInstance]}
	j.instance = string(f.bytes())
	if bad := f.end(); bad != nil && err == nil {
		err = unreadable([]byte(metaInstance), bad)
	}
	j.label, j.config = string(meta[metaLabel]), meta[metaConfig]
	return birth, err
}

// mustBeEmpty refuses a folder that holds something, though not what every
// journal of ours has.
func (j *Journal) mustBeEmpty() error {
	iter, err := j.engine.db.NewIter(nil)
	if err != nil {
		return withDetails(err)
	}
	if iter.First() {
		err = fmt.Errorf("it holds %.100q but no format: it is no journal of holdfast, or a damaged one", iter.Key())
	}
	return errors.Join(err, withDetails(iter.Close()))
}

// bear fills in what a journal has from the start, and returns its first number.
func (j *Journal) bear() (quorum.Number, error) {
	var id [8]byte
	rand.Read(id[:]) // never fails
	j.instance = hex.EncodeToString(id[:])
	j.limit = quorum.FirstNumber(j.opts.Wall(), j.opts.Author)

	b, err := j.engine.newBatch()
	if err != nil {
		return 0, err
	}
	instance := seal([]byte(metaInstance), appendBytes(startValue(nil), []byte(j.instance)))
	err = errors.Join(
		b.Set([]byte(metaFormat), numberValue(metaFormat, formatNumber), nil),
		b.Set([]byte(metaInstance), instance, nil),
		b.Set([]byte(metaBirth), numberValue(metaBirth, uint64(j.limit)), nil),
		b.Set([]byte(metaLimit), numberValue(metaLimit, uint64(j.limit)), nil),
	)
	if err != nil {
		return 0, err
	}
	return j.limit, j.engine.commit(b, true)
}

// readEras reads the eras and finds the current one, which is written into a
// if it is new.
func (j *Journal) readEras(a *amendment) error {
	if err := j.scan(eraPrefix, func(key, payload []byte) error {
		e, err := decodeEra(payload)
		if err != nil {
			return err
		}
		n, err := keyNumber(key)
		j.eras.known[n] = e
		return err
	}); err != nil {
		return err
	}
	if j.eras.choose(j.opts.BootID, j.opts.Clock.Now()) {
		if j.eras.current > 1 {
			j.opts.Log.Info("the clock is another one than before: leases keep what was left of them at its last checkpoint")
		}
		return j.setEra(a.batch, j.eras.known[j.eras.current])
	}
	return nil
}

// readLeases returns the leases that are not over. What it changes on disk can
// be cut off anywhere: the new era stands before the first record that counts in
// it, the old ones go after the last record that does.
func (j *Journal) readLeases() ([]quorum.Entry, error) {
	batch, err := j.engine.newBatch()
	if err != nil {
		return nil, err
	}
	a := amendment{engine: j.engine, batch: batch}
	if err := j.readEras(&a); err != nil {
		return nil, err
	}
	var entries []quorum.Entry
	err = j.scan(leasePrefix, func(key, payload []byte) error {
		r, err := decodeRecord(string(key[1:]), payload)
		if err != nil {
			return err
		}
		if _, ok := j.eras.known[r.era]; !ok {
			return fmt.Errorf("era %d is not known: %w", r.era, errShape)
		}
		old := r.era != j.eras.current
		j.eras.rebase(&r)
		if r.until() <= j.eras.begun {
			return a.then(a.batch.Delete(key, nil))
		}
		entries = append(entries, r.entry)
		if !old {
			return nil
		}
		j.key = append(j.key[:0], key...)
		return a.then(j.setRecord(a.batch, r))
	})
	if err != nil {
		return nil, err
	}
	for n := range j.eras.known {
		if n != j.eras.current {
			delete(j.eras.known, n)
			if err := a.then(a.batch.Delete(eraKey(n), nil)); err != nil {
				return nil, err
			}
		}
	}
	return entries, a.finish()
}

// scan calls each for every key with a prefix, in order, with the payload of its
// value. Neither is to be kept.
func (j *Journal) scan(prefix byte, each func(key, payload []byte) error) error {
	iter, err := j.engine.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return withDetails(err)
	}
	for iter.First(); iter.Valid() && err == nil; iter.Next() {
		value, broken := iter.ValueAndErr()
		if broken != nil {
			break // Close says why
		}
		var payload []byte
		if payload, err = unseal(iter.Key(), value); err == nil {
			err = each(iter.Key(), payload)
		}
		if err != nil {
			err = unreadable(iter.Key(), err)
		}
	}
	return errors.Join(err, withDetails(iter.Close()))
}

// unreadable says which key is not what we wrote.
func unreadable(key []byte, err error) error {
	kind := map[byte]string{metaPrefix: "setting", eraPrefix: "era", seenPrefix: "seen", leasePrefix: "lease", scriptPrefix: "script"}[key[0]]
	return fmt.Errorf("%s %.100q: %w", kind, key[1:], err)
}

// An amendment is what replay changes on disk, in synced batches of bounded size.
type amendment struct {
	engine *engine
	batch  *pebble.Batch
}

// then goes on after a change of the batch: if that is full, with the next.
func (a *amendment) then(err error) error {
	if err != nil || a.batch.Len() < batchSize {
		return err
	}
	if err := a.engine.commit(a.batch, true); err != nil {
		return err
	}
	a.batch, err = a.engine.newBatch()
	return err
}

func (a *amendment) finish() error {
	if a.batch.Count() == 0 {
		return a.batch.Close()
	}
	return a.engine.commit(a.batch, true)
}
