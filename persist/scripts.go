package persist

import (
	"bytes"
	"crypto/sha1"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Scripts are kept beside the leases, so that clients which sent one once can go on
// calling it by its digest. Losing one costs them no more than Redis's restart does.

// Scripts returns the texts of the scripts that were there when the journal was
// opened, in no order that means anything. The caller must not alter them.
func (j *Journal) Scripts() [][]byte { return j.scripts }

// SetScripts keeps texts, and drops others by their digests. It is on disk on return.
func (j *Journal) SetScripts(keep [][]byte, drop [][sha1.Size]byte) error {
	b, err := j.engine.newBatch()
	for i := range drop {
		if err == nil {
			err = b.Delete(scriptKey(drop[i]), nil)
		}
	}
	for _, text := range keep {
		if err == nil {
			err = setScript(b, text)
		}
	}
	if err == nil {
		err = j.write(b, true)
	}
	if err != nil {
		return fmt.Errorf("journal: keep %d scripts and drop %d: %w", len(keep), len(drop), err)
	}
	return nil
}

func setScript(b *pebble.Batch, text []byte) error {
	key := scriptKey(sha1.Sum(text))
	return b.Set(key, plainValue(key, text), nil)
}

func scriptKey(digest [sha1.Size]byte) []byte { return append([]byte{scriptPrefix}, digest[:]...) }

// readScripts reads all scripts.
func (j *Journal) readScripts() (texts [][]byte, err error) {
	err = j.scan(scriptPrefix, func(key, payload []byte) error {
		if !bytes.Equal(key, scriptKey(sha1.Sum(payload))) {
			return fmt.Errorf("its text has another digest: %w", errShape)
		}
		texts = append(texts, bytes.Clone(payload))
		return nil
	})
	return texts, err
}
