"""Collections of the model: plain lists, dictionaries and sets, with what each command does to them and replies.

A value is bytes (string), list, dict of fields (hash), set, Zset or Stream; an empty collection is a key that does not exist.
"""
import copy as copying
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import ReplyError  # noqa: E402

WRONG_TYPE = ReplyError('WRONGTYPE Operation against a key holding the wrong kind of value')
NO_KEY = ReplyError('ERR no such key')
OUT_OF_RANGE = ReplyError('ERR index out of range')
NOT_INTEGER_FIELD = ReplyError('ERR hash value is not an integer')
SMALL_ID = ReplyError('ERR The ID specified in XADD is equal or smaller than the target stream top item')


class Zset(dict):
    """member -> score"""

    def rows(self):
        return sorted(self.items(), key=lambda row: (row[1], row[0]))


class Stream:
    """Entries (id, fields) in order; ids are (milliseconds, sequence)."""

    def __init__(self):
        self.entries, self.last = [], (0, 0)

    def __eq__(self, other):
        return isinstance(other, Stream) and self.entries == other.entries

    def __repr__(self):
        return 'Stream(%r)' % self.entries


class AnyOrder:
    """A reply of these elements, each `step` of them kept together, in any order."""

    def __init__(self, items, step=1):
        self.items, self.step = list(items), step

    def groups(self, items):
        return sorted(tuple(items[i:i + self.step]) for i in range(0, len(items), self.step))

    def __eq__(self, got):
        return isinstance(got, list) and self.groups(got) == self.groups(self.items)

    def __ne__(self, got):
        return not self == got

    def __repr__(self):
        return 'any order of %r' % self.items


NAMES = {bytes: b'string', list: b'list', dict: b'hash', set: b'set', Zset: b'zset', Stream: b'stream'}
KINDS = {
    bytes: 'get getset getdel getex append strlen setrange getrange incrby incr decrby incrbyfloat',
    list: 'lpush rpush lpushx rpushx lpop rpop llen lindex lset lrange ltrim lrem linsert lpos',
    dict: 'hset hsetnx hget hmget hgetall hdel hlen hexists hkeys hvals hstrlen hincrby',
    set: 'sadd srem sismember smismember scard smembers',
    Zset: 'zadd zincrby zrem zcard zscore zrank zrevrank zrange zrangebyscore zcount zpopmin zpopmax zremrangebyrank zremrangebyscore',
    Stream: 'xadd xlen xrange xdel xtrim',
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}


def text_of(score):
    return (b'%d' % score) if score == int(score) else repr(score).encode()


def id_text(number):
    return b'%d-%d' % number


def sliced(items, start, stop):
    """As Redis takes ranges: both ends belong to it."""
    size = len(items)
    start = max(start + size, 0) if start < 0 else start
    stop = stop + size if stop < 0 else min(stop, size - 1)
    return items[start:stop + 1] if start <= stop else []


