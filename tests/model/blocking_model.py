#!/usr/bin/env python3
"""Model test of blocking clients: random commands of many clients on a real server against a small model of who is served with what.

usage: blocking_model.py SERVER_BINARY [--seed N] [--rounds N] [--steps N] [--workers N]

One command at a time is sent and its consequences awaited: the model says which waiting clients are served by it, in which order the elements go, and
who goes on waiting. maxmemory is tiny and keys are demoted, so that other keys of a waiting command are cold when it is served. Each round ends in kill -9
and a comparison of the store. A failure prints the seed; the same seed gives the same history.
"""
import argparse
import os
import random
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode  # noqa: E402
from wire import Error, Wire, info_field, wait_for  # noqa: E402

KEYS = ['k%d' % i for i in range(5)]
CLIENTS = 14


class Waiter:
    def __init__(self, client, args):
        self.client, self.args = client, args
        self.kind = 'zset' if args[0].startswith('BZ') else 'list'
        self.keys = {'BLMOVE': lambda: [args[1]], 'BLMPOP': lambda: list(args[3:3 + args[2]]),
                     'BZMPOP': lambda: list(args[3:3 + args[2]])}.get(args[0], lambda: list(args[1:-1]))()


class Model:
    """keys: name -> list, dict (sorted set) or bytes. waiters: in order of arrival."""

    def __init__(self):
        self.keys, self.waiters, self.ready = {}, [], []

    def signal(self, key):
        if key not in self.ready:
            self.ready.append(key)

    def drop_empty(self, key):
        if not self.keys[key] and not isinstance(self.keys[key], bytes):
            del self.keys[key]

    def push(self, key, left, values):
        target = self.keys.setdefault(key, [])
        for value in values:
            target.insert(0, value) if left else target.append(value)
        self.signal(key)

    def pop(self, key, left):
        value = self.keys[key].pop(0 if left else -1)
        self.drop_empty(key)
        return value

    def attempt(self, args, waited):
        """The reply of a blocking command, or None if it finds nothing."""
        waiter = Waiter(None, args)
        wanted = list if waiter.kind == 'list' else dict
        for key in waiter.keys:
            value = self.keys.get(key)
            if value is None or (waited and not isinstance(value, wanted)):
                continue
            if not isinstance(value, wanted):
                return 'WRONGTYPE'
            return self.take(args, key)
        return None

    def take(self, args, key):
        name = args[0]
        if name in ('BLPOP', 'BRPOP'):
            return [key.encode(), self.pop(key, name == 'BLPOP')]
        if name == 'BLMOVE':
            if not isinstance(self.keys.get(args[2], []), list):
                return 'WRONGTYPE'
            value = self.pop(key, args[3] == 'LEFT')
            self.push(args[2], args[4] == 'LEFT', [value])
            return value
        if name == 'BLMPOP':
            left = args[3 + args[2]] == 'LEFT'
            return [key.encode(), [self.pop(key, left) for _ in range(min(args[-1], len(self.keys[key])))]]
        members = sorted(self.keys[key].items(), key=lambda item: (item[1], item[0]))
        if name == 'BZMPOP':
            taken = (members if args[3 + args[2]] == 'MIN' else members[::-1])[:args[-1]]
        else:
            taken = [members[0 if name == 'BZPOPMIN' else -1]]
        for member, _ in taken:
            del self.keys[key][member]
        self.drop_empty(key)
        pairs = [[member, b'%d' % score] for member, score in taken]
        return [key.encode(), pairs] if name == 'BZMPOP' else [key.encode(), *pairs[0]]

    def serve(self):
        """[(client, reply)...] of those that the commands so far have made ready."""
        served = []
        while self.ready:
            key = self.ready.pop(0)
            for waiter in [w for w in self.waiters if key in w.keys]:
                value = self.keys.get(key)
                if value is None or not isinstance(value, list if waiter.kind == 'list' else dict):
                    continue
                reply = self.attempt(waiter.args, True)
                if reply is not None:
                    self.waiters.remove(waiter)
                    served.append((waiter.client, reply))
        return served


