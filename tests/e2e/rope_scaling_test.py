#!/usr/bin/env python3
"""Stretched RoPE (linear, YaRN, Llama 3's factors): served log-probabilities against a float64 forward pass with Hugging
Face's published frequencies, and against the same pass without them, which must be far away."""
import pathlib
import shutil
import tempfile
import unittest

import exactness
import harness
import rope_scaling

BAR = 0.0006  # measured: 0.0001 to 0.0004 for F16 weights in exact mode, as without scaling
LENGTHS = (1, 7, 33, 150)
FAR = 0.01    # a server that left the scaling out would be at least this far off


class RopeScalingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        harness.tool("ref_forward.py")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenfold-rope-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def test_every_scheme(self):
        for number, (name, (preset, _, _)) in enumerate(rope_scaling.CASES.items()):
            with self.subTest(scheme=name):
                plain_path = harness.make_model(self.folder, preset, "--types", "f16")
                path = self.folder / f"scaled{number}.gguf"
                reference = rope_scaling.write_model(plain_path, path, name)
                plain = exactness.Reference(plain_path)
                prompts = exactness.random_prompts(1, reference.ordinary_tokens, LENGTHS)
                with harness.ready_server(path, "--exact") as server:
                    found, missing = exactness.differences(server.port, reference, prompts)
                    unscaled, _ = exactness.differences(server.port, plain, prompts)
                mean, far = sum(found) / len(found), sum(unscaled) / len(unscaled)
                print(f"{name:16} {preset:11} mean {mean:.5f} worst {max(found):.5f}; without scaling {far:.5f}")
                self.assertEqual(missing, [])
                self.assertLessEqual(mean, BAR)
                self.assertGreaterEqual(far, FAR)


if __name__ == "__main__":
    harness.main()
