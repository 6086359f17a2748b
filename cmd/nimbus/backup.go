package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newBackupCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "backup FILE",
		Short:   "Copy the running installation into a file",
		Long:    "Copy functions with all their versions and code, API keys and records into FILE, while the server goes on.",
		Example: "nimbus backup nimbus.tar",
		Args:    arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			size, err := c.backup(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			return c.print(map[string]any{"file": args[0], "bytes": size}, func(t *table) {
				t.row("backed up to", args[0], fmt.Sprintf("(%d bytes)", size))
			})
		},
	}
}

// backup writes to a file beside the wanted one and renames it, so that a backup that was broken off never
// takes the place of a good one.
func (c *cli) backup(ctx context.Context, api *client.Client, file string) (size int64, err error) {
	out, err := os.CreateTemp(filepath.Dir(file), ".nimbus-backup-*") // made with mode 0600: it holds secrets
	if err != nil {
		return 0, fmt.Errorf("cannot write %s: %w", file, innermost(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out.Name()))
		}
	}()
	err = c.progress(ctx, "backing up "+api.Server(), func(ctx context.Context) error { return api.Backup(ctx, out) })
	if err == nil {
		err = out.Sync()
	}
	info, statErr := out.Stat()
	if err := errors.Join(err, statErr, out.Close()); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(out.Name(), file)
}

func newRestoreCommand(c *cli) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace the running installation by a backup",
		Long: "Hand a backup to the running server. It is checked completely before anything changes; then everything the\n" +
			"server has is replaced by it. Callers wait for the moment that takes.",
		Example: "nimbus restore nimbus.tar",
		Args:    arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			if !yes {
				if err := c.confirm("replace everything on " + api.Server() + " by " + args[0]); err != nil {
					return err
				}
			}
			err = c.progress(cmd.Context(), "restoring "+api.Server(), func(ctx context.Context) error {
				return restore(ctx, api, args[0])
			})
			if err != nil {
				return err
			}
			return c.print(map[string]string{"restored": args[0]}, func(t *table) { t.row("restored from", args[0]) })
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// restoreTime bounds how long the server may take to come back.
const restoreTime = 2 * time.Minute

// restore hands the file in and waits until the server has come back with it.
func restore(ctx context.Context, api *client.Client, file string) error {
	before, err := api.Health(ctx)
	if err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	if err := api.Restore(ctx, in); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, restoreTime,
		fmt.Errorf("the backup was accepted, but the server is not back after %s; see its log", restoreTime))
	defer cancel()
	for {
		now, err := api.Health(ctx)
		if err == nil && !now.StartedAt.Equal(before.StartedAt) && now.Status == "ok" {
			return nil
		}
		if !wait(ctx, 50*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}
