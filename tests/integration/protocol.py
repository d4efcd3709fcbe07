#!/usr/bin/env python3
"""The protocol, used and abused: what a client may send, and what must come back.

usage: protocol.py SERVER_BINARY [--port PORT] [--workers N] [CASE...]

After every case a fresh PING must be answered. With --port the cases run against a server that is running already (redis-server, to
compare). Random cases print their seed: KELVIN_TEST_SEED.
"""
import argparse
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode  # noqa: E402
from wire import (Closed, Error, Push, Simple, Verbatim, Wire, check_alive, exchange, expect, expect_equal,  # noqa: E402
                  info_field, is_sanitized, raise_file_limit, run_cases, seed, wait_for)

MIB = 1024 * 1024
NAUGHTY = bytes(range(256))


class Running:
    """A server that somebody else has started."""

    def __init__(self, port):
        self.port = port

    def is_alive(self):
        return True


def resident_bytes(server):
    with open('/proc/%d/statm' % server.process.pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def clean(server):
    wire = Wire(server)
    wire.call('FLUSHALL')
    return wire


# --- requests that are fine ---------------------------------------------------------------------------------

def inline_commands(server):
    """LF alone, blanks, empty lines, quotes with escapes."""
    with clean(server) as wire:
        for line, reply in [(b'PING\n', b'PONG'), (b'PING\r\n', b'PONG'), (b'   PING   \r\n', b'PONG'),
                            (b'\r\n\n\r\nPING\r\n', b'PONG'), (b'ping "a b"\r\n', b'a b'),
                            (b'ECHO \'single \\\' quote \\n\'\r\n', b'single \' quote \\n'),
                            (b'ECHO "\\x41\\x00\\n\\r\\t\\b\\a\\"\\\\\\q"\n', b'A\0\n\r\t\b\a"\\q'),
                            (b'ECHO ""\r\n', b''), (b'SET\t inline  "v 1"\r\n', b'OK'), (b'GET inline\n', b'v 1'),
                            (b'ECHO ' + b'x' * 60000 + b'\r\n', b'x' * 60000)]:
            wire.send(line)
            expect_equal(wire.reply(), reply, line[:60])


def inline_and_arrays_mix(server):
    with Wire(server) as wire:
        wire.send(b'PING\r\n*1\r\n$4\r\nPING\r\nECHO a\n*2\r\n$4\r\nECHO\r\n$1\r\nb\r\n')
        expect_equal([wire.reply() for _ in range(4)], [b'PONG', b'PONG', b'a', b'b'])


def empty_arrays_are_skipped(server):
    with Wire(server) as wire:
        wire.send(b'*0\r\n*-1\r\n*-10\r\n\r\n*1\r\n$4\r\nPING\r\n')
        expect_equal(wire.reply(), b'PONG')


def any_byte_in_keys_and_values(server):
    with clean(server) as wire:
        expect_equal(wire.call('SET', NAUGHTY, NAUGHTY[::-1]), b'OK')
        expect_equal(wire.call('GET', NAUGHTY), NAUGHTY[::-1])
        expect_equal(wire.call('KEYS', '*'), [NAUGHTY])
        expect_equal(wire.call('SCAN', 0, 'COUNT', 1000)[1], [NAUGHTY])
        expect_equal(wire.call('RANDOMKEY'), NAUGHTY)
        expect_equal(wire.call('RENAME', NAUGHTY, NAUGHTY * 2), b'OK')
        expect_equal(wire.call('GETDEL', NAUGHTY * 2), NAUGHTY[::-1])


def the_empty_key(server):
    with clean(server) as wire:
        expect_equal(wire.call('SET', '', ''), b'OK')
        expect_equal(wire.call('GET', ''), b'')
        expect_equal(wire.call('STRLEN', ''), 0)
        expect_equal(wire.call('APPEND', '', 'x'), 1)
        expect_equal(wire.call('TYPE', ''), b'string')
        expect_equal(wire.call('KEYS', '*'), [b''])
        expect_equal(wire.call('RENAME', '', 'full'), b'OK')
        expect_equal(wire.call('EXISTS', '', 'full'), 1)


def bytes_split_at_every_position(server):
    commands = [['SET', 'split', 'value\r\n'], ['GET', 'split'], ['MGET', 'split', 'none'], ['INCR', 'n']]
    stream = b''.join(encode(command) for command in commands) + b'ECHO "a\\r b"\r\n\r\nPING\n'
    wanted = [b'OK', b'value\r\n', [b'value\r\n', None], None, b'a\r b', b'PONG']
    with clean(server) as wire, Wire(server) as other:
        for cut in range(1, len(stream)):
            wire.send(stream[:cut])
            other.call('PING')
            wire.send(stream[cut:])
            got = [wire.reply() for _ in wanted]
            wanted[3] = cut
            expect_equal(got, wanted, 'split at %d' % cut)


def byte_by_byte(server):
    stream = encode(['SET', 'slow', 'v']) + encode(['GET', 'slow']) + b'PING\r\n'
    with clean(server) as wire:
        for byte in stream:
            wire.send(bytes([byte]))
            time.sleep(0.001)
        expect_equal([wire.reply() for _ in range(3)], [b'OK', b'v', b'PONG'])


# --- requests that are not --------------------------------------------------------------------------------------

def protocol_error(text):
    return b'-ERR Protocol error: ' + text + b'\r\n'


def malformed_requests(server):
    """One error, exactly worded, then the end."""
    cases = [
        (b'SET "abc\r\nPING\r\n', b'unbalanced quotes in request'),
        (b'SET \'abc\nPING\r\n', b'unbalanced quotes in request'),
        (b'GET "a"b\r\n', b'unbalanced quotes in request'),
        (b'*abc\r\n', b'invalid multibulk length'),
        (b'*2147483648\r\n', b'invalid multibulk length'),
        (b'*\r\n', b'invalid multibulk length'),
        (b'* 1\r\n', b'invalid multibulk length'),
        (b'*1 \r\n', b'invalid multibulk length'),
        (b'*+1\r\n', b'invalid multibulk length'),
        (b'*99999999999999999999999\r\n', b'invalid multibulk length'),
        (b'*1\r\n$abc\r\n', b'invalid bulk length'),
        (b'*1\r\n$-1\r\n', b'invalid bulk length'),
        (b'*1\r\n$536870913\r\n', b'invalid bulk length'),
        (b'*1\r\n$\r\n', b'invalid bulk length'),
        (b'*1\r\n$4 \r\nPING\r\n', b'invalid bulk length'),
        (b'*2\r\n$4\r\nECHO\r\n$9223372036854775808\r\n', b'invalid bulk length'),
        (b'*1\r\n:3\r\n', b"expected '$', got ':'"),
        (b'*1\r\nPING\r\n', b"expected '$', got 'P'"),
        (b'*1\r\n\r\n', b"expected '$', got '\r'".replace(b'\r', b' ')),
        (b'*1\r\n' * 20000, b"expected '$', got '*'"),
        (b'x' * 70000, b'too big inline request'),
        (b'*' + b'1' * 70000, b'too big mbulk count string'),
        (b'*1\r\n$' + b'1' * 70000, b'too big bulk count string'),
    ]
    for request, text in cases:
        expect_equal(exchange(server, request), protocol_error(text), request[:40])
        check_alive(server)


def good_commands_before_a_malformed_one(server):
    """All replies first, then the error, then the end; nothing behind it runs."""
    with clean(server) as wire:
        good = b''.join(encode(['SET', 'k%d' % i, i]) for i in range(300))
        for bad, text in [(b'*1\r\n$abc\r\n', b'invalid bulk length'), (b'*x\r\n', b'invalid multibulk length'),
                          (b'"\r\n', b'unbalanced quotes in request')]:
            got = exchange(server, good + bad + encode(['SET', 'behind', 1]))
            expect_equal(got, b'+OK\r\n' * 300 + protocol_error(text), bad)
        expect_equal(wire.call('EXISTS', 'behind'), 0)
        expect_equal(wire.call('DBSIZE'), 300)


def http_requests(server):
    """Somebody's browser must not run commands here (cross-protocol scripting)."""
    with clean(server) as wire:
        body = b'\r\n\r\nSET http 1\r\n'
        expect_equal(exchange(server, b'POST / HTTP/1.1\r\nHost: x' + body), b'', 'POST')
        expect_equal(exchange(server, b'Host: localhost' + body), b'', 'Host:')
        expect_equal(exchange(server, b'post /\r\nSET http 1\r\n'), b'', 'post')
        got = exchange(server, b'GET / HTTP/1.1\r\nHost: localhost' + body)
        expect(got.startswith(b'-ERR ') and got.count(b'\n') == 1, 'GET has one error: %r' % got)
        expect_equal(exchange(server, encode(['POST', '/']) + encode(['SET', 'http', 1])), b'', 'POST as an array')
        expect_equal(wire.call('EXISTS', 'http'), 0)


def replies_cannot_be_injected(server):
    """CR and LF in what an error quotes: one well-formed line."""
    evil = b'x\r\n+OK\r\n$3\r\nabc\r\n'
    with Wire(server) as wire:
        for command in [[evil], [b'\r\n'], [b'x\n-ERR'], [b'nothing', evil], [b'CLIENT', evil], [b'CONFIG', evil],
                        [b'CONFIG', b'SET', evil, evil], [b'OBJECT', evil, b'k'], [b'CLIENT', b'KILL', b'TYPE', evil],
                        [b'HELLO', b'3', evil], [b'CLIENT', b'SETINFO', evil, b'x'], [b'COMMAND', b'LIST', evil],
                        [b'SET', b'k', b'v', evil], [b'SCAN', b'0', b'TYPE', evil], [b'DEBUG', evil]]:
            wire.call(*command)
            expect_equal(wire.call('ECHO', 'in step'), b'in step', command)
        expect_equal(wire.call('k' * MIB)[:20], b'ERR unknown command ')
        expect_equal(wire.call('CLIENT', 'k' * MIB)[:22], b'ERR unknown subcommand')
        reply = wire.call('nothing', 'a' * 300, 'b' * 300, *['c'] * 100)
        expect(len(reply) < 1000, 'a short error: %d' % len(reply))


def unknown_commands(server):
    with Wire(server) as wire:
        expect_equal(wire.call('foo', 'a', 'b'), b"ERR unknown command 'foo', with args beginning with: 'a' 'b' ")
        expect_equal(wire.call('CLIENT', 'foo'), b"ERR unknown subcommand 'foo'. Try CLIENT HELP.")
        expect_equal(wire.call(''), b"ERR unknown command '', with args beginning with: ")


# --- size -----------------------------------------------------------------------------------------------------

def sixteen_mebibyte_key(server):
    with clean(server) as wire:
        key = os.urandom(MIB) * 16
        expect_equal(wire.call('SET', key, 'v', 'EX', 100000), b'OK')
        expect_equal(wire.call('GET', key), b'v')
        expect_equal(wire.call('GET', key[:-1]), None)
        expect(99000 < wire.call('TTL', key) <= 100000, 'TTL')
        expect_equal(wire.call('KEYS', '*'), [key])
        expect_equal(wire.call('RENAME', key, 'short'), b'OK')
        expect_equal(wire.call('RENAME', 'short', key), b'OK')
        expect_equal(wire.call('UNLINK', key), 1)


def sixty_four_mebibyte_value(server):
    with clean(server) as wire:
        value = os.urandom(MIB) * 64
        expect_equal(wire.call('SET', 'big', value), b'OK')
        expect_equal(wire.call('STRLEN', 'big'), len(value))
        expect(wire.call('GET', 'big') == value, 'the value comes back')
        expect_equal(wire.call('GETRANGE', 'big', 1000000, 1000099), value[1000000:1000100])
        expect_equal(wire.call('APPEND', 'big', 'tail'), len(value) + 4)
        expect_equal(wire.call('GETRANGE', 'big', -4, -1), b'tail')
        expect_equal(wire.call('COPY', 'big', 'copy'), 1)
        expect_equal(wire.call('SETRANGE', 'copy', 5, 'XYZ'), len(value) + 4)
        expect_equal(wire.call('GETRANGE', 'big', 4, 8), value[4:9])
        expect_equal(wire.call('DEL', 'big', 'copy'), 2)


def a_million_arguments(server):
    count = 500000
    with clean(server) as wire:
        pairs = []
        for i in range(count):
            pairs += [b'k%d' % i, b'%d' % i]
        expect_equal(wire.call('MSET', *pairs), b'OK')
        expect_equal(wire.call('DBSIZE'), count)
        expect_equal(wire.call('MGET', *pairs[::2]), pairs[1::2])
        expect_equal(wire.call('EXISTS', *pairs), count)
        expect_equal(wire.call('DEL', *pairs), count)
        expect_equal(wire.call('DBSIZE'), 0)


def strings_have_a_longest_size(server):
    too_long = b'ERR string exceeds maximum allowed size (proto-max-bulk-len)'
    with clean(server) as wire:
        wire.call('SET', 'k', 'value')
        expect_equal(wire.call('SETRANGE', 'k', 536870911, 'xx'), too_long)
        expect_equal(wire.call('SETRANGE', 'k', 536870912, 'x'), too_long)
        expect_equal(wire.call('SETRANGE', 'k', 2147483647, 'x'), too_long)
        expect_equal(wire.call('SETRANGE', 'none', 536870912, 'x'), too_long)
        expect_equal(wire.call('EXISTS', 'none'), 0)
        expect_equal(wire.call('GET', 'k'), b'value')
        expect_equal(wire.call('CONFIG', 'SET', 'proto-max-bulk-len', MIB), b'OK')
        try:
            expect_equal(wire.call('SETRANGE', 'k', MIB, 'x'), too_long)
            expect_equal(wire.call('SET', 'm', 'x' * MIB), b'OK')
            expect_equal(wire.call('APPEND', 'm', 'x'), too_long)
            expect_equal(wire.call('STRLEN', 'm'), MIB)
            expect_equal(exchange(server, b'*1\r\n$%d\r\n' % (MIB + 1)), protocol_error(b'invalid bulk length'))
        finally:
            wire.call('CONFIG', 'SET', 'proto-max-bulk-len', 512 * MIB)


def patterns_do_not_explode(server):
    """KEYS with 25 stars on a key that almost matches: linear, not exponential."""
    with clean(server) as wire:
        wire.call('SET', 'a' * 1000, 1)
        start = time.monotonic()
        expect_equal(wire.call('KEYS', 'a*' * 25 + 'b'), [])
        expect_equal(wire.call('SCAN', 0, 'MATCH', '*a' * 25 + 'b', 'COUNT', 100), [b'0', []])
        expect(time.monotonic() - start < 5, 'within 5 s')


def pipelines_of_100000(server):
    """All replies, in order: read as they come, and read only after everything was sent."""
    count = 100000
    commands = b''.join(encode(['INCR', 'n']) for _ in range(count))
    with clean(server) as wire:
        sender = threading.Thread(target=wire.send, args=(commands,))
        sender.start()
        expect_equal([wire.reply() for _ in range(count)], list(range(1, count + 1)), 'read')
        sender.join()
        wire.send(commands)
        expect_equal([wire.reply() for _ in range(count)], list(range(count + 1, 2 * count + 1)), 'unread')
        wire.send(b'PING\r\n' * count)
        expect_equal({wire.reply() for _ in range(count)}, {b'PONG'}, 'inline')


def large_replies_to_a_slow_reader(server):
    """More than any buffer holds, read in pieces: nothing is lost or mixed up."""
    with clean(server) as wire:
        value = os.urandom(MIB)
        wire.call('SET', 'v', value)
        wire.send(encode(['GET', 'v']) * 40 + encode(['ECHO', 'end']))
        time.sleep(0.3)
        for _ in range(40):
            expect(wire.reply() == value, 'the value')
        expect_equal(wire.reply(), b'end')


# --- bad manners --------------------------------------------------------------------------------------------------

def slow_clients_hold_up_nobody(server):
    """200 clients that send a byte at a time; PING never waits half a second."""
    stream = encode(['SET', 'slowloris', 'x' * 20]) + b'PI'
    slow = [Wire(server) for _ in range(200)]
    limit = 0.5 if not server.slow else 3
    with Wire(server) as wire:
        longest = 0
        for position in range(len(stream)):
            for client in slow:
                client.send(stream[position:position + 1])
            start = time.monotonic()
            expect_equal(wire.call('PING'), b'PONG')
            longest = max(longest, time.monotonic() - start)
        expect(longest < limit, 'the longest PING took %.3f s' % longest)
    for client in slow:
        expect_equal(client.reply(), b'OK')
        client.close()


def clients(wire):
    return int(info_field(wire, 'connected_clients'))


def alone(wire):
    """Waits until the connections of earlier cases are gone; the number of clients then."""
    wait_for(lambda: clients(wire) == 1, 'nobody else is connected')
    return 1


def connections_cut_off(server):
    """Half a command has no effect, however its connection ends, and the connection is gone at once."""
    half = encode(['SET', 'cut', 'x' * 100])[:-50]
    with clean(server) as wire:
        before = alone(wire)
        for end in ['half_close', 'close', 'reset']:
            other = Wire(server)
            other.send(encode(['SET', 'whole-' + end, 1]))
            expect_equal(other.reply(), b'OK')
            other.send(half)
            getattr(other, end)()
            if end == 'half_close':
                expect_equal(other.rest(), b'', 'closed promptly')
                other.close()
            wait_for(lambda: clients(wire) == before, 'connected_clients comes back down after ' + end)
        expect_equal(wire.call('EXISTS', 'cut'), 0)
        expect_equal(wire.call('DBSIZE'), 3)


def transactions_cut_off(server):
    with clean(server) as wire:
        before = alone(wire)
        for end in ['close', 'reset', 'half_close']:
            other = Wire(server)
            expect_equal(other.pipeline([['MULTI'], ['SET', 'tx', 1], ['INCR', 'tx2']]), [b'OK', b'QUEUED', b'QUEUED'])
            getattr(other, end)()
            wait_for(lambda: clients(wire) == before, 'the connection is gone')
        expect_equal(wire.call('DBSIZE'), 0)


def all_that_was_sent_before_a_half_close_is_answered(server):
    """printf ... | nc: whole commands, then the end of input."""
    with clean(server) as wire:
        for _ in range(20):
            with Wire(server) as other:
                other.send(encode(['SET', 'nc', 'v']) + b'GET nc\r\nPING\r\n')
                other.half_close()
                expect_equal(other.rest(), b'+OK\r\n$1\r\nv\r\n+PONG\r\n')
        expect_equal(wire.call('GET', 'nc'), b'v')


def resets_during_large_replies(server):
    with clean(server) as wire:
        before = alone(wire)
        wire.call('SET', 'v', 'x' * (12 * MIB))
        for _ in range(20):
            other = Wire(server)
            other.send(encode(['GET', 'v']) * 3)
            other.take(1000)
            other.reset()
        wait_for(lambda: clients(wire) == before, 'all are gone')


def quit_in_a_pipeline(server):
    with clean(server) as wire:
        got = exchange(server, encode(['SET', 'q', 1]) + encode(['QUIT']) + encode(['SET', 'q', 2]))
        expect_equal(got, b'+OK\r\n+OK\r\n')
        expect_equal(exchange(server, b'QUIT\r\nPING\r\n'), b'+OK\r\n')
        expect_equal(exchange(server, encode(['MULTI']) + encode(['QUIT'])), b'+OK\r\n+OK\r\n')
        expect_equal(wire.call('GET', 'q'), b'1')


# --- numbers --------------------------------------------------------------------------------------------------------

def numbers_at_their_edges(server):
    """Exact errors, and the value is as it was."""
    integer = b'ERR value is not an integer or out of range'
    floating = b'ERR value is not a valid float'
    overflow = b'ERR increment or decrement would overflow'
    no_int = b'ERR value is out of range, value must between -2147483648 and 2147483647'
    cases = [
        # value before, command, reply (an error: the value must be unchanged)
        (b'9223372036854775807', ['INCR', 'k'], overflow),
        (b'9223372036854775806', ['INCR', 'k'], 9223372036854775807),
        (b'-9223372036854775808', ['DECR', 'k'], overflow),
        (b'9223372036854775807', ['INCRBY', 'k', 1], overflow),
        (b'-9223372036854775808', ['INCRBY', 'k', -1], overflow),
        (b'-9223372036854775808', ['INCRBY', 'k', 9223372036854775807], -1),
        (b'1', ['DECRBY', 'k', '-9223372036854775808'], b'ERR decrement would overflow'),
        (b'-2', ['DECRBY', 'k', 9223372036854775807], overflow),
        (b'1', ['INCRBY', 'k', '9223372036854775808'], integer),
        (b'1', ['INCRBY', 'k', '1.5'], integer),
        (b'1', ['INCRBY', 'k', ''], integer),
        (b'1', ['INCRBY', 'k', ' 1'], integer),
        (b'1', ['INCRBY', 'k', '+1'], integer),
        (b'1', ['INCRBY', 'k', '01'], integer),
        (b' 1', ['INCR', 'k'], integer),
        (b'1 ', ['INCR', 'k'], integer),
        (b'01', ['INCR', 'k'], integer),
        (b'-0', ['INCR', 'k'], integer),
        (b'', ['INCR', 'k'], integer),
        (b'9223372036854775808', ['INCR', 'k'], integer),
        (b'abc', ['INCR', 'k'], integer),
        (b'1\0', ['INCR', 'k'], integer),
        (b'1', ['INCRBYFLOAT', 'k', 'nan'], floating),
        (b'1', ['INCRBYFLOAT', 'k', 'abc'], floating),
        (b'1', ['INCRBYFLOAT', 'k', ''], floating),
        (b'1', ['INCRBYFLOAT', 'k', ' 1'], floating),
        (b'1', ['INCRBYFLOAT', 'k', '1 '], floating),
        (b'1', ['INCRBYFLOAT', 'k', 'inf'], b'ERR increment would produce NaN or Infinity'),
        (b'1', ['INCRBYFLOAT', 'k', '-inf'], b'ERR increment would produce NaN or Infinity'),
        (b'abc', ['INCRBYFLOAT', 'k', '1'], floating),
        (b'10.5', ['INCRBYFLOAT', 'k', '0.1'], b'10.6'),
        (b'5.0e3', ['INCRBYFLOAT', 'k', '2.0e2'], b'5200'),
        (b'3', ['INCRBYFLOAT', 'k', '1.1'], b'4.1'),
        (b'1', ['SETRANGE', 'k', -1, 'x'], b'ERR offset is out of range'),
        (b'1', ['SETRANGE', 'k', 'x', 'x'], integer),
        (b'1', ['SETRANGE', 'k', '9223372036854775808', 'x'], integer),
        (b'abc', ['GETRANGE', 'k', 'a', 1], integer),
        (b'abc', ['GETRANGE', 'k', 0, '9223372036854775808'], integer),
        (b'abc', ['GETRANGE', 'k', '-9223372036854775808', '9223372036854775807'], b'abc'),
        (b'1', ['SET', 'k', 'v', 'EX', 0], b"ERR invalid expire time in 'set' command"),
        (b'1', ['SET', 'k', 'v', 'EX', -1], b"ERR invalid expire time in 'set' command"),
        (b'1', ['SET', 'k', 'v', 'EX', 'x'], integer),
        (b'1', ['SET', 'k', 'v', 'EX', '9223372036854775807'], b"ERR invalid expire time in 'set' command"),
        (b'1', ['SET', 'k', 'v', 'PX', '9223372036854775807'], b"ERR invalid expire time in 'set' command"),
        (b'1', ['SET', 'k', 'v', 'EX', '10', 'PX', '10'], b'ERR syntax error'),
        (b'1', ['SET', 'k', 'v', 'EX'], b'ERR syntax error'),
        (b'1', ['SET', 'k', 'v', 'NX', 'XX'], b'ERR syntax error'),
        (b'1', ['SET', 'k', 'v', 'EX', '10', 'KEEPTTL'], b'ERR syntax error'),
        (b'1', ['SETEX', 'k', 0, 'v'], b"ERR invalid expire time in 'setex' command"),
        (b'1', ['PSETEX', 'k', -5, 'v'], b"ERR invalid expire time in 'psetex' command"),
        (b'1', ['GETEX', 'k', 'EX', 0], b"ERR invalid expire time in 'getex' command"),
        (b'1', ['EXPIRE', 'k', '9223372036854775807'], b"ERR invalid expire time in 'expire' command"),
        (b'1', ['EXPIRE', 'k', '-9223372036854775808'], b"ERR invalid expire time in 'expire' command"),
        (b'1', ['EXPIRE', 'k', '1.5'], integer),
        (b'1', ['EXPIRE', 'k', ''], integer),
        (b'1', ['PEXPIRE', 'k', '9223372036854775807'], b"ERR invalid expire time in 'pexpire' command"),
        (b'1', ['EXPIREAT', 'k', '9223372036854775807'], b"ERR invalid expire time in 'expireat' command"),
        (b'1', ['PEXPIREAT', 'k', '9223372036854775808'], integer),
        (b'1', ['EXPIRE', 'k', 10, 'NX', 'XX'], b'ERR NX and XX, GT or LT options at the same time are not compatible'),
        (b'1', ['EXPIRE', 'k', 10, 'GT', 'LT'], b'ERR GT and LT options at the same time are not compatible'),
        (b'1', ['EXPIRE', 'k', 10, 'ZZ'], b'ERR Unsupported option ZZ'),
        (b'1', ['SCAN', 'x'], b'ERR invalid cursor'),
        (b'1', ['SCAN', '-1'], None),
        (b'1', ['SCAN', '1 '], b'ERR invalid cursor'),
        (b'1', ['SCAN', '99999999999999999999'], b'ERR invalid cursor'),
        (b'1', ['SCAN', 0, 'COUNT', 0], b'ERR syntax error'),
        (b'1', ['SCAN', 0, 'COUNT', -1], b'ERR syntax error'),
        (b'1', ['SCAN', 0, 'COUNT', 'x'], integer),
        (b'1', ['SCAN', 0, 'COUNT'], b'ERR syntax error'),
        (b'1', ['SCAN', 0, 'MATCH'], b'ERR syntax error'),
        (b'1', ['SELECT', 16], b'ERR DB index is out of range'),
        (b'1', ['SELECT', -1], b'ERR DB index is out of range'),
        (b'1', ['SELECT', 'x'], integer),
        (b'1', ['SELECT', '99999999999'], no_int),
        (b'1', ['SWAPDB', 0, 16], b'ERR DB index is out of range'),
        (b'1', ['SWAPDB', 'a', 1], b'ERR invalid first DB index'),
        (b'1', ['SWAPDB', 1, 'b'], b'ERR invalid second DB index'),
        (b'1', ['MOVE', 'k', 'x'], integer),
        (b'1', ['MOVE', 'k', '99999999999'], no_int),
        (b'1', ['SWAPDB', '99999999999', 1], b'ERR invalid first DB index'),
        (b'1', ['MOVE', 'k', 16], b'ERR DB index is out of range'),
        (b'1', ['MOVE', 'k', 0], b'ERR source and destination objects are the same'),
        (b'1', ['COPY', 'k', 'k'], b'ERR source and destination objects are the same'),
        (b'1', ['COPY', 'k', 'k2', 'DB', 'x'], integer),
        (b'1', ['COPY', 'k', 'k2', 'DB', 99], b'ERR DB index is out of range'),
        (b'1', ['LCS', 'k', 'k', 'LEN', 'IDX'],
         b'ERR If you want both the length and indexes, please just use IDX.'),
        (b'1', ['CLIENT', 'PAUSE', -1], b'ERR timeout is negative'),
        (b'1', ['CLIENT', 'PAUSE', 'x'], b'ERR timeout is not an integer or out of range'),
        (b'1', ['CLIENT', 'KILL', 'ID', 'x'], b'ERR client-id should be greater than 0'),
        (b'1', ['CLIENT', 'KILL', '1.2.3.4:5'], b'ERR No such client'),
        (b'1', ['OBJECT', 'FREQ', 'k'], b'ERR An LFU maxmemory policy is not selected, access frequency not tracked. '
         b'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.'),
        (b'1', ['MEMORY', 'USAGE', 'k', 'SAMPLES', -1], b'ERR syntax error'),
        (b'1', ['MEMORY', 'USAGE', 'k', 'SAMPLES', 'x'], integer),
        (b'1', ['RENAME', 'none', 'k'], b'ERR no such key'),
        (b'1', ['RENAMENX', 'none', 'k'], b'ERR no such key'),
        (b'1', ['MSET', 'a', 1, 'b'], b"ERR wrong number of arguments for 'mset' command"),
        (b'1', ['MSETNX', 'a', 1, 'b'], b"ERR wrong number of arguments for 'msetnx' command"),
        (b'1', ['PING', 'a', 'b'], b"ERR wrong number of arguments for 'ping' command"),
        (b'1', ['FLUSHALL', 'x'], b'ERR syntax error'),
        (b'1', ['AUTH', 'a', 'b', 'c'], b'ERR syntax error'),
    ]
    with clean(server) as wire:
        for value, command, wanted in cases:
            wire.call('SET', 'k', value)
            reply = wire.call(*command)
            if wanted is not None:
                expect_equal(reply, wanted, '%s on %r' % (command, value))
            if isinstance(reply, Error):
                expect_equal(wire.call('GET', 'k'), value, 'unchanged after %s' % command)
                expect_equal(wire.call('TTL', 'k'), -1, 'no expiry after %s' % command)


def commands_without_arguments(server):
    """Every command that needs arguments, with none."""
    with Wire(server) as wire:
        tested = 0
        for row in wire.call('COMMAND'):
            for name, arity in [(row[0], row[1])] + [(sub[0], sub[1]) for sub in row[9]]:
                words = name.split(b'|')
                if abs(arity) <= len(words):
                    continue
                reply = wire.call(*words)
                expect_equal(reply, b"ERR wrong number of arguments for '%s' command" % name)
                expect(isinstance(reply, Error), 'an error')
                tested += 1
        expect(tested > 60, 'only %d commands' % tested)


# --- limits -----------------------------------------------------------------------------------------------------------

def announced_but_never_sent(server):
    """300 clients announce 2,000,000 arguments or 500 MB and send nothing: no memory goes to what is not there."""
    before = resident_bytes(server)
    greedy = []
    for i in range(300):
        wire = Wire(server)
        wire.send(b'*2000000\r\n' if i % 2 else b'*2\r\n$3\r\nGET\r\n$500000000\r\n')
        greedy.append(wire)
    for i, wire in enumerate(greedy):
        wire.send(b'$3\r\nDEL\r\n' if i % 2 else b'x')
    check_alive(server)
    grown = resident_bytes(server) - before
    expect(grown < 300 * MIB or server.slow, 'memory has grown by %d MiB' % (grown // MIB))
    for wire in greedy:
        wire.close()
    with Wire(server) as wire:
        wait_for(lambda: clients(wire) == 1, 'all are gone')


def output_limit_of_normal_clients(server):
    with clean(server) as wire:
        wire.call('SET', 'v', 'x' * 100000)
        before = int(info_field(wire, 'client_output_buffer_limit_disconnections'))
        for limit, wait_s in [('normal 1mb 0 0', 0), ('normal 0 1mb 1', 0)]:
            expect_equal(wire.call('CONFIG', 'SET', 'client-output-buffer-limit', limit), b'OK')
            with Wire(server, receive_buffer=65536) as greedy:
                greedy.try_send(encode(['GET', 'v']) * 300)
                wait_for(lambda: int(info_field(wire, 'client_output_buffer_limit_disconnections')) > before,
                         'closed by ' + limit)
            before += 1
        expect_equal(wire.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 150000 0 0'), b'OK')
        with Wire(server) as reader:
            reader.send(encode(['GET', 'v']) * 10)
            expect_equal(reader.rest(), b'', 'replies of one turn over the limit are not begun')
        with Wire(server) as reader:
            expect(all(reader.call('GET', 'v') == b'x' * 100000 for _ in range(10)), 'one by one they are sent')
        expect_equal(wire.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 0 0 0'), b'OK')
        with Wire(server, receive_buffer=65536) as greedy:
            greedy.send(encode(['GET', 'v']) * 300)
            time.sleep(0.3)
            expect(all(len(greedy.reply()) == 100000 for _ in range(300)), 'no limit, no end')


def query_buffer_limit(server):
    with clean(server) as wire:
        expect_equal(wire.call('CONFIG', 'SET', 'client-query-buffer-limit', '2mb'), b'OK')
        try:
            with Wire(server) as greedy:
                greedy.try_send(b'*3\r\n$3\r\nSET\r\n$1\r\nq\r\n$10000000\r\n' + b'x' * (5 * MIB))
                expect_equal(greedy.rest(), b'', 'closed without a reply')
            expect(int(info_field(wire, 'client_query_buffer_limit_disconnections')) > 0, 'counted')
        finally:
            wire.call('CONFIG', 'SET', 'client-query-buffer-limit', '1gb')
        expect_equal(wire.call('EXISTS', 'q'), 0)


def memory_of_all_clients(server):
    """maxmemory-clients: the greediest connection goes, but for one that is not to be evicted."""
    with clean(server) as wire, Wire(server) as spared:
        before = int(info_field(wire, 'evicted_clients'))
        spared.call('CLIENT', 'NO-EVICT', 'ON')
        spared.send(b'*3\r\n$3\r\nSET\r\n$1\r\ns\r\n$20000000\r\n' + b'x' * 15000000)
        expect_equal(wire.call('CONFIG', 'SET', 'maxmemory-clients', '30mb'), b'OK')
        try:
            with Wire(server) as greedy:
                greedy.try_send(b'*3\r\n$3\r\nSET\r\n$1\r\ng\r\n$40000000\r\n' + b'x' * 35000000)
                expect_equal(greedy.rest(), b'')
            expect_equal(int(info_field(wire, 'evicted_clients')), before + 1)
            spared.send(b'x' * 5000000 + b'\r\n')
            expect_equal(spared.reply(), b'OK')
        finally:
            wire.call('CONFIG', 'SET', 'maxmemory-clients', 0)
        expect_equal(wire.call('EXISTS', 'g', 's'), 1)


def five_thousand_connections_come_and_go(server):
    with clean(server) as wire:
        before = alone(wire)
        received = int(info_field(wire, 'total_connections_received'))
        for _ in range(10):
            batch = [Wire(server) for _ in range(500)]
            for other in batch:
                other.send(b'PING\r\n')
            for other in batch:
                expect_equal(other.reply(), b'PONG')
            for number, other in enumerate(batch):
                other.reset() if number % 3 == 0 else other.close()
        wait_for(lambda: clients(wire) == before, 'connected_clients comes back down')
        expect_equal(int(info_field(wire, 'total_connections_received')) - received, 5000)


def thousands_at_once(server):
    count = 4000
    if not raise_file_limit(count + 500):
        print('skip  thousands_at_once: the limit of open files is too low')
        return
    with clean(server) as wire:
        before = alone(wire)
        crowd = [Wire(server) for _ in range(count)]
        wait_for(lambda: clients(wire) == before + count, 'all are accepted')
        for number, other in enumerate(crowd):
            other.send(encode(['INCRBY', 'crowd', number]))
        for other in crowd:
            expect(isinstance(other.reply(), int), 'each is answered')
        expect_equal(wire.call('GET', 'crowd'), b'%d' % (count * (count - 1) // 2))
        for other in crowd:
            other.close()
        wait_for(lambda: clients(wire) == before, 'connected_clients comes back down')


# --- connection state ---------------------------------------------------------------------------------------------------

def hello(server):
    with Wire(server) as wire:
        for version in ['9', '1', '4', '0', '-1']:
            expect_equal(wire.call('HELLO', version), b'NOPROTO unsupported protocol version', version)
        expect_equal(wire.call('HELLO', 'x'), b'ERR Protocol version is not an integer or out of range')
        expect_equal(wire.call('HELLO', '3', 'FOO'), b"ERR Syntax error in HELLO option 'FOO'")
        expect_equal(wire.call('HELLO', '3', 'SETNAME'), b"ERR Syntax error in HELLO option 'SETNAME'")
        expect_equal(wire.call('HELLO', '3', 'SETNAME', 'a b'),
                     b'ERR Client names cannot contain spaces, newlines or special characters.')
        reply = wire.call('HELLO', '3', 'SETNAME', 'me')
        expect(isinstance(reply, dict), 'RESP3 gives a map')
        expect_equal(sorted(reply), [b'id', b'mode', b'modules', b'proto', b'role', b'server', b'version'])
        expect_equal((reply[b'server'], reply[b'proto'], reply[b'mode'], reply[b'role'], reply[b'modules']),
                     (b'redis', 3, b'standalone', b'master', []))
        expect_equal(wire.call('CLIENT', 'GETNAME'), b'me')
        expect_equal(wire.call('GET', 'none'), None)
        expect_equal(wire.call('HELLO', '9'), b'NOPROTO unsupported protocol version')
        expect(isinstance(wire.call('HELLO'), dict), 'without a version the protocol stays')
        reply = wire.call('HELLO', '2')
        expect_equal(reply[:6], [b'server', b'redis', b'version', reply[3], b'proto', 2])


def resp3_replies(server):
    """Each reply has its own type in RESP3, and the old one in RESP2."""
    with clean(server) as two, Wire(server) as three:
        three.call('HELLO', 3)
        two.call('SET', 'k', 'v')
        for command, in_two, in_three in [
                (['GET', 'none'], b'$-1\r\n', b'_\r\n'), (['GET', 'k'], b'$1\r\nv\r\n', b'$1\r\nv\r\n'),
                (['MGET', 'k', 'none'], b'*2\r\n$1\r\nv\r\n$-1\r\n', b'*2\r\n$1\r\nv\r\n_\r\n'),
                (['CONFIG', 'GET', 'port-none'], b'*0\r\n', b'%0\r\n'),
                (['CONFIG', 'GET', 'databases'], b'*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n',
                 b'%1\r\n$9\r\ndatabases\r\n$2\r\n16\r\n'),
                (['RANDOMKEY'], b'$1\r\nk\r\n', b'$1\r\nk\r\n'), (['DEL', 'none'], b':0\r\n', b':0\r\n'),
                (['SET', 'k', 'v', 'NX'], b'$-1\r\n', b'_\r\n'), (['CLIENT', 'GETNAME'], b'$-1\r\n', b'_\r\n'),
                (['LCS', 'k', 'k', 'IDX'], b'*4\r\n$7\r\nmatches\r\n*1\r\n*2\r\n*2\r\n:0\r\n:0\r\n*2\r\n:0\r\n:0\r\n$3\r\nlen\r\n:1\r\n',
                 b'%2\r\n$7\r\nmatches\r\n*1\r\n*2\r\n*2\r\n:0\r\n:0\r\n*2\r\n:0\r\n:0\r\n$3\r\nlen\r\n:1\r\n')]:
            for wire, wanted in [(two, in_two), (three, in_three)]:
                wire.send(encode(command))
                expect_equal(wire.take(len(wanted)), wanted, command)
        for section in ['server', 'everything']:
            text = three.call('INFO', section)
            expect(isinstance(text, Verbatim) and text.startswith(b'txt:# Server'), 'INFO is verbatim')
            expect(not isinstance(two.call('INFO', section), Verbatim), 'and a bulk in RESP2')
        expect(isinstance(three.call('CLIENT', 'LIST'), Verbatim), 'CLIENT LIST is verbatim')
        expect(isinstance(three.call('CLIENT', 'INFO'), Verbatim), 'CLIENT INFO is verbatim')
        expect(isinstance(three.call('COMMAND', 'DOCS', 'get'), dict), 'COMMAND DOCS is a map')
        row = three.call('COMMAND', 'INFO', 'get')[0]
        expect_equal(row[2], {b'readonly', b'fast'}, 'flags are a set')
        three.call('WATCH', 'k')
        two.call('SET', 'k', 'other')
        expect_equal(three.pipeline([['MULTI'], ['GET', 'k'], ['EXEC']]), [b'OK', b'QUEUED', None])
        # Both kinds in one connection: from the next reply on.
        got = exchange(server, encode(['GET', 'none']) + encode(['HELLO', 'x']) + encode(['HELLO', 3]) +
                       encode(['GET', 'none']) + encode(['QUIT']))
        expect(got.startswith(b'$-1\r\n-ERR') and got.endswith(b'_\r\n+OK\r\n'), 'switched: %r' % got)


def reset(server):
    with clean(server) as wire:
        wire.call('SET', 'k', 0)
        wire.call('HELLO', 3)
        wire.pipeline([['CLIENT', 'SETNAME', 'x'], ['SELECT', 5], ['CLIENT', 'NO-TOUCH', 'ON'], ['WATCH', 'k'], ['MULTI'],
                       ['SET', 'k', 1]])
        expect_equal(wire.call('RESET'), b'RESET')
        expect_equal(wire.call('EXEC'), b'ERR EXEC without MULTI')
        wire.send(encode(['CLIENT', 'GETNAME']))
        expect_equal(wire.take(5), b'$-1\r\n', 'no name, RESP2')
        expect_equal(wire.call('GET', 'k'), b'0', 'database 0')
        expect(b'flags=N db=0 ' in wire.call('CLIENT', 'INFO'), 'no flags')
        expect_equal(wire.call('RESET', 'x'), b"ERR wrong number of arguments for 'reset' command")
        expect_equal(wire.pipeline([['CLIENT', 'REPLY', 'OFF'], ['PING'], ['RESET'], ['PING']][0:0]), [])
        wire.send(encode(['CLIENT', 'REPLY', 'OFF']) + encode(['PING']) + encode(['RESET']) + encode(['ECHO', 'on again']))
        expect_equal([wire.reply(), wire.reply()], [b'RESET', b'on again'], 'RESET turns replies on')


def client_reply(server):
    with clean(server) as wire:
        wire.send(encode(['CLIENT', 'REPLY', 'OFF']) + encode(['SET', 'k', 1]) + encode(['nonsense']) + encode(['INCR', 'k']) +
                  encode(['CLIENT', 'REPLY', 'ON']) + encode(['GET', 'k']))
        expect_equal([wire.reply(), wire.reply()], [b'OK', b'2'])
        wire.send(encode(['CLIENT', 'REPLY', 'SKIP']) + encode(['INCR', 'k']) + encode(['INCR', 'k']))
        expect_equal(wire.reply(), 4)
        wire.send(encode(['CLIENT', 'REPLY', 'SKIP']) + encode(['nonsense']) + encode(['PING']))
        expect_equal(wire.reply(), b'PONG')
        wire.send(encode(['CLIENT', 'REPLY', 'OFF']) + encode(['CLIENT', 'REPLY', 'SKIP']) + encode(['PING']) + encode(['PING']) +
                  encode(['CLIENT', 'REPLY', 'ON']))
        expect_equal(wire.reply(), b'OK', 'SKIP does not end OFF')
        expect_equal(wire.call('CLIENT', 'REPLY', 'x'), b'ERR syntax error')
        expect_equal(wire.call('PING'), b'PONG')
        wire.send(encode(['CLIENT', 'REPLY', 'OFF']) + encode(['QUIT']))
        expect_equal(wire.rest(), b'')


def paused(wire, *command):
    """True if there is no reply to this command for a while."""
    wire.send(encode(command))
    wire.socket.settimeout(0.2)
    try:
        wire.fill()
        return False
    except socket.timeout:
        return True
    finally:
        wire.socket.settimeout(60)


def client_pause(server):
    with clean(server) as admin, Wire(server) as reader, Wire(server) as writer:
        admin.call('SET', 'k', 0)
        with Wire(server) as transaction:
            expect_equal(transaction.pipeline([['MULTI'], ['INCR', 'k']]), [b'OK', b'QUEUED'])
            expect_equal(admin.call('CLIENT', 'PAUSE', 60000, 'WRITE'), b'OK')
            expect_equal(reader.call('GET', 'k'), b'0', 'reads go on')
            expect(paused(writer, 'INCR', 'k'), 'writes wait')
            expect(paused(transaction, 'EXEC'), 'EXEC with a write waits')
            with Wire(server) as harmless:
                expect_equal(harmless.pipeline([['MULTI'], ['GET', 'k'], ['EXEC']]), [b'OK', b'QUEUED', [b'0']])
            expect_equal(admin.call('CLIENT', 'UNPAUSE'), b'OK')
            expect_equal(sorted([writer.reply()] + transaction.reply()), [1, 2], 'both go on')
        # A pause of everything ends by itself; what the impatient had sent is forgotten.
        expect_equal(admin.call('CLIENT', 'PAUSE', 2000), b'OK')
        start = time.monotonic()
        expect(paused(reader, 'GET', 'k'), 'reads wait')
        gone = Wire(server)
        expect(paused(gone, 'INCR', 'k'), 'waits')
        gone.close()
        expect_equal(reader.reply(), b'2')
        expect(1 < time.monotonic() - start < 60, 'for as long as it was told')
        expect_equal(reader.call('GET', 'k'), b'2', 'who is gone has not written')


def idle_clients_are_closed(server):
    with Wire(server) as wire, Wire(server) as idle:
        idle.call('PING')
        expect_equal(wire.call('CONFIG', 'SET', 'timeout', 1), b'OK')
        try:
            deadline = time.monotonic() + 20
            idle.socket.settimeout(0.2)
            closed = False
            while not closed and time.monotonic() < deadline:
                wire.call('PING')
                try:
                    idle.fill()
                except socket.timeout:
                    continue
                except Closed:
                    closed = True
            expect(closed, 'the idle one is closed')
            expect_equal(wire.call('PING'), b'PONG', 'the busy one is not')
        finally:
            wire.call('CONFIG', 'SET', 'timeout', 0)


def passwords(server):
    noauth = b'NOAUTH Authentication required.'
    wrong = b'WRONGPASS invalid username-password pair or user is disabled.'
    with clean(server) as admin:
        expect(admin.call('AUTH', 'x').startswith(
            b'ERR AUTH <password> called without any password configured for the default user.'), 'no password')
        expect_equal(admin.call('AUTH', 'default', 'anything'), b'OK', 'nopass takes any')
        expect_equal(admin.call('AUTH', 'nobody', 'x'), wrong)
        expect_equal(admin.call('CONFIG', 'SET', 'requirepass', 'sesame'), b'OK')
        try:
            expect_equal(admin.call('PING'), b'PONG', 'who is in stays in')
            with Wire(server) as wire:
                for command in [['PING'], ['GET', 'k'], ['CLIENT', 'ID'], ['COMMAND'], ['CONFIG', 'GET', '*'], ['MULTI'], ['INFO']]:
                    expect_equal(wire.call(*command), noauth, command)
                expect_equal(wire.call('nonsense')[:4], b'ERR ', 'unknown commands are named')
                expect_equal(wire.call('GET'), b"ERR wrong number of arguments for 'get' command")
                expect_equal(wire.call('HELLO', 3)[:70],
                             b'NOAUTH HELLO must be called with the client already authenticated, oth'[:70])
                expect_equal(wire.call('HELLO', 3, 'AUTH', 'default', 'open'), wrong)
                expect_equal(wire.call('AUTH', 'open'), wrong)
                expect_equal(wire.call('AUTH', 'sesam'), wrong)
                expect_equal(wire.call('AUTH', 'sesame2'), wrong)
                expect_equal(wire.call('AUTH', ''), wrong)
                expect_equal(wire.call('AUTH', 'nobody', 'sesame'), wrong)
                expect_equal(wire.call('PING'), noauth)
                expect_equal(wire.call('AUTH', 'sesame'), b'OK')
                expect_equal(wire.call('PING'), b'PONG')
                expect_equal(wire.call('AUTH', 'wrong'), wrong)
                expect_equal(wire.call('PING'), b'PONG', 'a failed AUTH takes nothing away')
                expect_equal(wire.call('RESET'), b'RESET')
                expect_equal(wire.call('PING'), noauth, 'RESET does')
                expect(isinstance(wire.call('HELLO', 3, 'AUTH', 'default', 'sesame', 'SETNAME', 'n'), dict), 'HELLO AUTH')
                expect_equal(wire.call('CLIENT', 'GETNAME'), b'n')
            with Wire(server) as wire:
                wire.send(encode(['AUTH', 'sesame']) + encode(['SET', 'k', 'x' * 20000]) + encode(['MGET'] + ['k'] * 20))
                expect_equal([wire.reply(), wire.reply(), len(wire.reply())], [b'OK', b'OK', 20],
                             'limits end with AUTH, in the same pipeline')
            expect_equal(exchange(server, b'*11\r\n'), protocol_error(b'unauthenticated multibulk length'))
            expect_equal(exchange(server, b'*2\r\n$4\r\nAUTH\r\n$16385\r\n'),
                         protocol_error(b'unauthenticated bulk length'))
            with Wire(server) as wire:
                expect_equal(wire.call('AUTH', 'x' * 16384), wrong)
                expect_equal(wire.call(*['AUTH'] + ['x'] * 9), b'ERR syntax error')
            expect_equal(exchange(server, encode(['GET', 'k']) + encode(['QUIT'])), b'-%s\r\n+OK\r\n' % noauth)
        finally:
            expect_equal(admin.call('CONFIG', 'SET', 'requirepass', ''), b'OK')
    with Wire(server) as wire:
        expect_equal(wire.call('PING'), b'PONG', 'no password again')


# --- nonsense, at random ----------------------------------------------------------------------------------------------------

def random_and_mutated_inputs(server):
    """2,000 of them; whatever comes back is checked only for life. Well-formed commands of random words: each reply is RESP."""
    source = random.Random(server.seed)
    good = [encode(['SET', 'a', 'b']), encode(['MSET', 'a', 1, 'b', 2]), encode(['GET', 'a']), b'PING\r\n', b'ECHO "a\\x00b"\r\n',
            encode(['SCAN', '0', 'COUNT', '10']), encode(['HELLO', '3']), encode(['MULTI']), encode(['EXEC']),
            encode(['CLIENT', 'LIST']), encode(['SETRANGE', 'a', '10', 'x']), encode(['EXPIRE', 'a', '1']), encode(['RESET'])]
    for number in range(2000):
        data = bytearray(b''.join(source.choice(good) for _ in range(source.randrange(1, 6))))
        kind = source.randrange(4)
        if kind == 0:
            data = bytearray(source.randbytes(source.randrange(1, 400)))
        elif kind == 1:
            for _ in range(source.randrange(1, 6)):
                data[source.randrange(len(data))] = source.choice(b'\r\n*$0123456789-:"\'\0 \xff')
        elif kind == 2:
            del data[source.randrange(len(data)):]
        else:
            at = source.randrange(len(data))
            data[at:at] = source.randbytes(source.randrange(1, 20))
        with Wire(server) as wire:
            wire.try_send(bytes(data))
            if number % 2:
                try:
                    wire.half_close()
                    wire.rest()
                except OSError:
                    pass
        if number % 100 == 0:
            check_alive(server)


def random_commands(server):
    """30,000 commands of random words over RESP2 and over RESP3, a strict parser behind them."""
    source = random.Random(server.seed + 1)
    with clean(server) as admin:
        admin.call('CONFIG', 'RESETSTAT')
        names = [name for name in admin.call('COMMAND', 'LIST') if name.split(b'|')[0] not in (
            b'shutdown', b'debug', b'quit', b'client', b'config', b'reset', b'hello', b'auth', b'save', b'monitor', b'bgsave',
            b'bgrewriteaof', b'failover', b'replicaof', b'slaveof', b'psync', b'sync', b'module', b'acl', b'function',
            # These have replies of their own number, or wait: pubsub.py and blocking.py have them.
            b'subscribe', b'unsubscribe', b'psubscribe', b'punsubscribe', b'ssubscribe', b'sunsubscribe',
            b'blpop', b'brpop', b'blmove', b'brpoplpush', b'blmpop', b'bzpopmin', b'bzpopmax', b'bzmpop')]
    numbers = [b'0', b'1', b'-1', b'10', b'100', b'1.5', b'9223372036854775807', b'-9223372036854775808', b'nan', b'inf']
    words = [b'a', b'b', b'c', b'k1', b'k2', b'', b'EX', b'PX', b'NX', b'XX', b'GT', b'LT', b'GET', b'KEEPTTL', b'PERSIST', b'MATCH',
             b'*', b'COUNT', b'LEFT', b'RIGHT', b'BEFORE', b'(1', b'[a', b'-', b'+', b'STREAMS', b'MAXLEN', b'm', b'BYSCORE', b'1-1', b'TYPE', b'string', b'REPLACE', b'DB', b'LEN', b'IDX', b'WITHMATCHLEN', b'ASYNC', NAUGHTY, b'x' * 5000]
    succeeded = set()
    for protocol in [2, 3]:
        with Wire(server) as wire:
            wire.call('HELLO', protocol)
            for _ in range(300):
                batch = []
                for _ in range(100):
                    name = source.choice(names)
                    size = source.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6])
                    batch.append(name.split(b'|') + [source.choice(numbers if source.random() < 0.3 else words) for _ in range(size)])
                for command, reply in zip(batch, wire.pipeline(batch)):
                    if not isinstance(reply, Error):
                        succeeded.add(command[0])
        check_alive(server)
    with clean(server) as admin:
        failed = [name for name in names if name.split(b'|')[0] not in succeeded]
        # Some need several words in their places.
        expect(len(failed) < 40 and len(succeeded) > 150, 'never succeeded: %r' % failed)


def what_was_used_is_given_back(server):
    """The last of the shared cases: after all this, used_memory is within 64 MiB of the start."""
    with clean(server) as wire:
        wire.call('SAVE')
        wait_for(lambda: int(info_field(wire, 'used_memory')) - server.used_memory < 64 * MIB, 'used_memory comes back down')


# --- servers with options of their own ------------------------------------------------------------------------------------

def replies_that_wait_for_the_disk(binary, options):
    """appendfsync always: who has sent the last byte still gets the replies, after the log is durable."""
    with Server(binary, dict(options, appendfsync='always')) as server:
        for number in range(50):
            with Wire(server) as wire:
                wire.send(encode(['SET', 'k', number]) + encode(['GET', 'k']))
                wire.half_close()
                expect_equal(wire.rest(), b'+OK\r\n$%d\r\n%d\r\n' % (len(str(number)), number))
        wires = [Wire(server) for _ in range(50)]
        for wire in wires:
            wire.send(encode(['INCR', 'n']))
        expect_equal(sorted(wire.reply() for wire in wires), list(range(1, 51)))
        for wire in wires:
            wire.close()


def most_clients(binary, options):
    with Server(binary, dict(options, maxclients=10)) as server:
        crowd = [Wire(server) for _ in range(10)]
        for wire in crowd:
            expect_equal(wire.call('PING'), b'PONG')
        for _ in range(3):
            with Wire(server) as refused:
                expect_equal(refused.rest(), b'-ERR max number of clients reached\r\n')
        expect_equal(info_field(crowd[0], 'rejected_connections'), '3')
        expect_equal(crowd[0].call('CONFIG', 'SET', 'maxclients', 11), b'OK')
        with Wire(server) as eleventh:
            expect_equal(eleventh.call('PING'), b'PONG')
        wait_for(lambda: clients(crowd[0]) == 10, 'gone')
        crowd[9].close()
        crowd[0].call('CONFIG', 'SET', 'maxclients', 10)
        wait_for(lambda: clients(crowd[0]) == 9, 'gone')
        check_alive(server)


def unix_socket(binary, options):
    with Server(binary, options) as first:
        path = os.path.join(first.directory, 'kelvin.sock')
        first.stop()
        first.options.update({'unixsocket': path, 'unixsocketperm': '700', 'port': 0})
        open(path, 'w').close()  # a stale file is no obstacle
        port, first.port = first.port, 0
        first.start()
        expect_equal(os.stat(path).st_mode & 0o777, 0o700)
        with Wire(first, path=path) as wire:
            expect_equal(wire.call('SET', 'k', 'v'), b'OK')
            line = wire.call('CLIENT', 'INFO')
            expect(b'addr=%s:0 ' % path.encode()[:60] in line and b'flags=U ' in line, 'shown as a unix socket: %r' % line)
            wire.send(encode(['GET', 'k']) * 1000)
            expect_equal({wire.reply() for _ in range(1000)}, {b'v'})
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            raise AssertionError('port 0 means no TCP')
        except OSError:
            pass
        first.stop()
        expect(not os.path.exists(path), 'the socket file is removed')


def outside_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('192.0.2.1', 9))
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith('127.') else address


def protected_mode(binary, options):
    """Without a password, clients of other machines are refused."""
    address = outside_address()
    if address is None:
        print('skip  protected_mode: no address but loopback')
        return
    with Server(binary, dict(options, bind='127.0.0.1 ' + address)) as server:
        with Wire(server, host=address) as wire:
            got = wire.rest()
            expect(got.startswith(b'-DENIED ') and got.count(b'\n') == 1, 'refused: %r' % got)
        with Wire(server) as admin:
            expect_equal(admin.call('CONFIG', 'SET', 'requirepass', 'x'), b'OK')
            with Wire(server, host=address) as wire:
                expect_equal(wire.call('AUTH', 'x'), b'OK', 'with a password they may come')
            admin.call('CONFIG', 'SET', 'requirepass', '', 'protected-mode', 'no')
            with Wire(server, host=address) as wire:
                expect_equal(wire.call('PING'), b'PONG', 'or without protection')


SHARED = [inline_commands, inline_and_arrays_mix, empty_arrays_are_skipped, any_byte_in_keys_and_values, the_empty_key,
          bytes_split_at_every_position, byte_by_byte, malformed_requests, good_commands_before_a_malformed_one, http_requests,
          replies_cannot_be_injected, unknown_commands, sixteen_mebibyte_key, sixty_four_mebibyte_value, a_million_arguments,
          strings_have_a_longest_size, patterns_do_not_explode, pipelines_of_100000, large_replies_to_a_slow_reader,
          slow_clients_hold_up_nobody, connections_cut_off, transactions_cut_off,
          all_that_was_sent_before_a_half_close_is_answered, resets_during_large_replies, quit_in_a_pipeline,
          numbers_at_their_edges, commands_without_arguments, announced_but_never_sent, output_limit_of_normal_clients,
          query_buffer_limit, memory_of_all_clients, five_thousand_connections_come_and_go, thousands_at_once, hello, resp3_replies, reset, client_reply,
          client_pause, idle_clients_are_closed, passwords, random_and_mutated_inputs, random_commands,
          what_was_used_is_given_back]
OWN = [replies_that_wait_for_the_disk, most_clients, unix_socket, protected_mode]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('--port', type=int)
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('cases', nargs='*')
    arguments = parser.parse_intermixed_args()
    raise_file_limit(5000)
    options = {'workers': arguments.workers}
    server = Running(arguments.port) if arguments.port else Server(arguments.binary, options).start()
    server.seed = seed()
    with Wire(server) as wire:
        server.used_memory = int(info_field(wire, 'used_memory'))
    server.slow = not arguments.port and is_sanitized(arguments.binary)

    def shared(case):
        def run():
            case(server)
            check_alive(server)
        return run

    def own(case):
        return lambda: case(arguments.binary, options)

    cases = [(case.__name__, shared(case)) for case in SHARED]
    if not arguments.port:
        cases += [(case.__name__, own(case)) for case in OWN]
    status = run_cases(cases, arguments.cases)
    if not arguments.port:
        if status:
            print(server.log()[-4000:])
        else:
            server.stop()
        server.remove()
    sys.exit(status)


if __name__ == '__main__':
    main()
