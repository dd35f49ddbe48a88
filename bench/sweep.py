#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one configuration over a grid of settings and prints a Markdown table.

  sweep.py CONFIG -o DIR --grid KEY=V1,V2 [--grid ...] [--set KEY=VALUE ...] [--qopt PROGRAM]

Every cell is one `qopt compress` into DIR/<values>; a cell whose report is there already is
not run again, so an interrupted sweep goes on. The last lines give mean and deviation over a
grid key called run.seed, of the analog readings too where the configuration asks for them.
"""
import argparse
import itertools
import json
import pathlib
import statistics
import subprocess
import sys


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("-o", "--out", required=True, type=pathlib.Path)
    parser.add_argument("--grid", action="append", default=[], metavar="KEY=V1,V2")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--qopt", default="build/release/bin/qopt")
    return parser.parse_args()


def run(args, folder, settings):
    if not (folder / "report.json").exists():
        command = [args.qopt, "compress", args.config, "-o", str(folder)]
        for setting in settings:
            command += ["--set", setting]
        # 6: the accuracy gate failed, the result is written all the same; 5: training
        # diverged, which is a result too.
        code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if code == 5:
            return None, None
        if code not in (0, 6):
            sys.exit(f"{' '.join(command)}: exit code {code}")
    report = json.loads((folder / "report.json").read_text())
    timing = json.loads((folder / "timing.json").read_text())
    return report, timing


def percent(metrics, kind):
    return metrics.get(kind, {}).get("top1")


def shown(value):
    return "" if value is None else f"{value:.2f}"


def main():
    args = arguments()
    keys = [g.split("=", 1)[0] for g in args.grid]
    values = [g.split("=", 1)[1].split(",") for g in args.grid]
    print("| " + " | ".join(keys + ["float %", "fake-quant %", "integer %", "best selection",
                                    "analog %", "train s"]) + " |")
    print("|" + "---|" * (len(keys) + 6))
    groups = {}
    for cell in itertools.product(*values):
        folder = args.out / "_".join(v.replace("/", "-") for v in cell)
        report, timing = run(args, folder, args.set + [f"{k}={v}" for k, v in
                                                       zip(keys, cell)])
        if report is None:
            print("| " + " | ".join(list(cell) + ["diverged", "", "", "", "", ""]) + " |")
            continue
        metrics = report["metrics"]
        training = report.get("training") or {}
        scores = [v["score"] for v in training.get("visits", []) if v["best"]]
        seconds = [s["seconds"] for s in timing["steps"] if s["name"] == "train"]
        integer = percent(metrics, "integer")
        rest = tuple(v for k, v in zip(keys, cell) if k != "run.seed")
        reading = (report.get("analog") or {}).get("mean")
        groups.setdefault(rest, []).append((integer, reading))
        print("| " + " | ".join(
            list(cell) + [shown(percent(metrics, "float")), shown(percent(metrics, "fake_quant")),
                          shown(integer), shown(scores[-1] if scores else None),
                          shown(reading), f"{seconds[0]:.0f}" if seconds else ""]) + " |",
              flush=True)
    if "run.seed" in keys:
        print()
        for rest, results in groups.items():
            line = f"{' '.join(rest) or 'all'}:"
            for name, values in zip(["integer", "analog"], zip(*results)):
                if None in values:
                    continue
                deviation = statistics.stdev(values) if len(values) > 1 else 0.0
                line += f" {name} {statistics.mean(values):.2f} +- {deviation:.2f} %"
            print(f"{line} over {len(results)} seeds")


if __name__ == "__main__":
    main()
