#!/bin/sh
# What takes long: every fuzz target for FUZZTIME, the tests of concurrency COUNT times, and the tests that
# are built with the tag soak.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}

scripts/install.sh test
for package in $($go list ./...); do
	for target in $($go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "-- $package $target"
		# Minimizing what is merely new takes most of the time otherwise.
		$go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" -fuzzminimizetime 10x "$package"
	done
done
export NIMBUS_TEST_REQUIRE="${NIMBUS_TEST_REQUIRE-root,sandbox,python,node,go,curl}"
echo '-- concurrency'
$go test -race -p 1 -count "${COUNT:-20}" -timeout 2h \
	./internal/obs ./internal/pool ./internal/invoke ./internal/function ./internal/wire ./internal/agent ./internal/wasm \
	./internal/store/... ./internal/driver/...
echo '-- a whole server'
$go test -race -tags soak -run '^TestSoak' -count 1 -timeout 4h -v ./cmd/nimbus
