#!/usr/bin/env python3
"""The list commands of kelvin-server and redis-server: the same command lines, the same replies.

    list_compare.py KELVIN_SERVER [--seed=N] [--random=COUNT]

First lines that try every option and every mistake, over RESP2 and RESP3; then COUNT random commands on few lists, with checkpoints, demotions
and kill -9 of kelvin-server in between, and all lists compared at the end.

Exit code: 0 all equal, 1 differences, 77 no redis-server (skipped).
"""
import os
import random
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare_redis import Client, Server, disturb, option, run_section  # noqa: E402

# No tests of 7.2's own behaviour: what differs from 7.0 is in list.py.
LINES = r'''
RPUSH l a b c 1 2 3 -4 007 "" a
LRANGE l 0 -1
LLEN l
TYPE l
LRANGE l 2 4
LRANGE l -3 -1
LRANGE l -300 1
LRANGE l 5 300
LRANGE l 3 2
LRANGE l 100 200
LRANGE l -9223372036854775808 9223372036854775807
LRANGE l 9223372036854775807 -9223372036854775808
LRANGE l 0 x
LRANGE l x 0
LRANGE none 0 -1
LRANGE none x -1
LRANGE
LRANGE l 0
LINDEX l 0
LINDEX l -1
LINDEX l 3
LINDEX l 8
LINDEX l 10
LINDEX l -11
LINDEX l 9223372036854775807
LINDEX l -9223372036854775808
LINDEX l x
LINDEX none x
LINDEX none 0
LLEN none
SET s text
LPUSH s a
RPUSH s a
LPUSHX s a
RPUSHX s a
LPOP s
RPOP s
LPOP s 0
LPOP s -1
LLEN s
LINDEX s 0
LINDEX s x
LSET s 0 x
LSET s x x
LRANGE s 0 -1
LTRIM s 0 -1
LREM s 0 a
LREM s x a
LINSERT s BEFORE a b
LINSERT s MIDDLE a b
LPOS s a
LPOS s a RANK 0
RPOPLPUSH s l
RPOPLPUSH l s
LMOVE s l LEFT LEFT
LMOVE l s LEFT LEFT
LMPOP 1 s LEFT
LMPOP 2 none s LEFT
BLPOP s 0.01
BLMPOP 0.01 1 s LEFT
BLMOVE s l LEFT LEFT 0.01
BLMOVE l s LEFT LEFT 0.01
BRPOPLPUSH l s 0.01
LRANGE l 0 -1
LPUSHX none a
RPUSHX none a b
EXISTS none
LPUSH
LPUSH l
LPUSHX l
LPUSH x 1
LPUSHX x 2 3
RPUSHX x 4
LRANGE x 0 -1
LPOP x
RPOP x
LPOP x 0
LPOP x 1
LPOP x 100
EXISTS x
LPOP x
LPOP x 0
LPOP x 1
RPOP x 5
LPOP x y
LPOP l y
LPOP l 1 2
LPOP l -5
LPOP l 99999999999999999999
LPOP l 9223372036854775808
RPOP
RPUSH x a b c d e f
RPOP x 3
LPOP x 2
RPOP x 1
EXISTS x
LSET none 0 a
LSET none x a
RPUSH x a b c
LSET x 0 A
LSET x -1 C
LSET x 1 77
LSET x 3 D
LSET x -4 D
LSET x x D
LSET x
LRANGE x 0 -1
LINSERT x BEFORE A 0
LINSERT x AFTER C end
LINSERT x after 77 78
LINSERT x before 77 76
LINSERT x BEFORE nothing y
LINSERT none BEFORE a b
LINSERT x SIDEWAYS A B
LINSERT none SIDEWAYS A B
LINSERT x BEFORE A
LRANGE x 0 -1
LREM x 0 nothing
LREM none 0 a
LREM x y a
LREM x
RPUSH x A A 5 A
LREM x 1 A
LREM x -1 A
LREM x 99 A
LRANGE x 0 -1
LREM x -9223372036854775807 5
LREM x 9223372036854775807 0
LREM x 0 9223372036854775808
DEL x
RPUSH x 1 1 1
LREM x 0 1
EXISTS x
RPUSH x a b c d e f g h
LTRIM x 1 -2
LRANGE x 0 -1
LTRIM x -4 10
LRANGE x 0 -1
LTRIM x 0 x
LTRIM x x 0
LTRIM none 0 0
LTRIM none x 0
LTRIM x 0 -1
LTRIM x 0 9223372036854775807
LRANGE x 0 -1
LTRIM x 3 1
EXISTS x
RPUSH x a
LTRIM x 5 9
EXISTS x
RPUSH x a
LTRIM x -9223372036854775808 -9223372036854775808
EXISTS x
RPUSH x a b c 1 2 3 c c b 3 c
LPOS x c
LPOS x c RANK 1
LPOS x c RANK 2
LPOS x c RANK 4
LPOS x c RANK 5
LPOS x c RANK -1
LPOS x c RANK -2
LPOS x c RANK -9
LPOS x c RANK 0
LPOS x c RANK x
LPOS x c RANK -9223372036854775807
LPOS x c RANK 9223372036854775807
LPOS x c COUNT 0
LPOS x c COUNT 2
LPOS x c COUNT 99
LPOS x c COUNT -1
LPOS x c COUNT x
LPOS x c COUNT 0 RANK 2
LPOS x c COUNT 2 RANK -1
LPOS x c COUNT 0 MAXLEN 3
LPOS x c COUNT 0 MAXLEN 2
LPOS x c MAXLEN 3
LPOS x c MAXLEN 2
LPOS x c MAXLEN 0
LPOS x c MAXLEN -1
LPOS x c MAXLEN x
LPOS x c RANK -1 MAXLEN 1
LPOS x b RANK -1 MAXLEN 2
LPOS x b RANK -1 MAXLEN 3
LPOS x 3 COUNT 0
LPOS x 03 COUNT 0
LPOS x nothing
LPOS x nothing COUNT 0
LPOS none a
LPOS none a COUNT 1
LPOS none a COUNT -1
LPOS x c RANK
LPOS x c WORD 1
LPOS x c RANK 1 COUNT
LPOS x c COUNT 1 COUNT 2 rank 1 maxlen 0
LPOS x
DEL x y
RPOPLPUSH x y
RPUSH x a b c
RPOPLPUSH x y
RPOPLPUSH x x
LRANGE x 0 -1
LRANGE y 0 -1
RPOPLPUSH x y
RPOPLPUSH x y
EXISTS x
LRANGE y 0 -1
RPOPLPUSH y y
RPOPLPUSH y
LMOVE y z LEFT RIGHT
LMOVE y z RIGHT RIGHT
LMOVE y z RIGHT LEFT
LMOVE y z left left
LMOVE none z LEFT LEFT
LMOVE z z LEFT LEFT
LMOVE z z LEFT RIGHT
LMOVE z z RIGHT LEFT
LMOVE z z RIGHT RIGHT
LMOVE z z UP LEFT
LMOVE z z LEFT UP
LMOVE none z LEFT UP
LMOVE z y LEFT
LRANGE z 0 -1
LRANGE y 0 -1
DEL x y z
RPUSH x 1
LMOVE x x LEFT RIGHT
LRANGE x 0 -1
EXPIRE x 1000
RPUSH x 2
~1 TTL x
LMOVE x y LEFT LEFT
LMOVE x y LEFT LEFT
TTL y
LMPOP 1 none LEFT
LMPOP 2 none y LEFT
LMPOP 2 none y RIGHT COUNT 10
EXISTS y
RPUSH y a b c d
LMPOP 1 y LEFT COUNT 2
LMPOP 1 y left count 1
LMPOP 0 y LEFT
LMPOP -1 y LEFT
LMPOP x y LEFT
LMPOP 2 y LEFT
LMPOP 3 y LEFT
LMPOP 1 y
LMPOP 1 y UP
LMPOP 1 y LEFT COUNT
LMPOP 1 y LEFT COUNT 0
LMPOP 1 y LEFT COUNT -1
LMPOP 1 y LEFT COUNT x
LMPOP 1 y LEFT COUNT 1 COUNT 2
LMPOP 1 y LEFT COUNT 0 COUNT 2
LMPOP 1 y LEFT WORD 1
LMPOP 1 y LEFT WORD
LMPOP 9223372036854775807 y LEFT
LMPOP 99999999999999999999 y LEFT
LMPOP 1 y LEFT COUNT 9223372036854775807
LMPOP 1
LMPOP
BLPOP x
BLPOP none x
BLPOP none -1
BLPOP none -0.5
BLPOP none -inf
BLPOP none nan
BLPOP none " 1"
BLPOP none ""
BLPOP none 0.01
BRPOP none none2 0.01
BLPOP none 0x0.01p0
RPUSH x a b c
BLPOP none x 0
BRPOP x none 0
BLPOP x 0.00001
BLPOP x 0.01
BLMOVE none y LEFT RIGHT 0.01
BLMOVE none y LEFT RIGHT x
BLMOVE none y LEFT RIGHT -1
BLMOVE none y LEFT UP -1
BRPOPLPUSH none y 0.01
BRPOPLPUSH none y x
RPUSH x a b c
BLMOVE x y LEFT RIGHT 0
BRPOPLPUSH x y 0
LRANGE y 0 -1
BLMPOP 0.01 1 none LEFT
BLMPOP 0 2 none y LEFT COUNT 2
BLMPOP x 1 y LEFT
BLMPOP x 0 y LEFT
BLMPOP -1 1 y LEFT
BLMPOP 0 1 y UP
BLMPOP 0 1 x RIGHT COUNT 0
BLMPOP 0 1 x RIGHT
BLMPOP 0 1
RPUSH x a
MULTI
BLPOP x 0
BLPOP x 0
BRPOP x y 0
BLMOVE x y LEFT LEFT 0
BRPOPLPUSH x y 0
BLMPOP 0 1 x LEFT
EXEC
RPUSH x a b
RENAME x y
LRANGE y 0 -1
COPY y x
RPUSH x c
LRANGE x 0 -1
LRANGE y 0 -1
OBJECT ENCODING x
APPEND x a
GET x
INCR x
SET x 1
RPUSH x 1
'''


