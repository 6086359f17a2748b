package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"nimbus/client"
)

func newInvokeCommand(c *cli) *cobra.Command {
	var data string
	var log, stream bool
	cmd := &cobra.Command{
		Use:   "invoke NAME",
		Short: "Call a function and print what it returns",
		Long: "Call a function with a JSON event and print the JSON it returns. NAME:VERSION calls that version of\n" +
			"it. When it fails, the error and its log go to stderr and the exit code is 1. With -o json or yaml\n" +
			"the whole answer is printed instead.",
		Example:           "nimbus invoke hello-python -d '{\"name\":\"Ada\"}'\nnimbus invoke report:3 -d @event.json --log",
		Args:              arguments("NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			event, err := c.readEvent(data)
			if err != nil {
				return err
			}
			call := calling{showLog: log, input: client.InvokeInput{Event: event}}
			call.function, call.input.Qualifier, _ = strings.Cut(args[0], ":")
			if call.function == "" {
				return usagef("NAME is missing; usage: %s", cmd.UseLine())
			}
			if stream {
				return c.invokeStream(cmd.Context(), call)
			}
			return c.invoke(cmd.Context(), call)
		},
	}
	cmd.Flags().StringVarP(&data, "data", "d", "", "the event: JSON, @FILE, or - for stdin; default null")
	cmd.Flags().BoolVar(&log, "log", false, "print the log of the call to stderr")
	cmd.Flags().BoolVar(&stream, "stream", false, "print the items of a streamed result as they come")
	return cmd
}

// readEvent returns the event that -d names.
func (c *cli) readEvent(data string) ([]byte, error) {
	event, source := []byte(data), "-d"
	var err error
	switch path, isFile := strings.CutPrefix(data, "@"); {
	case data == "-":
		source = "stdin"
		event, err = io.ReadAll(c.in)
	case isFile:
		source = path
		event, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	if len(bytes.TrimSpace(event)) == 0 {
		return nil, nil
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(event, new(json.RawMessage)); errors.As(err, &syntax) {
		return nil, usagef("%s is not JSON: %v at byte %d; write it like -d '{\"name\":\"Ada\"}'", source, err, syntax.Offset)
	}
	return event, nil
}

// calling is one call and what is wanted of it.
type calling struct {
	function string
	input    client.InvokeInput
	showLog  bool
}

// missing adds the next step to the error of a function that isn't there.
func (call *calling) missing(err error) error {
	if call.input.Qualifier != "" {
		return err // the version may be what is missing, and the error says so
	}
	return missing(err, "nimbus function list")
}

func (c *cli) invoke(ctx context.Context, call calling) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	// The stack of a failure is in the log.
	call.input.Logs = call.showLog || c.output == formatTable
	var result *client.InvokeResult
	err = c.progress(ctx, "calling "+call.function, func(ctx context.Context) error {
		result, err = api.Invoke(ctx, call.function, call.input)
		return err
	})
	if err != nil {
		return call.missing(err)
	}
	if c.output != formatTable {
		return c.outcome(call, result, c.printDocument(result))
	}
	if result.StatusCode != 200 || len(result.Body) == 0 {
		return c.outcome(call, result, nil)
	}
	return c.outcome(call, result, c.printJSON(result.Body))
}

// outcome tells what there is to tell besides the body. A call that failed is exit code 1.
func (c *cli) outcome(call calling, result *client.InvokeResult, printed error) error {
	if printed != nil {
		return printed
	}
	failed := result.StatusCode != 200
	if c.output == formatTable {
		if failed || call.showLog {
			for _, line := range result.Logs {
				if !failed || line != failure(result) { // which the last line says
					fmt.Fprintln(c.err, foreign(c.err, line))
				}
			}
		}
		if call.showLog {
			fmt.Fprintln(c.err, summary(result))
		}
		if failed {
			fmt.Fprintf(c.err, "nimbus: %s failed: %s (status %d, request %s)\n",
				call.function, foreign(c.err, failure(result)), result.StatusCode, result.RequestID)
		}
	}
	if failed {
		return errReported
	}
	return nil
}

// summary is one line on what a call took.
func summary(r *client.InvokeResult) string {
	parts := []string{"duration " + showMS(r.DurationMS), "billed " + showMS(r.BilledTimeMS)}
	if r.MemoryUsedMB != nil {
		parts = append(parts, "memory "+showMB(*r.MemoryUsedMB))
	}
	if r.CPUMS != nil {
		parts = append(parts, "cpu "+showMS(*r.CPUMS))
	}
	if r.ColdStart {
		parts = append(parts, "cold start with init "+showMS(r.InitMS))
	}
	return "-- " + strings.Join(parts, ", ") + ", request " + r.RequestID
}

func failure(result *client.InvokeResult) string {
	switch {
	case result.ErrorType == "":
		return result.Error
	case result.Error == "":
		return result.ErrorType
	}
	return result.ErrorType + ": " + result.Error
}

// streamed is one line of `invoke --stream -o json`: an item, or the summary behind the last.
type streamed struct {
	Item   json.RawMessage      `json:"item,omitempty"`
	Result *client.InvokeResult `json:"result,omitempty"`
}

func (c *cli) invokeStream(ctx context.Context, call calling) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	call.input.Logs = call.showLog || c.output == formatTable
	result, err := api.InvokeStream(ctx, call.function, call.input, func(data []byte) error {
		if c.output == formatTable {
			_, err := fmt.Fprintf(c.out, "%s\n", data)
			return err
		}
		return c.printLine(streamed{Item: asJSON(data)})
	})
	if err != nil {
		return call.missing(err)
	}
	if c.output == formatTable {
		return c.outcome(call, result, nil)
	}
	return c.outcome(call, result, c.printLine(streamed{Result: result}))
}

// asJSON is the item itself, or as a string when it is a piece of text.
func asJSON(data []byte) json.RawMessage {
	if json.Valid(data) {
		return data
	}
	text, err := json.Marshal(string(data))
	if err != nil {
		return nil // a string always encodes
	}
	return text
}
