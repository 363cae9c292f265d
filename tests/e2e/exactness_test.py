#!/usr/bin/env python3
"""Every instruction set this CPU has, every weight format, prompts of 1 to 300 tokens: as exact as exactness.py says."""
import shutil
import tempfile
import unittest

import exactness
import harness

SEEDS = (1, 2)
# Far below their bars, so one model tells as much as two, in half the time.
ONE_SEED = ("f32", "f16", "bf16")


class ExactnessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        harness.tool("ref_forward.py")
        cls.folder = tempfile.mkdtemp(prefix="tenfold-exactness-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.references = {}

    def reference(self, preset, types, seed):
        """(path, reference, prompts), made once for all servers that are compared with it."""
        key = (preset, types, seed)
        if key not in self.references:
            path = harness.make_model(self.folder, preset, "--types", types, "--seed", str(seed))
            reference = exactness.Reference(path)
            self.references[key] = (path, reference, exactness.random_prompts(seed, reference.ordinary_tokens))
        return self.references[key]

    def check(self, isa, arguments, allowance):
        report = []
        for (preset, types), bar in exactness.BARS.items():
            found, missing = [], []
            for seed in SEEDS[:1] if types in ONE_SEED else SEEDS:
                path, reference, prompts = self.reference(preset, types, seed)
                with harness.ready_server(path, *arguments, isa=isa) as server:
                    self.assertEqual(server.health()["optimization"]["isa"], isa)
                    differences = exactness.differences(server.port, reference, prompts)
                found += differences[0]
                missing += differences[1]
            mean = sum(found) / len(found)
            report.append((preset, types, mean, bar, missing))
            print(f"{isa:10} {' '.join(arguments) or 'default':8} {preset} {types:7} mean {mean:.5f} worst {max(found):.5f} bar {bar * allowance:.5f}")
        for preset, types, mean, bar, missing in report:
            with self.subTest(model=preset, types=types):
                self.assertEqual(missing, [], "tokens of the reference's top 10 that the server did not return")
                self.assertLessEqual(mean, bar * allowance)

    def check_isa(self, isa):
        if isa not in harness.cpu_isas():
            self.skipTest(f"this CPU has no {isa}")
        self.check(isa, ("--exact",), 1.0)
        self.check(isa, (), exactness.PANEL_ALLOWANCE)

    def test_scalar(self):
        self.check_isa("scalar")

    def test_avx2(self):
        self.check_isa("avx2")

    def test_avxvnni(self):
        self.check_isa("avxvnni")

    def test_avx512vnni(self):
        self.check_isa("avx512vnni")


if __name__ == "__main__":
    harness.main()
