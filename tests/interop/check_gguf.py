# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF exports in gguf-py (weights) and llama.cpp (logits).

usage: check_gguf.py bitwright-cli SOURCE-FOLDER CALIBRATION.txt WORK-FOLDER
"""
import importlib.metadata
import sys
from pathlib import Path

import gguf
import numpy as np
from llama_cpp import Llama

import exports

IDS = np.random.default_rng(7).integers(3, 2048, 96).tolist()
CASES = {"q8_0": ["--format", "q8_0"], "q4_k": ["--format", "q4_k"], "q4_k by GPTQ": ["--format", "q4_k", "--rounder", "gptq"], "q4_0 by GPTQ": ["--format", "q4_0", "--rounder", "gptq"],
         "iq4_xs": ["--format", "iq4_xs"], "q3_k by GPTQ": ["--format", "q3_k", "--rounder", "gptq"]}


def log_softmax(x):
    x = np.asarray(x, dtype=np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def kl(p, q):
    p, q = log_softmax(p), log_softmax(q)
    return float((np.exp(p) * (p - q)).sum(-1).mean())


def main(cli, source, text, work):
    for package in ("gguf", "llama-cpp-python", "numpy"):
        print(package, importlib.metadata.version(package))
    print("| GGUF | tensors | largest weight difference | KL(Bitwright‖llama.cpp) | same top-1 |\n|---|---|---|---|---|")
    work, good = Path(work), True
    work.mkdir(parents=True, exist_ok=True)
    for name, options in CASES.items():
        path, plain = work / f"{name.replace(' ', '-')}.gguf", work / f"{name.replace(' ', '-')}.f32.gguf"
        for out, start, extra in ((path, source, [*options, "--text", text, "--samples", "16", "--length", "128"]), (plain, path, ["--format", "f32"])):
            if not out.exists():
                exports.run(cli, work / "log.sqlite", "quantize", start, *extra, "--out", out)
        decoded = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
        own = {t.name: t.data for t in gguf.GGUFReader(plain).tensors}
        worst = max(float(np.abs(decoded[n] - own[n].reshape(decoded[n].shape)).max()) for n in decoded)
        model = Llama(str(path), n_ctx=128, logits_all=True, verbose=False, n_threads=1)
        model.eval(IDS)
        theirs, ours = model.scores[:len(IDS)], exports.logits(cli, work, path, IDS)
        row = kl(ours, theirs), float((np.argmax(ours, -1) == np.argmax(theirs, -1)).mean())
        good = good and worst == 0 and row[0] < 5e-3  # llama.cpp rounds activations to 8 bits
        print(f"| {name} | {len(decoded)} | {worst:.1e} | {row[0]:.1e} | {100 * row[1]:.0f} % |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
