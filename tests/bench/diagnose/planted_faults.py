#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Are planted faults found? Sites drawn by a seed are rounded to 2 bits inside an 8-bit model; diagnose must name them.
# usage: planted_faults.py build/release/bin/bitwright-cli CHECKPOINT TEXT [--trials 10] [--tokens 1024] [--fault q2_k|int2:g64|…]
import argparse
import json
import os
import random
import subprocess
import tempfile


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cli")
    parser.add_argument("checkpoint")
    parser.add_argument("text")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--probes", type=int, default=128)
    parser.add_argument("--format", default="int8:g64")
    parser.add_argument("--fault", default="int2:g64")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        log = os.path.join(work, "log.db")

        def run(*words):
            done = subprocess.run([given.cli, *words, "--log", log, "--quiet", "--json"], capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
            return json.loads(done.stdout)

        first = run("quantize", given.checkpoint, "--format", given.format, "--eval-text", given.text, "--tokens", "256")
        sites = [s["site"] for s in first["sites"] if s["site"].startswith("blk.")]
        draw = random.Random(given.seed)
        for planted in (1, 2):
            hits, evaluations = 0, []
            for trial in range(given.trials):
                faults = draw.sample(sites, planted)
                rules = [w for f in faults for w in ("--set", f"{f}={given.fault}")]
                made = run("quantize", given.checkpoint, "--format", given.format, *rules, "--eval-text", given.text, "--tokens", str(given.tokens))
                found = run("diagnose", str(made["run"]), "--tokens", str(given.tokens), "--probes", str(given.probes))
                named = [c["site"] for c in found["culprits"]]
                first_suspects = [c["site"] for c in found["suspects"][:planted]]
                # One: named first. Two: the two most suspected are the planted ones, and every culprit is one of them.
                right = named[:1] == faults if planted == 1 else set(first_suspects) == set(faults) and set(named) <= set(faults) and named
                hits += bool(right)
                evaluations.append(found["evaluations"])
                kind = "" if right else "   MISSED"
                print(f"{planted} planted, trial {trial + 1}: {', '.join(faults)}: KL {found['kl']:.4g}, named {', '.join(named)} "
                      f"({100 * found['explained']:.0f} % explained, {found['evaluations']} models measured){kind}", flush=True)
            print(f"{planted} planted: found in {hits} of {given.trials}; models measured {min(evaluations)} to {max(evaluations)}\n", flush=True)


if __name__ == "__main__":
    main()
