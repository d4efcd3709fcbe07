#!/usr/bin/env python3
"""Publish and subscribe: who gets what, in which order, in both protocols, over several workers.

usage: pubsub.py SERVER_BINARY [--workers N] [CASE...]
"""
import argparse
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode  # noqa: E402
from wire import (Closed, Error, Push, Wire, check_alive, expect, expect_equal, info_field, run_cases, wait_for)  # noqa: E402


def subscribe(wire, command, *names):
    wire.send(encode((command, *names)))
    return [wire.reply() for _ in names]


def listener(server, *names, command='SUBSCRIBE', protocol=2):
    wire = Wire(server)
    if protocol == 3:
        wire.call('HELLO', 3)
    subscribe(wire, command, *names)
    return wire


def gone(server, *names):
    """Nobody listens to these channels any more."""
    with Wire(server) as wire:
        wait_for(lambda: not any(wire.call('PUBSUB', 'NUMSUB', *names)[1::2]), 'nobody listens')


def channels(server):
    with Wire(server) as publisher, Wire(server) as one, Wire(server) as two:
        expect_equal(publisher.call('PUBLISH', 'c', 'nobody'), 0)
        expect_equal(subscribe(one, 'SUBSCRIBE', 'c', 'd', 'c'), [[b'subscribe', b'c', 1], [b'subscribe', b'd', 2], [b'subscribe', b'c', 2]])
        expect_equal(subscribe(two, 'SUBSCRIBE', 'c', ''), [[b'subscribe', b'c', 1], [b'subscribe', b'', 2]])
        expect_equal(publisher.call('PUBLISH', 'c', 'hello'), 2)
        expect_equal([one.reply(), two.reply()], [[b'message', b'c', b'hello']] * 2)
        expect_equal(publisher.call('PUBLISH', 'd', b'\x00\r\n'), 1)
        expect_equal(one.reply(), [b'message', b'd', b'\x00\r\n'])
        expect_equal(publisher.call('PUBLISH', '', ''), 1)
        expect_equal(two.reply(), [b'message', b'', b''])
        expect_equal(subscribe(one, 'UNSUBSCRIBE', 'c', 'x'), [[b'unsubscribe', b'c', 1], [b'unsubscribe', b'x', 1]])
        expect_equal(publisher.call('PUBLISH', 'c', 'again'), 1)
        expect_equal(two.reply(), [b'message', b'c', b'again'])
        expect_equal(one.call('UNSUBSCRIBE'), [b'unsubscribe', b'd', 0])
        expect_equal(one.call('UNSUBSCRIBE'), [b'unsubscribe', None, 0])
        expect_equal(one.call('PING'), b'PONG', 'out of the subscribed state')


def patterns(server):
    with Wire(server) as publisher, Wire(server) as wire:
        expect_equal(subscribe(wire, 'PSUBSCRIBE', 'n*', 'n?ws', '[m-o]*'),
                     [[b'psubscribe', b'n*', 1], [b'psubscribe', b'n?ws', 2], [b'psubscribe', b'[m-o]*', 3]])
        expect_equal(subscribe(wire, 'SUBSCRIBE', 'news'), [[b'subscribe', b'news', 4]])
        expect_equal(publisher.call('PUBLISH', 'news', 'x'), 4)
        expect_equal(wire.reply(), [b'message', b'news', b'x'], 'the channel comes first')
        expect_equal(sorted(wire.reply() for _ in range(3)), sorted([[b'pmessage', p, b'news', b'x'] for p in (b'n*', b'n?ws', b'[m-o]*')]))
        expect_equal(publisher.call('PUBLISH', 'm', 'x'), 1)
        expect_equal(wire.reply(), [b'pmessage', b'[m-o]*', b'm', b'x'])
        expect_equal(publisher.call('PUBSUB', 'NUMPAT'), 3)
        wire.send(encode(('PUNSUBSCRIBE',)))
        expect_equal([wire.reply() for _ in range(3)], [[b'punsubscribe', b'n*', 3], [b'punsubscribe', b'n?ws', 2], [b'punsubscribe', b'[m-o]*', 1]])
        expect_equal(wire.call('PUNSUBSCRIBE'), [b'punsubscribe', None, 1])
        expect_equal(publisher.call('PUBSUB', 'NUMPAT'), 0)


