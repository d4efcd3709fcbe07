#!/usr/bin/env python3
"""Commands about the server, its connections and transactions; and redis-cli as people use it.

usage: server_commands.py SERVER_BINARY [--workers N] [CASE...]

COMMAND INFO is compared with redis-server if that is installed (7.0 knows nearly all of it).
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Server, encode, free_port  # noqa: E402
from wire import (Closed, Error, Wire, check_alive, expect, expect_equal, info_field, is_sanitized, run_cases, wait_for)  # noqa: E402

# Every name that redis-server 7.0 gives back for CONFIG GET *, and those that 7.2 adds.
REDIS_OPTIONS = '''
acl-pubsub-default aclfile acllog-max-len active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes
active-defrag-max-scan-fields active-defrag-threshold-lower active-defrag-threshold-upper active-expire-effort activedefrag
activerehashing always-show-logo aof-load-truncated aof-rewrite-incremental-fsync aof-timestamp-enabled aof-use-rdb-preamble
aof_rewrite_cpulist appenddirname appendfilename appendfsync appendonly auto-aof-rewrite-min-size auto-aof-rewrite-percentage bgsave_cpulist
bind bind-source-addr bio_cpulist busy-reply-threshold client-output-buffer-limit client-query-buffer-limit cluster-allow-pubsubshard-when-down
cluster-allow-reads-when-down cluster-allow-replica-migration cluster-announce-bus-port cluster-announce-hostname cluster-announce-human-nodename
cluster-announce-ip cluster-announce-port cluster-announce-tls-port cluster-config-file cluster-enabled cluster-link-sendbuf-limit
cluster-migration-barrier cluster-node-timeout cluster-port cluster-preferred-endpoint-type cluster-replica-no-failover
cluster-replica-validity-factor cluster-require-full-coverage crash-log-enabled crash-memcheck-enabled daemonize databases dbfilename dir
disable-thp disque-compat dynamic-hz enable-debug-command enable-module-command enable-protected-configs
hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value hll-sparse-max-bytes hz
ignore-warnings io-threads io-threads-do-reads jemalloc-bg-thread key-load-delay latency-monitor-threshold latency-tracking
latency-tracking-info-percentiles lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del
lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor list-compress-depth list-max-listpack-size list-max-ziplist-size
locale-collate logfile loglevel lua-time-limit masterauth masteruser max-new-connections-per-cycle max-new-tls-connections-per-cycle
maxclients maxmemory maxmemory-clients maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples
min-replicas-max-lag min-replicas-to-write min-slaves-max-lag min-slaves-to-write no-appendfsync-on-rewrite notify-keyspace-events
oom-score-adj oom-score-adj-values pidfile port proc-title-template propagation-error-behavior
proto-max-bulk-len protected-mode rdb-del-sync-files rdb-save-incremental-fsync rdbchecksum rdbcompression
repl-backlog-size repl-backlog-ttl repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync repl-diskless-sync-delay
repl-diskless-sync-max-replicas repl-ping-replica-period repl-ping-slave-period repl-timeout replica-announce-ip replica-announce-port
replica-announced replica-ignore-disk-write-errors replica-ignore-maxmemory replica-lazy-flush replica-priority replica-read-only replica-serve-stale-data
replicaof requirepass sanitize-dump-payload save server_cpulist set-max-intset-entries set-max-listpack-entries set-max-listpack-value
set-proc-title shutdown-on-sigint shutdown-on-sigterm shutdown-timeout slave-announce-ip slave-announce-port slave-ignore-maxmemory
slave-lazy-flush slave-priority slave-read-only slave-serve-stale-data slaveof slowlog-log-slower-than slowlog-max-len
socket-mark-id stop-writes-on-bgsave-error stream-node-max-bytes stream-node-max-entries supervised syslog-enabled syslog-facility
syslog-ident tcp-backlog tcp-keepalive timeout tls-auth-clients tls-ca-cert-dir tls-ca-cert-file tls-cert-file tls-ciphers
tls-ciphersuites tls-client-cert-file tls-client-key-file tls-client-key-file-pass tls-cluster tls-dh-params-file tls-key-file
tls-key-file-pass tls-port tls-prefer-server-ciphers tls-protocols tls-replication tls-session-cache-size
tls-session-cache-timeout tls-session-caching tracking-table-max-keys unixsocket unixsocketperm use-exit-on-panic watchdog-period
zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries zset-max-ziplist-value
'''.split()
# Hidden options of Redis, or of later versions: nice to have, not asked for.
OPTIONAL = {'disque-compat', 'max-new-connections-per-cycle', 'max-new-tls-connections-per-cycle', 'key-load-delay', 'use-exit-on-panic',
            'watchdog-period', 'enable-protected-configs'}


def clean(server):
    wire = Wire(server)
    wire.call('FLUSHALL')
    return wire


def config(wire, *patterns):
    reply = wire.call('CONFIG', 'GET', *patterns)
    return {reply[i].decode(): reply[i + 1].decode() for i in range(0, len(reply), 2)}


# --- CONFIG -----------------------------------------------------------------------------------------------------

def config_get(server):
    with clean(server) as wire:
        expect_equal(config(wire, 'databases'), {'databases': '16'})
        expect_equal(config(wire, 'DataBases'), {'DataBases': '16'}, 'as it was spelled')
        expect_equal(sorted(config(wire, 'maxmemory*')),
                     ['maxmemory', 'maxmemory-clients', 'maxmemory-eviction-tenacity', 'maxmemory-policy', 'maxmemory-samples'])
        expect_equal(sorted(config(wire, 'timeout', 'tcp-k*', 'nothing', 'timeout')), ['tcp-keepalive', 'timeout'])
        expect_equal(config(wire, 'nothing'), {})
        expect_equal(config(wire, '[hz]z'), {'hz': '10'})
        everything = config(wire, '*')
        expect(len(everything) > 190, 'all options: %d' % len(everything))
        expect_equal(config(wire, 'bind')['bind'], '127.0.0.1')
        expect_equal(config(wire, 'port')['port'], str(server.port))


def every_redis_option_is_known(server):
    with clean(server) as wire:
        missing = [name for name in REDIS_OPTIONS if name not in OPTIONAL and name not in config(wire, name)]
        expect_equal(missing, [])


def config_sanity(server):
    """Whatever CONFIG GET gives, CONFIG SET takes, unless it cannot change while the server runs."""
    with clean(server) as wire:
        fixed = 0
        for name, value in config(wire, '*').items():
            reply = wire.call('CONFIG', 'SET', name, value)
            if isinstance(reply, Error) and reply.endswith((b"can't set immutable config", b"can't set protected config")):
                fixed += 1
            else:
                expect_equal(reply, b'OK', '%s = %r' % (name, value))
        expect(fixed < 60, '%d cannot change' % fixed)


def config_set(server):
    with clean(server) as wire:
        before = config(wire, 'timeout', 'maxmemory', 'hz')
        expect_equal(wire.call('CONFIG', 'SET', 'timeout', '100', 'hz', '20', 'maxmemory', '1gb'), b'OK', 'several')
        expect_equal(config(wire, 'timeout', 'hz', 'maxmemory'),
                     {'timeout': '100', 'hz': '20', 'maxmemory': '1073741824'})
        for text, number in [('1k', 1000), ('1kb', 1024), ('2m', 2000000), ('2MB', 2097152), ('3g', 3000000000), ('7', 7), ('7b', 7)]:
            expect_equal(wire.call('CONFIG', 'SET', 'maxmemory', text), b'OK')
            expect_equal(config(wire, 'maxmemory')['maxmemory'], str(number), text)
        expect_equal(wire.call('CONFIG', 'SET', *sum(([k, v] for k, v in before.items()), [])), b'OK')
        failed = b"ERR CONFIG SET failed (possibly related to argument '%s') - %s"
        for args, error in [
                (['nothing', 1], b"ERR Unknown option or number of arguments for CONFIG SET - 'nothing'"),
                (['timeout', '1', 'nothing', 1], b"ERR Unknown option or number of arguments for CONFIG SET - 'nothing'"),
                (['timeout', '1', 'timeout', '2'], failed % (b'timeout', b'duplicate parameter')),
                (['timeout', 'x'], failed % (b'timeout', b"argument couldn't be parsed into an integer")),
                (['timeout', '-1'], failed % (b'timeout', b'argument must be between 0 and 2147483647 inclusive')),
                (['hz', '20', 'maxmemory', 'lots'], failed % (b'maxmemory', b'argument must be a memory value')),
                (['maxmemory', '1mb', 'port', 'x'], failed % (b'port', b"argument couldn't be parsed into an integer")),
                (['databases', '17'], failed % (b'databases', b"can't set immutable config")),
                (['appendfsync', 'sometimes'], None),
                (['lazyfree-lazy-user-del', 'maybe'], failed % (b'lazyfree-lazy-user-del', b"argument must be 'yes' or 'no'")),
                (['timeout', '1', 'maxmemory-policy', 'random'], None),
                (['client-output-buffer-limit', 'nobody 1 1 1'], None),
                (['save', 'x y'], failed % (b'save', b'Invalid save parameters'))]:
            reply = wire.call('CONFIG', 'SET', *args)
            expect(isinstance(reply, Error), 'refused: %r' % args)
            if error is not None:
                expect_equal(reply, error, args)
        expect_equal(wire.call('CONFIG', 'SET', 'timeout'), b"ERR wrong number of arguments for 'config|set' command")
        expect_equal(wire.call('CONFIG', 'SET', 'timeout', 1, 'hz'), b'ERR syntax error')
        expect_equal(config(wire, 'timeout', 'maxmemory', 'hz'), before, 'all or nothing')
        enums = wire.call('CONFIG', 'SET', 'appendfsync', 'sometimes')
        expect(b'always' in enums and b'everysec' in enums, 'the words allowed are named: %r' % enums)
        expect_equal(wire.call('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 1mb 2mb 30'), b'OK')
        expect('pubsub 1048576 2097152 30' in config(wire, 'client-output-buffer-limit')['client-output-buffer-limit'], 'classes')
        expect(config(wire, 'client-output-buffer-limit')['client-output-buffer-limit'].startswith('normal 0 0 0 '), 'others stay')
        # Aliases are one option.
        wire.call('CONFIG', 'SET', 'slave-priority', '77')
        expect_equal(config(wire, 'replica-priority'), {'replica-priority': '77'})


def config_rewrite(binary, options):
    with Server(binary, options) as plain:
        with Wire(plain) as wire:
            expect_equal(wire.call('CONFIG', 'REWRITE'), b'ERR The server is running without a config file')
    server = Server(binary)
    path = os.path.join(server.directory, 'kelvin.conf')
    with open(path, 'w') as file:
        file.write('# My server\nport %d\nbind 127.0.0.1\ndir "%s"\n\n# Idle clients\ntimeout 5\nmaxmemory-policy noeviction\n' %
                   (server.port, os.path.join(server.directory, 'data')))
    start_with_file(server, path)
    try:
        with Wire(server) as wire:
            expect_equal(info_field(wire, 'config_file'), os.path.realpath(path))
            expect_equal(wire.call('CONFIG', 'SET', 'timeout', '0', 'maxclients', '500', 'requirepass', 'a "b" c'), b'OK')
            expect_equal(wire.call('CONFIG', 'REWRITE'), b'OK')
            with open(path) as file:
                text = file.read()
            expect('# My server' in text and '# Idle clients' in text, 'comments stay')
            expect('maxclients 500' in text and 'timeout 5' not in text, 'values are new: %s' % text)
            wire.send(encode(['SHUTDOWN']))
            wire.rest()
        server.process.wait(30)
        start_with_file(server, path)
        with Wire(server) as wire:
            expect_equal(wire.call('PING'), b'NOAUTH Authentication required.')
            expect_equal(wire.call('AUTH', 'a "b" c'), b'OK')
            expect_equal(config(wire, 'timeout', 'maxclients'), {'timeout': '0', 'maxclients': '500'})
    finally:
        server.remove()


def start_with_file(server, path, arguments=(), limit_s=60):
    with open(server.log_path, 'ab') as log:
        start = log.tell()
        server.process = subprocess.Popen([server.binary, path] + list(arguments), stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        with open(server.log_path, 'rb') as log:
            log.seek(start)
            text = log.read()
        if b'Ready to accept connections' in text or server.process.poll() is not None:
            return text.decode(errors='replace')
        time.sleep(0.01)
    server.fail('not ready')


def bad_configuration_at_start(binary, options):
    """A name nobody knows, a bad value: refused with the line and the nearest name."""
    server = Server(binary)
    path = os.path.join(server.directory, 'kelvin.conf')
    try:
        for line, words in [('maxmemry 100mb', ['maxmemory', '2', 'maxmemry']), ('port 99999', ['2', 'between 0 and 65535']),
                            ('timeout', ['2']), ('save 60', ['2']), ('appendfsync perhaps', ['2']), ('dir "unbalanced', ['2'])]:
            with open(path, 'w') as file:
                file.write('# one comment\n%s\n' % line)
            text = start_with_file(server, path)
            expect(server.process.wait(10) != 0, 'refused: %s' % line)
            for word in words:
                expect(word in text, '%r names %r: %s' % (line, word, text))
        for arguments in [['--maxmemry', '1mb'], ['--port', 'x'], ['/does/not/exist.conf']]:
            result = subprocess.run([binary] + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
            expect(result.returncode != 0, 'refused: %r' % arguments)
        with open(path, 'w') as file:
            file.write('port %d\nbind 127.0.0.1\ndir %s\nhash-max-ziplist-entries 64\nio-threads 4\nsave 900 1 300 10\n' %
                       (server.port, os.path.join(server.directory, 'data')))
        text = start_with_file(server, path, ['--timeout', '7'])
        expect(' PID: %d' % server.process.pid in text and 'Ready to accept connections' in text, 'it starts')
        expect('io-threads' in text, 'options without effect are noticed in the log')
        with Wire(server) as wire:
            expect_equal(config(wire, 'hash-max-listpack-entries', 'io-threads', 'save', 'timeout'),
                         {'hash-max-listpack-entries': '64', 'io-threads': '4', 'save': '900 1 300 10', 'timeout': '7'})
        taken = Server(binary)
        taken.port = server.port
        taken.start(expect_failure=True)
        expect('Failed listening on port %d' % server.port in taken.log(), 'a port that is taken')
        taken.remove()
    finally:
        server.remove()


def config_resetstat(server):
    with clean(server) as wire:
        wire.pipeline([['SET', 'k', 'v'], ['GET', 'k'], ['GET', 'none'], ['nonsense']])
        expect(int(info_field(wire, 'total_commands_processed')) > 3, 'counted')
        expect(int(info_field(wire, 'keyspace_misses')) > 0, 'misses')
        expect_equal(wire.call('CONFIG', 'RESETSTAT'), b'OK')
        expect(int(info_field(wire, 'total_commands_processed')) < 3, 'commands')
        expect_equal([info_field(wire, name) for name in ['keyspace_hits', 'keyspace_misses', 'total_error_replies', 'expired_keys']],
                     ['0'] * 4)
        wait_for(lambda: info_field(wire, 'connected_clients') == '1', 'gauges stay')
        stats = wire.call('INFO', 'commandstats')
        expect(b'cmdstat_get:' not in stats, 'commandstats')
        expect_equal(wire.call('INFO', 'errorstats'), b'# Errorstats\r\n')


def options_take_effect(server):
    with clean(server) as wire:
        # The port can change while the server runs; connections stay.
        old, new = server.port, free_port()
        expect_equal(wire.call('CONFIG', 'SET', 'port', new), b'OK')
        server.port = new
        try:
            check_alive(server)
            expect_equal(wire.call('PING'), b'PONG')
            wait_for(lambda: not is_listening(old), 'the old port is given up')
            with socket.socket() as holder:
                holder.bind(('127.0.0.1', 0))
                holder.listen()
                reply = wire.call('CONFIG', 'SET', 'port', holder.getsockname()[1], 'timeout', 3)
                expect(reply.startswith(b"ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port"),
                       'a port that is taken: %r' % reply)
                expect_equal(config(wire, 'port', 'timeout'), {'port': str(new), 'timeout': '0'}, 'all is as before')
            check_alive(server)
            expect_equal(wire.call('CONFIG', 'SET', 'bind', '127.0.0.1 -::1'), b'OK')
            check_alive(server)
            reply = wire.call('CONFIG', 'SET', 'bind', '999.999.999.999')
            expect(isinstance(reply, Error), 'no such address')
            check_alive(server)
        finally:
            expect_equal(wire.call('CONFIG', 'SET', 'port', old, 'bind', '127.0.0.1'), b'OK')
            server.port = old


def is_listening(port):
    try:
        socket.create_connection(('127.0.0.1', port), 5).close()
        return True
    except OSError:
        return False


# --- CLIENT ------------------------------------------------------------------------------------------------------

CLIENT_LINE = re.compile(
    rb'id=(\d+) addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:\d+ fd=\d+ name=(\S*) age=\d+ idle=\d+ flags=(\w+) db=(\d+) sub=0 psub=0 '
    rb'ssub=0 multi=(-?\d+) qbuf=(\d+) qbuf-free=\d+ argv-mem=(\d+) multi-mem=(\d+) rbs=\d+ rbp=\d+ obl=0 oll=0 omem=\d+ tot-mem=\d+ '
    rb'events=r cmd=(\S+) user=default redir=-1 resp=(\d) lib-name=(\S*) lib-ver=(\S*)')


def client_line(text):
    match = CLIENT_LINE.fullmatch(text.rstrip(b'\n'))
    expect(match is not None, 'a line of CLIENT LIST: %r' % text)
    return match.groups()


def client_info_and_list(server):
    with clean(server) as wire, Wire(server) as other:
        other.pipeline([['CLIENT', 'SETNAME', 'other'], ['SELECT', 3], ['CLIENT', 'SETINFO', 'LIB-NAME', 'lib'],
                        ['CLIENT', 'SETINFO', 'lib-ver', '1.2'], ['MULTI'], ['SET', 'a', 'b']])
        expect_equal(other.call('MULTI'), b'ERR MULTI calls can not be nested')
        expect_equal(other.call('DISCARD'), b'OK')
        me, them = wire.call('CLIENT', 'ID'), other.call('CLIENT', 'ID')
        expect(them > me, 'ids grow')
        line = client_line(wire.call('CLIENT', 'INFO'))
        expect_equal(line[:5], (b'%d' % me, b'', b'N', b'0', b'-1'))
        expect_equal(line[5], b'26', 'qbuf: the bytes of CLIENT INFO itself')
        expect_equal(line[6:10], (b'10', b'0', b'client|info', b'2'))
        lines = wire.call('CLIENT', 'LIST').split(b'\n')
        expect_equal(lines[-1], b'', 'ends in a newline')
        found = {client_line(text)[0]: client_line(text) for text in lines[:-1]}
        expect_equal(sorted(found), sorted([b'%d' % me, b'%d' % them]))
        expect_equal(found[b'%d' % me][2], b'N', 'who asks is not blocked')
        expect_equal(found[b'%d' % me][8], b'client|list')
        expect_equal(found[b'%d' % them][1:4], (b'other', b'N', b'3'))
        expect_equal(found[b'%d' % them][8:], (b'client|id', b'2', b'lib', b'1.2'))
        other.pipeline([['MULTI'], ['SET', 'a', 'b'], ['GET', 'a']])
        line = client_line(wire.call('CLIENT', 'LIST', 'ID', them, 999999))
        expect_equal((line[2], line[4]), (b'x', b'2'), 'in a transaction of two')
        expect(int(line[7]) > 0, 'multi-mem')
        expect_equal(wire.call('CLIENT', 'LIST', 'TYPE', 'pubsub'), b'')
        expect_equal(wire.call('CLIENT', 'LIST', 'TYPE', 'NORMAL').count(b'\n'), 2)
        expect_equal(wire.call('CLIENT', 'LIST', 'TYPE', 'robot'), b"ERR Unknown client type 'robot'")
        expect_equal(wire.call('CLIENT', 'LIST', 'ID', 'x'), b'ERR Invalid client ID')
        expect_equal(wire.call('CLIENT', 'LIST', 'ID'), b'ERR syntax error')
        other.pipeline([['DISCARD'], ['CLIENT', 'NO-EVICT', 'ON'], ['CLIENT', 'NO-TOUCH', 'ON'], ['HELLO', '3']])
        line = client_line(wire.call('CLIENT', 'LIST', 'ID', them))
        expect_equal((line[2], line[9]), (b'eT', b'3'))
        # Many at once, on every worker, in order of their ids.
        crowd = [Wire(server) for _ in range(50)]
        for number, one in enumerate(crowd):
            one.call('CLIENT', 'SETNAME', 'n%d' % number)
        ids = [int(client_line(text)[0]) for text in wire.call('CLIENT', 'LIST').split(b'\n')[:-1]]
        expect_equal(len(ids), 52)
        expect_equal(ids, sorted(ids))
        for one in crowd:
            one.close()


def client_names(server):
    bad = b'ERR Client names cannot contain spaces, newlines or special characters.'
    with clean(server) as wire:
        expect_equal(wire.call('CLIENT', 'GETNAME'), None)
        expect_equal(wire.call('CLIENT', 'SETNAME', 'one'), b'OK')
        for name in ['a b', 'a\n', 'a\x7f', '\xe9'.encode('latin1')]:
            expect_equal(wire.call('CLIENT', 'SETNAME', name), bad)
        expect_equal(wire.call('CLIENT', 'GETNAME'), b'one')
        expect_equal(wire.call('CLIENT', 'SETNAME', ''), b'OK')
        expect_equal(wire.call('CLIENT', 'GETNAME'), None)
        expect_equal(wire.call('CLIENT', 'SETINFO', 'lib-name', 'a b'),
                     b'ERR lib-name cannot contain spaces, newlines or special characters.')
        expect_equal(wire.call('CLIENT', 'SETINFO', 'lib', 'a'), b"ERR Unrecognized option 'lib'")


def client_kill(server):
    def alive(wire):
        try:
            return wire.call('PING') == b'PONG'
        except Exception:
            return False

    with clean(server) as wire:
        def victims(count=2):
            wires = [Wire(server) for _ in range(count)]
            for one in wires:
                expect_equal(one.call('PING'), b'PONG')  # accepted by now
            return wires

        expect_equal(wire.call('CLIENT', 'KILL', '127.0.0.1:1'), b'ERR No such client')
        expect_equal(wire.call('CLIENT', 'KILL', 'ID', 99999999), 0)
        a, b = victims()
        expect_equal(wire.call('CLIENT', 'KILL', '127.0.0.1:%d' % a.socket.getsockname()[1]), b'OK', 'by address, the old form')
        expect_equal((alive(a), alive(b)), (False, True))
        a, = victims(1)
        expect_equal(wire.call('CLIENT', 'KILL', 'ADDR', '127.0.0.1:%d' % a.socket.getsockname()[1]), 1)
        expect_equal(wire.call('CLIENT', 'KILL', 'ID', b.call('CLIENT', 'ID')), 1)
        expect_equal((alive(a), alive(b)), (False, False))
        a, b = victims()
        # A waiting victim goes too, and has done nothing.
        a.send(encode(['MULTI']) + encode(['SET', 'victim', 1]))
        a.reply(), a.reply()
        expect_equal(wire.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'), 2)
        expect_equal((alive(a), alive(b), alive(wire)), (False, False, True))
        expect_equal(wire.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), 0)
        expect_equal(wire.call('CLIENT', 'KILL', 'USER', 'default', 'LADDR', '127.0.0.1:1'), 0)
        expect_equal(wire.call('CLIENT', 'KILL', 'USER', 'nobody'), b"ERR No such user 'nobody'")
        expect_equal(wire.call('CLIENT', 'KILL', 'ID', '-1'), b'ERR client-id should be greater than 0')
        expect_equal(wire.call('CLIENT', 'KILL', 'TYPE', 'x'), b"ERR Unknown client type 'x'")
        expect_equal(wire.call('CLIENT', 'KILL', 'ID'), b'ERR No such client')
        expect_equal(wire.call('CLIENT', 'KILL', 'ID', 1, 'x'), b'ERR syntax error')
        expect_equal(wire.call('CLIENT', 'KILL', 'x', 'y'), b'ERR syntax error')
        expect_equal(wire.call('EXISTS', 'victim'), 0)
        # One kills itself: the reply comes, then the end.
        a, = victims(1)
        a.send(encode(['CLIENT', 'KILL', 'ID', a.call('CLIENT', 'ID'), 'SKIPME', 'no']))
        expect_equal(a.rest(), b':1\r\n')
        wait_for(lambda: info_field(wire, 'connected_clients') == '1', 'all are gone')


# --- COMMAND --------------------------------------------------------------------------------------------------------

def table(wire):
    rows = {}
    for row in wire.call('COMMAND'):
        rows[row[0].decode()] = row
        for sub in row[9]:
            rows[sub[0].decode()] = sub
    return rows


# What 7.2 changed or what Redis adds for its own use. name: fields
KNOWN_DIFFERENCES = {
    'command|getkeys': {'arity'},          # 7.2: -3, any command of one argument
    'command|getkeysandflags': {'arity'},
    'zrank': {'arity'}, 'zrevrank': {'arity'}, # 7.2: WITHSCORE
    'set': {'notes'}, 'getex': {'notes'},  # prose in the key specification
}
FIELDS = ['name', 'arity', 'flags', 'first key', 'last key', 'step', 'categories', 'tips', 'key specifications']


def command_info_is_that_of_redis(server):
    redis = shutil.which('redis-server')
    if redis is None:
        print('skip  command_info_is_that_of_redis: no redis-server')
        return
    port = free_port()
    process = subprocess.Popen([redis, '--port', str(port), '--bind', '127.0.0.1', '--save', '', '--dir', server.directory],
                               stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_listening(port), 'redis-server is there')
        with Wire(server) as ours, Wire(port) as theirs:
            ours.call('HELLO', 3)
            theirs.call('HELLO', 3)
            mine, other = table(ours), table(theirs)
            common = sorted(set(mine) & set(other))
            expect(len(common) > 100, 'only %d in common' % len(common))
            differences = []
            for name in common:
                known = KNOWN_DIFFERENCES.get(name, set())
                for index, field in enumerate(FIELDS):
                    a, b = mine[name][index], other[name][index]
                    if 'notes' in known and index == 8:
                        b = [{key: value for key, value in spec.items() if key != b'notes'} for spec in b]
                    if a != b and field not in known:
                        differences.append((name, field, a, b))
            expect_equal(differences, [])
    finally:
        process.terminate()
        process.wait()


def command_subcommands(server):
    with clean(server) as wire:
        names = wire.call('COMMAND', 'LIST')
        count = wire.call('COMMAND', 'COUNT')
        expect_equal(len(wire.call('COMMAND')), count)
        expect_equal(len([name for name in names if b'|' not in name]), count)
        expect_equal(len(wire.call('COMMAND', 'INFO')), count)
        info = wire.call('COMMAND', 'INFO', 'get', 'nothing', 'CLIENT|LIST', 'config|nothing')
        expect_equal([info[0][0], info[1], info[2][0], info[3]], [b'get', None, b'client|list', None])
        docs = wire.call('COMMAND', 'DOCS', 'get', 'nothing', 'object|freq')
        expect_equal(docs[0::2], [b'get', b'object|freq'])
        expect_equal(docs[1][0:8:2], [b'summary', b'since', b'group', b'complexity'])
        expect_equal(docs[1][3:7:2], [b'1.0.0', b'string'])
        expect(len(wire.call('COMMAND', 'DOCS')) == 2 * count, 'all')
        for name in names:
            row = wire.call('COMMAND', 'DOCS', name)
            expect(row[1][1].endswith((b'.', b'?')) and len(row[1][1]) > 10, 'a summary: %r' % row[:2])
        expect_equal(wire.call('COMMAND', 'LIST', 'FILTERBY', 'PATTERN', 'xx*'), [])
        expect_equal(sorted(wire.call('COMMAND', 'LIST', 'FILTERBY', 'PATTERN', 'mset*')), [b'mset', b'msetnx'])
        dangerous = wire.call('COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'dangerous')
        expect(b'flushall' in dangerous and b'get' not in dangerous, 'by category')
        expect_equal(wire.call('COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'nothing'), [])
        expect_equal(wire.call('COMMAND', 'LIST', 'FILTERBY', 'MODULE', 'm'), [])
        expect_equal(wire.call('COMMAND', 'LIST', 'bad'), b'ERR syntax error')
        for command, keys in [(['GET', 'a'], [b'a']), (['MSET', 'a', 1, 'b', 2], [b'a', b'b']), (['DEL', 'a', 'b', 'c'], [b'a', b'b', b'c']),
                              (['MEMORY', 'USAGE', 'k'], [b'k']), (['OBJECT', 'FREQ', 'k'], [b'k']), (['RENAME', 'a', 'b'], [b'a', b'b']),
                              (['MOVE', 'k', '1'], [b'k']), (['COPY', 'a', 'b', 'DB', '2'], [b'a', b'b']), (['LCS', 'a', 'b'], [b'a', b'b'])]:
            expect_equal(wire.call('COMMAND', 'GETKEYS', *command), keys, command)
        expect_equal(wire.call('COMMAND', 'GETKEYS', 'PING'), b'ERR The command has no key arguments')
        expect_equal(wire.call('COMMAND', 'GETKEYS', 'nothing', 'a'), b'ERR Invalid command specified')
        expect_equal(wire.call('COMMAND', 'GETKEYS', 'GET'), b'ERR Invalid number of arguments specified for command')
        expect_equal(wire.call('COMMAND', 'GETKEYSANDFLAGS', 'RENAME', 'a', 'b'),
                     [[b'a', [b'RW', b'access', b'delete']], [b'b', [b'OW', b'update']]])


def help_texts(server):
    with clean(server) as wire:
        for container in ['CLIENT', 'COMMAND', 'CONFIG', 'MEMORY', 'OBJECT', 'DEBUG', 'FUNCTION', 'TIER']:
            lines = wire.call(container, 'HELP')
            expect(lines[0] == b'%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' % container.encode() and
                   lines[-2:] == [b'HELP', b'    Prints this help.'], 'HELP of %s: %r' % (container, lines))


# --- INFO ------------------------------------------------------------------------------------------------------------

INFO_FIELDS = {
    'Server': 'redis_version redis_mode os arch_bits process_id run_id tcp_port uptime_in_seconds uptime_in_days hz config_file executable '
              'io_threads_active kelvin_version server_time_usec',
    'Clients': 'connected_clients maxclients blocked_clients tracking_clients client_recent_max_input_buffer '
               'client_recent_max_output_buffer',
    'Memory': 'used_memory used_memory_human used_memory_rss used_memory_peak used_memory_lua used_memory_dataset used_memory_overhead '
              'used_memory_startup maxmemory maxmemory_human maxmemory_policy mem_fragmentation_ratio mem_clients_normal mem_clients_slaves '
              'mem_aof_buffer mem_not_counted_for_evict allocator_allocated allocator_active allocator_resident mem_allocator',
    'Persistence': 'loading async_loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status '
                   'rdb_last_bgsave_time_sec rdb_last_cow_size aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled '
                   'aof_last_write_status aof_last_bgrewrite_status aof_current_size aof_base_size aof_delayed_fsync aof_pending_bio_fsync',
    'Stats': 'total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes total_net_output_bytes '
             'instantaneous_input_kbps instantaneous_output_kbps rejected_connections sync_full sync_partial_ok sync_partial_err expired_keys '
             'evicted_keys evicted_clients keyspace_hits keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec '
             'total_error_replies storage_provider_read_hits storage_provider_read_misses',
    'Replication': 'role connected_slaves master_replid master_replid2 master_repl_offset second_repl_offset repl_backlog_active '
                   'repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen',
    'CPU': 'used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children',
    'Modules': '', 'Errorstats': '', 'Cluster': 'cluster_enabled', 'Keyspace': 'db0',
    'Tier': 'hot_record_bytes hot_limit_bytes cold_record_count cold_read_count cold_corrupt_count',
    'Log': 'log_end_lsn log_durable_lsn log_health', 'Checkpoint': 'checkpoint_lsn checkpoint_last_status',
    'Prefetch': 'prefetch_issued_count prefetch_useful_count',
}


def info_sections(text):
    sections, name = {}, None
    for line in text.decode().split('\r\n'):
        if line.startswith('# '):
            name = line[2:]
            sections[name] = {}
        elif line:
            key, value = line.split(':', 1)
            sections[name][key] = value
    return sections


def info(server):
    with clean(server) as wire:
        wire.call('SET', 'k', 'v', 'EX', 1000)
        sections = info_sections(wire.call('INFO'))
        for name, fields in INFO_FIELDS.items():
            expect(name in sections, 'section %s' % name)
            for field in fields.split():
                expect(field in sections[name], 'field %s of %s' % (field, name))
        expect('Commandstats' not in sections, 'not by default')
        expect(re.fullmatch(r'keys=1,expires=1,avg_ttl=\d+', sections['Keyspace']['db0']), sections['Keyspace']['db0'])
        expect(sections['Server']['redis_version'].startswith('7.2.'), 'a version that clients know')
        expect_equal(sections['Server']['process_id'], str(server.process.pid))
        expect(re.fullmatch('[0-9a-f]{40}', sections['Server']['run_id']), 'run_id')
        expect_equal(list(info_sections(wire.call('INFO', 'SERVER'))), ['Server'])
        expect_equal(list(info_sections(wire.call('INFO', 'cpu', 'server'))), ['Server', 'CPU'])
        for word in ['all', 'everything']:
            expect('Commandstats' in info_sections(wire.call('INFO', word)), word)
        expect_equal(list(info_sections(wire.call('INFO', 'default'))), list(sections))
        expect_equal(wire.call('INFO', 'nothing'), b'')
        wire.call('GET', 'k')
        wire.call('GET')
        wire.call('INCR', 'k')
        stats = info_sections(wire.call('INFO', 'commandstats'))['Commandstats']
        expect(re.fullmatch(r'calls=\d+,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=[1-9]\d*,failed_calls=0', stats['cmdstat_get']),
               stats['cmdstat_get'])
        expect(re.search('failed_calls=[1-9]', stats['cmdstat_incr']), stats['cmdstat_incr'])
        expect(re.fullmatch(r'count=\d+', info_sections(wire.call('INFO', 'errorstats'))['Errorstats']['errorstat_ERR']), 'errorstat')
        before = int(info_field(wire, 'total_net_input_bytes'))
        wire.call('SET', 'big', 'x' * 100000)
        expect(int(info_field(wire, 'total_net_input_bytes')) - before > 100000, 'bytes are counted')


# --- transactions -------------------------------------------------------------------------------------------------------

def transactions(server):
    with clean(server) as wire:
        expect_equal(wire.pipeline([['MULTI'], ['SET', 'a', 1], ['INCR', 'a'], ['GET', 'none'], ['PING'], ['EXEC']]),
                     [b'OK'] + [b'QUEUED'] * 4 + [[b'OK', 2, None, b'PONG']])
        expect_equal(wire.pipeline([['MULTI'], ['EXEC']]), [b'OK', []], 'empty')
        expect_equal(wire.call('EXEC'), b'ERR EXEC without MULTI')
        expect_equal(wire.call('DISCARD'), b'ERR DISCARD without MULTI')
        expect_equal(wire.pipeline([['MULTI'], ['SET', 'a', 9], ['DISCARD'], ['GET', 'a']]), [b'OK', b'QUEUED', b'OK', b'2'])
        # Errors while queueing abort; errors while running don't.
        abort = b'EXECABORT Transaction discarded because of previous errors.'
        for bad in [['nonsense'], ['GET'], ['CLIENT', 'nonsense'], ['SAVE'], ['SHUTDOWN']]:
            replies = wire.pipeline([['MULTI'], ['SET', 'a', 9], bad, ['EXEC'], ['GET', 'a']])
            expect(isinstance(replies[2], Error), 'refused: %r' % bad)
            expect_equal(replies[3:], [abort, b'2'], bad)
        expect_equal(wire.pipeline([['MULTI'], ['SAVE'], ['DISCARD']])[1], b'ERR Command not allowed inside a transaction')
        replies = wire.pipeline([['MULTI'], ['SET', 'b', 'x'], ['INCR', 'b'], ['SET', 'c', 'y'], ['EXEC']])
        expect_equal(replies[4], [b'OK', b'ERR value is not an integer or out of range', b'OK'])
        expect(isinstance(replies[4][1], Error), 'an error inside')
        expect_equal(wire.pipeline([['MULTI'], ['MULTI'], ['WATCH', 'a'], ['SET', 'a', 3], ['EXEC']]),
                     [b'OK', b'ERR MULTI calls can not be nested', b'ERR WATCH inside MULTI is not allowed', b'QUEUED', [b'OK']])
        # What happens to the connection itself happens inside.
        expect_equal(wire.pipeline([['MULTI'], ['SELECT', 1], ['SET', 'one', 1], ['SELECT', 2], ['SET', 'two', 2], ['DBSIZE'], ['EXEC'],
                                    ['DBSIZE'], ['SELECT', 1], ['GET', 'one'], ['SELECT', 0]])[6:],
                     [[b'OK', b'OK', b'OK', b'OK', 1], 1, b'OK', b'1', b'OK'])
        expect_equal(wire.pipeline([['MULTI'], ['FLUSHALL'], ['SET', 'k', 'v'], ['DBSIZE'], ['KEYS', '*'], ['RANDOMKEY'], ['EXEC']])[-1],
                     [b'OK', b'OK', 1, [b'k'], b'k'])
        replies = wire.pipeline([['MULTI'], ['CLIENT', 'LIST'], ['CLIENT', 'SETNAME', 'x'], ['CLIENT', 'KILL', 'ID', 99999],
                                 ['INFO', 'server'], ['CONFIG', 'GET', 'hz'], ['COMMAND', 'COUNT'], ['BGSAVE'], ['EXEC']])[-1]
        expect(replies[0].startswith(b'id=') and replies[1:3] == [b'OK', 0] and replies[4] == [b'hz', b'10'], 'server commands: %r' % replies)
        # A queue longer than a batch, of keys in many places.
        queue = [['INCRBY', 'n%d' % (i % 1000), i] for i in range(20000)]
        replies = wire.pipeline([['MULTI']] + queue + [['EXEC']])
        expect_equal(len(replies[-1]), 20000)
        expect_equal(sum(replies[-1][-1000:]), sum(range(20000)))
        expect_equal(wire.call('DBSIZE'), 1001)


def transactions_are_atomic(server):
    """Two keys that always change together are never seen apart."""
    with clean(server) as a, Wire(server) as b, Wire(server) as reader:
        for i in range(300):
            a.send(encode(['MULTI']) + encode(['SET', 'x', i]) + encode(['SET', 'y', i]) + encode(['EXEC']))
            b.send(encode(['MULTI']) + encode(['SET', 'y', -i]) + encode(['SET', 'x', -i]) + encode(['EXEC']))
            x, y = reader.call('MGET', 'x', 'y')
            expect_equal(x, y, 'torn')
            for wire in (a, b):
                expect_equal([wire.reply() for _ in range(4)][-1], [b'OK', b'OK'])


def watch(server):
    with clean(server) as wire, Wire(server) as other:
        def exec_after(watched, *changes):
            """True if the transaction ran although these happened between WATCH and EXEC."""
            wire.call('WATCH', *watched)
            for change in changes:
                reply = other.call(*change)
                expect(not isinstance(reply, Error), '%r: %r' % (change, reply))
            return wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1] is not None

        other.pipeline([['SET', 'k', 1], ['SET', 'other', 1], ['SET', 'late', 1]])
        expect(exec_after(['k']), 'nothing changed')
        expect(not exec_after(['k'], ['SET', 'k', 1]), 'the same value, set anew')
        expect(not exec_after(['a', 'b', 'k', 'c'], ['APPEND', 'k', 'x']), 'one of several')
        expect(exec_after(['k'], ['SET', 'other', 2]), 'another key')
        expect(exec_after(['k'], ['GET', 'k'], ['TTL', 'k'], ['EXISTS', 'k'], ['TOUCH', 'k']), 'reads')
        expect(exec_after(['k'], ['SETNX', 'k', 'x'], ['GETRANGE', 'k', 0, 1]), 'a write without effect')
        expect(not exec_after(['none'], ['SET', 'none', 1]), 'created')
        expect(not exec_after(['none'], ['DEL', 'none']), 'deleted')
        expect(exec_after(['none'], ['DEL', 'none']), 'deleted what was not there')
        expect(not exec_after(['k'], ['EXPIRE', 'k', 1000]), 'expiry')
        expect(not exec_after(['k'], ['PERSIST', 'k']), 'persisted')
        expect(not exec_after(['k'], ['RENAME', 'k', 'k2']), 'renamed away')
        expect(not exec_after(['k'], ['RENAME', 'k2', 'k']), 'renamed to')
        expect(not exec_after(['k'], ['MOVE', 'k', 1]), 'moved')
        expect(not exec_after(['k'], ['COPY', 'other', 'k']), 'copied to')
        expect(exec_after(['other'], ['COPY', 'other', 'k3']), 'copied from')
        # Own changes count as well.
        wire.call('WATCH', 'k')
        wire.call('SET', 'k', 2)
        expect_equal(wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1], None)
        # Forgotten after EXEC, DISCARD, UNWATCH, a failed EXEC.
        for forget in [[['UNWATCH']], [['MULTI'], ['EXEC']], [['MULTI'], ['DISCARD']], [['MULTI'], ['nonsense'], ['EXEC']]]:
            wire.call('WATCH', 'k')
            wire.pipeline(forget)
            other.call('SET', 'k', 4)
            expect_equal(wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1], [b'PONG'], forget)
        # UNWATCH inside MULTI is too late.
        wire.call('WATCH', 'k')
        other.call('SET', 'k', 5)
        expect_equal(wire.pipeline([['MULTI'], ['UNWATCH'], ['EXEC']])[-1], None)
        # The database of the key counts.
        wire.pipeline([['SELECT', 1], ['WATCH', 'k'], ['SELECT', 0]])
        other.call('SET', 'k', 6)
        expect_equal(wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1], [b'PONG'])
        wire.pipeline([['SELECT', 1], ['WATCH', 'k'], ['SELECT', 0]])
        other.pipeline([['SELECT', 1], ['SET', 'k', 7], ['SELECT', 0]])
        expect_equal(wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1], None)


def watch_and_whole_databases(server):
    with clean(server) as wire, Wire(server) as other:
        def exec_after(setup, watched, *changes):
            other.call('FLUSHALL')
            other.pipeline(setup + [['PING']])
            wire.call('WATCH', *watched)
            other.pipeline(list(changes))
            return wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1] is not None

        here = [['SET', 'k', 1]]
        there = [['SELECT', 1], ['SET', 'k', 1], ['SELECT', 0]]
        expect(not exec_after(here, ['k'], ['FLUSHALL']), 'FLUSHALL touches keys that exist')
        expect(exec_after(here, ['none'], ['FLUSHALL']), 'and no others')
        expect(not exec_after(here, ['k'], ['FLUSHDB']), 'FLUSHDB')
        expect(exec_after(here, ['k'], ['SELECT', 1], ['FLUSHDB'], ['SELECT', 0]), 'of another database')
        expect(not exec_after(here, ['k'], ['SWAPDB', 0, 1]), 'SWAPDB: it exists here')
        expect(not exec_after(there, ['k'], ['SWAPDB', 1, 0]), 'or there')
        expect(not exec_after(here + there, ['k'], ['SWAPDB', 1, 0]), 'or in both')
        expect(exec_after(here, ['none'], ['SWAPDB', 0, 1]), 'in neither')
        expect(exec_after(here, ['k'], ['SWAPDB', 2, 1]), 'of other databases')


def watch_and_expiry(server):
    with clean(server) as wire, Wire(server) as other:
        # A key that expires between WATCH and EXEC has changed; one that was expired before has not.
        other.call('SET', 'k', 1, 'PX', 50)
        wire.call('WATCH', 'k')
        time.sleep(0.1)
        expect_equal(wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1], None, 'it expired meanwhile')
        expect_equal(other.call('DEBUG', 'SET-ACTIVE-EXPIRE', 0), b'OK')
        try:
            for change in [['DEL', 'k'], ['GET', 'k'], ['FLUSHALL'], ['SWAPDB', 0, 1], ['PING']]:
                other.call('FLUSHALL')
                other.call('SET', 'k', 1, 'PX', 1)
                time.sleep(0.02)
                wire.call('WATCH', 'k')
                other.call(*change)
                expect_equal(wire.pipeline([['MULTI'], ['PING'], ['EXEC']])[-1], [b'PONG'], 'it was expired before: %r' % change)
        finally:
            other.call('DEBUG', 'SET-ACTIVE-EXPIRE', 1)


def transactions_on_cold_keys(server):
    with clean(server) as wire, Wire(server) as other:
        for i in range(100):
            wire.call('SET', 'cold%d' % i, 'value %d ' % i * 50)
        wire.call('SET', 'counter', 5)
        expect_equal(wire.call('SAVE'), b'OK')
        keys = ['cold%d' % i for i in range(100)] + ['counter']
        expect_equal(wire.call('TIER', 'DEMOTE', *keys), 101)
        expect_equal(wire.call('TIER', 'DEMOTE', *keys), 0)
        wire.call('WATCH', 'cold7', 'counter')
        replies = wire.pipeline([['MULTI'], ['GET', 'cold7'], ['INCR', 'counter'], ['APPEND', 'cold8', '!'], ['MGET', 'cold9', 'none'],
                                 ['STRLEN', 'cold8'], ['EXEC'], ['GET', 'counter']])
        expect_equal(replies[-2], [b'value 7 ' * 50, 6, 401, [b'value 9 ' * 50, None], 401], 'all in one wait')
        expect_equal(replies[-1], b'6')
        # Reading a cold key, or demoting it, is no change.
        wire.call('SAVE')
        wire.call('TIER', 'DEMOTE', *keys)
        wire.call('WATCH', 'cold1')
        other.call('GET', 'cold1')
        other.call('TIER', 'DEMOTE', 'cold1')
        expect_equal(wire.pipeline([['MULTI'], ['GET', 'cold1'], ['EXEC']])[-1], [b'value 1 ' * 50])
        wire.call('TIER', 'DEMOTE', 'cold1')
        wire.call('WATCH', 'cold1')
        other.call('APPEND', 'cold1', 'x')
        expect_equal(wire.pipeline([['MULTI'], ['GET', 'cold1'], ['EXEC']])[-1], None, 'a change of a cold key is')
        # A pipeline across cold keys keeps its order.
        wire.call('SAVE')
        wire.call('TIER', 'DEMOTE', *keys)
        commands = [['GETRANGE', 'cold%d' % i, 0, 7] for i in range(50, 100)]
        commands.insert(20, ['SET', 'cold90', 'changed!'])
        expect_equal(wire.pipeline(commands)[40:43], [b'value 89', b'changed!', b'value 91'])
        # Gone while it waits: nothing happens, nobody is hurt.
        wire.call('SAVE')
        wire.call('TIER', 'DEMOTE', *keys)
        for i in range(20):
            one = Wire(server)
            one.send(encode(['MULTI']) + encode(['GET', 'cold%d' % i]) + encode(['EXEC']))
            one.reset() if i % 2 else one.close()
        # Half a connection still gets its answers.
        wire.call('TIER', 'DEMOTE', *keys)
        with Wire(server) as one:
            one.send(encode(['GETRANGE', 'cold50', 0, 7]) + encode(['GETRANGE', 'cold51', 0, 7]))
            one.half_close()
            expect_equal(one.rest(), b'$8\r\nvalue 50\r\n$8\r\nvalue 51\r\n')


# --- databases --------------------------------------------------------------------------------------------------------------

def databases(server):
    with clean(server) as wire, Wire(server) as other:
        for database in range(16):
            wire.pipeline([['SELECT', database], ['SET', 'k', database], ['SET', 'only%d' % database, 1]])
        expect_equal(wire.pipeline(sum(([['SELECT', d], ['GET', 'k'], ['DBSIZE']] for d in range(16)), []))[1::3],
                     [b'%d' % d for d in range(16)])
        wire.call('SELECT', 0)
        expect_equal(wire.call('SWAPDB', 0, 1), b'OK')
        expect_equal(wire.call('GET', 'k'), b'1', 'who is connected to 0 sees what was in 1')
        expect_equal(wire.call('EXISTS', 'only1', 'only0'), 1)
        expect_equal(wire.call('SWAPDB', 3, 3), b'OK')
        expect_equal(wire.call('FLUSHDB'), b'OK')
        expect_equal(wire.call('DBSIZE'), 0)
        wire.call('SELECT', 1)
        expect_equal(wire.call('GET', 'k'), b'0', 'only one is flushed')
        expect_equal(wire.call('MOVE', 'k', 0), 1)
        expect_equal(wire.call('COPY', 'only0', 'copied', 'DB', 0), 1)
        wire.call('SELECT', 0)
        expect_equal(sorted(wire.call('KEYS', '*')), [b'copied', b'k'])
        for mode in ['ASYNC', 'SYNC', 'async']:
            expect_equal(wire.call('FLUSHDB', mode), b'OK')
        expect_equal(wire.call('FLUSHALL', 'SYNC'), b'OK')
        expect_equal(wire.pipeline(sum(([['SELECT', d], ['DBSIZE']] for d in range(16)), []))[1::2], [0] * 16)
        wire.call('SELECT', 0)
        # Cold and hot alike.
        wire.pipeline([['SET', 'cold', 1], ['SAVE'], ['TIER', 'DEMOTE', 'cold'], ['SET', 'hot', 1]])
        expect_equal(wire.call('DBSIZE'), 2)
        expect_equal(wire.pipeline([['SWAPDB', 0, 5], ['DBSIZE'], ['SELECT', 5], ['DBSIZE'], ['GET', 'cold'], ['SELECT', 0]]),
                     [b'OK', 0, b'OK', 2, b'1', b'OK'])
        expect_equal(wire.pipeline([['SELECT', 5], ['TIER', 'DEMOTE', 'cold'], ['FLUSHDB'], ['GET', 'cold'], ['DBSIZE'], ['SET', 'cold', 2],
                                    ['GET', 'cold'], ['SELECT', 0]])[2:-1], [b'OK', None, 0, b'OK', b'2'])
        # A flush between two commands of one pipeline, keys hashed before.
        expect_equal(wire.pipeline([['SET', 'p', 1], ['FLUSHALL'], ['GET', 'p'], ['SET', 'p', 2], ['SWAPDB', 0, 1], ['GET', 'p'],
                                    ['SWAPDB', 0, 1], ['GET', 'p']]), [b'OK', b'OK', None, b'OK', b'OK', None, b'OK', b'2'])
        expect_equal(other.call('GET', 'p'), b'2')


# --- saving and stopping ----------------------------------------------------------------------------------------------------------

def saving(server):
    with clean(server) as wire:
        wire.call('SET', 'k', 'v')
        before = wire.call('LASTSAVE')
        expect(abs(before - time.time()) < 3600, 'LASTSAVE is a time')
        time.sleep(1.1)
        expect_equal(wire.call('SAVE'), b'OK')
        expect(wire.call('LASTSAVE') > before, 'and moves on')
        expect_equal(info_field(wire, 'rdb_changes_since_last_save'), '0')
        wire.call('SET', 'k', 'v2')
        expect_equal(info_field(wire, 'rdb_changes_since_last_save'), '1')
        count = int(info_field(wire, 'rdb_saves'))
        expect_equal(wire.call('BGSAVE'), b'Background saving started')
        wait_for(lambda: int(info_field(wire, 'rdb_saves')) > count, 'it has been saved')
        expect_equal(info_field(wire, 'rdb_last_bgsave_status'), 'ok')
        count = int(info_field(wire, 'rdb_saves'))
        wire.call('SET', 'k', 'v3')
        expect(wire.call('BGREWRITEAOF') in (b'Background append only file rewriting started',
                                             b'Background append only file rewriting scheduled'), 'BGREWRITEAOF')
        wait_for(lambda: int(info_field(wire, 'rdb_saves')) > count, 'as well')
        expect(wire.call('BGSAVE', 'SCHEDULE') in (b'Background saving started', b'Background saving scheduled'), 'SCHEDULE')
        expect_equal(wire.call('BGSAVE', 'x'), b'ERR syntax error')
        expect_equal(wire.call('SAVE', 'x'), b"ERR wrong number of arguments for 'save' command")
        # Several at once share the work; each is answered.
        wires = [Wire(server) for _ in range(20)]
        for one in wires:
            one.send(encode(['INCR', 'n']) + encode(['SAVE']) + encode(['PING']))
        for one in wires:
            expect_equal([one.reply() for _ in range(3)][1:], [b'OK', b'PONG'])
            one.close()


def stopping(binary, options):
    for command, frames_left in [(['SHUTDOWN'], False), (['SHUTDOWN', 'SAVE'], False), (['SHUTDOWN', 'NOSAVE'], True),
                                 (['SHUTDOWN', 'NOSAVE', 'NOW', 'FORCE'], True)]:
        with Server(binary, dict(options, **{'cold-reserve': '1mb'})) as server:
            with Wire(server) as wire:
                wire.pipeline([['SET', 'k%d' % i, i] for i in range(100)])
                wire.send(encode(command))
                expect_equal(wire.rest(), b'', 'no reply, then the end')
            expect_equal(server.process.wait(30), 0, 'status')
            server.start()
            expect(('frames=0' in server.log().split('starting')[-1]) != frames_left, 'a checkpoint or none: %r' % command)
            with Wire(server) as wire:
                expect_equal(wire.call('DBSIZE'), 100, 'nothing is lost')
                expect_equal(wire.call('GET', 'k99'), b'99')
    with Server(binary, options) as server:
        with Wire(server) as wire:
            expect_equal(wire.call('SHUTDOWN', 'x'), b'ERR syntax error')
            expect_equal(wire.call('SHUTDOWN', 'ABORT'), b'ERR No shutdown in progress.')
            expect_equal(wire.call('SHUTDOWN', 'SAVE', 'NOSAVE'), b'ERR syntax error')
            expect_equal(wire.call('PING'), b'PONG')
        # The client's connection ends when the process has: a new one can have the data at once.
        with Wire(server) as wire:
            wire.send(encode(['SHUTDOWN', 'NOSAVE']))
            wire.rest()
        server.start()
        check_alive(server)


def stopping_under_fire(binary, options):
    """SIGTERM while commands of every kind that waits are under way: it ends soon and cleanly, and nothing acknowledged is lost."""
    with Server(binary, dict(options, appendfsync='always')) as server:
        for round_number in range(5):
            with Wire(server) as wire:
                wire.pipeline([['SET', 'cold%d' % i, 'x' * 500] for i in range(200)] + [['SAVE']])
                wire.call('TIER', 'DEMOTE', *['cold%d' % i for i in range(200)])
                acknowledged = int(wire.call('GET', 'n') or 0)
            crowd = [Wire(server) for _ in range(30)]
            for number, one in enumerate(crowd):
                one.send(b''.join(encode(command) for _ in range(20) for command in [
                    ['CLIENT', 'LIST'], ['INCR', 'n'], ['GET', 'cold%d' % (number * 6)], ['SAVE'], ['SCAN', 0], ['KEYS', '*9'],
                    ['CLIENT', 'KILL', 'ID', 99999], ['MULTI'], ['APPEND', 'cold%d' % (number * 5), 'y'], ['EXEC']]))
            if round_number % 2:
                time.sleep(0.02 * round_number)
            server.process.terminate()
            for one in crowd:
                try:
                    while True:
                        reply = one.reply()
                        acknowledged = max(acknowledged, reply if isinstance(reply, int) else 0)
                except Closed:
                    one.close()
            expect_equal(server.process.wait(60), 0, 'status')
            server.start()
            with Wire(server) as wire:
                expect(int(wire.call('GET', 'n') or 0) >= acknowledged, 'what was acknowledged is there')


# --- single things --------------------------------------------------------------------------------------------------------------------

def objects_and_memory(server):
    with clean(server) as wire:
        wire.pipeline([['SET', 'int', 12345], ['SET', 'short', 'x' * 44], ['SET', 'long', 'x' * 45], ['SET', 'big', 'x' * 100000]])
        expect_equal([wire.call('OBJECT', 'ENCODING', key) for key in ['int', 'short', 'long', 'none']], [b'int', b'embstr', b'raw', None])
        expect_equal(wire.call('OBJECT', 'REFCOUNT', 'short'), 1)
        expect(0 <= wire.call('OBJECT', 'IDLETIME', 'short') < 100, 'IDLETIME')
        expect_equal(wire.call('OBJECT', 'nonsense', 'k'), b"ERR unknown subcommand 'nonsense'. Try OBJECT HELP.")
        expect_equal(wire.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu'), b'OK')
        expect(isinstance(wire.call('OBJECT', 'FREQ', 'short'), int) and not isinstance(wire.call('OBJECT', 'FREQ', 'short'), bytes), 'FREQ')
        expect(isinstance(wire.call('OBJECT', 'IDLETIME', 'short'), Error), 'IDLETIME under LFU')
        wire.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
        small, large = wire.call('MEMORY', 'USAGE', 'int'), wire.call('MEMORY', 'USAGE', 'big')
        expect(20 < small < 200 and 100000 < large < 140000, 'MEMORY USAGE: %d, %d' % (small, large))
        expect_equal(wire.call('MEMORY', 'USAGE', 'none'), None)
        expect_equal(wire.call('MEMORY', 'USAGE', 'int', 'SAMPLES', 5), small)
        expect_equal(wire.call('MEMORY', 'PURGE'), b'OK')
        expect(b'Sam' in wire.call('MEMORY', 'DOCTOR'), 'MEMORY DOCTOR')
        # Cold: the header answers, the value stays on disk.
        wire.call('SAVE')
        expect_equal(wire.call('TIER', 'DEMOTE', 'big', 'int'), 2)
        reads = int(info_field(wire, 'cold_read_count'))
        expect(100000 < wire.call('MEMORY', 'USAGE', 'big') < 140000, 'MEMORY USAGE of a cold record')
        expect_equal(wire.call('OBJECT', 'ENCODING', 'big'), b'raw')
        expect_equal(wire.call('TYPE', 'big'), b'string')
        expect_equal(wire.call('STRLEN', 'big'), 100000)
        expect(int(info_field(wire, 'cold_read_count')) >= reads, 'counted')


def tier_and_prefetch(server):
    with clean(server) as wire:
        keys = ['t%d' % i for i in range(200)]
        wire.pipeline([['SET', key, key * 100] for key in keys])
        expect_equal(wire.call('TIER', 'DEMOTE', keys[0]), 0, 'dirty records stay')
        wire.call('SAVE')
        expect_equal(wire.call('TIER', 'DEMOTE', *keys), 200)
        expect_equal(wire.call('DBSIZE'), 200)
        expect_equal(wire.call('TIER', 'PROMOTE', *keys[:50]), 50)
        expect_equal(wire.call('TIER', 'PROMOTE', 'none'), 0)
        scheduled = wire.call('PREFETCH', *keys)
        expect(100 < scheduled <= 150, 'those that are not here, nor on their way: %d' % scheduled)
        for key in keys:
            expect_equal(wire.call('GET', key), (key * 100).encode())
        facts = wire.call('TIER', 'INFO', keys[0])
        expect(isinstance(facts, list) and len(facts) % 2 == 0 and len(facts) > 8, 'TIER INFO: %r' % facts)
        expect_equal(wire.call('TIER', 'nonsense'), b"ERR unknown subcommand 'nonsense'. Try TIER HELP.")


def memory_that_no_process_keeps_to(server):
    """maxmemory 1: what adds data is refused, alone, in MULTI and by EXEC; the rest goes on."""
    refusal = b"OOM command not allowed when used memory > 'maxmemory'."
    with Wire(server) as wire, Wire(server) as other:
        wire.call('FLUSHALL')
        wire.call('SET', 'k', 'v')
        wire.call('MULTI')
        wire.call('SET', 'k', 'w')
        expect_equal(other.call('CONFIG', 'SET', 'maxmemory', 1), b'OK')
        try:
            expect_equal(wire.call('EXEC'), Error(b'EXECABORT Transaction discarded because of: ' + refusal))
            expect_equal(wire.call('SET', 'k', 'w'), Error(refusal))
            expect_equal(wire.call('GET', 'k'), b'v')
            wire.call('MULTI')
            expect_equal(wire.call('GET', 'k'), b'QUEUED')
            expect_equal(wire.call('EXEC'), [b'v'])
            wire.call('MULTI')
            expect_equal(wire.call('SET', 'k', 'w'), Error(refusal))
            expect(wire.call('EXEC').startswith(b'EXECABORT'), 'a refused command')
            expect_equal(wire.call('DEL', 'k'), 1)
        finally:
            other.call('CONFIG', 'SET', 'maxmemory', 0)
        expect_equal(wire.call('SET', 'k', 'w'), b'OK')


def debug_sleep(server):
    with Wire(server) as wire:
        start = time.monotonic()
        expect_equal(wire.call('DEBUG', 'SLEEP', '0.2'), b'OK')
        expect(time.monotonic() - start >= 0.2, 'it sleeps')
        expect_equal(wire.call('DEBUG', 'SLEEP', '0'), b'OK')
        expect_equal(wire.call('TIME')[0].isdigit(), True)


# --- redis-cli -----------------------------------------------------------------------------------------------------------------------------

def redis_cli(server):
    cli = shutil.which('redis-cli')
    if cli is None:
        print('skip  redis_cli: not installed')
        return

    def run(*arguments, data=None, status=0):
        result = subprocess.run([cli, '-p', str(server.port)] + list(arguments), input=data, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=120)
        expect(result.returncode == status, 'redis-cli %r: %r' % (arguments, result.stdout))
        return result.stdout.decode(errors='replace')

    with clean(server) as wire:
        expect_equal(run('SET', 'k', 'v w'), 'OK\n')
        expect_equal(run('GET', 'k'), 'v w\n')
        expect_equal(run('--no-raw', 'GET', 'none'), '(nil)\n')
        expect_equal(run('-n', '3', 'DBSIZE'), '0\n')
        expect_equal(run('-3', '--no-raw', 'CONFIG', 'GET', 'hz'), '1# "hz" => "10"\n')
        expect_equal(run('-x', 'SET', 'stdin', data=b'a\nb\0c'), 'OK\n')
        expect_equal(wire.call('GET', 'stdin'), b'a\nb\0c')
        expect_equal(run(data=b'SET x 1\nINCR x\nGET x\n'), 'OK\n2\n2\n')
        expect('redis_version:7.2' in run('INFO'), 'INFO')
        expect('ERR unknown command' in run('nonsense'), 'errors')
        expect_equal(run('-r', '3', 'INCR', 'x'), '3\n4\n5\n')
        loaded = b''.join(encode(['SET', 'pipe:%05d' % i, 'value %d' % i]) for i in range(20000))
        text = run('--pipe', data=loaded)
        expect('errors: 0, replies: 20000' in text, '--pipe: %s' % text)
        found = run('--scan', '--pattern', 'pipe:*').split()
        expect_equal(len(set(found)), 20000, '--scan')
        expect_equal(len(run('--scan', '--pattern', 'pipe:0001?').split()), 10)
        text = run('--bigkeys')
        expect('Biggest string found' in text and '20003 strings' in text, '--bigkeys: %s' % text[-600:])
        text = run('--memkeys')
        expect('Biggest string found' in text, '--memkeys: %s' % text[-600:])
        expect(run('--latency', '--raw', '-i', '1').split()[2:3] != [], '--latency')
        expect_equal(run('CLIENT', 'NO-TOUCH', 'ON'), 'OK\n')
        expect(len(run('COMMAND', 'DOCS')) > 10000, 'COMMAND DOCS, which it reads for its hints')
        expect_equal(run('-a', 'x', '--no-auth-warning', 'PING').splitlines()[-1], 'PONG')
        expect_equal(run('MULTI', status=0), 'OK\n')
        expect_equal(run(data=b'MULTI\nSET m 1\nINCR m\nEXEC\n'), 'OK\nQUEUED\nQUEUED\nOK\n2\n')


SHARED = [config_get, every_redis_option_is_known, config_sanity, config_set, config_resetstat, options_take_effect, client_info_and_list, client_names,
          client_kill, command_info_is_that_of_redis, command_subcommands, help_texts, info, transactions, transactions_are_atomic, watch,
          watch_and_whole_databases, watch_and_expiry, transactions_on_cold_keys, databases, saving, objects_and_memory, tier_and_prefetch,
          memory_that_no_process_keeps_to, debug_sleep, redis_cli]
OWN = [config_rewrite, bad_configuration_at_start, stopping, stopping_under_fire]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('cases', nargs='*')
    arguments = parser.parse_intermixed_args()
    options = {'workers': arguments.workers, 'cold-reserve': '1mb'}
    server = Server(arguments.binary, options).start()
    server.slow = is_sanitized(arguments.binary)

    def shared(case):
        def run():
            case(server)
            check_alive(server)
        return run

    def own(case):
        return lambda: case(arguments.binary, options)

    cases = [(case.__name__, shared(case)) for case in SHARED] + [(case.__name__, own(case)) for case in OWN]
    status = run_cases(cases, arguments.cases)
    if status:
        print(server.log()[-4000:])
    else:
        server.stop()
    server.remove()
    sys.exit(status)


if __name__ == '__main__':
    main()
