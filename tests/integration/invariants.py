#!/usr/bin/env python3
"""Invariants that only show in the whole server: one or more cases each; tests/invariants.md lists all of them with their tests.

usage: invariants.py SERVER_BINARY [CASE...]
"""
import glob
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import ReplyError, Server, encode  # noqa: E402
from wire import expect, expect_equal, run_cases, seed, wait_for  # noqa: E402

SMALL = {'aof-segment-size': '1mb', 'cold-reserve': '1mb', 'cold-io-threads': 2, 'workers': 3}


def log_bytes(server):
    """All segments of the log, as they are."""
    content = b''
    for path in sorted(glob.glob(os.path.join(server.directory, 'data', '**', '*.aof'), recursive=True)):
        with open(path, 'rb') as file:
            content += file.read()
    return content


def everything(client):
    """key -> (value, deadline) of the whole database."""
    keys = sorted(client.call('KEYS', '*'))
    values = client.pipeline([['GET', key] for key in keys])
    deadlines = client.pipeline([['PEXPIRETIME', key] for key in keys])
    return dict(zip(keys, zip(values, deadlines)))


# --- I1, H12 -------------------------------------------------------------------------------------------------


def answered(client, limit_s):
    """What has arrived within the time, without taking it."""
    client.socket.settimeout(limit_s)
    try:
        return client.socket.recv(4096, socket.MSG_PEEK)
    except socket.timeout:
        return b''
    finally:
        client.socket.settimeout(60)


def asked(server, *commands):
    client = server.client()
    client.socket.sendall(b''.join(encode(command) for command in commands))
    return client


def replies_wait_until_what_they_saw_is_durable(binary):
    """appendfsync always and a log that cannot be written: neither the write nor any read of it is answered until it can."""
    server = Server(binary, dict(SMALL, appendfsync='always'))
    switch = os.path.join(server.directory, 'disk-is-full')
    server.environment = {'KELVIN_FILE_FAULTS': 'write:.aof:1:ENOSPC:sticky', 'KELVIN_FILE_FAULTS_SWITCH': switch}
    with server:
        control = server.client()
        others = ['other%d' % n for n in range(8)]
        for other in others:
            expect_equal(control.call('SET', other, 'safe'), b'OK')
        open(switch, 'w').close()
        writer = asked(server, ['SET', 'x', 'new'])
        expect_equal(answered(writer, 0.3), b'', 'reply to a SET that is not durable')
        questions = [
            [['GET', 'x']], [['MGET', 'other0', 'x']], [['STRLEN', 'x']], [['EXISTS', 'x']], [['TYPE', 'x']],
            [['MULTI'], ['GET', 'x'], ['EXEC']], [['MULTI'], ['DBSIZE'], ['EXEC']], [['KEYS', '*']], [['SCAN', '0']],
            [['DBSIZE']], [['RANDOMKEY']]]
        readers = [asked(server, *question) for question in questions]
        time.sleep(0.3)
        for reader, question in zip(readers, questions):
            early = answered(reader, 0.001)
            expect(early in (b'', b'+OK\r\n', b'+OK\r\n+QUEUED\r\n'), '%r was answered: %r' % (question, early))
        # A read waits for the last write of its partition; at least one of eight keys has no write that waits.
        safe = [asked(server, ['GET', other]) for other in others]
        time.sleep(0.3)
        expect(any(answered(client, 0.001) for client in safe), 'what is durable is answered')
        os.unlink(switch)
        expect_equal(writer.reply(), b'OK', 'the SET when it is durable')
        expect_equal(readers[0].reply(), b'new', 'the GET when it is durable')
        server.kill()
        server.environment = None
        server.start()
        expect_equal(server.client().call('GET', 'x'), b'new', 'after kill -9')


# --- I2, I4, I6, H1, H3 ----------------------------------------------------------------------------------------


class Transfers(threading.Thread):
    """Moves amounts between accounts, and writes to keys that others write to, as fast as it can; until the server is gone."""

    ACCOUNTS = 12

    def __init__(self, server, number, seed_value, count):
        super().__init__()
        self.client = server.client()
        self.number = number
        self.rng = random.Random(seed_value * 31 + number)
        self.left = count
        self.error = None

    def commands(self):
        r = self.rng
        a, b = ('account%d' % r.randrange(self.ACCOUNTS) for _ in range(2))
        amount = r.randrange(1, 100)
        tag = b'%d,' % (self.number * 10**6 + self.left)
        pair = r.randrange(3)
        # A long group takes a while to reach the log: who comes next must not be there before it.
        long = [['MULTI'], ['SET', 'filler%d' % self.number, tag * 20000],
                ['APPEND', 'order0', tag], ['APPEND', 'order1', tag], ['EXEC']] if r.random() < 0.1 else []
        return long + [
            ['MULTI'], ['DECRBY', a, amount], ['INCRBY', b, amount], ['EXEC'],
            ['MSET', 'left%d' % pair, tag, 'right%d' % pair, tag],
            ['APPEND', 'order%d' % r.randrange(4), tag],
        ]

    def run(self):
        try:
            while self.left != 0:
                self.left -= 1
                for reply in self.client.pipeline(self.commands() + self.commands()):
                    if isinstance(reply, ReplyError):
                        raise AssertionError('refused: %r' % reply)
        except (EOFError, OSError):
            pass
        except Exception as error:  # shown by the main thread
            self.error = error
        finally:
            self.client.close()


