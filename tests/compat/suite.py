#!/usr/bin/env python3
"""Redis's own test suite, file by file, against redis-server and against kelvin-server; what the second loses.

usage: suite.py SUITE_DIR BINARY [--files PATTERN,...] [--profile plain|debug|both] [--memory normal|tiny|both] [--cache DIR]
                [--markdown FILE] [--limit SECONDS] [--verbose]

SUITE_DIR holds tests/test_helper.tcl and is only run. Each file has a server of its own, as an external one (--host, --port), so that
nothing one file leaves behind disturbs another. redis-server's results are the reference, kept in DIR as long as the suite is the same.

Profiles:  plain  no DEBUG command, encodings not looked at
           debug  DEBUG and encodings too; tests that need replication or kill processes left out
Memory:    normal  all data fits
           tiny    almost nothing fits: every value crosses the cold tier

Tests that cannot apply are named in exceptions.tsv with the reason: file, sum of the test's name, reason.
The status is 1 if a test is lost that is not named there.
"""
import argparse
import collections
import fnmatch
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support', 'python'))
from kelvin_process import Client, Server, free_port  # noqa: E402

FILES = ['unit/type/string', 'unit/type/incr', 'unit/type/list', 'unit/type/list-2', 'unit/type/list-3', 'unit/type/hash', 'unit/type/set',
         'unit/type/zset', 'unit/type/stream', 'unit/type/stream-cgroups', 'unit/keyspace', 'unit/expire', 'unit/scan', 'unit/sort', 'unit/multi',
         'unit/pubsub', 'unit/protocol', 'unit/quit', 'unit/info-command', 'unit/other', 'unit/bitops', 'unit/bitfield', 'unit/geo',
         'unit/hyperloglog', 'unit/dump']
PROFILES = {
    'plain': ['--tags', '-slow -needs:debug -needs:repl -needs:pfdebug -large-memory -cluster', '--ignore-encoding', '--ignore-digest',
              '--no-latency'],
    'debug': ['--tags', '-slow -needs:repl -needs:pfdebug -large-memory -cluster', '--no-latency'],
}
MEMORY = {'normal': {}, 'tiny': {'maxmemory': '6mb', 'checkpoint-interval': '1'}}
COLOUR = re.compile(r'\x1b\[[0-9;]*m')
LINE = re.compile(r'\[(ok|err|exception|ignore|skip)\]: (.*)')


class Result:
    def __init__(self, passed, failed, note):
        self.passed, self.failed, self.note = passed, failed, note


