#!/usr/bin/env python3
"""The set commands of kelvin-server and redis-server: the same command lines, the same replies.

    set_compare.py KELVIN_SERVER [--seed=N] [--random=COUNT]

First lines that try every option and every mistake, over RESP2 and RESP3; then COUNT random commands on few sets, with checkpoints, demotions
and kill -9 of kelvin-server in between, and all sets compared at the end. What SPOP takes is taken from both.

Exit code: 0 all equal, 1 differences, 77 no redis-server (skipped).
"""
import os
import random
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare_redis import Client, Failure, Server, compare, disturb, option, run_section  # noqa: E402

# "?" compares without order: sets of texts have none.
LINES = r'''
SADD
SADD s
SADD s 3 1 2
SMEMBERS s
SADD s 3 1 2
SADD s -5 9223372036854775807 -9223372036854775808
SMEMBERS s
SCARD s
OBJECT ENCODING s
SADD s 9223372036854775808
?SMEMBERS s
SADD s 007 "" " 7" +7 -0 7 7
?SMEMBERS s
SISMEMBER s 7
SISMEMBER s 007
SISMEMBER s ""
SISMEMBER s 8
SISMEMBER none 8
SISMEMBER s
SISMEMBER s 1 2
SMISMEMBER s 1 2 x 007 ""
SMISMEMBER none 1 2
SMISMEMBER s
SMISMEMBER
SCARD s
SCARD none
SCARD
SREM s 1 2 nothing 2
SREM none 1
SREM s
?SMEMBERS s
SMEMBERS none
SMEMBERS
SMEMBERS s 1
SET t text
SADD t a
SREM t a
SISMEMBER t a
SMISMEMBER t a
SCARD t
SMEMBERS t
SPOP t
SPOP t 1
SPOP t 0
SPOP t -1
SRANDMEMBER t
SRANDMEMBER t 1
SRANDMEMBER t 0
SSCAN t 0
SSCAN t x
SMOVE t s a
SMOVE s t -5
SMOVE s t nothing
SMOVE none t a
SMOVE t none a
SINTER t s
SINTER s t
SINTER none t
SUNION s t
SUNION none t
SDIFF t s
SDIFF s t
SDIFF none t
SINTERSTORE d s t
SUNIONSTORE d t
SDIFFSTORE d none t
SINTERCARD 1 t
SINTERCARD 2 none t
EXISTS d
DEL s t
SADD a 1 2 3
SADD b x y 3
SMOVE a b 1
SMEMBERS a
?SMEMBERS b
SMOVE a b 3
SMEMBERS a
SMOVE a b nothing
SMOVE none b 1
SMOVE a c 2
EXISTS a
SMEMBERS c
SMOVE c c 2
SMOVE c c 3
SMOVE c d
DEL a b c
SADD a 1 2 3 4 5
SADD b 4 5 6
SADD c 5 x
SADD e a b c d 1
SINTER a b
SINTER a b c
SINTER a
SINTER a a a
SINTER a none
SINTER
?SINTER e a
?SINTER e e
SINTERSTORE d a b
SMEMBERS d
OBJECT ENCODING d
SINTERSTORE d a b c
SMEMBERS d
SINTERSTORE d a none
EXISTS d
SINTERSTORE d none none
SINTERSTORE d
SINTERSTORE a a b
SMEMBERS a
SADD a 1 2 3
SET d text
SINTERSTORE d a a
TYPE d
EXPIRE d 100
SINTERSTORE d a b
TTL d
SINTERCARD 2 a b
SINTERCARD 2 a b LIMIT 1
SINTERCARD 2 a b LIMIT 0
SINTERCARD 2 a b LIMIT 10
SINTERCARD 2 a b limit 1 LIMIT 2
SINTERCARD 2 a none
SINTERCARD 0 a
SINTERCARD -1 a
SINTERCARD x a
SINTERCARD 3 a b
SINTERCARD 2 a
SINTERCARD 1 a b
SINTERCARD 1 a LIMIT
SINTERCARD 1 a LIMIT -1
SINTERCARD 1 a LIMIT x
SINTERCARD 1 a LIMIT 9223372036854775808
SINTERCARD 9223372036854775807 a
SINTERCARD 9223372036854775808 a
SINTERCARD 1
SINTERCARD
SUNION a b
?SUNION a b c
?SUNION a none e
SUNION none
SUNION
SUNIONSTORE d a b
SMEMBERS d
OBJECT ENCODING d
SUNIONSTORE d a c
?SMEMBERS d
SUNIONSTORE d none
EXISTS d
SUNIONSTORE a a b
SMEMBERS a
SDIFF a b
SDIFF a b c
SDIFF a
SDIFF a a
SDIFF b a
?SDIFF e a
?SDIFF e a b c none
SDIFF none a
SDIFF
SDIFFSTORE d a b
SMEMBERS d
OBJECT ENCODING d
SDIFFSTORE d a a
EXISTS d
SDIFFSTORE e e a
?SMEMBERS e
SDIFFSTORE d none
DEL a b c d e
SPOP none
SPOP none 1
SPOP none 0
SPOP none -1
SPOP none x
SPOP none 9223372036854775808
SPOP none 1 2
SADD a 1
SPOP a 0
SPOP a x
SPOP a -1
SPOP a
EXISTS a
SADD a 1 2 3
SPOP a 3
EXISTS a
SADD a 1 2 3
SPOP a 9223372036854775807
EXISTS a
SRANDMEMBER none
SRANDMEMBER none 1
SRANDMEMBER none -1
SRANDMEMBER none 0
SRANDMEMBER none x
SRANDMEMBER none 1 2
SADD a 1
SRANDMEMBER a
SRANDMEMBER a 1
SRANDMEMBER a 5
SRANDMEMBER a -3
SRANDMEMBER a 0
SRANDMEMBER a x
SRANDMEMBER a -9223372036854775808
SRANDMEMBER a 9223372036854775808
SADD a 2 3
SRANDMEMBER a 3
SRANDMEMBER a 100
SSCAN a 0
SSCAN a 0 COUNT 1
SSCAN a 0 MATCH [12]
SSCAN a 0 MATCH [12] COUNT 100
SSCAN a 0 MATCH nothing
SSCAN a 0 MATCH *
SSCAN a 0 COUNT 0
SSCAN a 0 COUNT x
SSCAN a 0 COUNT
SSCAN a 0 MATCH
SSCAN a 0 WORD 1
SSCAN a 0 TYPE set
SSCAN a x
SSCAN a -1
SSCAN a 99999999999999999999
SSCAN none 0
SSCAN none 0 COUNT 0
SSCAN none x
SSCAN a
SSCAN
SADD f x
SSCAN f 0
SSCAN f 0 MATCH x
SSCAN f 0 MATCH y
TYPE f
RENAME f g
SMEMBERS g
COPY g h
SADD h 5
SMEMBERS g
MULTI
SADD m 1
SADD m 2
SPOP m 2
SMEMBERS m
SADD m 5
SINTERSTORE n m m
EXEC
SMEMBERS n
EXPIRE m 1000
SADD m 6
~2 TTL m
SREM m 5 6
TTL m
'''


