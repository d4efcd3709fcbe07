#!/usr/bin/env python3
"""Sets: what redis-server 7.0 cannot be asked: names of 7.2, random choices, walks over changing sets, events, effects in the log.

usage: sets.py SERVER_BINARY [CASE...]
"""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server  # noqa: E402
from wire import Wire, check_alive, expect, expect_equal, run_cases  # noqa: E402

OPTIONS = {'enable-debug-command': 'yes', 'notify-keyspace-events': 'KEA', 'appendfsync': 'always'}


def clean(server):
    wire = Wire(server)
    wire.call('FLUSHALL')
    return wire


def encoding(wire, key):
    return wire.call('OBJECT', 'ENCODING', key)


def names_follow_the_limits(server):
    with clean(server) as wire:
        expect_equal(wire.call('CONFIG', 'GET', 'set-max-listpack-entries'), [b'set-max-listpack-entries', b'0'])
        wire.call('SADD', 'old', 'a')
        expect_equal(encoding(wire, 'old'), b'hashtable', 'as before 7.2')
        wire.call('CONFIG', 'SET', 'set-max-listpack-entries', 128)
        try:
            wire.call('SADD', 's', *range(512))
            expect_equal(encoding(wire, 's'), b'intset')
            wire.call('SADD', 's', 512)
            expect_equal(encoding(wire, 's'), b'hashtable')
            wire.call('SADD', 't', 1, 2)
            wire.call('SADD', 't', 'x')
            expect_equal(encoding(wire, 't'), b'listpack')
            expect_equal(wire.call('SMEMBERS', 't'), [b'1', b'2', b'x'], 'in order of insertion')
            wire.call('SADD', 't', 'x' * 65)
            expect_equal(encoding(wire, 't'), b'hashtable')
            wire.call('SADD', 'u', *['m%d' % i for i in range(129)])
            expect_equal(encoding(wire, 'u'), b'hashtable', 'by the number of arguments')
            wire.call('SADD', 'v', *range(-5, 5))
            wire.call('DEBUG', 'RELOAD')
            for key, name in (('s', b'hashtable'), ('t', b'hashtable'), ('v', b'intset'), ('old', b'hashtable')):
                expect_equal(encoding(wire, key), name, key)
            wire.call('SINTERSTORE', 'd', 's', 's')
            expect_equal(encoding(wire, 'd'), b'hashtable', 'too many integers')
            wire.call('SINTERSTORE', 'd', 's', 'v')
            expect_equal(encoding(wire, 'd'), b'intset')
            wire.call('SADD', 's', 'foo')
            wire.call('SADD', 'u', 'foo', 1, 2)
            wire.call('SINTERSTORE', 'd', 's', 'u')
            expect_equal((encoding(wire, 'd'), wire.call('SCARD', 'd')), (b'hashtable', 3), 'as the smallest')
        finally:
            wire.call('CONFIG', 'SET', 'set-max-listpack-entries', 0)


def a_walk_sees_all_that_stays(server):
    generator = random.Random(server.seed)
    with clean(server) as wire:
        staying = {b'stay:%d' % i for i in range(3000)}
        wire.call('SADD', 's', *staying)
        seen, cursor, step = set(), b'0', 0
        while True:
            cursor, members = wire.call('SSCAN', 's', cursor, 'COUNT', generator.choice([1, 10, 300]))
            seen.update(members)
            if cursor == b'0':
                break
            step += 1
            wire.call('SADD', 's', *['new:%d:%d' % (step, i) for i in range(generator.randrange(1, 200))])
            wire.call('SREM', 's', *['new:%d:%d' % (generator.randrange(step + 1), i) for i in range(100)])
            expect(step < 20000, 'the walk ends')
        expect_equal(staying - seen, set())


def draws_are_even(server):
    with clean(server) as wire:
        wire.call('SADD', 's', *['m%d' % i for i in range(1000)])
        counts = {}
        for count, rounds in ((-1000, 10), (3, 3000), (600, 20)):
            for reply in wire.pipeline([['SRANDMEMBER', 's', count]] * rounds):
                if count > 0:
                    expect_equal(len(set(reply)), count, 'distinct')
                for member in reply:
                    counts[member] = counts.get(member, 0) + 1
        total = sum(counts.values())
        expect_equal(len(counts), 1000)
        chi_square = sum((number - total / 1000) ** 2 / (total / 1000) for number in counts.values())
        # 999 degrees of freedom: mean 999, deviation 45. Distinct draws only make it smaller.
        expect(chi_square < 1300, 'chi square %f' % chi_square)


