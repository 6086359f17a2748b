package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// serveAPI serves the functions by the Lambda Runtime API at a base address.
func serveAPI(base string) error {
	var f functions
	if err := f.become(os.Getenv("_HANDLER")); err != nil {
		return errors.Join(err, post(base+"init/error", nil, failure("Runtime.HandlerNotFound", err)))
	}
	for {
		next, err := http.Get(base + "invocation/next")
		if err != nil {
			return err
		}
		event, err := io.ReadAll(next.Body)
		next.Body.Close()
		if err != nil {
			return err
		}
		if next.StatusCode != http.StatusOK {
			return fmt.Errorf("next: %s: %s", next.Status, event)
		}
		if err := f.answer(base+"invocation/"+next.Header.Get("Lambda-Runtime-Aws-Request-Id"), event); err != nil {
			return err
		}
	}
}

// answer runs a call. A streamed result is one whatever is wanted: the platform makes of it what it needs.
func (f *functions) answer(address string, event []byte) error {
	reader, writer := io.Pipe()
	sent := make(chan error, 1)
	started := false
	chunk := func(text string) error {
		if !started {
			started = true
			go func() {
				header := http.Header{"Lambda-Runtime-Function-Response-Mode": {"streaming"}, "Content-Type": {"application/octet-stream"}}
				err := post(address+"/response", header, reader)
				reader.CloseWithError(errors.Join(err, io.ErrClosedPipe))
				sent <- err
			}()
		}
		_, err := io.WriteString(writer, text)
		return err
	}
	value, err := f.call(event, chunk)
	if started {
		writer.Close()
		<-sent // of a stream nobody wants any more, the answer may be a refusal
		return nil
	}
	if err != nil {
		return post(address+"/error", nil, failure("failure", err))
	}
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return post(address+"/response", nil, bytes.NewReader(b))
}

func failure(kind string, err error) io.Reader {
	b, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": err.Error()}) // strings always marshal
	return bytes.NewReader(b)
}

func post(address string, header http.Header, body io.Reader) error {
	request, err := http.NewRequest(http.MethodPost, address, body)
	if err != nil {
		return err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: %s", address, answer.Status)
	}
	return nil
}
