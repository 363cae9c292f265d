#!/usr/bin/env python3
"""/health answers from a snapshot: its latency does not depend on what the model is doing.

Asked without pause over one kept connection while a model loads, while ten streams run, and with a thousand requests
open. The promise is 50 ms at the 99th percentile. A machine that is busy with something else besides wakes everybody
late, the asking thread too: how late is measured at the same time by a process that only sleeps, and each of the two
wake-ups of an answer (the server's, the asker's) is allowed that much more. On a quiet machine that is nothing.
HEALTH_MODEL=file.gguf takes that model for the thousand requests, and looks for longer.
"""
import http.client
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness

PROMISE_S = 0.05
REAL_MODEL = os.environ.get("HEALTH_MODEL")


# Sleeps 2 ms at a time until its input ends, then says the 99th percentile of how much longer it took, in seconds.
SLEEPER = """
import select, sys, time
late = []
while True:
    begin = time.monotonic()
    if select.select([sys.stdin], [], [], 0.002)[0]:
        break
    late.append(time.monotonic() - begin - 0.002)
print(sorted(late)[int(0.99 * (len(late) - 1))] if late else 0)
"""


class Prober(threading.Thread):
    """Asks /health again and again until stopped; keeps the latencies and the states it saw."""

    def __init__(self, port):
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.seconds, self.seen, self.stopping = [], [], threading.Event()
        self.sleeper = subprocess.Popen([sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

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
        late, _ = self.sleeper.communicate("\n")
        self.bar_s = PROMISE_S + 2 * max(0.0, float(late))
        return ordered[int(0.99 * (len(ordered) - 1))], ordered[-1]

    def __str__(self):
        return f"bar {1000 * self.bar_s:.1f} ms"


class HealthLatencyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not REAL_MODEL:
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
            print(f"while loading: {len(loading)} of {len(prober.seen)} answers, p99 {1000 * p99:.1f} ms, worst {1000 * worst:.1f} ms, {prober}")
            self.assertTrue(loading, "the load was never seen")
            progress = [health["progress"] for health in loading]
            self.assertEqual(progress, sorted(progress), "progress went backwards")
            self.assertTrue(all(0 <= value <= 1 for value in progress))
            self.assertTrue(all(health["stage"] for health in loading))
            self.assertLess(p99, prober.bar_s)

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
            print(f"ten streams: {len(prober.seen)} answers, at most {busiest} running, p99 {1000 * p99:.1f} ms, worst {1000 * worst:.1f} ms, {prober}")
            self.assertTrue(all(len(stream) > 1 for stream in chunks))
            self.assertGreater(busiest, 1)
            self.assertLess(p99, prober.bar_s)

    def test_with_a_thousand_requests_open(self):
        """Ten compute, the others wait; fifty of them are streams that somebody reads."""
        model, tokens, seconds = REAL_MODEL, 4000, 20
        arguments = ["-c", "8192", "--kv-memory", "2G"]
        if not model:
            model, tokens, seconds = harness.make_model(self.folder, "tiny-qwen3", "--types", "q4_k_m"), 30000, 4
            arguments = ["-c", "32768"]
        with harness.ready_server(model, *arguments) as server, selectors.DefaultSelector() as streams:
            clients = []
            for n in range(1000):
                body = json.dumps({"prompt": [n % 500 + 1] * (10 + n % 90), "max_tokens": tokens, "temperature": 0,
                                   "ignore_eos": True, "stream": n < 50}).encode()
                client = socket.create_connection(("127.0.0.1", server.port))
                client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                clients.append(client)
                if n < 50:
                    streams.register(client, selectors.EVENT_READ)
            harness.wait_until(lambda: harness.metric(server.port, "tenfold_requests_open") == 1000, 30, "all are inside")
            harness.wait_until(lambda: harness.metric(server.port, "vllm:num_requests_waiting") >= 990, 30, "all are queued")
            steps = harness.metric(server.port, "llamacpp:n_decode_total")
            prober = Prober(server.port)
            prober.start()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                for key, _ in streams.select(0.1):
                    key.fileobj.recv(1 << 16)
            p99, worst = prober.finish()
            steps = harness.metric(server.port, "llamacpp:n_decode_total") - steps
            busiest = max(health["running"] for health in prober.seen)
            waiting = min(health["queue_depth"] for health in prober.seen)
            print(f"1,000 requests open: {len(prober.seen)} answers, {busiest} running, at least {waiting} waiting, "
                  f"{steps:.0f} steps, p99 {1000 * p99:.1f} ms, worst {1000 * worst:.1f} ms, {prober}")
            self.assertGreater(steps, 3 * seconds, "the loop was not busy")
            self.assertGreaterEqual(waiting, 900)
            for client in clients:
                client.close()
            harness.wait_until(lambda: harness.metric(server.port, "tenfold_requests_open") == 0, 30, "all have gone")
            self.assertEqual(harness.metric(server.port, "vllm:num_requests_running"), 0)
            self.assertLess(p99, prober.bar_s)


if __name__ == "__main__":
    harness.main()
