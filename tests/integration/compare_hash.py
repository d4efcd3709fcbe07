#!/usr/bin/env python3
"""Random hash commands on kelvin-server and on redis-server: same replies, over RESP2 and RESP3.

    compare_hash.py KELVIN_SERVER [--seed=N] [--random=COUNT]

With checkpoints, demotions and kill -9 of kelvin-server in between; all data is compared at the end. Only what Redis 7.0 knows: the
commands on fields with expiries are tested in hash.py.

Exit code: 0 all equal, 1 differences, 77 no redis-server (skipped).
"""
import os
import random
import shutil
import sys

from compare_redis import Client, Failure, Server, disturb, free_port, option, sort  # noqa: F401

KEYS = [b"h%d" % number for number in range(6)] + [b"", b"text"]


class HashCommands:
    def __init__(self, generator):
        self.random = generator
        weights = {
            8: [self.set, self.get],
            4: [self.delete, self.increment, self.walk],
            2: [self.odd, self.draw, self.transfer, self.header],
        }
        self.choices = [function for weight, group in weights.items() for function in group * weight]

    def one(self):
        """How to compare, and the words."""
        return self.random.choice(self.choices)()

    def key(self):
        return self.random.choice(KEYS)

    def field(self):
        kind = self.random.randrange(5)
        if kind == 0:
            return b"%d" % self.random.choice([0, 1, -1, 2**63 - 1, -2**63, 255, 256, -129])
        if kind == 1:
            return self.random.choice([b"", b"00", b"-0", b"a b", b"\xff\x00", b"9223372036854775808"])
        if kind == 2:
            return b"f%d" % self.random.randrange(400)
        return b"f%d" % self.random.randrange(12)

    def value(self):
        kind = self.random.randrange(6)
        if kind < 2:
            return b"%d" % self.random.choice([0, 1, -1, 12345, 2**63 - 1, -2**63, 10**15])
        if kind == 2:
            return self.random.choice([b"3.5", b"-0.25", b"1e3", b"007", b"", b" 1", b"nan", b"inf"])
        return b"%c" % self.random.randrange(256) * self.random.choice([1, 3, 20, 64, 65, 500, 1025, 5000])

    def set(self):
        key = self.key()
        word = self.random.choice([b"HSET", b"HSET", b"HSET", b"HMSET", b"HSETNX"])
        count = 1 if word == b"HSETNX" else self.random.choice([1, 1, 2, 3, 40])
        words = [word, key]
        for _ in range(count):
            words += [self.field(), self.value()]
        return "", words

    def get(self):
        word = self.random.choice([b"HGET", b"HMGET", b"HEXISTS", b"HSTRLEN", b"HLEN"])
        words = [word, self.key()]
        if word != b"HLEN":
            words += [self.field() for _ in range(self.random.randrange(1, 5) if word == b"HMGET" else 1)]
        return "", words

    def delete(self):
        count = self.random.choice([1, 2, 10, 60])
        return "", [b"HDEL", self.key()] + [self.field() for _ in range(count)]

    def increment(self):
        key, field = self.key(), self.field()
        number = self.random.choice([b"1", b"-1", b"7", b"9223372036854775807", b"-9223372036854775808", b"x", b"1.5"])
        real = self.random.choice([b"0.5", b"-3e2", b"1e308", b"nan", b"inf", b"-inf", b"x", b" 1", b"3", b"1e4000"])
        return "", self.random.choice([[b"HINCRBY", key, field, number], [b"HINCRBYFLOAT", key, field, real]])

    def walk(self):
        key = self.key()
        word = self.random.choice([b"HGETALL", b"HKEYS", b"HVALS", b"HSCAN"])
        if word != b"HSCAN":
            return "?", [word, key]
        words = [b"HSCAN", key, b"0"]
        if self.random.random() < 0.5:
            words += [b"MATCH", self.random.choice([b"*", b"f1*", b"", b"[0-9]*", b"?", b"nothing"])]
        return "scan", words + [b"COUNT", b"100000"]

    def draw(self):
        count = self.random.choice([[], [b"0"], [b"3"], [b"-3"], [b"500"], [b"-40"], [b"x"],
                                    [b"9223372036854775807"], [b"-9223372036854775808"]])
        if count and self.random.random() < 0.5:
            count.append(self.random.choice([b"WITHVALUES", b"withvalues", b"other"]))
        return "draw", [b"HRANDFIELD", self.key()] + count

    def odd(self):
        key = self.key()
        return "", self.random.choice([
            [b"HSET", key, b"f"], [b"HSET", key, b"f", b"v", b"g"], [b"HGET", key], [b"HSET", key],
            [b"HMSET", key, b"f"], [b"HSCAN", key, b"x"], [b"HSCAN", key, b"0", b"COUNT", b"0"],
            [b"HSCAN", key, b"0", b"COUNT"], [b"HSCAN", key, b"0", b"COUNT", b"x"], [b"HSCAN", key, b"-1", b"FOO"],
            [b"HSCAN", key, b"18446744073709551616"], [b"SET", key, b"a text"], [b"DEL", key], [b"GET", key],
            [b"HRANDFIELD", key, b"1", b"WITHVALUES", b"x"], [b"HINCRBY", key, b"f"], [b"HINCRBY", key, b"f", b"1", b"2"]])

    def transfer(self):
        a, b = self.key(), self.key()
        return "", self.random.choice([[b"RENAME", a, b], [b"RENAMENX", a, b], [b"COPY", a, b],
                                       [b"COPY", a, b, b"REPLACE"], [b"COPY", a, b, b"DB", b"1", b"REPLACE"],
                                       [b"MOVE", a, b"1"]])

    def header(self):
        key = self.key()
        return "", self.random.choice([[b"TYPE", key], [b"EXISTS", key], [b"OBJECT", b"ENCODING", key],
                                       [b"TTL", key], [b"EXPIRE", key, b"100000"], [b"PERSIST", key]])