def what_was_popped_is_gone_after_a_crash(server):
    with Server(server.binary, OPTIONS) as own:
        with Wire(own) as wire:
            expected = {}
            for number, count in enumerate((None, 1, 3, 40, 90, 99, 100, 1000)):
                key = b'k%d' % number
                members = [b'%d' % i for i in range(50)] + [b'm%d' % i for i in range(50)]
                wire.call('SADD', key, *members)
                wire.call('EXPIRE', key, 100000)
                popped = wire.call('SPOP', key, *([] if count is None else [count]))
                popped = popped if isinstance(popped, list) else [popped]
                expect_equal(len(set(popped)), min(count or 1, 100))
                expected[key] = set(members) - set(popped)
                expect_equal(set(wire.call('SMEMBERS', key)), expected[key])
        own.kill()
        own.start()
        with Wire(own) as wire:
            for key, members in expected.items():
                expect_equal(set(wire.call('SMEMBERS', key)), members, key)
                expect(not members or wire.call('TTL', key) > 90000, 'the expiry stays')


def events_are_published(server):
    with clean(server) as wire, Wire(server) as listener:
        listener.call('PSUBSCRIBE', '__keyevent@0__:*')
        cases = [
            (['SADD', 'a', '1', '2', '3'], ['sadd a']), (['SADD', 'a', '1'], []), (['SREM', 'a', '9'], []),
            (['SREM', 'a', '3'], ['srem a']), (['SMOVE', 'a', 'b', '2'], ['srem a', 'sadd b']),
            (['SMOVE', 'a', 'b', '1'], ['srem a', 'del a', 'sadd b']), (['SPOP', 'b'], ['spop b']),
            (['SPOP', 'b'], ['spop b', 'del b']), (['SADD', 'a', '1', '2'], ['sadd a']),
            (['SINTERSTORE', 'd', 'a', 'a'], ['sinterstore d']), (['SUNIONSTORE', 'd', 'a'], ['sunionstore d']),
            (['SDIFFSTORE', 'd', 'a', 'none'], ['sdiffstore d']), (['SDIFFSTORE', 'd', 'a', 'a'], ['del d']),
            (['SORT', 'a', 'STORE', 'd'], ['sortstore d']), (['SORT', 'none', 'STORE', 'd'], ['del d']),
            (['SETBIT', 'bits', '1', '1'], ['setbit bits']), (['SETBIT', 'bits', '1', '1'], []),
            (['BITFIELD', 'bits', 'SET', 'u8', '0', '9'], ['setbit bits']), (['BITFIELD', 'bits', 'SET', 'u8', '0', '9'], []),
            (['BITOP', 'NOT', 'c', 'bits'], ['set c']), (['BITOP', 'NOT', 'c', 'none'], ['del c']),
        ]
        for command, events in cases:
            wire.call(*command)
            wire.call('PUBLISH', '__keyevent@0__:mark', 'mark')
            found = []
            while True:
                _, _, channel, key = listener.reply()
                if key == b'mark':
                    break
                event = channel.split(b':', 1)[1].decode()
                if event != 'new':
                    found.append('%s %s' % (event, key.decode()))
            expect_equal(found, events, ' '.join(command))


def large_members_work(server):
    with clean(server) as wire:
        members = [b'x' * size for size in (1023, 1024, 1025, 5000, 70000, 3000000)]
        expect_equal(wire.call('SADD', 's', *members), len(members))
        wire.call('DEBUG', 'RELOAD')
        expect_equal(wire.call('SMISMEMBER', 's', *(members + [b'x'])), [1] * len(members) + [0])
        expect_equal(wire.call('SMOVE', 's', 't', members[-1]), 1)
        expect_equal(wire.call('SMEMBERS', 't'), [members[-1]])
        expect_equal(wire.call('SPOP', 't'), members[-1])
        expect_equal(wire.call('SREM', 's', *members), len(members) - 1)
        expect_equal(wire.call('EXISTS', 's', 't'), 0)


CASES = [names_follow_the_limits, a_walk_sees_all_that_stays, draws_are_even, what_was_popped_is_gone_after_a_crash,
         events_are_published, large_members_work]


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    with Server(binary, OPTIONS) as server:
        server.seed = int(os.environ.get('KELVIN_TEST_SEED', random.randrange(1 << 32)))
        print('KELVIN_TEST_SEED=%d' % server.seed, flush=True)

        def shared(case):
            def run():
                case(server)
                check_alive(server)
            return run

        sys.exit(run_cases([(case.__name__, shared(case)) for case in CASES], names))


if __name__ == '__main__':
    main()
