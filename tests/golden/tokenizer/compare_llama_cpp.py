#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/tokenizer/families/llama_cpp.json: ids that llama.cpp gives for vocabularies in GGUF files made here.

Run by hand, after make_families.py: pip install llama-cpp-python==0.3.36 gguf tokenizers==0.23.3 sentencepiece==0.2.3 protobuf
&& python3 tests/golden/tokenizer/compare_llama_cpp.py. One hash (6 hex digits) for the ids of each 10 strings; with an
argument N the ids of string N are printed instead, for each case.
"""
import base64
import json
import os
import sys

import gguf
import llama_cpp
import sentencepiece

import families as f

# One name for each set of splitting rules.
PRE = ["gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "default", "falcon", "deepseek-llm", "deepseek-coder", "deepseek-v3", "bloom", "viking", "tekken", "chameleon",
       "gpt-4o", "bailingmoe", "seed-coder"]
ODD_SPACES = "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
GROUP = 10


def write(path, model, tokens, types, **keys):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("made here")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_head_count(1)
    writer.add_feed_forward_length(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    for key, value in keys.items():
        getattr(writer, "add_" + key)(value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def byte_case(base, pre, path):
    tokens = {i: token for token, i in base["model"]["vocab"].items()}
    special = {t["id"]: t["content"] for t in base["added_tokens"]}
    tokens.update(special)
    order = sorted(tokens)
    write(path, "gpt2", [tokens[i] for i in order], [CONTROL if i in special else NORMAL for i in order], tokenizer_pre=pre,
          token_merges=base["model"]["merges"], bos_token_id=0, eos_token_id=1)


def scored_case(model, prefix, path):
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    ids = range(sp.get_piece_size())
    tokens, types = [sp.id_to_piece(i) for i in ids], []
    for i, token in enumerate(tokens):
        kind = UNKNOWN if sp.is_unknown(i) else CONTROL if sp.is_control(i) else BYTE if sp.is_byte(i) else NORMAL
        if token in ("<tool>", "▁▁", "▁▁▁▁", "\n\n"):
            kind, tokens[i] = USER_DEFINED, token.replace("▁", " ")
        types.append(kind)
    write(path, "llama", tokens, types, token_scores=[sp.get_score(i) for i in ids], add_space_prefix=prefix)


def unigram_case(base, charsmap, path):
    vocab = base["model"]["vocab"]
    types = [UNKNOWN if t == "<unk>" else CONTROL if t in ("<s>", "</s>") else USER_DEFINED if t == "<tool>" else BYTE if t.startswith("<0x") else NORMAL for t, _ in vocab]
    write(path, "t5", [t for t, _ in vocab], types, token_scores=[s for _, s in vocab], add_space_prefix=True, remove_extra_whitespaces=True,
          precompiled_charsmap=base64.b64decode(charsmap), unk_token_id=0, eos_token_id=2, bos_token_id=1, add_eos_token=False)


def main():
    strings = f.strings()
    with open(os.path.join(f.DATA, "bases.json"), encoding="utf-8") as file:
        bases = json.load(file)
    models = {}
    for kind in ("bpe", "unigram"):
        with open(os.path.join(f.DATA, f"sp_{kind}.model"), "rb") as file:
            models[kind] = file.read()
    precompiled = f.charsmap(models["unigram"])
    cases = [("gpt2", pre, lambda path, pre=pre: byte_case(bases["bytes"], pre, path)) for pre in PRE]
    cases.append(("llama", "prefix", lambda path: scored_case(models["bpe"], True, path)))
    cases.append(("llama", "no prefix", lambda path: scored_case(models["bpe"], False, path)))
    cases.append(("t5", "", lambda path: unigram_case(bases["unigram"], precompiled, path)))
    out = {"library": f"llama-cpp-python {llama_cpp.__version__}", "strings_per_hash": GROUP, "charsmap": base64.b64decode(precompiled).hex(), "cases": []}
    for model, rules, make in cases:
        path = "/tmp/bitwright_vocabulary.gguf"
        make(path)
        llama = llama_cpp.Llama(path, vocab_only=True, verbose=False)
        # llama.cpp cuts white space beyond ASCII otherwise than DeepSeek's own tokenizer does, which is followed here.
        skipped = set(ODD_SPACES if rules.startswith("deepseek") else "")
        ids = [llama.tokenize(text.encode(), add_bos=False, special=True) if text and not skipped & set(text) else [] for text in strings]
        if len(sys.argv) > 1:
            print(model, rules, ids[int(sys.argv[1])])
        hashes = "".join("%06x" % f.hash24("|".join(",".join(map(str, i)) for i in ids[at:at + GROUP]).encode()) for at in range(0, len(ids), GROUP))
        out["cases"].append({"model": model, "rules": rules, "ids": hashes})
        os.unlink(path)
    if len(sys.argv) == 1:
        with open(os.path.join(f.DATA, "llama_cpp.json"), "w", encoding="utf-8") as file:
            json.dump(out, file, separators=(",", ":"))


main()
