#!/usr/bin/env python3
"""kill -9 loop with acknowledging clients: what was acknowledged is there after the restart, in order, nothing half a group.

usage: kill9.py SERVER_BINARY [--cycles N] [--seed N]

Clients write counters (INCR of their own key, MULTI groups over two keys, SET of growing values) as fast as they can; the server is killed at a random
moment, also in the middle of checkpoints and starts. With appendfsync always nothing acknowledged may be lost; in the other modes the log
thread writes some milliseconds behind the replies, so what is there must be a prefix of what was sent, groups whole.
"""
import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import ReplyError, Server  # noqa: E402

CLIENTS = 3


class Writer(threading.Thread):
    """Writes until the server is gone; remembers what was acknowledged and what was on its way."""

    def __init__(self, server, number, counter):
        super().__init__()
        self.client = server.client()
        self.number = number
        self.acknowledged = counter
        self.sent = counter
        self.error = None

    def run(self):
        rng = random.Random(self.number * 7919 + self.acknowledged)
        try:
            while True:
                value = self.acknowledged + 1
                self.sent = value
                self.write(rng, value)
                self.acknowledged = value
        except (EOFError, OSError):
            pass
        except AssertionError as error:
            self.error = error
        finally:
            self.client.close()

    def write(self, rng, value):
        n = self.number
        filler = b'%d:' % value + b'x' * rng.choice([10, 100, 3000, 20000])
        replies = self.client.pipeline([
            ['MULTI'], ['SET', 'a%d' % n, value], ['SET', 'b%d' % n, value], ['EXEC'],
            ['SET', 'fill%d:%d' % (n, value % 200), filler]])
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise AssertionError('refused: %s' % reply)


def check(server, writers, counters, always):
    client = server.client()
    for writer in writers:
        if writer.error:
            raise writer.error
        n = writer.number
        a, b = (int(v or 0) for v in client.call('MGET', 'a%d' % n, 'b%d' % n))
        if a != b:
            raise AssertionError('half a group: a=%d b=%d' % (a, b))
        lowest = writer.acknowledged if always else counters[n]
        if not lowest <= a <= writer.sent:
            raise AssertionError('client %d: acknowledged %d, sent %d, stored %d' % (
                n, writer.acknowledged, writer.sent, a))
        whole = writer.acknowledged if always else a - 1
        last = client.call('GET', 'fill%d:%d' % (n, whole % 200))
        # What was sent last before an earlier kill may never have arrived: only numbers of this life are known to be whole.
        if whole > counters[n] and not last.startswith(b'%d:' % whole):
            raise AssertionError('client %d: the SET number %d is %r' % (n, whole, last and last[:20]))
        counters[n] = a
    keys = client.call('KEYS', '*')
    if client.call('DBSIZE') != len(keys):
        raise AssertionError('DBSIZE %d, KEYS %d' % (client.call('DBSIZE'), len(keys)))
    client.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('binary')
    parser.add_argument('--cycles', type=int, default=100)
    parser.add_argument('--seed', type=int, default=int(os.environ.get('KELVIN_TEST_SEED') or random.randrange(10**9)))
    options = parser.parse_args()
    print('kill9: seed=%d cycles=%d' % (options.seed, options.cycles), flush=True)
    rng = random.Random(options.seed)
    server = Server(options.binary, {
        'maxmemory': '8mb', 'aof-segment-size': '1mb', 'checkpoint-log-size': '1mb',
        'cold-reserve': '1mb', 'cold-io-threads': 4})
    counters = {n: 0 for n in range(CLIENTS)}
    total = 0
    try:
        for cycle in range(options.cycles):
            server.options['appendfsync'] = rng.choice(['always', 'always', 'always', 'everysec', 'no'])
            server.start()
            if rng.random() < 0.1:
                # Killed at once after the start: recovery itself is repeatable.
                server.kill()
                server.start()
            writers = [Writer(server, n, counters[n]) for n in range(CLIENTS)]
            for writer in writers:
                writer.start()
            if rng.random() < 0.5:
                client = server.client()
                time.sleep(rng.random() * 0.05)
                client.call('BGSAVE')
                client.close()
            time.sleep(rng.random() * 0.15)
            server.kill()
            for writer in writers:
                writer.join()
            server.start()
            check(server, writers, counters, server.options['appendfsync'] == 'always')
            server.kill()
        total = sum(counters.values())
    except BaseException:
        print('kill9: FAILED in cycle %d, seed=%d' % (cycle, options.seed))
        print(server.log()[-3000:])
        raise
    finally:
        server.remove()
    print('kill9: %d cycles, %d acknowledged groups, none lost' % (options.cycles, total))
    if total < options.cycles:
        raise AssertionError('too little was written to prove anything')


if __name__ == '__main__':
    main()
