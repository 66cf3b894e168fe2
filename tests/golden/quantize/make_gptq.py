#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/golden/quantize/gptq.json: GPTQ of small weights, worked out in numpy by eliminating columns.

Nothing is factorised here: after a column is rounded, the loss as a function of the columns still free is a quadratic whose
least value moves each of them by -Hff^-1 Hfc times what the column was moved by. That is solved anew for every column, so the
file does not share the program's way to the same numbers.

usage: make_gptq.py OUT    (numpy)
"""
import json
import sys

import numpy as np

BITS, GROUP, ROWS, COLUMNS, TOKENS = 3, 8, 5, 32, 80


def grid_of(values):
    """f16 scale and whole zero point of one group, asymmetric, range made to hold 0; the next smaller scale while the largest
    value does not come to the last code."""
    low, high, last = min(values.min(), 0.0), max(values.max(), 0.0), 2**BITS - 1
    scale = np.float16((high - low) / last)
    for _ in range(5):
        zero = float(np.clip(np.rint(-low / float(scale)), 0, last))
        if np.rint(high / float(scale)) + zero >= last:
            break
        scale = np.nextafter(scale, np.float16(0))
    return float(scale), zero


def code_of(value, scale, zero):
    return int(np.clip(np.rint(value / scale) + zero, 0, 2**BITS - 1))


def gptq(weight, gram, damping, falling, refit):
    hessian = gram + damping * np.mean(np.diag(gram)) * np.eye(COLUMNS)
    order = np.argsort(-np.diag(gram), kind="stable") if falling else np.arange(COLUMNS)
    groups = COLUMNS // GROUP
    grids = [[grid_of(row[g * GROUP:(g + 1) * GROUP]) for g in range(groups)] for row in weight]
    codes = np.zeros((ROWS, COLUMNS), int)
    target, decoded = weight.copy(), np.zeros_like(weight)
    for i, c in enumerate(order):
        if refit and c % GROUP == 0:
            for r in range(ROWS):
                grids[r][c // GROUP] = grid_of(target[r, c:c + GROUP])
        for r in range(ROWS):
            scale, zero = grids[r][c // GROUP]
            codes[r, c] = code_of(target[r, c], scale, zero)
            decoded[r, c] = scale * (codes[r, c] - zero)
        free, done = order[i + 1:], order[:i + 1]
        if len(free):
            moved = decoded[:, done] - weight[:, done]
            target[:, free] = weight[:, free] - np.linalg.solve(hessian[np.ix_(free, free)], hessian[np.ix_(free, done)] @ moved.T).T
    difference = weight - decoded
    return {"scales": [[g[0] for g in row] for row in grids], "zeros": [[int(g[1]) for g in row] for row in grids],
            "codes": codes.tolist(), "error": float(np.sum(difference @ gram * difference) / np.sum(weight @ gram * weight))}


def main():
    random = np.random.default_rng(7)
    weight = np.round(random.normal(size=(ROWS, COLUMNS)), 3).astype(np.float64)
    mixing = random.normal(size=(COLUMNS, COLUMNS)) * 0.3 + np.eye(COLUMNS)
    inputs = random.normal(size=(TOKENS, COLUMNS)) @ mixing
    inputs[:, 5] *= 4
    inputs[:, 17] *= 2.5
    inputs = np.round(inputs, 3)
    gram = inputs.T @ inputs
    cases = []
    for name, damping, falling, refit in (("in index order", 0.01, False, False), ("in falling order, groups as at the start", 0.01, True, False),
                                          ("much damping", 0.3, True, False), ("scales of a group when it is reached", 0.01, False, True)):
        cases.append({"name": name, "damping": damping, "activation_order": falling, "refit_scales": refit} | gptq(weight, gram, damping, falling, refit))
    out = {"origin": "make_gptq.py, numpy " + np.__version__, "format": f"int{BITS}:g{GROUP}:asym", "weight": weight.tolist(), "inputs": inputs.tolist(), "cases": cases}
    with open(sys.argv[1], "w") as file:
        file.write(json.dumps(out, separators=(",", ":")) + "\n")


main()
