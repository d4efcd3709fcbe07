#!/usr/bin/env python3
"""SORT and SORT_RO of kelvin-server and redis-server: the same command lines, the same replies.

    sort_compare.py KELVIN_SERVER [--seed=N] [--random=COUNT]

Lines and random commands as in set_compare.py; what patterns name is demoted now and then, too.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from set_compare import run_family  # noqa: E402

# Not here: a weight out of range (1e400). Redis's errno then stays, and later ones are refused, too.
LINES = r'''
RPUSH l 3 1 10 2 -5 2.5
SORT l
SORT l DESC
SORT l ASC
SORT l DESC ASC
SORT l ALPHA
SORT l ALPHA DESC
SORT l LIMIT 0 2
SORT l LIMIT 1 2 DESC
SORT l LIMIT 4 100
SORT l LIMIT 6 1
SORT l LIMIT 100 1
SORT l LIMIT -5 2
SORT l LIMIT 0 -1
SORT l LIMIT 2 -7
SORT l LIMIT 0 0
SORT l LIMIT 9223372036854775807 9223372036854775807
SORT l LIMIT -9223372036854775808 -9223372036854775808
SORT l LIMIT 1 9223372036854775807
SORT l LIMIT x 1
SORT l LIMIT 1 x
SORT l LIMIT 1
SORT l LIMIT 1 x WORD
SORT l WORD LIMIT x x
SORT l BY
SORT l GET
SORT l STORE
SORT l WORD
SORT
SORT none
SORT none STORE d
SORT none ALPHA BY w_* GET #
SORT_RO none
SORT_RO l STORE d
SORT_RO l
SORT_RO l LIMIT 0 2 ALPHA DESC
SORT_RO
SORT l BY nosort
SORT l BY nosort DESC
SORT l BY nosort LIMIT 1 2
SORT l BY nosort LIMIT 5 10
SORT l BY nosort DESC LIMIT 0 2
SORT l BY nosort DESC LIMIT 1 2
SORT l BY nosort DESC LIMIT 5 10
SORT l BY nosort GET #
SORT l BY nosort GET # GET none GET # LIMIT 0 2
SORT l BY #
RPUSH l x
SORT l
SORT l ALPHA
SORT l BY nosort
SORT l BY w_*
MSET w_1 5 w_2 4 w_3 3 w_10 2 w_-5 1 w_2.5 0 w_x -1
SORT l BY w_*
SORT l BY w_* DESC
SORT l BY w_* GET #
SORT l BY w_* GET w_*
SORT l BY w_* GET w_* GET # GET none_* GET constant LIMIT 2 2
SORT l BY w_* LIMIT 0 3
SORT l BY w_* ALPHA
SORT l BY w_* GET *
SORT l BY none_*
SORT l BY none_* ALPHA LIMIT 0 0
SORT l BY none_* DESC
DEL w_3 w_x
SORT l BY w_*
SET w_3 text
SORT l BY w_*
SORT l BY w_* ALPHA
SET w_3 ""
SORT l BY w_*
SET w_3 " 7"
SORT l BY w_*
SET w_3 "7 "
SORT l BY w_*
SET w_3 nan
SORT l BY w_*
SET w_3 inf
SORT l BY w_*
SET w_3 -inf
SORT l BY w_*
SET w_3 0x10
SORT l BY w_*
SADD sw_3 a
SET sw_1 1
SORT l BY sw_*
SORT l GET sw_* BY nosort
HSET h_1 weight 5 name one
HSET h_2 weight 4 name two
HSET h_3 weight 3
HSET h_10 other 1
SORT l BY h_*->weight
SORT l BY h_*->weight GET h_*->name
SORT l BY h_*->weight GET h_*->weight DESC
SORT l BY h_*->
SORT l BY w_*->weight
SORT l BY h_*->weight ALPHA LIMIT 4 3
SORT l BY h_*->none->x LIMIT 0 1
SORT l GET h_* BY nosort
SET h_1-> 100
SORT l BY nosort GET h_*->
SET p_1_s a
SORT l BY nosort GET p_*_s
SORT l BY nosort GET p_*_*
HSET ph_1_s f* v
SORT l BY nosort GET ph_*_s->f*
SORT l BY nosort GET ph_*_s->f
SORT l BY w_* BY nosort
SORT l BY nosort BY w_*
SORT l ALPHA STORE d
LRANGE d 0 -1
TYPE d
SORT l ALPHA DESC LIMIT 1 3 STORE d
LRANGE d 0 -1
SORT l BY h_*->weight GET # GET h_*->name STORE d
LRANGE d 0 -1
SORT l ALPHA LIMIT 100 1 STORE d
EXISTS d
SET d text EX 100
SORT l ALPHA STORE d
TTL d
SORT none STORE d
EXISTS d
SORT l STORE d
EXISTS d
SORT l ALPHA STORE d STORE d2
EXISTS d
LRANGE d2 0 -1
SORT l ALPHA STORE l
LRANGE l 0 -1
SADD s 3 1 2 10 -7
SORT s
SORT s DESC
SORT s ALPHA
SORT s BY nosort
SORT s BY nosort LIMIT 1 2
SORT s BY nosort STORE d
LRANGE d 0 -1
SADD s x 007
SORT s
SORT s ALPHA
SORT s BY nosort STORE d
LRANGE d 0 -1
SORT s BY nosort DESC GET # STORE d
LRANGE d 0 -1
SORT s BY w_* GET # ALPHA DESC LIMIT 0 1
ZADD z 1 a 2 b -1 c 0 7 0 60
SORT z ALPHA
SORT z ALPHA DESC
SORT z
SORT z BY nosort
SORT z BY nosort DESC
SORT z BY nosort ASC LIMIT 1 2
SORT z BY nosort DESC LIMIT 1 2
SORT z BY nosort DESC LIMIT 4 2
SORT z BY nosort STORE d
LRANGE d 0 -1
SORT z BY nosort GET # GET w_* DESC
SET text x
SORT text
SORT text STORE d
SORT_RO text BY nosort
HSET hash f v
SORT hash
EXISTS d
RPUSH same b a c
MSET e_a 1 e_b 1 e_c 1
SORT same BY e_*
SORT same BY e_* DESC
SORT same BY none_*
SORT same BY none_* DESC
MULTI
RPUSH fresh 2 1
MSET e_1 9 e_2 8
SORT fresh BY e_*
SORT fresh BY e_* GET e_* STORE out
LRANGE out 0 -1
SORT fresh WORD
SORT fresh
EXEC
RPUSH "" 2 1
SORT ""
SORT "" STORE ""
LRANGE "" 0 -1
COMMAND GETKEYS SORT abc STORE def
COMMAND GETKEYS SORT abc STORE invalid STORE stillbad STORE def
COMMAND GETKEYS SORT abc BY store GET store LIMIT store store STORE def
COMMAND GETKEYS SORT abc STORE
COMMAND GETKEYS SORT_RO abc BY w_*
'''


MEMBERS = [b'%d' % number for number in range(40)] + [b'm%d' % number for number in range(10)]


class RandomSorts:
    SOURCES = [b'list', b'set', b'zset', b'list2', b'out']
    KEYS = SOURCES + [b'w_' + member for member in MEMBERS] + [b'h_' + member for member in MEMBERS]

    def __init__(self, generator):
        self.random = generator
        self.choices = [self.fill] * 3 + [self.weigh] * 6 + [self.sort] * 8 + [self.read, self.delete]

    def draw(self):
        return self.random.choice(self.choices)()

    def members(self):
        # Texts are rare, so that most sources can be sorted as numbers.
        limit = 50 if self.random.random() < 0.1 else 40
        return [self.random.choice(MEMBERS[:limit]) for _ in range(self.random.choice([1, 5, 20]))]

    def fill(self):
        members = self.members()
        scored = [word for member in members for word in (b'%d' % self.random.randrange(10), member)]
        return '', self.random.choice([[b'RPUSH', b'list'] + members, [b'LPUSH', b'list2'] + members,
                                       [b'SADD', b'set'] + members, [b'ZADD', b'zset'] + scored])

    def weight(self):
        return self.random.choice([b'%d' % self.random.randrange(30), b'%d.5' % self.random.randrange(-9, 9), b'1e3', b'',
                                   b'%d' % self.random.randrange(10**6)])

    def weigh(self):
        member = self.random.choice(MEMBERS)
        return '', self.random.choice([[b'SET', b'w_' + member, self.weight()], [b'SET', b'w_' + member, self.weight()],
                                       [b'HSET', b'h_' + member, b'f', self.weight()], [b'DEL', b'w_' + member],
                                       [b'SET', b'w_' + member, self.weight(), b'EX', b'50000'],
                                       [b'SET', b'w_' + member, self.weight(), b'PXAT', b'1']])

    def sort(self):
        words = [self.random.choice([b'SORT', b'SORT_RO']), self.random.choice(self.SOURCES[:4])]
        by = self.random.choice([None, None, b'w_*', b'w_*', b'h_*->f', b'nosort', b'none_*'])
        alpha = self.random.random() < 0.3
        unordered = by is not None and alpha and b'*' in by
        if by is not None:
            words += [b'BY', by]
        for pattern in (b'#', b'w_*', b'h_*->f', b'nothing'):
            if self.random.random() < 0.2:
                words += [b'GET', pattern]
        if alpha:
            words.append(b'ALPHA')
        if self.random.random() < 0.4:
            words.append(b'DESC')
        # Members of equal weight have no order then, nor have members of a set.
        unordered = unordered or (by == b'nosort' and words[1] == b'set')
        if self.random.random() < 0.4 and not unordered:
            words += [b'LIMIT', b'%d' % self.random.randrange(-2, 20), b'%d' % self.random.randrange(-2, 20)]
        if self.random.random() < 0.3 and words[0] == b'SORT' and not unordered:
            words += [b'STORE', b'out']
        return '?' if unordered else '', words

    def read(self):
        return '', self.random.choice([[b'LRANGE', b'out', b'0', b'-1'], [b'ZRANGE', b'zset', b'0', b'-1'],
                                       [b'TYPE', b'out'], [b'LLEN', b'list']])

    def delete(self):
        return '', [b'DEL', self.random.choice(self.SOURCES)]


def contents(client, keys):
    found = {key: client.ask([b'GET', key]) for key in keys if key.startswith(b'w')}
    for key in (b'list', b'list2', b'out'):
        found[key] = client.ask([b'LRANGE', key, b'0', b'-1'])
    return found


if __name__ == '__main__':
    sys.exit(run_family('sort', LINES, RandomSorts, contents))