EVENT_LINES = r'''
LPUSH l a b
RPUSH l c
LPUSHX l d
RPUSHX none d
LPOP l
RPOP l 2
LPOP l 0
RPUSH l a b c d
LSET l 0 x
LSET l 9 x
LINSERT l AFTER x y
LINSERT l AFTER nothing y
LREM l 0 nothing
LREM l 0 y
LTRIM l 0 -1
LTRIM l 1 -1
LRANGE l 0 -1
RPOPLPUSH l m
LMOVE l m LEFT RIGHT
LMOVE l l LEFT RIGHT
LMOVE l m LEFT RIGHT
LMPOP 2 l m LEFT COUNT 2
BLPOP m 0
RPUSH m a b
BLMOVE m n LEFT LEFT 0
BRPOPLPUSH m n 0
BLMPOP 0 1 n LEFT COUNT 9
RPUSH l a
LREM l 1 a
RPUSH l a
LTRIM l 5 9
RPUSH l a
LPOP l 5
PFADD h a
PFADD h a
PFCOUNT h
PFMERGE h h
PFDEBUG TODENSE h
'''


def messages(client):
    """What a subscriber has got up to now."""
    found = []
    client.ask_nothing([b'PING'])
    while True:
        message = client.read()
        if message == [b'pong', b'']:
            return found
        found.append(message)


