#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What range calibrators are worth: their 8-bit error on held-out windows, as a share of min-max's, model by model.

    python3 tests/bench/calibrate/ranges_table.py CLI --text CALIBRATION MODEL [MODEL …] [--samples 64] [--length 256]

For each model the geometric mean over all inputs of error / error of min-max (one range for the tensor), and the share of inputs
at which a calibrator beats min-max by 15 % or more. Prints a Markdown table; nothing is written.
"""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

TENSOR = ["average", "percentile", "kl", "mse"]
CHANNEL = ["minmax", "percentile", "kl", "mse"]


def calibrate(options, model):
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.run([options.cli, "calibrate", model, "--text", *options.text, "--samples", str(options.samples), "--length", str(options.length),
                              "--log", f"{scratch}/log.db", "--no-cache", "--json", "--quiet"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--length", type=int, default=256)
    options = parser.parse_args()
    names = [f"tensor:{n}" for n in TENSOR] + [f"channel:{n}" for n in CHANNEL] + ["token:dynamic"]
    print("| Model | " + " | ".join(n.replace(":", " ") for n in names) + " | percentile ≥ 15 % better |")
    print("|---|" + "---|" * (len(names) + 1))
    for model in options.models:
        result = calibrate(options, model)
        inputs = {site["input"]: site for site in result["sites"]}.values()
        better = [site["heldout_error"]["percentile"] <= 0.85 * site["heldout_error"]["minmax"] for site in inputs]
        cells = [f"{result['calibrators'][n]:.3g}" for n in names]
        print(f"| {Path(model).name} | " + " | ".join(cells) + f" | {sum(better)} of {len(better)} inputs |", flush=True)


if __name__ == "__main__":
    main()
