#!/usr/bin/env python3
"""`tenfold bench load` against the real server: counts right, exits right. Its measuring is tested in src/bench/."""
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import harness


def bench(*arguments):
    command = [harness.binary(), "bench", "load", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


class BenchLoadTest(unittest.TestCase):
    def test_ten_users(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        folder = tempfile.mkdtemp(prefix="tenfold-bench-load-")
        self.addCleanup(shutil.rmtree, folder)
        template = pathlib.Path(folder) / "chat.jinja"  # the model was trained on stories, not on chats
        template.write_text("{% for message in messages %}{{ message.content }}\n{% endfor %}", encoding="utf-8")
        with harness.ready_server(model, "--chat-template-file", str(template)) as server:
            done = bench(f"http://127.0.0.1:{server.port}", "--users", "10", "--tokens", "24", "--ignore-eos")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"answered +10 of 10")
            self.assertIn("240 tokens", re.sub(" +", " ", done.stdout))
            self.assertEqual(harness.metric(server.port, "vllm:generation_tokens_total"), 240)

    def test_no_server(self):
        done = bench(f"http://127.0.0.1:{harness.free_port()}/v1", "--users", "2", "--timeout", "5")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"answered +0 of 2")
        self.assertIn("no connection", done.stdout)

    def test_bad_url(self):
        done = bench("127.0.0.1:80")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("http://", done.stderr + done.stdout)


if __name__ == "__main__":
    harness.main()
