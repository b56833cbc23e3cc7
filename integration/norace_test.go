//go:build !race

package integration

// underRace: the binary is built with the race detector if the tests are.
const underRace = false
