#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does llama.cpp load the GGUF that Bitwright writes of each architecture family, and compute the same logits?

    pip install llama-cpp-python numpy
    python3 tests/golden/families/llama_cpp_families.py CLI [NAME…]

Makes a Hugging Face folder of each tiny model in tests/data/families, lets CLI (bitwright-cli) write it as GGUF without
quantizing anything, and evaluates its ids in llama.cpp with keys and values in f32. Prints the largest difference to
the logits that transformers computed. Exit code 0 when every family agrees within 1e-4, those with GELU within 1e-2
(llama.cpp looks GELU up in a table of f16). Runs outside CI: building llama.cpp takes minutes.
"""
import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import llama_cpp
import numpy

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "families"
TOLERANCE, GELU_TOLERANCE = 1e-4, 1e-2
GELU = ("gemma", "gpt2")
# llama.cpp knows no sliding window for 'llama', and Phi-3's is switched off: equal as long as the text fits the window.
WINDOW = {"mistral": 8, "phi3": 9}
REFUSED = {"gemma2_scale", "qwen2_moe_sparse"}  # GGUF has no key for what they do
# llama.cpp chooses longrope's factors by the size of the context, which it makes no smaller than 256.
ORIGINAL_CONTEXT = {"phi3_short": 512}


def logits(path, ids, original_context):
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = 0
    if original_context:
        override = (llama_cpp.llama_model_kv_override * 2)()  # the second ends the list
        override[0].tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_INT
        override[0].key = b"phi3.rope.scaling.original_context_length"
        override[0].value.val_i64 = original_context
        parameters.kv_overrides = override
    model = llama_cpp.llama_load_model_from_file(str(path).encode(), parameters)
    if not model:
        return None
    context_parameters = llama_cpp.llama_context_default_params()
    context_parameters.n_ctx = 256
    context_parameters.n_batch = context_parameters.n_ubatch = len(ids)
    context_parameters.n_threads = 1
    context_parameters.type_k = context_parameters.type_v = llama_cpp.GGML_TYPE_F32
    context_parameters.flash_attn_type = 0  # off
    context = llama_cpp.llama_new_context_with_model(model, context_parameters)
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    if llama_cpp.llama_decode(context, batch) != 0:
        return None
    vocabulary = llama_cpp.llama_n_vocab(llama_cpp.llama_model_get_vocab(model))
    return numpy.array([[llama_cpp.llama_get_logits_ith(context, i)[v] for v in range(vocabulary)] for i in range(len(ids))])


def main() -> int:
    cli, names = sys.argv[1], sys.argv[2:] or sorted(p.name for p in DATA.iterdir() if p.is_dir())
    failed = False
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, None)
    for name in names:
        reference = json.loads((DATA / name / "reference.json").read_text())
        wanted = numpy.frombuffer(base64.b64decode(reference["logits_f32_base64"]), dtype="<f4").reshape(len(reference["ids"]), -1)
        with tempfile.TemporaryDirectory() as folder:
            # The folder's name becomes general.name, and llama.cpp wants Phi-3's own special tokens where that says phi3.
            source, target = pathlib.Path(folder) / "tiny", pathlib.Path(folder) / "out.gguf"
            source.mkdir()
            for file in (DATA / name / "config.json", DATA / name / "model.safetensors", DATA / "tokenizer.json"):
                shutil.copy(file, source)
            written = subprocess.run([cli, "quantize", source, "--format", "keep", "--out", target, "--log", pathlib.Path(folder) / "log", "--quiet"],
                                     capture_output=True, text=True)
            got = logits(target, reference["ids"], ORIGINAL_CONTEXT.get(name)) if written.returncode == 0 else None
        if written.returncode != 0:
            ok, line = name in REFUSED, (written.stderr.strip().splitlines() or ["?"])[0]
        elif got is None:
            ok, line = False, "llama.cpp does not load it"
        else:
            rows = WINDOW.get(name, len(wanted))
            difference = float(numpy.abs(got - wanted)[:rows].max())
            ok = difference <= (GELU_TOLERANCE if name.startswith(GELU) else TOLERANCE)
            line = f"{difference:.1e}" + (f" (first {rows} tokens)" if name in WINDOW else "")
        print(f"| {name:18} | {line} |{'' if ok else '  <-- FAILED'}", flush=True)
        failed = failed or not ok
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