class Collections:
    """Mixed into the model, which has db(session) -> {key: [value, expire_ms]}."""

    def value(self, s, key, make=None):
        """The collection, made if `make` is given; None if there is none."""
        entry = self.db(s).get(key)
        if entry is None and make is not None:
            entry = self.db(s)[key] = [make(), 0]
        return entry[0] if entry else None

    def settle(self, s, key):
        """Empty collections are no keys. Streams may be empty."""
        entry = self.db(s).get(key)
        if entry and not isinstance(entry[0], (bytes, Stream)) and not entry[0]:
            del self.db(s)[key]

    def is_kind(self, s, key, kind):
        value = self.value(s, key)
        return value is None or type(value) is kind

    # lists
    def push(self, s, key, items, left, only_if=False):
        items = list(items)
        if only_if and key not in self.db(s):
            return 0
        whole = self.value(s, key, list)
        if left:
            whole[:0] = items[::-1]
        else:
            whole.extend(items)
        return len(whole)

    def do_lpush(self, s, key, *items):
        return self.push(s, key, items, True)

    def do_rpush(self, s, key, *items):
        return self.push(s, key, items, False)

    def do_lpushx(self, s, key, *items):
        return self.push(s, key, items, True, True)

    def do_rpushx(self, s, key, *items):
        return self.push(s, key, items, False, True)

    def pop(self, s, key, count, left):
        whole = self.value(s, key)
        if whole is None:
            return None
        wanted = 1 if count is None else count
        taken = [whole.pop(0 if left else -1) for _ in range(min(wanted, len(whole)))]
        self.settle(s, key)
        return taken[0] if count is None else taken

    def do_lpop(self, s, key, count=None):
        return self.pop(s, key, count, True)

    def do_rpop(self, s, key, count=None):
        return self.pop(s, key, count, False)

    def do_llen(self, s, key):
        return len(self.value(s, key) or [])

    def do_lindex(self, s, key, index):
        whole = self.value(s, key) or []
        return whole[index] if -len(whole) <= index < len(whole) else None

    def do_lset(self, s, key, index, item):
        whole = self.value(s, key)
        if whole is None:
            return NO_KEY
        if not -len(whole) <= index < len(whole):
            return OUT_OF_RANGE
        whole[index] = item
        return b'OK'

    def do_lrange(self, s, key, start, stop):
        return sliced(self.value(s, key) or [], start, stop)

    def do_ltrim(self, s, key, start, stop):
        whole = self.value(s, key)
        if whole is not None:
            whole[:] = sliced(whole, start, stop)
            self.settle(s, key)
        return b'OK'

    def do_lrem(self, s, key, count, item):
        whole = self.value(s, key)
        if whole is None:
            return 0
        places = [i for i, one in enumerate(whole) if one == item]
        if count:
            places = places[:count] if count > 0 else places[count:]
        for i in reversed(places):
            del whole[i]
        self.settle(s, key)
        return len(places)

    def do_linsert(self, s, key, where, pivot, item):
        whole = self.value(s, key)
        if whole is None:
            return 0
        if pivot not in whole:
            return -1
        whole.insert(whole.index(pivot) + (where == 'AFTER'), item)
        return len(whole)

    def do_lpos(self, s, key, item):
        whole = self.value(s, key) or []
        return whole.index(item) if item in whole else None

    def do_lmove(self, s, source, target, side, other_side):
        whole = self.value(s, source)
        if whole is None:
            return None
        if not self.is_kind(s, source, list) or not self.is_kind(s, target, list):
            return WRONG_TYPE
        item = whole.pop(0 if side == 'LEFT' else -1)
        self.value(s, target, list).insert(0 if other_side == 'LEFT' else len(self.value(s, target)), item)
        self.settle(s, source)
        return item

    # hashes
    def do_hset(self, s, key, *pairs):
        fields = self.value(s, key, dict)
        before = len(fields)
        fields.update(zip(pairs[::2], pairs[1::2]))
        return len(fields) - before

    def do_hsetnx(self, s, key, field, value):
        fields = self.value(s, key, dict)
        if field in fields:
            return 0
        fields[field] = value
        return 1

    def do_hget(self, s, key, field):
        return (self.value(s, key) or {}).get(field)

    def do_hmget(self, s, key, *fields):
        return [(self.value(s, key) or {}).get(field) for field in fields]

    def do_hgetall(self, s, key):
        return AnyOrder([x for pair in (self.value(s, key) or {}).items() for x in pair], 2)

    def do_hkeys(self, s, key):
        return AnyOrder((self.value(s, key) or {}).keys())

    def do_hvals(self, s, key):
        return AnyOrder((self.value(s, key) or {}).values())

    def do_hdel(self, s, key, *fields):
        whole = self.value(s, key)
        if whole is None:
            return 0
        count = sum(whole.pop(field, None) is not None for field in fields)
        self.settle(s, key)
        return count

    def do_hlen(self, s, key):
        return len(self.value(s, key) or {})

    def do_hexists(self, s, key, field):
        return int(field in (self.value(s, key) or {}))

    def do_hstrlen(self, s, key, field):
        return len((self.value(s, key) or {}).get(field, b''))

    def do_hincrby(self, s, key, field, delta):
        old = (self.value(s, key) or {}).get(field, b'0')
        if str(self.integer(old)).encode() != old:
            return NOT_INTEGER_FIELD
        self.value(s, key, dict)[field] = b'%d' % (int(old) + delta)
        return int(old) + delta

    @staticmethod
    def integer(text):
        try:
            return int(text)
        except ValueError:
            return None

    # sets
    def do_sadd(self, s, key, *members):
        whole = self.value(s, key, set)
        before = len(whole)
        whole.update(members)
        return len(whole) - before

    def do_srem(self, s, key, *members):
        whole = self.value(s, key)
        if whole is None:
            return 0
        before = len(whole)
        whole.difference_update(members)
        count = before - len(whole)
        self.settle(s, key)
        return count

    def do_sismember(self, s, key, member):
        return int(member in (self.value(s, key) or ()))

    def do_smismember(self, s, key, *members):
        return [self.do_sismember(s, key, member) for member in members]

    def do_scard(self, s, key):
        return len(self.value(s, key) or ())

    def do_smembers(self, s, key):
        return AnyOrder(self.value(s, key) or ())

    def do_smove(self, s, source, target, member):
        whole = self.value(s, source)
        if whole is None:
            return 0
        if not self.is_kind(s, source, set) or not self.is_kind(s, target, set):
            return WRONG_TYPE
        if member not in whole:
            return 0
        if source != target:
            whole.discard(member)
            self.value(s, target, set).add(member)
            self.settle(s, source)
        return 1

    def combined(self, s, name, keys):
        if not all(self.is_kind(s, key, set) for key in keys):
            return WRONG_TYPE
        sets = [self.value(s, key) or set() for key in keys]
        if name == 'union':
            return set().union(*sets)
        return sets[0].intersection(*sets[1:]) if name == 'inter' else sets[0].difference(*sets[1:])

    def reply_combined(self, s, name, keys):
        result = self.combined(s, name, keys)
        return result if result is WRONG_TYPE else AnyOrder(result)

    def store_combined(self, s, name, target, keys):
        result = self.combined(s, name, keys)
        if result is WRONG_TYPE:
            return result
        self.db(s).pop(target, None)
        if result:
            self.db(s)[target] = [result, 0]
        return len(result)

    def do_sinter(self, s, *keys):
        return self.reply_combined(s, 'inter', keys)

    def do_sunion(self, s, *keys):
        return self.reply_combined(s, 'union', keys)

    def do_sdiff(self, s, *keys):
        return self.reply_combined(s, 'diff', keys)

    def do_sinterstore(self, s, target, *keys):
        return self.store_combined(s, 'inter', target, keys)

    def do_sunionstore(self, s, target, *keys):
        return self.store_combined(s, 'union', target, keys)

    def do_sdiffstore(self, s, target, *keys):
        return self.store_combined(s, 'diff', target, keys)

    # sorted sets
    def do_zadd(self, s, key, *pairs):
        whole = self.value(s, key, Zset)
        before = len(whole)
        whole.update((member, float(score)) for score, member in zip(pairs[::2], pairs[1::2]))
        return len(whole) - before

    def do_zincrby(self, s, key, delta, member):
        whole = self.value(s, key, Zset)
        whole[member] = whole.get(member, 0.0) + float(delta)
        return text_of(whole[member])

    def do_zrem(self, s, key, *members):
        whole = self.value(s, key)
        if whole is None:
            return 0
        count = sum(whole.pop(member, None) is not None for member in members)
        self.settle(s, key)
        return count

    def do_zcard(self, s, key):
        return len(self.value(s, key) or ())

    def do_zscore(self, s, key, member):
        whole = self.value(s, key) or {}
        return text_of(whole[member]) if member in whole else None

    def rows(self, s, key):
        whole = self.value(s, key)
        return whole.rows() if whole else []

    def do_zrank(self, s, key, member):
        members = [row[0] for row in self.rows(s, key)]
        return members.index(member) if member in members else None

    def do_zrevrank(self, s, key, member):
        rank = self.do_zrank(s, key, member)
        return None if rank is None else len(self.rows(s, key)) - 1 - rank

    @staticmethod
    def flat(rows, with_scores=True):
        return [x for row in rows for x in ((row[0], text_of(row[1])) if with_scores else row[:1])]

    def do_zrange(self, s, key, start, stop, *options):
        rows = self.rows(s, key)
        return self.flat(sliced(rows[::-1] if 'REV' in options else rows, start, stop), 'WITHSCORES' in options)

    def do_zrangebyscore(self, s, key, low, high, *options):
        return self.flat([r for r in self.rows(s, key) if float(low) <= r[1] <= float(high)], 'WITHSCORES' in options)

    def do_zcount(self, s, key, low, high):
        return len(self.do_zrangebyscore(s, key, low, high))

    def drop_rows(self, s, key, rows):
        for member, _ in rows:
            del self.value(s, key)[member]
        self.settle(s, key)
        return rows

    def do_zpopmin(self, s, key, count=1):
        return self.flat(self.drop_rows(s, key, self.rows(s, key)[:count]))

    def do_zpopmax(self, s, key, count=1):
        return self.flat(self.drop_rows(s, key, self.rows(s, key)[::-1][:count]))

    def do_zremrangebyrank(self, s, key, start, stop):
        return len(self.drop_rows(s, key, sliced(self.rows(s, key), start, stop)))

    def do_zremrangebyscore(self, s, key, low, high):
        return len(self.drop_rows(s, key, [r for r in self.rows(s, key) if float(low) <= r[1] <= float(high)]))

    # streams
    def do_xadd(self, s, key, number, *fields):
        number = tuple(int(part) for part in number.split(b'-'))
        stream = self.value(s, key)
        if stream is not None and number <= stream.last:
            return SMALL_ID
        stream = self.value(s, key, Stream)
        stream.entries.append((number, list(fields)))
        stream.last = number
        return id_text(number)

    def do_xlen(self, s, key):
        stream = self.value(s, key)
        return len(stream.entries) if stream else 0

    def do_xrange(self, s, key, low='-', high='+'):
        stream = self.value(s, key)
        return [[id_text(number), list(fields)] for number, fields in stream.entries] if stream else []

    def do_xdel(self, s, key, *numbers):
        stream = self.value(s, key)
        if stream is None:
            return 0
        wanted = {tuple(int(part) for part in number.split(b'-')) for number in numbers}
        before = len(stream.entries)
        stream.entries = [entry for entry in stream.entries if entry[0] not in wanted]
        return before - len(stream.entries)

    def do_xtrim(self, s, key, strategy, count):
        stream = self.value(s, key)
        if stream is None:
            return 0
        surplus = max(len(stream.entries) - count, 0)
        del stream.entries[:surplus]
        return surplus

    # of every type
    def do_type(self, s, key):
        value = self.value(s, key)
        return b'none' if value is None else NAMES[type(value)]


