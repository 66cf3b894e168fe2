# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of an export, decoded by the packages that know its layout, or by the layout's published rules in numpy."""
import importlib.util
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file


def tensors(folder):
    found = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        found.update(load_file(path))
    return found


def codes(words, bits, axis):
    """Codes of `bits` in a little-endian stream of 32-bit words along `axis`."""
    lines = np.ascontiguousarray(np.moveaxis(words.view(np.uint32), axis, -1))
    stream = np.unpackbits(lines.view(np.uint8), axis=-1, bitorder="little")
    return np.moveaxis((stream.reshape(*lines.shape[:-1], -1, bits) << np.arange(bits)).sum(-1), -1, axis).astype(np.int64)


def gptq(part, config, module):
    order = part["g_idx"].numpy()
    bits = part["qweight"].shape[0] * 32 // len(order)
    zeros = codes(part["qzeros"].numpy(), bits, 1) + (config["checkpoint_format"] == "gptq")
    return (part["scales"].float().numpy()[order] * (codes(part["qweight"].numpy(), bits, 0) - zeros[order])).T.astype(np.float32)


def awq(part, config, module):
    def unpack(words):
        nibbles = np.stack([words.numpy().view(np.uint32) >> 4 * p & 15 for p in (0, 4, 1, 5, 2, 6, 3, 7)], -1)
        return nibbles.reshape(len(words), -1).astype(np.int64)
    q, z = unpack(part["qweight"]), unpack(part["qzeros"])
    group = np.arange(len(q)) // (len(q) // len(z))
    return (part["scales"].float().numpy()[group] * (q - z[group])).T.astype(np.float32)


def compressed(part, config, module):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig
    for scheme in QuantizationConfig.model_validate(config).config_groups.values():
        if module in scheme.targets:
            word = getattr(scheme.format, "value", scheme.format)
            return BaseCompressor.get_value_from_registry(word).decompress(dict(part), scheme)["weight"].float().numpy()
    raise SystemExit(f"{module} is in no group")


def fp8(part, config, module):
    weight = part["weight"].float()
    if "weight_scale" in part:
        return (weight * part["weight_scale"]).numpy()
    block = config["weight_block_size"]
    scale = part["weight_scale_inv"].repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
    return (weight * scale[:weight.shape[0], :weight.shape[1]]).numpy()


def bitsandbytes(part, config, module):
    import bitsandbytes.functional as functional
    if "SCB" in part:
        return functional.int8_vectorwise_dequant(part["weight"], part["SCB"]).float().numpy()
    state = {name.removeprefix("weight."): value for name, value in part.items() if name != "weight"}
    quantized = functional.QuantState.from_dict(state, torch.device("cpu"))
    quantized.dtype = torch.float32  # bf16 would hide the last bits
    return functional.dequantize_4bit(part["weight"], quantized).numpy()


def gptqmodel(part, config):
    """GPTQ and AWQ by the package that transformers uses for them; products are f16."""
    if config["quant_method"] == "awq":
        from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
        group = part["qweight"].shape[0] // part["qzeros"].shape[0]
        return dequantize_gemm(part["qweight"], part["qzeros"], part["scales"], 4, group).T.float().numpy()
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.quantization import FORMAT
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module
    ins, outs = len(part["g_idx"]), part["qweight"].shape[1]
    bits = part["qweight"].shape[0] * 32 // ins
    linear = TorchLinear(bits=bits, group_size=ins // part["scales"].shape[0], sym=False, desc_act=False, in_features=ins, out_features=outs, bias=False, format=FORMAT.GPTQ)
    for name in ("qweight", "qzeros", "scales", "g_idx"):
        getattr(linear, name).data = part[name].clone()
    if config["checkpoint_format"] == "gptq":
        convert_gptq_v1_to_v2_format_module(linear, bits, torch.int32)
    linear.post_init()
    return linear.dequantize_weight().T.float().numpy()


DECODERS = {"gptq": gptq, "awq": awq, "compressed-tensors": compressed, "fp8": fp8, "bitsandbytes": bitsandbytes}
PACKAGE = importlib.util.find_spec("gptqmodel") is not None
CODES = (".qweight", ".weight_packed", ".SCB", ".weight_scale", ".weight_scale_inv", ".weight.absmax")


def linears(folder):
    """Every quantized linear by module name, O×I in f32; and the largest relative difference of gptqmodel's, where that is at hand."""
    config = json.loads((Path(folder) / "config.json").read_text())["quantization_config"]
    found = tensors(folder)
    modules = sorted({name.removesuffix(end) for name in found for end in CODES if name.endswith(end)})
    decode = DECODERS[config["quant_method"]]
    weights, package = {}, None
    for module in modules:
        part = {name[len(module) + 1:]: value for name, value in found.items() if name.startswith(module + ".")}
        weights[module] = decode(part, config, module)
        if config["quant_method"] in ("gptq", "awq") and PACKAGE:
            other = gptqmodel(part, config)
            package = max(package or 0.0, float(np.abs(other - weights[module]).max() / np.abs(weights[module]).max()))
    return weights, package
