#!/usr/bin/env python3
"""The HyperLogLog commands of kelvin-server and redis-server: the same command lines, the same replies, the same bytes.

    hyperloglog_compare.py KELVIN_SERVER [--seed=N] [--random=COUNT]

First lines that try every mistake, over RESP2 and RESP3; then COUNT random commands on few keys, each followed by GET of its key, with
checkpoints, demotions and kill -9 of kelvin-server in between.

Exit code: 0 all equal, 1 differences, 77 no redis-server (skipped).
"""
import os
import random
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare_redis import Client, Failure, Server, disturb, option, run_section  # noqa: E402

LINES = r'''
PFADD h
GET h
PFADD h
PFCOUNT h
GET h
PFADD h a b c
GET h
PFADD h a b c
PFCOUNT h
GET h
PFADD h a
GET h
PFDEBUG ENCODING h
PFDEBUG DECODE h
PFDEBUG TODENSE h
PFDEBUG TODENSE h
PFDEBUG ENCODING h
PFDEBUG DECODE h
GET h
PFADD h a
PFADD h d e
PFCOUNT h
GET h
PFCOUNT none
PFCOUNT none none2
PFCOUNT h none
PFMERGE m
GET m
PFMERGE m none
PFMERGE m h none
GET m
PFCOUNT m
PFADD g x y z
PFMERGE g m
GET g
PFMERGE h g m h
PFCOUNT h g m
STRLEN h
TYPE h
OBJECT ENCODING h
PFDEBUG GETREG g
PFADD sparse 1 2 3
PFDEBUG GETREG sparse
PFDEBUG ENCODING sparse
PFDEBUG WORD h
PFDEBUG WORD none
PFDEBUG ENCODING none
PFDEBUG ENCODING
PFDEBUG
PFADD
PFCOUNT
PFMERGE
PFADD "" ""
GET ""
EXPIRE g 1000
PFADD g 1 2 3
PFMERGE g h
~1 TTL g
RPUSH l a
PFADD l a
PFCOUNT l
PFCOUNT h l
PFMERGE l h
PFMERGE h l
PFDEBUG ENCODING l
SET s text
PFADD s a
PFCOUNT s
PFMERGE h s
PFMERGE s h
PFDEBUG ENCODING s
SET s 12345
PFADD s a
PFCOUNT s
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"
PFCOUNT s
PFMERGE h s
SET s "HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"
PFADD s a
PFCOUNT s
SET s "HYLL\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff"
PFADD s a
PFCOUNT s
SET s "HYLK\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff"
PFCOUNT s
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff"
PFCOUNT s
GET s
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff\x00"
PFCOUNT s
PFMERGE h s
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xfe"
PFCOUNT s
SET s "HYLL\x01\x01\x02\x03\x39\x30\x00\x00\x00\x00\x00\x00\x7f\xff"
PFCOUNT s
PFADD s a
GET s
PFDEBUG TODENSE s
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xfb\x83\x7f"
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x40\x00\x40\x00\x7f\xfd"
PFADD s b
GET s
SET s "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\xff\xff\x00\x7f\xf6"
PFCOUNT s
PFADD s b
GET s
PFSELFTEST
'''


class RandomSketches:
    KEYS = [b'h%d' % number for number in range(6)]

    def __init__(self, generator):
        self.random = generator

    def key(self):
        return self.random.choice(self.KEYS)

    def elements(self):
        count = self.random.choice([0, 1, 1, 2, 5, 30, 300, 1000])
        space = self.random.choice([50, 5000, 10**9])
        size = self.random.choice([0, 0, 3, 9, 40])
        return [b'%d' % self.random.randrange(space) + b'.' * size for _ in range(count)]

    def draw(self):
        """A command, and the key whose bytes are compared afterwards."""
        key = self.key()
        kind = self.random.randrange(20)
        if kind < 11:
            return [b'PFADD', key] + self.elements(), key
        if kind < 14:
            return [b'PFCOUNT', key], key
        if kind == 14:
            return [b'PFCOUNT'] + [self.key() for _ in range(3)], key
        if kind == 15:
            return [b'PFMERGE', key] + [self.key() for _ in range(self.random.randrange(3))], key
        if kind == 16:
            return [b'CONFIG', b'SET', b'hll-sparse-max-bytes', b'%d' % self.random.choice([0, 100, 3000, 3000, 20000])], key
        if kind == 17:
            return [b'PFDEBUG', self.random.choice([b'ENCODING', b'DECODE', b'TODENSE']), key], key
        if kind == 18:
            return [b'SETRANGE', key, b'%d' % self.random.randrange(20), bytes([self.random.randrange(256)])], key
        return [b'DEL', key, self.key()], key


