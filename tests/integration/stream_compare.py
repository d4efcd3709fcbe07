#!/usr/bin/env python3
"""Random stream commands on kelvin-server and on redis-server: same replies, over RESP2 and RESP3.

    stream_compare.py KELVIN_SERVER [--seed=N] [--random=COUNT]

With checkpoints, demotions and kill -9 of kelvin-server in between; all data is compared at the end. Compared is what redis-server 7.0 and our 7.2
have in common: times are left out, consumers are made before they are needed, and so is what 7.2 counts otherwise (lag and
entries-read once an entry was deleted).

Exit code: 0 all equal, 1 differences, 77 no redis-server (skipped).
"""
import ast
import os
import random
import re
import shutil
import sys

from compare_redis import Client, Failure, Server, disturb, option

KEYS = [b's%d' % number for number in range(5)] + [b'', b'text']
ROUGH = [b's0', b's1']  # trimmed by "~"
GROUPS = [b'g', b'group two', b'']
CONSUMERS = [b'anna', b'ben', b'']
LIMITS = ['--stream-node-max-entries', '7', '--stream-node-max-bytes', '0']
LONG = b'100000000'  # ms: longer than the test runs, shorter than since 1970


class StreamCommands:
    def __init__(self, generator):
        self.random = generator
        weights = {
            10: [self.add],
            5: [self.read_group, self.range],
            3: [self.delete, self.trim, self.read, self.acknowledge, self.claim, self.autoclaim, self.pending, self.group],
            2: [self.info],
            1: [self.odd, self.set_id, self.transfer],
        }
        self.choices = [function for weight, group in weights.items() for function in group * weight]
        self.clock = 1

    def some(self):
        """A few command lines with a mark each: how to compare."""
        return self.random.choice(self.choices)()

    def key(self):
        return self.random.choice(KEYS[:5] * 4 + KEYS)

    def pick(self, *words):
        return self.random.choice(words)

    def id(self):
        kind = self.random.randrange(8)
        near = max(0, self.clock - self.random.randrange(30))
        if kind < 5:
            return b'%d-%d' % (near, self.random.randrange(3))
        if kind < 7:
            return b'%d' % near
        return self.pick(b'0', b'0-0', b'18446744073709551615-18446744073709551615', b'18446744073709551615', b'-', b'+', b'x', b'1-',
                         b'-1', b'1-x', b'18446744073709551616', b'1-18446744073709551615', b'', b'007-01', b'$', b'>')

    def end(self):
        return self.pick(b'', b'', b'', b'(') + self.pick(self.id(), self.id(), b'-', b'+')

    def add(self):
        self.clock += self.random.randrange(2)
        words = [b'XADD', self.key()]
        if self.random.random() < 0.1:
            words.append(b'NOMKSTREAM')
        if self.random.random() < 0.3:
            words += self.trimming(words[1])
        words.append(self.pick(b'%d-*' % self.clock, b'%d-*' % self.clock, b'%d-*' % self.clock, b'%d-%d' % (self.clock, self.random.randrange(9)),
                               self.id()))
        for _ in range(self.pick(1, 1, 2, 3, 20)):
            words += [self.pick(b'field', b'other', b'f%d' % self.random.randrange(30), b'12'), self.value()]
        return [('', words)]

    def value(self):
        return self.pick(b'1', b'-17', b'text', b'', b'007', b'9223372036854775807', b'\xff\x00', b'x' * self.pick(20, 300, 1500, 5000))

    def trimming(self, key):
        """An exact MINID may leave Redis a node that is empty, which "~" would tell from none: not both on one key."""
        words = self.pick([b'MAXLEN', b'%d' % self.random.randrange(40)], [b'MINID', self.id()])
        is_rough = key in ROUGH and (words[0] == b'MINID' or self.random.random() < 0.6)
        if is_rough or self.random.random() < 0.2:
            words.insert(1, b'~' if is_rough else b'=')
        if self.random.random() < 0.2:
            words += [b'LIMIT', self.pick(b'0', b'10', b'20', b'-1', b'x')]
        return words

    def trim(self):
        key = self.key()
        return [('', [b'XTRIM', key] + self.trimming(key))]

    def delete(self):
        return [('', [b'XDEL', self.key()] + [self.id() for _ in range(self.pick(1, 1, 5))])]

    def range(self):
        words = [self.pick(b'XRANGE', b'XREVRANGE'), self.key(), self.end(), self.end()]
        if self.random.random() < 0.2:
            words[2:] = [b'-', b'+'] if words[0] == b'XRANGE' else [b'+', b'-']
        if self.random.random() < 0.4:
            words += [b'COUNT', self.pick(b'1', b'3', b'0', b'-5', b'x')]
        return [('', words)] + [('', [b'XLEN', self.key()])] * (self.random.random() < 0.2)

    def read(self):
        count = self.pick(1, 1, 2)
        words = [b'XREAD']
        if self.random.random() < 0.5:
            words += [b'COUNT', self.pick(b'2', b'0', b'-1', b'x')]
        if self.random.random() < 0.1:
            words += [b'BLOCK', self.pick(b'1', b'-1', b'x', b'1.5', b'9223372036854775807')][:2]
            if words[-1] == b'9223372036854775807':
                words[-1] = b'2'
        words += [b'STREAMS'] + [self.key() for _ in range(count)] + [self.real_id() for _ in range(count)]
        return [('', words)]

    def real_id(self):
        """"+" is of 7.4."""
        one = self.id()
        return b'0' if one == b'+' else one

    def names(self, may_be_new=True):
        """Key, group, consumer; and the line that makes the consumer."""
        key, group, consumer = self.key(), self.random.choice(GROUPS), self.random.choice(CONSUMERS)
        return key, group, consumer, ('', [b'XGROUP', b'CREATECONSUMER', key, group, consumer])

    def read_group(self):
        key, group, consumer, make = self.names()
        words = [b'XREADGROUP', b'GROUP', group, consumer]
        if self.random.random() < 0.6:
            words += [b'COUNT', self.pick(b'1', b'3', b'10', b'0')]
        if self.random.random() < 0.1:
            words.append(b'NOACK')
        if self.random.random() < 0.5:
            return [make, ('', words + [b'STREAMS', key, self.pick(b'>', b'>', b'>', self.real_id())])]
        other = self.key()
        return [make, ('', [b'XGROUP', b'CREATECONSUMER', other, group, consumer]),
                ('', words + [b'STREAMS', key, other, self.pick(b'>', b'0'), b'>'])]

    def acknowledge(self):
        return [('', [b'XACK', self.key(), self.random.choice(GROUPS)] + [self.id() for _ in range(self.pick(1, 1, 4, 20))])]

    def claim(self):
        key, group, consumer, make = self.names()
        words = [b'XCLAIM', key, group, consumer, self.pick(b'0', b'0', LONG, b'-1', b'x')]
        words += [self.id() for _ in range(self.pick(1, 3, 10))]
        options = [[b'TIME', self.pick(b'1000', b'-5', b'99999999999999', b'x')], [b'RETRYCOUNT', self.pick(b'3', b'0', b'-1', b'x')], [b'FORCE'],
                   [b'JUSTID'], [b'LASTID', self.id()], [b'IDLE', self.pick(b'0', LONG + b'0', b'x', b'-9223372036854775807')], [b'WHAT']]
        for chosen in self.random.sample(options[:-1] * 6 + options, self.random.randrange(4)):
            words += chosen
        return [make, ('', words)]

    def autoclaim(self):
        key, group, consumer, make = self.names()
        words = [b'XAUTOCLAIM', key, group, consumer, self.pick(b'0', b'0', LONG, b'-1', b'x'), self.end()]
        if self.random.random() < 0.5:
            words += [b'COUNT', self.pick(b'1', b'4', b'0', b'x', b'8070450532247928833')]
        if self.random.random() < 0.3:
            words.append(self.pick(b'JUSTID', b'what'))
        return [make, ('', words)]

    def pending(self):
        words = [b'XPENDING', self.key(), self.random.choice(GROUPS)]
        if self.random.random() < 0.3:
            return [('', words)]
        if self.random.random() < 0.3:
            words += [b'IDLE', self.pick(b'0', LONG, b'x')]
        words += self.pick([b'-', b'+'], [self.end(), self.end()]) + [self.pick(b'100', b'3', b'0', b'-1', b'x')]
        if self.random.random() < 0.4:
            words.append(self.random.choice(CONSUMERS + [b'nobody']))
        return [('pending', words)]

    def group(self):
        key, group, consumer = self.key(), self.random.choice(GROUPS), self.random.choice(CONSUMERS)
        create = [b'XGROUP', b'CREATE', key, group, self.pick(b'0', b'$', self.id())]
        create += self.pick([], [b'MKSTREAM'], [b'ENTRIESREAD', self.pick(b'-1', b'-2', b'x')], [b'what'])
        set_id = [b'XGROUP', b'SETID', key, group, self.pick(b'0', b'$', self.id())]
        set_id += self.pick([], [], [b'ENTRIESREAD', self.pick(b'-1', b'-2')], [b'what'])
        return [('', self.pick(create, create, create, set_id, [b'XGROUP', b'DELCONSUMER', key, group, consumer],
                               [b'XGROUP', b'CREATECONSUMER', key, group, consumer],
                               self.pick([b'XGROUP', b'DESTROY', key, group], create)))]

    def info(self):
        key = self.key()
        return [('info', self.pick([b'XINFO', b'STREAM', key], [b'XINFO', b'STREAM', key, b'FULL'],
                                   [b'XINFO', b'STREAM', key, b'FULL', b'COUNT', self.pick(b'0', b'2', b'-1', b'x')], [b'XINFO', b'GROUPS', key],
                                   [b'XINFO', b'CONSUMERS', key, self.random.choice(GROUPS)]))]

    def set_id(self):
        return [('last', [b'XSETID', self.key(), b'LAST'] +
                 self.pick([], [], [b'ENTRIESADDED', self.pick(b'0', b'1000', b'-1', b'x')], [b'MAXDELETEDID', b'99999999'], [b'what']))]

    def odd(self):
        key = self.key()
        return [('', self.pick(
            [b'XADD', key, b'5-5', b'f'], [b'XADD', key, b'5-5'], [b'XADD', key, b'MAXLEN', b'5', b'MINID', b'3', b'9999-1', b'f', b'v'],
            [b'XADD', key, b'LIMIT', b'5', b'9999-1', b'f', b'v'], [b'XADD', key, b'MAXLEN', b'-1', b'9999-1', b'f', b'v'], [b'XTRIM', key, b'LIMIT', b'5'],
            [b'XTRIM', key, b'MAXLEN'], [b'XTRIM', key, b'FOO', b'3'], [b'XREADGROUP', b'STREAMS', key, b'0', b'COUNT', b'1', b'x'],
            [b'XREADGROUP', b'GROUP', b'g', b'anna', b'STREAMS', key, b'$'], [b'XREADGROUP', b'COUNT', b'1', b'NOACK', b'STREAMS', key, b'>'],
            [b'XREAD', b'GROUP', b'g', b'anna', b'STREAMS', key, b'0'], [b'XREAD', b'NOACK', b'STREAMS', key, b'0'], [b'XREAD', b'STREAMS', key, b'>'],
            [b'XREAD', b'FOO', b'STREAMS', key, b'0'], [b'XREAD', b'COUNT', b'1', b'BLOCK'], [b'XPENDING', key, b'g', b'-'], [b'XGROUP', b'FOO', key],
            [b'XPENDING', key, b'g', b'IDLE', b'1', b'-', b'+'], [b'XGROUP', b'CREATE', key, b'g'], [b'XINFO', b'STREAM', key, b'FOO'],
            [b'XINFO', b'STREAM', key, b'FULL', b'COUNT'], [b'XGROUP', b'HELP'], [b'XINFO', b'HELP'], [b'XINFO', b'FOO'], [b'XGROUP', b'DESTROY', key],
            [b'XSETID', key], [b'XSETID', key, b'x'], [b'XSETID', key, b'1-1', b'MAXDELETEDID', b'2-2'], [b'SET', key, b'a text'], [b'DEL', key],
            [b'TYPE', key], [b'OBJECT', b'ENCODING', key]))]

    def transfer(self):
        kind = self.random.choice([ROUGH, KEYS[2:]])
        a, b = self.random.choice(kind), self.random.choice(kind)
        return [('', self.pick([b'RENAME', a, b], [b'COPY', a, b], [b'COPY', a, b, b'REPLACE'], [b'EXPIRE', a, b'100000'], [b'TTL', a], [b'EXISTS', a]))]


