#!/usr/bin/env bash
# How long after kill -9 does a server answer again? Kelvin against redis-server loading its append-only file, same data.
#
#   tests/bench/restart.sh [SERVER_BINARY]     KEYS=1000000 SIZE=1024 by default
#
# Time is from exec to the first right answer to a GET of some key. Redis runs without rewriting or snapshots, so that its log has each
# key once: its best case.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=${1:-$(tools/up --build-only)}
keys=${KEYS:-1000000}
size=${SIZE:-1024}
work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

cc -O2 -o "$work/load" tests/bench/load.c -lm
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
load() { "$work/load" "$port" "$@"; }

# $1: which server. Starts it in the background; pid.
start() {
    mkdir -p "$work/$1"
    if [ "$1" = kelvin ]; then
        "$binary" --port "$port" --bind 127.0.0.1 --dir "$work/kelvin" --appendfsync everysec ${SERVER_ARGS:-} \
            >>"$work/$1.log" 2>&1 &
    else
        redis-server --port "$port" --bind 127.0.0.1 --dir "$work/redis" --appendonly yes --save '' \
            --appendfsync everysec --auto-aof-rewrite-percentage 0 >>"$work/$1.log" 2>&1 &
    fi
    pid=$!
}
cpu() { awk '{ printf "%.2f", ($14 + $15) / 100 }' "/proc/$pid/stat"; }

# kill -9, start, first right answer; three times, the best in $best.
restarts() {
    best=
    for round in 1 2 3; do
        kill -9 "$pid"
        wait "$pid" 2>/dev/null || true
        start "$1"
        local took
        took=$(load first $((keys / 7 * (round * 2 - 1))) "$size" | sed 's/.*ms=//')
        echo "$1: $2, round $round: first right answer after $took ms, CPU $(cpu) s"
        [ "$took" -ge "${best:-$took}" ] || best=$took
        best=${best:-$took}
        sleep 1
    done
}

for server in kelvin redis; do
    start "$server"
    until redis-cli -p "$port" PING 2>/dev/null | grep -q PONG; do sleep 0.05; done
    echo "$server: $(load fill "$keys" "$size")"
    sleep 1.5 # everysec: what was written is on disk
    if [ "$server" = kelvin ]; then
        # Right after the load the log tail is as long as it gets; usually it is what was written since the last checkpoint.
        tail_bytes=$(redis-cli -p "$port" INFO | tr -d '\r' | sed -n 's/^log_tail_bytes://p')
        restarts kelvin "log tail $((tail_bytes / 1048576)) MB"
        best_long=$best
        until redis-cli -p "$port" SAVE | grep -q OK; do sleep 0.5; done
        restarts kelvin "after a checkpoint"
        best_short=$best
    else
        restarts redis "log of all data"
        best_redis=$best
    fi
    echo "$server: $(load check "$keys" "$size" 10)"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    pid=
done
awk -v long="$best_long" -v short="$best_short" -v redis="$best_redis" 'BEGIN {
    printf "best: kelvin %d ms (long tail) and %d ms (after a checkpoint), redis %d ms: %.1f and %.1f times\n",
        long, short, redis, redis / (long > 0 ? long : 1), redis / (short > 0 ? short : 1) }'
