#!/usr/bin/env python3
"""Hashes whose fields expire: the commands of Redis 7.4 and 8, over restarts, checkpoints and demotion.

usage: hash.py SERVER_BINARY [--workers N] [CASE...]
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server  # noqa: E402
from wire import Error, Wire, expect, expect_equal, info_field, run_cases, seed, wait_for  # noqa: E402


def now_ms():
    return int(time.time() * 1000)


def expect_error(wire, text, *words):
    reply = wire.call(*words)
    expect(isinstance(reply, Error) and text.encode() in bytes(reply), '%r: %r, wanted %r' % (words, reply, text))


def passive(wire):
    """Fields stay until somebody meets them."""
    expect_equal(wire.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0'), b'OK')
    wire.call('DEL', 'h')


def active(wire):
    expect_equal(wire.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1'), b'OK')


def case_set_and_ask(server):
    with Wire(server) as wire:
        wire.call('DEL', 'h')
        wire.call('HSET', 'h', 'a', '1', 'b', '2', 'c', '3')
        expect_equal(wire.call('OBJECT', 'ENCODING', 'h'), b'listpack')
        expect_equal(wire.call('HTTL', 'h', 'FIELDS', '2', 'a', 'x'), [-1, -2])
        expect_equal(wire.call('HEXPIRE', 'h', '100', 'FIELDS', '3', 'a', 'x', 'a'), [1, -2, 1])
        expect_equal(wire.call('OBJECT', 'ENCODING', 'h'), b'listpackex')
        expect_equal(wire.call('HTTL', 'h', 'fields', '2', 'a', 'b'), [100, -1])
        left = wire.call('HPTTL', 'h', 'FIELDS', '1', 'a')[0]
        expect(99000 < left <= 100000, left)
        when = now_ms() + 50000
        expect_equal(wire.call('HPEXPIREAT', 'h', when, 'FIELDS', '1', 'b'), [1])
        expect_equal(wire.call('HPEXPIRETIME', 'h', 'FIELDS', '2', 'b', 'c'), [when, -1])
        expect_equal(wire.call('HEXPIRETIME', 'h', 'FIELDS', '1', 'b'), [(when + 999) // 1000])
        expect_equal(wire.call('HEXPIREAT', 'h', when // 1000, 'FIELDS', '1', 'b'), [1])
        expect_equal(wire.call('HPEXPIRETIME', 'h', 'FIELDS', '1', 'b'), [when // 1000 * 1000])
        expect_equal(wire.call('HPERSIST', 'h', 'FIELDS', '3', 'a', 'c', 'x'), [1, -1, -2])
        expect_equal(wire.call('HTTL', 'h', 'FIELDS', '1', 'a'), [-1])
        expect_equal(wire.call('HTTL', 'no', 'FIELDS', '2', 'a', 'b'), [-2, -2])
        expect_equal(wire.call('HEXPIRE', 'no', '1', 'FIELDS', '2', 'a', 'b'), [-2, -2])
        expect_equal(wire.call('HPERSIST', 'no', 'FIELDS', '1', 'a'), [-2])
        expect_equal(wire.call('EXISTS', 'no'), 0)


def case_conditions(server):
    with Wire(server) as wire:
        wire.call('DEL', 'h')
        wire.call('HSET', 'h', 'a', '1', 'b', '2')
        expect_equal(wire.call('HPEXPIRE', 'h', '100000', 'XX', 'FIELDS', '1', 'a'), [0])
        expect_equal(wire.call('HPEXPIRE', 'h', '100000', 'GT', 'FIELDS', '1', 'a'), [0])
        expect_equal(wire.call('HPEXPIRE', 'h', '100000', 'NX', 'FIELDS', '1', 'a'), [1])
        expect_equal(wire.call('HPEXPIRE', 'h', '200000', 'NX', 'FIELDS', '2', 'a', 'b'), [0, 1])
        expect_equal(wire.call('HPEXPIRE', 'h', '150000', 'GT', 'FIELDS', '2', 'a', 'b'), [1, 0])
        expect_equal(wire.call('HPEXPIRE', 'h', '120000', 'LT', 'FIELDS', '2', 'a', 'b'), [1, 1])
        expect_equal(wire.call('HPEXPIRE', 'h', '130000', 'XX', 'FIELDS', '1', 'a'), [1])
        # A time that is past deletes.
        expect_equal(wire.call('HPEXPIREAT', 'h', '1', 'FIELDS', '2', 'a', 'a'), [2, -2])
        expect_equal(wire.call('HEXPIRE', 'h', '0', 'FIELDS', '1', 'b'), [2])
        expect_equal(wire.call('EXISTS', 'h'), 0)


def case_errors(server):
    with Wire(server) as wire:
        wire.call('DEL', 'h', 's')
        wire.call('HSET', 'h', 'f', 'v')
        wire.call('SET', 's', 'text')
        for word in ('HEXPIRE', 'HPEXPIRE', 'HEXPIREAT', 'HPEXPIREAT'):
            expect_error(wire, 'WRONGTYPE', word, 's', '1', 'FIELDS', '1', 'f')
            expect_error(wire, 'not an integer', word, 'h', 'x', 'FIELDS', '1', 'f')
            expect_error(wire, 'must be >= 0', word, 'h', '-1', 'FIELDS', '1', 'f')
            expect_error(wire, "invalid expire time in '%s' command" % word.lower(),
                         word, 'h', '9223372036854775807', 'FIELDS', '1', 'f')
            expect_error(wire, 'invalid expire time', word, 'h', 1 << 46, 'FIELDS', '1', 'f')
            expect_error(wire, 'FIELDS is missing', word, 'h', '1', 'NX', '1', 'f', 'g')
            expect_error(wire, 'greater than 0', word, 'h', '1', 'FIELDS', '0', 'f')
            expect_error(wire, 'greater than 0', word, 'h', '1', 'FIELDS', 'x', 'f')
            expect_error(wire, 'must match the number', word, 'h', '1', 'FIELDS', '2', 'f')
            expect_error(wire, 'must match the number', word, 'h', '1', 'NX', 'FIELDS', '1', 'f', 'g')
            expect_error(wire, 'wrong number of arguments', word, 'h', '1', 'FIELDS', '1')
        for word in ('HTTL', 'HPTTL', 'HEXPIRETIME', 'HPEXPIRETIME', 'HPERSIST', 'HGETDEL', 'HGETEX'):
            expect_error(wire, 'WRONGTYPE', word, 's', 'FIELDS', '1', 'f')
            expect_error(wire, 'FIELDS is missing', word, 'h', 'FIELD', '1', 'f')
            expect_error(wire, 'positive integer', word, 'h', 'FIELDS', '0', 'f')
            expect_error(wire, 'must match the number', word, 'h', 'FIELDS', '2', 'f')
            expect_error(wire, 'wrong number of arguments', word, 'h', 'FIELDS', '1')
        expect_error(wire, 'Only one of EX', 'HGETEX', 'h', 'EX', '1', 'PX', '1', 'FIELDS', '1', 'f')
        expect_error(wire, 'Only one of EX', 'HSETEX', 'h', 'EX', '1', 'KEEPTTL', 'FIELDS', '1', 'f', 'v')
        expect_error(wire, 'Only one of FXX', 'HSETEX', 'h', 'FXX', 'FNX', 'FIELDS', '1', 'f', 'v')
        expect_error(wire, 'unknown argument', 'HSETEX', 'h', 'XX', 'FIELDS', '1', 'f', 'v')
        expect_error(wire, 'wrong number', 'HSETEX', 'h', 'FIELDS', '2', 'f', 'v')
        expect_error(wire, 'invalid number of fields', 'HSETEX', 'h', 'FIELDS', '0', 'f', 'v')
        expect_error(wire, 'unknown argument: f', 'HSETEX', 'h', 'FNX', 'EX', '1', 'f', 'v')
        expect_error(wire, 'WRONGTYPE', 'HSETEX', 's', 'FIELDS', '1', 'f', 'v')
        expect_equal(wire.call('HGETALL', 'h'), [b'f', b'v'])
        expect_equal(wire.call('HTTL', 'h', 'FIELDS', '1', 'f'), [-1])


def case_getdel_getex_setex(server):
    with Wire(server) as wire:
        wire.call('DEL', 'h')
        expect_equal(wire.call('HSETEX', 'h', 'FXX', 'EX', '100', 'FIELDS', '1', 'a', '1'), 0)
        expect_equal(wire.call('HSETEX', 'h', 'FNX', 'EX', '100', 'FIELDS', '2', 'a', '1', 'b', '2'), 1)
        expect_equal(wire.call('HTTL', 'h', 'FIELDS', '2', 'a', 'b'), [100, 100])
        expect_equal(wire.call('HSETEX', 'h', 'FNX', 'FIELDS', '2', 'b', '1', 'c', '2'), 0)
        expect_equal(wire.call('HSETEX', 'h', 'KEEPTTL', 'FIELDS', '1', 'a', '3'), 1)
        expect_equal(wire.call('HSETEX', 'h', 'FXX', 'FIELDS', '1', 'b', '4'), 1)
        expect_equal(wire.call('HTTL', 'h', 'FIELDS', '2', 'a', 'b'), [100, -1])
        expect_equal(wire.call('HGETEX', 'h', 'FIELDS', '3', 'a', 'b', 'x'), [b'3', b'4', None])
        expect_equal(wire.call('HGETEX', 'h', 'PX', '50000', 'FIELDS', '2', 'b', 'x'), [b'4', None])
        expect_equal(wire.call('HGETEX', 'h', 'PERSIST', 'FIELDS', '1', 'a'), [b'3'])
        expect_equal(wire.call('HTTL', 'h', 'FIELDS', '2', 'a', 'b'), [-1, 50])
        expect_equal(wire.call('HINCRBY', 'h', 'b', '5'), 9)
        expect_equal(wire.call('HINCRBYFLOAT', 'h', 'b', '0.5'), b'9.5')
        expect_equal(wire.call('HTTL', 'h', 'FIELDS', '1', 'b'), [50])
        expect_equal(wire.call('HGETDEL', 'h', 'FIELDS', '3', 'b', 'b', 'x'), [b'9.5', None, None])
        expect_equal(wire.call('HSETEX', 'h', 'PXAT', '1', 'FIELDS', '1', 'a', '5'), 1)
        expect_equal(wire.call('EXISTS', 'h'), 0)
        expect_equal(wire.call('HGETDEL', 'h', 'FIELDS', '1', 'b'), [None])
        wire.call('HSET', 'h', 'a', '1')
        expect_equal(wire.call('HGETEX', 'h', 'EXAT', '1', 'FIELDS', '1', 'a'), [b'1'])
        expect_equal(wire.call('EXISTS', 'h'), 0)


def case_fields_that_are_over_are_not_seen(server):
    with Wire(server) as wire:
        for filler in (0, 500):
            passive(wire)
            wire.call('HSET', 'h', 'a', '1', 'b', '2', 'c', '3', 'd', '4')
            for i in range(filler):
                wire.call('HSET', 'h', 'f%d' % i, 'v')
            wire.call('HPEXPIRE', 'h', '20', 'FIELDS', '3', 'a', 'b', 'c')
            time.sleep(0.05)
            expect_equal(wire.call('HLEN', 'h'), 4 + filler)
            names = wire.call('HKEYS', 'h')
            expect_equal(len(names), 1 + filler)
            expect(b'd' in names and b'a' not in names, names)
            expect_equal(len(wire.call('HVALS', 'h')), 1 + filler)
            expect_equal(len(wire.call('HGETALL', 'h')), 2 + 2 * filler)
            expect_equal(len(wire.call('HSCAN', 'h', '0', 'COUNT', '100000')[1]), 2 + 2 * filler)
            expect_equal(len(wire.call('HSCAN', 'h', '0', 'NOVALUES', 'COUNT', '100000')[1]), 1 + filler)
            expect_equal(len(wire.call('HRANDFIELD', 'h', '10000')), 1 + filler)
            for _ in range(20):
                expect(wire.call('HRANDFIELD', 'h') not in (b'a', b'b', b'c'), 'drawn')
            expect_equal(wire.call('HTTL', 'h', 'FIELDS', '2', 'a', 'd'), [-2, -1])
            expect_equal(wire.call('HLEN', 'h'), 4 + filler)
            # Those that are met go.
            expect_equal(wire.call('HGET', 'h', 'a'), None)
            expect_equal(wire.call('HLEN', 'h'), 3 + filler)
            expect_equal(wire.call('HDEL', 'h', 'b'), 1)
            expect_equal(wire.call('HINCRBY', 'h', 'c', '1'), 1)
            expect_equal(wire.call('HTTL', 'h', 'FIELDS', '1', 'c'), [-1])
            active(wire)
        passive(wire)
        wire.call('HSET', 'h', 'a', '1', 'b', '2')
        wire.call('HPEXPIRE', 'h', '20', 'FIELDS', '2', 'a', 'b')
        time.sleep(0.05)
        expect_equal(wire.call('HGETALL', 'h'), [])
        expect_equal(wire.call('HRANDFIELD', 'h'), None)
        expect_equal(wire.call('HRANDFIELD', 'h', '5'), [])
        expect_equal(wire.call('EXISTS', 'h'), 1)
        expect_equal(wire.call('HMGET', 'h', 'a', 'b'), [None, None])
        expect_equal(wire.call('EXISTS', 'h'), 0)
        active(wire)


def case_fields_leave_by_themselves(server):
    with Wire(server) as wire:
        wire.call('FLUSHALL')
        before = int(info_field(wire, 'expired_subkeys'))
        for i in range(300):
            wire.call('HSET', 'h%d' % i, 'a', '1', 'b', '2')
            wire.call('HPEXPIRE', 'h%d' % i, '50', 'FIELDS', '1', 'a')
        wire.call('HSET', 'big', *[word for i in range(3000) for word in ('f%d' % i, 'v')])
        wire.call('HPEXPIRE', 'big', '50', 'FIELDS', '3000', *['f%d' % i for i in range(3000)])
        wire.call('SELECT', '3')
        wire.call('HSET', 'elsewhere', 'a', '1')
        wire.call('HPEXPIRE', 'elsewhere', '50', 'FIELDS', '1', 'a')
        wait_for(lambda: wire.call('EXISTS', 'elsewhere') == 0, 'the key goes with its last field')
        wire.call('SELECT', '0')
        wait_for(lambda: wire.call('EXISTS', 'big') == 0, 'a large hash goes')
        wait_for(lambda: all(wire.call('HLEN', 'h%d' % i) == 1 for i in range(300)), 'fields leave')
        expect_equal(int(info_field(wire, 'expired_subkeys')) - before, 3301)
        expect_equal(wire.call('DBSIZE'), 300)


def case_events(server):
    with Wire(server) as wire, Wire(server) as listener:
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEA')
        wire.call('DEL', 'h')
        listener.call('PSUBSCRIBE', '__keyspace@0__:h')

        def told():
            return bytes(listener.reply()[-1])
        wire.call('HSET', 'h', 'a', '1', 'b', '2')
        wire.call('HPEXPIRE', 'h', '100000', 'FIELDS', '1', 'a')
        wire.call('HPERSIST', 'h', 'FIELDS', '1', 'a')
        wire.call('HGETDEL', 'h', 'FIELDS', '1', 'a')
        wire.call('HPEXPIRE', 'h', '30', 'FIELDS', '1', 'b')
        for event in (b'hset', b'hexpire', b'hpersist', b'hdel', b'hexpire', b'hexpired', b'del'):
            expect_equal(told(), event)
        wire.call('HSETEX', 'h', 'PX', '100000', 'FIELDS', '1', 'a', '1')
        wire.call('HPEXPIREAT', 'h', '1', 'FIELDS', '1', 'a')
        for event in (b'hset', b'hexpire', b'hdel', b'del'):
            expect_equal(told(), event)
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', '')


def digest(wire, keys):
    everything = {}
    for key in keys:
        flat = wire.call('HGETALL', key)
        names = flat[::2]
        times = wire.call('HPEXPIRETIME', key, 'FIELDS', len(names), *names) if names else []
        everything[key] = sorted(zip(names, flat[1::2], times))
    return everything


def demote_all(wire, keys):
    wire.call('SAVE')
    wire.call('TIER', 'DEMOTE', *keys)


def case_expiries_survive(server):
    """Restart by the log, by a checkpoint, and the way through the cold tier."""
    generator = random.Random(seed())
    keys = ['k%d' % i for i in range(12)]
    with Wire(server) as wire:
        wire.call('FLUSHALL')
        for _ in range(1500):
            key, field = generator.choice(keys), 'f%d' % generator.randrange(300)
            far = now_ms() + generator.randrange(10**6, 10**8)
            generator.choice([
                lambda: wire.call('HSET', key, field, generator.randrange(1000), 'g%s' % field, 'x' * 70),
                lambda: wire.call('HPEXPIREAT', key, far, 'FIELDS', '2', field, 'g' + field),
                lambda: wire.call('HEXPIRE', key, 5000, 'FIELDS', '1', field),
                lambda: wire.call('HSETEX', key, 'PXAT', far, 'FIELDS', '1', field, 'y'),
                lambda: wire.call('HGETEX', key, 'EX', '7000', 'FIELDS', '2', field, 'g' + field),
                lambda: wire.call('HGETDEL', key, 'FIELDS', '1', field),
                lambda: wire.call('HPERSIST', key, 'FIELDS', '1', field),
                lambda: wire.call('HINCRBYFLOAT', key, field, '0.25'),
                lambda: demote_all(wire, keys) if generator.random() < 0.1 else None])()
        before = digest(wire, keys)
    server.kill()
    server.start()
    with Wire(server) as wire:
        expect_equal(digest(wire, keys), before, 'after kill -9')
        demote_all(wire, keys)
        expect_equal(digest(wire, keys), before, 'from the cold tier')
        demote_all(wire, keys)
    server.kill()
    server.start()
    with Wire(server) as wire:
        expect_equal(digest(wire, keys), before, 'from a checkpoint')


def case_what_expired_stays_away(server):
    """Fields that ended, met by commands and by nobody, are not back after a restart."""
    with Wire(server) as wire:
        wire.call('FLUSHALL')
        passive(wire)
        wire.call('HSET', 'h', 'a', '1', 'b', '2', 'c', '3')
        wire.call('HSET', 'gone', 'a', '1')
        wire.call('HPEXPIRE', 'h', '30', 'FIELDS', '2', 'a', 'b')
        wire.call('HPEXPIRE', 'gone', '30', 'FIELDS', '1', 'a')
        time.sleep(0.06)
        expect_equal(wire.call('HINCRBY', 'h', 'a', '5'), 5)
        expect_equal(wire.call('HSETNX', 'h', 'b', 'new'), 1)
        expect_equal(wire.call('HGET', 'gone', 'a'), None)
        before = digest(wire, ['h'])
    server.kill()
    server.start()
    with Wire(server) as wire:
        expect_equal(digest(wire, ['h']), before)
        expect_equal(wire.call('EXISTS', 'gone'), 0)


def case_cold_hashes_expire(server):
    with Wire(server) as wire:
        wire.call('FLUSHALL')
        keys = ['k%d' % i for i in range(50)]
        for key in keys:
            wire.call('HSET', key, 'a', '1', 'b', '2')
            wire.call('HPEXPIRE', key, '1500', 'FIELDS', '1', 'a')
        wire.call('HSETEX', 'all', 'PX', '1500', 'FIELDS', '2', 'a', '1', 'b', '2')
        demote_all(wire, keys + ['all'])
        expect_equal(wire.call('HGETALL', keys[0]), [b'a', b'1', b'b', b'2'])
        demote_all(wire, keys + ['all'])
        # Nobody reads them.
        wait_for(lambda: wire.call('DBSIZE') == 50, 'the cold key goes with its last field', 60)
        expect_equal(wire.call('EXISTS', 'all'), 0)
        for key in keys:
            expect_equal(wire.call('HGETALL', key), [b'b', b'2'])


def case_cold_hashes_expire_after_a_restart(server):
    with Wire(server) as wire:
        wire.call('FLUSHALL')
        wire.call('HSETEX', 'h', 'PX', '2000', 'FIELDS', '2', 'a', '1', 'b', '2')
        wire.call('HSET', 'h', 'c', '3')
        wire.call('HSETEX', 'all', 'PX', '2000', 'FIELDS', '2', 'a', '1', 'b', '2')
        wire.call('SAVE')
    server.stop()
    server.start()
    with Wire(server) as wire:
        wire.call('TIER', 'DEMOTE', 'h', 'all')
        wait_for(lambda: wire.call('DBSIZE') == 1, 'the key of which nothing is left goes', 60)
        expect_equal(wire.call('HGETALL', 'h'), [b'c', b'3'])


def case_scans_of_a_hash_that_changes(server):
    generator = random.Random(seed())
    with Wire(server) as wire:
        for _ in range(5):
            wire.call('DEL', 'h')
            stable = {b'f%d' % i for i in range(3000)}
            for name in stable:
                wire.send(b'*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$%d\r\n%s\r\n$1\r\nv\r\n' % (len(name), name))
            for _ in stable:
                wire.reply()
            seen, cursor, steps = set(), b'0', 0
            while steps == 0 or cursor != b'0':
                cursor, names = wire.call('HSCAN', 'h', cursor, 'NOVALUES', 'COUNT', generator.choice([1, 10, 500]))
                seen.update(names)
                steps += 1
                expect(int(cursor) < 1 << 53 and steps < 5000, cursor)
                word = generator.choice(['HSET', 'HDEL'])
                for _ in range(generator.randrange(100)):
                    field = 'g%d' % generator.randrange(4000)
                    wire.call(*([word, 'h', field] + (['v'] if word == 'HSET' else [])))
            expect(stable <= seen, 'fields that were there all the time are seen')


def case_draws(server):
    with Wire(server) as wire:
        wire.call('DEL', 'h')
        names = {b'%d' % i for i in range(1000)}
        wire.call('HSET', 'h', *[word for name in names for word in (name, b'v' + name)])
        for count in (1, 7, 200, 300, 999, 1000, 2000):
            drawn = wire.call('HRANDFIELD', 'h', count)
            expect_equal(len(set(drawn)), min(count, 1000))
            expect_equal(len(drawn), min(count, 1000))
            pairs = wire.call('HRANDFIELD', 'h', count, 'WITHVALUES')
            expect(all(value == b'v' + name for name, value in zip(pairs[::2], pairs[1::2])), 'pairs')
        expect_equal(len(wire.call('HRANDFIELD', 'h', '-5000')), 5000)
        counts = {}
        for name in wire.call('HRANDFIELD', 'h', '-50000'):
            counts[name] = counts.get(name, 0) + 1
        expect(len(counts) == 1000 and max(counts.values()) < 120, 'evenly drawn')
        expect_error(wire, 'out of range', 'HRANDFIELD', 'h', '-9223372036854770000')
        expect_error(wire, 'out of range', 'HRANDFIELD', 'h', '-9223372036854775808')
        expect_error(wire, 'out of range', 'HRANDFIELD', 'h', '9223372036854770000', 'WITHVALUES')
        wire.call('HSET', 'long', 'f', 'x' * 100000)
        expect_error(wire, 'out of range', 'HRANDFIELD', 'long', '-1000000', 'WITHVALUES')


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith('case_')}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('binary')
    parser.add_argument('--workers', default='1')
    parser.add_argument('cases', nargs='*')
    arguments = parser.parse_args()
    server = Server(arguments.binary, {'workers': arguments.workers, 'appendfsync': 'always',
                                       'enable-debug-command': 'yes'}).start()
    try:
        cases = [(name, lambda function=function: function(server)) for name, function in CASES.items()]
        status = run_cases(cases, arguments.cases)
        server.stop()
    finally:
        server.remove()
    return status


if __name__ == '__main__':
    sys.exit(main())
