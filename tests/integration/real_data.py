#!/usr/bin/env python3
"""Helper of real_data.sh: makes commands of Debian's package index, compares what a server holds with it, follows dependencies."""
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support', 'python'))
from kelvin_process import Client, encode  # noqa: E402

NAME = re.compile(rb'^Package: (\S+)', re.M)
DEPENDS = re.compile(rb'^(?:Pre-)?Depends: (.*)$', re.M)


def records(work):
    """key -> value, the last record of a name wins."""
    found = {}
    with open(os.path.join(work, 'index'), 'rb') as index:
        for record in index.read().split(b'\n\n'):
            name = NAME.search(record)
            if not name:
                continue
            depends = []
            for line in DEPENDS.findall(record):
                for alternative in line.split(b','):
                    word = re.match(rb'\s*([a-z0-9][a-z0-9+.-]*)', alternative)
                    if word and word.group(1) not in depends:
                        depends.append(word.group(1))
            found[b'pkg:' + name.group(1)] = record
            found[b'deps:' + name.group(1)] = b' '.join(depends)
    return found


def prepare(work):
    data = records(work)
    total = 0
    with open(os.path.join(work, 'commands.resp'), 'wb') as out:
        for key, value in data.items():
            out.write(encode([b'SET', key, value]))
            total += len(key) + len(value)
    with open(os.path.join(work, 'keys'), 'w') as out:
        out.write('%d\n' % len(data))
    with open(os.path.join(work, 'data_bytes'), 'w') as out:
        out.write('%d\n' % total)
    if len(data) < 60000:
        sys.exit('real_data: only %d records in the package index' % len(data))


def verify(work, port):
    data = records(work)
    client = Client(int(port))
    keys = list(data)
    random.Random(1).shuffle(keys)
    wrong = 0
    for at in range(0, len(keys), 200):
        some = keys[at:at + 200]
        for key, value in zip(some, client.call('MGET', *some)):
            if value != data[key]:
                wrong += 1
                print('real_data: %s: %r instead of %r' % (key.decode(), (value or b'')[:60], data[key][:60]))
    if wrong:
        sys.exit('real_data: FAILED: %d of %d records differ' % (wrong, len(keys)))
    print('real_data: all %d records read back, byte-identical' % len(keys))


def chains(work, port):
    """Clients that show packages with all they depend on: the same chains come again and again."""
    data = records(work)
    rng = random.Random(7)
    tops = [k[4:] for k in data if k.startswith(b'pkg:') and data[b'deps:' + k[4:]].count(b' ') >= 3]
    tops = rng.sample(tops, 1500)
    clients = [Client(int(port)) for _ in range(4)]
    reads = 0
    for round_number in range(6):
        order = tops[:]
        rng.shuffle(order)
        for i, name in enumerate(order):
            client = clients[i % len(clients)]
            seen, queue = {name}, [name]
            while queue and len(seen) < 40:
                package = queue.pop(0)
                if client.call('GET', b'pkg:' + package) != data.get(b'pkg:' + package):
                    sys.exit('real_data: FAILED: pkg:%s differs' % package.decode())
                depends = client.call('GET', b'deps:' + package) or b''
                if depends != data.get(b'deps:' + package, b''):
                    sys.exit('real_data: FAILED: deps:%s differs' % package.decode())
                reads += 2
                for other in depends.split():
                    if other not in seen:
                        seen.add(other)
                        queue.append(other)
    print('real_data: followed %d dependency chains, %d reads' % (6 * len(tops), reads))


if __name__ == '__main__':
    {'prepare': prepare, 'verify': verify, 'chains': chains}[sys.argv[1]](*sys.argv[2:])
