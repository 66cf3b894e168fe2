#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes codebooks.inc, the code books of the IQ1, IQ2 and IQ3 block types, from the Python package gguf (0.19):

    python3 core/format/make_codebooks.py > core/format/codebooks.inc

An entry is the vector of level indices of one code, element 0 in the lowest bits: eight elements of 2 bits, or four of 4.
Run again only when the format gains a type."""
from gguf import quants

BOOKS = {"Iq2Xxs": "IQ2_XXS", "Iq2Xs": "IQ2_XS", "Iq2S": "IQ2_S", "Iq3Xxs": "IQ3_XXS", "Iq3S": "IQ3_S", "Iq1S": "IQ1_S"}

print("// SPDX-License-Identifier: GPL-3.0-or-later")
print("// Code books of the IQ block types, facts of the format. Written by make_codebooks.py; not edited by hand.")
for name, source in BOOKS.items():
    book = getattr(quants, source)
    book.init_grid()
    grid = book.grid.reshape(book.grid_shape).astype(int)
    levels = [int(v) for v in book.grid_map]
    entries, elements = grid.shape
    bits = 16 // elements
    codes = [sum(levels.index(v) << (bits * i) for i, v in enumerate(row)) for row in grid.tolist()]
    print(f"constexpr std::array<std::int8_t, {len(levels)}> k{name}Levels{{{', '.join(map(str, levels))}}};")
    print(f"constexpr std::array<std::uint16_t, {entries}> k{name}{{")
    for at in range(0, entries, 16):
        print("    " + ",".join(f"0x{code:04x}" for code in codes[at:at + 16]) + ",")
    print("};")
