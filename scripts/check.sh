#!/bin/sh
# Everything that can be said about the code without running all tests: what `make check` does.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}

step() { printf -- '-- %s\n' "$*"; }

step format
unformatted=$(git ls-files -co --exclude-standard -- '*.go' | while read -r file; do [ ! -e "$file" ] || gofmt -l "$file"; done)
if [ -n "$unformatted" ]; then
	printf 'run gofmt -w on:\n%s\n' "$unformatted" >&2
	exit 1
fi
for script in scripts/*.sh .ci/run; do
	sh -n "$script"
done

step modules
$go mod verify

step vet
$go vet ./...
$go vet -tags soak ./cmd/nimbus

step static analysis
$go tool staticcheck ./...

step imports, house rules and generated documents
$go test ./internal
$go test -run '^(TestDocument|TestReference)$' ./internal/config ./cmd/nimbus

step cross-builds
GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $go build ./...
GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $go vet ./cmd/nimbus ./client
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 $go vet ./cmd/nimbus ./client
GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $go build -o /dev/null ./cmd/nimbus
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 $go build -o /dev/null ./cmd/nimbus
