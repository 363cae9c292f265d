#!/usr/bin/env python3
"""`tenfold inspect`: a served file, a split one, one that is not supported, a damaged one, a missing part."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import gguf_edit
import harness


def inspect(path, *arguments):
    done = subprocess.run([str(harness.binary()), "inspect", str(path), *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


class InspectTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenfold-inspect-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.model = harness.make_model(cls.folder, "tiny-qwen2")

    def test_a_file_that_is_served(self):
        code, out, err = inspect(self.model)
        self.assertEqual((code, err), (0, ""))
        for part in ("architecture qwen2", "Q4_K", "fits", "40960"):
            self.assertIn(part, out)
        code, out, _ = inspect(self.model, "--json")
        facts = json.loads(out)
        self.assertEqual(code, 0)
        self.assertEqual((facts["architecture"], facts["unsupported"]), ("qwen2", []))
        with harness.ready_server(self.model) as server:
            used = server.health()["optimization"]
        self.assertEqual(used["isa"], facts["machine"]["isa"])
        self.assertEqual(used["weight_bytes"], facts["weight_bytes"])

    def test_a_split_file_and_its_parts(self):
        file = gguf_edit.Gguf(self.model)
        parts = file.write_split(self.folder, "split", [0, 9, len(file.tensors) - 9])
        code, out, _ = inspect(parts[0])
        self.assertEqual(code, 0)
        self.assertIn("2 more parts", out)
        code, out, err = inspect(parts[1])
        self.assertEqual((code, out), (1, ""))
        self.assertIn(str(parts[0]), err)
        parts[2].unlink()
        code, out, err = inspect(parts[0])
        self.assertEqual((code, out), (1, ""))
        self.assertIn(str(parts[2]), err)

    def test_an_unsupported_file_shows_what_is_known(self):
        file = gguf_edit.Gguf(self.model)
        file.set("general.architecture", "str", "mamba")
        code, out, err = inspect(file.write(self.folder / "mamba.gguf"))
        self.assertEqual((code, err), (1, ""))
        self.assertIn("unsupported", out)
        self.assertIn("general.architecture", out)
        self.assertIn("Q4_K", out)

    def test_a_damaged_file_is_one_sentence(self):
        path = self.folder / "cut.gguf"
        path.write_bytes(self.model.read_bytes()[:100_000])
        code, out, err = inspect(path)
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err.count("\n"), 1)
        self.assertIn("fetch it again", err)


if __name__ == "__main__":
    harness.main()
