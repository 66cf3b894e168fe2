#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/data/checkpoint/packages: small checkpoints quantized by the packages that define the layouts.

    pip install torch compressed-tensors bitsandbytes safetensors
    python3 make_with_packages.py ../../data/checkpoint/packages

Each folder holds one linear layer as the package stores it and "expected", what the same package makes of the stored
parts in f32 (scales are widened first, so that products are not rounded to 16 bits; nvfp4 is unpacked to bf16 by the
package). Seeds are fixed.
"""
import json
import pathlib
import sys

import bitsandbytes
import bitsandbytes.functional as bnb
import compressed_tensors
import torch
from compressed_tensors import compressors
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam
from safetensors.torch import save_file

OUT = pathlib.Path(sys.argv[1])
MODULE = "model.layers.0.mlp.up_proj"


def weight(outs, ins, seed):
    """Rows of different size, a few outliers, one row of zeros."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(outs, ins, generator=generator) * torch.logspace(-2, 0, outs).unsqueeze(1) * 0.1
    w[3, 5] *= 20
    w[4] = 0
    return w


def write(name, config, parts, expected):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {(key if key.startswith(MODULE) else f"{MODULE}.{key}"): t.contiguous() for key, t in parts.items() if t is not None}
    save_file(tensors | {"expected": expected.float().contiguous()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": config}, indent=1) + "\n")
    print(f"{name}: {', '.join(f'{k} {tuple(t.shape)} {t.dtype}' for k, t in parts.items() if t is not None)}")


def compressed(name, compressor, file_format, outs, ins, seed, scale_dtype=torch.bfloat16, **args):
    """A weight through compressed-tensors' own ranges, packing and unpacking."""
    quantization = QuantizationArgs(**args)
    scheme = QuantizationScheme(targets=["Linear"], weights=quantization, format=file_format)
    w = weight(outs, ins, seed)
    groups = w.reshape(outs, -1, quantization.group_size) if quantization.group_size else w.reshape(outs, 1, ins)
    low, high = groups.amin(-1), groups.amax(-1)
    if quantization.strategy == "tensor":
        low, high = low.amin().reshape(1), high.amax().reshape(1)
    state = {"weight": w}
    more = {}
    if file_format == "nvfp4-pack-quantized":
        more["global_scale"] = state["weight_global_scale"] = generate_gparam(w.amin().reshape(1), w.amax().reshape(1))
    scale, zero = calculate_qparams(low, high, quantization, **more)
    state["weight_scale"] = scale if file_format.startswith(("nvfp4", "mxfp4")) else scale.to(scale_dtype)
    if not quantization.symmetric:
        state["weight_zero_point"] = zero
    parts = compressor.compress(state, scheme)
    wide = {k: t.float() if k == "weight_scale" and t.dtype in (torch.bfloat16, torch.float16) else t for k, t in parts.items() if t is not None}
    expected = compressor.decompress(dict(wide), scheme)["weight"]
    config = {"quant_method": "compressed-tensors", "format": file_format, "version": compressed_tensors.__version__,
              "config_groups": {"group_0": json.loads(scheme.model_dump_json(exclude_none=True))}, "ignore": ["lm_head"]}
    write(name, config, parts, expected)


def four_bits(name, kind, nested, seed, outs=24, ins=53):
    """bitsandbytes' 4-bit codes; 24 × 53 weights: the last block of 64 is short."""
    codes, state = bnb.quantize_4bit(weight(outs, ins, seed), blocksize=64, quant_type=kind, compress_statistics=nested)
    parts = {MODULE + ".weight": codes} | {f"{MODULE}.weight.{key}": value for key, value in state.as_dict(packed=True).items()}
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": nested}
    write(name, config, parts, bnb.dequantize_4bit(codes, state))


def eight_bits(name, seed, outs=16, ins=40):
    codes, scales, _ = bnb.int8_vectorwise_quant(weight(outs, ins, seed).half())
    write(name, {"quant_method": "bitsandbytes", "load_in_8bit": True}, {"weight": codes, "SCB": scales.float()}, bnb.int8_vectorwise_dequant(codes, scales.float()))


PACK, INT, FLOAT = compressors.PackedQuantizationCompressor, compressors.IntQuantizationCompressor, compressors.FloatQuantizationCompressor
compressed("ct-w4a16-sym", PACK, "pack-quantized", 24, 64, 1, num_bits=4, group_size=32, strategy="group", symmetric=True)
compressed("ct-w4a16-asym", PACK, "pack-quantized", 24, 64, 2, num_bits=4, group_size=32, strategy="group", symmetric=False)
compressed("ct-w8a16-channel", PACK, "pack-quantized", 20, 48, 3, num_bits=8, strategy="channel", symmetric=True)
compressed("ct-w8a8-int", INT, "int-quantized", 20, 48, 4, num_bits=8, strategy="channel", symmetric=True)
compressed("ct-fp8-channel", FLOAT, "float-quantized", 20, 48, 5, num_bits=8, type="float", strategy="channel", symmetric=True)
compressed("ct-fp8-tensor", FLOAT, "float-quantized", 20, 48, 6, num_bits=8, type="float", strategy="tensor", symmetric=True)
compressed("ct-nvfp4", compressors.NVFP4PackedCompressor, "nvfp4-pack-quantized", 16, 64, 7, num_bits=4, type="float", group_size=16, strategy="tensor_group", symmetric=True)
compressed("ct-mxfp4", compressors.MXFP4PackedCompressor, "mxfp4-pack-quantized", 16, 64, 8, num_bits=4, type="float", group_size=32, strategy="group", symmetric=True, scale_dtype=torch.uint8)
four_bits("bnb-nf4", "nf4", False, 9)
four_bits("bnb-nf4-nested", "nf4", True, 10)
four_bits("bnb-fp4", "fp4", False, 11)
eight_bits("bnb-int8", 12)
print(f"compressed-tensors {compressed_tensors.__version__}, bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__}")