def shards(server):
    with Wire(server) as publisher, Wire(server) as wire:
        expect_equal(subscribe(wire, 'SSUBSCRIBE', 's', 't'), [[b'ssubscribe', b's', 1], [b'ssubscribe', b't', 2]])
        expect_equal(subscribe(wire, 'PSUBSCRIBE', '*'), [[b'psubscribe', b'*', 1]], 'counted apart')
        expect_equal(publisher.call('SPUBLISH', 's', 'x'), 1, 'patterns do not hear of it')
        expect_equal(wire.reply(), [b'smessage', b's', b'x'])
        expect_equal(publisher.call('PUBLISH', 's', 'x'), 1, 'nor shard channels of others')
        expect_equal(wire.reply(), [b'pmessage', b'*', b's', b'x'])
        expect_equal(sorted(publisher.call('PUBSUB', 'SHARDCHANNELS')), [b's', b't'])
        expect_equal(publisher.call('PUBSUB', 'SHARDCHANNELS', '[ab]'), [])
        expect_equal(publisher.call('PUBSUB', 'SHARDNUMSUB', 's', 'x'), [b's', 1, b'x', 0])
        expect_equal(publisher.call('PUBSUB', 'CHANNELS'), [])
        expect_equal(publisher.pipeline([('MULTI',), ('SSUBSCRIBE', 'x'), ('EXEC',)])[2],
                     [b"ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"])
        expect_equal(wire.call('SUNSUBSCRIBE', 's'), [b'sunsubscribe', b's', 1])
        expect_equal(wire.call('SUNSUBSCRIBE'), [b'sunsubscribe', b't', 0])
        expect_equal(wire.call('SUNSUBSCRIBE'), [b'sunsubscribe', None, 0])


def figures(server):
    with Wire(server) as wire, listener(server, 'a1', 'a2', 'b') as one, listener(server, 'a1') as two:
        expect_equal(subscribe(two, 'PSUBSCRIBE', 'p*'), [[b'psubscribe', b'p*', 2]])
        expect_equal(sorted(wire.call('PUBSUB', 'CHANNELS')), [b'a1', b'a2', b'b'])
        expect_equal(sorted(wire.call('PUBSUB', 'CHANNELS', 'a*')), [b'a1', b'a2'])
        expect_equal(wire.call('PUBSUB', 'NUMSUB', 'a1', 'b', 'c'), [b'a1', 2, b'b', 1, b'c', 0])
        expect_equal(wire.call('PUBSUB', 'NUMSUB'), [])
        expect_equal([info_field(wire, field, 'stats') for field in ('pubsub_channels', 'pubsub_patterns')], ['3', '1'])
        lines = wire.call('CLIENT', 'LIST', 'TYPE', 'pubsub').splitlines()
        expect_equal(len(lines), 2)
        expect(all(b' flags=P ' in line for line in lines), lines)
        expect(any(b' sub=3 psub=0 ssub=0 ' in line for line in lines) and any(b' sub=1 psub=1 ssub=0 ' in line for line in lines), lines)
        expect_equal(wire.call('PUBSUB', 'nothing'), b"ERR unknown subcommand 'nothing'. Try PUBSUB HELP.")
        expect_equal(wire.call('PUBSUB', 'NUMPAT', 'x'), b"ERR wrong number of arguments for 'pubsub|numpat' command")
        expect(len(wire.call('PUBSUB', 'HELP')) > 10, 'help')
        one.reset()
        two.close()
    gone(server, 'a1', 'a2', 'b')
    with Wire(server) as wire:
        wait_for(lambda: info_field(wire, 'pubsub_patterns', 'stats') == '0', 'all subscriptions end with their connections')


def subscribed_state(server):
    """RESP2 connections that listen may only do that; RESP3 ones all."""
    with listener(server, 'c') as wire:
        refused = b"ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        for args in (('GET', 'x'), ('PUBLISH', 'c', 'x'), ('MULTI',), ('HELLO', 3), ('CLIENT', 'ID')):
            name = args[0].lower() if args[0] != 'CLIENT' else 'client|id'
            expect_equal(wire.call(*args), refused % name.encode())
        expect_equal(wire.call('PING'), [b'pong', b''])
        expect_equal(wire.call('PING', 'text'), [b'pong', b'text'])
        expect_equal(wire.call('RESET'), b'RESET')
        expect_equal(wire.call('PUBLISH', 'c', 'x'), 0, 'RESET has unsubscribed')
        subscribe(wire, 'SSUBSCRIBE', 's')
        expect(isinstance(wire.call('GET', 'x'), Error), 'for shard channels too')
        expect_equal(wire.call('QUIT'), b'OK')
        try:
            wire.reply()
            raise AssertionError('closed after QUIT')
        except Closed:
            pass
    with listener(server, 'c', protocol=3) as wire:
        expect_equal(wire.call('PING'), b'PONG')
        expect_equal(wire.call('SET', 'x', 1), b'OK')
        expect_equal(wire.call('PUBLISH', 'c', 'to myself'), 1)
        message = wire.reply()
        expect(isinstance(message, Push), 'a push')
        expect_equal(message, [b'message', b'c', b'to myself'], 'behind the reply')
        expect_equal(wire.pipeline([('MULTI',), ('PUBLISH', 'c', 'a'), ('UNSUBSCRIBE', 'z'), ('PUBLISH', 'c', 'b'), ('EXEC',)])[-1],
                     [1, [b'unsubscribe', b'z', 1], 1])
        expect_equal([wire.reply()[2], wire.reply()[2]], [b'a', b'b'], 'behind the transaction')
        wire.send(encode(('CLIENT', 'REPLY', 'OFF')) + encode(('SUBSCRIBE', 'd')) + encode(('PUBLISH', 'd', 'x')))
        expect_equal([wire.reply(), wire.reply()], [[b'subscribe', b'd', 2], [b'message', b'd', b'x']], 'pushes come with replies off')


