#!/usr/bin/env python3
"""`tenfold gate` as a program: exit codes, refusals by name, and a real server measured and judged."""
import pathlib
import subprocess
import tempfile
import unittest

import harness

ORIGINAL = "phase,users,response_s,outcome\ncold,1,53.40,ok\n" + "".join(
    f"users,10,{s},ok\n" for s in (10.10, 12.83, 15.07, 15.16, 15.37, 15.18, 15.40, 15.25, 15.26)) + "users,10,,timeout\n"


class GateTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def gate(self, *arguments, code):
        done = subprocess.run([harness.binary(), "gate", *arguments], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_the_original_figures(self):
        csv = self.file("original.csv", ORIGINAL)
        self.assertIn("too few runs", self.gate("--from-csv", csv, code=3))
        rules = self.file("rules.toml", 'evidence = "single-run"\ncores = 8\n')
        said = self.gate("--from-csv", csv, "--rules", rules, code=1)
        for part in ("CONDITIONAL PASS", "90 % success", "20 % over 12 s", "5 users at once were not measured", "single-run"):
            self.assertIn(part, said)
        timeouts = self.file("timeouts.csv", "users,response_s,outcome\n" + "10,60,timeout\n" * 10)
        self.assertIn("MIGRATE", self.gate("--from-csv", timeouts, "--rules", rules, code=2))

    def test_a_measured_server_passes(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        template = self.file("chat.jinja", "{% for message in messages %}{{ message.content }}\n{% endfor %}")
        results = str(self.folder / "r.jsonl")
        with harness.ready_server(model, "--chat-template-file", template) as server:
            subprocess.run([harness.binary(), "bench", "load", f"http://127.0.0.1:{server.port}", "--users", "1,5,10", "--rounds",
                            "3", "--tokens", "8", "--output", results], check=True, capture_output=True, timeout=100)
        rules = self.file("rules.toml", "most_spread = 100\n")  # the machine may be busy
        said = self.gate(results, "--rules", rules, code=0)
        self.assertIn("PASS", said)
        self.assertIn("users that fit", said)

    def test_what_is_wrong_is_named(self):
        csv = self.file("x.csv", "users,response_s\n10,nine\n")
        self.assertIn("x.csv:2: response_s", self.gate("--from-csv", csv, code=4))
        rules = self.file("r.toml", "tarket_s = 3\n")
        self.assertIn("did you mean target_s", self.gate("--from-csv", csv, "--rules", rules, code=4))
        self.assertIn("no-such-file", self.gate("no-such-file", code=4))
        self.assertIn("--from-csv", self.gate(code=4))
        self.assertIn("--rulse", self.gate("--rulse", "x", code=4))
        self.assertIn("not a JSON object", self.gate(self.file("n.jsonl", "hello\n"), code=4))


if __name__ == "__main__":
    harness.main()
