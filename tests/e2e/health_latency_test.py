#!/usr/bin/env python3
"""/health answers from a snapshot: its latency does not depend on what the model is doing.

Asked without pause over one kept connection while a model loads, and while ten streams run. The promise is 50 ms at the
99th percentile; on a test machine with few cores, all busy computing, the bar is twice that.
"""
import http.client
import json
import shutil
import tempfile
import threading
import time
import unittest

import harness

BAR_S = 0.1


class Prober(threading.Thread):
    """Asks /health again and again until stopped; keeps the latencies and the states it saw."""

    def __init__(self, port):
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.seconds, self.seen, self.stopping = [], [], threading.Event()

    def run(self):
        while not self.stopping.is_set():
            started = time.monotonic()
            self.connection.request("GET", "/health")
            health = json.loads(self.connection.getresponse().read())
            self.seconds.append(time.monotonic() - started)
            self.seen.append(health)
            time.sleep(0.002)

    def finish(self):
        self.stopping.set()
        self.join()
        self.connection.close()
        ordered = sorted(self.seconds)
        return ordered[int(0.99 * (len(ordered) - 1))], ordered[-1]


class HealthLatencyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        cls.folder = tempfile.mkdtemp(prefix="tenfold-health-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def test_while_loading(self):
        # A real vocabulary's size: its embedding and tokenizer take long enough to load to be watched.
        model = harness.make_model(self.folder, "tiny-qwen3-realvocab", "--types", "q4_k_m")
        with harness.Server(model) as server:
            server.first_answer()
            prober = Prober(server.port)
            prober.start()
            server.wait_ready()
            p99, worst = prober.finish()
            loading = [health for health in prober.seen if health["status"] == "loading"]
            print(f"while loading: {len(loading)} of {len(prober.seen)} answers, p99 {1000 * p99:.1f} ms, worst {1000 * worst:.1f} ms")
            self.assertTrue(loading, "the load was never seen")
            progress = [health["progress"] for health in loading]
            self.assertEqual(progress, sorted(progress), "progress went backwards")
            self.assertTrue(all(0 <= value <= 1 for value in progress))
            self.assertTrue(all(health["stage"] for health in loading))
            self.assertLess(p99, BAR_S)

    def test_while_ten_streams_run(self):
        model = harness.make_model(self.folder, "tiny-qwen3", "--types", "q4_k_m")
        with harness.ready_server(model) as server:
            prober = Prober(server.port)
            prober.start()
            body = {"max_tokens": 300, "temperature": 0, "ignore_eos": True}
            chunks = harness.in_parallel([
                lambda n=n: harness.stream_all(server.port, "/v1/completions", {**body, "prompt": [n + 1] * (40 + 30 * n)})
                for n in range(10)])
            p99, worst = prober.finish()
            busiest = max(health["running"] for health in prober.seen)
            print(f"ten streams: {len(prober.seen)} answers, at most {busiest} running, p99 {1000 * p99:.1f} ms, worst {1000 * worst:.1f} ms")
            self.assertTrue(all(len(stream) > 1 for stream in chunks))
            self.assertGreater(busiest, 1)
            self.assertLess(p99, BAR_S)


if __name__ == "__main__":
    harness.main()