def order(server):
    """Of one publisher and channel, on every connection; nothing lost, nothing twice."""
    listeners = [listener(server, 'o1', 'o2', 'o3', protocol=2 + n % 2) for n in range(9)]
    count = 1500

    def publish(number):
        with Wire(server) as wire:
            for start in range(0, count, 50):
                wire.pipeline([('PUBLISH', 'o%d' % (i % 3 + 1), '%d:%d' % (number, i)) for i in range(start, start + 50)])

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for wire in listeners:
        last = {}
        for _ in range(4 * count):
            _, channel, payload = wire.reply()
            number, index = map(int, payload.split(b':'))
            expect(last.get((number, channel), -1) < index, 'in order')
            last[number, channel] = index
    for thread in threads:
        thread.join()
    for wire in listeners:
        wire.close()
    gone(server, 'o1', 'o2', 'o3')


def long_messages(server):
    listeners = [listener(server, 'big') for _ in range(5)]
    with Wire(server) as wire:
        for size in (100, 16 * 1024 - 1, 16 * 1024, 40000, 5 << 20):
            payload = os.urandom(1000) * (size // 1000) + b'x' * (size % 1000)
            expect_equal(wire.call('PUBLISH', 'big', payload), 5)
            for client in listeners:
                expect(client.reply() == [b'message', b'big', payload], 'the same bytes: %d' % size)
    for client in listeners:
        client.close()
    gone(server, 'big')


def many_channels(server):
    names = [b'channel:%d' % i for i in range(20000)]
    with listener(server, *names) as wire, Wire(server) as publisher:
        expect_equal(len(publisher.call('PUBSUB', 'CHANNELS')), len(names))
        for i in range(0, len(names), 997):
            expect_equal(publisher.call('PUBLISH', names[i], i), 1)
            expect_equal(wire.reply(), [b'message', names[i], b'%d' % i])
        wire.send(encode(('UNSUBSCRIBE',)))
        counts = [wire.reply()[2] for _ in names]
        expect_equal(counts, list(range(len(names) - 1, -1, -1)))
        expect_equal(publisher.call('PUBSUB', 'CHANNELS'), [])


def a_listener_that_does_not_read(server):
    with Wire(server, receive_buffer=4096) as deaf, Wire(server) as publisher:
        subscribe(deaf, 'SUBSCRIBE', 'flood')
        payload, sent = b'x' * 65536, 0
        while publisher.call('PUBLISH', 'flood', payload) == 1:
            sent += len(payload)
            expect(sent < 80 << 20, 'cut off before 80 MB')
        expect(sent > 8 << 20, 'not before 8 MB: %d' % sent)
        expect(int(info_field(publisher, 'client_output_buffer_limit_disconnections', 'stats')) >= 1, 'counted')
    gone(server, 'flood')


def subscribe_and_go(server):
    """Connections come, subscribe and go while others publish."""
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            wire = listener(server, 'churn', 'other')
            wire.call('PSUBSCRIBE', 'ch*') if stop.is_set() else subscribe(wire, 'PSUBSCRIBE', 'ch*')
            wire.reset()

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    with Wire(server) as publisher, listener(server, 'churn') as steady:
        for number in range(2000):
            expect(publisher.call('PUBLISH', 'churn', number) >= 1, 'the steady one listens')
        stop.set()
        for number in range(2000):
            expect_equal(steady.reply(), [b'message', b'churn', b'%d' % number])
    for thread in threads:
        thread.join()
    gone(server, 'churn', 'other')


CASES = [channels, patterns, shards, figures, subscribed_state, order, long_messages, many_channels, a_listener_that_does_not_read,
         subscribe_and_go]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('cases', nargs='*')
    options = parser.parse_intermixed_args()
    with Server(options.binary, {'workers': options.workers}) as server:
        cases = [(case.__name__, lambda case=case: (case(server), check_alive(server))) for case in CASES]
        status = run_cases(cases, options.cases)
        start = time.monotonic()
        server.stop()
        expect(time.monotonic() - start < 30, 'it stops')
        return status


if __name__ == '__main__':
    sys.exit(main())
