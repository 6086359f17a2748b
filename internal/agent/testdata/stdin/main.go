// Command stdin is a function that does what its event, or its environment, says.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

type event struct {
	Do   string `json:"do"`
	Text string `json:"text"`
	Size int    `json:"size"`
}

func main() {
	ahead(os.Getenv("AHEAD"))
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var e event
	if err := json.Unmarshal(input, &e); err != nil {
		os.Stdout.Write(input)
		return
	}
	act(&e, input)
}

// ahead is done before stdin is read.
func ahead(what string) {
	switch what {
	case "panic":
		panic("not ready")
	case "fail":
		fmt.Fprintln(os.Stderr, "no database")
		os.Exit(3)
	case "deaf":
		fmt.Print(`"I did not listen"`)
		os.Exit(0)
	case "once":
		// Ends while it waits, but for the first time.
		if _, err := os.Stat(os.Getenv("MARK")); err == nil {
			return
		}
		os.WriteFile(os.Getenv("MARK"), fmt.Append(nil, os.Getpid()), 0o600)
		go func() {
			time.Sleep(300 * time.Millisecond)
			os.Exit(1)
		}()
	case "slow":
		time.Sleep(100 * time.Millisecond)
	case "poll":
		// Waits for stdin by other means than a read.
		for n := 0; n == 0; time.Sleep(time.Millisecond) {
			n = inputSize()
		}
	case "flood":
		for {
			fmt.Println(strings.Repeat("x", 1<<16))
		}
	}
}

func act(e *event, input []byte) {
	switch e.Do {
	case "text":
		fmt.Print(e.Text)
	case "log":
		fmt.Fprintln(os.Stderr, e.Text)
		fmt.Print("null")
	case "panic":
		panic(e.Text)
	case "panic with an error":
		panic(fmt.Errorf("outer: %w", errors.New(e.Text)))
	case "nil":
		var m *event
		fmt.Print(m.Text)
	case "deadlock":
		signal.Reset()
		select {}
	case "pretend":
		fmt.Fprintln(os.Stderr, "panic: at the disco")
		fmt.Print(`"well"`)
	case "exit":
		fmt.Fprintln(os.Stderr, "first line")
		fmt.Fprintln(os.Stderr, e.Text)
		os.Exit(e.Size)
	case "term":
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(time.Minute)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	case "large":
		fmt.Print(`"` + strings.Repeat("x", e.Size) + `"`)
	case "close":
		fmt.Print(`"early"`)
		os.Stdout.Close()
		time.Sleep(20 * time.Millisecond)
		fmt.Fprintln(os.Stderr, "still here")
	case "child":
		// It holds stdout and stderr on.
		child := exec.Command("/bin/sh", "-c", "sleep 1000")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Print(child.Process.Pid)
	case "runaway":
		child := exec.Command("/bin/sh", "-c", "sleep 5")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Print(child.Process.Pid)
	case "processes":
		found, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			panic(err)
		}
		answer(len(found))
	case "environment":
		answer(os.Environ())
	case "context":
		context, err := os.ReadFile(os.Getenv("NIMBUS_CONTEXT_FILE"))
		if err != nil {
			panic(err)
		}
		os.Stdout.Write(context)
	case "facts":
		directory, _ := os.Getwd()
		answer(map[string]any{"directory": directory, "arguments": os.Args, "files": files()})
	default:
		os.Stdout.Write(input)
	}
}

func answer(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
}

// files names what the descriptors are, without those of this function's own doing.
func files() map[string]string {
	named := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "/proc/") && !strings.HasPrefix(target, "anon_inode:") {
			named[e.Name()] = strings.SplitN(target, ":", 2)[0]
		}
	}
	return named
}
