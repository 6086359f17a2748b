#!/bin/sh
# Installs what is missing to run Nimbus, or to test it: scripts/install.sh run|test
# Says what and why; silent when there is nothing to do. Git, make and Go are there already.
set -eu

what=${1:-}
missing=''

# need PACKAGE REASON COMMAND…: the package is missing when the command fails.
need() {
	package=$1 reason=$2
	shift 2
	if ! "$@" >/dev/null 2>&1; then
		missing="$missing $package"
		echo "missing: $package ($reason)" >&2
	fi
}

has_node() { /usr/bin/node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; }
has_libc_headers() { [ -e /usr/include/stdio.h ]; }

case $what in
run | test) ;;
*)
	echo 'usage: scripts/install.sh run|test' >&2
	exit 2
	;;
esac

# Not whatever python3 is first on PATH: an instance sees the system's.
need python3 'the interpreter that functions run on' /usr/bin/python3 -c 'import sys; assert sys.version_info >= (3, 8)'
need nodejs 'runs Node functions' has_node
need curl 'asks the server whether it is ready' command -v curl
if [ "$what" = test ]; then
	need gcc 'the race detector needs a C compiler' command -v gcc
	need libc6-dev 'and the C library it links with' has_libc_headers
	need iproute2 'tests make network namespaces' command -v ip
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "Install these with this system's package manager, under the names it has for them:$missing" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	printf 'Run this, then try again:\n\n    sudo apt-get install -y%s\n\n' "$missing" >&2
	exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# The lists may never have been fetched, or be too old to name files that still exist.
# shellcheck disable=SC2086 # one word a package
apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 ||
	{ apt-get update -qq >&2 && apt-get install -y --no-install-recommends $missing >&2; }
