#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the better search and weighted rounding are worth on a model: KL to the unquantized model, format by format.

    python3 tests/golden/quantize/search_gains.py CLI MODEL --text CALIBRATION --eval-text EVALUATION [--formats q4_k,q3_k]

Each format is simulated three times with CLI (bitwright-cli): --search reference (ggml's own bytes), --search best, and
best with importance from CALIBRATION. Prints a table of KL (nats per token, ± standard error) and the share that each
step takes away; nothing is written. --tokens bounds the evaluation (default 4096), --samples the calibration (16 × 256).
"""
import argparse
import json
import subprocess
import tempfile


def kl(options, *arguments):
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.run([options.cli, "quantize", options.model, "--eval-text", options.eval_text, "--tokens", str(options.tokens), "--log", f"{scratch}/log.db", "--json", "--quiet", *arguments],
                             check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    return result["evaluation"]["kl_mean"], result["evaluation"]["kl_se"], result["bits_per_weight"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("model")
    parser.add_argument("--text", required=True)
    parser.add_argument("--eval-text", required=True)
    parser.add_argument("--formats", default="q2_k,q3_k,q4_k,q5_k,q6_k,iq4_xs,iq4_nl,q4_0")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--samples", type=int, default=16)
    options = parser.parse_args()
    print("| Format | Bits/weight | KL, reference | KL, best | best, weighted | best takes away | weighting takes away |\n|---|---|---|---|---|---|---|", flush=True)
    for name in options.formats.split(","):
        reference, best = kl(options, "--format", name, "--search", "reference"), kl(options, "--format", name)
        weighted = kl(options, "--format", name, "--rounder", "weighted", "--text", options.text, "--samples", str(options.samples), "--length", "256")
        cells = [f"{value:.5f} ± {error:.5f}" for value, error, _ in (reference, best, weighted)]
        gains = [f"{100 * (1 - best[0] / reference[0]):.1f} %", f"{100 * (1 - weighted[0] / best[0]):.1f} %"]
        print(f"| {name} | {best[2]:.4f} | {' | '.join(cells + gains)} |", flush=True)


if __name__ == "__main__":
    main()
