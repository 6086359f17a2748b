// What strangers do in a function for AWS Lambda: the event says which of it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	if os.Getenv("AT_IMPORT") == "exit" {
		fmt.Fprintln(os.Stderr, "not today")
		os.Exit(9)
	}
	lambda.Start(handle)
}

func handle(ctx context.Context, event struct{ Do string }) (any, error) {
	switch event.Do {
	case "value":
		return 42, nil
	case "trace":
		return ctx.Value("x-amzn-trace-id"), nil
	case "error":
		return nil, errors.New("no such thing")
	case "panic":
		panic("merely text")
	case "goroutine":
		go panic("nobody waits")
		<-ctx.Done()
	case "no-json":
		return make(chan int), nil
	case "large":
		return strings.Repeat("x", 7<<20), nil
	case "exit":
		fmt.Fprintln(os.Stderr, "giving up")
		os.Exit(7)
	case "never":
		select {}
	case "recurse":
		return recurse(1), nil
	case "timer":
		go tick()
	case "kill":
		return nil, syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	case "print":
		fmt.Print(strings.Repeat("line of a megabyte\n", 55_000))
	case "fork":
		child := exec.Command("sleep", "1234567")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return "fine", child.Start()
	case "descriptors":
		for fd := 3; fd < 32; fd++ {
			_ = syscall.SetNonblock(fd, true)
			_, _ = syscall.Write(fd, bytes.Repeat([]byte{0xff}, 64))
			_ = syscall.Close(fd)
		}
	}
	return "fine", nil
}

func tick() {
	for range time.Tick(time.Millisecond) {
		fmt.Print("")
	}
}

func recurse(n int) int { return recurse(n+1) + 1 }
