#!/usr/bin/env python3
"""Keyspace notifications: which event each command publishes, in the order and with the classes of redis-server.

usage: notifications.py SERVER_BINARY [--workers N] [CASE...]

Command lines are run on redis-server too if it is installed: both publish the same.
"""
import argparse
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode, free_port  # noqa: E402
from wire import (Error, Wire, check_alive, expect, expect_equal, run_cases, wait_for)  # noqa: E402

LINES = '''
SET k v
SET k v EX 100
SET k v KEEPTTL
SET k v NX
SET other v NX GET
SET k v PXAT 99999999999999
GETSET k w
SETNX k v
SETNX new v
SETEX k 100 v
PSETEX k 100000 v
MSET a 1 b 2 k 3
MSETNX a 1 c 2
MSETNX e 1 f 2
APPEND k tail
APPEND fresh start
SETRANGE k 2 xx
SETRANGE empty 0 ""
INCR a
DECRBY a 5
INCRBYFLOAT a 1.5
GET k
GET missing
MGET k missing missing2
STRLEN missing
EXISTS missing
TTL missing
TYPE missing
GETRANGE missing 0 1
GETDEL b
GETDEL missing
GETEX k EX 100
GETEX k PERSIST
GETEX k PERSIST
GETEX a PXAT 1
EXPIRE k 100
EXPIRE missing 100
PEXPIRE k 100000
EXPIREAT k 99999999999
PERSIST k
PERSIST k
EXPIRE k -1
EXISTS k
SET k v
RENAME k l
RENAMENX l m
RENAME m m
SET k v
COPY k copied
COPY k copied REPLACE
COPY k other
MOVE k 1
MOVE missing 1
DEL copied missing m
UNLINK fresh other
TOUCH e missing
SETBIT bits 7 1
BITOP NOT target bits
BITOP AND target missing
BITFIELD bits SET u8 0 255
PFADD hll a b c
PFADD hll a b c
PFADD hll2 d
PFMERGE hll3 hll hll2
PFCOUNT missing
RPUSH list a b c
LPUSHX list z
LPUSHX missing z
LINSERT list BEFORE a x
LSET list 0 y
LREM list 1 y
LTRIM list 1 2
LPOP list
RPOP list
RPUSH list a b
LMOVE list list2 LEFT RIGHT
RPOPLPUSH list list2
LMPOP 2 list list2 LEFT COUNT 10
BLPOP list 0.001
RPUSH list a
BRPOP list 0
LRANGE missing 0 -1
HSET h a 1 b 2
HSETNX h a 1
HSETNX h c 1
HINCRBY h a 1
HINCRBYFLOAT h a 1.5
HDEL h a
HDEL h b c
HGET missing f
SADD s a b c
SADD s a
SREM s a
SMOVE s s2 b
SMOVE s s2 c
SPOP s2
SADD s1 a b
SADD s2 b c
SINTERSTORE d s1 s2
SUNIONSTORE d s1 s2
SDIFFSTORE d s1 s1
SINTERSTORE d missing s1
ZADD z 1 a 2 b 3 c 4 d 5 e
ZADD z 1 a
ZADD z INCR 1 a
ZINCRBY z 1 a
ZREM z a
ZREM z missing
ZPOPMIN z
ZPOPMAX z
ZREMRANGEBYRANK z 0 0
ZREMRANGEBYSCORE z -inf inf
ZADD z 1 a 2 b
ZRANGESTORE z2 z 0 -1
ZRANGESTORE z2 missing 0 -1
ZUNIONSTORE z3 1 z
ZINTERSTORE z3 2 z missing
ZDIFFSTORE z3 1 z
ZMPOP 1 z3 MIN COUNT 10
BZPOPMIN z 0
ZREMRANGEBYLEX z - +
GEOADD g 13 38 x
GEORADIUS g 13 38 10 km STORE g2
GEOSEARCHSTORE g3 g FROMMEMBER x BYRADIUS 10 km
XADD st 1-1 a b
XADD st MAXLEN 1 2-1 a b
XGROUP CREATE st grp 0
XGROUP CREATECONSUMER st grp c
XGROUP SETID st grp 0
XREADGROUP GROUP grp c2 COUNT 1 STREAMS st >
XGROUP DELCONSUMER st grp c
XDEL st 2-1
XTRIM st MAXLEN 0
XSETID st 9-1
XGROUP DESTROY st grp
SORT s1 ALPHA STORE sorted
SORT missing STORE sorted
FLUSHDB
SET k v PX 1
SLEEP
GET k
'''.strip().split('\n')


