#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals of a block bootstrap by numpy, for paired_golden_test.cpp: prints its table. Needs numpy; 200,000 resamples, half a minute.

The series is made by integer arithmetic that both sides repeat: 24 windows of 60 tokens; documents of 5 to 64 tokens with a level of their own.
"""
import numpy as np

WINDOWS, LENGTH, RESAMPLES = 24, 60, 200_000


def lcg(seed):
    while True:
        seed = (seed * 1103515245 + 12345) % 2**31
        yield seed


def series():
    numbers = lcg(7)
    lengths, left = [], WINDOWS * LENGTH
    while left > 0:
        n = min(left, 5 + next(numbers) // 1000 % 60)
        lengths.append(n)
        left -= n
    d = []
    for n in lengths:
        level = next(numbers) // 1000 % 1001 / 1000 - 0.35
        d += [level + (next(numbers) // 1000 % 1001 / 1000 - 0.5) for _ in range(n)]
    return np.float32(np.array(d)).astype(float), lengths


def interval(d, lengths, rng):
    ends = np.cumsum(lengths)
    sums = np.array([d[e - n:e].sum() for e, n in zip(ends, lengths)])
    lengths = np.array(lengths, float)
    n = len(lengths)
    mean = d.mean()
    drawn = np.empty(RESAMPLES)
    for i in range(0, RESAMPLES, 2000):
        pick = rng.integers(0, n, (2000, n))
        drawn[i:i + 2000] = sums[pick].sum(1) / lengths[pick].sum(1)
    off = (drawn - mean) * np.sqrt(n / (n - 1))
    low, high = np.quantile(off, [0.025, 0.975])
    return mean, mean - high, mean - low, off.std(ddof=1), n


d, documents = series()
rng = np.random.default_rng(1)
for name, lengths in (("windows", [LENGTH] * WINDOWS), ("documents", documents)):
    print(name, "mean %.9f low %.6f high %.6f se %.6f blocks %d" % interval(d, lengths, rng))
print("naive se %.6f" % (d.std(ddof=1) / np.sqrt(len(d))))
