#!/usr/bin/env python3
"""The process from exec to exit: answers before the model is there, holds early requests, survives a failed load.

The promise is an answer within 50 ms of exec; the bar here is 250 ms for the median of five starts, because a machine
that compiles or tests something else meanwhile is not the server's fault. The measured numbers are printed.
"""
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
import unittest

import harness

FIRST_ANSWER_BAR_S = 0.25
ASK = {"prompt": [1, 2, 3], "max_tokens": 4, "temperature": 0}


def any_model(folder):
    """A model that loads in a moment."""
    try:
        return harness.make_model(folder, "tiny-qwen3", "--types", "q8_0", "--seed", "5")
    except unittest.SkipTest:
        return harness.data("models/stories260K/stories260K.gguf")


class WithoutModelTest(unittest.TestCase):
    def test_first_answer(self):
        seconds = []
        for _ in range(5):
            with harness.Server() as server:
                first, answer = server.first_answer()
                seconds.append(first)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.json()["status"], "not_loaded")
        print(f"first answer after exec, ms: {' '.join(f'{1000 * s:.1f}' for s in seconds)}")
        self.assertLess(statistics.median(seconds), FIRST_ANSWER_BAR_S)

    def test_says_what_to_do(self):
        with harness.Server() as server:
            server.first_answer()
            answer = harness.post(server.port, "/v1/completions", ASK)
            self.assertEqual(answer.status, 503)
            self.assertIn("-m", answer.json()["error"]["message"] + server.log_text())

    def test_probes(self):
        with harness.Server() as server:
            server.first_answer()
            self.assertEqual(harness.get(server.port, "/livez").status, 200)
            self.assertEqual(harness.get(server.port, "/readyz").status, 503)
            self.assertEqual(harness.get(server.port, "/metrics").status, 200)
            self.assertEqual(harness.get(server.port, "/v1/models").status, 200)
            self.assertEqual(harness.get(server.port, "/nowhere").json()["error"]["type"], "not_found_error")
            wrong = harness.request(server.port, "PUT", "/health", {})
            self.assertEqual(wrong.status, 405)
            self.assertIn("GET", wrong.headers["Allow"])

    def test_signals(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(how), harness.Server() as server:
                server.first_answer()
                self.assertEqual(server.stop(how), 0, server.log_text())

    def test_wrong_command_lines(self):
        for arguments in (["serve", "--no-such-flag"], ["serve", "--port", "70000"], ["serve", "-t", "minus"], ["nonsense"]):
            with self.subTest(arguments):
                done = subprocess.run([harness.binary(), *arguments], capture_output=True, text=True, timeout=20, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertLess(done.returncode, 128, "killed by a signal")
                self.assertIn(arguments[1 if len(arguments) > 1 else 0], done.stderr + done.stdout)

    def test_port_in_use(self):
        with harness.Server() as server:
            server.first_answer()
            done = subprocess.run([harness.binary(), "serve", "--port", str(server.port)], capture_output=True, text=True,
                                  timeout=20, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(str(server.port), done.stderr + done.stdout)

    def test_failed_load_stays_up(self):
        with tempfile.TemporaryDirectory(prefix="tenfold-lifecycle-") as folder:
            path = os.path.join(folder, "late.gguf")
            with harness.Server(path) as server:
                server.first_answer()
                health = harness.wait_until(
                    lambda: (lambda a: a.json()["status"] == "error" and a)(harness.get(server.port, "/health")), 20, "error")
                self.assertEqual(health.status, 503)
                self.assertIn("late.gguf", health.json()["error"]["message"])
                self.assertEqual(harness.post(server.port, "/v1/completions", ASK).status, 503)
                self.assertEqual(harness.get(server.port, "/livez").status, 200)
                with open(path, "wb") as file:
                    file.write(b"GGUF but not really")
                harness.post(server.port, "/admin/load", {})
                health = harness.wait_until(lambda: (lambda h: h["status"] == "error" and h)(server.health()), 20, "error again")
                self.assertIn("late.gguf", health["error"]["message"])
                self.assertIsNone(server.process.poll())


class WithModelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tenfold-lifecycle-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.model = any_model(cls.folder)

    def test_first_answer_and_early_request(self):
        """The first HTTP answer with a model on the command line, and a completion asked before it can be there."""
        seconds, answered = [], []
        for _ in range(5):
            with harness.Server(self.model) as server:
                first, _ = server.first_answer()
                answer = harness.post(server.port, "/v1/completions", ASK)
                answered.append(time.monotonic() - server.started)
                seconds.append(first)
                self.assertEqual(answer.status, 200, answer.body)
                self.assertEqual(answer.json()["usage"]["completion_tokens"], 4)
        print(f"first answer after exec with a model, ms: {' '.join(f'{1000 * s:.1f}' for s in seconds)}")
        print(f"completion asked at once answered after, ms: {' '.join(f'{1000 * s:.0f}' for s in answered)}")
        self.assertLess(statistics.median(seconds), FIRST_ANSWER_BAR_S)

    def test_retry_after_failed_load(self):
        path = os.path.join(self.folder, "appears.gguf")
        with harness.Server(path) as server:
            server.first_answer()
            harness.wait_until(lambda: server.health()["status"] == "error", 20, "error")
            shutil.copy(self.model, path)
            answer = harness.post(server.port, "/admin/load", {})
            self.assertIn(answer.status, (200, 202), answer.body)
            server.wait_ready()
            self.assertEqual(harness.post(server.port, "/v1/completions", ASK).status, 200)

    def test_truncated_file(self):
        path = os.path.join(self.folder, "half.gguf")
        with open(self.model, "rb") as whole, open(path, "wb") as half:
            content = whole.read()
            half.write(content[:len(content) // 2])
        with harness.Server(path) as server:
            server.first_answer()
            health = harness.wait_until(lambda: (lambda h: h["status"] == "error" and h)(server.health()), 20, "error")
            self.assertIn("half.gguf", health["error"]["message"])

    def test_lazy_load(self):
        with harness.Server(self.model, "--load", "lazy") as server:
            _, answer = server.first_answer()
            self.assertEqual((answer.status, answer.json()["status"]), (200, "not_loaded"))
            time.sleep(0.3)
            self.assertEqual(server.health()["status"], "not_loaded")
            self.assertEqual(harness.post(server.port, "/v1/completions", ASK).status, 200)
            self.assertEqual(server.health()["status"], "ready")

    def test_unload_and_load(self):
        with harness.ready_server(self.model) as server:
            self.assertIn(harness.post(server.port, "/admin/unload", {}).status, (200, 202))
            harness.wait_until(lambda: server.health()["status"] == "not_loaded", 20, "not_loaded")
            self.assertIn(harness.post(server.port, "/admin/load", {}).status, (200, 202))
            server.wait_ready()
            self.assertEqual(harness.post(server.port, "/v1/completions", ASK).status, 200)

    def test_health_of_a_ready_server(self):
        with harness.ready_server(self.model, "-t", "1", "-c", "256") as server:
            health = server.health()
            self.assertEqual(harness.get(server.port, "/readyz").status, 200)
            self.assertEqual((health["optimization"]["threads"], health["optimization"]["n_ctx"]), (1, 256))
            too_long = harness.post(server.port, "/v1/completions", {"prompt": [1] * 300, "max_tokens": 4})
            self.assertEqual((too_long.status, too_long.json()["error"]["type"]), (400, "exceed_context_size_error"))
            self.assertEqual(too_long.json()["error"]["n_ctx"], 256)

    def test_sigterm_ends_streams_properly(self):
        """SIGTERM while a stream runs: the stream ends as a stream must, then the process exits with 0."""
        with harness.ready_server(self.model) as server:
            body = {**ASK, "max_tokens": 300, "ignore_eos": True}
            with harness.stream(server.port, "/v1/completions", body) as (response, events):
                self.assertEqual(response.status, 200)
                next(events)
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(list(events)[-1], "[DONE]")
            self.assertEqual(server.process.wait(30), 0, server.log_text())

    def test_second_signal_does_not_wait(self):
        with harness.ready_server(self.model) as server:
            stopped = threading.Event()

            def read():
                body = {**ASK, "max_tokens": 8000, "ignore_eos": True}
                try:
                    with harness.stream(server.port, "/v1/completions", body) as (_, events):
                        list(events)
                except OSError:
                    pass
                stopped.set()
            reader = threading.Thread(target=read)
            reader.start()
            harness.wait_until(lambda: harness.metric(server.port, "vllm:num_requests_running") == 1, 10, "the stream runs")
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGINT)
            server.process.wait(5)
            reader.join(10)
            self.assertTrue(stopped.is_set())


if __name__ == "__main__":
    harness.main()
