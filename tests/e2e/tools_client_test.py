#!/usr/bin/env python3
"""Tools and reasoning with the official openai package: calls that must be made, parallel calls, odd answers, a second
turn with the tool's result, on models with random weights, the real Qwen vocabulary and published chat templates.

What such a model says is noise, so where a test wants a particular answer it asks for it with a grammar: the way from
tokens to content, reasoning and calls is the same.
"""
import os
import shutil
import subprocess
import tempfile
import unittest

import harness
import openai_client_test


class ToolsClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tenfold-tools-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        vocabulary = harness.data("tokenizer/qwen2")
        harness.tool("make_gguf.py")
        openai_client_test.install(cls.folder)
        shutil.copy(openai_client_test.HERE / "tools_test.mjs", cls.folder)
        cls.vocabulary = str(vocabulary)

    def run_against(self, pattern, template):
        path = harness.data(f"templates/{template}.jinja")
        model = harness.make_model(self.folder, "tiny-qwen3-realvocab", "--types", "q8_0", "--vocab", self.vocabulary)
        with harness.ready_server(model, "-c", "4096", "--chat-template-file", str(path)) as server:
            env = {**os.environ, "TENFOLD_URL": f"http://127.0.0.1:{server.port}"}
            command = ["node", "--test", f"--test-name-pattern={pattern}", "tools_test.mjs"]
            done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=240,
                                  check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^\W*pass [1-9]", "no test matched the pattern")

    def test_qwen(self):
        self.run_against("^qwen:", "qwen3")

    def test_llama(self):
        self.run_against("^llama:", "llama3_2")

    def test_template_that_opens_reasoning(self):
        self.run_against("^opened:", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B")


if __name__ == "__main__":
    harness.main()
