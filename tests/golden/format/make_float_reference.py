# SPDX-License-Identifier: GPL-3.0-or-later
# Scales and codes that compressed-tensors 0.20.0 and bitsandbytes 0.50.2 (torch 2.15) make of quantize/input_f32.bin.
# usage: make_float_reference.py tests/data/format
import sys

import bitsandbytes.functional as bnb
import numpy as np
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

folder = sys.argv[1]
out = folder + "/floats/"
weight = torch.from_numpy(np.fromfile(folder + "/quantize/input_f32.bin", dtype="<f4").reshape(10, 512).copy())
weight = weight[(weight.abs().amax(1) > 0) & (weight.std(1) > 0)]  # what empty groups get is each program's own


def save(name, tensor):
    tensor.contiguous().view(torch.uint8).numpy().tofile(out + name + ".bin")


def scheme(name, strategy, group, bits, scale_dtype=None):
    args = QuantizationArgs(num_bits=bits, type="float", symmetric=True, strategy=strategy, group_size=group, scale_dtype=scale_dtype)
    cells = weight.reshape(weight.shape[0], -1, group) if group else weight.unsqueeze(1)
    low, high = cells.amin(-1), cells.amax(-1)
    if strategy == "tensor":
        low, high = low.amin().reshape(1), high.amax().reshape(1)
    factor = generate_gparam(weight.amin().reshape(1), weight.amax().reshape(1)) if strategy == "tensor_group" else None
    scale, zero = calculate_qparams(low, high, args, global_scale=factor)
    codes = quantize(weight, scale, zero, args, global_scale=factor)
    values = dequantize(codes, scale, zero, args=args, global_scale=factor)
    save(name + ".scale_f32", scale.float())
    save(name + ".values_f32", values.float())
    if factor is not None:
        save(name + ".global_f32", factor.float())


save("input_f32", weight)
scheme("fp8_channel", "channel", None, 8)
scheme("fp8_tensor", "tensor", None, 8)
scheme("mxfp8", "group", 32, 8, torch.uint8)
scheme("mxfp6", "group", 32, 6, torch.uint8)
scheme("nvfp4", "tensor_group", 16, 4, torch.float8_e4m3fn)

packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4")
save("nf4.codes", packed)
save("nf4.absmax_f32", state.absmax)
save("nf4.values_f32", bnb.dequantize_4bit(packed, state))
packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=True)
save("nf4_dq.absmax_u8", state.absmax)
save("nf4_dq.nested_f32", state.state2.absmax)
save("nf4_dq.map_f32", state.state2.code)
save("nf4_dq.offset_f32", state.offset.reshape(1))
save("nf4_dq.values_f32", bnb.dequantize_4bit(packed, state))
