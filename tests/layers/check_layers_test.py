#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants forbidden includes in a small tree and sees tools/check_layers.py find each one."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHECKER = ROOT / "tools" / "check_layers.py"


def run(root):
    done = subprocess.run([sys.executable, str(CHECKER), str(root)], capture_output=True,
                          text=True, check=False)
    return done.returncode, done.stdout


class CheckLayers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        shutil.copy(ROOT / "CMakeLists.txt", self.root)
        self.write("lib/core/error.h", "#include <string>\n")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def check(self, name, text, expected):
        self.write(name, text)
        code, out = run(self.root)
        if expected is None:
            self.assertEqual((code, out), (0, ""))
        else:
            self.assertEqual(code, 1)
            self.assertIn(expected, out)
        (self.root / name).unlink()

    def test_the_repository_itself(self):
        self.assertEqual(run(ROOT), (0, ""))

    def test_allowed(self):
        for name, text in [
            ("lib/graph/a.cpp", '#include "lib/core/error.h"\n#include "lib/graph/b.h"\n'),
            ("lib/fixedpoint/a.cpp", '#include "runtime/include/qrt/arith.h"\n'),
            ("lib/export/a.cpp", '#include "qrt/arith.h"\n#include <nlohmann/json.hpp>\n'),
            ("lib/aten/a.cpp", "#include <torch/script.h>\n#include <ATen/ATen.h>\n"),
            ("lib/export/b.cpp", 'auto t = R"(\n#include "model.h"\n)";\n'),
            ("lib/graph/c.h", '/*\n#include "lib/ptq/ptq.h"\n*/\n'),
            ("apps/qopt/main.cpp", '#include "lib/pipeline/compress.h"\n#include "apps/q.h"\n'),
            ("runtime/src/a.c", "#include <stdint.h>\n"),
            ("runtime/threads/a.c", "#include <pthread.h>\n"),
        ]:
            with self.subTest(name):
                self.check(name, text, None)

    def test_forbidden(self):
        for name, text, expected in [
            ("lib/graph/a.cpp", '\n#include "lib/exec/executor.h"\n',
             "lib/graph/a.cpp:2: lib/exec/executor.h: graph may not include exec"),
            ("lib/core/a.h", '#  include "lib/graph/graph.h"\n', "core may not include graph"),
            ("lib/export/a.cpp", '#include "lib/aten/bridge.h"\n',
             "export may not include aten"),
            ("lib/export/a.cpp", "#include <torch/script.h>\n", "LibTorch outside its wall"),
            ("lib/graph/a.h", "#include <ATen/ATen.h>\n", "LibTorch outside its wall"),
            ("lib/graph/a.h", "#include <c10/util/Half.h>\n", "LibTorch outside its wall"),
            ("lib/ptq/a.cpp", '#include "lib/frontend/import.h"\n',
             "ptq may not include frontend"),
            ("lib/graph/a.cpp", '#include "qrt/arith.h"\n', "may not include the runtime"),
            ("lib/graph/a.cpp", '#include "graph.h"\n', "from the repository root"),
            ("lib/graph/a.cpp", '#include "../core/error.h"\n', "from the repository root"),
            ("lib/graph/a.cpp", '#include "tests/support/catch.h"\n',
             "from the repository root"),
            ("lib/newroom/a.cpp", "int x;\n#include <string>\n", "missing from the table"),
            ("runtime/src/a.c", '#include "lib/core/error.h"\n', "includes only itself"),
            ("runtime/src/a.c", "#include <stdio.h>\n", "the runtime stands alone"),
            ("runtime/src/a.c", "#include <pthread.h>\n", "the runtime stands alone"),
            ("apps/qopt/a.cpp", '#include "lib/aten/bridge.h"\n', "the program may include"),
            ("apps/qopt/a.cpp", "#include <torch/script.h>\n", "LibTorch outside its wall"),
        ]:
            with self.subTest(expected):
                self.check(name, text, expected)

    def test_the_table_follows_cmake(self):
        cmake = self.root / "CMakeLists.txt"
        text = cmake.read_text(encoding="utf-8")
        cmake.write_text(text + "\nqopt_room(attic ROOMS core)\n", encoding="utf-8")
        self.assertIn("room 'attic' stands only in CMakeLists.txt", run(self.root)[1])
        cmake.write_text(text.replace("qopt_room(graph      ROOMS core)",
                                      "qopt_room(graph TORCH)"), encoding="utf-8")
        out = run(self.root)[1]
        self.assertIn("graph may include core but does not link it", out)
        self.assertIn("graph is marked TORCH but stands outside the wall", out)


if __name__ == "__main__":
    unittest.main()
