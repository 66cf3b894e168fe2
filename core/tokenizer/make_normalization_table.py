#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes normalization_table.inc: decompositions, compositions, combining classes and lower case.

Run: pip install tokenizers==0.23.3 unicodedata2==16.0.0 &&
     python3 core/tokenizer/make_normalization_table.py > core/tokenizer/normalization_table.inc
The reference library's own Unicode is older than its patterns' (9.0 for the normal forms), so every entry of unicodedata2
is asked of the library first and left out where the library does not do it. Hangul is computed, not listed.
"""
import unicodedata2 as unicodedata
from tokenizers import normalizers

NFC, NFD, NFKD = normalizers.NFC(), normalizers.NFD(), normalizers.NFKD()
LOWER, ACCENTS = normalizers.Lowercase(), normalizers.StripAccents()
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)


def table(name, kind, entries, comment):
    print(f"// {comment}\nconstexpr {kind} {name}[] = {{")
    line = ""
    for entry in entries:
        if len(line) + len(entry) > 118:
            print(line)
            line = ""
        line += entry
    print(line + "\n};")


def decompositions(normalizer, without=None):
    for c in POINTS:
        text = normalizer.normalize_str(chr(c))
        if c in HANGUL or text == chr(c) or (without and text == without.normalize_str(chr(c))):
            continue
        yield "".join(f"0x{v:X}," for v in (c << 8 | len(text), *map(ord, text)))


def compositions():
    for c in POINTS:
        parts = unicodedata.decomposition(chr(c)).split()
        if c in HANGUL or len(parts) != 2 or parts[0].startswith("<"):
            continue
        first, second = (int(part, 16) for part in parts)
        if NFC.normalize_str(chr(first) + chr(second)) == chr(c):
            yield f"{{0x{first:X},0x{second:X},0x{c:X}}},"


def combining(c):
    """Class as the library sees it: it must move the mark in front of U+0345 (240), which all others precede."""
    known = unicodedata.combining(chr(c))
    moved = NFD.normalize_str("a\u0345" + chr(c)) == "a" + NFD.normalize_str(chr(c)) + "\u0345"
    return known if known and (moved or known == 240) else 0


def runs(values):
    first = previous = current = None
    for c in POINTS:
        value = values(c)
        if value != current or c != previous + 1:
            if current:
                yield f"{{0x{first:X},0x{previous:X},{current}}},"
            first, current = c, value
        previous = c


def lower_runs():
    """Runs of upper-case code points one or two apart with one distance to their lower case. U+0130 is left to the code."""
    pairs = [(c, ord(LOWER.normalize_str(chr(c)))) for c in POINTS if c != 0x130 and LOWER.normalize_str(chr(c)) != chr(c)]
    at = 0
    while at < len(pairs):
        end, (c, low) = at + 1, pairs[at]
        step = pairs[end][0] - c if end < len(pairs) else 0
        while end < len(pairs) and step in (1, 2) and pairs[end] == (c + step * (end - at), low + step * (end - at)):
            end += 1
        yield f"{{0x{c:X},0x{pairs[end - 1][0]:X},{step if end > at + 1 else 1},{low - c}}},"
        at = end


print("// SPDX-License-Identifier: GPL-3.0-or-later\n// Made by make_normalization_table.py.")
table("kCanonical", "char32_t", decompositions(NFD), "Full canonical decompositions: code point << 8 | length, then that many code points.")
table("kCompatible", "char32_t", decompositions(NFKD, NFD), "Full compatibility decompositions where they differ from the canonical ones.")
table("kCompositions", "Composition", compositions(), "Pairs that compose, exclusions left out, ascending by result.")
table("kCombining", "MarkRange", runs(combining), "Canonical combining classes other than 0: first, last, class.")
table("kAccents", "MarkRange", runs(lambda c: int(ACCENTS.normalize_str(chr(c)) == "")), "What StripAccents takes away.")
table("kLower", "CaseRun", lower_runs(), "First and last upper-case code point, step, distance to the lower case.")
