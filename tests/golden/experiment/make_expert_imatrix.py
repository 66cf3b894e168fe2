#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/data/checkpoint/experts: importance matrices of tiny mixtures of experts, as llama.cpp computes them.

    pip install llama-cpp-python gguf numpy
    python3 make_expert_imatrix.py CLI ../../data/checkpoint/experts

CLI (bitwright-cli) writes each model of tests/data/families in MODELS as GGUF, f32 like its source. llama.cpp evaluates
the family's reference ids as one chunk, and its evaluation callback collects by the rule of llama-imatrix: of every
product with a weight blk.*, the squares of each input column summed and the rows counted; of a product with chosen
experts (MUL_MAT_ID) a row counts for the expert that its index tensor names. Routers are left out: no site has them.
"""
import ctypes
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

MODELS = ("mixtral", "qwen2_moe", "olmoe")
DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "families"


class Tensor(ctypes.Structure):
    pass


Tensor._fields_ = [("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4), ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16),
                   ("flags", ctypes.c_int32), ("src", ctypes.POINTER(Tensor) * 10), ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t), ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64)]


def values(tensor, dtype):
    """A tensor's data with its strides, outermost dimension first."""
    last = sum((tensor.ne[i] - 1) * tensor.nb[i] for i in range(4)) + tensor.nb[0]
    raw = np.ctypeslib.as_array(ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_uint8)), shape=(last,))
    return np.lib.stride_tricks.as_strided(raw.view(dtype), shape=tuple(tensor.ne[i] for i in (3, 2, 1, 0)), strides=tuple(tensor.nb[i] for i in (3, 2, 1, 0)))


sums, counts = {}, {}


@llama_cpp.ggml_backend_sched_eval_callback
def collect(pointer, ask, _):
    tensor = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
    if not tensor.src[0] or not tensor.src[1]:
        return not ask
    weight, name = tensor.src[0].contents, tensor.src[0].contents.name.decode()
    if not (name.startswith("blk.") and name.endswith(".weight")) or "norm" in name or "gate_inp" in name:
        return not ask
    if ask:
        return True
    x = values(tensor.src[1].contents, np.float32).astype(np.float64)[0]  # tokens × (1 or chosen experts) × columns
    if tensor.src[2] and "_exps" in name:
        chosen, experts = values(tensor.src[2].contents, np.int32)[0, 0], weight.ne[2]  # tokens × chosen experts
        total, seen = sums.setdefault(name, np.zeros((experts, x.shape[-1]))), counts.setdefault(name, np.zeros(experts))
        for t in range(chosen.shape[0]):
            for k, expert in enumerate(chosen[t]):
                total[expert] += x[t, k % x.shape[1]] ** 2
                seen[expert] += 1
    else:
        rows = x.reshape(-1, x.shape[-1])
        sums[name] = sums.get(name, 0) + (rows * rows).sum(axis=0, keepdims=True)
        counts[name] = counts.get(name, np.zeros(1)) + len(rows)
    return True


def evaluate(path, ids):
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    assert model, path
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = 256, len(ids), len(ids)
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
    params.flash_attn_type = 0
    params.cb_eval = collect
    context = llama_cpp.llama_init_from_model(model, params)
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    assert llama_cpp.llama_decode(context, batch) == 0


def write(path, name, tokens):
    out = gguf.GGUFWriter(str(path), "")
    out.kv_data[0].pop("general.architecture", None)
    out.add_string("general.type", "imatrix")
    out.add_array("imatrix.datasets", [f"reference ids of {name}"])
    out.add_uint32("imatrix.chunk_count", 1)
    out.add_uint32("imatrix.chunk_size", tokens)
    for key in sorted(sums):
        out.add_tensor(key + ".in_sum2", sums[key].astype(np.float32))
        out.add_tensor(key + ".counts", counts[key].astype(np.float32).reshape(-1, 1))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    cli, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    llama_cpp.llama_backend_init()
    for name in MODELS:
        sums.clear(), counts.clear()
        ids = json.loads((DATA / name / "reference.json").read_text())["ids"]
        with tempfile.TemporaryDirectory() as scratch:
            source = pathlib.Path(scratch) / name
            shutil.copytree(DATA / name, source)
            shutil.copy(DATA / "tokenizer.json", source)
            subprocess.run([cli, "quantize", source, "--format", "keep", "--out", f"{scratch}/m.gguf", "--log", f"{scratch}/log.db", "--quiet"], check=True, stdout=subprocess.DEVNULL)
            evaluate(f"{scratch}/m.gguf", ids)
        write(folder / f"{name}.imatrix.gguf", name, len(ids))
        experts = [c for key, c in counts.items() if "_exps" in key]
        print(f"{name}: {len(sums)} tensors, experts saw {int(min(c.min() for c in experts))} to {int(max(c.max() for c in experts))} of {len(ids)} tokens")
    print("llama-cpp-python", llama_cpp.__version__)


main()
