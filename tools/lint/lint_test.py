#!/usr/bin/env python3
"""Plants one fault at a time in a small tree and expects the lint to name it: a lint that cannot fail is no lint."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CI = HERE.parent / "ci"
TIDY_HEADER = "// What this file is for.\n#pragma once\n"


def run(*command, **environment):
    env = {**os.environ, **environment}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env, check=False)
    return done.returncode, done.stdout + done.stderr


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="tenfold-lint-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("CMakeLists.txt", "tenfold_room(base)\ntenfold_room(sched DEPS base kv LIBS x)\n")
        self.write("src/base/clock.h", TIDY_HEADER)
        self.write("src/sched/plan.h", TIDY_HEADER + '#include "base/clock.h"\n#include "kv/pool.h"\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def expect_fault(self, lint, fault):
        code, output = run(sys.executable, HERE / lint, "--root", self.root)
        self.assertEqual(code, 1, output)
        self.assertIn(fault, output)

    def expect_clean(self, lint):
        code, output = run(sys.executable, HERE / lint, "--root", self.root)
        self.assertEqual(code, 0, output)


class IncludesTest(Tree):
    def test_clean_tree(self):
        self.expect_clean("check_includes.py")

    def test_wall(self):
        self.write("src/sched/bad.h", TIDY_HEADER + '#include "model/model.h"\n')
        self.expect_fault("check_includes.py", "src/sched/bad.h:3: sched may not include model")

    def test_base_uses_nothing(self):
        self.write("src/base/bad.h", TIDY_HEADER + '#include "kv/pool.h"\n')
        self.expect_fault("check_includes.py", "base may not include kv")

    def test_sockets_in_api(self):
        self.write("src/api/bad.h", TIDY_HEADER + "#include <boost/asio.hpp>\n")
        self.expect_fault("check_includes.py", "api may not include <boost/asio.hpp>")

    def test_platform_outside_dispatch(self):
        self.write("src/kernels/isa.cc", '// Choice.\n#include "platform/cpu.h"\n')
        self.expect_clean("check_includes.py")
        self.write("src/kernels/gemm.cc", '// Product.\n#include "platform/cpu.h"\n')
        self.expect_fault("check_includes.py", "src/kernels/gemm.cc:2: kernels may not include platform")

    def test_relative_include(self):
        self.write("src/sched/bad.h", TIDY_HEADER + '#include "plan.h"\n')
        self.expect_fault("check_includes.py", "is not a path from src/")

    def test_unknown_room(self):
        self.write("src/garden/rose.h", TIDY_HEADER)
        self.expect_fault("check_includes.py", "room garden is not in")

    def test_cmake_dependency(self):
        self.write("CMakeLists.txt", "tenfold_room(gate DEPS base stats engine)\n")
        self.expect_fault("check_includes.py", "gate may not link engine")


class HouseTest(Tree):
    def test_clean_tree(self):
        self.expect_clean("check_house.py")

    def test_faults(self):
        faults = {
            "a promise left in the file": TIDY_HEADER + "// TO" + "DO: later\n",
            "names a path of one machine": TIDY_HEADER + 'const char* kPath = "/ho' + 'me/me/model.gguf";\n',
            "a merge conflict": TIDY_HEADER + "<" * 7 + " HEAD\n",
            "they do not throw": TIDY_HEADER + "inline void F() { throw 1; }\n",
            "neither print nor exit": TIDY_HEADER + 'inline void F() { std::printf("x"); }\n',
            "501 lines": TIDY_HEADER + "\n" * 499,
            "must open with a comment": "#pragma once\n",
        }
        for fault, text in faults.items():
            with self.subTest(fault):
                self.write("src/sched/bad.h", text)
                self.expect_fault("check_house.py", fault)

    def test_strings_and_comments_are_not_code(self):
        self.write("src/sched/fine.h", TIDY_HEADER + "// We throw nothing.\n" + 'const char* kText = "exit(1)";\n')
        self.expect_clean("check_house.py")

    def test_empty_name(self):
        self.write("src/sched/string_utils.h", TIDY_HEADER)
        self.expect_fault("check_house.py", "a name that says nothing")

    def test_list_of_long_files_is_current(self):
        self.write("tools/lint/long_files.txt", "src/sched/gone.h because\n")
        self.expect_fault("check_house.py", "src/sched/gone.h is gone")


class FormatTest(Tree):
    def test_format(self):
        shutil.copy(HERE.parents[1] / ".clang-format", self.root)
        self.assertEqual(run(HERE / "check_format.sh", self.root)[0], 0)
        self.write("src/sched/bad.h", TIDY_HEADER + "int  x;\n")
        code, output = run(HERE / "check_format.sh", self.root)
        self.assertNotEqual(code, 0)
        self.assertIn("src/sched/bad.h:3", output)


class WeakSymbolsTest(Tree):
    def compile(self, name, text):
        self.write("source.cc", text)
        target = self.root / "build/kernels/avx2" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["c++", "-O0", "-c", str(self.root / "source.cc"), "-o", str(target)], check=True)

    def test_weak_symbols(self):
        self.assertEqual(run(HERE / "check_weak_symbols.sh", self.root)[0], 1, "no object at all must fail")
        self.compile("strong.o", "int Strong() { return 1; }\n")
        self.assertEqual(run(HERE / "check_weak_symbols.sh", self.root)[0], 0)
        self.compile("weak.o", "inline int Weak() { return 1; }\nint Strong2() { return Weak(); }\n")
        code, output = run(HERE / "check_weak_symbols.sh", self.root)
        self.assertEqual(code, 1)
        self.assertIn("Weak()", output)


class ContainerTest(Tree):
    def test_a_library_that_the_image_lacks(self):
        self.write("main.cc", "int main() {}\n")
        program = self.root / "program"
        subprocess.run(["g++", "-Wl,--no-as-needed", self.root / "main.cc", "-lcrypto", "-o", program], check=True)
        first = "FROM debian AS build\nRUN apt-get install -y libssl3\nFROM debian\nRUN apt-get install -y curl "
        self.write("Dockerfile", first + "libssl3\n")
        command = (sys.executable, HERE / "check_container.py", program, "--dockerfile", self.root / "Dockerfile")
        self.assertEqual(run(*command)[0], 0)
        self.write("Dockerfile", first + "libfmt9\n")
        code, output = run(*command)
        self.assertEqual(code, 1)
        self.assertIn("does not install libssl3, which has libcrypto.so.3", output)


class SkipsTest(Tree):
    def check(self, **environment):
        return run(sys.executable, CI / "check_skips.py", self.root / "results", "--allowed", self.root / "allowed.txt",
                   **environment)

    def setUp(self):
        super().setUp()
        self.write("allowed.txt", "# comment\nIsa\\.Wide: this CPU has no AVX2\n")
        self.write("results/a.xml", '<testsuites><testsuite><testcase name="Wide" classname="Isa"><skipped message="'
                   'src/x_test.cc:5&#x0A;this CPU has no AVX2"/></testcase></testsuite></testsuites>')

    def test_allowed_skip(self):
        code, output = self.check(CI="true")
        self.assertEqual(code, 0, output)
        self.assertIn("skipped: Isa.Wide: this CPU has no AVX2", output)

    def test_other_skip(self):
        self.write("results/b.skips", "Golden.Story\tTENFOLD_TEST_DATA is not set\n")
        self.assertEqual(self.check(CI="")[0], 0)
        code, output = self.check(CI="true")
        self.assertEqual(code, 1)
        self.assertIn("not on allowed.txt: Golden.Story: TENFOLD_TEST_DATA is not set", output)

    def test_no_reports(self):
        shutil.rmtree(self.root / "results")
        (self.root / "results").mkdir()
        self.assertEqual(self.check(CI="true")[0], 1)


if __name__ == "__main__":
    unittest.main()
