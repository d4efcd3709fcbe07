#!/usr/bin/env python3
"""Lists in the whole server: large ones, cold ones, restarts, what is logged; and where Redis 7.2 differs from 7.0 (list_compare.py has the rest).

usage: list.py SERVER_BINARY [--workers N] [CASE...]
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server  # noqa: E402
from wire import Error, Wire, check_alive, expect, expect_equal, run_cases, wait_for  # noqa: E402


def clean(server):
    wire = Wire(server)
    wire.call('FLUSHALL')
    return wire


def elements(wire, key):
    return wire.call('LRANGE', key, 0, -1)


def timeouts(server):
    with clean(server) as wire:
        for bad in ('inf', '1e300', '9223372036854775', '9223372036854776', '1e18'):
            expect_equal(wire.call('BLPOP', 'l', bad), Error(b'ERR timeout is out of range'), bad)
        for bad in ('-1', '-0.01', '-inf', '-1e300'):
            expect_equal(wire.call('BLPOP', 'l', bad), Error(b'ERR timeout is negative'), bad)
        for bad in ('x', '', ' 1', '1 ', 'nan', '1e5000'):
            expect_equal(wire.call('BLPOP', 'l', bad), Error(b'ERR timeout is not a float or out of range'), bad)
        for good, seconds in (('0.1', 0.1), ('.05', 0.05), ('0.0001', 0.001), ('1e-1', 0.1)):
            start = time.monotonic()
            expect_equal(wire.call('BLPOP', 'l', good), None)
            expect(seconds * 0.9 <= time.monotonic() - start < seconds + 5, good)


def nulls_at_the_deadline(server):
    with clean(server) as wire:
        for words in (['BLPOP', 'a', 'b', '0.01'], ['BRPOP', 'a', '0.01'], ['BLMPOP', '0.01', '1', 'a', 'LEFT'],
                      ['BLMOVE', 'a', 'b', 'LEFT', 'LEFT', '0.01'], ['BRPOPLPUSH', 'a', 'b', '0.01']):
            wire.send(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w.encode()) for w in words))
            expect_equal(wire.line(), b'*-1', words[0])


def served_by_a_push(server):
    with clean(server) as wire:
        for words, pushed, answer, left in (
                (['BLPOP', 'a', 'b', '0'], ['RPUSH', 'b', '1', '2'], [b'b', b'1'], [b'2']),
                (['BRPOP', 'a', 'b', '0'], ['RPUSH', 'b', '1', '2'], [b'b', b'2'], [b'1']),
                (['BLMPOP', '0', '2', 'a', 'b', 'RIGHT', 'COUNT', '2'], ['RPUSH', 'b', '1', '2', '3'], [b'b', [b'3', b'2']], [b'1']),
                (['BLMOVE', 'b', 'c', 'LEFT', 'RIGHT', '0'], ['LPUSH', 'b', '1', '2'], b'2', [b'1']),
                (['BRPOPLPUSH', 'b', 'c', '0'], ['LPUSH', 'b', '1', '2'], b'1', [b'2'])):
            wire.call('DEL', 'a', 'b', 'c')
            with Wire(server) as waiter:
                waiter.send(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w.encode()) for w in words))
                wait_for(lambda: b'blocked_clients:1\r\n' in wire.call('INFO', 'clients'), 'blocked')
                expect_equal(wire.call(*pushed), len(pushed) - 2, 'the push')
                expect_equal(waiter.reply(), answer, words[0])
                expect_equal(elements(wire, 'b'), left, words[0])


def large_list(server):
    count = 20000 if server.slow else 200000
    generator = random.Random(5)
    with clean(server) as wire:
        model = []
        for start in range(0, count, 1000):
            part = [b'%d' % generator.randrange(10**6) for _ in range(1000)]
            expect_equal(wire.call('RPUSH', 'l', *part), start + 1000)
            model += part
        for _ in range(300):
            a, b = generator.randrange(count), generator.randrange(count)
            expect_equal(wire.call('LINDEX', 'l', a), model[a])
            expect_equal(wire.call('LINDEX', 'l', -1 - b), model[-1 - b])
            expect_equal(wire.call('LRANGE', 'l', a, a + 50), model[a:a + 51])
            expect_equal(wire.call('LSET', 'l', b, 'x%d' % a), b'OK')
            model[b] = b'x%d' % a
        wire.call('TIER', 'DEMOTE', 'l')
        expect_equal(wire.call('LLEN', 'l'), count)
        wire.call('LTRIM', 'l', count // 4, -(count // 4))
        model = model[count // 4:-(count // 4) + 1]
        expect_equal(elements(wire, 'l'), model)
        expect_equal(wire.call('COPY', 'l', 'm'), 1)
        expect_equal(wire.call('LREM', 'l', 0, model[7]), model.count(model[7]))
        expect_equal(elements(wire, 'm'), model, 'the copy is its own')
        expect_equal(elements(wire, 'l'), [e for e in model if e != model[7]])
        popped = wire.call('LPOP', 'm', count)
        expect_equal(popped, model)
        expect_equal(wire.call('EXISTS', 'm'), 0)


def long_elements(server):
    with clean(server) as wire:
        big = [bytes([65 + i]) * (1 << 20) for i in range(4)]
        for element in big:
            wire.call('RPUSH', 'l', element, 'small')
        expect_equal(wire.call('LPOS', 'l', big[2]), 4)
        wire.call('SAVE')
        wire.call('COPY', 'l', 'm')
        expect_equal(wire.call('LMOVE', 'l', 'm', 'LEFT', 'RIGHT'), big[0])
        expect_equal(wire.call('LMOVE', 'm', 'm', 'LEFT', 'RIGHT'), big[0])
        expect_equal(wire.call('LINDEX', 'm', -1), big[0])
        expect_equal(wire.call('LREM', 'm', 1, big[0]), 1)
        wire.call('TIER', 'DEMOTE', 'l', 'm')
        expect_equal(elements(wire, 'l'), [b'small'] + [e for b in big[1:] for e in (b, b'small')])
        expect_equal(wire.call('LLEN', 'm'), 8)


def log_text(directory):
    text = b''
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            if name.endswith('.aof'):
                text += open(os.path.join(folder, name), 'rb').read()
    return text


def what_is_logged(binary, options):
    """A blocking command leaves the pop that happened, or nothing."""
    with Server(binary, dict(options, appendfsync='always')) as server:
        wire = Wire(server)
        wire.call('RPUSH', 'l', *range(10))
        wire.call('BLPOP', 'none', 'l', 0)
        wire.call('BRPOP', 'l', 0)
        wire.call('BLMPOP', 0, 2, 'none', 'l', 'RIGHT', 'COUNT', 3)
        wire.call('LMPOP', 1, 'l', 'LEFT')
        wire.call('BLMOVE', 'l', 'm', 'LEFT', 'RIGHT', 0)
        wire.call('BRPOPLPUSH', 'l', 'm', 0)
        wire.call('BLPOP', 'none', 0.01)
        wire.call('LREM', 'l', 0, 'nothing')
        wire.call('PFADD', 'h', 'a', 'b')
        wire.call('PFCOUNT', 'h')
        sketch = wire.call('GET', 'h')
        left, moved = elements(wire, 'l'), elements(wire, 'm')
        text = log_text(server.directory)
        expect(b'BLPOP' not in text and b'BRPOP' not in text and b'BLM' not in text and b'LMPOP' not in text, 'as it came')
        expect(b'LREM' not in text, 'LREM of nothing')
        for words in ((b'LPOP', b'l'), (b'RPOP', b'l'), (b'RPOP', b'l', b'3'), (b'LPOP', b'l', b'1'), (b'LMOVE', b'l', b'm', b'LEFT', b'RIGHT'),
                      (b'LMOVE', b'l', b'm', b'RIGHT', b'LEFT')):
            expect(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words) in text, words)
        wire.close()
        server.kill()
        server.start()
        wire = Wire(server)
        expect_equal((elements(wire, 'l'), elements(wire, 'm')), (left, moved))
        expect_equal(wire.call('GET', 'h'), sketch, 'the cached cardinality too')
        wire.close()
        server.stop()


def many_lists_in_little_memory(binary, options):
    """More than fits: every list crosses the cold tier."""
    with Server(binary, dict(options, maxmemory='24mb')) as server:
        wire = Wire(server)
        generator = random.Random(9)
        model = {}
        for number in range(12000):
            key = b'list:%d' % generator.randrange(1500)
            value = b'%d' % number + b'.' * generator.randrange(3000)
            if generator.random() < 0.7:
                expect_equal(wire.call('RPUSH', key, value), len(model.setdefault(key, [])) + 1)
                model[key].append(value)
            elif model.get(key):
                expect_equal(wire.call('LPOP', key), model[key].pop(0))
            else:
                expect_equal(wire.call('LPOP', key), None)
        for key, wanted in model.items():
            expect_equal(elements(wire, key), wanted)
        wire.close()
        server.stop()


SHARED = [timeouts, nulls_at_the_deadline, served_by_a_push, large_list, long_elements]
OWN = [what_is_logged, many_lists_in_little_memory]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--slow', action='store_true', help='smaller lists, for instrumented binaries')
    parser.add_argument('cases', nargs='*')
    arguments = parser.parse_intermixed_args()
    options = {'workers': arguments.workers, 'cold-reserve': '1mb'}
    server = Server(arguments.binary, options).start()
    server.slow = arguments.slow

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
