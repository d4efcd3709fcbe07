#!/usr/bin/env python3
"""The bitmap commands of kelvin-server and redis-server: the same command lines, the same replies.

    bitmap_compare.py KELVIN_SERVER [--seed=N] [--random=COUNT]

Lines and random commands as in set_compare.py.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from set_compare import run_family  # noqa: E402

LINES = r'''
SETBIT b 7 1
GET b
OBJECT ENCODING b
SETBIT b 7 1
SETBIT b 7 0
GET b
SETBIT b 100 1
STRLEN b
GETBIT b 100
GETBIT b 99
GETBIT b 101
GETBIT b 100000
GETBIT none 0
SETBIT b 0 2
SETBIT b 0 -1
SETBIT b 0 x
SETBIT b -1 1
SETBIT b x 1
SETBIT b 4294967296 1
SETBIT b 9223372036854775808 1
SETBIT b "#1" 1
GETBIT b -1
GETBIT b x
GETBIT b 4294967296
GETBIT b 4294967295
SETBIT b 0
GETBIT b
SETBIT none 0 0
GET none
SET i 1
GETBIT i 0
GETBIT i 3
SETBIT i 3 0
GET i
SETBIT i 20 1
GET i
SET text "foobar"
SETBIT text 6 1
SETBIT text 7 0
GET text
SADD s a
SETBIT s 0 1
GETBIT s 0
BITCOUNT s
BITPOS s 1
BITOP AND d s
BITOP AND d text s
BITFIELD s
BITFIELD s GET u8 0
BITFIELD s SET u8 0 1
BITFIELD_RO s GET u8 0
SET text "foobar"
BITCOUNT text
BITCOUNT text 0 0
BITCOUNT text 1 1
BITCOUNT text 0 -1
BITCOUNT text -2 -1
BITCOUNT text -2 -3
BITCOUNT text -100 2
BITCOUNT text 2 100
BITCOUNT text 100 200
BITCOUNT text 5 2
BITCOUNT text 0 5 BIT
BITCOUNT text 1 1 BIT
BITCOUNT text 5 30 bit
BITCOUNT text 5 -5 BIT
BITCOUNT text -9 -3 BIT
BITCOUNT text 0 1000 BIT
BITCOUNT text 1 1 BYTE
BITCOUNT text 1 1 WORD
BITCOUNT text 1
BITCOUNT text x 1
BITCOUNT text 1 x
BITCOUNT text 1 1 BIT BIT
BITCOUNT text -9223372036854775808 9223372036854775807
BITCOUNT text 9223372036854775807 -9223372036854775808
BITCOUNT text -9223372036854775808 9223372036854775807 BIT
BITCOUNT none
BITCOUNT none 0 1
BITCOUNT
SET number 123456
BITCOUNT number
BITPOS number 1
SET empty ""
BITCOUNT empty
BITCOUNT empty 0 -1
BITPOS empty 0
BITPOS empty 1
BITPOS empty 0 0
BITPOS empty 0 0 -1
SET p "\xff\xf0\x00"
BITPOS p 0
BITPOS p 1
BITPOS p 1 1
BITPOS p 1 2
BITPOS p 0 0 0
BITPOS p 0 0 1
BITPOS p 1 2 -1
BITPOS p 1 2 1
BITPOS p 0 10
BITPOS p 1 10
BITPOS p 0 -1
BITPOS p 0 -3 -3
BITPOS p 0 0 -1 BIT
BITPOS p 1 12 -1 BIT
BITPOS p 0 3 9 BIT
BITPOS p 0 3 12 BIT
BITPOS p 0 3 11 BIT
BITPOS p 1 3 11 BIT
BITPOS p 1 9 8 BIT
BITPOS p 0 0 -1 BYTE
BITPOS p 0 0 -1 WORD
BITPOS p 0 0 x
BITPOS p 0 x
BITPOS p 0 x x WORD
BITPOS p 2
BITPOS p -1
BITPOS p x
BITPOS p 1 0 -1 BIT BIT
BITPOS p
BITPOS none 0
BITPOS none 1
BITPOS none 0 5
BITPOS none 0 5 x
BITPOS none 1 0 -1 WORD
SET p "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
BITPOS p 0
BITPOS p 0 3
BITPOS p 0 3 -1
BITPOS p 0 0 -1 BIT
BITPOS p 1 3
BITCOUNT p
BITCOUNT p 1 -2
BITCOUNT p 3 -4 BIT
SETRANGE p 17 "\xfb"
BITPOS p 0
BITPOS p 0 5 -1
BITPOS p 0 141 -1 BIT
BITPOS p 0 142 -1 BIT
SET x "\xff\x0f\xaa"
SET y "\x0f\xff"
BITOP AND d x y
GET d
BITOP OR d x y
GET d
BITOP XOR d x y
GET d
BITOP NOT d x
GET d
BITOP not d x y
BITOP NOT d none
EXISTS d
BITOP AND d x none
GET d
BITOP OR d x none
GET d
BITOP AND d none none
EXISTS d
BITOP AND x x y
GET x
BITOP XOR d x
GET d
BITOP XOR d x x
GET d
BITOP FOO d x
BITOP AND d
BITOP
SET d text EX 100
BITOP OR d x y
TTL d
SADD d2 a
BITOP OR d2 number y
GET d2
BITFIELD f SET u8 0 255 GET u8 0
BITFIELD f GET u4 0 GET u4 4 GET i4 0 GET i8 0 GET u16 0
BITFIELD f INCRBY u8 0 1
BITFIELD f INCRBY u8 0 -1
BITFIELD f OVERFLOW SAT INCRBY u8 0 100 INCRBY u8 0 -1000
BITFIELD f OVERFLOW FAIL INCRBY u8 0 -1 INCRBY u8 0 1
BITFIELD f OVERFLOW WRAP INCRBY i8 0 127 INCRBY i8 0 1
BITFIELD f OVERFLOW SAT SET u8 0 -1 SET u8 0 256 GET u8 0
BITFIELD f OVERFLOW FAIL SET u8 0 -1 SET u8 0 256 SET i8 0 128 SET i8 0 -129 GET u8 0
BITFIELD f OVERFLOW SAT SET i8 0 128 SET i8 0 -129 GET i8 0
BITFIELD f SET i8 0 128 SET i8 0 -129 GET i8 0 SET u8 0 -1 SET u8 0 257 GET u8 0
BITFIELD f SET u8 "#1" 17 GET u8 8 GET u16 "#0" GET i5 "#2"
BITFIELD f SET i64 3 -9223372036854775808 GET i64 3 INCRBY i64 3 -1 GET i64 3
BITFIELD f OVERFLOW SAT INCRBY i64 3 9223372036854775807 INCRBY i64 3 9223372036854775807
BITFIELD f OVERFLOW FAIL INCRBY i64 3 9223372036854775807 GET i64 3
BITFIELD f SET u63 1 9223372036854775807 INCRBY u63 1 1 GET u63 1
BITFIELD f OVERFLOW SAT SET u63 1 9223372036854775807 INCRBY u63 1 1 INCRBY u63 1 -9223372036854775808
BITFIELD f SET i1 0 0 SET i1 0 -1 GET i1 0 SET u1 1 1 INCRBY u1 1 1 INCRBY i1 0 1
BITFIELD f GET u8 1000000 GET i64 4294967295
BITFIELD f
BITFIELD none
BITFIELD none GET u8 0
EXISTS none
BITFIELD g OVERFLOW FAIL
EXISTS g
BITFIELD g SET u8 100 0
STRLEN g
BITFIELD g GET u64 0
BITFIELD g GET i65 0
BITFIELD g GET u0 0
BITFIELD g GET i0 0
BITFIELD g GET x8 0
BITFIELD g GET u 0
BITFIELD g GET u08 0
BITFIELD g GET U8 0
BITFIELD g GET u8 -1
BITFIELD g GET u8 x
BITFIELD g GET u8 "#"
BITFIELD g GET u8 "#-1"
BITFIELD g GET u8 4294967296
BITFIELD g GET u8 "#536870912"
BITFIELD g GET u8
BITFIELD g SET u8 0
BITFIELD g SET u8 0 x
BITFIELD g SET u8 0 9223372036854775808
BITFIELD g OVERFLOW
BITFIELD g OVERFLOW NO
BITFIELD g WORD u8 0
BITFIELD g SET u8 0 1 WORD
GET g
BITFIELD_RO f GET u8 0 GET i16 3
BITFIELD_RO f SET u8 0 1
BITFIELD_RO f GET u8 0 INCRBY u8 0 1
BITFIELD_RO f OVERFLOW SAT GET u8 0
BITFIELD_RO f
BITFIELD_RO none GET u8 7
BITFIELD_RO
BITFIELD
SET n 12
BITFIELD n GET u8 0 INCRBY u8 8 1
GET n
EXPIRE n 1000
SETBIT n 3 0
~1 TTL n
MULTI
SETBIT m 5 1
BITFIELD m INCRBY u8 0 1
BITOP NOT m m
GET m
EXEC
'''


class RandomBitmaps:
    KEYS = [b'b%d' % number for number in range(5)] + [b'', b'set']

    def __init__(self, generator):
        self.random = generator
        self.choices = [self.setbit] * 4 + [self.field] * 4 + [self.read] * 5 + [self.combine] * 2 + [self.other] * 2

    def draw(self):
        return self.random.choice(self.choices)()

    def key(self):
        return self.random.choice(self.KEYS)

    def offset(self):
        return self.random.choice([self.random.randrange(70), self.random.randrange(2000), self.random.randrange(140000),
                                   self.random.randrange(300000), 131071, 131072])

    def setbit(self):
        return '', [b'SETBIT', self.key(), b'%d' % self.offset(), b'%d' % self.random.randrange(2)]

    def field(self):
        words = [b'BITFIELD', self.key()]
        for _ in range(self.random.choice([1, 1, 2, 4, 20])):
            if self.random.random() < 0.3:
                words += [b'OVERFLOW', self.random.choice([b'WRAP', b'SAT', b'FAIL'])]
            signed = self.random.random() < 0.5
            width = self.random.choice([1, 7, 8, 9, 31, 32, 33, 63, 64 if signed else 62, self.random.randrange(1, 64)])
            place = [b'%s%d' % (b'i' if signed else b'u', width),
                     b'%d' % self.offset() if self.random.random() < 0.7 else b'#%d' % self.random.randrange(50)]
            number = self.random.choice([0, 1, -1, 100, -100, 2**63 - 1, -2**63, 2**width - 1 if width < 63 else 5,
                                         2**(width - 1) - 1, -2**(width - 1)])
            # Redis saturates a SET of the least int64 to the greatest number of the field: an overflow of its own.
            words += self.random.choice([[b'GET'] + place, [b'SET'] + place + [b'%d' % max(number, -2**62)],
                                         [b'INCRBY'] + place + [b'%d' % number]])
        return '', words

    def ends(self):
        numbers = [0, 1, -1, 5, -5, 100, 2000, -2000, 20000, self.random.randrange(140000), -self.random.randrange(140000)]
        return [b'%d' % self.random.choice(numbers) for _ in range(2)]

    def read(self):
        key = self.key()
        unit = self.random.choice([[], [b'BYTE'], [b'BIT']])
        bit = b'%d' % self.random.randrange(2)
        return '', self.random.choice([
            [b'GETBIT', key, b'%d' % self.offset()], [b'BITCOUNT', key], [b'BITCOUNT', key] + self.ends() + unit,
            [b'BITPOS', key, bit], [b'BITPOS', key, bit, self.ends()[0]], [b'BITPOS', key, bit] + self.ends() + unit,
            [b'GET', key], [b'STRLEN', key], [b'BITFIELD_RO', key, b'GET', b'i64', b'%d' % self.offset()]])

    def combine(self):
        word = self.random.choice([b'AND', b'OR', b'XOR', b'NOT'])
        sources = [self.key() for _ in range(1 if word == b'NOT' else self.random.randrange(1, 4))]
        return '', [b'BITOP', word, self.key()] + sources

    def other(self):
        key = self.key()
        return self.random.choice([('', [b'DEL', key]), ('', [b'SADD', b'set', b'x']), ('', [b'SET', key, b'%d' % self.random.randrange(10**6)]),
                                   ('', [b'SET', key, b'\xff' * self.random.choice([1, 44, 45, 16384, 16385, 30000])]),
                                   ('', [b'APPEND', key, b'\x00\xff']), ('', [b'EXPIRE', key, b'50000']), ('~3', [b'TTL', key]),
                                   ('', [b'SETRANGE', key, b'%d' % self.random.randrange(20000), b'abc'])])


def contents(client, keys):
    return {key: client.ask([b'GET', key]) for key in keys}


if __name__ == '__main__':
    sys.exit(run_family('bitmap', LINES, RandomBitmaps, contents))
