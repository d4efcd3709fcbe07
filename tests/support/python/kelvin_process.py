"""A kelvin-server of the test's own, and a small RESP client. Standard library only."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class ReplyError(Exception):
    """An error reply; compares by its text, so that a model can expect it."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __eq__(self, other):
        return isinstance(other, ReplyError) and self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return 'ReplyError(%r)' % self.text


def encode(args):
    parts = [b'*%d\r\n' % len(args)]
    for arg in args:
        if not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        parts.append(b'$%d\r\n%s\r\n' % (len(arg), arg))
    return b''.join(parts)


class Client:
    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *args):
        self.socket.sendall(encode(args))

    def call(self, *args):
        self.send(*args)
        return self.reply()

    def pipeline(self, commands):
        self.socket.sendall(b''.join(encode(command) for command in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b'\r\n'):
            raise EOFError('connection closed')
        kind, rest = line[:1], line[1:-2]
        if kind == b'+':
            return rest
        if kind == b'-':
            return ReplyError(rest.decode('latin1'))
        if kind == b':':
            return int(rest)
        if kind in (b'$', b'='):
            size = int(rest)
            if size < 0:
                return None
            data = self.file.read(size + 2)
            if len(data) != size + 2:
                raise EOFError('connection closed')
            return data[:-2]
        if kind in (b'*', b'~', b'>'):
            count = int(rest)
            return None if count < 0 else [self.reply() for _ in range(count)]
        if kind == b'%':
            return [self.reply() for _ in range(2 * int(rest))]
        if kind == b'_':
            return None
        raise ValueError('unexpected reply %r' % line)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Server:
    """kelvin-server in a directory of its own. options: {'maxmemory': '8mb', ...}."""

    def __init__(self, binary, options=None, directory=None, environment=None):
        self.binary = binary
        self.options = dict(options or {})
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix='kelvin-test-')
        self.environment = environment
        self.port = free_port()
        self.process = None
        self.log_path = os.path.join(self.directory, 'server.log')

    def start(self, limit_s=120, expect_failure=False):
        command = [self.binary, '--port', str(self.port), '--bind', '127.0.0.1',
                   '--dir', os.path.join(self.directory, 'data')]
        for name, value in self.options.items():
            command += ['--' + name, str(value)]
        environment = dict(os.environ)
        environment.update(self.environment or {})
        with open(self.log_path, 'ab') as log:
            start = log.tell()
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT,
                                            env=environment)
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            with open(self.log_path, 'rb') as log:
                log.seek(start)
                if b'Ready to accept connections' in log.read():
                    return self
            if self.process.poll() is not None:
                if expect_failure:
                    return self
                self.fail('kelvin-server ended at start with status %d' % self.process.returncode)
            time.sleep(0.005)
        self.fail('kelvin-server did not get ready')

    def log(self):
        with open(self.log_path, 'r', errors='replace') as log:
            return log.read()

    def fail(self, text):
        sys.stdout.write(self.log()[-4000:])
        self.remove_process()
        raise AssertionError(text)

    def client(self, **options):
        return Client(self.port, **options)

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, limit_s=120):
        """SIGTERM, as an init system stops it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(limit_s)
        if self.process.returncode != 0:
            self.fail('kelvin-server ended with status %d' % self.process.returncode)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def remove_process(self):
        if self.is_alive():
            self.kill()

    def remove(self):
        self.remove_process()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is not None:
            sys.stdout.write(self.log()[-4000:])
        self.remove()

    def info(self, section='everything'):
        client = self.client()
        text = client.call('INFO', section).decode()
        client.close()
        return dict(re.findall(r'^([^#:\r\n]+):([^\r\n]*)', text, re.M))
