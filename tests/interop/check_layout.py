# SPDX-License-Identifier: GPL-3.0-or-later
"""Decodes every linear of an export without Bitwright and compares it with the source's weight."""
import json
import sys

import numpy as np
from safetensors.torch import load_file

LIMIT = 0.6  # 2 bits lose about half; a wrong order of codes loses all


def codes(words, bits, axis):
    lines = np.ascontiguousarray(np.moveaxis(words.view(np.uint32), axis, -1))
    stream = np.unpackbits(lines.view(np.uint8), axis=-1, bitorder="little")
    return np.moveaxis((stream.reshape(*lines.shape[:-1], -1, bits) << np.arange(bits)).sum(-1), -1, axis).astype(np.int64)


def gptq(part, config):
    order = part["g_idx"].numpy()
    bits = part["qweight"].shape[0] * 32 // len(order)
    zeros = codes(part["qzeros"].numpy(), bits, 1) + (config["checkpoint_format"] == "gptq")
    weight = part["scales"].float().numpy()[order] * (codes(part["qweight"].numpy(), bits, 0) - zeros[order])
    return weight.T


def awq(part, config):
    def unpack(words):
        nibbles = np.stack([words.numpy().view(np.uint32) >> 4 * p & 15 for p in (0, 4, 1, 5, 2, 6, 3, 7)], -1)
        return nibbles.reshape(len(words), -1).astype(np.int64)
    q, z = unpack(part["qweight"]), unpack(part["qzeros"])
    group = np.arange(len(q)) // (len(q) // len(z))
    return (part["scales"].float().numpy()[group] * (q - z[group])).T


def compressed(part, config, module):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig
    for scheme in QuantizationConfig.model_validate(config).config_groups.values():
        if module in scheme.targets:
            word = getattr(scheme.format, "value", scheme.format)
            return BaseCompressor.get_value_from_registry(word).decompress(part, scheme)["weight"].float().numpy()
    raise SystemExit(f"{module} is in no group")


def bnb(part, config):
    from bitsandbytes.functional import int8_vectorwise_dequant
    return int8_vectorwise_dequant(part["weight"], part["SCB"]).float().numpy()


def main(export, source):
    config = json.load(open(f"{export}/config.json"))["quantization_config"]
    written, original = load_file(f"{export}/model.safetensors"), load_file(f"{source}/model.safetensors")
    modules = sorted({name.rsplit(".", 1)[0] for name in written if name.endswith(("scales", "weight_scale", "SCB"))})
    worst = 0.0
    for module in modules:
        part = {name[len(module) + 1:]: tensor for name, tensor in written.items() if name.startswith(module + ".")}
        method = config["quant_method"]
        weight = compressed(part, config, module) if method == "compressed-tensors" else {"gptq": gptq, "awq": awq, "bitsandbytes": bnb}[method](part, config)
        wanted = original[module + ".weight"].float().numpy()
        worst = max(worst, float(np.linalg.norm(weight - wanted) / np.linalg.norm(wanted)))
    print(f"{config['quant_method']}: {len(modules)} linears, largest relative difference {worst:.4f}")
    return 0 if modules and worst < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
