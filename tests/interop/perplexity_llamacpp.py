# SPDX-License-Identifier: GPL-3.0-or-later
"""Perplexity and KL of GGUF files as llama.cpp computes them, against the checkpoint that they were made from.

usage: perplexity_llamacpp.py BASE.gguf TEXT[,TEXT…] FILE.gguf [FILE.gguf …] [--tokens 4096] [--window 256] [--second-half] [--cli bitwright-cli]

The first N tokens of every text in windows without a start token; all positions but the first of a window count, as in Bitwright's
protocol windows:256, or with --second-half those of llama-perplexity, Bitwright's llama.cpp:512. Standard errors are over windows. With
--cli Bitwright's own figures of the same files and tokens stand beside: with --runtime llama.cpp-cpu, and in exact arithmetic.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from llama_cpp import Llama


def log_softmax(x):
    x = np.asarray(x, dtype=np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class Scorer:
    def __init__(self, path, window, first):
        self.first = first
        self.model = Llama(str(path), n_ctx=window, n_batch=window, logits_all=True, verbose=False, n_threads=1, n_threads_batch=1)

    def __call__(self, ids):
        self.model.reset()
        self.model.eval(ids)
        return log_softmax(self.model.scores[self.first: len(ids) - 1])


def windows_of(model, text, tokens, length):
    ids = model.tokenize(Path(text).read_bytes()[: 16 * tokens], add_bos=False)[:tokens]
    return [ids[at:at + length] for at in range(0, len(ids) - length + 1, length)]


def own_figures(cli, base, path, text, options):
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.run([cli, "eval", path, "--base", base, "--text", text, "--tokens", str(options.tokens), "--protocol", f"{'llama.cpp' if options.second_half else 'windows'}:{options.window}",
                              "--runtime", "llama.cpp-cpu", "--log", f"{scratch}/log.db", "--json", "--quiet"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def row(name, text, perplexity, kl, error, same, own):
    mine = f" {own['perplexity']:.3f} | {own['kl_mean']:.5f} | {100 * (own['kl_mean'] / kl - 1):+.1f} % | {own['ideal']['perplexity']:.3f} | {own['ideal']['kl_mean']:.5f} |" if own else ""
    print(f"| {name} | {Path(text).name} | {perplexity:.3f} | {kl:.5f} ± {error:.5f} | {100 * same:.1f} % |{mine}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("texts")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--second-half", action="store_true")
    parser.add_argument("--cli")
    options = parser.parse_args()
    first = options.window // 2 if options.second_half else 0
    base, models = Scorer(options.base, options.window, first), {path: Scorer(path, options.window, first) for path in options.files}
    print("| file | text | perplexity | KL(base‖file) | same top-1 |" + (" Bitwright's perplexity | KL | of llama.cpp's | exact: perplexity | KL |" if options.cli else ""))
    print("|---|---|---:|---:|---:|" + ("---:|---:|---:|---:|---:|" if options.cli else ""))
    for text in options.texts.split(","):
        parts = windows_of(base.model, text, options.tokens, options.window)
        losses, kls, tops, base_losses = {p: [] for p in models}, {p: [] for p in models}, {p: [] for p in models}, []
        for ids in parts:
            was, at, next_ids = base(ids), np.arange(len(ids) - 1 - first), ids[first + 1:]
            base_losses.append(-was[at, next_ids].mean())
            for path, score in models.items():
                now = score(ids)
                losses[path].append(-now[at, next_ids].mean())
                kls[path].append((np.exp(was) * (was - now)).sum(-1).mean())
                tops[path].append((was.argmax(-1) == now.argmax(-1)).mean())
        row(Path(options.base).name, text, np.exp(np.mean(base_losses)), 0, 0, 1, None)
        for path in models:
            own = own_figures(options.cli, options.base, path, text, options) if options.cli else None
            spread = np.std(kls[path], ddof=1) / np.sqrt(len(parts))
            row(Path(path).name, text, np.exp(np.mean(losses[path])), np.mean(kls[path]), spread, np.mean(tops[path]), own)
    return 0


if __name__ == "__main__":
    sys.exit(main())
