#!/usr/bin/env python3
"""Streams where they are newer than redis-server 7.0 (what both know is compared in stream_compare.py): blocking, times, lag, events, restarts.

usage: stream.py SERVER_BINARY [--workers N] [CASE...]
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode  # noqa: E402
from wire import Error, Wire, check_alive, expect, expect_equal, info_field, run_cases, wait_for  # noqa: E402


def clean(server):
    wire = Wire(server)
    expect_equal(wire.call('FLUSHALL'), b'OK')
    return wire


def waiter(server, wire, *args):
    """A connection that waits in this command."""
    count = int(info_field(wire, 'blocked_clients', 'clients'))
    waiting = Wire(server)
    waiting.send(encode(args))
    wait_for(lambda: int(info_field(wire, 'blocked_clients', 'clients')) == count + 1, 'one more client is blocked')
    return waiting


def pairs(reply):
    return dict(zip(reply[::2], reply[1::2]))


def entry(identifier, *fields):
    return [identifier.encode(), [field.encode() for field in fields]]


def is_error(reply, start):
    expect(isinstance(reply, Error) and reply.startswith(start), 'wanted %r, got %r' % (start, reply))


NO_GROUP = b"NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"


# --- IDs --------------------------------------------------------------------------------------------------------

def generated_ids(server):
    with clean(server) as wire:
        before = int(time.time() * 1000)
        ids = wire.pipeline([('XADD', 's', '*', 'f', 'v')] * 500)
        numbers = [tuple(map(int, one.split(b'-'))) for one in ids]
        expect_equal(numbers, sorted(set(numbers)), 'each is greater than the one before')
        expect(before - 1000 <= numbers[0][0] <= int(time.time() * 1000) + 1000, 'the clock is in them: %r' % ids[0])
        ahead = 2 ** 63
        wire.call('XADD', 's', '%d-5' % ahead, 'f', 'v')
        expect_equal(wire.call('XADD', 's', '*', 'f', 'v'), b'%d-6' % ahead, 'a clock that is behind')
        wire.call('XADD', 's', '%d-%d' % (ahead, 2 ** 64 - 1), 'f', 'v')
        is_error(wire.call('XADD', 's', '%d-*' % ahead, 'f', 'v'), b'ERR The ID specified in XADD is equal or smaller than the')
        expect_equal(wire.call('XADD', 's', '*', 'f', 'v'), b'%d-0' % (ahead + 1))
        wire.call('XADD', 's', '18446744073709551615-18446744073709551615', 'f', 'v')
        is_error(wire.call('XADD', 's', '*', 'f', 'v'), b'ERR The stream has exhausted the last possible ID, unable to add more items')


def last_entry(server):
    """XREAD's "+"."""
    with clean(server) as wire:
        expect_equal(wire.call('XREAD', 'STREAMS', 's', '+'), None)
        wire.pipeline([('XADD', 's', '%d-1' % n, 'n', n) for n in (1, 2, 3)])
        wire.call('XDEL', 's', '3-1')
        expect_equal(wire.call('XREAD', 'STREAMS', 's', '+'), [[b's', [entry('2-1', 'n', '2')]]])
        wire.call('XGROUP', 'CREATE', 's', 'g', '0')
        is_error(wire.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '+'), b'ERR The + ID is meaningless in the context of XREADGROUP')
        is_error(wire.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '$'), b'ERR The $ ID is meaningless in the context of XREADGROUP')


# --- blocking -----------------------------------------------------------------------------------------------------

def dollar_is_resolved_once(server):
    with clean(server) as wire:
        wire.call('XADD', 'a', '1-1', 'f', 'old')
        for protocol in (2, 3):
            wire.call('DEL', 'b')
            waiting = Wire(server)
            waiting.call('HELLO', protocol)
            waiting.send(encode(['XREAD', 'COUNT', '5', 'BLOCK', '0', 'STREAMS', 'a', 'b', 'a', '$', '$', '0']))
            expect_equal(pairs(sum(waiting.reply(), [])) if protocol == 2 else waiting.reply(),
                         {b'a': [entry('1-1', 'f', 'old')]}, 'what is there is served at once')
            waiting.send(encode(['XREAD', 'BLOCK', '0', 'STREAMS', 'a', 'b', '$', '$']))
            wait_for(lambda: info_field(wire, 'blocked_clients', 'clients') == '1', 'it waits')
            # Woken for nothing: an entry that is gone, another type.
            wire.pipeline([('MULTI',), ('XADD', 'b', '5-1', 'f', 'v'), ('DEL', 'b'), ('LPUSH', 'b', 'x'), ('EXEC',)])
            wire.pipeline([('DEL', 'b'), ('MULTI',), ('XADD', 'b', '6-1', 'f', 'one'), ('XADD', 'b', '6-2', 'f', 'two'), ('EXEC',)])
            reply = waiting.reply()
            wanted = [entry('6-1', 'f', 'one'), entry('6-2', 'f', 'two')]
            expect_equal(reply, [[b'b', wanted]] if protocol == 2 else {b'b': wanted})
            waiting.close()


