#!/usr/bin/env python3
"""Model test: random histories on a real server against a plain dictionary, with restarts in between.

usage: model_test.py SERVER_BINARY [--seed N] [--rounds N] [--steps N] [--workers N]

Every reply is compared. maxmemory is tiny, so that most reads cross the cold tier; checkpoints run at random moments; each
round ends in kill -9 (or SIGTERM), sometimes with a pipeline under way, and the whole store is compared after the restart. A failure prints
the seed; the same seed gives the same history.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import ReplyError, Server  # noqa: E402
from model_types import KIND_OF, READERS, WRONG_TYPE, Collections, commands_of, copy_of  # noqa: E402

DATABASES = 3
NOT_INTEGER = ReplyError('ERR value is not an integer or out of range')
NO_KEY = ReplyError('ERR no such key')
INT64_MAX = 2**63 - 1
INT64_MIN = -2**63
FAR_MS = 10**7


def as_integer(value):
    """The integer a string value is, in Redis's strict form, or None."""
    try:
        number = int(value)
    except ValueError:
        return None
    if str(number).encode() != value or not INT64_MIN <= number <= INT64_MAX:
        return None
    return number


class Model(Collections):
    """What Redis would hold: per database a dictionary of key -> [value, expire_ms or 0]."""

    def __init__(self):
        self.databases = [{} for _ in range(DATABASES)]

    def copy(self):
        other = Model()
        other.databases = [
            {key: [copy_of(value), expire] for key, (value, expire) in db.items()} for db in self.databases]
        return other

    def apply(self, session, args):
        """The expected reply. session: {'db': n}."""
        name = args[0].lower()
        kind = KIND_OF.get(name)
        if kind is not None and not self.is_kind(session, args[1], kind):
            return WRONG_TYPE
        return getattr(self, 'do_' + name)(session, *args[1:])

    def db(self, session):
        return self.databases[session['db']]

    # strings
    def do_get(self, s, key):
        entry = self.db(s).get(key)
        return entry[0] if entry else None

    def do_set(self, s, key, value, *options):
        db = self.db(s)
        entry = db.get(key)
        if 'GET' in options and not self.is_kind(s, key, bytes):
            return WRONG_TYPE
        old = entry[0] if entry else None
        options = list(options)
        flags = {o for o in options if isinstance(o, str)}
        expire = 0
        if 'PXAT' in flags:
            expire = options[options.index('PXAT') + 1]
        if 'KEEPTTL' in flags and entry:
            expire = entry[1]
        if ('NX' in flags and entry) or ('XX' in flags and not entry):
            return old if 'GET' in flags else None
        db[key] = [value, expire]
        return old if 'GET' in flags else b'OK'

    def do_setnx(self, s, key, value):
        if key in self.db(s):
            return 0
        self.db(s)[key] = [value, 0]
        return 1

    def do_getset(self, s, key, value):
        old = self.do_get(s, key)
        self.db(s)[key] = [value, 0]
        return old

    def do_getdel(self, s, key):
        entry = self.db(s).pop(key, None)
        return entry[0] if entry else None

    def do_getex(self, s, key, option, *value):
        entry = self.db(s).get(key)
        if not entry:
            return None
        entry[1] = value[0] if option == 'PXAT' else 0
        return entry[0]

    def do_append(self, s, key, tail):
        entry = self.db(s).setdefault(key, [b'', 0])
        entry[0] += tail
        return len(entry[0])

    def do_strlen(self, s, key):
        return len(self.do_get(s, key) or b'')

    def do_setrange(self, s, key, offset, value):
        entry = self.db(s).get(key)
        if not value:
            return len(entry[0]) if entry else 0
        old = entry[0] if entry else b''
        new = old[:offset].ljust(offset, b'\0') + value + old[offset + len(value):]
        self.db(s)[key] = [new, entry[1] if entry else 0]
        return len(new)

    def do_getrange(self, s, key, start, end):
        value = self.do_get(s, key) or b''
        size = len(value)
        if start < 0 and end < 0 and start > end:
            return b''
        start = max(start + size, 0) if start < 0 else start
        end = max(end + size, 0) if end < 0 else end
        end = min(end, size - 1)
        return b'' if start > end or size == 0 else value[start:end + 1]

    def do_incrby(self, s, key, delta):
        entry = self.db(s).get(key)
        old = as_integer(entry[0]) if entry else 0
        if old is None:
            return NOT_INTEGER
        if not INT64_MIN <= old + delta <= INT64_MAX:
            return ReplyError('ERR increment or decrement would overflow')
        self.db(s)[key] = [str(old + delta).encode(), entry[1] if entry else 0]
        return old + delta

    def do_incr(self, s, key):
        return self.do_incrby(s, key, 1)

    def do_decrby(self, s, key, delta):
        return self.do_incrby(s, key, -delta)

    def do_incrbyfloat(self, s, key, halves):
        entry = self.db(s).get(key)
        try:
            old = float(entry[0]) if entry else 0.0
        except ValueError:
            return ReplyError('ERR value is not a valid float')
        if entry and (entry[0] != entry[0].strip() or not entry[0] or abs(old) > 2**40 or b'_' in entry[0]):
            return 'unknown'
        new = old + float(halves)
        text = ('%d' % new if new == int(new) else repr(new)).encode()
        self.db(s)[key] = [text, entry[1] if entry else 0]
        return text

    def do_mset(self, s, *pairs):
        for i in range(0, len(pairs), 2):
            self.db(s)[pairs[i]] = [pairs[i + 1], 0]
        return b'OK'

    def do_msetnx(self, s, *pairs):
        if any(pairs[i] in self.db(s) for i in range(0, len(pairs), 2)):
            return 0
        self.do_mset(s, *pairs)
        return 1

    def do_mget(self, s, *keys):
        return [self.do_get(s, key) if self.is_kind(s, key, bytes) else None for key in keys]

    # keys
    def do_del(self, s, *keys):
        return sum(self.db(s).pop(key, None) is not None for key in keys)

    do_unlink = do_del

    def do_exists(self, s, *keys):
        return sum(key in self.db(s) for key in keys)

    do_touch = do_exists

    def do_pexpiretime(self, s, key):
        entry = self.db(s).get(key)
        return (entry[1] or -1) if entry else -2

    def do_pexpireat(self, s, key, when, *condition):
        entry = self.db(s).get(key)
        if not entry:
            return 0
        old = entry[1]
        for flag in condition:
            if (flag == 'NX' and old) or (flag == 'XX' and not old):
                return 0
            if flag == 'GT' and (not old or when <= old):
                return 0
            if flag == 'LT' and old and when >= old:
                return 0
        if when <= time.time() * 1000 - 1000:
            del self.db(s)[key]
        else:
            entry[1] = when
        return 1

    def do_persist(self, s, key):
        entry = self.db(s).get(key)
        if not entry or not entry[1]:
            return 0
        entry[1] = 0
        return 1

    def do_rename(self, s, source, target):
        db = self.db(s)
        if source not in db:
            return NO_KEY
        db[target] = db.pop(source)
        return b'OK'

    def do_renamenx(self, s, source, target):
        db = self.db(s)
        if source not in db:
            return NO_KEY
        if target in db:
            return 0
        db[target] = db.pop(source)
        return 1

    def do_copy(self, s, source, target, *options):
        options = list(options)
        to = self.databases[options[options.index('DB') + 1]] if 'DB' in options else self.db(s)
        if to is self.db(s) and source == target:
            return ReplyError('ERR source and destination objects are the same')
        entry = self.db(s).get(source)
        if not entry or (target in to and 'REPLACE' not in options):
            return 0
        to[target] = [copy_of(entry[0]), entry[1]]
        return 1

    def do_move(self, s, key, database):
        to = self.databases[database]
        if to is self.db(s):
            return ReplyError('ERR source and destination objects are the same')
        if key not in self.db(s) or key in to:
            return 0
        to[key] = self.db(s).pop(key)
        return 1

    def do_dbsize(self, s):
        return len(self.db(s))

    def do_select(self, s, database):
        s['db'] = database
        return b'OK'

    def do_swapdb(self, s, a, b):
        self.databases[a], self.databases[b] = self.databases[b], self.databases[a]
        return b'OK'

    def do_flushdb(self, s):
        self.db(s).clear()
        return b'OK'

    def do_flushall(self, s):
        for db in self.databases:
            db.clear()
        return b'OK'

    # without effect on the data
    def do_save(self, s):
        return b'OK'


