# SPDX-License-Identifier: GPL-3.0-or-later
# Makes quantized_reference.json: the demo model and its blocks' linears rounded to Q4_0, evaluated in NumPy f64 from the
# formulas alone (no code of this program). Needs numpy, gguf, tokenizers. Run: python3 make_reference.py ../../../resources
import json
import struct
import sys

import gguf
import numpy as np
from tokenizers import Tokenizer

resources = sys.argv[1]
config = json.load(open(f"{resources}/demo/config.json"))
C, H, K, D = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
T, WINDOWS = 256, 9


def load():
    raw = open(f"{resources}/demo/model.safetensors", "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    tensors = {}
    for name, info in json.loads(raw[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        bits = np.frombuffer(raw[8 + size + begin : 8 + size + end], dtype="<u2").astype(np.uint32) << 16
        tensors[name] = bits.view(np.float32).reshape(info["shape"])
    return tensors


def q4_0(weight):
    kind = gguf.GGMLQuantizationType.Q4_0
    return gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)


def norm(x, weight):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * weight


def rope(x):  # T x heads x D
    angle = np.arange(T)[:, None] * config["rope_theta"] ** (-np.arange(0, D, 2) / D)
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
    a, b = x[..., : D // 2], x[..., D // 2 :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def forward(t, ids, watch=None):
    x = t["model.embed_tokens.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        p = f"model.layers.{i}."
        linear = lambda name, v: v @ t[p + name + ".weight"].T
        n = norm(x, t[p + "input_layernorm.weight"])
        q = rope(linear("self_attn.q_proj", n).reshape(T, H, D))
        k = rope(linear("self_attn.k_proj", n).reshape(T, K, D)).repeat(H // K, 1)
        v = linear("self_attn.v_proj", n).reshape(T, K, D).repeat(H // K, 1)
        score = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(D) + np.triu(np.full((T, T), -np.inf), 1)
        score = np.exp(score - score.max(-1, keepdims=True))
        mixed = np.einsum("hqk,khd->qhd", score / score.sum(-1, keepdims=True), v).reshape(T, H * D)
        x = x + linear("self_attn.o_proj", mixed)
        m = norm(x, t[p + "post_attention_layernorm.weight"])
        gate = linear("mlp.gate_proj", m)
        act = gate / (1 + np.exp(-gate)) * linear("mlp.up_proj", m)
        x = x + linear("mlp.down_proj", act)
        if watch is not None:
            watch.append((n, mixed, m, act))
    logits = norm(x, t["model.norm.weight"]) @ t["model.embed_tokens.weight"].T
    peak = logits.max(-1, keepdims=True)
    return logits - peak - np.log(np.exp(logits - peak).sum(-1, keepdims=True))


def ece(confidence, correct, bins=15):
    order = np.argsort(confidence, kind="stable")
    gap = (confidence - correct)[order]
    n = len(gap)
    return sum(abs(gap[b * n // bins : (b + 1) * n // bins].sum()) for b in range(bins)) / n


stored = load()
f64 = {k: v.astype(np.float64) for k, v in stored.items()}
blocks = [k for k in stored if k.endswith("_proj.weight")]
rounded = dict(f64, **{k: q4_0(stored[k]).astype(np.float64) for k in blocks})

text = open(f"{resources}/texts/eval_prose.txt", encoding="utf-8").read()
ids = Tokenizer.from_file(f"{resources}/demo/tokenizer.json").encode(text, add_special_tokens=False).ids
windows = np.array(ids[: T * WINDOWS]).reshape(WINDOWS, T)

watch, base, other, nll, base_nll = [], [], [], [], []
for w in windows:
    b, q = forward(f64, w, watch)[:-1], forward(rounded, w)[:-1]
    base.append(b)
    other.append(q)
    nll.append(-q[np.arange(T - 1), w[1:]])
    base_nll.append(-b[np.arange(T - 1), w[1:]])
base, other = np.concatenate(base), np.concatenate(other)
target = windows[:, 1:].reshape(-1)
nll, base_nll = np.array(nll), np.array(base_nll)
kl = (np.exp(base) * (base - other)).sum(-1)
per_window = kl.reshape(WINDOWS, -1).mean(-1)
confidence, top = np.exp(other.max(-1)), other.argmax(-1)
correct = (top == target).astype(np.float64)
delta = np.exp(-nll.reshape(-1)) - np.exp(-base_nll.reshape(-1))

# Relative output errors of three sites over the same windows, from the captured inputs.
sites = {}
for name, key, slot, layer in [
    ("blk.0.attn_v", "model.layers.0.self_attn.v_proj.weight", 0, 0),
    ("blk.2.ffn_down", "model.layers.2.mlp.down_proj.weight", 3, 2),
    ("blk.5.attn_output", "model.layers.5.self_attn.o_proj.weight", 1, 5),
]:
    x = np.concatenate([watch[w * config["num_hidden_layers"] + layer][slot] for w in range(WINDOWS)])
    sites[name] = float((((x @ (f64[key] - rounded[key]).T) ** 2).sum()) / ((x @ f64[key].T) ** 2).sum())

inputs = np.concatenate([watch[w * config["num_hidden_layers"] + 3][2] for w in range(WINDOWS)])
json.dump(
    {
        "what": "NumPy f64, eval_prose, 9 windows of 256, no BOS; all linears in the blocks rounded to Q4_0 by gguf-py",
        "nll": nll.mean(),
        "nll_se": nll.mean(-1).std(ddof=1) / np.sqrt(WINDOWS),
        "window_nll": nll.sum(-1).tolist(),
        "base_perplexity": np.exp(base_nll.mean()),
        "kl_mean": kl.mean(),
        "kl_se": per_window.std(ddof=1) / np.sqrt(WINDOWS),
        "kl_median": np.quantile(kl, 0.5),
        "kl_p90": np.quantile(kl, 0.9),
        "kl_p99": np.quantile(kl, 0.99),
        "kl_p999": np.quantile(kl, 0.999),
        "kl_max": kl.max(),
        "same_top1": (top == base.argmax(-1)).mean(),
        "delta_p_mean": delta.mean(),
        "delta_p_rms": np.sqrt((delta**2).mean()),
        "ece": ece(confidence, correct),
        "brier": ((confidence - correct) ** 2).mean(),
        "output_error_q4_0": sites,
        "blk.3.ffn_in": {
            "abs_max": np.abs(inputs).max(),
            "mean_square": (inputs**2).mean(),
            "kurtosis": ((inputs - inputs.mean()) ** 4).mean() / inputs.var() ** 2 - 3,
            "outlier_share": (np.abs(inputs) > 6 * np.sqrt((inputs**2).mean())).mean(),
            "channel_max_first": np.abs(inputs).max(0)[:4].tolist(),
            "sum_squares_first": (inputs**2).sum(0)[:4].tolist(),
        },
    },
    open("quantized_reference.json", "w"),
    indent=1,
)
