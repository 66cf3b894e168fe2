#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the sensitivity map, the prediction of whole mixes and the solver against measured KL divergence.

    quality.py CLI CHECKPOINT --calib FILE… --eval FILE… [--part agreement,mixes,lists,rounders,tenth] [--tokens N] [--work DIR]

Everything goes through the program: figures come from its log and its --json output. Needs nothing but Python; takes
minutes on the demo model and hours on larger ones, so it is no test. Parts:
  agreement  the Fisher sketch on the calibration texts against measured KL on the evaluation texts, site by site
  mixes      20 random mixes of every seed: predicted against measured, no refit to any mix
  lists      mixes solved at the very bytes of llama.cpp's lists, both rounded alike, measured beside them
  rounders   mixes of those bytes rounded to nearest, by importance, and by whichever the solver takes site by site
  tenth      the share of uniform int4's damage that ten percent more bytes win back
"""
import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import time


class Program:
    def __init__(self, args):
        self.args = args
        self.log = os.path.join(args.work, "quality.db")

    def run(self, *words):
        """One call of the program; its JSON and the processor seconds it took."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [str(w) for w in words]
        done = subprocess.run([self.args.cli, *words, "--log", self.log, "--json", "--quiet"], capture_output=True,
                              text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
        return json.loads(done.stdout), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def recipe(self, kind, **parts):
        """Writes a recipe of that kind and returns its path."""
        body = {"version": 1, "kind": kind, "checkpoint": os.path.abspath(self.args.checkpoint),
                "calibration": {"files": self.args.calib, "samples": self.args.samples, "length": 256},
                "rounder": self.args.rounder}
        body.update(parts)
        path = os.path.join(self.args.work, "recipe.json")
        with open(path, "w") as f:
            json.dump(body, f)
        return path

    def sketch(self, formats):
        return self.run("sweep", self.args.checkpoint, "--metric", "fisher", "--probes", self.args.probes, "--formats",
                        ",".join(formats), "--samples", self.args.samples, "--length", 256, "--rounder",
                        self.args.rounder, *texts(self.args.calib))

    def shortened(self):
        """The evaluation texts, of each its share of --tokens (four bytes each): an evaluation's own limit takes the
        first tokens there are, which would be those of the first text alone."""
        if not self.args.tokens:
            return self.args.eval
        files = []
        for file in self.args.eval:
            files.append(os.path.join(self.args.work, os.path.basename(file)))
            with open(file, "rb") as whole, open(files[-1], "wb") as part:
                part.write(whole.read(4 * self.args.tokens // len(self.args.eval)).decode(errors="ignore").encode())
        return files

    def check(self, run):
        """Cells of the sketch measured by KL on the calibration texts (`mix` does the same); a list of runs."""
        if not self.args.check:
            return []
        return [self.run("sweep", "--check", run, *(["--tokens", self.args.check] if self.args.check > 1 else []))[0]["run"]]

    def measure(self, assignment):
        """KL on the evaluation texts of the checkpoint rounded as `assignment` says."""
        recipe = self.recipe("quantize", assignment=assignment,
                             evaluation={"files": self.shortened(), "protocol": "windows:256", "tokens": 0})
        out, _ = self.run("quantize", "--recipe", recipe)
        return out["evaluation"]["kl_mean"], out["evaluation"]["kl_se"]

    def assign(self, run, budget=None, pins=None, measured=()):
        assignment = {"sweep_run": run, "budget": budget or "32bpw", "measured_runs": list(measured)}
        if pins:
            assignment["pins"] = pins
        recipe = self.recipe("assign", assignment=assignment, export={"path": os.path.join(self.args.work, "x.gguf")})
        return self.run("assign", "--recipe", recipe)[0]


def texts(files):
    return [word for f in files for word in ("--text", f)]


def median(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def correlation(xs, ys):
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    dx, dy = [x - mx for x in xs], [y - my for y in ys]
    return sum(a * b for a, b in zip(dx, dy)) / math.sqrt(sum(a * a for a in dx) * sum(b * b for b in dy))


def ranks(values):
    order = sorted(range(len(values)), key=lambda i: values[i])
    out = [0.0] * len(values)
    for rank, i in enumerate(order):
        out[i] = rank
    return out


def agreement(program):
    formats = program.args.bits
    sketch, cost = program.sketch(formats)
    estimate = {(c["site"], c["format"]): c["value"] for c in sketch["cells"]}
    tokens = ["--tokens", program.args.tokens] if program.args.tokens else []
    kl, klCost = program.run("sweep", program.args.checkpoint, "--metric", "kl", "--formats", ",".join(formats),
                             "--samples", 100000, "--length", 256, *tokens, "--rounder", program.args.rounder,
                             *texts(program.args.eval))
    print(f"| format | sites | Spearman | log-correlation | median ratio |\n|---|---|---|---|---|")
    for format in formats:
        pairs = [(estimate[c["site"], format], c["value"]) for c in kl["cells"] if c["format"] == format]
        pairs = [(e, m) for e, m in pairs if e > 0 and m > 0]
        e, m = zip(*pairs)
        print(f"| {format} | {len(e)} | {correlation(ranks(e), ranks(m)):.3f} | "
              f"{correlation([math.log(v) for v in e], [math.log(v) for v in m]):.3f} | "
              f"{median([a / b for a, b in pairs]):.3f} |")
    print(f"cost: sketch {cost:.1f} CPU s on {sketch['tokens']} tokens, measured sweep {klCost:.1f} CPU s on "
          f"{kl['tokens']} tokens")


def mixes(program):
    formats = program.args.bits
    sketch, _ = program.sketch([*formats, *program.args.extremes])
    run = sketch["run"]
    sites = sorted({c["site"] for c in sketch["cells"]})
    checked = program.check(run)
    everything = []
    for seed in program.args.seeds:
        everything += randomMixes(program, run, checked, sites, formats, seed)
    if len(program.args.seeds) > 1:
        summary("all seeds", everything)


def randomMixes(program, run, checked, sites, formats, seed):
    chooser = random.Random(seed)
    print("| mix | predicted | measured | ratio |\n|---|---|---|---|")
    pairs, tries = [], 0
    while len(pairs) < program.args.mixes and tries < 200:
        tries += 1
        # From nearly nothing to nearly everything touched, so that damage covers its range evenly on a log scale.
        weights = [chooser.random() ** 2 for _ in range(4)]
        names = [program.args.extremes[0], *formats, program.args.extremes[1]][: len(weights)]
        mix = {s: chooser.choices(names, weights)[0] for s in sites}
        predicted = program.assign(run, pins=mix, measured=checked)["predicted_kl"]
        if not 0.008 < predicted < 1.3:
            continue
        kl, se = program.measure({"format": program.args.extremes[1],
                                  "rules": [{"pattern": s, "format": f} for s, f in mix.items()]})
        if not 0.01 <= kl <= 1:
            continue
        pairs.append((predicted, kl))
        print(f"| {len(pairs)} | {predicted:.4f} | {kl:.4f} ± {se:.4f} | {predicted / kl:.3f} |", flush=True)
    summary(f"seed {seed}", pairs)
    return pairs


def summary(name, pairs):
    logs = [[math.log(v) for v in column] for column in zip(*pairs)]
    print(f"{name}: log-correlation {correlation(*logs):.4f}, median ratio {median([p / k for p, k in pairs]):.3f}, "
          f"median |ratio - 1| {median([abs(p / k - 1) for p, k in pairs]):.3f}", flush=True)


def lists(program):
    run = program.sketch(program.args.formats)[0]["run"]
    checked = program.check(run)
    print("| list | bytes | KL of the list | KL of the mix | less | predicted |\n|---|---|---|---|---|---|")
    for name in program.args.lists:
        target = os.path.join(program.args.work, "y.gguf")
        plan, _ = program.run("quantize", program.args.checkpoint, "--preset", name, "--out", target, "--dry-run")
        listed, listedSe = program.measure({"format": "mix:" + name})
        solved = program.assign(run, budget=f"{plan['bytes']}B", measured=checked)
        kl, se = program.measure(solved["recipe"]["assignment"])
        print(f"| {name} | {plan['bytes']} | {listed:.4f} ± {listedSe:.4f} | {kl:.4f} ± {se:.4f} | "
              f"{100 * (1 - kl / listed):.1f} % | {solved['predicted_kl']:.4f} |", flush=True)


def rounders(program):
    formats = program.args.formats
    maps = {}
    for name, choices in {"nearest": [f + "@nearest" for f in formats], "weighted": [f + "@weighted" for f in formats],
                          "either": [f + "@" + r for f in formats for r in program.args.rounders]}.items():
        run = program.sketch(choices)[0]["run"]
        maps[name] = run, program.check(run)
    print(f"| bytes of | {' | '.join(maps)} | sites by rounder |\n|{'---|' * (len(maps) + 2)}")
    for name in program.args.lists:
        target = os.path.join(program.args.work, "y.gguf")
        bytes = program.run("quantize", program.args.checkpoint, "--preset", name, "--out", target, "--dry-run")[0]["bytes"]
        measured = []
        for run, checked in maps.values():
            solved = program.assign(run, budget=f"{bytes}B", measured=checked)
            measured.append("%.5f ± %.5f" % program.measure(solved["recipe"]["assignment"]))
        taken = [rule["format"].split("@")[1] for rule in solved["recipe"]["assignment"]["rules"]]
        print(f"| {name} | {' | '.join(measured)} | {', '.join(f'{taken.count(r)} {r}' for r in program.args.rounders)} |",
              flush=True)


def tenth(program):
    formats = ["int3:g64", "int4:g64", "int5:g64", "int6:g64", "int8:g64"]
    run = program.sketch(formats)[0]["run"]
    uniform, _ = program.measure({"format": "int4:g64"})
    solved = program.assign(run, pins={"*": "int4:g64"})
    more = program.assign(run, budget=f"{int(solved['bytes'] * 1.1)}B")
    same = program.assign(run, budget=f"{solved['bytes']}B")
    kl, _ = program.measure(more["recipe"]["assignment"])
    equal, _ = program.measure(same["recipe"]["assignment"])
    print(f"uniform int4:g64 {uniform:.4f}; mix of the same bytes {equal:.4f} ({100 * (1 - equal / uniform):.0f} % won "
          f"back); ten percent more {kl:.4f} ({100 * (1 - kl / uniform):.0f} % won back)")


PARTS = {"agreement": agreement, "mixes": mixes, "lists": lists, "rounders": rounders, "tenth": tenth}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("checkpoint")
    parser.add_argument("--calib", nargs="+", required=True)
    parser.add_argument("--eval", nargs="+", required=True)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--probes", type=int, default=1024)
    parser.add_argument("--samples", type=int, default=64, help="windows of 256 calibration tokens")
    parser.add_argument("--tokens", type=int, default=0, help="evaluation tokens at most")
    parser.add_argument("--bits", nargs="+", default=["int4:g64", "int3:g64"])
    parser.add_argument("--extremes", nargs=2, default=["int2:g64", "int8:g64"], help="that random mixes take besides")
    parser.add_argument("--lists", nargs="+",
                        default=["q2_k", "q3_k_s", "q3_k_m", "iq4_xs", "q4_k_s", "q4_k_m", "q5_k_m"])
    parser.add_argument("--formats", nargs="+", help="that mixes against lists are made of",
                        default=["q2_k", "q3_k", "iq4_xs", "q4_k", "q5_k", "q6_k", "q8_0"])
    parser.add_argument("--rounders", nargs="+", default=["nearest", "weighted"], help="that sites may choose from")
    parser.add_argument("--mixes", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7], help="of the random mixes")
    parser.add_argument("--check", type=int, default=1, help="0: the bare sketch; more than 1: tokens of each checked cell")
    parser.add_argument("--rounder", default="nearest")
    parser.add_argument("--work", default="quality")
    args = parser.parse_args()
    args.calib = [os.path.abspath(f) for f in args.calib]
    args.eval = [os.path.abspath(f) for f in args.eval]
    args.work = os.path.abspath(args.work)
    os.makedirs(args.work, exist_ok=True)
    for part in args.part.split(","):
        begun = time.time()
        print(f"\n### {part}", flush=True)
        PARTS[part](Program(args))
        print(f"({time.time() - begun:.0f} s)")


if __name__ == "__main__":
    main()
