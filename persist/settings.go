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

// setPlain writes one key, synced.
func (j *Journal) setPlain(key, payload []byte) error {
	b, err := j.engine.newBatch()
	if err != nil {
		return err
	}
	if err := b.Set(key, plainValue(key, payload), nil); err != nil {
		return err
	}
	return j.write(b, true)
}
