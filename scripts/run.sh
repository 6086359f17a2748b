#!/bin/sh
# Serves in the foreground with the examples deployed: what `make run` does.
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	# shellcheck disable=SC2016 # to be pasted as it is
	printf 'Isolating functions takes root here. Run this instead:\n\n    sudo env "PATH=$PATH" make run\n\n' >&2
	exit 1
fi
scripts/install.sh run
make --no-print-directory build

url=http://127.0.0.1:8080
bin/nimbus serve --data-dir ./data &
server=$!
# Ctrl-C reaches this script alone: a shell starts background commands with SIGINT ignored. Once, because make
# sends its own signal after the terminal's, and the server takes a second one as an order to end at once.
trap 'trap "" INT TERM HUP; kill -TERM "$server" 2>/dev/null || true' INT TERM HUP

# finish waits for the server, through the signals that interrupt a wait, and ends as it ended.
finish() {
	status=0
	wait "$server" || status=$?
	while kill -0 "$server" 2>/dev/null; do
		status=0
		wait "$server" || status=$?
	done
	exit "$status"
}

tries=300
until sleep 0.2 && curl -fs -o /dev/null "$url/health/ready"; do
	tries=$((tries - 1))
	if [ "$tries" -eq 0 ]; then
		echo 'the server did not become ready within a minute' >&2
		kill -TERM "$server"
	fi
	kill -0 "$server" 2>/dev/null && [ "$tries" -gt 0 ] || finish
done
kill -0 "$server" 2>/dev/null || finish # somebody else answered

for example in examples/*/; do
	bin/nimbus --server "$url" deploy "$example" || {
		kill -TERM "$server"
		wait "$server" || true
		exit 1
	}
done
cat <<'TEXT'

Try it in another terminal:

    curl -s localhost:8080/api/v1/functions/hello-python/invoke -d '{"name":"Ada"}'
    curl 'localhost:8080/fn/default/hello-python?name=Ada'
    bin/nimbus logs hello-python -f

TEXT
finish