def is_damaged(reply):
    """Redis notices some damage later than Kelvin does."""
    return isinstance(reply, Failure) and str(reply).startswith(('INVALIDOBJ', 'WRONGTYPE'))


def run_random(count, seed, binary, redis):
    generator = random.Random(seed)
    commands = RandomSketches(generator)
    server = Server(binary, ['--appendfsync', 'always'])
    kelvin, client = Client(server.port), Client(redis.port)
    client.ask([b'FLUSHALL'])
    differences = 0
    size = b'3000'
    for number in range(count):
        if generator.random() < 0.03:
            kelvin = disturb(generator, server, kelvin, commands.KEYS)
            kelvin.ask([b'CONFIG', b'SET', b'hll-sparse-max-bytes', size])
        words, key = commands.draw()
        if words[0] == b'CONFIG':
            size = words[3]
        a, b = kelvin.ask(words), client.ask(words)
        if is_damaged(a) or is_damaged(b):
            kelvin.ask([b'FLUSHALL'])
            client.ask([b'FLUSHALL'])
            continue
        more = [[b'GET', key], [b'PFCOUNT', key]] if number % 4 == 0 else [[b'GET', key]]
        for question in [words] + more:
            if question is not words:
                a, b = kelvin.ask(question), client.ask(question)
            if is_damaged(a) and is_damaged(b) or repr(a) == repr(b):
                continue
            differences += 1
            print('DIFFERENT [random %d, seed %d] %r after %.200r\n    kelvin %.300r\n    redis  %.300r'
                  % (number, seed, question[:3], words[:4], a, b))
    return differences, server.stop()


def check_accuracy(binary):
    """Estimates of known sets are within four standard errors."""
    server = Server(binary, [])
    client = Client(server.port)
    wrong = 0
    for power in range(1, 18):
        number = 2 ** power
        for start in range(2 ** (power - 1), number, 5000):
            client.ask([b'PFADD', b'h'] + [b'element-%d' % i for i in range(start, min(start + 5000, number))])
        estimate = client.ask([b'PFCOUNT', b'h'])
        error = abs(estimate - (number - 1)) / number
        if error > 4 * 0.0081:
            wrong += 1
            print('PFCOUNT of %d is %d' % (number - 1, estimate))
    return wrong, server.stop()


def main():
    binary = sys.argv[1]
    seed = option('seed', random.randrange(1 << 32))
    count = option('random', 3000)
    redis_binary = shutil.which('redis-server')
    if redis_binary is None:
        print('no redis-server: skipped')
        return 77
    print('seed %d' % seed, flush=True)
    redis = Server(redis_binary, ['--save', '', '--appendonly', 'no'])
    lines = [line for line in LINES.split('\n') if line]
    differences = code = 0
    try:
        kelvin = Server(binary, [])
        for protocol in (2, 3):
            differences += run_section('hyperloglog', lines, protocol, (kelvin.port, redis.port), False)[0]
        code = kelvin.stop()
        for found, other_code in (run_random(count, seed, binary, redis), check_accuracy(binary)):
            differences += found
            code = code or other_code
    finally:
        redis.stop()
    print('%d command lines, %d different, kelvin-server exited with %d' % (2 * len(lines) + count, differences, code))
    return 1 if differences or code != 0 else 0


if __name__ == '__main__':
    sys.exit(main())
