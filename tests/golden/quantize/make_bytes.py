#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/data/golden/quantize/bytes.json: what llama.cpp's own quantizer writes of the embedded model, as hashes.

    pip install llama-cpp-python gguf numpy
    bitwright-cli quantize resources/demo --format bf16 --out demo-bf16.gguf
    python3 tests/golden/quantize/make_bytes.py demo-bf16.gguf tests/data/checkpoint/demo.imatrix.gguf > tests/data/golden/quantize/bytes.json

Per mix (".imatrix" = with the importance matrix), per tensor: type and the first 16 digits of its bytes' SHA-256. The library
must be built without fused multiply-add (a build for plain x86-64 is), else ggml's searches round differently."""
import ctypes
import hashlib
import json
import sys
import tempfile

import llama_cpp
import numpy
from gguf import GGUFReader

MIXES = {"q2_k": 10, "q3_k_m": 12, "q4_k_m": 15, "q5_k_m": 17, "q6_k": 18, "iq4_xs": 30, "iq4_nl": 25, "q4_0": 2, "q5_1": 9}


def importance(path):
    """Mean squares per tensor, and the C array that holds them."""
    tensors = {t.name: numpy.frombuffer(t.data.tobytes(), numpy.float32) for t in GGUFReader(path).tensors}
    means = {name[:-8]: tensors[name] / tensors[name[:-8] + ".counts"] for name in tensors if name.endswith(".in_sum2")}
    array = (llama_cpp.llama_model_imatrix_data * (len(means) + 1))()
    for entry, (name, values) in zip(array, means.items()):
        entry.name, entry.size = name.encode(), values.size
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    return means, array


def hashes(source, file_type, matrix):
    with tempfile.NamedTemporaryFile(suffix=".gguf") as out:
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype, params.nthread = file_type, 1
        if matrix is not None:
            params.imatrix = matrix
        assert llama_cpp.llama_model_quantize(source.encode(), out.name.encode(), ctypes.byref(params)) == 0
        return {t.name: f"{t.tensor_type.name} {hashlib.sha256(t.data.tobytes()).hexdigest()[:16]}" for t in GGUFReader(out.name).tensors}


means, matrix = importance(sys.argv[2])
result = {"origin": f"llama-cpp-python {llama_cpp.__version__}"}
for name, file_type in MIXES.items():
    result[name] = hashes(sys.argv[1], file_type, None)
    result[name + ".imatrix"] = hashes(sys.argv[1], file_type, matrix)
print(json.dumps(result, indent=0))
