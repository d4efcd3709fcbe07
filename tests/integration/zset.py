#!/usr/bin/env python3
"""Sorted sets in the whole server: large ones, cold ones, restarts, waiting clients, what is logged; and where Redis 7.2 differs from 7.0
(zset_compare.py has the rest).

usage: zset.py SERVER_BINARY [--workers N] [CASE...]
"""
import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode  # noqa: E402
from wire import Error, Wire, check_alive, expect, expect_equal, is_sanitized, run_cases, wait_for  # noqa: E402


def clean(server):
    wire = Wire(server)
    wire.call('FLUSHALL')
    return wire


def fill(wire, key, pairs):
    """In commands of a thousand pairs."""
    words = []
    for score, member in pairs:
        words += [score, member]
        if len(words) == 2000:
            wire.call('ZADD', key, *words)
            words = []
    if words:
        wire.call('ZADD', key, *words)


def contents(wire, key):
    flat = wire.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    return list(zip(flat[0::2], flat[1::2]))


def scores_as_texts(server):
    texts = [('3', b'3'), ('3.0', b'3'), ('0.1', b'0.1'), ('1e20', b'1e+20'), ('1.5e-9', b'1.5e-9'), ('inf', b'inf'), ('-INF', b'-inf'),
             ('1e17', b'100000000000000000'), ('9007199254740993', b'9007199254740992'), ('3.141592653589793', b'3.141592653589793'),
             ('-0.5', b'-0.5'), ('0x10', b'16')]
    with clean(server) as wire:
        for given, shown in texts:
            wire.call('ZADD', 'z', given, 'm')
            expect_equal(wire.call('ZSCORE', 'z', 'm'), shown, given)
        wire.call('HELLO', '3')
        wire.send(encode(['ZADD', 'z', '0.1', 'm']) + encode(['ZSCORE', 'z', 'm']) + encode(['ZRANGE', 'z', 0, -1, 'WITHSCORES']))
        expect_equal(wire.reply(), 0)
        expect_equal(wire.line(), b',0.1', 'a double in RESP3')
        expect_equal(wire.line(), b'*1', 'pairs in RESP3')
        expect_equal(wire.line(), b'*2', 'pairs in RESP3')


def rank_with_score(server):
    with clean(server) as wire:
        wire.call('ZADD', 'z', 1, 'a', 2.5, 'b')
        expect_equal(wire.call('ZRANK', 'z', 'b', 'WITHSCORE'), [1, b'2.5'])
        expect_equal(wire.call('ZREVRANK', 'z', 'b', 'withscore'), [0, b'2.5'])
        wire.send(encode(['ZRANK', 'z', 'c', 'WITHSCORE']) + encode(['ZRANK', 'n', 'c', 'WITHSCORE']) + encode(['ZRANK', 'z', 'c']))
        expect_equal([wire.line(), wire.line(), wire.line()], [b'*-1', b'*-1', b'$-1'])
        expect_equal(wire.call('ZRANK', 'z', 'b', 'x'), Error(b'ERR syntax error'))
        expect_equal(wire.call('ZRANK', 'z', 'b', 'WITHSCORE', 'x'), Error(b"ERR wrong number of arguments for 'zrank' command"))


def not_a_number(server):
    with clean(server) as wire:
        wire.call('ZADD', 'z', 'inf', 'a')
        before = wire.call('INFO', 'persistence')
        for words in (['ZINCRBY', 'z', '-inf', 'a'], ['ZADD', 'z', 'INCR', '-inf', 'a']):
            expect_equal(wire.call(*words), Error(b'ERR resulting score is not a number (NaN)'), words)
        for words in (['ZADD', 'z', 'nan', 'a'], ['ZINCRBY', 'z', 'nan', 'a'], ['ZADD', 'z', '1', 'b', 'x', 'c']):
            expect_equal(wire.call(*words), Error(b'ERR value is not a valid float'), words)
        expect_equal(contents(wire, 'z'), [(b'a', b'inf')], 'nothing changed')
        expect(before is not None, 'INFO')