def events_of(port, lines, flags):
    """What each line publishes: [(line, [(pattern's channel, payload)...])]."""
    result = []
    with Wire(port) as wire, Wire(port) as listener:
        wire.call('FLUSHALL')
        expect_equal(wire.call('CONFIG', 'SET', 'notify-keyspace-events', flags), b'OK')
        wire.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
        wire.call('SELECT', 9)
        listener.call('PSUBSCRIBE', '__key*')
        listener.call('PSUBSCRIBE', 'fence')
        for line in lines:
            if line == 'SLEEP':
                time.sleep(0.01)
                continue
            args = [arg.strip('"') for arg in line.split(' ')]
            reply = wire.call(*args)
            unknown = isinstance(reply, Error) and reply.startswith((b'ERR unknown', b'ERR wrong number'))
            wire.call('PUBLISH', 'fence', 'x')
            events = []
            while True:
                message = listener.reply()
                if message[2] == b'fence':
                    break
                events.append((message[2], message[3]))
            result.append((line, None if unknown else events))
        wire.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1')
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', '')
        wire.call('FLUSHALL')
    return result


def as_redis(server):
    if shutil.which('redis-server') is None:
        print('no redis-server: not compared')
        return
    port = free_port()
    redis = subprocess.Popen(['redis-server', '--port', str(port), '--save', '', '--bind', '127.0.0.1', '--enable-debug-command', 'yes'],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=server.directory)
    try:
        def is_up():
            try:
                with Wire(port) as wire:
                    return wire.call('PING') == b'PONG'
            except OSError:
                return False
        wait_for(is_up, 'redis-server runs')
        for flags in ('AKEmn', 'KEA', 'Elg', 'K$', 'xE'):
            different = []
            for (line, got), (_, wanted) in zip(events_of(server.port, LINES, flags), events_of(port, LINES, flags)):
                if got is not None and got != wanted:
                    different.append('%s: %r, redis: %r' % (line, got, wanted))
            expect(not different, 'flags %s\n%s' % (flags, '\n'.join(different)))
    finally:
        redis.kill()
        redis.wait()


def flags(server):
    with Wire(server) as wire:
        for given, canonical in [('KEA', 'AKE'), ('', ''), ('gKE', 'gKE'), ('KA', 'AK'), ('EA', 'AE'), ('$lshzxeKE', '$lshzxeKE'),
                                 ('KEg$lshzxetdmn', 'AKEmn'), ('nmE', 'Emn'), ('gg', 'g')]:
            expect_equal(wire.call('CONFIG', 'SET', 'notify-keyspace-events', given), b'OK')
            expect_equal(wire.call('CONFIG', 'GET', 'notify-keyspace-events')[1].decode(), canonical, given)
        expect(isinstance(wire.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEy'), Error), 'an unknown class')
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', '')


def off_is_off(server):
    with Wire(server) as wire, Wire(server) as listener:
        listener.call('PSUBSCRIBE', '*')
        for setting in ('', 'K', 'E', 'A', 'KEl'):
            wire.call('CONFIG', 'SET', 'notify-keyspace-events', setting)
            wire.call('SET', 'k', 'v')
            wire.call('DEL', 'k')
        wire.call('PUBLISH', 'end', 'x')
        events = []
        while not events or events[-1][2] != b'end':
            events.append(listener.reply())
        expect_equal(len(events), 1, events)
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', '')


def expired(server):
    """Hot by the sampler, cold by the index, on time."""
    with Wire(server) as wire, Wire(server) as listener:
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', 'Ex')
        listener.call('SUBSCRIBE', '__keyevent@3__:expired')
        wire.call('SELECT', 3)
        names = {b'expiring:%d' % i for i in range(50)}
        for name in names:
            wire.call('SET', name, 'v', 'PX', 1500)
        expect_equal(wire.call('SAVE'), b'OK')
        for name in sorted(names)[:25]:
            expect_equal(wire.call('TIER', 'DEMOTE', name), 1)
        start = time.monotonic()
        got = {listener.reply()[2] for _ in names}
        expect_equal(got, names)
        expect(time.monotonic() - start < 20, 'on time')
        wire.call('CONFIG', 'SET', 'notify-keyspace-events', '')


def at_start(binary, workers):
    with Server(binary, {'workers': workers, 'notify-keyspace-events': 'KEA'}) as server, Wire(server) as wire, Wire(server) as listener:
        listener.call('PSUBSCRIBE', '__key*')
        wire.call('SET', 'k', 'v')
        expect_equal([listener.reply()[2], listener.reply()[2]], [b'__keyspace@0__:k', b'__keyevent@0__:set'])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('cases', nargs='*')
    options = parser.parse_intermixed_args()
    with Server(options.binary, {'workers': options.workers}) as server:
        cases = [(case.__name__, lambda case=case: (case(server), check_alive(server))) for case in (flags, off_is_off, as_redis, expired)]
        cases.append(('at_start', lambda: at_start(options.binary, options.workers)))
        return run_cases(cases, options.cases)


if __name__ == '__main__':
    sys.exit(main())
