package api

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nimbus"
	"nimbus/internal/function"
	"nimbus/internal/problem"
	"nimbus/internal/testenv"
	"nimbus/internal/transport"
)

// endless is a program without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// jsonUpload sends a program of size bytes as JSON, and holds none of it.
func jsonUpload(size int64) (contentType string, body io.Reader) {
	r, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, `{"name":"a","binary":"`)
		if err == nil {
			pieces := bufio.NewWriterSize(w, 64<<10)
			enc := base64.NewEncoder(base64.StdEncoding, pieces)
			if _, err = io.Copy(enc, io.LimitReader(endless{}, size)); err == nil {
				err = errors.Join(enc.Close(), pieces.Flush())
			}
		}
		if err == nil {
			_, err = io.WriteString(w, `","memory_mb":512}`)
		}
		w.CloseWithError(err)
	}()
	return mediaJSON, r
}

// formUpload sends code of size bytes, which begins with magic, as a form.
func formUpload(magic string, size int64) (contentType string, body io.Reader) {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile(codePart, "main")
		if err == nil {
			_, err = io.Copy(part, io.MultiReader(strings.NewReader(magic), io.LimitReader(endless{}, size-int64(len(magic)))))
		}
		if err == nil {
			err = form.WriteField("name", "a")
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	return form.FormDataContentType(), r
}

func post(t *testing.T, server *httptest.Server, contentType string, body io.Reader) (int, string) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1/functions", body)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(text)
}

// openBelow counts the files of this process that lie, or lay, in a directory.
func openBelow(t *testing.T, dir string) int {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("this system does not tell which files are open: %v", err)
	}
	n := 0
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(name, dir+"/") {
			n++
		}
	}
	return n
}