def plain(reply):
    """Maps, whose keys the client gives as their repr(), as lists of keys and values in turn."""
    if isinstance(reply, dict):
        return [part for key, value in reply.items() for part in (ast.literal_eval(key), plain(value))]
    if isinstance(reply, (list, tuple)):
        return [plain(part) for part in reply]
    return reply


def pairs(reply):
    return dict(zip(reply[::2], reply[1::2]))


def without_times(rows, place):
    return [row[:place] + row[place + 1:] for row in rows]


def progress(group, stream_is_whole):
    return (group[b'entries-read'], group[b'lag']) if stream_is_whole else None


def info_of(reply):
    """What both versions tell, without times."""
    if isinstance(reply, Failure) or not isinstance(reply, list):
        return reply
    if reply and isinstance(reply[0], list):
        return [{name: value for name, value in pairs(row).items() if name in (b'name', b'pending', b'consumers', b'last-delivered-id')}
                for row in reply]
    info = pairs(reply)
    info.pop(b'radix-tree-nodes', None)
    info.pop(b'radix-tree-keys', None)
    if isinstance(info.get(b'groups'), list):
        is_whole = info[b'max-deleted-entry-id'] == b'0-0' and info[b'entries-added'] == info[b'length']
        groups = []
        for group in map(pairs, info[b'groups']):
            consumers = [(one[b'name'], one[b'pel-count'], without_times(one[b'pending'], 1)) for one in map(pairs, group[b'consumers'])]
            groups.append((group[b'name'], group[b'last-delivered-id'], group[b'pel-count'], without_times(group[b'pending'], 2), consumers,
                           progress(group, is_whole)))
        info[b'groups'] = groups
    return info


