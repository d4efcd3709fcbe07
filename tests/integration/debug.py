#!/usr/bin/env python3
"""DEBUG: who may use it, what it shows, and that DEBUG RELOAD and DIGEST speak of what is on disk.

usage: debug.py SERVER_BINARY [CASE...]
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server  # noqa: E402
from wire import Error, Wire, check_alive, expect, expect_equal, run_cases  # noqa: E402


def fill(wire):
    wire.call('FLUSHALL')
    wire.call('SET', 'string', 'value')
    wire.call('SET', 'number', 42)
    wire.call('RPUSH', 'list', *range(300))
    wire.call('SADD', 'set', 'a', 'b', 'c')
    wire.call('SADD', 'integers', 1, 2, 3)
    wire.call('HSET', 'hash', 'a', 1, 'b', 2)
    wire.call('ZADD', 'zset', 1, 'a', 2, 'b')
    wire.call('XADD', 'stream', '1-1', 'a', 'b')
    wire.call('SET', 'mortal', 'x', 'EX', 1000)
    return ['string', 'number', 'list', 'set', 'integers', 'hash', 'zset', 'stream', 'mortal']


def clean(server):
    wire = Wire(server)
    wire.call('FLUSHALL')
    return wire


def object_has_redis_format(server):
    with clean(server) as wire:
        for key in fill(wire):
            text = wire.call('DEBUG', 'OBJECT', key).decode()
            expect(re.match(r'^Value at:0x[0-9a-f]+ refcount:1 encoding:[a-z]+ serializedlength:\d+ lru:\d+ '
                            r'lru_seconds_idle:\d+', text), text)
        expect(b'encoding:intset' in wire.call('DEBUG', 'OBJECT', 'integers'), 'intset')
        expect_equal(wire.call('DEBUG', 'OBJECT', 'absent'), Error(b'ERR no such key'))


def reload_drops_what_is_in_memory(server):
    with clean(server) as wire:
        keys = fill(wire)
        before = {key: wire.call('DEBUG', 'DIGEST-VALUE', key) for key in keys}
        encodings = {key: wire.call('OBJECT', 'ENCODING', key) for key in keys}
        for command in (['RELOAD'], ['LOADAOF'], ['RELOAD', 'NOSAVE', 'NOFLUSH', 'MERGE']):
            expect_equal(wire.call('DEBUG', *command), b'OK')
            for key in keys:
                expect_equal(wire.call('TIER', 'INFO', key)[1], b'cold', key)
            for key in keys:
                expect_equal(wire.call('DEBUG', 'DIGEST-VALUE', key), before[key], key)
                expect_equal(wire.call('OBJECT', 'ENCODING', key), encodings[key], key)
        expect_equal(wire.call('DEBUG', 'RELOAD', 'SIDEWAYS'),
                     Error(b'ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.'))
        expect(wire.call('TTL', 'mortal') > 900, 'expiry')


def digest_tells_states_apart(server):
    with clean(server) as wire:
        empty = wire.call('DEBUG', 'DIGEST')
        expect_equal(empty, b'0' * 40)
        fill(wire)
        first = wire.call('DEBUG', 'DIGEST')
        expect(re.match(rb'^[0-9a-f]{40}$', first) and first != empty, first)
        wire.call('DEBUG', 'RELOAD')
        expect_equal(wire.call('DEBUG', 'DIGEST'), first)
        wire.call('SADD', 'set', 'd')
        expect(wire.call('DEBUG', 'DIGEST') != first, 'a member more')
        wire.call('SREM', 'set', 'd')
        expect_equal(wire.call('DEBUG', 'DIGEST'), first)
        wire.call('SELECT', 3)
        wire.call('SET', 'string', 'value')
        third = wire.call('DEBUG', 'DIGEST')
        expect(third != first, 'another database')
        expect_equal(wire.call('SWAPDB', 3, 4), b'OK')
        expect(wire.call('DEBUG', 'DIGEST') not in (first, third), 'yet another database')
        wire.call('FLUSHALL')
        wire.call('SELECT', 0)
        for order in ([1, 2, 3], [3, 1, 2]):
            wire.call('DEL', 's', 'h')
            for member in order:
                wire.call('SADD', 's', 'm%d' % member)
                wire.call('HSET', 'h', member, member)
            digest = wire.call('DEBUG', 'DIGEST-VALUE', 's', 'h', 'absent')
            expect_equal(digest[2], empty)
            if order == [1, 2, 3]:
                wanted = digest
        expect_equal(digest, wanted)


def digest_in_a_transaction(server):
    with clean(server) as wire:
        wire.call('SET', 'a', 1)
        alone = wire.call('DEBUG', 'DIGEST')
        wire.call('MULTI')
        wire.call('DEBUG', 'DIGEST')
        expect_equal(wire.call('DEBUG', 'RELOAD'), Error(b'ERR Command not allowed inside a transaction'))
        expect(wire.call('EXEC').startswith(b'EXECABORT'), 'a refused command')
        wire.call('MULTI')
        wire.call('DEBUG', 'DIGEST')
        wire.call('GET', 'a')
        expect_equal(wire.call('EXEC'), [alone, b'1'])
        replies = wire.pipeline([['SET', 'b', 2], ['DEBUG', 'RELOAD'], ['GET', 'a'], ['GET', 'b'], ['DEBUG', 'RELOAD'], ['MGET', 'a', 'b']])
        expect_equal(replies, [b'OK', b'OK', b'1', b'2', b'OK', [b'1', b'2']])


def protocol_gives_every_type(server):
    with clean(server) as wire:
        for name, two, three in [('string', b'Hello World', b'Hello World'), ('integer', 12345, 12345), ('null', None, None),
                                 ('array', [0, 1, 2], [0, 1, 2]), ('verbatim', b'This is a verbatim\nstring', b'txt:This is a verbatim\nstring'),
                                 ('true', 1, True), ('false', 0, False)]:
            wire.call('HELLO', 2)
            expect_equal(wire.call('DEBUG', 'PROTOCOL', name), two, name)
            wire.call('HELLO', 3)
            expect_equal(wire.call('DEBUG', 'PROTOCOL', name), three, name)
        wire.call('HELLO', 2)
        expect_equal(wire.call('DEBUG', 'PROTOCOL', 'bignum'), b'1234567999999999999999999999999999999')
        expect_equal(wire.call('DEBUG', 'PROTOCOL', 'attrib'), b'Some real reply following the attribute')
        expect_equal(wire.call('DEBUG', 'PROTOCOL', 'push'), Error(b'ERR RESP2 is not supported by this command'))
        expect_equal(wire.call('DEBUG', 'PROTOCOL', 'double'), b'3.141')
        expect(wire.call('DEBUG', 'PROTOCOL', 'nonsense').startswith(b'ERR Wrong protocol type name.'), 'nonsense')


def small_ones(server):
    with clean(server) as wire:
        expect_equal(wire.call('DEBUG', 'STRINGMATCH-LEN', 'a*', 'abc'), 1)
        expect_equal(wire.call('DEBUG', 'STRINGMATCH-LEN', 'b*', 'abc'), 0)
        expect_equal(wire.call('DEBUG', 'ERROR', 'My own\r\nerror'), Error(b'My own  error'))
        expect_equal(wire.call('DEBUG', 'LOG', 'a line'), b'OK')
        for size in ('0', '1b', '10kb'):
            expect_equal(wire.call('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', size), b'OK')
        expect_equal(wire.call('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '4gb'),
                     Error(b'ERR argument must be a memory value bigger than 1 and smaller than 4gb'))
        for command in (['CHANGE-REPL-ID'], ['SET-DISABLE-DENY-SCRIPTS', 1], ['SET-DISABLE-DENY-SCRIPTS', 0]):
            expect_equal(wire.call('DEBUG', *command), b'OK')
        fill(wire)
        expect_equal(wire.call('DEBUG', 'LISTPACK', 'hash'), b'Listpack structure printed on stdout')
        expect_equal(wire.call('DEBUG', 'LISTPACK', 'string'), Error(b'ERR Not a listpack encoded object.'))
        expect_equal(wire.call('DEBUG', 'HTSTATS-KEY', 'hash'),
                     Error(b'ERR The value stored at the specified key is not represented using an hash table'))
        expect(b' number of elements: 9\n' in wire.call('DEBUG', 'HTSTATS', 0), 'number of keys')
        wire.call('CONFIG', 'SET', 'set-max-listpack-entries', 1)
        wire.call('SADD', 'large', 'a', 'b', 'c', 'd', 'e')
        wire.call('CONFIG', 'SET', 'set-max-listpack-entries', 128)
        expect(b' number of elements: 5\n' in wire.call('DEBUG', 'HTSTATS-KEY', 'large'), 'number of members')


def checksums_can_be_skipped(server):
    with clean(server) as wire:
        payload = b'\x00\x01a\x09\x00' + bytes(8)
        expect_equal(wire.call('RESTORE', 'k', 0, payload), Error(b'ERR DUMP payload version or checksum are wrong'))
        wire.call('DEBUG', 'SET-SKIP-CHECKSUM-VALIDATION', 1)
        expect_equal(wire.call('RESTORE', 'k', 0, payload), b'OK')
        expect_equal(wire.call('RESTORE', 'n', 0, b'xx'), Error(b'ERR DUMP payload version or checksum are wrong'))
        wire.call('DEBUG', 'SET-SKIP-CHECKSUM-VALIDATION', 0)
        expect_equal(wire.call('GET', 'k'), b'a')


def the_option_says_who_may(binary):
    refusal = b'ERR DEBUG command not allowed.'
    for mode, allowed in (('no', False), ('yes', True), ('local', True)):
        with Server(binary, {'enable-debug-command': mode}) as server, Wire(server) as wire:
            expect_equal(wire.call('CONFIG', 'GET', 'enable-debug-command')[1], mode.encode())
            for command in (['SLEEP', 0], ['RELOAD'], ['DIGEST'], ['OBJECT', 'k'], ['DIGEST-VALUE', 'k'], ['PROTOCOL', 'null'],
                            ['HTSTATS', 0], ['SET-ACTIVE-EXPIRE', 1]):
                reply = wire.call('DEBUG', *command)
                expect_equal(isinstance(reply, Error) and reply.startswith(refusal), not allowed, command)


SHARED = [object_has_redis_format, reload_drops_what_is_in_memory, digest_tells_states_apart, digest_in_a_transaction,
          protocol_gives_every_type, small_ones, checksums_can_be_skipped]
OWN = [the_option_says_who_may]


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    with Server(binary, {'enable-debug-command': 'yes'}) as server:
        def shared(case):
            def run():
                case(server)
                check_alive(server)
            return run

        cases = [(case.__name__, shared(case)) for case in SHARED]
        cases += [(case.__name__, lambda case=case: case(binary)) for case in OWN]
        sys.exit(run_cases(cases, names))


if __name__ == '__main__':
    main()
