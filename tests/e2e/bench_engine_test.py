#!/usr/bin/env python3
"""`tenfold bench engine` and `bench roofline` as programs: JSON lines, refusals, and Ctrl-C that keeps what was measured.
What they measure is tested in src/bench/."""
import json
import pathlib
import signal
import subprocess
import tempfile
import unittest

import harness


def bench(*arguments):
    return subprocess.run([harness.binary(), "bench", *arguments], capture_output=True, text=True, timeout=100, check=False)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class BenchEngineTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.json = pathlib.Path(folder.name) / "out.jsonl"

    def test_figures_stand_beside_the_roofline_of_their_run(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        done = bench("engine", "-m", model, "--prefill", "16,32", "--decode", "1,10", "--context", "0,64", "--rounds", "2",
                     "--profile", "--json", str(self.json))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = lines(self.json)
        self.assertEqual(rows[0]["kind"], "manifest")
        self.assertEqual(sum(row["kind"] == "sample" for row in rows), 2 * (2 + 2 * 2))
        cases = {row["case"]: row for row in rows if row["kind"] == "case"}
        self.assertEqual(set(cases), {"prefill 16", "prefill 32", "decode 1 at 0", "decode 10 at 0", "decode 1 at 64",
                                      "decode 10 at 64"})
        for name, row in cases.items():
            self.assertGreater(row["of_roof"], 0, name)
            self.assertLessEqual(row["min_s"], row["median_s"])
            self.assertIn(name, done.stdout)
        self.assertTrue(any(row["kind"] == "roofline" for row in rows))
        self.assertTrue(any(row["kind"] == "phase" and row["phase"] == "gate/up" for row in rows))

    def test_an_interrupt_keeps_what_was_measured(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        with subprocess.Popen([harness.binary(), "bench", "engine", "-m", model, "--prefill", "16", "--decode", "1",
                               "--rounds", "100000", "--json", str(self.json)], stdout=subprocess.PIPE, text=True) as process:
            harness.wait_until(lambda: self.json.exists() and "sample" in self.json.read_text(encoding="utf-8"), 60, "a sample")
            process.send_signal(signal.SIGINT)
            out = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 0, out)
        self.assertIn("(interrupted)", out)
        rows = lines(self.json)
        self.assertTrue(next(row for row in rows if row["kind"] == "engine")["interrupted"])
        self.assertGreater(next(row for row in rows if row["kind"] == "case")["median_s"], 0)

    def test_what_cannot_be_measured_is_refused_by_name(self):
        done = bench("engine", "-m", "no-such-file.gguf")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no-such-file.gguf", done.stderr)
        done = bench("engine", "-m", "x.gguf", "--isa", "mmx")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--isa", done.stderr)

    def test_roofline(self):
        done = bench("roofline", "--seconds", "0", "--json", str(self.json))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        roofline = lines(self.json)[1]
        self.assertGreater(roofline["read_gb_s"], 0)
        self.assertGreater(roofline["clock_ghz"], 0.1)
        for peak in roofline["peaks"]:
            self.assertIn(peak["loop"], done.stdout)


if __name__ == "__main__":
    harness.main()