def pairs_of(reply):
    return sorted(zip(reply[::2], reply[1::2]))


def is_same_scan(a, b):
    if isinstance(a, Failure) or isinstance(b, Failure):
        return a == b
    return a[0] == b[0] == b"0" and pairs_of(a[1]) == pairs_of(b[1])


def is_same_draw(a, b):
    if not isinstance(a, list) or not isinstance(b, list):
        return type(a) is type(b) and (not isinstance(a, Failure) or a == b)
    return len(a) == len(b)


def is_same(mark, a, b):
    if mark == "scan":
        return is_same_scan(a, b)
    if mark == "draw":
        return is_same_draw(a, b)
    return sort(a) == sort(b) if mark == "?" else a == b


def contents(client):
    everything = {}
    for database in range(2):
        client.ask([b"SELECT", b"%d" % database])
        for key in client.ask([b"KEYS", b"*"]):
            kind = client.ask([b"TYPE", key])
            value = client.ask([b"GET", key]) if kind == "+string" else pairs_of(client.ask([b"HGETALL", key]))
            everything[database, key] = (kind, client.ask([b"OBJECT", b"ENCODING", key]), value)
    return everything


def connect(port, protocol):
    client = Client(port)
    if protocol == 3:
        client.ask([b"HELLO", b"3"])
    return client


def run(count, seed, binary, redis, protocol):
    generator = random.Random(seed + protocol)
    server = Server(binary, ["--appendfsync", "always"])
    limits = [b"CONFIG", b"SET", b"hash-max-listpack-entries", b"128"]
    kelvin, client = connect(server.port, protocol), connect(redis.port, protocol)
    for one in (kelvin, client):
        one.ask(limits)
    client.ask([b"FLUSHALL"])
    commands = HashCommands(generator)
    differences = 0
    for number in range(count):
        if generator.random() < 0.05:
            before = kelvin
            kelvin = disturb(generator, server, kelvin, KEYS)
            if kelvin is not before:
                kelvin = connect(server.port, protocol)
                kelvin.ask(limits)
        mark, words = commands.one()
        a, b = kelvin.ask(words), client.ask(words)
        if not is_same(mark, a, b):
            differences += 1
            print("DIFFERENT [random %d, seed %d, RESP%d] %r\n    kelvin %r\n    redis  %r"
                  % (number, seed, protocol, [word[:40] for word in words][:8], repr(a)[:300], repr(b)[:300]))
    server.restart()
    a, b = contents(connect(server.port, 2)), contents(connect(redis.port, 2))
    if a != b:
        differences += 1
        print("DIFFERENT data at the end, seed %d:\n    kelvin %.2000r\n    redis  %.2000r" % (seed, a, b))
    return differences, server.stop()


def main():
    arguments = [word for word in sys.argv[1:] if not word.startswith("--")]
    binary = arguments[0] if arguments else os.environ.get("KELVIN_SERVER")
    seed = option("seed", random.randrange(1 << 32))
    count = option("random", 3000)
    redis_binary = shutil.which("redis-server")
    if redis_binary is None:
        print("no redis-server: skipped")
        return 77
    if binary is None:
        raise SystemExit(__doc__)
    print("seed %d" % seed, flush=True)
    redis = Server(redis_binary, ["--save", "", "--appendonly", "no"])
    differences = code = 0
    try:
        for protocol in (2, 3):
            found, one_code = run(count, seed, binary, redis, protocol)
            differences += found
            code = code or one_code
    finally:
        redis.stop()
    print("%d command lines, %d different, kelvin-server exited with %d" % (2 * count, differences, code))
    return 1 if differences or code != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
