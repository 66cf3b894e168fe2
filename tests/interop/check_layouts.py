# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes every export, opens it without Bitwright and compares weights and logits. Prints a table; exit code 1 on a failure.

usage: check_layouts.py bitwright-cli SOURCE-FOLDER WORK-FOLDER [NAME…]
"""
import importlib.metadata
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

import decode
import exports

warnings.filterwarnings("ignore")
IDS = np.random.default_rng(7).integers(3, 2048, 96).tolist()
EXACT = 2 ** -22
F16 = 2 ** -10  # gptqmodel, and compressed-tensors with packed integers, multiply codes and scales in f16
# Largest relative difference of a weight. compressed-tensors decodes four-bit floats in bf16; the rest is f32 arithmetic.
WEIGHTS = {"ct-int4": F16, "ct-int8": F16, "ct-nvfp4": 2 ** -8, "ct-mxfp4": 2 ** -8, "ct-mixed": 2 ** -8}
KL = 2e-3  # nats per token, what bf16 weights or activations of the loader make of the same codes


def kl(p, q):
    p, q = (torch.log_softmax(torch.as_tensor(x, dtype=torch.float64), -1) for x in (p, q))
    return float((p.exp() * (p - q)).sum(-1).mean())


def loaded(folder):
    """The export as transformers loads it, in f32. None where its loader wants a graphics card (GPTQ, AWQ) or does not know the layout
    (fp8 with one scale per weight, which it would look for under another name).
    """
    from transformers import AutoModelForCausalLM, CompressedTensorsConfig
    config = json.loads((Path(folder) / "config.json").read_text())["quantization_config"]
    method = config["quant_method"]
    if method in ("gptq", "awq") or (method == "fp8" and not config["weight_block_size"]):
        return None
    mixed = method == "compressed-tensors" and len(config["config_groups"]) > 1
    asked = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if method == "compressed-tensors" and not mixed else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **asked)
    if mixed:  # dequantize=True would decode every layer by the first group's rules; this is what the first forward pass does
        model.hf_quantizer.compressor.decompress_model(model)
    # Four-bit floats decode to bf16 whatever type was asked for, and a graphics card's absence makes the fp8 loader choose bf16.
    return model if method == "bitsandbytes" else torch.nn.Module.float(model)  # the class of models refuses quantized ones


def replaced(source, weights):
    """The source in f32 with its linears' weights replaced: for layouts whose loaders need a graphics card."""
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    for module, weight in weights.items():
        model.get_submodule(module).weight.data = torch.from_numpy(np.ascontiguousarray(weight))
    return model


def check(cli, source, work, name):
    export, plain = exports.make(cli, source, work, name)
    (weights, package), own = decode.linears(export), decode.tensors(plain)
    worst = 0.0
    for module, weight in weights.items():
        read = own[module + ".weight"].numpy()
        worst = max(worst, float(np.abs(weight - read).max() / np.abs(read).max()))
    ours = exports.logits(cli, work, export, IDS)
    row = {"linears": len(weights), "weights": worst, "package": package}
    model = replaced(source, weights)
    with torch.no_grad():
        row["kl_weights"] = kl(ours, model(torch.tensor([IDS])).logits[0])
    try:
        model = loaded(export)
        if model is not None:
            with torch.no_grad():
                theirs = model(torch.tensor([IDS])).logits[0]
            row["kl_loaded"] = kl(ours, theirs)
            row["top1"] = float((torch.as_tensor(ours).argmax(-1) == theirs.argmax(-1)).float().mean())
    except Exception as error:  # the package's own refusal is a result too
        row["loader"] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
    row["ok"] = (package or 0.0) < F16 and worst <= WEIGHTS.get(name, EXACT) and row["kl_weights"] < KL and row.get("kl_loaded", 0) < KL and "loader" not in row
    return row


def main(cli, source, work, *names):
    for package in ("torch", "transformers", "compressed-tensors", "bitsandbytes", "numpy"):
        print(package, importlib.metadata.version(package))
    print("| export | linears | weights | weights in gptqmodel | KL, decoded weights | KL, as loaded | same top-1 |")
    print("|---|---|---|---|---|---|---|")
    good = True
    for name in names or exports.EXPORTS:
        row = check(cli, source, work, name)
        good = good and row["ok"]
        last = f"{row['kl_loaded']:.1e} | {100 * row['top1']:.0f} %" if "kl_loaded" in row else f"{row.get('loader', '–')} | –"
        package = "–" if row["package"] is None else f"{row['package']:.1e}"
        print(f"| {name} | {row['linears']} | {row['weights']:.1e} | {package} | {row['kl_weights']:.1e} | {last} |{'' if row['ok'] else ' FAILED'}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
