#!/usr/bin/env python3
"""The pool of KV pages: its size is said, what can never fit is refused at once, and no request fails for another's.

Six different requests, each of which fits the pool alone and which overflow it together, give what each gives alone.
"""
import random
import shutil
import tempfile
import unittest

import harness

REQUESTS = 6
PAGE_TOKENS = 16


class KvPoolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        folder = tempfile.mkdtemp(prefix="tenfold-pool-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.model = harness.make_model(folder, "tiny-qwen3", "--types", "q4_k_m", "--seed", "11")
        draw = random.Random(20261124)
        cls.bodies = [{"prompt": [draw.randrange(2000) for _ in range(120 + 7 * i)], "max_tokens": 100 - 5 * i,
                       "ignore_eos": True, "logprobs": 0, "seed": i, "temperature": (0, 0.8, 1.2)[i % 3]}
                      for i in range(REQUESTS)]
        with harness.ready_server(cls.model, "--exact", "-c", "256") as server:
            cls.health = server.health()["optimization"]
            cls.log = server.log_text()
            cls.alone = [cls.ask(server.port, body) for body in cls.bodies]
        cls.page_bytes = PAGE_TOKENS * cls.health["kv_bytes"] // cls.health["kv_tokens"]

    @staticmethod
    def ask(port, body):
        """Tokens and log-probabilities of a streamed answer, which must come whole."""
        chunks = harness.stream_all(port, "/v1/completions", body)
        assert not any("error" in chunk for chunk in chunks), chunks
        choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
        assert choices[-1]["finish_reason"] == "length", choices[-1]
        return [(entry["id"], entry["logprob"]) for choice in choices if choice.get("logprobs")
                for entry in choice["logprobs"]["content"]]

    def test_the_default_size_is_said(self):
        self.assertEqual(self.health["kv_tokens"], 2 * 10 * 256, "twice ten contexts: this model is small")
        self.assertIn("KV pool: ", self.log)
        self.assertIn(f"{self.health['kv_tokens']} tokens, 20.0 contexts of 256", self.log)

    def test_requests_that_overflow_it_together_give_what_they_give_alone(self):
        for body, answer in zip(self.bodies, self.alone):
            self.assertEqual(len(answer), body["max_tokens"])
        self.assertEqual(len({str(answer) for answer in self.alone}), REQUESTS)
        # One context of 256 and six pages more: two of the requests fit, not six.
        with harness.ready_server(self.model, "--exact", "-c", "256", "--kv-memory", str(22 * self.page_bytes)) as server:
            self.assertEqual(server.health()["optimization"]["kv_tokens"], 22 * PAGE_TOKENS)
            for _ in range(3):
                together = harness.in_parallel([lambda b=body: self.ask(server.port, b) for body in self.bodies])
                for number, (got, want) in enumerate(zip(together, self.alone)):
                    self.assertEqual(got, want, f"request {number}")
            self.assertGreater(harness.metric(server.port, "vllm:num_preemptions_total"), 0, "the pool was meant to run out")
            harness.wait_until(lambda: server.health()["kv_use"] == 0, 10, "every page is back")

    def test_what_can_never_fit_is_refused_at_once(self):
        with harness.ready_server(self.model, "--exact", "--kv-memory", str(20 * self.page_bytes)) as server:
            self.assertEqual(harness.get(server.port, "/props").json()["default_generation_settings"]["n_ctx"], 320)
            self.assertIn("320 tokens", server.log_text())
            with harness.stream(server.port, "/v1/completions", {**self.bodies[0], "max_tokens": 195}) as (_, events):
                next(events)  # the pool is busy, and that is no reason to wait
                answer = harness.post(server.port, "/v1/completions", {"prompt": list(range(300)), "max_tokens": 21})
                self.assertEqual(answer.status, 400, answer.body)
                error = answer.json()["error"]
                self.assertEqual((error["type"], error["n_ctx"]), ("exceed_context_size_error", 320))
                self.assertIn("321", error["message"])
            self.assertEqual(len(self.ask(server.port, self.bodies[1])), self.bodies[1]["max_tokens"])

    def test_sizes_that_cannot_serve_are_refused_by_name(self):
        for arguments, words in ((("--kv-memory", "1K"), ("--kv-memory", "1024 bytes", "one context")),
                                 (("--kv-memory", str(20 * self.page_bytes), "-c", "321"), ("--kv-memory", "321")),
                                 (("--kv-memory", "15T"), ("--kv-memory", "15360.00 GiB"))):
            with harness.Server(self.model, *arguments) as server:
                server.first_answer()
                health = harness.wait_until(lambda s=server: s.health().get("status") == "error" and s.health(), 20, "an error")
                for word in words:
                    self.assertIn(word, health["error"]["message"])


if __name__ == "__main__":
    harness.main()
