#!/usr/bin/env python3
"""`tenfold doctor` as a program: on this machine, with sound, cut and missing files, a taken port, wrong flags, in a cgroup."""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest

import harness


class DoctorTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tenfold-doctor-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def doctor(self, *arguments, **environment):
        done = subprocess.run([harness.binary(), "doctor", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                              check=False, env={**os.environ, **environment})
        return done.returncode, done.stdout, done.stderr

    def findings(self, *arguments, **environment):
        code, out, err = self.doctor("--json", "--port", harness.free_port(), *arguments, **environment)
        self.assertEqual(err, "")
        report = json.loads(out)
        self.assertEqual(code, ["OK", "WARN", "FAIL"].index(report["level"]))
        return {finding["name"]: finding for finding in report["findings"]}

    def test_a_sound_file(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        found = self.findings("-m", model, "--users", 10)
        self.assertEqual({found[name]["level"] for name in ("model file", "fits", "page cache", "port")}, {"OK"}, found)
        self.assertIn("10 users of", found["fits"]["says"])
        self.assertIn(harness.cpu_isas()[-1], found["processor"]["says"])
        for finding in found.values():
            self.assertTrue(finding["level"] == "OK" or finding["advice"], finding)
        _, text, _ = self.doctor("-m", model)
        self.assertIn("model file", text)
        self.assertIn("fine,", text)

    def test_bad_files(self):
        whole = pathlib.Path(harness.data("models/stories260K/stories260K.gguf")).read_bytes()
        cut = self.folder / "cut.gguf"
        cut.write_bytes(whole[:len(whole) // 2])
        for path in (cut, self.folder / "missing.gguf", self.folder):
            found = self.findings("-m", path)
            self.assertEqual(found["model file"]["level"], "FAIL", found)
            self.assertIn(str(path), found["model file"]["says"])
            self.assertNotIn("fits", found)

    def test_more_than_fits(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        self.assertEqual(self.findings("-m", model, "--users", 100_000)["fits"]["level"], "WARN")
        self.assertIn("-c", self.findings("-m", model, "-c", 1 << 30)["fits"]["says"])

    def test_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            code, text, _ = self.doctor("--port", taken.getsockname()[1])
            self.assertEqual(code, 2)
            self.assertIn("in use", text)

    def test_the_instruction_set(self):
        self.assertEqual(self.findings(TENFOLD_ISA="scalar")["processor"]["level"], "WARN")
        self.assertEqual(self.findings(TENFOLD_ISA="avx9")["processor"]["level"], "FAIL")

    def test_wrong_usage(self):
        for flags in (("--usres", "3"), ("--users", "0"), ("--port", "70000")):
            code, out, err = self.doctor(*flags)
            self.assertEqual((code, out), (3, ""))
            self.assertIn(flags[0], err)


if __name__ == "__main__":
    harness.main()
