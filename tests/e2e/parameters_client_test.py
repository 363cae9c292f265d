#!/usr/bin/env python3
"""Every request parameter with the official openai package: what each does to an answer, whole and streamed; refusals as
its typed exceptions; and its retries, which wait for Retry-After.

node/parameters_test.mjs asks; this script starts the servers. Skips, with the reason, where npm cannot be reached.
"""
import os
import shutil
import subprocess
import tempfile
import unittest

import harness
import openai_client_test


class ParametersClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tenfold-parameters-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.model = harness.make_model(cls.folder, "tiny-qwen3", "--types", "q8_0", "--seed", "3")
        openai_client_test.install(cls.folder)
        shutil.copy(openai_client_test.HERE / "parameters_test.mjs", cls.folder)

    def run_against(self, pattern, *arguments):
        with harness.ready_server(self.model, *arguments) as server:
            env = {**os.environ, "TENFOLD_URL": f"http://127.0.0.1:{server.port}"}
            command = ["node", "--test", f"--test-name-pattern={pattern}", "parameters_test.mjs"]
            done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120,
                                  check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^\W*pass [1-9]", "no test matched the pattern")

    # Choices of one request must not depend on which others share their steps.
    def test_fields(self):
        self.run_against("^fields:", "-c", "512", "--exact")

    def test_errors(self):
        self.run_against("^errors:", "-c", "512")

    def test_retry(self):
        self.run_against("^retry:", "-c", "8192")


if __name__ == "__main__":
    harness.main()
