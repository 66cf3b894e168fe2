#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures methods on a model with bitwright-cli and writes the table into a section of methods.md, in place of the one before.

    make_methods.py CLI CHECKPOINT --title "Demo model" --text CALIB… --eval-text EVAL… [--groups integers,gguf,…]
                    [--samples N --length T --tokens N --head FORMAT --log FILE --page methods.md] [--stdout]

The same command after a stop goes on behind the last finished recipe: the log holds what was measured. A group whose recipes
the program refuses (rounding of activations in a program without it) is left out with a remark on stderr.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

INT4, INT3, INT8 = "int4:g64:asym", "int3:g64:asym", "int8:channel:sym"
# Group → (name in the table, TRANSFORM/ROUNDER/FORMAT[/ACTIVATIONS]). The nearest line of a format stands before its rivals.
GROUPS = {
    "integers": [
        ("int4:g64, nearest", f"none/nearest/{INT4}"), ("int4:g64, stochastic", f"none/stochastic/{INT4}"),
        ("int4:g64, importance-weighted", f"none/weighted/{INT4}"), ("int4:g64, SmoothQuant α searched", f"smooth:search/nearest/{INT4}"),
        ("int4:g64, AWQ", f"awq/nearest/{INT4}"), ("int4:g64, AWQ + clip search", f"awq+clip/nearest/{INT4}"),
        ("int4:g64, rotation", f"rotate/nearest/{INT4}"),
        ("int4:g64, GPTQ", f"none/gptq/{INT4}"), ("int4:g64, AWQ + GPTQ", f"awq/gptq/{INT4}"),
        ("int4:g64, rotation + GPTQ", f"rotate/gptq/{INT4}"),
        ("int3:g64, nearest", f"none/nearest/{INT3}"), ("int3:g64, AWQ", f"awq/nearest/{INT3}"), ("int3:g64, AWQ + clip search", f"awq+clip/nearest/{INT3}"),
        ("int3:g64, GPTQ", f"none/gptq/{INT3}"), ("int3:g64, AWQ + GPTQ", f"awq/gptq/{INT3}"),
        ("int3:g64, rotation + GPTQ", f"rotate/gptq/{INT3}")],
    "floats": [
        ("NF4, nearest", "none/nearest/nf4:b64"), ("NF4, GPTQ", "none/gptq/nf4:b64"),
        ("MXFP4, nearest", "none/nearest/mxfp4"), ("MXFP4, GPTQ", "none/gptq/mxfp4"),
        ("NVFP4, nearest", "none/nearest/nvfp4"), ("NVFP4, GPTQ", "none/gptq/nvfp4"),
        ("fp6 E2M3 per channel, nearest", "none/nearest/fp6_e2m3:channel"), ("fp8 E4M3 per channel, nearest", "none/nearest/fp8_e4m3:channel")],
    "gguf": [(f"{kind}, {words}", f"{transform}/{rounder}/{kind.lower()}")
             for kind in ("Q2_K", "Q3_K", "IQ4_XS", "Q4_0", "Q4_K", "Q5_0", "Q6_K")
             for words, transform, rounder in (("nearest", "none", "nearest"), ("importance-weighted", "none", "weighted"), ("GPTQ", "none", "gptq"))] + [
        ("Q4_K_M, nearest", "none/nearest/mix:q4_k_m"), ("Q4_K_M, importance-weighted", "none/weighted/mix:q4_k_m"),
        ("Q4_K_M, GPTQ", "none/gptq/mix:q4_k_m"), ("Q4_K_M, AWQ + GPTQ", "awq/gptq/mix:q4_k_m")],
    "activations": [
        ("int8, activations per tensor", f"none/nearest/{INT8}/a8:tensor"),
        ("int8, activations per tensor, SmoothQuant α = 0.5", f"smooth:alpha=0.5/nearest/{INT8}/a8:tensor"),
        ("int8, activations per token", f"none/nearest/{INT8}/a8:token"),
        ("int8, activations per token, SmoothQuant α = 0.5", f"smooth:alpha=0.5/nearest/{INT8}/a8:token"),
        ("int8, activations per token, LLM.int8() threshold 6", f"outliers:threshold=6/nearest/{INT8}/a8:token"),
        ("fp8, activations fp8 per token", "none/nearest/fp8_e4m3:channel/fp8:token")],
    # A few of each, for models on which all would take hours.
    "few": [
        ("int4:g64, nearest", f"none/nearest/{INT4}"), ("int4:g64, AWQ + clip search", f"awq+clip/nearest/{INT4}"), ("int4:g64, GPTQ", f"none/gptq/{INT4}"),
        ("Q4_K_M, nearest", "none/nearest/mix:q4_k_m"), ("Q4_K_M, importance-weighted", "none/weighted/mix:q4_k_m"),
        ("Q4_K_M, GPTQ", "none/gptq/mix:q4_k_m")],
}
TITLES = {"integers": "Integers", "floats": "Small floats", "gguf": "GGUF", "activations": "Weights and activations", "few": "A few"}
SECTION = "## Measured on models"