def run_transfers(server, seed_value, count):
    threads = [Transfers(server, number, seed_value, count) for number in range(6)]
    for thread in threads:
        thread.start()
    return threads


def join(threads):
    for thread in threads:
        thread.join()
        if thread.error:
            raise thread.error


def check_groups(client):
    """What every prefix of the log has in common."""
    accounts = client.call('MGET', *['account%d' % n for n in range(Transfers.ACCOUNTS)])
    expect_equal(sum(int(value or 0) for value in accounts), 0, 'the sum of all accounts')
    for pair in range(3):
        left, right = client.call('MGET', 'left%d' % pair, 'right%d' % pair)
        expect_equal(left, right, 'the halves of an MSET')


def the_log_replays_to_the_state_that_clients_saw(binary):
    """Three workers, keys that all of them write, effects that do not commute, checkpoints between: RAM and replay agree."""
    seed_value = seed()
    with Server(binary, dict(SMALL, appendfsync='always', **{'checkpoint-interval': 86400})) as server:
        for round_number in range(3):
            threads = run_transfers(server, seed_value + round_number, 150)
            client = server.client()
            for _ in range(round_number):
                client.call('SAVE')
            join(threads)
            check_groups(client)
            before = everything(client)
            server.kill()
            server.start()
            after = everything(server.client())
            for key in before:
                expect(before[key] == after.get(key), 'replay gave another value of %r' % key)
            expect_equal(len(after), len(before), 'keys')


def groups_are_whole_whenever_the_server_is_killed(binary):
    """kill -9 in the middle, in every mode: transfers keep their sum, MSETs their halves."""
    seed_value = seed()
    rng = random.Random(seed_value)
    with Server(binary, dict(SMALL, maxmemory='12mb')) as server:
        for round_number in range(8):
            threads = run_transfers(server, seed_value + round_number, -1)
            client = server.client()
            if round_number % 2 == 1:
                client.call('BGSAVE')
            time.sleep(0.05 + rng.random() * 0.2)
            server.kill()
            join(threads)
            server.options['appendfsync'] = rng.choice(['always', 'everysec', 'no'])
            server.start()
            check_groups(server.client())


# --- I3, H8 ------------------------------------------------------------------------------------------------------


def replay_looks_at_no_clock(binary):
    """Effects on a record whose deadline has passed by the time of the replay happen as they did."""
    with Server(binary, dict(SMALL, appendfsync='always')) as server:
        client = server.client()
        # Time enough for all of these; replayed, the deadline is over before the second line.
        replies = client.pipeline([
            ['SET', 'a', '1', 'PX', 1500], ['PERSIST', 'a'],
            ['SET', 'b', '1', 'PX', 1500], ['INCRBY', 'b', 41], ['PERSIST', 'b'],
            ['SET', 'c', 'x', 'PX', 1500], ['RENAME', 'c', 'd'], ['PERSIST', 'd'],
            ['SET', 'e', 'x', 'PX', 1500], ['APPEND', 'e', 'yz'], ['GETEX', 'e', 'PERSIST'],
            ['SET', 'f', 'x', 'PX', 1500], ['COPY', 'f', 'g'], ['SETNX', 'f', 'again'], ['PERSIST', 'g'],
            ['SET', 'h', 'x', 'PX', 1500]])
        expect_equal(replies, [b'OK', 1, b'OK', 42, 1, b'OK', b'OK', 1, b'OK', 3, b'xyz', b'OK', 1, 0, 1, b'OK'])
        server.kill()
        time.sleep(1.6)
        server.start()
        client = server.client()
        expect_equal(client.call('MGET', *'abcdefgh'), [b'1', b'42', None, b'x', b'xyz', None, b'x', None])
        expect_equal([client.call('PTTL', key) for key in 'abdeg'], [-1] * 5)
        # What expired is deleted by the log: a second replay does not bring it back.
        wait_for(lambda: b'DEL\r\n$1\r\nf\r\n' in log_bytes(server), 'the expiry of f is in the log')
        server.kill()
        server.start()
        expect_equal(server.client().call('DBSIZE'), 5, 'after a second replay')


