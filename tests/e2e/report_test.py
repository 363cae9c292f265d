#!/usr/bin/env python3
"""`tenfold report` as a program: two real servers measured in turns, as Markdown and as HTML; refusals by name."""
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import harness


class ReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def tenfold(self, *arguments, code=0):
        done = subprocess.run([harness.binary(), *map(str, arguments)], capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_before_and_after(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        template = self.folder / "chat.jinja"
        template.write_text("{% for message in messages %}{{ message.content }}\n{% endfor %}", encoding="utf-8")
        results, markdown, html = (self.folder / name for name in ("r.jsonl", "r.md", "r.html"))
        with harness.ready_server(model, "--chat-template-file", str(template)) as one, \
                harness.ready_server(model, "--chat-template-file", str(template)) as two:
            self.tenfold("bench", "load", f"http://127.0.0.1:{one.port}", "--vs", f"http://127.0.0.1:{two.port}", "--users", "1,3",
                         "--rounds", "2", "--tokens", "8", "--output", results)
        self.tenfold("report", results, "--markdown", markdown, "--html", html)
        text = markdown.read_text(encoding="utf-8")
        for part in ("Before and after", "Decision: NO EVIDENCE", "| 6 of 6 |", "too few rounds to say", "health.optimization.threads", "| 3 users | response mean s |"):
            self.assertIn(part, text)
        page = html.read_text(encoding="utf-8")
        pictures = [piece.split("</svg>")[0] for piece in page.split("<svg")[1:]]
        self.assertEqual(len(pictures), 7)
        for picture in pictures:
            ElementTree.fromstring("<svg" + picture + "</svg>")  # well-formed
        self.assertNotIn("<script", page)
        self.assertEqual(self.tenfold("report", results).strip(), text.strip())

    def test_the_original_experiment(self):
        """tools/compare/original_experiment.py, on a model small enough for it to end at once."""
        model = harness.data("models/stories260K/stories260K.gguf")
        template = self.folder / "chat.jinja"
        template.write_text("{% for message in messages %}{{ message.content }}\n{% endfor %}", encoding="utf-8")
        serve = f"{harness.binary()} serve -m {model} --chat-template-file {template} --port {{port}}"
        script = pathlib.Path(__file__).resolve().parents[2] / "tools/compare/original_experiment.py"
        done = subprocess.run([sys.executable, script, "--tenfold", harness.binary(), "--model", model, "--before", serve, "--after",
                               serve, "--out", self.folder / "out", "--users", "1,5,10", "--tokens", "4", "--rounds", "3"],
                              capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("To repeat it by hand", done.stdout)
        self.assertEqual(done.stdout.count("users that fit"), 2, done.stdout)
        self.assertIn("| 10 users | response mean s |", (self.folder / "out/report.md").read_text(encoding="utf-8"))
        self.assertIn("</html>", (self.folder / "out/report.html").read_text(encoding="utf-8"))

    def test_what_is_wrong_is_named(self):
        self.assertIn("no-such-file", self.tenfold("report", "no-such-file", code=1))
        other = self.folder / "x.jsonl"
        other.write_text("hello\n", encoding="utf-8")
        self.assertIn("x.jsonl:1", self.tenfold("report", other, code=1))
        self.assertIn("--htlm", self.tenfold("report", other, "--htlm", "y", code=2))


if __name__ == "__main__":
    harness.main()
