# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of activations as ggml's own CPU kernels turn them into Q8_0, Q8_1 and Q8_K before a product.

usage: make_kernel_inputs.py LIBGGML_CPU.so OUT.json        (the library comes with PyPI's llama-cpp-python; x86 with AVX2)

Each row of 256 becomes blocks by the library's quantize_row_*; what a product reads of them is code times step, with the step as
stored. Floats are written as the eight hex digits of their bits, little end last.
"""
import ctypes
import json
import sys

import numpy as np

KINDS = {"q8_0": (32, 34, "quantize_row_q8_0"), "q8_1": (32, 36, "quantize_row_q8_1"), "q8_k": (256, 292, "quantize_row_q8_K")}


def rows():
    random = np.random.default_rng(20)
    gaussian = random.standard_normal(256).astype(np.float32)
    outliers = (random.standard_normal(256) * np.where(random.random(256) < 0.02, 60, 0.3)).astype(np.float32)
    small = (random.standard_normal(256) * 1e-6).astype(np.float32)
    ties = (random.integers(-254, 255, 256) / 2).astype(np.float32)  # half codes once the largest is 127
    ties[::32] = -127
    ties[40:64] = 0
    return np.stack([gaussian, outliers, small, ties])


def products_read(kind, row, library):
    length, size, name = KINDS[kind]
    count = len(row) // length
    blocks = (ctypes.c_uint8 * (size * count))()
    getattr(library, name)(row.ctypes.data_as(ctypes.c_void_p), blocks, ctypes.c_int64(len(row)))
    raw = np.frombuffer(blocks, np.uint8).reshape(count, size)
    if kind == "q8_k":  # f32 step, 256 codes, 16 sums
        step, codes = raw[:, :4].copy().view(np.float32), raw[:, 4:260].copy().view(np.int8)
    else:  # f16 step (q8_1: and the f16 sum), 32 codes
        step, codes = raw[:, :2].copy().view(np.float16).astype(np.float32), raw[:, size - 32:].copy().view(np.int8)
    return (step * codes.astype(np.float32)).astype(np.float32).ravel()


def bits(values):
    return "".join(f"{word:08x}" for word in np.asarray(values, np.float32).view(np.uint32).ravel())


def main():
    library = ctypes.CDLL(sys.argv[1])
    data = rows()
    made = {"from": "ggml 0.25.3, x86 with AVX2", "rows": [bits(row) for row in data]}
    for kind in KINDS:
        made[kind] = [bits(products_read(kind, np.ascontiguousarray(row), library)) for row in data]
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        json.dump(made, out, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
