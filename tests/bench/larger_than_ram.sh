#!/usr/bin/env bash
# Data four times as large as the memory: is every key readable, does memory stay within its bound, do hits stay fast while others miss?
#
#   tests/bench/larger_than_ram.sh [SERVER_BINARY]     KEYS=2000000 SIZE=1024 MAXMEMORY_MB=512 RATE=5000 by default
#
# Prints figures; fails if a value is wrong, or if anonymous memory ever exceeds 1.15 x maxmemory + checkpoint memory. Latencies
# are for people to judge: compare the two lines of each round, the machine's noise is in both.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=${1:-$(tools/up --build-only)}
keys=${KEYS:-2000000}
size=${SIZE:-1024}
maxmemory_mb=${MAXMEMORY_MB:-512}
rate=${RATE:-5000}
work=$(mktemp -d)
pid= sampler=
cleanup() {
    [ -z "$sampler" ] || kill "$sampler" 2>/dev/null || true
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

cc -O2 -o "$work/load" tests/bench/load.c -lm
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cli() { redis-cli -p "$port" "$@" | tr -d '\r'; }
load() { "$work/load" "$port" "$@"; }
info() { cli INFO | sed -n "s/^$1://p"; }

"$binary" --port "$port" --bind 127.0.0.1 --dir "$work/data" --maxmemory "${maxmemory_mb}mb" \
    --appendfsync everysec ${SERVER_ARGS:-} >"$work/log" 2>&1 &
pid=$!
until grep -q 'Ready to accept connections' "$work/log"; do
    kill -0 "$pid" || { cat "$work/log"; exit 1; }
    sleep 0.05
done

# The largest anonymous memory since the last look, in KiB, in $work/peak.
echo 0 >"$work/peak"
(
    while sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null; do
        sleep 0.1
    done | while read -r now; do
        [ "$now" -le "$(cat "$work/peak")" ] || echo "$now" >"$work/peak"
    done
) &
sampler=$!

# 0 stands for a quarter of maxmemory, from 8 to 64 MB.
checkpoint_mb=$(($(cli CONFIG GET checkpoint-memory | tail -1) / 1048576))
if [ "$checkpoint_mb" = 0 ]; then
    checkpoint_mb=$((maxmemory_mb / 4))
    [ "$checkpoint_mb" -ge 8 ] || checkpoint_mb=8
    [ "$checkpoint_mb" -le 64 ] || checkpoint_mb=64
fi
bound_mb=$((maxmemory_mb * 115 / 100 + checkpoint_mb))
over=0
memory() {
    sleep 0.3
    local peak_mb=$(($(cat "$work/peak") / 1024))
    echo "  anonymous memory: peak $peak_mb MB, bound $bound_mb MB (1.15 x $maxmemory_mb + $checkpoint_mb)"
    [ "$peak_mb" -le "$bound_mb" ] || over=1
    echo 0 >"$work/peak"
}
cpu() { awk '{ printf "%.1f", ($14 + $15) / 100 }' "/proc/$pid/stat"; }

echo "== $keys keys of $size bytes, maxmemory $maxmemory_mb MB"
load fill "$keys" "$size"
memory
echo "  checkpoints $(info checkpoint_count), throttled $(info throttled_count), cold file $(($(info cold_file_bytes) / 1048576)) MB, server CPU $(cpu) s"
[ "$(cli DBSIZE)" = "$keys" ] || { echo "FAILED: DBSIZE $(cli DBSIZE)"; exit 1; }

echo "== every key"
load check "$keys" "$size"
memory

echo "== zipf reads of all keys, 50 connections, as fast as they go"
before=$(cpu)
cli CONFIG RESETSTAT >/dev/null
load read "$keys" "$size" 20 50 0 zipf
memory
echo "  hot records $(info hot_record_count), cold reads $(info promoted_count), prefetched $(info prefetched_count), server CPU $before .. $(cpu) s"
cli INFO prefetch | grep -E '^prefetch_(issued|useful|late|wasted)_count|^prefetch_precision' | tr '\n' ' '
echo

echo "== latency of hits: one connection reads 1000 keys over and over, 50 others $rate keys a second"
in_ram=$((keys / 40))
load read "$keys" "$size" 3 50 0 uniform "$in_ram" >/dev/null
load read "$keys" "$size" 3 50 0 uniform "$in_ram" >/dev/null
for round in 1 2 3; do
    for others in "uniform $in_ram" "zipf $keys"; do
        misses=$(info promoted_count)
        # shellcheck disable=SC2086
        load read "$keys" "$size" 6 50 "$rate" $others >"$work/others" &
        other_pid=$!
        sleep 0.5
        echo "  round $round, others $others: $(load read "$keys" "$size" 5 1 1000 uniform 1000)"
        wait "$other_pid"
        echo "    the others: $(cat "$work/others"), misses $(($(info promoted_count) - misses))"
    done
done
memory
[ "$over" = 0 ] || { echo "FAILED: memory exceeded its bound"; exit 1; }
echo "passed"
