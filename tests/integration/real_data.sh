#!/usr/bin/env bash
# The main job on real input: Debian's package index, one key per package (pkg:bash) and one for what it depends on (deps:bash).
#
#   tests/integration/real_data.sh [SERVER_BINARY]     default: built by tools/up --build-only
#
# Loads everything through redis-cli --pipe with maxmemory a quarter of the data, reads everything back, follows dependency chains so
# that the prefetcher has something to predict, kill -9, restart, compares every byte.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=${1:-$(tools/up --build-only)}
work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

if [ "$(apt-cache dumpavail | head -c 1000000 | wc -c)" -lt 1000000 ]; then
    apt-get update -qq
fi
apt-cache dumpavail >"$work/index"
python3 tests/integration/real_data.py prepare "$work"
data_bytes=$(cat "$work/data_bytes")
maxmemory=$((data_bytes / 4))
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cli() { redis-cli -p "$port" "$@"; }

start() {
    # What an earlier life printed must not count as this one's.
    : >"$work/log"
    local from
    from=$(date +%s%N)
    "$binary" --port "$port" --bind 127.0.0.1 --dir "$work/data" --maxmemory "$maxmemory" \
        --aof-segment-size 16mb --checkpoint-log-size 32mb >"$work/log" 2>&1 &
    pid=$!
    until grep -q 'Ready to accept connections' "$work/log"; do
        kill -0 "$pid" || { cat "$work/log"; exit 1; }
        sleep 0.01
    done
    echo "real_data: started in $((($(date +%s%N) - from) / 1000000)) ms"
}

start
echo "real_data: $(cat "$work/keys") keys, $data_bytes bytes of data, maxmemory $maxmemory"
cli --pipe <"$work/commands.resp" | tail -1
dbsize=$(cli DBSIZE)
[ "$dbsize" = "$(cat "$work/keys")" ] || { echo "real_data: FAILED: DBSIZE $dbsize, expected $(cat "$work/keys")"; exit 1; }
python3 tests/integration/real_data.py verify "$work" "$port"
python3 tests/integration/real_data.py chains "$work" "$port"
echo "real_data: before the kill:"
cli INFO | tr -d '\r' | grep -E '^(hot_record_count|cold_record_count|cold_compression_ratio|used_memory|used_memory_anonymous|promoted_count|demoted_count|prefetch_(issued|useful|late|wasted)_count|prefetch_precision|checkpoint_count):' | sed 's/^/  /'
useful=$(cli INFO prefetch | tr -d '\r' | sed -n 's/^prefetch_useful_count://p')
[ "$useful" -gt 0 ] || { echo "real_data: FAILED: no prefetch was useful"; exit 1; }

kill -9 "$pid"
wait "$pid" 2>/dev/null || true
start
[ "$(cli DBSIZE)" = "$dbsize" ] || { echo "real_data: FAILED: DBSIZE $(cli DBSIZE) after the restart, $dbsize before"; exit 1; }
python3 tests/integration/real_data.py verify "$work" "$port"
kill "$pid"
wait "$pid"
pid=
echo "real_data: passed"