def parsed(lines):
    """A mark without a blank behind it gets one: run_section() takes the mark off up to the blank."""
    return [line[0] + ' ' + line[1:] if line[0] in '?!' and line[1] != ' ' else line
            for line in lines.split('\n') if line]


class RandomSets:
    KEYS = [b's%d' % number for number in range(6)] + [b'', b't']

    def __init__(self, generator):
        self.random = generator
        self.choices = ([self.add] * 6 + [self.remove] * 3 + [self.ask] * 3 + [self.algebra] * 3 + [self.store] * 2 +
                        [self.pop] * 2 + [self.move, self.other])

    def draw(self):
        return self.random.choice(self.choices)()

    def key(self):
        return self.random.choice(self.KEYS)

    def member(self):
        kind = self.random.randrange(10)
        if kind < 6:
            return b'%d' % self.random.randrange(-20, 600)
        if kind == 6:
            return b'%d' % self.random.choice([2**63 - 1, -2**63, 2**31, -2**31 - 1, 255, 256, -129])
        if kind == 7:
            return self.random.choice([b'', b'007', b'-0', b'+1', b'3.5', b'x' * 64, b'x' * 65, b'y' * 3000, b'z' * 70000])
        return b'm%d' % self.random.randrange(300)

    def members(self):
        count = self.random.choice([1, 1, 2, 5, 40])
        if self.random.random() < 0.3:
            start = self.random.randrange(-50, 400)
            return [b'%d' % number for number in range(start, start + count * 3)]
        return [self.member() for _ in range(count)]

    def add(self):
        return '', [b'SADD', self.key()] + self.members()

    def remove(self):
        return '', [b'SREM', self.key()] + self.members()

    def ask(self):
        key = self.key()
        return self.random.choice([('', [b'SISMEMBER', key, self.member()]), ('', [b'SMISMEMBER', key] + self.members()),
                                   ('', [b'SCARD', key]), ('?', [b'SMEMBERS', key]),
                                   ('?', [b'SRANDMEMBER', key, b'100000'])])

    def several(self):
        return [self.key() for _ in range(self.random.choice([1, 2, 2, 3, 5]))]

    def algebra(self):
        keys = self.several()
        return self.random.choice([('?', [self.random.choice([b'SINTER', b'SUNION', b'SDIFF'])] + keys),
                                   ('', [b'SINTERCARD', b'%d' % len(keys)] + keys),
                                   ('', [b'SINTERCARD', b'%d' % len(keys)] + keys + [b'LIMIT', b'7'])])

    def store(self):
        word = self.random.choice([b'SINTERSTORE', b'SUNIONSTORE', b'SDIFFSTORE'])
        return '', [word, self.key()] + self.several()

    def pop(self):
        return 'pop', [b'SPOP', self.key()] + self.random.choice([[], [b'%d' % self.random.choice([0, 1, 2, 10, 150, 1000])]])

    def move(self):
        return '', [b'SMOVE', self.key(), self.key(), self.member()]

    def other(self):
        key = self.key()
        return self.random.choice([('', [b'DEL', key]), ('', [b'EXPIRE', key, b'100000']), ('', [b'PERSIST', key]),
                                   ('', [b'RENAME', key, self.key()]), ('', [b'COPY', key, self.key(), b'REPLACE']),
                                   ('', [b'SET', b't', b'text']), ('', [b'TYPE', key]), ('~3', [b'TTL', key])])