def the_log_holds_effects_not_requests(binary):
    """Nothing in the log depends on when or where it is executed."""
    with Server(binary, dict(SMALL, appendfsync='always')) as server:
        client = server.client()
        client.pipeline([
            ['SET', 'k1', 'v', 'EX', 1000], ['SET', 'k2', 'v', 'PX', 1000000], ['SETEX', 'k3', 1000, 'v'],
            ['PSETEX', 'k4', 1000000, 'v'], ['SET', 'k5', 'v'], ['EXPIRE', 'k5', 1000], ['SET', 'k6', 'v'],
            ['PEXPIRE', 'k6', 1000000], ['SET', 'k7', 'v'], ['GETEX', 'k7', 'EX', 1000],
            ['SET', 'k8', '10'], ['INCRBYFLOAT', 'k8', '0.1'], ['SET', 'k9', 'v'], ['EXPIRE', 'k9', -1],
            ['SET', 'k10', 'v', 'PX', 30], ['SET', 'nothing', 'v', 'XX'], ['GET', 'k1'], ['DEL', 'nothing']])
        wait_for(lambda: client.call('EXISTS', 'k10') == 0, 'k10 expires')
        content = log_bytes(server).upper()
        expect(b'K1\r\n' in content, 'the log was found')
        for word in (b'EX', b'PX', b'SETEX', b'PSETEX', b'EXPIRE', b'PEXPIRE', b'GETEX', b'INCRBYFLOAT', b'XX', b'NOTHING'):
            expect(b'\r\n%s\r\n' % word not in content, '%r is in the log' % word)
        for effect in (b'DEL\r\n$2\r\nK9\r\n', b'DEL\r\n$3\r\nK10\r\n'):
            expect(effect in content, '%r is in the log' % effect)
        before = everything(client)
        server.kill()
        server.start()
        expect_equal(everything(server.client()), before, 'after the replay')


# --- I8 --------------------------------------------------------------------------------------------------------------


def history(seed_value):
    """Reads that can be predicted, among writes of all kinds."""
    rng = random.Random(seed_value)
    later = int(time.time() * 1000) + 10**8
    count = 4000
    steps = [['SET', 'item:%d' % n, b'%d:' % n + b'v' * 3000] for n in range(count)]
    for n in range(0, count, 7):
        steps.append(['PEXPIREAT', 'item:%d' % n, later + n])
    steps.append(['SAVE'])
    for _ in range(60):
        start = rng.randrange(count - 100)
        for n in range(start, start + rng.randrange(20, 100)):
            key = 'item:%d' % n
            steps.append(rng.choices(
                [['GET', key], ['STRLEN', key], ['PEXPIRETIME', key], ['APPEND', key, '+'], ['DEL', key],
                 ['SET', key, 'new'], ['SETNX', key, 'nx'], ['PERSIST', key], ['GETDEL', key],
                 ['MGET', key, 'item:%d' % (n + 1), 'item:%d' % rng.randrange(count)],
                 ['RENAME', key, 'item:%d' % rng.randrange(count)], ['EXISTS', key]],
                [50, 4, 4, 3, 2, 2, 2, 1, 1, 4, 1, 3])[0])
        if rng.random() < 0.1:
            steps.append(['SAVE'])
    steps += [['DBSIZE']]
    return steps


def prefetching_changes_no_answer(binary):
    """The same history with prefetching on, in shadow and off: the same replies, the same keys, values and deadlines."""
    steps = history(seed())
    expected = None
    for mode in ('off', 'shadow', 'on'):
        options = dict(SMALL, prefetch=mode, maxmemory='6mb', workers=1)
        with Server(binary, options) as server:
            client = server.client()
            replies = []
            for at in range(0, len(steps), 4):
                replies += client.pipeline(steps[at:at + 4])
            figures = server.info('prefetch')
            stored = everything(client)
            if expected is None:
                expected = (replies, stored)
            for step, got, wanted in zip(steps, replies, expected[0]):
                expect_equal(got, wanted, '%s with prefetch %s' % (step, mode))
            expect(stored == expected[1], 'what is stored differs with prefetch %s' % mode)
            issued, useful = int(figures['prefetch_issued_count']), int(figures['prefetch_useful_count'])
            if mode == 'on':
                expect(issued > 0 and useful > 0, 'it did something: issued %d, useful %d' % (issued, useful))
            else:
                expect_equal(issued, 0, 'prefetches with prefetch %s' % mode)


# --- I9 --------------------------------------------------------------------------------------------------------------


def task_figures(server):
    """name of thread -> bytes it made dirty in files, summed over threads of that name without its number."""
    figures = {}
    base = '/proc/%d/task' % server.process.pid
    for task in os.listdir(base):
        with open('%s/%s/comm' % (base, task)) as file:
            name = file.read().strip().split('-')[0]
        with open('%s/%s/io' % (base, task)) as file:
            fields = dict(line.split(': ') for line in file.read().splitlines())
        old = figures.get(name, 0)
        figures[name] = old + int(fields['write_bytes'])
    return figures


