# Nimbus. `make help` lists the targets.

# sudo may drop Go from PATH.
GO ?= $(or $(shell command -v go),$(wildcard /usr/local/go/bin/go),go)
# A checkout that git will not read (another owner's, a tarball) builds too, without a version.
VCS := $(shell git status >/dev/null 2>&1 && echo auto || echo false)
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -ldflags '-s -w'
# What runs inside instances is embedded, so it is built first, and the same whatever the commit.
PROGRAM := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid='
ARCH = $(or $(GOARCH),$(shell $(GO) env GOARCH))

export GO

.DEFAULT_GOAL := help
PROGRAMS = GOOS=linux GOARCH=$(1) $(PROGRAM) -o internal/program/bin/linux-$(1)/ ./cmd/nimbus-agent ./cmd/nimbus-wasm

.PHONY: help programs build run check test soak clean dist

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

programs: ## build what is embedded in nimbus: the agent and the wasm worker
	@$(call PROGRAMS,$(ARCH))

build: programs ## build bin/nimbus, one static file
	$(BUILD) -o bin/nimbus ./cmd/nimbus

run: ## install what is missing, build, serve on 127.0.0.1:8080 with the examples deployed
	@scripts/run.sh

check: programs ## format, vet, static analysis, imports, generated files, cross-builds
	@scripts/check.sh

test: programs ## install what the tests need, run all of them with the race detector
	@scripts/test.sh

soak: programs ## what takes long: fuzzing, and the tests of concurrency many times (FUZZTIME=1m COUNT=20)
	@scripts/soak.sh

clean: ## remove what was built
	rm -rf bin dist internal/program/bin/*/nimbus-*

dist: ## build for every platform into dist/
	@rm -rf dist
	$(call PROGRAMS,amd64)
	$(call PROGRAMS,arm64)
	GOOS=linux GOARCH=amd64 $(BUILD) -o dist/nimbus-linux-amd64 ./cmd/nimbus
	GOOS=linux GOARCH=arm64 $(BUILD) -o dist/nimbus-linux-arm64 ./cmd/nimbus
	GOOS=darwin GOARCH=arm64 $(BUILD) -o dist/nimbus-darwin-arm64 ./cmd/nimbus
	GOOS=windows GOARCH=amd64 $(BUILD) -o dist/nimbus-windows-amd64.exe ./cmd/nimbus
	cd dist && sha256sum nimbus-* > SHA256SUMS
