#!/bin/sh
# Runs every test with the race detector; the last line counts them: what `make test` does.
# Arguments go to `go test`: scripts/test.sh -run TestFoo ./internal/pool
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}

scripts/install.sh test

# Who could test everything must: a skip is then a failure.
if [ "$(id -u)" -eq 0 ] || [ "${CI:-}" = true ]; then
	export NIMBUS_TEST_REQUIRE="${NIMBUS_TEST_REQUIRE-root,sandbox,python,node,go,curl}"
fi
[ $# -gt 0 ] || set -- ./...

events=$(mktemp)
trap 'rm -f "$events"' EXIT
status=0
$go tool gotestsum --format pkgname --hide-summary skipped --jsonfile "$events" -- \
	-race -p 2 -timeout 10m "$@" || status=$?

# A package that fails as a whole (it does not build, or leaks goroutines) counts as one failure.
awk '
	/"Action":"(pass|fail|skip)"/ {
		match($0, /"Action":"[a-z]+"/); action = substr($0, RSTART + 10, RLENGTH - 11)
		package = $0; sub(/.*"Package":"/, "", package); sub(/".*/, "", package)
		if (/"Test":"/) { count[action]++; if (action == "fail") explained[package] = 1 }
		else if (action == "fail") failed[package] = 1
	}
	END {
		for (package in failed) if (!(package in explained)) count["fail"]++
		printf "%d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"]
	}' "$events"
exit "$status"
