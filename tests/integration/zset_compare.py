#!/usr/bin/env python3
"""Random commands on sorted sets and geospatial indexes: kelvin-server and redis-server must reply the same.

    zset_compare.py KELVIN_SERVER [--random=COUNT] [--seed=N]

COUNT commands over RESP2 and as many over RESP3, on few keys, with checkpoints, demotions and kill -9 of kelvin-server in between; all
data are compared at the end. RESP2 scores have the shortest digits here (as Redis 7.2), 17 digits in older servers: texts that are
the same number are the same. Exit code: 0 all equal, 1 differences, 77 no redis-server (skipped).
"""
import os
import random
import shutil
import sys

from compare_redis import Client, Failure, Server, disturb, option

KEYS = [b'z0', b'z1', b'z2', b'z3', b'', b'geo']
OTHER = [b'set', b'intset', b'string', b'none']
DESTINATIONS = [b'z0', b'z1', b'z2', b'z3', b'd0', b'd1']


def is_same_number(a, b):
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def is_same(a, b):
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(is_same(x, y) for x, y in zip(a, b))
    if isinstance(a, bytes) and isinstance(b, bytes) and a != b:
        return is_same_number(a, b)
    return a == b


def size_of(reply):
    return len(reply) if isinstance(reply, list) else reply is None


def is_same_or_tied(a, b):
    """Which of those that are equally far away is left open."""
    return is_same(a, b) or (isinstance(a, list) and isinstance(b, list) and len(a) == len(b))


def pairs(reply):
    """A whole ZSCAN as what it says, whatever the order."""
    if isinstance(reply, Failure) or reply[0] != b'0':
        return reply
    return sorted((reply[1][i], float(reply[1][i + 1])) for i in range(0, len(reply[1]), 2))


