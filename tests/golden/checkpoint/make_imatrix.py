#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes tests/data/checkpoint/demo.imatrix.gguf: what llama.cpp multiplies with, collected through its evaluation callback
# by the rule of llama-imatrix (for every MUL_MAT whose weight is blk.*: sum of squares of each input column, rows counted),
# on the embedded demo checkpoint in F32 and the first CHUNKS chunks of 256 tokens of its calibration texts.
#   python3 make_imatrix.py OUTPUT.gguf     (needs llama-cpp-python, gguf, numpy; a few seconds)
import ctypes
import json
import os
import struct
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..")
DEMO, TEXTS = os.path.join(ROOT, "resources", "demo"), os.path.join(ROOT, "resources", "texts")
CHUNK, CHUNKS = 256, 6


def tensors():
    raw = open(os.path.join(DEMO, "model.safetensors"), "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    for name, entry in json.loads(raw[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        words = np.frombuffer(raw[8 + size + begin:8 + size + end], dtype=np.uint16).astype(np.uint32) << 16
        yield name, words.view(np.float32).reshape(entry["shape"])


NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def ggml_name(name):
    fixed = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in fixed:
        return fixed[name]
    _, _, block, rest = name.split(".", 3)
    return f"blk.{block}.{NAMES[rest.removesuffix('.weight')]}.weight"


def permuted(weight, heads):
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_f32(path, config, vocabulary):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config.get("rope_theta", 10000.0))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    tokens = [text for text, _ in sorted(vocabulary["vocab"].items(), key=lambda item: item[1])]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in vocabulary["merges"]])
    writer.add_bos_token_id(0)
    writer.add_add_bos_token(False)
    for name, weight in tensors():
        heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}.get(name.split(".")[-2])
        writer.add_tensor(ggml_name(name), permuted(weight, heads).copy() if heads else weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Tensor(ctypes.Structure):
    pass


Tensor._fields_ = [("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4), ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16),
                   ("flags", ctypes.c_int32), ("src", ctypes.POINTER(Tensor) * 10), ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t), ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64)]

sums, counts, wrong = {}, {}, []


@llama_cpp.ggml_backend_sched_eval_callback
def collect(pointer, ask, _):
    tensor = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
    if not tensor.src[0] or not tensor.src[1]:
        return not ask
    weight = tensor.src[0].contents.name.decode()
    if not (weight.startswith("blk.") and weight.endswith(".weight")) or "norm" in weight:
        return not ask
    if ask:
        return True
    x = tensor.src[1].contents
    if x.type != 0 or x.nb[0] != 4 or x.nb[1] != 4 * x.ne[0]:
        wrong.append(weight)
        return True
    rows = x.ne[1] * x.ne[2] * x.ne[3]
    values = np.ctypeslib.as_array(ctypes.cast(x.data, ctypes.POINTER(ctypes.c_float)), shape=(rows, x.ne[0])).astype(np.float64)
    sums[weight] = sums.get(weight, 0) + (values * values).sum(axis=0)
    counts[weight] = counts.get(weight, 0) + rows
    return True


def main():
    config = json.load(open(os.path.join(DEMO, "config.json")))
    tokenizer = json.load(open(os.path.join(DEMO, "tokenizer.json")))
    text = open(os.path.join(TEXTS, "calib_prose.txt")).read() + open(os.path.join(TEXTS, "calib_code.txt")).read()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "demo-f32.gguf")
        write_f32(path, config, tokenizer["model"])
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = CHUNK
        params.n_threads = params.n_threads_batch = 1
        params.type_k = params.type_v = 0  # keys and values in f32: only the arithmetic of two programs differs
        params.flash_attn_type = 0
        params.cb_eval = collect
        context = llama_cpp.llama_init_from_model(model, params)
        vocab = llama_cpp.llama_model_get_vocab(model)
        raw = text.encode()
        ids = (llama_cpp.llama_token * len(raw))()
        count = llama_cpp.llama_tokenize(vocab, raw, len(raw), ids, len(raw), False, False)
        batch = llama_cpp.llama_batch_init(CHUNK, 0, 1)
        assert count >= CHUNKS * CHUNK
        for chunk in range(CHUNKS):
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
            batch.n_tokens = CHUNK
            for i in range(CHUNK):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = ids[chunk * CHUNK + i], i, 1, 0, 1
            assert llama_cpp.llama_decode(context, batch) == 0
    assert not wrong and len(sums) == 7 * config["num_hidden_layers"], (wrong, len(sums))
    out = gguf.GGUFWriter(sys.argv[1], "")
    out.kv_data[0].pop("general.architecture", None)
    out.add_string("general.type", "imatrix")
    out.add_array("imatrix.datasets", ["calib_prose.txt + calib_code.txt"])
    out.add_uint32("imatrix.chunk_count", CHUNKS)
    out.add_uint32("imatrix.chunk_size", CHUNK)
    for name in sorted(sums):
        out.add_tensor(name + ".in_sum2", sums[name].astype(np.float32).reshape(1, -1))
        out.add_tensor(name + ".counts", np.array([[counts[name]]], dtype=np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    print(llama_cpp.__version__, len(sums), "tensors,", counts[sorted(sums)[0]], "rows")


main()
