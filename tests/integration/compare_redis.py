#!/usr/bin/env python3
"""Runs the same command lines on kelvin-server and on redis-server and compares the replies.

    compare_redis.py KELVIN_SERVER [SECTION] [--verbose] [--seed=N] [--random=COUNT]

First the lines of compare_redis.lines, over RESP2 and RESP3. Then COUNT random commands on few keys, with checkpoints,
demotions and kill -9 of kelvin-server in between, and all data compared at the end. The seed is printed.

Exit code: 0 all equal, 1 differences, 77 no redis-server (skipped).
"""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class Failure(Exception):
    """An error reply."""

    def __eq__(self, other):
        return isinstance(other, Failure) and str(self) == str(other)

    def __repr__(self):
        return "(error) " + str(self)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind in b"+":
            return "+" + rest.decode("latin-1")
        if kind == b"-":
            return Failure(rest.decode("latin-1"))
        if kind == b":":
            return int(rest)
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind in b"$=":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind in b"*~>":
            size = int(rest)
            return None if size < 0 else [self.read() for _ in range(size)]
        if kind == b"%":
            return {repr(self.read()): self.read() for _ in range(int(rest))}
        raise ValueError("bad reply %r" % line)

    def ask(self, words):
        out = b"*%d\r\n" % len(words)
        for word in words:
            out += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(out)
        return self.read()


def split(line):
    """Words at blanks; in double quotes, blanks are kept and \\xHH, \\r, \\n are understood."""
    words, at = [], 0
    while at < len(line):
        if line[at] == " ":
            at += 1
        elif line[at] == '"':
            end = line.index('"', at + 1)
            words.append(line[at + 1:end].encode().decode("unicode_escape").encode("latin-1"))
            at = end + 1
        else:
            end = line.find(" ", at)
            end = len(line) if end < 0 else end
            words.append(line[at:end].encode("latin-1"))
            at = end
    return words


def sort(reply):
    if isinstance(reply, list):
        return sorted((sort(item) for item in reply), key=repr)
    return reply


def is_close(a, b, tolerance):
    if isinstance(a, int) and isinstance(b, int):
        return abs(a - b) <= tolerance
    return a == b


def compare(mark, a, b):
    if mark.startswith("~"):
        return is_close(a, b, int(mark[1:]))
    if mark == "?":
        return sort(a) == sort(b)
    if mark == "!":
        return isinstance(a, Failure) == isinstance(b, Failure)
    return a == b


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, binary, options):
        self.directory = tempfile.mkdtemp(prefix="compare-redis-")
        self.port = free_port()
        self.words = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
                      self.directory] + options
        self.output = open(os.path.join(self.directory, "output"), "wb")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.words, stdout=self.output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while True:
            try:
                if Client(self.port).ask([b"PING"]) == "+PONG":
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.stderr.write(open(self.output.name).read())
                raise SystemExit("%s did not start" % self.words[0])
            time.sleep(0.02)

    def restart(self):
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.output.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        return code


