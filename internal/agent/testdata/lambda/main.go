// Command lambda is a function as aws-lambda-go has them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	Text string `json:"text"`
	Size int    `json:"size"`
}

var calls int

func main() {
	switch os.Getenv("AHEAD") {
	case "slow":
		time.Sleep(1500 * time.Millisecond)
	case "fail":
		fmt.Fprintln(os.Stderr, "no database")
		os.Exit(3)
	}
	lambda.Start(handle)
}

func handle(ctx context.Context, e event) (any, error) {
	calls++
	switch e.Do {
	case "count":
		return calls, nil
	case "log":
		fmt.Println(e.Text)
		fmt.Fprintln(os.Stderr, e.Text)
		return nil, nil
	case "error":
		return nil, errors.New(e.Text)
	case "panic":
		panic(e.Text)
	case "goroutine":
		go panic(e.Text)
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(e.Size)
	case "large":
		return strings.Repeat("x", e.Size), nil
	case "context":
		c, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{
			"id": c.AwsRequestID, "arn": c.InvokedFunctionArn, "name": lambdacontext.FunctionName, "version": lambdacontext.FunctionVersion,
			"memory": lambdacontext.MemoryLimitInMB, "trace": ctx.Value("x-amzn-trace-id"), "seconds": int(time.Until(deadline).Seconds()),
		}, nil
	case "stream":
		return stream(strings.NewReader(strings.Repeat("€", e.Size))), nil
	case "stream, then fail":
		return stream(io.MultiReader(strings.NewReader("begun"), failing{})), nil
	}
	return e, nil
}

func stream(body io.Reader) *events.LambdaFunctionURLStreamingResponse {
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: 201, Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"a=b"}, Body: body,
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the source ran dry") }
