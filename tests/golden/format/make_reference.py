#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/data/format/reference/ with ggml's own C code (0.25.3, built without fused multiply-add):

    python3 make_reference.py PATH/libggml-base.so tests/data/format

- <TYPE>.none.bin, <TYPE>.imatrix.bin: bytes of quantize/input_f32.bin, without and with quantize/importance_f32.bin;
- encode_hashes.bin: of 512 runs of 256 synthetic weights, the FNV-1a hash of the bytes of each (u32), case after case in the
  order of CASES; decode_hashes.txt: the hash of the f32 values of 400,000 pseudo-random bytes of each type.
The generator of pseudo-random numbers and the hash are repeated in reference_golden_test.cpp."""
import ctypes
import pathlib
import sys

import numpy as np

# name: ggml id, weights a block, bytes a block, does importance change the bytes?
TYPES = {
    "Q4_0": (2, 32, 18, True), "Q4_1": (3, 32, 20, True), "Q5_0": (6, 32, 22, True), "Q5_1": (7, 32, 24, True),
    "Q8_0": (8, 32, 34, False), "Q2_K": (10, 256, 84, True), "Q3_K": (11, 256, 110, True), "Q4_K": (12, 256, 144, True),
    "Q5_K": (13, 256, 176, True), "Q6_K": (14, 256, 210, True), "IQ4_NL": (20, 32, 18, True), "IQ4_XS": (23, 256, 136, True),
    "TQ1_0": (34, 256, 54, False), "TQ2_0": (35, 256, 66, False), "MXFP4": (39, 32, 17, False),
    "Q1_0": (41, 128, 18, False), "Q2_0": (42, 64, 18, False),
}
DECODED_ONLY = {
    "NVFP4": (64, 36), "Q8_K": (256, 292), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ3_XXS": (256, 98), "IQ1_S": (256, 50),
    "IQ3_S": (256, 110), "IQ2_S": (256, 82), "IQ1_M": (256, 56),
}
CASES = [(name, weighted) for name, t in TYPES.items() for weighted in ([False, True] if t[3] else [False])]
ROWS, COLS = 128, 1024


class Noise:
    """The 64-bit generator of Knuth's MMIX; 24 bits a draw."""
    def __init__(self, seed):
        self.state = seed

    def draw(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return self.state >> 40

    def uniform(self):
        return np.float32(self.draw()) * np.float32(2.0**-24)


def synthetic():
    """Sums of four uniform numbers, one in 64 eight times as large; importance u² + 0.001."""
    noise, half = Noise(1), np.float32(0.5)
    x = np.empty(ROWS * COLS, np.float32)
    for i in range(x.size):
        v = np.float32(0)
        for _ in range(4):
            v = v + (noise.uniform() - half)
        x[i] = v * (np.float32(0.4) if noise.draw() % 64 == 0 else np.float32(0.05))
    w = np.array([u * u + np.float32(0.001) for u in (noise.uniform() for _ in range(COLS))], np.float32)
    return x, w


def fnv32(rows):
    h = np.full(rows.shape[0], 2166136261, np.uint32)
    for column in rows.T:
        h = (h ^ column.astype(np.uint32)) * np.uint32(16777619)
    return h


def main():
    lib = ctypes.CDLL(sys.argv[1])
    data = pathlib.Path(sys.argv[2])
    out = data / "reference"
    out.mkdir(exist_ok=True)
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]

    def quantize(name, x, cols, w):
        ggml, weights, size, _ = TYPES[name]
        result = np.zeros(x.size // weights * size, np.uint8)
        written = lib.ggml_quantize_chunk(ggml, x.ctypes.data, result.ctypes.data, 0, x.size // cols, cols, w.ctypes.data if w is not None else None)
        assert written == result.size
        return result

    x = np.fromfile(data / "quantize/input_f32.bin", np.float32)
    w = np.fromfile(data / "quantize/importance_f32.bin", np.float32)
    for name, weighted in CASES:
        quantize(name, x, 512, w if weighted else None).tofile(out / f"{name}.{'imatrix' if weighted else 'none'}.bin")

    x, w = synthetic()
    hashes = [fnv32(quantize(name, x, COLS, w if weighted else None).reshape(512, -1)) for name, weighted in CASES]
    np.concatenate(hashes).tofile(out / "encode_hashes.bin")

    noise = Noise(2)
    raw = np.array([noise.draw() & 255 for _ in range(400_000)], np.uint8)
    with open(out / "decode_hashes.txt", "w") as file:
        sizes = {name: t[1:3] for name, t in TYPES.items()} | DECODED_ONLY
        for name, (weights, size) in sizes.items():
            blocks = raw.size // size
            values = np.empty(blocks * weights, np.float32)
            decode = getattr(lib, "dequantize_row_" + name.lower().replace("_k", "_K"))
            decode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
            decode(raw.ctypes.data, values.ctypes.data, values.size)
            values[np.isnan(values)] = np.float32(0)  # payloads of NaN are free
            words = values.view(np.uint8).reshape(blocks, -1)
            file.write(f"{name} {int(fnv32(fnv32(words).view(np.uint8).reshape(1, -1))[0])}\n")


main()
