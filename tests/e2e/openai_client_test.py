#!/usr/bin/env python3
"""The official openai package for Node, as an application uses it: lists, chats, streams, aborts, typed errors.

Installs node/package-lock.json with npm ci into a folder of its own, starts servers, and hands their addresses to
node/client_test.mjs. Skips, with the reason, where npm or its registry cannot be reached.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness

HERE = pathlib.Path(__file__).resolve().parent / "node"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH", "ERR_SOCKET_TIMEOUT",
               "CERT_IN_CHAIN", "UNABLE_TO_VERIFY", "UNABLE_TO_GET_ISSUER")


def install(folder):
    if not shutil.which("npm") or not shutil.which("node"):
        raise unittest.SkipTest("node and npm are not installed")
    for name in ("package.json", "package-lock.json", "client_test.mjs"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        if any(code in done.stdout + done.stderr for code in UNREACHABLE):
            raise unittest.SkipTest("the npm registry cannot be reached")
        raise AssertionError(f"npm ci failed:\n{done.stdout}{done.stderr}")


class OpenAiClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tenfold-openai-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        try:
            cls.model = harness.make_model(cls.folder, "tiny-qwen3", "--types", "q8_0", "--seed", "3")
        except unittest.SkipTest:
            cls.model = harness.data("models/stories260K/stories260K.gguf")
        install(cls.folder)

    def run_node(self, pattern, port, **environment):
        env = {**os.environ, "TENFOLD_URL": f"http://127.0.0.1:{port}", **environment}
        command = ["node", "--test", f"--test-name-pattern={pattern}", "client_test.mjs"]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^\W*pass [1-9]", "no test matched the pattern")

    def test_open_server(self):
        with harness.ready_server(self.model, "-c", "512") as server:
            self.run_node("^open:", server.port)

    def test_structured_output(self):
        with harness.ready_server(self.model, "-c", "2048", "--exact") as server:
            self.run_node("^structured:", server.port)

    def test_api_key(self):
        with harness.Server(self.model, "--api-key", "sesame") as server:
            harness.wait_until(lambda: server.first_answer() and server.health()["status"] == "ready", 60, "ready")
            self.run_node("^key:", server.port, TENFOLD_KEY="sesame")


if __name__ == "__main__":
    harness.main()
