#!/usr/bin/env python3
"""Many clients of every kind at once: streams, whole answers, aborts, bad JSON, giant prompts, slow readers, reconnects.

Every good answer is compared with the one its request got alone (--exact: an answer depends on nothing but its request).
At the end nothing is held, resident memory is flat, and SIGTERM is obeyed. SOAK_CLIENTS and SOAK_SECONDS
make it as long as wanted (the long run is 200 clients for 60 s); SOAK_MEMORY=0 leaves memory out, for builds
with sanitizers, which keep what is freed, and SOAK_TIMEOUT says how many seconds an answer may take there.
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import tempfile
import threading
import time
import traceback
import unittest

import harness

CLIENTS = int(os.environ.get("SOAK_CLIENTS", "40"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
LOOK_AT_MEMORY = os.environ.get("SOAK_MEMORY", "1") != "0"
CONTEXT = 2048
QUESTIONS = 24
TIMEOUT = float(os.environ.get("SOAK_TIMEOUT", "120"))


def question(index):
    rng = random.Random(index)
    return {"prompt": [rng.randrange(1, 500) for _ in range(rng.choice([3, 20, 70, 300]))],
            "max_tokens": rng.choice([5, 20, 60]), "ignore_eos": True,
            "temperature": rng.choice([0, 0.8]), "seed": index}


def raw_post(body, extra="", path="/v1/completions"):
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\n{extra}Content-Length: {len(body)}\r\n\r\n").encode() + body


def connect(port, receive_bytes=None):
    client = socket.socket()
    client.settimeout(TIMEOUT)
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.connect(("127.0.0.1", port))
    return client


def read_answer(client, rest=b""):
    """One answer with Content-Length: (status, body, bytes behind it)."""
    while b"\r\n\r\n" not in rest:
        piece = client.recv(65536)
        if not piece:
            raise AssertionError(f"the connection ended inside a head: {rest[:200]}")
        rest += piece
    head, _, rest = rest.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(rest) < length:
        piece = client.recv(65536)
        if not piece:
            raise AssertionError("the connection ended inside a body")
        rest += piece
    return int(head.split()[1]), rest[:length], rest[length:]


class Soak:
    """What the clients do. Each method is one visit; it raises where the server did wrong."""

    def __init__(self, port):
        self.port = port
        self.done = collections.Counter()
        self.expected = [harness.post(port, "/v1/completions", question(i), timeout=TIMEOUT).json()["choices"][0]["text"]
                         for i in range(QUESTIONS)]

    def check(self, index, text):
        if text != self.expected[index]:
            raise AssertionError(f"question {index}: {text!r} instead of {self.expected[index]!r}")
        self.done["good answers"] += 1

    def whole(self, rng):
        index = rng.randrange(QUESTIONS)
        answer = harness.post(self.port, "/v1/completions", question(index), timeout=TIMEOUT)
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {answer.body[:300]}")
        self.check(index, answer.json()["choices"][0]["text"])

    def stream(self, rng):
        index = rng.randrange(QUESTIONS)
        chunks = harness.stream_all(self.port, "/v1/completions", question(index), timeout=TIMEOUT)
        self.check(index, "".join(chunk["choices"][0]["text"] for chunk in chunks if chunk["choices"]))

    def several(self, rng):
        index = rng.randrange(QUESTIONS)
        body = {**question(index), "prompt": [question(index)["prompt"], [1, 2, 3]], "max_tokens": question(index)["max_tokens"]}
        answer = harness.post(self.port, "/v1/completions", body, timeout=TIMEOUT)
        self.check(index, answer.json()["choices"][0]["text"])

    def slow_reader(self, rng):
        index = rng.randrange(QUESTIONS)
        with contextlib.closing(connect(self.port, 2048)) as client:
            client.sendall(raw_post(json.dumps({**question(index), "stream": True}).encode(), "Connection: close\r\n"))
            received = b""
            while piece := client.recv(700):
                received += piece
                time.sleep(0.01)
        texts, body = [], received.partition(b"\r\n\r\n")[2]
        while body:  # chunks of the transfer, then events
            size, _, body = body.partition(b"\r\n")
            count = int(size, 16)
            for line in body[:count].decode().splitlines():
                if line.startswith("data: {"):
                    texts += [choice["text"] for choice in json.loads(line[6:])["choices"]]
            body = body[count + 2:]
        self.check(index, "".join(texts))

    def pipelined(self, rng):
        first, second = rng.randrange(QUESTIONS), rng.randrange(QUESTIONS)
        with contextlib.closing(connect(self.port)) as client:
            client.sendall(raw_post(json.dumps(question(first)).encode()) + raw_post(json.dumps(question(second)).encode()))
            rest = b""
            for index in (first, second):
                status, body, rest = read_answer(client, rest)
                if status != 200:
                    raise AssertionError(f"{status}: {body[:300]}")
                self.check(index, json.loads(body)["choices"][0]["text"])

    def abort(self, rng):
        body = {**question(rng.randrange(QUESTIONS)), "max_tokens": 1500}
        with harness.stream(self.port, "/v1/completions", body, timeout=TIMEOUT) as (_, events):
            for _ in range(rng.randrange(4)):
                next(events)

    def abort_at_once(self, rng):
        with contextlib.closing(connect(self.port)) as client:
            data = raw_post(json.dumps({**question(rng.randrange(QUESTIONS)), "max_tokens": 1500}).encode())
            client.sendall(data[:rng.randrange(1, len(data) + 1)])

    def never_reads(self, rng):
        with contextlib.closing(connect(self.port, 2048)) as client:
            body = {**question(rng.randrange(QUESTIONS)), "max_tokens": 1500, "stream": True, "logprobs": 5}
            client.sendall(raw_post(json.dumps(body).encode()))
            time.sleep(rng.random())

    def refused(self, body, status, path="/v1/completions"):
        answer = harness.post(self.port, path, body, timeout=TIMEOUT)
        if answer.status != status or not answer.json()["error"]["message"]:
            raise AssertionError(f"{answer.status} instead of {status}: {answer.body[:300]}")

    def bad_json(self, rng):
        good = json.dumps(question(rng.randrange(QUESTIONS))).encode()
        self.refused(rng.choice([good[:-1], b"{", b"[]", good + b"x", b'{"prompt":"a","no_such_field":1}']), 400)

    def giant_prompt(self, rng):
        choice = rng.randrange(3)
        if choice == 0:
            self.refused({"prompt": [5] * (CONTEXT + 100), "max_tokens": 1}, 400)
        elif choice == 1:
            self.refused({"prompt": "a" * (1 << 20)}, 413)
        else:
            answer = harness.post(self.port, "/v1/completions",
                                  {"prompt": [rng.randrange(1, 500) for _ in range(CONTEXT - 100)], "max_tokens": 2},
                                  timeout=TIMEOUT)
            if answer.status != 200:
                raise AssertionError(f"{answer.status}: {answer.body[:300]}")

    def garbage(self, rng):
        with contextlib.closing(connect(self.port)) as client:
            client.sendall(bytes(rng.randrange(256) for _ in range(60)) + b"\r\n\r\n")
            answer = client.recv(4096)
            if answer and not answer.startswith(b"HTTP/1.1 4"):
                raise AssertionError(answer)

    def reconnects(self, rng):
        for _ in range(10):
            with contextlib.closing(connect(self.port)) as client:
                if rng.random() < 0.5:
                    client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                    if rng.random() < 0.5:
                        read_answer(client)


VISITS = [(Soak.stream, 30), (Soak.whole, 15), (Soak.several, 5), (Soak.slow_reader, 5), (Soak.pipelined, 5), (Soak.abort, 10),
          (Soak.abort_at_once, 8), (Soak.never_reads, 4), (Soak.bad_json, 6), (Soak.giant_prompt, 5), (Soak.garbage, 4),
          (Soak.reconnects, 3)]


class SoakTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tenfold-soak-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.model = harness.make_model(cls.folder, "tiny-qwen3", "--types", "q8_0", "--seed", "5")

    def resident_mib(self, server):
        text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS:"))

    def test_every_good_answer_is_right_and_everything_comes_back(self):
        with harness.ready_server(self.model, "--exact", "-c", str(CONTEXT), "--kv-memory", "16M", "--max-body-size", "256K",
                                  "--stream-buffer-size", "64K", "--log-level", "warning") as server:
            soak = Soak(server.port)
            ends = time.monotonic() + SECONDS
            failures, memory = [], []

            def client(number):
                rng = random.Random(1000 + number)
                visit = VISITS[number % len(VISITS)][0]  # each kind takes place, however slow the machine
                while time.monotonic() < ends and not failures:
                    try:
                        visit(soak, rng)
                        soak.done[visit.__name__] += 1
                    except Exception:  # pylint: disable=broad-except
                        failures.append(f"{visit.__name__} of client {number}: {traceback.format_exc()}")
                    visit = rng.choices([visit for visit, _ in VISITS], [weight for _, weight in VISITS])[0]

            threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
            for thread in threads:
                thread.start()
            while time.monotonic() < ends and not failures:
                time.sleep(min(1.0, SECONDS / 10))
                memory.append(self.resident_mib(server))
            for thread in threads:
                thread.join()
            print(f"{CLIENTS} clients, {SECONDS:.0f} s: {dict(soak.done)}")
            print(f"resident MiB over time: {' '.join(f'{m:.0f}' for m in memory)}")
            self.assertEqual(failures, [])
            for visit, _ in VISITS:
                self.assertGreater(soak.done[visit.__name__], 0, f"no {visit.__name__} took place")
            self.check_all_is_back(server)
            for index in range(QUESTIONS):
                soak.check(index, harness.post(server.port, "/v1/completions", question(index)).json()["choices"][0]["text"])
            if LOOK_AT_MEMORY:
                half = len(memory) // 2
                self.assertLess(max(memory[half:]), 1.1 * max(memory[:half]) + 8, "memory grows")
            self.assertEqual(server.stop(), 0, server.log_text()[-3000:])
            self.assertNotIn("exception", server.log_text())

    def check_all_is_back(self, server):
        for name in ("tenfold_requests_open", "vllm:num_requests_running", "vllm:num_requests_waiting",
                     "vllm:kv_cache_usage_perc", "tenfold_receiving_bytes"):
            harness.wait_until(lambda name=name: harness.metric(server.port, name) == 0, 20, f"{name} is 0")
        harness.wait_until(lambda: harness.metric(server.port, "tenfold_connections") == 1, 20, "only we are connected")
        self.assertFalse([slot for slot in harness.get(server.port, "/slots").json() if slot["is_processing"]])


if __name__ == "__main__":
    harness.main()
