#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks llama.cpp's own quantizer (llama-cpp-python's library, a dry run) which type every tensor of made-up models gets.

Run by hand:  compare_with_llama_quantize.py [--write tests/data/golden/quantize/mixes.json] [--cli build/bin/bitwright-cli]
Needs llama-cpp-python (0.3.36 made the stored answers) and gguf. The models are GGUF headers over sparse files: full size,
no weights. --write stores the answers that mixes_golden_test reads; --cli holds the program's dry-run plans against them.
"""
import argparse, ctypes, json, os, re, subprocess, sys, tempfile

import gguf
import llama_cpp

TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS",
         "TQ1_0", "TQ2_0", "MXFP4"]
LETTERS = "abcdefghijklmnopqr"
MIXES = {"q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "q2_k": 10, "q3_k_s": 11, "q3_k_m": 12, "q3_k_l": 13, "q4_k_s": 14,
         "q4_k_m": 15, "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18, "q2_k_s": 21, "iq4_nl": 25, "iq4_xs": 30, "bf16": 32, "f16": 1,
         "tq1_0": 36, "tq2_0": 37, "mxfp4_moe": 38}


def model(name, arch, blocks, width, ff, heads, kv, head=None, vocab=1024, experts=0, used=2, shared=0, fused=False, fused_up=False,
          gated=True, tied=False, extra=()):
    d = head or width // heads
    per = {"attn_output": (heads * d, width)}
    if fused:
        per["attn_qkv"] = (width, (heads + 2 * kv) * d)
    else:
        per |= {"attn_q": (width, heads * d), "attn_k": (width, kv * d), "attn_v": (width, kv * d)}
    if experts:
        per |= {"ffn_gate_inp": (width, experts), "ffn_up_exps": (width, ff, experts), "ffn_gate_exps": (width, ff, experts),
                "ffn_down_exps": (ff, width, experts)}
        if shared:
            per |= {"ffn_gate_inp_shexp": (width,), "ffn_up_shexp": (width, shared), "ffn_gate_shexp": (width, shared),
                    "ffn_down_shexp": (shared, width)}
    else:
        per |= {"ffn_up": (width, 2 * ff if fused_up else ff), "ffn_down": (ff, width)}
        if gated and not fused_up:
            per["ffn_gate"] = (width, ff)
    per |= {"attn_norm": (width,), "ffn_norm": (width,)}
    other = {"token_embd.weight": (width, vocab), "output_norm.weight": (width,)}
    if not tied:
        other["output.weight"] = (width, vocab)
    other |= {n: s for n, s in extra}
    return {"name": name, "architecture": arch, "blocks": blocks, "heads": heads, "kv_heads": kv, "experts": experts, "used": used,
            "width": width, "ff": ff, "shared": shared, "head": d, "per_block": {k + ".weight": v for k, v in per.items()}, "other": other}


MODELS = [
    model("llama-7b", "llama", 32, 4096, 11008, 32, 32),
    model("llama-70b", "llama", 80, 8192, 28672, 64, 8),
    model("llama-80-heads-alike", "llama", 80, 1024, 2816, 16, 16),
    model("llama-1b-tied", "llama", 16, 2048, 8192, 32, 8, tied=True),
    model("smollm2", "llama", 30, 576, 1536, 9, 3, tied=True),
    model("two-blocks", "llama", 2, 256, 512, 4, 1),
    model("narrow", "llama", 9, 96, 160, 4, 2),
    model("odd-width", "llama", 5, 80, 240, 4, 2),
    model("mixtral", "llama", 32, 4096, 14336, 32, 8, experts=8),
    model("mixtral-80", "llama", 80, 1024, 1792, 8, 2, experts=8),
    model("four-experts", "llama", 20, 512, 1024, 8, 4, experts=4),
    model("qwen2-7b", "qwen2", 28, 3584, 18944, 28, 4),
    model("qwen2-72b", "qwen2", 80, 8192, 29568, 64, 8),
    model("qwen2moe", "qwen2moe", 24, 2048, 1408, 16, 16, experts=60, used=4, shared=5632),
    model("qwen3moe", "qwen3moe", 48, 2048, 768, 32, 4, head=128, experts=128, used=8),
    model("phi3", "phi3", 32, 3072, 8192, 32, 32, fused=True, fused_up=True),
    model("gpt2", "gpt2", 12, 768, 3072, 12, 12, fused=True, gated=False, tied=True, extra=[("position_embd.weight", (768, 1024))]),
    model("falcon", "falcon", 60, 8192, 32768, 128, 8, fused=True, gated=False),
    model("gemma2", "gemma2", 26, 2304, 9216, 8, 4, head=256, tied=True),
    model("stablelm", "stablelm", 24, 2048, 5632, 32, 32),
    model("olmoe", "olmoe", 16, 2048, 1024, 16, 16, experts=64, used=8),
]

CASES = [{"mix": m} for m in MIXES] + [{"mix": m, "importance": True} for m in ("q4_0", "q5_0", "iq4_nl", "iq4_xs", "q2_k", "q2_k_s", "q4_k_m")] + [
    {"mix": "q4_k_m", "pure": True},
    {"mix": "q3_k_m", "pure": True},
    {"mix": "q2_k", "output": "Q8_0", "embedding": "Q6_K"},
    {"mix": "q4_k_m", "output": "Q5_K"},
    {"mix": "q5_k_m", "embedding": "Q4_0"},
    {"mix": "q4_k_m", "tensor_types": [["attn_(v|qkv)", "Q8_0"], [r"blk\.[0-3]\.ffn_down", "Q6_K"], ["ffn_down", "Q5_K"]]},
    {"mix": "q4_k_s", "pure": True, "tensor_types": [["ffn_down", "Q8_0"]]},
    {"mix": "q3_k_l", "tensor_types": [[r"blk\.([5-9]|1[0-9])\.attn_v", "Q4_0"]]},
]


def tensors_of(m):
    names = dict(m["other"])
    for b in range(m["blocks"]):
        names |= {f"blk.{b}.{n}": s for n, s in m["per_block"].items()}
    return names


def write_sparse(m, path):
    w = gguf.GGUFWriter(path, m["architecture"])
    w.add_block_count(m["blocks"]); w.add_context_length(512); w.add_embedding_length(m["width"]); w.add_vocab_size(1024)
    w.add_feed_forward_length(m["ff"]); w.add_head_count(m["heads"]); w.add_head_count_kv(m["kv_heads"])
    w.add_key_length(m["head"]); w.add_value_length(m["head"]); w.add_rope_dimension_count(m["head"])
    w.add_layer_norm_rms_eps(1e-5); w.add_layer_norm_eps(1e-5); w.add_sliding_window(256)
    w.add_attn_logit_softcapping(50.0); w.add_final_logit_softcapping(30.0)
    if m["experts"]:
        w.add_expert_count(m["experts"]); w.add_expert_used_count(m["used"]); w.add_expert_feed_forward_length(m["ff"])
        w.add_expert_shared_feed_forward_length(m["shared"])
    w.add_tokenizer_model("gpt2"); w.add_tokenizer_pre("gpt-2")
    w.add_token_list([f"t{i}" for i in range(1024)]); w.add_token_types([1] * 1024); w.add_token_merges(["t 0"])
    total = 0
    for name, shape in tensors_of(m).items():
        f32 = len(shape) == 1
        count = 1
        for s in shape: count *= s
        size = count * (4 if f32 else 2)
        w.add_tensor_info(name, shape[::-1], __import__("numpy").dtype("float32" if f32 else "float16"), size)
        total += (size + 31) // 32 * 32
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_ti_data_to_file()
    w.close()
    data_at = (os.path.getsize(path) + 31) // 32 * 32
    os.truncate(path, data_at + total)


LINES = []


@llama_cpp.llama_log_callback
def on_log(level, text, user):
    LINES.append(text.decode("utf-8", "replace"))


def ask(path, case):
    p = llama_cpp.llama_model_quantize_default_params()
    p.ftype = MIXES[case["mix"]]; p.dry_run = True; p.nthread = 1; p.pure = case.get("pure", False)
    types = {t.name: int(t) for t in gguf.GGMLQuantizationType}
    if "output" in case: p.output_tensor_type = types[case["output"]]
    if "embedding" in case: p.token_embedding_type = types[case["embedding"]]
    keep = []
    if case.get("importance"):
        one = (ctypes.c_float * 1)(1.0)
        rows = (llama_cpp.llama_model_imatrix_data * 2)()
        rows[0].name = b"none"; rows[0].data = ctypes.cast(one, type(rows[0].data)); rows[0].size = 1
        keep += [one, rows]; p.imatrix = rows
    if "tensor_types" in case:
        rows = (llama_cpp.llama_model_tensor_override * (len(case["tensor_types"]) + 1))()
        for r, (pattern, t) in zip(rows, case["tensor_types"]):
            r.pattern = pattern.encode(); r.type = types[t]
        keep.append(rows); p.tt_overrides = rows
    LINES.clear()
    if llama_cpp.llama_model_quantize(path.encode(), b"/dev/null", ctypes.byref(p)) != 0:
        return None, "".join(LINES[-5:])
    found = {}
    for line in "".join(LINES).split("\n"):
        hit = re.match(r"\[ *\d+/ *\d+\] (\S+) +- \[.*?\], type = *(\w+), size = .*?(?:\((\w+)\))?$", line)
        if hit: found[hit[1]] = (hit[3] or hit[2]).upper()
    return found, ""


def program_types(cli, path, case):
    args = [cli, "quantize", path, "--dry-run", "--json", "--out", "/tmp/never-written.gguf"]
    args += ["--pure"] if case.get("pure") else []
    args += ["--preset", case["mix"]]
    args += ["--rounder", "weighted", "--text", "resources/texts/calib_prose.txt"] if case.get("importance") else []
    for key, option in (("output", "--output-tensor-type"), ("embedding", "--token-embedding-type")):
        args += [option, case[key].lower()] if key in case else []
    for pattern, t in case.get("tensor_types", []):
        args += ["--tensor-type", f"{pattern}={t.lower()}"]
    run = subprocess.run(args, capture_output=True, text=True)
    if run.returncode != 0: return None, run.stderr.strip()
    return {t["name"]: t["used"].upper() for t in json.loads(run.stdout)["tensors"]}, ""


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--write"); a.add_argument("--cli"); a.add_argument("--gguf", nargs="*", default=[])
    a.add_argument("--only", help="names of made-up models, separated by commas (large ones need as much free disk as they would take)")
    o = a.parse_args()
    llama_cpp.llama_log_set(on_log, ctypes.c_void_p(0))
    stored, wrong, asked = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        work = []
        for m in MODELS:
            if o.only is not None and m["name"] not in o.only.split(","): continue
            path = os.path.join(folder, m["name"] + ".gguf")
            write_sparse(m, path)
            work.append((m, path))
        work += [(None, path) for path in o.gguf]
        for m, path in work:
            answers = []
            fields = {f.name: f.contents() for f in gguf.GGUFReader(path).fields.values() if f.name.endswith(("embedding_length", "block_count"))}
            width = next(v for k, v in fields.items() if k.endswith("embedding_length"))
            blocks = next(v for k, v in fields.items() if k.endswith("block_count"))
            for case in CASES:
                if width % 256 and ("output" in case or "embedding" in case): continue  # not checked for fit there
                types, why = ask(path, case)
                if types is None:
                    print(f"{path} {case}: refused: {why.strip()[-150:]}")
                    continue
                names = sorted(types, key=lambda n: (int(n.split(".")[1]) if n.startswith("blk.") else -1, n))
                answers.append(case | {"types": "".join(LETTERS[TYPES.index(types[n])] for n in names)})
                # Made-up models have no vocabulary to calibrate with, and a pattern that matches nothing is refused here.
                if o.cli and not (m and case.get("importance")) and (blocks > 5 or case.get("tensor_types", [[""]])[0][0] != CASES[-1]["tensor_types"][0][0]):
                    ours, why = program_types(o.cli, path, case)
                    bad = [f"{n}: {ours[n]} for {types[n]}" for n in names if ours[n] != types[n]] if ours is not None else [why]
                    asked += 1
                    wrong += bool(bad)
                    if bad: print(f"{os.path.basename(path)} {case}: {len(bad)} differ: {bad[:3]}")
            if m:
                stored.append({k: m[k] for k in ("name", "architecture", "blocks", "heads", "kv_heads", "experts", "per_block", "other")} | {"cases": answers})
    if o.cli: print(f"{asked - wrong} of {asked} plans give every tensor llama-quantize's type")
    if o.write:
        with open(o.write, "w") as f:
            f.write('{"origin": "llama-cpp-python %s, dry runs by compare_with_llama_quantize.py", "letters": %s,\n"models": [\n' % (llama_cpp.__version__, json.dumps(TYPES)))
            f.write(",\n".join("{" + json.dumps({k: v for k, v in s.items() if k != "cases"})[1:-1] + ', "cases": [\n' + ",\n".join(json.dumps(c) for c in s["cases"]) + "]}" for s in stored))
            f.write("\n]}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