def ranges_of_odd_sizes(server):
    """Around the sizes at which the representation changes."""
    with clean(server) as wire:
        for count in (1, 2, 63, 64, 65, 66, 128, 129, 1000):
            key = 'z%d' % count
            members = [(i // 3, b'm%05d' % i) for i in range(count)]
            shuffled = list(members)
            random.Random(count).shuffle(shuffled)
            fill(wire, key, shuffled)
            expect_equal(contents(wire, key), [(m, b'%d' % s) for s, m in members], key)
            expect_equal(wire.call('OBJECT', 'ENCODING', key), b'listpack' if count <= 128 else b'skiplist')
            for rank in (0, count // 2, count - 1):
                expect_equal(wire.call('ZRANK', key, members[rank][1]), rank)
                expect_equal(wire.call('ZREVRANGE', key, rank, rank), [members[count - 1 - rank][1]])
            expect_equal(wire.call('ZCOUNT', key, '(0', '+inf'), max(0, count - 3))
            expect_equal(wire.call('ZRANGE', key, '+inf', '-inf', 'BYSCORE', 'REV', 'LIMIT', 1, 2),
                         [m for _, m in reversed(members)][1:3])
            cursor, seen = b'0', {}
            while True:
                cursor, rows = wire.call('ZSCAN', key, cursor, 'COUNT', 7)
                seen.update(zip(rows[0::2], rows[1::2]))
                if cursor == b'0':
                    break
            expect_equal(seen, {m: b'%d' % s for s, m in members})


def scan_while_it_changes(server):
    with clean(server) as wire:
        fill(wire, 'z', [(i, b'stays%d' % i) for i in range(5000)])
        cursor, seen, number = b'0', set(), 0
        while True:
            cursor, rows = wire.call('ZSCAN', 'z', cursor, 'COUNT', 50)
            seen.update(rows[0::2])
            if cursor == b'0':
                break
            for _ in range(100):
                number += 1
                wire.call('ZADD', 'z', number, b'comes%d' % number)
                wire.call('ZREM', 'z', b'comes%d' % (number // 2))
        expect(all(b'stays%d' % i in seen for i in range(5000)), 'every member that was there all the time')


def random_members(server):
    with clean(server) as wire:
        fill(wire, 'z', [(i, b'%d' % i) for i in range(300)])
        for count in (1, 5, 150, 290, 300, 1000):
            got = wire.call('ZRANDMEMBER', 'z', count)
            expect_equal(len(got), min(count, 300))
            expect_equal(len(set(got)), len(got), 'distinct')
        counts = [0] * 300
        for member in wire.call('ZRANDMEMBER', 'z', -30000):
            counts[int(member)] += 1
        expect(50 < min(counts) and max(counts) < 170, 'each about as often: %d to %d' % (min(counts), max(counts)))
        flat = wire.call('ZRANDMEMBER', 'z', -20, 'WITHSCORES')
        expect(flat[0::2] == flat[1::2] and len(flat) == 40, 'with their scores')


def wait_until_blocked(wire, count):
    wait_for(lambda: b'blocked_clients:%d\r\n' % count in wire.call('INFO', 'clients'), '%d blocked' % count)


def waiting_clients(server):
    with clean(server) as wire:
        for words, answer in ((['BZPOPMIN', 'a', 'b', '0'], [b'b', b'x', b'1']), (['BZPOPMAX', 'a', 'b', '0'], [b'b', b'y', b'2.5']),
                              (['BZMPOP', '0', '2', 'a', 'b', 'MAX', 'COUNT', '5'], [b'b', [[b'y', b'2.5'], [b'x', b'1']]])):
            wire.call('DEL', 'b')
            with Wire(server) as waiter:
                waiter.send(encode(words))
                wait_until_blocked(wire, 1)
                wire.call('ZADD', 'b', 1, 'x', 2.5, 'y')
                expect_equal(waiter.reply(), answer, words)
        wire.call('DEL', 'b')
        # In order of arrival; what each gets is gone for the others.
        waiters = []
        for number in range(5):
            waiters.append(Wire(server))
            waiters[-1].send(encode(['BZPOPMIN', 'q', '0']))
            wait_until_blocked(wire, number + 1)
        wire.call('ZADD', 'q', *[word for i in range(7) for word in (i, 'm%d' % i)])
        for number, waiter in enumerate(waiters):
            expect_equal(waiter.reply(), [b'q', b'm%d' % number, b'%d' % number])
            waiter.close()
        expect_equal(wire.call('ZRANGE', 'q', 0, -1), [b'm5', b'm6'])


def ways_to_be_served(server):
    """Every command that makes a sorted set wakes who waits for it."""
    with clean(server) as wire:
        wire.call('ZADD', 'src', 1, 'x')
        wire.call('GEOADD', 'geo', 13, 38, 'x')
        for words in (['ZADD', 'd', 1, 'x'], ['ZINCRBY', 'd', 1, 'x'], ['ZUNIONSTORE', 'd', 1, 'src'], ['ZINTERSTORE', 'd', 1, 'src'],
                      ['ZDIFFSTORE', 'd', 1, 'src'], ['ZRANGESTORE', 'd', 'src', 0, -1], ['COPY', 'src', 'd'], ['GEOADD', 'd', 13, 38, 'x'],
                      ['GEOSEARCHSTORE', 'd', 'geo', 'FROMMEMBER', 'x', 'BYRADIUS', 1, 'm'],
                      ['GEORADIUSBYMEMBER', 'geo', 'x', 1, 'm', 'STORE', 'd']):
            with Wire(server) as waiter:
                waiter.send(encode(['BZPOPMIN', 'd', '0']))
                wait_until_blocked(wire, 1)
                wire.call(*words)
                expect_equal(waiter.reply()[:2], [b'd', b'x'], words)
                expect_equal(wire.call('EXISTS', 'd'), 0)


def what_does_not_wait(server):
    with clean(server) as wire:
        wire.call('SET', 's', 'x')
        expect_equal(wire.call('BZPOPMIN', 's', '0'), Error(b'WRONGTYPE Operation against a key holding the wrong kind of value'))
        expect_equal(wire.call('BZPOPMIN', 'n', '0.01'), None)
        expect_equal(wire.call('BZMPOP', '0.01', '1', 'n', 'MIN'), None)
        wire.pipeline([['MULTI'], ['BZPOPMIN', 'n', '0'], ['BZMPOP', '0', '1', 'n', 'MAX']])
        wire.send(encode(['EXEC']))
        expect_equal([wire.line(), wire.line(), wire.line()], [b'*2', b'*-1', b'*-1'], 'in a transaction')
        # A key of another type in between is no reason to end the wait.
        with Wire(server) as waiter:
            waiter.send(encode(['BZPOPMIN', 'k', '0']))
            wait_until_blocked(wire, 1)
            wire.pipeline([['MULTI'], ['ZADD', 'k', 1, 'x'], ['DEL', 'k'], ['SET', 'k', 'v'], ['EXEC']])
            wait_until_blocked(wire, 1)
            wire.call('DEL', 'k')
            wire.call('ZADD', 'k', 3, 'y')
            expect_equal(waiter.reply(), [b'k', b'y', b'3'])


def pops_survive(binary, options):
    """What waiting clients took, and what random and geometric commands made, is the same after a crash."""
    server = Server(binary, dict(options, appendfsync='always')).start()
    try:
        with Wire(server) as wire:
            with Wire(server) as waiter:
                waiter.send(encode(['BZMPOP', '0', '1', 'q', 'MIN', 'COUNT', '2']))
                wait_until_blocked(wire, 1)
                wire.call('ZADD', 'q', 1, 'a', 2, 'b', 3, 'c')
                waiter.reply()
            wire.call('ZADD', 'many', *[word for i in range(500) for word in (i / 7, 'm%d' % i)])
            wire.call('ZMPOP', '2', 'none', 'many', 'MAX', 'COUNT', '9')
            wire.call('ZPOPMIN', 'many', 3)
            fill_geo(wire, 'geo', 700)
            wire.call('GEOSEARCHSTORE', 'near', 'geo', 'FROMLONLAT', 15, 37, 'BYRADIUS', 900, 'km', 'STOREDIST')
            wire.call('GEORADIUS', 'geo', 15, 37, 500, 'km', 'STORE', 'nearer')
            wire.call('ZINCRBY', 'many', '0.1', 'm17')
            wire.call('ZUNIONSTORE', 'union', 2, 'many', 'geo', 'WEIGHTS', '0.3', '1e-12', 'AGGREGATE', 'SUM')
            keys = ['q', 'many', 'geo', 'near', 'nearer', 'union']
            before = {key: contents(wire, key) for key in keys}
        expect_equal(before['q'], [(b'c', b'3')])
        expect(len(before['near']) > len(before['nearer']) > 64, 'enough are near')
        server.kill()
        server.start()
        with Wire(server) as wire:
            expect_equal({key: contents(wire, key) for key in keys}, before, 'from the log')
            wire.call('SAVE')
            wire.call('TIER', 'DEMOTE', *keys)
            expect_equal({key: contents(wire, key) for key in keys}, before, 'from the cold tier')
            wire.call('TIER', 'DEMOTE', *keys)
            expect_equal(wire.call('ZRANK', 'many', 'm100'), before['many'].index((b'm100', dict(before['many'])[b'm100'])))
    finally:
        server.remove()


def fill_geo(wire, key, count):
    generator = random.Random(count)
    for number in range(count):
        wire.call('GEOADD', key, '%.6f' % generator.uniform(8, 22), '%.6f' % generator.uniform(33, 41), 'p%d' % number)


def large_sets(server):
    count = 50000 if server.slow else 300000
    with clean(server) as wire:
        fill(wire, 'big', [(i * 7919 % count, b'member:%d' % (i * 7919 % count)) for i in range(count)])
        expect_equal(wire.call('ZCARD', 'big'), count)
        for rank in (0, 1, count // 3, count - 1):
            expect_equal(wire.call('ZRANGE', 'big', rank, rank), [b'member:%d' % rank])
            expect_equal(wire.call('ZRANK', 'big', 'member:%d' % rank), rank)
            expect_equal(wire.call('ZREVRANK', 'big', 'member:%d' % rank), count - 1 - rank)
        expect_equal(wire.call('ZCOUNT', 'big', 1000, '(2000'), 1000)
        wire.call('COPY', 'big', 'copy')
        expect_equal(wire.call('ZREMRANGEBYSCORE', 'big', 1000, 1999), 1000)
        expect_equal(wire.call('ZREMRANGEBYRANK', 'big', 0, count // 2), count // 2 + 1)
        expect_equal(wire.call('ZCARD', 'big'), count - 1000 - count // 2 - 1)
        expect_equal(wire.call('ZCARD', 'copy'), count, 'the copy is as it was')
        expect_equal(wire.call('ZSCORE', 'copy', 'member:1500'), b'1500')
        wire.call('SAVE')
        wire.call('TIER', 'DEMOTE', 'big', 'copy')
        expect_equal(wire.call('ZRANK', 'copy', 'member:1500'), 1500)
        expect_equal(wire.call('ZINTERCARD', 2, 'big', 'copy'), count - 1000 - count // 2 - 1)
        expect_equal(wire.call('DEL', 'big', 'copy'), 2)


def long_members(server):
    members = [b'x' * size for size in (64, 65, 1023, 1024, 1025, 2000, 5000, 100000)]
    with clean(server) as wire:
        fill(wire, 'z', enumerate(members))
        expect_equal(wire.call('ZRANGE', 'z', 0, -1), members)
        for rank, member in enumerate(members):
            expect_equal(wire.call('ZRANK', 'z', member), rank)
        fill(wire, 'z', [(i, b'm%d' % i) for i in range(200)])
        wire.call('SAVE')
        wire.call('TIER', 'DEMOTE', 'z')
        for rank, member in enumerate(members):
            expect_equal(wire.call('ZSCORE', 'z', member), b'%d' % rank)
        expect_equal(wire.call('ZREM', 'z', *members), len(members))
        expect_equal(wire.call('ZCARD', 'z'), 200)


def numbers_that_overflow(server):
    low, high = -2**63, 2**63 - 1
    with clean(server) as wire:
        wire.call('ZADD', 'z', 1, 'a', 2, 'b', 3, 'c')
        expect_equal(wire.call('ZRANGE', 'z', low, high), [b'a', b'b', b'c'])
        expect_equal(wire.call('ZRANGE', 'z', high, low), [])
        expect_equal(wire.call('ZREVRANGE', 'z', high, high), [])
        expect_equal(wire.call('ZRANGE', 'z', 0, 9, 'BYSCORE', 'LIMIT', high, high), [])
        expect_equal(wire.call('ZRANGE', 'z', 0, 9, 'BYSCORE', 'LIMIT', low, low), [])
        expect_equal(wire.call('ZRANGE', 'z', 0, 9, 'BYSCORE', 'LIMIT', 1, high), [b'b', b'c'])
        expect_equal(wire.call('ZREMRANGEBYRANK', 'z', high, high), 0)
        expect_equal(wire.call('ZPOPMIN', 'z', high)[:2], [b'a', b'1'])
        for words in (['ZRANDMEMBER', 'z', low], ['ZRANDMEMBER', 'z', high, 'WITHSCORES'], ['ZPOPMIN', 'z', 2**63], ['ZUNION', high, 'z'],
                      ['ZMPOP', high, 'z', 'MIN'], ['ZINTERCARD', 2**31, 'z'], ['ZUNIONSTORE', 'd', -1, 'z'], ['BZMPOP', 1, 2**32 + 1, 'z', 'MIN']):
            expect(isinstance(wire.call(*words), Error), words)


SHARED = [scores_as_texts, rank_with_score, not_a_number, ranges_of_odd_sizes, scan_while_it_changes, random_members, waiting_clients,
          ways_to_be_served, what_does_not_wait, large_sets, long_members, numbers_that_overflow]
OWN = [pops_survive]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('cases', nargs='*')
    arguments = parser.parse_intermixed_args()
    options = {'workers': arguments.workers, 'cold-reserve': '1mb'}
    server = Server(arguments.binary, options).start()
    server.slow = is_sanitized(arguments.binary)

    def shared(case):
        def run():
            case(server)
            check_alive(server)
        return run

    def own(case):
        return lambda: case(arguments.binary, options)

    cases = [(case.__name__, shared(case)) for case in SHARED] + [(case.__name__, own(case)) for case in OWN]
    status = run_cases(cases, arguments.cases)
    if status:
        print(server.log()[-4000:])
    else:
        server.stop()
    server.remove()
    sys.exit(status)


if __name__ == '__main__':
    main()