class ZsetCommands:
    """Draws command lines: how to compare, and the words."""

    def __init__(self, generator):
        self.random = generator
        weights = {
            6: [self.zadd, self.zadd_options],
            3: [self.zrange, self.old_range, self.combine, self.store, self.ask, self.geoadd, self.geosearch],
            2: [self.remove, self.remove_range, self.pop, self.increment, self.count, self.rank, self.random_member, self.georadius],
            1: [self.sets, self.delete, self.scan, self.geo_ask, self.range_store, self.many, self.malformed, self.blocking],
        }
        self.choices = [function for weight, functions in weights.items() for function in functions * weight]

    def draw(self):
        return self.random.choice(self.choices)()

    def one(self, *choices):
        return self.random.choice(choices)

    def key(self):
        return self.random.choice(KEYS if self.random.random() < 0.93 else OTHER)

    def keys(self):
        keys = [self.key() if self.random.random() < 0.8 else self.one(b'set', b'intset') for _ in range(self.random.randrange(1, 5))]
        return [b'%d' % len(keys)] + keys

    def member(self):
        kind = self.random.randrange(20)
        if kind == 0:
            return self.one(b'', b'\x00', b'a longer name than the others have', b'007', b'-0', b'1.5', b'x' * 64)
        if kind == 1 and self.random.random() < 0.2:
            return self.one(b'x' * 65, b'y' * 2000)
        if kind < 8:
            return b'%d' % self.random.randrange(-5, 25)
        return b'm%d' % self.random.randrange(25)

    def score(self):
        kind = self.random.randrange(24)
        if kind == 0:
            return self.one(b'inf', b'-inf', b'+inf', b'1e400', b'5e-324', b'1e17', b'9007199254740993', b'-0', b'0x1F', b'1e3', b'infinity')
        if kind == 1 and self.random.random() < 0.3:
            return self.one(b'nan', b'', b'a', b' 1', b'1 ', b'1,5', b'(1', b'1.0.0')
        if kind < 6:
            return b'%.2f' % (self.random.randrange(-40, 40) / 4)
        if kind < 8:
            return repr(self.random.uniform(-10, 10)).encode()
        return b'%d' % self.random.randrange(-8, 12)

    def zadd(self):
        words = [b'ZADD', self.key()]
        for _ in range(self.one(1, 1, 2, 3, 10, 40)):
            words += [self.score(), self.member()]
        return is_same, words

    def zadd_options(self):
        words = [b'ZADD', self.key()]
        for word in (b'NX', b'XX', b'GT', b'LT', b'CH', b'incr'):
            if self.random.random() < 0.22:
                words.append(word)
        for _ in range(self.one(1, 1, 1, 2)):
            words += [self.score(), self.member()]
        return is_same, words

    def increment(self):
        return is_same, [b'ZINCRBY', self.key(), self.score(), self.member()]

    def remove(self):
        return is_same, [b'ZREM', self.key()] + [self.member() for _ in range(self.random.randrange(1, 4))]

    def rank_bound(self):
        return b'%d' % self.one(0, 1, 2, 5, 30, -1, -2, -3, -30, 2**62, -2**63, 2**63 - 1)

    def score_bound(self):
        prefix = self.one(b'', b'', b'(')
        return prefix + self.one(self.score(), b'-inf', b'+inf', b'%d' % self.random.randrange(-8, 12))

    def lex_bound(self):
        return self.one(b'-', b'+', b'[' + self.member(), b'(' + self.member(), b'[m1', b'(m2', b'', b'm', b'-x', b'++') \
            if self.random.random() < 0.3 else self.one(b'-', b'+', b'[', b'(') + self.one(b'', self.member())

    def bounds(self, kind):
        maker = {b'': self.rank_bound, b'BYSCORE': self.score_bound, b'BYLEX': self.lex_bound}[kind]
        return [maker(), maker()]

    def limit(self):
        return [b'LIMIT', b'%d' % self.one(0, 1, 2, 5, 100, -1, 2**63 - 1), b'%d' % self.one(0, 1, 2, 5, 100, -1, -5)]

    def range_words(self, with_scores):
        # What a range of bytes gives where scores differ is left open.
        kind = self.one(b'', b'BYSCORE', b'BYSCORE', b'BYLEX')
        key = b'lex' if kind == b'BYLEX' and self.random.random() < 0.95 else self.key()
        options = [kind] if kind else []
        if self.random.random() < 0.4:
            options.append(b'REV')
        if with_scores and self.random.random() < 0.5:
            options.append(b'WITHSCORES')
        if self.random.random() < (0.4 if kind else 0.05):
            options += self.limit()
        return kind, [key] + self.bounds(kind) + options

    def zrange(self):
        kind, words = self.range_words(True)
        if kind == b'BYLEX' and words[0] != b'lex':
            words[0] = b'never'
        return is_same, [b'ZRANGE'] + words

    def range_store(self):
        kind, words = self.range_words(self.random.random() < 0.1)
        if kind == b'BYLEX' and words[0] != b'lex':
            words[0] = b'never'
        return is_same, [b'ZRANGESTORE', self.random.choice(DESTINATIONS)] + words

    def old_range(self):
        name, kind = self.one((b'ZREVRANGE', b''), (b'ZRANGEBYSCORE', b'BYSCORE'), (b'ZREVRANGEBYSCORE', b'BYSCORE'),
                              (b'ZRANGEBYLEX', b'BYLEX'), (b'ZREVRANGEBYLEX', b'BYLEX'))
        words = [name, b'lex' if kind == b'BYLEX' else self.key()] + self.bounds(kind)
        if self.random.random() < 0.4:
            words.append(b'withscores')
        if self.random.random() < 0.3:
            words += self.limit()
        return is_same, words

    def remove_range(self):
        name, kind = self.one((b'ZREMRANGEBYRANK', b''), (b'ZREMRANGEBYSCORE', b'BYSCORE'), (b'ZREMRANGEBYLEX', b'BYLEX'))
        bounds = self.bounds(kind)
        if kind == b'' and self.random.random() < 0.7:
            bounds = [b'%d' % self.random.randrange(4), b'%d' % self.random.randrange(6)]
        return is_same, [name, b'lex' if kind == b'BYLEX' else self.key()] + bounds

    def count(self):
        if self.random.random() < 0.5:
            return is_same, [b'ZCOUNT', self.key()] + self.bounds(b'BYSCORE')
        return is_same, [b'ZLEXCOUNT', b'lex'] + self.bounds(b'BYLEX')

    def ask(self):
        key = self.key()
        return is_same, self.one([b'ZCARD', key], [b'ZSCORE', key, self.member()],
                                 [b'ZMSCORE', key, self.member(), self.member(), self.member()],
                                 [b'OBJECT', b'ENCODING', self.random.choice(KEYS)], [b'TYPE', key], [b'EXISTS', key])

    def rank(self):
        return is_same, [self.one(b'ZRANK', b'ZREVRANK'), self.key(), self.member()]

    def random_member(self):
        words = [b'ZRANDMEMBER', self.key()]
        if self.random.random() < 0.8:
            words.append(b'%d' % self.one(0, 1, 3, 50, -1, -3, -50))
            if self.random.random() < 0.6:
                words.append(b'WITHSCORES')
        if b'50' in words and words[-1] != b'WITHSCORES':
            return (lambda a, b: a == b or sorted(a) == sorted(b) or len(a) == len(b) == 50), words
        return (lambda a, b: size_of(a) == size_of(b)), words

    def scan(self):
        words = [b'ZSCAN', self.key(), b'0', b'COUNT', b'100000']
        if self.random.random() < 0.3:
            words += [b'MATCH', self.one(b'm*', b'1?', b'nothing')]
        return (lambda a, b: pairs(a) == pairs(b)), words

    def options_of_combine(self, key_count, scores):
        words = []
        if scores and self.random.random() < 0.4:
            words += [b'WEIGHTS'] + [self.one(b'1', b'2', b'-1', b'0', b'0.5', b'inf', b'x') if self.random.random() < 0.9
                                     else self.score() for _ in range(key_count)]
        if scores and self.random.random() < 0.4:
            words += [b'AGGREGATE', self.one(b'SUM', b'min', b'MAX', b'avg')]
        return words

    def combine(self):
        name = self.one(b'ZUNION', b'ZINTER', b'ZDIFF', b'ZINTERCARD')
        keys = self.keys()
        words = [name] + keys
        if name == b'ZINTERCARD':
            if self.random.random() < 0.5:
                words += [b'LIMIT', self.one(b'0', b'1', b'3', b'100', b'-1', b'x')]
            return is_same, words
        words += self.options_of_combine(len(keys) - 1, name != b'ZDIFF')
        if self.random.random() < 0.6:
            words.append(b'WITHSCORES')
        return is_same, words

    def store(self):
        name = self.one(b'ZUNIONSTORE', b'ZINTERSTORE', b'ZDIFFSTORE')
        keys = self.keys()
        return is_same, [name, self.random.choice(DESTINATIONS)] + keys + self.options_of_combine(len(keys) - 1, name != b'ZDIFFSTORE')

    def pop(self):
        words = [self.one(b'ZPOPMIN', b'ZPOPMAX'), self.key()]
        if self.random.random() < 0.5:
            words.append(self.one(b'0', b'1', b'2', b'3', b'100', b'-1', b'x'))
        return is_same, words

    def many(self):
        words = [b'ZMPOP'] + self.keys() + [self.one(b'MIN', b'max', b'x')]
        if self.random.random() < 0.5:
            words += [b'COUNT', self.one(b'1', b'2', b'0', b'x')]
        return is_same, words

    def blocking(self):
        # There is something to pop, or a transaction, in which nothing waits.
        words = self.one([b'BZPOPMIN', self.key(), self.key(), b'0'], [b'BZPOPMAX', self.key(), b'none', b'0.01'],
                         [b'BZMPOP', b'0.01'] + self.keys() + [b'MIN', b'COUNT', b'2'], [b'BZPOPMIN', b'none', b'x'],
                         [b'BZPOPMIN', b'none', b'-1'], [b'BZMPOP', b'0', b'1', b'none', b'MID'])
        return is_same, [b'in transaction'] + words

    def sets(self):
        return is_same, self.one([b'SADD', b'set', self.member(), self.member(), b'm%d' % self.random.randrange(25)],
                                 [b'SADD', b'intset', b'%d' % self.random.randrange(-5, 25)], [b'SET', b'string', b'x'],
                                 [b'ZADD', b'lex', b'0', self.member(), b'0', self.member(), b'0', self.member()])

    def delete(self):
        return is_same, self.one([b'DEL', self.key()], [b'EXPIRE', self.key(), b'100000'], [b'COPY', self.key(), b'z3', b'REPLACE'],
                                 [b'RENAME', b'z3', b'z2'], [b'PERSIST', self.key()])

    def malformed(self):
        words = self.draw_valid()
        kind = self.random.randrange(4)
        at = self.random.randrange(1, len(words)) if len(words) > 1 else 0
        if kind == 0:
            del words[at]
        elif kind == 1:
            words.insert(at, self.one(b'', b'WITHSCORES', b'x', b'-1', b'LIMIT'))
        elif kind == 2:
            words[at] = self.one(b'', b'0', b'-1', b'9223372036854775808', b'nan', b'REV')
        else:
            words = words[:at + 1]
        # A waiting command would wait, a range of bytes where scores differ is open, random ones are random.
        if words[0][:1] == b'B' or b'LEX' in b' '.join(words).upper() or words[0] in (b'ZRANDMEMBER', b'ZSCAN', b'in transaction'):
            return is_same, [b'ZCARD', b'z0']
        # WITHSCORE is of 7.2.
        if words[0] in (b'ZRANK', b'ZREVRANK') and len(words) > 3:
            return is_same, [b'ZCARD', b'z0']
        return is_same, words

    def draw_valid(self):
        function = self.random.choice(self.choices)
        return self.draw_valid() if function == self.malformed else function()[1]

    # --- geo ---

    def longitude(self):
        return self.one(b'%.4f' % self.random.uniform(-181, 181), b'%.6f' % self.random.uniform(10, 16), b'180', b'-180', b'0') \
            if self.random.random() < 0.3 else b'%.6f' % self.random.uniform(12, 16)

    def latitude(self):
        return self.one(b'%.4f' % self.random.uniform(-86, 86), b'%.6f' % self.random.uniform(35, 40), b'85.05112878', b'-85.05112878', b'0') \
            if self.random.random() < 0.3 else b'%.6f' % self.random.uniform(36, 39)

    def geo_key(self):
        return b'geo' if self.random.random() < 0.9 else self.key()

    def geoadd(self):
        words = [b'GEOADD', b'geo' if self.random.random() < 0.97 else self.key()]
        words += self.one([], [], [], [b'NX'], [b'XX'], [b'CH'], [b'nx', b'XX'], [b'GT'])
        for _ in range(self.one(1, 2, 5)):
            words += [self.longitude(), self.latitude(), self.member()]
        return is_same, words

    def geo_ask(self):
        key = self.geo_key()
        return is_same, self.one([b'GEOPOS', key, self.member(), self.member()], [b'GEOHASH', key, self.member(), self.member()],
                                 [b'GEODIST', key, self.member(), self.member()], [b'GEOPOS', key],
                                 [b'GEODIST', key, self.member(), self.member(), self.one(b'km', b'M', b'ft', b'mi', b'x')])

    def distance(self):
        return [self.one(b'0', b'10', b'100', b'500', b'%.2f' % self.random.uniform(0, 3000), b'20000', b'-1', b'x', b'1e10'),
                self.one(b'km', b'km', b'mi', b'm', b'ft', b'x')]

    def geo_options(self):
        words = []
        for choice, chance in (([b'WITHCOORD'], 0.2), ([b'WITHDIST'], 0.3), ([b'WITHHASH'], 0.2),
                               ([self.one(b'ASC', b'DESC')], 0.5)):
            if self.random.random() < chance:
                words += choice
        if self.random.random() < 0.3:
            words += [b'COUNT', self.one(b'1', b'3', b'100', b'0', b'x')]
            if self.random.random() < 0.3:
                words.append(b'ANY')
        return words

    def geosearch(self):
        words = self.one([b'FROMLONLAT', self.longitude(), self.latitude()], [b'FROMMEMBER', self.member()],
                         [b'FROMMEMBER', self.member()], [])
        words = words + self.one([b'BYRADIUS'] + self.distance(), [b'BYBOX', self.distance()[0]] + self.distance(),
                                 [b'BYRADIUS'] + self.distance(), [])
        words += self.geo_options()
        if self.random.random() < 0.3:
            if b'COUNT' in words:
                words = words[:words.index(b'COUNT')]
            return is_same, [b'GEOSEARCHSTORE', self.random.choice(DESTINATIONS), self.geo_key()] + words + self.one([], [b'STOREDIST'])
        return is_same_or_tied if b'COUNT' in words else is_same, [b'GEOSEARCH', self.geo_key()] + words

    def georadius(self):
        around = self.one([b'GEORADIUS', self.geo_key(), self.longitude(), self.latitude()],
                          [b'GEORADIUSBYMEMBER', self.geo_key(), self.member()])
        words = around + self.distance() + self.geo_options()
        if self.random.random() < 0.2:
            words[0] += b'_RO'
        if b'COUNT' in words:
            return is_same_or_tied, words
        if self.random.random() < 0.2:
            words += [self.one(b'STORE', b'STOREDIST'), self.random.choice(DESTINATIONS)]
        return is_same, words


