#!/usr/bin/env python3
"""Disk faults and damaged files, seen from a client of the whole server.

usage: server_faults.py SERVER_BINARY [CASE...]
"""
import glob
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import ReplyError, Server  # noqa: E402

SMALL = {'aof-segment-size': '1mb', 'cold-reserve': '1mb', 'cold-io-threads': 2, 'appendfsync': 'always'}


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def wait_for(what, text, limit_s=20):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if what():
            return
        time.sleep(0.02)
    raise AssertionError('did not happen in time: ' + text)


def log_full(binary):
    """ENOSPC on the log: writes get -MISCONF, reads go on; when space returns writes work again without a restart."""
    server = Server(binary, dict(SMALL, appendfsync='everysec'))
    switch = os.path.join(server.directory, 'disk-is-full')
    server.environment = {'KELVIN_FILE_FAULTS': 'write:.aof:1:ENOSPC:sticky', 'KELVIN_FILE_FAULTS_SWITCH': switch}
    with server:
        client = server.client()
        expect(client.call('SET', 'before', '1') == b'OK', 'SET before')
        time.sleep(0.1)
        open(switch, 'w').close()
        client.call('SET', 'trigger', 'x')

        def refused():
            reply = client.call('SET', 'during', 'x')
            return isinstance(reply, ReplyError) and reply.text.startswith('MISCONF Errors writing to the AOF file: No space')
        wait_for(refused, 'MISCONF')
        expect(client.call('GET', 'before') == b'1', 'reads go on')
        expect(server.info('persistence')['aof_last_write_status'] == 'err', 'INFO says so')
        os.unlink(switch)
        wait_for(lambda: client.call('SET', 'after', '2') == b'OK', 'writes work again')
        time.sleep(0.1)
        server.kill()
        server.environment = None
        server.start()
        client = server.client()
        expect(client.call('MGET', 'before', 'after') == [b'1', b'2'], 'the log is whole after the restart')


def sync_fails(binary):
    """A failed fsync: nothing is acknowledged any more, the process ends; a restart has all that was acknowledged."""
    server = Server(binary, SMALL)
    switch = os.path.join(server.directory, 'sync-fails')
    server.environment = {'KELVIN_FILE_FAULTS': 'sync:.aof:1:EIO:sticky', 'KELVIN_FILE_FAULTS_SWITCH': switch}
    with server:
        client = server.client()
        for i in range(50):
            expect(client.call('SET', 'k%d' % i, i) == b'OK', 'SET')
        open(switch, 'w').close()
        try:
            reply = client.call('SET', 'lost', 'x')
            expect(isinstance(reply, ReplyError), 'a write was acknowledged after a failed fsync: %r' % reply)
        except (EOFError, OSError):
            pass
        wait_for(lambda: not server.is_alive(), 'the process ends')
        server.environment = None
        server.start()
        client = server.client()
        expect(client.call('DBSIZE') in (50, 51), 'everything acknowledged is there')
        expect(client.call('GET', 'k49') == b'49', 'the last acknowledged write')


def checkpoint_fails(binary):
    """LMDB cannot commit: the log goes on, the checkpoint is tried again, nothing is lost."""
    server = Server(binary, SMALL)
    switch = os.path.join(server.directory, 'commit-fails')
    server.environment = {'KELVIN_FILE_FAULTS': 'sync:data.mdb:1:ENOSPC:sticky', 'KELVIN_FILE_FAULTS_SWITCH': switch}
    with server:
        client = server.client()
        for i in range(500):
            client.call('SET', 'k%d' % i, 'v%d' % i * 10)
        open(switch, 'w').close()
        reply = client.call('SAVE')
        expect(isinstance(reply, ReplyError), 'SAVE must fail: %r' % reply)
        expect(int(server.info()['checkpoint_error_count']) > 0, 'INFO counts it')
        expect(client.call('SET', 'meanwhile', '1') == b'OK', 'writes go on')
        os.unlink(switch)
        wait_for(lambda: client.call('SAVE') == b'OK', 'SAVE works again')
        server.kill()
        server.environment = None
        server.start()
        client = server.client()
        expect(client.call('DBSIZE') == 501, 'all there')


def newest_segment(server):
    return sorted(glob.glob(os.path.join(server.directory, 'data', 'aof', '*.aof')))[-1]


def log_end(path):
    """Where the last frame of an unsealed, zero-filled segment ends."""
    with open(path, 'rb') as segment:
        return len(segment.read().rstrip(b'\0'))


