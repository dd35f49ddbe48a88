# SPDX-License-Identifier: MIT
"""Calls a program that counts what Arm programs execute, and reads what it prints.

The counter is called as `COUNTER --cpu CORE --per-iter -- PROGRAM ARGS`, runs PROGRAM under an
emulator with a number of iterations as its last argument, and prints `insns N` and `cycles N` for
one iteration. Cycles are modelled; neither figure is a time."""
import re
import subprocess


class CountError(Exception):
    """A program could not be counted; the text says which and why."""


def per_iteration(counter, core, command):
    """Instructions and modelled cycles of one iteration of `command`, a list of words."""
    what = " ".join(command)
    try:
        done = subprocess.run([counter, "--cpu", core, "--per-iter", "--", *command],
                              capture_output=True, text=True)
    except OSError as error:
        raise CountError(f"{counter}: {error.strerror}") from error
    if done.returncode:
        raise CountError(f"{what}: {done.stderr.strip()[-400:]}")
    found = []
    for name in ("insns", "cycles"):
        match = re.search(rf"\b{name}\D*?([\d,]+)", done.stdout)
        if not match:
            raise CountError(f"{what}: no {name} in: {done.stdout.strip()[-400:]}")
        found.append(int(match.group(1).replace(",", "")))
    if min(found) <= 0:
        raise CountError(f"{what}: counted nothing: {done.stdout.strip()[-400:]}")
    return tuple(found)