class History:
    """Makes random commands. Keys are few, so that they meet often; values reach over the page and chunk limits."""

    def __init__(self, rng):
        self.rng = rng
        self.now_ms = int(time.time() * 1000)

    def key(self, prefix=b''):
        number = self.rng.randrange(400)
        if self.rng.random() < 0.03:
            return prefix + b'long:%d:' % (number % 20) + b'k' * 600
        return prefix + b'key:%d' % number

    def value(self):
        kind = self.rng.random()
        if kind < 0.25:
            return str(self.rng.randrange(-10**6, 10**6)).encode()
        if kind < 0.6:
            return b'v%d:' % self.rng.randrange(10**9) * self.rng.randrange(1, 8)
        if kind < 0.9:
            return bytes(self.rng.getrandbits(8) for _ in range(self.rng.randrange(0, 200))) * self.rng.randrange(1, 12)
        if kind < 0.98:
            return (b'%032x' % self.rng.getrandbits(128)) * self.rng.randrange(60, 260)
        return b'big%d' % self.rng.randrange(1000) * self.rng.randrange(3000, 30000)

    def collection(self, prefix, kind):
        """Mostly keys that hold this kind; now and then any."""
        if self.rng.random() < 0.03:
            return self.key(prefix)
        return prefix + b'%s:%d' % (kind.encode(), self.rng.randrange(30))

    def later(self):
        return self.now_ms + FAR_MS + self.rng.randrange(FAR_MS)

    def command(self, prefix=b'', local=False):
        """local: only commands whose effect stays within keys of the prefix."""
        r, k, v = self.rng, lambda: self.key(prefix), self.value
        choices = [
            (20, lambda: ['GET', k()]),
            (14, lambda: ['SET', k(), v()]),
            (3, lambda: ['SET', k(), v(), r.choice(['NX', 'XX'])]),
            (2, lambda: ['SET', k(), v(), 'GET']),
            (3, lambda: ['SET', k(), v(), 'PXAT', self.later()]),
            (2, lambda: ['SET', k(), v(), 'KEEPTTL']),
            (2, lambda: ['SETNX', k(), v()]),
            (2, lambda: ['GETSET', k(), v()]),
            (2, lambda: ['GETDEL', k()]),
            (2, lambda: ['GETEX', k(), 'PXAT', self.later()]),
            (1, lambda: ['GETEX', k(), 'PERSIST']),
            (4, lambda: ['APPEND', k(), v()[:300]]),
            (3, lambda: ['STRLEN', k()]),
            (3, lambda: ['SETRANGE', k(), r.randrange(0, 3000), v()[:100]]),
            (3, lambda: ['GETRANGE', k(), r.randrange(-3000, 3000), r.randrange(-3000, 3000)]),
            (4, lambda: ['INCR', k()]),
            (3, lambda: ['INCRBY', k(), r.randrange(-10**6, 10**6)]),
            (2, lambda: ['DECRBY', k(), r.randrange(10**6)]),
            (1, lambda: ['INCRBYFLOAT', k(), r.choice(['0.5', '-1.5', '3'])]),
            (2, lambda: ['MSET'] + [x for _ in range(r.randrange(1, 6)) for x in (k(), v())]),
            (1, lambda: ['MSETNX'] + [x for _ in range(2) for x in (k(), v())]),
            (6, lambda: ['MGET'] + [k() for _ in range(r.randrange(1, 20))]),
            (5, lambda: [r.choice(['DEL', 'UNLINK'])] + [k() for _ in range(r.randrange(1, 4))]),
            (3, lambda: [r.choice(['EXISTS', 'TOUCH'])] + [k() for _ in range(r.randrange(1, 4))]),
            (2, lambda: ['TYPE', k()]),
            (3, lambda: ['PEXPIRETIME', k()]),
            (3, lambda: ['PEXPIREAT', k(), self.later()]),
            (2, lambda: ['PEXPIREAT', k(), self.later(), r.choice(['NX', 'XX', 'GT', 'LT'])]),
            (1, lambda: ['PEXPIREAT', k(), 12345]),
            (2, lambda: ['PERSIST', k()]),
            (3, lambda: ['RENAME', k(), k()]),
            (2, lambda: ['RENAMENX', k(), k()]),
            (2, lambda: ['COPY', k(), k()] + r.choice([[], ['REPLACE']])),
        ]
        # Strings and collections in equal parts.
        own = commands_of(self, lambda kind: self.collection(prefix, kind))
        share = sum(c[0] for c in choices) / sum(c[0] for c in own)
        choices += [(weight * share, make) for weight, make in own]
        if not local:
            choices += [
                (2, lambda: ['COPY', k(), k(), 'DB', r.randrange(DATABASES), 'REPLACE']),
                (2, lambda: ['MOVE', k(), r.randrange(DATABASES)]),
                (3, lambda: ['DBSIZE']),
                (4, lambda: ['SELECT', r.randrange(DATABASES)]),
                (0.3, lambda: ['SWAPDB', r.randrange(DATABASES), r.randrange(DATABASES)]),
                (0.15, lambda: ['FLUSHDB']),
                (0.05, lambda: ['FLUSHALL']),
                (0.3, lambda: ['SAVE']),
            ]
        return r.choices([c[1] for c in choices], [c[0] for c in choices])[0]()