def read_sections():
    """Name to command lines, as compare_redis.lines has them."""
    sections = {}
    with open(os.path.splitext(os.path.abspath(__file__))[0] + ".lines", encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("["):
                lines = sections.setdefault(line[1:-1], [])
            elif line and not line.startswith("#"):
                lines.append(line)
    return sections


def run_section(name, lines, protocol, ports, verbose):
    kelvin, redis = (Client(port) for port in ports)
    differences = 0
    for client in (kelvin, redis):
        if protocol == 3:
            client.ask([b"HELLO", b"3"])
        client.ask([b"FLUSHALL"])
    for line in lines:
        mark, command = line.split(" ", 1) if line[0] in "~?!" else ("", line)
        words = split(command)
        a, b = kelvin.ask(words), redis.ask(words)
        equal = compare(mark, a, b)
        if verbose or not equal:
            print("%s [%s, RESP%d] %s\n    kelvin %r\n    redis  %r"
                  % ("same     " if equal else "DIFFERENT", name, protocol, command, a, b))
        differences += not equal
    return differences, len(lines)


class RandomCommands:
    """Draws command lines over few keys. None of them depends on the clock but for a tolerance."""

    KEYS = [b"k%d" % number for number in range(8)] + [b"", b"a longer name than the others have"]

    def __init__(self, generator):
        self.random = generator
        commands = {
            4: [self.set, self.set_options],
            2: [self.append, self.setrange, self.increment, self.get, self.delete, self.expire,
                self.transfer, self.several],
            1: [self.old_set, self.getex, self.ask_header, self.lcs, self.select, self.walk],
        }
        self.choices = [function for weight, group in commands.items() for function in group * weight]

    def draw(self):
        return self.random.choice(self.choices)()

    def key(self):
        return self.random.choice(self.KEYS)

    def value(self):
        kind = self.random.randrange(8)
        if kind < 3:
            return b"%d" % self.random.choice([0, 1, -1, 12345, 2**63 - 1, -2**63, 10**15])
        if kind == 3:
            return self.random.choice([b"3.5", b"-0.25", b"1e3", b"007", b""])
        size = self.random.choice([3, 44, 45, 300, 5000, 16384, 16385, 40000, 100000])
        return bytes([self.random.randrange(256)]) * size

    def number(self):
        return b"%d" % self.random.choice([0, 1, -1, 7, 1000, 2**62, -2**63, 2**63 - 1])

    def lifetime(self):
        kind = self.random.randrange(6)
        now = int(time.time())
        return [[b"EX", b"100000"], [b"PX", b"90000000"], [b"EXAT", b"%d" % (now + 5000)],
                [b"PXAT", b"%d" % ((now + 7000) * 1000)], [b"EXAT", b"1"], [b"EX", b"0"]][kind]

    def set(self):
        return "", [b"SET", self.key(), self.value()]

    def set_options(self):
        words = [b"SET", self.key(), self.value()]
        for option in ([b"NX"], [b"XX"], [b"GET"], [b"KEEPTTL"], self.lifetime()):
            if self.random.random() < 0.3:
                words += option
        return "", words

    def old_set(self):
        key, value = self.key(), self.value()
        return "", self.random.choice([[b"SETNX", key, value], [b"SETEX", key, b"5000", value],
                                       [b"PSETEX", key, b"5000000", value],
                                       [b"GETSET", key, value], [b"GETDEL", key]])

    def getex(self):
        option = self.random.choice([[], [b"PERSIST"], self.lifetime()])
        return "", [b"GETEX", self.key()] + option

    def append(self):
        return "", [b"APPEND", self.key(), self.value()]

    def setrange(self):
        offset = self.random.choice([0, 1, 40, 16000, 70000])
        return "", [b"SETRANGE", self.key(), b"%d" % offset, self.value()[:1000]]

    def increment(self):
        key = self.key()
        return "", self.random.choice([[b"INCR", key], [b"DECR", key],
                                       [b"INCRBY", key, self.number()],
                                       [b"DECRBY", key, self.number()],
                                       [b"INCRBYFLOAT", key, b"0.5"],
                                       [b"INCRBYFLOAT", key, b"-3e2"]])

    def get(self):
        key = self.key()
        ends = [b"%d" % self.random.choice([0, -1, 5, 20000, -3, -20000]) for _ in range(2)]
        return "", self.random.choice([[b"GET", key], [b"STRLEN", key], [b"GETRANGE", key] + ends,
                                       [b"MGET", key, self.key(), key, self.key()]])

    def delete(self):
        word = self.random.choice([b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"])
        return "", [word] + [self.key() for _ in range(self.random.randrange(1, 4))]

    def expire(self):
        word, unit = self.random.choice([(b"EXPIRE", 1), (b"PEXPIRE", 1000)])
        seconds = self.random.choice([-1, 50000, 60000, 70000])
        option = self.random.choice([[], [b"NX"], [b"XX"], [b"GT"], [b"LT"]])
        if seconds > 0 and option in ([b"GT"], [b"LT"]):
            seconds += self.random.randrange(5000)  # never equal to one in force
        words = [word, self.key(), b"%d" % (seconds * unit)] + option
        return "", self.random.choice([words, words, [b"PERSIST", self.key()]])

    def transfer(self):
        a, b = self.key(), self.key()
        database = b"%d" % self.random.randrange(3)
        words = self.random.choice([[b"RENAME", a, b], [b"RENAMENX", a, b], [b"COPY", a, b],
                                    [b"COPY", a, b, b"DB", database],
                                    [b"COPY", a, b, b"DB", database, b"REPLACE"],
                                    [b"COPY", a, b, b"REPLACE"], [b"MOVE", a, database]])
        return "", words

    def several(self):
        words = [self.random.choice([b"MSET", b"MSETNX"])]
        for _ in range(self.random.randrange(1, 4)):
            words += [self.key(), self.value()]
        return "", words

    def ask_header(self):
        word = self.random.choice([b"TTL", b"EXPIRETIME", b"TYPE", b"STRLEN"])
        return "~3", [word, self.key()]

    def lcs(self):
        return "", [b"LCS", self.key(), self.key(), b"LEN"]

    def select(self):
        return "", [b"SELECT", b"%d" % self.random.randrange(3)]

    def walk(self):
        # A key whose time is past already is counted until one of the servers comes across it, each in its own time.
        return self.random.choice([("?", [b"KEYS", b"*"]), ("?", [b"KEYS", b"k[0-4]"]),
                                   ("~3", [b"DBSIZE"])])


def disturb(generator, server, client, keys):
    """Something that must change no answer. Returns a new client if the server was killed."""
    kind = generator.randrange(100)
    if kind < 3:
        server.restart()
        return Client(server.port)
    if kind < 30:
        client.ask([b"SAVE"])
    elif kind < 40:
        client.ask([b"BGSAVE"])
    client.ask([b"TIER", b"DEMOTE"] + keys)
    return client


def contents(client):
    """All data: database, key, value, whether it expires."""
    everything = {}
    for database in range(3):
        client.ask([b"SELECT", b"%d" % database])
        for key in client.ask([b"KEYS", b"*"]):
            moment = client.ask([b"EXPIRETIME", key])
            everything[database, key] = (client.ask([b"GET", key]), moment)
    return everything


def same_contents(a, b):
    return a.keys() == b.keys() and all(
        a[name][0] == b[name][0] and is_close(a[name][1], b[name][1], 3) for name in a)


def run_random(count, seed, binary, redis):
    generator = random.Random(seed)
    server = Server(binary, ["--appendfsync", "always"])
    kelvin, client = Client(server.port), Client(redis.port)
    commands = RandomCommands(generator)
    database = b"0"
    client.ask([b"FLUSHALL"])
    differences = 0
    for number in range(count):
        if generator.random() < 0.1:
            kelvin = disturb(generator, server, kelvin, commands.KEYS)
            kelvin.ask([b"SELECT", database])
        mark, words = commands.draw()
        a, b = kelvin.ask(words), client.ask(words)
        if words[0] == b"SELECT":
            database = words[1]
        if not compare(mark, a, b):
            differences += 1
            print("DIFFERENT [random %d, seed %d] %r\n    kelvin %r\n    redis  %r"
                  % (number, seed, [word[:40] for word in words], repr(a)[:200], repr(b)[:200]))
    server.restart()
    a, b = contents(Client(server.port)), contents(client)
    if not same_contents(a, b):
        differences += 1
        print("DIFFERENT data at the end, seed %d:\n    kelvin %.2000r\n    redis  %.2000r"
              % (seed, a, b))
    return differences, count, server.stop()


def option(name, default):
    for word in sys.argv[1:]:
        if word.startswith("--%s=" % name):
            return int(word.split("=")[1])
    return default


def main():
    arguments = [word for word in sys.argv[1:] if not word.startswith("--")]
    verbose = "--verbose" in sys.argv
    binary = arguments[0] if arguments else os.environ.get("KELVIN_SERVER")
    only = arguments[1] if len(arguments) > 1 else None
    seed = option("seed", random.randrange(1 << 32))
    random_count = option("random", 0 if only else 2000)
    redis_binary = shutil.which("redis-server")
    if redis_binary is None:
        print("no redis-server: skipped")
        return 77
    if binary is None:
        raise SystemExit(__doc__)
    print("seed %d" % seed, flush=True)
    redis = Server(redis_binary, ["--save", "", "--appendonly", "no"])
    differences = count = code = 0
    try:
        kelvin = Server(binary, [])
        for protocol in (2, 3):
            for name, lines in read_sections().items():
                if only in (None, name):
                    found, line_count = run_section(
                        name, lines, protocol, (kelvin.port, redis.port), verbose)
                    differences += found
                    count += line_count
        code = kelvin.stop()
        if random_count > 0:
            found, line_count, random_code = run_random(random_count, seed, binary, redis)
            differences += found
            count += line_count
            code = code or random_code
    finally:
        redis.stop()
    print("%d command lines, %d different, kelvin-server exited with %d" % (count, differences, code))
    return 1 if differences or code != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