def is_same(mark, a, b):
    a, b = plain(a), plain(b)
    if isinstance(a, Failure) and isinstance(b, Failure) and 'Unbalanced' in str(a):
        return 'Unbalanced' in str(b)
    if mark == 'info':
        return info_of(a) == info_of(b)
    if mark == 'pending' and isinstance(a, list) and isinstance(b, list):
        return without_times(a, 2) == without_times(b, 2)
    return a == b


def short(reply):
    return re.sub('x{20,}', 'xx', repr(reply))


def contents(client):
    everything = {}
    for key in client.ask([b'KEYS', b'*']):
        kind = client.ask([b'TYPE', key])
        value = client.ask([b'GET', key]) if kind == '+string' else info_of(plain(client.ask([b'XINFO', b'STREAM', key, b'FULL', b'COUNT', b'0'])))
        everything[key] = (kind, value)
    return everything


def connect(port, protocol):
    client = Client(port)
    if protocol == 3:
        client.ask([b'HELLO', b'3'])
    return client


def run(count, seed, binary, redis, protocol):
    generator = random.Random(seed + protocol)
    server = Server(binary, ['--appendfsync', 'always'] + LIMITS)
    kelvin, client = connect(server.port, protocol), connect(redis.port, protocol)
    client.ask([b'FLUSHALL'])
    commands = StreamCommands(generator)
    differences = 0
    for number in range(count):
        if generator.random() < 0.03:
            before = kelvin
            kelvin = disturb(generator, server, kelvin, KEYS)
            if kelvin is not before:
                kelvin = connect(server.port, protocol)
        for mark, words in commands.some():
            if mark == 'last':
                stream = plain(client.ask([b'XINFO', b'STREAM', words[1]]))
                if isinstance(stream, Failure):
                    continue
                words[2] = pairs(stream)[b'last-generated-id']
            a, b = kelvin.ask(words), client.ask(words)
            if not is_same(mark, a, b):
                differences += 1
                print('DIFFERENT [random %d, seed %d, RESP%d] %r\n    kelvin %.1500s\n    redis  %.1500s'
                      % (number, seed, protocol, [word[:40] for word in words][:12], short(a), short(b)))
    server.restart()
    a, b = contents(connect(server.port, 2)), contents(connect(redis.port, 2))
    for key in sorted(set(a) | set(b)):
        if a.get(key) != b.get(key):
            differences += 1
            print('DIFFERENT at the end, seed %d, key %r:\n    kelvin %.3000s\n    redis  %.3000s'
                  % (seed, key, short(a.get(key)), short(b.get(key))))
    return differences, server.stop()


def main():
    arguments = [word for word in sys.argv[1:] if not word.startswith('--')]
    binary = arguments[0] if arguments else os.environ.get('KELVIN_SERVER')
    seed = option('seed', random.randrange(1 << 32))
    count = option('random', 3000)
    redis_binary = shutil.which('redis-server')
    if redis_binary is None:
        print('no redis-server: skipped')
        return 77
    if binary is None:
        raise SystemExit(__doc__)
    print('seed %d' % seed, flush=True)
    redis = Server(redis_binary, ['--save', '', '--appendonly', 'no'] + LIMITS)
    differences = code = 0
    try:
        for protocol in (2, 3):
            found, one_code = run(count, seed, binary, redis, protocol)
            differences += found
            code = code or one_code
    finally:
        redis.stop()
    print('%d command lines, %d different, kelvin-server exited with %d' % (2 * count, differences, code))
    return 1 if differences or code != 0 else 0


if __name__ == '__main__':
    sys.exit(main())
