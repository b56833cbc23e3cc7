// Command holdfast is a lock server and proxy that speaks the Redis protocol:
// see the README.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	goredis "github.com/redis/go-redis/v9"
	"github.com/urfave/cli/v2"
	"holdfast/conf"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	goredis.SetLogger(quiet{})
	if err := app().RunContext(ctx, idLast(os.Args)); err != nil {
		fmt.Fprintf(os.Stderr, "holdfast: %v\n", err)
		stop()
		status := 1
		var coder cli.ExitCoder
		if errors.As(err, &coder) {
			status = coder.ExitCode()
		}
		os.Exit(status)
	}
}

func app() *cli.App {
	return &cli.App{
		Name:  "holdfast",
		Usage: "a lock server that speaks the Redis protocol and never forgets a lock",
		Commands: []*cli.Command{
			{
				Name:  "serve",
				Usage: "answer clients until told to stop",
				Flags: conf.Flags(),
				Action: configured(func(ctx context.Context, c conf.Config) error {
					return serve(ctx, c, os.Stdout, os.Stderr)
				}),
			},
			{
				Name:  "check",
				Usage: "read the configuration, visit every store and say what is wrong",
				Flags: conf.Flags(),
				Action: configured(func(ctx context.Context, c conf.Config) error {
					return check(ctx, c, os.Stdout)
				}),
			},
			{
				Name:  "status",
				Usage: "print what a running holdfast sees: stores, quorum, leases",
				Flags: append(conf.Flags(), &cli.BoolFlag{Name: "json", Usage: "as JSON, for programs"}),
				Action: func(ctx *cli.Context) error {
					return configured(func(_ context.Context, c conf.Config) error {
						return status(ctx.Context, c, ctx.Bool("json"), os.Stdout)
					})(ctx)
				},
			},
			forgetCommand(),
			benchCommand(),
		},
		Action: func(ctx *cli.Context) error {
			if ctx.Args().Present() {
				return fmt.Errorf("unknown command %q; there are serve, check, status, forget and bench", ctx.Args().First())
			}
			return cli.ShowAppHelp(ctx)
		},
		Version:         version(),
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {}, // main prints it
	}
}

// version is the module's, or the revision it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

// configured reads the configuration for a command.
func configured(run func(context.Context, conf.Config) error) cli.ActionFunc {
	return func(ctx *cli.Context) error {
		if ctx.Args().Present() {
			return fmt.Errorf("unexpected argument %q", ctx.Args().First())
		}
		c, err := conf.Load(ctx)
		if err != nil {
			return err
		}
		return run(ctx.Context, c)
	}
}

// quiet keeps go-redis from writing to stderr by itself: whatever it has to say
// comes back as an error, and is said where that stops.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
