#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes tests/data/checkpoint/quantized: one small checkpoint per stored layout, codes packed bit by bit from the written
# descriptions, with the values they stand for ("expected", f32) in the same file. Needs numpy only; seeds are fixed.
#   python3 make_quantized.py ../../data/checkpoint/quantized
import json
import os
import struct
import sys

import numpy as np

OUT = sys.argv[1]
DTYPES = {"int32": "I32", "int64": "I64", "float16": "F16", "float32": "F32", "uint8": "U8", "int8": "I8"}


def write(name, config, tensors, f8=()):
    os.makedirs(os.path.join(OUT, name), exist_ok=True)
    header, data = {}, b""
    for key, value in tensors.items():
        raw = np.ascontiguousarray(value).tobytes()
        header[key] = {"dtype": "F8_E4M3" if key in f8 else DTYPES[str(value.dtype)], "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(OUT, name, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    with open(os.path.join(OUT, name, "config.json"), "w") as f:
        json.dump({"model_type": "llama", "quantization_config": config}, f, indent=1)
        f.write("\n")


def stream(codes, bits):
    """A list of codes as little-endian 32-bit words, code k at bit k*bits, dense across words."""
    whole = 0
    for k, code in enumerate(codes):
        whole |= int(code) << (k * bits)
    words = (len(codes) * bits + 31) // 32
    return [(whole >> (32 * w)) & 0xFFFFFFFF for w in range(words)]


def as_i32(words):
    return np.array(words, dtype=np.uint64).astype(np.uint32).view(np.int32)


MODULE = "model.layers.0.mlp.up_proj"


def gptq(name, bits, outs, ins, group, v2, act_order, seed):
    rng = np.random.default_rng(seed)
    groups = -(-ins // group)
    g_idx = np.arange(ins) // group
    if act_order:
        g_idx = rng.permutation(g_idx)
    q = rng.integers(0, 2**bits, (outs, ins))
    zero = rng.integers(0, 2**bits, (groups, outs))
    scale = rng.uniform(0.01, 0.2, (groups, outs)).astype(np.float16)
    qweight = np.stack([as_i32(stream(q[o], bits)) for o in range(outs)], axis=1)
    stored = zero if v2 else (zero - 1) % 2**bits
    qzeros = np.stack([as_i32(stream(stored[g], bits)) for g in range(groups)])
    expected = (scale.astype(np.float32)[g_idx] * (q.T - zero[g_idx]).astype(np.float32)).T
    write(name, {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": act_order, "sym": False, "checkpoint_format": "gptq_v2" if v2 else "gptq"},
          {MODULE + ".qweight": qweight, MODULE + ".qzeros": qzeros, MODULE + ".scales": scale, MODULE + ".g_idx": g_idx.astype(np.int32), "expected": expected.astype(np.float32)})


def awq(name, outs, ins, group, seed):
    rng = np.random.default_rng(seed)
    groups = ins // group
    q = rng.integers(0, 16, (ins, outs))
    zero = rng.integers(0, 16, (groups, outs))
    scale = rng.uniform(0.01, 0.2, (groups, outs)).astype(np.float16)
    order = [0, 2, 4, 6, 1, 3, 5, 7]  # nibble i of a word holds output 8c + order[i]

    def pack(rows):
        out = np.zeros((rows.shape[0], outs // 8), dtype=np.uint32)
        for c in range(outs // 8):
            for i in range(8):
                out[:, c] |= (rows[:, 8 * c + order[i]].astype(np.uint32)) << np.uint32(4 * i)
        return out.view(np.int32)

    expected = (np.repeat(scale.astype(np.float32), group, axis=0) * (q - np.repeat(zero, group, axis=0)).astype(np.float32)).T
    write(name, {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm", "modules_to_not_convert": ["lm_head"]},
          {MODULE + ".qweight": pack(q), MODULE + ".qzeros": pack(zero), MODULE + ".scales": scale, "expected": np.ascontiguousarray(expected)})


def e4m3(code):
    sign, exponent, mantissa = code >> 7, (code >> 3) & 15, code & 7
    value = mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return -value if sign else value


E4M3 = np.array([np.nan if c & 127 == 127 else e4m3(c) for c in range(256)], dtype=np.float32)


def finite_f8(rng, shape):
    codes = rng.integers(0, 256, shape).astype(np.uint8)
    codes[(codes & 127) == 127] = 5
    return codes


def fp8(name, scale_name, scale, block, config, seed, outs=40, ins=48):
    rng = np.random.default_rng(seed)
    codes = finite_f8(rng, (outs, ins))
    full = np.repeat(np.repeat(scale.reshape(scale.shape if scale.ndim == 2 else (-1, 1)), block[0], axis=0), block[1], axis=1)[:outs, :ins]
    write(name, config, {MODULE + ".weight": codes, MODULE + "." + scale_name: scale, "expected": full.astype(np.float32) * E4M3[codes]}, f8=(MODULE + ".weight",))


def int8(name, asym, seed, outs=24, ins=40):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, (outs, ins)).astype(np.int8)
    scale = rng.uniform(0.001, 0.02, (outs, 1)).astype(np.float32)
    zero = rng.integers(-20, 20, (outs, 1)).astype(np.int8)
    tensors = {MODULE + ".weight": codes, MODULE + ".weight_scale": scale}
    if asym:
        tensors[MODULE + ".weight_zero_point"] = zero
    tensors["expected"] = scale * (codes.astype(np.float32) - (zero.astype(np.float32) if asym else 0))
    write(name, {"quant_method": "compressed-tensors", "format": "int-quantized"}, tensors)


NF4 = np.array([-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534,
                0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1], dtype=np.float32)


def nf4(name, nested, seed, outs=12, ins=53):  # 636 weights: the last block of 64 is short, rows end inside blocks and bytes
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 16, outs * ins)
    blocks = -(-outs * ins // 64)
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [outs, ins]}
    tensors = {MODULE + ".weight": (codes[0::2] * 16 + codes[1::2]).astype(np.uint8).reshape(-1, 1)}
    if nested:
        table = np.sort(rng.uniform(-1, 1, 256)).astype(np.float32)
        eight = rng.integers(0, 256, blocks).astype(np.uint8)
        outer = rng.uniform(0.01, 0.05, -(-blocks // 4)).astype(np.float32)  # blocks of 4 here, 256 in the wild
        state.update({"nested_blocksize": 4, "nested_dtype": "float32", "nested_offset": 0.0625})
        absmax = table[eight] * np.repeat(outer, 4)[:blocks] + np.float32(0.0625)
        tensors.update({MODULE + ".weight.absmax": eight, MODULE + ".weight.nested_absmax": outer, MODULE + ".weight.nested_quant_map": table})
    else:
        absmax = rng.uniform(0.01, 0.3, blocks).astype(np.float32)
        tensors[MODULE + ".weight.absmax"] = absmax
    tensors[MODULE + ".weight.quant_map"] = NF4
    tensors[MODULE + ".weight.quant_state.bitsandbytes__nf4"] = np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)
    tensors["expected"] = (NF4[codes] * np.repeat(absmax, 64)[: outs * ins]).astype(np.float32).reshape(outs, ins)
    write(name, {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": nested}, tensors)


def llm_int8(name, seed, outs=16, ins=24):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (outs, ins)).astype(np.int8)
    scb = rng.uniform(0.1, 2, outs).astype(np.float32)
    write(name, {"quant_method": "bitsandbytes", "load_in_8bit": True},
          {MODULE + ".weight": codes, MODULE + ".SCB": scb, MODULE + ".weight_format": np.zeros((), dtype=np.uint8), "expected": (codes * (scb[:, None].astype(np.float64) / 127)).astype(np.float32)})


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)


def float4(name, mx, seed, outs=8, ins=64):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 16, (outs, ins))
    packed = (codes[:, 0::2] + 16 * codes[:, 1::2]).astype(np.uint8)
    tensors = {MODULE + ".weight_packed": packed}
    if mx:
        exponents = rng.integers(118, 128, (outs, ins // 32)).astype(np.uint8)
        tensors[MODULE + ".weight_scale"] = exponents
        scale, f8 = np.exp2(exponents.astype(np.float32) - 127), ()
        full = np.repeat(scale, 32, axis=1)
    else:
        eight = rng.integers(1, 120, (outs, ins // 16)).astype(np.uint8)
        top = np.array([512.0], dtype=np.float32)
        tensors[MODULE + ".weight_scale"], tensors[MODULE + ".weight_global_scale"] = eight, top
        f8 = (MODULE + ".weight_scale",)
        full = np.repeat(E4M3[eight] / top, 16, axis=1)
    tensors["expected"] = (E2M1[codes] * full).astype(np.float32)
    write(name, {"quant_method": "compressed-tensors", "format": ("mxfp4" if mx else "nvfp4") + "-pack-quantized"}, tensors, f8=f8)


def pack_quantized_act_order(name, seed, outs=32, ins=64, group=16, bits=4):
    rng = np.random.default_rng(seed)
    g_idx = rng.permutation(np.arange(ins) // group)
    q = rng.integers(0, 2**bits, (outs, ins))
    zero = rng.integers(0, 2**bits, (outs, ins // group))
    scale = rng.uniform(0.01, 0.2, (outs, ins // group)).astype(np.float16)
    packed = np.stack([as_i32(stream(q[o], bits)) for o in range(outs)])
    zeros = np.stack([as_i32(stream(zero[:, g], bits)) for g in range(ins // group)], axis=1)
    write(name, {"quant_method": "compressed-tensors", "format": "pack-quantized"},
          {MODULE + ".weight_packed": packed, MODULE + ".weight_scale": scale, MODULE + ".weight_zero_point": zeros, MODULE + ".weight_shape": np.array([outs, ins], dtype=np.int64),
           MODULE + ".weight_g_idx": g_idx.astype(np.int32), "expected": scale.astype(np.float32)[:, g_idx] * (q - zero[:, g_idx]).astype(np.float32)})


for number, bits in enumerate((2, 3, 4, 8)):
    gptq(f"gptq{bits}", bits, 32, 64, 32, False, False, number)
gptq("gptq4-v2", 4, 24, 64, 16, True, False, 10)
gptq("gptq3-act-order", 3, 32, 96, 32, False, True, 11)
gptq("gptq4-channel", 4, 16, 64, 64, True, False, 12)
awq("awq", 24, 64, 32, 13)
rng = np.random.default_rng(14)
fp8("fp8-block", "weight_scale_inv", rng.uniform(0.001, 0.01, (3, 3)).astype(np.float32), (16, 16), {"quant_method": "fp8", "weight_block_size": [16, 16], "activation_scheme": "dynamic"}, 15)
fp8("fp8-short-block", "weight_scale_inv", rng.uniform(0.001, 0.01, (2, 2)).astype(np.float32), (32, 32), {"quant_method": "fp8", "weight_block_size": [32, 32]}, 16)
fp8("fp8-tensor", "weight_scale", np.array([0.0125], dtype=np.float32), (40, 48), {"quant_method": "compressed-tensors", "format": "float-quantized"}, 17)
fp8("fp8-channel", "weight_scale", rng.uniform(0.001, 0.01, (40, 1)).astype(np.float32), (1, 48), {"quant_method": "compressed-tensors", "format": "float-quantized"}, 18)
int8("int8-sym", False, 19)
int8("int8-asym", True, 20)
nf4("nf4", False, 21)
nf4("nf4-nested", True, 22)
llm_int8("llm-int8", 23)
float4("nvfp4", False, 24)
float4("mxfp4", True, 25)
pack_quantized_act_order("packed-act-order", 26)