// TestUploadsAreNotHeldInMemory is not parallel: it counts all that is allocated.
func TestUploadsAreNotHeldInMemory(t *testing.T) {
	const (
		size   = 16 * nimbus.MiB
		one    = 1 * nimbus.MiB // what an upload may allocate, in all and its sender's share included
		number = 8
	)
	limits := testLimits()
	limits.Archive = size
	var arrived sync.WaitGroup
	arrived.Add(number)
	built := make(chan struct{})
	var came atomic.Int64
	f := &fakes{limits: limits, uploads: t.TempDir(), hold: func(in function.Input) {
		if in.Binary != nil {
			came.Add(in.Binary.Size())
		}
		if zip, ok := in.Archive.(*io.SectionReader); ok {
			came.Add(zip.Size())
		}
		arrived.Done()
		<-built // as a client waits
	}}
	server := httptest.NewServer(newServer(t, f, transport.Anyone{}, nil))
	t.Cleanup(server.Close)

	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	var sent sync.WaitGroup
	for i := range number {
		sent.Go(func() {
			upload := func() (string, io.Reader) { return jsonUpload(size) }
			if i%2 == 0 {
				upload = func() (string, io.Reader) {
					return formUpload([]string{"\x7fELF", "\x00asm", "PK\x03\x04"}[i/2%3], size)
				}
			}
			contentType, body := upload()
			if status, text := post(t, server, contentType, body); status != http.StatusCreated {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	arrived.Wait()
	goruntime.ReadMemStats(&after)
	if got := openBelow(t, f.uploads); got != number {
		t.Errorf("%d files are open, so this shows nothing", got)
	}
	close(built)
	sent.Wait()
	if took := int64(after.TotalAlloc - before.TotalAlloc); took > number*one {
		t.Errorf("%d uploads of %d MiB allocated %d KiB", number, size/nimbus.MiB, took/nimbus.KiB)
	}
	if came.Load() != number*size {
		t.Errorf("%d bytes came", came.Load())
	}
	server.Close() // a request has ended when its handler has, which is after its answer
	checkNothingLeft(t, f.uploads)
}

func checkNothingLeft(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 || openBelow(t, dir) > 0 {
		t.Errorf("left behind: %v, %d open, %v", entries, openBelow(t, dir), err)
	}
}

func TestUploadsLeaveNothing(t *testing.T) {
	t.Parallel()
	zip := part{name: "code", file: "c.zip", data: "PK" + strings.Repeat("x", int(nimbus.MiB))}
	program := part{name: "code", file: "main", data: "\x7fELF"}
	name := part{name: "name", data: "hello"}
	torn := formRequest(t, "POST", "/api/v1/functions", zip, name)
	torn.body = torn.body[:len(torn.body)/2]
	large := base64.StdEncoding.EncodeToString(make([]byte, int(2*nimbus.MiB+1)))
	f := &fakes{uploads: t.TempDir()}
	for _, q := range []request{
		torn,
		formRequest(t, "POST", "/api/v1/functions", zip, name),
		formRequest(t, "POST", "/api/v1/functions", zip, part{name: "unknown", data: "x"}),
		formRequest(t, "POST", "/api/v1/functions", zip, name, part{name: "function", data: "{"}),
		formRequest(t, "POST", "/api/v1/functions", zip, program),
		formRequest(t, "POST", "/api/v1/functions", program, part{name: "function", data: `{"binary":"AAAA"}`}),
		{method: "POST", path: "/api/v1/functions", body: `{"name":"a","binary":"AAAA"}`},
		{method: "POST", path: "/api/v1/functions", body: `{"binary":"AAAA"}`},
		{method: "POST", path: "/api/v1/functions", body: `{"binary":"AAAA"`},
		{method: "POST", path: "/api/v1/functions", body: `{"binary":"AAAA","memory":1}`},
		{method: "POST", path: "/api/v1/functions", body: `{"binary":"` + large + `"}`},
		{method: "POST", path: "/api/v1/functions", body: `{"binary":"AAAA","code":"` + large[:jsonLimit(testLimits())] + `"}`},
	} {
		q.send(t, f)
	}
	checkNothingLeft(t, f.uploads)
}

func TestUploadsOnAFullDisk(t *testing.T) {
	t.Parallel()
	f := &fakes{uploads: testenv.TinyDisk(t, nimbus.MiB)}
	server := httptest.NewServer(newServer(t, f, transport.Anyone{}, nil))
	t.Cleanup(server.Close)
	for name, upload := range map[string]func() (string, io.Reader){
		"json": func() (string, io.Reader) { return jsonUpload(2 * nimbus.MiB) },
		"form": func() (string, io.Reader) { return formUpload("\x7fELF", 2*nimbus.MiB) },
		"zip":  func() (string, io.Reader) { return formUpload("PK\x03\x04", 2*nimbus.MiB) },
	} {
		contentType, body := upload()
		status, text := post(t, server, contentType, body)
		var d problem.Details
		if err := json.Unmarshal([]byte(text), &d); err != nil || status != http.StatusInsufficientStorage ||
			d.Code != nimbus.CodeInsufficientStorage || !strings.Contains(d.Detail, "the disk") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if status, text := post(t, server, mediaJSON, strings.NewReader(`{"name":"a","binary":"AAAA"}`)); status != http.StatusCreated {
		t.Errorf("with room again: %d %s", status, text)
	}
}

func TestOpenUploadsEmptiesTheDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "uploads")
	if _, err := OpenUploads(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "request-1"), []byte("cut sho"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenUploads(dir); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, dir)
}

func TestLiftBinary(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct{ rest, binary string }{
		`{"binary":"aGk="}`:                          {`{"binary":""}`, "hi"},
		` { "a" : [{"binary":"x"}], "binary" : "" }`: {` { "a" : [{"binary":"x"}], "binary" : "" }`, ""},
		`{"b\u0069nary":"aGk=","a":"\"binary\":"}`:   {`{"b\u0069nary":"","a":"\"binary\":"}`, "hi"},
		`{"binary":"a\u0047\n\u000ak="}`:             {`{"binary":""}`, "hi"},
		`{"binary":"\/\u002b\/\/"}`:                  {`{"binary":""}`, "\xff\xef\xff"},
		`{"binary":"aGk=aGk="}`:                      {`{"binary":"?"}`, ""},
		`{"binary":"aGk"}`:                           {`{"binary":"?"}`, ""},
		"{\"binary\":\"aG\nk=\"}":                    {`{"binary":"?"}`, ""},
		`{"binary":"\u00e9"}`:                        {`{"binary":"?"}`, ""},
		`{"binary":"\u"}`:                            {`{"binary":"?"}`, ""},
		`{"binary":"aGk=`:                            {`{"binary":"`, ""},
		`{"binary":"aGk=\`:                           {`{"binary":"`, ""},
	} {
		uploads := &Uploads{t.TempDir()}
		got, err := liftBinary(strings.NewReader(body), testLimits(), uploads)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		var binary []byte
		if got.binary != nil {
			binary, err = io.ReadAll(got.binary.content())
			got.binary.close()
		}
		if err != nil || string(got.rest) != want.rest || string(binary) != want.binary {
			t.Errorf("%s: %s, %q, %v", body, got.rest, binary, err)
		}
	}
}

// FuzzLiftBinary: what is lifted is what encoding/json reads, and nothing else is taken.
func FuzzLiftBinary(f *testing.F) {
	for _, seed := range []string{`{"binary":"aGk=","a":1}`, `{"binary":"a\/\u002b\n="}`, `{"a":{"binary":"x"},"binary":null}`,
		`["binary","binary"]`, `{"binary":[104]}`, `{"binary":"aG`, `{"binary":"` + strings.Repeat("QUJD", 9000) + `QQ==QQ=="}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := liftBinary(bytes.NewReader(body), testLimits(), &Uploads{t.TempDir()})
		if nimbus.CodeOf(err) == nimbus.CodeTooLarge {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer got.binary.close()
		fields, err := parseObject("the body", got)
		if err != nil {
			return
		}
		var text string
		if err := json.Unmarshal(fields[binaryField], &text); err != nil || string(fields[binaryField]) == "null" {
			return
		}
		var whole map[string]json.RawMessage
		var want []byte
		err = json.Unmarshal(body, &whole)
		if err == nil {
			err = json.Unmarshal(whole[binaryField], &want)
		}
		if string(fields[binaryField]) == brokenText {
			if err == nil {
				t.Fatalf("base64 was refused: %q", want)
			}
			return
		}
		have, readErr := io.ReadAll(got.binary.content())
		if err != nil || readErr != nil || !bytes.Equal(have, want) {
			t.Fatalf("%q, not %q: %v, %v", have, want, err, readErr)
		}
	})
}
