#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does llama.cpp load and run a GGUF that Bitwright wrote, and does it see the same model?

    pip install llama-cpp-python numpy
    python3 tests/golden/llama_cpp_accepts.py CLI MODEL.gguf [TEXT]

Loads MODEL.gguf in llama.cpp, evaluates one window of 256 tokens of TEXT there and in CLI (bitwright-cli logits), and
compares token ids and mean negative log-likelihood. llama.cpp rounds activations to 8 bits in front of quantized
weights, which moves the mean by about 1e-2 nats at most on small models; a wrong tensor, scale or permutation moves it
by whole nats. Exit code 0 when everything agrees. Runs outside CI: building llama.cpp takes minutes.
"""
import json
import subprocess
import sys

import numpy
from llama_cpp import Llama

TOLERANCE_NATS = 0.03


def main() -> int:
    cli, model = sys.argv[1], sys.argv[2]
    text = open(sys.argv[3] if len(sys.argv) > 3 else "resources/texts/eval_prose.txt", encoding="utf-8").read()[:6000]
    llama = Llama(model_path=model, n_ctx=256, n_batch=256, logits_all=True, verbose=False)
    theirs = llama.tokenize(text.encode(), add_bos=False, special=True)[:256]
    ours = json.loads(subprocess.run([cli, "tokenize", model, "--text", text, "--no-special", "--json"],
                                     check=True, capture_output=True, text=True).stdout)["ids"][:256]
    if theirs != ours:
        first = next(i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b)
        print(f"token ids differ at {first}: llama.cpp {theirs[first:first + 5]}, Bitwright {ours[first:first + 5]}")
        return 1
    llama.eval(theirs)
    logits = numpy.array(llama.scores[:len(theirs)], dtype=numpy.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))
    their_nll = -numpy.mean([log_probs[i, theirs[i + 1]] for i in range(len(theirs) - 1)])
    our_nll = json.loads(subprocess.run([cli, "logits", model, "--ids", ",".join(map(str, ours)), "--json"],
                                        check=True, capture_output=True, text=True).stdout)["nll"]
    print(f"{model}: {len(ours)} tokens, mean NLL llama.cpp {their_nll:.5f}, Bitwright {our_nll:.5f}, difference {our_nll - their_nll:+.5f}")
    return 0 if abs(our_nll - their_nll) <= TOLERANCE_NATS else 1


if __name__ == "__main__":
    sys.exit(main())