def measure(args, group):
    """The program's ranking of a group's recipes; None when it refuses them."""
    words = [args.cli, "methods", args.checkpoint, "--recipes", ",".join(recipe for _, recipe in GROUPS[group]), "--text", *args.text, "--eval-text",
             *args.eval_text, "--samples", str(args.samples), "--length", str(args.length), "--log", args.log, "--json"]
    if args.tokens:
        words += ["--tokens", str(args.tokens)]
    if args.head:
        words += ["--head", args.head]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode == 2:
        print(f"{group}: refused by this program", file=sys.stderr)
        return None
    if done.returncode != 0:
        sys.exit(done.stdout)
    return json.loads(done.stdout)


def figure(value, digits):
    return "–" if value is None else f"{value:.{digits}f}"


def table(group, result):
    found = {row["name"]: row for row in result["methods"]}
    failed = {row["name"]: row["reason"] for row in result["failed"]}
    base = result["methods"][0]["base_perplexity"]
    lines = [f"**{TITLES[group]}**", "", f"| recipe | bits/weight | perplexity ({base:.2f} before) | KL | same top 1 | s |", "|---|---:|---:|---:|---:|---:|"]
    for name, recipe in GROUPS[group]:
        if (row := found.get(recipe)) is None:
            continue
        mark = " ¹" if row["beats_nearest"] is False else ""
        lines.append(f"| {name}{mark} | {row['bits_per_weight']:.2f} | {row['perplexity']:.2f} | {row['kl']:.5f} ± {row['kl_se']:.5f} "
                     f"| {100 * row['same_top1']:.1f} % | {figure(row['rounding_seconds'], 1)} |")
    for name, recipe in GROUPS[group]:
        if recipe in failed:
            lines += ["", f"{name}: not possible here, {failed[recipe]}."]
    return "\n".join(lines) + "\n"


def put(page, title, body):
    """The subsection `title` of the section, written anew; others stay."""
    with open(page, encoding="utf-8") as f:
        text = f.read()
    start = text.index(SECTION)
    after = re.search(r"^## ", text[start + len(SECTION):], re.M)
    end = start + len(SECTION) + after.start() if after else len(text)
    section = text[start:end]
    block = f"### {title}\n\n{body}"
    old = re.search(rf"^### {re.escape(title)}\n.*?(?=^### |\Z)", section, re.M | re.S)
    section = section[:old.start()] + block + "\n" + section[old.end():] if old else section.rstrip() + "\n\n" + block
    with open(page, "w", encoding="utf-8") as f:
        f.write((text[:start] + section.rstrip() + "\n\n" + text[end:]).rstrip() + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("checkpoint")
    parser.add_argument("--title", required=True)
    parser.add_argument("--text", nargs="+", required=True)
    parser.add_argument("--eval-text", nargs="+", required=True)
    parser.add_argument("--groups", default="integers,floats,gguf,activations")
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--head", default="")
    parser.add_argument("--note", default="", help="a sentence above the tables")
    parser.add_argument("--log", default=os.path.join(tempfile.gettempdir(), "bitwright-methods.db"))
    parser.add_argument("--page", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "methods.md"))
    parser.add_argument("--stdout", action="store_true", help="print, and leave the page alone")
    args = parser.parse_args()
    tables = []
    for group in args.groups.split(","):
        if (result := measure(args, group)) is not None:
            tables.append(table(group, result))
    texts = ", ".join(os.path.basename(t) for t in args.text), ", ".join(os.path.basename(t) for t in args.eval_text)
    tokens = f"the first {args.tokens} tokens of {texts[1]}" if args.tokens else texts[1]
    head = f"Calibrated on {args.samples} windows of {args.length} tokens of {texts[0]}; measured on {tokens}."
    body = (args.note + "\n" if args.note else "") + head + "\n\n" + "\n".join(tables)
    if args.stdout:
        print(body)
    else:
        put(args.page, args.title, body)


main()