class Subscriber(Client):
    def __init__(self, port):
        super().__init__(port)
        self.ask([b'CONFIG', b'SET', b'notify-keyspace-events', b'KEA'])
        self.ask([b'PSUBSCRIBE', b'__key*__:*'])

    def ask_nothing(self, words):
        self.socket.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(word), word) for word in words))


def compare_events(ports):
    differences = 0
    clients = [Client(port) for port in ports]
    for client in clients:
        client.ask([b'FLUSHALL'])
    subscribers = [Subscriber(port) for port in ports]
    lines = [line for line in EVENT_LINES.split('\n') if line]
    for line in lines:
        for client in clients:
            client.ask(line.encode().split())
        a, b = (messages(subscriber) for subscriber in subscribers)
        if a != b:
            differences += 1
            print('DIFFERENT events of %s\n    kelvin %r\n    redis  %r' % (line, a, b))
    return differences


class RandomLists:
    KEYS = [b'l%d' % number for number in range(5)]

    def __init__(self, generator):
        self.random = generator
        weights = {5: [self.push], 3: [self.pop, self.move], 2: [self.read, self.change], 1: [self.cut, self.block, self.other]}
        self.choices = [function for weight, group in weights.items() for function in group * weight]

    def draw(self):
        return '', self.random.choice(self.choices)()

    def key(self):
        return self.random.choice(self.KEYS)

    def value(self):
        kind = self.random.randrange(10)
        if kind < 4:
            return b'%d' % self.random.choice([0, 1, 2, 3, -1, 127, 128, -129, 40000, 2**31, -2**63, 2**63 - 1])
        if kind < 8:
            return self.random.choice([b'a', b'b', b'', b'007', b'3.0'])
        size = self.random.choice([20, 300, 1023, 1024, 1025, 4096, 20000, 70000])
        return bytes([self.random.choice(b'xyz')]) * size

    def index(self):
        return b'%d' % self.random.choice([0, 1, 2, -1, -2, 7, -8, 30, 100, -200, 2**63 - 1, -2**63])

    def end(self):
        return self.random.choice([b'LEFT', b'RIGHT'])

    def push(self):
        word = self.random.choice([b'LPUSH', b'RPUSH', b'RPUSH', b'LPUSHX', b'RPUSHX'])
        return [word, self.key()] + [self.value() for _ in range(self.random.choice([1, 1, 3, 40]))]

    def pop(self):
        word = self.random.choice([b'LPOP', b'RPOP'])
        count = self.random.choice([[], [], [b'%d' % self.random.choice([0, 1, 3, 20])]])
        return self.random.choice([[word, self.key()] + count,
                                   [b'LMPOP', b'2', self.key(), self.key(), self.end(), b'COUNT', b'%d' % self.random.choice([1, 2, 30])]])

    def move(self):
        return self.random.choice([[b'RPOPLPUSH', self.key(), self.key()],
                                   [b'LMOVE', self.key(), self.key(), self.end(), self.end()]])

    def read(self):
        key = self.key()
        options = []
        for name, values in ((b'RANK', [1, 2, -1, -3]), (b'COUNT', [0, 1, 3]), (b'MAXLEN', [0, 1, 10])):
            if self.random.random() < 0.4:
                options += [name, b'%d' % self.random.choice(values)]
        return self.random.choice([[b'LLEN', key], [b'LINDEX', key, self.index()], [b'LRANGE', key, self.index(), self.index()],
                                   [b'LPOS', key, self.value()] + options])

    def change(self):
        key = self.key()
        where = self.random.choice([b'BEFORE', b'AFTER'])
        return self.random.choice([[b'LSET', key, self.index(), self.value()], [b'LINSERT', key, where, self.value(), self.value()],
                                   [b'LREM', key, b'%d' % self.random.choice([0, 1, -1, 2, -3]), self.value()]])

    def cut(self):
        return [b'LTRIM', self.key(), self.random.choice([b'0', b'1', b'-30', b'2']), self.random.choice([b'-1', b'-2', b'30', b'50'])]

    def block(self):
        return self.random.choice([[b'BLPOP', self.key(), self.key(), b'0.001'], [b'BRPOP', self.key(), b'0.001'],
                                   [b'BLMPOP', b'0.001', b'1', self.key(), self.end(), b'COUNT', b'2'],
                                   [b'BLMOVE', self.key(), self.key(), self.end(), self.end(), b'0.001'],
                                   [b'BRPOPLPUSH', self.key(), self.key(), b'0.001']])

    def other(self):
        return self.random.choice([[b'DEL', self.key()], [b'RENAME', self.key(), self.key()], [b'COPY', self.key(), self.key(), b'REPLACE'],
                                   [b'EXISTS', self.key()], [b'TYPE', self.key()], [b'SET', self.key(), b'text'], [b'PERSIST', self.key()],
                                   [b'EXPIRE', self.key(), b'100000']])


