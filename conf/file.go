package conf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"
)

// A file is what a TOML file says, as text.
type file struct {
	path   string
	values map[string]string
	lists  map[string][]string // but for the stores
	stores []Store
}

func readFile(path string) (file, error) {
	f := file{path: path, values: map[string]string{}, lists: map[string][]string{}}
	if path == "" {
		return f, nil
	}
	var raw map[string]any
	if _, err := toml.DecodeFile(path, &raw); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return f, fmt.Errorf("%s: %s", path, parse.ErrorWithPosition())
		}
		return f, fmt.Errorf("read the configuration: %w", err)
	}
	var wrong []error
	for name, value := range raw {
		if err := f.take(name, value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", path, err))
		}
	}
	return f, errors.Join(wrong...)
}

// take takes up one line of the file, or all its [[store]].
func (f *file) take(name string, value any) error {
	items, single := itemsOf(value)
	table := slices.ContainsFunc(items, func(item any) bool { _, ok := item.(map[string]any); return ok })
	switch {
	case slices.ContainsFunc(lists, func(l list) bool { return key(l.name) == name }):
		for i, item := range items {
			if err := f.takeItem(name, i+1, item); err != nil {
				return err
			}
		}
	case table:
		return fmt.Errorf("unknown table %s", name)
	case !single:
		return fmt.Errorf("%s: a list, want one value", name)
	case !slices.ContainsFunc(settings, func(s setting) bool { return key(s.name) == name }):
		return fmt.Errorf("unknown key %s", name)
	default:
		f.values[name] = fmt.Sprint(value)
	}
	return nil
}

// itemsOf returns the items of a list, or a value that is none as the single item.
func itemsOf(value any) (items []any, single bool) {
	switch v := value.(type) {
	case []any:
		return v, false
	case []map[string]any:
		for _, table := range v {
			items = append(items, table)
		}
		return items, false
	}
	return []any{value}, true
}

// takeItem takes up the n-th item of a list.
func (f *file) takeItem(name string, n int, item any) error {
	switch v := item.(type) {
	case string:
		if name == "store" {
			f.stores = append(f.stores, Store{URL: v})
		} else {
			f.lists[name] = append(f.lists[name], v)
		}
		return nil
	case map[string]any:
		if name == "store" {
			return f.takeStore(n, v)
		}
	}
	return fmt.Errorf("%s: item %d is no text", name, n)
}

// takeStore takes up a store that is a table of its own.
func (f *file) takeStore(n int, table map[string]any) error {
	var s Store
	for name, value := range table {
		ok := false
		switch name {
		case "url":
			s.URL, ok = value.(string)
		case "allow_eviction":
			s.AllowEviction, ok = value.(bool)
		default:
			return fmt.Errorf("store %d: unknown key %s; there are url and allow_eviction", n, name)
		}
		if !ok {
			return fmt.Errorf("store %d: %s: want %s", n, name, map[string]string{"url": "a text", "allow_eviction": "true or false"}[name])
		}
	}
	if s.URL == "" {
		return fmt.Errorf("store %d: no url", n)
	}
	f.stores = append(f.stores, s)
	return nil
}
