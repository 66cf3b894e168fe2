#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/tokenizer/families/: small vocabularies trained on our own texts, and the ids of the reference libraries.

Run: pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf && python3 tests/golden/tokenizer/make_families.py
strings.json: the strings. bases.json: vocabularies as tokenizer.json files. families.json: what each family puts over its
base, 6 hex digits a string (FNV-1a of "id,id,…", with the template's tokens), 4 hex digits a string of the decoded text,
and the ids of the first strings in full. *.model: SentencePiece's own files with the ids `sentencepiece` gives.
"""
import json
import os

import sentencepiece
import tokenizers

import families as f


def write(name, value):
    with open(os.path.join(f.DATA, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))


def main():
    os.makedirs(f.DATA, exist_ok=True)
    strings = f.strings()
    write("strings.json", strings)
    models = {kind: f.sentencepiece_model(kind) for kind in ("bpe", "unigram")}
    for kind, content in models.items():
        with open(os.path.join(f.DATA, f"sp_{kind}.model"), "wb") as file:
            file.write(content)
    bases = {"bytes": f.byte_base(), "characters": f.character_base(models["bpe"]), "crossing": f.crossing_base(), "unigram": f.unigram_base(models["unigram"])}
    write("bases.json", bases)
    out = {"library": f"tokenizers {tokenizers.__version__}, sentencepiece {sentencepiece.__version__}", "families": [], "sentencepiece": {}}
    for name, (base, patch) in f.families(f.charsmap(models["unigram"])).items():
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(f.patched(bases[base], patch)))
        ids = [tokenizer.encode(text).ids for text in strings]
        decoded = "".join(f.hash_ids_text(tokenizer.decode(i, skip_special_tokens=False)) for i in ids)
        out["families"].append({"name": name, "base": base, "patch": patch, "ids": "".join(map(f.hash_ids, ids)), "decoded": decoded, "first": ids[:24]})
        same = sum(tokenizer.decode(i, skip_special_tokens=False) == text for i, text in zip(ids, strings))
        print(f"{name:16} tokens {sum(map(len, ids)):6} decoded as given {same}")
    for kind, content in models.items():
        sp = sentencepiece.SentencePieceProcessor(model_proto=content)
        ids = [sp.encode(text) for text in strings]
        out["sentencepiece"][kind] = {"ids": "".join(map(f.hash_ids, ids)), "first": ids[:24]}
    write("families.json", out)


main()
