#!/usr/bin/env python3
"""tools/compare/bench_engine.py with a pretended llama-bench: pairs alternate, ratios and verdicts are what the figures say.

And neighbours.py against a real server with a toy's model: what it says follows from what it measured."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import harness

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools/compare/bench_engine.py"
# Says that it was called, and a speed that no CPU has or one that any has.
PEER = """import json, sys
arguments = sys.argv[3:]
prompts = [int(n) for n in arguments[arguments.index("-p") + 1].split(",")]
generated = int(arguments[arguments.index("-n") + 1])
open(sys.argv[1], "a").write("peer\\n")
speed = float(sys.argv[2])
tests = [(n, 0) for n in prompts] + ([(0, generated)] if generated else [])
print("a line that is no JSON")
print(json.dumps([{"n_prompt": p, "n_gen": n, "samples_ts": [speed, speed * 3, speed]} for p, n in tests]))
"""


class CompareTest(unittest.TestCase):
    def compare(self, speed, others=2.0):
        with tempfile.TemporaryDirectory() as folder:
            # Contexts of 4096 tokens and more.
            model = harness.make_model(folder, "tiny-qwen3")
            peer = pathlib.Path(folder) / "peer.py"
            peer.write_text(PEER, encoding="utf-8")
            calls, raw = pathlib.Path(folder) / "calls", pathlib.Path(folder) / "raw"
            ours = pathlib.Path(folder) / "ours.sh"
            ours.write_text(f'#!/bin/sh\necho ours >>"{calls}"\nexec "{harness.binary()}" "$@"\n', encoding="utf-8")
            ours.chmod(0o755)
            environment = {k: v for k, v in os.environ.items() if not k.startswith("TENFOLD_PEER")}
            done = subprocess.run([sys.executable, SCRIPT, "--tenfold", ours, "--model", model, "--pairs", "2",
                                   "--max-others", str(others), "--raw", raw, "--peer-bench", f"{sys.executable} {peer} {calls} {speed}"],
                                  capture_output=True, text=True, timeout=250, check=False, env=environment)
            self.assertIn("measure", done.stdout, done.stderr)
            return done, [json.loads(line) for line in raw.read_text().splitlines()], calls.read_text().split()

    def test_ratios_and_verdicts(self):
        done, pairs, calls = self.compare(1e-3)
        # Two groups of measures in each of two pairs, and forced AVX2 alone at the end of a pair where there is AVX2.
        alone = ["ours"] if "avx2" in harness.cpu_isas() else []
        self.assertEqual(calls, ["ours", "peer"] * 2 + alone + ["peer", "ours"] * 2 + alone)
        self.assertEqual(len(pairs), 2)
        for pair in pairs:
            mine, peer = pair["ours_peer"]["prefill 512"]
            self.assertEqual(peer, 1e-3)  # the median of its samples
            self.assertAlmostEqual(pair["figures"]["prefill 512 / pp512"], mine / peer)
        self.assertRegex(done.stdout, r"prompt 10 / pp10 .*aim reached")
        self.assertRegex(done.stdout, r"ready after start / llama-server .*not measured")

    def test_a_missed_bar_is_said_so(self):
        done, _, _ = self.compare(1e12)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"prompt 10 / pp10 .*BAR MISSED")

    def test_disturbed_pairs_are_tried_again_and_never_counted(self):
        done, pairs, _ = self.compare(1e-3, others=-2.0)  # nobody can have less than nothing
        self.assertEqual(done.returncode, 1)
        self.assertEqual([pair["counted"] for pair in pairs], [False] * 6)
        self.assertIn("NOT COUNTED", done.stdout)
        self.assertIn("0 pairs counted of 6", done.stdout)
        self.assertRegex(done.stdout, r"prompt 10 / pp10 .*not measured")

    def test_neighbours_judges_by_the_median_of_its_rounds(self):
        with tempfile.TemporaryDirectory() as folder:
            model = harness.make_model(folder, "tiny-qwen3")
            serve = f"tenfold={harness.binary()} serve -m {model} -c 4096 --port {{port}}"
            done = subprocess.run([sys.executable, SCRIPT.with_name("neighbours.py"), "turn", "--model", model, "--rounds", "3",
                                   "--server", serve], capture_output=True, text=True, timeout=250, check=False)
        rounds = [float(ratio) for ratio in re.findall(r"= ([0-9.]+) times; [0-9]+ of A's still there", done.stdout)]
        self.assertEqual(len(rounds), 3, done.stdout + done.stderr)
        said = re.search(r"B beside forty against beside one: ([0-9.]+), bar 3: (met|MISSED)", done.stdout)
        self.assertEqual(float(said[1]), sorted(rounds)[1])
        self.assertEqual(done.returncode, 0 if said[2] == "met" else 1)
        self.assertEqual(said[2], "met" if sorted(rounds)[1] <= 3 else "MISSED")


if __name__ == "__main__":
    harness.main()