class Reference:
    """redis-server with the same interface as kelvin_process.Server."""

    def __init__(self):
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix='kelvin-reference-')
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ['redis-server', '--port', str(self.port), '--bind', '127.0.0.1', '--save', '', '--dir', self.directory,
             '--enable-debug-command', 'yes'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                Client(self.port).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise AssertionError('redis-server did not get ready')

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def is_alive(self):
        return self.process.poll() is None


def parse(output):
    """What failed has its reason on the lines that follow."""
    passed, failed, note = [], [], ''
    lines = COLOUR.sub('', output).split('\n')
    for number, line in enumerate(lines):
        match = LINE.match(line)
        if not match:
            continue
        kind, text = match.groups()
        if kind == 'ok':
            passed.append(re.sub(r' \(\d+ ms\)$', '', text))
        elif kind == 'err':
            failed.append((re.sub(r' in (\S*/)?tests/\S+\.tcl$', '', text), ' '.join(lines[number + 1:number + 2])))
        elif kind == 'exception':
            note = 'exception: ' + text[:120]
    return Result(passed, failed, note)


def free_port_range():
    """The suite looks for its own ports from here on; several of these programs may run at once."""
    while True:
        base = random.randrange(20, 60) * 1000
        try:
            for port in (base - 32, base - 31, base):
                with socket.socket() as probe:
                    probe.bind(('127.0.0.1', port))
            return base
        except OSError:
            continue


def run_file(suite, name, profile, server, limit_s, skipped=()):
    """One file in a process group of its own, ended at the limit."""
    command = ['tclsh', 'tests/test_helper.tcl', '--host', '127.0.0.1', '--port', str(server.port), '--single', name,
               '--durable', '--clients', '1', '--baseport', str(free_port_range()), '--portcount', '1000',
               '--timeout', str(max(10, limit_s - 10))] + PROFILES[profile]
    for test in skipped:
        command += ['--skiptest', test]
    process = subprocess.Popen(command, cwd=suite, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    note = ''
    try:
        output = process.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, note = process.communicate()[0], 'over %d s' % limit_s
    try:
        os.killpg(process.pid, signal.SIGKILL)  # the suite's own client, should it linger
    except ProcessLookupError:
        pass
    text = output.decode('utf8', 'replace')
    result = parse(text)
    if not result.passed and not result.failed:
        note += ' no test: ' + ' '.join(COLOUR.sub('', text).split())[-200:]
    if not server.is_alive():
        note = 'SERVER ENDED ' + note
    result.note = (note + ' ' + result.note).strip()
    return result


class ReferenceResults:
    def __init__(self, suite, folder):
        with open(os.path.join(suite, 'src', 'version.h')) as version:
            mark = hashlib.sha256((version.read() + repr(PROFILES)).encode()).hexdigest()[:12]
        self.suite = suite
        self.path = os.path.join(folder, 'reference-%s.json' % mark)
        self.results = {}
        if os.path.exists(self.path):
            with open(self.path) as stored:
                self.results = json.load(stored)

    def get(self, name, profile, limit_s):
        key = profile + ' ' + name
        if key not in self.results:
            with Reference() as server:
                result = run_file(self.suite, name, profile, server, limit_s)
            if result.note:
                print('   redis-server %s %s: %s' % (profile, name, result.note), flush=True)
            if not result.passed:
                return []
            self.results[key] = result.passed
            with open(self.path + '.new', 'w') as stored:
                json.dump(self.results, stored)
            os.replace(self.path + '.new', self.path)
        return self.results[key]


def sum_of(name):
    return hashlib.blake2b(name.encode('utf8', 'replace'), digest_size=6).hexdigest()


def exceptions():
    """{(file, sum of name): reason}"""
    found = {}
    path = os.path.join(HERE, 'exceptions.tsv')
    if os.path.exists(path):
        with open(path) as lines:
            for line in lines:
                if line.strip() and not line.startswith('#'):
                    name, mark, reason = line.rstrip('\n').split('\t')
                    found[name, mark] = reason
    return found


def lost_tests(wanted, result):
    """Names, with repetition, that the reference passes and this result does not."""
    left = collections.Counter(wanted)
    left.subtract(collections.Counter(result.passed))
    return sorted(name for name, count in left.items() for _ in range(count))


def reason_of(name, result):
    for failed, reason in result.failed:
        if failed == name:
            return reason[:200]
    return 'not reached'


def prepare(suite):
    """The suite calls redis-cli and redis-benchmark by a path of its own."""
    for folder in ('src', 'tests/tmp'):
        os.makedirs(os.path.join(suite, folder), exist_ok=True)
    for program in ('redis-cli', 'redis-benchmark'):
        link, target = os.path.join(suite, 'src', program), shutil.which(program)
        if target and not os.path.lexists(link):
            os.symlink(target, link)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('suite'), parser.add_argument('binary')
    parser.add_argument('--files', default=','.join(FILES))
    parser.add_argument('--profile', default='both', choices=['plain', 'debug', 'both'])
    parser.add_argument('--memory', default='both', choices=['normal', 'tiny', 'both'])
    parser.add_argument('--cache', default='.')
    parser.add_argument('--markdown')
    parser.add_argument('--limit', type=int, default=240)
    parser.add_argument('--verbose', action='store_true')
    options = parser.parse_args()
    prepare(options.suite)
    listed = subprocess.run(['tclsh', 'tests/test_helper.tcl', '--list-tests'], cwd=options.suite, capture_output=True, text=True)
    patterns = options.files.split(',')
    names = sorted(name for name in set(listed.stdout.split()) if any(fnmatch.fnmatch(name, p) for p in patterns))
    profiles = ['plain', 'debug'] if options.profile == 'both' else [options.profile]
    memories = ['normal', 'tiny'] if options.memory == 'both' else [options.memory]
    reference, excused = ReferenceResults(options.suite, options.cache), exceptions()
    rows, unexcused = [], 0
    columns = [(profile, memory) for profile in profiles for memory in memories]
    print('%-26s %6s' % ('file', 'redis') + ''.join(' %13s' % ('%s/%s' % column) for column in columns))
    for name in names:
        cells, details, wanted_counts = [], [], []
        for profile, memory in columns:
            wanted = reference.get(name, profile, options.limit)
            wanted_counts.append(len(wanted))
            skipped = sorted({test for test in wanted if excused.get((name, sum_of(test)), '').startswith('skipped:')})
            settings = dict(MEMORY[memory], **{'enable-debug-command': 'yes'})
            with Server(options.binary, settings) as server:
                result = run_file(options.suite, name, profile, server, options.limit, skipped)
                if not server.is_alive():
                    sys.stdout.write(server.log()[-3000:])
            lost = lost_tests(wanted, result)
            cells.append('%d/%d' % (len(wanted) - len(lost), len(wanted)))
            for test in lost:
                excuse = excused.get((name, sum_of(test)))
                unexcused += excuse is None
                details.append('   %s/%s lost: %s (%s) [%s]' % (profile, memory, test, sum_of(test),
                                                              excuse or reason_of(test, result)))
            if result.note:
                details.append('   %s/%s %s' % (profile, memory, result.note))
        rows.append((name, cells))
        print('%-26s %6d' % (name, max(wanted_counts)) + ''.join(' %13s' % cell for cell in cells), flush=True)
        for line in details:
            print(line, flush=True)
    if options.markdown:
        with open(options.markdown, 'w') as out:
            out.write('| file | ' + ' | '.join('%s, %s memory' % column for column in columns) + ' |\n')
            out.write('|---' * (len(columns) + 1) + '|\n')
            for name, cells in rows:
                out.write('| %s | %s |\n' % (name, ' | '.join(cells)))
    print('%d test(s) lost that exceptions.tsv does not explain' % unexcused)
    return 1 if unexcused else 0


sys.exit(main())
