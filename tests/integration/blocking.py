#!/usr/bin/env python3
"""Blocking commands: who is served, when, by whom, and what ends waiting.

usage: blocking.py SERVER_BINARY [--workers N] [CASE...]
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode  # noqa: E402
from wire import (Closed, Error, Wire, check_alive, expect, expect_equal, info_field, run_cases, seed, wait_for)  # noqa: E402


def clean(server):
    wire = Wire(server)
    expect_equal(wire.call('FLUSHALL'), b'OK')
    return wire


def blocked(wire):
    return int(info_field(wire, 'blocked_clients', 'clients'))


def wait_blocked(wire, count):
    wait_for(lambda: blocked(wire) == count, '%d clients are blocked' % count)


def waiter(server, wire, *args):
    """A connection that waits in this command."""
    count = blocked(wire)
    waiting = Wire(server)
    waiting.send(encode(args))
    wait_blocked(wire, count + 1)
    return waiting


def silent(wire, for_s=0.1):
    """Nothing comes."""
    wire.socket.settimeout(for_s)
    try:
        data = wire.socket.recv(1)
        raise AssertionError('nothing was expected, but %r' % data)
    except (TimeoutError, OSError) as error:
        if not isinstance(error, TimeoutError) and 'timed out' not in str(error):
            raise
    finally:
        wire.socket.settimeout(60)


# --- being served -------------------------------------------------------------------------------------------------

def served_before_the_next_command(server):
    with clean(server) as wire:
        for round_number in range(20):
            with waiter(server, wire, 'BLPOP', 'k', 0) as waiting:
                expect_equal(wire.pipeline([('RPUSH', 'k', 'v'), ('LLEN', 'k'), ('EXISTS', 'k')]), [1, 0, 0], round_number)
                expect_equal(waiting.reply(), [b'k', b'v'])
        expect_equal(blocked(wire), 0)


def in_order_of_arrival(server):
    with clean(server) as wire:
        clients = [waiter(server, wire, 'BLPOP', 'queue', 0) for _ in range(50)]
        for number in range(25):
            expect_equal(wire.call('RPUSH', 'queue', number), 1)
            expect_equal(clients[number].reply(), [b'queue', b'%d' % number], 'one at a time')
        expect_equal(wire.call('RPUSH', 'queue', *range(25, 55)), 30)
        for number in range(25, 50):
            expect_equal(clients[number].reply(), [b'queue', b'%d' % number], 'many at once')
        expect_equal(wire.call('LRANGE', 'queue', 0, -1), [b'50', b'51', b'52', b'53', b'54'])
        for client in clients:
            client.close()


def after_the_transaction(server):
    with clean(server) as wire, waiter(server, wire, 'BLPOP', 'k', 0) as waiting:
        expect_equal(wire.pipeline([('MULTI',), ('RPUSH', 'k', 'a'), ('LPUSH', 'k', 'b'), ('LLEN', 'k'), ('EXEC',), ('LLEN', 'k')]),
                     [b'OK', b'QUEUED', b'QUEUED', b'QUEUED', [1, 2, 2], 1])
        expect_equal(waiting.reply(), [b'k', b'b'], 'isolated from what happened in between')
        expect_equal(wire.call('DEL', 'k'), 1)
    with clean(server) as wire, waiter(server, wire, 'BLPOP', 'k', 0) as waiting:
        wire.pipeline([('MULTI',), ('RPUSH', 'k', 'a'), ('DEL', 'k'), ('EXEC',)])
        silent(waiting)
        wire.pipeline([('MULTI',), ('RPUSH', 'k', 'a'), ('DEL', 'k'), ('SET', 'k', 'x'), ('EXEC',)])
        silent(waiting)
        wire.pipeline([('DEL', 'k'), ('RPUSH', 'k', 'b')])
        expect_equal(waiting.reply(), [b'k', b'b'])


def in_multi_nothing_blocks(server):
    with clean(server) as wire:
        wire.pipeline([('MULTI',), ('BLPOP', 'none', 0), ('BLMPOP', 0, 1, 'none', 'LEFT'), ('PING',)])
        expect_equal(wire.call('EXEC'), [None, None, b'PONG'])


def pipelined_commands_wait(server):
    with clean(server) as wire, Wire(server) as client:
        client.send(b''.join(encode(c) for c in [('SET', 'a', 1), ('BLPOP', 'k', 0), ('INCR', 'a'), ('BLPOP', 'k', 0), ('INCR', 'a')]))
        expect_equal(client.reply(), b'OK')
        wait_blocked(wire, 1)
        expect_equal(wire.call('GET', 'a'), b'1')
        client.send(encode(('INCR', 'a')))
        silent(client)
        expect_equal(wire.call('RPUSH', 'k', 'x'), 1)
        expect_equal([client.reply(), client.reply()], [[b'k', b'x'], 2])
        wait_blocked(wire, 1)
        expect_equal(wire.call('RPUSH', 'k', 'y'), 1)
        expect_equal([client.reply(), client.reply(), client.reply()], [[b'k', b'y'], 3, 4])


def several_keys(server):
    with clean(server) as wire:
        for key in ('k1', 'k2', 'k3'):
            with waiter(server, wire, 'BRPOP', 'k1', 'k2', 'k3', 'k1', 0) as waiting:
                expect_equal(wire.call('RPUSH', key, 'v'), 1)
                expect_equal(waiting.reply(), [key.encode(), b'v'])
        expect_equal(wire.call('DBSIZE'), 0)


def waiters_of_both_kinds(server):
    """A key that comes with the wrong type leaves them waiting."""
    with clean(server) as wire, waiter(server, wire, 'BLPOP', 'k', 0) as waiting:
        expect_equal(wire.call('SADD', 'k', 'member'), 1)
        silent(waiting)
        expect_equal(wire.call('DEL', 'k'), 1)
        with waiter(server, wire, 'BZPOPMIN', 'k', 0) as scored:
            expect_equal(wire.call('ZADD', 'k', 1, 'a'), 1)
            expect_equal(scored.reply(), [b'k', b'a', b'1'])
            silent(waiting)
        expect_equal(wire.call('RPUSH', 'k', 'v'), 1)
        expect_equal(waiting.reply(), [b'k', b'v'])


def moves_in_chains(server):
    with clean(server) as wire:
        first = waiter(server, wire, 'BLMOVE', 'a', 'b', 'LEFT', 'RIGHT', 0)
        second = waiter(server, wire, 'BLMOVE', 'b', 'c', 'LEFT', 'RIGHT', 0)
        third = waiter(server, wire, 'BRPOPLPUSH', 'c', 'd', 0)
        last = waiter(server, wire, 'BLPOP', 'd', 0)
        expect_equal(wire.pipeline([('RPUSH', 'a', 'v'), ('DBSIZE',)]), [1, 0])
        expect_equal([w.reply() for w in (first, second, third, last)], [b'v', b'v', b'v', [b'd', b'v']])
        around = [waiter(server, wire, 'BLMOVE', 'x', 'y', 'LEFT', 'RIGHT', 0), waiter(server, wire, 'BLMOVE', 'y', 'x', 'LEFT', 'RIGHT', 0)]
        expect_equal(wire.pipeline([('RPUSH', 'x', 'v'), ('LRANGE', 'x', 0, -1)]), [1, [b'v']])
        expect_equal([w.reply() for w in around], [b'v', b'v'])
        to_itself = waiter(server, wire, 'BLMOVE', 'self', 'self', 'LEFT', 'RIGHT', 0)
        expect_equal(wire.call('RPUSH', 'self', 'v'), 1)
        expect_equal(to_itself.reply(), b'v')
        expect_equal(wire.call('LRANGE', 'self', 0, -1), [b'v'])
        for client in (first, second, third, last, to_itself, *around):
            client.close()


def wrong_destination(server):
    with clean(server) as wire, waiter(server, wire, 'BLMOVE', 'k', 'd', 'LEFT', 'RIGHT', 0) as waiting:
        expect_equal(wire.call('SET', 'd', 'a string'), b'OK')
        with waiter(server, wire, 'BLPOP', 'k', 0) as behind:
            expect_equal(wire.call('RPUSH', 'k', 'v'), 1)
            expect(waiting.reply().startswith(b'WRONGTYPE'), 'the destination is looked at when it is moved')
            expect_equal(behind.reply(), [b'k', b'v'], 'the next one gets it')


def other_ways_to_make_a_key(server):
    with clean(server) as wire:
        dump = None
        for make in ([('RPUSH', 'x', 'v'), ('RENAME', 'x', 'k')], [('RPUSH', 'x', 'v'), ('COPY', 'x', 'k')],
                     [('SELECT', 1), ('RPUSH', 'k', 'v'), ('MOVE', 'k', 0), ('SELECT', 0)],
                     [('SELECT', 1), ('RPUSH', 'k', 'v'), ('SELECT', 0), ('SWAPDB', 0, 1)],
                     [('RPUSH', 'x', 'v'), ('LMOVE', 'x', 'k', 'LEFT', 'LEFT')]):
            with waiter(server, wire, 'BLPOP', 'k', 0) as waiting:
                for reply in wire.pipeline(make):
                    expect(not isinstance(reply, Error), '%r: %r' % (make, reply))
                expect_equal(waiting.reply(), [b'k', b'v'], make)
            wire.call('FLUSHALL')
        wire.call('RPUSH', 'x', 'v')
        dump = wire.call('DUMP', 'x')
        if isinstance(dump, bytes) and not isinstance(dump, Error):
            with waiter(server, wire, 'BLPOP', 'k', 0) as waiting:
                expect_equal(wire.call('RESTORE', 'k', 0, dump), b'OK')
                expect_equal(waiting.reply(), [b'k', b'v'])


def databases(server):
    with clean(server) as wire, Wire(server) as other:
        other.call('SELECT', 5)
        other.send(encode(('BLPOP', 'k', 0)))
        wait_blocked(wire, 1)
        expect_equal(wire.call('RPUSH', 'k', 'wrong'), 1)
        silent(other)
        wire.call('FLUSHALL')
        silent(other)
        wire.call('SELECT', 5)
        expect_equal(wire.call('RPUSH', 'k', 'right'), 1)
        expect_equal(other.reply(), [b'k', b'right'])
        wire.call('SELECT', 0)


def protocols(server):
    """Each gets its reply in its own protocol, whoever serves it."""
    with clean(server) as wire:
        clients = []
        for number in range(8):
            client = Wire(server)
            client.call('HELLO', 2 + number % 2)
            clients.append(client)
            client.send(encode(('BLPOP', 'k%d' % number, 0.2)))
            wait_blocked(wire, number + 1)
        for number, client in enumerate(clients):
            line = client.line()
            expect_equal(line, b'*-1' if number % 2 == 0 else b'_', number)
        for number, client in enumerate(clients):
            client.send(encode(('BZPOPMIN', 'z', 0)))
            wait_blocked(wire, number + 1)
        wire.call('ZADD', 'z', *sum([[number, 'm%d' % number] for number in range(8)], []))
        for number, client in enumerate(clients):
            score = b'%d' % number if number % 2 == 0 else float(number)
            expect_equal(client.reply(), [b'z', b'm%d' % number, score])
            client.close()


def reply_off(server):
    with clean(server) as wire, Wire(server) as client:
        client.send(encode(('CLIENT', 'REPLY', 'OFF')) + encode(('BLPOP', 'k', 0)))
        wait_blocked(wire, 1)
        wire.call('RPUSH', 'k', 'v')
        wait_blocked(wire, 0)
        client.send(encode(('CLIENT', 'REPLY', 'SKIP')))
        client.send(encode(('CLIENT', 'REPLY', 'ON')))
        expect_equal(client.reply(), b'OK')
        client.send(encode(('CLIENT', 'REPLY', 'SKIP')) + encode(('BLPOP', 'k', 0)) + encode(('PING',)))
        wait_blocked(wire, 1)
        wire.call('RPUSH', 'k', 'v')
        expect_equal(client.reply(), b'PONG')


def streams(server):
    """XREAD gets what came after '$', each of them; XREADGROUP hears of the end of its group too."""
    with clean(server) as wire:
        readers = [waiter(server, wire, 'XREAD', 'BLOCK', 0, 'STREAMS', 's', '$') for _ in range(4)]
        expect_equal(wire.call('XADD', 's', '1-1', 'a', 'b'), b'1-1')
        for reader in readers:
            expect_equal(reader.reply(), [[b's', [[b'1-1', [b'a', b'b']]]]])
            reader.close()
        for end in [('DEL', 's'), ('FLUSHALL',), ('XGROUP', 'DESTROY', 's', 'g'), ('RENAME', 's', 't'), ('SWAPDB', 0, 1), ('SET', 's', 'x')]:
            wire.call('FLUSHALL')
            wire.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
            members = [waiter(server, wire, 'XREADGROUP', 'GROUP', 'g', 'c%d' % n, 'BLOCK', 0, 'STREAMS', 's', '>') for n in range(3)]
            expect_equal(wire.call('XADD', 's', '2-1', 'a', 'b'), b'2-1')
            expect_equal(members[0].reply(), [[b's', [[b'2-1', [b'a', b'b']]]]], 'one of them')
            expect(not isinstance(wire.call(*end), Error), end)
            for member in members[1:]:
                expect(member.reply().startswith(b'WRONGTYPE' if end[0] == 'SET' else b'NOGROUP'), end)
            for member in members:
                member.close()


# --- the end of waiting -----------------------------------------------------------------------------------------------

def timeouts(server):
    with clean(server) as wire, Wire(server) as client:
        for timeout in (0.05, 0.3, 1):
            start = time.monotonic()
            expect_equal(client.call('BLPOP', 'k', timeout), None)
            took = time.monotonic() - start
            expect(timeout - 0.002 <= took < timeout + 1, '%s s took %.3f s' % (timeout, took))
        expect_equal(client.call('BLPOP', 'k', '0.001'), None)
        for wrong in (-1, 'x', '1e100'):
            expect(isinstance(client.call('BLPOP', 'k', wrong), Error), 'a timeout of %s' % wrong)
        expect_equal(blocked(wire), 0)
        clients = [waiter(server, wire, 'BLPOP', 'k%d' % i, '%.2f' % (1.2 - i / 20)) for i in range(10)]
        for client in clients:
            expect_equal(client.reply(), None)
            client.close()
        expect_equal(blocked(wire), 0)
        expect_equal(wire.call('RPUSH', 'k', 'v'), 1)
        expect_equal(wire.call('LLEN', 'k'), 1, 'those whose time was over take nothing')


def a_served_client_has_no_timeout(server):
    with clean(server) as wire, waiter(server, wire, 'BLPOP', 'k', 0.3) as waiting:
        wire.call('RPUSH', 'k', 'v')
        expect_equal(waiting.reply(), [b'k', b'v'])
        silent(waiting, 0.5)
        expect_equal(waiting.call('PING'), b'PONG')


def gone_clients_take_nothing(server):
    with clean(server) as wire:
        for end in ('close', 'reset', 'half_close', 'kill', 'pipelined'):
            clients = [Wire(server) for _ in range(6)]
            ids = [client.call('CLIENT', 'ID') for client in clients]
            for number, client in enumerate(clients):
                client.send(encode(('BLPOP', 'k', 'other', 0)) + (encode(('SET', 'never', 1)) * 1000 if end == 'pipelined' else b''))
                wait_blocked(wire, number + 1)
            for number in (0, 1, 3, 4):
                if end == 'kill':
                    expect_equal(wire.call('CLIENT', 'KILL', 'ID', ids[number]), 1)
                elif end == 'pipelined':
                    clients[number].close()
                else:
                    getattr(clients[number], end)()
            wait_blocked(wire, 2)
            expect_equal(wire.pipeline([('RPUSH', 'k', 'a', 'b', 'c'), ('LLEN', 'k')]), [3, 1], end)
            expect_equal([clients[2].reply(), clients[5].reply()], [[b'k', b'a'], [b'k', b'b']], end)
            wait_blocked(wire, 0)
            wire.call('DEL', 'k', 'never')
            for client in clients:
                client.close()
        wait_for(lambda: int(info_field(wire, 'connected_clients', 'clients')) == 1, 'all are gone')


def unblock(server):
    with clean(server) as wire:
        for words, wanted in [((), None), (('TIMEOUT',), None), (('error',), b'UNBLOCKED client unblocked via CLIENT UNBLOCK')]:
            with Wire(server) as client:
                number = client.call('CLIENT', 'ID')
                expect_equal(wire.call('CLIENT', 'UNBLOCK', number, *words), 0, 'not blocked')
                client.send(encode(('BLPOP', 'k', 0)) + encode(('PING',)))
                wait_blocked(wire, 1)
                expect(any(b'flags=b ' in line and b'cmd=blpop' in line for line in wire.call('CLIENT', 'LIST').split(b'\n')), 'CLIENT LIST')
                expect_equal(wire.call('CLIENT', 'UNBLOCK', number, *words), 1)
                expect_equal([client.reply(), client.reply()], [wanted, b'PONG'])
                expect_equal(wire.call('CLIENT', 'UNBLOCK', number, *words), 0)
        expect_equal(wire.call('CLIENT', 'UNBLOCK', 1 << 40), 0)
        expect_equal(wire.call('CLIENT', 'UNBLOCK', 'x'), b'ERR value is not an integer or out of range')
        expect_equal(wire.call('CLIENT', 'UNBLOCK', 1, 'x'), b'ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR')
        expect_equal(blocked(wire), 0)


def reset_and_quit_behind(server):
    with clean(server) as wire, Wire(server) as client:
        client.send(b''.join(encode(c) for c in [('BLPOP', 'k', 0), ('RESET',), ('QUIT',)]))
        wait_blocked(wire, 1)
        wire.call('RPUSH', 'k', 'v')
        expect_equal([client.reply(), client.reply(), client.reply()], [[b'k', b'v'], b'RESET', b'OK'])
        try:
            client.reply()
            raise AssertionError('closed after QUIT')
        except Closed:
            pass


def pause(server):
    with clean(server) as wire, waiter(server, wire, 'BLPOP', 'k', 0) as waiting, Wire(server) as pusher:
        expect_equal(wire.call('CLIENT', 'PAUSE', 100000, 'WRITE'), b'OK')
        pusher.send(encode(('RPUSH', 'k', 'v')))
        wait_blocked(wire, 2)
        silent(waiting)
        expect_equal(wire.call('CLIENT', 'UNPAUSE'), b'OK')
        expect_equal([pusher.reply(), waiting.reply()], [1, [b'k', b'v']])


# --- the store below ----------------------------------------------------------------------------------------------------

def logged_is_the_pop(binary, workers):
    options = {'workers': workers, 'appendfsync': 'always'}
    with Server(binary, options) as server:
        with clean(server) as wire:
            clients = [waiter(server, wire, 'BLPOP', 'a', 'b', 0) for _ in range(5)]
            mover = waiter(server, wire, 'BLMOVE', 'src', 'dst', 'LEFT', 'RIGHT', 0)
            expect_equal(wire.call('RPUSH', 'a', 1, 2, 3), 3)
            expect_equal(wire.call('RPUSH', 'b', 1, 2, 3, 4), 4)
            expect_equal(wire.call('RPUSH', 'src', 'm', 'n'), 2)
            for client in clients:
                client.reply()
                client.close()
            expect_equal(mover.reply(), b'm')
            mover.close()
            before = [wire.call('LRANGE', key, 0, -1) for key in ('a', 'b', 'src', 'dst')]
        server.kill()
        server.start()
        with Wire(server) as wire:
            expect_equal([wire.call('LRANGE', key, 0, -1) for key in ('a', 'b', 'src', 'dst')], before)
            expect_equal(before, [[], [b'3', b'4'], [b'n'], [b'm']])


def cold_keys(binary, workers):
    """Some other key of the command is in the cold tier when it is served."""
    with Server(binary, {'workers': workers}) as server, clean(server) as wire:
        for _ in range(10):
            waiting = waiter(server, wire, 'BLMOVE', 'src', 'dst', 'LEFT', 'RIGHT', 0)
            behind = waiter(server, wire, 'BLPOP', 'src', 0)
            wire.call('RPUSH', 'dst', 'old')
            expect_equal(wire.call('SAVE'), b'OK')
            expect_equal(wire.call('TIER', 'DEMOTE', 'dst'), 1)
            expect_equal(wire.call('RPUSH', 'src', 'x', 'y'), 2)
            expect_equal([waiting.reply(), behind.reply()], [b'x', [b'src', b'y']], 'in order')
            expect_equal(wire.call('LRANGE', 'dst', 0, -1), [b'old', b'x'])
            # A cold list comes by SWAPDB.
            third = waiter(server, wire, 'BLPOP', 'far', 0)
            wire.pipeline([('SELECT', 1), ('RPUSH', 'far', 'v'), ('SAVE',), ('TIER', 'DEMOTE', 'far')])
            wire.pipeline([('SELECT', 0), ('SWAPDB', 0, 1)])
            expect_equal(third.reply(), [b'far', b'v'])
            expect_equal(wire.call('FLUSHALL'), b'OK')
            for client in (waiting, behind, third):
                client.close()


def shutdown_with_waiters(binary, workers):
    with Server(binary, {'workers': workers}) as server:
        with clean(server) as wire:
            clients = [waiter(server, wire, 'BLPOP', 'k%d' % (i % 3), 'x', i % 2 * 100) for i in range(12)]
            server.stop()
            for client in clients:
                expect_equal(client.rest(), b'')


def storm(server):
    """Many clients push, pop, time out, leave: what was pushed is popped once, or is still there."""
    chance = random.Random(seed())
    with clean(server) as wire:
        keys = ['q%d' % i for i in range(6)]
        clients = [Wire(server) for _ in range(30)]
        waiting = {}
        pushed, popped = [], []
        gone = 0

        def collect(client, timeout):
            client.socket.settimeout(timeout)
            try:
                reply = client.reply()
            except (TimeoutError, OSError):
                return False
            finally:
                client.socket.settimeout(60)
            kind = waiting.pop(client)
            if reply is not None:
                expect(not isinstance(reply, Error), reply)
                if kind != 'move':
                    popped.append(reply[1])
            return True

        for step in range(12000):
            client = clients[chance.randrange(len(clients))]
            if client in waiting:
                if chance.random() < 0.03:
                    gone += 1
                    clients[clients.index(client)] = Wire(server)
                    number = waiting.pop(client)
                    if number != 'move':
                        # It may be served in the moment it leaves: what it has got counts.
                        client.half_close()
                        client.socket.settimeout(60)
                        rest = client.rest()
                        if rest.startswith(b'*2'):
                            popped.append(rest.split(b'\r\n')[4])
                    client.close()
                else:
                    collect(client, 0.0005)
                continue
            what = chance.random()
            if what < 0.3:
                values = [b'%d-%d' % (step, i) for i in range(chance.randrange(1, 3))]
                client.call(chance.choice(['RPUSH', 'LPUSH']), chance.choice(keys), *values)
                pushed += values
            elif what < 0.85:
                some = chance.sample(keys, chance.randrange(1, 4))
                client.send(encode((chance.choice(['BLPOP', 'BRPOP']), *some, chance.choice(['0', '0.01', '0.1']))))
                waiting[client] = 'pop'
            else:
                source, target = chance.choice(keys), chance.choice(keys)
                client.send(encode(('BLMOVE', source, target, 'LEFT', 'RIGHT', '0.05')))
                waiting[client] = 'move'
        deadline = time.monotonic() + 30
        while waiting and time.monotonic() < deadline:
            for client in list(waiting):
                if not collect(client, 0.01):
                    values = [b'end-%d-%d' % (len(pushed), i) for i in range(2)]
                    wire.call('RPUSH', chance.choice(keys), *values)
                    pushed += values
        expect(not waiting, 'all were served')
        left = sum((wire.call('LRANGE', key, 0, -1) for key in keys), [])
        expect_equal(sorted(popped + left), sorted(pushed), 'nothing lost, nothing twice')
        expect_equal(blocked(wire), 0)
        for client in clients:
            client.close()


CASES = [served_before_the_next_command, in_order_of_arrival, after_the_transaction, in_multi_nothing_blocks, pipelined_commands_wait,
         several_keys, streams, waiters_of_both_kinds, moves_in_chains, wrong_destination, other_ways_to_make_a_key, databases, protocols,
         reply_off, timeouts, a_served_client_has_no_timeout, gone_clients_take_nothing, unblock, reset_and_quit_behind, pause, storm]
OWN_SERVER = [logged_is_the_pop, cold_keys, shutdown_with_waiters]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('binary')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('cases', nargs='*')
    options = parser.parse_intermixed_args()
    with Server(options.binary, {'workers': options.workers}) as server:
        cases = [(case.__name__, lambda case=case: (case(server), check_alive(server))) for case in CASES]
        cases += [(case.__name__, lambda case=case: case(options.binary, options.workers)) for case in OWN_SERVER]
        return run_cases(cases, options.cases)


if __name__ == '__main__':
    sys.exit(main())
