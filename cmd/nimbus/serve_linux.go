package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"nimbus/internal/config"
	"nimbus/internal/obs"
)

// errRestored ends a program because a restore waits to be applied.
var errRestored = errors.New("a restore is staged")

// runServe reads the configuration and serves.
func runServe(ctx context.Context, c *cli, sources config.Sources) error {
	cfg, err := config.Load(sources)
	if err != nil {
		return err
	}
	err = serve(ctx, c, newLiveSettings(cfg, sources))
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was told to stop before it was up
	}
	return err
}

// serve runs the server until ctx ends. After a restore it goes on with what was restored, behind the same
// front, so that callers wait instead of being refused.
func serve(ctx context.Context, c *cli, settings *liveSettings) error {
	cfg := settings.config()
	log := obs.NewLogger(c.err, settings.level, cfg.Log.Format)
	defer settings.listen()()
	data, err := openDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }() // gives the lock free; there is nothing to write
	tlsConfig, err := loadTLS(cfg.Server.TLS)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Server.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := data.announce(listener.Addr().String()); err != nil {
		return errors.Join(err, listener.Close())
	}
	f := startFront(listener, tlsConfig, log)
	defer f.close()
	for {
		if err := data.applyRestore(log); err != nil {
			return err
		}
		p, err := newProgram(ctx, settings, data, log)
		if err != nil {
			return err
		}
		if err := p.run(ctx, c, f); !errors.Is(err, errRestored) {
			return err
		}
	}
}

func loadTLS(files config.TLS) (*tls.Config, error) {
	if files.CertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load server.tls: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"}}, nil
}

// run serves until ctx ends or a restore is staged, and stops cleanly: what was accepted is answered.
func (p *program) run(ctx context.Context, c *cli, f *front) (err error) {
	defer func() { err = errors.Join(err, p.close()) }()
	if p.cfg.Auth.Enabled {
		if err := p.printFirstKey(ctx, c); err != nil {
			return err
		}
	}
	swept, err := p.driver.Sweep(ctx)
	if err != nil {
		return fmt.Errorf("remove what an earlier server left: %w", err)
	}
	if swept.Processes+swept.Cgroups+swept.Mounts > 0 {
		p.log.Info("removed what an earlier server left", "processes", swept.Processes, "cgroups", swept.Cgroups, "mounts", swept.Mounts)
	}
	parts := newSupervisor()
	defer func() { err = errors.Join(err, parts.stop()) }()
	parts.start(ctx, "traces", p.tracer.Run)
	parts.start(ctx, "function logs", p.logs.Run)
	parts.start(ctx, "invocations", p.invokes.Run)
	parts.start(ctx, "calls", p.awaitCalls)
	parts.start(ctx, p.driver.Name()+" driver", p.driver.Run)
	parts.start(ctx, "builds and garbage collection", p.funcs.Run)
	parts.start(ctx, "pool", p.pool.Run)
	parts.start(ctx, "settings", func(ctx context.Context) error { return p.settings.run(ctx, p) })

	f.gate.open(p.handler)
	err = p.supervise(ctx, c, parts, f)
	if errors.Is(err, errRestored) {
		p.drain(ctx, f.gate.shut)
	} else {
		p.drain(ctx, f.stop)
	}
	return err
}

// supervise says when the server is ready and returns when it has to stop.
func (p *program) supervise(ctx context.Context, c *cli, parts *supervisor, f *front) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if p.ready(ctx) == nil {
				look.Stop()
				p.log.Info("ready", "url", f.url, "took", time.Since(p.started).Round(time.Millisecond))
				if _, err := fmt.Fprintf(c.out, "nimbus is ready on %s\n", f.url); err != nil {
					p.log.Warn("nobody reads what this server prints", "error", err)
				}
			}
		case <-ctx.Done():
			p.log.Info("stopping", "running_calls", p.invokes.Running())
			return nil
		case <-p.restored:
			p.log.Info("restarting with the restored installation")
			return errRestored
		case err := <-parts.failed:
			return err
		case err := <-f.ended:
			f.ended <- err // close waits for it too
			return err
		}
	}
}

// drain lets running calls end for as long as the configuration grants. Shut keeps other requests out: they
// wait for the next program, or are refused when there is none.
func (p *program) drain(ctx context.Context, shut func(context.Context) error) {
	close(p.stopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.Server.ShutdownTimeout)
	defer cancel()
	if err := shut(grace); err != nil {
		p.log.Warn("requests were cut off at the end of server.shutdown_timeout", "running_calls", p.invokes.Running())
	}
	// No request is left to wait for; this refuses what would still come from inside.
	if err := p.invokes.Drain(grace); err != nil {
		p.log.Warn("calls were still running at the end of server.shutdown_timeout", "running_calls", p.invokes.Running())
	}
}

// settleGrace is how long calls that were cut off may take to be recorded.
const settleGrace = 5 * time.Second

// awaitCalls is stopped when every instance is gone, and before what calls write to: those that drain could not
// wait for end now, with their instances, and are recorded.
func (p *program) awaitCalls(ctx context.Context) error {
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleGrace)
	defer cancel()
	if err := p.invokes.Drain(grace); err != nil {
		p.log.Error("calls did not end with their instances", "running_calls", p.invokes.Running())
	}
	return nil
}