def copy_of(value):
    return value if isinstance(value, bytes) else copying.deepcopy(value)


def commands_of(history, k):
    """(weight, function that makes one) of collection commands; k() gives a key for a kind of collection."""
    r = history.rng

    def item():
        kind = r.random()
        if kind < 0.4:
            return b'%d' % r.randrange(-50, 50)
        return b'm%d' % r.randrange(60) if kind < 0.95 else b'x%d' % r.randrange(5) * r.randrange(100, 900)

    def items(most):
        return [item() for _ in range(r.randrange(1, most))]

    def many():
        return items(6) if r.random() < 0.95 else items(400)

    def rank():
        return r.randrange(-40, 40)

    def score():
        return r.randrange(-100, 100) / 2

    def number():
        return b'%d-%d' % (r.randrange(1, 3000), r.randrange(3))

    def pairs(first, second, most=5):
        return [x for _ in range(r.randrange(1, most) if r.random() < 0.95 else 200) for x in (first(), second())]

    return [
        (6, lambda: [r.choice(['LPUSH', 'RPUSH']), k('l')] + many()),
        (1, lambda: [r.choice(['LPUSHX', 'RPUSHX']), k('l')] + items(3)),
        (4, lambda: [r.choice(['LPOP', 'RPOP']), k('l')] + r.choice([[], [r.randrange(0, 30)]])),
        (2, lambda: ['LLEN', k('l')]),
        (2, lambda: ['LINDEX', k('l'), rank()]),
        (2, lambda: ['LSET', k('l'), rank(), item()]),
        (4, lambda: ['LRANGE', k('l'), rank(), rank()]),
        (1, lambda: ['LTRIM', k('l'), r.randrange(0, 5), r.randrange(-5, 0)]),
        (2, lambda: ['LREM', k('l'), r.randrange(-3, 4), item()]),
        (2, lambda: ['LINSERT', k('l'), r.choice(['BEFORE', 'AFTER']), item(), item()]),
        (1, lambda: ['LPOS', k('l'), item()]),
        (2, lambda: ['LMOVE', k('l'), k('l'), r.choice(['LEFT', 'RIGHT']), r.choice(['LEFT', 'RIGHT'])]),
        (6, lambda: ['HSET', k('h')] + pairs(item, item)),
        (1, lambda: ['HSETNX', k('h'), item(), item()]),
        (3, lambda: ['HGET', k('h'), item()]),
        (2, lambda: ['HMGET', k('h')] + items(6)),
        (4, lambda: [r.choice(['HGETALL', 'HKEYS', 'HVALS']), k('h')]),
        (3, lambda: ['HDEL', k('h')] + items(4)),
        (2, lambda: ['HLEN', k('h')]),
        (1, lambda: [r.choice(['HEXISTS', 'HSTRLEN']), k('h'), item()]),
        (2, lambda: ['HINCRBY', k('h'), item(), r.randrange(-1000, 1000)]),
        (6, lambda: ['SADD', k('s')] + many()),
        (3, lambda: ['SREM', k('s')] + items(5)),
        (2, lambda: ['SISMEMBER', k('s'), item()]),
        (1, lambda: ['SMISMEMBER', k('s')] + items(5)),
        (2, lambda: ['SCARD', k('s')]),
        (3, lambda: ['SMEMBERS', k('s')]),
        (2, lambda: ['SMOVE', k('s'), k('s'), item()]),
        (2, lambda: [r.choice(['SINTER', 'SUNION', 'SDIFF'])] + [k('s') for _ in range(r.randrange(1, 4))]),
        (2, lambda: [r.choice(['SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE'])] + [k('s') for _ in range(r.randrange(2, 5))]),
        (6, lambda: ['ZADD', k('z')] + pairs(score, item)),
        (2, lambda: ['ZINCRBY', k('z'), score(), item()]),
        (3, lambda: ['ZREM', k('z')] + items(4)),
        (2, lambda: [r.choice(['ZSCORE', 'ZRANK', 'ZREVRANK']), k('z'), item()]),
        (1, lambda: ['ZCARD', k('z')]),
        (4, lambda: ['ZRANGE', k('z'), rank(), rank()] + r.choice([[], ['REV'], ['WITHSCORES'], ['REV', 'WITHSCORES']])),
        (2, lambda: ['ZRANGEBYSCORE', k('z'), score(), score(), 'WITHSCORES']),
        (1, lambda: ['ZCOUNT', k('z'), score(), score()]),
        (2, lambda: [r.choice(['ZPOPMIN', 'ZPOPMAX']), k('z'), r.randrange(1, 9)]),
        (1, lambda: ['ZREMRANGEBYRANK', k('z'), rank(), rank()]),
        (1, lambda: ['ZREMRANGEBYSCORE', k('z'), score(), score()]),
        (5, lambda: ['XADD', k('x'), number()] + pairs(item, item, 3)),
        (1, lambda: ['XLEN', k('x')]),
        (2, lambda: ['XRANGE', k('x'), '-', '+']),
        (1, lambda: ['XDEL', k('x')] + [number() for _ in range(r.randrange(1, 5))]),
        (1, lambda: ['XTRIM', k('x'), 'MAXLEN', r.randrange(0, 30)]),
    ]


# How each type is read back whole, and what its reply is as a value of the model.
READERS = {
    b'string': (lambda key: ['GET', key], lambda reply: reply),
    b'list': (lambda key: ['LRANGE', key, 0, -1], list),
    b'hash': (lambda key: ['HGETALL', key], lambda reply: dict(zip(reply[::2], reply[1::2]))),
    b'set': (lambda key: ['SMEMBERS', key], set),
    b'zset': (lambda key: ['ZRANGE', key, 0, -1, 'WITHSCORES'],
              lambda reply: Zset((m, float(score)) for m, score in zip(reply[::2], reply[1::2]))),
    b'stream': (lambda key: ['XRANGE', key, '-', '+'], lambda reply: stream_of(reply)),
}


def stream_of(reply):
    stream = Stream()
    for number, fields in reply:
        stream.entries.append((tuple(int(part) for part in number.split(b'-')), fields))
    return stream
