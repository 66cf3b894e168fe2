#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one tiny, randomly initialised checkpoint per architecture family with `transformers`, and what it computes.

    pip install torch transformers safetensors numpy
    python3 tests/golden/families/make_families.py tests/data/families [NAME…]

For each family NAME/ gets model.safetensors (f32), config.json as transformers 5 spells it, config.v4.json as
transformers 4 did, and reference.json: token ids and the f32 logits of every position (base64, little-endian). All
are made from fixed seeds; a run with the same versions gives the same bytes. Weights are scaled so that attention is
neither uniform nor one-hot, experts are chosen unevenly, norms differ from 1 and biases from 0, and windows and
original contexts are shorter than the text: what a program leaves out or mixes up moves the logits by far more than
rounding does. tokenizer.json (printable ASCII, byte-level BPE of 128) is shared by all of them.
"""
import base64
import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file

TOKENS = 24
VOCABULARY = 128

# Sizes small enough to commit: about 100 kB a family.
SIZES = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1, pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
SHORT = [1.0, 1.05, 1.3, 1.6]
LONG = [1.1, 1.9, 3.5, 7.0]


def rope(theta=10000.0, **scaling):
    return dict(rope_parameters=dict(dict(rope_type="default"), **scaling, rope_theta=theta))


def experts(**more):
    return dict(num_experts=5, num_experts_per_tok=2, moe_intermediate_size=16, **more)


# name: (class stem, configuration beyond SIZES)
FAMILIES = {
    "llama": ("Llama", dict(rope(500.0), rms_norm_eps=0.01)),
    "llama_llama3": ("Llama", dict(rope(10000.0, **LLAMA3), tie_word_embeddings=True)),
    "llama_linear": ("Llama", dict(rope(10000.0, rope_type="linear", factor=4.0), head_dim=16, attention_bias=True, mlp_bias=True)),
    "llama_yarn": ("Llama", dict(rope(10000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=16), tie_word_embeddings=True)),
    "mistral": ("Mistral", dict(rope(1000.0), sliding_window=8)),
    "qwen2": ("Qwen2", dict(rope(1000000.0), tie_word_embeddings=True)),
    "qwen3": ("Qwen3", dict(rope(1000000.0), head_dim=16, tie_word_embeddings=True)),
    "phi3": ("Phi3", dict(rope(10000.0), sliding_window=9)),
    "phi3_long": ("Phi3", dict(rope(10000.0, rope_type="longrope", short_factor=SHORT, long_factor=LONG),
                               original_max_position_embeddings=16, sliding_window=None, tie_word_embeddings=True)),
    "phi3_short": ("Phi3", dict(rope(10000.0, rope_type="longrope", short_factor=SHORT, long_factor=LONG),
                                original_max_position_embeddings=32, sliding_window=None, tie_word_embeddings=True)),
    "gemma": ("Gemma", dict(rope(10000.0), head_dim=16, num_key_value_heads=1)),
    "gemma2": ("Gemma2", dict(rope(10000.0), head_dim=16, query_pre_attn_scalar=16, sliding_window=6,
                              attn_logit_softcapping=5.0, final_logit_softcapping=6.0)),
    "gemma2_scale": ("Gemma2", dict(rope(10000.0), head_dim=16, query_pre_attn_scalar=5, sliding_window=6,
                                    attn_logit_softcapping=20.0, final_logit_softcapping=10.0)),
    "gemma3": ("Gemma3Text", dict(head_dim=8, query_pre_attn_scalar=8, sliding_window=6, num_hidden_layers=6,
                                  num_key_value_heads=1, intermediate_size=16, rms_norm_eps=0.01,
                                  rope_parameters=dict(full_attention=dict(rope_type="linear", factor=4.0, rope_theta=1000000.0),
                                                       sliding_attention=dict(rope_type="default", rope_theta=10000.0)))),
    "gpt2": ("GPT2", dict(n_embd=32, n_inner=40, n_layer=2, n_head=4, n_positions=32, layer_norm_epsilon=0.01)),
    "smollm3": ("SmolLM3", dict(rope(5000.0), num_hidden_layers=4, intermediate_size=16, no_rope_layer_interval=4, tie_word_embeddings=True)),
    "stablelm": ("StableLm", dict(rope(10000.0, partial_rotary_factor=0.25), use_qkv_bias=True,
                                  num_attention_heads=2, num_key_value_heads=1)),
    "stablelm_parallel": ("StableLm", dict(rope(10000.0, partial_rotary_factor=0.5), use_parallel_residual=True, qk_layernorm=True, layer_norm_eps=0.01)),
    "mixtral": ("Mixtral", dict(rope(1000000.0), num_local_experts=4, num_experts_per_tok=2, intermediate_size=16)),
    "qwen2_moe": ("Qwen2Moe", dict(rope(1000000.0) | experts(shared_expert_intermediate_size=20, norm_topk_prob=False), qkv_bias=True)),
    "qwen2_moe_sparse": ("Qwen2Moe", dict(rope(10000.0) | experts(shared_expert_intermediate_size=24, norm_topk_prob=True, decoder_sparse_step=2), tie_word_embeddings=True)),
    "qwen3_moe": ("Qwen3Moe", dict(rope(1000000.0) | experts(norm_topk_prob=True), head_dim=8, tie_word_embeddings=True)),
    "qwen3_moe_fused": ("Qwen3Moe", dict(rope(10000.0) | experts(norm_topk_prob=True), head_dim=8, tie_word_embeddings=True)),
    "olmoe": ("Olmoe", dict(rope(10000.0), num_experts=5, num_experts_per_tok=3, intermediate_size=16, num_key_value_heads=4, tie_word_embeddings=False)),
}
FUSED = {"qwen3_moe_fused"}  # saved as transformers 5 holds it in memory: all experts of a block in one tensor


def build(name):
    """Model and configuration with random weights of the scales described above."""
    stem, more = FAMILIES[name]
    common = {key: SIZES[key] for key in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")} if stem == "GPT2" else SIZES
    config = getattr(transformers, stem + "Config")(**{**common, **more}, attn_implementation="eager")
    model_class = stem.removesuffix("Text") + "ForCausalLM" if stem != "GPT2" else "GPT2LMHeadModel"
    model = getattr(transformers, model_class)(config).eval().float()
    torch.manual_seed(1 + list(FAMILIES).index(name))
    gemma = stem.startswith("Gemma")
    with torch.no_grad():
        for key, value in model.named_parameters():
            noise = torch.randn(value.shape)
            if key.endswith("bias"):
                value.copy_(0.3 * noise)
            elif value.dim() == 1:
                value.copy_((0.0 if gemma else 1.0) + 0.3 * noise)
            elif key.endswith(("embed_tokens.weight", "wte.weight", "wpe.weight")):
                value.copy_((0.3 if gemma else 0.7) * noise)
            elif key.endswith(("mlp.gate.weight", "block_sparse_moe.gate.weight")):
                value.copy_(0.6 * noise)
            else:
                inputs = value.shape[0] if stem == "GPT2" else value.shape[-1]
                value.copy_(1.2 / inputs**0.5 * noise)
    return model, config


def version4(config):
    """The same configuration with the keys of transformers 4."""
    old = json.loads(config)
    rope_parameters = old.pop("rope_parameters", None) or {}
    if "full_attention" in rope_parameters:  # one set per kind of layer
        old["rope_local_base_freq"] = rope_parameters["sliding_attention"]["rope_theta"]
        rope_parameters = rope_parameters["full_attention"]
    if rope_parameters:
        old["rope_theta"] = rope_parameters.pop("rope_theta")
        for key in ("partial_rotary_factor", "original_max_position_embeddings"):
            if key == "partial_rotary_factor" or rope_parameters.get("rope_type") == "longrope":
                if key in rope_parameters:
                    old[key] = rope_parameters.pop(key)
        kind = rope_parameters["rope_type"]
        if kind == "longrope" or (kind == "linear" and old["model_type"] == "llama"):
            rope_parameters["type"] = rope_parameters.pop("rope_type")  # these files are older than "rope_type"
        old["rope_scaling"] = None if kind == "default" else rope_parameters
    layers = old.pop("layer_types", None)
    if old["model_type"] == "gemma3_text":
        old["sliding_window_pattern"] = layers.index("full_attention") + 1
    if "dtype" in old:
        old["torch_dtype"] = old.pop("dtype")
    old["transformers_version"] = "4.49.0"
    return json.dumps(old, indent=2, sort_keys=True) + "\n"


def router_margin(model, config, ids):
    """Smallest distance between the last expert chosen and the first one not chosen: rounding must not decide."""
    chosen = getattr(config, "num_experts_per_tok", None)
    if not chosen:
        return None
    out = model(ids, output_router_logits=True)
    margins = []
    for logits in out.router_logits:
        ordered = logits.sort(dim=-1, descending=True).values
        margins.append((ordered[:, chosen - 1] - ordered[:, chosen]).min().item())
    return min(margins)


def make(name, folder):
    model, config = build(name)
    ids = torch.tensor([[(7 * i * i + 11 * i + 3 + list(FAMILIES).index(name)) % VOCABULARY for i in range(TOKENS)]])
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[0].float()
        margin = router_margin(model, config, ids)
    assert margin is None or margin > 2e-3, (name, margin)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        saved = pathlib.Path(temporary)
        text = (saved / "config.json").read_text()
        (folder / "config.json").write_text(text)
        (folder / "config.v4.json").write_text(version4(text))
        if name in FUSED:
            tensors = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        else:
            shutil.copy(saved / "model.safetensors", folder / "model.safetensors")
        # The old spelling must mean the same to transformers.
        (saved / "config.json").write_text((folder / "config.v4.json").read_text())
        again = type(model).from_pretrained(temporary, attn_implementation="eager").eval().float()
        with torch.no_grad():
            difference = (again(ids, use_cache=False).logits[0] - logits).abs().max().item()
    reference = dict(origin=f"transformers {transformers.__version__}, torch {torch.__version__}, f32, eager attention",
                     ids=ids[0].tolist(), vocabulary=logits.shape[1], router_margin=margin,
                     logits_f32_base64=base64.b64encode(logits.numpy().astype("<f4").tobytes()).decode())
    (folder / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")
    with safe_open(folder / "model.safetensors", "pt") as f:
        names = len(list(f.keys()))
    probabilities = torch.softmax(logits, -1)
    print(f"{name:18} {names:3} tensors {(folder / 'model.safetensors').stat().st_size:7} B, logits ±{logits.abs().max():.1f}, "
          f"entropy {-(probabilities * probabilities.log()).sum(-1).mean():.2f}, margin {margin}, old spelling moves them by {difference:.1e}")


def tokenizer():
    """Printable ASCII and a few merges, byte-level BPE; id 0 and 1 are <s> and </s>."""
    symbols = ["\u0120", "\u010a"] + [chr(c) for c in range(33, 127)]
    merges = [("t", "h"), ("th", "e"), ("i", "n"), ("\u0120", "t"), ("\u0120", "the"), ("e", "r"), ("a", "n"), ("\u0120", "a"), ("o", "n"),
              ("r", "e"), ("\u0120", "s"), ("a", "t"), ("e", "n"), ("o", "r"), ("e", "s"), ("i", "s"), ("i", "t"), ("an", "d"), ("\u0120", "and"),
              ("o", "u"), ("in", "g"), ("\u0120", "w"), ("\u0120", "b"), ("\u0120", "o"), ("\u0120", "f"), ("\u0120", "c"), ("h", "a"), ("l", "l"), ("s", "t"), ("\u0120", "m")]
    tokens = ["<s>", "</s>"] + symbols + [a + b for a, b in merges]
    assert len(tokens) == VOCABULARY, len(tokens)
    special = [dict(id=i, content=tokens[i], single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for i in range(2)]
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None, pre_tokenizer=byte_level,
                post_processor=None, decoder=byte_level,
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False,
                           byte_fallback=False, ignore_merges=False, vocab={t: i for i, t in enumerate(tokens)}, merges=[list(m) for m in merges]))


def main():
    root = pathlib.Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    (root / "tokenizer.json").write_text(json.dumps(tokenizer(), indent=0, ensure_ascii=False) + "\n")
    torch.set_num_threads(1)
    for name in sys.argv[2:] or FAMILIES:
        make(name, root / name)


if __name__ == "__main__":
    main()
