"""Raw connections, a strict RESP2/RESP3 parser, and the small runner of the integration tests. Standard library only."""
import os
import random
import resource
import socket
import struct
import sys
import time
import traceback

from kelvin_process import encode


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def expect_equal(got, wanted, text=''):
    if got != wanted:
        raise AssertionError('%s: got %r, wanted %r' % (text, shorten(got), shorten(wanted)))


def shorten(value):
    if isinstance(value, (bytes, str)) and len(value) > 300:
        return value[:300] + (b'...' if isinstance(value, bytes) else '...')
    return value


def wait_for(what, text, limit_s=20):
    deadline = time.monotonic() + limit_s
    while not what():
        expect(time.monotonic() < deadline, 'within %d s: %s' % (limit_s, text))
        time.sleep(0.02)


class Closed(Exception):
    """The server closed the connection; .rest is what it had sent."""

    def __init__(self, rest):
        super().__init__('closed after %r' % shorten(rest))
        self.rest = rest


class Error(bytes):
    """An error reply, without its '-'."""


class Simple(bytes):
    """A simple string."""


class Verbatim(bytes):
    """A RESP3 verbatim string, format included."""


class Push(list):
    """A RESP3 push."""


class Wire:
    """One connection. Whatever the server sends must be well-formed RESP, or call() and reply() fail."""

    def __init__(self, server, timeout=60, receive_buffer=None, host='127.0.0.1', path=None):
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        else:
            self.socket = socket.socket()
            self.socket.settimeout(timeout)
            if receive_buffer is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.connect((host, server if isinstance(server, int) else server.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = bytearray()
        self.position = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """As send(), to a server that may close meanwhile."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def fill(self):
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            data = b''
        if not data:
            raise Closed(bytes(self.pending[self.position:]))
        if self.position > 1 << 20:
            del self.pending[:self.position]
            self.position = 0
        self.pending += data

    def line(self):
        while True:
            end = self.pending.find(b'\r\n', self.position)
            if end >= 0:
                line = bytes(self.pending[self.position:end])
                expect(b'\n' not in line and b'\r' not in line, 'one line: %r' % shorten(line))
                self.position = end + 2
                return line
            self.fill()

    def take(self, size):
        while len(self.pending) - self.position < size:
            self.fill()
        data = bytes(self.pending[self.position:self.position + size])
        self.position += size
        return data

    def bulk(self, text, kind=bytes):
        size = whole_number(text)
        if size == -1:
            return None
        expect(size >= 0, 'length of a bulk: %r' % text)
        data = self.take(size + 2)
        expect(data.endswith(b'\r\n'), 'a bulk ends in CR LF')
        return kind(data[:-2])

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b'+':
            return Simple(rest)
        if kind == b'-':
            expect(0 < len(rest) < 1000, 'a short error line: %r' % shorten(rest))
            return Error(rest)
        if kind == b':':
            return whole_number(rest)
        if kind == b'$':
            return self.bulk(rest)
        if kind == b'=':
            return self.bulk(rest, Verbatim)
        if kind == b'*':
            count = whole_number(rest)
            return None if count == -1 else [self.reply() for _ in range(count)]
        if kind == b'~':
            return set_of(self.reply() for _ in range(whole_number(rest)))
        if kind == b'>':
            return Push(self.reply() for _ in range(whole_number(rest)))
        if kind == b'%':
            pairs = [(self.reply(), self.reply()) for _ in range(whole_number(rest))]
            return {key: value for key, value in pairs}
        if kind == b'_':
            expect_equal(rest, b'', 'null')
            return None
        if kind == b'#':
            expect(rest in (b't', b'f'), 'a boolean: %r' % rest)
            return rest == b't'
        if kind == b',':
            return float(rest)
        raise AssertionError('not RESP: %r' % shorten(line))

    def call(self, *args):
        self.send(encode(args))
        return self.reply()

    def pipeline(self, commands):
        self.send(b''.join(encode(command) for command in commands))
        return [self.reply() for _ in commands]

    def rest(self):
        """Everything up to the end of the connection."""
        try:
            while True:
                self.fill()
        except Closed as closed:
            self.position = len(self.pending)
            return closed.rest
        except socket.timeout:
            raise AssertionError('the connection should have been closed, after %r' %
                                 shorten(bytes(self.pending[self.position:])))


def whole_number(text):
    expect(text.isdigit() or (text[:1] == b'-' and text[1:].isdigit()), 'a number: %r' % shorten(text))
    return int(text)


def set_of(items):
    items = list(items)
    try:
        return set(items)
    except TypeError:
        return items


def exchange(server, data, timeout=20):
    """Sends these bytes; gives all that comes until the server closes."""
    with Wire(server, timeout=timeout) as wire:
        wire.try_send(data)
        return wire.rest()


def info_field(wire, field, section='everything'):
    for line in wire.call('INFO', section).split(b'\r\n'):
        if line.startswith(field.encode() + b':'):
            return line.split(b':', 1)[1].decode()
    raise AssertionError('INFO has %s' % field)


def seed():
    """KELVIN_TEST_SEED, or a new one; printed, so that a failure can be run again."""
    value = int(os.environ.get('KELVIN_TEST_SEED') or random.SystemRandom().randrange(1 << 31))
    print('seed  KELVIN_TEST_SEED=%d' % value, flush=True)
    return value


def is_sanitized(binary):
    """Sanitizers cost time and memory: bounds on either are wider then."""
    with open(binary, 'rb') as file:
        content = file.read()
    return b'__asan_init' in content or b'__tsan_init' in content


def raise_file_limit(wanted):
    """True if this process, and servers it starts, may have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted and hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


def check_alive(server):
    expect(server.is_alive(), 'the server runs')
    with Wire(server, timeout=30) as wire:
        expect_equal(wire.call('PING'), b'PONG', 'a fresh PING')


def run_cases(cases, names):
    """cases: (name, function without arguments). The exit status of the program."""
    failed = 0
    for name, case in cases:
        if names and name not in names:
            continue
        start = time.monotonic()
        try:
            case()
            print('ok    %-40s %6.2f s' % (name, time.monotonic() - start), flush=True)
        except Exception as error:
            failed += 1
            print('FAIL  %s: %s: %s' % (name, type(error).__name__, error), flush=True)
            traceback.print_exc(file=sys.stdout)
    print('%d failed' % failed, flush=True)
    return 1 if failed else 0
