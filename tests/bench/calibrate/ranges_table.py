#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What range calibrators are worth: their error as a share of min-max's, model by model.

    python3 tests/bench/calibrate/ranges_table.py CLI --text CALIBRATION MODEL [MODEL …] [--samples 64] [--length 256]

Two Markdown tables of geometric means over all inputs. The first is measured on held-out windows at 8 bits, percentile at 99.9, and
counts the inputs at which percentile beats min-max by 15 % or more. The second asks other percentiles at 8 and 4 bits from the
stored histograms, one symmetric range for the input.
"""
import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

TENSOR = ["average", "percentile", "kl", "mse"]
CHANNEL = ["minmax", "percentile", "kl", "mse"]
NAMES = [f"tensor:{n}" for n in TENSOR] + [f"channel:{n}" for n in CHANNEL] + ["token:dynamic"]
PERCENTILES = ["99.9", "99.99", "99.999"]


def ask(options, log, *arguments):
    run = subprocess.run([options.cli, "calibrate", *map(str, arguments), "--log", log, "--json", "--quiet"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def measure(options, model):
    with tempfile.TemporaryDirectory() as scratch:
        log = f"{scratch}/log.db"
        result = ask(options, log, model, "--text", *options.text, "--samples", options.samples, "--length", options.length)
        return result, ask(options, log, "--run", result["run"], "--what-if", *(f"clip:percentile={p}" for p in PERCENTILES))["inputs"]


def mean(shares):
    return math.exp(sum(map(math.log, shares)) / len(shares))


def table(head):
    print("\n| " + " | ".join(head) + " |\n|---" + "|---:" * (len(head) - 1) + "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--length", type=int, default=256)
    options = parser.parse_args()
    measured = [(Path(model).name, *measure(options, model)) for model in options.models]
    table(["model", *(n.replace(":", " ") for n in NAMES), "percentile ≥ 15 % better"])
    for name, result, _ in measured:
        inputs = {site["input"]: site for site in result["sites"]}.values()
        better = [site["heldout_error"]["percentile"] <= 0.85 * site["heldout_error"]["minmax"] for site in inputs]
        print(f"| {name} | " + " | ".join(f"{result['calibrators'][n]:.3g}" for n in NAMES) + f" | {sum(better)} of {len(better)} |")
    table(["model", *(f"{p} % at {bits} bits" for bits in (8, 4) for p in PERCENTILES)])
    for name, _, inputs in measured:
        cells = [mean([i["after"][p][f"int{bits}"]["tensor"] / i["before"][f"int{bits}"]["tensor"] for i in inputs]) for bits in (8, 4) for p in range(len(PERCENTILES))]
        print(f"| {name} | " + " | ".join(f"{c:.3g}" for c in cells) + " |")


if __name__ == "__main__":
    main()
