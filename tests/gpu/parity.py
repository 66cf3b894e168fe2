#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Largest deviations of a device's results from the processor's, walk by walk, through the command line: what a person with
a GPU runs once. Standard library only; logs and caches go to a temporary folder.

    tests/gpu/parity.py build/release/bin/bitwright-cli [CHECKPOINT] [--device vulkan:0] [--tokens 512]
"""
import argparse
import json
import os
import subprocess
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TEXTS = os.path.join(ROOT, "resources", "texts")
CALIBRATION = ["--text", os.path.join(TEXTS, "calib_prose.txt")]
HELD_OUT = os.path.join(TEXTS, "eval_prose.txt")


def walks(tokens):
    """Name, command, figures that are held against each other ("*": every element of a list), and what they may differ by."""
    some = CALIBRATION + ["--samples", str(max(1, tokens // 64)), "--length", "64"]
    sites = ["--sites", "blk.0.*", "--formats", "int3:g64", "--rounder", "nearest"]
    score = ["--tokens", str(tokens)]
    return [
        ("evaluate: nats per token", ["eval", "--text", HELD_OUT] + score, "nll", 1e-4),
        ("evaluate: calibration error", ["eval", "--text", HELD_OUT] + score, "ece", 1e-3),
        ("quantize, int4 nearest: KL", ["quantize", "--format", "int4:g64", "--rounder", "nearest", "--eval-text", HELD_OUT] + score,
         "evaluation/kl_mean", 1e-3),
        ("quantize, int4 nearest: Δp rms", ["quantize", "--format", "int4:g64", "--rounder", "nearest", "--eval-text", HELD_OUT] + score,
         "evaluation/delta_p_rms", 1e-3),
        # A value in the middle of two codes may go either way by a unit in its last place, which other roundings follow from.
        ("quantize, inputs in 8 bits: KL", ["quantize", "--format", "int8:channel:sym", "--rounder", "nearest", "--runtime", "w8a8", "--eval-text", HELD_OUT] + score,
         "evaluation/kl_mean", 3e-2),
        ("sweep, output errors", ["sweep", "--metric", "output"] + sites + some, "cells/*/value", 1e-4),
        # The processor multiplies differences in bf16 here, which moves a cell by less than its error.
        ("sweep, KL", ["sweep", "--metric", "kl"] + sites + some, "cells/*/value", 1e-2),
        ("calibrate, error of ranges", ["calibrate"] + some, "sites/*/heldout_error/minmax", 1e-3),
        ("calibrate, largest inputs", ["calibrate"] + some, "sites/*/absmax", 1e-4),
    ]


def figures(value, path):
    head, _, rest = path.partition("/")
    if head == "*":
        return [found for each in value for found in figures(each, rest)]
    return figures(value[head], rest) if rest else [value[head]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("checkpoint", nargs="?", default=os.path.join(ROOT, "resources", "demo"))
    parser.add_argument("--device", default="vulkan:0")
    parser.add_argument("--tokens", type=int, default=512)
    options = parser.parse_args()
    made = {}

    def run(command, device):
        key = (tuple(command), device)
        if key not in made:
            with tempfile.TemporaryDirectory() as folder:
                line = [options.cli, command[0], options.checkpoint] + command[1:]
                line += ["--device", device, "--log", os.path.join(folder, "log.db"), "--quiet", "--json"]
                home = dict(os.environ, XDG_CACHE_HOME=folder, XDG_DATA_HOME=folder)
                made[key] = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=home).stdout)
        return made[key]

    worst = 0
    print(f"{'walk':34} {'figures':>7} {'largest deviation':>18} {'allowed':>8}")
    for name, command, path, allowed in walks(options.tokens):
        expected, got = figures(run(command, "cpu"), path), figures(run(command, options.device), path)
        assert len(expected) == len(got) > 0, name
        deviation = max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(expected, got))
        worst = max(worst, deviation / allowed)
        print(f"{name:34} {len(expected):7} {deviation:18.1e} {allowed:8.0e}")
    raise SystemExit(worst > 1)


if __name__ == "__main__":
    main()