def timeouts(server):
    with clean(server) as wire:
        wire.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
        for words in (['XREAD'], ['XREADGROUP', 'GROUP', 'g', 'c']):
            last = '$' if len(words) == 1 else '>'
            start = time.monotonic()
            expect_equal(wire.call(*words, 'BLOCK', 80, 'STREAMS', 's', last), None)
            expect(time.monotonic() - start > 0.06, 'it waited')
            is_error(wire.call(*words, 'BLOCK', '-1', 'STREAMS', 's', last), b'ERR timeout is negative')
            is_error(wire.call(*words, 'BLOCK', '0.5', 'STREAMS', 's', last), b'ERR timeout is not an integer or out of range')
            is_error(wire.call(*words, 'BLOCK', 2 ** 63 - 1, 'STREAMS', 's', last), b'ERR timeout is out of range')
            wire.call('MULTI')
            wire.call(*words, 'BLOCK', '0', 'STREAMS', 's', last)
            expect_equal(wire.call('EXEC'), [None], 'no waiting in a transaction')


def groups_that_go(server):
    changes = [
        ([('DEL', 's')], NO_GROUP), ([('UNLINK', 's')], NO_GROUP), ([('SET', 's', 'x')], b'WRONGTYPE'), ([('FLUSHALL',)], NO_GROUP),
        ([('XGROUP', 'DESTROY', 's', 'g')], NO_GROUP), ([('PEXPIRE', 's', 30)], NO_GROUP),
        ([('XADD', 'other', '1-1', 'f', 'v'), ('RENAME', 'other', 's')], NO_GROUP),
        ([('MULTI',), ('DEL', 's'), ('SADD', 's', 'm'), ('EXEC',)], b'WRONGTYPE'),
    ]
    for commands, start in changes:
        with clean(server) as wire:
            wire.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
            with waiter(server, wire, 'XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '>') as waiting:
                wire.pipeline(commands)
                is_error(waiting.reply(), start)
    with clean(server) as wire:
        wire.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
        with waiter(server, wire, 'XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '>') as waiting:
            wire.pipeline([('XGROUP', 'CREATE', 't', 'g', '0', 'MKSTREAM'), ('XADD', 't', '7-7', 'f', 'v'), ('RENAME', 't', 's')])
            expect_equal(waiting.reply(), [[b's', [entry('7-7', 'f', 'v')]]])


def consumers_share_what_comes(server):
    with clean(server) as wire:
        wire.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
        read = ['XREADGROUP', 'GROUP', 'g', None, 'COUNT', '1', 'BLOCK', '0', 'STREAMS', 's', '>']
        waiting = [waiter(server, wire, *[name if word is None else word for word in read]) for name in ('one', 'two', 'three')]
        wire.pipeline([('MULTI',)] + [('XADD', 's', '%d-0' % n, 'f', n) for n in (1, 2)] + [('EXEC',)])
        expect_equal([one.reply() for one in waiting[:2]], [[[b's', [entry('%d-0' % n, 'f', str(n))]]] for n in (1, 2)], 'in order of arrival')
        expect_equal(info_field(wire, 'blocked_clients', 'clients'), '1')
        wire.call('XADD', 's', '3-0', 'f', '3')
        expect_equal(waiting[2].reply(), [[b's', [entry('3-0', 'f', '3')]]])
        pending = wire.call('XPENDING', 's', 'g', '-', '+', 10)
        expect_equal([row[:2] + row[3:] for row in pending], [[b'1-0', b'one', 1], [b'2-0', b'two', 1], [b'3-0', b'three', 1]])
        for one in waiting:
            one.close()


# --- consumers ------------------------------------------------------------------------------------------------------

def attempts_make_consumers(server):
    with clean(server) as wire:
        wire.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
        expect_equal(wire.call('XREADGROUP', 'GROUP', 'g', 'reads', 'STREAMS', 's', '>'), None)
        expect_equal(wire.call('XCLAIM', 's', 'g', 'claims', '0', '1-1'), [])
        expect_equal(wire.call('XAUTOCLAIM', 's', 'g', 'takes', '0', '-'), [b'0-0', [], []])
        with waiter(server, wire, 'XREADGROUP', 'GROUP', 'g', 'blocks', 'BLOCK', '0', 'NOACK', 'STREAMS', 's', '>'):
            names = [pairs(one)[b'name'] for one in wire.call('XINFO', 'CONSUMERS', 's', 'g')]
            expect_equal(names, [b'blocks', b'claims', b'reads', b'takes'])


def times_of_consumers(server):
    def times():
        info = pairs(wire.call('XINFO', 'CONSUMERS', 's', 'g')[0])
        return info[b'idle'], info[b'inactive']

    with clean(server) as wire:
        wire.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
        read = ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', 's', '>']
        wire.call(*read)
        time.sleep(0.1)
        idle, inactive = times()
        expect(idle >= 90 and inactive == -1, 'seen once, never active: %r' % ((idle, inactive),))
        wire.call('XADD', 's', '1-1', 'f', 'v')
        wire.call(*read)
        idle, inactive = times()
        expect(idle < 80 and 0 <= inactive < 80, 'active: %r' % ((idle, inactive),))
        time.sleep(0.1)
        wire.call(*read)
        idle, inactive = times()
        expect(idle < 80 and inactive >= 90, 'seen, but not active: %r' % ((idle, inactive),))
        full = pairs(pairs(pairs(wire.call('XINFO', 'STREAM', 's', 'FULL'))[b'groups'][0])[b'consumers'][0])
        expect(full[b'active-time'] < full[b'seen-time'] <= time.time() * 1000 + 1, 'moments: %r' % full)
        time.sleep(0.05)
        wire.call('XCLAIM', 's', 'g', 'c', 0, '1-1')
        expect(times()[1] < 80, 'claiming is activity')


def lag(server):
    def progress():
        info = pairs(wire.call('XINFO', 'GROUPS', 's')[0])
        return info[b'entries-read'], info[b'lag']

    with clean(server) as wire:
        wire.pipeline([('XADD', 's', '%d-0' % n, 'f', 'v') for n in range(1, 6)])
        wire.call('XGROUP', 'CREATE', 's', 'g', '0')
        expect_equal(progress(), (None, 5))
        wire.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 2, 'STREAMS', 's', '>')
        expect_equal(progress(), (2, 3))
        wire.call('XDEL', 's', '4-0')
        expect_equal(progress(), (2, None), 'a hole ahead')
        wire.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>')
        expect_equal(progress(), (5, 0))
        wire.call('XADD', 's', '6-0', 'f', 'v')
        expect_equal(progress(), (5, 1))
        wire.call('XGROUP', 'SETID', 's', 'g', '0')
        expect_equal(progress(), (None, None))
        wire.call('XTRIM', 's', 'MINID', '5-0')
        expect_equal(progress(), (None, 2), 'all that is left is ahead')
        is_error(wire.call('XSETID', 's', '3-0'), b'ERR The ID specified in XSETID is smaller than current max_deleted_entry_id')
        wire.call('XTRIM', 's', 'MAXLEN', '0')
        expect_equal(progress(), (None, 0))


# --- events -----------------------------------------------------------------------------------------------------------

def events(server):
    script = [
        (('XADD', 's', '1-1', 'f', 'v'), ['xadd']), (('XADD', 's', 'MAXLEN', '1', '2-1', 'f', 'v'), ['xadd', 'xtrim']), (('XDEL', 's', '9-9'), []),
        (('XGROUP', 'CREATE', 's', 'g', '0'), ['xgroup-create']), (('XGROUP', 'CREATECONSUMER', 's', 'g', 'c'), ['xgroup-createconsumer']),
        (('XREADGROUP', 'GROUP', 'g', 'd', 'STREAMS', 's', '>'), ['xgroup-createconsumer']), (('XGROUP', 'DELCONSUMER', 's', 'g', 'c'), ['xgroup-delconsumer']),
        (('XGROUP', 'DELCONSUMER', 's', 'g', 'c'), []), (('XCLAIM', 's', 'g', 'e', '0', '2-1'), ['xgroup-createconsumer']),
        (('XGROUP', 'SETID', 's', 'g', '$'), ['xgroup-setid']), (('XGROUP', 'DESTROY', 's', 'g'), ['xgroup-destroy']), (('XGROUP', 'DESTROY', 's', 'g'), []),
        (('XSETID', 's', '5-5'), ['xsetid']), (('XTRIM', 's', 'MAXLEN', '3'), []), (('XTRIM', 's', 'MAXLEN', '0'), ['xtrim']), (('DEL', 's'), []),
        (('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM'), ['xgroup-create']), (('XADD', 's', '1-1', 'f', 'v'), ['xadd']), (('XDEL', 's', '1-1'), ['xdel']),
    ]
    with clean(server) as wire, Wire(server) as listener:
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', 'Kt')
        listener.call('SUBSCRIBE', '__keyspace@0__:s', 'end')
        listener.reply()
        heard = []
        for words, _ in script:
            wire.call(*words)
        wire.call('PUBLISH', 'end', '')
        while True:
            message = listener.reply()
            if message[1] == b'end':
                break
            heard.append(message[2].decode())
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', '')
        expect_equal(heard, [event for _, list_of in script for event in list_of])


# --- restarts -----------------------------------------------------------------------------------------------------------

def state(wire, key):
    """All of a stream but when its consumers were seen."""
    stream = pairs(wire.call('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'))
    stream[b'groups'] = [pairs(group) for group in stream[b'groups']]
    for group in stream[b'groups']:
        group[b'consumers'] = [pairs(consumer) for consumer in group[b'consumers']]
        for consumer in group[b'consumers']:
            del consumer[b'seen-time'], consumer[b'active-time']
    return stream


def build(wire):
    """A stream that everything was done to."""
    wire.pipeline([('XADD', 's', '*', 'n', n, 'text', 't' * (n % 50)) for n in range(2000)])
    wire.call('XGROUP', 'CREATE', 's', 'g', '0')
    wire.call('XGROUP', 'CREATE', 's', 'h', '$', 'ENTRIESREAD', '7')
    wire.call('XREADGROUP', 'GROUP', 'g', 'anna', 'COUNT', 1200, 'STREAMS', 's', '>')
    wire.call('XREADGROUP', 'GROUP', 'g', 'ben', 'NOACK', 'COUNT', 50, 'STREAMS', 's', '>')
    wire.call('XREADGROUP', 'GROUP', 'g', 'carl', 'COUNT', 5, 'STREAMS', 's', '>')
    wire.call('XREADGROUP', 'GROUP', 'g', 'dora', 'COUNT', 5, 'STREAMS', 's', '0')
    wire.call('XREADGROUP', 'GROUP', 'g', 'anna', 'COUNT', 30, 'STREAMS', 's', '0')
    ids = [row[0] for row in wire.call('XPENDING', 's', 'g', '-', '+', 40)]
    wire.call('XDEL', 's', *ids[5:9])
    wire.call('XACK', 's', 'g', *ids[20:25])
    wire.call('XCLAIM', 's', 'g', 'eve', '0', *ids[:12])
    wire.call('XCLAIM', 's', 'g', 'fritz', '0', ids[1], 'RETRYCOUNT', '99', 'IDLE', '5000', 'FORCE')
    wire.call('XAUTOCLAIM', 's', 'g', 'gerd', '0', ids[14], 'COUNT', '10')
    wire.call('XADD', 's', 'MAXLEN', '~', '1500', '*', 'last', 'one')
    wire.pipeline([('MULTI',), ('XADD', 's', '*', 'a', 'b'), ('XREADGROUP', 'GROUP', 'h', 'anna', 'STREAMS', 's', '>'), ('EXEC',)])
    wire.call('XTRIM', 's', 'MINID', '~', wire.call('XRANGE', 's', '-', '+', 'COUNT', 700)[-1][0])


def kept_over_restarts(binary, workers):
    with Server(binary, {'workers': workers, 'appendfsync': 'always'}) as server:
        with Wire(server) as wire:
            build(wire)
            before = state(wire, 's')
        server.kill()
        server.start()
        with Wire(server) as wire:
            expect_equal(state(wire, 's'), before, 'from the log')
            wire.call('SAVE')
        server.kill()
        server.start()
        with Wire(server) as wire:
            expect_equal(state(wire, 's'), before, 'from the cold tier')
            wire.call('SAVE')
            wire.call('TIER', 'DEMOTE', 's')
            expect_equal(state(wire, 's'), before, 'promoted')
            idle = pairs(wire.call('XINFO', 'CONSUMERS', 's', 'g')[0])[b'idle']
            expect(0 <= idle < 600000, 'idle for %d ms' % idle)


CASES = [generated_ids, last_entry, dollar_is_resolved_once, timeouts, groups_that_go, consumers_share_what_comes, attempts_make_consumers, times_of_consumers,
         lag, events]
OWN_SERVER = [kept_over_restarts]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('binary')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('cases', nargs='*')
    options = parser.parse_args()
    with Server(options.binary, {'workers': options.workers}) as server:
        cases = [(case.__name__, lambda case=case: (case(server), check_alive(server))) for case in CASES]
        cases += [(case.__name__, lambda case=case: case(options.binary, options.workers)) for case in OWN_SERVER]
        return run_cases(cases, options.cases)


if __name__ == '__main__':
    sys.exit(main())
