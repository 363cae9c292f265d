#!/usr/bin/env python3
"""/health answers from a snapshot: its latency does not depend on what the model is doing.

Asked without pause over one kept connection while a model loads, while ten streams run, and with a thousand requests
open. The promise is 50 ms at the 99th percentile. A machine that is busy with something else besides makes everybody
late: how late is seen on a control, a server that does nothing but answer, which is asked in turn. What the control takes
is allowed besides, twice. On a quiet machine that is a few milliseconds.
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


# The least that a server can do: one thread, one connection, one answer that is always the same.
CONTROL = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
while client.recv(4096):
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
"""


def p99(seconds):
    ordered = sorted(seconds)
    return ordered[int(0.99 * (len(ordered) - 1))]


class Prober(threading.Thread):
    """Asks /health and the control in turn until stopped; keeps the latencies and the states it saw."""

    def __init__(self, port):
        super().__init__()
        self.control = subprocess.Popen([sys.executable, "-c", CONTROL], stdout=subprocess.PIPE, text=True)
        self.connections = [http.client.HTTPConnection("127.0.0.1", number, timeout=30)
                            for number in (port, int(self.control.stdout.readline()))]
        self.seconds, self.control_seconds, self.seen, self.stopping = [], [], [], threading.Event()
        self.p99 = self.worst = self.bar_s = None

    def run(self):
        while not self.stopping.is_set():
            for connection, seconds, seen in zip(self.connections, (self.seconds, self.control_seconds), (self.seen, [])):
                started = time.monotonic()
                connection.request("GET", "/health")
                answer = json.loads(connection.getresponse().read())
                seconds.append(time.monotonic() - started)
                seen.append(answer)
                time.sleep(0.002)

    def finish(self):
        self.stopping.set()
        self.join()
        for connection in self.connections:
            connection.close()
        self.control.wait(10)
        self.control.stdout.close()
        self.p99, self.worst = p99(self.seconds), max(self.seconds)
        self.bar_s = PROMISE_S + 2 * p99(self.control_seconds)

    def __str__(self):
        return f"p99 {1000 * self.p99:.1f} ms of {1000 * self.bar_s:.1f}, worst {1000 * self.worst:.1f} ms"


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
            prober.finish()
            loading = [health for health in prober.seen if health["status"] == "loading"]
            print(f"while loading: {len(loading)} of {len(prober.seen)} answers, {prober}")
            self.assertTrue(loading, "the load was never seen")
            progress = [health["progress"] for health in loading]
            self.assertEqual(progress, sorted(progress), "progress went backwards")
            self.assertTrue(all(0 <= value <= 1 for value in progress))
            self.assertTrue(all(health["stage"] for health in loading))
            self.assertLess(prober.p99, prober.bar_s)

    def test_while_ten_streams_run(self):
        model = harness.make_model(self.folder, "tiny-qwen3", "--types", "q4_k_m")
        with harness.ready_server(model) as server:
            prober = Prober(server.port)
            prober.start()
            body = {"max_tokens": 300, "temperature": 0, "ignore_eos": True}
            chunks = harness.in_parallel([
                lambda n=n: harness.stream_all(server.port, "/v1/completions", {**body, "prompt": [n + 1] * (40 + 30 * n)})
                for n in range(10)])
            prober.finish()
            busiest = max(health["running"] for health in prober.seen)
            print(f"ten streams: {len(prober.seen)} answers, at most {busiest} running, {prober}")
            self.assertTrue(all(len(stream) > 1 for stream in chunks))
            self.assertGreater(busiest, 1)
            self.assertLess(prober.p99, prober.bar_s)

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
            prober.finish()
            steps = harness.metric(server.port, "llamacpp:n_decode_total") - steps
            busiest = max(health["running"] for health in prober.seen)
            waiting = min(health["queue_depth"] for health in prober.seen)
            print(f"1,000 requests open: {len(prober.seen)} answers, {busiest} running, at least {waiting} waiting, "
                  f"{steps:.0f} steps, {prober}")
            self.assertGreater(steps, 3 * seconds, "the loop was not busy")
            self.assertGreaterEqual(waiting, 900)
            for client in clients:
                client.close()
            harness.wait_until(lambda: harness.metric(server.port, "tenfold_requests_open") == 0, 30, "all have gone")
            self.assertEqual(harness.metric(server.port, "vllm:num_requests_running"), 0)
            self.assertLess(prober.p99, prober.bar_s)


if __name__ == "__main__":
    harness.main()
