#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mebibyte of one thing: are the ids those of `tokenizers` and SentencePiece, and how long does each program take?

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python3 tests/golden/tokenizer/compare_long.py CLI [BYTES=1048576]

CLI (bitwright-cli) tokenizes each text with the tokenizers of tests/data/tokenizer: SmolLM2's, every base of families
that `tokenizers` opens, and both SentencePiece models. Exit code 0 when all ids are equal; of unigram cuts with the same
sum, which rounding decides between after hundreds of equal characters, either is right. Runs outside CI: minutes.
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import sentencepiece
import tokenizers

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "tokenizer"
UNITS = ["a", " ", "\n", ".", "7", "日", "\u0301", "ab ", "<", "-", "It's the 3rd time.\n"]
CONFIG = {"model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 65536, "rms_norm_eps": 1e-5}


def checkpoint(folder, name, tokenizer):
    """The tokenizer's file beside a checkpoint of one number."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    (folder / name).write_bytes(tokenizer)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    return folder


def cases(scratch):
    smollm = (DATA / "smollm2-tokenizer.json").read_bytes()
    yield "smollm2", checkpoint(f"{scratch}/smollm2", "tokenizer.json", smollm), tokenizers.Tokenizer.from_str(smollm.decode()), None
    for name, base in json.loads((DATA / "families" / "bases.json").read_text()).items():
        text = json.dumps(base)
        try:
            reference = tokenizers.Tokenizer.from_str(text)
        except Exception:  # bases are completed by families.json; some are no tokenizer by themselves
            continue
        yield name, checkpoint(f"{scratch}/{name}", "tokenizer.json", text.encode()), reference, None
    for kind in ("bpe", "unigram"):
        model = (DATA / "families" / f"sp_{kind}.model").read_bytes()
        yield f"sp_{kind}", checkpoint(f"{scratch}/sp_{kind}", "tokenizer.model", model), None, sentencepiece.SentencePieceProcessor(model_proto=model)


def main():
    cli, size = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1 << 20
    wrong = total = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder, reference, pieces in cases(scratch):
            for unit in UNITS:
                text = unit * (size // len(unit.encode()))
                path = pathlib.Path(scratch) / "text"
                path.write_bytes(text.encode())
                begun = time.monotonic()
                ours = json.loads(subprocess.run([cli, "tokenize", folder, "--file", path, "--no-special"], check=True, capture_output=True).stdout)
                middle = time.monotonic()
                theirs = reference.encode(text, add_special_tokens=False).ids if reference else pieces.encode(text)
                end = time.monotonic()
                total += 1
                equal = ours == theirs or sorted(ours) == sorted(theirs)  # the same tokens in another order cost the same
                wrong += not equal
                at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                print(f"{name:12} {unit!r:24} {len(ours):8} ids, {middle - begun:6.2f} s ours, {end - middle:6.2f} s theirs" + ("" if ours == theirs else f"  {'an equal cut' if equal else 'DIFFERENT'} at {at}"), flush=True)
    print(f"{total - wrong} of {total} the same")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
