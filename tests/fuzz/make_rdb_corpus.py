#!/usr/bin/env python3
"""Writes the corpus of fuzz target rdb: payloads that a real redis-server makes, small and large values in every encoding it has, and payloads in
the forms of older and newer servers, which no server here writes any more, put together by hand.

usage: make_rdb_corpus.py OUTPUT_DIR [REDIS_SERVER]

The thresholds of encodings are moved by CONFIG SET. A file is a payload without its footer: type and value (the fuzz target adds the rest).
Nothing random: the same server writes the same files, but for times.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

FOOTER = 10


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile('rb')

    def call(self, *args):
        args = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        self.socket.sendall(b'*%d\r\n' % len(args) + b''.join(b'$%d\r\n%s\r\n' % (len(a), a) for a in args))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b'-':
            raise RuntimeError(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'$':
            return None if rest == b'-1' else self.file.read(int(rest) + 2)[:-2]
        if kind == b'*':
            return [self.reply() for _ in range(int(rest))]
        return rest


NUMBERS = [0, 1, 12, 13, 127, 128, -1, -128, 4095, -4096, 4096, 32767, -32768, 32768, 8388607, -8388608, 2147483647, -2147483648,
           2147483648, 9223372036854775807, -9223372036854775808]
TEXTS = ['', 'a', 'x' * 63, 'y' * 64, 'z' * 300, '007', '1.5', '\x00\xff']


def dumps(client):
    """{name: payload}"""
    found = {}

    def add(name, key):
        found[name] = client.call('DUMP', key)[:-FOOTER]
        client.call('FLUSHALL')

    def limit(entries, value):
        for kind in ('hash', 'zset'):
            client.call('CONFIG', 'SET', kind + '-max-listpack-entries', entries, kind + '-max-listpack-value', value)

    for index, number in enumerate(NUMBERS):
        client.call('SET', 'k', number)
        add('string_number_%02d' % index, 'k')
    for name, text in [('empty', ''), ('short', 'hello'), ('raw', 'abcdefghijklmnopqrstuvwxyz' * 2), ('packed', 'ab' * 2000),
                       ('packed_one', 'x' * 5000)]:
        client.call('SET', 'k', text)
        add('string_' + name, 'k')
    client.call('PFADD', 'k', *range(50))
    add('string_sparse', 'k')
    elements = [n for n in NUMBERS] + TEXTS
    for name, size in [('small', -2), ('nodes', 2)]:
        client.call('CONFIG', 'SET', 'list-max-listpack-size', size)
        client.call('RPUSH', 'k', *elements)
        add('list_' + name, 'k')
    client.call('CONFIG', 'SET', 'list-max-listpack-size', 2, 'list-compress-depth', 1)
    client.call('RPUSH', 'k', *['compressible ' * 20] * 8)
    add('list_compressed', 'k')
    client.call('CONFIG', 'SET', 'list-compress-depth', 0, 'list-max-listpack-size', -2)
    client.call('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '100b')
    client.call('RPUSH', 'k', 'big' * 40, 'small', 'other ' * 30)
    add('list_plain', 'k')
    client.call('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '0')
    for name, members in [('int16', [1, -5, 300]), ('int32', [1, 70000]), ('int64', [1, -5, 1 << 40]), ('text', ['a', 'b', '7']),
                          ('many', range(600))]:
        client.call('SADD', 'k', *members)
        add('set_' + name, 'k')
    for name, entries in [('listpack', 128), ('table', 1)]:
        limit(entries, 400)
        pairs = [word for i, e in enumerate(elements) for word in ('f%d' % i, e)]
        client.call('HSET', 'k', *pairs)
        add('hash_' + name, 'k')
        scores = ['0', '-0', '1', '-1.5', '1e300', 'inf', '-inf', '3.14159', '123456789012']
        client.call('ZADD', 'k', *[word for i, s in enumerate(scores) for word in (s, 'm%d' % i)])
        add('zset_' + name, 'k')
    client.call('XGROUP', 'CREATE', 'k', 'empty', '$', 'MKSTREAM')
    add('stream_empty', 'k')
    for i in range(1, 8):
        client.call('XADD', 'k', '%d-%d' % (i * 1000, i), 'field', i, 'other', 'text %d' % i)
    client.call('XADD', 'k', '9000-1', 'alone', 'v')
    add('stream_plain', 'k')
    client.call('CONFIG', 'SET', 'stream-node-max-entries', 3)
    for i in range(1, 12):
        client.call('XADD', 'k', '%d-1' % i, *(['a', i] if i % 3 else ['a', i, 'b', i]))
    client.call('XDEL', 'k', '2-1', '11-1')
    client.call('XGROUP', 'CREATE', 'k', 'g', '0')
    client.call('XGROUP', 'CREATE', 'k', 'h', '5-1', 'ENTRIESREAD', 4)
    client.call('XREADGROUP', 'GROUP', 'g', 'alice', 'COUNT', 3, 'STREAMS', 'k', '>')
    client.call('XREADGROUP', 'GROUP', 'g', 'bob', 'COUNT', 2, 'STREAMS', 'k', '>')
    client.call('XGROUP', 'CREATECONSUMER', 'k', 'g', 'idle')
    client.call('XACK', 'k', 'g', '3-1')
    add('stream_groups', 'k')
    return found


# --- forms of other servers, by hand -----------------------------------------------------------------------------

def length(n):
    if n < 64:
        return bytes([n])
    if n < 16384:
        return struct.pack('>H', 0x4000 | n)
    return b'\x80' + struct.pack('>I', n)


def string(data):
    return length(len(data)) + data


def ziplist(items):
    body, before, offset = b'', 0, 10
    for item in items:
        offset += before
        if isinstance(item, int):
            if 0 <= item <= 12:
                data = bytes([0xf1 + item])
            elif -128 <= item < 128:
                data = b'\xfe' + struct.pack('<b', item)
            elif -32768 <= item < 32768:
                data = b'\xc0' + struct.pack('<h', item)
            elif -(1 << 23) <= item < 1 << 23:
                data = b'\xf0' + struct.pack('<i', item)[:3]
            elif -(1 << 31) <= item < 1 << 31:
                data = b'\xd0' + struct.pack('<i', item)
            else:
                data = b'\xe0' + struct.pack('<q', item)
        elif len(item) < 64:
            data = bytes([len(item)]) + item
        elif len(item) < 16384:
            data = struct.pack('>H', 0x4000 | len(item)) + item
        else:
            data = b'\x80' + struct.pack('>I', len(item)) + item
        entry = (bytes([before]) if before < 254 else b'\xfe' + struct.pack('<I', before)) + data
        body += entry
        before = len(entry)
    return struct.pack('<IIH', 11 + len(body), offset, len(items)) + body + b'\xff'


def listpack(items):
    body = b''
    for item in items:
        if isinstance(item, int):
            data = bytes([item]) if 0 <= item < 128 else b'\xf4' + struct.pack('<q', item)
        elif len(item) < 64:
            data = bytes([0x80 | len(item)]) + item
        else:
            data = struct.pack('>H', 0xe000 | len(item)) + item
        body += data + (bytes([len(data)]) if len(data) <= 127 else bytes([len(data) >> 7, 0x80 | len(data) & 127]))
    return struct.pack('<IH', 7 + len(body), len(items)) + body + b'\xff'


def zipmap(pairs):
    body = b''
    for field, value in pairs:
        for part, free in ((field, b''), (value, b'\x00')):
            body += (bytes([len(part)]) if len(part) < 254 else b'\xfe' + struct.pack('<I', len(part))) + free + part
    return bytes([len(pairs)]) + body + b'\xff'


def by_hand():
    words = [b'alpha', 7, b'y' * 64, -3, 1 << 40, b'z' * 300, 40000, 1 << 30, 300000]
    found = {
        'list_v1': b'\x01' + length(3) + string(b'a') + b'\xc0\x07' + string(b'c'),
        'list_ziplist': b'\x0a' + string(ziplist(words)),
        'list_quicklist': b'\x0e' + length(2) + string(ziplist(words)) + string(ziplist([1, b'end'])),
        'zset_v1': b'\x03' + length(4) + string(b'a') + b'\x031.5' + string(b'b') + b'\xfe' + string(b'c') + b'\xff' +
                   string(b'd') + b'\x02-7',
        'zset_ziplist': b'\x0c' + string(ziplist([b'a', 1, b'b', b'2.5', 17, b'-inf'])),
        'hash_zipmap': b'\x09' + string(zipmap([(b'a', b'1'), (b'long', b'v' * 260), (b'f' * 255, b'')])),
        'hash_ziplist': b'\x0d' + string(ziplist([b'f', b'v', b'n', 12, 99, b''])),
        'hash_ttl': b'\x18' + struct.pack('<Q', 1900000000000) + length(3) + length(0) + string(b'a') + string(b'1') +
                    length(1) + string(b'b') + string(b'2') + length(501) + string(b'c') + string(b'3'),
        'hash_ttl_old': b'\x16' + length(2) + length(0) + string(b'a') + string(b'1') +
                        b'\x81' + struct.pack('>Q', 1900000000000) + string(b'b') + string(b'2'),
        'hash_ttl_listpack': b'\x19' + struct.pack('<Q', 1900000000000) + string(listpack([b'b', b'2', 1900000000000, b'a', b'1', 0])),
        'hash_ttl_listpack_old': b'\x17' + string(listpack([b'b', b'2', 1900000000000, b'a', b'1', 0])),
        'set_listpack': b'\x14' + string(listpack([b'a', 5, b'b' * 70])),
    }
    entries = listpack([2, 0, 1, b'f', 0, 2, 0, 0, b'v', 4, 0, 1, 1, 2, b'a', b'x', b'b', 9, 8])
    first = struct.pack('>QQ', 5, 1)
    second = struct.pack('>QQ', 6, 2)
    head = length(1) + string(first) + string(entries) + length(2) + length(6) + length(2)
    middle = length(5) + length(1) + length(0) + length(0) + length(2)
    group = string(b'g') + length(6) + length(2)
    pending = length(1) + second + struct.pack('<q', 1700000000000) + length(3)
    when = struct.pack('<q', 1700000000500)
    owner = length(1) + string(b'me') + when
    found['stream_v1'] = b'\x0f' + head + length(1) + group + pending + owner + length(1) + second
    found['stream_v2'] = b'\x13' + head + middle + length(1) + group + length(2) + pending + owner + length(1) + second
    found['stream_v3'] = b'\x15' + head + middle + length(1) + group + length(2) + pending + owner + when + length(1) + second
    return found


def main():
    folder = sys.argv[1]
    server = sys.argv[2] if len(sys.argv) > 2 else 'redis-server'
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, 'socket')
        process = subprocess.Popen([server, '--port', '0', '--unixsocket', path, '--save', '', '--dir', scratch,
                                    '--enable-debug-command', 'local'],
                                   stdout=subprocess.DEVNULL)
        try:
            while not os.path.exists(path):
                time.sleep(0.01)
            payloads = dumps(Client(path))
        finally:
            process.kill()
            process.wait()
    payloads.update(by_hand())
    for name, payload in payloads.items():
        with open(os.path.join(folder, name), 'wb') as out:
            out.write(payload)
    print('%d payloads, %d bytes' % (len(payloads), sum(map(len, payloads.values()))))


main()
