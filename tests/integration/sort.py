#!/usr/bin/env python3
"""SORT with keys that lie on disk: the same reply as if they were in RAM, in whatever way they get there.

usage: sort.py SERVER_BINARY [CASE...]
"""
import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode  # noqa: E402
from wire import Error, Wire, check_alive, expect, expect_equal, run_cases  # noqa: E402

OPTIONS = {'enable-debug-command': 'yes', 'workers': '3'}
COUNT = 300


def fill(server, generator):
    """Members 0 .. COUNT - 1 in a list; their weights, and hashes with names. Gives the members by weight."""
    wire = Wire(server)
    wire.call('FLUSHALL')
    weights = list(range(COUNT))
    generator.shuffle(weights)
    wire.call('RPUSH', 'list', *range(COUNT))
    wire.pipeline([['SET', 'w_%d' % member, weights[member]] for member in range(COUNT)])
    wire.pipeline([['HSET', 'h_%d' % member, 'name', 'n%d' % member, 'weight', weights[member]] for member in range(COUNT)])
    return wire, sorted(range(COUNT), key=lambda member: weights[member])


def cool(wire):
    """Everything to disk."""
    expect_equal(wire.call('DEBUG', 'RELOAD'), b'OK')


def texts(numbers, form=b'%d'):
    return [form % number for number in numbers]


def cold_patterns_are_promoted(server):
    wire, order = fill(server, server.random)
    with wire:
        for by in ('w_*', 'h_*->weight'):
            cool(wire)
            expect_equal(wire.call('SORT', 'list', 'BY', by), texts(order), by)
            cool(wire)
            expect_equal(wire.call('SORT_RO', 'list', 'BY', by, 'GET', 'h_*->name', 'LIMIT', 10, 20),
                         texts(order[10:30], b'n%d'), by)
        cool(wire)
        expect_equal(wire.call('SORT', 'list', 'BY', 'nosort', 'GET', 'w_*', 'LIMIT', 5, 2),
                     wire.call('MGET', 'w_5', 'w_6'))
        cool(wire)
        expect_equal(wire.call('SORT', 'list', 'BY', 'w_*', 'STORE', 'd'), COUNT)
        cool(wire)
        expect_equal(wire.call('LRANGE', 'd', 0, -1), texts(order))


def a_part_reads_only_what_it_needs(server):
    wire, _ = fill(server, server.random)
    with wire:
        cool(wire)

        def promoted():
            info = wire.call('INFO', 'everything').decode()
            return sum(int(line.split(':')[1]) for line in info.split('\r\n') if line.startswith('promoted_count:'))
        before = promoted()
        expect_equal(len(wire.call('SORT', 'list', 'GET', 'h_*->name', 'LIMIT', 7, 3)), 3)
        expect(promoted() - before <= 4, 'the list and three hashes: %d' % (promoted() - before))


def a_transaction_sorts_by_keys_it_could_not_know(server):
    wire, order = fill(server, server.random)
    with wire:
        cool(wire)
        wire.call('MULTI')
        wire.call('RPUSH', 'fresh', *range(0, COUNT, 2))
        wire.call('DEL', 'w_0')
        wire.call('SORT', 'fresh', 'BY', 'w_*', 'GET', '#', 'GET', 'h_*->name', 'LIMIT', 1, COUNT)
        wire.call('SORT', 'fresh', 'BY', 'w_*', 'STORE', 'd')
        wire.call('SORT', 'fresh', 'BY', 'w_*', 'WORD')
        wire.call('SORT', 'fresh', 'BY', 'h_*->name')
        replies = wire.call('EXEC')
        # The weight of 0 is gone: it counts as 0, like that of the one whose weight is 0.
        even = [member for member in order if member % 2 == 0 and member != 0]
        zero = int(order[0] % 2 == 0 and order[0] != 0)
        expected = ([0] + even) if not zero else [0] + even
        pairs = [text for member in expected[1:] for text in (b'%d' % member, b'n%d' % member)]
        expect_equal(replies[2], pairs)
        expect_equal(replies[3], COUNT // 2)
        expect_equal(replies[4], Error(b'ERR syntax error'))
        expect_equal(replies[5], Error(b"ERR One or more scores can't be converted into double"))
        expect_equal(wire.call('LRANGE', 'd', 0, -1), texts(expected))


def clients_that_leave_while_waiting_hold_nothing(server):
    wire, order = fill(server, server.random)
    with wire:
        for _ in range(20):
            cool(wire)
            leavers = [Wire(server) for _ in range(5)]
            for leaver in leavers:
                leaver.send(encode(['SORT', 'list', 'BY', 'w_*', 'GET', 'h_*->name']) * 2)
            for leaver in leavers:
                leaver.reset()
        expect_equal(wire.call('SORT', 'list', 'BY', 'w_*'), texts(order))
        # Nothing is pinned: everything can be demoted.
        wire.call('SAVE')
        expect_equal(wire.call('TIER', 'DEMOTE', *['w_%d' % member for member in range(COUNT)]), COUNT)


def sorts_while_data_changes(server):
    """Weights change only by being written again, flushes come in between: replies are well-formed and complete."""
    wire, order = fill(server, server.random)
    failures = []
    stop = threading.Event()

    def disturb():
        generator = random.Random(server.seed)
        with Wire(server) as other:
            while not stop.is_set():
                other.call('SAVE')
                other.call('TIER', 'DEMOTE', *['w_%d' % generator.randrange(COUNT) for _ in range(50)])
                other.call('SWAPDB', 1, 2)
                other.call('SORT', 'list', 'BY', 'w_*', 'STORE', 'other')

    def sort():
        with Wire(server) as own:
            for _ in range(100):
                reply = own.call('SORT', 'list', 'BY', 'w_*', 'GET', '#', 'GET', 'h_*->name')
                if reply != [text for member in order for text in (b'%d' % member, b'n%d' % member)]:
                    failures.append(reply)

    with wire:
        threads = [threading.Thread(target=sort) for _ in range(4)] + [threading.Thread(target=disturb)]
        for thread in threads:
            thread.start()
        for thread in threads[:-1]:
            thread.join()
        stop.set()
        threads[-1].join()
    expect_equal(failures[:1], [])


CASES = [cold_patterns_are_promoted, a_part_reads_only_what_it_needs, a_transaction_sorts_by_keys_it_could_not_know,
         clients_that_leave_while_waiting_hold_nothing, sorts_while_data_changes]


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    with Server(binary, OPTIONS) as server:
        server.seed = int(os.environ.get('KELVIN_TEST_SEED', random.randrange(1 << 32)))
        server.random = random.Random(server.seed)
        print('KELVIN_TEST_SEED=%d' % server.seed, flush=True)

        def shared(case):
            def run():
                case(server)
                check_alive(server)
            return run

        sys.exit(run_cases([(case.__name__, shared(case)) for case in CASES], names))


if __name__ == '__main__':
    main()