def workers_never_write_files(binary):
    """The kernel's account of each thread: the log thread and the checkpointer write, workers do not."""
    if not os.access('/proc/self/io', os.R_OK):
        print('      no /proc/self/io here')
        return
    with Server(binary, dict(SMALL, appendfsync='always', maxmemory='8mb')) as server:
        client = server.client()
        client.call('CONFIG', 'SET', 'loglevel', 'warning')  # what the server says goes to a file here
        for at in range(0, 4000, 100):
            client.pipeline([['SET', 'k%d' % n, b'v' * 2000] for n in range(at, at + 100)])
        client.call('SAVE')
        client.pipeline([['GET', 'k%d' % n] for n in range(4000)])
        client.pipeline([['DEL', 'k%d' % n] for n in range(2000)])
        client.call('SAVE')
        figures = task_figures(server)
        if sum(figures.values()) == 0:
            print('      this file system keeps no account')
            return
        expect('worker' in figures, 'workers are known by their name: %r' % figures)
        expect_equal(figures['worker'], 0, 'bytes that workers wrote to files: %r' % figures)
        expect(figures['log'] > 4 * 10**6, 'the log thread wrote: %r' % figures)


# --- H16 --------------------------------------------------------------------------------------------------------------


def a_page_that_cannot_be_read_costs_an_error_only(binary):
    """data.mdb ends before what its map shows: SIGBUS on every cold read. Clients get errors, hot records go on."""
    with Server(binary, dict(SMALL, maxmemory='8mb', prefetch='on')) as server:
        client = server.client()
        for at in range(0, 8000, 100):
            client.pipeline([['SET', 'k:%d' % n, b'%d' % n * 300] for n in range(at, at + 100)])
        expect_equal(client.call('SAVE'), b'OK')
        expect_equal(client.call('SET', 'hot', 'here'), b'OK')
        database, = glob.glob(os.path.join(server.directory, 'data', '**', 'data.mdb'), recursive=True)
        os.truncate(database, 3 * 4096)
        replies = client.pipeline([['GET', 'k:%d' % n] for n in range(8000)])
        failed = [reply for reply in replies if isinstance(reply, ReplyError)]
        for n, reply in enumerate(replies):
            expect(isinstance(reply, ReplyError) or reply == b'%d' % n * 300, 'GET k:%d gave %r' % (n, reply))
        expect(len(failed) > 1000, 'cold reads failed: %d' % len(failed))
        expect(server.is_alive(), 'the server lives')
        expect_equal(client.call('GET', 'hot'), b'here', 'a hot record')
        expect_equal(client.call('SET', 'hot', 'still'), b'OK', 'a write')
        another = server.client()
        expect(isinstance(another.call('SAVE'), ReplyError), 'a checkpoint cannot be made of it')
        expect_equal(another.call('PING'), b'PONG')
        expect_equal(another.call('GET', 'hot'), b'still')


# --- I10 -------------------------------------------------------------------------------------------------------


def writers_that_wait_for_room_are_not_read_from(binary):
    """60 MB in one pipeline into 8 MB: what the server cannot take yet stays with the client."""
    count, value = 30000, os.urandom(2000)
    with Server(binary, dict(SMALL, maxmemory='8mb', **{'checkpoint-log-size': '4mb'})) as server:
        writer, watcher = server.client(), server.client()
        commands = b''.join(encode(['SET', 'key:%d' % i, value]) for i in range(count))
        sender = threading.Thread(target=lambda: writer.socket.sendall(commands))
        replies = []
        receiver = threading.Thread(target=lambda: replies.extend(writer.reply() for _ in range(count)))
        sender.start()
        receiver.start()
        most = 0
        while receiver.is_alive():
            most = max(most, int(server.info()['mem_clients_normal']))
            time.sleep(0.01)
        sender.join()
        receiver.join()
        expect(int(server.info()['throttled_count']) > 0, 'it had to wait')
        expect(most < 8 << 20, 'buffers of clients took %d bytes' % most)
        expect_equal(replies.count(b'OK'), count)
        expect_equal(watcher.call('DBSIZE'), count)


CASES = [
    replies_wait_until_what_they_saw_is_durable, the_log_replays_to_the_state_that_clients_saw,
    groups_are_whole_whenever_the_server_is_killed, replay_looks_at_no_clock, the_log_holds_effects_not_requests,
    prefetching_changes_no_answer, workers_never_write_files, a_page_that_cannot_be_read_costs_an_error_only,
    writers_that_wait_for_room_are_not_read_from]


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    sys.exit(run_cases([(case.__name__, lambda case=case: case(binary)) for case in CASES], names))


if __name__ == '__main__':
    main()