def contents(client, keys):
    found = {}
    for key in keys:
        members = client.ask([b'SMEMBERS', key])
        found[key] = sorted(members) if isinstance(members, list) else members
    return found


def pop(words, kelvin, redis):
    """Pops from the one, removes what was popped from the other. False: they do not agree."""
    count = redis.ask([b'SCARD', words[1]])
    reply = kelvin.ask(words)
    if isinstance(reply, Failure) or reply is None:
        return repr(reply) == repr(redis.ask(words))
    members = reply if isinstance(reply, list) else [reply]
    wanted = int(words[2]) if len(words) > 2 else 1
    if len(members) != min(wanted, count):
        return False
    return not members or redis.ask([b'SREM', words[1]] + members) == len(members)


def run_random(commands, contents_of, count, seed, binary, redis, options):
    generator = commands.random
    server = Server(binary, ['--appendfsync', 'always'] + options)
    kelvin, client = Client(server.port), Client(redis.port)
    client.ask([b'FLUSHALL'])
    differences = 0
    for number in range(count):
        if generator.random() < 0.03:
            kelvin = disturb(generator, server, kelvin, commands.KEYS)
        mark, words = commands.draw()
        if mark == 'pop':
            if pop(words, kelvin, client):
                continue
            a, b = 'popped', 'otherwise'
        else:
            a, b = kelvin.ask(words), client.ask(words)
            if compare(mark, a, b) or repr(a) == repr(b):
                continue
        differences += 1
        print('DIFFERENT [random %d, seed %d] %r\n    kelvin %.300r\n    redis  %.300r'
              % (number, seed, [word[:40] for word in words], a, b))
    server.restart()
    a, b = contents_of(Client(server.port), commands.KEYS), contents_of(client, commands.KEYS)
    if repr(a) != repr(b):
        differences += 1
        print('DIFFERENT contents at the end, seed %d' % seed)
        for key in a:
            if repr(a[key]) != repr(b[key]):
                print('    %r\n    kelvin %.600r\n    redis  %.600r' % (key, a[key], b[key]))
    return differences, server.stop()


def run_family(name, lines, random_commands, contents_of):
    """main() of the tests that look like this one."""
    binary = sys.argv[1]
    seed = option('seed', random.randrange(1 << 32))
    count = option('random', 3000)
    redis_binary = shutil.which('redis-server')
    if redis_binary is None:
        print('no redis-server: skipped')
        return 77
    print('seed %d' % seed, flush=True)
    redis = Server(redis_binary, ['--save', '', '--appendonly', 'no'])
    lines = parsed(lines)
    differences = code = 0
    try:
        kelvin = Server(binary, [])
        for protocol in (2, 3):
            differences += run_section(name, lines, protocol, (kelvin.port, redis.port), False)[0]
        code = kelvin.stop()
        # Once at ease, once with so little memory that everything crosses the cold tier, and several workers.
        for options in ([], ['--maxmemory', '12mb', '--workers', '3']):
            found, random_code = run_random(random_commands(random.Random(seed)), contents_of, count, seed, binary,
                                            redis, options)
            differences += found
            code = code or random_code
    finally:
        redis.stop()
    print('%d command lines, %d different, kelvin-server exited with %d'
          % (2 * len(lines) + 2 * count, differences, code))
    return 1 if differences or code != 0 else 0


if __name__ == '__main__':
    sys.exit(run_family('set', LINES, RandomSets, contents))