def ask(client, words):
    if words[0] != b'in transaction':
        return client.ask(words)
    first = client.ask([b'MULTI'])
    queued = client.ask(words[1:])
    return [first, queued, client.ask([b'EXEC'])]


def contents(client):
    everything = {}
    for key in client.ask([b'KEYS', b'*']):
        kind = client.ask([b'TYPE', key])
        if kind == '+zset':
            members = client.ask([b'ZRANGE', key, b'0', b'-1', b'WITHSCORES'])
            everything[key] = (kind, client.ask([b'OBJECT', b'ENCODING', key]), client.ask([b'TTL', key]) < 0,
                               [tuple(item) if isinstance(item, list) else item for item in members])
        elif kind == '+set':
            everything[key] = (kind, sorted(client.ask([b'SMEMBERS', key])))
        else:
            everything[key] = kind
    return everything


def same_contents(a, b):
    return a.keys() == b.keys() and all(
        a[key][:3] == b[key][:3] and is_same(list(a[key][3:]), list(b[key][3:])) if a[key][0] == '+zset' else a[key] == b[key] for key in a)


def connect(port, protocol):
    client = Client(port)
    if protocol == 3:
        client.ask([b'HELLO', b'3'])
    return client


def run(binary, redis, protocol, count, seed):
    generator = random.Random(seed)
    server = Server(binary, ['--appendfsync', 'always', '--zset-max-listpack-entries', '24'])
    kelvin, client = connect(server.port, protocol), connect(redis.port, protocol)
    client.ask([b'FLUSHALL'])
    commands = ZsetCommands(generator)
    differences = 0
    for number in range(count):
        if generator.random() < 0.01:
            before = kelvin
            kelvin = disturb(generator, server, kelvin, KEYS + DESTINATIONS + OTHER + [b'lex'])
            if kelvin is not before:
                kelvin = connect(server.port, protocol)
        compare, words = commands.draw()
        a, b = ask(kelvin, words), ask(client, words)
        if not compare(a, b):
            differences += 1
            print('DIFFERENT [%d, RESP%d, seed %d] %r\n    kelvin %.300r\n    redis  %.300r'
                  % (number, protocol, seed, [word[:40] for word in words], a, b), flush=True)
            if differences > 30:
                break
    server.restart()
    a, b = contents(connect(server.port, 2)), contents(connect(redis.port, 2))
    if not same_contents(a, b):
        differences += 1
        for key in sorted(set(a) | set(b)):
            if not same_contents({key: a.get(key, '')}, {key: b.get(key, '')}):
                print('DIFFERENT data of %r at the end, seed %d:\n    kelvin %.600r\n    redis  %.600r' % (key, seed, a.get(key), b.get(key)))
    return differences + (server.stop() != 0)


def main():
    arguments = [word for word in sys.argv[1:] if not word.startswith('--')]
    binary = arguments[0] if arguments else os.environ.get('KELVIN_SERVER')
    redis_binary = shutil.which('redis-server')
    if redis_binary is None:
        print('no redis-server: skipped')
        return 77
    if binary is None:
        raise SystemExit(__doc__)
    seed = option('seed', random.randrange(1 << 32))
    count = option('random', 5000)
    print('seed %d' % seed, flush=True)
    redis = Server(redis_binary, ['--save', '', '--appendonly', 'no', '--zset-max-listpack-entries', '24'])
    try:
        differences = sum(run(binary, redis, protocol, count, seed + protocol) for protocol in (2, 3))
    finally:
        redis.stop()
    print('%d commands over each protocol, %d differences' % (count, differences))
    return 1 if differences else 0


if __name__ == '__main__':
    sys.exit(main())