def normalise(args):
    return [a if isinstance(a, bytes) else str(a).encode() for a in args]


class Run:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.history = History(self.rng)
        self.model = Model()
        self.server = Server(options.binary, {
            'maxmemory': '3mb', 'workers': options.workers, 'databases': DATABASES,
            'aof-segment-size': '1mb', 'checkpoint-log-size': '512kb', 'checkpoint-memory': '1mb',
            'appendfsync': self.rng.choice(['always', 'everysec', 'no']), 'cold-reserve': '1mb',
            'cold-io-threads': 4, 'hot-list-interval': 1})
        self.log = []
        self.counts = {}

    def check(self, args, got, expected):
        self.counts[args[0]] = self.counts.get(args[0], 0) + 1
        if expected == 'unknown':
            return
        if got != expected:
            for line in self.log[-30:]:
                print('  ', str(line)[:300])
            raise AssertionError('%s: got %s, expected %s' % (
                str(args)[:300], str(got)[:300], str(expected)[:300]))

    def connect(self):
        self.clients = [self.server.client() for _ in range(4)]
        self.sessions = [{'db': 0} for _ in self.clients]

    def resync_float(self, client, session, args):
        """A float the model does not format: take over the server's value."""
        entry = client.call('GET', args[1])
        if entry is not None:
            old = self.model.db(session).get(args[1], [b'', 0])
            self.model.db(session)[args[1]] = [entry, old[1]]

    def step(self):
        index = self.rng.randrange(len(self.clients))
        client, session = self.clients[index], self.sessions[index]
        kind = self.rng.random()
        if kind < 0.70:
            self.one(client, session)
        elif kind < 0.80:
            self.pipeline(client, session)
        elif kind < 0.85:
            self.concurrent()
        elif kind < 0.92:
            self.transaction(client, session, index)
        elif kind < 0.94:
            self.walk(client, session)
        elif kind < 0.97:
            self.tier(client, session)
        else:
            client.call('BGSAVE')

    def one(self, client, session):
        args = self.history.command()
        self.log.append((session['db'], args))
        expected = self.model.apply(session, args)
        got = client.call(*args)
        self.check(args, got, expected)
        if expected == 'unknown':
            self.resync_float(client, session, args)

    def batch(self, count, prefix=b'', local=False):
        commands = [self.history.command(prefix, local) for _ in range(count)]
        return [c for c in commands if c[0] != 'INCRBYFLOAT']

    def pipeline(self, client, session):
        commands = self.batch(self.rng.randrange(1, 40))
        self.log.append((session['db'], 'pipeline', commands))
        expected = [self.model.apply(session, args) for args in commands]
        for args, got, want in zip(commands, client.pipeline(commands), expected):
            self.check(args, got, want)

    def concurrent(self):
        """Every connection a pipeline on keys of its own, all at once."""
        batches = []
        for i, (client, session) in enumerate(zip(self.clients, self.sessions)):
            commands = self.batch(self.rng.randrange(1, 25), b'c%d:' % i, local=True)
            self.log.append((session['db'], 'concurrent', commands))
            batches.append([(c, self.model.apply(session, c)) for c in commands])
            for args in commands:
                client.send(*args)
        for client, pairs in zip(self.clients, batches):
            for args, expected in pairs:
                self.check(args, client.reply(), expected)

    def transaction(self, client, session, index):
        touched = False
        if self.rng.random() < 0.5:
            key = self.history.key()
            self.check(['WATCH', key], client.call('WATCH', key), b'OK')
            if self.rng.random() < 0.5:
                other = (index + 1) % len(self.clients)
                value = self.history.value()
                at = self.sessions[other]['db']
                self.clients[other].call('SELECT', session['db'])
                self.check(['SET', key], self.clients[other].call('SET', key, value), b'OK')
                self.clients[other].call('SELECT', at)
                self.model.db(session)[key] = [value, 0]
                touched = True
        commands = [c for c in self.batch(self.rng.randrange(0, 12)) if c[0] not in ('SAVE', 'SELECT')]
        self.log.append((session['db'], 'multi', commands, touched))
        replies = client.pipeline([['MULTI']] + commands)
        if any(isinstance(r, ReplyError) for r in replies):
            raise AssertionError('queueing refused: %r' % replies)
        if self.rng.random() < 0.1:
            self.check(['DISCARD'], client.call('DISCARD'), b'OK')
            return
        got = client.call('EXEC')
        if touched:
            self.check(['EXEC'], got, None)
            return
        expected = [self.model.apply(session, args) for args in commands]
        if got is None or len(got) != len(expected):
            raise AssertionError('EXEC: %r' % got)
        for args, one, want in zip(commands, got, expected):
            self.check(args, one, want)

    def scan(self, client, *options):
        found, cursor, rounds = set(), b'0', 0
        while True:
            cursor, keys = client.call('SCAN', cursor, *options)
            found.update(keys)
            rounds += 1
            if cursor == b'0':
                return found
            if rounds > 100000:
                raise AssertionError('SCAN does not end')

    def walk(self, client, session):
        db = self.model.db(session)
        kind = self.rng.randrange(4)
        if kind == 0:
            pattern = self.rng.choice([b'*', b'key:1*', b'c1:*', b'*9', b'key:[0-4]*', b'key:77'])
            expected = {k for k in db if self.glob(pattern, k)}
            got = client.call('KEYS', pattern)
            self.check(['KEYS', pattern], set(got), expected)
            self.check(['KEYS', pattern, 'once'], len(got), len(expected))
        elif kind == 1:
            self.check(['SCAN'], self.scan(client, 'COUNT', self.rng.choice([1, 10, 100, 5000])), set(db))
        elif kind == 2:
            got = self.scan(client, 'MATCH', 'key:2*', 'TYPE', 'string')
            self.check(['SCAN MATCH'], got, {k for k in db if k.startswith(b'key:2') and type(db[k][0]) is bytes})
        else:
            got = client.call('RANDOMKEY')
            if (got not in db) if db else got is not None:
                raise AssertionError('RANDOMKEY gave %r' % got)

    @staticmethod
    def glob(pattern, key):
        import fnmatch
        return fnmatch.fnmatchcase(key.decode('latin1'), pattern.decode('latin1'))

    def tier(self, client, session):
        keys = [self.history.key() for _ in range(self.rng.randrange(1, 10))]
        kind = self.rng.randrange(3)
        if kind == 0:
            expected = self.model.do_exists(session, *keys)
            self.check(['TIER PROMOTE'], client.call('TIER', 'PROMOTE', *keys), expected)
        else:
            got = client.call('TIER', 'DEMOTE', *keys) if kind == 1 else client.call('PREFETCH', *keys)
            if not isinstance(got, int) or not 0 <= got <= len(keys):
                raise AssertionError('TIER DEMOTE or PREFETCH: %r' % got)

    def expiry(self):
        """Keys with short lives: gone afterwards, hot or cold, counted nowhere."""
        client, session = self.clients[0], self.sessions[0]
        keys = [b'short:%d' % i for i in range(20)]
        for key in keys:
            client.call('SET', key, self.history.value(), 'PX', self.rng.randrange(1, 40))
        client.call('SAVE')
        client.call('TIER', 'DEMOTE', *keys)
        time.sleep(0.08)
        if client.call('EXISTS', *keys) != 0 or client.call('MGET', *keys) != [None] * len(keys):
            raise AssertionError('expired keys are still there')
        self.check(['DBSIZE'], client.call('DBSIZE'), len(self.model.db(session)))

    def crash(self):
        """kill -9, perhaps with a pipeline under way: then a prefix of it has happened."""
        candidates = [self.model]
        if self.server.options['appendfsync'] != 'always':
            # The log thread writes some milliseconds behind the replies.
            time.sleep(0.1)
        if self.rng.random() < 0.7:
            index = self.rng.randrange(len(self.clients))
            session = dict(self.sessions[index])
            commands = [c for c in self.batch(60) if c[0] not in ('SAVE', 'MULTI')]
            at = self.model.copy()
            self.log.append((session['db'], 'cut off', commands))
            for args in commands:
                if at.apply(session, args) == 'unknown':
                    break
                candidates.append(at.copy())
            from kelvin_process import encode
            self.clients[index].socket.sendall(b''.join(encode(c) for c in commands))
            if self.rng.random() < 0.5:
                time.sleep(self.rng.random() * 0.003)
        if self.rng.random() < 0.8 or len(candidates) > 1:
            self.server.kill()
        else:
            self.server.stop()
        for client in self.clients:
            client.close()
        self.server.start()
        self.connect()
        self.model = self.compare(candidates)

    def compare(self, candidates):
        client = self.clients[0]
        stored = Model()
        for db in range(DATABASES):
            client.call('SELECT', db)
            keys = client.call('KEYS', '*')
            self.check(['DBSIZE after restart', db], client.call('DBSIZE'), len(keys))
            for at in range(0, len(keys), 100):
                some = keys[at:at + 100]
                readers = [READERS[kind] for kind in client.pipeline([['TYPE', key] for key in some])]
                values = client.pipeline([command(key) for key, (command, _) in zip(some, readers)])
                times = client.pipeline([['PEXPIRETIME', key] for key in some])
                for key, value, when, (_, parse) in zip(some, values, times, readers):
                    stored.databases[db][key] = [parse(value), max(when, 0)]
        client.call('SELECT', 0)
        for candidate in reversed(candidates):
            if candidate.databases == stored.databases:
                return candidate
        for line in self.log[-5:]:
            print('  ', str(line)[:2000])
        self.explain(candidates[0], stored)
        raise AssertionError('the store after the restart is none of %d possible states' % len(candidates))

    @staticmethod
    def explain(model, stored):
        for db in range(DATABASES):
            a, b = model.databases[db], stored.databases[db]
            for key in sorted(set(a) | set(b)):
                if a.get(key) != b.get(key):
                    print('db%d %r: expected %s, stored %s' % (
                        db, key[:60], str(a.get(key))[:120], str(b.get(key))[:120]))

    def run(self):
        with self.server:
            self.connect()
            for number in range(self.options.rounds):
                for _ in range(self.options.steps):
                    self.step()
                if number % 3 == 0:
                    self.expiry()
                self.crash()
            info = self.server.info()
        print('model: seed=%d rounds=%d commands=%d cold reads in the last life=%s checkpoints=%s' % (
            self.options.seed, self.options.rounds, sum(self.counts.values()),
            info['cold_read_count'], info['checkpoint_count']))
        if self.options.rounds >= 3 and sum(self.counts.values()) < self.options.rounds * self.options.steps:
            raise AssertionError('too few commands were compared')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('binary')
    parser.add_argument('--seed', type=int, default=None)
    parser.add_argument('--rounds', type=int, default=6)
    parser.add_argument('--steps', type=int, default=400)
    parser.add_argument('--workers', type=int, default=1)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int(os.environ.get('KELVIN_TEST_SEED') or random.randrange(10**9))
    print('model: seed=%d workers=%d' % (options.seed, options.workers), flush=True)
    try:
        Run(options).run()
    except BaseException:
        print('model: FAILED, again with: model_test.py SERVER --seed %d --rounds %d --steps %d --workers %d' % (
            options.seed, options.rounds, options.steps, options.workers))
        raise


if __name__ == '__main__':
    main()
