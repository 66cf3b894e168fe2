#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a copy of the demo model with three large channels in every norm, the same function, and prints the table of activations.md.

    make_outliers.py CLI [--demo ../demo --texts ../texts --work FOLDER]

Channels 73, 104 and 124 of both norms of every block become 20 to 60 times as large and the weights behind them smaller by as much;
values are written as f32, so that only the last bits of the function change. Needs numpy.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CHANNELS = [73, 104, 124]
READERS = {"input_layernorm": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], "post_attention_layernorm": ["mlp.gate_proj", "mlp.up_proj"]}
# Line of the table: options besides the weights' own.
ROWS = [
    ("int8 weights alone", []),
    ("and `a8:tensor`", ["--activations", "a8:tensor"]),
    ("and `a8:token`", ["--activations", "a8:token"]),
    ("`a8:tensor`, `smooth:alpha=0.5`", ["--activations", "a8:tensor", "--transform", "smooth:alpha=0.5"]),
    ("`a8:tensor`, `smooth:alpha=0.8`", ["--activations", "a8:tensor", "--transform", "smooth:alpha=0.8"]),
    ("`a8:tensor`, `outliers threshold=20`", ["--activations", "a8:tensor", "--outliers", "threshold=20"]),
    ("`a8:token`, `outliers threshold=20`", ["--activations", "a8:token", "--outliers", "threshold=20"]),
]


def read(path):
    """Tensors of a bf16 safetensors file as f32."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:8 + size]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", name
        first, last = (8 + size + at for at in entry["data_offsets"])
        tensors[name] = (np.frombuffer(raw[first:last], np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"]).copy()
    return tensors


def write(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(v.tobytes() for v in tensors.values()))


def plant(source, target):
    shutil.copytree(source, target)
    path = target / "model.safetensors"
    tensors = read(path)
    random = np.random.default_rng(1)
    for block in range(json.loads((source / "config.json").read_text())["num_hidden_layers"]):
        for norm, readers in READERS.items():
            factors = random.uniform(20, 60, len(CHANNELS)).astype(np.float32)
            tensors[f"model.layers.{block}.{norm}.weight"][CHANNELS] *= factors
            for reader in readers:
                tensors[f"model.layers.{block}.{reader}.weight"][:, CHANNELS] /= factors
    write(path, tensors)


def measure(args, model, text, options):
    """Perplexity before and after, and KL; the same command for every line."""
    command = [args.cli, "quantize", model, "--format", "int8:channel:sym", "--no-clip-search", "--head", "keep", "--text", args.texts / "calib_prose.txt", args.texts / "calib_code.txt",
               "--samples", "24", "--length", "256", "--eval-text", args.texts / text, "--tokens", "4096", "--log", Path(args.work) / "log.db", "--json", *options]
    print(" ".join(map(str, command)), file=sys.stderr)
    done = json.loads(subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout)["evaluation"]
    return done["base_perplexity"], done["perplexity"], done["kl_mean"]


def main():
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("--demo", type=Path, default=here / "demo")
    parser.add_argument("--texts", type=Path, default=here / "texts")
    parser.add_argument("--work", default=None, help="folder for the model and the log (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        args.work = args.work or folder
        model = Path(args.work) / "demo-outliers"
        if not model.exists():
            plant(args.demo, model)
        print("| | Perplexity, prose | KL | Perplexity, code | KL |\n|---|---|---|---|---|")
        for number, (name, options) in enumerate(ROWS):
            prose, code = (measure(args, model, text, options) for text in ("eval_prose.txt", "eval_code.txt"))
            if number == 0:
                print(f"| as it is | {prose[0]:.2f} | | {code[0]:.2f} | |")
            print(f"| {name} | {prose[1]:.2f} | {prose[2]:.4f} | {code[1]:.2f} | {code[2]:.4f} |", flush=True)


if __name__ == "__main__":
    main()
