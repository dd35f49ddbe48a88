#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuses includes that run against the direction of the rooms.

Run from anywhere: check_layers.py [REPOSITORY]. Prints file:line for every forbidden include
and exits 1 when there is one. The table below must agree with the qopt_room rows of
CMakeLists.txt; a difference is reported too.
"""
import pathlib
import re
import sys

# Room -> rooms whose headers it may include, besides its own.
ROOMS = {
    "core": [],
    "config": ["core"],
    "graph": ["core"],
    "exec": ["core", "graph"],
    "data": ["core"],
    "calib": ["core", "graph"],
    "eval": ["core"],
    "theory": ["core"],
    "fixedpoint": ["core", "graph", "exec"],
    "export": ["core", "graph", "exec", "fixedpoint"],
    "report": ["core", "graph", "exec", "calib", "eval"],
    "aten": ["core", "graph", "exec", "theory"],
    "frontend": ["core", "graph", "exec", "aten"],
    "ptq": ["core", "graph", "exec", "calib", "data", "aten"],
    "qat": ["core", "graph", "exec", "calib", "data", "aten", "ptq"],
    "pipeline": ["core", "config", "graph", "exec", "data", "calib", "eval", "fixedpoint",
                 "export", "report", "aten", "frontend", "ptq", "qat"],
}
# The LibTorch wall: only these may include its headers.
TORCH_ROOMS = {"aten", "frontend", "ptq", "qat", "vq", "pipeline"}
TORCH_HEADER = re.compile(r"(torch|ATen|c10|caffe2)/")
# Rooms that share the integer arithmetic and the kernel sources with the device.
RUNTIME_ROOMS = {"fixedpoint", "export"}
# What the program may include: the story, its settings, what it prints.
APP_ROOMS = sorted(set(ROOMS) - {"aten", "ptq"})

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
SOURCES = {".h", ".hpp", ".inc", ".c", ".cc", ".cpp"}


def without_text(source):
    """The source with raw strings and block comments blanked, line numbers kept."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'R"([^()\\ \n]*)\(.*?\)\1"|/\*.*?\*/', blank, source, flags=re.DOTALL)


def includes(path):
    source = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(without_text(source).split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def room_of(header):
    match = re.match(r"lib/([^/]+)/", header)
    return match.group(1) if match else None


def is_runtime(header):
    return header.startswith(("qrt/", "runtime/include/qrt/"))


def fault_in_lib(room, quoted, header):
    if room not in ROOMS:
        return f"room '{room}' is missing from the table of tools/check_layers.py"
    if TORCH_HEADER.match(header):
        return None if room in TORCH_ROOMS else "LibTorch outside its wall"
    if is_runtime(header):
        return None if room in RUNTIME_ROOMS else f"{room} may not include the runtime"
    if not quoted:
        return None
    other = room_of(header)
    if other is None:
        return "quoted includes are written from the repository root: lib/ROOM/FILE.h"
    if other != room and other not in ROOMS[room]:
        return f"{room} may not include {other}"
    return None


def fault_in_runtime(path, quoted, header):
    hosted = "bench" in path.parts  # timing programs run on a host with libc
    if not quoted and not hosted:
        system = {"stdint.h", "stddef.h", "string.h", "immintrin.h", "arm_neon.h", "arm_acle.h"}
        if "threads" in path.parts:  # optional hooks on an operating system
            system |= {"pthread.h", "errno.h"}
        return None if header in system else f"the runtime stands alone: <{header}>"
    if not quoted or header.startswith("qrt/") or (path.parent / header).is_file():
        return None
    return "the runtime includes only itself"


def fault_in_apps(quoted, header):
    if TORCH_HEADER.match(header):
        return "LibTorch outside its wall"
    if not quoted:
        return None
    if header.startswith("apps/") or room_of(header) in APP_ROOMS:
        return None
    return "the program may include apps/ and " + ", ".join(APP_ROOMS)


def check_file(root, path):
    parts = path.relative_to(root).parts
    for number, quoted, header in includes(path):
        if parts[0] == "lib" and len(parts) > 2:
            fault = fault_in_lib(parts[1], quoted, header)
        elif parts[0] == "runtime":
            fault = fault_in_runtime(path, quoted, header)
        else:
            fault = fault_in_apps(quoted, header)
        if fault:
            yield f"{path.relative_to(root)}:{number}: {header}: {fault}"


def closure(rows, room, seen=None):
    seen = set() if seen is None else seen
    for other in rows.get(room, []):
        if other not in seen:
            seen.add(other)
            closure(rows, other, seen)
    return seen


def check_table(root):
    """The table above against what CMake links."""
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    rows, torch = {}, set()
    for match in re.finditer(r"^\s*qopt_room\(\s*(\w+)([^)]*)\)", text, re.MULTILINE):
        words = match.group(2).split()
        rooms = re.search(r"ROOMS\s+((?:[a-z_]\w*\s*)*)", match.group(2))
        rows[match.group(1)] = rooms.group(1).split() if rooms else []
        if "TORCH" in words:
            torch.add(match.group(1))
    for room in sorted(set(rows) | set(ROOMS)):
        if room not in rows or room not in ROOMS:
            where = "CMakeLists.txt" if room in rows else "tools/check_layers.py"
            yield f"CMakeLists.txt:1: room '{room}' stands only in {where}"
        elif not set(ROOMS[room]) <= closure(rows, room):
            extra = ", ".join(sorted(set(ROOMS[room]) - closure(rows, room)))
            yield f"CMakeLists.txt:1: {room} may include {extra} but does not link it"
    for room in sorted(torch - TORCH_ROOMS):
        yield f"CMakeLists.txt:1: {room} is marked TORCH but stands outside the wall"


def main():
    script = pathlib.Path(__file__).resolve()
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else script.parent.parent
    faults, checked = list(check_table(root)), 0
    for top in ("lib", "runtime", "apps"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCES and path.is_file():
                checked += 1
                faults.extend(check_file(root, path))
    for fault in faults:
        print(fault)
    print(f"{checked} files, {len(faults)} forbidden includes", file=sys.stderr)
    return 1 if faults or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
