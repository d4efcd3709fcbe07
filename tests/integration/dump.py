#!/usr/bin/env python3
"""DUMP and RESTORE: errors, expiry, hostile payloads, and values carried to redis-server and back.

usage: dump.py SERVER_BINARY [CASE...]

Cases that need redis-server are passed over where it is not installed. Random cases print their seed: KELVIN_TEST_SEED.
"""
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, free_port  # noqa: E402
from wire import Error, Wire, check_alive, expect, expect_equal, run_cases, seed  # noqa: E402

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fuzz', 'corpus', 'rdb')
OPTIONS = {'enable-debug-command': 'yes'}


def make_crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x95ac9329ac4bc9b5 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = make_crc_table()


def crc64(data):
    total = 0
    for byte in data:
        total = CRC_TABLE[(total ^ byte) & 0xff] ^ total >> 8
    return total


def payload_of(body, version=11):
    data = body + struct.pack('<H', version)
    return data + struct.pack('<Q', crc64(data))


def corpus():
    """{name: payload}"""
    found = {}
    for name in sorted(os.listdir(CORPUS)):
        with open(os.path.join(CORPUS, name), 'rb') as body:
            found[name] = payload_of(body.read(), 12)
    return found


class RedisServer:
    """What Wire needs of a server."""

    def __init__(self):
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix='kelvin-redis-')
        self.process = subprocess.Popen(['redis-server', '--port', str(self.port), '--save', '', '--dir', self.directory,
                                         '--enable-debug-command', 'yes'], stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                Wire(self).close()
                return
            except OSError:
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


# --- one server for all ------------------------------------------------------------------------------------------

def clean(server):
    wire = Wire(server)
    wire.call('FLUSHALL')
    return wire


def strings_go_and_come_back(server):
    with clean(server) as wire:
        for value in [b'', b'a', b'12', b'-7', b'9223372036854775807', b'0012', bytes(range(256)), b'x' * 100000]:
            expect_equal(wire.call('SET', 'k', value), b'OK')
            payload = wire.call('DUMP', 'k')
            expect_equal(wire.call('RESTORE', 'copy', 0, payload, 'REPLACE'), b'OK')
            expect_equal(wire.call('GET', 'copy'), value)
            expect_equal(wire.call('OBJECT', 'ENCODING', 'copy'), wire.call('OBJECT', 'ENCODING', 'k'))
        expect_equal(wire.call('DUMP', 'absent'), None)


def errors_are_redis_own(server):
    with clean(server) as wire:
        wire.call('SET', 'k', 'value')
        payload = wire.call('DUMP', 'k')
        damaged = payload[:3] + b'!' + payload[4:]
        checks = b'ERR DUMP payload version or checksum are wrong'
        for args, text in [
                (('k', 0, payload), b'BUSYKEY Target key name already exists.'),
                (('k', 'x', b'?'), b'BUSYKEY Target key name already exists.'),
                (('n', 'x', payload), b'ERR value is not an integer or out of range'),
                (('n', -1, payload), b'ERR Invalid TTL value, must be >= 0'),
                (('n', 0, damaged), checks), (('n', 0, b''), checks), (('n', 0, payload[:9]), checks),
                (('n', 0, payload_of(b'\0\1a', 99)), checks),
                (('n', 0, payload_of(b'')), b'ERR Bad data format'),
                (('n', 0, payload_of(b'\xff\1a')), b'ERR Bad data format'),
                (('n', 0, payload_of(b'\7\1a')), b'ERR Bad data format'),
                (('n', 0, payload_of(b'\0\x81\xff\xff\xff\xff\xff\xff\xff\xf7')), b'ERR Bad data format'),
                (('n', 0, payload, 'NONSENSE'), b'ERR syntax error'),
                (('n', 0, payload, 'IDLETIME'), b'ERR syntax error'),
                (('n', 0, payload, 'IDLETIME', 1, 'FREQ', 1), b'ERR syntax error'),
                (('n', 0, payload, 'IDLETIME', -1), b'ERR Invalid IDLETIME value, must be >= 0'),
                (('n', 0, payload, 'FREQ', 256), b'ERR Invalid FREQ value, must be >= 0 and <= 255'),
                (('n', 0, payload, 'FREQ', 'x'), b'ERR value is not an integer or out of range')]:
            expect_equal(wire.call('RESTORE', *args), Error(text), args[:2])
        expect_equal(wire.call('EXISTS', 'n'), 0)


def times_are_relative_or_absolute(server):
    with clean(server) as wire:
        wire.call('SET', 'k', 'value')
        payload = wire.call('DUMP', 'k')
        now = int(time.time() * 1000)
        expect_equal(wire.call('RESTORE', 'relative', 5000, payload), b'OK')
        expect(3000 < wire.call('PTTL', 'relative') <= 5000, 'relative')
        expect_equal(wire.call('RESTORE', 'absolute', now + 50000, payload, 'ABSTTL'), b'OK')
        expect_equal(wire.call('PEXPIRETIME', 'absolute'), now + 50000)
        expect_equal(wire.call('RESTORE', 'far', 9223372036854775807, payload, 'ABSTTL'), b'OK')
        expect_equal(wire.call('RESTORE', 'k', now - 1000, payload, 'ABSTTL', 'REPLACE'), b'OK')
        expect_equal(wire.call('EXISTS', 'k'), 0)
        expect_equal(wire.call('RESTORE', 'never', 1, payload, 'ABSTTL'), b'OK')
        expect_equal(wire.call('EXISTS', 'never'), 0)
        expect_equal(wire.call('RESTORE', 'idle', 0, payload, 'IDLETIME', 1000), b'OK')
        expect(1000 <= wire.call('OBJECT', 'IDLETIME', 'idle') <= 1010, 'idle time')
        expect_equal(wire.call('RESTORE-ASKING', 'asking', 0, payload), b'OK')
        expect_equal(wire.call('GET', 'asking'), b'value')


def every_form_of_every_server_is_read(server):
    with clean(server) as wire:
        for name, payload in corpus().items():
            expect_equal(wire.call('RESTORE', name, 0, payload), b'OK', name)
            digest = wire.call('DEBUG', 'DIGEST-VALUE', name)
            again = wire.call('DUMP', name)
            expect_equal(wire.call('RESTORE', 'again', 0, again, 'REPLACE'), b'OK', name)
            expect_equal(wire.call('DEBUG', 'DIGEST-VALUE', 'again'), digest, name)
        expect_equal(wire.call('LRANGE', 'list_v1', 0, -1), [b'a', b'7', b'c'])
        expect_equal(wire.call('LRANGE', 'list_ziplist', 0, 3), [b'alpha', b'7', b'y' * 64, b'-3'])
        expect_equal(wire.call('ZRANGE', 'zset_v1', 0, -1, 'WITHSCORES'),
                     [b'c', b'-inf', b'd', b'-7', b'a', b'1.5', b'b', b'inf'])
        expect_equal(wire.call('HGET', 'hash_zipmap', 'long'), b'v' * 260)
        expect_equal(wire.call('HMGET', 'hash_ziplist', 'f', 'n', '99'), [b'v', b'12', b''])
        for name in ('hash_ttl', 'hash_ttl_old', 'hash_ttl_listpack', 'hash_ttl_listpack_old'):
            expect_equal(wire.call('HPEXPIRETIME', name, 'FIELDS', 2, 'a', 'b'), [-1, 1900000000000], name)
        expect_equal(wire.call('HPEXPIRETIME', 'hash_ttl', 'FIELDS', 1, 'c'), [1900000000500])
        for name in ('stream_v1', 'stream_v2', 'stream_v3'):
            expect_equal(wire.call('XRANGE', name, '-', '+'),
                         [[b'5-1', [b'f', b'v']], [b'6-2', [b'a', b'x', b'b', b'9']]], name)
            pending = wire.call('XPENDING', name, 'g', '-', '+', 10)
            expect_equal([pending[0][0], pending[0][1], pending[0][3]], [b'6-2', b'me', 3], name)


def hostile_payloads_are_refused_or_sound(server):
    """Any change of a payload, under a right checksum."""
    chance = random.Random(server.seed)
    payloads = list(corpus().values())
    taken = 0
    with clean(server) as wire:
        for _ in range(3000):
            body = bytearray(chance.choice(payloads)[:-10])
            for _ in range(chance.randrange(1, 4)):
                place = chance.randrange(len(body))
                kind = chance.randrange(4)
                if kind == 0:
                    body[place] ^= 1 << chance.randrange(8)
                elif kind == 1:
                    body[place] = chance.choice([0, 1, 0x7f, 0x80, 0x81, 0xfe, 0xff])
                elif kind == 2 and len(body) > 2:
                    del body[place]
                else:
                    body.insert(place, chance.randrange(256))
            reply = wire.call('RESTORE', 'k', 0, payload_of(bytes(body)), 'REPLACE')
            if reply == b'OK':
                taken += 1
                wire.call('DEBUG', 'DIGEST-VALUE', 'k')
                wire.call('DUMP', 'k')
            else:
                expect_equal(reply, Error(b'ERR Bad data format'))
        wire.call('DEL', 'k')
    print('      %d of 3000 taken' % taken)


def a_payload_cannot_make_much_of_little(server):
    with clean(server) as wire:
        before = int(wire.call('INFO', 'memory').split(b'used_memory:')[1].split()[0])
        for body in [b'\0\xc3\x05\x80\x1f\xff\xff\xff\0a\xe0\xff\0',  # 512 MB of five bytes
                     b'\1\x81\x7f\xff\xff\xff\xff\xff\xff\xff\1a', b'\2\x80\xff\xff\xff\xff\1a',
                     b'\x0f\x80\xff\xff\xff\xff', b'\x0f\0\0\0\0\x80\xff\xff\xff\xff\1g\0\0\x80\xff\xff\xff\xff']:
            expect_equal(wire.call('RESTORE', 'k', 0, payload_of(body)), Error(b'ERR Bad data format'), body)
        after = int(wire.call('INFO', 'memory').split(b'used_memory:')[1].split()[0])
        expect(after < before + (1 << 24), 'memory %d -> %d' % (before, after))


# --- servers of their own -------------------------------------------------------------------------------------------

def restored_values_survive_a_crash(binary):
    with Server(binary, OPTIONS) as server:
        with Wire(server) as wire:
            for name, payload in corpus().items():
                expect_equal(wire.call('RESTORE', name, 1000000 if 'a' in name else 0, payload), b'OK')
            digests = {name: wire.call('DEBUG', 'DIGEST-VALUE', name) for name in corpus()}
            times = {name: wire.call('PEXPIRETIME', name) for name in corpus()}
            whole = wire.call('DEBUG', 'DIGEST')
            wire.call('CONFIG', 'SET', 'appendfsync', 'always')
            wire.call('SET', 'last', 'write')
            wire.call('DEL', 'last')
        server.kill()
        server.start()
        with Wire(server) as wire:
            for name in corpus():
                expect_equal(wire.call('DEBUG', 'DIGEST-VALUE', name), digests[name], name)
                expect_equal(wire.call('PEXPIRETIME', name), times[name], name)
            expect_equal(wire.call('DEBUG', 'DIGEST'), whole)


def values_travel_to_redis_and_back(binary):
    """redis-server's value, dumped there, restored here, dumped here, restored there: the same by its own DEBUG DIGEST-VALUE."""
    if shutil.which('redis-server') is None:
        print('      no redis-server')
        return
    with RedisServer() as redis, Server(binary, OPTIONS) as server:
        with Wire(redis) as theirs, Wire(server) as ours:
            for name, payload in corpus().items():
                # Its own version refuses newer types; those of 7.4 it cannot know.
                if theirs.call('RESTORE', 'k', 0, payload_of(payload[:-10], 10), 'REPLACE') != b'OK':
                    expect(name.startswith(('hash_ttl', 'set_listpack', 'stream_v3')), 'redis refuses ' + name)
                    continue
                expect_equal(ours.call('RESTORE', 'k', 0, theirs.call('DUMP', 'k'), 'REPLACE'), b'OK', name)
                expect_equal(theirs.call('RESTORE', 'back', 0, ours.call('DUMP', 'k'), 'REPLACE'), b'OK', name)
                digests = theirs.call('DEBUG', 'DIGEST-VALUE', 'k', 'back')
                expect_equal(digests[0], digests[1], name)


def random_values_travel(binary):
    if shutil.which('redis-server') is None:
        print('      no redis-server')
        return
    chance = random.Random(seed())

    def word():
        kind = chance.randrange(4)
        if kind == 0:
            return str(chance.randrange(-1 << chance.randrange(1, 63), 1 << chance.randrange(1, 63)))
        return bytes(chance.randrange(256) for _ in range(chance.choice([0, 3, 20, 70, 300])))

    with RedisServer() as redis, Server(binary, dict(OPTIONS, maxmemory='8mb')) as server:
        with Wire(redis) as theirs, Wire(server) as ours:
            for index in range(150):
                count = chance.choice([1, 5, 50, 700])
                make = [['RPUSH', 'k'] + [word() for _ in range(count)], ['SADD', 'k'] + [word() for _ in range(count)],
                        ['SADD', 'k'] + [chance.randrange(100000) for _ in range(count)],
                        ['HSET', 'k'] + [word() for _ in range(2 * count)],
                        ['ZADD', 'k'] + [w for _ in range(count) for w in (repr(chance.choice([1.5, -3, 1e100, 7, 0.1])), word())],
                        None][index % 6]
                theirs.call('DEL', 'k', 'back')
                ours.call('DEL', 'k')
                for wire in (theirs, ours):
                    if make is not None:
                        wire.call(*make)
                        continue
                    for i in range(1, count + 1):
                        wire.call('XADD', 'k', '%d-%d' % (i, i % 3), 'f', i, 'g%d' % (i % 4), 'v')
                    wire.call('XGROUP', 'CREATE', 'k', 'g', '0')
                    wire.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', count // 2 + 1, 'STREAMS', 'k', '>')
                ours.call('DEBUG', 'RELOAD')
                expect_equal(theirs.call('RESTORE', 'back', 0, ours.call('DUMP', 'k')), b'OK', make and make[0])
                digests = theirs.call('DEBUG', 'DIGEST-VALUE', 'k', 'back')
                expect_equal(digests[0], digests[1], make and make[:8])
                digest = ours.call('DEBUG', 'DIGEST-VALUE', 'k')
                expect_equal(ours.call('RESTORE', 'k', 0, theirs.call('DUMP', 'k'), 'REPLACE'), b'OK')
                if make is not None:  # consumers' times differ, entries do not
                    expect_equal(ours.call('DEBUG', 'DIGEST-VALUE', 'k'), digest)


SHARED = [strings_go_and_come_back, errors_are_redis_own, times_are_relative_or_absolute, every_form_of_every_server_is_read,
          hostile_payloads_are_refused_or_sound, a_payload_cannot_make_much_of_little]
OWN = [restored_values_survive_a_crash, values_travel_to_redis_and_back, random_values_travel]


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    with Server(binary, OPTIONS) as server:
        server.seed = seed()

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
