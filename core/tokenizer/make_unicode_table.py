#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes unicode_table.inc: ranges of code points with the classes that pre-tokenizers ask for.

Run: pip install unicodedata2==16.0.0 && python3 core/tokenizer/make_unicode_table.py > core/tokenizer/unicode_table.inc
Unicode 16 is what the reference library (tokenizers 0.23.3) matches patterns with; Python 3.11's own data are older.
Classes (bits, see unicode.h): letter L*, number N*, white space, punctuation P*, mark M*, symbol S*, word \\w.
"""
import sys

import unicodedata2 as unicodedata

# Property White_Space; unicodedata has no query for it (str.isspace also counts U+001C…U+001F).
WHITE_SPACE = set(range(9, 14)) | {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000} | set(range(0x2000, 0x200B))
# What \w has besides letters, marks, digits, letter numbers and connectors: circled and squared letters, joiners.
OTHER_WORD = [(0x200C, 0x200D), (0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189)]
BIT_OF_MAJOR_CATEGORY = {"L": 1, "N": 2, "P": 8, "M": 16, "S": 32}


def bits(code_point):
    if code_point in WHITE_SPACE:
        return 4
    category = unicodedata.category(chr(code_point))
    word = category[0] in "LM" or category in ("Nd", "Nl", "Pc") or any(first <= code_point <= last for first, last in OTHER_WORD)
    return BIT_OF_MAJOR_CATEGORY.get(category[0], 0) | (64 if word else 0)


def ranges():
    first, current = 0, bits(0)
    for code_point in range(1, sys.maxunicode + 2):
        now = bits(code_point) if code_point <= sys.maxunicode else -1
        if now != current:
            if current:
                yield first, code_point - 1, current
            first, current = code_point, now


print("// SPDX-License-Identifier: GPL-3.0-or-later")
print(f"// Made by make_unicode_table.py from Unicode {unicodedata.unidata_version}. {{first, last, class bits}}, ascending.")
line = ""
for first, last, kind in ranges():
    entry = f"{{0x{first:X},0x{last:X},{kind}}},"
    if len(line) + len(entry) > 118:
        print(line)
        line = ""
    line += entry
print(line)
