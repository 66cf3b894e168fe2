#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/tokenizer/pieces.json and texts.json with the reference library (pip install tokenizers==0.23.3).

pieces.json: what several pre-tokenizers make of random strings. texts.json: sha256 of the ids ("1,2,3") of whole files.
Run from the root of the repository: python3 tests/golden/tokenizer/make_vectors.py
"""
import hashlib
import json
import random

import tokenizers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES_ONLY = dict(BYTES, use_regex=False)


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


CHAINS = {
    "gpt2": BYTES,
    "digits alone, gpt2": sequence({"type": "Digits", "individual_digits": True}, BYTES),
    "digit runs, gpt2": sequence({"type": "Digits", "individual_digits": False}, BYTES),
    "gpt2 as split": sequence(split(GPT2), BYTES_ONLY),
    "llama3": sequence(split(LLAMA3), BYTES_ONLY),
    "qwen2": sequence(split(QWEN2), BYTES_ONLY),
    "qwen2 inverted": sequence(split(QWEN2, "Removed", True), BYTES_ONLY),
    "gpt4o": sequence(split(GPT4O), BYTES_ONLY),
    "removed literal": sequence(split("a.", "Removed", False, "String"), BYTES),
    "three digits, gpt2": sequence(split(r"\p{N}{3}"), BYTES),
}
ATOMS = ["a", "b", "Z", "the", "WORD", "é", "ß", "ſ", "日本", "क्", "ا", "1", "23", "456", "٣", "½", "Ⅷ", " ", "  ", "   ", "\n", "\n\n",
         "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\u200b", "\u0085", "'", "'s", "'S", "'re", "'LL", "'ve", "'d", "'T", "'ſ", "’", ".", ",",
         "!?", "--", "_", "/", "a.", "🙂", "\u0301", "\u200d", "\x00", "\ufeff", "𝕳", "𠀀", "$", "+=", "<|", "|>"]


def main():
    rng = random.Random(20)
    cases = []
    for name, chain in CHAINS.items():
        base = json.load(open("resources/demo/tokenizer.json"))
        base["pre_tokenizer"] = chain
        pre_tokenizer = tokenizers.Tokenizer.from_str(json.dumps(base)).pre_tokenizer
        vectors = []
        for _ in range(120):
            text = "".join(rng.choice(ATOMS) for _ in range(rng.randint(1, 14)))
            vectors.append([text, [text[a:b] for _, (a, b) in pre_tokenizer.pre_tokenize_str(text)]])
        cases.append({"name": name, "pre_tokenizer": chain, "vectors": vectors})
    out = {"library": "tokenizers " + tokenizers.__version__, "call": "pre_tokenizer.pre_tokenize_str, offsets into the text", "cases": cases}
    json.dump(out, open("tests/data/tokenizer/pieces.json", "w"), ensure_ascii=True, separators=(",", ":"))

    texts = []
    for name, path in (("demo", "resources/demo/tokenizer.json"), ("smollm2", "tests/data/tokenizer/smollm2-tokenizer.json")):
        tokenizer = tokenizers.Tokenizer.from_file(path)
        for text in ("eval_prose.txt", "eval_code.txt"):
            ids = tokenizer.encode(open("resources/texts/" + text, newline="").read(), add_special_tokens=False).ids
            texts.append({"tokenizer": name, "file": text, "count": len(ids),
                          "sha256": hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()})
    json.dump({"library": "tokenizers " + tokenizers.__version__, "texts": texts}, open("tests/data/tokenizer/texts.json", "w"), indent=1)


main()
