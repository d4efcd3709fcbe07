#!/usr/bin/env bash
# Runs Redis's own test suite against kelvin-server and prints, per file, how many of the tests that redis-server passes pass here.
#
# usage: tests/compat/run.sh [BINARY] [suite.py's options...]
#
# The suite comes from Debian's source package of redis, into a scratch directory outside of the tree (KELVIN_COMPAT_DIR; it is kept and used
# again). Needs apt-get with network the first time, tclsh, python3, and redis-server as the reference.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
top="$(cd "$here/../.." && pwd)"

binary="$top/build/server/kelvin-server"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    binary="$1"
    shift
fi
[ -x "$binary" ] || { echo "run.sh: no binary $binary; build it, or name one" >&2; exit 2; }
binary="$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")"
for program in tclsh python3 redis-server; do
    command -v "$program" >/dev/null || { echo "run.sh: $program is missing (tools/dev/packages)" >&2; exit 77; }
done

scratch="${KELVIN_COMPAT_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kelvin-compat}"
mkdir -p "$scratch/source"

# The deb-src lines are apt's own of this machine, if it has any, and Debian's.
sources() {
    # shellcheck disable=SC1091
    . /etc/os-release
    grep -rhs '^deb-src ' /etc/apt/sources.list /etc/apt/sources.list.d/ || true
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian ${VERSION_CODENAME} main"
}

fetch() {
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$scratch/source"
    sources | sort -u >"$scratch/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$scratch/sources.list" -o "Dir::Etc::SourceParts=-"
        -o "Dir::State::Lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o "APT::Sandbox::User=root")
    "${apt[@]}" update
    (cd "$scratch/source" && "${apt[@]}" source --download-only redis)
    tar -xf "$(ls "$scratch"/source/redis_*.orig.tar.gz | sort -V | tail -1)" -C "$scratch/source"
}

find_suite() {
    find "$scratch/source" -maxdepth 3 -path '*/tests/test_helper.tcl' 2>/dev/null | sort -V | tail -1
}

helper="${KELVIN_COMPAT_SUITE:+$KELVIN_COMPAT_SUITE/tests/test_helper.tcl}"
helper="${helper:-$(find_suite)}"
if [ -z "$helper" ]; then
    fetch
    helper="$(find_suite)"
fi
[ -f "$helper" ] || { echo "run.sh: no test suite in $scratch" >&2; exit 2; }
exec python3 "$here/suite.py" "$(dirname "$(dirname "$helper")")" "$binary" --cache "$scratch" "$@"
