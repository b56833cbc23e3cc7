package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

type setter = func(c *Config, value string) error

func text(field func(*Config) *string) setter {
	return func(c *Config, value string) error {
		*field(c) = value
		return nil
	}
}

func oneOf(field func(*Config) *string, choices ...string) setter {
	return func(c *Config, value string) error {
		if !slices.Contains(choices, value) {
			return fmt.Errorf("%q: want %s", value, strings.Join(choices, " or "))
		}
		*field(c) = value
		return nil
	}
}

// version wants three numbers: that is what clients take apart.
func version(field func(*Config) *string) setter {
	return func(c *Config, value string) error {
		parts := strings.Split(value, ".")
		good := len(parts) == 3
		for _, part := range parts {
			_, err := strconv.ParseUint(part, 10, 16)
			good = good && err == nil
		}
		if !good {
			return fmt.Errorf("%q: want three numbers, such as 8.4.0", value)
		}
		*field(c) = value
		return nil
	}
}

// duration wants a unit: a bare number could be anything.
func duration(field func(*Config) *time.Duration, least, most time.Duration) setter {
	return func(c *Config, value string) error {
		d, err := time.ParseDuration(value)
		switch {
		case err != nil:
			return fmt.Errorf("%q: want a duration with its unit, such as 250ms or 24h", value)
		case d < least || d > most:
			return fmt.Errorf("%v: want %v to %v", d, least, most)
		}
		*field(c) = d
		return nil
	}
}

func number(field func(*Config) *int, least, most int) setter {
	return func(c *Config, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q: want a number from %d to %d", value, least, most)
		}
		*field(c) = n
		return nil
	}
}

func yesNo(field func(*Config) *bool) setter {
	return func(c *Config, value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q: want true or false", value)
		}
		*field(c) = b
		return nil
	}
}
