# SPDX-License-Identifier: GPL-3.0-or-later
"""The exports that the scripts of this folder make and open: what bitwright-cli is asked for, by name."""
import json
import subprocess
from pathlib import Path

# name: (layout, options of "bitwright-cli quantize")
EXPORTS = {
    "gptq-int4": ("gptq", ["--format", "int4:g64:sym"]),
    "gptq-int4-asym": ("gptq", ["--format", "int4:g64:asym"]),
    "gptq-int3": ("gptq", ["--format", "int3:g32:sym"]),
    "gptq-mixed": ("gptq", ["--format", "int4:g64:sym", "--set", "blk.0.*=int8:g64:sym", "--set", "blk.1.ffn_down=keep"]),
    "awq-int4": ("awq", ["--format", "int4:g64:asym"]),
    "ct-int4": ("compressed-tensors", ["--format", "int4:g64:asym"]),
    "ct-int8": ("compressed-tensors", ["--format", "int8:channel:sym"]),
    "ct-fp8-channel": ("compressed-tensors", ["--format", "fp8_e4m3:channel"]),
    "ct-fp8-tensor": ("compressed-tensors", ["--format", "fp8_e4m3:tensor"]),
    "ct-fp8-block": ("compressed-tensors", ["--format", "fp8_e4m3:block128"]),
    "ct-nvfp4": ("compressed-tensors", ["--format", "nvfp4"]),
    "ct-mxfp4": ("compressed-tensors", ["--format", "mxfp4"]),
    "ct-mxfp8": ("compressed-tensors", ["--format", "mxfp8_e4m3"]),
    "ct-mixed": ("compressed-tensors", ["--format", "int4:g64:sym", "--set", "blk.*.ffn_down=fp8_e4m3:channel", "--set", "blk.2.*=nvfp4", "--set", "blk.4.*=int8:g64:sym", "--set", "blk.3.attn_output=keep"]),
    "fp8-block": ("fp8", ["--format", "fp8_e4m3:block128"]),
    "fp8-tensor": ("fp8", ["--format", "fp8_e4m3:tensor"]),
    "bnb-nf4": ("bnb", ["--format", "nf4"]),
    "bnb-nf4-double": ("bnb", ["--format", "nf4:dq", "--set", "blk.5.*=keep"]),
    "bnb-int8": ("bnb", ["--format", "int8:channel:sym"]),
}


def run(cli, log, *arguments):
    return json.loads(subprocess.run([cli, *map(str, arguments), "--log", str(log), "--json"], check=True, capture_output=True, text=True).stdout)


def make(cli, source, folder, name):
    """Writes the export, and beside it what Bitwright reads from it again, as f32. Returns both folders."""
    layout, options = EXPORTS[name]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.sqlite"
    out, plain = folder / name, folder / (name + ".f32")
    if not out.exists():
        run(cli, log, "quantize", source, *options, "--layout", layout, "--out", out)
    if not plain.exists():
        run(cli, log, "quantize", out, "--format", "f32", "--out", plain)
    return out, plain


def logits(cli, folder, path, ids):
    import numpy as np
    target = Path(folder) / "logits.npy"
    target.unlink(missing_ok=True)
    run(cli, Path(folder) / "log.sqlite", "logits", path, "--ids", ",".join(map(str, ids)), "--out", target)
    return np.load(target)
