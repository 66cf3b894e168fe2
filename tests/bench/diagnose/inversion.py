#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Does fitting more to the calibration text make a model worse? GPTQ on less and less calibration text, from careful to greedy: its
# error there against nearest rounding's, and the KL on a text that it has not seen. Prints the manual's table (Evaluation, Warnings).
# usage: inversion.py build/release/bin/bitwright-cli resources/demo CALIBRATION_TEXT EVALUATION_TEXT
import json
import os
import subprocess
import sys
import tempfile

RECIPES = [  # samples, tokens of each, options
    (64, 128, []),
    (16, 64, []),
    (4, 64, []),
    (4, 16, ["--damping", "0.000001"]),
    (2, 16, ["--damping", "0.000001", "--sweeps", "64"]),
]


def main():
    cli, model, calibration, evaluation = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as work:
        log = os.path.join(work, "log.db")

        def quantize(*words):
            done = subprocess.run([cli, "quantize", model, "--format", "int4:g64", *words, "--eval-text", evaluation, "--tokens", "4096", "--log", log, "--quiet", "--json", "--no-cache"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
            return json.loads(done.stdout)

        plain = quantize("--rounder", "nearest", "--no-clip-search")["evaluation"]
        print("| calibration | error there, of nearest's | KL on other text | `inversion` |\n|---|---:|---:|---|")
        print(f"| none, plain nearest rounding | 100 % | {plain['kl_mean']:.4f} ± {plain['kl_se']:.4f} | |")
        for samples, length, options in RECIPES:
            result = quantize("--rounder", "gptq", "--text", calibration, "--samples", str(samples), "--length", str(length), *options)
            found = subprocess.run([cli, "runs", "show", str(result["run"]), "--log", log, "--json"], capture_output=True, text=True, check=True)
            kinds = [w["kind"] for w in json.loads(found.stdout)["data_warnings"]]
            e = result["evaluation"]
            name = f"{samples} × {length} tokens" + (", `" + " ".join(options) + "`" if options else "")
            print(f"| {name} | {100 * result['gptq']['error_ratio']:.0f} % | {e['kl_mean']:.4f} ± {e['kl_se']:.4f} | {'raised' if 'inversion' in kinds else ''} |", flush=True)


if __name__ == "__main__":
    main()
