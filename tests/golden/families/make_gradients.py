#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what torch's autograd says about the tiny family models: the yardstick of reverse mode.

    pip install torch transformers safetensors numpy
    python3 tests/golden/families/make_gradients.py tests/data/families [NAME…]
    python3 tests/golden/families/make_gradients.py --model resources/demo tests/data/golden/demo-256/gradients.json

Reads NAME/model.safetensors and reference.json (made by make_families.py) and writes NAME/gradients.json; or takes
200 arbitrary tokens through a Hugging Face folder. The loss is the sum over all positions of -log p(label), labels given. For the gradient G of every
site's weight (O×I), of every block's keys and values as a cache holds them (T×width) and of the embedded tokens (T×C):
norm, sum and the projections <G, R_j>, R_j(o, i) = cos(12.9898·o + 78.233·i + 4.1·j), j = 0 … 2, all in f64.
"""
import json
import pathlib
import re
import sys

import torch
import transformers

import make_families as families

PARTS = [  # pattern of a parameter's name within its block, site, transposed
    (r"(self_attn|attn)\.([qkv])_proj", r"attn_\2", False),
    (r"self_attn\.qkv_proj", "attn_qkv", False),
    (r"attn\.c_attn", "attn_qkv", True),
    (r"self_attn\.o_proj", "attn_output", False),
    (r"attn\.c_proj", "attn_output", True),
    (r"mlp\.gate_up_proj", "ffn_up", False),
    (r"mlp\.(gate|up|down)_proj", r"ffn_\1", False),
    (r"mlp\.c_fc", "ffn_up", True),
    (r"mlp\.c_proj", "ffn_down", True),
    (r"mlp\.shared_expert\.(gate|up|down)_proj", r"ffn_\1_shexp", False),
]


def facts(gradient):
    g = gradient.detach().double()
    rows = torch.arange(g.shape[0], dtype=torch.float64)[:, None]
    cols = torch.arange(g.shape[1], dtype=torch.float64)[None, :]
    dots = [(g * torch.cos(12.9898 * rows + 78.233 * cols + 4.1 * j)).sum().item() for j in range(3)]
    return dict(norm=g.norm().item(), sum=g.sum().item(), dots=dots)


def sites(name, gradient):
    """(site, O×I gradient) of a parameter; nothing for norms, biases and routers."""
    if re.search(r"(embed_tokens|wte)\.weight$", name):
        return [("token_embd", gradient)]
    if name == "lm_head.weight":
        return [("output", gradient)]
    inside = re.search(r"\b(?:layers|h)\.(\d+)\.(.*?)(\.weight)?$", name)
    if not inside or gradient.dim() < 2:
        return []
    block, part = f"blk.{inside[1]}.", inside[2]
    if part.endswith("experts.gate_up_proj"):
        half = gradient.shape[1] // 2
        return [(f"{block}ffn_gate.e{e}", g[:half]) for e, g in enumerate(gradient)] + \
               [(f"{block}ffn_up.e{e}", g[half:]) for e, g in enumerate(gradient)]
    if part.endswith("experts.down_proj"):
        return [(f"{block}ffn_down.e{e}", g) for e, g in enumerate(gradient)]
    for pattern, site, transposed in PARTS:
        if re.fullmatch(pattern, part):
            return [(block + re.sub(pattern, site, part), gradient.T if transposed else gradient)]
    return []


def watch_attention(model, kept):
    """Keeps every block's keys and values as they enter the attention."""
    module = sys.modules[type(model).__module__]
    plain = module.eager_attention_forward

    def watching(owner, query, key, value, *rest, **more):
        for tensor in (key, value):
            tensor.retain_grad()
        kept.append((key, value))
        return plain(owner, query, key, value, *rest, **more)

    module.eager_attention_forward = watching
    return lambda: setattr(module, "eager_attention_forward", plain)


def measure(model, ids, labels):
    """Everything that is written, and the logits."""
    kept, embedded = [], []
    stop = watch_attention(model, kept)
    first = next(m for n, m in model.named_modules() if re.search(r"\b(layers|h)\.0$", n))

    def keep(_, inputs, named):
        states = inputs[0] if inputs else named["hidden_states"]
        states.retain_grad()
        embedded.append(states)

    hook = first.register_forward_pre_hook(keep, with_kwargs=True)
    logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    loss = -torch.log_softmax(logits.double(), -1)[torch.arange(len(labels)), torch.tensor(labels)].sum()
    loss.backward()
    hook.remove()
    stop()
    found = {}
    for key, value in model.named_parameters():
        for site, gradient in sites(key, value.grad):
            found[site] = facts(gradient)
    caches = {}
    for block, pair in enumerate(kept):
        for kind, tensor in zip(("k", "v"), pair):
            caches[f"blk.{block}.{kind}"] = facts(tensor.grad[0].transpose(0, 1).flatten(1))
    return dict(origin=f"transformers {transformers.__version__}, torch {torch.__version__}, f32, eager attention",
                ids=ids, labels=labels, loss=loss.item(), sites=found, caches=caches,
                embedded=facts(embedded[0].grad[0])), logits.detach()


def write(out, path):
    text = json.dumps(out, indent=0)
    text = re.sub(r"\{\n(\"norm\".*?)\n\}", lambda m: "{" + m[1].replace("\n", " ") + "}", text, flags=re.S)
    text = re.sub(r"(\"(?:ids|labels)\": \[)(.*?)\]", lambda m: m[1] + m[2].replace("\n", "") + "]", text, flags=re.S)
    text = re.sub(r"-?\d+\.\d+(e[-+]?\d+)?", lambda m: f"{float(m[0]):.9g}", text)
    path.write_text(text + "\n")
    print(f"{path}: {len(out['sites'])} sites, {len(out['caches'])} caches, loss {out['loss']:.3f}, "
          f"embedded {out['embedded']['norm']:.3f}")


def make(name, folder):
    model, _ = families.build(name)
    reference = json.loads((folder / "reference.json").read_text())
    labels = [(5 * i * i + 3 * i + 1) % families.VOCABULARY for i in range(len(reference["ids"]))]
    out, logits = measure(model, reference["ids"], labels)
    known = torch.frombuffer(bytearray(families.base64.b64decode(reference["logits_f32_base64"])), dtype=torch.float32)
    drift = (logits - known.reshape(logits.shape)).abs().max()
    assert drift < 1e-4, (name, drift)
    write(out, folder / "gradients.json")


def make_folder(folder, path):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    vocabulary = model.config.vocab_size
    ids = [(7 * i * i + 11 * i + 3) % vocabulary for i in range(200)]
    write(measure(model, ids, [(5 * i * i + 3 * i + 1) % vocabulary for i in range(200)])[0], path)


def main():
    torch.set_num_threads(1)
    if sys.argv[1] == "--model":
        return make_folder(sys.argv[2], pathlib.Path(sys.argv[3]))
    root = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or families.FAMILIES:
        make(name, root / name)


if __name__ == "__main__":
    main()