class Run:
    def __init__(self, options, rng, server):
        self.options, self.rng, self.server = options, rng, server
        self.model = Model()
        self.wire = Wire(server)
        self.clients = [Wire(server) for _ in range(CLIENTS)]
        self.ids = {client: client.call('CLIENT', 'ID') for client in self.clients}
        self.counter = 0

    def value(self):
        self.counter += 1
        return b'%d' % self.counter + b'.' * self.rng.choice([0, 0, 3, 200])

    def write(self):
        """A command that changes something: (arguments, its effect on the model)."""
        rng, model = self.rng, self.model
        key, other = rng.choice(KEYS), rng.choice(KEYS)
        value = model.keys.get(key)
        what = rng.random()
        if what < 0.45 and (value is None or isinstance(value, list)):
            left, values = rng.random() < 0.5, [self.value() for _ in range(rng.randrange(1, 4))]
            return ['LPUSH' if left else 'RPUSH', key, *values], lambda: model.push(key, left, values)
        if what < 0.6 and (value is None or isinstance(value, dict)):
            pairs = [(rng.randrange(10), b'm%d' % rng.randrange(20)) for _ in range(rng.randrange(1, 4))]

            def add():
                target = model.keys.setdefault(key, {})
                for score, member in pairs:
                    target[member] = score
                model.signal(key)
            return ['ZADD', key, *sum(([s, m] for s, m in pairs), [])], add
        if what < 0.7 and value is not None and key != other:
            def rename():
                model.keys[other] = model.keys.pop(key)
                if not isinstance(model.keys[other], bytes):
                    model.signal(other)
            return ['RENAME', key, other], rename
        if what < 0.8:
            return ['SET', key, 'text'], lambda: model.keys.update({key: b'text'})
        return ['DEL', key], lambda: model.keys.pop(key, None)

    def change(self):
        """One write, or some in a transaction; then those it serves."""
        if self.rng.random() < 0.7:
            args, effect = self.write()
            effect()
            replies = [self.wire.call(*args)]
        else:
            self.wire.call('MULTI')
            for _ in range(self.rng.randrange(1, 5)):
                args, effect = self.write()
                effect()
                self.wire.call(*args)
            replies = self.wire.call('EXEC')
        for reply in replies:
            assert not isinstance(reply, Error), reply
        self.expect_served()

    def expect_served(self):
        for client, wanted in self.model.serve():
            self.expect(client.reply(), wanted)

    def expect(self, got, wanted):
        if wanted == 'WRONGTYPE':
            assert isinstance(got, Error) and got.startswith(b'WRONGTYPE'), got
        else:
            assert got == wanted, 'got %r, wanted %r' % (got, wanted)

    def blocking(self):
        rng = self.rng
        name = rng.choice(['BLPOP', 'BRPOP', 'BLMOVE', 'BLMPOP', 'BZPOPMIN', 'BZPOPMAX', 'BZMPOP'])
        if name == 'BLMOVE':
            return [name, rng.choice(KEYS), rng.choice(KEYS), rng.choice(['LEFT', 'RIGHT']), rng.choice(['LEFT', 'RIGHT']), 0]
        keys = rng.sample(KEYS, rng.randrange(1, 4))
        if name in ('BLMPOP', 'BZMPOP'):
            return [name, 0, len(keys), *keys, rng.choice(['LEFT', 'RIGHT'] if name == 'BLMPOP' else ['MIN', 'MAX']), 'COUNT', rng.randrange(1, 3)]
        return [name, *keys, 0]

    def waiting_count(self):
        count = len(self.model.waiters)
        wait_for(lambda: int(info_field(self.wire, 'blocked_clients', 'clients')) == count, '%d clients wait' % count)

    def block(self):
        busy = [waiter.client for waiter in self.model.waiters]
        free = [client for client in self.clients if client not in busy]
        if not free:
            return self.change()
        client, args = self.rng.choice(free), self.blocking()
        if args[0] == 'BLMOVE':
            self.warm()
        client.send(encode(args))
        reply = self.model.attempt(args, False)
        if reply is None:
            self.model.waiters.append(Waiter(client, args))
            self.waiting_count()
        else:
            self.expect(client.reply(), reply)
            self.expect_served()

    def leave(self):
        if not self.model.waiters:
            return
        waiter = self.rng.choice(self.model.waiters)
        self.model.waiters.remove(waiter)
        if self.rng.random() < 0.5:
            assert self.wire.call('CLIENT', 'UNBLOCK', self.ids[waiter.client]) == 1
            assert waiter.client.reply() is None
        else:
            index = self.clients.index(waiter.client)
            waiter.client.reset() if self.rng.random() < 0.5 else waiter.client.close()
            self.clients[index] = Wire(self.server)
            self.ids[self.clients[index]] = self.clients[index].call('CLIENT', 'ID')
        self.waiting_count()

    def warm(self):
        """Chains are exact only while all keys are hot: a line that waits for the disk does not hold up others."""
        for key in KEYS:
            self.wire.call('GET', key)

    def freeze(self):
        if any(waiter.args[0] == 'BLMOVE' for waiter in self.model.waiters):
            return
        self.wire.call('SAVE')
        for key in KEYS:
            self.wire.call('TIER', 'DEMOTE', key)

    def compare(self):
        for key in KEYS:
            value = self.model.keys.get(key)
            kind = {list: b'list', dict: b'zset', bytes: b'string', type(None): b'none'}[type(value)]
            assert self.wire.call('TYPE', key) == kind, key
            if kind == b'list':
                assert self.wire.call('LRANGE', key, 0, -1) == value, key
            elif kind == b'zset':
                flat = self.wire.call('ZRANGE', key, 0, -1, 'WITHSCORES')
                assert dict(zip(flat[::2], map(int, flat[1::2]))) == value, key

    def steps(self):
        for _ in range(self.options.steps):
            what = self.rng.random()
            if what < 0.5:
                self.block()
            elif what < 0.9:
                self.change()
            elif what < 0.97:
                self.leave()
            else:
                self.freeze()
        self.compare()
        self.waiting_count()

    def restart(self):
        self.server.kill()
        self.server.start()
        self.wire = Wire(self.server)
        self.model.waiters.clear()
        self.compare()
        self.clients = [Wire(self.server) for _ in range(CLIENTS)]
        self.ids = {client: client.call('CLIENT', 'ID') for client in self.clients}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=1500)
    parser.add_argument('--workers', type=int, default=1)
    options = parser.parse_args()
    print('seed %d' % options.seed, flush=True)
    with Server(options.binary, {'workers': options.workers, 'maxmemory': '32mb', 'appendfsync': 'always'}) as server:
        run = Run(options, random.Random(options.seed), server)
        try:
            for _ in range(options.rounds):
                run.steps()
                run.restart()
        except (AssertionError, socket.timeout):
            print('FAIL with --seed %d --steps %d --workers %d' % (options.seed, options.steps, options.workers))
            raise
    print('ok')


if __name__ == '__main__':
    sys.exit(main())