def torn_tail(binary):
    """The last frame is cut: the start succeeds, reports what was cut, and keeps everything before."""
    server = Server(binary, dict(SMALL, appendfsync='no'))
    with server:
        client = server.client()
        for i in range(100):
            client.call('SET', 'k%d' % i, i)
            time.sleep(0.001)
        time.sleep(0.2)
        server.kill()
        path = newest_segment(server)
        end = log_end(path)
        with open(path, 'r+b') as segment:
            segment.truncate(end - 5)
        server.start()
        client = server.client()
        expect('torn' in server.log(), 'the cut is reported')
        size = client.call('DBSIZE')
        expect(0 < size < 100, 'a prefix is there: %d' % size)
        expect(client.call('GET', 'k%d' % (size - 1)) == b'%d' % (size - 1), 'the prefix is whole')
        expect(client.call('SET', 'new', '1') == b'OK', 'writes work')
        time.sleep(0.2)
        server.kill()
        server.start()
        expect(server.client().call('DBSIZE') == size + 1, 'after another restart')


def corrupt_middle(binary):
    """A frame that was durable is damaged: the start is refused, naming file and offset."""
    server = Server(binary, SMALL)
    with server:
        client = server.client()
        for i in range(100):
            client.call('SET', 'k%d' % i, i)
        server.kill()
        path = newest_segment(server)
        with open(path, 'r+b') as segment:
            content = segment.read()
            at = content.index(b'k20\r\n')
            segment.seek(at)
            segment.write(b'k2X')
        server.start(expect_failure=True)
        expect(not server.is_alive() and server.process.returncode != 0, 'the start is refused')
        text = server.log()
        expect(os.path.basename(path) in text, 'the file is named')
        expect('offset' in text, 'the offset is named')
        with open(path, 'r+b') as segment:
            segment.seek(at)
            segment.write(b'k20')
        server.start()
        expect(server.client().call('DBSIZE') == 100, 'repaired by hand: all there')


def corrupt_cold_record(binary):
    """A damaged cold record: that key answers an error, the rest works, INFO counts it, an overwrite mends it."""
    server = Server(binary, dict(SMALL, **{'cold-compression': 'no', 'hot-list-interval': 0}))
    with server:
        client = server.client()
        marker = b'MARKER-OF-THE-DAMAGED-RECORD'
        client.call('SET', 'good', 'good' * 100)
        client.call('SET', 'bad', marker * 20)
        client.call('SAVE')
        # Nothing in RAM is to answer for the disk.
        server.kill()
        path = os.path.join(server.directory, 'data', 'cold', 'data.mdb')
        with open(path, 'r+b') as database:
            content = database.read()
            at, found = content.find(marker), 0
            while at >= 0:
                database.seek(at)
                database.write(b'm')
                found += 1
                at = content.find(marker, at + len(marker))
        expect(found > 0, 'the record lies in the file')
        server.start()
        client = server.client()
        reply = client.call('GET', 'bad')
        expect(isinstance(reply, ReplyError), 'the key answers an error: %r' % reply)
        expect(client.call('GET', 'good') == b'good' * 100, 'the rest works')
        expect(client.call('EXISTS', 'bad') == 1, 'its header still counts')
        expect(int(server.info()['cold_corrupt_count']) > 0, 'INFO counts it')
        expect(client.call('SET', 'bad', 'new') == b'OK', 'an overwrite mends it')
        expect(client.call('GET', 'bad') == b'new', 'mended')
        expect(client.call('SAVE') == b'OK', 'and it is saved')
        expect(client.call('DBSIZE') == 2, 'counts are right')


def locked_directory(binary):
    """A second server on the same directory is refused."""
    with Server(binary, SMALL) as first:
        second = Server(binary, SMALL, directory=first.directory)
        second.log_path = os.path.join(first.directory, 'second.log')
        second.start(expect_failure=True)
        expect(not second.is_alive() and second.process.returncode != 0, 'the second start is refused')
        expect(first.client().call('PING') == b'PONG', 'the first goes on')


def clean_stop(binary):
    """SIGTERM: a last checkpoint; the next start has nothing to replay, and the same data."""
    server = Server(binary, SMALL)
    with server:
        client = server.client()
        for i in range(200):
            client.call('SET', 'k%d' % i, i)
        server.stop()
        server.start()
        expect('frames=0' in server.log(), 'nothing is replayed')
        expect(server.client().call('DBSIZE') == 200, 'all there')


CASES = [log_full, sync_fails, checkpoint_fails, torn_tail, corrupt_middle, corrupt_cold_record, locked_directory,
         clean_stop]


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    failed = 0
    for case in CASES:
        if names and case.__name__ not in names:
            continue
        try:
            case(binary)
            print('ok    %s' % case.__name__, flush=True)
        except Exception as error:
            failed += 1
            print('FAIL  %s: %s' % (case.__name__, error), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