def lists(client, keys):
    return {key: client.ask([b'LRANGE', key, b'0', b'-1']) for key in keys}


def run_random(count, seed, binary, redis):
    generator = random.Random(seed)
    commands = RandomLists(generator)
    server = Server(binary, ['--appendfsync', 'always'])
    kelvin, client = Client(server.port), Client(redis.port)
    client.ask([b'FLUSHALL'])
    differences = 0
    for number in range(count):
        if generator.random() < 0.03:
            kelvin = disturb(generator, server, kelvin, commands.KEYS)
        _, words = commands.draw()
        a, b = kelvin.ask(words), client.ask(words)
        if repr(a) != repr(b):
            differences += 1
            print('DIFFERENT [random %d, seed %d] %r\n    kelvin %.300r\n    redis  %.300r'
                  % (number, seed, [word[:40] for word in words], a, b))
    server.restart()
    a, b = lists(Client(server.port), commands.KEYS), lists(client, commands.KEYS)
    if repr(a) != repr(b):
        differences += 1
        print('DIFFERENT lists at the end, seed %d:\n    kelvin %.2000r\n    redis  %.2000r' % (seed, a, b))
    return differences, server.stop()


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
            differences += run_section('list', lines, protocol, (kelvin.port, redis.port), False)[0]
        differences += compare_events((kelvin.port, redis.port))
        code = kelvin.stop()
        found, random_code = run_random(count, seed, binary, redis)
        differences += found
        code = code or random_code
    finally:
        redis.stop()
    print('%d command lines, %d different, kelvin-server exited with %d' % (2 * len(lines) + count, differences, code))
    return 1 if differences or code != 0 else 0


if __name__ == '__main__':
    sys.exit(main())
