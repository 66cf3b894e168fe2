#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does llama.cpp open a GGUF that Bitwright wrote in parts, with the logits of the same model in one file?

    pip install llama-cpp-python numpy
    python3 tests/golden/checkpoint/llama_cpp_parts.py CLI MODEL [PARTS=3]

CLI (bitwright-cli) writes MODEL twice as q8_0, whole and in about PARTS parts. Exit code 0 when llama.cpp's logits of
a few ids are equal to the last bit and the parts hold the whole file's keys and tensors.
"""
import pathlib
import subprocess
import sys
import tempfile

import llama_cpp
import numpy

IDS = [1, 5, 9, 200, 31, 7, 8, 100]


def logits(path):
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    assert model, f"llama.cpp does not open {path}"
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 256, 1, 1
    context = llama_cpp.llama_init_from_model(model, parameters)
    ids = (llama_cpp.llama_token * len(IDS))(*IDS)  # the batch only points to them
    assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(IDS))) == 0
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    return numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(vocabulary,)).copy()


def main():
    cli, model, parts = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with tempfile.TemporaryDirectory() as scratch:
        def write(name, *more):
            subprocess.run([cli, "quantize", model, "--format", "q8_0", "--out", f"{scratch}/{name}.gguf", "--log", f"{scratch}/log.db", "--quiet", *more], check=True, stdout=subprocess.DEVNULL)

        write("whole")
        whole = pathlib.Path(f"{scratch}/whole.gguf")
        write("parts", "--split-max-size", f"{whole.stat().st_size // parts + 1}B")
        files = sorted(pathlib.Path(scratch).glob("parts-*.gguf"))
        same = numpy.array_equal(logits(whole), logits(files[0]))
        print(f"{len(files)} parts of {[f.stat().st_size for f in files]} bytes, whole {whole.stat().st_size}: logits {'the same' if same else 'DIFFERENT'}")
        return 0 if same and len(files) > 1 else 1


sys.exit(main())
