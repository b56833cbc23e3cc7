package persist

import (
	"bytes"
	"fmt"
)

// Label returns what the proxy calls itself, "" if that was never set.
func (j *Journal) Label() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.label
}

// SetLabel keeps what the proxy calls itself. It is on disk on return.
func (j *Journal) SetLabel(label string) error {
	if err := j.setPlain([]byte(metaLabel), []byte(label)); err != nil {
		return fmt.Errorf("journal: set the label %.100q: %w", label, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.label = label
	return nil
}

// Configuration returns the last configuration, nil if that was never set. The
// caller must not alter it.
func (j *Journal) Configuration() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.config
}

// SetConfiguration keeps a configuration. It is on disk on return.
func (j *Journal) SetConfiguration(config []byte) error {
	if err := j.setPlain([]byte(metaConfig), config); err != nil {
		return fmt.Errorf("journal: set the configuration: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.config = bytes.Clone(config)
	return nil
}

// Book returns what was signed in a store's book, nil if nothing was. The caller
// must not alter it.
func (j *Journal) Book(store string) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.books[store]
}

// SignBook keeps what is signed in a store's book; nil strikes it. It is on disk
// on return.
func (j *Journal) SignBook(store string, signature []byte) error {
	if err := j.setPlain(bookKey(store), signature); err != nil {
		return fmt.Errorf("journal: sign the book of %.100q: %w", store, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if signature == nil {
		delete(j.books, store)
	} else {
		j.books[store] = bytes.Clone(signature)
	}
	return nil
}

// setPlain writes one key, synced; a nil payload deletes it.
func (j *Journal) setPlain(key, payload []byte) error {
	b, err := j.engine.newBatch()
	if err != nil {
		return err
	}
	if payload == nil {
		err = b.Delete(key, nil)
	} else {
		err = b.Set(key, plainValue(key, payload), nil)
	}
	if err != nil {
		return err
	}
	return j.write(b, true)
}
